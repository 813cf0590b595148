"""Surfaces: where the pixels of each graphics mode lie, as a program that draws must know.

A surface fills, puts and gets rectangles that lie wholly inside the picture; clipping and shapes
are `Canvas`'s. Everything goes through the ports and memory of a `Device`. Registers are back at
the mode's own values between two calls, so a program may mix its own stores with these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import CanvasError
from vgaemu.vga import dispi
from vgaemu.vga.device import LFB_GPA
from vgaemu.vga.pixels import FORMATS, Pixels, pack, unpack
from vgaemu.vga.ports import GC, SEQ, Device, Ports


class Surface(ABC):
    """A picture in VRAM. All rectangles lie inside it and are not empty."""

    def __init__(self, device: Device, gpa: int, width: int, height: int, pitch: int) -> None:
        """Know where the picture is (`gpa`: of the first pixel's byte); nothing is touched."""
        self._device = device
        self._ports = Ports(device)
        self._gpa = gpa
        #: In pixels.
        self.width = width
        #: In lines.
        self.height = height
        #: Addresses from a line to the next.
        self.pitch = pitch
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
        return self._gpa + y * self.pitch + byte

    def _store(self, byte: int, y: int, rows: NDArray[np.uint8]) -> None:
        """A store a row, or one for all where the rows follow each other."""
        if rows.shape[1] == self.pitch:
            self._device.store(self._address(byte, y), rows.tobytes())
            return
        for i, row in enumerate(rows, y):
            self._device.store(self._address(byte, i), row.tobytes())

    def _load(self, byte: int, y: int, count: int, height: int) -> NDArray[np.uint8]:
        rows = [self._device.load(self._address(byte, i), count) for i in range(y, y + height)]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(height, count)

    def _whole_bytes(self, x: int, y: int, pixels: Pixels, a_byte: int) -> tuple[int, Pixels]:
        """First byte and pixels, with those on the screen that share bytes with them."""
        width = pixels.shape[1]
        left, right = x // a_byte * a_byte, -(-(x + width) // a_byte) * a_byte
        if (left, right) != (x, x + width):
            under = self.get(left, y, right - left, len(pixels))
            under[:, x - left : x - left + width] = pixels
            pixels = under
        return left // a_byte, pixels


class PackedSurface(Surface):
    """Mode 13h at A0000h, or a DISPI mode in the linear frame buffer: plain memory."""

    def __init__(
        self, device: Device, gpa: int, width: int, height: int, pitch: int, bits: int = 8
    ) -> None:
        """`pitch` counts bytes; `bits` a pixel are as in `FORMATS`."""
        super().__init__(device, gpa, width, height, pitch)
        self._format = FORMATS[bits]
        self.colours = self._format.colours
        self.dtype = self._format.dtype

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere: a row is encoded once."""
        row = self._format.encode(np.full((1, width), colour % self.colours, self.dtype))
        self._store(x * self._format.nbytes, y, np.broadcast_to(row, (height, row.shape[1])))

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels as the format has them."""
        self._store(x * self._format.nbytes, y, self._format.encode(pixels))

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels; channels of the format are widened to 8 bits."""
        nbytes = self._format.nbytes
        return self._format.decode(self._load(x * nbytes, y, width * nbytes, height)).copy()


class PlanarSurface(Surface):
    """Sixteen colours, a bit in each of four planes: modes 0Dh, 0Eh, 10h, 12h (and 0Fh, 11h).

    Fills use set/reset and the bit mask in write mode 0, so that one store serves eight pixels of
    all planes; pixels are put plane by plane through the map mask.
    """

    def __init__(self, device: Device, gpa: int, width: int, height: int, pitch: int) -> None:
        super().__init__(device, gpa, width, height, pitch)
        self.colours = 16

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere: edge bytes through the bit mask, whole ones in long stores."""
        ports = self._ports
        ports.set(GC, 0, colour & 0x0F)  # set/reset holds the colour
        ports.set(GC, 1, 0x0F)  # ... and gives it to all planes
        for first, count, mask in byte_columns(x, width):
            ports.set(GC, 8, mask)
            self._fill_bytes(first, y, count, height, whole=mask == 0xFF)
        ports.set_all(GC, {8: 0xFF, 1: 0x00, 0: 0x00})

    def _fill_bytes(self, first: int, y: int, count: int, height: int, whole: bool) -> None:
        device, gpa = self._device, self._address(first, y)
        if count == self.pitch:
            device.store(gpa, bytes(count * height))
            return
        for row in range(gpa, gpa + height * self.pitch, self.pitch):
            if not whole:
                device.load(row, 1)  # latches keep the pixels that the mask protects
            device.store(row, bytes(count))

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels plane by plane; pixels that share a byte with others keep them company."""
        byte, pixels = self._whole_bytes(x, y, pixels, 8)
        for plane in range(4):
            self._ports.set(SEQ, 2, 1 << plane)
            self._store(byte, y, pack(pixels >> plane, 1))
        self._ports.set(SEQ, 2, 0x0F)

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels plane by plane through the read map."""
        first, end = x // 8, -(-(x + width) // 8)
        pixels = np.zeros((height, 8 * (end - first)), np.uint8)
        for plane in range(4):
            self._ports.set(GC, 4, plane)
            pixels |= unpack(self._load(first, y, end - first, height), 1) << plane
        self._ports.set(GC, 4, 0)
        return pixels[:, x % 8 : x % 8 + width].copy()


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


class CgaSurface(Surface):
    """Modes 4, 5 and 6: one or two bits a pixel, odd rows 2000h bytes behind even ones."""

    def __init__(
        self, device: Device, gpa: int, width: int, height: int, pitch: int, bits: int
    ) -> None:
        """`pitch` counts bytes from a line to the next but one; `bits` a pixel are 1 or 2."""
        super().__init__(device, gpa, width, height, pitch)
        self.colours = 1 << bits
        self._bits = bits

    def _address(self, byte: int, y: int) -> int:
        return self._gpa + 0x2000 * (y & 1) + (y >> 1) * self.pitch + byte

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere, put as pixels."""
        self.put(x, y, np.full((height, width), colour % self.colours, np.uint8))

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels row by row; pixels that share a byte with others keep them company."""
        byte, pixels = self._whole_bytes(x, y, pixels, 8 // self._bits)
        for i, row in enumerate(pack(pixels, self._bits), y):
            self._device.store(self._address(byte, i), row.tobytes())

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels row by row."""
        a_byte = 8 // self._bits
        first, end = x // a_byte, -(-(x + width) // a_byte)
        pixels = unpack(self._load(first, y, end - first, height), self._bits)
        return pixels[:, x % a_byte : x % a_byte + width].copy()


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
        return CgaSurface(device, 0xB8000, 8 * columns, lines, columns * bits, bits)
    return PlanarSurface(device, 0xA0000, 8 * columns, height, pitch)


def _dispi_surface(device: Device, ports: Ports) -> Surface:
    bits = ports.get_dispi(dispi.BPP)
    if bits not in FORMATS:
        raise CanvasError(f"no canvas for DISPI modes of {bits} bits a pixel")
    width, height = ports.get_dispi(dispi.XRES), ports.get_dispi(dispi.YRES)
    pitch = ports.get_dispi(dispi.VIRT_WIDTH) * FORMATS[bits].nbytes
    return PackedSurface(device, LFB_GPA, width, height, pitch, bits)
