"""Two cards that live through the same program: Python answers for one's planes, native code for
the other's. What an engine would ask is asked here, so that a program takes a millisecond.
"""

from __future__ import annotations

import ctypes
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vgaemu import native
from vgaemu.memslot import Memslot
from vgaemu.native import cells as layout
from vgaemu.native.shared import address_of
from vgaemu.pc.clock import PLANES_NS, StepClock
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_dispi_mode, set_mode

START, END = 0xA0000, 0xC0000
#: Modes of all addressings; after some of them registers are anything anyway.
MODES = (0x03, 0x07, 0x0D, 0x10, 0x12, 0x13, 0x06, 0x04)
#: Registers that have a say in stores and loads: port and index.
PIPELINE = (*((0x3CE, index) for index in range(9)), (0x3C4, 2), (0x3C4, 4))
_Read = ctypes.CFUNCTYPE(
    ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
_Write = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
)


@dataclass
class Card:
    """A VGA in a slice of its own."""

    vga: Vga = field(default_factory=lambda: Vga(Memslot(256)))
    clock: StepClock = field(default_factory=StepClock)
    count: array[int] = field(default_factory=lambda: array("Q", [0, 0]))

    def begin(self) -> None:
        self.count[0] = 0
        self.count[1] = 10_000
        self.clock.begin_slice(self.clock.ns + 330_000, 1 << 62, self.count, lambda: None)

    def load(self, gpa: int, size: int) -> int:
        self.clock.cost((size + 1 >> 1) * PLANES_NS)
        return int.from_bytes(self.vga.load(gpa, size), "little")

    def store(self, gpa: int, size: int, value: int) -> None:
        self.clock.cost((size + 1 >> 1) * PLANES_NS)
        self.vga.store(gpa, value.to_bytes(size, "little"))


class NativeCard(Card):
    """The same, answered by the functions that an engine is given."""

    def __init__(self) -> None:
        super().__init__()
        functions = native.load(wait=True)
        assert functions
        self._read, self._write = _Read(functions["planes.read"]), _Write(functions["planes.write"])
        aperture = self.vga.share_planes()
        self.cells, self.keeper = aperture.cells, self.vga.slot.keeper
        self.cells[layout.MARKS] = self.keeper.share(functions["marks.clear"])
        self.clock.share(address_of(memoryview(self.count)))
        self.cells[layout.TIME] = address_of(self.clock.cells)
        self.cells[layout.COST] = PLANES_NS
        self._at = ctypes.c_void_p(address_of(self.cells))

    def load(self, gpa: int, size: int) -> int:
        return int(self._read(None, gpa - START, size, self._at))

    def store(self, gpa: int, size: int, value: int) -> None:
        self._write(None, gpa - START, size, value, self._at)


class Program:
    """A random one, for two cards; `run` raises `AssertionError` where they part."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.python, self.native = self.cards = Card(), NativeCard()
        self.log: list[str] = []

    def run(self, steps: int = 40) -> None:
        content = self.random.randbytes(1 << 20)
        for card in self.cards:
            card.vga.slot.array[:] = np.frombuffer(content, np.uint8)
        self._mode()
        for card in self.cards:
            card.begin()
        kinds, weights = (self._access, self._register, self._other), (6, 3, 1)
        for _ in range(steps):
            self.random.choices(kinds, weights)[0]()
        for card in self.cards:
            card.clock.executed(card.count[0])
            card.clock.end_slice(0)
        self._compare()
        self._harvest()
        one, other = (card.vga.slot.array for card in self.cards)
        assert (one == other).all(), [hex(at) for at in np.flatnonzero(one != other)[:8]]
        assert self.python.clock.events == self.native.clock.events

    def _both(self, what: str, do: Callable[[Vga], object]) -> None:
        self.log.append(what)
        one, other = (do(card.vga) for card in self.cards)
        assert one == other, what

    def _mode(self) -> None:
        r = self.random
        if r.random() < 0.85:
            number = r.choice(MODES)
            self._both(f"mode {number:02X}h", lambda vga: set_mode(vga, number))
            return
        bits = r.choice((4, 4, 8))
        self._both(f"DISPI {bits} bpp", lambda vga: set_dispi_mode(vga, 640, 400, bits))
        bank = r.randrange(32)
        for index, value in ((5, bank),):
            self._out(0x1CE, index)
            self._out(0x1CF, value)

    def _out(self, port: int, value: int) -> None:
        self._both(f"outw {port:X} {value:X}", lambda vga: vga.outw(port, value))

    def _register(self) -> None:
        """Any bits of one, but rather few, and those of the window seldom."""
        r = self.random
        port, index = r.choice(PIPELINE)
        value = r.choice((0, 0xFF, 0x0F, 1 << r.randrange(8), r.randrange(256)))
        if (port, index) == (0x3CE, 6):
            value = r.choice((5, 0x0D, 1, 3, 0xE))
        elif (port, index) == (0x3CE, 5):
            value = r.choice((0, 1, 2, 3, 0x10, 8, r.randrange(256)))
        self._out(port, value << 8 | index)

    def _gpa(self) -> int:
        r = self.random
        starts = START, 0xB0000, 0xB8000, START + r.randrange(END - START)
        gpa = r.choice(starts) + r.choice((r.randrange(64), r.randrange(0x8000), -r.randrange(9)))
        return min(max(gpa, START), END - 8)

    def _access(self) -> None:
        """A load or a store as an instruction makes it, or a row of them as REP does."""
        r = self.random
        gpa, size, stores = self._gpa(), r.choice((1, 1, 2, 2, 4, 8)), r.random() < 0.6
        for i in range(r.choice((1, 1, 3))):
            at, value = min(gpa + i * size, END - 8), r.getrandbits(8 * size)
            # What is plain memory no engine would ask for here.
            if any(self.python.vga.window(at + byte) is not None for byte in (0, size - 1)):
                self._both("plain", lambda vga, at=at: vga.store(at, b"plain"))
                return
            self.log.append(f"{'store' if stores else 'load'} {at:X} {size} {value:X}")
            for card in self.cards:
                card.count[0] += 3
            if stores:
                for card in self.cards:
                    card.store(at, size, value)
            else:
                one, other = (card.load(at, size) for card in self.cards)
                assert one == other, (hex(one), hex(other))
            self._compare()

    def _other(self) -> None:
        """What comes through Python for both: blocks of a service, a harvest, the next slice."""
        r = self.random
        gpa, count, to = self._gpa(), r.choice((3, 80, 700)), self._gpa()
        data = r.randbytes(count) if r.random() < 0.5 else bytes(count)
        self.random.choice(
            (
                lambda: self._both(f"block {gpa:X} {count}", lambda vga: vga.store(gpa, data)),
                lambda: self._both(f"bytes {gpa:X} {count}", lambda vga: vga.load(gpa, count)),
                lambda: self._both(f"copy {gpa:X} {to:X}", lambda vga: vga.copy(gpa, to, count)),
                lambda: self._both("latch", lambda vga: setattr(vga, "latch", 0x12345678)),
                self._harvest,
                self._slice,
            )
        )()
        self._compare()

    def _harvest(self) -> None:
        self._both("harvest", lambda vga: list(vga.slot.get_dirty_log()))

    def _slice(self) -> None:
        for card in self.cards:
            card.clock.executed(card.count[0])
            card.clock.end_slice(0)
            card.begin()

    def _compare(self) -> None:
        one, other = (
            (card.vga.latch, card.clock.now_ns(), *card.count, card.vga.slot.counters.faults)
            for card in self.cards
        )
        assert one == other
