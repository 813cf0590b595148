"""Seeded random registers at random places of the beam, on a `Vga`, against `beam_model`.

``python random_beams.py FIRST COUNT`` plays so many series from a seed on, and says which differ.
Pictures are small: some 12 characters and 30 lines.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import numpy as np
from beam_harness import differences, planes_of, registers_of
from beam_model import border_sizes, picture
from beam_registers import Access, timing_of
from shadow import Watched

from vgaemu.display.screen import blink_shown
from vgaemu.memslot import Memslot
from vgaemu.snapshot import take
from vgaemu.vga.beam import VirtualBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.state import check_device, restore_device

MODES = (0x01, 0x03, 0x04, 0x06, 0x0D, 0x0E, 0x10, 0x11, 0x12, 0x13, "320x240 unchained")
#: Fields of a series.
FIELDS = 5
#: What writing to a port takes.
COSTS_NS = (0, 40, 333, 1000, 1033)


class RandomBeam:
    """One series: a device in some mode, what is done to it, and who looks."""

    def __init__(self, seed: int) -> None:
        self.random = r = random.Random(seed)
        self.vga = vga = Vga(Memslot(64))
        self.mode = r.choice(MODES)
        set_mode(vga, self.mode)
        vga.beam = self.beam = VirtualBeam()
        self.beam.place(None)
        self._shrink()
        rng = np.random.default_rng(seed)
        vga.slot.array[:] = rng.integers(0, 256, vga.slot.nbytes, np.uint8)
        vga.slot.mark_dirty(0, vga.slot.nbytes)
        for value in rng.integers(0, 64, 768).tolist():
            vga.outb(0x3C9, value)
        self.base = 0x3D0 if vga.misc.values[0] & 1 else 0x3B0
        self.accesses: list[Access] = []
        self.text = not vga.graphics.values[6] & 1
        for _ in range(r.choice((0, 4, 12))):
            self.write()
        self.beam.ns = r.choice((0, r.randrange(20_000_000), r.randrange(20_000_000_000)))
        self.accesses.clear()
        self.registers = registers_of(vga)
        self.timing = timing_of(self.registers)
        self.border = r.random() < 0.4
        self.watched = Watched(vga, border=self.border)
        #: How many colours each picture had that was looked at.
        self.colours: list[int] = []

    def _shrink(self) -> None:
        """Fewer characters and lines, with a blanking around them."""
        r, crtc = self.random, self.vga.crtc
        shown, lines = r.randrange(4, 15), r.randrange(8, 40)
        total = lines + r.randrange(12, 24)
        for index, value in (
            (0x11, 0x00), (0x00, shown + 6), (0x01, shown - 1),
            (0x02, shown), (0x03, 0x80 | shown + 10 - r.randrange(4)), (0x05, 0x00),
            (0x06, total - 2), (0x07, 0x10), (0x10, lines + 3), (0x12, lines - 1),
            (0x15, lines + 1), (0x16, total - 1 - r.randrange(4)), (0x11, lines + 5 & 0x0F),
            (0x18, r.choice((0xFF, r.randrange(lines)))), (0x13, r.choice((shown, 20, 40))),
            (0x09, crtc.values[9] & ~0x60), (0x0E, 0), (0x0F, r.randrange(2 * shown)),
        ):  # fmt: skip
            self.vga.outb(0x3D4, index)
            self.vga.outb(0x3D5, value)

    # What is written. Each leaves the mode as it is.

    def out(self, port: int, value: int) -> None:
        """At the beam's place; the next one comes later."""
        self.accesses.append(Access(self.beam.ns, "out", port, 1, value))
        self.vga.outb(port, value)
        self.beam.ns += self.random.choice(self.costs)

    def look(self) -> None:
        self.accesses.append(Access(self.beam.ns, "in", self.base + 0xA, 1, 0))
        self.vga.inb(self.base + 0xA)

    def indexed(self, port: int, index: int, value: int) -> None:
        self.out(port, index)
        self.out(port + 1, value)

    def crtc(self, index: int, value: int) -> None:
        self.indexed(self.base + 4, index, value)

    def attribute(self, index: int, value: int) -> None:
        """A palette register's picture is off for a moment, or for long."""
        self.look()
        self.out(0x3C0, index)
        self.out(0x3C0, value)
        if not index & 0x20 and self.random.random() < 0.97:
            self.out(0x3C0, 0x20)

    def dac_entry(self) -> None:
        r = self.random
        self.out(0x3C8, r.choice((0, 7, 0x3F, r.randrange(256))))
        for _ in range(3 * r.choice((1, 1, 1, 4, 20))):
            self.out(0x3C9, r.randrange(64))

    def attribute_mode(self) -> None:
        """AR10, but for what makes a mode."""
        if self.text:
            self.to_blanking()
        value = self.vga.attribute.values[0x10]
        self.attribute(0x30, value & 0x41 | self.random.getrandbits(8) & 0xAC)

    def fonts(self) -> None:
        self.to_blanking()
        self.indexed(0x3C4, 3, self.random.getrandbits(6))

    def addressing(self) -> None:
        """CR14 and CR17: bits that make addresses, and the underline."""
        self.to_blanking()
        r, crtc = self.random, self.vga.crtc.values
        if r.random() < 0.5:
            self.crtc(0x14, r.choice((0, 0x40)) | r.randrange(32))
        else:
            self.crtc(0x17, crtc[0x17] & 0x9C | r.getrandbits(8) & 0x63)

    def rows(self) -> None:
        """CR09: row height, doubling; CR13."""
        r = self.random
        if r.random() < 0.5:
            self.crtc(9, r.choice((0, 1, 3, 7, 15, 31, r.randrange(32))) | r.choice((0, 0x80)))
        else:
            self.crtc(0x13, r.choice((0, 1, 10, 20, 40, 80, r.randrange(256))))

    def split(self) -> None:
        lines = self.timing_lines
        self.crtc(0x18, self.random.choice((0xFF, self.random.randrange(lines))))

    def latched(self) -> None:
        r = self.random
        which = r.randrange(6)
        if r.random() < 0.2:
            self.to_retrace()
        if which == 0:
            self.attribute(0x33, r.randrange(16))
        elif which == 1:
            self.crtc(8, r.getrandbits(7))
        elif which == 2:
            self.crtc(0x0C, r.choice((0, 0, 1, 0x80)))
        elif which == 3:
            self.crtc(0x0D, r.getrandbits(8))
        else:
            self.crtc(0x0F, r.randrange(40))

    def cursor(self) -> None:
        self.crtc(self.random.choice((0x0A, 0x0B)), self.random.choice((0, 5, 13, 0x20, 31)))

    def screen_off(self) -> None:
        value = self.vga.sequencer.values[1] & ~0x20
        self.indexed(0x3C4, 1, value | self.random.choice((0, 0, 0, 0x20)))

    def compare_bits(self) -> None:
        """The line compare's bits in CR07 and CR09."""
        crtc = self.vga.crtc.values
        if self.random.random() < 0.5:
            self.crtc(7, crtc[7] ^ 0x10)
        else:
            self.crtc(9, crtc[9] ^ 0x40)

    def another_mode(self) -> None:
        """Another size, or shift: no raster effect."""
        r, vga = self.random, self.vga
        match r.randrange(3):
            case 0:
                self.crtc(0x01, vga.crtc.values[1] + r.choice((-1, 1)))
            case 1:
                self.crtc(0x12, vga.crtc.values[0x12] + r.choice((-1, 1)))
            case 2:
                self.indexed(0x3CE, 5, vga.graphics.values[5] ^ 0x20)

    def bytes_stored(self) -> None:
        r, slot = self.random, self.vga.slot
        at, count = r.choice((0, r.randrange(0x3F000))) + r.randrange(400), r.randrange(1, 60)
        slot.array[at : at + count] = np.frombuffer(r.randbytes(count), np.uint8)
        slot.mark_dirty(at, count)

    WRITES: tuple[tuple[Callable[[RandomBeam], None], float], ...] = (
        (dac_entry, 6),
        (lambda self: self.out(0x3C6, self.random.choice((0xFF, self.random.getrandbits(8)))), 2),
        (lambda self: self.attribute(self.random.randrange(16), self.random.getrandbits(6)), 4),
        (attribute_mode, 2),
        (lambda self: self.attribute(0x32, self.random.choice((15, self.random.randrange(16)))), 2),
        (lambda self: self.attribute(0x34, self.random.randrange(16)), 2),
        (lambda self: self.attribute(0x31, self.random.getrandbits(8)), 2),
        (fonts, 1), (addressing, 1), (rows, 4), (split, 3), (latched, 3), (cursor, 1),
        (screen_off, 1), (compare_bits, 1), (bytes_stored, 2), (another_mode, 0.05),
    )  # fmt: skip

    def write(self) -> None:
        """Something."""
        self.costs = COSTS_NS
        choices, weights = zip(*self.WRITES, strict=True)
        self.random.choices(choices, weights)[0](self)

    # When.

    @property
    def timing_lines(self) -> int:
        return self.vga.crtc.values[0x12] + 1

    def to_blanking(self) -> None:
        """On to the end of a line, and stay there."""
        self.costs = (0,)
        timing = timing_of(registers_of(self.vga))
        line = timing.dots_a_line * 1_000_000_000 // timing.clock_hz
        shown = timing.shown_dots * 1_000_000_000 // timing.clock_hz
        at = timing.line_of(self.beam.ns) * timing.dots_a_line * 1_000_000_000 // timing.clock_hz
        self.beam.ns = max(self.beam.ns, at + shown + self.random.randrange((line - shown) // 2))

    def to_retrace(self) -> None:
        """On to somewhere near the next vertical retrace."""
        timing = timing_of(registers_of(self.vga))
        line = timing.line_of(self.beam.ns)
        wanted = timing.retrace_begin + self.random.randrange(-2, 4)
        wanted += line // timing.lines * timing.lines
        dots = max(wanted - line, 0) * timing.dots_a_line
        self.beam.ns += dots * 1_000_000_000 // timing.clock_hz

    def play(self) -> str:
        """How a picture differs from the model's; nothing: none does."""
        r, timing = self.random, self.timing
        field = timing.dots * 1_000_000_000 // timing.clock_hz
        end = self.beam.ns + FIELDS * field
        first_look = self.beam.ns + 2 * field
        busy = r.choice((3, 20, 60))
        while self.beam.ns < end:
            self.beam.is_exact = True
            for _ in range(r.randrange(busy)):
                self.write()
                self.beam.ns += r.choice((0, r.randrange(2_000), r.randrange(field // busy + 1)))
            self.beam.ns += r.randrange(field)
            self.beam.is_exact = False
            if self.beam.ns > first_look or r.random() < 0.2:
                found = self.compare()
                if found and self.beam.ns > first_look:
                    return f"{self.mode} at {self.place()}: {found}"
            if r.random() < 0.2:
                self.save_and_load()
        return ""

    def save_and_load(self) -> None:
        """Another device goes on where this one is."""
        arrays = take(self.vga.parts())
        self.vga = vga = Vga(Memslot(64))
        check_device(vga, arrays, "this")
        vga.beam = self.beam
        restore_device(vga, arrays)
        self.watched = Watched(vga, border=self.border)

    def place(self) -> str:
        timing = self.timing
        field, line = divmod(timing.line_of(self.beam.ns), timing.lines)
        return f"field {field}, line {line} of {timing.shown_lines}"

    def compare(self) -> str:
        """Draw a frame, as a display with a shadow sees it, and as the model does."""
        self.watched.frame()
        self.colours.append(len(np.unique(self.watched.display.frame)))
        drawn, model = (
            self.watched.display.frame,
            picture(
                self.registers, self.accesses, planes_of(self.vga), self.beam.ns,
                blink_shown=blink_shown(self.watched.loop.screen.frame_number), border=self.border,
            ),
        )  # fmt: skip
        if self.border:
            # What is written in the vertical blanking does not reach the border there.
            drawn = drawn.repeat(model.shape[0] // drawn.shape[0], 0)
            top = border_sizes(registers_of(self.vga), self.timing)[1][0] + 1
            drawn, model = (whole[top : top + self.timing_lines - 1] for whole in (drawn, model))
        return differences(drawn, model)


def main(first: int, count: int) -> int:
    """Play series from a seed on."""
    wrong = 0
    for seed in range(first, first + count):
        try:
            found = RandomBeam(seed).play()
        except AssertionError as error:
            found = f"shadow: {error}"
        if found:
            wrong += 1
            print(f"seed {seed}: {found}")
    print(f"{wrong} of {count} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
