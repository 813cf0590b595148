"""The modes as a table for people: what `vgaemu modes` prints.

Nothing is listed twice: each mode of `MODES` and `TWEAKS` is set on a VGA of its own, and what its
registers then say is the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.device import Vga
from vgaemu.vga.kinds import LINEAR_BPP, Kind
from vgaemu.vga.modes import MODES, TWEAKS, Mode, set_dispi_mode, set_mode
from vgaemu.vga.registers import WINDOWS
from vgaemu.vga.scanout import CrtcRows, Scanout, scanout_of
from vgaemu.vga.vram import LFB_GPA

HEADINGS = ("mode", "name", "pixels", "text", "cell", "colours", "memory", "Hz")
#: Headings over numbers, which stand on the right.
NUMBERS = ("pixels", "text", "cell", "colours", "Hz")
DISPI_BITS = (4, *dispi_regs.BYTES_PER_PIXEL)

#: How the bytes of each kind of picture are called.
MEMORY = {
    Kind.TEXT: "character, attribute",
    Kind.PLANAR: "4 planes, a bit each",
    Kind.INTERLEAVE: "2 bits a pixel",
    Kind.NIBBLES: "4 bits a pixel",
    Kind.BYTES: "a byte a pixel",
    Kind.LINEAR_8: "a byte a pixel",
    Kind.LINEAR_15: "2 bytes: 5 red, 5 green, 5 blue",
    Kind.LINEAR_16: "2 bytes: 5 red, 6 green, 5 blue",
    Kind.LINEAR_24: "3 bytes: blue, green, red",
    Kind.LINEAR_32: "4 bytes: blue, green, red, 0",
}


def catalogue() -> str:
    """The table: BIOS modes, tweaked ones, and DISPI's."""
    vga = Vga()
    tweaks = "Tweaked modes, made by ports: guest.set_mode(name)"
    dispi = (
        "DISPI modes (Bochs VBE), of any even width up to the size named: "
        "guest.set_dispi_mode(width, height, bits)"
    )
    parts = {
        "BIOS modes": [row_of(vga, mode) for mode in MODES.values()],
        tweaks: [row_of(vga, mode) for mode in TWEAKS.values()],
        dispi: [dispi_row_of(vga, bits) for bits in DISPI_BITS],
    }
    rows = [HEADINGS, *(row for part in parts.values() for row in part)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(HEADINGS, widths)]
    for title, part in parts.items():
        lines += ["", title, *(_line(row, widths) for row in part)]
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Iterable[int]) -> str:
    cells = [
        cell.rjust(width) if heading in NUMBERS else cell.ljust(width)
        for cell, width, heading in zip(row, widths, HEADINGS, strict=True)
    ]
    return "  ".join(cells).rstrip()


def row_of(vga: Vga, mode: Mode) -> tuple[str, ...]:
    """One mode's cells, in the order of `HEADINGS`.

    >>> row_of(Vga(), MODES[0x13])
    ('13h', '320x200x256', '320x200', '', '', '256', 'A0000h  a byte a pixel, plain', '70.09')
    """
    set_mode(vga, mode.name if mode.number is None else mode.number)
    number = "" if mode.number is None else f"{mode.number:02X}h"
    return (number, mode.name, *_seen(vga), f"{vga.timing.refresh_hz:.2f}")


def dispi_row_of(vga: Vga, bits: int) -> tuple[str, ...]:
    """The cells of a DISPI format at its largest size; the refresh is the host's."""
    set_dispi_mode(vga, dispi_regs.MAX_XRES, dispi_regs.MAX_YRES, bits)
    return ("", f"{bits} bits a pixel", *_seen(vga), "")


def _seen(vga: Vga) -> tuple[str, ...]:
    """Pixels, text, cell, colours and memory of what is set."""
    scanout = scanout_of(vga)
    text = cell = ""
    if scanout.text is not None and isinstance(scanout.rows, CrtcRows):
        lines = scanout.rows.geometry.row_lines
        text = f"{scanout.rows.columns}x{scanout.height // lines}"
        cell = f"{scanout.text.cell_width}x{lines}"
    linear = scanout.kind in LINEAR_BPP
    window = LFB_GPA if linear else WINDOWS[vga.graphics["memory_map"]][0]
    memory = f"{window:05X}h  {_memory(vga, scanout)}"
    return f"{scanout.width}x{scanout.height}", text, cell, str(colours_of(scanout)), memory


def colours_of(scanout: Scanout) -> int:
    """How many different colours the mode's pixel values can show."""
    if scanout.kind in LINEAR_BPP:
        return 1 << min(LINEAR_BPP[scanout.kind], 24)
    if scanout.kind is Kind.BYTES:
        return 256
    return len(np.unique(np.frombuffer(scanout.colours.palette, np.uint32)))


def _memory(vga: Vga, scanout: Scanout) -> str:
    words = MEMORY[scanout.kind]
    if scanout.kind is Kind.PLANAR and bin(scanout.colours.plane_enable).count("1") == 1:
        words = "a bit a pixel"
    if scanout.kind is Kind.BYTES:
        words += ", plain" if vga.sequencer["chain4"] else ", in 4 planes"
    if isinstance(scanout.rows, CrtcRows) and scanout.rows.geometry.row_bits:
        words += ", odd rows at 2000h"
    return words
