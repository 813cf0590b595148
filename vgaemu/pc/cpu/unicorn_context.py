"""An engine's registers all at once, with the hidden parts of segments, and without its memory.

`reg_write` loads a segment register of protected mode as an instruction would: it reads the
descriptor, stores its accessed bit, and where a page forbids that it jumps to an execution loop
that nobody is in: the process ends. What the engine copies as its context is its own CPUX86State,
and takes back unseen. Where in it `Env` and `Raised` begin, a trial shows.

Source: target/i386/cpu.h of QEMU 5.0, as Unicorn 2.1 has it.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

from vgaemu.errors import CpuError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.cpu import PROTECTED, VIRTUAL_8086
from vgaemu.pc.cpu.mmu import Control, Segment
from vgaemu.pc.cpu.unicorn_engine import Uc, small_engine, unicorn

#: Numbers of general and segment registers, as instructions have them.
ESP = 4
SEGMENT_NUMBERS = {"es": 0, "cs": 1, "ss": 2, "ds": 3, "fs": 4, "gs": 5}
ES, CS, SS, DS, FS, GS = SEGMENT_NUMBERS.values()
#: `Raised.old_exception`: none is being delivered.
NO_EXCEPTION = -1
#: Bits of `Env.hflags`, which the engine translates code by: the privilege level, whether code and
#: stack are of 32 bits, whether DS, ES or SS has a base. Of no code: interrupts are held off for
#: an instruction more.
LEVEL, CODE32, STACK32, BASES, LONG = 3, 1 << 4, 1 << 5, 1 << 6, 1 << 14
HELD_OFF = 1 << 3


class SegmentCache(ctypes.Structure):
    """A segment register; its flags are the descriptor's upper half."""

    selector: int
    base: int
    limit: int
    flags: int
    _fields_ = (
        ("selector", ctypes.c_uint32), ("base", ctypes.c_uint64),
        ("limit", ctypes.c_uint32), ("flags", ctypes.c_uint32),
    )  # fmt: skip

    def loaded(self) -> Segment:
        """As `cpu.CPU_ARRAYS` has it."""
        attributes = self.flags >> 8 & mmu.ATTRIBUTES
        return self.selector, self.base, self.limit, attributes or mmu.UNUSABLE

    def load(self, segment: Segment) -> None:
        """Become another segment."""
        self.selector, self.base, self.limit, attributes = segment
        self.flags = 0 if attributes & mmu.UNUSABLE else (attributes & mmu.ATTRIBUTES) << 8


class Env(ctypes.Structure):
    """The beginning of CPUX86State."""

    regs: ctypes.Array[ctypes.c_uint64]
    eip: int
    #: Without arithmetic flags and DF.
    eflags: int
    hflags: int
    segs: ctypes.Array[SegmentCache]
    ldt: SegmentCache
    tr: SegmentCache
    gdt: SegmentCache
    idt: SegmentCache
    cr: ctypes.Array[ctypes.c_uint64]
    _fields_ = (
        ("regs", ctypes.c_uint64 * 16), ("eip", ctypes.c_uint64), ("eflags", ctypes.c_uint64),
        ("cc", ctypes.c_uint64 * 3), ("cc_op", ctypes.c_uint32), ("df", ctypes.c_int32),
        ("hflags", ctypes.c_uint32), ("hflags2", ctypes.c_uint32),
        ("segs", SegmentCache * 6), ("ldt", SegmentCache), ("tr", SegmentCache),
        ("gdt", SegmentCache), ("idt", SegmentCache), ("cr", ctypes.c_uint64 * 9),
    )  # fmt: skip

    @property
    def protected(self) -> bool:
        """Whether selectors are those of descriptors."""
        return bool(self.cr[0] & PROTECTED) and not self.eflags & VIRTUAL_8086

    @property
    def level(self) -> int:
        """The current privilege level."""
        return self.hflags & LEVEL

    def control(self) -> Control:
        """What paging depends on."""
        return Control(self.cr[0], self.cr[3], self.cr[4])

    def settle(self) -> None:
        """Let `hflags` follow segments that were loaded."""
        code, stack = self.segs[CS].flags >> 8, self.segs[SS].flags >> 8
        flags = self.hflags & ~(LEVEL | CODE32 | STACK32 | BASES)
        if code & mmu.BIG:
            flags |= CODE32
        if stack & mmu.BIG:
            flags |= STACK32
        if not (self.protected and code & mmu.BIG) or any(self.segs[i].base for i in (DS, ES, SS)):
            flags |= BASES
        if self.cr[0] & PROTECTED:
            flags |= stack >> 5 & 3 if self.protected else 3
        self.hflags = flags


