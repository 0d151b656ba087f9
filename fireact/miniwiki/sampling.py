"""Random walks over one split of the world, and their wording: what question families draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from fireact.miniwiki.articles import Entity, state
from fireact.miniwiki.difficulty import Difficulty
from fireact.miniwiki.plans import Lookup
from fireact.miniwiki.relations import HELD_OUT, Relation
from fireact.miniwiki.world import World

# Where walks start; towns, regions and rivers are few and are mostly passed through.
_STARTS = {"person": 4, "work": 5, "organisation": 4, "event": 4, "town": 2, "region": 1, "river": 1}


@dataclass(frozen=True)
class Path:
    """Relations followed from ``start`` over ``through`` (the things whose articles are needed) to ``value``."""

    start: Entity
    relations: tuple[Relation, ...]
    through: tuple[Entity, ...]
    value: str

    def lookup(self, text: str) -> Lookup:
        """The path without its facts, for a question of this ``text``."""
        named = f"{self.start.noun} {self.start.name}" in text
        return Lookup(self.start.name, self.start.noun if named else "", self.relations)

    @property
    def evidence(self) -> tuple[str, ...]:
        """The titles that lead to the value, in order."""
        return tuple(entity.title for entity in self.through)


class Sampler:
    """Draws paths and wordings from one split with one stream of random numbers."""

    def __init__(self, world: World, split: str, knobs: Difficulty, rng: Random) -> None:
        self.rng, self.knobs, self.world = rng, knobs, world
        self.by_kind = {kind: world.kind(split, kind) for kind in _STARTS}
        self._by_name = {entity.name: entity for entities in self.by_kind.values() for entity in entities}
        self._statements: dict[str, list[Path]] = {}

    def start(self) -> Entity:
        """Any thing, kinds weighted."""
        (kind,) = self.rng.choices(list(_STARTS), list(_STARTS.values()))
        return self.rng.choice(self.by_kind[kind])

    def depth(self, most: int = 3) -> int:
        """A number of hops by the difficulty's weights, ``most`` at most."""
        return self.rng.choices((1, 2, 3)[:most], self.knobs.depths[:most])[0]

    def walk(self, depth: int, start: Entity | None = None) -> Path:
        """A path of ``depth`` hops that visits nothing twice and holds no pair kept for evaluation."""
        while True:
            path = self._try(start or self.start(), depth)
            if path and not any(pair in HELD_OUT for pair in _pairs(path)):
                return path

    def held_out_walk(self) -> Path:
        """A path of two hops that is one of the pairs kept for evaluation."""
        while True:
            path = self._try(self.start(), 2)
            if path and _pairs(path)[0] in HELD_OUT:
                return path

    def relations(self, years: bool) -> list[Relation]:
        """All relations whose values are years, or all others."""
        return [r for known in self.world.relations.values() for r in known if (r.object == "year") == years]

    def shared(self) -> list[Relation]:
        """The relations that some two things have in common; marriages, being mutual, are not among them."""
        values = {r: [path.value for path in self._stating(r)] for r in self.relations(years=False)}
        return [r for r, stated in values.items() if len(set(stated)) < len(stated)]

    def pair(self, relation: Relation, same: bool = False, years_apart: int = 0) -> tuple[Path, Path]:
        """The relation of two different things that state it: with the ``same`` value, or with different ones (years at
        least ``years_apart``)."""
        stating = self._stating(relation)
        while True:
            one, other = self.rng.sample(stating, 2)
            if same:
                other = self.rng.choice([path for path in stating if path.value == one.value])
            distinct = one is not other if same else one.start.name != other.start.name
            far = not years_apart or abs(int(one.value) - int(other.value)) >= years_apart
            if distinct and far and (one.value == other.value) == same:
                return one, other

    def other_values(self, path: Path, n: int) -> list[str]:
        """``n`` wrong values of the right type, first those that the path's last article states."""
        relation, last = path.relations[-1], path.through[-1]
        types = {r.name: r.object for r in self.world.relations[last.kind]}
        near = [value for name, value in last.facts.items() if types[name] == relation.object]
        wrong = dict.fromkeys([*near, *self.rng.sample(self._values(relation, path.value), n + 1)])
        return [value for value in wrong if value != path.value][:n]

    def pick(self, wordings: Sequence[str]) -> str:
        """One of the wordings that the difficulty allows."""
        return self.rng.choice(wordings[: self.knobs.phrasings])

    def name(self, entity: Entity) -> str:
        """The thing as a question calls it: always with its genre where another has the same name."""
        bare = entity.title == entity.name and self.rng.random() < 0.5
        return entity.name if bare else entity.described

    def phrase(self, path: Path) -> str:
        """The thing before the path's last hop, as a noun phrase: what the last relation is asked of."""
        text = self.name(path.start)
        for relation in path.relations[:-1]:
            text = self.pick(relation.phrases).format(x=text)
        return text

    def ask(self, path: Path) -> str:
        """The question for the path's value."""
        return sentence(self.pick(path.relations[-1].asks).format(x=self.phrase(path)))

    def claim(self, relation: Relation, value: str) -> str:
        """A clause without its subject."""
        return state(relation, value, self.knobs.phrasings, self.rng)

    def preface(self, paths: tuple[Path, ...]) -> str:
        """Sentences that state every hop of the paths, their values included."""
        hops = [(path.through[i], r) for path in paths for i, r in enumerate(path.relations)]
        said = [sentence(f"{thing.described} {self.claim(r, thing.facts[r.name])}.") for thing, r in hops]
        return " ".join(said)

    def _stating(self, relation: Relation) -> list[Path]:
        if relation.name not in self._statements:
            things = [entity for entity in self.by_kind[relation.subject] if relation.name in entity.facts]
            self._statements[relation.name] = [Path(e, (relation,), (e,), e.facts[relation.name]) for e in things]
        return self._statements[relation.name]

    def _values(self, relation: Relation, near: str) -> list[str]:
        if isinstance(relation.object, tuple):
            return list(relation.object)
        if relation.object == "year":
            return [str(int(near) + offset) for offset in range(-12, 13)]
        return [entity.name for entity in self.by_kind[relation.object]]

    def _try(self, start: Entity, depth: int) -> Path | None:
        """A random path; None if it ends too early or comes back to where it was."""
        relations: list[Relation] = []
        through: list[Entity] = []
        entity: Entity | None = start
        for _ in range(depth):
            if entity is None or entity in through:
                return None
            relation = self.rng.choice([r for r in self.world.relations[entity.kind] if r.name in entity.facts])
            relations.append(relation)
            through.append(entity)
            value = entity.facts[relation.name]
            entity = self._by_name.get(value)
        return None if value == start.name else Path(start, tuple(relations), tuple(through), value)


def _pairs(path: Path) -> list[tuple[str, str]]:
    names = [relation.name for relation in path.relations]
    return list(pairwise(names))


def sentence(text: str) -> str:
    """``text`` with a capital at its head."""
    return text[0].upper() + text[1:]
