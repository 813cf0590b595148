"""A guest's memory by linear addresses, as the processor in a Unicorn engine sees it now.

Emulated: real mode and descriptors for CS, page tables for everything. The engine keeps the base of
CS to itself, so it is read from the descriptor that its selector names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu.cpu import PROTECTED, Cpu
from vgaemu.pc.cpu.mmu import (
    PAGING,
    Control,
    LinearReader,
    Segment,
    descriptor,
    linear_reader,
    translate,
)

if TYPE_CHECKING:
    from unicorn import Uc

#: Reads an engine's register by its name in capitals; a table register is four numbers.
RegisterReader: TypeAlias = Callable[[str], Any]

UNPAGED = Control(0, 0, 0)
_OFFSET = PAGE_SIZE - 1


def register_reader(uc: Uc) -> RegisterReader:
    """Reads registers that `Cpu.get` does not know."""
    from unicorn import x86_const

    return lambda name: uc.reg_read(getattr(x86_const, f"UC_X86_REG_{name}"))


def segment_of(read: RegisterReader, memory: LinearReader, selector: int) -> Segment | None:
    """What a selector's descriptor tells; None if there is no segment of code or data."""
    _, table, limit, _ = read("LDTR" if selector & 4 else "GDTR")
    return descriptor(memory, table, limit, selector)


class LinearMemory:
    """One engine's; it stands still, or is in a hook."""

    def __init__(self, cpu: Cpu, uc: Uc) -> None:
        """Look at an engine.

        Args:
            cpu: Tells CR3 and CR4, too.
            uc: Its engine.
        """
        self._get, self._bus = cpu.get, cpu.bus
        self._read = register_reader(uc)

    def control(self) -> Control:
        """What paging depends on."""
        cr0 = self._get("cr0")
        return Control(cr0, self._get("cr3"), self._get("cr4")) if cr0 & PAGING else UNPAGED

    def reader(self) -> LinearReader:
        """Reads as the processor itself does."""
        return linear_reader(self._bus.memory, self.control())

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
            page, _ = translate(self._bus.memory, control, at, write=True, mark=True)
            self._bus.write8(page | at & _OFFSET, byte)

    def code_segment(self) -> Segment | None:
        """CS, by its descriptor; None in real mode, and until CS is loaded after it."""
        if not self._get("cr0") & PROTECTED:
            return None
        return segment_of(self._read, self.reader(), self._get("cs"))

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
        return linear_reader(self._bus.memory, control)(at, count).ljust(count, b"\0")
