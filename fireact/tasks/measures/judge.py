"""A model as judge (Zheng et al. 2023): it compares an answer with the gold one, by a prompt of ours."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from fireact.errors import BudgetError, ConfigError, DataError, ModelError
from fireact.lms.base import LanguageModel
from fireact.ranges import Text
from fireact.tasks.measures.base import UNSCORED, Verdict
from fireact.trajectories.dialogue import Dialogue, split_reasoning
from fireact.trajectories.records import Question

PROMPT = Path(__file__).with_name("judge.txt")
_FIELDS = ("question", "reference", "answer")
_LINE = re.compile(r"^[ \t]*Verdict:", re.MULTILINE)
_LAST = re.compile(r"[ \t]*Verdict: (correct|incorrect)\Z", re.MULTILINE)


class Judge:
    """``lm`` is shown the question, the gold answer and the answer, and says whether they agree.

    No answer is wrong without being asked. The verdict is the reply's last line, read strictly; an unreadable one
    counts as wrong, and is counted by name. What the judge cost stands apart from what the agent did.

    Args:
        lm: the model that judges; None where only questions are looked at.
        prompt: a file with ``{question}``, ``{reference}`` and ``{answer}``, which are replaced by JSON strings; None
            for ours, ``judge.txt``. Its SHA-256 is in every trajectory's provenance.

    Raises:
        ConfigError: the prompt can't be read, or lacks one of the three.
    """

    name = "judge"

    def __init__(self, lm: LanguageModel | None, prompt: Text | None = None) -> None:
        self._lm, file = lm, PROMPT if prompt is None else Path(prompt)
        try:
            self._prompt = file.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"measure.prompt={prompt} can't be read ({why}); name a text file") from None
        if missing := [field for field in _FIELDS if f"{{{field}}}" not in self._prompt]:
            raise ConfigError(f"measure.prompt={prompt} lacks {{{missing[0]}}}; it needs "
                              f"{', '.join(f'{{{field}}}' for field in _FIELDS)}")
        self.sha256 = hashlib.sha256(self._prompt.encode()).hexdigest()
        by = f" ({lm.name})" if lm else ""
        self.about = f"judge is the share of answers that a model as judge{by} calls correct."

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            DataError: there is no gold answer to compare with.
        """
        if not question.answer.strip():
            raise DataError("there is no answer that a judge could compare with")

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        if not answer.strip():
            return Verdict(False)
        assert self._lm is not None
        try:
            completion = await self._lm.complete(Dialogue(self.asked(question, answer)))
        except (BudgetError, ModelError) as error:
            raise type(error)(f"the judge could not answer: {error}") from None
        said = verdict_of(completion.text)
        facts = {
            "judge": self._lm.name,
            "judge_verdict": said or "unreadable",
            "judge_tokens_in": str(completion.tokens_in),
            "judge_tokens_out": str(completion.tokens_out),
            "judge_cost_usd": repr(completion.cost_usd),
        }
        if said is None:
            facts[UNSCORED] = "the judge's verdict could not be read"
        return Verdict(said == "correct", facts=facts)

    async def aclose(self) -> None:
        """Release what the model holds."""
        if self._lm is not None:
            await self._lm.aclose()

    def asked(self, question: Question, answer: str) -> str:
        """The prompt for one answer; a text in it is no part of the prompt, whatever it holds."""
        texts = {"question": question.prompt(), "reference": _reference(question), "answer": answer}
        quoted = {field: json.dumps(text, ensure_ascii=False) for field, text in texts.items()}
        return re.sub(r"\{(question|reference|answer)\}", lambda field: quoted[field[1]], self._prompt)


def verdict_of(reply: str) -> str | None:
    """``correct`` or ``incorrect`` where the last line says so and no other line says a verdict; else None."""
    _, spoken = split_reasoning(reply)
    last = _LAST.search(spoken.rstrip())
    return last[1] if last and len(_LINE.findall(spoken)) == 1 else None


def _reference(question: Question) -> str:
    """The gold answer; of a choice, with what the letter stands for."""
    place = ord(question.answer[:1].upper()) - ord("A") if len(question.answer) == 1 else -1
    return f"{question.answer}. {question.choices[place]}" if 0 <= place < len(question.choices) else question.answer
