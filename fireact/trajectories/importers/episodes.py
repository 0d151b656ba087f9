"""Released text → steps. A chat's messages say themselves who spoke; one text of all is cut at its labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from fireact.errors import DataError, ParseError, quoted
from fireact.trajectories.dialogue import cut_after_action, named, parse_step
from fireact.trajectories.importers import fields
from fireact.trajectories.learnable import meant_action
from fireact.trajectories.records import FINISH, SEARCH, Step

_NUMBER = r"(?:[ \t]\d+)?"  # as in ReAct's own prompts
_LABEL = re.compile(rf"^(?=(?:Thought|Action|Observation){_NUMBER}:)", re.MULTILINE)
_LABELS = re.compile(rf"^(Thought|Action|Observation){_NUMBER}:", re.MULTILINE)
_OBSERVATION = re.compile(rf"\A\s*Observation{_NUMBER}:")
_CLOSING = re.compile(r"Episode finished, reward = (True|False|1|0)\.?")
_PACKED = re.compile(r"Thought: (.*) Answer: (\w+)\.?", re.DOTALL)
_WITH_QUESTION = re.compile(r"Action: finish\[Thought: ")  # what follows a question that the assistant says
# A turn of one text: a thought, then one action. Anything else may be words of the page before it.
_PLAIN_TURNS: tuple[list[str], ...] = ([], ["Thought"], ["Action"], ["Thought", "Action"])


@dataclass(frozen=True, slots=True)
class Episode:
    """Steps with the closing line as their last observation; ``reward`` is as spelled there: True, False, 1 or 0.

    Where there is no such line, ``reward`` is empty: nothing says whether the answer is right, so it counts as right.
    """

    steps: tuple[Step, ...]
    reward: str

    @property
    def right(self) -> bool:
        return self.reward in ("True", "1", "")


def of_messages(messages: Any, counts: Counter[str], learnt: bool) -> tuple[str, Episode]:
    """(question, episode) of alternating messages: what the user says is an observation, whatever labels are in it.

    ``learnt`` rows are to be trained on, so what their turns do must be plain, and they may end with the assistant's
    answer (``demonstrations`` counts such); in others the first action counts, and the closing line must be there.

    Raises:
        DataError: a message is not understood, or they do not end so.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError("expected messages as a list of objects with role and content")
    spoken = [_spoken(message, f"message {number}", counts) for number, message in enumerate(messages, start=1)]
    if not spoken or (spoken[-1][0] != "user" and not learnt):
        raise DataError("expected messages that end with the environment's closing line, said by the user")
    question, rest = _opening(spoken, counts)
    steps: list[Step] = []
    for number in range(0, len(rest), 2):
        said = rest[number][1]
        turn = labelled(said).strip()
        if learnt:
            _check_turn(turn, f"the model's turn {len(steps) + 1}")
        step = _step(turn, counts)
        if number + 1 == len(rest):
            return question, _answered([*steps, step], counts)
        answer = rest[number + 1][1]
        if not _OBSERVATION.match(answer):
            if learnt and not step.action:
                raise DataError(f"what the user says after the model's turn {len(steps) + 1} may be a question or an "
                                "observation, since that turn takes no action; begin it with 'Observation:', or make a "
                                "row of each question")
            counts["unlabelled_observations"] += 1
        steps.append(replace(step, observation=_observation(answer)))
    return question, _closed(steps, counts)


def of_text(text: str, question: str, counts: Counter[str], learnt: bool) -> Episode:
    """Cut ``text`` at its labels, gather them into turns, close each turn at the environment's observation.

    Nothing but the labels tells a page's words from the model's, so a ``learnt`` text whose turns hold more than a
    thought and an action is refused.

    Raises:
        DataError: it can't be told who says what, there is no turn, or no closing line at the end.
    """
    preamble, *pieces = _LABEL.split(text.strip())
    if preamble.strip().endswith(question.strip()):
        counts["preambles"] += 1
    elif preamble.strip():
        pieces.insert(0, preamble)  # the model's words like any others
    steps: list[Step] = []
    turn: list[str] = []
    for piece, following in zip(pieces, [*pieces, ""][1:], strict=True):
        piece = piece.strip()
        if not _OBSERVATION.match(piece):
            turn.append(piece)
        elif not _OBSERVATION.match(following):
            said = "\n".join(turn)
            if learnt:
                _check_one_speaker(said, f"the turn {len(steps) + 1}")
            steps.append(replace(_step(said, counts), observation=_observation(piece)))
            turn = []
        elif _CLOSING.fullmatch(_observation(piece)):
            counts["invented_observations"] += 1
        else:
            raise DataError(f"two observations follow turn {len(steps) + 1}, so it can't be told who says the first; "
                            "write a page's text on one line")
    if turn:
        raise DataError(_NO_END)
    return _closed(steps, counts)


