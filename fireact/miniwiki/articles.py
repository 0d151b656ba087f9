"""Miniwiki's articles: how a thing's facts become one to three short sentences, and how to read one back.

Amber Gate, a novel, was written by Dana Wick. It is set in Larkton and came out in 1931.
By contrast, the opera Amber Gate was written by Hugo Marsh.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from fireact.miniwiki.difficulty import Difficulty
from fireact.miniwiki.relations import Relation
from fireact.trajectories.records import Document

_MOST_WORDS = 40  # what a search engine quotes: a longer article would hide facts
_SENTENCE_END = re.compile(r"(?<=\.) ")


@dataclass(frozen=True)
class Entity:
    """A thing with an article. ``noun`` is its genre, or the pronoun of a person; ``facts`` maps relation to value."""

    name: str
    kind: str
    noun: str
    title: str
    facts: dict[str, str]

    @property
    def described(self) -> str:
        """The name with its genre, where that is not part of the name."""
        return self.name if self.kind in ("person", "organisation", "event") else f"the {self.noun} {self.name}"


def write(
    entity: Entity, neighbours: Sequence[Entity], relations: Sequence[Relation], knobs: Difficulty, rng: Random
) -> Document:
    """The article of ``entity`` in random order and wording, sometimes with a remark on one of its ``neighbours``."""
    known = {relation.name: relation for relation in relations}
    facts = rng.sample(list(entity.facts.items()), len(entity.facts))
    clauses = [state(known[name], value, knobs.phrasings, rng) for name, value in facts]
    text = _sentences(entity, clauses, rng)
    others = [other for other in neighbours if other.title != entity.title and facts[0][0] in other.facts]
    if others and rng.random() < knobs.distractors:
        namesakes = [other for other in others if other.name == entity.name]
        other = rng.choice(namesakes or others)
        longer = _aside(text, other, state(known[facts[0][0]], other.facts[facts[0][0]], knobs.phrasings, rng), rng)
        text = longer if len(longer.split()) <= _MOST_WORDS else text
    return Document(entity.title, text)


def state(relation: Relation, value: str, phrasings: int, rng: Random) -> str:
    """A clause without its subject that says so."""
    return rng.choice(relation.verbs[:phrasings]).format(y=value)


def _sentences(entity: Entity, clauses: Sequence[str], rng: Random) -> str:
    """Two sentences: the first names the thing (and its genre where the name does not), the second says it."""
    subject, pronoun = _opening(entity, rng)
    cut = rng.randint(1, max(1, len(clauses) - 1))
    first = f"{subject} {_joined(clauses[:cut])}."
    return f"{first} {pronoun} {_joined(clauses[cut:])}." if clauses[cut:] else first


def _opening(entity: Entity, rng: Random) -> tuple[str, str]:
    if entity.kind == "person":
        return entity.name, entity.noun.title()
    again = rng.choice(["It", f"This {entity.noun}"])
    if entity.described == entity.name:
        return entity.name, again
    article = "an" if entity.noun[0] in "aeiou" else "a"
    subjects = [f"{entity.name}, {article} {entity.noun},", f"The {entity.noun} {entity.name}"]
    return rng.choice([*subjects, f"{entity.name} is {article} {entity.noun}. It"]), again


def _joined(clauses: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(clauses[:-1]), clauses[-1]]))


def _aside(text: str, other: Entity, clause: str, rng: Random) -> str:
    if rng.random() < 0.5:
        return f"Unlike {other.described}, {'who' if other.kind == 'person' else 'which'} {clause}, {_lower(text)}"
    return f"{text} {rng.choice(['By contrast', 'Elsewhere', 'Likewise'])}, {other.described} {clause}."


def _lower(text: str) -> str:
    return "the" + text[3:] if text.startswith("The ") else text


def read(relation: Relation, name: str, noun: str, text: str) -> str | None:
    """The ``relation`` of the thing called ``name`` (of genre ``noun``, unless empty), if ``text`` states it.

    Only sentences with that thing as their subject count: others talk about something else.
    """
    body = re.sub(rf"^{re.escape(name)}(?: \({noun}\))?: ", "", text)
    sentences = _SENTENCE_END.split(re.sub(r"^Unlike [^,]+, wh\w+ [^,]+, ", "", body))
    subject = re.compile(rf"(?:[Tt]he {noun or '[a-z]+'} )?{re.escape(name)}\b(?! [A-Z])")
    own = " ".join(s for s in sentences if subject.match(s) or s.startswith(("She ", "He ", "It ", "This ")))
    if body == text and (not subject.match(sentences[0]) or noun not in own):
        return None
    found = relation.pattern.search(own)
    return next(filter(None, found.groups())) if found else None
