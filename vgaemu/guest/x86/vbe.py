"""VBE: INT 10h/4Fxxh over the Bochs DISPI ports.

Emulated: VBE 2.0 calls 00h-09h for packed and direct-colour modes with a linear frame buffer and a
64 KiB window. Not emulated: the protected-mode interface (0Ah), power management, DDC, saving the
state (04h tells a size of 0 only).

Source: VESA BIOS Extension 2.0; the mode numbers above 11Bh are those of Bochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vgaemu.guest.x86.chips import Saved
from vgaemu.guest.x86.rom import Service
from vgaemu.vga import dispi
from vgaemu.vga.device import LFB_GPA

if TYPE_CHECKING:
    from vgaemu.guest.x86.pc import Pc
    from vgaemu.guest.x86.video import VideoBios


@dataclass(frozen=True)
class VbeMode:
    """A picture."""

    number: int
    width: int
    height: int
    bpp: int


_SIZES = {
    8: {0x100: (640, 400), 0x101: (640, 480), 0x103: (800, 600), 0x105: (1024, 768),
        0x107: (1280, 1024), 0x146: (320, 200), 0x11C: (1600, 1200)},
    15: {0x10D: (320, 200), 0x110: (640, 480), 0x113: (800, 600), 0x116: (1024, 768),
         0x119: (1280, 1024)},
    16: {0x10E: (320, 200), 0x111: (640, 480), 0x114: (800, 600), 0x117: (1024, 768),
         0x11A: (1280, 1024)},
    24: {0x10F: (320, 200), 0x112: (640, 480), 0x115: (800, 600), 0x118: (1024, 768),
         0x11B: (1280, 1024)},
    32: {0x140: (320, 200), 0x141: (640, 400), 0x142: (640, 480), 0x143: (800, 600),
         0x144: (1024, 768), 0x145: (1280, 1024)},
}  # fmt: skip
VBE_MODES = {
    number: VbeMode(number, *size, bpp)
    for bpp, sizes in _SIZES.items()
    for number, size in sizes.items()
}
#: Bits a pixel -> size and position of red, green, blue and the rest.
CHANNELS = {
    8: (0, 0, 0, 0, 0, 0, 0, 0),
    15: (5, 10, 5, 5, 5, 0, 1, 15),
    16: (5, 11, 6, 5, 5, 0, 0, 0),
    24: (8, 16, 8, 8, 8, 0, 0, 0),
    32: (8, 16, 8, 8, 8, 0, 8, 24),
}
WINDOW_BYTES = 0x10000
#: Bits of a mode number: linear frame buffer, do not clear.
LINEAR, KEEP = 0x4000, 0x8000
#: In segment F000h: maker's name, and the far routine that switches the window.
OEM_STRING_AT, WINDOW_FUNCTION_AT = 0xE100, 0xE120
OEM_STRING = b"vgaemu\0"
#: mov ax, 4F05h; int 10h; retf
WINDOW_FUNCTION = b"\xb8\x05\x4f\xcd\x10\xcb"
VGA_MODE_FIELD_GRAPHICS = 0x7F


class Vbe:
    """INT 10h/4Fh."""

    SAVED: ClassVar[Saved] = {"mode_number": (0, 0xFFFF)}

    def __init__(self, pc: Pc, video: VideoBios) -> None:
        self._pc, self._bus, self._cpu, self._video = pc, pc.bus, pc.cpu, video
        self._vga = pc.bus.vga
        #: The mode, or None in VGA modes.
        self.mode: VbeMode | None = None
        self.mode_number = 3
        self._calls: dict[int, Service] = {
            0x00: self._information,
            0x01: self._mode_information,
            0x02: self._set_mode,
            0x03: self._get_mode,
            0x04: self._state_size,
            0x05: self._window,
            0x06: self._line_length,
            0x07: self._display_start,
            0x08: self._dac_width,
            0x09: self._palette,
        }

    def service(self) -> None:
        """AX = 004Fh if it worked, 014Fh if not, unchanged if there is no such call."""
        call = self._calls.get(self._cpu.al)
        if call is not None:
            call()

    def _done(self, worked: bool = True) -> None:
        self._cpu.ax = 0x004F if worked else 0x014F

    def _put(self, index: int, value: int) -> None:
        self._vga.outw(0x1CE, index)
        self._vga.outw(0x1CF, value)

    def _fetch(self, index: int) -> int:
        self._vga.outw(0x1CE, index)
        return self._vga.inw(0x1CF)

    def fits(self, mode: VbeMode) -> bool:
        """Whether VRAM has room for a mode's picture."""
        size = mode.width * mode.height * dispi.BYTES_PER_PIXEL[mode.bpp]
        return size <= self._vga.slot.nbytes

    # --- what there is ----------------------------------------------------------------------------

    def _information(self) -> None:
        cpu, bus = self._cpu, self._bus
        at = (cpu.es << 4) + cpu.di
        block = bytearray(256)
        second = bus.read(at, 4) == b"VBE2"
        block[0:6] = b"VESA" + (0x0200).to_bytes(2, "little")
        block[6:10] = OEM_STRING_AT.to_bytes(2, "little") + (0xF000).to_bytes(2, "little")
        block[10] = 1  # the DAC takes 8 bits
        modes = [number for number, mode in VBE_MODES.items() if self.fits(mode)]
        listing = b"".join(number.to_bytes(2, "little") for number in [*sorted(modes), 0xFFFF])
        # The list lies in the block's reserved bytes.
        block[14:18] = (cpu.di + 34 & 0xFFFF).to_bytes(2, "little") + cpu.es.to_bytes(2, "little")
        block[18:20] = (self._vga.slot.nbytes >> 16).to_bytes(2, "little")
        block[34 : 34 + len(listing)] = listing
        bus.write(at, bytes(block) + (bytes(256) if second else b""))
        self._done()

    def _mode_information(self) -> None:
        cpu, bus = self._cpu, self._bus
        mode = VBE_MODES.get(cpu.cx & 0x1FF)
        if mode is None or not self.fits(mode):
            self._done(False)
            return
        pixel_bytes = dispi.BYTES_PER_PIXEL[mode.bpp]
        pitch = mode.width * pixel_bytes
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
        word(0x0E, 0xF000)
        word(0x10, pitch)
        word(0x12, mode.width)
        word(0x14, mode.height)
        block[0x16:0x1A] = bytes((8, 16, 1, mode.bpp))
        block[0x1A] = 1
        block[0x1B] = 4 if mode.bpp == 8 else 6  # packed, direct colour
        block[0x1D] = pages
        block[0x1E] = 1
        block[0x1F:0x27] = bytes(CHANNELS[mode.bpp])
        block[0x27] = 0
        block[0x28:0x2C] = LFB_GPA.to_bytes(4, "little")
        word(0x32, pitch)
        block[0x34] = block[0x35] = pages
        block[0x36:0x3E] = bytes(CHANNELS[mode.bpp])
        bus.write((cpu.es << 4) + cpu.di, bytes(block))
        self._done()

    # --- modes ------------------------------------------------------------------------------------

    def _set_mode(self) -> None:
        cpu = self._cpu
        number = cpu.bx & 0x1FF
        keep = bool(cpu.bx & KEEP)
        if number < 0x100:
            from vgaemu.vga.modes import MODES

            if number not in MODES:
                self._done(False)
                return
            self._video.set_mode(number, clear=not keep)
            self.mode_number = number
            self._done()
            return
        mode = VBE_MODES.get(number)
        if mode is None or not self.fits(mode):
            self._done(False)
            return
        self.set_mode(mode, keep=keep)
        self.mode_number = cpu.bx & (0x1FF | LINEAR | KEEP)
        self._done()

    def set_mode(self, mode: VbeMode, *, keep: bool = False) -> None:
        """Registers for packed pixels below, DISPI on top."""
        from vgaemu.vga.modes import set_mode

        vga = self._vga
        if not self._fetch(dispi.ENABLE) & dispi.ENABLED or self.mode is None:
            set_mode(vga, 0x13, clear=False)
        self._put(dispi.ENABLE, 0)
        self._put(dispi.XRES, mode.width)
        self._put(dispi.YRES, mode.height)
        self._put(dispi.BPP, mode.bpp)
        flags = dispi.ENABLED | dispi.LFB_ENABLED | (dispi.NO_CLEAR if keep else 0)
        self._put(dispi.ENABLE, flags)
        self.mode = mode
        video, bus = self._video, self._bus
        video.write_mode_fields(VGA_MODE_FIELD_GRAPHICS, clear=not keep)
        bus.write16(0x44A, mode.width // 8)
        bus.write8(0x484, min(mode.height // 16, 255) - 1)

    def _get_mode(self) -> None:
        cpu = self._cpu
        cpu.bx = self.mode_number if self.mode is not None else self._video.mode
        self._done()

    def _state_size(self) -> None:
        if self._cpu.dl == 0:
            self._cpu.bx = 0
        self._done(self._cpu.dl == 0)

    def _window(self) -> None:
        cpu = self._cpu
        if self.mode is None or cpu.bl != 0:
            self._done(False)
            return
        if cpu.bh == 0:
            banks = self._vga.slot.nbytes // WINDOW_BYTES
            if cpu.dx >= banks:
                self._done(False)
                return
            self._put(dispi.BANK, cpu.dx)
        else:
            cpu.dx = self._fetch(dispi.BANK)
        self._done()

    def _line_length(self) -> None:
        cpu, mode = self._cpu, self.mode
        if mode is None or cpu.bl > 3:
            self._done(False)
            return
        pixel_bytes = dispi.BYTES_PER_PIXEL[mode.bpp]
        if cpu.bl in (0, 2):
            wanted = cpu.cx if cpu.bl == 0 else -(-cpu.cx // pixel_bytes)
            self._put(dispi.VIRT_WIDTH, wanted)
        if cpu.bl == 3:
            width = self._vga.slot.nbytes // mode.height // pixel_bytes
        else:
            width = self._fetch(dispi.VIRT_WIDTH)
        width = min(width, 0xFFFF // pixel_bytes)
        cpu.bx, cpu.cx = width * pixel_bytes, width
        cpu.dx = min(self._vga.slot.nbytes // (width * pixel_bytes), 0xFFFF)
        self._done()

    def _display_start(self) -> None:
        cpu = self._cpu
        if self.mode is None:
            self._done(False)
        elif cpu.bl & 0x7F == 0:
            self._put(dispi.X_OFFSET, cpu.cx)
            self._put(dispi.Y_OFFSET, cpu.dx)
            self._done()
        elif cpu.bl == 1:
            cpu.bh = 0
            cpu.cx, cpu.dx = self._fetch(dispi.X_OFFSET), self._fetch(dispi.Y_OFFSET)
            self._done()
        else:
            self._done(False)

    def _dac_width(self) -> None:
        cpu = self._cpu
        enable = self._fetch(dispi.ENABLE)
        if cpu.bl == 0:
            wide = cpu.bh >= 8
            enable = enable & ~dispi.EIGHT_BIT_DAC | (dispi.EIGHT_BIT_DAC if wide else 0)
            self._put(dispi.ENABLE, enable | dispi.NO_CLEAR)
        cpu.bh = 8 if enable & dispi.EIGHT_BIT_DAC else 6
        self._done(cpu.bl <= 1)

    def _palette(self) -> None:
        cpu, bus, vga = self._cpu, self._bus, self._vga
        at = (cpu.es << 4) + cpu.di
        count = min(cpu.cx, 256)
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

    # --- what INT 10h's character calls do in these modes -----------------------------------------

    def _offset(self, x: int, y: int) -> int:
        assert self.mode is not None
        pixel_bytes = dispi.BYTES_PER_PIXEL[self.mode.bpp]
        return (y * self._vga.dispi.values[dispi.VIRT_WIDTH] + x) * pixel_bytes

    def _colour(self, number: int) -> bytes:
        """A pixel of one of the 16 colours of text."""
        assert self.mode is not None
        if self.mode.bpp == 8:
            return bytes((number,))
        level = 0xFF if number & 8 else 0xAA
        channels = CHANNELS[self.mode.bpp]
        value = 0
        for bit, channel in ((4, 0), (2, 2), (1, 4)):
            size, position = channels[channel : channel + 2]
            if number & bit:
                value |= level >> 8 - size << position
        return value.to_bytes(dispi.BYTES_PER_PIXEL[self.mode.bpp], "little")

    def draw_row(self, x: int, y: int, bits: int, colour: int) -> None:
        """Eight pixels of a glyph."""
        on, off = self._colour(colour & 0x7F), self._colour(0)
        row = b"".join(on if bits & 0x80 >> i else off for i in range(8))
        self._vga.store(LFB_GPA + self._offset(x, y), row)

    def move_row(self, source: int, target: int, left: int, right: int) -> None:
        """Copy a row of characters, 16 lines."""
        for line in range(16):
            at = self._offset(left * 8, source * 16 + line)
            count = self._offset((right - left + 1) * 8, 0)
            data = self._vga.load(LFB_GPA + at, count)
            self._vga.store(LFB_GPA + self._offset(left * 8, target * 16 + line), data)

    def clear_row(self, row: int, left: int, right: int) -> None:
        """Blacken a row of characters."""
        for line in range(16):
            count = self._offset((right - left + 1) * 8, 0)
            self._vga.store(LFB_GPA + self._offset(left * 8, row * 16 + line), bytes(count))

    def write_pixel(self, x: int, y: int, colour: int) -> None:
        """One pixel."""
        assert self.mode is not None
        if x < self.mode.width and y < self.mode.height:
            self._vga.store(LFB_GPA + self._offset(x, y), self._colour(colour))

    def read_pixel(self, x: int, y: int) -> int:
        """One pixel; its lowest byte in direct colour."""
        return self._vga.load(LFB_GPA + self._offset(x, y), 1)[0]
