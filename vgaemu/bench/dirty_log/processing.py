"""Reading the log of N pages, and what userspace then does with those same N pages.

The patch: above 8192 dirty pages "a bit of regression but still enough fast compared to the
processing of these dirty pages in the userspace". Two kinds of processing are timed, each right
after the harvest that named the pages: a display redraws them (2560x1600x32, the largest mode, has
4000), and a migration copies them, which is the least that anybody can do with a page. A harvest
and a copy take CPU time, since other work on the machine prolongs what is long; a redraw's figures
are the display loop's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import thread_time_ns

import numpy as np

from vgaemu.bench.dirty_log.readings import SLOTS, check_count, runs_of
from vgaemu.bench.measure import Row, no_collector
from vgaemu.display.base import BaseDisplay
from vgaemu.display.loop import DisplayLoop
from vgaemu.guest.workload import Guest
from vgaemu.keys.queue import Keys
from vgaemu.memslot import PAGE_SIZE, Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.vram import make_vram

#: Who keeps the log: the predecessor and the patch.
SCHEMES = ("srcu", "words")
SCREEN = (2560, 1600, 32)
#: Dirty pages of the screen, contiguous.
REDRAWN = (64, 512, 4000)
#: A slot, and its dirty pages: up to where the patch is ahead, and above.
COPIED_SLOT = "1 GiB"
COPIED_PAGES = SLOTS[COPIED_SLOT][0]
COPIED = (8192, 32768)
#: Pages copied by one call.
BATCH = 256
ROUNDS = 5

#: Nanoseconds of the harvest, and of what follows it.
Times = tuple[int, int]


def measure(runs: int) -> list[Row]:
    """A row for each kind of processing, number of pages, how they lie, and scheme."""
    with no_collector():
        return [
            row for scheme in SCHEMES for row in (*_redraws(scheme, runs), *_copies(scheme, runs))
        ]


def _redraws(scheme: str, runs: int) -> Iterator[Row]:
    vga = Vga(make_vram(dirty_log=scheme))
    Guest(vga, Keys()).set_dispi_mode(*SCREEN)
    loop = DisplayLoop(vga, BaseDisplay())

    def redraw(count: int) -> Times:
        vga.slot.mark_dirty(0, count * PAGE_SIZE)
        report = loop.draw_frame()
        check_count(scheme, len(report.log), count)
        return report.harvest_ns, report.render_ns

    loop.draw_frame()
    for count in REDRAWN:
        yield _row("redraw", scheme, count, "contiguous", partial(redraw, count), runs)


def _copies(scheme: str, runs: int) -> Iterator[Row]:
    slot = Memslot(COPIED_PAGES, dirty_log=scheme)
    slot.mark_dirty(0, slot.nbytes)  # as in `readings`: everything is mapped
    slot.get_dirty_log()
    pages = slot.array.reshape(-1, PAGE_SIZE)
    buffer = np.empty((BATCH, PAGE_SIZE), np.uint8)

    def copy(count: int, lie: str) -> Times:
        for start, end in runs_of(lie, count, COPIED_PAGES) or ():
            pages[start:end, 0] += np.uint8(1)
            slot.mark_dirty(start * PAGE_SIZE, (end - start) * PAGE_SIZE)
        begin = thread_time_ns()
        log = slot.get_dirty_log()
        harvested = thread_time_ns()
        check_count(scheme, len(log), count)
        numbers = log.pages()
        copying = thread_time_ns()
        for at in range(0, count, BATCH):
            batch = numbers[at : at + BATCH]
            np.take(pages, batch, axis=0, out=buffer[: len(batch)], mode="clip")
        return harvested - begin, thread_time_ns() - copying

    for count in COPIED:
        for lie in ("contiguous", "scattered"):
            yield _row("copy", scheme, count, lie, partial(copy, count, lie), runs)


def _row(what: str, scheme: str, count: int, lie: str, once: Callable[[], Times], runs: int) -> Row:
    once()  # the memory is there, the caches as warm as they get
    harvest, processing = np.median([once() for _ in range(ROUNDS * runs)], axis=0).tolist()
    return {
        "processed_by": what,
        "dirty_pages": count,
        "lie": lie,
        "scheme": scheme,
        "harvest_ns": harvest,
        "processing_ns": processing,
        "harvest_percent_of_processing": 100 * harvest / processing,
    }
