"""Seeded random tapes: whatever a program might do to a VGA, sensible or not, in every mode.

A tape starts in some mode, often with a smaller picture so that frames are quick, and goes on with
random steps: stores, loads and copies of all kinds, and writes to every register that a picture
depends on. `random_ops` gives lists of operations, one list a step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from vgaemu.vga.font import FONT_ADDRESS, bundled_font, plane_2_bytes
from vgaemu.vga.modes import MODES, default_palette
from vgaemu.vga.registers import GRAPHICS_PLACES, WINDOWS

Op = list[Any]

#: CRTC base port while the colour ports are on; a step may move the ports to 3Bxh.
COLOUR, MONO = 0x3D4, 0x3B4
#: CRTC changes that make a mode unchained 256 colours (mode X) out of 13h.
MODE_X = {0x14: 0x00, 0x17: 0xE3}
BPPS = (4, 8, 15, 16, 24, 32)


class Tape:
    """Makes steps; remembers only what it needs to stay interesting."""

    def __init__(self, seed: int, vram_bytes: int) -> None:
        self.random = random.Random(seed)
        self.vram_bytes = vram_bytes
        self.crtc = COLOUR
        self.window = (0xB8000, 0x8000)
        self.dispi = False

    # --- registers ----------------------------------------------------------------------------

    def indexed(self, port: int, values: dict[int, int]) -> list[Op]:
        return [["outw", port, value << 8 | index] for index, value in values.items()]

    def attribute(self, index: int, value: int, show: bool = True) -> list[Op]:
        ops: list[Op] = [["inx", self.crtc + 6], ["out", 0x3C0, index], ["out", 0x3C0, value]]
        return [*ops, ["out", 0x3C0, 0x20 if show else 0x00]]

    def bits(self, n: int) -> int:
        return self.random.getrandbits(n)

    def mode(self) -> list[Op]:
        """A BIOS mode, sometimes unchained, often with fewer lines and columns."""
        r = self.random
        mode = MODES[r.choice([*MODES, 0x13, 0x13, 0x13])]
        sequencer = dict(enumerate(mode.sequencer, 1))
        crtc, graphics = dict(enumerate(mode.crtc)), dict(enumerate(mode.graphics))
        if mode.number == 0x13 and r.random() < 0.6:
            sequencer[4] = 6
            crtc |= MODE_X
        if r.random() < 0.8:
            crtc[0x01] = r.choice((3, 7, 10, 19, 20))
            lines = r.choice((15, 31, 47, 63, 64, 95))
            crtc |= {0x12: lines, 0x07: crtc[7] & ~0x42}
            if r.random() < 0.6:  # within reach of a split: line compare below 256
                crtc |= {0x07: crtc[7] & ~0x10, 0x09: crtc[9] & ~0x40, 0x18: r.choice((lines, 20))}
            if r.random() < 0.5:
                crtc[0x13] = r.choice((2, 5, 10, 11, 20, 0))
        self.crtc = COLOUR if mode.misc & 1 else MONO
        self.window = WINDOWS[GRAPHICS_PLACES["memory_map"].read(graphics)]
        self.dispi = False
        ops: list[Op] = [["outw", 0x1CE, 4], ["outw", 0x1CF, 0], ["out", 0x3C2, mode.misc]]
        ops += [["out", 0x3C8, 0], ["outs", 0x3C9, default_palette(mode.palette).hex()]]
        ops += [["inx", self.crtc + 6]]
        for i, value in enumerate(mode.attribute + b"\0"):
            ops += [["out", 0x3C0, i], ["out", 0x3C0, value]]
        ops += self.indexed(0x3C4, sequencer) + self.indexed(0x3CE, graphics)
        crtc[0x11] &= 0x7F
        ops += self.indexed(self.crtc, {0x11: 0} | crtc)
        if mode.is_text:
            ops += self.font(r.randrange(8) if r.random() < 0.2 else 0, sequencer, graphics)
        if r.random() < 0.7:
            start, size = self.window
            text = bytes(r.choices(range(256), k=min(size, 4096)))
            ops.append(["copy-in", start, text.hex()])
        ops.append(["out", 0x3C0, 0x20])
        return ops

    def font(self, number: int, sequencer: dict[int, int], graphics: dict[int, int]) -> list[Op]:
        planar = self.indexed(0x3C4, {2: 4, 4: 6})
        planar += self.indexed(0x3CE, {1: 0, 3: 0, 5: 0, 6: 4, 8: 0xFF})
        glyphs = plane_2_bytes(bundled_font(self.random.choice((8, 14, 16))))
        restored = self.indexed(0x3C4, {i: sequencer[i] for i in (2, 4)})
        restored += self.indexed(0x3CE, {i: graphics[i] for i in (1, 3, 5, 6, 8)})
        return [*planar, ["copy-in", 0xA0000 + FONT_ADDRESS[number], glyphs.hex()], *restored]

    def crtc_step(self) -> list[Op]:
        r = self.random

        def small() -> int:
            return r.choice((0, 1, 2, 39, 40, 80, 81, self.bits(8)))

        index, value = r.choice((
            (0x0C, self.bits(8)), (0x0C, r.choice((0x1F, 0x20, 0x40))), (0x0D, small()),
            (0x0D, self.bits(8)),
            (0x08, self.bits(7)), (0x08, self.bits(3)), (0x09, self.bits(8)),
            (0x09, r.choice((0x00, 0x01, 0x80, 0x81, 0x4F, 0x47, 0x02, 0x0F))),
            (0x0A, self.bits(6)), (0x0A, self.bits(3)), (0x0B, 8 | self.bits(4)), (0x0E, 0),
            (0x0F, small()), (0x13, small()), (0x14, self.bits(7)), (0x14, 0x1F), (0x14, 0x40),
            (0x17, 0xE3), (0x17, 0xA3), (0x17, 0x83), (0x17, 0x80 | self.bits(7)),
            (0x18, r.randrange(96)), (0x18, r.randrange(96)), (0x18, 0xFF),
            (0x07, r.choice((0x0D, 0x0D, 0x1D))), (0x01, r.choice((3, 9, 19, 20, 39))),
            (0x12, r.choice((15, 31, 62, 63, 95))),
        ))  # fmt: skip
        ops = self.indexed(self.crtc, {index: value})
        if index in (0x0E, 0x0F) and r.random() < 0.5:
            ops += self.indexed(self.crtc, {0x0A: self.bits(3), 0x0B: 0x0E})
        return ops

    def attribute_step(self) -> list[Op]:
        r = self.random
        mode = r.choice((0x00, 0x01, 0x41, 0x04, 0x0C, 0x08, 0x09, 0x21, 0x61, 0x81, self.bits(8)))
        index, value = r.choice((
            (r.randrange(16), self.bits(6)), (r.randrange(16), self.bits(6)), (0x10, mode),
            (0x10, mode), (0x11, self.bits(8)), (0x12, r.choice((15, 15, self.bits(4)))),
            (0x13, self.bits(4)), (0x13, self.bits(4)), (0x13, 0), (0x13, 8), (0x14, self.bits(4)),
        ))  # fmt: skip
        return self.attribute(index, value, show=r.random() < 0.95)

    def show_step(self) -> list[Op]:
        """The picture off and on: AR index bit 5."""
        return [["inx", self.crtc + 6], ["out", 0x3C0, self.random.choice((0x00, 0x20, 0x20))]]

    def sequencer_step(self) -> list[Op]:
        r = self.random
        index, value = r.choice((
            (1, r.choice((0, 1, 8, 9))), (1, r.choice((0x20, 0x21))), (1, r.choice((0, 1))),
            (2, 15), (2, self.bits(4)), (2, 3), (3, self.bits(6)), (3, 0),
            (4, r.choice((2, 6, 0xE, 0xA, self.bits(4)))), (4, 6),
        ))  # fmt: skip
        return self.indexed(0x3C4, {index: value})

    def graphics_step(self) -> list[Op]:
        r = self.random
        index, value = r.choice((
            (0, self.bits(4)), (1, self.bits(4)), (1, 0), (2, self.bits(4)), (3, self.bits(5)),
            (3, 0), (4, self.bits(2)), (5, self.bits(2)), (5, r.choice((0, 0x10, 0x20, 0x40))),
            (5, self.bits(7)), (6, self.bits(4)), (7, self.bits(4)), (8, self.bits(8)), (8, 0xFF),
        ))  # fmt: skip
        if index == 6 and r.random() < 0.7:
            value = value & 3 | (MODES[0x12].graphics[6] & 0xC)
        return self.indexed(0x3CE, {index: value})

    def dac_step(self) -> list[Op]:
        r = self.random
        kind = r.random()
        if kind < 0.2:
            return [["out", 0x3C6, r.choice((0xFF, 0xFF, self.bits(8), 0x0F))]]
        if kind < 0.4:  # a partial triple, or one that another index write cuts off
            return [["out", 0x3C8, self.bits(4)], ["outs", 0x3C9, self.bytes(r.randrange(1, 6))]]
        if kind < 0.5:
            return [["out", 0x3C7, self.bits(8)], *[["in", 0x3C9]] * r.randrange(1, 5)]
        colours = self.bytes(3 * r.choice((1, 1, 16, 40)))
        return [["out", 0x3C8, self.bits(r.choice((4, 6, 8)))], ["outs", 0x3C9, colours]]

    def misc_step(self) -> list[Op]:
        r = self.random
        value = r.choice((0x67, 0x63, 0xE3, 0x66, 0x61, 0x63, 0x47, 0xA3))
        self.crtc = COLOUR if value & 1 else MONO
        return [["out", 0x3C2, value]]

    def dispi_step(self) -> list[Op]:
        r = self.random
        if not self.dispi or r.random() < 0.1:
            self.dispi = r.random() < 0.9
            flags = r.choice((0x41, 0xC1, 0x61, 0xE1, 0xD1)) if self.dispi else 0
            size = {
                1: r.choice((8, 40, 63, 64, 128)),
                2: r.choice((1, 7, 40, 65)),
                3: r.choice(BPPS),
            }
            writes = {4: 0} | size | {4: flags}
            # Off, size, on: a dict keeps one value an index, so "off" goes first by itself.
            return self.dispi_writes({4: 0}) + self.dispi_writes(writes | {4: flags})
        index, value = r.choice((
            (6, r.choice((64, 80, 100, 160, 333))), (8, r.choice((0, 1, 4, 8, self.bits(6)))),
            (9, r.choice((0, 1, 40, self.bits(10), self.bits(13)))), (5, self.bits(4)),
            (4, r.choice((0xC1, 0xE1, 0xD1))),
        ))  # fmt: skip
        return self.dispi_writes({index: value})

    def dispi_writes(self, values: dict[int, int]) -> list[Op]:
        return [op for i, v in values.items() for op in (["outw", 0x1CE, i], ["outw", 0x1CF, v])]

    # --- memory -------------------------------------------------------------------------------

    def bytes(self, count: int) -> str:
        r = self.random
        if r.random() < 0.3:
            return (bytes([self.bits(8)]) * count).hex()
        return r.randbytes(count).hex()

    def place(self, room: int) -> int:
        """An address in a window, mostly near its start, with `room` bytes above it."""
        r = self.random
        start, size = (
            self.window
            if r.random() < 0.8
            else r.choice(
                ((0xA0000, 0x20000), (0xA0000, 0x10000), (0xB0000, 0x8000), (0xB8000, 0x8000))
            )
        )
        reach = min(size, r.choice((100, 400, 2000, 8192, size)))
        return min(start + r.randrange(reach), 0xC0000 - room)

    def memory_step(self) -> list[Op]:
        r = self.random
        count = r.choice((1, 2, 3, 8, 80, 160, 333, 1000, 5000))
        at = self.place(max(count, 4))
        return [r.choice((
            ["w8", at, self.bits(8)], ["w16", at, self.bits(16)], ["w32", at, self.bits(32)],
            ["copy-in", at, self.bytes(count)], ["fill", at, count, self.bits(8)],
            ["copy", self.place(count), at, count], ["rx", at], ["rn", at, min(count, 8)],
            ["w8", at, self.bits(8)], ["w16", at & ~1, self.bits(16)], ["r16", at],
        ))]  # fmt: skip

    def linear_step(self) -> list[Op]:
        r = self.random
        count = r.choice((1, 3, 100, 4096, 9000))
        reach = r.choice((400, 4096, 64 << 10, self.vram_bytes))
        at = min(r.randrange(reach), self.vram_bytes - count)
        return [r.choice((["lfb", at, self.bytes(count)], ["lfbfill", at, count, self.bits(8)]))]

    def glyph_step(self) -> list[Op]:
        """One glyph of some font, as `set_mode` loads them."""
        r = self.random
        ops = self.indexed(0x3C4, {2: 4, 4: 6}) + self.indexed(0x3CE, {5: 0, 6: 4, 8: 0xFF})
        at = 0xA0000 + r.choice(FONT_ADDRESS[:2]) + 32 * self.bits(8)
        ops.append(["copy-in", at, self.bytes(r.choice((1, 16, 32)))])
        return ops + self.indexed(0x3C4, {2: 3, 4: 2}) + self.indexed(0x3CE, {5: 0x10, 6: 0xE})


#: How often each kind of step is taken, in times when registers are written and when memory is.
REGISTERS: dict[Callable[[Tape], list[Op]], int] = {
    Tape.memory_step: 20,
    Tape.crtc_step: 20,
    Tape.attribute_step: 10,
    Tape.sequencer_step: 4,
    Tape.graphics_step: 8,
    Tape.dac_step: 6,
    Tape.show_step: 1,
    Tape.misc_step: 1,
    Tape.dispi_step: 3,
    Tape.mode: 3,
}
MEMORY: dict[Callable[[Tape], list[Op]], int] = {
    Tape.memory_step: 80,
    Tape.linear_step: 10,
    Tape.glyph_step: 6,
    Tape.graphics_step: 4,
}
#: For tapes that stay in linear modes, where one step of another kind would end that too soon.
LINEAR: dict[Callable[[Tape], list[Op]], int] = {
    Tape.dispi_step: 20,
    Tape.dac_step: 6,
    Tape.attribute_step: 2,
    Tape.memory_step: 10,
}


def random_ops(seed: int, vram_bytes: int = 1 << 20) -> Iterator[list[Op]]:
    """Steps without end; each is a list of operations."""
    tape = Tape(seed, vram_bytes)
    r = tape.random
    yield tape.mode()
    registers = LINEAR if r.random() < 0.2 else REGISTERS
    while True:
        for weights in (registers, MEMORY):
            for step in r.choices(list(weights), list(weights.values()), k=r.randrange(1, 12)):
                yield step(tape)
