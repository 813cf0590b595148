"""Scanout: what the CRTC, attribute controller and DAC show, as a frozen value.

`scanout_of(vga, ...)` is a pure function of the registers. Its answer holds everything that a
picture depends on besides VRAM, so two equal scanouts and clean pages mean: nothing to draw. What
a change of each field asks for is one table, `CHANGES`.

Emulated: see the table in the README. A row's pixels come from *fetches*: at character c of a scan
line the CRTC counter MA = row start + c makes a plane address, and the four plane bytes there make
8 dots. Not emulated: mid-frame register effects, display skew, blanking inside the display area,
loading every 2nd or 4th character, counting by 2 or 4, vertical counts doubled (CR17 bit 2),
retrace switched off (CR17 bit 7), nibbles joined in pairs (AR10 bit 6) in other than 256-colour
shifts, 9-dot graphics.

Sources: IBM PS/2 Hardware Interface Technical Reference; FreeVGA.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.crtc import Geometry, uniform_repeat
from vgaemu.vga.layout import LEGACY_BYTES
from vgaemu.vga.registers import SEQUENCER_PLACES

if TYPE_CHECKING:
    from vgaemu.vga.device import Vga


class Kind(Enum):
    """How fetched bytes become pixels."""

    TEXT = "text"
    #: Four planes, a bit of each a pixel.
    PLANAR = "planar"
    #: Two bits a pixel, even pixels' planes paired as in CGA 320x200 (GR05 bit 5).
    INTERLEAVE = "interleave"
    #: Four bits a pixel, high nibble first (GR05 bit 6 without AR10 bit 6).
    NIBBLES = "nibbles"
    #: A byte a pixel (GR05 bit 6 with AR10 bit 6): mode 13h and its relatives.
    BYTES = "bytes"
    #: DISPI's packed pixels.
    LINEAR_8 = "linear 8"
    LINEAR_15 = "linear 15"
    LINEAR_16 = "linear 16"
    LINEAR_24 = "linear 24"
    LINEAR_32 = "linear 32"


#: Kinds whose VRAM is addressed as bytes, without the CRTC.
LINEAR_BPP = {
    Kind.LINEAR_8: 8,
    Kind.LINEAR_15: 15,
    Kind.LINEAR_16: 16,
    Kind.LINEAR_24: 24,
    Kind.LINEAR_32: 32,
}
#: Kinds that go through the 16 palette registers.
SIXTEEN_COLOURS = (Kind.TEXT, Kind.PLANAR, Kind.INTERLEAVE, Kind.NIBBLES)

#: Plane 2 address of each of the eight fonts that SR03 can select.
FONT_ADDRESS = (0x0000, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000)
#: SR03 -> plane 2 addresses of the fonts for attribute bit 3 = 0 and 1.
FONTS = tuple(
    (FONT_ADDRESS[map_b], FONT_ADDRESS[map_a])
    for map_b, map_a in (
        [SEQUENCER_PLACES[name].read((0, 0, 0, value)) for name in ("map_b", "map_a")]
        for value in range(64)
    )
)


class Redraw(Enum):
    """What a change without a dirty page asks for; the largest first."""

    #: Another frame size: a new frame, all of it drawn, and the display told.
    RESIZE = "resize"
    #: All of the picture.
    EVERYTHING = "everything"
    #: Text cells whose look changed; the cell comparison finds them. Other kinds: nothing.
    CELLS = "cells"


@dataclass(frozen=True)
class Scanout:
    """Everything a picture depends on besides VRAM."""

    kind: Kind
    #: Logical pixels: 320x200 is 320x200; repeating and aspect belong to the display.
    width: int
    height: int
    #: Scan lines and dots of the monitor that one logical pixel covers.
    scan_lines_a_row: int
    dots_a_pixel: int
    #: Fetches a row (characters); 0 for linear kinds.
    columns: int
    #: Text: pixels a character is wide; otherwise 8 dots a fetch.
    cell_width: int
    geometry: Geometry
    #: Address mode: plane address = MA rotated left by this many bits (0 byte, 1 word, 2 dword).
    rotate: int
    #: Word mode: which MA bit becomes address bit 0 (13 or 15).
    wrap_bit: int
    chain4_layout: bool
    #: Pixels that the picture is moved left, above and below the split.
    pan: tuple[int, int]
    #: Linear kinds: VRAM offset of the first pixel, and bytes from line to line.
    linear_start: int
    linear_pitch: int
    vram_bytes: int
    #: 256 uint32 0x00RRGGBB by pixel value, or the first 16 for 16-colour kinds, as bytes.
    palette: bytes
    #: 0x00RRGGBB around the picture.
    border: int
    blank: bool
    #: 16-colour kinds: bits of a pixel that reach the palette (AR12).
    plane_enable: int
    #: Text: plane 2 addresses of the fonts for attribute bit 3 = 0 and 1.
    fonts: tuple[int, int]
    #: Text: AR10 bit 2, columns C0h-DFh copy dot 8 to dot 9.
    line_graphics: bool
    #: AR10 bit 3: attribute bit 7 (16-colour graphics: pixel bit 3) blinks.
    blink: bool
    underline_line: int
    #: Text: (address, first line, last line) of a cursor that shows now, or None.
    cursor: tuple[int, int, int] | None
    #: Whether blinking things show now; always true where nothing blinks.
    blink_shown: bool

    @property
    def is_text(self) -> bool:
        """Whether cells with characters are shown."""
        return self.kind is Kind.TEXT

    @property
    def mode_name(self) -> str:
        """What a person calls it: ``text 80x25``, ``320x200x256``."""
        if self.is_text:
            row_lines = self.geometry.row_lines << self.geometry.double_scan
            rows = -(-self.geometry.lines // row_lines)
            return f"text {self.columns}x{rows}"
        if self.kind in LINEAR_BPP:
            return f"{self.width}x{self.height}x{LINEAR_BPP[self.kind]}bpp"
        colours = 256 if self.kind is Kind.BYTES else 16
        if self.kind is Kind.INTERLEAVE or self.plane_enable in (1, 3):
            colours = {1: 2, 3: 4}.get(self.plane_enable, 16)
        return f"{self.width}x{self.height}x{colours}"


#: One row for each field of `Scanout`: what to redraw when it changed though no page is dirty.
CHANGES: dict[str, Redraw] = {
    "kind": Redraw.RESIZE,  # GR06b0, GR05, AR10b6, DISPI enable and bpp
    "width": Redraw.RESIZE,  # CR01, SR01b0, DISPI xres
    "height": Redraw.RESIZE,  # CR12, CR09, DISPI yres
    "scan_lines_a_row": Redraw.RESIZE,  # CR09
    "dots_a_pixel": Redraw.RESIZE,  # SR01b3
    "columns": Redraw.RESIZE,  # CR01
    "cell_width": Redraw.RESIZE,  # SR01b0
    "geometry": Redraw.EVERYTHING,  # CR0C, CR0D, CR13, CR08, CR18, CR07b4, CR09, CR17b0-1
    "rotate": Redraw.EVERYTHING,  # CR14b6, CR17b6
    "wrap_bit": Redraw.EVERYTHING,  # CR17b5
    "chain4_layout": Redraw.EVERYTHING,  # SR04b3
    "pan": Redraw.EVERYTHING,  # AR13, AR10b5
    "linear_start": Redraw.EVERYTHING,  # DISPI x and y offset
    "linear_pitch": Redraw.EVERYTHING,  # DISPI virtual width
    "vram_bytes": Redraw.EVERYTHING,
    "palette": Redraw.EVERYTHING,  # DAC, 3C6h, AR00-0F, AR10b7, AR14
    "border": Redraw.EVERYTHING,  # AR11, SR01b5: displays are told by `resize`, and want all
    "blank": Redraw.EVERYTHING,  # SR01b5, AR index bit 5
    "plane_enable": Redraw.EVERYTHING,  # AR12
    "fonts": Redraw.EVERYTHING,  # SR03
    "line_graphics": Redraw.EVERYTHING,  # AR10b2
    "blink": Redraw.EVERYTHING,  # AR10b3
    "underline_line": Redraw.EVERYTHING,  # CR14b0-4
    "cursor": Redraw.CELLS,  # CR0A, CR0B, CR0E, CR0F, and its blink
    "blink_shown": Redraw.CELLS,  # the frame counter
}


def redraw_between(old: Scanout, new: Scanout) -> Redraw | None:
    """The largest redraw that any changed field asks for, or None where all are equal."""
    asked = {
        redraw
        for name, redraw in CHANGES.items()
        if (was := getattr(old, name)) is not (now := getattr(new, name)) and was != now
    }
    return next((redraw for redraw in Redraw if redraw in asked), None)


def scanout_of(vga: Vga, *, cursor_phase: bool = True, blink_phase: bool = True) -> Scanout:
    """What the registers say is shown.

    Args:
        vga: The device; only read.
        cursor_phase: Whether the cursor is in the visible half of its blink.
        blink_phase: Whether blinking attributes are in the visible half of theirs.
    """
    # A guest on another thread may set a mode meanwhile; these registers belong together.
    values = vga.dispi.values.copy()
    if values[dispi_regs.ENABLE] & dispi_regs.ENABLED:
        return _dispi_scanout(vga, values, blink_phase)
    crtc, sequencer, attribute = vga.crtc, vga.sequencer, vga.attribute
    kind = _kind(vga)
    text = kind is Kind.TEXT
    columns = crtc["horizontal_display_end"] + 1
    cell_width = 9 if text and not sequencer["dots_8"] else 8
    geometry = Geometry(
        lines=crtc["vertical_display_end"] + 1,
        line_compare=crtc["line_compare"],
        row_lines=crtc["max_scan_line"] + 1,
        double_scan=bool(crtc["double_scan"]),
        preset_row=crtc["preset_row"],
        start=(crtc["start_address"] + crtc["byte_panning"]) & 0xFFFF,
        pitch=crtc["offset"] * 2,
        row_bits=(1 - crtc["no_row_bit0_as_a13"]) | (1 - crtc["no_row_bit1_as_a14"]) << 1,
    )
    pan = _pan(kind, attribute["pel_panning"], cell_width)
    blinking = bool(attribute["blink"])
    scan_lines_a_row = uniform_repeat(geometry, text)
    dots_a_pixel = 2 if kind is Kind.BYTES else 1
    return Scanout(
        kind=kind,
        width=columns * (4 if kind is Kind.BYTES else cell_width),
        height=geometry.lines // scan_lines_a_row,
        scan_lines_a_row=scan_lines_a_row,
        dots_a_pixel=dots_a_pixel << sequencer["half_dot_clock"],
        columns=columns,
        cell_width=cell_width,
        geometry=geometry,
        rotate=2 if crtc["dword_addressing"] else 0 if crtc["byte_addressing"] else 1,
        wrap_bit=15 if crtc["address_wrap"] else 13,
        chain4_layout=vga.chain4_layout,
        pan=(pan, 0 if attribute["split_pan_off"] else pan),
        linear_start=0,
        linear_pitch=0,
        vram_bytes=LEGACY_BYTES,
        palette=_palette(vga, kind, blink_phase),
        border=_border(vga),
        blank=_blank(vga),
        plane_enable=attribute["planes_shown"],
        fonts=FONTS[sequencer.values[3]] if text else (0, 0),
        line_graphics=text and bool(attribute["line_graphics"]),
        blink=text and blinking,
        underline_line=crtc["underline_line"] if text else 0x1F,
        cursor=_cursor(vga) if text and cursor_phase else None,
        blink_shown=blink_phase or not (text and blinking),
    )


def with_cursor(old: Scanout, vga: Vga, *, cursor_phase: bool, blink_phase: bool) -> Scanout:
    """`scanout_of` where at most the cursor and the blink phase changed since `old`, a text mode.

    It happens nearly every frame of a guest that types, and costs a twentieth.
    """
    new = object.__new__(Scanout)
    vars(new).update(vars(old))
    vars(new)["cursor"] = _cursor(vga) if cursor_phase else None
    vars(new)["blink_shown"] = blink_phase or not old.blink
    return new


def _dispi_scanout(vga: Vga, values: list[int], blink_phase: bool) -> Scanout:
    """DISPI modes: rows of bytes, or for 4 bpp rows of addresses, one after another in VRAM."""
    bpp, width, height = (values[n] for n in (dispi_regs.BPP, dispi_regs.XRES, dispi_regs.YRES))
    x, y = values[dispi_regs.X_OFFSET], values[dispi_regs.Y_OFFSET]
    pitch = dispi_regs.pitch_of(values)
    kind = Kind.PLANAR if bpp == 4 else Kind(f"linear {bpp}")
    columns = -(-width // 8) if kind is Kind.PLANAR else 0
    if kind is Kind.PLANAR:
        pitch *= 4
        start = y * pitch + x // 8 * 4
        palette = _palette(vga, kind, blink_phase)
    else:
        start = y * pitch + x * dispi_regs.BYTES_PER_PIXEL[bpp]
        palette = vga.dac.colours().tobytes() if bpp == 8 else b""
    pan = x & 7 if kind is Kind.PLANAR else 0
    return Scanout(
        kind=kind,
        width=width,
        height=height,
        scan_lines_a_row=1,
        dots_a_pixel=1,
        columns=columns,
        cell_width=8,
        geometry=Geometry(height, height, 1, False, 0, 0, 0, 0),
        rotate=0,
        wrap_bit=15,
        chain4_layout=False,
        pan=(pan, pan),
        linear_start=start % vga.slot.nbytes,
        linear_pitch=pitch,
        vram_bytes=vga.slot.nbytes,
        palette=palette,
        border=_border(vga),
        blank=_blank(vga),
        plane_enable=0x0F,
        fonts=(0, 0),
        line_graphics=False,
        blink=False,
        underline_line=0x1F,
        cursor=None,
        blink_shown=True,
    )


def _kind(vga: Vga) -> Kind:
    if not vga.graphics["graphics"]:
        return Kind.TEXT
    if vga.graphics["shift_256"]:
        return Kind.BYTES if vga.attribute["pixel_8_bit"] else Kind.NIBBLES
    return Kind.INTERLEAVE if vga.graphics["interleave"] else Kind.PLANAR


def _pan(kind: Kind, value: int, cell_width: int) -> int:
    """AR13 in pixels: 9-dot text counts 8, 0, 1 ... 7; 256 colours count half pixels."""
    if kind is Kind.BYTES:
        return (value & 7) >> 1
    if cell_width == 9:
        return 0 if value >= 8 else value + 1
    return value & 7


def _blank(vga: Vga) -> bool:
    return bool(vga.sequencer["screen_off"]) or not vga.attribute_address & 0x20


def _border(vga: Vga) -> int:
    """Screen off darkens it, too."""
    if vga.sequencer["screen_off"]:
        return 0
    return int(vga.dac.colours()[vga.attribute["overscan_colour"]])


def _cursor(vga: Vga) -> tuple[int, int, int] | None:
    crtc = vga.crtc
    first, last = crtc["cursor_first_line"], crtc["cursor_last_line"]
    if crtc["cursor_off"] or first > last:
        return None
    return crtc["cursor_location"], first, last


def _palette(vga: Vga, kind: Kind, blink_phase: bool) -> bytes:
    """Colours by pixel value: plane enable, AR palette, P54S and colour select, mask, DAC."""
    colours = vga.dac.colours()
    if kind not in SIXTEEN_COLOURS:
        return colours.tobytes()
    attribute = vga.attribute
    palette = np.frombuffer(bytes(attribute.values[:16]), np.uint8).astype(np.intp)
    select = attribute["colour_select"]
    # P54S: colour select gives bits 4-7 of the DAC index; otherwise bits 6-7 alone.
    low, high = (0x0F, 0x0F) if attribute["p54_select"] else (0x3F, 0x0C)
    index = (select & high) << 4 | palette & low
    pixels = np.arange(16) & attribute["planes_shown"]
    if attribute["blink"] and kind is not Kind.TEXT:
        # Colours 0-7 are shown intense, 8-15 change between both (Bochs, 86Box).
        pixels = pixels | 8 if blink_phase else pixels ^ 8
    shown: bytes = colours.take(index.take(pixels)).tobytes()
    return shown