def labelled(turn: str) -> str:
    """A turn that can't be taken for the rest of the observation before it."""
    return turn if _LABEL.match(turn) else f"Thought: {turn}"


def _spoken(message: Mapping[str, Any], what: str, counts: Counter[str]) -> tuple[str, str]:
    """(role, content) of a message."""
    role = fields.text(message, "role", f"{what}: ")
    if role in ("system", "developer"):
        raise DataError(f"{what} is a {role} message, which is not read; write its text at the head of the question")
    fields.check(message, ("role", "content"), what, counts)
    if role not in ("user", "assistant"):
        raise DataError(f"{what} has the role {quoted(role)}; expected user or assistant, and a tool's result as the "
                        "user's message 'Observation: …'")
    return role, fields.text(message, "content", f"{what}: ")


def _opening(spoken: Sequence[tuple[str, str]], counts: Counter[str]) -> tuple[str, list[tuple[str, str]]]:
    """The question, and the messages after it as the model's turn, an answer, the model's turn, …"""
    if [role for role, _ in spoken] == ["assistant", "user"]:
        question, _, turn = spoken[0][1].partition("\n")
        if _LABEL.match(question) or not _WITH_QUESTION.match(turn):
            raise DataError("message 1 is the assistant's; expected the question, said by the user, before it")
        counts["questions_found"] += 1
        return question, [("assistant", turn), spoken[1]]
    rest: list[tuple[str, str]] = []
    for number, (role, content) in enumerate(spoken, start=1):
        expected = "assistant" if len(rest) % 2 else "user"
        if role == expected:
            rest.append((role, content))
        elif role == "assistant" and len(rest) > 1 and _is_closing(content):
            counts["invented_observations"] += 1  # the model made up the environment's last word
        else:
            raise DataError(f"message {number} is the {role}'s; expected the question, said by the user, then the "
                            "assistant and the user in turns: join what one of them says in a row")
    return rest[0][1], rest[1:]


def _is_closing(content: str) -> bool:
    return _OBSERVATION.match(content) is not None and _CLOSING.fullmatch(_observation(content)) is not None


def _observation(text: str) -> str:
    return _OBSERVATION.sub("", text).strip()


def _closed(steps: Sequence[Step], counts: Counter[str]) -> Episode:
    closing = _CLOSING.fullmatch(steps[-1].observation or "") if steps else None
    if closing is None or steps[-1].action != FINISH:
        raise DataError(_NO_END)
    counts["closing_lines"] += 1
    return Episode(tuple(steps), closing[1])


def _answered(steps: Sequence[Step], counts: Counter[str]) -> Episode:
    if steps[-1].action != FINISH:
        raise DataError(_NO_END)
    counts["demonstrations"] += 1
    return Episode(tuple(steps), "")


_NO_END = "expected to end with 'Action: finish[…]' and 'Observation: Episode finished, reward = …'"


def _check_turn(turn: str, what: str) -> None:
    """Refuse a turn that says nothing, or holds an observation that no environment made, or two actions."""
    if not turn.removeprefix("Thought:").strip():
        raise DataError(f"{what} says nothing; leave it out")
    before = turn
    with suppress(ParseError):
        step = named(parse_step(turn), (SEARCH, FINISH))
        before = step.thought
        if line := meant_action(turn[len(cut_after_action(f"{turn}\n") or turn) :], step):
            raise DataError(f"{what} acts twice, and only its first action, {step.action}[…], was carried out; take "
                            f"{quoted(line)} and what belongs to it out")
    if "Observation" in _LABELS.findall(before):
        raise DataError(f"{what} holds an observation of its own before its action; take it out")


def _check_one_speaker(turn: str, what: str) -> None:
    """Refuse a turn, cut out of one text, in which a page may speak too."""
    if _LABELS.findall(turn) not in _PLAIN_TURNS:
        raise DataError(f"{what} holds more than one thought and then one action, so it can't be told from a page's "
                        "text with such labels; write observations on one line, or the row as messages")
    _check_turn(turn, what)


def _step(turn: str, counts: Counter[str]) -> Step:
    try:
        step = named(parse_step(turn), (SEARCH, FINISH))
    except ParseError:
        return Step(turn, "", "")
    if f"Action: {step.action}[{step.argument}]" not in turn:
        counts["respelled_actions"] += 1
    if cut_after_action(f"{turn}\n") != turn:
        counts["extra_actions"] += 1
    if step.action == FINISH and (packed := _PACKED.fullmatch(step.argument)):
        counts["answers_unpacked"] += 1
        return Step(f"{step.thought} {packed[1]}".strip(), FINISH, packed[2])
    return step
