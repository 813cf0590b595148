"""BIOS modes as register tables, and `set_mode`, which writes them through the ports.

Emulated: modes 0-7 and 0Dh-13h of a VGA BIOS: registers, default palettes, font load, cleared
memory; and the tweaked modes that programs made of them. Not emulated: the BIOS data area (a
machine-code guest's BIOS keeps it), 200-line text.

Source: the tables of SeaBIOS and the LGPL VGABIOS, which are equal for these modes; but mode 0Fh is
IBM's, on monochrome ports, of four shades. Palettes by rule, checked against both. Tweaks: as the
tables that programs carried agree on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import ModeError
from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.device import Vga
from vgaemu.vga.font import FONT_ADDRESS, bundled_font, plane_2_bytes
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.registers import CRTC_PLACES, GRAPHICS_PLACES, WINDOWS


@dataclass(frozen=True)
class Mode:
    """One mode: what every register holds."""

    #: As INT 10h counts, or None: no BIOS has it.
    number: int | None
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
        return not GRAPHICS_PLACES["graphics"].read(self.graphics)

    @property
    def window(self) -> tuple[int, int]:
        """First byte of the window onto VRAM, guest-physical, and its size."""
        return WINDOWS[GRAPHICS_PLACES["memory_map"].read(self.graphics)]

    @property
    def cell_height(self) -> int:
        """Text: lines a character."""
        return CRTC_PLACES["max_scan_line"].read(self.crtc) + 1


_EGA_16 = "00 01 02 03 04 05 14 07 38 39 3A 3B 3C 3D 3E 3F"
_CGA_16 = "00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17"
_IDENTITY = "00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F"


def _mode(
    number: int, name: str, misc: int,
    sequencer: str, crtc: str, attribute: str, graphics: str, palette: str, fill: int = 0,
) -> Mode:  # fmt: skip
    seq, crt, att, gra = (bytes.fromhex(text) for text in (sequencer, crtc, attribute, graphics))
    if (len(seq), len(crt), len(att), len(gra)) != (4, 25, 20, 9):
        raise ValueError(f"mode {number:02X}h: a register is missing in its table")
    return Mode(number, name, misc, seq, crt, att, gra, palette, fill)


# fmt: off
_TEXT_40 = "2D 27 28 90 2B A0 BF 1F 00 4F 0D 0E 00  00 00 00 9C 8E 8F 14 1F 96 B9 A3 FF"
_TEXT_80 = "5F 4F 50 82 55 81 BF 1F 00 4F 0D 0E 00  00 00 00 9C 8E 8F 28 1F 96 B9 A3 FF"
_CGA_4   = "2D 27 28 90 2B 80 BF 1F 00 C1 00 00 00  00 00 00 9C 8E 8F 14 00 96 B9 A2 FF"
_LINES_480 = "5F 4F 50 82 54 80 0B 3E 00 40 00 00 00  00 00 00 EA 8C DF 28 00 E7 04 E3 FF"
_LINES_350 = "5F 4F 50 82 54 80 BF 1F 00 40 00 00 00  00 00 00 83 85 5D 28 0F 63 BA E3 FF"

_BIOS_MODES = (
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
    _mode(0x0F, "640x350 mono, EGA", 0xA2, "01 0F 00 06", _LINES_350,
          "00 08 00 00 18 18 00 00 00 08 00 00 00 18 00 00 0B 00 05 00", "00 00 00 00 00 00 05 05 FF", "mda"),
    _mode(0x10, "640x350x16, EGA",   0xA3, "01 0F 00 06", _LINES_350,
          _EGA_16 + "01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "ega"),
    _mode(0x11, "640x480x2",         0xE3, "01 0F 00 06", _LINES_480,
          "00 3F 00 3F 00 3F 00 3F 00 3F 00 3F 00 3F 00 3F 01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "ega"),
    _mode(0x12, "640x480x16",        0xE3, "01 0F 00 06", _LINES_480,
          _EGA_16 + "01 00 0F 00", "00 00 00 00 00 00 05 0F FF", "ega"),
    _mode(0x13, "320x200x256",       0x63, "01 0F 00 0E",
          "5F 4F 50 82 54 80 BF 1F 00 41 00 00 00 00 00 00 9C 8E 8F 28 40 96 B9 A3 FF",
          _IDENTITY + "41 00 0F 00", "00 00 00 00 00 40 05 0F FF", "vga"),
)
# fmt: on
#: BIOS modes by number.
MODES: dict[int, Mode] = {mode.number: mode for mode in _BIOS_MODES if mode.number is not None}


def with_cell_height(crtc: bytes, height: int) -> bytes:
    """CRTC registers of a text mode for another font: as many whole rows as fit, as a BIOS does.

    >>> cells = with_cell_height(MODES[3].crtc, 14)
    >>> [CRTC_PLACES[name].read(cells) + 1 for name in ("max_scan_line", "vertical_display_end")]
    [14, 392]
    """
    new = bytearray(crtc)
    display_end, underline = CRTC_PLACES["vertical_display_end"], CRTC_PLACES["underline_line"]
    display_end.write(new, (display_end.read(crtc) + 1) // height * height - 1)
    CRTC_PLACES["max_scan_line"].write(new, height - 1)
    # The cursor: the last two lines, or with room below, the two above the last.
    first = max(height - (2 if height <= 8 else 3), 0)
    new[0x0A], new[0x0B] = first, min(first + 1, height - 1)
    if underline.read(crtc) != 0x1F:  # mono: the underline goes along
        underline.write(new, height - 1)
    return bytes(new)


def _tweak(
    name: str, base: int, misc: int, crtc: str = "", cell_height: int = 0, unchained: bool = False
) -> Mode:
    """A BIOS mode with some registers changed: ``"09=40"`` is CR09 = 40h."""
    mode = MODES[base]
    registers = bytearray(mode.crtc)
    if unchained:
        registers[0x14], registers[0x17] = 0x00, 0xE3  # from dwords to bytes
    for word in crtc.split():
        index, value = word.split("=")
        registers[int(index, 16)] = int(value, 16)
    new = with_cell_height(bytes(registers), cell_height) if cell_height else bytes(registers)
    sequencer = mode.sequencer[:3] + b"\x06" if unchained else mode.sequencer
    return replace(mode, number=None, name=name, misc=misc, sequencer=sequencer, crtc=new)


_WIDE_360 = "00=6B 01=59 02=5A 03=8E 04=5E 05=8A 13=2D"
_WIDE_256 = "00=5F 01=3F 02=42 03=9F 04=4C 05=00 13=20"
_HIGH_240 = "06=0D 07=3E 10=EA 11=AC 12=DF 15=E7 16=06"
_TEXT_350 = "10=83 11=85 12=5D 15=63 16=BA"
_TEXT_480 = "06=0B 07=3E 10=EA 11=8C 12=DF 15=E7 16=04"

#: Modes that programs made by ports, by name.
TWEAKS: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        _tweak("80x28 text", 3, 0x67, cell_height=14),
        _tweak("80x43 text", 3, 0xA7, _TEXT_350, cell_height=8),
        _tweak("80x50 text", 3, 0x67, cell_height=8),
        _tweak("80x60 text", 3, 0xE7, _TEXT_480, cell_height=8),
        _tweak("40x50 text", 1, 0x67, cell_height=8),
        _tweak("256x240 unchained", 0x13, 0xE3, f"{_HIGH_240} {_WIDE_256} 09=41", unchained=True),
        _tweak("320x200 unchained", 0x13, 0x63, unchained=True),
        _tweak("320x240 unchained", 0x13, 0xE3, f"{_HIGH_240} 09=41", unchained=True),
        _tweak("320x400 unchained", 0x13, 0x63, "09=40", unchained=True),
        _tweak("320x480 unchained", 0x13, 0xE3, f"{_HIGH_240} 09=40", unchained=True),
        _tweak("360x240 unchained", 0x13, 0xE7, f"{_WIDE_360} {_HIGH_240} 09=41", unchained=True),
        _tweak("360x400 unchained", 0x13, 0x67, f"{_WIDE_360} 09=40", unchained=True),
        _tweak("360x480 unchained", 0x13, 0xE7, f"{_WIDE_360} {_HIGH_240} 09=40", unchained=True),
    )
}

#: All of both by name.
NAMES: dict[str, Mode] = {mode.name: mode for mode in _BIOS_MODES} | TWEAKS


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


@cache
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
    """Write 256 glyphs of 32 bytes into plane 2 as a BIOS does; `font` counts as SR03 does."""
    with Ports(vga).font_memory():
        vga.store(0xA0000 + FONT_ADDRESS[font], glyphs)


def set_mode(vga: Vga, mode: int | str, *, clear: bool = True) -> None:
    """Set a mode by writing every register through the ports, in the BIOS's order.

    Text modes load `Vga.rom_font` if there is one, and then have as many rows as its height gives.

    Args:
        vga: The device.
        mode: A BIOS mode's number, 00h-07h or 0Dh-13h, or a name in `NAMES`.
        clear: Fill the mode's memory with blanks.

    Raises:
        ModeError: There is no such mode.
    """
    wanted = find_mode(mode)
    ports = Ports(vga)
    ports.set_dispi(dispi_regs.ENABLE, 0)
    vga.outb(0x3C2, wanted.misc)
    vga.outb(0x3C6, 0xFF)
    ports.write_dac(0, default_palette(wanted.palette))
    vga.inb(ports.status)  # attribute flip-flop to "index"
    for i, value in enumerate(wanted.attribute + b"\x00"):
        vga.outb(0x3C0, i)
        vga.outb(0x3C0, value)
    ports.set_all(SEQ, {0: 3} | dict(enumerate(wanted.sequencer, 1)))
    ports.set_all(GC, dict(enumerate(wanted.graphics)))
    crtc = wanted.crtc
    if wanted.is_text:
        font = _rom_font(vga, wanted)
        if font.shape[1] != wanted.cell_height:
            crtc = with_cell_height(crtc, font.shape[1])
    ports.set_crtc(0x11, 0x00)  # unlock 00h-07h
    ports.set_all(ports.crtc, dict(enumerate(crtc)))
    if wanted.is_text:
        load_font(vga, plane_2_bytes(font))
        vga.lay_text_out()
    if clear:
        base, size = wanted.window
        vga.store(base, wanted.fill.to_bytes(2, "little") * (min(size, 0x10000) // 2))
    vga.outb(0x3C0, 0x20)  # palette done: show the picture


def find_mode(mode: int | str) -> Mode:
    """A mode by its BIOS number or by its name in `NAMES`.

    Raises:
        ModeError: There is no such mode.
    """
    if isinstance(mode, str):
        if mode not in NAMES:
            known = "; ".join(NAMES)  # some have a comma
            raise ModeError(f"there is no mode {mode!r}; there are: {known}")
        return NAMES[mode]
    if mode not in MODES:
        known = ", ".join(f"{n:02X}h" for n in MODES)
        raise ModeError(f"there is no mode {mode:02X}h; there are {known}")
    return MODES[mode]


def _rom_font(vga: Vga, mode: Mode) -> NDArray[np.uint8]:
    """What a text mode loads: a BIOS mode the ROM's font, a tweak the one of its height."""
    font = vga.rom_font
    if font is not None and (mode.number is not None or font.shape[1] == mode.cell_height):
        return font
    return bundled_font(mode.cell_height)


