from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireact.agent.react import ReAct
from fireact.errors import DataError, ModelError
from fireact.journal import recordings
from fireact.journal.journaled import JournaledModel
from fireact.journal.recorded_model import Recorded
from fireact.journal.store import Journal
from fireact.lms.base import Completion
from fireact.trajectories.dialogue import Dialogue, Turn
from fireact.trajectories.files import read
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.storage.writing import append_line

HEAD = "Below is an instruction.\n\n### Instruction:\nWho wrote X?\n\n### Response:\n"
CLOSING = "Observation: Episode finished, reward = False\n"


def says(path: Path, question: str = "Who wrote X?", **dialogue: Any) -> list[str]:
    """All turns that the file holds of the question."""
    lm, said = Recorded(str(path)), list[str]()
    while True:
        turns = tuple(Turn(text, "?") for text in said)
        try:
            said.append(asyncio.run(lm.complete(Dialogue(question, turns=turns, **dialogue))).text)
        except ModelError as error:
            assert str(error) == f"{path} holds only {len(said)} turns of this question"
            return said


def released(folder: Path, traj: str | list[dict[str, str]], pred: str = "y") -> Path:
    path = folder / "hotpotqa_dev_0_500_model.json"
    row = {"reward": True, "em": True, "gt": "y", "pred": pred, "prompt": "", "traj": traj}
    path.write_text(json.dumps({"7": row}))
    return path


def chat(*contents: str) -> list[dict[str, str]]:
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(contents)]


def test_chat_turns_are_said_as_they_were(tmp_path: Path) -> None:
    first = "Thought: find X\nAction: search[X]\nThought: and\nAction: search[Z]"
    path = released(tmp_path, chat("Who wrote X?", first, "Observation: by Y", "Hm.\nAction: finish[Y]", CLOSING))
    assert says(path) == [first, "Hm.\nAction: finish[Y]"]
    assert Recorded(str(path)).name == "recorded[hotpotqa_dev_0_500_model.json]"


@pytest.mark.parametrize("head", [HEAD, "Who wrote X?\n", "Question: Who wrote X?\n"])
def test_text_is_cut_into_turns(tmp_path: Path, head: str) -> None:
    body = (
        "Thought: find X\nor Z\nAction: search[X]\nObservation: by Y: Thought and Action: none\n"
        "Thought: made up\nAction: search[Z]\nObservation: I think\nThought: so it is\nObservation: the real one\n"
        f"Thought: so\nAction: finish[Y]\n{CLOSING}"
    )
    path = released(tmp_path, head + body)
    assert says(path) == [
        "Thought: find X\nor Z\nAction: search[X]",
        "Thought: made up\nAction: search[Z]",
        "Thought: so\nAction: finish[Y]",
    ]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ("Thought: t\nAction: search[X] and more", "Thought: t\nAction: search[X] and more]"),
        ("Thought: t\nAction: search[X", "Thought: t\nAction: search[X]"),
        ("Thought: t\nAction: Search[X]", "Thought: t\nAction: search[X]"),
        ("Thought: t\nAction: click[X]", "Thought: t\nAction: click[X]"),
        ("Thought: no action", "Thought: no action"),
    ],
)
def test_an_answered_turn_is_made_readable(tmp_path: Path, turn: str, said: str) -> None:
    last = "Thought: so\nAction: finish[Y]"
    path = released(tmp_path, chat("Who wrote X?", turn, "Observation: by Y", last, CLOSING))
    assert says(path) == [said, last]


def test_the_answer_that_was_taken_wins(tmp_path: Path) -> None:
    turn = "Thought: so\nAction: finish[The Y.]\nThought: done"
    assert says(released(tmp_path, chat("Who wrote X?", turn, CLOSING), pred="y")) == [turn]
    changed = released(tmp_path / "..", chat("Who wrote X?", turn, CLOSING), pred="y thought done")
    assert says(changed) == ["Thought: so\nAction: finish[y thought done]"]


def trajectory(*steps: Step, choices: Sequence[str] = ()) -> Trajectory:
    question = Question("q", "Which?", "B", "test", "dev", tuple(choices))
    return Trajectory(question, "react", steps, Ending.FINISH, "B", Score(1.0, 1.0, True))


def test_our_own_predictions(tmp_path: Path) -> None:
    steps = Step("a", "search", "b", "c"), Step("hm", "", "", "Again."), Step("d", "finish", "B")
    original = trajectory(*steps, choices="xy")
    append_line(tmp_path / "predictions.jsonl", original.to_json())
    said = ["Thought: a\nAction: search[b]", "hm", "Thought: d\nAction: finish[B]"]
    assert says(tmp_path / "predictions.jsonl", "Which?\nA. x\nB. y", few_shot="Another prompt") == said


def test_a_forced_prefill_is_not_said_twice(tmp_path: Path) -> None:
    append_line(tmp_path / "p.jsonl", trajectory(Step("I reflect. So b.", "search", "b", "c")).to_json())
    lm = Recorded(str(tmp_path / "p.jsonl"))
    said = asyncio.run(lm.complete(Dialogue("Which?", prefill="Thought: I reflect."))).text
    assert said == " So b.\nAction: search[b]"


