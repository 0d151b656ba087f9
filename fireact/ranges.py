"""Ranges that declarations share: what a value of the configuration may be, said once, where its key is declared.

The annotations of a class's parameters are read by ``fireact.cli`` before anything runs; so are those of a class that
is not ours, where these names may be used too. Not one of them lets NaN or an infinity through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

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
