"""How hard miniwiki is: every knob in one place."""

from __future__ import annotations

from dataclasses import dataclass

from fireact.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Difficulty:
    """``relations`` per kind of thing, ``facts`` per article, ``phrasings`` per relation (in articles and questions).

    ``depths`` weighs questions of 1, 2 and 3 hops. The rest are shares in 0…1: works with a ``namesakes`` of another
    genre, articles with ``distractors`` about something else, and ``self_contained`` questions (of those with at most
    two hops) that state all they need.
    """

    relations: int
    facts: int
    phrasings: int
    depths: tuple[float, float, float]
    namesakes: float
    distractors: float
    self_contained: float = 0.2


DIFFICULTIES = {
    "easy": Difficulty(relations=4, facts=2, phrasings=1, depths=(1, 1, 0), namesakes=0.0, distractors=0.0),
    "medium": Difficulty(relations=4, facts=3, phrasings=2, depths=(4, 5, 1), namesakes=0.2, distractors=0.3),
    "hard": Difficulty(relations=7, facts=4, phrasings=4, depths=(1, 4, 5), namesakes=0.4, distractors=0.8),
}


def difficulty_named(name: str) -> Difficulty:
    """Raises: ConfigError: there is no such difficulty."""
    if name not in DIFFICULTIES:
        raise ConfigError(f"task.difficulty={name} is unknown; choose {', '.join(DIFFICULTIES)}")
    return DIFFICULTIES[name]
