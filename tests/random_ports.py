"""Random programs of machine code that access the VGA's ports, with memory and waits between.

What a program reads, and when, it writes to its own memory: the answer of each IN, and time stamps.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from vgaemu import snapshot
from vgaemu.machine import Machine
from vgaemu.pc.guest_beam import GuestBeam

#: Where the trace lies; a program begins at 7E00h.
TRACE_SEGMENT, SECTORS = 0x2000, 16
#: mov ax, 0200h + SECTORS; mov cx, 2; mov dh, 0; xor bx, bx; mov es, bx; mov bx, 7E00h; int 13h;
#: mov ax, TRACE_SEGMENT; mov es, ax; mov ax, A000h; mov ds, ax; xor di, di; cld; jmp 0:7E00h
LOADER = bytes.fromhex(
    "B81002 B90200 B600 31DB 8EC3 BB007E CD13 B80020 8EC0 B800A0 8ED8 31FF FC EA007E0000"
)
#: What programs write most, and how many registers lie behind an index.
INDEXED = {0x3C4: 5, 0x3CE: 9, 0x3D4: 25, 0x3B4: 25}
#: Loops: until the retrace begins or ends, until a line does; and such that count their looks.
WAITS = [
    "BADA03 EC A808 74FB", "BADA03 EC A808 75FB", "BADA03 EC A801 74FB", "BADA03 EC A801 75FB",
    "BADA03 31C9 41 EC A801 75FA 89C8 AB", "BADA03 B90500 EC A809 E0FB", "BADA03 EC EC EC EC AA",
    "BADA03 B91400 EC 49 75FC AA", "BADA03 EC D0E8 73FB",
]  # fmt: skip
WORDS = [bytes.fromhex(wait) for wait in WAITS]
TIME_STAMP = bytes.fromhex("0F31 66AB")


def _word(number: int) -> bytes:
    return number.to_bytes(2, "little")


class Program:
    """One program; its loop never ends."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        begin = self._bios_mode()
        # Short ones go round many times in a frame; they wait more and write colours.
        self.is_short = self.random.random() < 0.6
        steps = self.random.randrange(3, 14) if self.is_short else self.random.randrange(20, 120)
        body = b"".join(self._step() for _ in range(steps))
        back = -(len(body) + 3)
        body = begin + body
        assert len(body) < 512 * SECTORS - 4
        self.sectors = (
            LOADER.ljust(510, b"\0") + b"\x55\xaa" + (body + b"\xe9" + _word(back & 0xFFFF))
        ).ljust(512 * (1 + SECTORS), b"\0")

    def _step(self) -> bytes:
        weights = [10, 6, 8, 12, 2, 16, 10, 3, 0, 5]
        if not self.is_short:
            weights = [30, 12, 14, 12, 6, 5, 8, 3, 2, 10]
        kinds = [
            self._out, self._out_word, self._in, self._colours, self._colour_string, self._wait,
            self._memory, self._delay, self._mode, self._attribute,
        ]  # fmt: skip
        code = self.random.choices(kinds, weights)[0]()
        return code + TIME_STAMP if self.random.random() < 0.3 else code

    def _value(self) -> int:
        r = self.random
        return r.choice((0, 0xFF, r.randrange(256), r.randrange(16)))

    def _port(self) -> int:
        r = self.random
        return r.choice((*INDEXED, *range(0x3C0, 0x3D0), 0x3D4, 0x3DA, 0x3C8, 0x3C9, 0x3CE))

    def _out(self) -> bytes:
        r = self.random
        if r.random() < 0.5:
            port = r.choice((*INDEXED, 0x3CE, 0x3CE))
            index = r.randrange(INDEXED[port] + 1)
            code = b"\xba" + _word(port) + b"\xb0" + bytes((index,)) + b"\xee"
            return code + b"\x42\xb0" + bytes((self._value(),)) + b"\xee"
        return b"\xba" + _word(self._port()) + b"\xb0" + bytes((self._value(),)) + b"\xee"

    def _out_word(self) -> bytes:
        r = self.random
        port = r.choice((*INDEXED, 0x3CE, 0x3C8, 0x3C6)) if r.random() < 0.8 else self._port()
        index = r.randrange(INDEXED.get(port, 255) + 1)
        return b"\xba" + _word(port) + b"\xb8" + bytes((index, self._value())) + b"\xef"

    def _in(self) -> bytes:
        r = self.random
        what = r.choice((b"\xec\xaa", b"\xec\xaa", b"\xed\xab"))
        return b"\xba" + _word(r.choice((self._port(), 0x3DA, 0x3C2, 0x3C9))) + what

    def _colours(self) -> bytes:
        """Some colours, from an entry on."""
        r = self.random
        code = b"\xba\xc8\x03\xb0" + bytes((r.choice((0, 1, r.randrange(256))),)) + b"\xee\x42"
        for _ in range(r.choice((3, 3, 3, 6, 7))):
            code += b"\xb0" + bytes((self._value(),)) + b"\xee"
        return code

    def _colour_string(self) -> bytes:
        """REP OUTSB or OUTSW of the program itself."""
        r = self.random
        code = b"\xb9" + _word(r.choice((3, 48, 768))) + b"\xbe" + _word(0x7C00 + r.randrange(99))
        return code + b"\xba\xc9\x03\xf3\x2e" + r.choice((b"\x6e", b"\x6e", b"\x6e", b"\x6f"))

    def _wait(self) -> bytes:
        return self.random.choice(WORDS)

    def _memory(self) -> bytes:
        """mov [at], value; mov al, [at], and stosb."""
        r = self.random
        at = _word(r.randrange(0x8000))
        return r.choice((b"\xc6\x06" + at + bytes((self._value(),)), b"\xa0" + at + b"\xaa"))

    def _delay(self) -> bytes:
        return b"\xb9" + _word(self.random.choice((3, 100, 2000))) + b"\xe2\xfe"

    def _mode(self) -> bytes:
        """INT 10h, or a DISPI mode on or off."""
        r = self.random
        if r.random() < 0.7:
            return self._bios_mode()
        writes = r.choice((((4, 0), (1, 640), (2, 400), (3, 8), (4, 0x41)), ((4, 0),)))
        code = b""
        for index, value in writes:
            code += b"\xba\xce\x01\xb8" + _word(index) + b"\xef\x42\xb8" + _word(value) + b"\xef"
        return code

    def _bios_mode(self) -> bytes:
        mode = self.random.choice((0x03, 0x0D, 0x10, 0x12, 0x13, 0x13))
        return b"\xb8" + bytes((mode, 0)) + b"\xcd\x10"

    def _attribute(self) -> bytes:
        r = self.random
        code = b"\xba\xda\x03\xec\xba\xc0\x03"
        for value in (r.choice((r.randrange(0x40), 0x20)), self._value()):
            code += b"\xb0" + bytes((value,)) + b"\xee"
        return code


def played(path: Path, seed: int, frames: int) -> list[str]:
    """The digests of a random program."""
    image = path / f"{seed}.img"
    image.write_bytes(Program(seed).sectors)
    return digests_of(image, frames)


def digests_of(image: Path, frames: int) -> list[str]:
    """A digest of all that can be seen of a program, frame by frame."""
    digests = []
    with Machine(str(image)) as machine:
        pc = machine.pc
        assert pc is not None
        for _ in range(frames):
            machine.tick(1)
            digest = hashlib.sha256(machine.screen.frame.tobytes())
            for _, array in sorted(snapshot.take(machine.vga.parts()).items()):
                digest.update(array.tobytes())
            digest.update(pc.bus.array[:0xA0000].tobytes())
            vga = machine.vga
            told = vga.generation, vga.dac.generation, vga.cursor_generation, pc.clock.now_ns()
            assert isinstance(vga.beam, GuestBeam)
            looks = vga.beam.looks().array().tolist()
            digests.append(f"{told} {looks} {digest.hexdigest()}")
    return digests
