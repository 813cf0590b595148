"""Rows of `int10_table` played by DOSBox: .COM programs make the calls and keep what they leave.

``python int10_dosbox.py`` prints what DOSBox leaves where it is not what the table says.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from int10_run import ANYTHING, REGISTERS, given, in_memory, kept_bits, place, words
from int10_table import Row, rows

#: Where a .COM program begins; how long one may be with what it keeps behind it.
ORIGIN, ROOM = 0x100, 0xC000
#: Numbers of 16-bit registers in instructions.
NUMBERS = {"ax": 0, "cx": 1, "dx": 2, "bx": 3, "bp": 5, "si": 6, "di": 7}
PORTS = {"SR": 0x3C4, "GR": 0x3CE}
CONF = """[sdl]
output=surface
[dosbox]
machine=vgaonly
[cpu]
cycles=max
[autoexec]
mount c "{folder}"
c:
{programs}
exit
"""


def _word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _load(register: str, value: int) -> bytes:
    if register in NUMBERS:
        return bytes((0xB8 + NUMBERS[register],)) + _word(value)
    return _load("ax", value) + (b"\x8e\xd8" if register == "ds" else b"\x8e\xc0")


class Program:
    """One .COM: code, and where it keeps what."""

    def __init__(self) -> None:
        self.code = bytearray()
        #: Bytes kept so far.
        self.kept = 0

    def _keep_al(self) -> None:
        self.code += b"\x2e\xa2" + _word(ORIGIN + ROOM + self.kept)  # mov [cs:...], al
        self.kept += 1

    def _put(self, at: int, data: bytes) -> None:
        self.code += _load("es", at >> 4)
        for i, value in enumerate(data):
            self.code += b"\x26\xc6\x06" + _word((at & 15) + i) + bytes((value,))

    def step(self, text: str) -> None:
        """`int10_run.play`."""
        for name, digits in words(text):
            if ":" in name:
                self._put(place(name), in_memory(digits))
        registers = given(text)
        if registers:
            for name in ("es", "ds", *(n for n in REGISTERS if n in NUMBERS and n != "ax"), "ax"):
                self.code += _load(name, registers[name])
            self.code += b"\xcd\x10"

    def keep_registers(self) -> None:
        """In the order of `REGISTERS`."""
        for name in REGISTERS:
            at = _word(ORIGIN + ROOM + self.kept)
            if name in NUMBERS:
                self.code += bytes((0x2E, 0x89, NUMBERS[name] << 3 | 6)) + at
            else:
                self.code += bytes((0x2E, 0x8C, 0x1E if name == "ds" else 0x06)) + at
            self.kept += 2

    def _crtc(self, offset: int) -> None:
        """DX: a port from the CRTC's on, which the data area names."""
        self.code += _load("es", 0x40) + b"\x26\x8b\x16\x63\x00\x83\xc2" + bytes((offset,))

    def _write(self, port: int, *values: int) -> None:
        self.code += _load("dx", port)
        for value in values:
            self.code += bytes((0xB0, value, 0xEE, 0x42))  # mov al; out dx, al; inc dx

    def keep(self, name: str, digits: str) -> None:
        """A byte or more of what a row expects."""
        bank, count = name[:2], len(digits.replace(":", "")) // 2
        if name.startswith("P") and name[2] == ":":
            for port, index, value in (
                (0x3C4, 4, 6), (0x3CE, 4, int(name[1])), (0x3CE, 5, 0), (0x3CE, 6, 5),
            ):  # fmt: skip
                self._write(port, index, value)
            self._keep_memory(0xA0000 + int(name[3:], 16), count)
        elif ":" in name:
            self._keep_memory(place(name), count)
        elif name.startswith("INT"):
            self._keep_memory(4 * int(name[3:], 16), 4)
        elif name in ("MISC", "MASK"):
            self.code += _load("dx", 0x3CC if name == "MISC" else 0x3C6) + b"\xec"
            self._keep_al()
        elif name.startswith("DAC"):
            self._write(0x3C7, int(name[3:], 16))
            self.code += _load("dx", 0x3C9)
            for _ in range(3):
                self.code += b"\xec"
                self._keep_al()
        elif bank == "AR":
            self._crtc(6)
            self.code += b"\xec"
            self._write(0x3C0, int(name[2:], 16) | 0x20)
            self.code += b"\xec"
            self._keep_al()
            self._crtc(6)
            self.code += b"\xec"
        else:
            if bank == "CR":
                self._crtc(0)
            else:
                self.code += _load("dx", PORTS[bank])
            self.code += bytes((0xB0, int(name[2:], 16), 0xEE, 0x42, 0xEC))
            self._keep_al()

    def _keep_memory(self, at: int, count: int) -> None:
        for i in range(count):
            self.code += _load("es", at + i >> 4) + b"\x26\xa0" + _word(at + i & 15)
            self._keep_al()

    def save(self, path: Path, result: str) -> None:
        """Write it; it writes what it kept to a file of that name."""
        name_at = ORIGIN + ROOM - 0x20
        end = b"\x0e\x1f\xb4\x3c\x31\xc9" + _load("dx", name_at) + b"\xcd\x21\x89\xc3"
        end += b"\xb4\x40" + _load("cx", self.kept) + _load("dx", ORIGIN + ROOM) + b"\xcd\x21"
        end += b"\xb8\x03\x00\xcd\x10\xb8\x00\x4c\xcd\x21"
        code = (bytes(self.code) + end).ljust(ROOM - 0x20, b"\0") + result.encode() + b"\0"
        if len(self.code) + len(end) > ROOM - 0x20:
            raise ValueError("a program is too long")
        path.write_bytes(code)


