"""Guesses at what a dialogue says next, taken from what it has read and said before.

An agent repeats names that it has read, the form of its steps and, when it is lost, itself. Where few dialogues run, a
forward pass over several tokens takes little longer than over one, so guesses are checked almost for nothing and the
right ones kept ("inference with reference", Yang et al. 2023, arXiv 2304.04487). Greedy text stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence

_LENGTHS = (3, 2)  # of the last tokens that have to be the same; the longest first


class Lookup:
    """Where the last tokens of a growing text stood before; ``reach`` bounds a guess by how far the last ones went."""

    def __init__(self) -> None:
        self.reach = 2
        self._after: dict[tuple[int, ...], int] = {}  # the place after the latest occurrence
        self._known = 0

    def guess(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """Up to ``most`` tokens that may follow ``tokens``, which begin as at the last call."""
        for end in range(self._known, len(tokens)):
            for length in _LENGTHS:
                if end >= length:
                    self._after[tuple(tokens[end - length : end])] = end
        self._known = len(tokens)
        for length in _LENGTHS:
            if (at := self._after.get(tuple(tokens[-length:]))) is not None:
                return tokens[at : at + min(most, self.reach)]
        return []
