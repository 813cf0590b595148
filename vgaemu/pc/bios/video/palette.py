"""INT 10h/0Bh and 10h: colours.

Emulated: the CGA's background and palette (0Bh), the attribute controller's registers with border,
blinking and DAC page, the DAC with its mask, and greys (10h). Colours that are set while 12h/33h
has chosen greys become greys.
"""

from __future__ import annotations

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls, Service, serve
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.board import Board

#: Colours of the DAC that one unit of `Calls.spend` is worth.
COLOURS_A_UNIT = 16
#: Attribute registers: palette 00h-0Fh, and those that calls name.
MODE_CONTROL, OVERSCAN, COLOUR_SELECT = 0x10, 0x11, 0x14
PALETTE_AND_OVERSCAN = (*range(16), OVERSCAN)
#: What all of these are in units of `Calls.spend`.
PALETTE_UNITS = 4


def greys(colours: bytes) -> bytes:
    """Of each colour 30 % red, 59 % green, 11 % blue.

    >>> list(greys(bytes((63, 63, 63, 0, 42, 0))))
    [63, 63, 63, 25, 25, 25]
    """
    grey = bytearray(len(colours))
    for i in range(0, len(colours), 3):
        red, green, blue = colours[i : i + 3]
        grey[i : i + 3] = ((77 * red + 151 * green + 28 * blue + 128) >> 8,) * 3
    return bytes(grey)


