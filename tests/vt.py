"""A terminal that is a grid of cells: the shadow of the terminal display.

It knows what the display writes and fails on everything else. Sources: ECMA-48, xterm's ctlseqs,
kitty's graphics protocol.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import select
import struct
import termios
import tty
import zlib

import numpy as np

from vgaemu.display.terminal.colours import BLINK, DIRECT, INDEXED, UNDERLINE
from vgaemu.display.terminal.grid import blank

SEQUENCE = re.compile(
    rb"\x1b\[(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    rb"|\x1b_(?P<apc>[^\x1b]*)\x1b\\|\x1bP(?P<dcs>[^\x1b]*)\x1b\\|\x1b\\"
    rb"|(?P<text>[^\x00-\x1f\x7f]+)"
)


class Vt:
    """What a terminal of a size shows."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.row = self.column = 0
        self.fore, self.back, self.flags = 7, 0, 0
        self.grid = blank(rows, columns)
        self.modes = {7, 25}  # wrapping, and the cursor
        self.titles = 0
        self.shape = b"0"
        self.keyboard: list[int] = []
        #: Kitty's images: number -> pixels, (height, width, 3), and the place, in cells.
        self.images: dict[int, tuple[np.ndarray, tuple[int, int, int, int]]] = {}
        self.questions: list[bytes] = []
        self._rest = b""
        self._payload = b""
        self.sixels: list[tuple[int, int, bytes]] = []

    def feed(self, data: bytes) -> None:
        data, self._rest, at = self._rest + data, b"", 0
        while at < len(data):
            found = SEQUENCE.match(data, at)
            if found is None or (found.end() == len(data) and found["text"]):
                if found is not None:
                    known = found["text"].decode(errors="ignore")
                    self._write(known)
                    self._rest = data[at + len(known.encode()) :]
                    assert len(self._rest) < 4
                    return
                else:
                    assert data[at] == 0x1B, data[at : at + 20]
                    assert data.find(b"\x1b", at + 1) in (-1, len(data) - 1), data[at : at + 40]
                    self._rest = data[at:]
                    return
            at = found.end()
            if found["text"]:
                self._write(found["text"].decode())
            elif found["final"]:
                self._control(found["parameters"], found["between"] + found["final"])
            elif found["apc"] is not None:
                self._apc(found["apc"])
            elif found["dcs"] is not None:
                self.sixels.append((self.row, self.column, found["dcs"]))

    def _write(self, text: str) -> None:
        assert 7 not in self.modes, "it would wrap"
        for character in text:
            assert self.column < self.columns, "behind the last column terminals differ"
            self.grid[self.row, self.column] = ord(character) | self.flags, self.fore, self.back
            self.column += 1

    def _control(self, parameters: bytes, final: bytes) -> None:
        private = parameters[:1] if parameters[:1] in (b"?", b">", b"<") else b""
        numbers = [int(part) if part else 0 for part in parameters[len(private) :].split(b";")]
        match private + final:
            case b"H":
                row, column = [*numbers, 1][:2]
                self.row, self.column = row - 1, column - 1
                assert 0 <= self.row < self.rows
                assert 0 <= self.column < self.columns
            case b"C":
                self.column += max(numbers[0], 1)
                assert self.column < self.columns
            case b"J":
                assert numbers == [2]
                assert (self.fore, self.back, self.flags) == (7, 0, 0)
                self.grid = blank(self.rows, self.columns)
            case b"m":
                self._sgr(numbers)
            case b"?h":
                self.modes |= set(numbers)
            case b"?l":
                self.modes -= set(numbers)
            case b" q":
                self.shape = parameters
            case b"t":
                self.titles += {22: 1, 23: -1}[numbers[0]]
            case b">u":
                self.keyboard.append(numbers[0])
            case b"<u":
                self.keyboard.pop()
            case b"c" | b"?u":
                self.questions.append(private + final)
            case _:
                raise AssertionError(f"CSI {parameters!r} {final!r}")

    def _sgr(self, codes: list[int]) -> None:
        codes = codes[::-1]
        while codes:
            code = codes.pop()
            if code == 0:
                self.fore, self.back, self.flags = 7, 0, 0
            elif code in (4, 5):
                self.flags |= UNDERLINE if code == 4 else BLINK
            elif code in (24, 25):
                self.flags &= ~(UNDERLINE if code == 24 else BLINK)
            else:
                assert 30 <= code < 50 or 90 <= code < 98 or 100 <= code < 108, code
                bright = 8 * (code >= 90)
                colour = code % 10 + bright if code % 10 < 8 else self._other(codes)
                if code // 10 in (3, 9):
                    self.fore = colour
                else:
                    self.back = colour

    def _other(self, rest: list[int]) -> int:
        if rest.pop() == 5:
            return INDEXED + rest.pop()
        red, green, blue = rest.pop(), rest.pop(), rest.pop()
        return DIRECT | red << 16 | green << 8 | blue

    def _apc(self, data: bytes) -> None:
        head, _, payload = data.partition(b";")
        assert head[:1] == b"G"
        assert len(payload) <= 4096
        said = dict(part.split(b"=") for part in head[1:].split(b","))
        if said.get(b"a") == b"q":
            self.questions.append(b"G")
            return
        if said.get(b"a") == b"d":
            assert said[b"d"] == b"A"
            self.images = {}
            return
        if b"a" in said:
            self._head, self._payload = said, b""
        self._payload += payload
        if said.get(b"m") == b"1":
            return
        head_of = {key: int(value) for key, value in self._head.items() if value.isdigit()}
        assert (self._head[b"a"], self._head[b"o"]) == (b"T", b"z")
        assert (head_of[b"f"], head_of[b"C"], head_of[b"q"]) == (24, 1, 2)
        width, height = head_of[b"s"], head_of[b"v"]
        pixels = zlib.decompress(base64.b64decode(self._payload))
        place = self.row, self.column, head_of[b"r"], head_of[b"c"]
        assert self.row + place[2] <= self.rows
        assert self.column + place[3] <= self.columns
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        self.images[head_of[b"i"]] = image, place

    def text(self) -> list[str]:
        return ["".join(chr(glyph & 0x1FFFFF) for glyph in row) for row in self.grid[..., 0]]


