"""The PCI BIOS: INT 1Ah/B1h, in real mode.

Emulated: presence, functions by identity and by class, reads and writes of configuration space of
8, 16 and 32 bits. Not emulated: special cycles, interrupt routing, the services of 32 bits.

Source: PCI BIOS Specification 2.1.
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.pc.chips.pci import PciBus

OK, UNSUPPORTED, BAD_VENDOR, NOT_FOUND, BAD_REGISTER = 0x00, 0x81, 0x83, 0x86, 0x87
#: "PCI "; configuration mechanism 1; version 2.10.
PRESENT, MECHANISM_1, VERSION = 0x20494350, 0x01, 0x0210
IDENTITY_AT, CLASS_AT = 0x00, 0x08


class PciBios:
    """What asks for the bus by a call."""

    def __init__(self, board: Board, calls: Calls, pci: PciBus) -> None:
        self._cpu, self._calls, self._pci = board.cpu, calls, pci
        self._services: dict[int, Callable[[], int]] = {
            0x01: self._present, 0x02: self._find_device, 0x03: self._find_class,
            **{0x08 + nth: self._reader(1 << nth) for nth in range(3)},
            **{0x0B + nth: self._writer(1 << nth) for nth in range(3)},
        }  # fmt: skip

    def service(self) -> None:
        """By AL; AH says how it went."""
        call = self._services.get(self._cpu.al & 0x7F)
        status = UNSUPPORTED if call is None else call()
        self._cpu.ah = status
        self._calls.carry(status != OK)

    def _present(self) -> int:
        cpu = self._cpu
        cpu.set("edx", PRESENT)
        cpu.al, cpu.bx, cpu.cl = MECHANISM_1, VERSION, 0
        return OK

    def _find(self, at: int, shift: int, wanted: int) -> int:
        """The SI-th function with a value in a register: its number in BX."""
        cpu, pci = self._cpu, self._pci
        found = [
            device << 3 | function
            for device, function in sorted(pci.functions)
            if pci.read(0, device << 3 | function, at, 4) >> shift == wanted
        ]
        if cpu.si >= len(found):
            return NOT_FOUND
        cpu.bx = found[cpu.si]
        return OK

    def _find_device(self) -> int:
        cpu = self._cpu
        if cpu.dx == 0xFFFF:
            return BAD_VENDOR
        return self._find(IDENTITY_AT, 0, cpu.cx << 16 | cpu.dx)

    def _find_class(self) -> int:
        return self._find(CLASS_AT, 8, self._cpu.get("ecx") & 0xFFFFFF)

    def _reader(self, size: int) -> Callable[[], int]:
        def read() -> int:
            cpu = self._cpu
            if cpu.di & (size - 1) or cpu.di > 0xFF:
                return BAD_REGISTER
            value = self._pci.read(cpu.bh, cpu.bl, cpu.di, size)
            ecx = cpu.get("ecx")
            kept = ecx & ~((1 << 8 * size) - 1) & 0xFFFFFFFF
            cpu.set("ecx", kept | value)
            return OK

        return read

    def _writer(self, size: int) -> Callable[[], int]:
        def write() -> int:
            cpu = self._cpu
            if cpu.di & (size - 1) or cpu.di > 0xFF:
                return BAD_REGISTER
            value = cpu.get("ecx") & (1 << 8 * size) - 1
            self._pci.write(cpu.bh, cpu.bl, cpu.di, value, size)
            return OK

        return write
