"""Scanout: what the CRTC, attribute controller and DAC show, as a frozen value.

`scanout_of(vga, ...)` is a pure function of the registers. Its answer holds everything that a
picture depends on besides VRAM, so two equal scanouts and clean pages mean: nothing to draw. What
a change of each field asks for is one table, `CHANGES`.

Emulated: see the table in `docs/what-is-emulated.md`. A row's pixels come from *fetches*: at
character c of a scan line the CRTC counter MA = row start + c makes a plane address, and the four
plane bytes there make 8 dots. Not emulated: mid-frame register effects, display skew, blanking
inside the display area, loading every 2nd or 4th character, counting by 2 or 4, vertical counts
doubled (CR17 bit 2), retrace switched off (CR17 bit 7), nibbles joined in pairs (AR10 bit 6) in
other than 256-colour shifts, 9-dot graphics.

Sources: IBM PS/2 Hardware Interface Technical Reference; FreeVGA.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.crtc import Geometry, uniform_repeat
from vgaemu.vga.device import Vga
from vgaemu.vga.font import FONT_ADDRESS


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


#: Packed pixels: their bits.
LINEAR_BPP = {
    Kind.LINEAR_8: 8,
    Kind.LINEAR_15: 15,
    Kind.LINEAR_16: 16,
    Kind.LINEAR_24: 24,
    Kind.LINEAR_32: 32,
}
#: DISPI's bits a pixel -> how they are fetched.
DISPI_KIND = {4: Kind.PLANAR} | {bpp: kind for kind, bpp in LINEAR_BPP.items()}
#: Kinds that go through the 16 palette registers.
SIXTEEN_COLOURS = (Kind.TEXT, Kind.PLANAR, Kind.INTERLEAVE, Kind.NIBBLES)
#: Kinds whose pixel values are numbers of DAC entries.
DAC_COLOURS = (Kind.BYTES, Kind.LINEAR_8)


class Redraw(Enum):
    """What a change without a dirty page asks for; the largest first."""

    #: Another frame size: a new frame, all of it drawn, and the display told.
    RESIZE = "resize"
    #: All of the picture.
    EVERYTHING = "everything"
    #: Text cells whose look changed; the cell comparison finds them. Other kinds: nothing.
    CELLS = "cells"


# The parts of a scanout are named tuples: made anew when a register changed and compared with
# those before, both of which cost frozen dataclasses three times as much (0.4 against 1.2 us).


class CrtcRows(NamedTuple):
    """Where the CRTC fetches each row of the picture."""

    geometry: Geometry
    #: Scan lines of the monitor that show each row.
    scan_lines_a_row: int
    #: Fetches a row (characters).
    columns: int
    #: Address mode: plane address = MA rotated left by this many bits (0 byte, 1 word, 2 dword).
    rotate: int
    #: Word mode: which MA bit becomes address bit 0 (13 or 15).
    wrap_bit: int
    chain4_layout: bool
    #: Pixels that the picture is moved left, above and below the split.
    pan: tuple[int, int]


class LinearRows(NamedTuple):
    """Where DISPI's rows lie: one after another in all of VRAM, at its end from the beginning."""

    #: VRAM offset of the first byte, bytes a row, and bytes from row to row.
    start: int
    nbytes: int
    pitch: int
    #: Pixels of the first byte that lie left of the picture.
    pan: int


class TextLook(NamedTuple):
    """How characters and attributes look, besides their colours."""

    #: Pixels a character is wide.
    cell_width: int
    #: Plane 2 addresses of the fonts for attribute bit 3 = 0 and 1.
    fonts: tuple[int, int]
    #: AR10 bit 2, columns C0h-DFh copy dot 8 to dot 9.
    line_graphics: bool
    #: AR10 bit 3: attribute bit 7 blinks, and is no part of the background.
    blink: bool
    underline_line: int


class Colours(NamedTuple):
    """What pixel values look like."""

    #: uint32 0x00RRGGBB by pixel value, as bytes: 16 or 256; none where pixels are colours.
    palette: bytes
    #: 16-colour kinds: bits of a pixel that reach the palette (AR12).
    plane_enable: int
    #: 0x00RRGGBB around the picture.
    border: int
    #: All of the picture is black.
    blank: bool


class Cursor(NamedTuple):
    """The text cursor, where it is on and in the visible half of its blink."""

    address: int
    first_line: int
    last_line: int

    @property
    def lines(self) -> tuple[int, int]:
        """First and last: its shape."""
        return self.first_line, self.last_line


