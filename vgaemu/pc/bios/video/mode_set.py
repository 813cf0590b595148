"""INT 10h/00h: setting a mode of the VGA's.

Emulated: registers, palette, font, memory and data area of modes 0-7 and 0Dh-13h; text in 200, 350
or 400 lines, as INT 10h/12h has chosen. A font of the user's (`Vga.rom_font`) takes the place of
ROM's of its height, and text modes start with it, in 400 lines. Not emulated: other parameter
tables than ROM's (`tables`), which are not read: whoever changes the save pointer changes no mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.video.area import KEEP, VideoArea
from vgaemu.pc.bios.video.fonts import VideoFonts
from vgaemu.pc.bios.video.modes import TEXT, bios_mode
from vgaemu.pc.bios.video.palette import VideoPalette
from vgaemu.pc.board import Board
from vgaemu.vga.modes import set_mode

#: What a mode set is in units of `Calls.spend`, beside the call itself.
MODE_UNITS = 34


class TextLines(NamedTuple):
    """Text of other than 400 lines, 25 rows too, of characters 8 dots wide."""

    height: int
    #: Misc output register.
    misc: int
    #: CRTC index -> value.
    crtc: dict[int, int]


TEXT_LINES = {
    200: TextLines(8, 0x63, {0x09: 0xC7, 0x0A: 6, 0x0B: 7, 0x14: 0x08}),
    350: TextLines(14, 0xA3, {0x09: 0x4D, 0x0A: 11, 0x0B: 12, 0x10: 0x83, 0x11: 0x85, 0x12: 0x5D,
                              0x14: 0x0D, 0x15: 0x63, 0x16: 0xBA}),
}  # fmt: skip


class ModeSet:
    """Sets modes."""

    def __init__(
        self, board: Board, calls: Calls, area: VideoArea, palette: VideoPalette, fonts: VideoFonts
    ) -> None:
        self._vga, self._calls, self._area = board.vga, calls, area
        self._palette, self._fonts = palette, fonts
        #: Called when a mode of the VGA's has been set.
        self.on_set: list[Callable[[], None]] = []

    def set_mode(self, number: int, *, clear: bool = True) -> None:
        """Registers, palette, font, memory and data area of a mode of `MODES`."""
        vga, area = self._vga, self._area
        self._calls.spend(MODE_UNITS)
        options = area[bda.MODE_OPTIONS]
        kept = self._palette.loaded() if options & bda.KEEP_PALETTE else None
        area.vbe_mode = None
        area.mode_number = number | (0 if clear else KEEP)
        set_mode(vga, number, clear=clear)
        if kept is not None:
            self._palette.load(*kept)
        elif options & bda.GREY:
            self._palette.to_greys(0, 256)
        area.write_mode_fields(number, clear=clear)
        for told in self.on_set:
            told()
        if bios_mode(number).model != TEXT:
            return
        font = vga.rom_font
        if font is not None:
            if font.shape[1] != area[bda.CHAR_HEIGHT]:
                self._fonts.set_text_height(font.shape[1])
        elif (lines := self._text_lines(number)) in TEXT_LINES:
            self._fewer_lines(TEXT_LINES[lines])

    def _text_lines(self, number: int) -> int:
        """Lines of a text mode, as 12h/30h chose."""
        options = self._area[bda.MODE_OPTIONS] & (bda.LINES_400 | bda.LINES_200)
        if number == 7:  # never had 200
            return 350 if options == 0 else 400
        return {0: 350, bda.LINES_200: 200}.get(options, 400)

    def _fewer_lines(self, lines: TextLines) -> None:
        """Make a text mode that has just been set one of `TEXT_LINES`."""
        area, ports, height = self._area, self._area.ports, lines.height
        self._vga.outb(0x3C2, lines.misc & ~1 | self._vga.inb(0x3CC) & 1)
        ports["dots_8"] = 1
        ports.set_attribute(0x13, 0)
        ports["protect"] = 0
        ports.set_all(ports.crtc, lines.crtc)
        ports["protect"] = 1
        self._fonts.load_roms(0, height)
        area[bda.CHAR_HEIGHT] = height
        area[bda.CURSOR_SHAPE] = lines.crtc[0x0A] << 8 | lines.crtc[0x0B]
