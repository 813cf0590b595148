"""Multiboot 1: a kernel, its command line and modules, as GRUB and QEMU hand them over.

Emulated: memory sizes and map, command line (begun by the kernel's name, as QEMU's), modules each
on a page, the loader's name; a frame buffer in a DISPI mode for a header that asks for a linear
one, else text. Not emulated: boot device, symbols, drives, APM, the VBE fields.

Source: Multiboot Specification 0.6.96.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from vgaemu.errors import ImageError, ModeError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bios.system import memory_map
from vgaemu.pc.board import Board
from vgaemu.pc.boot.flat import enter, load_segments
from vgaemu.pc.images import MultibootKernel
from vgaemu.pc.kernels import VIDEO, Header, KernelError, Segment, find_header, load
from vgaemu.vga.modes import set_dispi_mode
from vgaemu.vga.vram import LFB_GPA

#: What EAX says to a kernel.
LOADED = 0x2BADB002
#: Where the information is unless a kernel lies there, and as many bytes as it may take; a stack.
INFORMATION_AT, INFORMATION_ROOM, STACK_AT = 0x9000, 0x1000, 0x7C00
CODE_SELECTOR = 8
LOADER = b"vgaemu\0"
#: Which fields hold: memory sizes, command line, modules, memory map, loader's name, frame buffer.
SIZES, COMMAND_LINE, MODULES, MAP, NAME, FRAME_BUFFER = 1, 4, 8, 64, 512, 4096
#: Flags, lower and upper KiB, boot device, command line, modules; symbols; memory map; drives,
#: configuration, name, APM, VBE; frame buffer: address, pitch, width, height, bits, kind, colours.
INFORMATION = struct.Struct("<7I16x6I20xQ3IBB6s")
#: What a header gets that has no preference.
PREFERRED = (1024, 768, 32)
RGB, TEXT = 1, 2
#: Position and size of red, green and blue, by bits a pixel.
COLOURS = {15: (10, 5, 5, 5, 0, 5), 16: (11, 5, 5, 6, 0, 5), 24: (16, 8, 8, 8, 0, 8)}


class FrameBuffer(NamedTuple):
    """What a kernel draws into."""

    address: int = 0xB8000
    pitch: int = 160
    width: int = 80
    height: int = 25
    bits: int = 16
    kind: int = TEXT
    colours: bytes = bytes(6)


def boot_multiboot(board: Board, kernel: MultibootKernel) -> None:
    """Load a kernel, tell it what there is, and let it begin.

    Raises:
        ImageError: It cannot be loaded, or there is no such video mode.
    """
    try:
        segments, entry = load(kernel.data)
    except KernelError as error:
        raise ImageError(f"{kernel.path}: {error}") from None
    header = find_header(kernel.data)
    screen = _frame_buffer(board, kernel, header) if header and header.flags & VIDEO else None
    at = _page(max((one.end for one in segments), default=0))
    at, modules = max(at, 1 << 20), []
    for module in kernel.modules:
        modules.append(Segment(at, module.data, len(module.data)))
        at = _page(modules[-1].end)
    low = INFORMATION_AT, INFORMATION_AT + INFORMATION_ROOM
    is_taken = any(one.address < low[1] and low[0] < one.end for one in segments)
    information = _information(board, kernel, modules, screen, at if is_taken else low[0])
    if not is_taken and len(information) > INFORMATION_ROOM:
        is_taken, information = True, _information(board, kernel, modules, screen, at)
    place = at if is_taken else low[0]
    load_segments(
        board, kernel.path,
        [*segments, *modules, Segment(place, information, len(information))],
    )  # fmt: skip
    enter(board, entry, CODE_SELECTOR, eax=LOADED, ebx=place, esp=STACK_AT)


def _page(address: int) -> int:
    return -(-address // PAGE_SIZE) * PAGE_SIZE


def _information(
    board: Board,
    kernel: MultibootKernel,
    modules: Sequence[Segment],
    screen: FrameBuffer | None,
    at: int,
) -> bytes:
    """The structure, and behind it what it leads to, to lie at an address."""
    ranges = memory_map(board.bus.ram_bytes)
    rows = b"".join(struct.pack("<IQQI", 20, start, length, kind) for start, length, kind in ranges)
    command_line = f"{kernel.path.name} {kernel.append}".strip().encode() + b"\0"
    map_at = at + INFORMATION.size
    line_at = map_at + len(rows)
    name_at = line_at + len(command_line)
    table_at = -(-(name_at + len(LOADER)) // 4) * 4
    words = [f"{one.name} {one.words}".strip().encode() + b"\0" for one in kernel.modules]
    words_at, table = table_at + 16 * len(modules), b""
    for module, text in zip(modules, words, strict=True):
        table += struct.pack("<4I", module.address, module.end, words_at, 0)
        words_at += len(text)
    flags = SIZES | COMMAND_LINE | MODULES | MAP | NAME | (FRAME_BUFFER if screen else 0)
    below_kib, above_kib = ranges[0][1] >> 10, (board.bus.ram_bytes >> 10) - 1024
    head = INFORMATION.pack(
        flags, below_kib, above_kib, 0, line_at, len(modules), table_at, len(rows), map_at,
        0, 0, 0, name_at, *(screen or FrameBuffer()),
    )  # fmt: skip
    begin = head + rows + command_line + LOADER
    return begin.ljust(table_at - at, b"\0") + table + b"".join(words)


def _frame_buffer(board: Board, kernel: MultibootKernel, header: Header) -> FrameBuffer:
    """The video mode that a header asks for, set."""
    kind, *wanted = header.video
    if kind == 1:
        return FrameBuffer()
    width, height, bits = (
        asked or preferred for asked, preferred in zip(wanted, PREFERRED, strict=True)
    )
    try:
        set_dispi_mode(board.vga, width, height, bits)
    except ModeError as error:
        raise ImageError(f"{kernel.path}: asks for a video mode: {error}") from None
    if bits < 15:
        return FrameBuffer(LFB_GPA, width * bits // 8, width, height, bits, 0)
    colours, nbytes = bytes(COLOURS.get(bits, COLOURS[24])), -(-bits // 8)
    return FrameBuffer(LFB_GPA, width * nbytes, width, height, bits, RGB, colours)
