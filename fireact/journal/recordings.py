"""What was said and found in earlier runs, question by question, whatever file it is in.

Read are journals (``*.sqlite``), our ``predictions.jsonl`` and every other trajectory file that ``trajectories.files``
takes, and the released evaluation runs (``trajs/*.json``), whose turns are kept as they were said. Two kinds of turns
are said anew, so that our loop takes them as the recorded environment did:

- one that was answered although no action can be read from it: the words after ``Action: name[`` become its argument;
- a last one from which another answer was taken than can be read: it finishes with the recorded answer.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fireact.errors import DataError, ParseError
from fireact.journal.journaled import completion_of
from fireact.journal.store import Journal, Replay
from fireact.lms.base import Completion
from fireact.trajectories import files
from fireact.trajectories.dialogue import Turn, dialogue_of, parse_step, step_text, turn_ends
from fireact.trajectories.metrics import normalize_answer
from fireact.trajectories.records import FINISH, SEARCH, Step
from fireact.trajectories.storage import reading

_LABEL = "Question: "
_INSTRUCTION, _RESPONSE = "### Instruction:\n", "\n\n### Response:"
_FIRST_THOUGHT = re.compile(r"\n[ \t]*(?=Thought:)")
_MARK = re.compile(r"\n(Thought:|Action: |Observation: )")
_OPEN_ACTION = re.compile(r"^Action:[ \t]*(\w+)[ \t]*\[(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Recordings:
    """``turns`` of each question, by ``key``; ``answers`` holds the first observation to each query, whoever asked."""

    turns: Mapping[str, tuple[Turn, ...]]
    answers: Mapping[str, str]


def key(question: str) -> str:
    """By what a question is recognised: its words, choices included, without a label before them."""
    return " ".join(question.removeprefix(_LABEL).split())


@functools.lru_cache(maxsize=4)
def load(path: str) -> Recordings:
    """The recordings in a file; of several episodes of one question the first counts.

    Raises:
        DataError: the file is missing or malformed; names the row.
        StorageError: a journal can't be used.
    """
    if path.endswith(".sqlite"):
        turns, answers = _journaled(path)
        return _gathered(turns.items(), answers)
    run = _released(Path(path))
    if run is not None:
        return _gathered(run, {})
    dialogues = map(dialogue_of, files.read(path, Counter()))
    return _gathered(((dialogue.question, _as_text(dialogue.turns)) for dialogue in dialogues), {})


def query(turn: Turn) -> str | None:
    """What the turn searches for; None if it does not."""
    step = _step(turn)
    return step.argument if step is not None and step.action == SEARCH else None


def steps_from(turns: Sequence[Turn]) -> tuple[Step, ...] | None:
    """What the turn of the model's that ``turns`` begin with does, if it is one of native calls."""
    steps = [turn.step for turn in turns[: turn_ends(turns)[0]] if turn.step is not None]
    return tuple(steps) or None


def _as_text(turns: Sequence[Turn]) -> Iterator[Turn]:
    """Turns of a trajectory, of which those that ReAct text says are known by it alone."""
    begin = 0
    for end in turn_ends(turns):
        bare = replace(turns[begin], step=None)
        step = turns[begin].step
        said = end == begin + 1 and step is not None and (not step.action or _step(bare) == step)
        yield from [bare] if said else turns[begin:end]
        begin = end


def _gathered(episodes: Iterable[tuple[str, Iterable[Turn]]], answers: dict[str, str]) -> Recordings:
    turns: dict[str, tuple[Turn, ...]] = {}
    for question, said in episodes:
        turns.setdefault(key(question), tuple(said))
    for turn in (turn for said in turns.values() for turn in said):
        searched = query(turn)
        if searched is not None and turn.observation is not None:
            answers.setdefault(searched, turn.observation)
    return Recordings(turns, answers)


def _journaled(path: str) -> tuple[dict[str, tuple[Turn, ...]], dict[str, str]]:
    """What a journal holds of every question's first episode, and the first answer to every query."""
    journal = Journal(path, Replay.ONLY)
    turns: dict[str, tuple[Turn, ...]] = {}
    for request, answer in journal.answered("lm"):
        before = turns.get(request["question"], ())
        if [text for text, _ in request["turns"]] == [turn.text for turn in before]:
            found = [observation for _, observation in request["turns"]]
            said = (replace(turn, observation=seen) for turn, seen in zip(before, found, strict=True))
            turns[request["question"]] = (*said, *_turns(request["opening"], completion_of(answer)))
    answers: dict[str, str] = {}
    for request, answer in journal.answered("search"):
        answers.setdefault(request["query"], answer)
    journal.close()
    return turns, answers


