"""Bochs DISPI: the VBE extension registers behind 1CEh (index) and 1CFh (data), 16 bits wide.

Emulated: ids B0C0h-B0C5h, 4/8/15/16/24/32 bpp, GETCAPS, virtual width and height, x/y offset,
64 KiB banks (32 KiB with flag 10h), no-clear, the 8-bit DAC, memory size. The linear frame buffer
is always there, as in every emulator. Not emulated: DDC (index 0Bh), the MMIO BAR, endian switch.

Source: the Bochs VBE_DISPI interface (vbe.h) as QEMU and Bochs implement it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vgaemu.snapshot import Array, Part, number

# fmt: off
(ID, XRES, YRES, BPP, ENABLE, BANK,
 VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY_64K) = range(11)

ID_OLDEST, ID_NEWEST = 0xB0C0, 0xB0C5

ENABLED      = 0x01
GETCAPS      = 0x02
BANK_32K     = 0x10
EIGHT_BIT_DAC = 0x20
LFB_ENABLED  = 0x40
NO_CLEAR     = 0x80
# fmt: on

#: Largest picture, reported by GETCAPS.
MAX_XRES, MAX_YRES, MAX_BPP = 2560, 1600, 32

#: Bits a pixel -> bytes a pixel; 4 bpp goes through the planes.
BYTES_PER_PIXEL = {8: 1, 15: 2, 16: 2, 24: 3, 32: 4}


def pitch_of(values: Sequence[int]) -> int:
    """See `Dispi.pitch_bytes`; `values` are the registers by index."""
    width, bpp = values[VIRT_WIDTH], values[BPP]
    return width // 8 if bpp == 4 else width * BYTES_PER_PIXEL[bpp]


def lines_of(values: Sequence[int], vram_bytes: int) -> int:
    """See `Dispi.virtual_height`; `values` are the registers by index."""
    pitch = pitch_of(values)
    plane_bytes = vram_bytes // 4 if values[BPP] == 4 else vram_bytes
    return min(plane_bytes // pitch, 0xFFFF) if pitch else 0


class Dispi:
    """The DISPI registers; what they mean for memory and picture is the device's to read."""

    def __init__(self, vram_bytes: int) -> None:
        self.vram_bytes = vram_bytes
        self.index = 0
        self.values = [ID_NEWEST, 0, 0, 8, 0, 0, 0, 0, 0, 0, vram_bytes >> 16]
        #: Called with True when the mode was switched on and VRAM is to be cleared.
        self.on_change: Callable[[bool], None] = lambda clear: None

    @property
    def enabled(self) -> bool:
        """Whether DISPI drives the picture."""
        return bool(self.values[ENABLE] & ENABLED)

    @property
    def linear(self) -> bool:
        """Whether VRAM is shown as packed pixels: on, and not 4 bpp."""
        return self.enabled and self.values[BPP] != 4

    @property
    def pitch_bytes(self) -> int:
        """Bytes from one line to the next; for 4 bpp, addresses (8 pixels each)."""
        return pitch_of(self.values)

    @property
    def _banks(self) -> int:
        return self.vram_bytes >> (15 if self.values[ENABLE] & BANK_32K else 16)

    @property
    def bank_bytes(self) -> int:
        """VRAM offset of the banked window at A0000h."""
        return self.values[BANK] * (32 << 10 if self.values[ENABLE] & BANK_32K else 64 << 10)

    def read(self) -> int:
        """Port 1CFh, 16 bits; FFFFh at an index without a register."""
        index = self.index
        if self.values[ENABLE] & GETCAPS:
            caps = {XRES: MAX_XRES, YRES: MAX_YRES, BPP: MAX_BPP}
            if index in caps:
                return caps[index]
        if index == VIRT_HEIGHT:
            return self.virtual_height
        return self.values[index] if index < len(self.values) else 0xFFFF

    def write(self, value: int) -> None:
        """Port 1CFh, 16 bits. Values that no mode can have are ignored, or fitted as noted."""
        index, values = self.index, self.values
        if index == ID:
            if ID_OLDEST <= value <= ID_NEWEST:
                values[ID] = value
        elif index in (XRES, YRES, BPP):
            # The interface calls a write while the mode is on illegal; Bochs refuses it.
            if not self.enabled:
                self._write_size(index, value)
        elif index == ENABLE:
            self._write_enable(value)
        elif index == BANK:
            # Bits 14, 15 choose read or write in Bochs; there is one window here. Banks repeat.
            value = (value & 0x3FFF) % self._banks
            if value != values[BANK]:
                values[BANK] = value
                self.on_change(False)
        elif index == VIRT_WIDTH:
            self._write_virtual_width(value)
        elif index in (X_OFFSET, Y_OFFSET):
            values[index] = value
            self.on_change(False)

    def _write_size(self, index: int, value: int) -> None:
        if index == BPP:
            value = value or 8
            if value == 4 or value in BYTES_PER_PIXEL:
                self.values[BPP] = value
        elif 2 <= value <= (MAX_XRES if index == XRES else MAX_YRES):
            # QEMU rounds to even widths, so that every pixel format fills whole words.
            self.values[index] = value & ~1 if index == XRES else value

    def _write_enable(self, value: int) -> None:
        values = self.values
        flags = value & (ENABLED | GETCAPS | BANK_32K | EIGHT_BIT_DAC | LFB_ENABLED | NO_CLEAR)
        turned_on = bool(flags & ENABLED) and not self.enabled
        if turned_on:
            values[VIRT_WIDTH] = values[XRES]
            values[X_OFFSET] = values[Y_OFFSET] = values[BANK] = 0
            if not values[XRES] or not values[YRES] or values[YRES] > self.virtual_height:
                flags &= ~ENABLED  # no such picture fits VRAM
                turned_on = False
        # A display may look at any time, and sees the mode when all of it is there.
        values[ENABLE] = flags
        # Banks of another size: what was bank 300 of 32 KiB may not be there.
        values[BANK] %= self._banks
        self.on_change(turned_on and not value & NO_CLEAR)

    @property
    def virtual_height(self) -> int:
        """Lines of the virtual width that VRAM has room for."""
        return lines_of(self.values, self.vram_bytes)

    def _write_virtual_width(self, value: int) -> None:
        values = self.values
        if not self.enabled or value == values[VIRT_WIDTH]:
            return
        wanted = values.copy()
        wanted[VIRT_WIDTH] = max(value, values[XRES])
        if values[YRES] > lines_of(wanted, self.vram_bytes):
            return  # too wide for the lines to fit VRAM
        values[VIRT_WIDTH] = wanted[VIRT_WIDTH]
        self.on_change(False)

    def parts(self) -> dict[str, Part]:
        """What of it is saved: see `vgaemu.snapshot`."""
        return {
            "dispi": Part("u2", lambda: self.values, self._restore, self._fits),
            "dispi_index": number(self, "index", 0xFFFF),
        }

    def _restore(self, array: Array) -> None:
        self.values[:] = array.tolist()

    def with_values(self, array: Array) -> Dispi:
        """Another one whose registers are those of a snapshot."""
        other = Dispi(self.vram_bytes)
        other._restore(array)
        return other

    def _fits(self, array: Array) -> bool:
        """Whether the picture and the bank that the registers ask for lie inside VRAM."""
        other = self.with_values(array)
        values = other.values
        width, height, bpp = values[XRES:ENABLE]
        if (
            not ID_OLDEST <= values[ID] <= ID_NEWEST
            or values[MEMORY_64K] != self.values[MEMORY_64K]
            or bpp not in (4, *BYTES_PER_PIXEL)
            or other.bank_bytes >= self.vram_bytes
        ):
            return False
        narrowest = 8 if bpp == 4 else 2
        return not other.enabled or (
            narrowest <= width <= min(MAX_XRES, values[VIRT_WIDTH])
            and 2 <= height <= min(MAX_YRES, other.virtual_height)
        )
