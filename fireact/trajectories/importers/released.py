"""The paper's released trajectories → ours: Alpaca rows, chat rows and evaluation runs (anchen1011/FireAct at 94c6189).

All three hold the same text; ``episodes`` makes steps of it::

    Thought: I need to find X.\\nAction: search[X]\\nObservation: X is a book by Y.\\n
    Thought: Y wrote it.\\nAction: finish[Y]\\nObservation: Episode finished, reward = True\\n

Repairs, each counted under its name:

- ``choices_moved``: an Alpaca MMLU row has its four options at the head of ``output``; they go to the question.
- ``closing_lines``: the environment's last line becomes the observation of the finish step.
- ``invented_observations``: a model wrote a closing line of its own; it is dropped, only the environment's stays.
- ``preambles``: the question is repeated before the first thought of an Alpaca row; it is dropped.
- ``questions_found``: a chat row without a user's question has it at the head of its one answer, before a finish
  that is then unpacked.
- ``answers_unpacked``: ``finish[Thought: … Answer: yes.]`` becomes a thought and ``finish[yes]``.
- ``extra_actions``: more text follows a turn's first action, which alone was carried out; it is dropped. A row to
  learn from whose second action is another one is refused.
- ``unlabelled_observations``: what the user says after a turn lacks the label ``Observation:``; it is put there.
  After a turn without an action it may be a question as well, and is refused.
- ``methods_guessed``: a chat row of one step is taken for CoT; it may be a ReAct episode that needed no search.
- ``ignored_field NAME``: a key that says where a row comes from, and so nothing that could be learnt.
- ``missing``: questions of an evaluation run that never finished and so are not in its file.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.importers import fields
from fireact.trajectories.importers.episodes import Episode, of_messages, of_text
from fireact.trajectories.records import FINISH, OWN, SEARCH, Ending, Question, Score, Trajectory, fraction
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema

_CHOICE = re.compile(r"^[A-J]\. ?(.*)$")
_INPUT = "\n\n### Input:\n"
_RUN_NAME = re.compile(r"([a-z]+)_(train|dev|val|test)_(\d+)_(\d+)_")
_INSTRUCTION, _RESPONSE = "### Instruction:\n", "\n\n### Response:\n"
_LOWER_YES_NO = re.compile(r"(yes|no)\b")
_REFLECTIONS = ("let me do a reflection", "let me reflect on how to search better")  # the release's words, and ours
_MMLU = "Question: "
RIGHT = "Observation: Episode finished, reward = True"  # the environment's last word on a right answer


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
class RunRow:
    """A row of an evaluation run's file, which says by its place there which question it answers."""

    row: dict[str, Any]
    run: Run
    index: str


def from_alpaca(row: dict[str, Any], counts: Counter[str], published: bool = False) -> Trajectory:
    """One row ``{"instruction", "input", "output"}``; a filled ``input`` follows the instruction under the heading that
    Alpaca's template gives it, and ``system`` is kept.

    Of a row of the ``published`` files its task is told; another's is ``own``.
    """
    fields.check(row, ("instruction", "input", "system", "output"), "the row", counts)
    instruction, output = fields.text(row, "instruction"), fields.text(row, "output")
    given, system = (fields.text(row, key) if row.get(key) is not None else "" for key in ("input", "system"))
    if given.strip():
        instruction = f"{instruction}{_INPUT}{given}"
    lines = output.split("\n")
    count = _choice_count(lines)
    if count:
        counts["choices_moved"] += 1
    question = "\n".join([instruction, *(line.strip() for line in lines[:count])])
    episode = of_text("\n".join(lines[count:]), _asked(instruction), counts, learnt=True)
    # In the released files, and only there, a CoT row lacks the last newline: the one mark that tells CoT from a ReAct
    # episode that needed no search.
    trajectory = _training_row(question, episode, not output.endswith("\n"), published)
    return replace(trajectory, question=replace(trajectory.question, system=system)) if system else trajectory


def from_chat(row: dict[str, Any], counts: Counter[str], published: bool = False) -> Trajectory:
    """One row ``{"messages": [{"role", "content"}, …]}``; a system text before them and weights of 0 are kept.

    One that ends with the model's answer, and so without the environment's closing line, counts as a right
    demonstration. Of a row of the ``published`` files its task is told; another's is ``own``.
    """
    fields.check(row, ("messages",), "the row", counts)
    system, messages, learnt = _peeled(row["messages"])
    question, episode = of_messages(messages, counts, learnt=True)
    # A chat row has no such mark, but HotpotQA's ReAct and Reflexion rewards are spelled True and False.
    trajectory = _training_row(_asked(question), episode, episode.reward in ("1", "0"), published)
    if trajectory.method == "cot":
        counts["methods_guessed"] += 1
    steps = trajectory.steps
    if not all(learnt):
        if len(learnt) != len(steps) or not any(learnt):
            raise DataError("it can't be told which turns have weight 0, or all have; leave the row out")
        steps = tuple(replace(step, learnt=is_learnt) for step, is_learnt in zip(steps, learnt, strict=True))
    others = dict.fromkeys(step.action for step in steps if step.action not in (SEARCH, FINISH, ""))
    for name in others:
        counts[f"undescribed_tool {name}"] += 1
    told = (SEARCH_TOOL, *map(_text_tool, others)) if others else ()
    return replace(trajectory, question=replace(trajectory.question, system=system), steps=steps, tools=told)


