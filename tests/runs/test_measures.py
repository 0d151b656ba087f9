"""Whole runs scored by a measure of choice: what they report, what they refuse beforehand, what a judge costs."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fireact import cli
from fireact.errors import ConfigError, StorageError
from fireact.journal.store import Journal
from fireact.reporting.compare import markdown
from fireact.reporting.statistics import mean_ci95, restated
from fireact.runs.collect import collect
from fireact.runs.evaluate import evaluate
from fireact.trajectories.files import read
from fireact.trajectories.records import Trajectory
from tests.conftest import ROOT
from tests.lms.openai_server import Answer, Request, chat
from tests.runs.test_acting import serving

# What the agent answers to each question, and what the judge says of that.
ANSWERS = {"One?": "Nile", "Two?": "the river Nile", "Three?": "Amazon", "Four?": "who knows"}
VERDICTS = {
    "Nile": "Verdict: correct", "the river Nile": "Both name it.\nVerdict: correct",
    "Amazon": "Verdict: incorrect", "who knows": "Hard to say.",
}  # fmt: skip
PRICES = ["+lm.prices.agent={input: 1000, output: 0}", "+measure.lm.prices.critic={input: 2000, output: 0}"]


async def model(request: Request) -> Answer:
    text = request.body["messages"][0]["content"]
    if request.body["model"] == "critic":
        answer = json.loads(re.search(r"^Answer to grade: (.+)$", text, re.MULTILINE)[1])  # type: ignore[index]
        return chat(VERDICTS[answer], 500, 20)
    searches = text == "Four?" and len(request.body["messages"]) == 1
    return chat("Action: search[order]" if searches else f"Action: finish[{ANSWERS[text]}]")


def asked(server: Any) -> Counter[str]:
    return Counter(request.body["model"] for request in server.requests)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four questions about one river, and an agent on a server to come."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    write(tmp_path, [{"question": question, "answer": "Nile"} for question in ANSWERS])
    return [*reaching(tmp_path), f"task.path={tmp_path}/q.jsonl"]


def reaching(folder: Path) -> list[str]:
    (folder / "corpus.jsonl").write_text(json.dumps({"title": "Order", "text": "Order 7 costs 12.50."}))
    return ["task=file", f"task.corpus={folder}/corpus.jsonl", "method=fireact", "lm=openai", "lm.model=agent",
            "lm.stream=false", f"cache_dir={folder}/cache"]  # fmt: skip


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def judged(url: str) -> list[str]:
    return ["measure=judge", "measure.lm.model=critic", "measure.lm.stream=false", f"measure.lm.base_url={url}",
            f"lm.base_url={url}"]  # fmt: skip


def run(folder: Path, *overrides: str) -> dict[str, Any]:
    return evaluate(cli.compose("evaluate", [f"run_dir={folder}", *overrides]))


def predictions(folder: Path) -> list[Trajectory]:
    return list(read(folder / "predictions.jsonl", Counter()))


def test_a_judge_s_verdicts_agreement_and_cost(
    tmp_path: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    with serving(model) as server:
        overrides = [*given, *judged(server.url), *PRICES]
        figures = run(folder, *overrides)
        assert asked(server) == {"agent": 5, "critic": 4}
    assert (figures["measure"], figures["accuracy"], figures["em"]) == ("judge", 0.5, 0.25)
    judge = {"asked": 4, "unreadable": 1, "agreement": 2 / 3, "kappa": 0.4, "tokens_in": 2000, "tokens_out": 80}
    assert figures["judge"] == pytest.approx({**judge, "cost_usd": 4.0})
    assert (figures["cost_usd"], figures["unscored"]) == (0.05, {"the judge's verdict could not be read": 1})
    with closing(Journal(folder / "journal.sqlite")) as ledger:
        assert ledger.total() == pytest.approx(4.05)
    first = predictions(folder)
    assert [t.score.correct for t in first] == [True, True, False, False]
    assert {t.provenance["measure"] for t in first} == {"judge"}
    prompt = (ROOT / "fireact/tasks/measures/judge.txt").read_text(encoding="utf-8").strip()
    sha256 = hashlib.sha256(prompt.encode()).hexdigest()
    assert {t.provenance["measure_sha256"] for t in first} == {sha256}
    said = capsys.readouterr().out
    assert "The judge, asked 4 times for $4.0000, agrees with exact match in 66.7% of the answers (κ 0.40)." in said
    assert "Counted as wrong without a comparison: 1: the judge's verdict could not be read." in said
    assert "file by fireact: judge 0.500 [0.150, 0.850], 4 of 4 finished" in said

    (folder / "metrics.json").unlink()
    (folder / "predictions.jsonl").unlink()
    assert run(folder, *overrides) == figures  # nobody answers there any more
    assert predictions(folder) == first
    replayed = [*overrides, "journal.replay=only", f"journal.path={folder}/journal.sqlite"]
    assert run(tmp_path / "again", *replayed) == figures


def test_the_judge_spends_from_the_run_s_budget(tmp_path: Path, given: list[str]) -> None:
    folder = tmp_path / "run"
    with serving(model) as server:
        overrides = [*given, *judged(server.url), "task.limit=1", *PRICES]
        # a call may cost what its bytes do: the agent's fits, the judge's long prompt does not
        short = run(folder, *overrides, "lm.budget_usd=1")
        assert (short["endings"], asked(server)) == ({"budget": 1}, {"agent": 1})
        (ended,) = predictions(folder)
        assert ended.provenance["error"].startswith("the judge could not answer: the next call could cost $")
        assert (ended.answer, ended.score.correct) == ("Nile", False)
        full = run(folder, *overrides, "lm.budget_usd=100")
        assert (full["endings"], full["accuracy"], asked(server)) == ({"finish": 1}, 1.0, {"agent": 1, "critic": 1})


def test_a_judge_that_is_not_there_is_said_before_the_agent_is_asked(tmp_path: Path, given: list[str]) -> None:
    with serving(model) as server:
        away = [*judged(server.url), "measure.lm.base_url=http://127.0.0.1:9/v1"]
        with pytest.raises(ConfigError, match="no server answers at measure.lm.base_url=http://127.0.0.1:9/v1"):
            run(tmp_path / "run", *given, *away)
        assert server.requests == []


def test_a_model_does_not_judge_itself(tmp_path: Path, given: list[str]) -> None:
    local = ["lm=huggingface", "measure=judge", "lm@measure.lm=huggingface", f"tuned={tmp_path}/adapter"]
    overrides = [line for line in given if not line.startswith("lm")]
    with pytest.raises(ConfigError, match="is the adapter whose answers are to be judged; set measure.lm.adapter=null"):
        run(tmp_path / "run", *overrides, *local)


@pytest.mark.parametrize(
    ("gold", "overrides", "sentence"),
    [
        ("a dozen", ["measure=number"], "q.jsonl, line 2: the answer 'a dozen' holds no number"),
        ("(", ["measure=regex"], r"q.jsonl, line 2: the pattern '\(' does not compile: missing \)"),
        ("perhaps", ["measure=yes_no"], "q.jsonl, line 2: the answer is 'perhaps'; measure=yes_no expects one of"),
        ("A", ["measure=letter"], r"q.jsonl, line 1: there are no choices; measure=letter needs them"),
        ("x", ["measure=python", "measure.function=own_checks.gone"], "there is no module own_checks"),
        ("x", ["measure=python"], "measure.function has no value; add measure.function=VALUE"),
        ("x", ["measure=number", "measure.absolute=-1"], "measure.absolute=-1 must be a finite number from 0 on"),
        ("x", ["measure=f1", "+measure.right=1"], "measure.right"),
        ("yes", ["measure=number", "task.scoring=yesno"], "task.scoring=yesno and a measure are two ways to score"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_any_model_is_asked(
    tmp_path: Path, given: list[str], gold: str, overrides: list[str], sentence: str
) -> None:
    first = "yes" if {"measure=yes_no", "task.scoring=yesno"} & {*overrides} else "1"
    write(tmp_path, [{"question": "One?", "answer": first}, {"question": "Two?", "answer": gold}])
    with serving(model) as server:
        with pytest.raises(ConfigError, match=sentence):
            run(tmp_path / "run", *given, *overrides, f"lm.base_url={server.url}")
        assert server.requests == []


def test_a_share_is_reported_by_its_mean(tmp_path: Path, given: list[str]) -> None:
    with serving(model) as server:
        scored = [*given, "measure=f1", "measure.right_from=0.6", f"lm.base_url={server.url}"]
        figures = run(tmp_path / "run", *scored)
        kept = collect(cli.compose("generate", [f"run_dir={tmp_path}/kept", *scored]))
    values = [1.0, 2 / 3, 0.0, 0.0]
    assert (figures["measure"], figures["accuracy"]) == ("F1", pytest.approx(sum(values) / 4))
    assert figures["accuracy_ci95"] == pytest.approx(list(mean_ci95(values))) == restated(figures)["accuracy_ci95"]
    assert (figures["right"], kept) == (0.5, 2)
    table = markdown([("f1", {**figures, "retriever": "r"})])
    assert "95 % intervals: by bootstrap over questions; file" in table
    assert "f1: F1 is the mean over answers; one counts as right from 0.6 on." in table


def test_exact_match_by_choice_is_that_of_the_file(tmp_path: Path, given: list[str]) -> None:
    with serving(model) as server:
        url = f"lm.base_url={server.url}"
        plain, chosen = run(tmp_path / "a", *given, url), run(tmp_path / "b", *given, url, "measure=exact_match")
    own = {"scored_by", "config_hash", "files_sha256", "seconds"}
    assert {key: value for key, value in chosen.items() if key not in own} == {
        key: value for key, value in plain.items() if key not in own
    }
    assert "measure" not in predictions(tmp_path / "a")[0].provenance and "scored_by" not in plain


def test_a_run_without_a_measure_stays_what_it_was(tmp_path: Path, given: list[str]) -> None:
    assert "measure" not in cli.resolved(cli.compose("evaluate", [f"run_dir={tmp_path}", *given]))
    with serving(model) as server:
        run(tmp_path / "run", *given, f"lm.base_url={server.url}")
        with pytest.raises(StorageError, match="was made with measure._target_=absent, not measure._target_=fireact"):
            run(tmp_path / "run", *given, f"lm.base_url={server.url}", "measure=contains")


@pytest.fixture
def forgetful() -> Iterator[None]:
    """What is imported of a user's is forgotten, and Python's path is as before."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("forgetful")
