"""VBE: INT 10h/4Fxxh over the Bochs DISPI ports.

Emulated: VBE 2.0 calls 00h-09h for packed and direct-colour modes with a linear frame buffer and a
64 KiB window; power management (10h), where every state but "on" is a dark screen. Not emulated:
the protected-mode interface (0Ah), DDC (15h says so), timings of the caller's (02h, bit 11).

Source: VESA BIOS Extension 2.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import accumulate, chain

import numpy as np

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.rom import OEM_STRING_AT, OEM_STRINGS, ROM_SEGMENT, WINDOW_FUNCTION_AT
from vgaemu.pc.bios.video.area import KEEP, LINEAR, VideoArea
from vgaemu.pc.bios.video.mode_set import MODE_UNITS as VGA_MODE_UNITS
from vgaemu.pc.bios.video.mode_set import ModeSet
from vgaemu.pc.bios.video.modes import PACKED, TEXT, VBE_MODE_FIELD, VBE_MODES, VbeMode, bios_mode
from vgaemu.pc.bios.video.palette import COLOURS_A_UNIT
from vgaemu.pc.board import Board
from vgaemu.vga import dispi
from vgaemu.vga.modes import MODES, set_mode
from vgaemu.vga.vram import LFB_GPA

WINDOW_BYTES = 0x10000
#: Memory model of direct colour, beside those of `modes`.
DIRECT_COLOUR = 6
#: What a call returns in AX.
DONE, FAILED, NOT_IN_THIS_MODE = 0x004F, 0x014F, 0x034F
#: A window that is there, and can be read and written.
READ_WRITE = 0x07
#: VbeInfoBlock: signature, version, maker's name, abilities, list of modes, VRAM in 64 KiB, and of
#: VBE 2.0 vendor, product and revision.
INFORMATION = struct.Struct("<4sH4sI4sH2x4s4s4s")
#: ModeInfoBlock: flags; window A: attributes, granularity, KiB, segment, function; pitch, width,
#: height, width and height of a character, planes, bits a pixel, banks, memory model, pages, 1,
#: channels; linear frame buffer: address, pitch, pages by window and of its own, channels.
MODE_INFORMATION = struct.Struct("<HBxHHH2x4sHHHBBBBBBxBB8sxI6xHBB8s")
POWER_ON, POWER_OFF = 0, 4
#: What a mode set is in units of `Calls.spend`, beside the call itself.
MODE_UNITS = 4


def far(segment: int, offset: int) -> bytes:
    """A far pointer as it lies in memory."""
    return offset.to_bytes(2, "little") + segment.to_bytes(2, "little")


class Vbe:
    """INT 10h/4Fh."""

    def __init__(self, board: Board, calls: Calls, area: VideoArea, modes: ModeSet) -> None:
        self._bus, self._cpu, self._vga = board.bus, board.cpu, board.vga
        self._calls, self._area, self._modes, self._ports = calls, area, modes, area.ports
        #: All but 04h, which is `VideoState`'s.
        self.services: dict[int, Callable[[], int]] = {
            0x00: self._information,
            0x01: self._mode_information,
            0x02: self._set_mode,
            0x03: self._get_mode,
            0x05: self._window,
            0x06: self._line_length,
            0x07: self._display_start,
            0x08: self._dac_width,
            0x09: self._palette,
            0x10: self._power,
            0x15: lambda: FAILED,
        }

    def service(self) -> None:
        """4Fh; AX stays as it is if there is no such call."""
        service = self.services.get(self._cpu.al)
        if service is not None:
            self._cpu.ax = service()

    def _information(self) -> int:
        cpu, bus, vram = self._cpu, self._bus, self._vga.slot.nbytes
        at = cpu.linear("es", "di")
        second = bus.read(at, 4) == b"VBE2"
        modes = [number for number in sorted(VBE_MODES) if self._area.vbe_mode_of(number)]
        strings = accumulate(map(len, OEM_STRINGS[:-1]), initial=OEM_STRING_AT)
        block = INFORMATION.pack(
            b"VESA", 0x0200, far(ROM_SEGMENT, OEM_STRING_AT),
            1,  # the DAC takes 8 bits
            far(cpu.es, cpu.di + 34 & 0xFFFF),  # the list lies in the block's reserved bytes
            vram >> 16,
            *(far(ROM_SEGMENT, string) if second else bytes(4) for string in strings),
        )  # fmt: skip
        block += struct.pack(f"<{len(modes) + 1}H", *modes, 0xFFFF)
        bus.write(at, block.ljust(512 if second else 256, b"\0"))
        return DONE

    def _mode_information(self) -> int:
        number = self._cpu.cx & ~(LINEAR | KEEP)
        if number in MODES:
            return self._vga_mode_information(number)
        mode = self._area.vbe_mode_of(number)
        if mode is None:
            return FAILED
        pitch = mode.width * mode.pixel_bytes
        pages = min(self._vga.slot.nbytes // (pitch * mode.height), 256) - 1
        model = PACKED if mode.bpp == 8 else DIRECT_COLOUR
        channels = mode.format.red, mode.format.green, mode.format.blue, mode.format.rest
        layout = bytes(number for channel in channels for number in channel)
        # Supported, extended information, text through the BIOS, colour, graphics, with a linear
        # frame buffer; VGA's registers and window are there beside it.
        return self._write_mode_information(
            (0x009F, READ_WRITE, 64, 64, 0xA000, far(ROM_SEGMENT, WINDOW_FUNCTION_AT)),
            (pitch, mode.width, mode.height, 8, 16, 1, mode.bpp, 1, model, pages, 1, layout),
            (LFB_GPA, pitch, pages, pages, layout),
        )

    def _write_mode_information(self, *parts: tuple[int | bytes, ...]) -> int:
        """Fields of `MODE_INFORMATION`: the window's, the picture's, the linear frame buffer's."""
        block = MODE_INFORMATION.pack(*chain.from_iterable(parts))
        self._bus.write(self._cpu.linear("es", "di"), block.ljust(256, b"\0"))
        return DONE

    def _vga_mode_information(self, number: int) -> int:
        """A mode of the VGA's: seen through its window, nothing linear."""
        facts = bios_mode(number)
        height, width, lines = facts.height, facts.columns, facts.rows  # of characters
        is_text = facts.model == TEXT
        if not is_text:
            width, lines = width * 8, lines * height
        segment = MODES[number].window[0] >> 4
        pitch = width * 2 if is_text else width * facts.bits // 8 // facts.planes
        # Supported, extended information, text through the BIOS, colour, graphics.
        flags = 0x0007 | (8 if facts.colours else 0) | (0 if is_text else 0x10)
        pages = (0x8000 if segment >= 0xB000 else 0x10000) // facts.page_bytes
        return self._write_mode_information(
            (flags, READ_WRITE, 64, 64, segment, bytes(4)),
            (pitch, width, lines, 8, height, facts.planes, facts.bits),
            (1, facts.model, max(pages, 1) - 1, 1, bytes(8)),
            (0, pitch, 0, 0, bytes(8)),
        )

    def _set_mode(self) -> int:
        cpu = self._cpu
        number, keep = cpu.bx & ~(LINEAR | KEEP), bool(cpu.bx & KEEP)
        mode = self._area.vbe_mode_of(number)
        if mode is not None:
            self.set_mode(mode, keep=keep)
            self._area.mode_number = cpu.bx
        elif number in MODES:
            self._modes.set_mode(number, clear=not keep)
        else:
            return FAILED
        return DONE

    def set_mode(self, mode: VbeMode, *, keep: bool = False) -> None:
        """Registers for packed pixels below, DISPI on top."""
        vga = self._vga
        self._calls.spend(MODE_UNITS)
        if not self._ports.get_dispi(dispi.ENABLE) & dispi.ENABLED or self._area.vbe_mode is None:
            self._calls.spend(VGA_MODE_UNITS)
            set_mode(vga, 0x13, clear=False)
        flags = dispi.ENABLED | dispi.LFB_ENABLED | (dispi.NO_CLEAR if keep else 0)
        for index, value in (
            (dispi.ENABLE, 0), (dispi.XRES, mode.width), (dispi.YRES, mode.height),
            (dispi.BPP, mode.bpp), (dispi.ENABLE, flags),
        ):  # fmt: skip
            self._ports.set_dispi(index, value)
        area = self._area
        area.vbe_mode = mode
        area.write_mode_fields(VBE_MODE_FIELD, clear=not keep)
        area[bda.COLUMNS] = mode.width // 8
        area[bda.LAST_ROW] = min(mode.height // 16, 255) - 1

    def _get_mode(self) -> int:
        self._cpu.bx = self._area.mode_number
        return DONE

    def _window(self) -> int:
        cpu = self._cpu
        if self._area.vbe_mode is None or cpu.bl != 0 or cpu.bh > 1:
            return FAILED
        if self._area.mode_number & LINEAR:
            return NOT_IN_THIS_MODE
        if cpu.bh == 1:
            cpu.dx = self._ports.get_dispi(dispi.BANK)
        elif cpu.dx >= self._vga.slot.nbytes // WINDOW_BYTES:
            return FAILED
        else:
            self._ports.set_dispi(dispi.BANK, cpu.dx)
        return DONE

    def _line_length(self) -> int:
        cpu, mode = self._cpu, self._area.vbe_mode
        if mode is None or cpu.bl > 3:
            return FAILED
        vram, pixel_bytes = self._vga.slot.nbytes, mode.pixel_bytes
        if cpu.bl in (0, 2):
            wanted = cpu.cx if cpu.bl == 0 else -(-cpu.cx // pixel_bytes)
            self._ports.set_dispi(dispi.VIRT_WIDTH, wanted)
        largest = vram // mode.height // pixel_bytes
        width = largest if cpu.bl == 3 else self._ports.get_dispi(dispi.VIRT_WIDTH)
        width = min(width, 0xFFFF // pixel_bytes)
        cpu.bx, cpu.cx = width * pixel_bytes, width
        cpu.dx = min(vram // (width * pixel_bytes), 0xFFFF)
        return DONE

    def _display_start(self) -> int:
        cpu, mode = self._cpu, self._area.vbe_mode
        if mode is None:
            return FAILED
        if cpu.bl == 1:
            cpu.bh = 0
            cpu.cx = self._ports.get_dispi(dispi.X_OFFSET)
            cpu.dx = self._ports.get_dispi(dispi.Y_OFFSET)
            return DONE
        first = cpu.dx * self._vga.dispi.values[dispi.VIRT_WIDTH] + cpu.cx
        if cpu.bl & 0x7F or first * mode.pixel_bytes >= self._vga.slot.nbytes:
            return FAILED  # not a pixel of it would be there
        self._ports.set_dispi(dispi.X_OFFSET, cpu.cx)
        self._ports.set_dispi(dispi.Y_OFFSET, cpu.dx)
        return DONE

    def _dac_width(self) -> int:
        cpu, mode = self._cpu, self._area.vbe_mode
        if mode is not None and mode.bpp > 8:
            return NOT_IN_THIS_MODE
        enable = self._ports.get_dispi(dispi.ENABLE)
        if cpu.bl == 0:
            wide = cpu.bh >= 8
            enable = enable & ~dispi.EIGHT_BIT_DAC | (dispi.EIGHT_BIT_DAC if wide else 0)
            self._ports.set_dispi(dispi.ENABLE, enable | dispi.NO_CLEAR)
        cpu.bh = 8 if enable & dispi.EIGHT_BIT_DAC else 6
        return DONE if cpu.bl <= 1 else FAILED

    def _palette(self) -> int:
        cpu, bus, ports = self._cpu, self._bus, self._ports
        at = cpu.linear("es", "di")
        count = min(cpu.cx, 256)
        self._calls.spend(count // COLOURS_A_UNIT)
        if cpu.bl & 0x7F == 0:  # blue, green, red, nothing
            colours = np.frombuffer(bus.read(at, 4 * count), np.uint8).reshape(-1, 4)
            ports.write_dac(cpu.dl, colours[:, 2::-1].ravel().tolist())
        elif cpu.bl == 1:
            triples = np.frombuffer(ports.read_dac(cpu.dl, count), np.uint8).reshape(-1, 3)
            bus.write(at, np.pad(triples[:, ::-1], ((0, 0), (0, 1))).tobytes())
        return DONE if cpu.bl & 0x7F <= 1 else FAILED

    def _power(self) -> int:
        """Report, set or get the power state: bit 5 of the clocking mode is what there is of it."""
        cpu, call = self._cpu, self._cpu.bl
        if call == 0:
            cpu.bx = 0x0F10  # standby, suspend, off, reduced on; version 1.0
        elif call == 1:
            self._ports["screen_off"] = cpu.bh != POWER_ON
        elif call == 2:
            cpu.bh = POWER_OFF if self._vga.sequencer["screen_off"] else POWER_ON
        return DONE if call <= 2 else FAILED
