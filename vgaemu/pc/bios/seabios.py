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
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from vgaemu.errors import ImageError
from vgaemu.memslot.kvm.ioctl import KVM_MEM_READONLY
from vgaemu.pc.bios.vgarom import PLACES, find_vga_rom
from vgaemu.pc.bus import Bus
from vgaemu.pc.images import DiskImage
from vgaemu.snapshot import Saved

if TYPE_CHECKING:
    from vgaemu.pc.pc import Pc

FIRMWARES = ("/usr/share/seabios/bios.bin", "/usr/share/qemu/bios.bin")
FIRMWARE_BYTES = 128 << 10
LOW_AT, TOP_AT = 0xE0000, 0x1_0000_0000 - FIRMWARE_BYTES
#: A memory slot that the CPU does not use.
TOP_SLOT = 16
FLOPPY_BYTES = 1440 << 10

SELECTOR_PORT, DATA_PORT = 0x510, 0x511
SIGNATURE, IDENTITY, RAM_SIZE, CPUS, DIRECTORY, FIRST_FILE = 0x00, 0x01, 0x03, 0x05, 0x19, 0x20


class FwCfg:
    """Numbered items and named files, read a byte at a time."""

    SAVED: ClassVar[Saved] = {"key": (0, 0xFFFF), "at": (0, 1 << 40)}

    def __init__(self, bus: Bus, files: dict[str, bytes]) -> None:
        """Take the ports.

        Args:
            bus: Where.
            files: By name.
        """
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
        self.key = 0xFFFF
        self.at = 0
        bus.wide_out[SELECTOR_PORT] = self._select
        bus.byte_in[DATA_PORT] = self._read

    def _select(self, value: int, size: int) -> None:
        # Keys are whole words: 8001h is not 1.
        self.key = value & 0xFFFF
        self.at = 0

    def _read(self) -> int:
        item, at = self._items.get(self.key, b""), self.at
        self.at += 1
        return item[at] if at < len(item) else 0


def start_seabios(pc: Pc) -> None:
    """Firmware into memory, CPU at its reset vector.

    Raises:
        ImageError: SeaBIOS or a VGA BIOS is not installed, or the image is no floppy.
    """
    from vgaemu.pc.cpu.kvm import KvmCpu

    bus, cpu, image = pc.bus, pc.cpu, pc.image
    assert isinstance(cpu, KvmCpu)
    place = next((place for place in FIRMWARES if Path(place).is_file()), None)
    if place is None:
        raise ImageError("--firmware seabios: it is not installed; the package is called seabios")
    rom = find_vga_rom("auto")
    if rom is None:
        raise ImageError(f"--firmware seabios: no VGA BIOS found; one of {', '.join(PLACES)}")
    if not isinstance(image, DiskImage) or image.is_hard_disk:
        raise ImageError(f"{image.path}: --firmware seabios boots floppy images")
    firmware = Path(place).read_bytes()
    if len(firmware) != FIRMWARE_BYTES:
        raise ImageError(
            f"--firmware seabios: {place} has {len(firmware)} bytes, not {FIRMWARE_BYTES}"
        )
    bus.memory[LOW_AT : LOW_AT + FIRMWARE_BYTES] = firmware
    top = np.zeros(FIRMWARE_BYTES + 4096, np.uint8)
    start = -top.ctypes.data % 4096
    pc.firmware_memory = top[start : start + FIRMWARE_BYTES]
    pc.firmware_memory[:] = np.frombuffer(firmware, np.uint8)
    cpu.vm.set_region(TOP_SLOT, TOP_AT, pc.firmware_memory, KVM_MEM_READONLY)
    floppy = bytes(image.data).ljust(max(FLOPPY_BYTES, image.total * 512), b"\0")
    pc.fw_cfg = FwCfg(bus, {"vgaroms/vgabios.bin": rom, "floppyimg/boot.img": floppy})
    pc.cmos.ram[0x10] = 0  # no floppy controller: the image is SeaBIOS's own
    pc.cmos.ram[0x14] = 0x20
    cpu.set("cs", 0xF000)
    cpu.set("eip", 0xFFF0)
    cpu.set("eflags", 2)
