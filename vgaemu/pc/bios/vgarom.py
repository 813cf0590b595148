"""A VGA BIOS ROM of the system's: found, checked, put at C0000h and initialised.

Emulated: what a system BIOS does for an option ROM: signature, length and checksum, a far call of
its entry with the bus address of the VGA in AX. ``auto`` looks for ROMs of ISA VGAs, which ask
nothing of PCI.

Measured: SeaVGABIOS (vgabios-isavga.bin) and the LGPL VGABIOS start in 2 to 7 ms.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from vgaemu.errors import GuestFault, ImageError, file_error
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.rom import IRET_STUB
from vgaemu.pc.board import Board

#: Where Linux distributions put ROMs that need no PCI, in the order they are tried.
PLACES = (
    "/usr/share/seabios/vgabios-isavga.bin",
    "/usr/share/qemu/vgabios-isavga.bin",
    "/usr/share/seavgabios/vgabios-isavga.bin",
    "/usr/share/vgabios/vgabios.bin",
)
ROM_AT = 0xC0000
BLOCK = 512
MAX_ROM = 0x10000
#: Where the far call returns to: a HLT in RAM that is free before boot.
RETURN_AT = 0x0500
#: Slices a ROM may take to start, of 10 000 instructions each.
START_SLICES = 2000


def find_vga_rom(choice: str) -> bytes | None:
    """The ROM's bytes, or None for the builtin BIOS, by ``"auto"``, ``"builtin"`` or a path.

    Raises:
        ImageError: The file cannot be read or is no ROM.
    """
    if choice == "builtin":
        return None
    if choice == "auto":
        for place in PLACES:
            with suppress(OSError, ImageError):
                return check_rom(Path(place).read_bytes(), place)
        return None
    try:
        with Path(choice).open("rb") as file:
            return check_rom(file.read(MAX_ROM), choice)
    except OSError as error:
        advice = "name a ROM file, or say auto or builtin"
        raise ImageError(file_error(f"--vga-bios {choice}", error, advice)) from None


def check_rom(data: bytes, name: str) -> bytes:
    """The ROM's blocks, if signature, length and checksum are right.

    Raises:
        ImageError: They are not.
    """
    length = data[2] * BLOCK if len(data) > 3 else 0
    if data[:2] != b"\x55\xaa":
        raise ImageError(f"--vga-bios {name}: no ROM: it does not begin with 55 AA")
    if not 0 < length <= min(len(data), MAX_ROM):
        raise ImageError(f"--vga-bios {name}: {len(data)} bytes, but its length byte says {length}")
    if sum(data[:length]) & 0xFF:
        raise ImageError(f"--vga-bios {name}: the ROM fails its checksum")
    return data[:length]


def install_vga_rom(board: Board, calls: Calls, rom: bytes) -> None:
    """Run the entry of a ROM that `check_rom` has passed, then set mode 3 by its INT 10h.

    Raises:
        ImageError: It does not come back.
    """
    bus, cpu, clock = board.bus, board.cpu, board.clock
    bus.load_rom(ROM_AT, rom)
    # INT 10h is the ROM's: ours must not answer in its stead.
    calls.set_vector(0x10, IRET_STUB)
    # call C000:0003; mov ax, 3; int 10h; cli; hlt
    bus.write(RETURN_AT, bytes.fromhex("9A 03 00 00 C0 B8 03 00 CD 10 FA F4"))
    cpu.set_registers(ds=0, es=0, ss=0, cs=0, eip=RETURN_AT, esp=0x7000, eflags=2, eax=0)
    bus.rom_writable = True
    try:
        clock.start()
        for _ in range(START_SLICES):
            cpu.run(clock.now_ns() + 10_000_000)
            if cpu.halted:
                break
    except GuestFault as fault:
        raise ImageError(f"--vga-bios: the ROM failed: {fault}") from None
    finally:
        clock.stop()
        bus.rom_writable = False
    if not cpu.halted:
        raise ImageError("--vga-bios: the ROM does not come back from its entry")
    cpu.halted = False
    bus.write(RETURN_AT, bytes(16))
