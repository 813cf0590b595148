"""BIOS modes as register tables, and `set_mode`, which writes them through the ports.

Emulated: modes 0-7 and 0Dh-13h of a VGA BIOS: registers, default palettes, font load, cleared
memory. Not emulated: the BIOS data area (a machine-code guest's BIOS keeps it), 350- and 200-line
text.

Source: the tables of SeaBIOS and the LGPL VGABIOS, which are equal for these modes; palettes by
rule, checked against both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vgaemu.vga.font import bundled_font, plane_2_bytes

if TYPE_CHECKING:
    from vgaemu.vga.device import Vga


class ModeError(ValueError):
    """There is no such mode; the message lists those there are."""


@dataclass(frozen=True)
class Mode:
    """One BIOS mode: what every register holds."""

    number: int
    name: str
    misc: int
    sequencer: bytes  # 1-4
    crtc: bytes  # 00-18h
    attribute: bytes  # 00-13h; 14h is 0
    graphics: bytes  # 0-8
    palette: str
    #: Bytes of a cleared screen, low byte first.
    fill: int = 0x0000

    @property
    def is_text(self) -> bool:
        """Whether the mode shows characters."""
        return not self.graphics[6] & 1


_VERTICAL_400 = "9C 8E 8F"
_EGA_16 = "00 01 02 03 04 05 14 07 38 39 3A 3B 3C 3D 3E 3F"
_CGA_16 = "00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17"
_IDENTITY = "00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F"


def _mode(
    number: int,
    name: str,
    misc: int,
    sequencer: str,
    crtc: str,
    attribute: str,
    graphics: str,
    palette: str,
    fill: int = 0,
) -> Mode:
    mode = Mode(
        number, name, misc, bytes.fromhex(sequencer), bytes.fromhex(crtc),
        bytes.fromhex(attribute), bytes.fromhex(graphics), palette, fill,
    )  # fmt: skip
    if [len(b) for b in (mode.sequencer, mode.crtc, mode.attribute, mode.graphics)] != [
        4,
        25,
        20,
        9,
    ]:
        raise ValueError(f"mode {number:02X}h: a register is missing in its table")
    return mode


# fmt: off
_TEXT_40 = "2D 27 28 90 2B A0 BF 1F 00 4F 0D 0E 00  00 00 00 9C 8E 8F 14 1F 96 B9 A3 FF"
_TEXT_80 = "5F 4F 50 82 55 81 BF 1F 00 4F 0D 0E 00  00 00 00 9C 8E 8F 28 1F 96 B9 A3 FF"
_CGA_4   = "2D 27 28 90 2B 80 BF 1F 00 C1 00 00 00  00 00 00 9C 8E 8F 14 00 96 B9 A2 FF"
_LINES_480 = "5F 4F 50 82 54 80 0B 3E 00 40 00 00 00  00 00 00 EA 8C DF 28 00 E7 04 E3 FF"
_LINES_350 = "5F 4F 50 82 54 80 BF 1F 00 40 00 00 00  00 00 00 83 85 5D 28 0F 63 BA E3 FF"

MODES: dict[int, Mode] = {mode.number: mode for mode in (
    _mode(0x00, "40x25 text, grey",  0x67, "08 03 00 02", _TEXT_40, _EGA_16 + "0C 00 0F 08", "00 00 00 00 00 10 0E 0F FF", "ega", 0x0720),
    _mode(0x01, "40x25 text",        0x67, "08 03 00 02", _TEXT_40, _EGA_16 + "0C 00 0F 08", "00 00 00 00 00 10 0E 0F FF", "ega", 0x0720),
    _mode(0x02, "80x25 text, grey",  0x67, "00 03 00 02", _TEXT_80, _EGA_16 + "0C 00 0F 08", "00 00 00 00 00 10 0E 0F FF", "ega", 0x0720),
    _mode(0x03, "80x25 text",        0x67, "00 03 00 02", _TEXT_80, _EGA_16 + "0C 00 0F 08", "00 00 00 00 00 10 0E 0F FF", "ega", 0x0720),
    _mode(0x04, "320x200x4, CGA",    0x63, "09 03 00 02", _CGA_4,
          "00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00", "00 00 00 00 00 30 0F 0F FF", "cga"),
    _mode(0x05, "320x200x4, CGA grey", 0x63, "09 03 00 02", _CGA_4,
          "00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00", "00 00 00 00 00 30 0F 0F FF", "cga"),
    _mode(0x06, "640x200x2, CGA",    0x63, "01 01 00 06",
          "5F 4F 50 82 54 80 BF 1F 00 C1 00 00 00 00 00 00 9C 8E 8F 28 00 96 B9 C2 FF",
          "00" + "17" * 15 + "01 00 01 00", "00 00 00 00 00 00 0D 0F FF", "cga"),
    _mode(0x07, "80x25 text, mono",  0x66, "00 03 00 02",
          "5F 4F 50 82 55 81 BF 1F 00 4F 0D 0E 00 00 00 00 9C 8E 8F 28 0F 96 B9 A3 FF",
          "00 08 08 08 08 08 08 08 10 18 18 18 18 18 18 18 0E 00 0F 08", "00 00 00 00 00 10 0A 0F FF", "mda", 0x0720),
    _mode(0x0D, "320x200x16, EGA",   0x63, "09 0F 00 06",
          "2D 27 28 90 2B 80 BF 1F 00 C0 00 00 00 00 00 00 9C 8E 8F 14 00 96 B9 E3 FF",
          _CGA_16 + "01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "cga"),
    _mode(0x0E, "640x200x16, EGA",   0x63, "01 0F 00 06",
          "5F 4F 50 82 54 80 BF 1F 00 C0 00 00 00 00 00 00 9C 8E 8F 28 00 96 B9 E3 FF",
          _CGA_16 + "01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "cga"),
    _mode(0x0F, "640x350 mono, EGA", 0xA3, "01 0F 00 06", _LINES_350,
          "00 08 00 00 18 18 00 00 00 08 00 00 00 18 00 00 01 00 01 00", "00 00 00 00 00 00 05 0F FF", "mda"),
    _mode(0x10, "640x350x16, EGA",   0xA3, "01 0F 00 06", _LINES_350,
          _EGA_16 + "01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "ega"),
    _mode(0x11, "640x480x2",         0xE3, "01 0F 00 06", _LINES_480,
          "00 3F 00 3F 00 3F 00 3F 00 3F 00 3F 00 3F 00 3F 01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "ega"),
    _mode(0x12, "640x480x16",        0xE3, "01 0F 00 06", _LINES_480,
          _EGA_16 + "01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "ega"),
    _mode(0x13, "320x200x256",       0x63, "01 0F 00 0E",
          "5F 4F 50 82 54 80 BF 1F 00 41 00 00 00 00 00 00 9C 8E 8F 28 40 96 B9 A3 FF",
          _IDENTITY + "41 00 0F 00", "00 00 00 00 00 40 05 0F FF", "vga"),
)}
# fmt: on


def _ega_colour(c: int) -> tuple[int, int, int]:
    """An EGA rgbRGB number: primary bits weigh 2Ah, secondary bits 15h."""
    red, green, blue = ((c >> n & 1) * 0x2A + (c >> n + 3 & 1) * 0x15 for n in (2, 1, 0))
    return red, green, blue


_EGA_DEFAULT = [_ega_colour(int(c, 16)) for c in _EGA_16.split()]
# Mode 13h: nine blocks of 24 hues; the five levels that each block's hues are made of.
_HUE_LEVELS = """00 10 1F 2F 3F  1F 27 2F 37 3F  2D 31 36 3A 3F  00 07 0E 15 1C  0E 11 15 18 1C
                 14 16 18 1A 1C  00 04 08 0C 10  08 0A 0C 0E 10  0B 0C 0D 0F 10"""
_GREYS = bytes.fromhex("00 05 08 0B 0E 11 14 18 1C 20 24 28 2D 32 38 3F")


def _hue(levels: bytes, i: int) -> tuple[int, int, int]:
    up, down = levels[i % 4], levels[4 - i % 4]
    low, high = levels[0], levels[4]
    return [
        (up, low, high), (high, low, down), (high, up, low),
        (down, high, low), (low, high, up), (low, down, high),
    ][i // 4]  # fmt: skip


def default_palette(name: str) -> bytes:
    """256 x 3 DAC bytes (6 bits each) of a BIOS palette: ``ega``, ``cga``, ``mda`` or ``vga``."""
    black = (0, 0, 0)
    if name == "ega":
        colours = [_ega_colour(c) for c in range(64)]
    elif name == "cga":
        low, high = _EGA_DEFAULT[:8], _EGA_DEFAULT[8:]
        colours = (low + low + high + high) * 2
    elif name == "mda":
        colours = ([black] * 8 + [(0x2A,) * 3] * 16 + [(0x3F,) * 3] * 8) * 2
    else:
        levels = bytes.fromhex(_HUE_LEVELS)
        blocks = [levels[i : i + 5] for i in range(0, 45, 5)]
        colours = _EGA_DEFAULT + [(grey,) * 3 for grey in _GREYS]
        colours += [_hue(block, i) for block in blocks for i in range(24)]
    colours += [black] * (256 - len(colours))
    return bytes(component for colour in colours for component in colour)


def load_font(vga: Vga, glyphs: bytes, font: int = 0) -> None:
    """Write a font into plane 2 as a BIOS does, and put the registers back.

    Args:
        vga: The device.
        glyphs: 256 glyphs of 32 bytes.
        font: Which of the eight, as SR03 counts.
    """
    sequencer = {2: 0x04, 4: 0x06}
    graphics = {1: 0x00, 3: 0x00, 4: 0x02, 5: 0x00, 6: 0x04, 8: 0xFF}
    saved_sequencer = {i: vga.sequencer.values[i] for i in sequencer}
    saved_graphics = {i: vga.graphics.values[i] for i in graphics}
    _write_indexed(vga, 0x3C4, sequencer)
    _write_indexed(vga, 0x3CE, graphics)
    from vgaemu.vga.scanout import FONT_ADDRESS

    vga.store(0xA0000 + FONT_ADDRESS[font], glyphs)
    _write_indexed(vga, 0x3C4, saved_sequencer)
    _write_indexed(vga, 0x3CE, saved_graphics)


def _write_indexed(vga: Vga, port: int, values: dict[int, int]) -> None:
    for index, value in values.items():
        vga.outb(port, index)
        vga.outb(port + 1, value)


def set_mode(vga: Vga, number: int, *, clear: bool = True) -> None:
    """Set a BIOS mode by writing every register through the ports, in the BIOS's order.

    Args:
        vga: The device.
        number: 00h-07h or 0Dh-13h.
        clear: Fill the mode's memory with blanks.

    Raises:
        ModeError: There is no such mode.
    """
    mode = MODES.get(number)
    if mode is None:
        known = ", ".join(f"{n:02X}h" for n in MODES)
        raise ModeError(f"there is no mode {number:02X}h; there are {known}")
    vga.outw(0x1CE, 4)  # DISPI off
    vga.outw(0x1CF, 0)
    status = 0x3DA if mode.misc & 1 else 0x3BA
    crtc = status - 6
    vga.outb(0x3C2, mode.misc)
    vga.outb(0x3C6, 0xFF)
    vga.outb(0x3C8, 0x00)
    for component in default_palette(mode.palette):
        vga.outb(0x3C9, component)
    vga.inb(status)  # attribute flip-flop to "index"
    for i, value in enumerate(mode.attribute + b"\x00"):
        vga.outb(0x3C0, i)
        vga.outb(0x3C0, value)
    _write_indexed(vga, 0x3C4, {0: 3} | dict(enumerate(mode.sequencer, 1)))
    _write_indexed(vga, 0x3CE, dict(enumerate(mode.graphics)))
    _write_indexed(vga, crtc, {0x11: 0x00})  # unlock 00h-07h
    _write_indexed(vga, crtc, dict(enumerate(mode.crtc)))
    if mode.is_text:
        load_font(vga, plane_2_bytes(bundled_font(16)))
    if clear:
        base = (0xA0000, 0xA0000, 0xB0000, 0xB8000)[mode.graphics[6] >> 2 & 3]
        size = 0x10000 if base == 0xA0000 else 0x8000
        vga.store(base, mode.fill.to_bytes(2, "little") * (size // 2))
    vga.outb(0x3C0, 0x20)  # palette done: show the picture
