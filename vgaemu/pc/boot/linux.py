"""Linux: a bzImage, its command line and an initial RAM disk, by the 32-bit boot protocol.

Emulated: protocols from 2.02 on, memory map, text screen, command line, RAM disk. What is older
than 2.10 (Linux 2.6.31) begins with its setup code, in real mode, which asks the BIOS; so does what
is no Linux but is loaded as one (iPXE's .lkrn, MEMDISK). Not emulated: zImages, EFI, the 64-bit
entry, a boot screen with graphics.

Source: Linux's Documentation/arch/x86/boot.rst and zero-page.rst.
"""

from __future__ import annotations

import struct

from vgaemu.errors import ImageError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bios.data_area import CURSORS, DataArea
from vgaemu.pc.bios.system import memory_map
from vgaemu.pc.board import Board
from vgaemu.pc.boot.flat import ONE_MIB, enter, load_segments
from vgaemu.pc.images import SECTOR, LinuxKernel
from vgaemu.pc.kernels import Segment

#: Where things are put: low, but for the kernel, and the RAM disk at the end of memory.
STACK_AT, PARAMETERS_AT, COMMAND_LINE_AT, KERNEL_AT = 0x7C00, 0x10000, 0x20000, ONE_MIB
PARAMETERS_BYTES = 0x1000
CODE_SELECTOR = 0x10
#: The setup header, within a file and within the parameters: its begin, and where its length is,
#: counted from behind that.
HEADER, HEADER_LENGTH, HEADER_FROM = 0x1F1, 0x201, 0x202
#: Behind the fields that are looked at, of any version.
HEADER_END = 0x264
#: Fields of the header.
SETUP_SECTORS, VERSION, LOADER, LOAD_FLAGS, CODE_AT = 0x1F1, 0x206, 0x210, 0x211, 0x214
RAM_DISK_AT, RAM_DISK_BYTES, COMMAND_LINE, RAM_DISK_LAST = 0x218, 0x21C, 0x228, 0x22C
HEAP_END, LINE_BYTES, PREFERRED_AT, NEEDED_BYTES = 0x224, 0x238, 0x258, 0x260
LOADED_HIGH, MAY_USE_HEAP = 0x01, 0x80
#: Where setup code has its stack, with a heap below it; and where it begins.
SETUP_STACK, SETUP_ENTRY = 0xE000, 0x200
#: A loader that has no number of its own.
OTHER_LOADER = 0xFF
#: Versions that brought fields, and what held before.
FIRST, HAS_RAM_DISK_LAST, HAS_LINE_BYTES, HAS_NEEDED = 0x202, 0x203, 0x206, 0x20A
OLD_RAM_DISK_LAST, OLD_LINE_BYTES = 0x37FF_FFFF, 255
#: Of the parameters: KiB above 1 MiB, rows of the memory map, the map.
ABOVE_1_MIB, MAP_ROWS, MAP = 0x1E0, 0x1E8, 0x2D0


