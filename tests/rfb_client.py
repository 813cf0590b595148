"""A viewer of our own: reads each encoding as its page says, and shares no code with the server."""

from __future__ import annotations

import socket
import struct
import zlib
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
from numpy.typing import NDArray

RAW, COPY_RECT, ZLIB, TIGHT = 0, 1, 6, 7
DESKTOP_SIZE, LAST_RECT, QEMU_KEYS, LED_STATE = -223, -224, -258, -261
DESKTOP_NAME, EXTENDED_SIZE, FENCE, CONTINUOUS = -307, -308, -312, -313
PSEUDO = (DESKTOP_SIZE, LAST_RECT, QEMU_KEYS, LED_STATE, DESKTOP_NAME, EXTENDED_SIZE)
#: Seconds for whatever is to come at once.
HANG_SECONDS = 10.0
#: Bits, depth, big-endian, true colour, largest red, green, blue, their shifts.
TRUE_32 = (32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


@dataclass
class Client:
    """Connected and shown in as soon as it is made."""

    port: int
    encodings: tuple[int, ...] = (TIGHT, COPY_RECT, *PSEUDO)
    form: tuple[int, ...] | None = None
    version: bytes = b"RFB 003.008\n"
    password: bytes | None = None
    #: Connects, but says nothing.
    silent: bool = False
    #: What it has: (height, width) in the pixels of its format.
    pixels: NDArray[np.uint32] = field(init=False)
    name: str = ""
    lamps: int | None = None
    has_keys: bool = False
    updates: int = 0
    #: Encodings of rectangles, bytes received, messages that are no updates.
    seen: list[int] = field(default_factory=list)
    received: int = 0
    told: list[int] = field(default_factory=list)
    fences: list[tuple[int, bytes]] = field(default_factory=list)
    refusals: list[tuple[int, int]] = field(default_factory=list)
    colours: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), HANG_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._zlib = [zlib.decompressobj() for _ in range(5)]
        self.answers_fences = True
        self.shape = (*TRUE_32,)
        if not self.silent:
            self.shake_hands()
            self.set_encodings(self.encodings)
            if self.form is not None:
                self.set_form(self.form)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    # Bytes.

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        self.received += count
        return bytes(data)

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(">" + layout, self.read(struct.calcsize(">" + layout)))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    # The handshake.

    def shake_hands(self) -> None:
        assert self.read(12) == b"RFB 003.008\n"
        self.send(self.version)
        minor = int(self.version[8:11]) if self.version[4:7] == b"003" else 8
        if minor < 7:
            (security,) = self.unpack("I")
        else:
            (count,) = self.unpack("B")
            security = self.read(count)[0]
            self.send(bytes((security,)))
        assert security == (1 if self.password is None else 2)
        if self.password is not None:
            self.send(self.prove(self.read(16), self.password))
        if self.password is not None or minor > 7:
            (failed,) = self.unpack("I")
            if failed:
                raise PermissionError(self.read(*self.unpack("I")) if minor > 7 else "")
        self.send(b"\1")
        width, height = self.unpack("HH")
        assert struct.unpack(">4B3H3B3x", self.read(16)) == TRUE_32
        self.name = self.read(*self.unpack("I")).decode()
        self.pixels = np.zeros((height, width), np.uint32)

    @staticmethod
    def prove(challenge: bytes, password: bytes) -> bytes:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password[:8].ljust(8, b"\0"))
        des = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
        return des.update(challenge) + des.finalize()

    # What it says.

    def set_encodings(self, encodings: tuple[int, ...]) -> None:
        self.send(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))

    def set_form(self, form: tuple[int, ...]) -> None:
        self.shape = form
        self.send(struct.pack(">B3x4B3H3B3x", 0, *form))

    def ask(self, *, incremental: bool = True, area: tuple[int, ...] | None = None) -> None:
        height, width = self.pixels.shape
        self.send(struct.pack(">BB4H", 3, incremental, *(area or (0, 0, width, height))))

    def key(self, keysym: int, pressed: bool) -> None:
        self.send(struct.pack(">BBxxI", 4, pressed, keysym))

    def type(self, text: str) -> None:
        for character in text:
            keysym = 0xFF0D if character == "\n" else ord(character)
            self.key(keysym, True)
            self.key(keysym, False)

    def scancode(self, keycode: int, pressed: bool, keysym: int = 0) -> None:
        self.send(struct.pack(">BBHII", 255, 0, pressed, keysym, keycode))

    def paste(self, text: bytes) -> None:
        self.send(struct.pack(">B3xI", 6, len(text)) + text)

    def let_come(self, on: bool = True) -> None:
        height, width = self.pixels.shape
        self.send(struct.pack(">BB4H", 150, on, 0, 0, width, height))

    # What it hears.

    def hear(self) -> int:
        """A message; returns its type."""
        (kind,) = self.read(1)
        self.told.append(kind)
        if kind == 0:
            self._take_update()
        elif kind == 1:
            first, count = self.unpack("xHH")
            for number in range(first, first + count):
                red, green, blue = self.unpack("HHH")
                self.colours[number] = (red >> 8) << 16 | (green >> 8) << 8 | blue >> 8
        elif kind == 248:
            flags, length = self.unpack("3xIB")
            payload = self.read(length)
            self.fences.append((flags, payload))
            if flags >> 31 and self.answers_fences:
                self.send(struct.pack(">B3xIB", 248, flags & 7, length) + payload)
        else:
            assert kind == 150, kind
        return kind

    def update(self) -> None:
        """Up to the next update."""
        before = self.updates
        while self.updates == before:
            self.hear()

    def _take_update(self) -> None:
        self.updates += 1
        (count,) = self.unpack("xH")
        while count:
            x, y, width, height, encoding = self.unpack("4Hi")
            self.seen.append(encoding)
            if encoding == LAST_RECT:
                assert count > 1000
                return
            self._take_rect(x, y, width, height, encoding)
            count -= 1

    def _take_rect(self, x: int, y: int, width: int, height: int, encoding: int) -> None:
        if encoding == DESKTOP_SIZE:
            self.pixels = np.full((height, width), 0xABCDEF, np.uint32)
        elif encoding == EXTENDED_SIZE:
            screens, *_ = self.unpack("B3x")
            assert screens == 1
            assert self.unpack("I4HI")[1:5] == (0, 0, width, height)
            if x or y:
                self.refusals.append((x, y))
            elif self.pixels.shape != (height, width):
                self.pixels = np.full((height, width), 0xABCDEF, np.uint32)
        elif encoding == DESKTOP_NAME:
            self.name = self.read(*self.unpack("I")).decode()
        elif encoding == LED_STATE:
            (self.lamps,) = self.unpack("B")
        elif encoding == QEMU_KEYS:
            self.has_keys = True
        else:
            assert encoding in self.encodings or encoding == RAW, encoding
            assert x + width <= self.pixels.shape[1]
            assert y + height <= self.pixels.shape[0]
            window = np.s_[y : y + height, x : x + width]
            if encoding == COPY_RECT:
                left, top = self.unpack("HH")
                source = self.pixels[top : top + height, left : left + width].copy()
                assert source.shape == (height, width)
                self.pixels[window] = source
            else:
                flat = {RAW: self._raw, ZLIB: self._zlib_rect, TIGHT: self._tight}[encoding]
                self.pixels[window] = flat(width, height).reshape(height, width)

    def _raw(self, width: int, height: int) -> NDArray[np.uint32]:
        return self._native(self.read(width * height * self.shape[0] // 8))

    def _native(self, data: bytes) -> NDArray[np.uint32]:
        order = ">" if self.shape[2] else "<"
        pixels = np.frombuffer(data, f"{order}u{self.shape[0] // 8}").astype(np.uint32)
        return pixels & 0xFFFFFF if self.shape == TRUE_32 else pixels

    def _zlib_rect(self, width: int, height: int) -> NDArray[np.uint32]:
        data = self._zlib[4].decompress(self.read(*self.unpack("I")))
        assert len(data) == width * height * self.shape[0] // 8
        return self._native(data)

    @property
    def _tpixel_bytes(self) -> int:
        whole = self.shape[:2] == (32, 24) and self.shape[3:7] == (1, 255, 255, 255)
        return 3 if whole else self.shape[0] // 8

    def _tpixels(self, data: bytes) -> NDArray[np.uint32]:
        if self._tpixel_bytes != 3:
            return self._native(data)
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.uint32)
        return sum(parts[:, i] << np.uint32(shift) for i, shift in enumerate(self.shape[7:]))

    def _tight(self, width: int, height: int) -> NDArray[np.uint32]:
        assert width <= 2048
        (control,) = self.read(1)
        assert not control & 0x0F, "streams are never begun anew"
        if control >> 4 == 8:
            return np.repeat(self._tpixels(self.read(self._tpixel_bytes)), width * height)
        assert control >> 4 < 8, "no JPEG"
        stream, kind = control >> 4 & 3, 0
        if control & 0x40:
            (kind,) = self.read(1)
        if kind == 0:
            size = width * height * self._tpixel_bytes
            return self._tpixels(self._tight_data(stream, size))
        assert kind == 1, "no gradients"
        (last,) = self.read(1)
        palette = self._tpixels(self.read((last + 1) * self._tpixel_bytes))
        if last == 1:
            row = -(-width // 8)
            data = np.frombuffer(self._tight_data(stream, row * height), np.uint8)
            bits = np.unpackbits(data.reshape(height, row), axis=1)[:, :width]
            return palette[bits.ravel()]
        return palette[np.frombuffer(self._tight_data(stream, width * height), np.uint8)]

    def _tight_data(self, stream: int, size: int) -> bytes:
        if size < 12:
            return self.read(size)
        length = shift = 0
        for i in range(3):
            (byte,) = self.read(1)
            length |= (byte & (0x7F if i < 2 else 0xFF)) << shift
            shift += 7
            if i < 2 and not byte & 0x80:
                break
        data = self._zlib[stream].decompress(self.read(length))
        assert len(data) == size, (len(data), size)
        return data

    # The picture.

    def frame(self) -> NDArray[np.uint32]:
        """0x00RRGGBB of what a colour map or 32 bits say."""
        if self.colours:
            table = np.zeros(256, np.uint32)
            table[list(self.colours)] = list(self.colours.values())
            return table[self.pixels]
        return self.pixels

    def see(self, frame: NDArray[np.uint32]) -> None:
        """Go on asking until this is what it has."""
        until = monotonic() + HANG_SECONDS
        while not np.array_equal(self.frame(), frame):
            assert monotonic() < until, "never looked like that"
            self.ask()
            self.update()
