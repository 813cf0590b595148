"""VBE: INT 10h/4Fxxh over the Bochs DISPI ports.

Emulated: VBE 2.0 calls 00h-09h for packed and direct-colour modes with a linear frame buffer and a
64 KiB window; power management (10h), where every state but "on" is a dark screen. Not emulated:
the protected-mode interface (0Ah), DDC (15h says so), timings of the caller's (02h, bit 11).

Source: VESA BIOS Extension 2.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.rom import OEM_STRING_AT, OEM_STRINGS, ROM_SEGMENT, WINDOW_FUNCTION_AT
from vgaemu.pc.bios.video.area import COLUMNS, LAST_ROW
from vgaemu.pc.bios.video.graphics import LinearPainter
from vgaemu.pc.bios.video.palette import COLOURS_A_UNIT
from vgaemu.pc.bios.video.state import ALL_STATES, VideoState
from vgaemu.pc.bios.video.vbe_modes import CHANNELS, VBE_MODES, VbeMode
from vgaemu.pc.board import Board
from vgaemu.pc.chips.saved import Saved
from vgaemu.vga import dispi
from vgaemu.vga.device import LFB_GPA
from vgaemu.vga.modes import MODES, set_mode

if TYPE_CHECKING:
    from vgaemu.pc.bios.video.video import VideoBios

WINDOW_BYTES = 0x10000
POWER_ON, POWER_OFF = 0, 4
#: What `Calls.spend` is told of a mode set.
MODE_UNITS = 4
#: Bits of a mode number: linear frame buffer, do not clear.
LINEAR, KEEP = 0x4000, 0x8000
VGA_MODE_FIELD_GRAPHICS = 0x7F
#: Modes of the VGA's: memory model (0 text, 1 CGA, 3 planar, 4 packed), bits a pixel, planes. Those
#: that are not here are as 12h.
VGA_MODELS = dict.fromkeys((0, 1, 2, 3, 7), (0, 4, 1)) | {
    0x04: (1, 2, 1), 0x05: (1, 2, 1), 0x06: (1, 1, 1), 0x11: (3, 1, 1), 0x12: (3, 4, 4),
    0x13: (4, 8, 1),
}  # fmt: skip


def far(segment: int, offset: int) -> bytes:
    """A far pointer as it lies in memory."""
    return offset.to_bytes(2, "little") + segment.to_bytes(2, "little")


class Vbe:
    """INT 10h/4Fh."""

    SAVED: ClassVar[Saved] = {"mode_number": (0, 0xFFFF)}

    def __init__(self, board: Board, calls: Calls, video: VideoBios) -> None:
        self._bus, self._cpu, self._video = board.bus, board.cpu, video
        self._vga, self._calls = board.vga, calls
        #: The mode, or None in VGA modes.
        self.mode: VbeMode | None = None
        self.mode_number = 3
        self._state = VideoState(board, self)
        self._services: dict[int, Service] = {
            0x00: self._information,
            0x01: self._mode_information,
            0x02: self._set_mode,
            0x03: self._get_mode,
            0x04: self._save_restore,
            0x05: self._window,
            0x06: self._line_length,
            0x07: self._display_start,
            0x08: self._dac_width,
            0x09: self._palette,
            0x10: self._power,
            0x15: lambda: self._done(False),
        }

    def service(self) -> None:
        """AX = 004Fh if it worked, 014Fh if not, unchanged if there is no such call."""
        call = self._services.get(self._cpu.al)
        if call is not None:
            call()

    def _done(self, worked: bool = True) -> None:
        self._cpu.ax = 0x004F if worked else 0x014F

    def _not_in_this_mode(self) -> None:
        self._cpu.ax = 0x034F

    def put(self, index: int, value: int) -> None:
        """Write a DISPI register."""
        self._vga.outw(0x1CE, index)
        self._vga.outw(0x1CF, value)

    def _fetch(self, index: int) -> int:
        self._vga.outw(0x1CE, index)
        return self._vga.inw(0x1CF)

    @property
    def painter(self) -> LinearPainter | None:
        """What draws in the mode, or None in VGA modes."""
        return None if self.mode is None else LinearPainter(self._vga, self.mode)

    def fits(self, mode: VbeMode) -> bool:
        """Whether VRAM has room for a mode's picture."""
        return mode.width * mode.height * mode.pixel_bytes <= self._vga.slot.nbytes

    # --- what there is ----------------------------------------------------------------------------

    def _information(self) -> None:
        cpu, bus = self._cpu, self._bus
        at = (cpu.es << 4) + cpu.di
        block = bytearray(256)
        second = bus.read(at, 4) == b"VBE2"
        block[0:6] = b"VESA" + (0x0200).to_bytes(2, "little")
        block[6:10] = far(ROM_SEGMENT, OEM_STRING_AT)
        block[10] = 1  # the DAC takes 8 bits
        modes = [number for number, mode in VBE_MODES.items() if self.fits(mode)]
        listing = b"".join(number.to_bytes(2, "little") for number in [*sorted(modes), 0xFFFF])
        # The list lies in the block's reserved bytes.
        block[14:18] = far(cpu.es, cpu.di + 34 & 0xFFFF)
        block[18:20] = (self._vga.slot.nbytes >> 16).to_bytes(2, "little")
        block[34 : 34 + len(listing)] = listing
        if second:
            string = OEM_STRING_AT
            for place, text in zip((22, 26, 30), OEM_STRINGS, strict=True):
                block[place : place + 4] = far(ROM_SEGMENT, string)
                string += len(text)
        bus.write(at, bytes(block) + (bytes(256) if second else b""))
        self._done()

    def _mode_information(self) -> None:
        cpu, bus = self._cpu, self._bus
        number = cpu.cx & ~(LINEAR | KEEP)
        if number in MODES:
            self._vga_mode_information(number)
            return
        mode = VBE_MODES.get(number)
        if mode is None or not self.fits(mode):
            self._done(False)
            return
        pitch = mode.width * mode.pixel_bytes
        pages = min(self._vga.slot.nbytes // (pitch * mode.height), 256) - 1
        block = bytearray(256)

        def word(offset: int, value: int) -> None:
            block[offset : offset + 2] = (value & 0xFFFF).to_bytes(2, "little")

        # Supported, extended information, colour, graphics, with a linear frame buffer.
        word(0x00, 0x009B)
        block[0x02] = 0x07  # window A exists, can be read and written
        word(0x04, 64)
        word(0x06, 64)
        word(0x08, 0xA000)
        word(0x0C, WINDOW_FUNCTION_AT)
        word(0x0E, ROM_SEGMENT)
        word(0x10, pitch)
        word(0x12, mode.width)
        word(0x14, mode.height)
        block[0x16:0x1A] = bytes((8, 16, 1, mode.bpp))
        block[0x1A] = 1
        block[0x1B] = 4 if mode.bpp == 8 else 6  # packed, direct colour
        block[0x1D] = pages
        block[0x1E] = 1
        block[0x1F:0x27] = bytes(CHANNELS[mode.bpp])
        block[0x28:0x2C] = LFB_GPA.to_bytes(4, "little")
        word(0x32, pitch)
        block[0x34] = block[0x35] = pages
        block[0x36:0x3E] = bytes(CHANNELS[mode.bpp])
        bus.write((cpu.es << 4) + cpu.di, bytes(block))
        self._done()

    def _vga_mode_information(self, number: int) -> None:
        """A mode of the VGA's: seen through its window, nothing linear."""
        cpu = self._cpu
        mode, block = MODES[number], bytearray(256)
        height, rows, page_bytes, columns = self._video.geometry(number)
        model, bpp, planes = VGA_MODELS.get(number, VGA_MODELS[0x12])
        width, lines = columns, rows  # of characters
        if not mode.is_text:
            width, lines = columns * 8, rows * height
        window = mode.window[0] >> 4
        pitch = columns * 2 if mode.is_text else width * bpp // 8 // planes
        # Supported, extended information, text through the BIOS, colour, graphics.
        flags = 0x0007 | (0 if number in (7, 0x0F) else 8) | (0 if mode.is_text else 0x10)
        pages = (0x8000 if window >= 0xB000 else 0x10000) // page_bytes
        fields = {
            0x00: flags, 0x02: 7, 0x04: 64, 0x06: 64, 0x08: window, 0x10: pitch,
            0x12: width, 0x14: lines, 0x16: 8 | height << 8, 0x18: planes | bpp << 8,
            0x1A: 1 | model << 8, 0x1D: max(pages, 1) - 1, 0x1E: 1, 0x32: pitch,
        }  # fmt: skip
        for offset, value in fields.items():
            if offset == 0x1D:
                block[offset] = value
            else:
                block[offset : offset + 2] = value.to_bytes(2, "little")
        self._bus.write((cpu.es << 4) + cpu.di, bytes(block))
        self._done()

    # --- modes ------------------------------------------------------------------------------------

    def _set_mode(self) -> None:
        cpu = self._cpu
        number = cpu.bx & ~(LINEAR | KEEP)
        keep = bool(cpu.bx & KEEP)
        if number < 0x100:
            if number not in MODES:
                self._done(False)
                return
            self._video.set_mode(number, clear=not keep)
            self._done()
            return
        mode = VBE_MODES.get(number)
        if mode is None or not self.fits(mode):
            self._done(False)
            return
        self.set_mode(mode, keep=keep)
        self.mode_number = cpu.bx
        self._done()

    def set_mode(self, mode: VbeMode, *, keep: bool = False) -> None:
        """Registers for packed pixels below, DISPI on top."""
        vga = self._vga
        self._calls.spend(MODE_UNITS)
        if not self._fetch(dispi.ENABLE) & dispi.ENABLED or self.mode is None:
            set_mode(vga, 0x13, clear=False)
        self.put(dispi.ENABLE, 0)
        self.put(dispi.XRES, mode.width)
        self.put(dispi.YRES, mode.height)
        self.put(dispi.BPP, mode.bpp)
        flags = dispi.ENABLED | dispi.LFB_ENABLED | (dispi.NO_CLEAR if keep else 0)
        self.put(dispi.ENABLE, flags)
        self.mode = mode
        video, bus = self._video, self._bus
        video.write_mode_fields(VGA_MODE_FIELD_GRAPHICS, clear=not keep)
        bus.write16(COLUMNS, mode.width // 8)
        bus.write8(LAST_ROW, min(mode.height // 16, 255) - 1)

    def follow(self, number: int) -> None:
        """DISPI was set past this BIOS: the mode that it shows, or none."""
        mode = VBE_MODES.get(number) if self._vga.dispi.linear else None
        self.mode = mode if mode is not None and self.fits(mode) else None

    def _get_mode(self) -> None:
        cpu = self._cpu
        cpu.bx = self.mode_number
        self._done()

    def _save_restore(self) -> None:
        cpu = self._cpu
        states, at = cpu.cx, (cpu.es << 4) + cpu.bx
        works = cpu.dl <= 2 and not states & ~ALL_STATES
        if works and cpu.dl == 0:
            cpu.bx = self._state.blocks(states)
        elif works and cpu.dl == 1:
            self._state.save(states, at)
        elif works:
            self._state.restore(states, at)
        self._done(works)

    def _window(self) -> None:
        cpu = self._cpu
        if self.mode is None or cpu.bl != 0 or cpu.bh > 1:
            self._done(False)
            return
        if self.mode_number & LINEAR:
            self._not_in_this_mode()
            return
        if cpu.bh == 0:
            banks = self._vga.slot.nbytes // WINDOW_BYTES
            if cpu.dx >= banks:
                self._done(False)
                return
            self.put(dispi.BANK, cpu.dx)
        else:
            cpu.dx = self._fetch(dispi.BANK)
        self._done()

    def _line_length(self) -> None:
        cpu, mode = self._cpu, self.mode
        if mode is None or cpu.bl > 3:
            self._done(False)
            return
        pixel_bytes = mode.pixel_bytes
        if cpu.bl in (0, 2):
            wanted = cpu.cx if cpu.bl == 0 else -(-cpu.cx // pixel_bytes)
            self.put(dispi.VIRT_WIDTH, wanted)
        if cpu.bl == 3:
            width = self._vga.slot.nbytes // mode.height // pixel_bytes
        else:
            width = self._fetch(dispi.VIRT_WIDTH)
        width = min(width, 0xFFFF // pixel_bytes)
        cpu.bx, cpu.cx = width * pixel_bytes, width
        cpu.dx = min(self._vga.slot.nbytes // (width * pixel_bytes), 0xFFFF)
        self._done()

    def _display_start(self) -> None:
        cpu, painter = self._cpu, self.painter
        if painter is None:
            self._done(False)
        elif cpu.bl & 0x7F == 0:
            if painter.offset(cpu.cx, cpu.dx) >= self._vga.slot.nbytes:
                self._done(False)  # not a pixel of it would be there
                return
            self.put(dispi.X_OFFSET, cpu.cx)
            self.put(dispi.Y_OFFSET, cpu.dx)
            self._done()
        elif cpu.bl == 1:
            cpu.bh = 0
            cpu.cx, cpu.dx = self._fetch(dispi.X_OFFSET), self._fetch(dispi.Y_OFFSET)
            self._done()
        else:
            self._done(False)

    def _dac_width(self) -> None:
        cpu = self._cpu
        if self.mode is not None and self.mode.bpp > 8:
            self._not_in_this_mode()
            return
        enable = self._fetch(dispi.ENABLE)
        if cpu.bl == 0:
            wide = cpu.bh >= 8
            enable = enable & ~dispi.EIGHT_BIT_DAC | (dispi.EIGHT_BIT_DAC if wide else 0)
            self.put(dispi.ENABLE, enable | dispi.NO_CLEAR)
        cpu.bh = 8 if enable & dispi.EIGHT_BIT_DAC else 6
        self._done(cpu.bl <= 1)

    def _palette(self) -> None:
        cpu, bus, vga = self._cpu, self._bus, self._vga
        at = (cpu.es << 4) + cpu.di
        count = min(cpu.cx, 256)
        self._calls.spend(count // COLOURS_A_UNIT)
        if cpu.bl & 0x7F == 0:  # blue, green, red, nothing
            data = bus.read(at, 4 * count)
            vga.outb(0x3C8, cpu.dl)
            for i in range(count):
                for component in (2, 1, 0):
                    vga.outb(0x3C9, data[4 * i + component])
        elif cpu.bl == 1:
            vga.outb(0x3C7, cpu.dl)
            for i in range(count):
                red, green, blue = (vga.inb(0x3C9) for _ in range(3))
                bus.write(at + 4 * i, bytes((blue, green, red, 0)))
        self._done(cpu.bl & 0x7F <= 1)

    def _power(self) -> None:
        """Report, set or get the power state: bit 5 of the clocking mode is what there is of it."""
        cpu, video = self._cpu, self._video
        call = cpu.bl
        if call == 0:
            cpu.bx = 0x0F10  # standby, suspend, off, reduced on; version 1.0
        elif call == 1:
            video.show(cpu.bh == POWER_ON)
        elif call == 2:
            cpu.bh = POWER_ON if video.is_shown else POWER_OFF
        self._done(call <= 2)
