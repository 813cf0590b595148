"""Scanout: what the CRTC, attribute controller and DAC show, as a frozen value.

`scanout_of(registers, ...)` is a pure function of the registers. Its answer holds everything that a
picture depends on besides VRAM, so two equal scanouts and clean pages mean: nothing to draw. What
a change of each field asks for is one table, `CHANGES`.

Emulated: see the table in `docs/what-is-emulated.md`. A row's pixels come from *fetches*: at
character c of a scan line the CRTC counter MA = row start + c makes a plane address, and the four
plane bytes there make 8 dots, of which two are a pixel in 256 colours. What registers do in
mid-picture is `raster`. Where the CRTC blanks a part of the picture, a row is a scan line, as a
blanking that opens line by line should not change the picture's size. Not emulated: display skew,
loading every 2nd or 4th character, counting by 2 or 4, vertical counts doubled (CR17 bit 2), 9-dot
graphics.

Sources: IBM PS/2 Hardware Interface Technical Reference; FreeVGA.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.blanking import Margins, blanked_parts, margins_of
from vgaemu.vga.border import BorderBands
from vgaemu.vga.colours import Colours, colours_of
from vgaemu.vga.crtc import Counters, Geometry, uniform_repeat
from vgaemu.vga.fieldlog import Latched
from vgaemu.vga.font import FONT_ADDRESS
from vgaemu.vga.kinds import DISPI_KIND, LINEAR_BPP, PAIRS, TEXTS, TWO_DOTS, Kind
from vgaemu.vga.layout import Layout
from vgaemu.vga.monitor import picture_aspect
from vgaemu.vga.rect import Rect
from vgaemu.vga.registerfile import RegisterFile

#: What two of whose pixels are.
_PAIRED = {Kind.NIBBLES: Kind.BYTES} | {kind: pairs for pairs, kind in PAIRS.items()}


class Redraw(Enum):
    """What a change without a dirty page asks for; the largest first."""

    #: Another frame size: a new frame, all of it drawn, and the display told.
    RESIZE = "resize"
    #: All of the picture.
    EVERYTHING = "everything"
    #: Lines whose palette changed; the comparison of palettes finds them.
    LINES = "lines"
    #: Text cells whose look changed; the cell comparison finds them. Other kinds: nothing.
    CELLS = "cells"
    #: What lies around the picture.
    BORDER = "border"


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


class Cursor(NamedTuple):
    """The text cursor, where it is on and in the visible half of its blink."""

    address: int
    first_line: int
    last_line: int

    @property
    def lines(self) -> tuple[int, int]:
        """First and last: its shape."""
        return self.first_line, self.last_line


class Look(NamedTuple):
    """How rows are fetched and characters look from some row on."""

    row: int
    rows: CrtcRows
    text: TextLook | None
    cursor: Cursor | None
    blink_shown: bool


class Raster(NamedTuple):
    """What changes inside the picture."""

    #: Pixels, counted in the order of the beam, at which a band of one palette begins, ascending
    #: from 0: (n,) intp.
    starts: bytes
    #: The palette of the first one, uint32 0x00RRGGBB by pixel value: (16,) or (256,).
    palette: bytes
    #: Pixel values that have other colours in other bands, (m,) intp, and these: (n, m) uint32.
    values: bytes
    colours: bytes
    #: Where the rest changes, ascending.
    looks: tuple[Look, ...]


class Scanout(NamedTuple):
    """Everything a picture depends on besides VRAM."""

    kind: Kind
    #: Logical pixels: 320x200 is 320x200; repeating and aspect belong to the display.
    width: int
    height: int
    #: Width to height of the picture on the monitor.
    aspect: float
    #: Around the picture, where the border is shown.
    margins: Margins | None
    rows: CrtcRows | LinearRows
    #: None in graphics modes.
    text: TextLook | None
    colours: Colours
    #: Parts that are black whatever they would show; none, as a rule.
    blanked: tuple[Rect, ...]
    #: What changes inside the picture; `colours` then has no palette. None: nothing does.
    raster: Raster | None
    #: The order of the planes' bytes, for whoever fetches them.
    layout: Layout
    cursor: Cursor | None
    #: Whether blinking characters show now; always true where none blink.
    blink_shown: bool
    #: Where the border changes in mid-picture, if it is shown; `colours` has the one at the top.
    edge: BorderBands | None = None

    @property
    def is_text(self) -> bool:
        """Whether cells with characters are shown."""
        return self.text is not None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all that is shown, the border included."""
        left, right, top, bottom = self.margins or (0, 0, 0, 0)
        return left + self.width + right, top + self.height + bottom

    @property
    def is_in_lines(self) -> bool:
        """Whether a row is a scan line though all rows are repeated."""
        rows = self.rows
        if not isinstance(rows, CrtcRows) or rows.scan_lines_a_row > 1:
            return False
        return uniform_repeat(rows.geometry, self.is_text) > 1

    @property
    def mode_name(self) -> str:
        """What a person calls it: ``text 80x25``, ``320x200x256``."""
        if self.text is not None and isinstance(self.rows, CrtcRows):
            geometry = self.rows.geometry
            row_lines = geometry.row_lines << geometry.double_scan
            return f"text {self.rows.columns}x{-(-geometry.lines // row_lines)}"
        if isinstance(self.rows, LinearRows):
            height = self.height
        else:  # whether each scan line is a row or not
            geometry = self.rows.geometry
            height = geometry.lines // uniform_repeat(geometry, False)
        if self.kind in LINEAR_BPP:
            return f"{self.width}x{height}x{LINEAR_BPP[self.kind]}bpp"
        sixteen = {1: 2, 3: 4}.get(self.colours.plane_enable, 16)
        return f"{self.width}x{height}x{256 if self.kind in TWO_DOTS else sixteen}"


