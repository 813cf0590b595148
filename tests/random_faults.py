"""Random cases of exceptions in the middle of instructions: worlds of 64 KiB for `faults.asm`.

Each has tables that are right but for a few entries, stacks that end soon, pages that are missing
or forbid, and an instruction or two that store and load several values, or go elsewhere: of code of
32 or 16 bits, in ring 0, 1 or 3, or of virtual 8086 mode. Where code may come to there is INT3.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from struct import pack

from protected import PG, WP, descriptor, dword, gate

BYTES = 0x10000
#: Where things are, a page each.
WORLD = 0x10000
GDT, IDT, TASKS, CODE, PROGRAM, SMALL, STACK = range(0x11000, 0x18000, 0x1000)
INNER, DATA, DIRECTORY, TABLE, DIRECTORY_2, TABLE_2 = range(0x1A000, 0x20000, 0x1000)
#: State segments: at hand, another, of double faults; of 16 bits; the LDT.
TASK_A, TASK_B, TASK_DF, TASK_16_A, TASK_16_B, LDT = (
    TASKS, TASKS + 0x100, TASKS + 0x200, TASKS + 0x300, TASKS + 0x340, TASKS + 0x400,
)  # fmt: skip
#: Of the monitor: its handlers, 16 bytes each, and a stack of its own.
HANDLERS, MONITOR_STACK = 0x20400, 0x2D000
#: Selectors: segments are flat unless they are small.
(
    CODE_0, DATA_0, CODE_3, DATA_3, A, B, DOUBLE, A_16, B_16, LDT_SELECTOR, CALL, CALL_2, TASK_GATE,
    SMALL_0, SMALL_3, CONFORMING, STACK_0, STACK_3, STACK_INNER, CODE_GONE, DATA_GONE, READ_ONLY,
    CODE_1, DATA_1, ANY, ANY_2, MONITOR_16, EXECUTE_ONLY, SHORT,
) = range(0x08, 0xF0, 8)  # fmt: skip
SELECTORS = (
    0, 3, CODE_0, DATA_0, CODE_3 | 3, DATA_3 | 3, DATA_3, CODE_3, SMALL_0, SMALL_3 | 3, CONFORMING,
    CONFORMING | 3, STACK_0, STACK_3 | 3, CODE_GONE, DATA_GONE, DATA_GONE | 3, READ_ONLY,
    CODE_1 | 1, DATA_1 | 1, ANY, ANY_2 | 3, EXECUTE_ONLY, SHORT, 4, 0x0F, 0x14, 0x1C, 0x2F, A, B,
    0x1F8, 0x200, 0xFFF8, LDT_SELECTOR, CALL, CALL_2 | 3, TASK_GATE | 3,
)  # fmt: skip
#: Code segments that something may lead to, and where to in them.
TARGETS = (
    (CODE_0, CODE), (CODE_3 | 3, PROGRAM), (SMALL_0, 0), (SMALL_3 | 3, 0), (CONFORMING, CODE),
    (CONFORMING | 3, PROGRAM), (CODE_1 | 1, CODE), (SHORT, 0), (0x0F, PROGRAM), (CALL, 0),
    (CALL | 3, 0), (CALL_2, 0), (CALL_2 | 3, 0), (TASK_GATE, 0), (TASK_GATE | 3, 0), (B, 0),
    (B | 3, 0), (A, 0), (CODE_GONE, CODE), (EXECUTE_ONLY, CODE), (ANY, CODE), (B_16, 0),
)  # fmt: skip
#: Selectors that a plain case has not.
NOT_PLAIN = (SHORT, B_16)
#: Bits of EFLAGS: NT, IOPL, IF, RF, AC, DF, CF, ZF; not VM, which others add.
FLAGS = (0x4000, 0x1000, 0x3000, 0x200, 0x10000, 0x400, 1, 0x40, 0x8D5)
VM = 0x20000
ACCESSED_DIRTY = 0x60
ALL = 7 | ACCESSED_DIRTY
NEAR = (0, 1, 2, 3, 4, 6, 8, 12, 14, 16, 20, 24, 28, 30, 31, 32, 36)


def world(seed: int, *, plain: bool = False) -> bytes:
    """A case.

    A `plain` one has nothing that QEMU does not check, and nothing that Unicorn has wrong:
    segments that end soon; tasks of 16 bits, ENTER.
    """
    return RandomFault(random.Random(seed), plain=plain).made()


class RandomFault:
    """One case, made of some random numbers."""

    def __init__(self, rng: random.Random, *, plain: bool) -> None:
        self._rng, self._plain = rng, plain
        self._memory = bytearray(BYTES)
        #: Where the case runs: ring 0, 1, 3, or 4 for virtual 8086 mode; its code has 32 bits.
        self.ring = rng.choice((0, 0, 0, 0, 3, 3, 3, 1, 4))
        self.wide = self.ring != 4 and rng.random() < 0.65

    def put(self, at: int, data: bytes) -> None:
        self._memory[at - WORLD : at - WORLD + len(data)] = data

    def made(self) -> bytes:
        rng = self._rng
        for page in (CODE, PROGRAM, SMALL):
            self.put(page, b"\xcc" * 0x1000)
        self._segments()
        self._gates()
        self._tasks()
        self._pages()
        stack, pointer = self._fill_stacks()
        code = b"".join(self._instruction() for _ in range(rng.choice((1, 1, 1, 2))))
        code += b"\xcd\x3f"
        self._header(stack, pointer, code)
        for directory, table in ((DIRECTORY, TABLE), (DIRECTORY_2, TABLE_2)):
            self.put(directory, dword(table | ALL))
        return bytes(self._memory)

    def _header(self, stack: int, pointer: int, code: bytes) -> None:
        rng, ring = self._rng, self.ring
        at, selector, eip = SMALL, SMALL_3 | 3 if ring == 3 else SMALL_0, 0
        if ring == 4:
            selector = SMALL >> 4
        elif self.wide:
            at = eip = PROGRAM if ring == 3 else CODE
            selector = {0: CODE_0, 1: CODE_1 | 1, 3: CODE_3 | 3}[ring]
        elif ring == 1:
            selector = ANY_2 & ~3 | 1
            self.put(GDT + (ANY_2 & ~7), descriptor(SMALL, 0xFFFF, 0xBB, 0))
        self.put(at, code)
        flags = 2 | (3 << 12 if rng.random() < 0.5 else 0)
        if ring == 4:
            flags |= VM
        for bit in FLAGS[4:]:
            if rng.random() < 0.2:
                flags |= bit & ~0x400
        if ring == 0 and rng.random() < 0.2:
            flags |= 0x4000
        data = {0: DATA_0, 1: DATA_1 | 1, 3: DATA_3 | 3, 4: DATA >> 4}[ring]
        extra = rng.choice((data, data, 0, DATA_3 | 3, data))
        general = [rng.getrandbits(32) for _ in range(8)]
        general[4] = pointer
        general[5] = self._near_stack(pointer)
        general[6], general[7] = (DATA + rng.choice((0, 0xFF0, 0xFFE, -4, 0x800)) for _ in "SD")
        general[1] = rng.choice((0, 1, 2, 8, 0x2000))
        cr0 = 0x11 | (PG if rng.random() < 0.7 else 0) | (WP if rng.random() < 0.6 else 0)
        tables = pack("<HIxxHI", 0x1FF, GDT, rng.choice((0x1FF,) * 12 + (0x6F,)), IDT)
        values = (
            flags, eip, selector, stack, data, data, extra, extra,
            cr0, DIRECTORY, rng.choice((0, 0, 0x10)), A, LDT_SELECTOR,
        )  # fmt: skip
        self.put(WORLD, pack("<8I", *general) + b"".join(map(dword, values)) + tables)
        self.put(WORLD + 0x64, dword(ring == 0))

    # Tables.

    def _segments(self) -> None:
        rng, flat = self._rng, 0xFFFFF
        entries = {
            CODE_0: descriptor(0, flat, 0x9B), DATA_0: descriptor(0, flat, 0x93),
            CODE_3: descriptor(0, flat, 0xFB), DATA_3: descriptor(0, flat, 0xF3),
            A: descriptor(TASK_A, 0x67, 0x89, 0), DOUBLE: descriptor(TASK_DF, 0x67, 0x89, 0),
            B: descriptor(TASK_B, rng.choice((0x67,) * 9 + (0x66, 0x80, 0xFFF)),
                          rng.choice((0x89,) * 9 + (0x8B, 0x09, 0xE9)), 0),
            A_16: descriptor(TASK_16_A, 0x2B, 0x81, 0), B_16: descriptor(TASK_16_B, 0x2B, 0x81, 0),
            LDT_SELECTOR: descriptor(LDT, 0x3F, 0x82, 0),
            SMALL_0: descriptor(SMALL, 0xFFFF, 0x9B, 0),
            SMALL_3: descriptor(SMALL, 0xFFFF, 0xFB, 0),
            CONFORMING: descriptor(0, flat, 0x9F), CODE_GONE: descriptor(0, flat, 0x1B),
            DATA_GONE: descriptor(0, flat, rng.choice((0x13, 0x73))),
            READ_ONLY: descriptor(0, flat, rng.choice((0x91, 0xF1))),
            CODE_1: descriptor(0, flat, 0xBB), DATA_1: descriptor(0, flat, 0xB3),
            MONITOR_16: descriptor(0x20000, 0xFFFF, 0x9B, 4),
            EXECUTE_ONLY: descriptor(0, flat, rng.choice((0x99, 0xF9))),
            SHORT: descriptor(CODE, rng.choice((0xFF, 0x3FF, 0x801)), rng.choice((0x9B, 0xFB)), 4),
            STACK_INNER: self._stack_descriptor(0)[0],
        }  # fmt: skip
        for selector in (ANY, ANY_2):
            access = rng.choice(
                (0x93, 0xF3, 0x97, 0x9A, 0xFA, 0x9E, 0x92, 0x90, rng.getrandbits(8))
            )
            entries[selector] = descriptor(rng.choice((0, STACK)), flat, access)
        for selector in (CALL, CALL_2):
            entries[selector] = self._call_gate()
        entries[TASK_GATE] = gate(
            0, rng.choice((B,) * 6 + (A, DATA_0, 0)), rng.choice((0xE5, 0x85))
        )
        for selector, entry in entries.items():
            self.put(GDT + selector, entry)
        for i, access in enumerate((0xF3, 0xFB, 0x93, 0x9B, 0xF1, rng.getrandbits(8), 0xF7, 0x73)):
            self.put(LDT + 8 * i, descriptor(0, flat, access))

    def _stack_descriptor(self, level: int) -> tuple[bytes, int]:
        """One that ends soon, and a pointer in it."""
        rng = self._rng
        if self._plain:
            at = max(self._place_on_stack() - STACK, 0x100)
            return descriptor(STACK, 0xFFFFF, 0x93 | level << 5, rng.choice((8, 0xC))), at
        base = STACK + rng.choice((0, 0, 0xF80, 0x1000, 0x1FF0, 0x2004))
        big, down = rng.random() < 0.55, rng.random() < 0.3
        limit = rng.choice((0xF, 0x1F, 0x3E, 0x7F, 0x80, 0xFFF, 0xFFF, 0xFFFF))
        edge = limit + 1 + rng.choice(NEAR) if down else limit + 1 - rng.choice(NEAR)
        pointer = rng.choice((edge, edge, rng.choice(NEAR), limit + 1, limit // 2))
        if down and rng.random() < 0.4:
            limit = 0
            pointer = rng.choice((0x40, 0x80, 0xFC4, 0x1010)) + rng.choice(NEAR)
        if not big and rng.random() < 0.3:
            pointer = pointer & 0xFFFF | rng.getrandbits(16) << 16
        access = (0x97 if down else 0x93) | level << 5
        return descriptor(base, limit, access, 4 if big else 0), pointer & 0xFFFF_FFFF

    def _call_gate(self) -> bytes:
        rng = self._rng
        selector, offset = rng.choice((
            (CODE_0, CODE), (CODE_0, CODE), (CODE_0, CODE), (CONFORMING, CODE), (CODE_1, CODE),
            (SMALL_0, 0), (CODE_3, PROGRAM), (SHORT, 0), (CODE_GONE, CODE), (0, CODE), (DATA_0, 0),
        ))  # fmt: skip
        entry = bytearray(
            gate(offset + 0x800, selector, rng.choice((0xEC, 0xEC, 0xE4, 0x8C, 0x6C)))
        )
        entry[4] = rng.choice((0, 0, 1, 2, 5, 31))
        return bytes(entry)

    def _gates(self) -> None:
        rng = self._rng
        for vector in range(0x40):
            access = 0xEE if vector in (3, 4) or vector >= 0x30 else 0x8E
            self.put(IDT + 8 * vector, gate(HANDLERS + 16 * vector, CODE_0, access))
        if rng.random() < 0.85:
            self.put(IDT + 8 * 8, gate(0, DOUBLE, 0x85))
        for vector in (0x30, 0x31, 3, *rng.sample((10, 11, 12, 13, 14, 3, 0x3F), 2)):
            if rng.random() < 0.35:
                self.put(IDT + 8 * vector, self._odd_gate(vector))

    def _odd_gate(self, vector: int) -> bytes:
        rng = self._rng
        at = HANDLERS + 16 * vector
        return rng.choice((
            gate(0, B, 0xE5), gate(0, B, 0x85),
            gate(at - 0x20000, MONITOR_16, 0xE6), gate(at - 0x20000, MONITOR_16, 0xEE),
            gate(at, CONFORMING, 0xEF), gate(at, CODE_1, 0xEE), gate(at, CODE_0, 0xEF),
            gate(at, CODE_0, 0x8F), gate(at, CODE_GONE, 0xEE), gate(at, DATA_0, 0xEE),
            gate(at, 0, 0xEE), gate(at, CODE_0, 0x6E),
            gate(at, DATA_3 if self._plain else SHORT, 0xEE),
            gate(at, CODE_0, rng.getrandbits(8)), gate(at, rng.choice(SELECTORS), 0xEE),
        ))  # fmt: skip

    def _tasks(self) -> None:
        """Of 32 bits: link, stacks of three levels, CR3, EIP, EFLAGS, registers, segments, LDT."""
        rng = self._rng
        segments = (DATA_0, CODE_0, DATA_0, DATA_0, DATA_0, DATA_0)
        double = [0, 0, 0, 0, 0, 0, 0, DIRECTORY, HANDLERS + 16 * 8, 2]
        double += [0, 0, 0, 0, MONITOR_STACK, 0, 0, 0, *segments, 0, 0x680000]
        self.put(TASK_DF, pack("<26I", *double))
        stack = rng.choice((
            (INNER + 0x1000, DATA_0), (INNER + 0x800, DATA_0), (INNER + rng.choice(NEAR), DATA_0),
            (self._pointer_of(STACK_INNER), STACK_INNER), (INNER + 0x1000, rng.choice(SELECTORS)),
        ))  # fmt: skip
        other = rng.choice(((INNER + 0x400, DATA_1 | 1), (INNER + 0x400, rng.choice(SELECTORS))))
        task = [rng.choice((0, B, B, A, DATA_0)), *stack, *other, 0, 0, DIRECTORY]
        task += [rng.getrandbits(32) for _ in range(10)] + [rng.choice(SELECTORS) for _ in range(6)]
        self.put(TASK_A, pack("<26I", *task, LDT_SELECTOR, 0x680000))
        ring = rng.choice((0, 0, 3, 1))
        selector, eip = rng.choice({
            0: ((CODE_0, CODE), (CODE_0, CODE), (SMALL_0, 0), (CONFORMING, CODE)),
            1: ((CODE_1 | 1, CODE),), 3: ((CODE_3 | 3, PROGRAM), (SMALL_3 | 3, 0)),
        }[ring])  # fmt: skip
        data = {0: DATA_0, 1: DATA_1 | 1, 3: DATA_3 | 3}[ring]
        segments = (data, selector, data, data, data, data)
        if rng.random() < 0.4:
            some = list(segments)
            for _ in range(rng.choice((1, 1, 2))):
                some[rng.randrange(6)] = rng.choice(SELECTORS)
            segments = tuple(some)  # type: ignore[assignment]
        flags = self._flags() if rng.random() < 0.5 else 2
        general = [rng.getrandbits(32) for _ in range(8)]
        general[4] = self._place_on_stack()
        task = [
            rng.choice((0, A, DATA_0)),
            *stack,
            *other,
            0,
            0,
            rng.choice((DIRECTORY, DIRECTORY_2)),
        ]
        task += [eip + 0x800, flags, *general, *segments]
        task += [rng.choice((LDT_SELECTOR,) * 4 + (0, DATA_0, rng.choice(SELECTORS)))]
        task += [0x680000 | (rng.random() < 0.08)]
        self.put(TASK_B, pack("<26I", *task))
        small = [
            A,
            INNER + 0x800 & 0xFFFF,
            DATA_0,
            0,
            0,
            0,
            0,
            0x800,
            2,
            *general,
            *segments[:4],
            0,
        ]
        self.put(TASK_16_B, pack("<22H", *(value & 0xFFFF for value in small)))

    def _pages(self) -> None:
        rng = self._rng
        for table in (TABLE, TABLE_2):
            for page in range(64):
                self.put(table + 4 * page, dword(page << 12 | (ALL if page < 32 else ALL & ~4)))
        pages = (STACK, STACK, STACK + 0x1000, STACK + 0x2000, INNER, DATA, DATA + 0x1000 - 1)
        rare = (GDT, TASKS, PROGRAM, SMALL, IDT)
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4))):
            page = rng.choice(pages if rng.random() < 0.85 else rare) & -0x1000
            rights = rng.choice((0, 0, 1, 5, 5, 3, 7)) | rng.choice((0x60, 0x60, 0x60, 0x20, 0))
            for table in rng.choice(((TABLE, TABLE_2), (TABLE,), (TABLE_2,))):
                self.put(table + 4 * (page >> 12), dword(page | rights))

    # What is on stacks.

    def _flags(self) -> int:
        rng, flags = self._rng, 2
        for _ in range(rng.randrange(4)):
            flags |= rng.choice(FLAGS)
        return flags | (VM if rng.random() < 0.08 else 0)

    def _place_on_stack(self) -> int:
        rng = self._rng
        page = STACK + rng.choice((0, 0x1000, 0x1000, 0x2000, 0x3000))
        return page + rng.choice((0x800, *NEAR, *(-near for near in NEAR)))

    def _near_stack(self, pointer: int) -> int:
        rng = self._rng
        return rng.choice((
            pointer, pointer + 4 * rng.randrange(9), pointer - 4 * rng.randrange(9),
            self._place_on_stack(), rng.getrandbits(32), pointer ^ rng.getrandbits(16) << 16,
        )) & 0xFFFF_FFFF  # fmt: skip

    def _pointer_of(self, selector: int) -> int:
        entry, pointer = self._stack_descriptor(0)
        self.put(GDT + selector, entry)
        return pointer

    def _fill_stacks(self) -> tuple[int, int]:
        """Frames on the stack; its selector and pointer."""
        rng, ring = self._rng, self.ring
        for at in range(STACK, STACK + 0x3000, 4):
            self.put(at, dword(0x5A000000 | at))
        level = {0: 0, 1: 1, 3: 3, 4: 3}[ring]
        small = rng.random() < 0.5
        pointer = self._place_on_stack()
        selector = {0: DATA_0, 1: DATA_1 | 1, 3: DATA_3 | 3, 4: STACK >> 4}[ring]
        base = 0
        if ring == 4:
            pointer, base = pointer - STACK & 0xFFFF, STACK
            pointer = rng.choice((pointer, pointer, rng.choice(NEAR), 0xFFFF - rng.choice(NEAR)))
        entry, small_pointer = self._stack_descriptor(level)
        if small and ring != 4:
            selector, pointer = (STACK_3 | 3 if ring == 3 else STACK_0 | ring), small_pointer
            self.put(GDT + (selector & ~7), entry)
            base = int.from_bytes(entry[2:5], "little")
        at = base + (pointer & 0xFFFF if base else pointer)
        if STACK - 0x40 <= at < STACK + 0x3000:
            self.put(at, self._frame()[: max(0, STACK + 0x3000 - at)])
        return selector, pointer

    def _frame(self) -> bytes:
        rng = self._rng
        selector, offset = self._any_target()
        offset += rng.choice((0x800, 0x800, 0x800, 0xFFF, 0x10000000))
        stack = rng.choice((DATA_0, DATA_1 | 1, DATA_3 | 3, DATA_3 | 3, STACK_3 | 3, STACK_0))
        if rng.random() < 0.2:
            stack = rng.choice(SELECTORS)
        if rng.random() < 0.1:
            selector = rng.choice(SELECTORS)
        outer = (self._place_on_stack(), stack, *(rng.choice(SELECTORS) for _ in range(4)))
        flags = self._flags()
        kind = rng.randrange(4)
        values = (
            (offset, selector, flags, *outer),
            (offset, selector, *outer),
            (offset, selector, *(rng.getrandbits(32) for _ in range(5)), *outer),
            tuple(rng.choice(SELECTORS) for _ in range(6)),
        )[kind]
        if rng.random() < (0.25 if self.wide else 0.75):
            return b"".join(pack("<H", value & 0xFFFF) for value in values)
        return b"".join(map(dword, values))

    # Code.

    def _instruction(self) -> bytes:
        rng = self._rng
        choices: tuple[Callable[[], bytes], ...] = (
            self._all, self._enter, self._push, self._return, self._far, self._far, self._call,
            self._int, self._load, self._memory_operand, self._string, self._return, self._all,
        )  # fmt: skip
        return rng.choice(choices)()

    def _sized(self, code: bytes) -> bytes:
        """Of the other operand size, sometimes."""
        return b"\x66" + code if self._rng.random() < 0.25 else code

    def _size(self, code: bytes) -> int:
        return 4 if self.wide != code.startswith(b"\x66") else 2

    def _at(self, opcode: bytes, register: int, address: int) -> bytes:
        """An operand in memory."""
        prefix = b"" if self.wide else b"\x67"
        return prefix + opcode + bytes((5 | register << 3,)) + dword(address)

    def _all(self) -> bytes:
        return self._sized(self._rng.choice((b"\x60", b"\x61")))

    def _enter(self) -> bytes:
        rng = self._rng
        if self._plain or rng.random() < 0.3:
            return self._sized(b"\xc9")
        size, level = (
            rng.choice((0, 4, 0x10, 0x100, 0x1000, 0xFFFC)),
            rng.choice((0, 0, 1, 2, 3, 9, 31)),
        )
        return self._sized(b"\xc8" + pack("<HB", size, level))

    def _push(self) -> bytes:
        rng = self._rng
        code = rng.choice((
            b"\x9c", b"\x9d", b"\x06", b"\x0e", b"\x16", b"\x1e", b"\x07", b"\x17", b"\x1f",
            b"\x0f\xa0", b"\x0f\xa1", b"\x0f\xa8", b"\x0f\xa9", b"\x54", b"\x5c", b"\x50", b"\x58",
            b"\xff\x34\x24", b"\x8f\x04\x24", b"\x8f\x44\x24\x08", b"\xff\x74\x24\xfc", b"\x6a\x80",
        ))  # fmt: skip
        if code[0] in (0xFF, 0x8F) and not self.wide:
            code = b"\x67" + code
        return self._sized(code)

    def _return(self) -> bytes:
        return self._sized(self._rng.choice((
            b"\xcf", b"\xcf", b"\xcf", b"\xcb", b"\xcb", b"\xca\x08\x00", b"\xc3", b"\xc2\x04\x00",
            b"\xca\x14\x00",
        )))  # fmt: skip

    def _any_target(self) -> tuple[int, int]:
        while True:
            selector, offset = self._rng.choice(TARGETS)
            if not self._plain or selector not in NOT_PLAIN:
                return selector, offset

    def _target(self) -> tuple[int, int]:
        rng = self._rng
        selector, offset = self._any_target()
        if self.ring == 4:
            return SMALL >> 4, 0x800
        if rng.random() < 0.15:
            selector = rng.choice(SELECTORS)
        return selector, offset + 0x800

    def _far(self) -> bytes:
        rng = self._rng
        selector, offset = self._target()
        code = self._sized(rng.choice((b"\xea", b"\x9a", b"\x9a")))
        return code + dword(offset)[: self._size(code)] + pack("<H", selector)

    def _call(self) -> bytes:
        """By what is in memory, near or far."""
        rng = self._rng
        at = rng.choice((DATA, DATA + 0x800, DATA + 0xFFC, DATA - 2))
        selector, offset = self._target()
        register = rng.choice((2, 3, 3, 4, 5))
        code = self._sized(self._at(b"\xff", register, at))
        size = 4 if self.wide != code.startswith(b"\x66") else 2
        pointer = dword(offset)[:size] + pack("<H", selector)
        self.put(at, pointer)
        return code

    def _int(self) -> bytes:
        rng = self._rng
        return rng.choice((
            b"\xcc", b"\xce", b"\xcd\x30", b"\xcd\x31", b"\xcd\x3f", b"\xcd\x0d", b"\x0f\x0b",
            b"\xf1", b"\xcd\x45", b"\x31\xc9\xf7\xf1",
        ))  # fmt: skip

    def _load(self) -> bytes:
        """A segment register, by a selector in memory or with an offset; LAR, VERR and the like."""
        rng = self._rng
        at = rng.choice((DATA, DATA + 0xFFC, DATA + 0xFFE, DATA - 2))
        selector, offset = rng.choice(SELECTORS), rng.getrandbits(32)
        self.put(at, dword(selector if rng.random() < 0.5 else offset) + pack("<H", selector))
        opcode, register = rng.choice((
            (b"\x8e", 0), (b"\x8e", 2), (b"\x8e", 3), (b"\x8e", 4), (b"\xc4", 2),
            (b"\xc5", 3), (b"\x0f\xb2", 6), (b"\x0f\xb2", 4), (b"\x0f\xb4", 7), (b"\x0f\xb5", 5),
            (b"\x0f\x00", 4), (b"\x0f\x00", 5), (b"\x0f\x02", 2), (b"\x0f\x03", 3),
            (b"\x0f\x00", 2), (b"\x0f\x00", 3),
        ))  # fmt: skip
        return self._sized(self._at(opcode, register, at))

    def _memory_operand(self) -> bytes:
        """Reads and writes, or reads a lot."""
        rng = self._rng
        at = rng.choice((DATA, DATA + 0xFFC, DATA + 0xFFE, DATA - 2, INNER + 0x800, STACK + 0xFFD))
        opcode, register = rng.choice((
            (b"\x01", 1), (b"\x11", 2), (b"\x0f\xc1", 3), (b"\x0f\xb1", 1), (b"\x87", 6),
            (b"\xd3", 2), (b"\xd1", 0), (b"\xff", 0), (b"\xff", 6), (b"\x8f", 0), (b"\x0f\xc7", 1),
            (b"\x0f\xab", 0), (b"\x62", 2), (b"\x0f\xa5", 3), (b"\xf7", 3), (b"\x0f\x01", 0),
            (b"\x0f\x01", 1), (b"\x63", 2), (b"\xf7", 6), (b"\x0f\xb3", 7),
        ))  # fmt: skip
        return self._sized(self._at(opcode, register, at))

    def _string(self) -> bytes:
        rng = self._rng
        code = rng.choice((b"\xa4", b"\xa5", b"\xaa", b"\xab", b"\xa6", b"\xa7", b"\xac", b"\xaf"))
        if rng.random() < 0.7:
            code = rng.choice((b"\xf3", b"\xf2")) + code
        if not self.wide:
            code = b"\x67" + code
        return rng.choice((b"", b"", b"\xfd")) + self._sized(code)