class Raised(ctypes.Structure):
    """A later part of CPUX86State: the last interrupt or exception, for who delivers it."""

    error_code: int
    #: An instruction asked for it.
    exception_is_int: int
    #: Debug registers.
    dr: ctypes.Array[ctypes.c_uint64]
    #: A fault that makes the next one a double fault.
    old_exception: int
    _fields_ = (
        ("error_code", ctypes.c_int32), ("exception_is_int", ctypes.c_int32),
        ("exception_next_eip", ctypes.c_uint64), ("dr", ctypes.c_uint64 * 8),
        ("points", ctypes.c_void_p * 4), ("old_exception", ctypes.c_int32),
    )  # fmt: skip

    def breakpoints(self) -> list[int]:
        """Linear addresses at which execution is to stop."""
        control = self.dr[7]
        # Bits 0-7: enabled, two each; from 16 on four each: what for, and 0 is for execution.
        return [
            self.dr[i] & 0xFFFF_FFFF
            for i in range(4)
            if control >> 2 * i & 3 and not control >> 16 + 4 * i & 3
        ]


class Context:
    """A copy of an engine's registers: `load` it, look, change it, `store` it."""

    def __init__(self, uc: Uc) -> None:
        """Find out where things are.

        Raises:
            CpuError: This Unicorn has them elsewhere.
        """
        self._uc = uc
        self._context = uc.context_save()
        begin = ctypes.cast(self._context.context, ctypes.c_void_p).value or 0
        env_at, raised_at = _places()
        self._env = Env.from_address(begin + env_at)
        #: As `load` found it.
        self.raised = Raised.from_address(begin + raised_at)

    @property
    def loaded(self) -> Env:
        """As `load` found them last."""
        return self._env

    def load(self) -> Env:
        """The engine's registers now; the next call overwrites them."""
        self._uc.context_update(self._context)
        return self._env

    def store(self) -> None:
        """The engine goes on with what was loaded last."""
        self._uc.context_restore(self._context)


@cache
def _places() -> tuple[int, int]:
    """Where `Env` and `Raised` begin in a context; a trial shows."""
    names, selectors = unicorn.x86_const, [0x1357, 0x2468, 0x369A, 0x48AC, 0x5ABC, 0x6BCD]
    trial = small_engine()
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_write(0, b"\x8e\xd8")  # mov ds, ax
    trial.reg_write(names.UC_X86_REG_CR0, 0x10)
    for name, selector in zip(SEGMENT_NUMBERS, selectors, strict=True):
        trial.reg_write(getattr(names, f"UC_X86_REG_{name.upper()}"), selector)
    before = bytes(trial.context_save())
    # A general protection fault, with the selector as its error code.
    trial.reg_write(names.UC_X86_REG_CS, 0)
    trial.reg_write(names.UC_X86_REG_GDTR, (0, 0, 0, 0))
    trial.reg_write(names.UC_X86_REG_CR0, 0x10 | PROTECTED)
    trial.reg_write(names.UC_X86_REG_EAX, selectors[0])
    with suppress(unicorn.UcError):
        trial.emu_start(0, PAGE_SIZE, count=1)
    after = bytes(trial.context_save())

    def env_is_at(at: int) -> bool:
        old, new = (Env.from_buffer_copy(copy, at) for copy in (before, after))
        loaded = [segment.selector for segment in old.segs] == selectors
        return loaded and (new.regs[0], new.cr[0], new.protected) == (selectors[0], 0x11, True)

    def raised_is_at(at: int) -> bool:
        old, new = (Raised.from_buffer_copy(copy, at) for copy in (before, after))
        faults = (old.old_exception, new.old_exception) == (NO_EXCEPTION, 13)
        return faults and (new.error_code, new.exception_is_int) == (selectors[0] & ~3, 0)

    envs = [at for at in range(0, len(after) - ctypes.sizeof(Env), 8) if env_is_at(at)]
    raised = [at for at in range(0, len(after) - ctypes.sizeof(Raised), 4) if raised_is_at(at)]
    if len(envs) != 1 or len(raised) != 1:
        raise CpuError(
            f"unicorn {unicorn.__version__} keeps its registers in another way than 2.1; "
            "pip install 'unicorn<2.2'"
        )
    return envs[0], raised[0]
