"""Whole runs with tools of one's own: called by name, journaled at their place, learnt from afterwards."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fireact import cli
from fireact.errors import ConfigError, ModelError
from fireact.formats import text_format
from fireact.runs.evaluate import evaluate
from fireact.trajectories import learnable
from fireact.trajectories.dialogue import dialogue_of
from fireact.trajectories.files import read
from fireact.trajectories.records import Trajectory
from tests.lms.openai_server import Answer, Request, chat
from tests.runs.test_acting import serving

OWN = '''
from pathlib import Path
from fireact.trajectories.tool_schema import ToolSchema

class Draws:
    """Each call answers with one more; a file in ``folder`` counts them."""

    schema = ToolSchema("draws", "Draws n numbers.", '{"properties": {"n": {"type": "integer"}}, "required": ["n"]}')
    idempotent = False

    def __init__(self, folder: str) -> None:
        self.count = Path(folder, "count")

    async def call(self, arguments):
        made = int(self.count.read_text()) if self.count.exists() else 0
        self.count.write_text(str(made + 1))
        return f"number {made + 1} of {arguments['n']}\\nand a line more"

    async def aclose(self):
        pass
'''
SAID = [
    "Thought: The price.\nAction: calculator[57 *\n74]",
    'Thought: Draw.\nAction: draws[{"n": 2}]',
    'Thought: Again.\nAction: draws[{"n": 2}]',
    "Thought: Wrong.\nAction: draws[two]",
    "Thought: Nothing.\nAction: calculator[1/0]",
    "Thought: Done.\nAction: finish[4218]",
]
OBSERVED = ["4218", "number {} of 2\nand a line more", "number {} of 2\nand a line more",
            "Error: draws takes a JSON object of arguments.", "Error: division by zero", None]


async def _model(request: Request) -> Answer:
    said = sum(message["role"] == "assistant" for message in request.body["messages"])
    return chat(SAID[said])


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What all the runs here are composed of; ``draws`` is a class in a module of the user's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (tmp_path / "own_draws.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    rows = [{"question": f"What is {n}?", "answer": "4218"} for n in range(2)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"title": "A", "text": "B."}))
    task = ["task=file", f"task.path={tmp_path}/questions.jsonl", f"task.corpus={tmp_path}/corpus.jsonl"]
    draws = f"+tools.named.draws={{_target_: own_draws.Draws, folder: {tmp_path}}}"
    return [*task, "method=fireact", "lm=openai", "lm.model=m", "lm.concurrency=1", "lm.stream=false",
            "tools=calculator", draws, f"cache_dir={tmp_path}/cache"]  # fmt: skip


def _run(folder: Path, *overrides: str) -> list[Trajectory]:
    evaluate(cli.compose("evaluate", [f"run_dir={folder}", *overrides]))
    return list(read(folder / "predictions.jsonl", Counter()))


def _timeless(trajectories: list[Trajectory]) -> list[Any]:
    return [(t.steps, t.ending, t.answer, t.tools, t.usage.search_calls) for t in trajectories]


def test_tools_are_called_by_name_and_replayed_from_their_place(tmp_path: Path, given: list[str]) -> None:
    run = tmp_path / "run"
    with serving(_model) as server:
        found = _run(run, *given, f"lm.base_url={server.url}")
        asked = server.requests[0].body["messages"]
    assert [message["role"] for message in asked] == ["user"]
    for number, trajectory in enumerate(found):
        observed = [text and text.format(2 * number + at) for at, text in enumerate(OBSERVED)]
        assert [step.observation for step in trajectory.steps] == observed
        assert (trajectory.answer, trajectory.score.correct, trajectory.usage.search_calls) == ("4218", True, 5)
        assert [tool.name for tool in trajectory.tools] == ["search", "calculator", "draws"]
        assert trajectory.provenance["tools"] == "calculator draws"
    assert found[0].steps[0].argument == "57 *\n74"
    (run / "metrics.json").unlink()
    (run / "predictions.jsonl").unlink()
    again = _run(run, *given, f"lm.base_url={server.url}")  # nobody answers there any more
    assert _timeless(again) == _timeless(found)
    assert (tmp_path / "count").read_text() == "4"


def test_what_was_done_with_tools_can_be_learnt(tmp_path: Path, given: list[str], tokenizer: Any) -> None:
    with serving(_model) as server:
        trajectory = _run(tmp_path / "run", *given, f"lm.base_url={server.url}")[0]
    learnable.check(trajectory, "row", Counter())
    form = text_format("alpaca", tokenizer)
    (example,) = form.examples(dialogue_of(trajectory), finished=True)
    said = [segment.text for segment in example.segments if segment.target]
    assert said == [f"{text}\n" for text in SAID] + ["<|im_end|>"]


def test_a_failure_may_end_the_episode(tmp_path: Path, given: list[str]) -> None:
    given = [*given, "tools.on_error=end", "task.limit=1"]
    with serving(_model) as server, pytest.raises(ModelError, match="could be acted out: division by zero; fix that"):
        _run(tmp_path / "run", *given, f"lm.base_url={server.url}")
    (found,) = read(tmp_path / "run" / "predictions.jsonl", Counter())
    assert (found.ending, found.provenance["error"]) == ("tool_failure", "division by zero")


@pytest.mark.parametrize("name", ["search", "finish", "a b", "calculator"])
def test_a_name_that_another_action_has_is_refused_before_anything_is_asked(
    name: str, tmp_path: Path, given: list[str]
) -> None:
    (tmp_path / "own_draws.py").write_text(OWN.replace('"draws"', json.dumps(name)))
    monkey = __import__("sys").modules
    monkey.pop("own_draws", None)
    with pytest.raises(ConfigError, match=f"tools.named.draws is called {name}, which another action is"):
        _run(tmp_path / "run", *given, "lm.base_url=http://127.0.0.1:9/v1")


def test_without_tools_nothing_is_told_and_nothing_is_another_run(tmp_path: Path) -> None:
    plain = cli.resolved(cli.compose("evaluate", [f"run_dir={tmp_path}"]))
    assert "tools" not in plain
