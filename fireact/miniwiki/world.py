"""The invented world behind miniwiki: things, the facts about them, and the articles that state those facts.

Things belong to train, dev or test, and facts never cross from one to another: so neither do questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random

from fireact.miniwiki.articles import Entity, write
from fireact.miniwiki.difficulty import difficulty_named
from fireact.miniwiki.names import NOUNS, names
from fireact.miniwiki.relations import RELATIONS, Relation
from fireact.trajectories.records import Document

SPLITS = {"train": 0.6, "dev": 0.2, "test": 0.2}
COUNTS = {"person": 900, "work": 500, "organisation": 260, "event": 220, "town": 220, "region": 50, "river": 60}
# Years are plausible (nobody writes before being born), and so never tell apart things of different kinds.
YEARS = {"person": (1801, 1880), "work": (1900, 1990), "organisation": (1885, 1960), "event": (1900, 1990)}


@dataclass(frozen=True)
class World:
    """``entities`` by split; ``relations`` by kind; ``documents`` in random order, for search to index."""

    entities: dict[str, tuple[Entity, ...]]
    relations: dict[str, tuple[Relation, ...]]
    documents: tuple[Document, ...]

    def kind(self, split: str, kind: str) -> list[Entity]:
        """The things of one kind in a split."""
        return [entity for entity in self.entities[split] if entity.kind == kind]


@cache
def build(seed: int, difficulty: str) -> World:
    """The world of a seed, the same byte for byte on every machine.

    Raises:
        ConfigError: there is no such difficulty.
    """
    knobs, rng = difficulty_named(difficulty), Random(f"miniwiki/{seed}/{difficulty}")
    relations = {kind: tuple(r for r in RELATIONS if r.subject == kind)[: knobs.relations] for kind in NOUNS}
    entities: dict[str, list[Entity]] = {split: [] for split in SPLITS}
    for kind, count in COUNTS.items():
        things = iter(_cast(kind, count, knobs.namesakes, rng))
        for split, share in SPLITS.items():
            entities[split].extend(next(things) for _ in range(round(count * share)))
    documents = []
    for members in entities.values():
        _invent_facts(members, relations, knobs.facts, rng)
        documents += [write(entity, members, relations[entity.kind], knobs, rng) for entity in members]
    rng.shuffle(documents)
    return World({split: tuple(members) for split, members in entities.items()}, relations, tuple(documents))


def _cast(kind: str, count: int, namesakes: float, rng: Random) -> list[Entity]:
    """``count`` things; some works take the name of the one before them and a genre of their own."""
    pairs = names(kind, rng)[:count]
    if kind != "work":
        return [Entity(name, kind, noun, name, {}) for name, noun in pairs]
    for i in range(1, count, 2):
        if rng.random() < namesakes:
            (name, noun), others = pairs[i - 1], NOUNS["work"]
            pairs[i] = (name, rng.choice([other for other in others if other != noun]))
    shared = {a for (a, _), (b, _) in pairwise(pairs) if a == b}
    return [Entity(name, kind, noun, f"{name} ({noun})" if name in shared else name, {}) for name, noun in pairs]


def _invent_facts(members: Sequence[Entity], relations: dict[str, tuple[Relation, ...]], n: int, rng: Random) -> None:
    """Give each thing ``n`` facts about its own split; marriages are mutual."""
    by_kind = {kind: [entity.name for entity in members if entity.kind == kind] for kind in NOUNS}
    people = rng.sample(by_kind["person"], len(by_kind["person"]))
    spouses = _couples(people)
    for entity in members:
        known = relations[entity.kind]
        for relation in sorted(rng.sample(known, min(n, len(known))), key=known.index):
            if relation.name == "spouse":
                entity.facts["spouse"] = spouses[entity.name]
            elif relation.object == "year":
                entity.facts[relation.name] = str(rng.randint(*YEARS[entity.kind]))
            elif isinstance(relation.object, tuple):
                entity.facts[relation.name] = rng.choice(relation.object)
            else:
                entity.facts[relation.name] = rng.choice([o for o in by_kind[relation.object] if o != entity.name])


def _couples(people: Sequence[str]) -> dict[str, str]:
    return {one: other for a, b in zip(people[::2], people[1::2], strict=True) for one, other in ((a, b), (b, a))}
