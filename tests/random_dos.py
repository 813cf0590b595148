"""Seeded random calls of DOS: any registers, names, keys, data areas, stacks and vectors.

``python random_dos.py FIRST COUNT`` makes so many series of calls from a seed on, and prints the
calls that did most for their time. Each call is checked: it leaves the registers alone that it does
not document, opens nothing outside its folder, and what is open can be saved and opened again.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import fat_disks
from boards import make_board
from work import Functions

from vgaemu import snapshot
from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.board import Board
from vgaemu.pc.clock import NEVER_NS
from vgaemu.pc.cpu.cpu import CARRY, REGISTERS, ZERO
from vgaemu.pc.dos.area import ANSWER_AT, BREAK_OFFSET, POLL_OFFSET, WAIT_OFFSET
from vgaemu.pc.dos.area import SEGMENT as DOS_SEGMENT
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.entries import Opening
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.fat_files import FatFiles
from vgaemu.pc.dos.handle_tables import MAX_FILES
from vgaemu.pc.dos.host_file import HostFile
from vgaemu.pc.images import DiskImage, DosProgram

#: What INT 21h may leave changed, by AH: registers, and "cf" or "zf". Programmer's Reference 5.0.
#: Any call that is not there, or that can fail, answers in AX and with the carry flag.
CHANGED: dict[int, str] = {
    0x00: "", 0x01: "al", 0x02: "al", 0x06: "al zf", 0x07: "al", 0x08: "al", 0x09: "al", 0x0A: "",
    0x0B: "al", 0x0C: "al zf", 0x0D: "", 0x0E: "al", 0x19: "al", 0x1A: "", 0x1B: "al bx cx dx ds",
    0x1C: "al bx cx dx ds", 0x25: "", 0x26: "", 0x29: "al si", 0x2A: "al cx dx",
    0x2B: "al", 0x2C: "cx dx", 0x2D: "al", 0x2E: "", 0x2F: "bx es", 0x30: "ax bx cx", 0x31: "",
    0x33: "bx dx", 0x34: "bx es", 0x35: "bx es", 0x36: "ax bx cx dx", 0x37: "al dl",
    0x38: "ax bx cf", 0x39: "ax cf", 0x3A: "ax cf", 0x3B: "ax cf", 0x3C: "ax cf", 0x3D: "ax cf",
    0x3E: "ax cf", 0x3F: "ax cf", 0x40: "ax cf", 0x41: "ax cf", 0x42: "ax dx cf", 0x43: "ax cx cf",
    0x44: "ax dx cf", 0x45: "ax cf", 0x46: "ax cf", 0x47: "ax cf", 0x48: "ax bx cf", 0x49: "ax cf",
    0x4A: "ax bx cf", 0x4C: "", 0x4D: "ax cf", 0x4E: "ax cf", 0x4F: "ax cf", 0x50: "", 0x51: "bx",
    0x52: "bx es", 0x54: "al", 0x56: "ax cf", 0x57: "ax cx dx cf", 0x58: "ax cf",
    0x59: "ax bx cx", 0x5A: "ax cf", 0x5B: "ax cf", 0x5D: "ax cf", 0x60: "ax cf", 0x62: "bx",
    0x63: "al ds si", 0x65: "ax cx dl cf", 0x66: "ax bx dx cf", 0x67: "ax cf", 0x68: "ax cf",
    0x69: "ax cf", 0x6C: "ax cx cf",
}  # fmt: skip
#: Calls by FCB, which know no carry flag.
CHANGED |= dict.fromkeys((*range(0x0F, 0x18), *range(0x21, 0x25)), "al")
CHANGED |= dict.fromkeys((0x27, 0x28), "al cx")
CHANGED |= dict.fromkeys((0x1F, 0x32), "al bx ds")
#: Calls that write to memory where the caller says, perhaps over its own stack.
WRITES = frozenset(
    (0x0A, 0x0C, *range(0x0F, 0x18), *range(0x21, 0x29), 0x25, 0x26, 0x29, 0x38, 0x3F, 0x44, 0x47,
     0x4E, 0x4F, 0x50, 0x5A, 0x60, 0x65, 0x69)
)  # fmt: skip
#: Bits of 32-bit registers that their parts are.
BITS = {"al": ("eax", 0xFF), "dl": ("edx", 0xFF)} | {
    name: ("e" + name, 0xFFFF) for name in ("ax", "bx", "cx", "dx", "si", "di")
}
#: Vectors that DOS answers, and how often each is called.
VECTORS = (*[0x21] * 40, 0x20, 0x27, 0x29, 0x2F, 0x33)
WORDS = (0, 1, 2, 5, 7, 0x10, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
#: Segments that end in, begin with, or lie behind something else.
PLACES = (0, 0x40, 0x60, 0x192, 0x2000, 0x2000, 0x2000, 0x9FFF, 0xA000, 0xB800, 0xF000, 0xFFFF)
STACKS = ((0, 0x7000), (0, 0), (0, 3), (0x9FFF, 0xE), (0xA000, 0x100), (0xF000, 0xFFFE))
#: What names are made of.
PARTS = (
    "A.TXT", "a.txt", "SUB", "sub", "INNER", "DEEP.TXT", "IN.TXT", "OUT.TXT", "OUTDIR", "SELF",
    "PIPE", "secret.txt", "..", ".", "", "*.*", "?*.t?t", "*", "NUL", "con", "COM7.X", "LPT9", "C:",
    "D:", "A:", ":", "NEW.DAT", "longer than 8.text", "\xe4\xf6", "we:ird", "X", "etc", "passwd",
    "A" * 130, "\xb0\xb1", "\t", "\x01", " ", "ROOT", "outside", "CONIN$", "\xfd", "COM\xfd",
)  # fmt: skip
#: What INT 2Fh may leave changed, by AX.
MULTIPLEX = {0x4300: "al", 0x4310: "bx es", 0x4A01: "bx es di", 0x4A02: "bx es di", 0x1680: "al"}
MULTIPLEX |= {
    0x1200: "al cf",
    0x1202: "bx es cf",
    0x1203: "ds cf",
    0x1205: "cf",
    0x120D: "ax dx cf",
}
MULTIPLEX |= {
    0x1211: "cf",
    0x1212: "cx cf",
    0x1213: "al cf",
    0x1214: "zf cf",
    0x1216: "ax di es cf",
}
MULTIPLEX |= {0x1217: "ax ds si cf", 0x121A: "al si cf", 0x121B: "al cf", 0x121E: "zf cf"}
MULTIPLEX |= {0x1220: "ax di es cf", 0x1221: "ax cf", 0x1225: "cx cf"}
FCB_NAMES = (
    b"A       TXT", b"a       txt", b"???????????", b"NEW     DAT", b"CON        ", b"AUX        ",
    b"NUL     X  ", b"..         ", b"SUB        ", b"           ", b"A/B     C:D", b"\0" * 11,
)  # fmt: skip
#: Calls of a series.
CALLS = 60


class Call(NamedTuple):
    """One call, and what it took."""

    vector: int
    registers: dict[str, int]
    #: Functions called, Python's and C's.
    functions: int
    #: The guest's time that passed, and the host's.
    ns: int
    seconds: float


def make_folders(folder: Path) -> Path:
    """A program's folder, with all that a folder of the host may have in it, and one beside it."""
    root, outside = folder / "root", folder / "outside"
    (root / "sub" / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    for name in ("a.txt", "sub/deep.txt", "sub/inner/a.txt", "we:ird", "longer than 8.text", "nul"):
        (root / name).write_text(name * 100)
    for name in ("\xe4\xf6", "A.TXT", "com7.x", "sub/B.TXT", "back\\slash"):
        (root / name).write_text(name)
    (root / "in.txt").symlink_to(root / "sub" / "deep.txt")
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "outdir").symlink_to(outside)
    (root / "self").symlink_to(root / "self")
    (root / "x").symlink_to(root / "we:ird")
    with suppress(AttributeError):
        os.mkfifo(root / "pipe")
    return root


