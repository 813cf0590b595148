"""Seeded random calls of INT 10h: any registers, any data area, any state of the device.

``python random_video.py FIRST COUNT`` makes so many series of calls from a seed on, and prints the
calls that did most for their time.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from boards import STACK, make_board
from work import Functions

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.video.modes import VBE_MODES
from vgaemu.pc.board import Board
from vgaemu.vga.modes import MODES
from vgaemu.vga.ports import Data

#: Calls of a series, which begins with a mode.
CALLS = 24
SERVICES = (0x00, 0x01, 0x02, 0x03, 0x05, *range(0x06, 0x14), 0x1A, 0x1B, 0x1C, 0x4F)
WORDS = (0, 1, 2, 7, 0x10, 0x50, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
#: Segments that end in, begin with, or lie behind something else.
PLACES = (0, 0x40, 0x7000, 0x9000, 0x9FFF, 0xA000, 0xB000, 0xB800, 0xBFFF, 0xC000, 0xF000, 0xFFFF)
#: AL of calls that have calls of their own.
SUBCALLS = {
    0x00: (*MODES, *(0x80 | number for number in MODES)),
    0x10: range(0x1D), 0x11: (*range(5), *range(0x10, 0x15), *range(0x20, 0x25), 0x30),
    0x12: (0, 1, 2), 0x13: (0, 1, 2, 3), 0x1C: (0, 1, 2), 0x4F: (*range(0x0A), 0x10, 0x15),
}  # fmt: skip


class Call(NamedTuple):
    """One call, and what it took."""

    mode: int
    registers: dict[str, int]
    #: Functions called, Python's and C's.
    functions: int
    #: Bytes loaded and stored.
    moved: int
    #: The guest's time that passed, and the host's.
    ns: int
    seconds: float

    @property
    def tick(self) -> float:
        """Of the host's time what a 60th of a second of such calls would take."""
        return self.seconds / self.ns * 1e9 / 60


class RandomVideo:
    """A board with a BIOS, and who calls it."""

    def __init__(self, seed: int, *, count: bool = True) -> None:
        self.random = random.Random(seed)
        self.board: Board = make_board(1024)
        self.bios = Bios(self.board, None)
        self._count = count
        self._moved = 0
        self._count_bytes()

    def _count_bytes(self) -> None:
        bus, vga = self.board.bus, self.board.vga

        def load(gpa: int, count: int) -> bytes:
            self._moved += count
            return vga_load(gpa, count)

        def store(gpa: int, data: Data) -> None:
            self._moved += len(data)
            vga_store(gpa, data)

        def read(gpa: int, count: int) -> bytes:
            self._moved += count
            return bus_read(gpa, count)

        vga_load, vga_store, bus_read = vga.load, vga.store, bus.read
        vga.load, vga.store, bus.read = load, store, read

    def word(self) -> int:
        r = self.random
        return r.choice(WORDS) if r.random() < 0.6 else r.getrandbits(16)

    def byte(self) -> int:
        return self.word() & 0xFF

    def set_mode(self) -> int:
        number = self.random.choice((*MODES, *VBE_MODES))
        if number in MODES:
            self.call({"ax": number})
        else:
            self.call({"ax": 0x4F02, "bx": number | self.random.choice((0, 0x4000))})
        return number

    def disturb(self) -> None:
        """What a guest may do between two calls."""
        r, bus = self.random, self.board.bus
        fields = [
            bda.MODE, bda.COLUMNS, bda.PAGE_BYTES, bda.PAGE_START, bda.CURSORS, bda.PAGE,
            bda.CRTC_PORT, bda.LAST_ROW, bda.CHAR_HEIGHT, bda.VIDEO_CONTROL, bda.MODE_OPTIONS,
        ]  # fmt: skip
        for field in r.sample(fields, r.choice((0, 1, 2, len(fields)))):
            value = self.word() | self.word() << 16
            if field is bda.MODE and r.random() < 0.7:
                value = r.choice((*MODES, 0x7F))
            bus.write(field.address, value.to_bytes(16, "little")[: field.nbytes])
        if r.random() < 0.1:
            bus.write(0x449, r.randbytes(0x45))
        if r.random() < 0.1:
            vector = r.choice((0x1F, 0x43))
            self.bios.calls.set_vector(vector, self.word(), r.choice(PLACES))
        if r.random() < 0.3:
            port = r.choice((0x3C4, 0x3CE, 0x3D4, 0x3B4, 0x1CE))
            if port == 0x1CE:
                bus.port_out(port, 2, r.randrange(11))
                bus.port_out(0x1CF, 2, self.word())
            else:
                bus.port_out(port, 2, self.byte() << 8 | r.randrange(0x19))
        if r.random() < 0.05:
            bus.port_out(0x3C2, 1, self.byte())

    def registers(self) -> dict[str, int]:
        r = self.random
        ah = r.choice(SERVICES) if r.random() < 0.97 else r.getrandbits(8)
        subcalls = SUBCALLS.get(ah, range(256))
        al = r.choice(subcalls) if r.random() < 0.9 else self.byte()
        found = {name: self.word() for name in ("bx", "cx", "dx", "si", "di", "bp")}
        if ah == 0x12:
            found["bx"] = r.choice((0x10, *range(0x30, 0x37)))
        return {"ax": ah << 8 | al, "es": r.choice(PLACES), "ds": r.choice(PLACES), **found}

    def call(self, registers: dict[str, int]) -> tuple[int, int, int, float]:
        """One slice's part of a call: functions called, bytes moved, guest and host time."""
        board, calls = self.board, self.bios.calls
        cpu, clock = board.cpu, board.clock
        cpu.sp = STACK
        board.bus.write(STACK, bytes.fromhex("00 00 00 00 02 02"))
        for name, value in registers.items():
            cpu.set("e" + name if name not in ("ds", "es") else name, value)
        calls.new_slice()
        self._moved = 0
        functions, begin, started = Functions(), clock.now_ns(), time.thread_time()
        if self._count:
            with functions:
                calls.call(0x10)
        else:
            calls.call(0x10)
        ns, seconds = clock.now_ns() - begin, time.thread_time() - started
        return functions.called, self._moved, ns, seconds

    def series(self) -> Iterator[Call]:
        """A mode, and calls in it."""
        mode = self.set_mode()
        for _ in range(CALLS):
            self.disturb()
            registers = self.registers()
            yield Call(mode, registers, *self.call(registers))


def main(first: int, count: int) -> None:
    calls = []
    for seed in range(first, first + count):
        calls += RandomVideo(seed, count=False).series()
    print(f"{len(calls)} calls, {sum(call.seconds for call in calls):.1f} s")
    for title, key in (
        ("longest", lambda call: call.seconds), ("most for its time", lambda call: call.tick)
    ):  # fmt: skip
        print(title)
        for call in sorted(calls, key=key)[-12:]:
            values = {name: f"{value:x}" for name, value in call.registers.items()}
            print(f"{call.seconds * 1e3:7.1f} ms, a tick {call.tick:.3f} s", hex(call.mode), values)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
