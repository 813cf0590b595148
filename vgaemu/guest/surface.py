"""Surfaces: where the pixels of each graphics mode lie, as a program that draws must know.

A surface fills, puts and gets rectangles that lie wholly inside the picture; clipping and shapes
are `Canvas`'s. A BIOS draws its characters on them, and scrolls. Everything goes through the ports
and memory of a `Device`. Registers are between two calls as they were, so a program may mix its own
stores with these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import CanvasError
from vgaemu.vga import dispi
from vgaemu.vga.pixels import FORMATS, Pixels, pack, unpack
from vgaemu.vga.ports import GC, SEQ, Device, Known, Ports
from vgaemu.vga.vram import LFB_GPA

#: Registers as planar modes have them, for programs that leave them so.
MODE_VALUES: Known = {
    GC: {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 7: 0x0F, 8: 0xFF},
    SEQ: {2: 0x0F},
}
_ALL_PLANES = {2: 0x0F}


class Surface(ABC):
    """A picture in VRAM. All rectangles lie inside it and are not empty."""

    def __init__(
        self, device: Device, gpa: int, width: int, height: int, pitch: int, banks: int = 1
    ) -> None:
        """Know where the picture is (`gpa`: of the first pixel's byte); nothing is touched."""
        self._device = device
        self._ports = Ports(device)
        self._gpa = gpa
        #: In pixels.
        self.width = width
        #: In lines.
        self.height = height
        #: Addresses from a line to the next of its bank.
        self.pitch = pitch
        #: Lines take turns in so many, 2000h apart.
        self.banks = banks
        #: How many colours there are; higher bits of a number are dropped.
        self.colours = 256
        #: Of `Pixels`: uint8 numbers, or uint32 0x00RRGGBB.
        self.dtype: type[np.generic] = np.uint8

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}, {self.colours} colours"
        return f"<{type(self).__name__} {size} at {self._gpa:#x}>"

    @abstractmethod
    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere."""

    @abstractmethod
    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels: (height, width)."""

    @abstractmethod
    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels: (height, width), a copy."""

    def _address(self, byte: int, y: int) -> int:
        return self._gpa + y % self.banks * 0x2000 + y // self.banks * self.pitch + byte

    def _spans(self, byte: int, y: int, count: int, height: int) -> Iterator[tuple[int, int]]:
        """Addresses and lengths of so many bytes a line, where they follow each other as one."""
        if count == self.pitch:
            for bank in range(min(self.banks, height)):
                lines = len(range(bank, height, self.banks))
                yield self._address(byte, y + bank), count * lines
        else:
            for line in range(y, y + height):
                yield self._address(byte, line), count

    def _store(self, byte: int, y: int, rows: NDArray[np.uint8]) -> None:
        """A store a row, or one for all of a bank where they follow each other."""
        whole = rows.shape[1] == self.pitch
        step = self.banks if whole else len(rows)
        for i in range(min(step, len(rows))):
            self._device.store(self._address(byte, y + i), rows[i::step].tobytes())

    def _load(self, byte: int, y: int, count: int, height: int) -> NDArray[np.uint8]:
        rows = [self._device.load(self._address(byte, i), count) for i in range(y, y + height)]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(height, count)

    def _copy(self, byte: int, source: int, target: int, count: int, height: int) -> None:
        """Copy bytes of lines, the bytes of one line of a bank behind the other's."""
        # Downwards from the last on, so many at once as do not lie on their own targets.
        step = height if target < source else target - source
        if (target - source) % self.banks:
            step = 1  # into the other bank
        starts = range(0, height, step)
        for start in starts if target < source else reversed(starts):
            lines = min(step, height - start)
            moves = zip(
                self._spans(byte, source + start, count, lines),
                self._spans(byte, target + start, count, lines),
                strict=True,
            )
            for (at, length), (to, _) in moves:
                self._device.copy(at, to, length)

    def _whole_bytes(self, x: int, y: int, pixels: Pixels, a_byte: int) -> tuple[int, Pixels]:
        """First byte and pixels, with those on the screen that share bytes with them."""
        width = pixels.shape[1]
        left, right = x // a_byte * a_byte, -(-(x + width) // a_byte) * a_byte
        if (left, right) != (x, x + width):
            under = self.get(left, y, right - left, len(pixels))
            under[:, x - left : x - left + width] = pixels
            pixels = under
        return left // a_byte, pixels