class Scanout(NamedTuple):
    """Everything a picture depends on besides VRAM."""

    kind: Kind
    #: Logical pixels: 320x200 is 320x200; repeating and aspect belong to the display.
    width: int
    height: int
    rows: CrtcRows | LinearRows
    #: None in graphics modes.
    text: TextLook | None
    colours: Colours
    cursor: Cursor | None
    #: Whether blinking characters show now; always true where none blink.
    blink_shown: bool

    @property
    def is_text(self) -> bool:
        """Whether cells with characters are shown."""
        return self.text is not None

    @property
    def mode_name(self) -> str:
        """What a person calls it: ``text 80x25``, ``320x200x256``."""
        if self.text is not None and isinstance(self.rows, CrtcRows):
            geometry = self.rows.geometry
            row_lines = geometry.row_lines << geometry.double_scan
            return f"text {self.rows.columns}x{-(-geometry.lines // row_lines)}"
        if self.kind in LINEAR_BPP:
            return f"{self.width}x{self.height}x{LINEAR_BPP[self.kind]}bpp"
        sixteen = {1: 2, 3: 4}.get(self.colours.plane_enable, 16)
        return f"{self.width}x{self.height}x{256 if self.kind is Kind.BYTES else sixteen}"


#: One row for each part of `Scanout`: what to redraw when it changed though no page is dirty, and
#: which registers it comes from. The largest redraws stand first.
CHANGES: dict[str, Redraw] = {
    # GR06b0, GR05b5-6, AR10b6, DISPI enable and bpp
    "kind": Redraw.RESIZE,
    # CR01, SR01b0, DISPI xres
    "width": Redraw.RESIZE,
    # CR12, CR07b1, CR07b6, CR09, DISPI yres
    "height": Redraw.RESIZE,
    # Geometry: CR0C, CR0D, CR13, CR08, CR18, CR07b4, CR09, CR17b0-1. Columns: CR01. Address mode:
    # CR14b6, CR17b5-6, SR04b3. Panning: AR13, AR10b5. Linear: DISPI offsets, virtual width.
    "rows": Redraw.EVERYTHING,
    # SR01b0, SR03, AR10b2-3, CR14b0-4
    "text": Redraw.EVERYTHING,
    # Palette: DAC, 3C6h, AR00-0F, AR10b3, AR10b7, AR12, AR14. Border, which displays are told by
    # `resize`, and want all: AR11, SR01b5. Blank: SR01b5, AR index bit 5.
    "colours": Redraw.EVERYTHING,
    # CR0A, CR0B, CR0E, CR0F, and its blink
    "cursor": Redraw.CELLS,
    # The frame counter
    "blink_shown": Redraw.CELLS,
}


def redraw_between(old: Scanout, new: Scanout) -> Redraw | None:
    """The largest redraw that any changed part asks for, or None where all are equal."""
    for redraw, was, now in zip(CHANGES.values(), old, new, strict=True):
        if was is not now and was != now:
            return redraw
    return None


def scanout_of(vga: Vga, *, cursor_phase: bool = True, blink_phase: bool = True) -> Scanout:
    """What the registers say is shown, with cursor and attributes in which half of their blink."""
    # A guest on another thread may set a mode meanwhile; these registers belong together.
    values = vga.dispi.values.copy()
    if values[dispi_regs.ENABLE] & dispi_regs.ENABLED:
        return _dispi_scanout(vga, values, blink_phase)
    kind = _kind(vga)
    text = _text_look(vga) if kind is Kind.TEXT else None
    fetch_pixels = text.cell_width if text else 4 if kind is Kind.BYTES else 8
    rows = _crtc_rows(vga, kind, fetch_pixels)
    return Scanout(
        kind=kind,
        width=rows.columns * fetch_pixels,
        height=rows.geometry.lines // rows.scan_lines_a_row,
        rows=rows,
        text=text,
        colours=_colours(vga, kind, vga.attribute["planes_shown"], blink_phase),
        cursor=cursor_of(vga) if text and cursor_phase else None,
        blink_shown=blink_phase or text is None or not text.blink,
    )


def with_cursor(old: Scanout, vga: Vga, *, cursor_phase: bool, blink_phase: bool) -> Scanout:
    """`scanout_of` where at most the cursor and the blink phase changed since `old`, a text mode.

    It happens nearly every frame of a guest that types, and costs a tenth.
    """
    kind, width, height, rows, text, colours, _, _ = old
    shown = blink_phase or text is None or not text.blink
    cursor = cursor_of(vga) if cursor_phase else None
    return Scanout(kind, width, height, rows, text, colours, cursor, shown)


