"""The paper's released trajectories ⇄ ours: Alpaca rows, chat rows and evaluation runs (anchen1011/FireAct at 94c6189).

All three hold the same text, so all are read by one parser::

    Thought: I need to find X.\\nAction: search[X]\\nObservation: X is a book by Y.\\n
    Thought: Y wrote it.\\nAction: finish[Y]\\nObservation: Episode finished, reward = True\\n

Repairs, each counted under its name:

- ``choices_moved``: an Alpaca MMLU row has its four options at the head of ``output``; they go to the question.
- ``closing_lines``: the environment's last line becomes the observation of the finish step.
- ``invented_observations``: a model wrote an observation of its own; it is dropped, only the environment's stays.
- ``preambles``: text stands before the first thought (one row repeats its question); it is dropped.
- ``questions_found``: a chat row without a user's question has it at the head of its first answer.
- ``answers_unpacked``: ``finish[Thought: … Answer: yes.]`` becomes a thought and ``finish[yes]``.
- ``extra_actions``: more text follows a turn's first action, which alone was carried out; it is dropped.
- ``methods_guessed``: a chat row of one step is taken for CoT; it may be a ReAct episode that needed no search.
- ``missing``: questions of an evaluation run that never finished and so are not in its file.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from fireact.errors import DataError, ParseError
from fireact.records import FINISH, SEARCH, Ending, Question, Score, Step, Trajectory
from fireact.render import dialogue_of, parse_step, step_text

_LABEL = re.compile(r"^(?=Thought:|Action:|Observation:)", re.MULTILINE)
_CLOSING = re.compile(r"Episode finished, reward = (True|False|1|0)\.?$")
_CHOICE = re.compile(r"^[A-J]\. ?(.*)$")
_PACKED = re.compile(r"Thought: (.*) Answer: (\w+)\.?", re.DOTALL)
_RUN_NAME = re.compile(r"([a-z]+)_(train|dev|val|test)_(\d+)_(\d+)_")
_ALPACA_PROMPT = re.compile(r".*### Instruction:\n(.*?)\n\n### Response:\n(.*)", re.DOTALL)
_LOWER_YES_NO = re.compile(r"(yes|no)\b")
_REFLECTIONS = ("let me do a reflection", "let me reflect on how to search better")  # the release's words, and ours
_MMLU = "Question: "


@dataclass(frozen=True, slots=True)
class Run:
    """What a released evaluation run's name, ``{task}_{split}_{first}_{last}_…``, says; ``asked`` = last - first."""

    task: str
    split: str
    asked: int

    @classmethod
    def of(cls, name: str, asked: int) -> Run:
        """Read off ``name``; a file of another name is HotpotQA dev with ``asked`` questions."""
        match = _RUN_NAME.match(name)
        return cls(match[1], match[2], int(match[4]) - int(match[3])) if match else cls("hotpotqa", "dev", asked)


@dataclass(frozen=True, slots=True)
class _Episode:
    """Steps with the closing line as their last observation; ``reward`` is as spelled there: True, False, 1 or 0."""

    steps: tuple[Step, ...]
    reward: str

    @property
    def right(self) -> bool:
        return self.reward in ("True", "1")


def from_alpaca(row: dict[str, Any], counts: Counter[str]) -> Trajectory:
    """One row ``{"instruction", "input", "output"}``."""
    question, output = _text(row, "instruction"), _text(row, "output")
    lines = output.split("\n")
    count = _choice_count(lines)
    if count:
        counts["choices_moved"] += 1
        question = "\n".join([question, *(line.strip() for line in lines[:count])])
    text = "\n".join(lines[count:])
    # In the released files, and only there, a CoT row lacks the last newline: the one mark that tells CoT from a ReAct
    # episode that needed no search.
    return _training_row(question, _episode(text, counts), maybe_cot=not output.endswith("\n"))