def test_the_documented_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content)
    command = next(line for line in text.splitlines() if line.endswith("measure.function=grading.price_and_day"))

    async def agent(request: Request) -> Answer:
        if len(request.body["messages"]) > 1:
            return chat("Action: finish[It costs 12.50 and comes on Friday.]")
        return chat("Action: search[order 7]")

    with serving(agent) as server:
        overrides = [*reaching(tmp_path), *shlex.split(command)[2:], f"lm.base_url={server.url}"]
        figures = run(tmp_path / "run", *overrides)
        assert (figures["measure"], figures["accuracy"], figures["em"]) == ("price_and_day", 0.5, 0.0)
        assert [t.score.value for t in predictions(tmp_path / "run")] == [0.5, 0.5]
        calls = {"questions": 2, "expected": 2, "made": 2, "errors": 0, "right_tool": 1.0, "right_arguments": 0.5}
        assert figures["tool_calls"] == {**calls, "exact": 0.5}
        grading = tmp_path / "shop" / "grading.py"
        grading.write_text(grading.read_text() + "\n")
        del sys.modules["grading"]
        with pytest.raises(StorageError, match="was made with measure_sha256="):
            run(tmp_path / "run", *overrides)


@pytest.mark.usefixtures("forgetful")
def test_a_function_that_fails_stops_the_run_and_repaired_asks_nothing_twice(tmp_path: Path, given: list[str]) -> None:
    (tmp_path / "grading_two.py").write_text("def grade(question, answer):\n    return {'Nile': 1}[answer]\n")
    own = ["measure=python", "measure.function=grading_two.grade", "lm.concurrency=1"]
    with serving(model) as server:
        overrides = [*given, *own, f"lm.base_url={server.url}", f"journal.path={tmp_path}/journal.sqlite"]
        with pytest.raises(ConfigError, match="grading_two.grade failed on the answer 'the river Nile' to question "
                                              "file-1 with KeyError"):
            run(tmp_path / "run", *overrides)
        assert asked(server) == {"agent": 2}
        (tmp_path / "grading_two.py").write_text("def grade(question, answer):\n    return answer == 'Nile'\n")
        del sys.modules["grading_two"]
        with pytest.raises(StorageError, match="was made with measure_sha256="):
            run(tmp_path / "run", *overrides)
        assert run(tmp_path / "repaired", *overrides)["accuracy"] == 0.25
        assert asked(server) == {"agent": 5}