def _dispi_scanout(vga: Vga, values: list[int], blink_phase: bool) -> Scanout:
    """DISPI modes: rows of bytes, or for 4 bpp rows of addresses, one after another in VRAM."""
    bpp, width, height = (values[n] for n in (dispi_regs.BPP, dispi_regs.XRES, dispi_regs.YRES))
    x, y = values[dispi_regs.X_OFFSET], values[dispi_regs.Y_OFFSET]
    kind, pitch = DISPI_KIND[bpp], dispi_regs.pitch_of(values)
    if kind is Kind.PLANAR:
        # An address is four bytes, one of each plane, and eight pixels.
        pitch, left, pan = 4 * pitch, 4 * (x // 8), x & 7
        nbytes = 4 * (-(-width // 8) + (pan > 0))
    else:
        pixel_bytes = dispi_regs.BYTES_PER_PIXEL[bpp]
        left, pan, nbytes = x * pixel_bytes, 0, width * pixel_bytes
    return Scanout(
        kind=kind,
        width=width,
        height=height,
        rows=LinearRows((y * pitch + left) % vga.slot.nbytes, nbytes, pitch, pan),
        text=None,
        colours=_colours(vga, kind, 0x0F, blink_phase),
        cursor=None,
        blink_shown=True,
    )


def _kind(vga: Vga) -> Kind:
    if not vga.graphics["graphics"]:
        return Kind.TEXT
    if vga.graphics["shift_256"]:
        return Kind.BYTES if vga.attribute["pixel_8_bit"] else Kind.NIBBLES
    return Kind.INTERLEAVE if vga.graphics["interleave"] else Kind.PLANAR


def _text_look(vga: Vga) -> TextLook:
    attribute, sequencer = vga.attribute, vga.sequencer
    return TextLook(
        cell_width=8 if sequencer["dots_8"] else 9,
        fonts=(FONT_ADDRESS[sequencer["map_b"]], FONT_ADDRESS[sequencer["map_a"]]),
        line_graphics=bool(attribute["line_graphics"]),
        blink=bool(attribute["blink"]),
        underline_line=vga.crtc["underline_line"],
    )


def _crtc_rows(vga: Vga, kind: Kind, fetch_pixels: int) -> CrtcRows:
    crtc = vga.crtc
    geometry = _geometry(vga)
    pan = _pan(kind, vga.attribute["pel_panning"], fetch_pixels)
    return CrtcRows(
        geometry=geometry,
        scan_lines_a_row=uniform_repeat(geometry, kind is Kind.TEXT),
        columns=crtc["horizontal_display_end"] + 1,
        rotate=2 if crtc["dword_addressing"] else 0 if crtc["byte_addressing"] else 1,
        wrap_bit=15 if crtc["address_wrap"] else 13,
        chain4_layout=vga.chain4_layout,
        pan=(pan, 0 if vga.attribute["split_pan_off"] else pan),
    )


def _geometry(vga: Vga) -> Geometry:
    crtc = vga.crtc
    return Geometry(
        lines=crtc["vertical_display_end"] + 1,
        line_compare=crtc["line_compare"],
        row_lines=crtc["max_scan_line"] + 1,
        double_scan=bool(crtc["double_scan"]),
        preset_row=crtc["preset_row"],
        start=(crtc["start_address"] + crtc["byte_panning"]) & 0xFFFF,
        pitch=crtc["offset"] * 2,
        row_bits=(1 - crtc["no_row_bit0_as_a13"]) | (1 - crtc["no_row_bit1_as_a14"]) << 1,
    )


def _pan(kind: Kind, value: int, cell_width: int) -> int:
    """AR13 in pixels: 9-dot text counts 8, 0, 1 ... 7; 256 colours count half pixels."""
    if kind is Kind.BYTES:
        return (value & 7) >> 1
    if cell_width == 9:
        return 0 if value >= 8 else value + 1
    return value & 7


def cursor_of(vga: Vga) -> Cursor | None:
    """The text cursor, shown by its blink or not; None: it is off."""
    crtc = vga.crtc
    first, last = crtc["cursor_first_line"], crtc["cursor_last_line"]
    if crtc["cursor_off"] or first > last:
        return None
    return Cursor(crtc["cursor_location"], first, last)


def _colours(vga: Vga, kind: Kind, plane_enable: int, blink_phase: bool) -> Colours:
    screen_off = bool(vga.sequencer["screen_off"])
    colours = vga.dac.colours()
    palette = b""
    if kind in SIXTEEN_COLOURS:
        palette = _sixteen_colours(vga, kind, blink_phase)
    elif kind in DAC_COLOURS:
        palette = colours.tobytes()
    return Colours(
        palette=palette,
        plane_enable=plane_enable,
        border=0 if screen_off else int(colours[vga.attribute["overscan_colour"]]),
        blank=screen_off or not vga.attribute_address & 0x20,
    )


def _sixteen_colours(vga: Vga, kind: Kind, blink_phase: bool) -> bytes:
    """Colours by pixel value: plane enable, AR palette, P54S and colour select, mask, DAC."""
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
    shown: bytes = vga.dac.colours().take(index.take(pixels)).tobytes()
    return shown