def from_chat(row: dict[str, Any], counts: Counter[str]) -> Trajectory:
    """One row ``{"messages": [{"role", "content"}, …]}``."""
    question, text = _conversation(row["messages"], counts)
    episode = _episode(text, counts)
    # A chat row has no such mark, but HotpotQA's ReAct and Reflexion rewards are spelled True and False.
    trajectory = _training_row(question, episode, maybe_cot=episode.reward in ("1", "0"))
    if trajectory.method == "cot":
        counts["methods_guessed"] += 1
    return trajectory


def from_run(row: dict[str, Any], counts: Counter[str]) -> Trajectory:
    """One episode of an evaluation run: ``traj`` is a list of messages or the Alpaca text; scores are the file's."""
    for key, kind in {"gt": str, "pred": str, "em": (bool, int), "reward": (bool, int)}.items():
        if not isinstance(row.get(key), kind):  # type: ignore[arg-type]
            raise DataError(f"expected the field {key!r} of an evaluation run")
    run: Run = row["run"]
    if isinstance(row["traj"], list):
        question, text = _conversation(row["traj"], counts)
    else:
        match = _ALPACA_PROMPT.fullmatch(_text(row, "traj"))
        if match is None:
            raise DataError("expected traj to begin with an Alpaca instruction")
        question, text = match[1], match[2]
    steps = _episode(text, counts).steps
    name = f"{run.task}-{run.split}-{row['index']}"
    asked = replace(_question(question, run.task, row["gt"]), id=name, split=run.split)
    score = Score(float(row["em"]), float(row.get("f1", row["em"])), bool(row["reward"]))
    return Trajectory(asked, "fireact", steps, Ending.FINISH, steps[-1].argument, score)


def alpaca_row(trajectory: Trajectory) -> dict[str, Any]:
    """The row that ``from_alpaca`` reads, in the released layout but with choices where they belong."""
    output = "\n".join(line for turn in _turns(trajectory) for line in turn)
    end = "" if trajectory.method == "cot" else "\n"
    return {"instruction": trajectory.question.prompt(), "input": "", "output": output + end}


def chat_row(trajectory: Trajectory) -> dict[str, Any]:
    """The row that ``from_chat`` reads: alternating user and assistant messages, as OpenAI's fine-tuning takes them."""
    messages = [{"role": "user", "content": trajectory.question.prompt()}]
    for text, observation in _turns(trajectory):
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": observation}]
    return {"messages": messages}


def _turns(trajectory: Trajectory) -> list[tuple[str, str]]:
    """(labelled turn, observation line) of each step, with the closing line where nothing has answered."""
    right = trajectory.score.correct
    closing = f"Episode finished, reward = {int(right) if trajectory.method == 'cot' else right}"
    turns = dialogue_of(trajectory).turns
    return [(_labelled(t.text), f"Observation: {' '.join((t.observation or closing).split())}") for t in turns]


def _conversation(messages: Any, counts: Counter[str]) -> tuple[str, str]:
    """(question, the rest as one text) of a list of messages."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError("expected messages as a list of objects with role and content")
    roles, contents = ([_text(message, key) for message in messages] for key in ("role", "content"))
    if not messages or roles[-1] != "user":
        raise DataError("expected messages that end with the environment's closing line, said by the user")
    if roles[0] == "assistant":
        counts["questions_found"] += 1
        question, _, contents[0] = contents[0].partition("\n")
    else:
        question = contents.pop(0)
        roles.pop(0)
    spoken = zip(roles, contents, strict=True)
    return question, "\n".join(_labelled(text) if role == "assistant" else text for role, text in spoken)


def _labelled(turn: str) -> str:
    """A turn that can't be taken for the rest of the observation before it."""
    return turn if _LABEL.match(turn) else f"Thought: {turn}"


