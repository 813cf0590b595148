"""The DAC: 256 colours of 3 x 6 bits, its index and data state machine, and the PEL mask.

Emulated: one index register, which 3C8h sets for writes and 3C7h for reads, and one colour register
behind it. A triple written through 3C9h takes effect with its third byte, and the index moves on;
for reads, an entry is fetched into the colour register and the index moves on at once, so that 3C8h
reads back one more than what 3C7h was given. Reads and writes share the register and the count of
its bytes. The state read back at 3C7h (3 after a read index, 0 after a write index), the mask at
3C6h, and the 8-bit width that DISPI can switch on. Not emulated: snow.

Source: IBM PS/2 Hardware Interface Technical Reference; for the index, data sheets of RAMDACs
(INMOS IMSG171, Brooktree Bt471/476/478) and 86Box; Bochs DISPI for the 8-bit width.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vgaemu.native.shared import (
    DAC_EIGHT_BIT,
    DAC_INDEX,
    DAC_MASK,
    DAC_NUMBERS,
    DAC_STATE,
    DAC_STEP,
)
from vgaemu.snapshot import Part, number, octets_in
from vgaemu.vga.effects import DAC_ENTRY
from vgaemu.vga.effects import DAC_MASK as MASK_ENTRY

#: 3C7h reads so after a read index was written, and after a write index.
STATE_READ, STATE_WRITE = 3, 0


#: Stored byte of 6 bits -> 8 bits: 3Fh is FFh. Bits 6 and 7 are without effect.
WIDENED = bytes(value << 2 & 0xFC | value >> 4 & 3 for value in range(256))
#: Byte written -> what 6 bits keep of it.
SIX_BITS = bytes(value & 0x3F for value in range(256))


def colours_of_entries(entries: bytes | bytearray, eight_bit: bool) -> NDArray[np.uint32]:
    """(256,) uint32 0x00RRGGBB of what 3C9h has stored."""
    # Bytes alone: in cold caches numpy takes four times as long, and this comes with each palette.
    rgb = entries if eight_bit else entries.translate(WIDENED)
    bgrx = bytearray(1024)
    bgrx[2::4], bgrx[1::4], bgrx[0::4] = rgb[0::3], rgb[1::3], rgb[2::3]
    return np.frombuffer(bgrx, "<u4")


class Dac:
    """The palette and how the CPU reaches it."""

    def __init__(self) -> None:
        #: 256 x (R, G, B) as the CPU wrote them, 6 bits each, or 8 where DISPI says so. At 8 bits
        #: an old 3Fh is a dark 3Fh; back at 6, the upper bits of FFh are kept without effect.
        self.entries = bytearray(768)
        #: `index`, `step`, `state`, `mask`, `eight_bit`: native code's, too.
        self.numbers = bytearray(DAC_NUMBERS)
        self.mask = 0xFF
        #: The colour register: a triple on its way to an entry, or from one.
        self.triple = bytearray(3)
        #: Told of a change of the mask or an entry before it is there: see `Timeline.note`.
        self.before_change: Callable[[int, int, int, int], None] = lambda *change: None
        #: What `generation` is made of: changes counted here, and by native code.
        self._changes = 0
        self.native_changes = memoryview(bytearray(8)).cast("q")
        self._colours: NDArray[np.uint32] = np.zeros(256, np.uint32)
        self._colours_generation = 0

    @property
    def index(self) -> int:
        """The entry that the colour register is written to, or fetched from, next."""
        return self.numbers[DAC_INDEX]

    @index.setter
    def index(self, value: int) -> None:
        self.numbers[DAC_INDEX] = value

    @property
    def step(self) -> int:
        """The byte of `triple` that port 3C9h is at, whether it is read or written."""
        return self.numbers[DAC_STEP]

    @step.setter
    def step(self, value: int) -> None:
        self.numbers[DAC_STEP] = value

    @property
    def state(self) -> int:
        """Which index was written last."""
        return self.numbers[DAC_STATE]

    @state.setter
    def state(self, value: int) -> None:
        self.numbers[DAC_STATE] = value

    @property
    def mask(self) -> int:
        """The PEL mask."""
        return self.numbers[DAC_MASK]

    @mask.setter
    def mask(self, value: int) -> None:
        self.numbers[DAC_MASK] = value

    @property
    def eight_bit(self) -> bool:
        """Whether colours have 8 bits, not 6."""
        return bool(self.numbers[DAC_EIGHT_BIT])

    @eight_bit.setter
    def eight_bit(self, on: bool) -> None:
        self.numbers[DAC_EIGHT_BIT] = on

    @property
    def generation(self) -> int:
        """Counts whatever can change a colour on the screen."""
        return self._changes + self.native_changes[0]

    def changed(self) -> None:
        """Count what was changed from elsewhere."""
        self._changes += 1

    def write_mask(self, value: int) -> None:
        """Port 3C6h."""
        if value != self.mask:
            self.before_change(MASK_ENTRY, 0, value, value ^ self.mask)
            self.mask = value
            self._changes += 1

    def write_read_index(self, value: int) -> None:
        """Port 3C7h."""
        numbers = self.numbers
        numbers[DAC_INDEX], numbers[DAC_STEP], numbers[DAC_STATE] = value, 0, STATE_READ
        self._fetch()

    def write_write_index(self, value: int) -> None:
        """Port 3C8h."""
        numbers = self.numbers
        numbers[DAC_INDEX], numbers[DAC_STEP], numbers[DAC_STATE] = value, 0, STATE_WRITE

    def write_data(self, value: int) -> None:
        """Port 3C9h: red, green, blue; the third byte loads the entry and moves on."""
        numbers, triple = self.numbers, self.triple
        step = numbers[DAC_STEP]
        triple[step] = value if numbers[DAC_EIGHT_BIT] else value & 0x3F
        if step < 2:
            numbers[DAC_STEP] = step + 1
            return
        numbers[DAC_STEP] = 0
        index, entries = numbers[DAC_INDEX], self.entries
        at = 3 * index
        if entries[at : at + 3] != triple:
            self.before_change(DAC_ENTRY, index, int.from_bytes(triple, "big"), 0xFFFFFF)
            entries[at : at + 3] = triple
            self._changes += 1
        numbers[DAC_INDEX] = (index + 1) & 0xFF

    def write_run(self, data: bytes) -> None:
        """Bytes to port 3C9h, one after the other: of a run of colours only what differs costs."""
        numbers, entries = self.numbers, self.entries
        first = 3 * numbers[DAC_INDEX]
        count = len(data) // 3
        end = first + 3 * count
        if numbers[DAC_STEP] or not count or len(data) % 3 or end > len(entries):
            for value in data:
                self.write_data(value)
            return
        run = data if numbers[DAC_EIGHT_BIT] else data.translate(SIX_BITS)
        if (held := entries[first:end]) != run:
            ats = range(0, len(run), 3)
            for at in [at for at in ats if held[at : at + 3] != run[at : at + 3]]:
                triple, place = run[at : at + 3], first + at
                self.before_change(DAC_ENTRY, place // 3, int.from_bytes(triple, "big"), 0xFFFFFF)
                entries[place : place + 3] = triple
                self._changes += 1
        self.triple[:] = run[-3:]
        numbers[DAC_INDEX] = end // 3 & 0xFF

    def read_data(self) -> int:
        """Port 3C9h: red, green, blue; with the third, the next entry is fetched."""
        numbers = self.numbers
        step = numbers[DAC_STEP]
        value = self.triple[step]
        if step < 2:
            numbers[DAC_STEP] = step + 1
        else:
            numbers[DAC_STEP] = 0
            self._fetch()
        return value if numbers[DAC_EIGHT_BIT] else value & 0x3F

    def _fetch(self) -> None:
        index = self.index
        self.triple[:] = self.entries[3 * index : 3 * index + 3]
        self.index = (index + 1) & 0xFF

    def set_eight_bit(self, on: bool) -> None:
        """Switch the width. Entries keep their bits, as in QEMU; see `entries`."""
        if on != self.eight_bit:
            self.eight_bit = on
            self._changes += 1

    def hold(self, entries: bytes, mask: int, eight_bit: bool) -> None:
        """Have these colours, whatever was there."""
        self.entries[:] = entries
        self.mask, self.eight_bit = mask, eight_bit
        self._changes += 1

    def rgb(self) -> NDArray[np.uint8]:
        """(256, 3) uint8, 8 bits a channel; 6 bits widen as (v << 2) | (v >> 4): 3Fh is FFh."""
        entries = bytes(self.entries)
        rgb = entries if self.eight_bit else entries.translate(WIDENED)
        return np.frombuffer(rgb, np.uint8).reshape(256, 3)

    def colours(self) -> NDArray[np.uint32]:
        """(256,) uint32 0x00RRGGBB by pixel value: what the mask lets through, looked up."""
        generation = self.generation
        if generation != self._colours_generation:
            colours = colours_of_entries(bytes(self.entries), self.eight_bit)
            self._colours = colours.take(np.arange(256) & self.mask)
            self._colours.setflags(write=False)
            self._colours_generation = generation
        return self._colours

    def parts(self) -> dict[str, Part]:
        """What of it is saved: see `vgaemu.snapshot`."""
        state = number(self, "state", STATE_READ)
        return {
            "dac_entries": octets_in(self.entries),
            "dac_triple": octets_in(self.triple),
            "dac_step": number(self, "step", 2),
            "dac_mask": number(self, "mask", 0xFF),
            "dac_eight_bit": number(self, "eight_bit", 1),
            "dac_index": number(self, "index", 0xFF),
            "dac_state": state._replace(fits=lambda array: int(array) in (STATE_READ, STATE_WRITE)),
        }
