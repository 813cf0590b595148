"""What the dirty log's keeper did in a frame: counted there, told here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from vgaemu.memslot.keeper import ALWAYS, Counters, Keeper
from vgaemu.memslot.slot import Memslot

#: The numbers of a `Counters`, in its order.
Counted: TypeAlias = tuple[int, ...]

FIELDS = tuple(field.name for field in fields(Counters))
#: The numbers as they are now. One call of C: idle frames of some keepers count, too.
count = attrgetter(*FIELDS)
NOTHING: Counted = (0,) * len(FIELDS)
FAULTS = FIELDS.index("faults")


class Kept(NamedTuple):
    """One keeper, and its counters before and after a harvest."""

    dirty_log: str
    before: Counted
    after: Counted

    @property
    def work(self) -> Counters:
        """What it counted meanwhile."""
        return difference(self.after, self.before)


class Watch:
    """Looks at the counters of a slot's keeper after each harvest."""

    def __init__(self, slot: Memslot) -> None:
        self._slot = slot
        #: What each had counted when it was looked at last. Not by name: one that is compared has
        #: that of another, which may have kept the log before or may after.
        self._counted: dict[Keeper, Counted] = {}
        #: Who was looked at last, and what is told of it while it is idle.
        self._keeper = slot.keeper
        self._idle: tuple[Kept, ...] | None = None
        for part in slot.keeper.parts:
            self._look(part)

    def look(self, nothing_dirty: bool) -> tuple[Kept, ...]:
        """What was counted since the last look; an idle frame of an idle keeper costs nothing."""
        slot = self._slot
        keeper = slot.keeper
        # Where one look shows that nothing is dirty there was no harvest, and nothing was counted.
        if nothing_dirty and keeper is self._keeper and slot.maybe_dirty is not ALWAYS:
            idle = self._idle
            if idle is None:
                counted = self._counted[keeper]
                idle = self._idle = (Kept(keeper.name, counted, counted),)
            return idle
        self._keeper, self._idle = keeper, None
        return tuple([self._look(part) for part in keeper.parts])

    def _look(self, keeper: Keeper) -> Kept:
        now = count(keeper.counters)
        before = self._counted.get(keeper, NOTHING)
        self._counted[keeper] = now
        return Kept(keeper.name, before, now)


def difference(now: Counted, then: Counted) -> Counters:
    """What was counted between two looks."""
    return Counters(*[after - before for after, before in zip(now, then, strict=True)])


def total(works: Iterable[Counters]) -> Counters:
    """The sum of some works."""
    return Counters(*map(sum, zip(NOTHING, *map(count, works), strict=True)))


def in_words(work: Counters) -> str:
    """What was done, in a sentence for a table.

    >>> in_words(Counters(protect_calls=2, protected_pages=9, clean_pages=4, flushes=1))
    '2 protect calls on 9 pages (4 of them clean); 1 flush'
    """
    covered = f"{_counted(work.protected_pages, 'page')} ({work.clean_pages} of them clean)"
    parts = [f"{_counted(work.protect_calls, 'protect call')} on {covered}"]
    if work.entries_looked_at:  # a kernel does not tell
        looked_at = f"{work.entries_looked_at} table entries looked at"
        parts.append(f"{looked_at}, {work.entries_changed} changed")
    parts.append(_counted(work.flushes, "flush", "flushes"))
    if work.grace_periods:
        waited = f"{work.grace_period_ns / 1e6:.1f} ms waited"
        parts.append(f"{waited} in {_counted(work.grace_periods, 'grace period')}")
    return "; ".join(parts)


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"
