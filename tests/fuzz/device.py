"""Campaigns on the device and its dirty log: operations that programs would not think of."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
from shadow import Watched
from test_fuzz_redraw import run_tape

from vgaemu import snapshot
from vgaemu.memslot import KEEPERS, Memslot, why_unavailable
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.vga import scanout
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import MODES, set_mode
from vgaemu.vga.state import check_device, restore_device
from vgaemu.vga.vram import LFB_GPA

from .campaign import Campaign
from .mutate import EDGES

VRAM_BYTES = 1 << 20
#: Operations of a case.
OPERATIONS = 200
ADDRESSES = (0, 0x9FFFF, 0xA0000, 0xAFFFF, 0xB0000, 0xB7FFF, 0xB8000, 0xBFFFF, 0xC0000, LFB_GPA,
             LFB_GPA + VRAM_BYTES, (1 << 32) - 1, 1 << 40)  # fmt: skip
PORTS = (*range(0x3B0, 0x3E0), 0x1CE, 0x1CF, 0x1D0, 0x46E8, 0, 0xFFFF)
#: Pairs of index and data ports, with how many indexes there are.
INDEXED = ((0x3C4, 8), (0x3CE, 16), (0x3D4, 32), (0x3B4, 32))


# --- a display misses nothing ---------------------------------------------------------------------


def redraw(numbers: random.Random, folder: Path) -> str:
    run_tape(numbers.getrandbits(64))
    return "drawn"


def plant_redraw() -> None:
    """A cursor that moves is not drawn where nothing else has changed."""
    scanout.CHANGES["cursor"] = None


# --- any operation --------------------------------------------------------------------------------


def device(numbers: random.Random, folder: Path) -> str:
    """Anything is stored, loaded, copied and written to ports; the state goes to another device."""
    vga = Vga(Memslot(VRAM_BYTES // PAGE_SIZE, LFB_GPA >> 12))
    set_mode(vga, numbers.choice(list(MODES)))
    watched = Watched(vga)
    for _ in range(OPERATIONS):
        operate(numbers, vga)
        if numbers.random() < 0.02:
            watched.frame()
    watched.frame()
    watched.loop.close()
    other = Vga(Memslot(VRAM_BYTES // PAGE_SIZE, LFB_GPA >> 12))
    arrays = snapshot.take(vga.parts())
    check_device(other, arrays, "the state")
    restore_device(other, arrays)
    again = snapshot.take(other.parts())
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, name)
    shown = Watched(other)
    shown.frame()
    np.testing.assert_array_equal(shown.display.frame, watched.loop.screen.full_redraw())
    shown.loop.close()
    return "done"


def operate(numbers: random.Random, vga: Vga) -> None:
    match numbers.randrange(9):
        case 0:
            vga.store(address(numbers), numbers.randbytes(size(numbers)))
        case 1:
            count = size(numbers)
            assert len(vga.load(address(numbers), count)) == count
        case 2:
            vga.copy(address(numbers), address(numbers), size(numbers))
        case 3 | 4:
            port, indexes = numbers.choice(INDEXED)
            vga.outw(port, numbers.randrange(256) << 8 | numbers.randrange(indexes))
        case 5:
            vga.outw(0x1CE, numbers.randrange(12))
            values = (*EDGES[:12], 320, 640, 1024, 0x41, 0xC1, 4, 8, 15, 16, 24, 32)
            vga.outw(0x1CF, numbers.choice(values) & 0xFFFF)
        case 6:
            vga.outb(numbers.choice(PORTS), numbers.randrange(256))
        case 7:
            vga.outw(numbers.choice(PORTS), numbers.randrange(1 << 16))
        case 8:
            port = numbers.choice(PORTS)
            assert 0 <= vga.inb(port) <= 0xFF
            assert 0 <= vga.inw(port) <= 0xFFFF


def address(numbers: random.Random) -> int:
    base = numbers.choice(ADDRESSES)
    return base + numbers.choice(
        (0, 0, -1, 1, -numbers.randrange(5000), numbers.randrange(1 << 17))
    )


def size(numbers: random.Random) -> int:
    return numbers.choice((0, 1, 1, 2, 3, 4, 80, 4096, numbers.randrange(70_000)))


def plant_device() -> None:
    """What follows from registers is not looked at when they are restored."""
    Vga.restored = lambda self: None


# --- the dirty log --------------------------------------------------------------------------------

#: Pages of a slot, some of no whole word.
SIZES = (1, 63, 64, 131, 4096 + 67)


def dirty_log(numbers: random.Random, folder: Path) -> str:
    """Every reader is told once of every page that was written, whoever keeps the log meanwhile."""
    keeper, npages = numbers.choice(keepers()), numbers.choice(SIZES)
    slot = Memslot(npages, dirty_log=keeper)
    readers = [slot.subscribe() for _ in range(numbers.randrange(4))]
    told: list[set[int]] = [set() for _ in readers]
    for _ in range(60):
        if readers and numbers.random() < 0.3:
            who = numbers.randrange(len(readers))
            log = readers[who].get_dirty_log()
            found = log.pages().tolist()
            assert found == sorted(told[who]), (keeper, npages)
            assert log.mask().nonzero()[0].tolist() == found
            assert sum(end - start for start, end in log.spans()) >= len(found)
            told[who] = set()
            if numbers.random() < 0.2:
                readers[who].put_back(log)
                told[who] = set(found)
            continue
        if numbers.random() < 0.1:
            slot.keep_with(numbers.choice(keepers()))
        offset = numbers.randrange(npages * PAGE_SIZE)
        length = numbers.choice((0, 1, 4, 80, 4096, 10_000, 64 * PAGE_SIZE))
        length = min(length, npages * PAGE_SIZE - offset)
        slot.write(offset, numbers.randbytes(length))
        if length:
            for pages in told:
                pages.update(range(offset // PAGE_SIZE, (offset + length - 1) // PAGE_SIZE + 1))
    for reader in readers:
        reader.close()
    return keeper


@cache
def keepers() -> list[str]:
    return [name for name in KEEPERS if why_unavailable(name) is None]


def plant_dirty_log() -> None:
    """A store into several pages dirties all but the last."""
    look = Memslot._look
    Memslot._look = lambda self, offset, end: look(
        self, offset, max(offset, (end - 1) // PAGE_SIZE * PAGE_SIZE) or end
    )


CAMPAIGNS = {
    "redraw": Campaign(redraw, plant_redraw),
    "device": Campaign(device, plant_device),
    "dirty-log": Campaign(dirty_log, plant_dirty_log),
}