#: One row for each part of `Scanout`: what to redraw when it changed though no page is dirty, and
#: which registers it comes from. The largest redraws stand first.
CHANGES: dict[str, Redraw] = {
    # GR06b0, GR05b5-6, AR10b6, DISPI enable and bpp
    "kind": Redraw.RESIZE,
    # CR01, SR01b0, DISPI xres
    "width": Redraw.RESIZE,
    # CR12, CR07b1, CR07b6, CR09, DISPI yres
    "height": Redraw.RESIZE,
    # CR00, CR01, CR12, CR07b1, CR07b6, 3C2b6-7
    "aspect": Redraw.RESIZE,
    # Where the border is shown, all that says when CRTC counters begin, end and blank:
    # CR00-07, CR09b5, CR10-12, CR15, CR16
    "margins": Redraw.RESIZE,
    # Geometry: CR0C, CR0D, CR13, CR08, CR18, CR07b4, CR09, CR17b0-1. Columns: CR01. Address mode:
    # CR14b6, CR17b5-6. Panning: AR13, AR10b5. Linear: DISPI offsets, virtual width.
    "rows": Redraw.EVERYTHING,
    # SR01b0, SR03, SR04b1, AR10b2-3, CR14b0-4
    "text": Redraw.EVERYTHING,
    # Palette: DAC, 3C6h, AR00-0F, AR10b3, AR10b7, AR12, AR14. Border, which displays are told by
    # `resize`, and want all: AR11, SR01b5. Blank: SR01b5, AR index bit 5, CR17b7.
    "colours": Redraw.EVERYTHING,
    # CR00, CR02, CR03, CR05b7, CR06, CR07, CR09b5, CR15, CR16
    "blanked": Redraw.EVERYTHING,
    # What of all these changes in mid-picture: see `effects`.
    "raster": Redraw.LINES,
    # SR04b3 and what makes text plain memory. Nothing looks otherwise, and all pages are dirty.
    "layout": Redraw.CELLS,
    # CR0A, CR0B, CR0E, CR0F, and its blink
    "cursor": Redraw.CELLS,
    # The frame counter
    "blink_shown": Redraw.CELLS,
    # Where the border is shown, AR11, DAC, 3C6h and SR01b5 in mid-picture
    "edge": Redraw.BORDER,
}


