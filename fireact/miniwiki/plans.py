"""What it takes to answer a question: which relations to follow from where, and how to conclude from what they give.

A plan holds no facts. The world fills one in to learn the gold answer; the oracle teacher fills one in by searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fireact.miniwiki.articles import read
from fireact.miniwiki.relations import Relation


@dataclass(frozen=True, slots=True)
class Want:
    """The next thing to look up: one relation of one thing, named by the question or by what was found before."""

    entity: str
    noun: str
    relation: Relation

    @property
    def goal(self) -> str:
        """For example "the author of Amber Gate"."""
        return self.relation.phrases[0].format(x=self.entity)

    @property
    def queries(self) -> tuple[str, ...]:
        """What to search for, in turn, until ``read`` finds something."""
        plain = (f"{self.entity} {self.noun}", self.entity) if self.noun else (self.entity,)
        return (*plain, *(f"{self.entity} {verb.format(y='').strip()}" for verb in self.relation.verbs))

    @property
    def vague_queries(self) -> tuple[str, ...]:
        """What someone might search for who has not thought of naming the thing."""
        kind, name = self.relation.subject, self.relation.name
        return (name, kind, f"{name} of {kind}s", f"list of {kind}s", f"famous {kind}", f"{kind} with {name}")

    def read(self, observation: str) -> str | None:
        """The value, if the observation states it."""
        return read(self.relation, self.entity, self.noun, observation)


class Conclusion(Protocol):
    """Turns the values at the ends of a plan's lookups into the answer, and says why in a few words.

    ``aim`` says beforehand what is to be made of the values; it is empty where they speak for themselves.
    """

    @property
    def aim(self) -> str: ...

    def answer(self, values: Sequence[str]) -> str: ...

    def reason(self, values: Sequence[str]) -> str: ...


@dataclass(frozen=True, slots=True)
class Lookup:
    """Relations to follow one by one from the thing called ``name`` (of genre ``noun``, if the question says so)."""

    name: str
    noun: str
    relations: tuple[Relation, ...]

    @property
    def outline(self) -> str:
        """For example "the author of Amber Gate, then the employer"."""
        first, *others = self.relations
        return first.phrases[0].format(x=self.name) + "".join(f", then the {relation.name}" for relation in others)


@dataclass(frozen=True, slots=True)
class Plan:
    """Lookups, in order, and what to conclude from the values at their ends."""

    lookups: tuple[Lookup, ...]
    conclusion: Conclusion

    @property
    def outline(self) -> str:
        """All lookups and their purpose, as far as the question says."""
        return " and ".join(lookup.outline for lookup in self.lookups) + self.conclusion.aim

    def next(self, found: Sequence[str]) -> Want | None:
        """What to look up after the values ``found`` so far, hop by hop and lookup by lookup; None at the end."""
        for lookup in self.lookups:
            hops = len(lookup.relations)
            if len(found) < hops:
                relation = lookup.relations[len(found)]
                return Want(found[-1], "", relation) if found else Want(lookup.name, lookup.noun, relation)
            found = found[hops:]
        return None

    def answer(self, found: Sequence[str]) -> str:
        """The answer, once everything is found."""
        return self.conclusion.answer(self._ends(found))

    def reason(self, found: Sequence[str]) -> str:
        """Why, once everything is found; a clause, or nothing where the last value speaks for itself."""
        return self.conclusion.reason(self._ends(found))

    def _ends(self, found: Sequence[str]) -> list[str]:
        ends, start = [], 0
        for lookup in self.lookups:
            start += len(lookup.relations)
            ends.append(found[start - 1])
        return ends


@dataclass(frozen=True, slots=True)
class Tell:
    """The value itself."""

    @property
    def aim(self) -> str:
        return ""

    def answer(self, values: Sequence[str]) -> str:
        return values[0]

    def reason(self, values: Sequence[str]) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Choose:
    """The letter of the option that is the value."""

    choices: tuple[str, ...]

    @property
    def aim(self) -> str:
        return ""

    def answer(self, values: Sequence[str]) -> str:
        return "ABCD"[self.choices.index(values[0])]

    def reason(self, values: Sequence[str]) -> str:
        return f"{values[0]} is option {self.answer(values)}"


@dataclass(frozen=True, slots=True)
class Earliest:
    """Which of two things has the earlier year, or with ``last`` the later one."""

    names: tuple[str, str]
    last: bool

    @property
    def aim(self) -> str:
        return f"; which is {'later' if self.last else 'earlier'}"

    def answer(self, values: Sequence[str]) -> str:
        return self.names[(int(values[0]) > int(values[1])) != self.last]

    def reason(self, values: Sequence[str]) -> str:
        chosen = values[self.names.index(self.answer(values))]
        order = "later" if self.last else "earlier"
        return f"of {values[0]} and {values[1]}, {chosen} is {order}: {self.answer(values)}"


@dataclass(frozen=True, slots=True)
class Which:
    """Which of two things has the wanted value."""

    names: tuple[str, str]
    value: str

    @property
    def aim(self) -> str:
        return f"; which is {self.value}"

    def answer(self, values: Sequence[str]) -> str:
        return self.names[list(values).index(self.value)]

    def reason(self, values: Sequence[str]) -> str:
        return f"of {values[0]} and {values[1]}, {self.value} is asked for: {self.answer(values)}"


@dataclass(frozen=True, slots=True)
class Is:
    """Whether the value is the one in question."""

    value: str

    @property
    def aim(self) -> str:
        return f"; is it {self.value}"

    def answer(self, values: Sequence[str]) -> str:
        return "yes" if values[0] == self.value else "no"

    def reason(self, values: Sequence[str]) -> str:
        return f"it is {values[0]}" + ("" if values[0] == self.value else f", not {self.value}")


@dataclass(frozen=True, slots=True)
class Same:
    """Whether two values are one."""

    @property
    def aim(self) -> str:
        return "; are they the same"

    def answer(self, values: Sequence[str]) -> str:
        return "yes" if values[0] == values[1] else "no"

    def reason(self, values: Sequence[str]) -> str:
        first, second = values
        return f"both have {first}" if first == second else f"{first} is not {second}"


@dataclass(frozen=True, slots=True)
class Before:
    """Whether the year of the value lies before ``year``."""

    year: int

    @property
    def aim(self) -> str:
        return f"; is it before {self.year}"

    def answer(self, values: Sequence[str]) -> str:
        return "yes" if int(values[0]) < self.year else "no"

    def reason(self, values: Sequence[str]) -> str:
        return f"{values[0]} is {'' if int(values[0]) < self.year else 'not '}before {self.year}"
