"""The question families of miniwiki, each the invented counterpart of one of the paper's tasks.

Adding one: a class with ``kind``, ``self_contained`` (whether some questions may state all they need) and ``draw``,
and its line in a YAML file under ``conf/task/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from fireact.miniwiki.plans import Before, Choose, Conclusion, Earliest, Is, Same, Tell, Which
from fireact.miniwiki.sampling import Path, Sampler, sentence


@dataclass(frozen=True, slots=True)
class Draft:
    """A question before it has an answer: its text, the paths it needs, and what to conclude from their values."""

    text: str
    paths: tuple[Path, ...]
    conclusion: Conclusion
    choices: tuple[str, ...] = ()


class Family(Protocol):
    """``splits``: those it has questions for. ``self_contained``: whether some may state all they need."""

    kind: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    self_contained: ClassVar[bool]

    def draw(self, sampler: Sampler) -> Draft:
        """One random question."""
        ...


class _Trainable:
    splits: ClassVar[tuple[str, ...]] = ("train", "dev", "test")
    self_contained: ClassVar[bool] = True


class Bridge(_Trainable):
    """Where did the person elected by the port Badgerfield work? → Reed Bank

    Badgerfield: Badgerfield is a port. It is paired with Briarport and is run by Martha York. It is known for paper.
    Martha York: Martha York married Tom Foster. She was a native of Ottergate and worked for Reed Bank.

    With ``Comparison``, the counterpart of HotpotQA.
    """

    kind: ClassVar[str] = "bridge"

    def draw(self, sampler: Sampler) -> Draft:
        """A path of one to three hops."""
        path = sampler.walk(sampler.depth())
        return Draft(sampler.ask(path), (path,), Tell())


class Comparison(_Trainable):
    """Carter Brewery or Hood Bank: which of them operates from Gingerwick? → Hood Bank

    Carter Brewery: Carter Brewery was founded by Marcus Rice. It is based in Amberbury and is directed by Marcus West.
    Hood Bank: Hood Bank owes its start to Edith Mills and operates from Gingerwick. This bank is directed by …
    """

    kind: ClassVar[str] = "comparison"

    def draw(self, sampler: Sampler) -> Draft:
        """Which of two things came first (or last), or which of them something is true of; half and half."""
        if sampler.rng.random() < 0.5:
            relation = sampler.rng.choice(sampler.relations(years=True))
            one, other = sampler.pair(relation, years_apart=10)
            last = sampler.rng.random() < 0.5
            wordings: Sequence[str] = _LAST if last else _FIRST
            conclusion: Conclusion = Earliest((one.start.name, other.start.name), last)
        else:
            relation = sampler.rng.choice(sampler.relations(years=False))
            one, other = sampler.pair(relation)
            value = sampler.rng.choice([one.value, other.value])
            wordings = [text.replace("{claim}", sampler.claim(relation, value)) for text in _WHICH]
            conclusion = Which((one.start.name, other.start.name), value)
        text = sampler.pick(wordings).format(a=sampler.name(one.start), b=sampler.name(other.start), done=relation.done)
        return Draft(sentence(text), (one, other), conclusion)


_FIRST = ("which was {done} first, {a} or {b}?", "of {a} and {b}, which was {done} earlier?",
          "was {a} or {b} {done} first?", "which is older, {a} or {b}?")
_LAST = ("which was {done} last, {a} or {b}?", "of {a} and {b}, which was {done} later?",
         "was {a} or {b} {done} last?", "which is younger, {a} or {b}?")
_WHICH = ("which {claim}, {a} or {b}?", "of {a} and {b}, which {claim}?",
          "{a} or {b}: which of them {claim}?", "which of {a} and {b} {claim}?")


class YesNo(_Trainable):
    """Was the firm that issued Gentle Valley founded before 1894? → yes

    Gentle Valley: Gentle Valley is a play. It is dedicated to Karl York and was issued by Pell Theatre.
    Pell Theatre: Pell Theatre owes its start to Ella Pell and operates from Pearlgate. … opened its doors in 1891.

    The counterpart of StrategyQA.
    """

    kind: ClassVar[str] = "yesno"

    def draw(self, sampler: Sampler) -> Draft:
        """Whether a path of one or two hops ends in a value, or before a year; or whether two things agree."""
        if sampler.rng.random() < 0.3:
            return self._same(sampler)
        path = sampler.walk(sampler.depth(most=2))
        relation, wrong = path.relations[-1], sampler.rng.random() < 0.5
        if relation.done:
            year = int(path.value) + sampler.rng.randint(2, 30) * (-1 if wrong else 1)
            text = sampler.pick(_BEFORE).format(x=sampler.phrase(path), done=relation.done, year=year)
            return Draft(text, (path,), Before(year))
        value = sampler.other_values(path, 1)[0] if wrong else path.value
        claim = f"{sampler.phrase(path)} {sampler.claim(relation, value)}"
        return Draft(sampler.pick(_IS).format(claim=claim), (path,), Is(value))

    def _same(self, sampler: Sampler) -> Draft:
        relation = sampler.rng.choice(sampler.shared())
        one, other = sampler.pair(relation, same=sampler.rng.random() < 0.5)
        text = sampler.pick(_SAME).format(a=sampler.name(one.start), b=sampler.name(other.start), noun=relation.name)
        return Draft(text, (one, other), Same())


_IS = ("Is it true that {claim}?", "Is it right to say that {claim}?",
       "Would you agree that {claim}?", "Could one say that {claim}?")
_BEFORE = ("Was {x} {done} before {year}?", "Had {x} been {done} when {year} began?",
           "Was {x} {done} earlier than {year}?", "Is {year} too late for {x} to have been {done}?")
_SAME = ("Do {a} and {b} share one {noun}?", "Do {a} and {b} have the same {noun}?",
         "Is the {noun} of {a} also that of {b}?", "Are {a} and {b} alike in their {noun}?")


class Choice(_Trainable):
    """Who directs the institution that employed Greta Price? A. Victor Page B. Clara Moss C. … D. … → A

    Greta Price: Greta Price was on the staff of Foster School. She was a pupil of Bruno Frost and …
    Foster School: Foster School is headed by Victor Page and was founded by Clara Moss. It competes with …

    The counterpart of MMLU.
    """

    kind: ClassVar[str] = "choice"

    def draw(self, sampler: Sampler) -> Draft:
        """A path of one or two hops and four values to choose from, preferably ones that its last article names."""
        path = sampler.walk(sampler.depth(most=2))
        choices = [path.value, *sampler.other_values(path, 3)]
        sampler.rng.shuffle(choices)
        return Draft(sampler.ask(path), (path,), Choose(tuple(choices)), tuple(choices))


class Compose:
    """Who was the husband or wife of the person who wrote the poem Silent Lantern? → Martha Hale

    Silent Lantern: Silent Lantern, a poem, is by Lena Dale and was published by Carter School. …
    Lena Dale: Lena Dale was wed to Martha Hale. She was employed by Weaver Bank and was born in 1857.

    The counterpart of Bamboogle: authors and spouses are asked for in training, but never one of the other.
    """

    kind: ClassVar[str] = "compose"
    splits: ClassVar[tuple[str, ...]] = ("dev", "test")
    self_contained: ClassVar[bool] = False

    def draw(self, sampler: Sampler) -> Draft:
        """A path of two hops, one of the pairs that nothing else contains."""
        path = sampler.held_out_walk()
        return Draft(sampler.ask(path), (path,), Tell())