def redraw_between(old: Scanout, new: Scanout) -> Redraw | None:
    """The largest redraw that any changed part asks for, or None where all are equal."""
    for redraw, was, now in zip(CHANGES.values(), old, new, strict=True):
        if was is not now and was != now:
            return redraw
    return None


def scanout_of(
    registers: RegisterFile,
    *,
    cursor_phase: bool = True,
    blink_phase: bool = True,
    border: bool = False,
    latched: Latched | None = None,
    changes: tuple[Counters, ...] = (),
    in_lines: bool = False,
) -> Scanout:
    """What the registers say is shown.

    Args:
        registers: Whatever they hold.
        cursor_phase: Which half of its blink the cursor is in.
        blink_phase: The same of attributes.
        border: Show it; each scan line is a row then, as its lines are no pairs.
        latched: What the CRTC has latched of them; None: what they hold.
        changes: Where the CRTC's counters find others in mid-picture.
        in_lines: Each scan line is a row, even where all rows are repeated.
    """
    # A guest on another thread may set a mode meanwhile; these registers belong together.
    values = registers.dispi.values.copy()
    if values[dispi_regs.ENABLE] & dispi_regs.ENABLED:
        return _dispi_scanout(registers, values, blink_phase)
    kind = _kind(registers)
    text = None if registers.graphics["graphics"] else _text_look(registers)
    fetch_dots = text.cell_width if text else 8
    fetch_pixels = fetch_dots / 2 if kind in TWO_DOTS else fetch_dots
    if latched is None:
        latched = Latched.of(registers.crtc.values, registers.attribute.values)
    blanked = blanked_parts(registers.crtc.values, fetch_pixels)
    margins = margins_of(registers.crtc.values, fetch_pixels) if border else None
    in_lines = in_lines or border or bool(blanked)
    rows = _crtc_rows(registers, kind, fetch_dots, latched, changes, in_lines=in_lines)
    colours = colours_of(registers, kind, registers.attribute["planes_shown"], blink_phase)
    if not registers.crtc["retrace_on"]:
        colours = colours._replace(blank=True, border=0)  # a monitor without sync
    return Scanout(
        kind=kind,
        width=int(rows.columns * fetch_pixels),
        height=rows.geometry.lines // rows.scan_lines_a_row,
        aspect=_aspect(registers, rows),
        margins=margins,
        rows=rows,
        text=text,
        colours=colours,
        blanked=blanked,
        raster=None,
        layout=registers.layout,
        cursor=cursor_of(registers, latched) if text and cursor_phase else None,
        blink_shown=blink_phase or text is None or not text.blink,
    )


def with_cursor(
    old: Scanout, registers: RegisterFile, *, cursor_phase: bool, blink_phase: bool
) -> Scanout:
    """`scanout_of` where at most the cursor and the blink phase changed since `old`, a text mode.

    It happens nearly every frame of a guest that types, and costs a tenth.
    """
    (
        kind, width, height, aspect, margins, rows, text, colours, blanked, raster, layout, _, _,
        edge,
    ) = old  # fmt: skip
    shown = blink_phase or text is None or not text.blink
    cursor = cursor_of(registers) if cursor_phase else None
    return Scanout(
        kind, width, height, aspect, margins, rows, text, colours, blanked, raster, layout,
        cursor, shown, edge,
    )  # fmt: skip


def _dispi_scanout(registers: RegisterFile, values: list[int], blink_phase: bool) -> Scanout:
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
        aspect=width / height,  # square pixels
        margins=None,
        rows=LinearRows((y * pitch + left) % registers.dispi.vram_bytes, nbytes, pitch, pan),
        text=None,
        colours=colours_of(registers, kind, 0x0F, blink_phase),
        blanked=(),
        raster=None,
        layout=registers.layout,
        cursor=None,
        blink_shown=True,
    )


