"""What a keeper counted while something was measured: a difference of `Counters`."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot import Memslot

#: Of `Counters`, what a harvest adds to; `faults` is the stores'.
OF_A_HARVEST = (
    "words_looked_at",
    "exchanges",
    "protect_calls",
    "protected_pages",
    "clean_pages",
    "entries_looked_at",
    "entries_changed",
    "flushes",
    "grace_periods",
)
COUNTS = ("faults", *OF_A_HARVEST)

_counted = attrgetter(*COUNTS)


def counted(slot: Memslot) -> NDArray[np.int64]:
    """The numbers so far: (len(COUNTS),) int64, in the order of `COUNTS`."""
    return np.array(_counted(slot.counters), np.int64)


def as_columns(counts: NDArray[np.int64], readings: int) -> dict[str, float]:
    """Name -> how many a reading."""
    return dict(zip(COUNTS, (counts / readings).tolist(), strict=True))