KITTY = {
    b"c": b"\x1b[?62c", b"?u": b"\x1b[?0u", b"G": b"\x1b_Gi=31;OK\x1b\\",
}  # fmt: skip


class Terminal:
    """A pseudo-terminal with a `Vt` behind it, which reads what there is when asked."""

    def __init__(self, rows: int = 26, columns: int = 80) -> None:
        self.master, self.slave = os.openpty()
        #: Question -> answer: `KITTY` is one that can more than xterm.
        self.answers = {b"c": b"\x1b[?62;22c"}
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.slave)
        #: Bytes that came.
        self.count = 0
        self.log = b""

    def resize(self, rows: int, columns: int, cell: tuple[int, int] = (0, 0)) -> None:
        size = struct.pack("4H", rows, columns, columns * cell[0], rows * cell[1])
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self.vt = Vt(rows, columns)

    def drain(self) -> bytes:
        """Let the terminal show what was written."""
        came = b""
        while select.select([self.master], [], [], 0)[0]:
            came += os.read(self.master, 1 << 16)
        self.count += len(came)
        self.log += came
        self.vt.feed(came)
        for question in self.vt.questions:
            if question in self.answers:
                os.write(self.master, self.answers[question])
        self.vt.questions.clear()
        return came

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    @property
    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[tty.LFLAG] & termios.ICANON

    @property
    def is_as_before(self) -> bool:
        self.drain()
        vt = self.vt
        return (
            termios.tcgetattr(self.slave) == self.modes
            and vt.modes == {7, 25}
            and (vt.titles, vt.keyboard, vt.shape, vt.images) == (0, [], b"0", {})
        )

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)