def boot_linux(board: Board, kernel: LinuxKernel) -> None:
    """Load a kernel and what it is handed, and let it begin.

    Raises:
        ImageError: It is too old, not whole, or does not fit.
    """
    data = kernel.data
    if len(data) < HEADER_END:
        raise ImageError(f"{kernel.path}: not whole: it ends within its setup header")
    if _word(data, VERSION) < FIRST or not data[LOAD_FLAGS] & LOADED_HIGH:
        raise ImageError(f"{kernel.path}: a kernel of before Linux 2.4; only bzImages are loaded")
    setup_bytes = ((data[SETUP_SECTORS] or 4) + 1) * SECTOR
    code = data[setup_bytes:]
    if not code:
        raise ImageError(f"{kernel.path}: not whole: nothing is behind its setup sectors")
    line = _command_line(kernel)
    disk = _ram_disk(board, kernel, len(code))
    by_setup = _word(data, VERSION) < HAS_NEEDED
    if by_setup:
        parameters = bytearray(data[:setup_bytes])
        parameters[LOAD_FLAGS] |= MAY_USE_HEAP
        struct.pack_into("<H", parameters, HEAP_END, SETUP_STACK - SETUP_ENTRY)
    else:
        parameters = bytearray(PARAMETERS_BYTES)
        header = slice(HEADER, HEADER_FROM + data[HEADER_LENGTH])
        parameters[header] = data[header]
        struct.pack_into("<I", parameters, CODE_AT, KERNEL_AT)
        _describe(board, parameters)
    parameters[LOADER] = OTHER_LOADER
    for at, value in (
        (COMMAND_LINE, COMMAND_LINE_AT), (RAM_DISK_AT, disk.address if disk.size else 0),
        (RAM_DISK_BYTES, disk.size),
    ):  # fmt: skip
        struct.pack_into("<I", parameters, at, value)
    pieces = {KERNEL_AT: code, COMMAND_LINE_AT: line, PARAMETERS_AT: bytes(parameters)}
    segments = [Segment(at, piece, len(piece)) for at, piece in pieces.items()]
    load_segments(board, kernel.path, [*segments, disk] if disk.size else segments)
    if by_setup:
        segment = PARAMETERS_AT >> 4
        data_segments = dict.fromkeys(("ds", "es", "fs", "gs", "ss"), segment)
        board.cpu.set_registers(
            **data_segments, cs=segment + (SETUP_ENTRY >> 4), eip=0, esp=SETUP_STACK, eflags=2
        )
    else:
        enter(board, KERNEL_AT, CODE_SELECTOR, esi=PARAMETERS_AT, esp=STACK_AT)


def _command_line(kernel: LinuxKernel) -> bytes:
    line = kernel.append.encode() + b"\0"
    has_field = _word(kernel.data, VERSION) >= HAS_LINE_BYTES
    most = _dword(kernel.data, LINE_BYTES) if has_field else OLD_LINE_BYTES
    if len(line) - 1 > most:
        raise ImageError(f"{kernel.path}: --append: {len(line) - 1} bytes; it takes {most}")
    return line


def _ram_disk(board: Board, kernel: LinuxKernel, code_bytes: int) -> Segment:
    """The RAM disk, as far up as it may lie; of 0 bytes if there is none.

    Raises:
        ImageError: Kernel and disk do not fit.
    """
    data, ram_bytes = kernel.data, board.bus.ram_bytes
    version, end = _word(data, VERSION), KERNEL_AT + code_bytes
    if version >= HAS_NEEDED:
        end = max(end, _dword(data, PREFERRED_AT) + _dword(data, NEEDED_BYTES))
    disk = b"".join(module.data for module in kernel.modules)
    has_field = version >= HAS_RAM_DISK_LAST
    last = _dword(data, RAM_DISK_LAST) if has_field else OLD_RAM_DISK_LAST
    at = (min(last + 1, ram_bytes) - len(disk)) // PAGE_SIZE * PAGE_SIZE
    if at < end:
        needed = -(-(end + len(disk)) // ONE_MIB)
        raise ImageError(
            f"{kernel.path}: needs {needed} MiB of RAM at least, with what it is handed; this "
            f"machine has {ram_bytes >> 20} (--memory)"
        )
    return Segment(at, disk, len(disk))


def _describe(board: Board, parameters: bytearray) -> None:
    """The screen as the BIOS leaves it, and the memory."""
    cursor = DataArea(board.bus)[CURSORS] & 0xFFFF
    screen = {
        0x00: cursor & 0xFF, 0x01: cursor >> 8, 0x06: 3, 0x07: 80, 0x0A: 3, 0x0E: 25, 0x0F: 1,
        0x10: 16,
    }  # fmt: skip
    for at, value in screen.items():
        parameters[at] = value
    rows = memory_map(board.bus.ram_bytes)
    parameters[MAP_ROWS] = len(rows)
    for i, row in enumerate(rows):
        struct.pack_into("<QQI", parameters, MAP + 20 * i, *row)
    struct.pack_into("<I", parameters, ABOVE_1_MIB, (board.bus.ram_bytes - ONE_MIB) >> 10)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _dword(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
