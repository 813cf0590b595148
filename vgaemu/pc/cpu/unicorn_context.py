"""An engine's registers all at once, with the hidden parts of segments, and without its memory.

`reg_write` loads a segment register of protected mode as an instruction would: it reads the
descriptor, stores its accessed bit, and where a page forbids that it jumps to an execution loop
that nobody is in: the process ends. What the engine copies as its context is its own CPUX86State,
and takes back unseen. Where in it `Env` and `Raised` begin, a trial shows.

The same is looked for in the engine itself, whose own words lead there. Where that is found (Linux
alone lets memory be read that may not be there), nothing is copied: a register is a word of memory,
40 ns for 2.6 us by `reg_read`. Whoever calls these in a hook sees what the engine has brought to
memory for it: all but the arithmetic flags, which it computes when they are asked for.

Source: target/i386/cpu.h of QEMU 5.0, as Unicorn 2.1 has it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numpy as np

from vgaemu.errors import CpuError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.cpu import PROTECTED, RESUME, VIRTUAL_8086
from vgaemu.pc.cpu.mmu import Control, Segment
from vgaemu.pc.cpu.unicorn_engine import (
    EFER,
    ENGINE_WORDS,
    Registers,
    Uc,
    engine_words,
    small_engine,
    unicorn,
)

#: Numbers of general and segment registers, as instructions have them.
ENCODED = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
ESP = 4
SEGMENT_NUMBERS = {"es": 0, "cs": 1, "ss": 2, "ds": 3, "fs": 4, "gs": 5}
ES, CS, SS, DS, FS, GS = SEGMENT_NUMBERS.values()
#: `Raised.old_exception`: none is being delivered.
NO_EXCEPTION = -1
#: Bits of `Env.hflags`, which the engine translates code by: the privilege level, whether code and
#: stack are of 32 bits, whether DS, ES or SS has a base, long mode, code of 64 bits there. Of no
#: code: interrupts are held off for an instruction more.
LEVEL, CODE32, STACK32, BASES, LONG, CODE64 = 3, 1 << 4, 1 << 5, 1 << 6, 1 << 14, 1 << 15
HELD_OFF = 1 << 3
#: Arithmetic flags, and DF, which the engine has in places of their own; `Env.cc_op`: the former
#: are in `Env.cc`.
ARITHMETIC, DIRECTION, IN_CC = 0x8D5, 1 << 10, 1
#: Bits of DR7: a breakpoint is enabled.
ENABLED = 0xFF
#: Bits of EFER for a trial: LME, NXE.
_TRIED_EFER = 0x900
#: How far behind one of its own words an engine's registers may lie.
REACH = 3 << 14


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
    efer: int
    _fields_ = (
        ("regs", ctypes.c_uint64 * 16), ("eip", ctypes.c_uint64), ("eflags", ctypes.c_uint64),
        ("cc", ctypes.c_uint64 * 3), ("cc_op", ctypes.c_uint32), ("df", ctypes.c_int32),
        ("hflags", ctypes.c_uint32), ("hflags2", ctypes.c_uint32),
        ("segs", SegmentCache * 6), ("ldt", SegmentCache), ("tr", SegmentCache),
        ("gdt", SegmentCache), ("idt", SegmentCache), ("cr", ctypes.c_uint64 * 9),
        ("a20", ctypes.c_uint64), ("bounds", ctypes.c_uint64 * 11), ("efer", ctypes.c_uint64),
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
        return Control(self.cr[0], self.cr[3], self.cr[4], self.efer)

    def settle(self) -> None:
        """Let `hflags` follow segments that were loaded."""
        settle(words(self))


def _word(structure: type[ctypes.Structure], field: str) -> int:
    return int(getattr(structure, field).offset) // 4


#: Where these lie among `words` of an `Env`: one of a register's two, the upper one is 0.
GENERAL_AT = {name: 2 * i for i, name in enumerate(ENCODED)}
ESP_AT = GENERAL_AT["esp"]
EIP_AT, EFLAGS_AT, CC_AT, CC_OP_AT, DF_AT, HFLAGS_AT, CR_AT, SEGMENTS_AT, EFER_AT = (
    _word(Env, field)
    for field in ("eip", "eflags", "cc", "cc_op", "df", "hflags", "cr", "segs", "efer")
)
#: A segment register's selector, by its number; how far behind it are its base, limit, flags.
SELECTOR_AT = tuple(SEGMENTS_AT + 6 * i for i in range(6))
BASE, LIMIT, FLAGS = (_word(SegmentCache, field) for field in ("base", "limit", "flags"))


def words(env: Env) -> memoryview[int]:
    """Registers as numbers of 32 bits: reading one takes a third of the time."""
    return memoryview(env).cast("B").cast("I")


def write_flags(env: memoryview, flags: int) -> None:
    """All of them, among the `words` of an `Env`."""
    env[CC_AT + 2], env[CC_OP_AT] = flags & ARITHMETIC, IN_CC
    env[DF_AT] = 0xFFFF_FFFF if flags & DIRECTION else 1
    env[EFLAGS_AT] = flags & 0xFFFF_FFFF | 2


def flags_are_whole(env: memoryview[int]) -> None:
    """Within an instruction that was begun, let arithmetic flags be what they are.

    As it counts, the engine brings all of them to one place before each instruction. For a fault,
    and for each fill of its TLB, it takes the kind back that the instruction before left them in,
    which may be what it has at the next INT, or block.
    """
    if env[CC_OP_AT] > IN_CC:
        env[CC_OP_AT] = IN_CC


def control_of(env: memoryview[int]) -> Control:
    """What paging depends on, from the `words` of an `Env`."""
    cr3 = env[CR_AT + 6] | env[CR_AT + 7] << 32
    return Control(env[CR_AT], cr3, env[CR_AT + 8], env[EFER_AT])


def settle(env: memoryview[int]) -> None:
    """Let `hflags` among the `words` of an `Env` follow segments that were loaded."""
    code, stack = env[SELECTOR_AT[CS] + FLAGS] >> 8, env[SELECTOR_AT[SS] + FLAGS] >> 8
    flags = env[HFLAGS_AT] & ~(LEVEL | CODE32 | STACK32 | BASES | CODE64)
    if flags & LONG and code & mmu.CODE64:
        env[HFLAGS_AT] = flags | CODE64 | CODE32 | STACK32 | stack >> 5 & 3
        return
    if code & mmu.BIG:
        flags |= CODE32
    if stack & mmu.BIG:
        flags |= STACK32
    is_on = env[CR_AT] & PROTECTED
    protected = is_on and not env[EFLAGS_AT] & VIRTUAL_8086
    if not (protected and code & mmu.BIG) or any(env[SELECTOR_AT[i] + BASE] for i in (DS, ES, SS)):
        flags |= BASES
    if is_on:
        flags |= stack >> 5 & 3 if protected else 3
    env[HFLAGS_AT] = flags


class Raised(ctypes.Structure):
    """A later part of CPUX86State: the last interrupt or exception, for who delivers it."""

    error_code: int
    #: An instruction asked for it.
    exception_is_int: int
    #: Debug registers.
    dr: ctypes.Array[ctypes.c_uint64]
    #: What the engine's list of breakpoints has of these.
    points: ctypes.Array[ctypes.c_void_p]
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
        if not control & ENABLED:
            return []
        # Bits 0-7: enabled, two each; from 16 on four each: what for, and 0 is for execution.
        return [
            self.dr[i] & 0xFFFF_FFFF
            for i in range(4)
            if control >> 2 * i & 3 and not control >> 16 + 4 * i & 3
        ]

    def resumes(self, env: Env) -> bool:
        """Whether a fault of the instruction in hand is to push the resume flag.

        The engine clears that at the end of a block only, if it is no direct jump. So with
        breakpoints it is pushed at these alone: others would be passed over.
        """
        return not self.breakpoints() or self.is_breakpoint(env)

    def is_breakpoint(self, env: Env) -> bool:
        """Whether execution is to stop at CS:EIP."""
        return env.segs[CS].base + env.eip in self.breakpoints()


class SystemCalls(ctypes.Structure):
    """Another later part: MSRs of SYSENTER and SYSCALL, and of SWAPGS."""

    sysenter_cs: int
    sysenter_esp: int
    sysenter_eip: int
    star: int
    lstar: int
    cstar: int
    fmask: int
    kernel_gs: int
    _fields_ = (
        ("sysenter_cs", ctypes.c_uint64), ("sysenter_esp", ctypes.c_uint64),
        ("sysenter_eip", ctypes.c_uint64), ("star", ctypes.c_uint64), ("hsave", ctypes.c_uint64),
        ("lstar", ctypes.c_uint64), ("cstar", ctypes.c_uint64), ("fmask", ctypes.c_uint64),
        ("kernel_gs", ctypes.c_uint64),
    )  # fmt: skip


#: Numbers of MSRs -> fields of these.
MSR_FIELDS = {
    0x174: "sysenter_cs", 0x175: "sysenter_esp", 0x176: "sysenter_eip", 0xC000_0081: "star",
    0xC000_0082: "lstar", 0xC000_0083: "cstar", 0xC000_0084: "fmask", 0xC000_0102: "kernel_gs",
}  # fmt: skip


class Context:
    """An engine's registers, in place or a copy: `load` them, look, change, `store` them."""

    def __init__(self, uc: Uc) -> None:
        """Find out where things are.

        Raises:
            CpuError: This Unicorn has them elsewhere.
        """
        self._uc = uc
        env_at, raised_at, calls_at = _places()
        self._copy, begin = None, _in_place(uc)
        if begin is None:
            self._copy = uc.context_save()
            begin = (ctypes.cast(self._copy.context, ctypes.c_void_p).value or 0) + env_at
        #: As `load` found them last.
        self.loaded = Env.from_address(begin)
        self.words: memoryview[int] = words(self.loaded)
        self.raised = Raised.from_address(begin + raised_at - env_at)
        self.calls = SystemCalls.from_address(begin + calls_at - env_at)

    @property
    def in_place(self) -> bool:
        """Whether these are the engine's own, and there is nothing to `load` and `store`."""
        return self._copy is None

    def another(self) -> Context:
        """One that somebody else may use beside it: where these are in place, they are for all."""
        return self if self.in_place else Context(self._uc)

    def load(self) -> Env:
        """The engine's registers now; the next call overwrites them."""
        if self._copy is not None:
            self._uc.context_update(self._copy)
        return self.loaded

    def store(self) -> None:
        """The engine goes on with what was loaded last."""
        if self._copy is not None:
            self._uc.context_restore(self._copy)

    def end_resume(self) -> None:
        """Between two instructions: the resume flag is over, but where a breakpoint comes next.

        The engine leaves it until some block ends, see `Raised.resumes`: which one that is depends
        on where blocks are cut.
        """
        env = self.load()
        if env.eflags & RESUME and not self.raised.is_breakpoint(env):
            env.eflags &= ~RESUME
            self.store()


