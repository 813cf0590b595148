"""Random guests of protected mode: right tables of `Protected`, some of them spoilt, and code that
uses them in all the ways that faults come of.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from protected import (
    CODE,
    DIRECTORY,
    GDT,
    HANDLERS,
    IDT,
    LDT_AT,
    PE,
    PG,
    PROGRAM,
    STACK,
    TABLE,
    TASK,
    USER_CODE,
    USER_DATA,
    USER_STACK,
    WP,
    Protected,
    dword,
    gate,
    to_ring_3,
)

#: Physical pages and linear addresses at which something ends, begins, or is something else.
PLACES = (
    0, 0x7000, GDT, IDT, TASK, CODE, STACK, TABLE, 0x9F000, 0xA0000, 0xB8000, 0xC0000, 0xF0000,
    0xFF000, 0x100000, 0xFFF000, 0x1000000, 0xE0000000, 0xE00FF000, 0xFEE00000, 0xFFFFF000,
)  # fmt: skip
LIMITS = (0, 1, 6, 7, 8, 0x27, 0x3F, 0x47, 0x6F, 0x7F, 0x1FF, 0x7FF, 0xFFFF)
SELECTORS = (0, 3, 4, 7, *range(8, 0x50, 8), 0x0B, 0x13, USER_CODE, USER_DATA, 0x3B, 0xFFF8, 0xFFFF)
#: Eflags that change more than arithmetic: TF, IF, IOPL, NT, RF, VM, AC.
FLAGS = (0x100, 0x200, 0x3000, 0x4000, 0x10000, 0x20000, 0x40000)
VECTORS = (0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 0x40, 0x80, 0xFF)


def image(seed: int) -> bytes:
    """A floppy that boots into such a guest."""
    return RandomProtected(random.Random(seed)).guest().image()


class RandomProtected:
    """One guest, made of some random numbers."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def guest(self) -> Protected:
        rng = self._rng
        cr0 = PE | 0x10 | rng.choice((0, PG, PG | WP, PG | WP))
        guest = Protected(cr0=cr0, cr4=rng.choice((0, 0, 0, 0x10, 0x20, 0x80)))
        spoil = (self._descriptor, self._gate, self._entry, self._task, self._byte)
        for _ in range(rng.choice((0, 1, 1, 2, 3, 5, 12))):
            rng.choice(spoil)(guest)
        if rng.random() < 0.5:
            self._returning_handlers(guest)
        if rng.random() < 0.1:
            guest.idtr = self._address(), rng.choice(LIMITS)
        if rng.random() < 0.05:
            guest.gdtr = GDT, rng.choice((0x27, 0x3F, 0x47, 0xFFFF))
        guest.program = self._code(rng.randrange(1, 12))[:0xF00] + b"\xeb\xfe"
        guest.code = self._code(rng.randrange(0, 6))[:0xE00]
        if rng.random() < 0.6:
            guest.code += to_ring_3()
        guest.code += self._code(rng.randrange(0, 4))[:0x100] + b"\xeb\xfe"
        return guest

    def _address(self) -> int:
        rng = self._rng
        near = rng.choice((0, 0, 1, 7, 0xFF8, 0xFFC, 0xFFF, -1, -4, rng.randrange(0x1000)))
        return rng.choice(PLACES) + near & 0xFFFF_FFFF

    # What is spoilt: the tables as they are loaded.

    def _descriptor(self, guest: Protected) -> None:
        rng = self._rng
        at = rng.choice((GDT, GDT, GDT, LDT_AT)) + 8 * rng.randrange(1, 10)
        access = rng.choice((0x9A, 0x92, 0x98, 0x9E, 0xFA, 0xF2, 0x89, 0x82, 0x8C, 0x85, 0x1A))
        value = rng.choice((
            rng.getrandbits(64),
            0x00CF_0000_0000_FFFF | (access if rng.random() < 0.7 else rng.getrandbits(8)) << 40,
            rng.choice((TASK, GDT, 0xA0000)) << 16 | 0x67 | access << 40,
            # A gate for calls or of a task.
            gate_value(HANDLERS, rng.choice(SELECTORS), rng.choice((0xEC, 0x8C, 0xE5, 0x84))),
        ))  # fmt: skip
        guest.put(at, value.to_bytes(8, "little"))

    def _gate(self, guest: Protected) -> None:
        rng = self._rng
        access = rng.choice((0x8E, 0xEE, 0x8F, 0x86, 0x85, 0xE5, 0x0E, rng.getrandbits(8)))
        offset = rng.choice((HANDLERS, CODE, PROGRAM, self._address()))
        vector = rng.choice(VECTORS)
        guest.put(IDT + 8 * vector, gate(offset, rng.choice(SELECTORS), access))

    def _entry(self, guest: Protected) -> None:
        rng = self._rng
        page = rng.choice((GDT, IDT, TASK, HANDLERS, CODE, PROGRAM, USER_STACK, STACK, DIRECTORY))
        at = TABLE + 4 * (page >> 12) if rng.random() < 0.9 else DIRECTORY
        to = page if rng.random() < 0.6 else self._address()
        rights = rng.choice((0, 1, 3, 5, 7, 1, 5, 0x87, 0x27, 0xFFF & rng.getrandbits(12)))
        guest.put(at, dword(to & -4096 | rights))

    def _task(self, guest: Protected) -> None:
        rng = self._rng
        value = rng.choice((self._address(), rng.choice(SELECTORS), rng.getrandbits(32)))
        guest.put(TASK + 4 * rng.choice((0, 1, 2, 7, 8, 9, 14, 19, 20, 24, 25)), dword(value))

    def _byte(self, guest: Protected) -> None:
        rng = self._rng
        at = rng.choice((GDT, IDT, TASK, HANDLERS, TABLE)) + rng.randrange(0x100)
        guest.put(at, bytes((rng.getrandbits(8),)))

    @staticmethod
    def _returning_handlers(guest: Protected) -> None:
        """add esp, 4, where there is an error code; iretd."""
        for vector in range(33):
            drop = b"\x83\xc4\x04" if vector in (8, 10, 11, 12, 13, 14, 17) else b""
            guest.put(HANDLERS + 64 * vector, drop + b"\xcf")

    # Code: a few instructions that have something to do with protection.

    def _code(self, count: int) -> bytes:
        choices: tuple[Callable[[], bytes], ...] = (
            self._int, self._fault, self._load, self._far, self._table, self._control,
            self._store, self._return, self._access, self._noise, self._interrupts, self._debug,
        )  # fmt: skip
        return b"".join(self._rng.choice(choices)() for _ in range(count))

    def _int(self) -> bytes:
        return bytes((0xCD, self._rng.choice(VECTORS)))

    def _fault(self) -> bytes:
        # ud2; div ecx of 0; int3; into; a breakpoint's F1h; bound
        some = ("0F 0B", "31 C9 F7 F1", "CC", "CE", "F1", "62 05 00 80 00 00")
        return bytes.fromhex(self._rng.choice(some))

    def _load(self) -> bytes:
        # mov eax, selector; mov sreg, ax (CS is no such), or pop ss and its like
        register = self._rng.choice((0xC0, 0xD0, 0xD8, 0xE0, 0xE8))
        return b"\xb8" + dword(self._rng.choice(SELECTORS)) + bytes((0x8E, register))

    def _far(self) -> bytes:
        rng = self._rng
        target = dword(rng.choice((CODE, PROGRAM, HANDLERS, self._address())))
        return rng.choice((b"\xea", b"\x9a")) + target + dword(rng.choice(SELECTORS))[:2]

    def _table(self) -> bytes:
        """lgdt, lidt of a table that is put together on the spot; lldt, ltr."""
        rng = self._rng
        if rng.random() < 0.4:
            register = rng.choice((0xD0, 0xD8))
            return b"\xb8" + dword(rng.choice(SELECTORS)) + bytes((0x0F, 0x00, register))
        limit = b"\x66\xc7\x05" + dword(TASK + 0x200) + dword(rng.choice(LIMITS))[:2]
        base = b"\xc7\x05" + dword(TASK + 0x202) + dword(self._address())
        return limit + base + bytes((0x0F, 0x01, rng.choice((0x15, 0x1D)))) + dword(TASK + 0x200)

    def _control(self) -> bytes:
        rng = self._rng
        register = rng.choice((0, 0, 3, 4, 2))
        value = {
            0: rng.choice((PE, PG, PG | WP | PE, PE | 0x10, 0, PE | 0xE, rng.getrandbits(32))),
            3: rng.choice((DIRECTORY, TABLE, self._address())),
            4: rng.choice((0, 0x10, 0x20, 0x80, 0x30, rng.getrandbits(12))),
            2: rng.getrandbits(32),
        }[register]
        return b"\xb8" + dword(value) + bytes((0x0F, 0x22, 0xC0 | register << 3))

    def _store(self) -> bytes:
        """mov dword [a table], something: of pages, segments, gates or the task."""
        rng = self._rng
        at = rng.choice((GDT, LDT_AT, IDT, TASK, TABLE, DIRECTORY, STACK)) + 4 * rng.randrange(64)
        value = rng.choice((rng.getrandbits(32), self._address(), 0, 0x00CF9A00, 0x8E00))
        flush = rng.choice((b"", bytes.fromhex("0F 20 D8 0F 22 D8")))  # mov eax, cr3; mov cr3, eax
        return b"\xc7\x05" + dword(at) + dword(value) + flush

    def _return(self) -> bytes:
        """A frame of any kind, and iretd or retf."""
        rng = self._rng
        flags = 2
        for _ in range(rng.randrange(3)):
            flags |= rng.choice(FLAGS)
        values = [rng.choice(SELECTORS) for _ in range(rng.choice((0, 4)))]
        values += [rng.choice(SELECTORS), USER_STACK + 0x800, flags, rng.choice(SELECTORS), PROGRAM]
        return b"".join(b"\x68" + dword(value) for value in values) + rng.choice((b"\xcf", b"\xcb"))

    def _access(self) -> bytes:
        """mov eax, [anywhere], or a store, a jump, a stack there."""
        opcode = self._rng.choice((b"\xa1", b"\xa3", b"\xbc", b"\xff\x25", b"\xff\x35"))
        return opcode + dword(self._address())

    def _noise(self) -> bytes:
        return self._rng.randbytes(self._rng.randrange(1, 6))

    def _debug(self) -> bytes:
        """Breakpoints, of all kinds: DR0 and DR7."""
        rng = self._rng
        at = rng.choice((CODE, PROGRAM, HANDLERS, TASK)) + rng.randrange(64)
        control = rng.choice((1, 0x401, 0xD0401, 0xE0001, 0x2000, rng.getrandbits(32)))
        code = ((0xC0, at), (0xF8, control))
        return b"".join(b"\xb8" + dword(value) + bytes((0x0F, 0x23, reg)) for reg, value in code)

    def _interrupts(self) -> bytes:
        # sti, and a while; cli; hlt; popfd with TF; OUT to a port that calls a BIOS service
        some = ("FB B9 00 40 00 00 E2 FE", "FA", "F4", "9C 81 0C 24 00 01 00 00 9D", "E6")
        code = bytes.fromhex(self._rng.choice(some))
        return code + bytes((self._rng.randrange(0xB0, 0xC0),)) * (code == b"\xe6")


def gate_value(offset: int, selector: int, access: int) -> int:
    return int.from_bytes(gate(offset, selector, access), "little")
