"""Pages: what a slot held at some moments, each page kept once for as long as it does not change.

`Pages` is a reader of the slot's dirty log. `take` copies what was written since it was last
called, and shares the rest with the moments before; `put` writes back only pages that differ, and
marks them, so that every other reader of the log hears of them. Nobody may store meanwhile.

A moment is a tree of tuples: chunks of pages of blocks. What is equal is the same object, so two
moments are compared by identity, chunk by chunk, and one costs what was written before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.slot import Memslot
from vgaemu.memslot.zeros import used_pages
from vgaemu.snapshot import cut

#: Pages of a chunk, and bytes of a block: a page that changes costs a tuple of so many pages, and
#: the blocks that changed. A counter of a BIOS in a page of its own: 0.5 KiB a moment, not 4.
CHUNK_PAGES, BLOCK_BYTES = 64, 512
#: A page is one block when it is first seen, and many from its first change on.
Page: TypeAlias = tuple[bytes, ...]
Chunk: TypeAlias = tuple[Page, ...]
Moment: TypeAlias = tuple[Chunk, ...]

ZERO: Page = (bytes(PAGE_SIZE),)
#: Bytes between two that differ that are told as written with them; and how many such ranges of a
#: page are told of, before it is one.
NEAR_BYTES, MOST_RANGES = 8, 32


class Pages:
    """A reader of one slot's log that knows what was there."""

    def __init__(self, slot: Memslot, written: Callable[[int, int], object] | None = None) -> None:
        """Look at all of it: 0.5 ms for 16 MiB that are mostly zero.

        `written` is told offset and size of what `put` has stored, as exactly as it differs; the
        slot's log is to hear of it. None: of whole pages the log alone.
        """
        self._slot = slot
        self._written = written
        self._view = slot.subscribe()
        self._gaps = slot.logging_gaps
        self._view.get_dirty_log()  # what is written from now on
        used = set(np.flatnonzero(used_pages(slot.array)).tolist())
        pages = [(self._read(page),) if page in used else ZERO for page in range(slot.npages)]
        nothing: Chunk = (ZERO,) * CHUNK_PAGES
        chunks = (tuple(pages[at : at + CHUNK_PAGES]) for at in range(0, len(pages), CHUNK_PAGES))
        self._now: Moment = tuple(nothing if chunk == nothing else chunk for chunk in chunks)

    def _read(self, page: int) -> bytes:
        at = page * PAGE_SIZE
        return bytes(self._slot.memory[at : at + PAGE_SIZE])

    def take(self) -> Moment:
        """What all pages hold now."""
        gaps, log = self._slot.logging_gaps, self._view.get_dirty_log()
        if log is self._slot.nothing_dirty and gaps == self._gaps and self._slot.logging:
            return self._now
        pages: Iterable[int] = log.pages().tolist()
        if gaps != self._gaps or not self._slot.logging:  # any may have been written meanwhile
            self._gaps, pages = gaps, range(self._slot.npages)
        changed: dict[int, list[Page]] = {}
        for page in pages:
            nth, place = divmod(page, CHUNK_PAGES)
            old = self._now[nth][place]
            new = _page_of(self._read(page), old)
            if new is not old:
                changed.setdefault(nth, [*self._now[nth]])[place] = new
        if changed:
            chunks = [*self._now]
            for nth, chunk in changed.items():
                chunks[nth] = tuple(chunk)
            self._now = tuple(chunks)
        return self._now

    def put(self, moment: Moment) -> int:
        """Let all pages hold what they held then; how many did not."""
        written, count = self._written, 0
        for page, old, new in _differing(self.take(), moment):
            before, after = b"".join(old), b"".join(new)
            if before == after:
                continue
            count += 1
            at = page * PAGE_SIZE
            self._slot.memory[at : at + PAGE_SIZE] = after
            if written is None:
                self._slot.mark_dirty(at, PAGE_SIZE)
            else:
                for start, end in _ranges(before, after):
                    written(at + start, end - start)
        self._now = moment
        return count

    def close(self) -> None:
        """Listen no more."""
        self._view.close()


def _page_of(data: bytes, old: Page) -> Page:
    """A page that was `old`: that if nothing has changed, and else with the blocks that have."""
    return old if len(old) == 1 and data == old[0] else cut(data, BLOCK_BYTES, old)


def _differing(one: Moment, other: Moment) -> Iterator[tuple[int, Page, Page]]:
    for nth, (chunk, wanted) in enumerate(zip(one, other, strict=True)):
        if chunk is not wanted:
            for place, (old, new) in enumerate(zip(chunk, wanted, strict=True)):
                if old is not new:
                    yield nth * CHUNK_PAGES + place, old, new


def _ranges(before: bytes, after: bytes) -> list[tuple[int, int]]:
    """Where two pages differ: begin and end of each range; there is one."""
    places = np.flatnonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8))
    cuts = np.flatnonzero(np.diff(places) > NEAR_BYTES)
    if len(cuts) >= MOST_RANGES:
        return [(int(places[0]), int(places[-1]) + 1)]
    starts, ends = places[[0, *(cuts + 1)]], places[[*cuts, -1]] + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def octets_of(moment: Moment) -> bytes:
    """What was there, as a whole."""
    return b"".join(block for chunk in moment for page in chunk for block in page)