def _turns(opening: str, completion: Completion) -> Iterator[Turn]:
    """What a completion becomes in the dialogue that goes on; of native calls, each is a turn."""
    for step in completion.steps or (None,):
        text = step_text(step) if step is not None and step.continues else opening + completion.text
        yield Turn(text, None, step=step)


def _released(path: Path) -> list[tuple[str, list[Turn]]] | None:
    """The episodes of a released evaluation run; None for any other file, faulty ones included."""
    try:
        rows = reading.loads(path.read_bytes(), str(path), surrogates=Counter()) if path.suffix == ".json" else None
    except (OSError, DataError):
        return None
    if not isinstance(rows, dict):
        return None
    return [_run_episode(row, f"{path}, row {index}") for index, row in rows.items()]


def _run_episode(row: Any, where: str) -> tuple[str, list[Turn]]:
    """The question and the turns of one row."""
    traj, answer = (row.get("traj"), row.get("pred")) if isinstance(row, dict) else (None, None)
    if not isinstance(answer, str | None):
        raise DataError(f"{where}: expected pred to be the answer's text, or null")
    if isinstance(traj, str) and (parts := _asked_and_said(traj)):
        question, text = parts
        spoken = [(said, found.split("Observation: ")[-1]) for said, found in _rounds(text)]
    elif isinstance(traj, list) and _alternating(traj):
        question, *contents = [message["content"] for message in traj]
        spoken = list(zip(contents[::2], contents[1::2], strict=False))
    else:
        raise DataError(f"{where}: expected traj to be messages, or a text that begins with its question; messages "
                        "hold texts, the user's and the assistant's in turns")
    turns = [_readable(said.strip(), found.strip().removeprefix("Observation:").strip()) for said, found in spoken]
    return question, [*turns[:-1], *(_finished(turn, answer) for turn in turns[-1:])]


def _asked_and_said(text: str) -> tuple[str, str] | None:
    """(the question, all from the first thought on) of an episode as one text; None where there is no thought."""
    start = text.find(_INSTRUCTION) + len(_INSTRUCTION) if _INSTRUCTION in text else 0
    first = _FIRST_THOUGHT.search(text, start)
    if first is None and start:  # the words of an instruction are the question's own
        start, first = 0, _FIRST_THOUGHT.search(text)
    return None if first is None else (text[start : first.start()].removesuffix(_RESPONSE), text[first.end() :])


def _rounds(text: str) -> Iterator[tuple[str, str]]:
    """Each turn with an action, and all that stands between it and the next such turn: a model may have made up
    observations there, and the environment's own comes last.
    """
    marks = list(_MARK.finditer(text))
    speaks = [False] * len(marks)  # whether an action comes before an observation from here on
    for at in range(len(marks) - 1, -1, -1):
        speaks[at] = marks[at][1] == "Action: " or marks[at][1] == "Thought:" and any(speaks[at + 1 : at + 2])
    begin, at = 0, 0
    while True:
        places = iter(range(at, len(marks)))
        acts = next((at for at in places if marks[at][1] == "Action: "), None)
        found = next((at for at in places if marks[at][1] == "Observation: "), None)
        if acts is None or found is None:
            return
        following = next((at for at in places if marks[at][1] == "Thought:" and speaks[at]), None)
        end = len(text) if following is None else marks[following].start()
        yield text[begin : marks[found].start()], text[marks[found].end() : end].removesuffix("\n")
        if following is None:
            return
        begin, at = marks[following].start() + 1, following + 1


def _alternating(messages: list[Any]) -> bool:
    """Whether they are messages of user, assistant, user, … that hold text; where no role is said, it is by turns."""
    if not messages or not all(isinstance(message, dict) for message in messages):
        return False
    roles = itertools.cycle(("user", "assistant"))
    return all(
        isinstance(message.get("content"), str) and message.get("role", role) == role
        for message, role in zip(messages, roles, strict=False)
    )


def _readable(text: str, observation: str) -> Turn:
    turn = Turn(text, observation)
    step, match = _step(turn), _OPEN_ACTION.search(text)
    if match is None or (step is not None and step.action.islower()):
        return turn
    thought = text[: match.start()].strip().removeprefix("Thought:").strip()
    argument = match[2].rstrip(" \t").removesuffix("]")
    return Turn(step_text(Step(thought, match[1].lower(), argument)), observation)


def _finished(turn: Turn, answer: str | None) -> Turn:
    step = _step(turn)
    if answer is None or (step is not None and step.action == FINISH and normalize_answer(step.argument) == answer):
        return turn
    return Turn(step_text(Step(step.thought if step else "", FINISH, answer)), turn.observation)


def _step(turn: Turn) -> Step | None:
    if turn.step is not None:
        return turn.step if turn.step.action else None
    try:
        return parse_step(turn.text)
    except ParseError:
        return None
