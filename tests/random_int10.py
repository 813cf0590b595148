"""Seeded random calls of INT 10h, here and in DOSBox: both must leave the same.

``python random_int10.py FIRST COUNT`` plays so many sequences from a seed on, and prints those that
DOSBox ends otherwise. Left out is what `int10_table` knows to be otherwise there: what a mode set
says of the cursor, fonts (of glyphs, only the blank and the full block are drawn), options.
"""

from __future__ import annotations

import random
import sys

from int10_dosbox import play_all
from int10_run import Bench, builtin, found, play, registers
from int10_table import Row

#: Mode -> columns, rows, pages, and the first byte and the size of its memory; planes have none.
MODES = {
    0x01: (40, 25, 8, 0xB8000, 0x8000), 0x03: (80, 25, 8, 0xB8000, 0x8000),
    0x07: (80, 25, 8, 0xB0000, 0x8000), 0x04: (40, 25, 1, 0xB8000, 0x4000),
    0x06: (80, 25, 1, 0xB8000, 0x4000), 0x0D: (40, 25, 8, 0, 0), 0x0E: (80, 25, 4, 0, 0),
    0x10: (80, 25, 2, 0, 0), 0x12: (80, 30, 1, 0, 0), 0x13: (40, 25, 1, 0xA0000, 64000),
}  # fmt: skip
TEXT = (0x01, 0x03, 0x07)
#: Words and bytes of the data area; 40:60 follows the mode set there.
AREA = (
    *(f"40:{at:02X}=0000" for at in (0x4A, 0x4C, 0x4E, *range(0x50, 0x60, 2), 0x63, 0x85)),
    *(f"40:{at:02X}=00" for at in (0x49, 0x62, 0x65, 0x66, 0x84, 0x87, 0x89)),
)
#: What DOSBox has otherwise in the registers of modes: AR12 of a CGA's, AR10 of mode 7.
ATTRIBUTES = {0x04: set(range(0x15)) - {0x12}, 0x07: set(range(0x15)) - {0x10}}
CURSORS = (0x0607, 0x0007, 0x0507, 0x2000, 0x0D0E, 0x0B0C, 0x0102, 0x0004, 0x0A09)
#: Places of memory that are looked at: of what was changed, and any.
CHANGED, ANY = 12, 4


