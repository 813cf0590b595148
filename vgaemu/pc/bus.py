"""Bus: a PC's physical address space and I/O ports, the same for every CPU.

Emulated: RAM from 0 and from 1 MiB on, the VGA's windows at A0000h and its linear frame buffer,
read-only memory from C0000h to FFFFFh, an open bus elsewhere (reads FFh, writes nothing), ports of
8, 16 and 32 bits; an A20 gate, open after a reset. Not emulated: DMA, APICs; `chips.pci` has PCI.

Where the gate is closed, the processor's addresses have no bit 20: each CPU asks `a20` for what is
left of them. `read` and `write` go past the gate, as devices do.

Chain-4 and linear frame buffers are plain memory for every CPU; planes go through the `Vga`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar, TypeAlias

import numpy as np

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.keeper import anonymous_memory
from vgaemu.memslot.slot import Memslot
from vgaemu.memslot.zeros import overwrite
from vgaemu.snapshot import Array, Part, Saved, fields
from vgaemu.vga.device import Vga
from vgaemu.vga.ports import DECODED_PORTS
from vgaemu.vga.vram import LFB_GPA

VGA_START, VGA_END = 0xA0000, 0xC0000
ROM_START, ROM_END = 0xC0000, 0x100000
DEFAULT_RAM_BYTES = 16 << 20
#: What a gate leaves of an address.
A20_OPEN, A20_CLOSED = -1, ~(1 << 20)
#: Least and most MiB of RAM; what is not written to takes nothing of the host's.
RAM_MIB = range(2, 1025)

ByteIn: TypeAlias = Callable[[], int]
ByteOut: TypeAlias = Callable[[int], None]
#: Wide accesses come with their size in bytes.
WideIn: TypeAlias = Callable[[int], int]
WideOut: TypeAlias = Callable[[int, int], None]
#: Told of a port access: ``"in"`` or ``"out"``, port, size in bytes, value.
PortTap: TypeAlias = Callable[[str, int, int, int], None]


class Bus:
    """Memory and ports. One CPU thread at a time drives it."""

    SAVED: ClassVar[Saved] = {"a20_is_open": (0, 1)}

    def __init__(self, vga: Vga, ram_bytes: int = DEFAULT_RAM_BYTES) -> None:
        """RAM is zero and ends at `ram_bytes`, the hole from A0000h on included; ROM is FFh."""
        self.vga = vga
        self.ram_bytes = ram_bytes
        self._ram = anonymous_memory(ram_bytes)
        #: All of RAM and, between C0000h and FFFFFh, what ROM holds.
        self.array = np.frombuffer(self._ram, np.uint8)
        self.memory = self.array.data
        self.array[ROM_START:ROM_END] = 0xFF
        #: The same memory as a slot, whose log is off until somebody wants it: `log_ram`.
        self.slot = Memslot(ram_bytes // PAGE_SIZE, memory=self.array)
        self.slot.logging = False
        #: One byte a page: 1, or 0 while it is logged and nobody has stored there since the last
        #: harvest. Who stores past `write` sets it, after the data have landed.
        self.stored = self.slot.keeper.writable
        self.byte_in: dict[int, ByteIn] = {}
        self.byte_out: dict[int, ByteOut] = {}
        self.wide_in: dict[int, WideIn] = {}
        self.wide_out: dict[int, WideOut] = {}
        #: Told of RAM and ROM that devices and firmware wrote: gpa and number of bytes.
        self.on_memory_written: list[Callable[[int, int], None]] = []
        #: Told that `rom_writable` was set.
        self.on_protection_changed: list[Callable[[], None]] = []
        #: Mask of the processor's addresses.
        self.a20 = A20_OPEN
        #: Told that the A20 gate was opened or closed.
        self.on_a20_changed: list[Callable[[], None]] = []
        #: Told that the log of RAM is on from now, or off: whoever stores past `write`.
        self.on_logging_changed: list[Callable[[bool], None]] = []
        self._rom_writable = False
        #: Of ROM what a saved state must have as it is: code, and the ports behind it; CRC-32 of
        #: what older versions had there, for which this version's stands in.
        self.stubs = slice(0, 0)
        self.older_stubs: frozenset[int] = frozenset()

    def log_ram(self, on: bool) -> None:
        """Log which pages of RAM are stored to, or no longer; any thread may end it.

        What was there before is for the reader to know. A harvest waits for no CPU: harvest while
        the guest stands.
        """
        if on != self.slot.logging:
            if on:
                self.on_memory_written.append(self.slot.mark_dirty)
            else:
                self.on_memory_written.remove(self.slot.mark_dirty)
            for changed in self.on_logging_changed:
                changed(on)
            self.slot.logging = on

    def is_ram(self, gpa: int) -> bool:
        """Whether an address is RAM that can be written."""
        return 0 <= gpa < VGA_START or ROM_END <= gpa < self.ram_bytes

    def read(self, gpa: int, count: int) -> bytes:
        """Load bytes upwards, as a device or the firmware does."""
        end = gpa + count
        if end <= VGA_START or (gpa >= ROM_START and end <= self.ram_bytes):
            return bytes(self.memory[gpa:end])
        if gpa >= VGA_START and (end <= VGA_END or gpa >= LFB_GPA):
            return self.vga.load(gpa, count)
        pieces = self._pieces(gpa, end)
        if len(pieces) == 1:
            return b"\xff" * count
        return b"".join(self.read(start, stop - start) for start, stop in pieces)

    def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None:
        """Store bytes upwards; ROM and what is not there ignore them."""
        end = gpa + len(data)
        if gpa == end:
            return
        if end <= VGA_START or (gpa >= ROM_END and end <= self.ram_bytes):
            self.memory[gpa:end] = data
            for written in self.on_memory_written:
                written(gpa, len(data))
        elif gpa >= VGA_START and (end <= VGA_END or gpa >= LFB_GPA):
            self.vga.store(gpa, data)
        else:
            pieces = self._pieces(gpa, end)
            if len(pieces) > 1:
                for start, stop in pieces:
                    self.write(start, data[start - gpa : stop - gpa])

    def _pieces(self, gpa: int, end: int) -> list[tuple[int, int]]:
        """A range, cut where something else answers: begin and end of each."""
        borders = VGA_START, ROM_START, ROM_END, self.ram_bytes, LFB_GPA
        return list(pairwise((gpa, *(at for at in borders if gpa < at < end), end)))

    def read8(self, gpa: int) -> int:
        return self.memory[gpa] if gpa < VGA_START else self.read(gpa, 1)[0]

    def read16(self, gpa: int) -> int:
        return int.from_bytes(self.read(gpa, 2), "little")

    def read32(self, gpa: int) -> int:
        return int.from_bytes(self.read(gpa, 4), "little")

    def write8(self, gpa: int, value: int) -> None:
        self.write(gpa, bytes((value & 0xFF,)))

    def write16(self, gpa: int, value: int) -> None:
        self.write(gpa, (value & 0xFFFF).to_bytes(2, "little"))

    def write32(self, gpa: int, value: int) -> None:
        self.write(gpa, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def load_rom(self, gpa: int, rom: bytes) -> None:
        """Put read-only bytes between C0000h and FFFFFh.

        Raises:
            ValueError: They do not lie there.
        """
        if not ROM_START <= gpa <= ROM_END - len(rom):
            raise ValueError(f"{len(rom):#x} bytes of ROM at {gpa:#x} do not lie below 1 MiB")
        self.memory[gpa : gpa + len(rom)] = rom
        for written in self.on_memory_written:
            written(gpa, len(rom))

    @property
    def rom_writable(self) -> bool:
        """While option ROMs start, they may write to themselves, as shadowed ones can."""
        return self._rom_writable

    @rom_writable.setter
    def rom_writable(self, writable: bool) -> None:
        self._rom_writable = writable
        for changed in self.on_protection_changed:
            changed()

    @property
    def a20_is_open(self) -> bool:
        """Whether addresses have their bit 20."""
        return self.a20 == A20_OPEN

    @a20_is_open.setter
    def a20_is_open(self, is_open: bool) -> None:
        mask = A20_OPEN if is_open else A20_CLOSED
        if mask != self.a20:
            self.a20 = mask
            for changed in self.on_a20_changed:
                changed()

    def _open_a20(self) -> None:
        self.a20_is_open = True

    def port_in(self, port: int, size: int) -> int:
        """IN: 1, 2 or 4 bytes; FFh where there is no device."""
        if port in DECODED_PORTS:
            if size == 1:
                return self.vga.inb(port)
            if size == 2:
                return self.vga.inw(port)
        wide = self.wide_in.get(port)
        if wide is not None:
            return wide(size)
        if size == 1:
            read = self.byte_in.get(port)
            return 0xFF if read is None else read() & 0xFF
        return sum(self.port_in(port + i & 0xFFFF, 1) << 8 * i for i in range(size))

    def port_out(self, port: int, size: int, value: int) -> None:
        """OUT: 1, 2 or 4 bytes; ignored where there is no device."""
        if port in DECODED_PORTS and size <= 2:
            if size == 1:
                self.vga.outb(port, value)
            else:
                self.vga.outw(port, value)
            return
        wide = self.wide_out.get(port)
        if wide is not None:
            wide(value, size)
        elif size == 1:
            write = self.byte_out.get(port)
            if write is not None:
                write(value & 0xFF)
        elif port in DECODED_PORTS:
            self.port_out(port, 2, value & 0xFFFF)
            self.port_out(port + 2, 2, value >> 16)
        else:
            for i in range(size):
                self.port_out(port + i & 0xFFFF, 1, value >> 8 * i & 0xFF)

    def part(self) -> Part:
        """RAM as it is saved, with what lies in ROM."""
        # Another size is told as such.
        return Part(
            "u1", lambda: self.array, self._restore, self._keeps_stubs,
            any_length=True, most_bytes=RAM_MIB[-1] << 20,
        )  # fmt: skip

    def gate_part(self) -> Part:
        """The A20 gate as it is saved."""
        return fields(self).or_else(self._open_a20)

    def _restore(self, array: Array) -> None:
        stubs = self.array[self.stubs].copy()
        overwrite(self.array, array)
        self.array[self.stubs] = stubs
        self.slot.mark_dirty(0, self.ram_bytes)

    def _keeps_stubs(self, array: Array) -> bool:
        if array.size != self.ram_bytes:
            return False
        stubs = array[self.stubs]
        same = bool((stubs == self.array[self.stubs]).all())
        return same or zlib.crc32(stubs.tobytes()) in self.older_stubs


class TappedBus(Bus):
    """A bus that tells a tap of port accesses.

    Of a wide one to ports of a byte it tells as a whole, and of each byte. It is a class of its own
    so that a bus without a tap asks nothing at each access.
    """

    def __init__(self, vga: Vga, tap: PortTap, ram_bytes: int = DEFAULT_RAM_BYTES) -> None:
        """Tell `tap` of IN after it is done, of OUT before."""
        super().__init__(vga, ram_bytes)
        self._tap = tap

    def port_in(self, port: int, size: int) -> int:
        value = super().port_in(port, size)
        self._tap("in", port, size, value)
        return value

    def port_out(self, port: int, size: int, value: int) -> None:
        self._tap("out", port, size, value)
        super().port_out(port, size, value)
