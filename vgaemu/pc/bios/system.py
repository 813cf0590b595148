"""What the BIOS says of the machine: INT 11h, 12h and 15h.

Emulated: equipment, memory sizes and map, block moves, the A20 gate, the configuration table, the
switch to protected mode, devices that are opened, closed and busy, to be hooked; `apm` has power
management. Not emulated: cassette, an extended data area: INT 12h and the map tell of 640 KiB.
Block moves leave the gate as it is.

Source: IBM AT BIOS reference; IBM PS/2 and PC BIOS Interface Technical Reference.
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.apm import PowerManagement
from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.clock import ClockBios
from vgaemu.pc.bios.rom import CONFIG_TABLE, PROTECT, ROM_BASE, ROM_SEGMENT
from vgaemu.pc.board import Board
from vgaemu.vga.vram import LFB_GPA

#: Bytes of a block move that one unit of `Calls.spend` is worth.
BYTES_A_UNIT = 512
#: 89h: the descriptor that is the BIOS's own, and what it is: code, readable, of 64 KiB.
BIOS_CODE, ROM_DESCRIPTOR = 0x38, bytes.fromhex("FF FF 00 00 0F 9B 00 00")
#: "SMAP", what tells the memory map's call from others.
SMAP = 0x534D4150
#: Kinds of memory in the map.
USABLE, RESERVED = 1, 2


def memory_map(ram_bytes: int) -> tuple[tuple[int, int, int], ...]:
    """Begin, length and kind of what memory there is; the BIOS keeps nothing below the VGA."""
    return (
        (0, bda.MEMORY_KIB.initial << 10, USABLE),
        (ROM_BASE, 0x10000, RESERVED),
        (1 << 20, ram_bytes - (1 << 20), USABLE),
    )


class SystemBios:
    """INT 11h, 12h, 15h."""

    def __init__(self, board: Board, calls: Calls, data: bda.DataArea, clock: ClockBios) -> None:
        self._bus, self._cpu, self._calls, self._data = board.bus, board.cpu, calls, data
        #: INT 15h's calls.
        self.services: dict[int, Service] = {
            0x24: self._a20,
            0x4F: lambda: calls.carry(True),
            0x53: PowerManagement(board, calls).service,
            0x83: clock.event,
            0x86: clock.wait,
            0x87: self._block_move,
            0x88: self._extended_memory,
            0x89: self._protected_mode,
            # A device or program begins or ends, a key is pressed, a device is busy or has
            # finished: a system that does something there hooks them.
            **dict.fromkeys((0x80, 0x81, 0x82, 0x85, 0x90, 0x91), self._done),
            0xC0: self._configuration,
            0xE8: self._memory_map,
        }

    def equipment(self) -> None:
        self._cpu.ax = self._data[bda.EQUIPMENT]

    def memory_size(self) -> None:
        self._cpu.ax = self._data[bda.MEMORY_KIB]

    def service(self) -> bool | None:
        return self.services.get(self._cpu.ah, self._calls.unsupported)()

    def _done(self, status: int = 0) -> None:
        self._cpu.ah = status
        self._calls.carry(status != 0)

    def _a20(self) -> None:
        cpu, bus = self._cpu, self._bus
        if cpu.al < 2:
            bus.a20_is_open = cpu.al == 1
        elif cpu.al == 2:
            cpu.al = bus.a20_is_open
        elif cpu.al == 3:
            cpu.bx = 3
        elif cpu.al > 3:
            self._calls.unsupported()
            return
        self._done()

    def _extended_memory(self) -> None:
        self._cpu.ax = min((self._bus.ram_bytes >> 10) - 1024, 0xFFFF)
        self._calls.carry(False)

    def _protected_mode(self) -> None:
        """89h: with the descriptors at ES:SI, and interrupts from BH and BL on, all masked."""
        cpu, bus = self._cpu, self._bus
        for port, vector, cascade in ((0x20, cpu.bh, 4), (0xA0, cpu.bl, 2)):
            bus.port_out(port, 1, 0x11)
            for word in (vector, cascade, 1, 0xFF):
                bus.port_out(port + 1, 1, word)
        bus.write(cpu.linear("es", "si") + BIOS_CODE, ROM_DESCRIPTOR)
        bus.a20_is_open = True
        self._calls.return_to(PROTECT, ROM_SEGMENT)

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
