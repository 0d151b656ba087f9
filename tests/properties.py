"""What holds for every input: it is refused by name, or gives what is read back equal; all else is a fault.

``tests/test_properties.py`` tries them on what hypothesis finds, ``benchmarks/faults/fuzz.py`` on what a fuzzer does
that is guided by coverage. Each returns whether the input was accepted.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from fireact.cli import secrets
from fireact.errors import ConfigError, DataError, ParseError
from fireact.formats.base import TextFormat
from fireact.overrides import override
from fireact.reporting.markdown import aligned
from fireact.reporting.page import escape
from fireact.trajectories import learnable
from fireact.trajectories.dialogue import (
    STOP,
    Dialogue,
    cut_turn,
    dialogue_of,
    parse_step,
    reasoned,
    split_reasoning,
    step_text,
)
from fireact.trajectories.exporters.rows import row_of
from fireact.trajectories.files import placed, read
from fireact.trajectories.importers.forms import convert
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage.reading import joined, loads, printable
from fireact.trajectories.storage.writing import write_lines

# What inputs are built from, so that they come near to what is read.
TEXTS = ("Action: search[Ada]\n", "\nAction: finish[B]", "\nAction: finish[", "Thought: ", "Action: ",
         "Observation: ", "search[", "finish[", "]", "\n", "Ada Holt", "<think>", "</think>",
         "Episode finished, reward = True", "Episode finished, reward = 1", "Question: ", "A. ", "B. ", "\u2028", "\r",
         "### Instruction:\n", "### Response:\n", "\ud83d", "\udd25", " Answer: ", "yes", "lookup[a\nb]", "Action 1: ")
KEYS = ("question", "steps", "messages", "instruction", "output", "input", "traj", "role", "content", "id", "text",
        "answer", "task", "split", "choices", "kind", "evidence", "system", "method", "thought", "action", "argument",
        "observation", "continues", "learnt", "ending", "score", "em", "f1", "correct", "usage", "lm_calls",
        "provenance", "tools", "name", "description", "parameters", "properties", "weight", "tool_calls",
        "conversations", "from", "value", "user", "assistant", "tool", "finish", "react", "search", "type",
        "string", "prompt", "completion", "reasoning_content", "tool_call_id", "function", "arguments", "task_images",
        "model_output", "code_action", "thinking", "tool_use", "tool_result")  # fmt: skip
_STEERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # the direction in which text runs


def turn(text: str) -> bool:
    """What is read of a model's turn is said so that it is read again; cutting the turn changes nothing of it."""
    try:
        step = parse_step(text)
    except ParseError:
        return False
    assert parse_step(step_text(step)) == step, repr(text)
    if STOP not in f"\n{text}":
        assert parse_step(cut_turn(text)) == step, repr(text)
    return True


def row(value: Any) -> bool:
    """A row is a trajectory that is kept whole, whose turns are read back once it may be learnt; or it is refused."""
    value = json.loads(json.dumps(value))  # joins halves of characters, as reading does
    try:
        trajectory = convert(value, Counter())
    except DataError:
        return False
    assert Trajectory.from_json(json.loads(json.dumps(trajectory.to_json()))) == trajectory, value
    try:
        learnable.check(trajectory, "row", Counter())
    except DataError:
        return True
    for step, said in zip(trajectory.steps, dialogue_of(trajectory).turns, strict=True):
        spoken = split_reasoning(said.text)[1]
        assert reasoned(spoken) == ("", spoken)  # as an acting model is heard
        if step.action:
            again = parse_step(said.text)
            assert (again.action, again.argument) == (step.action, step.argument)
    return True


def file(raw: bytes, path: Path) -> bool:
    """Bytes are trajectories, or refused with the file's name."""
    path.write_bytes(raw)
    try:
        return bool(list(read(path, Counter())))
    except DataError as error:
        assert str(path) in str(error)
        return False


def exported(trajectory: Trajectory, to: str, path: Path, leave_out: tuple[str, ...] = ()) -> bool:
    """A row of any format is read from its file as the trajectory that it was written of, or it is refused."""
    try:
        made = row_of(trajectory, to, leave_out, Counter())
    except DataError:
        return False
    write_lines(path, [made])
    counts: Counter[str] = Counter()
    ((_, again),) = placed(path, counts)
    assert leave_out or again.to_json() == trajectory.to_json(), made
    assert not counts["replaced_surrogates"]
    if messages := made.get("messages"):
        assert messages[-1]["role"] == "assistant"
    assert made.get("conversations", [{"from": "gpt"}])[-1]["from"] == "gpt"
    return True


def learnt(form: TextFormat, said: Dialogue) -> bool:
    """Where a turn is learnt, what stands before it is the very prompt that an acting model sees."""
    examples = form.examples(said, finished=True)
    starts = [form.prompt(_before(said, number)) for number in range(len(said.turns))]
    for prompt in starts:
        assert any(list(e.ids[: len(prompt)]) == prompt and e.targets[len(prompt)] for e in examples)
    for example in examples:
        assert len(example.ids) == len(example.targets)
    return bool(starts)


def _before(said: Dialogue, number: int) -> Dialogue:
    turns = tuple(replace(turn, ids=None) for turn in said.turns[:number])
    return replace(said, turns=turns, prefill="")


def written(value: Any) -> bool:
    """Hydra reads an override that we write as the value that it was written for."""
    again = OverridesParser.create().parse_override(override("key", value)).value()
    assert OmegaConf.create({"key": again})["key"] == value
    return True


def given(text: str) -> bool:
    """A command holds no password, or it is refused without a word of it."""
    try:
        secrets.refuse_in([text])
    except ConfigError as error:
        value = text.partition("=")[2]
        assert len(value) < 12 or value not in str(error)
        return False
    return True


def shown(text: str) -> bool:
    """Nothing that is printed, or stands in a table or on a page, steers a terminal or fails to be written."""
    for said in (printable(joined(text)), "\n".join(aligned([text], [[text]])), escape(text)):
        assert not [sign for sign in said if unicodedata.category(sign) == "Cc" and sign not in "\n\t"]
        assert not [sign for sign in said if unicodedata.bidirectional(sign) in _STEERING]
        said.encode()
    return True


def number(raw: bytes) -> bool:
    """JSON is read as Python reads it, or refused with the name of what it stands in."""
    try:
        value = loads(raw, "file.json, line 1", "a row", Counter())
    except DataError as error:
        assert "file.json, line 1" in str(error)
        return False
    json.dumps(value, allow_nan=False)
    return True