class VideoPalette:
    """INT 10h/0Bh and 10h."""

    def __init__(self, board: Board, calls: Calls, area: VideoArea) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        self._area, self._ports = area, area.ports
        self._services: dict[int, Service] = {
            0x00: self._set_register,
            0x01: lambda: self._ports.set_attribute(OVERSCAN, self._cpu.bh),
            0x02: self._set_all_registers,
            0x03: self._blink_or_intensity,
            0x07: self._get_register,
            0x08: self._get_overscan,
            0x09: self._get_all_registers,
            0x10: self._set_dac_entry,
            0x12: self._set_dac_block,
            0x13: self._dac_page,
            0x15: self._get_dac_entry,
            0x17: self._get_dac_block,
            0x18: lambda: self._bus.port_out(0x3C6, 1, self._cpu.bl),
            0x19: self._get_dac_mask,
            0x1A: self._get_dac_page,
            0x1B: lambda: self.to_greys(self._cpu.bx, min(self._cpu.cx, 256)),
        }

    def service(self) -> None:
        serve(self._services, self._cpu.al)

    def cga_service(self) -> None:
        """0Bh: background and border, or which of two palettes; of colour displays."""
        self._calls.spend(1)
        if self._area.is_monochrome:
            return
        if self._cpu.bh == 0:
            self._cga_background(self._cpu.bl)
        else:
            self._cga_palette(self._cpu.bl & 1)

    def _cga_background(self, colour: int) -> None:
        area, ports = self._area, self._ports
        area[bda.CGA_PALETTE] = area[bda.CGA_PALETTE] & 0xE0 | colour & 0x1F
        # Bits 0-2 of the background, bit 4 its intensity as the attribute palette has it.
        value = colour & 7 | (colour & 8) << 1
        ports.set_attribute(OVERSCAN, value)
        if not area.is_text:
            ports.set_attribute(0, value)
            self._follow_cga_palette()

    def _cga_palette(self, number: int) -> None:
        area = self._area
        area[bda.CGA_PALETTE] = area[bda.CGA_PALETTE] & 0xDF | number << 5
        if not area.is_text:  # a CGA has no palette in text modes
            self._follow_cga_palette()

    def _follow_cga_palette(self) -> None:
        """Colours 1 to 3: of two palettes one, intense or not; in all graphics modes."""
        chosen = self._area[bda.CGA_PALETTE]
        first = 2 | chosen >> 5 & 1 | chosen & 0x10
        for index in (1, 2, 3):
            self._ports.set_attribute(index, first + 2 * (index - 1))

    def _set_register(self) -> None:
        if self._cpu.bl <= COLOUR_SELECT:
            self._ports.set_attribute(self._cpu.bl, self._cpu.bh)

    def _get_register(self) -> None:
        if self._cpu.bl <= COLOUR_SELECT:
            self._cpu.bh = self._ports.get_attribute(self._cpu.bl)

    def _get_overscan(self) -> None:
        self._cpu.bh = self._ports.get_attribute(OVERSCAN)

    def _set_all_registers(self) -> None:
        self._calls.spend(PALETTE_UNITS)
        values = self._bus.read(self._cpu.linear("es", "dx"), len(PALETTE_AND_OVERSCAN))
        self._load_registers(values)

    def _get_all_registers(self) -> None:
        self._calls.spend(PALETTE_UNITS)
        self._bus.write(self._cpu.linear("es", "dx"), self._registers())

    def _registers(self) -> bytes:
        return bytes(self._ports.get_attribute(index) for index in PALETTE_AND_OVERSCAN)

    def _load_registers(self, values: bytes) -> None:
        for index, value in zip(PALETTE_AND_OVERSCAN, values, strict=True):
            self._ports.set_attribute(index, value)

    def loaded(self) -> tuple[bytes, bytes]:
        """Attribute registers and colours, which a mode set leaves alone if it is told to."""
        return self._registers(), self._ports.read_dac(0, 256)

    def load(self, registers: bytes, colours: bytes) -> None:
        """What `loaded` has returned."""
        self._load_registers(registers)
        self._ports.write_dac(0, colours)

    def _blink_or_intensity(self) -> None:
        area, blinks = self._area, self._cpu.bl & 1
        self._ports["blink"] = blinks
        area[bda.MODE_SELECT] = area[bda.MODE_SELECT] & ~bda.BLINKS | bda.BLINKS * blinks

    def _dac_page(self) -> None:
        """Pages of 64 or 16 colours (BL = 0), or which page."""
        cpu, ports = self._cpu, self._ports
        mode_control = ports.get_attribute(MODE_CONTROL)
        if cpu.bl == 0:
            ports.set_attribute(MODE_CONTROL, mode_control & 0x7F | (cpu.bh & 1) << 7)
        else:
            shift = 0 if mode_control & 0x80 else 2
            ports.set_attribute(COLOUR_SELECT, cpu.bh << shift & 0x0F)

    def _get_dac_page(self) -> None:
        cpu, ports = self._cpu, self._ports
        cpu.bl = ports.get_attribute(MODE_CONTROL) >> 7
        cpu.bh = ports.get_attribute(COLOUR_SELECT) >> (0 if cpu.bl else 2)

    def write_dac(self, first: int, colours: bytes) -> None:
        """Set neighbouring colours: red, green and blue of each."""
        self._calls.spend(len(colours) // 3 // COLOURS_A_UNIT)
        if self._area[bda.MODE_OPTIONS] & bda.GREY:
            colours = greys(colours)
        self._ports.write_dac(first & 0xFF, colours)

    def _read_dac(self, first: int, count: int) -> bytes:
        self._calls.spend(count // COLOURS_A_UNIT)
        return self._ports.read_dac(first & 0xFF, count)

    def to_greys(self, first: int, count: int) -> None:
        """Make greys of colours that there are."""
        self.write_dac(first, greys(self._read_dac(first, count)))

    def _set_dac_entry(self) -> None:
        cpu = self._cpu
        self.write_dac(cpu.bx, bytes((cpu.dh, cpu.ch, cpu.cl)))

    def _get_dac_entry(self) -> None:
        cpu = self._cpu
        cpu.dh, cpu.ch, cpu.cl = self._read_dac(cpu.bl, 1)

    def _set_dac_block(self) -> None:
        cpu = self._cpu
        self.write_dac(cpu.bx, self._bus.read(cpu.linear("es", "dx"), 3 * min(cpu.cx, 256)))

    def _get_dac_block(self) -> None:
        cpu = self._cpu
        self._bus.write(cpu.linear("es", "dx"), self._read_dac(cpu.bx, min(cpu.cx, 256)))

    def _get_dac_mask(self) -> None:
        self._cpu.bl = self._bus.port_in(0x3C6, 1)