def _kind(registers: RegisterFile) -> Kind:
    graphics = registers.graphics
    if not graphics["graphics"]:
        kind = Kind.TEXT
    elif graphics["shift_256"]:
        kind = Kind.NIBBLES
    else:
        kind = Kind.INTERLEAVE if graphics["interleave"] else Kind.PLANAR
    return _PAIRED[kind] if registers.attribute["pixel_8_bit"] else kind


def _aspect(registers: RegisterFile, rows: CrtcRows) -> float:
    total = registers.crtc["horizontal_total"] + 5
    polarities = registers.misc["hsync_negative"] | registers.misc["vsync_negative"] << 1
    return picture_aspect(rows.columns, total, rows.geometry.lines, polarities)


def _text_look(registers: RegisterFile) -> TextLook:
    attribute, sequencer = registers.attribute, registers.sequencer
    # Fonts are chosen where there is memory for more than one (IBM, of SR04 bit 1).
    has_fonts = sequencer["extended_memory"]
    numbers = (sequencer["map_b"], sequencer["map_a"]) if has_fonts else (0, 0)
    return TextLook(
        cell_width=8 if sequencer["dots_8"] else 9,
        fonts=(FONT_ADDRESS[numbers[0]], FONT_ADDRESS[numbers[1]]),
        line_graphics=bool(attribute["line_graphics"]),
        blink=bool(attribute["blink"]),
        underline_line=registers.crtc["underline_line"],
    )


def _crtc_rows(
    registers: RegisterFile,
    kind: Kind,
    fetch_dots: int,
    latched: Latched,
    changes: tuple[Counters, ...],
    *,
    in_lines: bool,
) -> CrtcRows:
    crtc = registers.crtc
    geometry = _geometry(registers, latched, changes)
    pan = _pan(kind, latched.pel_panning, fetch_dots)
    # Where there are changes, `scan_lines` knows which split has ended the panning.
    stays = not changes and not registers.attribute["split_pan_off"]
    return CrtcRows(
        geometry=geometry,
        scan_lines_a_row=1 if in_lines else uniform_repeat(geometry, kind in TEXTS),
        columns=crtc["horizontal_display_end"] + 1,
        rotate=2 if crtc["dword_addressing"] else 0 if crtc["byte_addressing"] else 1,
        wrap_bit=15 if crtc["address_wrap"] else 13,
        pan=(pan, pan if stays else 0),
    )


def _geometry(registers: RegisterFile, latched: Latched, changes: tuple[Counters, ...]) -> Geometry:
    crtc = registers.crtc
    return Geometry(
        lines=crtc["vertical_display_end"] + 1,
        line_compare=crtc["line_compare"],
        row_lines=crtc["max_scan_line"] + 1,
        double_scan=bool(crtc["double_scan"]),
        preset_row=latched.preset_row,
        start=(latched.start_address + latched.byte_panning) & 0xFFFF,
        pitch=crtc["offset"] * 2,
        row_bits=(1 - crtc["no_row_bit0_as_a13"]) | (1 - crtc["no_row_bit1_as_a14"]) << 1,
        changes=changes,
    )


def _pan(kind: Kind, value: int, fetch_dots: int) -> int:
    """AR13 in pixels: it counts dots, and in 9-dot text 8, 0, 1 ... 7."""
    dots = value & 7
    if fetch_dots == 9:
        dots = 0 if value >= 8 else value + 1
    return dots >> 1 if kind in TWO_DOTS else dots


def cursor_of(registers: RegisterFile, latched: Latched | None = None) -> Cursor | None:
    """The text cursor, shown by its blink or not; None: it is off."""
    crtc = registers.crtc
    first, last = crtc["cursor_first_line"], crtc["cursor_last_line"]
    if crtc["cursor_off"] or first > last:
        return None
    place = crtc["cursor_location"] if latched is None else latched.cursor_location
    return Cursor(place, first, last)
