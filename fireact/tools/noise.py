"""A search tool that answers badly now and then: the robustness test of the paper's Table 3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

from fireact.errors import ConfigError, DataError
from fireact.ranges import Fraction, Seed, Text
from fireact.tools.base import NOTHING, SearchTool
from fireact.tools.bm25 import snippet
from fireact.tools.calls import current
from fireact.tools.corpora import Corpus
from fireact.trajectories.files import read
from fireact.trajectories.records import SEARCH, Document

_WORDS = 40  # quoted of a document, as BM25 does


class Noise:
    """Wraps ``tool``: with ``probability`` a search is answered "None" (``mode=none``) or at random (``mode=random``).

    Random answers come out of ``pool``: the search answers in a file of earlier trajectories (the paper's protocol),
    or, where no earlier run is at hand, the first sentences of a corpus's articles as BM25 quotes them. They never come
    from the run itself, whose answers so far depend on who asked first.

    Whether a search is noisy, and how, follows from (seed, question, query, how many times this question has asked it):
    not from timing, concurrency or a restart.

    Raises:
        ConfigError: the mode or probability is impossible, or mode=random has no pool.
        DataError: the pool's file is malformed or holds no search.
    """

    def __init__(
        self,
        tool: SearchTool,
        mode: Literal["none", "random"],
        probability: Fraction = 0.5,
        seed: Seed = 0,
        pool: Corpus | Text | None = None,
    ) -> None:
        if mode not in ("none", "random"):
            raise ConfigError(f"search.mode={mode} is unknown; choose none or random")
        if not 0 <= probability <= 1:
            raise ConfigError(f"search.probability={probability} is no probability; choose one from 0 to 1")
        self.name = f"noise({mode}, p={probability:g}) over {tool.name}"
        self._tool, self._probability, self._seed = tool, probability, seed
        self._answers: Sequence[str | Document] = [NOTHING] if mode == "none" else _answers(pool)

    async def search(self, query: str) -> str:
        """See ``SearchTool``; a noisy answer does not ask the wrapped tool."""
        calls = current()
        rng = Random(f"{self._seed}/{calls.question.id}/{query}/{calls.occurrence((self, query))}")
        if rng.random() >= self._probability:
            return await self._tool.search(query)
        answer = rng.choice(self._answers)
        return answer if isinstance(answer, str) else snippet(answer, (), _WORDS)

    async def aclose(self) -> None:
        """Close the wrapped tool."""
        await self._tool.aclose()


def _answers(pool: Corpus | str | None) -> Sequence[str | Document]:
    if pool is None:
        raise ConfigError("search.mode=random needs search.pool=FILE, an earlier run's trajectories")
    if isinstance(pool, str):
        return _seen(Path(pool))
    try:
        return list(pool.documents())
    except ConfigError:
        raise ConfigError(f"{pool.name} has no corpus to take random answers from; add search.pool=FILE, an earlier "
                          "run's trajectories") from None


def _seen(path: Path) -> list[str]:
    """Every answer to a search in the file, as often as it was given."""
    steps = [step for trajectory in read(path, Counter()) for step in trajectory.steps]
    answers = [step.observation for step in steps if step.action == SEARCH and step.observation is not None]
    if not answers:
        raise DataError(f"{path} holds no search to take random answers from; name a file of ReAct trajectories")
    return answers