def set_dispi_mode(vga: Vga, width: int, height: int, bits: int) -> None:
    """Set a mode through DISPI's registers, and clear it.

    The VGA's own registers are those of mode 13h (12h for 4 bits): the window at A0000h is open and
    the palette the BIOS's, as after a VBE BIOS's mode set.

    Args:
        vga: The device.
        width: In pixels.
        height: In lines.
        bits: A pixel: 4, 8, 15, 16, 24 or 32.

    Raises:
        ModeError: The device refuses it: too large, or no such format.
    """
    set_mode(vga, 0x12 if bits == 4 else 0x13, clear=False)
    values = {dispi_regs.XRES: width, dispi_regs.YRES: height, dispi_regs.BPP: bits}
    ports = Ports(vga)
    for index, value in values.items():
        ports.set_dispi(index, value)
    if all(ports.get_dispi(index) == value for index, value in values.items()):
        ports.set_dispi(dispi_regs.ENABLE, dispi_regs.ENABLED | dispi_regs.LFB_ENABLED)
    if not ports.get_dispi(dispi_regs.ENABLE) & dispi_regs.ENABLED:
        raise ModeError(
            f"no DISPI mode {width}x{height} with {bits} bits a pixel in "
            f"{ports.get_dispi(dispi_regs.MEMORY_64K) / 16:g} MiB; at most "
            f"{dispi_regs.MAX_XRES}x{dispi_regs.MAX_YRES}, 4, 8, 15, 16, 24 or 32 bits, even widths"
        )
