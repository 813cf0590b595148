"""Vga: the device. Ports in one dict, over registers and windows onto VRAM.

Emulated: an IBM VGA with 256 KiB of planes in the first part of a larger VRAM, and Bochs DISPI for
linear modes; the register banks, DAC, latches, windows, input status. Not emulated: PCI, the
retrace interrupt but for what a PC makes of it, the monitor sense bits, the feature connector
(feature control is stored, and its bit 3 shown in input status 1), light pen: none is pressed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot import Memslot
from vgaemu.memslot.zeros import overwrite
from vgaemu.native.shared import BANK_INDEX, BANK_TAKES_DATA, DAC_INDEX
from vgaemu.snapshot import Array, Part, number, octets_in
from vgaemu.vga.beam import NOT_DISPLAYING, VERTICAL_RETRACE, Beam, Timing, VirtualBeam, timing_of
from vgaemu.vga.effects import (
    ATTRIBUTE,
    ATTRIBUTE_ADDRESS,
    CRTC,
    GRAPHICS,
    GRAPHICS_ASKS,
    LAYOUT,
    MAP,
    MISC,
    PICTURE,
    PIPELINE,
    SEQUENCER,
    SEQUENCER_ASKS,
    SHAPE,
    TIMING,
)
from vgaemu.vga.layout import Layout
from vgaemu.vga.registers import RegisterBank
from vgaemu.vga.timeline import Timeline
from vgaemu.vga.vram import make_vram
from vgaemu.vga.windows import Windows

log = logging.getLogger(__name__)

#: CRTC registers that say where the cursor is and how it looks, and nothing else.
CURSOR_REGISTERS = (0x0A, 0x0B, 0x0E, 0x0F)
#: Those that say where the picture begins in memory: programs that scroll write them all the time.
START_REGISTERS = (0x0C, 0x0D)

#: Input status 1: the light pen's switch is open. Where a look finds all bits 0, a program may wait
#: for ever, and hardware has some of the unused ones set.
NO_LIGHT_PEN = 0x04
#: Feature control: input status 1 has the bit of the vertical retrace while it displays, too.
DISPLAY_IN_RETRACE_BIT = 0x08

PortHandler: TypeAlias = tuple[Callable[[], int] | None, Callable[[int], None] | None]


class Vga(Windows):
    """One VGA. One CPU thread at a time drives it; a display may look at it meanwhile."""

    #: `feature_control`, as memory that native code reads, too.
    feature_bits: bytearray
    #: The font that a mode set loads for text, (256, height) uint8; the bundled ones if None.
    rom_font: NDArray[np.uint8] | None
    #: Tells input status 0 and 1 where the beam is.
    beam: Beam
    #: What registers did while the picture was drawn.
    timeline: Timeline
    #: As `generation`, for writes that only moved or reshaped the text cursor; that has others.
    cursor_generation: int
    #: Called after CR11 was written: whoever has the card's interrupt line.
    on_retrace_control: Callable[[], None]
    #: Port -> what reads and what writes it.
    ports: dict[int, PortHandler]

    def __init__(self, slot: Memslot | None = None) -> None:
        """Power on: registers 0, VRAM as it is.

        Raises:
            ValueError: The slot for VRAM, 16 MiB if None, has less than 256 KiB.
        """
        super().__init__(make_vram() if slot is None else slot)
        self.feature_bits = bytearray(1)
        self.on_retrace_control = lambda: None
        self.rom_font = None
        self.beam = VirtualBeam()
        self.timeline = Timeline(self)
        self.dac.before_change = self.timeline.note
        self.cursor_generation = 0
        #: Goes up after a register was written that `timing` depends on; its value at the time of
        #: the timing kept, and that.
        self._timing_generation = 0
        self._timing: tuple[int, Timing] = -1, timing_of(*self.timing_key())
        self._unknown_ports: set[int] = set()
        self.ports = self._port_table()

    def __repr__(self) -> str:
        shows = "graphics" if self.graphics["graphics"] else "text"
        if self.dispi.enabled:
            _, width, height, bits, *_ = self.dispi.values
            shows = f"DISPI {width}x{height}, {bits} bits"
        return f"<vgaemu.Vga {shows}, {self.slot.nbytes >> 20} MiB>"

    def start_frame(self) -> None:
        """A guest begins with what it does in a frame; on its thread, as `end_frame`."""
        self.note_frame()
        self.beam.start_frame()

    def end_frame(self) -> None:
        """It is done with that."""
        self.beam.end_frame()

    @property
    def timing(self) -> Timing:
        """How the CRTC counts a frame now; any thread may ask."""
        generation, timing = self._timing
        if generation != (now := self._timing_generation):
            timing = timing_of(*self.timing_key())
            self._timing = now, timing
        return timing

    @property
    def attribute_takes_data(self) -> bool:
        """Whether the next write to 3C0h is data; `attribute_address` takes it else."""
        return self.attribute.takes_data

    @attribute_takes_data.setter
    def attribute_takes_data(self, takes: bool) -> None:
        self.attribute.takes_data = takes

    @property
    def feature_control(self) -> int:
        """What was written to 3DAh, of which bit 3 exists; 3CAh reads it."""
        return self.feature_bits[0]

    @feature_control.setter
    def feature_control(self, value: int) -> None:
        self.feature_bits[0] = value

    # Ports.

    def _port_table(self) -> dict[int, PortHandler]:
        # The CRTC and input status 1 answer at 3Dxh, or at 3Bxh in monochrome modes.
        base = 0x3D0 if self.misc["colour_ports"] else 0x3B0
        sequencer, graphics, crtc, dac = self.sequencer, self.graphics, self.crtc, self.dac
        colours = dac.numbers
        return {
            0x3C0: (self._read_attribute_address, self._write_attribute),
            0x3C1: (self._read_attribute, None),
            0x3C2: (self._read_status_0, self._write_misc),
            0x3C4: (lambda: sequencer.index, sequencer.select),
            0x3C5: (lambda: sequencer.read(sequencer.index), self._write_sequencer),
            0x3C6: (lambda: dac.mask, dac.write_mask),
            0x3C7: (lambda: dac.state, dac.write_read_index),
            0x3C8: (lambda: colours[DAC_INDEX], dac.write_write_index),
            0x3C9: (dac.read_data, dac.write_data),
            0x3CA: (lambda: self.feature_control, None),
            0x3CC: (lambda: self.misc.values[0], None),
            0x3CE: (lambda: graphics.index, graphics.select),
            0x3CF: (lambda: graphics.read(graphics.index), self._write_graphics),
            base + 4: (lambda: crtc.index, crtc.select),
            base + 5: (lambda: crtc.read(crtc.index), self._write_crtc),
            base + 0xA: (self._read_status_1, self._write_feature_control),
        }

    def outb(self, port: int, value: int) -> None:
        """Write a byte to a port; one without a device ignores it."""
        write = self.ports.get(port, (None, None))[1]
        if write is not None:
            write(value & 0xFF)
        else:
            self._unknown(port)

    def inb(self, port: int) -> int:
        """Read a byte from a port; FFh where there is no device."""
        read = self.ports.get(port, (None, None))[0]
        if read is not None:
            return read()
        self._unknown(port)
        return 0xFF

    def outw(self, port: int, value: int) -> None:
        """Write 16 bits: one access to DISPI, elsewhere the low byte, then the high one above."""
        if port == 0x1CE:
            self.dispi.index = value & 0xFFFF
        elif port in (0x1CF, 0x1D0):
            self.dispi.write(value & 0xFFFF)
        else:
            self.outb(port, value & 0xFF)
            self.outb(port + 1, value >> 8 & 0xFF)

    def outs(self, port: int, data: bytes) -> None:
        """Write bytes to one port, in order (rep outsb)."""
        if port == 0x3C9 and getattr(self.outb, "__func__", None) is Vga.outb:
            self.dac.write_run(data)  # nobody is to be told of each
        else:
            for value in data:
                self.outb(port, value)

    def inw(self, port: int) -> int:
        """Read 16 bits."""
        if port == 0x1CE:
            return self.dispi.index
        if port in (0x1CF, 0x1D0):
            return self.dispi.read()
        return self.inb(port) | self.inb(port + 1) << 8

    def _unknown(self, port: int) -> None:
        if port not in self._unknown_ports:
            self._unknown_ports.add(port)
            log.debug("no device at port %#x", port)

    def _write(self, bank: RegisterBank, source: int, index: int, value: int) -> bool:
        """Store a register's writable bits, and say whether that changed it."""
        changed = bank.changes(index, value)
        if changed:
            self.timeline.note(source, index, value & bank.masks[index], changed)
            bank.values[index] ^= changed
        return changed != 0

    def _write_attribute(self, value: int) -> None:
        attribute = self.attribute
        address, takes_data = attribute.numbers
        if not takes_data:
            shows = value & 0x20
            if shows != address & 0x20:
                self.timeline.note(ATTRIBUTE_ADDRESS, 0, shows, 0x20)
            attribute.numbers[BANK_INDEX] = value & 0x3F
            if (value ^ address) & 0x20:
                self.generation += 1
        else:
            index = address & 0x1F
            # The palette is out of the CPU's reach while the picture is shown.
            locked = index < 0x10 and address & 0x20
            if not locked and self._write(attribute, ATTRIBUTE, index, value):
                self.generation += 1
        attribute.numbers[BANK_TAKES_DATA] = not takes_data

    def _read_attribute_address(self) -> int:
        return 0 if self.attribute_takes_data else self.attribute_address

    def _read_attribute(self) -> int:
        return self.attribute.read(self.attribute_address & 0x1F)

    def _write_misc(self, value: int) -> None:
        if self._write(self.misc, MISC, 0, value):
            self.ports = self._port_table()
            self.generation += 1
            self._timing_generation += 1
            self.remap()

    def _write_sequencer(self, value: int) -> None:
        index = self.sequencer.numbers[BANK_INDEX]
        if self._write(self.sequencer, SEQUENCER, index, value):
            self._ask(SEQUENCER_ASKS.get(index, 0))

    def _write_graphics(self, value: int) -> None:
        # Planar programs write these before almost every store; few are for the picture.
        index = self.graphics.numbers[BANK_INDEX]
        shows = self.graphics.changes(index, value) & SHAPE[GRAPHICS].get(index, 0)
        if shows:
            self.timeline.note(GRAPHICS, index, value, shows)
        if self.graphics.write(index, value):
            self._ask(GRAPHICS_ASKS[index] | (PICTURE if shows else 0))

    def _ask(self, asked: int) -> None:
        """A register has changed that asks for this."""
        if asked & PICTURE:
            self.generation += 1
        if asked & PIPELINE:
            self.pipeline_changed()
        if asked & TIMING:
            self._timing_generation += 1
        if asked & LAYOUT:
            self.sync_layout()
        if asked & MAP:
            self.remap()

    def _write_crtc(self, value: int) -> None:
        index = self.crtc.numbers[BANK_INDEX]
        if index <= 7 and self.crtc["protect"]:
            if index != 7:
                return
            value = self.crtc.values[7] & ~0x10 | value & 0x10  # line compare bit 8 stays free
        if index == 0x11 and value & ~self.crtc.values[0x11] & 0x10:
            self.beam.watch_retrace(self.timing)
        if self._write(self.crtc, CRTC, index, value):
            if index in CURSOR_REGISTERS:
                self.cursor_generation += 1
            else:
                self.generation += 1
                self._timing_generation += index not in START_REGISTERS
            if index == 0x11:
                self.on_retrace_control()

    def _dispi_changed(self, clear: bool) -> None:
        self.timeline.forget()
        super()._dispi_changed(clear)

    def _read_status_0(self) -> int:
        """Bit 7: a retrace has begun since CR11 bit 4, which holds it clear while 0, became 1."""
        if not self.crtc["vretrace_irq_clear"]:
            return 0
        return self.beam.retrace_began(self.timing) << 7

    def _read_status_1(self) -> int:
        self.attribute.numbers[BANK_TAKES_DATA] = 0
        status = self.beam.status(self.timing) | NO_LIGHT_PEN
        if self.feature_bits[0] and not status & NOT_DISPLAYING:
            status |= VERTICAL_RETRACE
        return status

    def _write_feature_control(self, value: int) -> None:
        self.feature_control = value & DISPLAY_IN_RETRACE_BIT

    def parts(self) -> dict[str, Part]:
        """What of the device is saved: see `vgaemu.snapshot`; call `restored` afterwards."""
        indexed = self.sequencer, self.crtc, self.graphics
        banks = self.misc, *indexed, self.attribute
        return {
            **{bank.name: octets_in(bank.values, bank.masks) for bank in banks},
            **{f"{bank.name}_index": number(bank, "index", bank.index_mask) for bank in indexed},
            "attribute_address": number(self, "attribute_address", 0x3F),
            "attribute_takes_data": number(self, "attribute_takes_data", 1),
            "feature_control": number(self, "feature_control", DISPLAY_IN_RETRACE_BIT).or_else(
                lambda: self._write_feature_control(0)
            ),
            "latch": number(self, "latch", 0xFFFFFFFF),
            **self.dac.parts(),
            **self.dispi.parts(),
            "layout": number(self, "layout", max(Layout)),
            "text_stays": number(self, "text_stays", 1).or_else(self._forget_text),
            **self.beam.parts(),
            **self.timeline.parts(),
            "vram": Part("u1", lambda: self.slot.array, self._restore_vram),
        }

    def _forget_text(self) -> None:
        self.text_stays = False

    def _restore_vram(self, array: Array) -> None:
        overwrite(self.slot.array, array)
        self.slot.mark_dirty(0, self.slot.nbytes)

    def restored(self) -> None:
        """Parts were set past the ports, from a snapshot: follow them."""
        self.generation += 1
        self._timing_generation += 1
        self.dac.changed()
        self.timeline.restored()
        self.ports = self._port_table()
        self.remap()
