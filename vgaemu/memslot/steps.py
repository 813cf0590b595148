"""The patch's story as a user steps through it: what it replaced, the patch, and the default."""

from __future__ import annotations

from vgaemu.errors import MemslotError
from vgaemu.memslot.slot import Memslot

#: Keepers in turn, and what each is.
STEPS = {
    "srcu": "what the 2012 patch replaced",
    "words": "the 2012 patch",
    "flags": "the default",
}


def keep_with_next(slot: Memslot) -> str:
    """Let the next of `STEPS` take over, after any other the first; returns what to tell the user.

    >>> slot = Memslot(64)
    >>> keep_with_next(slot), slot.dirty_log
    ('dirty log: srcu, what the 2012 patch replaced', 'srcu')
    """
    names = [*STEPS]
    now = slot.dirty_log
    name = names[(names.index(now) + 1) % len(names)] if now in STEPS else names[0]
    try:
        slot.keep_with(name)
    except MemslotError as error:
        return f"dirty log: {now} as before: {error}"
    return f"dirty log: {name}, {STEPS[name]}"