def _episode(text: str, counts: Counter[str]) -> _Episode:
    """Cut ``text`` at its labels, gather them into turns, close each turn at the environment's observation.

    Raises:
        DataError: there is no turn, or no closing line at the end.
    """
    preamble, *pieces = _LABEL.split(text.strip())
    if preamble:
        counts["preambles"] += 1
    steps: list[Step] = []
    turn: list[str] = []
    for piece, following in zip(pieces, [*pieces, ""][1:], strict=True):
        piece = piece.strip()
        if not piece.startswith("Observation:"):
            turn.append(piece)
        elif following.startswith("Observation:"):
            counts["invented_observations"] += 1
        else:
            observation = piece.removeprefix("Observation:").strip()
            steps.append(replace(_step("\n".join(turn), counts), observation=observation))
            turn = []
    closing = _CLOSING.search(steps[-1].observation or "") if steps else None
    if closing is None or turn or steps[-1].action != FINISH:
        raise DataError("expected to end with 'Action: finish[…]' and 'Observation: Episode finished, reward = …'")
    counts["closing_lines"] += 1
    return _Episode(tuple(steps), closing[1])


def _step(turn: str, counts: Counter[str]) -> Step:
    try:
        step = parse_step(turn)
    except ParseError:
        return Step(turn, "", "")
    if not turn.endswith(step_text(step)):
        counts["extra_actions"] += 1
    if step.action == FINISH and (packed := _PACKED.fullmatch(step.argument)):
        counts["answers_unpacked"] += 1
        return Step(f"{step.thought} {packed[1]}".strip(), FINISH, packed[2])
    return step


def _training_row(text: str, episode: _Episode, maybe_cot: bool) -> Trajectory:
    answer = episode.steps[-1].argument
    # Right episodes name their gold answer; what the right one was, a failed one does not say.
    question = _question(text, _task(text, episode), answer if episode.right else "")
    score = Score(em=float(episode.right), f1=float(episode.right), correct=episode.right)
    return Trajectory(question, _method(episode, maybe_cot), episode.steps, Ending.FINISH, answer, score)


def _method(episode: _Episode, maybe_cot: bool) -> str:
    if any(words in step.thought for step in episode.steps for words in _REFLECTIONS):
        return "reflexion"
    alone = len(episode.steps) == 1 and not any(step.action == SEARCH for step in episode.steps)
    return "cot" if alone and maybe_cot else "react"


def _task(text: str, episode: _Episode) -> str:
    """Told by what the released files do alike: MMLU questions begin with a label; HotpotQA spells its rewards True and
    False where the others write 1 and 0, except for CoT, and only StrategyQA answers a lower-case yes or no there."""
    if text.startswith(_MMLU):
        return "mmlu"
    if episode.reward in ("True", "False"):
        return "hotpotqa"
    return "strategyqa" if len(episode.steps) > 1 or _LOWER_YES_NO.match(episode.steps[-1].argument) else "hotpotqa"


def _question(text: str, task: str, answer: str) -> Question:
    """``text`` without its label, its lettered last lines as choices; equal questions share an id, a digest."""
    lines = text.strip().removeprefix(_MMLU).split("\n")
    first = next((at for at in range(len(lines)) if _choice_count(lines[at:]) == len(lines) - at), len(lines))
    choices = tuple(match[1].strip() for line in lines[first:] if (match := _CHOICE.match(line.strip())))
    digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]
    return Question(f"{task}-{digest}", "\n".join(lines[:first]).strip(), answer, task, "train", choices)


def _choice_count(lines: list[str]) -> int:
    """How many of the first lines are lettered choices, A first."""
    matching = (line.strip().startswith(f"{letter}.") for line, letter in zip(lines, "ABCDEFGHIJ", strict=False))
    return sum(1 for _ in itertools.takewhile(bool, matching))


def _text(row: dict[str, Any], key: str) -> str:
    if not isinstance(row.get(key), str):
        raise DataError(f"expected the field {key!r} to be text")
    return row[key]
