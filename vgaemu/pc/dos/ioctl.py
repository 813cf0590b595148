"""IOCTL: INT 21h/44h.

Emulated: what a handle is, raw mode of the console, whether there is input or room for output,
what kinds of drives there are, parameters and serial numbers of their disks. Not emulated: control
strings and generic calls of devices, which no device here has.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from vgaemu.pc.bios.calls import Service, serve
from vgaemu.pc.board import Board
from vgaemu.pc.dos.absolute import AbsoluteDisk
from vgaemu.pc.dos.area import DRIVE_C
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.errors import BAD_DATA, BAD_FUNCTION, DosError
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.names import DEVICES

#: What 00h says of devices, and whether they are input and output, or nothing; of files.
DEVICE_BITS = {"CON": 0x80D3, "NUL": 0x80C4, "CLOCK$": 0x80C8}
OTHER_DEVICE_BITS, FILE_BITS = 0x80C0, 0x0002
RAW = 0x20
READY, NOT_READY = 0xFF, 0
REMOVABLE, FIXED = 0, 1


class DeviceControl:
    """IOCTL."""

    def __init__(
        self, board: Board, handles: Handles, console: Console, disk: AbsoluteDisk, drives: Drives
    ) -> None:
        self._cpu, self._handles, self._console = board.cpu, handles, console
        self._drives = drives
        self._services: dict[int, Service] = {
            0x00: self._get,
            0x01: self._set,
            0x06: self._input_status,
            0x07: self._output_status,
            0x08: lambda: self._of_drive("ax", FIXED),
            0x09: lambda: self._of_drive("dx", 0),
            0x0A: self._of_handle,
            0x0B: lambda: None,
            0x0D: disk.control,
            0x0E: lambda: self._of_drive("al", 0),
            0x0F: lambda: self._of_drive("al", 0),
        }
        self.services: dict[int, Service] = {0x44: self._service}

    def _service(self) -> bool | None:
        if self._cpu.al not in self._services:
            raise DosError(BAD_FUNCTION)
        return serve(self._services, self._cpu.al)

    def _get(self) -> None:
        device = self._handles.device(self._cpu.bx)
        bits = FILE_BITS if device is None else DEVICE_BITS.get(device, OTHER_DEVICE_BITS)
        if device == "CON" and self._console.raw:
            bits |= RAW
        self._cpu.dx = bits

    def _set(self) -> None:
        device = self._handles.device(self._cpu.bx)
        if device is None or self._cpu.dh:
            raise DosError(BAD_FUNCTION if device is None else BAD_DATA)
        if device == "CON":
            self._console.raw = bool(self._cpu.dl & RAW)

    def _input_status(self) -> None:
        file = self._handles.file(self._cpu.bx)
        if file.name == "CON":
            ready = self._console.has_key()
        elif file.name in DEVICES:
            ready = file.name == "AUX" and self._handles.auxiliary.has_received()
        else:
            ready = file.stream.place < file.stream.size
        self._cpu.al = READY if ready else NOT_READY

    def _output_status(self) -> None:
        self._handles.file(self._cpu.bx)
        self._cpu.al = READY

    def _of_drive(self, register: str, value: int) -> None:
        number = self._drives.number(self._cpu.bl)
        if register == "dx":
            self._cpu.dx = value
        elif register == "ax":
            self._cpu.ax = value if number >= DRIVE_C else REMOVABLE
        else:
            self._cpu.al = value

    def _of_handle(self) -> None:
        self._cpu.dx = 0x8000 if self._handles.device(self._cpu.bx) is not None else 0