def make_disks() -> list[DiskImage]:
    """A floppy and a hard disk, both with files."""
    disks = [
        DiskImage(Path("a.img"), bytearray(fat_disks.disk(320, 1, 16)), 40, 1, 8, False),
        DiskImage(Path("d.img"), bytearray(fat_disks.disk(4400, 1, 64)), 5, 16, 63, True),
    ]
    for nth, disk in enumerate(disks):
        files = FatFiles(disk, "AD"[nth], lambda: (0, 0x21))
        for name in ("A.TXT", "SUB/DEEP.TXT", "SUB/INNER/A.TXT", "X"):
            for above in (name[:at] for at, letter in enumerate(name) if letter == "/"):
                with suppress(DosError):
                    files.make_folder(above)
            files.open(name, os.O_RDWR, Opening(create=True)).stream.write(name.encode() * 200)
    return disks


class RandomDos:
    """A board with a program's DOS, and who calls it."""

    def __init__(self, numbers: random.Random, root: Path, *, count: bool = True) -> None:
        self.random = numbers
        self.board: Board = make_board()
        self.bios = Bios(self.board, None)
        self.bios.video.modes.set_mode(numbers.choice((3, 3, 3, 1, 0x12, 0x13)))
        program = DosProgram(Path("p.com"), b"\xc3", ["a"])
        self.disks = make_disks() if numbers.random() < 0.5 else []
        self.dos = Dos(self.board, self.bios, program, root, disks=self.disks)
        self.root = root.resolve()
        #: A program has ended whose parent goes on, with registers of its own: of no such caller.
        self.ended = False
        processes, back = self.dos.processes, self.dos.processes.go_back

        def go_back(*where: int) -> None:
            back(*where)
            self.ended = True

        processes.go_back = go_back  # type: ignore[method-assign]
        self._count = count

    def word(self) -> int:
        r = self.random
        return r.choice(WORDS) if r.random() < 0.6 else r.getrandbits(16)

    def name(self) -> bytes:
        r = self.random
        parts = [r.choice(PARTS) for _ in range(r.choice((1, 1, 1, 2, 2, 3, 12)))]
        name = r.choice(("\\", "\\", "/", "")).join(parts).encode("cp437", "replace")
        return name if r.random() < 0.9 else bytes(r.getrandbits(8) for _ in range(r.randrange(80)))

    def fcb(self) -> bytes:
        """An FCB, with a second name as 17h has it; extended or not, open or not."""
        r = self.random
        names = [r.choice(FCB_NAMES), r.choice(FCB_NAMES)]
        size = struct.pack("<HHI", *(r.choice((0, 0, 1, 16, 128, 0xFFFF)) for _ in range(3)))
        fcb = bytes((r.choice((0, 0, 3, 1, 4, 9)),)) + names[0] + size + bytes(12)
        fcb += bytes((r.choice((0, 1, 127, 255)),)) + r.choice((bytes(4), r.randbytes(4)))
        if r.random() < 0.3:
            fcb = fcb[:17] + names[1] + fcb[28:]
        head = bytes((0xFF, 0, 0, 0, 0, 0, r.choice((0, 8, 0x16))))
        return fcb if r.random() < 0.7 else head + fcb

    def disturb(self, registers: dict[str, int]) -> None:
        """What a program may do before a call."""
        r, bus = self.random, self.board.bus
        at = (registers["ds"] << 4) + (registers["edx"] & 0xFFFF)
        if r.random() < 0.7:
            end = r.choice((b"\0", b"\0", b"\r", b"$", b""))
            bus.write(at, self.name() + end + r.randbytes(r.choice((0, 0, 8))))
        elif r.random() < 0.5:
            bus.write(at, self.fcb())
        elif r.random() < 0.2:
            bus.write(at, r.randbytes(r.choice((1, 64, 600))))
        if r.random() < 0.3:
            for _ in range(r.choice((1, 1, 20))):
                self.bios.keyboard.buffer.put(r.choice((0x1C0D, 0x1E61, 0x2E03, 0, 0x3B00, 0x0E08)))
        if r.random() < 0.1:
            fields = (bda.KEY_HEAD, bda.KEY_TAIL, bda.KEY_BUFFER_START, bda.KEY_BUFFER_END)
            for field in r.sample(fields, r.choice((1, 2, 4))):
                bus.write16(field.address, r.choice((0x1E, 0x3E, 0x21, self.word())))
        if r.random() < 0.03:
            bus.write(0x449, r.randbytes(0x60))
        if r.random() < 0.05:
            vector = r.choice((0x21, 0x23, 0x24, 0x28, 0x1B))
            self.bios.calls.set_vector(vector, self.word(), r.choice(PLACES))
        if r.random() < 0.05:  # where a search, the prefix and DOS itself keep what they know
            bus.write(r.choice((self.dos.search.dta, 0x61F, 0x1820, 0x1920)), r.randbytes(43))
        if self.disks and r.random() < 0.03:  # and what lies on disks
            r.choice(self.disks).write(r.randrange(40), r.randbytes(r.choice((1, 3, 40, 512))))
        bus.write8(ANSWER_AT, 0)  # what INT 24h has answered ends a call, whatever it documents

    def registers(self) -> dict[str, int]:
        r = self.random
        known = r.random() < 0.95
        ah = r.choice(tuple(CHANGED)) if known else r.getrandbits(8)
        al = r.choice((0, 0, 1, 2, 3, 5, 7, 0x0A, 0xFF)) if r.random() < 0.8 else r.getrandbits(8)
        bx = r.choice((*range(21), self.word()))
        found = {"eax": ah << 8 | al, "ebx": bx}
        found |= {name: self.word() for name in ("ecx", "edx", "esi", "edi", "ebp")}
        found = {name: value | r.getrandbits(16) << 16 for name, value in found.items()}
        found |= {name: r.choice(PLACES) for name in ("ds", "es", "fs", "gs")}
        if ah in (0x49, 0x4A) and r.random() < 0.7:
            with suppress(DosError):
                found["es"] = r.choice(self.dos.memory.blocks())[0]
        ss, sp = STACKS[0] if r.random() < 0.8 else r.choice(STACKS)
        if r.random() < 0.05:
            found["eax"] = r.choice(tuple(MULTIPLEX))
        return found | {"ss": ss, "esp": sp, "eflags": r.choice((2, 0x202, 0x8D7))}

    def call(self, vector: int, registers: Mapping[str, int]) -> Call:
        """Call until it is done, at most three slices, and check what it has left."""
        board, calls = self.board, self.bios.calls
        cpu, clock = board.cpu, board.clock
        for name, value in registers.items():
            cpu.set(name, value)
        frame = (0x1234, 0x5678, registers["eflags"])
        calls.set_frame(*frame)
        most = Call(vector, dict(registers), 0, 1, 0.0)
        for _ in range(3):
            calls.new_slice()
            board.run.wake_ns, begin, started = NEVER_NS, clock.now_ns(), time.thread_time()
            cpu.set("eflags", registers["eflags"] & ~CARRY)
            functions = Functions()
            if self._count:
                with functions:
                    calls.call(vector)
            else:
                calls.call(vector)
            ns, seconds = clock.now_ns() - begin, time.thread_time() - started
            part = Call(vector, dict(registers), functions.called, ns, seconds)
            most = max(most, part, key=lambda part: part.seconds)
            self._check(vector, registers, frame, waits=bool(cpu.get("eflags") & CARRY))
            if board.run.ended or not cpu.get("eflags") & CARRY:
                break
        board.run.ended = False
        return most

    def _check(
        self, vector: int, before: Mapping[str, int], frame: tuple[int, ...], *, waits: bool
    ) -> None:
        cpu = self.board.cpu
        if self.ended:
            self.ended = False
            return
        if cpu.get("esp") != before["esp"]:  # the program has an INT 23h or 28h of its own
            assert cpu.get("esp") & 0xFFFF == before["esp"] - 6 & 0xFFFF
            if self.board.bus.is_ram(cpu.linear("ss", "sp", 4)):
                offset, segment, _ = self.bios.calls.frame()
                assert segment == DOS_SEGMENT
                assert offset in (BREAK_OFFSET, WAIT_OFFSET, POLL_OFFSET)
            return
        call = before["eax"] >> 8 & 0xFF
        changed = CHANGED.get(call, "ax cf") if vector == 0x21 and not waits else ""
        if vector == 0x2F:
            changed = MULTIPLEX.get(before["eax"] & 0xFFFF, "")
        if vector == 0x33:
            changed = "ax bx cx dx si di es"
        free = {BITS[name] for name in changed.split() if name in BITS}
        for name in REGISTERS:
            if name in ("cs", "eip", "eflags", "cr0") or name in changed.split():
                continue
            bits = next((mask for register, mask in free if register == name), 0)
            assert (cpu.get(name) ^ before[name]) & ~bits == 0, (name, hex(cpu.get(name)))
        allowed = CARRY * ("cf" in changed) | ZERO * ("zf" in changed)
        if self.board.bus.is_ram(cpu.linear("ss", "sp", 4)) and call not in WRITES:
            ip, cs, flags = self.bios.calls.frame()
            if vector == 0x2F and before["eax"] & 0xFFFF in (0x1211, 0x1221):
                return  # they write where they are told to
            assert (ip, cs, (flags ^ frame[2]) & ~allowed) == (*frame[:2], 0)

    def series(self) -> Iterator[Call]:
        """Calls of one program."""
        for _ in range(CALLS):
            registers = self.registers()
            self.disturb(registers)
            yield self.call(self.random.choice(VECTORS), registers)
        self._check_files()
        self.dos.close()

    def _check_files(self) -> None:
        """What is open lies in the folder, and a state of it can be gone on from."""
        opened = self.dos.handles.opened
        assert len(opened) <= MAX_FILES
        for file in opened.values():
            if isinstance(file.stream, HostFile) and sys.platform == "linux":
                place = Path(os.readlink(f"/proc/self/fd/{file.stream.fd}"))
                assert self.root in place.parents or place == Path(os.devnull), place
        parts = self.dos.parts()
        arrays = snapshot.take(parts)
        assert snapshot.misfit(parts, arrays) is None
        if any(not isinstance(file.stream, HostFile) for file in opened.values()):
            return  # what was written over its disk cannot be opened again
        with self.dos.handles.reopened(snapshot.parsed(arrays["dos.files"])):
            snapshot.restore(parts, arrays)
        again = snapshot.take(parts)
        assert all((again[name] == arrays[name]).all() for name in arrays)


def services(numbers: random.Random, folder: Path) -> str:
    """A campaign's case: a series of calls."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        root = make_folders(Path(place))
        count = sum(1 for _ in RandomDos(numbers, root, count=False).series())
        outside = [path.read_bytes() for path in (Path(place) / "outside").iterdir()]
        assert outside == [b"secret"]
    return f"{count} calls"


def main(first: int, count: int) -> None:
    calls: list[Call] = []
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                calls += RandomDos(
                    random.Random(seed), make_folders(Path(folder)), count=False
                ).series()
            except BaseException:
                print("seed", seed, flush=True)
                raise
    print(f"{len(calls)} calls, {sum(call.seconds for call in calls):.1f} s")
    for title, key in (
        ("longest", lambda call: call.seconds),
        ("most for its time", lambda call: call.seconds / max(call.ns, 1)),
    ):
        print(title)
        for call in sorted(calls, key=key)[-12:]:
            values = {name: f"{value:x}" for name, value in call.registers.items()}
            tick = call.seconds / max(call.ns, 1) * 1e9 / 60
            print(f"{call.seconds * 1e3:7.1f} ms, a tick {tick:.3f} s", hex(call.vector), values)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