class Copies:
    """All registers of an engine, taken as bytes that it can go back to."""

    def __init__(self, uc: Uc) -> None:
        """Of this engine alone: what is in them leads into it."""
        self._uc, self._copy = uc, uc.context_save()
        self._begin = ctypes.cast(self._copy.context, ctypes.c_void_p).value or 0
        self._raised = Raised.from_address(self._begin + _places()[1])

    def take(self) -> bytes:
        """What registers hold now."""
        self._uc.context_update(self._copy)
        return ctypes.string_at(self._begin, self._copy.size)

    def go_back(self, octets: bytes) -> None:
        """Have the registers of then."""
        self._uc.context_update(self._copy)
        now = Raised.from_buffer_copy(self._raised)
        ctypes.memmove(self._begin, octets, len(octets))
        if (now.dr[7] | self._raised.dr[7]) & 0xFF:
            # The list of breakpoints is none of the registers: these stay as they are with it.
            self._raised.dr, self._raised.points = now.dr, now.points
        self._uc.context_restore(self._copy)


def _in_place(uc: Uc) -> int | None:
    """Where an engine itself has its `Env`, or None."""
    begin = _places()[0]
    env = bytes(uc.context_save())[begin : begin + ctypes.sizeof(Env)]
    found = engine_words(uc)
    places = (found[word] + distance for word, distance in _leads())
    return next((at for at in places if memory_at(at, len(env)) == env and _is_own(uc, at)), None)