def _looked_at(row: Row) -> list[tuple[str, str]]:
    """What is kept of a row beside registers; planes last, for which the windows are moved."""
    seen = [
        (name, digits)
        for name, digits in words(row.after)
        if len(name) > 2
        and digits != ANYTHING
        and not name.startswith("FONT")
        # What characters of text are drawn from is not in plane 2 there.
        and not (name.startswith("P2:") and row.function == "11h")
    ]
    return sorted(seen, key=lambda word: word[0][0] == "P")


def _add(program: Program, row: Row) -> None:
    # As it is at power on.
    program.step("40:87=60 40:88=F9 40:89=51")
    for step in ["AX=0003", *row.before.split(";"), *row.call.split(";")]:
        program.step(step)
    program.keep_registers()
    for name, digits in _looked_at(row):
        program.keep(name, digits)


def _found(row: Row, data: bytes) -> list[str]:
    """`int10_run.differences`, of what a program has kept of a row."""
    after = {
        name: int.from_bytes(data[2 * i : 2 * i + 2], "little") for i, name in enumerate(REGISTERS)
    }
    at, wrong, expected = 2 * len(REGISTERS), [], dict(words(row.after))
    for name, digits in expected.items():
        if len(name) == 2 and digits != ANYTHING:
            full = after.get(name.lower(), after.get(name[0].lower() + "x", 0))
            real = (
                f"{full:04X}" if len(digits) == 4 else f"{full >> 8 * (name[1] == 'H') & 255:02X}"
            )
            wrong += [f"{name}={real}"] * (real != digits)
    for name, digits in _looked_at(row):
        count = len(digits.replace(":", "")) // 2
        value = data[at : at + count]
        at += count
        real = (value[::-1] if ":" in name and name[0] != "P" and count == 2 else value).hex()
        if name.startswith("INT"):
            real = f"{value[3]:02X}{value[2]:02X}:{value[1]:02X}{value[0]:02X}"
        wrong += [f"{name}={real.upper()}"] * (real.upper() != digits)
    before, kept = given(row.call.split(";")[-1]), kept_bits(row.after)
    return wrong + [
        f"{name.upper()}={after[name]:04X}"
        for name, old in before.items()
        if (old ^ after[name]) & kept[name]
    ]


def play_all(facts: Iterable[Row]) -> list[list[str]]:
    """What DOSBox leaves otherwise, a list a row; of VBE it has nothing here."""
    programs, sizes = [Program()], []
    for row in facts:
        if len(programs[-1].code) > ROOM - 0x1800:
            programs.append(Program())
        start = programs[-1].kept
        _add(programs[-1], row)
        sizes.append((len(programs) - 1, start, programs[-1].kept))
    with TemporaryDirectory() as folder:
        for i, program in enumerate(programs):
            program.save(Path(folder, f"P{i}.COM"), f"R{i}.BIN")
        conf = Path(folder, "dosbox.conf")
        conf.write_text(
            CONF.format(folder=folder, programs="\n".join(f"P{i}" for i in range(len(programs))))
        )
        environment = os.environ | {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
        subprocess.run(
            ["dosbox", "-conf", str(conf), "-noconsole"], env=environment, timeout=120, check=True,
            capture_output=True,
        )  # fmt: skip
        kept = [Path(folder, f"R{i}.BIN").read_bytes() for i in range(len(programs))]
    return [
        _found(row, kept[number][start:end])
        for row, (number, start, end) in zip(facts, sizes, strict=True)
    ]


if __name__ == "__main__":
    table = rows()
    for played, otherwise in zip(table, play_all(table), strict=True):
        if otherwise:
            print(played.function, played.about, *otherwise)
