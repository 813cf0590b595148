"""A Unicorn engine looked into: registers by name, memory by linear addresses, what it executed.

Only here unicorn itself is imported, an extra; the neighbours take it from here. The engine keeps
the base of CS to itself, so that is read from the descriptor that its selector names; and how many
instructions it executed lies in its private words.

Source: measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from vgaemu.errors import CpuError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.cpu import PROTECTED, VIRTUAL_8086, Cpu
from vgaemu.pc.cpu.mmu import Control, LinearReader, Segment

try:
    import unicorn as unicorn
    from unicorn import Uc as Uc
    from unicorn import x86_const
except ImportError:
    raise CpuError("the CPU 'unicorn' is not installed; pip install unicorn") from None

#: What an access is; permissions to read and write, to read and execute, all.
WRITE, FETCH = unicorn.UC_MEM_WRITE, unicorn.UC_MEM_FETCH
RW = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
RX, ALL = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC, unicorn.UC_PROT_ALL
#: Arguments of `Uc.ctl`: forget translated addresses; forget translated code.
FLUSH_TLB = unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE
FLUSH_CODE = unicorn.UC_CTL_TB_FLUSH, unicorn.UC_CTL_IO_WRITE
#: Words of Unicorn's engine that may be its count of instructions.
ENGINE_WORDS = 256
UNPAGED = Control(0, 0, 0)
_OFFSET = PAGE_SIZE - 1


class Registers:
    """An engine's, by names in capitals; a table register is selector, base, limit, flags."""

    def __init__(self, uc: Uc) -> None:
        self._uc = uc

    def __getitem__(self, name: str) -> Any:
        return self._uc.reg_read(getattr(x86_const, f"UC_X86_REG_{name}"))

    def __setitem__(self, name: str, value: Any) -> None:
        self._uc.reg_write(getattr(x86_const, f"UC_X86_REG_{name}"), value)

    def segment(self, memory: LinearReader, selector: int) -> Segment | None:
        """What a selector's descriptor tells; None if there is no segment of code or data."""
        _, table, limit, _ = self["LDTR" if selector & 4 else "GDTR"]
        return mmu.descriptor(memory, table, limit, selector)

    def set_privilege(self, level: int) -> None:
        """Let the engine be at privilege level 0 or 3; load SS and CS next.

        Its level is that of SS, and a SS of another level cannot be loaded, but in real mode (level
        0) and in virtual 8086 mode (level 3), from where it is one step to protected mode.
        """
        cr0, flags = self["CR0"], self["EFLAGS"]
        self["CR0"] = cr0 & ~(PROTECTED | mmu.PAGING)
        self["EFLAGS"] = flags & ~VIRTUAL_8086 | VIRTUAL_8086 * (level == 3)
        self["SS"] = 0
        self["EFLAGS"] = flags
        self["CR0"] = cr0


class LinearMemory:
    """What the processor in an engine sees while it stands still, or is in a hook."""

    def __init__(self, cpu: Cpu, registers: Registers) -> None:
        self._get, self._bus, self._registers = cpu.get, cpu.bus, registers

    def control(self) -> Control:
        """What paging depends on."""
        cr0 = self._get("cr0")
        return Control(cr0, self._get("cr3"), self._get("cr4")) if cr0 & mmu.PAGING else UNPAGED

    def reader(self) -> LinearReader:
        """Reads as the processor itself does."""
        return mmu.linear_reader(self._bus.memory, self.control())

    def write(self, linear: int, data: bytes) -> None:
        """Store as the processor itself does.

        Raises:
            PageFault: There is no such page, or it is read-only.
        """
        control = self.control()
        if not control.paging:
            self._bus.write(linear & 0xFFFF_FFFF, data)
            return
        for i, byte in enumerate(data):
            at = linear + i & 0xFFFF_FFFF
            page, _ = mmu.translate(self._bus.memory, control, at, write=True, mark=True)
            self._bus.write8(page | at & _OFFSET, byte)

    def code_segment(self) -> Segment | None:
        """CS, by its descriptor; None in real mode, and until CS is loaded after it."""
        if not self._get("cr0") & PROTECTED:
            return None
        return self._registers.segment(self.reader(), self._get("cs"))

    def code_at(self) -> int:
        """Linear address of the next instruction."""
        if not self._get("cr0") & PROTECTED:
            return (self._get("cs") << 4) + (self._get("eip") & 0xFFFF)
        segment = self.code_segment()
        base = self._get("cs") << 4 if segment is None else segment[1]
        return base + self._get("eip") & 0xFFFF_FFFF

    def code(self, offset: int, count: int) -> bytes:
        """Bytes at CS:IP + offset; 0 where no page is."""
        at = max(self.code_at() + offset, 0)
        control = self.control()
        if not control.paging:
            return self._bus.read(at, count)
        return mmu.linear_reader(self._bus.memory, control)(at, count).ljust(count, b"\0")


def instruction_counter(uc: Uc) -> Callable[[], int] | None:
    """Tells how many instructions the last slice executed; None if that cannot be found out.

    emu_start does not say why it returned, and a HLT must be told from a count used up: the byte
    before IP may be F4h by chance (it ends many an instruction), and then the guest would sleep for
    nothing.
    """
    place, words = _counter_place(), _engine_words(uc)
    return None if place is None else lambda: int(words[place])


@cache
def _counter_place() -> int | None:
    """The engine counts, next to the count it was given; where, a trial run shows.

    A count like no other value, two instructions and a HLT.
    """
    unlikely = 0x5EED_0B0E
    trial = Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_write(0, b"\x90\x90\xf4")
    trial.emu_start(0, PAGE_SIZE, count=unlikely)
    words = _engine_words(trial)
    places = [i for i in range(1, ENGINE_WORDS) if words[i] == unlikely and words[i - 1] == 3]
    return places[0] - 1 if len(places) == 1 else None


def _engine_words(uc: Uc) -> Any:
    if ctypes.sizeof(ctypes.c_size_t) != 8:
        return [0] * ENGINE_WORDS
    return (ctypes.c_uint64 * ENGINE_WORDS).from_address(uc._uch.value)


def release(uc: Uc) -> None:
    """Free an engine now: it is large, and in a cycle with its hooks."""
    finalizer = getattr(uc, "_Uc__finalizer", None)
    if finalizer is not None:
        finalizer()
