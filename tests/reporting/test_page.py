"""The report page as text: what is escaped, what is embedded, and how it lands on disk."""

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser

import pytest

from fireact.errors import DataError, StorageError
from fireact.reporting.grid import PREDICTIONS, Grid
from fireact.reporting.markdown import Table
from fireact.reporting.page import write_page
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.storage.reading import printable
from tests.reporting.page_grid import EVIL, PROMPTED, acted_out, grid_of

ROWS = (("A & B", "14.2 [11.0, 17.4]", "5 <b>"), ("C", "–", "x"))
TABLE = Table("EM <all>", ("", "EM, %", "note"), ROWS, ("a <note>",))
NAMES = ["acting=react, adapter=none", "acting=fireact, adapter=lora, method=react_cot, size=n500"]


class Parsed(HTMLParser):
    """What a browser's parser makes of the page: the tags in order, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)


def page(grid, folder, title="Report", tables=(), figures=()):
    return write_page(grid, folder, title, tables, figures).read_text(encoding="utf-8")


def blocks(text):
    """The embedded cells, parsed."""
    return [json.loads(script) for kind, script in Parsed(text).scripts if kind == "application/json"]


def one(**changes):
    """A trajectory of one step, with other fields where ``changes`` says so."""
    asked = Question("q", changes.pop("text", "Who?"), "Ann", "hotpotqa", "dev", ("x", "y"), "bridge")
    search = Step("I look.", "search", "Ann", changes.pop("observation", "Ann it is."))
    steps = (search, Step("", "finish", "Ann"))
    usage = Usage(2, 1, 30, 4, 0.5, 1.25)
    fields = {"answer": "Ann", "provenance": {"error": "a sentence", "seed": "0"}, **changes}
    return Trajectory(asked, "react", steps, Ending.FINISH, score=Score(1, 0.5, True), usage=usage, **fields)


def test_a_trajectory_is_embedded_as_an_array(tmp_path):
    [cell] = blocks(page(grid_of(tmp_path, prompted=[one()]), tmp_path))
    steps = [["I look.", "search", "Ann", "Ann it is."], ["", "finish", "Ann", None]]
    asked = ["q", "Who?", "Ann", "hotpotqa", "dev", ["x", "y"], "bridge"]
    usage = [2, 1, 30, 4, 0.5, 1.25]
    assert cell[1:] == [[asked, "react", "finish", "Ann", [1, 1, 0.5], usage, steps, "a sentence"]]


def test_cells_have_names_and_share_questions(tmp_path):
    prompted, tuned = blocks(page(grid_of(tmp_path, prompted=acted_out(3), tuned=acted_out(4, seed=1)), tmp_path))
    assert [prompted[0], tuned[0]] == NAMES
    assert [row[0][0] for row in prompted[1:]] == ["q-0", "q-1", "q-2"]
    assert [row[0] for row in tuned[1:4]] == [0, 1, 2]
    assert tuned[4][0][0] == "q-3"


def test_another_question_under_the_same_id_stays_another(tmp_path):
    grid = grid_of(tmp_path, prompted=[one()], tuned=[one(text="Who else?"), one()])
    _, tuned = blocks(page(grid, tmp_path))
    assert tuned[1][0][1] == "Who else?" and tuned[2][0] == 0


@pytest.mark.parametrize("evil", [EVIL, "<!-- <script>", "]]>", "\u2028\u2029", "\ud800", '"\\\x00\r\n\x9b\u202e'])
def test_what_was_said_stays_data(tmp_path, evil):
    grid = grid_of(tmp_path, prompted=[one()])
    plain = Parsed(page(grid, tmp_path))
    said = one(text=evil, observation=evil, answer=evil, provenance={"error": evil})
    # Escaped, for UTF-8 cannot hold a lone surrogate.
    (tmp_path / "prompted" / PREDICTIONS).write_text(json.dumps(said.to_json()) + "\n", encoding="utf-8")
    text = page(grid, tmp_path)
    assert Parsed(text).tags == plain.tags
    row = blocks(text)[0][1]
    assert (row[0][1], row[3], row[6][0][3], row[7]) == (printable(evil),) * 4
    assert not re.search("[\u2028\u2029]", text)


def test_titles_tables_commands_and_failures_are_escaped(tmp_path):
    grid = grid_of(tmp_path, prompted=[])
    grid = Grid("x", "python <train>.py", grid.cells)
    text = page(grid, tmp_path, title="A <b> title", tables=[TABLE])
    assert "<title>A &lt;b&gt; title</title>" in text and "<h1>A &lt;b&gt; title</h1>" in text
    assert "<code>python &lt;train&gt;.py</code>" in text
    assert "<td>A &amp; B</td>" in text and "a &lt;note&gt;" in text
    assert "size=n100</b>: the disk was full; free &lt;some&gt; of it</li>" in text


def test_columns_of_numbers_are_told_from_words(tmp_path):
    text = page(grid_of(tmp_path, prompted=[]), tmp_path, tables=[TABLE])
    head = "<th scope=col></th><th scope=col class=number>EM, %</th><th scope=col>note</th>"
    assert head in text
    assert "<tr><td>C</td><td class=number>–</td><td>x</td></tr>" in text


def test_a_table_without_rows_keeps_its_header(tmp_path):
    text = page(grid_of(tmp_path, prompted=[]), tmp_path, tables=[Table("None", ("a", "b"), ())])
    assert "<thead><tr><th scope=col>a</th><th scope=col>b</th></tr></thead>" in text


def test_what_all_cells_share_is_said_once(tmp_path):
    text = page(grid_of(tmp_path, prompted=[], tuned=[]), tmp_path)
    assert "<p>The same in every cell: backbone=llama2_7b, task=hotpotqa, search=bm25, seed=0.</p>" in text


def test_a_single_cell_is_named_by_all_its_axes(tmp_path):
    cell = grid_of(tmp_path, prompted=[]).cells[0]
    [[name]] = blocks(page(Grid("x", "x", (cell,)), tmp_path))
    assert name == ", ".join(f"{axis}={value}" for axis, value in PROMPTED.items())


def test_figures_are_images_with_their_names(tmp_path):
    svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    path = tmp_path / 'em_by_"size".svg'
    path.write_text(svg)
    text = page(grid_of(tmp_path, prompted=[]), tmp_path, figures=[path])
    [image] = [attributes for tag, attributes in Parsed(text).tags if tag == "img"]
    assert image["alt"] == 'Figure: em by "size"'
    kind, _, data = image["src"].partition(",")
    assert (kind, b64decode(data).decode()) == ("data:image/svg+xml;base64", svg)


def test_the_policy_allows_only_the_pages_own_script_and_style(tmp_path):
    text = page(grid_of(tmp_path, prompted=[one()]), tmp_path)
    [policy] = [a["content"] for tag, a in Parsed(text).tags if a.get("http-equiv") == "Content-Security-Policy"]
    style = re.search("<style>(.*?)</style>", text, re.DOTALL).group(1)
    [script] = [script for kind, script in Parsed(text).scripts if kind is None]
    styles, scripts = (b64encode(sha256(part.encode()).digest()).decode() for part in (style, script))
    assert unescape(policy) == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{styles}'; script-src 'sha256-{scripts}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "innerHTML" not in script and "http" not in script


def test_the_folder_is_made_and_holds_the_page_alone(tmp_path):
    path = write_page(grid_of(tmp_path, tuned=[one()]), tmp_path / "new" / "folder", "Report", (), ())
    assert [path] == list((tmp_path / "new" / "folder").iterdir())
    assert path.name == "report.html"


def test_a_missing_figure_is_named_and_the_old_page_stays(tmp_path):
    grid = grid_of(tmp_path / "runs", prompted=[one()])
    before = page(grid, tmp_path)
    with pytest.raises(DataError, match="gone.svg can't be read .*; draw the figures again"):
        page(grid, tmp_path, title="Other", figures=[tmp_path / "gone.svg"])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "runs"]


def test_a_cell_without_predictions_is_named(tmp_path):
    grid = grid_of(tmp_path / "runs", prompted=[one()])
    (tmp_path / "runs" / "prompted" / PREDICTIONS).unlink()
    with pytest.raises(DataError, match="predictions.jsonl can't be read"):
        page(grid, tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write .*report.html .*; free or fix that place"):
        page(grid_of(tmp_path, prompted=[]), tmp_path / "file")
