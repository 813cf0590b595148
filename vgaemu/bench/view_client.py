"""A viewer in a process of its own, for `vgaemu bench view`: ``python -m ... PORT HOW``.

``decode`` makes pixels of what it gets and says when each update was done: a time of
`perf_counter_ns`, which processes share where it is a system's clock, and how many bytes that was.
``drain`` reads whatever comes and asks for more; ``deaf`` asks and reads nothing.
"""

from __future__ import annotations

import socket
import struct
import sys
import zlib
from time import perf_counter_ns, sleep

import numpy as np
from numpy.typing import NDArray

TIGHT, COPY_RECT, LAST_RECT, DESKTOP_SIZE = 7, 1, -224, -223
_ENCODINGS = struct.pack(">BxH4i", 2, 4, TIGHT, COPY_RECT, LAST_RECT, DESKTOP_SIZE)


class Decoder:
    """Reads updates of Tight, in this machine's own colours."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._streams = [zlib.decompressobj() for _ in range(4)]
        self.nbytes = 0
        self._read(12)
        self._socket.sendall(b"RFB 003.008\n")
        self._read(2)
        self._socket.sendall(b"\1")
        self._read(4)
        self._socket.sendall(b"\1")
        width, height = struct.unpack(">HH16x", self._read(20))
        self._read(int.from_bytes(self._read(4), "big"))
        self.pixels: NDArray[np.uint32] = np.zeros((height, width), np.uint32)
        self._socket.sendall(_ENCODINGS)

    def _read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError
        self.nbytes += count
        return data

    def ask(self, *, incremental: bool) -> None:
        """For what is new, or for all."""
        height, width = self.pixels.shape
        self._socket.sendall(struct.pack(">BB4xHH", 3, incremental, width, height))

    def close(self) -> None:
        """Look no more."""
        self._file.close()
        self._socket.close()

    def drain(self) -> None:
        """Read whatever comes, and ask for more each time, to the end."""
        while self._socket.recv(1 << 20):
            self.ask(incremental=True)

    def update(self) -> None:
        """The next update."""
        (count,) = struct.unpack(">xxH", self._read(4))
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">4Hi", self._read(12))
            window = np.s_[y : y + height, x : x + width]
            if encoding == LAST_RECT:
                return
            if encoding == DESKTOP_SIZE:
                self.pixels = np.zeros((height, width), np.uint32)
            elif encoding == COPY_RECT:
                left, top = struct.unpack(">HH", self._read(4))
                self.pixels[window] = self.pixels[top : top + height, left : left + width].copy()
            else:
                self.pixels[window] = self._tight(width, height)

    def _tight(self, width: int, height: int) -> NDArray[np.uint32]:
        (control,) = self._read(1)
        if control == 0x80:
            return _colours(self._read(3))[:, None]
        stream = control >> 4 & 3
        if not control & 0x40:
            return _colours(self._data(stream, 3 * width * height)).reshape(height, width)
        self._read(1)
        palette = _colours(self._read(3 * (self._read(1)[0] + 1)))
        row = -(-width // 8) if len(palette) == 2 else width
        numbers = np.frombuffer(self._data(stream, row * height), np.uint8).reshape(height, row)
        if len(palette) == 2:
            numbers = np.unpackbits(numbers, axis=1)[:, :width]
        return palette.take(numbers)

    def _data(self, stream: int, size: int) -> bytes:
        if size < 12:
            return self._read(size)
        length = 0
        for shift in (0, 7, 14):
            (part,) = self._read(1)
            length |= (part & 0x7F if shift < 14 else part) << shift
            if not part & 0x80:
                break
        return self._streams[stream].decompress(self._read(length))


def _colours(data: bytes) -> NDArray[np.uint32]:
    """Of three bytes each, red first."""
    parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
    colours = np.zeros((len(parts), 4), np.uint8)
    for i in range(3):
        colours[:, 2 - i] = parts[:, i]
    return colours.view("<u4")[:, 0]


def main() -> None:
    """Look until the server has gone."""
    viewer = Decoder(int(sys.argv[1]))
    viewer.ask(incremental=False)
    if sys.argv[2] == "drain":
        viewer.drain()
    while sys.argv[2] == "deaf":
        viewer.ask(incremental=False)
        sleep(0.01)
    while True:
        before = viewer.nbytes
        viewer.update()
        print(perf_counter_ns(), viewer.nbytes - before, flush=True)
        viewer.ask(incremental=True)


if __name__ == "__main__":
    try:
        main()
    except (EOFError, OSError):
        sys.exit(0)
