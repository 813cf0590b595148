"""What is written to a VGA's ports, and the timing that the CRTC makes of it: for `beam_model`.

Nothing here is vgaemu's.

Source: IBM PS/2 Hardware Interface Technical Reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Access(NamedTuple):
    """A port access: when it was done, ``"in"`` or ``"out"``, and of how many bytes."""

    ns: int
    direction: str
    port: int
    size: int
    value: int


@dataclass
class Registers:
    """All registers of the ports 3B0h-3DFh, and what writing them needs to know."""

    misc: int
    sequencer: list[int]
    crtc: list[int]
    graphics: list[int]
    attribute: list[int]
    #: (256,) uint32 0x00RRGGBB; 6 bits widen to 8 so that 3Fh is FFh.
    dac: NDArray[np.uint32]
    mask: int = 0xFF
    sequencer_index: int = 0
    crtc_index: int = 0
    graphics_index: int = 0
    #: Bit 5 shows the picture.
    attribute_index: int = 0x20
    attribute_data: bool = False
    #: One index for writing and reading, and one colour register with its bytes counted.
    dac_index: int = 0
    dac_triple: list[int] = field(default_factory=lambda: [0, 0, 0])
    dac_step: int = 0

    def access(self, what: Access) -> None:
        """A port was written or read; a wide access is one to each byte, lowest first."""
        for nth in range(what.size):
            port, value = what.port + nth, what.value >> 8 * nth & 0xFF
            if what.direction == "out":
                self._write(port, value)
            else:
                self._read(port)

    def _write(self, port: int, value: int) -> None:
        crtc = 0x3D4 if self.misc & 1 else 0x3B4
        match port:
            case 0x3C0:
                self._write_attribute(value)
            case 0x3C2:
                self.misc = value
            case 0x3C4:
                self.sequencer_index = value & 7
            case 0x3C5:
                self.sequencer[self.sequencer_index] = value
            case 0x3C6:
                self.mask = value
            case 0x3C7:  # what is read, the picture does not ask; the index moves on at once
                self.dac_index, self.dac_step = value + 1 & 0xFF, 0
            case 0x3C8:
                self.dac_index, self.dac_step = value, 0
            case 0x3C9:
                self._write_dac(value & 0x3F)
            case 0x3CE:
                self.graphics_index = value & 0x0F
            case 0x3CF:
                self.graphics[self.graphics_index] = value
            case _ if port == crtc:
                self.crtc_index = value & 0x3F
            case _ if port == crtc + 1:
                self._write_crtc(self.crtc_index, value)

    def _read(self, port: int) -> None:
        """What reading does besides."""
        if port == (0x3DA if self.misc & 1 else 0x3BA):
            self.attribute_data = False
        elif port == 0x3C9:
            self.dac_step = (self.dac_step + 1) % 3
            self.dac_index = (self.dac_index + (self.dac_step == 0)) & 0xFF

    def _write_attribute(self, value: int) -> None:
        if not self.attribute_data:
            self.attribute_index = value & 0x3F
        elif self.attribute_index & 0x1F >= 0x10 or not self.attribute_index & 0x20:
            self.attribute[self.attribute_index & 0x1F] = value
        self.attribute_data = not self.attribute_data

    def _write_dac(self, value: int) -> None:
        self.dac_triple[self.dac_step] = value
        self.dac_step = (self.dac_step + 1) % 3
        if self.dac_step == 0:
            red, green, blue = (part << 2 | part >> 4 for part in self.dac_triple)
            self.dac[self.dac_index] = red << 16 | green << 8 | blue
            self.dac_index = (self.dac_index + 1) & 0xFF

    def _fetch_dac(self) -> None:
        entry = int(self.dac[self.dac_index])
        self.dac_triple = [entry >> 18, entry >> 10 & 0x3F, entry >> 2 & 0x3F]
        self.dac_index = (self.dac_index + 1) & 0xFF

    def _write_crtc(self, index: int, value: int) -> None:
        if index <= 7 and self.crtc[0x11] & 0x80:  # protected, but for a bit of the line compare
            if index == 7:
                self.crtc[7] = self.crtc[7] & ~0x10 | value & 0x10
        elif index < len(self.crtc):
            self.crtc[index] = value

    # What several registers say together.

    @property
    def is_text(self) -> bool:
        return not self.graphics[6] & 1

    @property
    def is_wide(self) -> bool:
        """Two dots a pixel."""
        return bool(self.attribute[0x10] & 0x40)

    @property
    def char_dots(self) -> int:
        return 9 if self.is_text and not self.sequencer[1] & 1 else 8

    @property
    def line_compare(self) -> int:
        crtc = self.crtc
        return crtc[0x18] | (crtc[7] & 0x10) << 4 | (crtc[9] & 0x40) << 3

    @property
    def start(self) -> int:
        """Start address and byte panning."""
        return (self.crtc[0x0C] << 8 | self.crtc[0x0D]) + (self.crtc[8] >> 5 & 3)

    @property
    def cursor(self) -> int:
        return self.crtc[0x0E] << 8 | self.crtc[0x0F]

    @property
    def pan(self) -> int:
        """Dots that the picture is moved to the left."""
        value = self.attribute[0x13] & 0x0F
        if self.char_dots == 9:
            return 0 if value >= 8 else value + 1
        return value & (6 if self.is_wide else 7)

    def mode(self) -> tuple[object, ...]:
        """Mode, size and timing: a change of them makes another picture, and no raster effect."""
        crtc = self.crtc
        return (
            self.misc & 0x0C, self.sequencer[1] & 0x09, self.graphics[5] & 0x60, self.is_text,
            self.attribute[0x10] & 0x41, *crtc[:7], crtc[7] & 0xEF, crtc[9] & 0x20, crtc[0x10],
            crtc[0x11] & 0x0F, crtc[0x12], crtc[0x15], crtc[0x16],
        )  # fmt: skip

    def shown(self) -> tuple[object, ...]:
        """What can change the picture at once, or with a character, row or line."""
        crtc = self.crtc
        return (
            self.dac.tobytes(), self.mask, tuple(self.attribute[:0x13]), self.attribute[0x14],
            self.attribute_index & 0x20, self.sequencer[1] & 0x20, self.sequencer[3], crtc[9],
            crtc[0x0A] & 0x3F, crtc[0x0B] & 0x1F, crtc[0x13], crtc[0x14], crtc[0x17],
            self.line_compare,
        )  # fmt: skip


class Timing(NamedTuple):
    """A field in dots and lines."""

    clock_hz: int
    dots_a_line: int
    shown_dots: int
    lines: int
    shown_lines: int
    retrace_begin: int
    retrace_end: int

    @property
    def dots(self) -> int:
        return self.dots_a_line * self.lines

    def first_dot(self, ns: int) -> int:
        """The first dot that begins at that time or later; dot 0 begins at time 0."""
        return -(-ns * self.clock_hz // 1_000_000_000)

    def line_of(self, ns: int) -> int:
        """The line of that dot; line 0 begins at time 0."""
        return self.first_dot(ns) // self.dots_a_line

    def line_at(self, ns: int) -> int:
        """The line that the beam is in then: of the dot that began last."""
        return ns * self.clock_hz // (self.dots_a_line * 1_000_000_000)


def timing_of(r: Registers) -> Timing:
    """What the CRTC counts: characters a line, lines a field."""
    crtc, overflow = r.crtc, r.crtc[7]
    char = 8 if r.sequencer[1] & 1 else 9
    clock = 28_322_000 if r.misc >> 2 & 3 == 1 else 25_175_000
    lines = (crtc[6] | (overflow & 0x01) << 8 | (overflow & 0x20) << 4) + 2
    shown = (crtc[0x12] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1
    retrace = crtc[0x10] | (overflow & 0x04) << 6 | (overflow & 0x80) << 2
    end = retrace + 1
    while end % lines & 0x0F != crtc[0x11] & 0x0F:
        end += 1
    return Timing(
        clock_hz=clock // 2 if r.sequencer[1] & 0x08 else clock,
        dots_a_line=(crtc[0] + 5) * char,
        shown_dots=(crtc[1] + 1) * r.char_dots,
        lines=lines,
        shown_lines=min(shown, lines),
        retrace_begin=retrace % lines,
        retrace_end=end % lines,
    )
