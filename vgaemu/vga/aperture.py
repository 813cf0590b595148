"""The legacy window where it is not plain memory: window offsets, planes and latches.

`Aperture` turns stores, loads and copies at window offsets into dwords of VRAM, by the addressing
that is set: planar, odd/even or chain-4. Blocks are vectorised and equal the same bytes one by one.
What the bytes become on their way is `planes`; when the window is plain memory is `device`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot import Memslot
from vgaemu.vga.layout import LEGACY_BYTES, LEGACY_DWORDS
from vgaemu.vga.planes import (
    ALL_PLANES,
    PLANE_MASK,
    ReadSetup,
    WriteSetup,
    byte_table,
    colour_compare,
    independent_bytes,
    pipeline,
)
from vgaemu.vga.ports import Data

PLANAR, ODD_EVEN, CHAIN4 = "planar", "odd/even", "chain-4"
#: Addressing -> window bytes that share a dword of VRAM.
UNITS = {PLANAR: 1, ODD_EVEN: 2, CHAIN4: 4}
#: Bytes of an instruction's access: so few are faster one by one.
ACCESS_BYTES = 4
#: Planes of characters and of attributes, as text programs store them.
CELL_MASKS = (PLANE_MASK[0b0001], PLANE_MASK[0b0010])
#: From this length on it pays to look whether a block is one byte repeated.
FILL_BYTES = 64


@dataclass(frozen=True)
class Addressing:
    """Which dword and planes a window offset reaches; two choices, each with a bit of its own."""

    #: How an offset becomes an address: as it is; without its bit 0, which is replaced (GR06 bit
    #: 1); or without bits 0 and 1 (SR04 bit 3).
    kind: str = PLANAR
    #: Planes that a store may write, by the offset's bits 0-1: a dword with FFh for each. All four
    #: are the map mask, or its even and odd planes in turn (SR04 bit 2), or one plane each.
    masks: tuple[int, ...] = (0, 0, 0, 0)
    #: Dword of window offset 0, and dwords after which the planes repeat.
    first_dword: int = 0
    plane_dwords: int = LEGACY_DWORDS
    #: `ODD_EVEN`: what stands for address bit 0, but bit 16 of an offset that has one does.
    page: int = 0
    #: `masks` without the map mask: four bits each.
    planes: tuple[int, ...] = (0b1111,) * 4

    @property
    def places(self) -> int:
        """Neighbours that are stored one after another: they share a dword, or differ in planes."""
        return max(UNITS[self.kind], 2 if self.masks[0] != self.masks[1] else 1)

    @property
    def wrap(self) -> int:
        """Window offsets after which the same dwords are reached again."""
        return {PLANAR: self.plane_dwords, ODD_EVEN: 0x20000, CHAIN4: 0x10000}[self.kind]

    def numbers(self, window: NDArray[np.intp]) -> NDArray[np.intp]:
        """Dword in VRAM behind each of ascending window offsets, an array of the same shape."""
        if self.kind == PLANAR:
            return (window + self.first_dword) % self.plane_dwords
        if self.kind == ODD_EVEN:
            even = window & 0xFFFE
            if self.page or window[-1] > 0xFFFF:
                even |= window >> 16 | self.page
            return even
        return (window & 0xFFFF) >> 2

    def byte(self, at: int) -> tuple[int, int]:
        """Dword behind one window offset, and the planes a store there may write."""
        mask = self.masks[at & 3]
        if self.kind == PLANAR:
            return (at + self.first_dword) % self.plane_dwords, mask
        if self.kind == ODD_EVEN:
            return at & 0xFFFE | at >> 16 | self.page, mask
        return (at & 0xFFFF) >> 2, mask


class Aperture:
    """The CPU's way to the planes, and the latches on it."""

    def __init__(self, slot: Memslot) -> None:
        self._slot = slot
        self._dwords: NDArray[np.uint32] = slot.array.view(np.uint32)
        self._dword_view = slot.memory.cast("I")
        self._cells: NDArray[np.uint16] = slot.array[:LEGACY_BYTES].view(np.uint16)
        #: Four plane bytes, plane 0 lowest, of the last address read.
        self.latch = 0
        self._addressing, self._write, self._read = Addressing(), WriteSetup(), ReadSetup()
        #: Stores put bytes into planes unchanged; so do odd/even ones, each into one plane alone,
        #: which is what text programs do.
        self._plain, self._text, self._places = True, False, 1

    def configure(self, addressing: Addressing, write: WriteSetup, read: ReadSetup) -> None:
        """Take what sequencer and graphics controller say from now on."""
        self._addressing = addressing
        self._write = write
        self._read = read
        self._plain = write.is_plain
        self._places = addressing.places
        cells = addressing.kind == ODD_EVEN and not addressing.page
        self._text = cells and self._plain and addressing.masks[:2] == CELL_MASKS

    def place(self, start: int, end: int) -> bool:
        """The window lies there from now on; whether that changes who is to store through it."""
        return False

    def store(self, at: int, data: Data) -> None:
        """Store bytes at window offset `at` and upwards."""
        count = len(data)
        if count == 1:
            self._store_byte(at, int(data[0]))
        elif self._text and not (at | count) & 1 and at + count <= 0x10000:
            # Characters to plane 0, attributes to plane 1 of every second address.
            self._cells[2 * at : 2 * (at + count) : 4] = np.frombuffer(data, np.uint16)
            self._slot.mark_dirty(4 * at, 4 * count)
        elif count <= ACCESS_BYTES and self._places > 1:
            for i in range(count):
                self._store_byte(at + i, int(data[i]))
        elif count:
            source = np.frombuffer(data, np.uint8)
            if count >= FILL_BYTES and bool((source == source[0]).all()):
                dword = pipeline(self._write, int(source[0]), self.latch)
                self._put(at, count, np.broadcast_to(np.uint32(dword), count))
            else:
                self._put(at, count, byte_table(self._write, self.latch).take(source))

    def load(self, at: int, count: int) -> bytes:
        """Load bytes from window offset `at` and upwards; the last one stays in the latches."""
        if count <= ACCESS_BYTES:
            return bytes([self._load_byte(at + i) for i in range(count)])
        dwords, data = self._fetch(np.arange(at, at + count))
        self.latch = int(dwords[-1])
        return data.tobytes()

    def copy(self, src: int, dst: int, count: int) -> None:
        """Copy bytes upwards, each read loading the latches that its write uses."""
        if count <= ACCESS_BYTES:
            for i in range(count):
                self._store_byte(dst + i, self._load_byte(src + i))
            return
        addressing = self._addressing
        unit, wrap = UNITS[addressing.kind], addressing.wrap
        if src == dst and unit > 1 and count <= wrap:
            self._copy_in_place(np.arange(src, src + count), unit)
            return
        step = independent_bytes((dst - src) % wrap, unit, wrap)
        for at in range(0, count, step):
            length = min(step, count - at)
            dwords, data = self._fetch(np.arange(src + at, src + at + length))
            self.latch = int(dwords[-1])
            self._put(dst + at, length, pipeline(self._write, data.astype(np.uint32), dwords))

    def _copy_in_place(self, window: NDArray[np.intp], unit: int) -> None:
        """Bytes that share a dword see what those before them became: a pass for each place."""
        last = int(window[-1])
        for place in range(unit):
            lane = window[(place - int(window[0])) % unit :: unit]
            if lane.size:
                dwords, data = self._fetch(lane)
                if lane[-1] == last:
                    self.latch = int(dwords[-1])
                values = pipeline(self._write, data.astype(np.uint32), dwords)
                self._put_place(place, self._addressing.numbers(lane), values)
        self._mark(self._addressing.numbers(window))

    def _store_byte(self, at: int, value: int) -> None:
        number, mask = self._addressing.byte(at)
        dword = value * ALL_PLANES if self._plain else pipeline(self._write, value, self.latch)
        view = self._dword_view
        view[number] = view[number] & (mask ^ 0xFFFFFFFF) | dword & mask
        self._slot.mark_dirty(4 * number, 4)

    def _load_byte(self, at: int) -> int:
        read, (number, _) = self._read, self._addressing.byte(at)
        self.latch = dword = self._dword_view[number]
        if read.mode:
            differs = (dword ^ PLANE_MASK[read.colour_compare]) & PLANE_MASK[read.colour_care]
            return ~(differs | differs >> 8 | differs >> 16 | differs >> 24) & 0xFF
        plane = read.plane
        if self._addressing.kind == CHAIN4:
            plane = at & 3
        elif read.odd_even:
            plane = plane & 2 | at & 1
        return dword >> 8 * plane & 0xFF

    def _fetch(self, window: NDArray[np.intp]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """What a read at each window offset latches, and what the CPU gets."""
        read = self._read
        dwords = self._dwords.take(self._addressing.numbers(window))
        if read.mode:
            return dwords, colour_compare(dwords, read.colour_compare, read.colour_care)
        plane: int | NDArray[np.intp] = read.plane
        if self._addressing.kind == CHAIN4:
            plane = window & 3
        elif read.odd_even:
            plane = read.plane & 2 | window & 1
        return dwords, dwords.view(np.uint8).reshape(-1, 4)[np.arange(len(window)), plane]

    def _put(self, at: int, count: int, values: NDArray[np.uint32]) -> None:
        """Let one dword for each window offset from `at` on land, through the map mask."""
        addressing, dwords, places = self._addressing, self._dwords, self._places
        first = at + addressing.first_dword
        if places == 1 and first + count <= addressing.plane_dwords:
            target = dwords[first : first + count]
            mask = np.uint32(addressing.masks[0])
            if mask == 0xFFFFFFFF:
                target[:] = values
            else:
                target &= ~mask
                target |= values & mask
            self._slot.mark_dirty(4 * first, 4 * count)
            return
        numbers = addressing.numbers(np.arange(at, at + count))
        for place in range(places):
            lane = slice((place - at) % places, None, places)
            self._put_place(place, numbers[lane], values[lane])
        self._mark(numbers)

    def _put_place(self, place: int, numbers: NDArray[np.intp], values: NDArray[np.uint32]) -> None:
        """Let values land in dwords as from window bytes of one place among their neighbours."""
        mask, dwords = np.uint32(self._addressing.masks[place]), self._dwords
        if mask:
            # Where the window wraps inside a block, what comes last stays.
            dwords[numbers] = dwords[numbers] & ~mask | values & mask

    def _mark(self, numbers: NDArray[np.intp]) -> None:
        """Dwords of window bytes one after another have changed."""
        low, high = int(numbers.min()), int(numbers.max())
        first, last = int(numbers[0]), int(numbers[-1])
        if last < first and len(numbers) < self._addressing.wrap:
            # The window wraps in here: what lies between the two ends was not written.
            self._slot.mark_dirty(4 * low, 4 * (last - low + 1))
            low = first
        self._slot.mark_dirty(4 * low, 4 * (high - low + 1))
