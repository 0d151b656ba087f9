"""What declarations share: the range of a key's value, and whether it shapes results, said where the key is declared.

The annotations of a class's parameters are read by ``fireact.cli`` before anything runs; so are those of a class that
is not ours, where these names may be used too. Not one of them lets NaN or an infinity through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from annotated_types import Interval, MinLen

_MANY = 10**9  # what nothing here has more of, and what every library can count to

Count = Annotated[int, Interval(ge=1, le=_MANY)]
Natural = Annotated[int, Interval(ge=0, le=_MANY)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
NonNegative = Annotated[float, Interval(ge=0, lt=math.inf)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
Seconds = Annotated[float, Interval(gt=0, le=1e6)]
Wait = Annotated[float, Interval(ge=0, le=1e6)]  # seconds
Retries = Annotated[int, Interval(ge=0, le=1000)]
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]  # NumPy takes no other
Text = Annotated[str, MinLen(1)]
Texts = Annotated[Sequence[Text], MinLen(1)]


T = TypeVar("T")


@dataclass(frozen=True)
class Incidental:
    """Marks a key that says where a run happens and how it is watched, not what comes out of it.

    Such a key may change in a run folder and in a journal; any other makes another run. ``named`` says whether an
    override of it stands in the run folder's name all the same.
    """

    named: bool = True


NoEffect = Annotated[T, Incidental()]
Unnamed = Annotated[T, Incidental(named=False)]
