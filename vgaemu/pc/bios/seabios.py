"""A whole firmware: SeaBIOS on KVM, as QEMU would start it, with nothing but ports below it.

Emulated: the firmware configuration device (fw_cfg, ports 510h and 511h), which hands SeaBIOS a VGA
BIOS ROM and the image as a RAM floppy; memory size in CMOS. Interrupt controllers and timer are the
kernel's. Not emulated: PCI, ACPI tables, disk controllers.

SeaBIOS's 128 KiB build is used: the 256 KiB one needs a chipset that shadows it. Measured: the boot
sector runs after 1.5 s and about 4500 exits.

Source: QEMU's docs/specs/fw_cfg; SeaBIOS's documentation of its run-time configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import ImageError
from vgaemu.memslot.kvm.ioctl import KVM_MEM_READONLY
from vgaemu.pc.bios.vgarom import PLACES, find_vga_rom
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.kvm import KvmCpu
from vgaemu.pc.cpu.kvm_ram import FREE
from vgaemu.pc.images import SECTOR, DiskImage, Image
from vgaemu.snapshot import Part, Saved, fields, octets_in

FIRMWARES = ("/usr/share/seabios/bios.bin", "/usr/share/qemu/bios.bin")
FIRMWARE_BYTES = 128 << 10
LOW_AT, TOP_AT = 0xE0000, 0x1_0000_0000 - FIRMWARE_BYTES
FLOPPY_BYTES = 1440 << 10

SELECTOR_PORT, DATA_PORT = 0x510, 0x511
SIGNATURE, IDENTITY, RAM_SIZE, CPUS, DIRECTORY, FIRST_FILE = 0x00, 0x01, 0x03, 0x05, 0x19, 0x20


class FwCfg:
    """Numbered items and named files, read a byte at a time."""

    SAVED: ClassVar[Saved] = {"key": (0, 0xFFFF), "at": (0, 1 << 40)}

    def __init__(self, bus: Bus, files: dict[str, bytes]) -> None:
        self._items = {
            SIGNATURE: b"QEMU",
            IDENTITY: (1).to_bytes(4, "little"),
            RAM_SIZE: bus.ram_bytes.to_bytes(8, "little"),
            CPUS: (1).to_bytes(2, "little"),
        }
        directory = len(files).to_bytes(4, "big")
        for key, (name, data) in enumerate(files.items(), FIRST_FILE):
            self._items[key] = data
            directory += len(data).to_bytes(4, "big") + key.to_bytes(2, "big") + bytes(2)
            directory += name.encode("ascii").ljust(56, b"\0")
        self._items[DIRECTORY] = directory
        self.key, self.at = 0xFFFF, 0
        bus.wide_out[SELECTOR_PORT] = self._select
        bus.byte_in[DATA_PORT] = self._read

    def _select(self, value: int, size: int) -> None:
        # Keys are whole words: 8001h is not 1.
        self.key, self.at = value & 0xFFFF, 0

    def _read(self) -> int:
        item, at = self._items.get(self.key, b""), self.at
        self.at += 1
        return item[at] if at < len(item) else 0


class SeaBios:
    """The firmware in a PC's memory."""

    name = "seabios"

    def __init__(self, board: Board, image: Image) -> None:
        """Put the firmware into memory, the CPU at its reset vector.

        Raises:
            ImageError: SeaBIOS or a VGA BIOS is not installed, the image is no floppy, or the CPU
                is another.
        """
        bus, cpu, cmos = board.bus, board.cpu, board.cmos
        if not isinstance(cpu, KvmCpu):
            raise ImageError("--firmware seabios needs --cpu kvm")
        firmware, rom = _find_firmware(), find_vga_rom("auto")
        if rom is None:
            raise ImageError(f"--firmware seabios: no VGA BIOS found; one of {', '.join(PLACES)}")
        if not isinstance(image, DiskImage) or image.is_hard_disk:
            raise ImageError(f"{image.path}: --firmware seabios boots floppy images")
        bus.memory[LOW_AT : LOW_AT + FIRMWARE_BYTES] = firmware
        top = np.zeros(FIRMWARE_BYTES + 4096, np.uint8)
        start = -top.ctypes.data % 4096
        #: What lies above RAM, where the processor begins after a reset; a memory slot leads here.
        self.memory: NDArray[np.uint8] = top[start : start + FIRMWARE_BYTES]
        self.memory[:] = np.frombuffer(firmware, np.uint8)
        cpu.vm.set_region(FREE, TOP_AT, self.memory, KVM_MEM_READONLY)
        floppy = bytes(image.data).ljust(max(FLOPPY_BYTES, image.total * SECTOR), b"\0")
        self.config = FwCfg(bus, {"vgaroms/vgabios.bin": rom, "floppyimg/boot.img": floppy})
        cmos.ram[0x10] = 0  # no floppy controller: the image is SeaBIOS's own
        cmos.ram[0x14] = 0x20
        cpu.set_registers(cs=0xF000, eip=0xFFF0, eflags=2)

    def parts(self) -> dict[str, Part]:
        return {"firmware.config": fields(self.config), "firmware.memory": octets_in(self.memory)}


def _find_firmware() -> bytes:
    place = next((place for place in FIRMWARES if Path(place).is_file()), None)
    if place is None:
        raise ImageError("--firmware seabios: it is not installed; the package is called seabios")
    firmware = Path(place).read_bytes()
    if len(firmware) != FIRMWARE_BYTES:
        raise ImageError(
            f"--firmware seabios: {place} has {len(firmware)} bytes, not {FIRMWARE_BYTES}"
        )
    return firmware
