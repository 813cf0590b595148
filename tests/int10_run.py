"""Rows of `int10_table` played: on the builtin BIOS, on a board, and on a ROM, in a PC.

A step is words of ``NAME=HEX``: registers, for a call of INT 10h; bytes and words of memory, as
``40:49=03`` and ``B800:0000=0741``, which are put first. What a call leaves is said in the same
words, and more: ``CR0A`` ``SR01`` ``GR06`` ``AR10`` ``MISC`` ``MASK`` are registers of the VGA,
``DAC07=2A1500`` a colour, ``P2:0050`` a plane's bytes, ``INT43=2000:0000`` a vector, ``FONT43=0E``
that it leads to a font of so many lines. ``AX=*`` may be anything. Two digits are a byte, four a
word, more are bytes one after another. What is not named of the caller's registers stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from boards import make_board

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import Cpu
from vgaemu.vga.device import Vga

#: Registers of a caller, all but those of the stack; 16 bits of each are looked at.
REGISTERS = ("ax", "bx", "cx", "dx", "si", "di", "bp", "ds", "es")
#: Where code that calls a ROM is, and a buffer that rows may use.
CODE, BUFFER_SEGMENT = 0x0600, 0x2000
ANYTHING = "*"
#: Halves of registers, and their bits.
_PARTS = {"H": ("x", 0xFF00), "L": ("x", 0x00FF)}


class Bench(NamedTuple):
    """Something with an INT 10h."""

    cpu: Cpu
    bus: Bus
    vga: Vga
    #: With the registers set.
    interrupt: Callable[[], None]


@contextmanager
def builtin() -> Iterator[Bench]:
    """The BIOS in Python, on a board."""
    board = make_board()
    bios = Bios(board, None)
    bios.video.modes.set_mode(3)

    def interrupt() -> None:
        board.cpu.sp = 0x7000
        bios.calls.new_slice()
        bios.calls.call(0x10)
        while bios.calls.unfinished:
            bios.calls.new_slice()
            bios.calls.call(0x10)

    yield Bench(board.cpu, board.bus, board.vga, interrupt)


@contextmanager
def rom(path: str) -> Iterator[Bench]:
    """A ROM, on Unicorn."""
    from x86_helpers import disk, make_pc

    with TemporaryDirectory() as folder, make_pc(disk(Path(folder), b"\xf4"), vga_bios=path) as pc:
        pc.bus.write(CODE, bytes.fromhex("CD10 FA F4"))

        def interrupt() -> None:
            pc.cpu.halted = False
            pc.cpu.set_registers(cs=0, eip=CODE, ss=0, esp=0x7000, eflags=2)
            pc.clock.start()
            try:
                for _ in range(200):
                    pc.cpu.run(pc.clock.now_ns() + 10_000_000)
                    if pc.cpu.halted:
                        return
            finally:
                pc.clock.stop()
            raise AssertionError("the ROM does not come back")

        yield Bench(pc.cpu, pc.bus, pc.vga, interrupt)


def words(text: str) -> list[tuple[str, str]]:
    """Names and digits of a step.

    >>> words("AX=0003 40:49=07")
    [('AX', '0003'), ('40:49', '07')]
    """
    return [(name, digits) for name, _, digits in (word.partition("=") for word in text.split())]


def in_memory(digits: str) -> bytes:
    """What digits stand for in memory."""
    data = bytes.fromhex(digits.replace(":", ""))
    return data[::-1] if len(data) == 2 else data


def place(name: str) -> int:
    """A guest-physical address."""
    segment, offset = name.split(":")
    return (int(segment, 16) << 4) + int(offset, 16)


def given(step: str) -> dict[str, int]:
    """What a step's call has in `REGISTERS`; nothing if it is none.

    Those that it does not name are not 0, and no two are alike: what a call changes is seen.
    """
    said = {name: int(digits, 16) for name, digits in words(step) if ":" not in name}
    whole = {name: 0x5A01 + 0x111 * number for number, name in enumerate(REGISTERS)}
    return whole | {name.lower(): value for name, value in said.items()} if said else {}


def play(bench: Bench, step: str) -> dict[str, int]:
    """Put what it has of memory, and call with what it has of registers: which it returns."""
    for name, digits in words(step):
        if ":" in name:
            bench.bus.write(place(name), in_memory(digits))
    registers = given(step)
    if registers:
        bench.cpu.set_registers(**{_full(name): value for name, value in registers.items()})
        bench.interrupt()
    return registers


def _full(name: str) -> str:
    return name if name in ("ds", "es") else f"e{name}"


def registers(cpu: Cpu) -> dict[str, int]:
    """16 bits of each of `REGISTERS`."""
    return {name: cpu.get(_full(name)) & 0xFFFF for name in REGISTERS}


def _vector(bus: Bus, number: int) -> tuple[int, int]:
    """Segment and offset."""
    return bus.read16(4 * number + 2), bus.read16(4 * number)


def _font_height(bus: Bus, vector: int) -> int:
    """Lines of the glyphs that a vector leads to, told by a blank and by blocks; 0: no font."""
    segment, offset = _vector(bus, vector)
    for height in (8, 14, 16):
        blank, block, upper = (
            bus.read((segment << 4) + offset + height * code, height) for code in (0x20, 0xDB, 0xDF)
        )
        half = upper[0] == 0xFF and upper[-1] == 0
        if not any(blank) and block == b"\xff" * height and half:
            return height
    return 0


def found(bench: Bench, name: str, digits: str) -> str:
    """What there is under a name, in as many digits as were expected."""
    vga, count = bench.vga, len(digits.replace(":", "")) // 2
    banks = {"CR": vga.crtc, "SR": vga.sequencer, "GR": vga.graphics, "AR": vga.attribute}
    if name == "MISC":
        return f"{vga.misc.values[0]:02X}"
    if name == "MASK":
        return f"{vga.dac.mask:02X}"
    if name.startswith("DAC"):
        at = 3 * int(name[3:], 16)
        return bytes(vga.dac.entries[at : at + 3]).hex().upper()
    if name.startswith("INT"):
        return "{:04X}:{:04X}".format(*_vector(bench.bus, int(name[3:], 16)))
    if name.startswith("FONT"):
        return f"{_font_height(bench.bus, int(name[4:], 16)):02X}"
    if name.startswith("P") and name[2] == ":":
        plane, at = int(name[1]), int(name[3:], 16)
        return bytes(vga.slot.memory[4 * at + plane : 4 * (at + count) : 4]).hex().upper()
    if ":" in name:
        data = bench.bus.read(place(name), count)
        return (data[::-1] if count == 2 else data).hex().upper()
    if name[:2] in banks and len(name) == 4:
        return f"{banks[name[:2]].values[int(name[2:], 16)]:02X}"
    full = registers(bench.cpu)
    if name[1] in "HL":
        return f"{full[name[0].lower() + 'x'] >> (8 if name[1] == 'H' else 0) & 0xFF:02X}"
    return f"{full[name.lower()]:04X}"


def kept_bits(after: str) -> dict[str, int]:
    """What of `REGISTERS` a row does not name: the call leaves it.

    >>> hex(kept_bits("AL=12 BX=0003")["ax"])
    '0xff00'
    """
    kept = dict.fromkeys(REGISTERS, 0xFFFF)
    for name, _ in words(after):
        if len(name) == 2:
            half, mask = _PARTS.get(name[1], (name[1].lower(), 0xFFFF))
            kept[name[0].lower() + half] &= ~mask
    return kept


def differences(bench: Bench, before: str, call: str, after: str) -> list[str]:
    """What is not as a row has it, in its words: as it is."""
    for step in before.split(";"):
        play(bench, step)
    started = {}
    for step in call.split(";"):
        started = play(bench, step)
    finished, expected = registers(bench.cpu), words(after)
    wrong = [
        f"{name}={real}"
        for name, digits in expected
        if digits != ANYTHING and (real := found(bench, name, digits)) != digits
    ]
    kept = kept_bits(after)
    return wrong + [
        f"{name.upper()}={finished[name]:04X}"
        for name, old in started.items()
        if (old ^ finished[name]) & kept[name]
    ]


if __name__ == "__main__":
    # python int10_run.py "AX=0003; AX=0100 CX=0607" "CR0A=0D" [ROM]
    with rom(sys.argv[3]) if len(sys.argv) > 3 else builtin() as made:
        print(differences(made, "", sys.argv[1], sys.argv[2]))
