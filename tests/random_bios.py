"""Seeded random calls of the BIOS's services, and what each may change by its documentation.

``python random_bios.py FIRST COUNT [IMAGE]`` makes so many calls of both kinds from a seed on, and
prints those that did most. A polite caller's pointers lead into buffers of its own; a hostile one's
registers, vectors, stack and BIOS data area are anything.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list.
"""

from __future__ import annotations

import random
import struct
import sys
from typing import NamedTuple

from boards import make_board
from work import Functions

from vgaemu.errors import GuestFault
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import CARRY, GENERAL, INTERRUPT, REGISTERS, SEGMENTS, ZERO
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import DiskImage

#: What calls may change besides those of `MAY_CHANGE`, by vector: also calls that there are not.
ALL_MAY_CHANGE = {0x10: "", 0x13: "ah cf", 0x15: "ah cf", 0x16: "", 0x1A: "ah cf"}
#: Vector and AH -> registers and flags.
MAY_CHANGE = {
    (0x10, 0x00): "al", (0x10, 0x03): "ax cx dx", (0x10, 0x04): "ah",
    (0x10, 0x08): "ax", (0x10, 0x0D): "al",
    (0x10, 0x0F): "ax bh", (0x10, 0x10): "bx cx dx", (0x10, 0x11): "es bp cx dx",
    (0x10, 0x12): "al bx cx", (0x10, 0x1A): "ax bx", (0x10, 0x1B): "al", (0x10, 0x1C): "al bx",
    (0x10, 0x4F): "ax bx cx dx es di",
    (0x11, None): "ax", (0x12, None): "ax", (0x14, None): "ax", (0x17, None): "ah",
    (0x13, 0x02): "ax cf", (0x13, 0x03): "ax cf", (0x13, 0x04): "ax cf",
    (0x13, 0x08): "ax bx cx dx es di cf", (0x13, 0x15): "ax cx dx cf", (0x13, 0x18): "ah es di cf",
    (0x13, 0x41): "ax bx cx dh cf", (0x13, 0x42): "ah cf", (0x13, 0x43): "ah cf",
    (0x13, 0x48): "ah cf", (0x15, 0x83): "ah cf", (0x15, 0x86): "ah cf", (0x15, 0x90): "ah cf",
    (0x15, 0x80): "ah cf", (0x15, 0x82): "ah cf", (0x15, 0x85): "ah cf",
    (0x15, 0x24): "ax bx cf", (0x15, 0x4F): "cf", (0x15, 0x87): "ah cf zf", (0x15, 0x88): "ax cf",
    (0x15, 0xC0): "ah bx es cf", (0x15, 0xC2): "ah bx cx dx cf", (0x15, 0xE8): "eax ebx ecx edx cf",
    (0x16, 0x00): "ax", (0x16, 0x10): "ax", (0x16, 0x01): "ax zf", (0x16, 0x11): "ax zf",
    (0x16, 0x02): "al", (0x16, 0x12): "ax", (0x16, 0x03): "bx", (0x16, 0x05): "al",
    (0x16, 0x09): "al", (0x16, 0x0A): "bx", (0x16, 0x92): "ah",
    (0x1A, 0x00): "al cx dx", (0x1A, 0x01): "", (0x1A, 0x02): "cx dx cf", (0x1A, 0x03): "cf",
    (0x1A, 0x04): "cx dx cf", (0x1A, 0x05): "cf", (0x1A, 0xB1): "eax ebx ecx edx cf",
    (0x08, None): "", (0x09, None): "",
}  # fmt: skip
FLAGS = {"cf": CARRY, "zf": ZERO}
#: Where a polite caller's stack and buffers are; memory that is nobody's business.
STACK_SEGMENT, STACK, BUFFERS = 0x7000, 0x7000, (0x2000, 0x3000, 0x4000)
OTHERS = (slice(0x500, 0x20000), slice(0x70000, 0x76000), slice(0x77006, 0xA0000))
WORDS = (0, 1, 2, 0x1E, 0x3E, 0x7F, 0x80, 0xFF, 0x100, 0x400, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
#: The BIOS data area.
AREA = range(0x400, 0x500)


class Played(NamedTuple):
    """A call, and what came of it."""

    vector: int
    #: Registers; flags on the stack.
    before: dict[str, int]
    after: dict[str, int]
    flags: tuple[int, int]
    #: Whether it waits, or was suspended, and is to be asked again.
    waits: bool
    #: Functions called, Python's and C's.
    functions: int

    def __str__(self) -> str:
        registers = " ".join(f"{name}={value:X}" for name, value in self.before.items())
        return f"INT {self.vector:02X}h {registers}"


class Part(NamedTuple):
    """A register, or a part of it."""

    register: str
    mask: int


def part(name: str) -> Part:
    """By its name.

    >>> part("ah")
    Part(register='eax', mask=65280)
    """
    if name in SEGMENTS:
        return Part(name, 0xFFFF)
    if name in GENERAL:
        return Part(name, 0xFFFF_FFFF)
    if name[1] in "hl":
        return Part(f"e{name[0]}x", 0xFF00 if name[1] == "h" else 0x00FF)
    return Part(f"e{name}", 0xFFFF)


def wrong_changes(call: Played) -> list[str]:
    """What it changed and should not have."""
    ah = call.before["eax"] >> 8 & 0xFF
    allowed = MAY_CHANGE.get((call.vector, None), MAY_CHANGE.get((call.vector, ah)))
    names = (ALL_MAY_CHANGE[call.vector] if allowed is None else allowed).split()
    masks = dict.fromkeys(REGISTERS, 0)
    for name in names:
        if name not in FLAGS:
            register, mask = part(name)
            masks[register] |= mask
    if call.waits:  # the stub's own
        masks["eflags"] = CARRY | INTERRUPT
        names = []
        masks |= dict.fromkeys((*GENERAL, *SEGMENTS), 0)
    wrong = [
        f"{name} {call.before[name]:X} -> {call.after[name]:X}"
        for name, mask in masks.items()
        if (call.before[name] ^ call.after[name]) & ~mask
    ]
    before, after = call.flags
    if (before ^ after) & ~sum(FLAGS[name] for name in names if name in FLAGS):
        wrong.append(f"stacked flags {before:X} -> {after:X}")
    return wrong


class RandomBios:
    """A board with a BIOS, and who calls it."""

    def __init__(self, seed: int, image: DiskImage | None = None, *, hostile: bool = False) -> None:
        self.random = random.Random(seed)
        self.hostile = hostile
        self.board: Board = make_board()
        self.bios = Bios(self.board, image)
        self.bios.video.modes.set_mode(self.random.choice((3, 3, 0x12, 0x13)))

    def _number(self) -> int:
        choose = self.random
        number = choose.choice(WORDS) if choose.random() < 0.5 else choose.getrandbits(16)
        return choose.getrandbits(16) << 16 | number

    def _registers(self) -> dict[str, int]:
        choose = self.random
        registers = {name: self._number() for name in GENERAL}
        registers |= {name: choose.getrandbits(16) for name in SEGMENTS}
        registers["eflags"] = choose.getrandbits(16) & 0x8D4 | 2
        if not self.hostile:
            registers |= dict(zip(("ds", "es", "fs"), BUFFERS, strict=True))
            registers |= {"ss": STACK_SEGMENT, "esp": STACK | registers["esp"] & ~0xFFFF}
        return registers

    def _pick(self) -> tuple[int, int]:
        """A vector, and AH."""
        choose = self.random
        vector, ah = choose.choice(tuple(MAY_CHANGE))
        if ah is None or choose.random() < 0.1:
            ah = choose.getrandbits(8)
        # 15h/89h comes back in protected mode, with other segments and another stack.
        return (vector, ah) if (vector, ah) != (0x15, 0x89) else (0x15, 0x88)

    def _prepare(self, registers: dict[str, int], vector: int, ah: int) -> None:
        """Make some calls succeed more often than chance does."""
        choose = self.random
        if (vector, ah) == (0x15, 0x87) and not self.hostile:  # a move to a buffer, not to vectors
            registers["esi"] &= ~0x8000
            at = (registers["es"] << 4) + (registers["esi"] & 0xFFFF)
            segment = struct.pack("<HHBBH", 0xFFFF, 0, BUFFERS[0] >> 12, 0x93, 0)
            self.board.bus.write(at + 0x18, segment)
        if vector == 0x13 and choose.random() < 0.9:
            registers["edx"] = registers["edx"] & ~0xFFFF | choose.choice((0, 0x80))
            registers["ecx"] = registers["ecx"] & ~0xFFFF | choose.choice((1, 1, 2, 0x0101))
        if vector == 0x13 and choose.random() < 0.5:  # a packet of INT 13h/42h
            count, segment = choose.choice((1, 1, 2, 127)), choose.choice(BUFFERS)
            packet = struct.pack("<BBHHHQ", 16, 0, count, self._number() & 0xFFFF, segment, 1)
            at = (registers["ds"] << 4) + (registers["esi"] & 0xFFFF)
            self.board.bus.write(at, packet)
        if vector == 0x15 and choose.random() < 0.5:
            registers["edx"], registers["ebx"] = 0x534D4150, choose.randrange(5)
            registers["eax"] = registers["eax"] & ~0xFF | choose.choice((1, 2, 3, 0x20))
        if choose.random() < 0.7:
            registers["eax"] = registers["eax"] & ~0xFF | choose.randrange(0x20)

    def _disturb(self) -> None:
        """Anything into the BIOS data area, and some of the vectors."""
        choose, bus = self.random, self.board.bus
        for _ in range(choose.choice((0, 1, 4, 64))):
            at = choose.choice((*AREA, 0x41A, 0x41C, 0x480, 0x482))
            bus.write16(at, self._number() & 0xFFFF)
        for _ in range(choose.randrange(3)):
            bus.write32(choose.randrange(0, 0x400, 4), choose.getrandbits(32))

    def play(self) -> Played:
        """Make a call; a service that ends the run raises `GuestFault`."""
        cpu, choose = self.board.cpu, self.random
        if self.hostile:
            self._disturb()
        vector, ah = self._pick()
        registers = self._registers()
        self._prepare(registers, vector, ah)
        registers["eax"] = registers["eax"] & ~0xFF00 | ah << 8
        cpu.set_registers(**registers)
        self.bios.new_slice()
        flags = choose.getrandbits(16) & 0x7FD5 | 2
        cpu.set_stack_word(4, flags)
        frame = cpu.stack_word(0), cpu.stack_word(2)
        before = cpu.registers()
        with Functions() as work:
            self.bios.calls.call(vector)
        after = cpu.registers()
        pushed = before["esp"] - after["esp"] & 0xFFFF  # INT 09h goes on to a hook
        if not self.hostile:
            if pushed == 6 and vector == 0x09:
                after["esp"] = before["esp"]
                cpu.set("esp", before["esp"])
            if (cpu.stack_word(0), cpu.stack_word(2)) != frame:
                raise AssertionError("the caller's frame has changed")
        waits = bool(after["eflags"] & CARRY & ~before["eflags"])
        return Played(vector, before, after, (flags, cpu.stack_word(4)), waits, work.called)


def main(first: int, count: int, name: str | None = None) -> None:
    """Calls of both kinds from a seed on, with a disk image if one is named."""
    worst: dict[int, tuple[int, str]] = {}
    for seed in range(first, first + count // 200):
        for hostile in (False, True):
            image = None if name is None else load_image(name, [])
            assert image is None or isinstance(image, DiskImage)
            caller = RandomBios(seed, image, hostile=hostile)
            for _ in range(100):
                try:
                    call = caller.play()
                except GuestFault:
                    continue
                wrong = [] if hostile else wrong_changes(call)
                if wrong:
                    print(seed, call, wrong)
                worst[call.vector] = max(
                    worst.get(call.vector, (0, "")), (call.functions, f"{seed} {call}")
                )
    for functions, call in worst.values():
        print(functions, call)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
