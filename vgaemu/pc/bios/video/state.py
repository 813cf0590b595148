"""Saving the video state into the guest's memory: INT 10h/1Ch, and 4F04h with VBE's part.

Emulated: registers and indexes of sequencer, CRTC, graphics and attribute controller with the
latches; the BIOS data area's video fields with the font vectors; the DAC; DISPI with the VBE mode.
Not saved: VRAM, fonts in plane 2. The layout is our own; it is whatever the guest made of it that
is restored, register by register through the ports.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; VESA BIOS Extension 2.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from vgaemu.pc.bios.video.area import GLYPHS, LAST_ROW, MODE, SAVE_POINTER, UPPER_GLYPHS
from vgaemu.pc.board import Board
from vgaemu.vga import dispi
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.registers import ATTRIBUTE, CRTC, GRAPHICS, SEQUENCER

if TYPE_CHECKING:
    from vgaemu.pc.bios.video.vbe import Vbe

#: A buffer is counted in blocks of so many bytes.
BLOCK = 64
#: States by their bits in CX: INT 10h/1Ch has the first three.
HARDWARE, DATA_AREA, COLOURS, EXTENSION = 1, 2, 4, 8
VGA_STATES = HARDWARE | DATA_AREA | COLOURS
ALL_STATES = VGA_STATES | EXTENSION

#: Memory that belongs to the video BIOS: mode to 466h, rows to 48Ah, save pointer, INT 1Fh, 43h.
FIELDS = ((MODE, 30), (LAST_ROW, 7), (SAVE_POINTER, 4), (4 * UPPER_GLYPHS, 4), (4 * GLYPHS, 4))
#: DISPI registers in the order in which they are set, once it is on.
WHILE_OFF = (dispi.XRES, dispi.YRES, dispi.BPP)
WHILE_ON = (dispi.BANK, dispi.VIRT_WIDTH, dispi.X_OFFSET, dispi.Y_OFFSET)
NO_MODE = 0xFFFF

#: Bytes of the registers: misc output, four indexes, latches, the banks.
_BANKS = (len(SEQUENCER), len(CRTC), len(GRAPHICS), len(ATTRIBUTE))


class _Piece(NamedTuple):
    """One state."""

    nbytes: int
    save: Callable[[], bytes]
    restore: Callable[[bytes], None]


class VideoState:
    """What a program saves, and puts back."""

    def __init__(self, board: Board, vbe: Vbe) -> None:
        self._vga, self._bus = board.vga, board.bus
        self._vbe = vbe
        self._pieces: dict[int, _Piece] = {
            HARDWARE: _Piece(9 + sum(_BANKS), self._hardware, self._put_hardware),
            DATA_AREA: _Piece(sum(n for _, n in FIELDS), self._fields, self._put_fields),
            COLOURS: _Piece(4 + 768, self._colours, self._put_colours),
            EXTENSION: _Piece(
                2 * (4 + len(WHILE_OFF) + len(WHILE_ON)), self._extension, self._put_extension
            ),
        }

    def _chosen(self, states: int) -> list[_Piece]:
        return [piece for bit, piece in self._pieces.items() if states & bit]

    def blocks(self, states: int) -> int:
        """Size of a buffer for some states."""
        return -(-sum(piece.nbytes for piece in self._chosen(states)) // BLOCK)

    def save(self, states: int, at: int) -> None:
        """Into the guest's memory."""
        self._bus.write(at, b"".join(piece.save() for piece in self._chosen(states)))

    def restore(self, states: int, at: int) -> None:
        """From there."""
        if states & EXTENSION:
            self._vbe.put(dispi.ENABLE, 0)  # what follows is for the VGA below
        for piece in self._chosen(states):
            piece.restore(self._bus.read(at, piece.nbytes))
            at += piece.nbytes

    # --- registers ------------------------------------------------------------------------------

    def _hardware(self) -> bytes:
        vga = self._vga
        banks = (vga.sequencer, vga.crtc, vga.graphics, vga.attribute)
        indexes = (vga.sequencer.index, vga.crtc.index, vga.graphics.index, vga.attribute_address)
        values = b"".join(
            bytes(bank.values[:count]) for bank, count in zip(banks, _BANKS, strict=True)
        )
        return bytes((vga.misc.values[0], *indexes)) + vga.latch.to_bytes(4, "little") + values

    def _put_hardware(self, data: bytes) -> None:
        vga = self._vga
        misc, sequencer_index, crtc_index, graphics_index, attribute_address = data[:5]
        latch, values = int.from_bytes(data[5:9], "little"), data[9:]
        banks = []
        for count in _BANKS:
            banks.append(values[:count])
            values = values[count:]
        sequencer, crtc, graphics, attribute = banks
        vga.outb(0x3C2, misc)
        ports = Ports(vga)
        crtc_port = ports.crtc
        ports.set(crtc_port, 0x11, 0)  # 00h-07h can be written
        for port, bank in ((SEQ, sequencer), (crtc_port, crtc), (GC, graphics)):
            for index, value in enumerate(bank):
                ports.set(port, index, value)
        vga.inb(crtc_port + 6)
        for index, value in enumerate(attribute):
            vga.outb(0x3C0, index)
            vga.outb(0x3C0, value)
        vga.outb(0x3C0, attribute_address)
        vga.inb(crtc_port + 6)
        vga.outb(SEQ, sequencer_index)
        vga.outb(crtc_port, crtc_index)
        vga.outb(GC, graphics_index)
        vga.latch = latch

    # --- the data area --------------------------------------------------------------------------

    def _fields(self) -> bytes:
        return b"".join(self._bus.read(at, count) for at, count in FIELDS)

    def _put_fields(self, data: bytes) -> None:
        for at, count in FIELDS:
            self._bus.write(at, data[:count])
            data = data[count:]

    # --- the DAC --------------------------------------------------------------------------------

    def _colours(self) -> bytes:
        dac = self._vga.dac
        return bytes((dac.mask, dac.state, dac.read_index, dac.write_index)) + bytes(dac.entries)

    def _put_colours(self, data: bytes) -> None:
        vga = self._vga
        mask, state, read_index, write_index = data[:4]
        vga.outb(0x3C6, mask)
        vga.outb(0x3C8, 0)
        for component in data[4:]:
            vga.outb(0x3C9, component)
        indexes = [(0x3C7, read_index), (0x3C8, write_index)]
        for port, index in reversed(indexes) if state else indexes:
            vga.outb(port, index)

    # --- VBE ------------------------------------------------------------------------------------

    def _extension(self) -> bytes:
        vbe, values = self._vbe, self._vga.dispi.values
        mode = NO_MODE if vbe.mode is None else vbe.mode.number
        words = [vbe.mode_number, mode, values[dispi.ENABLE], self._vga.dispi.index]
        words += [values[index] for index in WHILE_OFF + WHILE_ON]
        return b"".join(word.to_bytes(2, "little") for word in words)

    def _put_extension(self, data: bytes) -> None:
        vbe = self._vbe
        words = [int.from_bytes(data[i : i + 2], "little") for i in range(0, len(data), 2)]
        vbe.mode_number, number, enable, index, *values = words
        for register, value in zip(WHILE_OFF, values, strict=False):
            vbe.put(register, value)
        vbe.put(dispi.ENABLE, enable | dispi.NO_CLEAR)
        for register, value in zip(WHILE_ON, values[len(WHILE_OFF) :], strict=True):
            vbe.put(register, value)
        self._vga.outw(0x1CE, index)
        vbe.follow(number)
