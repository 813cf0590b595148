"""What the BIOS says of the machine: INT 11h, 12h, 15h and 17h.

Emulated: equipment, memory sizes and map, block moves, the A20 gate that is always open, the
configuration table, devices that are busy (to be hooked). Not emulated: printers (calls time out),
cassette, APM, protected mode (INT 15h/89h), a gate that closes: 2400h says well
done all the same, as programs go on.
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.clock import ClockBios
from vgaemu.pc.bios.rom import CONFIG_TABLE, ROM_BASE, ROM_SEGMENT
from vgaemu.pc.board import Board
from vgaemu.vga.vram import LFB_GPA

TIMED_OUT_PRINTER = 0x01
#: Bytes of a block move that one unit of `Calls.spend` is worth.
BYTES_A_UNIT = 512
#: "SMAP", what tells the memory map's call from others.
SMAP = 0x534D4150
#: Kinds of memory in the map.
USABLE, RESERVED = 1, 2


def memory_map(ram_bytes: int) -> tuple[tuple[int, int, int], ...]:
    """Begin, length and kind of what memory there is; the last KiB of the lowest is the BIOS's."""
    return (
        (0, 0x9FC00, USABLE), (0x9FC00, 0x400, RESERVED),
        (ROM_BASE, 0x10000, RESERVED), (1 << 20, ram_bytes - (1 << 20), USABLE),
    )  # fmt: skip


class SystemBios:
    """INT 11h, 12h, 15h, 17h."""

    def __init__(self, board: Board, calls: Calls, data: bda.DataArea, clock: ClockBios) -> None:
        self._bus, self._cpu, self._calls, self._data = board.bus, board.cpu, calls, data
        #: INT 15h's calls.
        self.services: dict[int, Service] = {
            0x24: self._a20,
            0x4F: lambda: calls.carry(True),
            0x83: clock.event,
            0x86: clock.wait,
            0x87: self._block_move,
            0x88: self._extended_memory,
            # A device is busy, or has finished: a system that does something else hooks them.
            0x90: self._done,
            0x91: self._done,
            0xC0: self._configuration,
            0xE8: self._memory_map,
        }

    def equipment(self) -> None:
        self._cpu.ax = self._data[bda.EQUIPMENT]

    def memory_size(self) -> None:
        self._cpu.ax = self._data[bda.MEMORY_KIB]

    def no_printer(self) -> None:
        self._cpu.ah = TIMED_OUT_PRINTER

    def service(self) -> bool | None:
        return self.services.get(self._cpu.ah, self._calls.unsupported)()

    def _done(self, status: int = 0) -> None:
        self._cpu.ah = status
        self._calls.carry(status != 0)

    def _a20(self) -> None:
        cpu = self._cpu
        if cpu.al == 2:
            cpu.al = 1  # always on
        elif cpu.al == 3:
            cpu.bx = 3
        elif cpu.al > 3:
            self._calls.unsupported()
            return
        self._done()

    def _extended_memory(self) -> None:
        self._cpu.ax = min((self._bus.ram_bytes >> 10) - 1024, 0xFFFF)
        self._calls.carry(False)

    def _block_move(self) -> None:
        cpu, bus = self._cpu, self._bus
        table = cpu.linear("es", "si")
        source, target = (
            bus.read16(table + at + 2)
            | bus.read8(table + at + 4) << 16
            | bus.read8(table + at + 7) << 24
            for at in (0x10, 0x18)
        )
        count = 2 * min(cpu.cx, 0x8000)
        if self._has_memory(source, count) and self._has_memory(target, count):
            self._calls.spend(count // BYTES_A_UNIT)
            bus.write(target, bus.read(source, count))
            self._done()
        else:
            self._done(2)

    def _has_memory(self, gpa: int, count: int) -> bool:
        """Whether there is something below the end of RAM, or in the linear frame buffer."""
        end = gpa + count
        vram = self._bus.vga.slot.nbytes
        return end <= self._bus.ram_bytes or (gpa >= LFB_GPA and end <= LFB_GPA + vram)

    def _configuration(self) -> None:
        self._cpu.set("es", ROM_SEGMENT)
        self._cpu.bx = CONFIG_TABLE
        self._done()

    def _memory_map(self) -> None:
        cpu, above_1m = self._cpu, self._bus.ram_bytes - (1 << 20)
        if cpu.al == 0x01:
            cpu.ax = cpu.cx = min(above_1m, 15 << 20) >> 10
            cpu.bx = cpu.dx = max(above_1m - (15 << 20), 0) >> 16
            self._calls.carry(False)
            return
        ranges = memory_map(self._bus.ram_bytes)
        index = cpu.get("ebx")
        if cpu.al != 0x20 or cpu.get("edx") != SMAP or index >= len(ranges):
            self._calls.unsupported()
            return
        start, length, kind = ranges[index]
        self._bus.write(cpu.linear("es", "di"), struct.pack("<QQI", start, length, kind))
        cpu.set("eax", SMAP)
        cpu.set("ecx", 20)
        cpu.set("ebx", (index + 1) % len(ranges))
        self._calls.carry(False)