class Caller:
    """Who makes up calls for a mode."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.mode = self.random.choice(tuple(MODES))
        self.columns, self.rows, self.pages, self.base, self.size = MODES[self.mode]
        self.is_text = self.mode in TEXT

    def _place(self) -> int:
        return self.random.randrange(self.rows) << 8 | self.random.randrange(self.columns)

    def _colour(self) -> int:
        colour = self.random.randrange(256)
        return colour | 1 if self.mode == 6 else colour  # of two colours it is the other one

    def _page(self) -> int:
        return self.random.randrange(self.pages) << 8

    def _character(self) -> int:
        return self.random.choice((0x41, 0xDB, 0x5A) if self.is_text else (0xDB, 0x20))

    def scroll(self) -> str:
        one, other = self._place(), self._place()
        top, bottom = sorted((one >> 8, other >> 8))
        left, right = sorted((one & 0xFF, other & 0xFF))
        fill = self._colour()
        if self.mode in (4, 6):
            fill = 0xFF * (fill & 1)  # DOSBox repeats a colour
        elif not self.base:
            fill &= 0x0F
        lines = self.random.randrange(bottom - top + 2)
        return (
            f"AX={self.random.choice((6, 7)):02X}{lines:02X} BX={fill:02X}00 "
            f"CX={top << 8 | left:04X} DX={bottom << 8 | right:04X}"
        )

    def write(self) -> str:
        page = 0 if self.mode == 0x13 else self._page()  # where it is a colour
        return (
            f"AX={self.random.choice((9, 0x0A)):02X}{self._character():02X} "
            f"BX={page | self._colour():04X} CX={self.random.randrange(1, 6):04X}"
        )

    def string(self) -> str:
        pairs = (f"{self._character():02X}{self.random.randrange(10, 128):02X}" for _ in range(5))
        # Attributes as characters are other glyphs; 9 DOSBox takes for a tabulator.
        options = self.random.randrange(0 if self.is_text else 2, 4)
        return (
            f"2000:0000={''.join(pairs)}; AX=13{options:02X} "
            f"BX={self._page() | self._colour() & 0x7F:04X} CX={self.random.randrange(1, 5):04X} "
            f"DX={self._place():04X} ES=2000 BP=0000"
        )

    def teletype(self) -> str:
        code = self.random.choice((self._character(), self._character(), 7, 8, 10, 13))
        return f"AX=0E{code:02X} BX={self._colour():04X}"

    def pixel(self) -> str:
        x, y = self.random.randrange(8 * self.columns), self.random.randrange(8 * self.rows)
        call = self.random.choice((0x0C, 0x0D)) << 8 | self._colour()
        return f"AX={call:04X} BX={self._page():04X} CX={x:04X} DX={y:04X}"

    def cursor(self) -> str:
        return self.random.choice((
            f"AX=0100 CX={self.random.choice(CURSORS):04X}",
            f"AX=0200 BX={self._page():04X} DX={self._place():04X}",
            f"AX=05{self._page() >> 8:02X}",
            f"AX=0800 BX={self._page():04X}",
            "AX=0F00",
        ))  # fmt: skip

    def colours(self) -> str:
        number = self.random.randrange
        red, green, blue = number(64), number(64), number(64)
        calls = [
            f"AX=1000 BX={number(64):02X}{number(16):02X}", f"AX=1001 BX={number(64):02X}00",
            f"AX=1003 BX={number(2):04X}", f"AX=1007 BX={number(16):04X}",
            f"AX=1010 BX={number(16):04X} CX={green:02X}{blue:02X} DX={red:02X}00",
            f"AX=1013 BX={self.random.choice((0x0000, 0x0101, 0x0301)):04X}",
            f"AX=1015 BX={number(16):04X}", f"AX=1018 BX={number(256):04X}", "AX=101A",
            f"AX=12{number(2):02X} BX={self.random.choice((0x31, 0x33, 0x34)):04X}",
        ]  # fmt: skip
        if self.mode != 7:  # IBM's leaves monochrome modes alone
            calls += [f"AX=0B00 BX={number(32):04X}", f"AX=0B00 BX=010{number(2)}"]
        return self.random.choice(calls)

    def sequence(self) -> Row:
        """A mode set and some calls; what they leave here is what is expected."""
        kinds = (
            self.scroll, self.write, self.string, self.teletype, self.teletype, self.pixel,
            self.cursor, self.cursor, self.colours,
        )  # fmt: skip
        steps = [f"AX={self.mode:04X}"]
        steps += [self.random.choice(kinds)() for _ in range(self.random.randrange(1, 6))]
        *before, call = "; ".join(steps).split("; ")
        with builtin() as bench:
            for step in ("40:87=60 40:88=F9 40:89=51", "AX=0003", *before, call):
                play(bench, step)
            after = self._left(bench)
        return Row("", "", "-", "; ".join(before), call, after, {}, "")

    def _left(self, bench: Bench) -> str:
        words = [f"{name.upper()}={value:04X}" for name, value in registers(bench.cpu).items()]
        attributes = ATTRIBUTES.get(self.mode, range(0x15))
        looked_at = [*AREA, "MASK=00", "DAC02=000000", "DAC07=000000"]
        looked_at += [f"AR{index:02X}=00" for index in sorted(attributes)]
        looked_at += [f"CR{index:02X}=00" for index in range(0x0C, 0x10)]
        for word in looked_at + self._memory(bench):
            name, _, digits = word.partition("=")
            words.append(f"{name}={found(bench, name, digits)}")
        return " ".join(words)

    def _memory(self, bench: Bench) -> list[str]:
        """Words or bytes of it, as they are named."""
        choose = self.random.sample
        if not self.base:
            vram = bytes(bench.vga.slot.memory[:0x40000])
            changed = [at for at, value in enumerate(vram) if value]
            places = choose(changed, min(CHANGED, len(changed))) + choose(range(0x20000), ANY)
            return [f"P{at & 3}:{at >> 2:04X}=00" for at in sorted(set(places))]
        data = bench.bus.read(self.base, self.size)
        blank = b"\x20\x07" if self.is_text else b"\0\0"
        every = range(0, self.size, 2)
        changed = [at for at in every if data[at : at + 2] != blank]
        places = choose(changed, min(CHANGED, len(changed))) + choose(every, ANY)
        return [f"{self.base >> 4:04X}:{at:04X}=0000" for at in sorted(set(places))]


def otherwise(first: int, count: int) -> list[str]:
    """What DOSBox does otherwise in sequences from a seed on, a line each."""
    facts = [Caller(seed).sequence() for seed in range(first, first + count)]
    return [
        f"{seed}: {row.before}; {row.call}: {' '.join(wrong)}"
        for seed, (row, wrong) in enumerate(zip(facts, play_all(facts), strict=True), first)
        if wrong
    ]


if __name__ == "__main__":
    print(*otherwise(int(sys.argv[1]), int(sys.argv[2])), sep="\n")
