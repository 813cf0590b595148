"""The BIOS: services behind the real-mode vectors, in Python, shared by every CPU.

Emulated: INT 08h, 15h/83h, 86h, 1Ah and 70h (`clock`), 09h and 16h (`keyboard`), 10h (`video`),
11h, 12h and 15h (`system`), 13h (`disk`), 14h (`serial`), 05h and 17h (`printer`), 15h/C2h and 74h
(`pointing`), 1Ah/B1h (`pci`), 33h for DOS (`mouse`), 18h and 19h boot, exceptions that nobody has
hooked; the BIOS data area as programs read it (`data_area`). Not emulated: see there;
protected-mode services.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vgaemu.errors import GuestFault
from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.clock import ClockBios
from vgaemu.pc.bios.disk import DiskBios
from vgaemu.pc.bios.keyboard import KeyboardBios
from vgaemu.pc.bios.mouse.driver import MouseDriver
from vgaemu.pc.bios.pci import PciBios
from vgaemu.pc.bios.pointing import PointingBios
from vgaemu.pc.bios.printer import PrinterBios
from vgaemu.pc.bios.rom import DISKETTE_TABLE, FONT_8_UPPER, FONTS
from vgaemu.pc.bios.serial import SerialBios
from vgaemu.pc.bios.system import SystemBios
from vgaemu.pc.bios.video.area import GLYPHS, UPPER_GLYPHS
from vgaemu.pc.bios.video.video import VideoBios
from vgaemu.pc.board import Board
from vgaemu.pc.clock import NEVER_NS
from vgaemu.pc.images import BOOT_AT as BOOT_AT
from vgaemu.pc.images import DiskImage
from vgaemu.snapshot import Part, fields

#: Exceptions that nobody has hooked end the run.
FAULTS = {0x00: "division by zero or overflow", 0x06: "unknown opcode", 0x0D: "general protection"}
#: AH of INT 1Ah's calls that are the PCI bus's.
PCI_CALL = 0xB1
#: Vectors that lead to tables in ROM.
TABLES = {0x1E: DISKETTE_TABLE, UPPER_GLYPHS: FONT_8_UPPER, GLYPHS: FONTS[16]}


class Bios:
    """The services, on one board."""

    def __init__(
        self, board: Board, image: DiskImage | None, disks: Sequence[DiskImage] = ()
    ) -> None:
        """Write ROM, vectors and data area; take the trap ports.

        `image` is the disk that is booted; it is among the `disks` if there are others.
        """
        self._bus, self._cpu = board.bus, board.cpu
        self.calls: Calls = Calls(board)
        for vector, offset in TABLES.items():
            self.calls.set_vector(vector, offset)
        data = bda.DataArea(board.bus)
        data.reset()
        self.clock: ClockBios = ClockBios(board, self.calls, data)
        self.keyboard: KeyboardBios = KeyboardBios(board, self.calls, data)
        self.system: SystemBios = SystemBios(board, self.calls, data, self.clock)
        self.video: VideoBios = VideoBios(board, self.calls)
        self.disk: DiskBios = DiskBios(board, self.calls, data, image, disks)
        self.serial: SerialBios = SerialBios(board, self.calls, data)
        self.pointing: PointingBios = PointingBios(board, self.calls, data)
        #: INT 33h, for whoever installs it: DOS does.
        self.mouse: MouseDriver = MouseDriver(board, self.calls, self.video.area, self.pointing)
        self.video.modes.on_set.append(self.mouse.mode_was_set)
        self.system.services[0xC2] = self.pointing.service
        area, read = self.video.area, self.video.characters.read
        self.printer: PrinterBios = PrinterBios(
            board, self.calls, data, lambda: (area.rows, area.columns),
            lambda row, column: read(area[bda.PAGE], row, column)[0],
        )  # fmt: skip
        self.pci = None if board.pci is None else PciBios(board, self.calls, board.pci)
        self.clock.set_ticks()
        self.calls.services |= {
            0x05: self.printer.print_screen,
            0x08: self.clock.tick,
            0x09: self.keyboard.interrupt,
            0x10: self.video.service,
            0x11: self.system.equipment,
            0x12: self.system.memory_size,
            0x13: self.disk.service,
            0x14: self.serial.service,
            0x15: self.system.service,
            0x16: self.keyboard.service,
            0x17: self.printer.service,
            0x18: self._no_rom_basic,
            0x19: self._bootstrap,
            0x1A: self._clock_or_bus,
            0x70: self.clock.alarm,
            0x20: self._program_outside_dos,
            0x21: self._program_outside_dos,
        } | {vector: partial(self._fault, vector) for vector in FAULTS}
        self.calls.offer()

    def new_slice(self) -> None:
        self.calls.new_slice()
        self.clock.check_event()

    @property
    def due_ns(self) -> int:
        """When `new_slice` has something to do next."""
        return NEVER_NS if self.clock.event_ns is None else self.clock.event_ns

    def _fault(self, vector: int) -> None:
        cpu = self._cpu
        offset, segment, flags = self.calls.frame()
        error = GuestFault(f"{FAULTS[vector]} at {segment:04X}:{offset:04X}, and no handler")
        # As they were where it happened, before the stack and the stub.
        error.registers = cpu.registers() | {
            "cs": segment, "eip": offset, "eflags": flags, "esp": cpu.sp + 6,
        }  # fmt: skip
        raise error

    def _clock_or_bus(self) -> None:
        if self._cpu.ah == PCI_CALL and self.pci is not None:
            self.pci.service()
        else:
            self.clock.service()

    def _no_rom_basic(self) -> None:
        raise GuestFault("no system to boot (INT 18h)")

    def _bootstrap(self) -> None:
        """INT 19h: load the boot sector again; IRET is made to go there."""
        if self.disk.image is None:
            raise GuestFault("no system to boot (INT 19h), and no disk")
        at, code = self.disk.image.boot_code()
        self._bus.write(at, code)
        self.calls.set_frame(at & 0xFFFF, (at & 0xF0000) >> 4, 0x0202)
        self._cpu.dl = self.disk.boot_drive

    def _program_outside_dos(self) -> None:
        vector = f"INT {self.calls.vector:02X}h"
        raise GuestFault(f"{vector}: a boot sector has no DOS; run programs as .COM files")

    def parts(self) -> dict[str, Part]:
        """What is saved; the rest is in the data area."""
        area = self.video.area
        return {
            "bios.system": fields(self.clock),
            "bios.video": fields(),
            "bios.vbe": fields(area),
            "bios.vbe_mode": area.vbe_part(),
            "bios.disk_locks": fields(self.disk.lba).or_else(self.disk.lba.unlocked),
            "bios.unfinished": self.calls.part(),
            **self.pointing.parts(),
            **self.mouse.parts(),
        }