def test_an_unknown_question_is_a_failure_of_the_model(tmp_path: Path) -> None:
    path = released(tmp_path, chat("Who wrote X?", "Thought: so\nAction: finish[Y]", CLOSING))
    with pytest.raises(ModelError, match="holds no episode of this question, which its run may not have finished"):
        asyncio.run(Recorded(str(path)).complete(Dialogue("Who wrote Z?")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"3": {"traj": 7}}', "row 3: expected traj to be messages, or a text that begins with its question"),
        ('{"3": {"traj": "no question"}}', "row 3: expected traj"),
        ('{"3": {"traj": [{"content": "Q?"}, {"content": null}]}}', "row 3: .*messages hold texts"),
        ('{"3": {"traj": [{"role": "system", "content": "Hi"}]}}', "row 3: .*the assistant's in turns"),
        ('{"3": {"traj": [{"content": "Q?"}], "pred": 7}}', "row 3: expected pred to be the answer's text"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "is not JSON"),
        ("7", "holds one int"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(DataError, match=f"t.json.*{message}"):
        Recorded(str(tmp_path / "t.json"))


def test_the_released_run_can_be_said_to_its_end(real_data: Path) -> None:
    (path,) = (real_data / "fireact/trajs").glob("*.json")
    for episode in read(path, Counter()):
        assert len(says(path, episode.question.prompt())) == len(episode.steps)


# What a round of a released run's text is, as one pattern, which takes a time that grows with the square of the text.
ROUND = re.compile(
    r"(Thought:.*?\nAction: .*?)\nObservation: (.*?)\n?(?=\nThought:(?:(?!\nObservation: ).)*?\nAction: |\Z)", re.DOTALL
)
ASKED = re.compile(r"(?:.*?### Instruction:\n)?(.*?)(?:\n\n### Response:)?\n[ \t]*(?=Thought:)(.*)", re.DOTALL)
PARTS = [
    "\n", "\nThought:", "\nAction: ", "\nObservation: ", "Thought:", "Observation: ", "### Instruction:\n",
    "\n\n### Response:", "a", " ",
]  # fmt: skip


def test_rounds_of_any_text_are_those_of_the_pattern() -> None:
    rng, episodes = random.Random(0), 0
    for _ in range(5000):
        text = "".join(rng.choices(PARTS, k=rng.randrange(14)))
        expected, found = ASKED.fullmatch(text), recordings._asked_and_said(text)
        assert found == (expected and expected.groups()), text
        if found:
            rounds = list(recordings._rounds(found[1]))
            assert rounds == ROUND.findall(found[1]), text
            episodes += bool(rounds)
    assert episodes > 50


@pytest.mark.parametrize("part", PARTS)
def test_a_text_of_any_length_is_read_at_once(part: str) -> None:
    """By the pattern, hours."""
    _, said = recordings._asked_and_said(f"Who?\nThought:{part * 100_000}") or ("", "")
    assert len(list(recordings._rounds(said))) == 0


@pytest.mark.parametrize("kind", ["journal.sqlite", "predictions.jsonl"])
def test_native_calls_are_said_again(tmp_path: Path, kind: str) -> None:
    """A run of two calls in a turn, a turn without an action and an answer of two lines, and the same from its file."""
    said = [
        Completion("two", steps=(Step("Look.", "search", "a"), Step("", "search", "b\nc", continues=True))),
        Completion("<tool_call>", steps=(Step("<tool_call>", "", ""),)),
        Completion("One\nTwo", steps=(Step("", "finish", "One\nTwo"),)),
    ]

    class Native:
        name, concurrency = "native", 1

        async def complete(self, dialogue: Dialogue) -> Completion:
            return said[sum(not turn.step.continues for turn in dialogue.turns if turn.step)]

        async def aclose(self) -> None: ...

    class Echo:
        name = "echo"

        async def search(self, query: str) -> str:
            return f"about {query}"

    path = str(tmp_path / kind)
    question = Question("q", "Who?", "One Two", "t", "dev")

    async def run() -> tuple[Any, Any]:
        journal = Journal(str(tmp_path / "journal.sqlite"))
        lm = JournaledModel(Native(), journal, {})
        first = await ReAct("fireact", None).run(question, lm, Echo())
        journal.close()
        if kind != "journal.sqlite":
            row = Trajectory(question, "fireact", first.steps, first.ending, first.answer, Score(1, 1, True))
            Path(path).write_text(json.dumps(row.to_json()) + "\n")
        return first, await ReAct("fireact", None).run(question, Recorded(path), Echo())

    first, again = asyncio.run(run())
    assert first.answer == "One\nTwo" and len(first.steps) == 4
    if kind != "journal.sqlite":  # a trajectory holds no more of a turn without an action than its text
        first = replace(first, steps=(*first.steps[:2], *again.steps[2:3], first.steps[3]))
    assert (again.steps, again.ending, again.answer) == (first.steps, first.ending, first.answer)