def _is_own(uc: Uc, at: int) -> bool:
    """Whether an engine's own EAX, which is the first of an `Env`, lies there, and no copy."""
    registers, number = Registers(uc), unicorn.x86_const.UC_X86_REG_EAX
    kept = registers.read(number)
    trial = (kept ^ 0x5EED_0EA7).to_bytes(4, "little")
    registers.write(number, int.from_bytes(trial, "little"))
    try:
        return memory_at(at, len(trial)) == trial
    finally:
        registers.write(number, kept)


@cache
def _leads() -> tuple[tuple[int, int], ...]:
    """Which of an engine's words may lead to its `Env`, and how far it is from there.

    Several do, some by chance: objects follow one another in one engine, and not in the next.
    """
    trial = small_engine()
    for i, name in enumerate(ENCODED):
        trial.reg_write(getattr(unicorn.x86_const, f"UC_X86_REG_{name.upper()}"), 0x5EED_0E00 + i)
    begin = _places()[0]
    env = bytes(trial.context_save())[begin : begin + ctypes.sizeof(Env)]
    found = engine_words(trial)
    leads = ((i, _find(env, memory_at(found[i], REACH))) for i in range(ENGINE_WORDS))
    return tuple(lead for lead in leads if lead[1] >= 0)


def _find(env: bytes, memory: bytes) -> int:
    """Where an `Env` is first, at a whole word, or -1. Finding bytes takes ten times as long."""
    words = np.frombuffer(memory, np.uint32, len(memory) // 4)
    starts = 4 * np.flatnonzero(words == int.from_bytes(env[:4], "little"))
    return next((at for at in starts.tolist() if memory.startswith(env, at)), -1)


def memory_at(address: int, count: int) -> bytes:
    """What of this process's memory lies there, as far as there is any."""
    if not PAGE_SIZE <= address < 1 << 47:
        return b""
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            return os.pread(memory.fileno(), count, address)
    except OSError:
        return b""


def _where(
    context: bytes,
    structure: type[ctypes.Structure],
    step: int,
    field: str,
    value: int,
    is_at: Callable[[int], bool],
) -> list[int]:
    """Where in a context one is: a field of it, looked for first, has a value of 32 bits there."""
    found, at = [], -1
    behind = getattr(structure, field).offset
    while (at := context.find(value.to_bytes(4, "little"), at + 1)) >= 0:
        begin = at - behind
        fits = begin in range(0, len(context) - ctypes.sizeof(structure), step)
        if fits and is_at(begin):
            found.append(begin)
    return found


@cache
def _places() -> tuple[int, int, int]:
    """Where `Env`, `Raised` and `SystemCalls` begin in a context; a trial shows."""
    names, selectors = unicorn.x86_const, [0x1357, 0x2468, 0x369A, 0x48AC, 0x5ABC, 0x6BCD]
    trial = small_engine()
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_write(0, b"\x8e\xd8")  # mov ds, ax
    trial.reg_write(names.UC_X86_REG_CR0, 0x10)
    for name, selector in zip(SEGMENT_NUMBERS, selectors, strict=True):
        trial.reg_write(getattr(names, f"UC_X86_REG_{name.upper()}"), selector)
    trial.msr_write(EFER, _TRIED_EFER)
    tried = {number: 0x5E00 + i for i, number in enumerate(MSR_FIELDS)}
    for number, value in tried.items():
        trial.msr_write(number, value)
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
        found = new.regs[0], new.cr[0], new.protected, new.efer
        return loaded and found == (selectors[0], 0x11, True, _TRIED_EFER)

    def raised_is_at(at: int) -> bool:
        old, new = (Raised.from_buffer_copy(copy, at) for copy in (before, after))
        faults = (old.old_exception, new.old_exception) == (NO_EXCEPTION, 13)
        return faults and (new.error_code, new.exception_is_int) == (selectors[0] & ~3, 0)

    def calls_are_at(at: int) -> bool:
        calls = SystemCalls.from_buffer_copy(after, at)
        return all(getattr(calls, MSR_FIELDS[number]) == value for number, value in tried.items())

    envs = _where(after, Env, 8, "regs", selectors[0], env_is_at)
    raised = _where(after, Raised, 4, "error_code", selectors[0] & ~3, raised_is_at)
    calls = _where(after, SystemCalls, 8, MSR_FIELDS[0x174], tried[0x174], calls_are_at)
    if not len(envs) == len(raised) == len(calls) == 1:
        raise CpuError(
            f"unicorn {unicorn.__version__} keeps its registers in another way than 2.1; "
            "pip install 'unicorn<2.2'"
        )
    return envs[0], raised[0], calls[0]
