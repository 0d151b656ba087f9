"""What servers, rows and strangers' folders hold is shown and steers nothing: no terminal, no markup, no link."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fireact.errors import DataError
from fireact.lms.openai.wire import Server
from fireact.reporting.grid import Cell
from fireact.runs import progress
from fireact.runs.progress import RolloutProgress
from fireact.tools.http import explained
from fireact.trajectories.storage import watching
from fireact.trajectories.storage.watching import Watch
from fireact.trajectories.storage.writing import write_json
from tests.conftest import ROOT

HOSTILE = "[/red]\x1b]0;owned\x07\x9b31m\u202e[link=http://x]"
HARMLESS = r"[/red]\x1b]0;owned\x07\x9b31m\u202e[link=http://x]"


@pytest.mark.parametrize("terminal", [False, True])
def test_names_on_a_bar_and_in_a_line_are_only_text(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    for module, shown in ((progress, lambda: RolloutProgress(HOSTILE, 1)), (watching, lambda: Watch(HOSTILE, 1))):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=200)
        monkeypatch.setattr(module, "Console", lambda console=console, **_: console)
        monkeypatch.setattr(watching, "_EVERY_SECONDS", {True: -1, False: -1})
        with shown() as live:
            if isinstance(live, Watch):
                live(1)
        assert HARMLESS in out.getvalue()


@pytest.mark.parametrize(
    "quoted", [lambda text: Server("u", "m", "K", 1.0, "none").quote(text), lambda text: explained({"error": text})]
)
def test_a_server_s_words_are_quoted_without_what_steers_a_terminal(quoted: Callable[[str], str]) -> None:
    assert quoted(HOSTILE) == HARMLESS


def test_fields_of_rows_are_counted_by_names_that_are_only_text(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Thought: I.\nAction: finish[a]"}]
    rows = tmp_path / "rows.jsonl"
    write_json(tmp_path / "row", {"messages": turns, "[/red]\x1b]0;owned\x07": 1})
    rows.write_text(" ".join((tmp_path / "row").read_text(encoding="utf-8").split()) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "fireact.trajectories.show", str(rows), "-n", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["predictions.jsonl", "metrics.json"])
def test_a_run_folder_shows_no_file_of_somebody_else_s(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").write_text("{}")
    (tmp_path / name).symlink_to(tmp_path / "mine")
    cell = Cell({}, tmp_path)
    with pytest.raises(DataError, match=f"{name} is a link, which is not followed; put the file in its place"):
        list(cell.trajectories()) if name.startswith("p") else cell.metrics


def test_every_promise_of_security_md_has_its_test() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) >= 12
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"
