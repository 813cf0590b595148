"""The console of DOS: INT 21h/01h to 0Ch, INT 29h, and what handles of CON read and write.

Emulated: characters typed by the video BIOS, tabs, lines with DOS's editing keys, Ctrl-Z, Ctrl-C
(also typed while something is shown), keys without a character as 0 and then the scancode; standard
input and output that are files or other devices. Not emulated: Ctrl-P (an echo on a printer),
Ctrl-S. `auxiliary` has AUX.

A text that takes longer than a slice is typed in parts, and so are keys read into a line: a buffer
whose ends never meet, as a program can make it, has no last key. A call that waits for a key is
asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WAIT, Service
from vgaemu.pc.bios.data_area import KEY_HEAD, KEY_TAIL, PAGE
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import ZERO
from vgaemu.pc.dos.area import SEGMENT_BYTES
from vgaemu.pc.dos.line import TAB, Line
from vgaemu.snapshot import Part, Saved, fields, octets

CTRL_C, RETURN = 3, 13
CTRL_C_KEY = 0x2E03
#: Where the key buffer's begin and end are.
HEAD, TAIL = KEY_HEAD.address, KEY_TAIL.address
HEAD_END, TAIL_END = HEAD + 2, TAIL + 2
#: Ctrl-Z: a line by handle ends before it, and standard input that is at its end has it.
END_OF_FILE = b"\x1a"
#: What can be typed into a line that is read by handle, besides its end.
MAX_LINE = 126
#: The longest that a program asks for.
MAX_SAVED_LINE = 254
#: Characters that only type; so many are looked at at once.
PLAIN = re.compile(rb"[^\a\b\t\n\r]+")
RUN = 132
#: Calls that AH=0Ch goes on to.
READS = frozenset((0x01, 0x06, 0x07, 0x08, 0x0A))


class ControlC(Exception):
    """Ctrl-C was read by a call that heeds it."""


class Console:
    """Keyboard and screen as DOS has them."""

    SAVED: ClassVar[Saved] = {"pending_scancode": (-1, 0xFF)}

    def __init__(self, board: Board, bios: Bios) -> None:
        self._bus, self._cpu, self._clock, self._calls = (
            board.bus,
            board.cpu,
            board.clock,
            bios.calls,
        )
        self._keys, self._area = bios.keyboard.buffer, bios.video.area
        self._characters = bios.video.characters
        self.pending_scancode: int | None = None
        #: The line that is typed; what a read by handle has left of one.
        self.line = Line()
        self.entered = b""
        #: CON is read by handle as keys come, none of them edits or ends anything.
        self.raw = False
        #: Where standard input comes from if not from here: the next bytes of it, or None.
        self.read_standard: Callable[[int], bytes | None] = lambda count: None
        #: And where output goes: whether it took these.
        self.write_standard: Callable[[bytes], bool] = lambda data: False
        self.services: dict[int, Service] = {
            0x01: lambda: self._read_key(echo=True),
            0x02: self._write_character,
            0x06: self._direct,
            0x07: lambda: self._read_key(echo=False, breaks=False),
            0x08: lambda: self._read_key(echo=False),
            0x09: self._write_string,
            0x0A: self._read_line,
            0x0B: self._key_status,
            0x0C: self._flush_and_read,
        }

    def type(self, code: int) -> None:
        """Type a character; a tab goes to the next of every eighth column."""
        area, count = self._area, 1
        if code == TAB:
            _, column = area.cursor(area[PAGE])
            code, count = ord(" "), 8 - column % 8
        for _ in range(count):
            self._characters.type(code, None if area.is_text else 7)

    def type_all(self, data: bytes) -> None:
        """Type a few."""
        for code in data:
            self.type(code)

    def type_some(self, data: bytes) -> int:
        """Type the first character, or in text the plain ones up to the row's end; how many."""
        plain = PLAIN.match(data)
        count = 0 if plain is None else self._characters.type_run(plain.group())
        if count:
            return count
        self.type(data[0])
        self._calls.spend(1)
        return 1

    def type_memory(self, at: int, count: int, end: bytes | None = None) -> bool | None:
        """Type memory, at most up to an `end`, from where the call in hand had come to."""
        calls = self._calls
        done = calls.progress
        self._heed_ctrl_c()
        while done < count:
            if calls.exhausted:
                return calls.suspend(done)
            data = self._bus.read(at + done, min(count - done, RUN))
            if end is not None:
                data = data.partition(end)[0]
                if not data:
                    break
            done += len(data) if end and self.write_standard(data) else self.type_some(data)
        return None

    def _heed_ctrl_c(self) -> None:
        """What is shown ends where Ctrl-C is typed."""
        memory = self._bus.memory
        if memory[HEAD:HEAD_END] == memory[TAIL:TAIL_END]:
            return  # the usual case, and asked for each character
        if self._keys.peek() in (CTRL_C_KEY, 0):
            self._keys.take()
            raise ControlC

    def _write(self, data: bytes) -> None:
        if not self.write_standard(data):
            self.type_all(data)

    def _write_character(self) -> None:
        self._heed_ctrl_c()
        self._write(bytes((self._cpu.dl,)))
        self._cpu.al = self._cpu.dl

    def _write_string(self) -> bool | None:
        if self.type_memory(self._cpu.linear("ds", "dx"), SEGMENT_BYTES, b"$") is WAIT:
            return WAIT
        self._cpu.al = ord("$")
        return None

    def _next_key(self) -> int | None:
        """The next character: for keys without one, 0 and then the scancode."""
        if self.pending_scancode is not None:
            code, self.pending_scancode = self.pending_scancode, None
            return code
        word = self._keys.take()
        if word is None:
            return None
        if word == 0:  # break
            return CTRL_C
        if word & 0xFF in (0, 0xE0) and word >> 8:
            self.pending_scancode = word >> 8
            return 0
        return word & 0xFF

    def _read_key(self, *, echo: bool, breaks: bool = True) -> bool | None:
        read = self.read_standard(1)
        code = self._next_key() if read is None else (read or END_OF_FILE)[0]
        if code is None:
            return WAIT
        if code == CTRL_C and breaks:
            raise ControlC
        if echo and code:
            self._write(bytes((code,)))
        self._cpu.al = code
        return None

    def _direct(self) -> None:
        if self._cpu.dl != 0xFF:
            self._write(bytes((self._cpu.dl,)))
            self._cpu.al = self._cpu.dl
            return
        self._clock.polled()
        read = self.read_standard(1)
        code = self._next_key() if read is None else next(iter(read), None)
        self._calls.flag(ZERO, code is None)
        self._cpu.al = code or 0

    def _key_status(self) -> None:
        self._clock.polled()
        self._heed_ctrl_c()
        if self.read_standard(0) is not None:
            self._cpu.al = 0xFF
            return
        self._cpu.al = 0xFF if self.has_key() else 0

    def ask(self, letters: bytes) -> int | None:
        """The capital of these that was pressed last, and shown; None if none was."""
        while (code := self._next_key()) is not None:
            letter = bytes((code,)).upper()
            if letter in letters:
                self.type_all(letter + b"\r\n")
                return letter[0]
        return None

    def has_key(self) -> bool:
        """Whether a key waits."""
        return self.pending_scancode is not None or self._keys.peek() is not None

    def _flush_and_read(self) -> bool | None:
        calls, function = self._calls, self._cpu.al
        # Asked again while it waits, the call must not flush what has come meanwhile.
        if not calls.progress:
            self.pending_scancode = None
            self._keys.clear()
        if function not in READS:
            return None
        waits = self.services[function]()
        if waits is WAIT:
            calls.remember(1)
        return waits

    def _edit(self, room: int, template: bytes) -> bytes | None:
        """The line once Enter ends it; what has been typed is kept here while the program waits."""
        calls, line = self._calls, self.line
        line.begin(template, self._area.cursor(self._area[PAGE])[1])
        while (code := self._next_key()) is not None:
            calls.spend(1)
            if code == RETURN:
                return line.take()
            if code == CTRL_C:
                raise ControlC
            if code == 0:
                self._write(line.press(self._next_key() or 0, room))
            else:
                self._write(line.type(code, room))
            if calls.exhausted:
                calls.retry()
                break
        return None

    def give_up_line(self) -> None:
        """Show that Ctrl-C was typed, and forget the line before it."""
        self.type_all(b"^C\r\n")
        self.line.take()

    def _read_line(self) -> bool | None:
        buffer = self._cpu.linear("ds", "dx")
        room = max(self._bus.read8(buffer) - 1, 0)
        line = self._read_standard_line(room)
        if line is None:
            line = self._edit(room, self._template(buffer, room))
            if line is None:
                return WAIT
        line = line[:room]  # another call, with more room, may have begun it
        self._bus.write(buffer + 1, bytes((len(line),)) + line + b"\r")
        self._write(b"\r")
        return None

    def _template(self, buffer: int, room: int) -> bytes:
        """The line that the buffer has, if there is one."""
        count = self._bus.read8(buffer + 1)
        text = self._bus.read(buffer + 2, count + 1)
        return text[:-1] if count <= room and text.endswith(b"\r") else b""

    def _read_standard_line(self, room: int) -> bytes | None:
        """A line of standard input that is none of ours."""
        read = self.read_standard(1)
        if read is None:
            return None
        line = bytearray()
        # What is too long for the buffer is lost.
        while read and read not in (b"\r", END_OF_FILE) and not self._calls.exhausted:
            if read != b"\n" and len(line) < room:
                line += read
                self._write(read)
            self._calls.spend(1)
            read = self.read_standard(1)
        return bytes(line)

    def read(self, at: int, count: int) -> bool | None:
        """Read by handle: as much as is wanted of a line; the next reads get the rest."""
        if self.raw:
            return self._read_raw(at, count)
        if not self.entered:
            line = self._edit(MAX_LINE, self.line.template)
            if line is None:
                return WAIT
            self.line.template = line
            before, end, _ = line.partition(END_OF_FILE)
            self.entered = before if end else before + b"\r\n"
            self.type_all(b"\r\n")
        data, self.entered = self.entered[:count], self.entered[count:]
        self._bus.write(at, data)
        self._cpu.ax = len(data)
        return None

    def _read_raw(self, at: int, count: int) -> bool | None:
        """As many keys as are wanted, from where the call in hand had come to."""
        calls = self._calls
        done = calls.progress
        while done < count:
            code = None if calls.exhausted else self._next_key()
            if code is None:
                if done:
                    calls.remember(done)
                return calls.retry() if calls.exhausted else WAIT
            self._bus.write8(at + done, code)
            calls.spend(1)
            done += 1
        self._cpu.ax = done
        return None

    def parts(self) -> dict[str, Part]:
        return {
            **self.line.parts(),
            "dos.entered": octets(
                lambda: self.entered, partial(setattr, self, "entered"), MAX_SAVED_LINE
            ),
            "dos.editing": fields(self.line).or_else(self._begin_old_line),
        }

    def _begin_old_line(self) -> None:
        self.line.begun = bool(self.line.text)