def _peeled(messages: Any) -> tuple[str, Any, list[bool]]:
    """The system text before a chat, the chat without it and without weights, and which of its turns are learnt."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return "", messages, []
    heads = list(itertools.takewhile(lambda message: message.get("role") in ("system", "developer"), messages))
    system = "\n\n".join(fields.text(head, "content", f"message {n}: ") for n, head in enumerate(heads, start=1))
    learnt, plain = [], []
    for message in messages[len(heads) :]:
        weight = message.get("weight")
        if message.get("role") == "assistant":
            if isinstance(weight, bool) or weight not in (None, 0, 1):
                raise DataError(f"an assistant's message has the weight {quoted(weight)}; only 0 and 1 are possible")
            learnt.append(weight != 0)
            message = {key: value for key, value in message.items() if key != "weight"}
        plain.append(message)
    return system, plain, learnt


def _text_tool(name: str) -> ToolSchema:
    return ToolSchema(name, "", '{"properties": {"input": {"type": "string"}}, "type": "object"}')


def from_run(found: RunRow, counts: Counter[str]) -> Trajectory:
    """One episode of an evaluation run: ``traj`` is a list of messages or the Alpaca text; scores are the file's."""
    row, run = found.row, found.run
    fields.check(row, ("traj", "gt", "pred", "em", "f1", "reward", "prompt"), "the row", counts)
    for key, kind in {"gt": str, "pred": str, "em": (bool, int), "reward": (bool, int)}.items():
        if not isinstance(row.get(key), kind):  # type: ignore[arg-type]
            raise DataError(f"expected the field {key!r} of an evaluation run")
    if isinstance(row["traj"], list):
        question, episode = of_messages(row["traj"], counts, learnt=False)
    else:
        text = fields.text(row, "traj")
        instruction = text.rfind(_INSTRUCTION, 0, max(text.rfind(_RESPONSE), 0))
        if instruction < 0:
            raise DataError("expected traj to begin with an Alpaca instruction")
        question, _, said = text[instruction + len(_INSTRUCTION) :].partition(_RESPONSE)
        episode = of_text(said, question, counts, learnt=False)
    name = f"{run.task}-{run.split}-{found.index}"
    asked = replace(_question(_asked(question), run.task, row["gt"]), id=name, split=run.split)
    em, f1 = float(row["em"]), row.get("f1", float(row["em"]))
    fraction("em", em)
    fraction("f1", f1)
    score = Score(em, float(f1), bool(row["reward"]))
    return Trajectory(asked, "fireact", episode.steps, Ending.FINISH, episode.steps[-1].argument, score)


def _training_row(text: str, episode: Episode, maybe_cot: bool, published: bool) -> Trajectory:
    answer = episode.steps[-1].argument
    # Right episodes name their gold answer; what the right one was, a failed one does not say.
    question = _question(text, _task(text, episode) if published else OWN, answer if episode.right else "")
    score = Score(em=float(episode.right), f1=float(episode.right), correct=episode.right)
    return Trajectory(question, _method(episode, maybe_cot), episode.steps, Ending.FINISH, answer, score)


def _method(episode: Episode, maybe_cot: bool) -> str:
    if any(words in step.thought for step in episode.steps for words in _REFLECTIONS):
        return "reflexion"
    alone = len(episode.steps) == 1 and not any(step.action == SEARCH for step in episode.steps)
    return "cot" if alone and maybe_cot else "react"


def _task(text: str, episode: Episode) -> str:
    """Told by what the released files do alike, which all say a reward: MMLU questions begin with a label; HotpotQA
    spells its rewards True and False where the others write 1 and 0, except for CoT, and only StrategyQA answers a
    lower-case yes or no there."""
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
    words = " ".join(text.split()).encode("utf-8", "surrogatepass")  # a file may be read as it is said
    digest = hashlib.sha256(words).hexdigest()[:12]
    return Question(f"{task}-{digest}", "\n".join(lines[:first]).strip(), answer, task, "train", choices)


def _choice_count(lines: list[str]) -> int:
    """How many of the first lines are lettered choices, A first; one alone is no choice."""
    matching = (line.strip().startswith(f"{letter}.") for line, letter in zip(lines, "ABCDEFGHIJ", strict=False))
    count = sum(1 for _ in itertools.takewhile(bool, matching))
    return count if count > 1 else 0


def _asked(question: str) -> str:
    if not question.strip():
        raise DataError("the question is empty; leave the row out")
    return question
