"""Saving the video state into the guest's memory: INT 10h/1Ch, and 4F04h with VBE's part.

Emulated: registers and indexes of sequencer, CRTC, graphics and attribute controller with the
latches; the BIOS data area's video fields with the font vectors; the DAC; DISPI with the VBE mode.
Not saved: VRAM, fonts in plane 2. The layout is our own; it is whatever the guest made of it that
is restored, register by register through the ports.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; VESA BIOS Extension 2.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.video.area import GLYPHS, UPPER_GLYPHS, VideoArea
from vgaemu.pc.bios.video.vbe import DONE, FAILED
from vgaemu.pc.board import Board
from vgaemu.vga import dispi
from vgaemu.vga.ports import GC, SEQ
from vgaemu.vga.registers import ATTRIBUTE, CRTC, GRAPHICS, SEQUENCER

#: A buffer is counted in blocks of so many bytes.
BLOCK = 64
#: States by their bits in CX: INT 10h/1Ch has the first three.
HARDWARE, DATA_AREA, COLOURS, EXTENSION = 1, 2, 4, 8
VGA_STATES = HARDWARE | DATA_AREA | COLOURS
ALL_STATES = VGA_STATES | EXTENSION

#: Memory that belongs to the video BIOS: mode to 466h, rows to 48Ah, save pointer, INT 1Fh, 43h.
FIELDS = (
    (bda.MODE.address, 30), (bda.LAST_ROW.address, 7), (bda.SAVE_POINTER.address, 4),
    (4 * UPPER_GLYPHS, 4), (4 * GLYPHS, 4),
)  # fmt: skip
#: DISPI registers in the order in which they are set, once it is on.
WHILE_OFF = (dispi.XRES, dispi.YRES, dispi.BPP)
WHILE_ON = (dispi.BANK, dispi.VIRT_WIDTH, dispi.X_OFFSET, dispi.Y_OFFSET)
#: The mode as it was asked for and as it is, what DISPI has enabled, its index, those registers.
EXTENSION_WORDS = struct.Struct(f"<{4 + len(WHILE_OFF + WHILE_ON)}H")
NO_MODE = 0xFFFF

#: Bytes of the registers: misc output, four indexes, latches, the banks.
_BANKS = (len(SEQUENCER), len(CRTC), len(GRAPHICS), len(ATTRIBUTE))


class _Piece(NamedTuple):
    nbytes: int
    #: What it is in units of `Calls.spend`.
    units: int
    save: Callable[[], bytes]
    restore: Callable[[bytes], None]


class VideoState:
    """What a program saves, and puts back."""

    def __init__(self, board: Board, calls: Calls, area: VideoArea) -> None:
        self._vga, self._bus, self._cpu = board.vga, board.bus, board.cpu
        self._calls, self._area = calls, area
        self._pieces: dict[int, _Piece] = {
            HARDWARE: _Piece(9 + sum(_BANKS), 8, self._hardware, self._restore_hardware),
            DATA_AREA: _Piece(sum(n for _, n in FIELDS), 1, self._fields, self._restore_fields),
            COLOURS: _Piece(4 + 768, 16, self._colours, self._restore_colours),
            EXTENSION: _Piece(EXTENSION_WORDS.size, 2, self._extension, self._restore_extension),
        }

    def service(self) -> None:
        """INT 10h/1Ch; calls and states there are not are ignored."""
        cpu = self._cpu
        if cpu.al <= 2 and not cpu.cx & ~VGA_STATES:
            self._do(cpu.al)
            cpu.al = 0x1C

    def vbe_service(self) -> int:
        """INT 10h/4F04h."""
        cpu = self._cpu
        if cpu.dl > 2 or cpu.cx & ~ALL_STATES:
            return FAILED
        self._do(cpu.dl)
        return DONE

    def _do(self, call: int) -> None:
        """Say how large a buffer for the states in CX is, save them to ES:BX, or restore them."""
        states, at = self._cpu.cx, self._cpu.linear("es", "bx")
        pieces = [piece for bit, piece in self._pieces.items() if states & bit]
        if call == 0:
            self._cpu.bx = -(-sum(piece.nbytes for piece in pieces) // BLOCK)
            return
        self._calls.spend(sum(piece.units for piece in pieces))
        if call == 1:
            self._bus.write(at, b"".join(piece.save() for piece in pieces))
        else:
            if states & EXTENSION:
                self._area.ports.set_dispi(dispi.ENABLE, 0)  # what follows is for the VGA below
            for piece in pieces:
                piece.restore(self._bus.read(at, piece.nbytes))
                at += piece.nbytes

    def _hardware(self) -> bytes:
        vga = self._vga
        banks = (vga.sequencer, vga.crtc, vga.graphics, vga.attribute)
        indexes = (vga.sequencer.index, vga.crtc.index, vga.graphics.index, vga.attribute_address)
        values = b"".join(
            bytes(bank.values[:count]) for bank, count in zip(banks, _BANKS, strict=True)
        )
        return bytes((vga.misc.values[0], *indexes)) + vga.latch.to_bytes(4, "little") + values

    def _restore_hardware(self, data: bytes) -> None:
        vga, ports, values = self._vga, self._area.ports, iter(data[9:])
        misc, *indexes, attribute_address = data[:5]
        sequencer, crtc, graphics, attribute = (bytes(islice(values, n)) for n in _BANKS)
        vga.outb(0x3C2, misc)
        crtc_port = ports.crtc
        ports.set(crtc_port, 0x11, 0)  # 00h-07h can be written
        for port, bank in ((SEQ, sequencer), (crtc_port, crtc), (GC, graphics)):
            ports.set_all(port, dict(enumerate(bank)))
        vga.inb(crtc_port + 6)
        for index, value in enumerate(attribute):
            vga.outb(0x3C0, index)
            vga.outb(0x3C0, value)
        vga.outb(0x3C0, attribute_address)
        vga.inb(crtc_port + 6)
        for port, index in zip((SEQ, crtc_port, GC), indexes, strict=True):
            vga.outb(port, index)
        vga.latch = int.from_bytes(data[5:9], "little")

    def _fields(self) -> bytes:
        return b"".join(self._bus.read(at, count) for at, count in FIELDS)

    def _restore_fields(self, data: bytes) -> None:
        for at, count in FIELDS:
            self._bus.write(at, data[:count])
            data = data[count:]

    def _colours(self) -> bytes:
        dac = self._vga.dac
        head = dac.mask, dac.state, dac.index - 1 & 0xFF, dac.index
        return bytes(head) + bytes(dac.entries)

    def _restore_colours(self, data: bytes) -> None:
        vga = self._vga
        mask, state, read_index, write_index = data[:4]
        vga.outb(0x3C6, mask)
        self._area.ports.write_dac(0, data[4:])
        vga.outb(*((0x3C7, read_index) if state else (0x3C8, write_index)))

    def _extension(self) -> bytes:
        area, values = self._area, self._vga.dispi.values
        mode = NO_MODE if area.vbe_mode is None else area.vbe_mode.number
        registers = (values[index] for index in WHILE_OFF + WHILE_ON)
        return EXTENSION_WORDS.pack(
            area.mode_number, mode, values[dispi.ENABLE], self._vga.dispi.index, *registers
        )

    def _restore_extension(self, data: bytes) -> None:
        ports = self._area.ports
        self._area.mode_number, number, enable, index, *values = EXTENSION_WORDS.unpack(data)
        for register, value in zip(WHILE_OFF, values, strict=False):
            ports.set_dispi(register, value)
        ports.set_dispi(dispi.ENABLE, enable | dispi.NO_CLEAR)
        for register, value in zip(WHILE_ON, values[len(WHILE_OFF) :], strict=True):
            ports.set_dispi(register, value)
        self._vga.outw(0x1CE, index)
        self._area.follow_dispi(number)
