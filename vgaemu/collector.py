"""Python's garbage collector, kept out of what allocates much and leaves no garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without searching for garbage meanwhile; later as before.

    >>> with uncollected():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def count_as_old() -> None:
    """Let only full collections look through what there is now, and have it make none due.

    What an import has made, tens of thousands of objects, would be walked through three times
    before it is old. Garbage among it is found as ever:

    >>> ring = []; ring.append(ring); del ring
    >>> count_as_old()
    >>> len(gc.get_objects(generation=0)) < 100, gc.collect() > 0
    (True, True)
    """
    if not gc.get_freeze_count():  # else what somebody has frozen would thaw
        gc.freeze()
        gc.unfreeze()