def byte_columns(x: int, width: int) -> list[tuple[int, int, int]]:
    """Columns of bytes that cover some pixels of a bit each: (first byte, bytes, bit mask).

    >>> [(first, count, f"{mask:08b}") for first, count, mask in byte_columns(6, 20)]
    [(0, 1, '00000011'), (1, 2, '11111111'), (3, 1, '11000000')]
    >>> byte_columns(1, 2)
    [(0, 1, 96)]
    """
    right = x + width
    first, last = x // 8, (right - 1) // 8
    left_mask, right_mask = 0xFF >> (x & 7), 0xFF << 7 - (right - 1 & 7) & 0xFF
    if first == last:
        return [(first, 1, left_mask & right_mask)]
    columns = [(first, 1, left_mask), (first + 1, last - first - 1, 0xFF), (last, 1, right_mask)]
    if right_mask == 0xFF:
        columns[1:] = [(first + 1, last - first, 0xFF)]
    if left_mask == 0xFF:
        columns[:2] = [(first, columns[1][1] + 1, 0xFF)]
    return [column for column in columns if column[1]]


@lru_cache(maxsize=1024)
def _encoded(bits: int, colour: int) -> bytes:
    """The fewest whole bytes of one colour: of eight pixels, of four, or of one."""
    if bits < 8:
        return pack(np.full((1, 8 // bits), colour, np.uint8), bits).tobytes()
    return FORMATS[bits].encode(np.array([[colour]], FORMATS[bits].dtype)).tobytes()


class PackedSurface(Surface):
    """Pixels side by side: mode 13h, the CGA's 4 to 6, a DISPI mode in the linear frame buffer."""

    def __init__(
        self,
        device: Device,
        gpa: int,
        width: int,
        height: int,
        pitch: int,
        bits: int = 8,
        banks: int = 1,
    ) -> None:
        """`pitch` counts bytes; `bits` a pixel are 1, 2 or as in `FORMATS`."""
        super().__init__(device, gpa, width, height, pitch, banks)
        self._format = FORMATS.get(bits)
        self._depth = bits
        #: Bits of a pixel, those that nothing shows counted.
        self.bits = 8 * self._format.nbytes if self._format else bits
        self.colours = self._format.colours if self._format else 1 << bits
        self.dtype = self._format.dtype if self._format else np.uint8

    def fill(
        self, x: int, y: int, width: int, height: int, colour: int, *, xor: bool = False
    ) -> None:
        """One colour everywhere; with `xor`, exclusive or with what is there."""
        encoded = _encoded(self._depth, colour % self.colours)
        for byte, count, mask in byte_columns(x * self.bits, width * self.bits):
            for at, length in self._spans(byte, y, count, height):
                data = encoded * (length // len(encoded))
                if xor or mask != 0xFF:
                    taken = int.from_bytes(bytes((mask,)) * length)
                    old, new = int.from_bytes(self._device.load(at, length)), int.from_bytes(data)
                    data = ((old if xor else old & ~taken) ^ new & taken).to_bytes(length)
                self._device.store(at, data)

    def stamp(
        self, x: int, y: int, glyph: NDArray[np.uint8], count: int, colour: int, *, xor: bool
    ) -> None:
        """Store a glyph (height,), its left edge in a whole byte: colour and 0, so often in a row.

        With `xor` its dots are exclusive or with what is there, and nothing else changes.
        """
        dots, colour = unpack(np.tile(glyph[:, None], (1, count)), 1), colour % self.colours
        if self._format:
            pixels = _encoded(self._depth, 0) + _encoded(self._depth, colour)
            rows = np.frombuffer(pixels, np.uint8).reshape(2, -1)[dots].reshape(len(dots), -1)
        else:
            rows = pack(dots * np.uint8(colour), self.bits)
        byte = x * self.bits // 8
        if xor:
            rows = rows ^ self._load(byte, y, rows.shape[1], len(rows))
        self._store(byte, y, rows)

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels; those that share a byte with others keep them company."""
        if self._format:
            self._store(x * self._format.nbytes, y, self._format.encode(pixels))
        else:
            byte, pixels = self._whole_bytes(x, y, pixels, 8 // self.bits)
            self._store(byte, y, pack(pixels, self.bits))

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels; channels of the format are widened to 8 bits."""
        first, end = x * self.bits // 8, -(-(x + width) * self.bits // 8)
        data = self._load(first, y, end - first, height)
        if self._format:
            return self._format.decode(data).copy()
        skip = x - first * 8 // self.bits
        return unpack(data, self.bits)[:, skip : skip + width].copy()

    def drawn(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """(height, width) bool: which pixels are not of colour 0."""
        if self._format:
            data = self._load(x * self._format.nbytes, y, width * self._format.nbytes, height)
            pixels: Pixels = data.reshape(height, width, -1).max(axis=2)
        else:
            pixels = self.get(x, y, width, height)
        return pixels.astype(np.bool_)

    def move(self, x: int, y: int, width: int, height: int, target: int) -> None:
        """Copy whole bytes of lines to others, from line `target` on."""
        self._copy(x * self.bits // 8, y, target, width * self.bits // 8, height)


class PlanarSurface(Surface):
    """Sixteen colours, a bit in each of four planes: modes 0Dh, 0Eh, 10h, 12h (and 0Fh, 11h).

    Fills use set/reset and the bit mask in write mode 0, so that one store serves eight pixels of
    all planes; pixels are put plane by plane through the map mask.
    """

    #: Of a pixel, in each plane.
    bits = 1

    def __init__(
        self,
        device: Device,
        gpa: int,
        width: int,
        height: int,
        pitch: int,
        known: Known | None = MODE_VALUES,
    ) -> None:
        """`known`: what the registers hold between two calls; None reads it each time."""
        super().__init__(device, gpa, width, height, pitch)
        self.colours = 16
        self._known = known

    def _changed(
        self, graphics: Mapping[int, int], sequencer: Mapping[int, int] = _ALL_PLANES
    ) -> AbstractContextManager[None]:
        return self._ports.changed(graphics, sequencer, self._known)

    def fill(
        self, x: int, y: int, width: int, height: int, colour: int, *, xor: bool = False
    ) -> None:
        """One colour everywhere, or exclusive or: edges through the bit mask, long stores."""
        # Whole bytes last: the bit mask then is as modes have it.
        columns = sorted(byte_columns(x, width), key=lambda column: column[2])
        function, mask = 0x18 if xor else 0, columns[0][2]
        with self._changed({0: colour & 0x0F, 1: 0x0F, 3: function, 5: 0, 8: mask}):
            for byte, count, bits in columns:
                if bits != mask:
                    self._ports.set(GC, 8, bits)
                for at, length in self._spans(byte, y, count, height):
                    # Latches keep what the mask protects, or what exclusive or begins with.
                    if xor and length > 1:
                        self._device.copy(at, at, length)
                        continue
                    if xor or bits != 0xFF:
                        self._device.load(at, 1)
                    self._device.store(at, bytes(length))

    def stamp(
        self, x: int, y: int, glyph: NDArray[np.uint8], count: int, colour: int, *, xor: bool
    ) -> None:
        """Store a glyph as `PackedSurface.stamp` does: one store for eight pixels of all planes."""
        device, lines, byte = self._device, glyph.tolist(), x // 8
        places = [self._address(byte, line) for line in range(y, y + len(lines))]
        if xor:
            # Set/reset on what each load latches, where the bit mask lets it.
            with self._changed({0: colour & 0x0F, 1: 0x0F, 3: 0x18, 5: 0, 8: 0xFF}):
                for at, bits in zip(places, lines, strict=True):
                    if bits:
                        self._ports.set(GC, 8, bits)
                        device.copy(at, at, count)
            return
        # Planes of the colour take the bits, the others set/reset: 0.
        with self._changed({0: 0, 1: ~colour & 0x0F, 3: 0, 5: 0, 8: 0xFF}):
            for at, bits in zip(places, lines, strict=True):
                device.store(at, bytes((bits,)) * count)

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels plane by plane; pixels that share a byte with others keep them company."""
        byte, pixels = self._whole_bytes(x, y, pixels, 8)
        with self._changed({1: 0, 3: 0, 5: 0, 8: 0xFF}, {2: 8}):
            for plane in 3, 2, 1, 0:
                self._ports.set(SEQ, 2, 1 << plane)
                self._store(byte, y, pack(pixels >> plane, 1))

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels plane by plane through the read map."""
        first, end = x // 8, -(-(x + width) // 8)
        pixels = np.zeros((height, 8 * (end - first)), np.uint8)
        with self._changed({4: 3, 5: 0}, {}):
            for plane in 3, 2, 1, 0:
                self._ports.set(GC, 4, plane)
                pixels <<= 1
                pixels |= unpack(self._load(first, y, end - first, height), 1)
        return pixels[:, x % 8 : x % 8 + width].copy()

    def drawn(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """(height, width) bool: which pixels are not of colour 0, told by colour compare."""
        first, end = x // 8, -(-(x + width) // 8)
        with self._changed({2: 0, 5: 8, 7: 0x0F}, {}):
            black = unpack(self._load(first, y, end - first, height), 1)
        return ~black[:, x % 8 : x % 8 + width].view(np.bool_)

    def move(self, x: int, y: int, width: int, height: int, target: int) -> None:
        """Copy whole bytes of lines to others, from line `target` on, all planes at once."""
        with self._changed({5: 1}):
            self._copy(x // 8, y, target, width // 8, height)


class UnchainedSurface(Surface):
    """Mode X and its relatives: 256 colours, pixel x in plane x mod 4."""

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere: four pixels a byte where all planes take it."""
        first, last = x // 4, (x + width - 1) // 4
        left_mask, right_mask = 0x0F << (x & 3) & 0x0F, 0x0F >> 3 - (x + width - 1 & 3)
        columns = [(first, 1, left_mask), (last, 1, right_mask)]
        if first == last:
            columns = [(first, 1, left_mask & right_mask)]
        elif last - first > 1:
            columns.insert(1, (first + 1, last - first - 1, 0x0F))
        for byte, count, mask in columns:
            self._ports.set(SEQ, 2, mask)
            self._store(byte, y, np.full((height, count), colour & 0xFF, np.uint8))
        self._ports.set(SEQ, 2, 0x0F)

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels, each plane's in one go."""
        for plane in range(4):
            skip = (plane - x) & 3
            rows = np.ascontiguousarray(pixels[:, skip::4], np.uint8)
            if rows.size:
                self._ports.set(SEQ, 2, 1 << plane)
                self._store((x + skip) // 4, y, rows)
        self._ports.set(SEQ, 2, 0x0F)

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels plane by plane through the read map."""
        pixels = np.zeros((height, width), np.uint8)
        for plane in range(4):
            skip = (plane - x) & 3
            count = len(range(skip, width, 4))
            if count:
                self._ports.set(GC, 4, plane)
                pixels[:, skip::4] = self._load((x + skip) // 4, y, count, height)
        self._ports.set(GC, 4, 0)
        return pixels


def surface_of(device: Device) -> Surface:
    """The surface of the mode that is set now, told from the registers.

    Raises:
        CanvasError: A text mode, or one that no surface knows.
    """
    ports = Ports(device)
    if ports.get_dispi(dispi.ENABLE) & dispi.ENABLED:
        return _dispi_surface(device, ports)
    if not ports["graphics"]:
        raise CanvasError("this is a text mode; set a graphics mode such as 13h before drawing")
    columns = ports["horizontal_display_end"] + 1
    lines = ports["vertical_display_end"] + 1 >> ports["double_scan"]
    height = lines // (ports["max_scan_line"] + 1)
    # One row of memory lies CR13 words, bytes x 2 or dwords x 2 behind the row before.
    shift = 2 if ports["dword_addressing"] else 0 if ports["byte_addressing"] else 1
    pitch = 2 * ports["offset"] << shift
    if ports["shift_256"]:
        kind = PackedSurface if ports["chain4"] else UnchainedSurface
        return kind(device, 0xA0000, 4 * columns, height, pitch)
    if not ports["no_row_bit0_as_a13"]:
        bits = 2 if ports["interleave"] else 1
        return PackedSurface(device, 0xB8000, 8 * columns, lines, columns * bits, bits, banks=2)
    return PlanarSurface(device, 0xA0000, 8 * columns, height, pitch)


def _dispi_surface(device: Device, ports: Ports) -> Surface:
    bits = ports.get_dispi(dispi.BPP)
    if bits not in FORMATS:
        raise CanvasError(f"no canvas for DISPI modes of {bits} bits a pixel")
    width, height = ports.get_dispi(dispi.XRES), ports.get_dispi(dispi.YRES)
    pitch = ports.get_dispi(dispi.VIRT_WIDTH) * FORMATS[bits].nbytes
    return PackedSurface(device, LFB_GPA, width, height, pitch, bits)
