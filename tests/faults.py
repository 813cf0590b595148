"""What faults leave, on several processors: runs worlds of `random_faults` by `faults.asm`.

``python tests/faults.py FIRST COUNT [bochs | qemu | native | kvm]`` tells which seeds leave
something else there than on vgaemu without native code.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias
from unittest.mock import patch

from random_faults import world
from x86_helpers import make_pc

from vgaemu.errors import GuestFault
from vgaemu.pc.cpu.unicorn import UnicornCpu

MONITOR = (Path(__file__).parent / "kernels" / "faults.bin").read_bytes()
#: Where the monitor lies, its state, and cases.
MONITOR_AT, STATE_AT, CASES_AT, CASE_BYTES = 0x20000, 0x2F000, 0x100000, 0x10000
NAMES = (
    "vector", "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eflags", "cs", "ss", "ds",
    "es", "fs", "gs", "cr0", "cr2", "cr3", "tr", "ldt",
)  # fmt: skip
PAGES = tuple(f"page {0x10 + i:02X}" for i in range(16))
_RECORD = struct.Struct("<37I")
QEMU = "qemu-system-i386"
#: At a time: as many as the PC's memory of 16 MiB has room for; of whole worlds, as many as the
#: debug port's text has.
BATCH, WHOLE_BATCH = 128, 8


#: Of a process that is watched, so many looks without a word of it: it is lost.
STILL = 150
#: Runs worlds from a number on: how that ended, if not at their end, and what the monitor told.
Begin: TypeAlias = Callable[[int], tuple[str, bytes]]
#: A command to be started in a folder, and what is typed to it.
Start: TypeAlias = Callable[[Path], tuple[list[str], str]]


class Left(NamedTuple):
    """Of one case: what the handler found, or "triple", "lost"; and the world, if asked for."""

    values: tuple[int, ...]
    end: str = ""
    world: bytes = b""


def records(told: bytes, first: int, whole: bool = False) -> dict[int, Left]:
    """What the monitor told, by the number of the case."""
    found: dict[int, Left] = {}
    at, number = 0, first
    while True:
        # A debugger may have had its say between them.
        places = [told.find(kind + number.to_bytes(4, "little"), at) for kind in (b"T", b"R")]
        if max(places) < 0:
            return found
        if places[1] < 0 or 0 <= places[0] < places[1]:
            found[number] = Left((), "triple")
            at = places[0] + 5
        else:
            at = places[1] + 5 + _RECORD.size
            end = at + (CASE_BYTES if whole else 0)
            if len(told) < end:
                return found
            found[number] = Left(_RECORD.unpack(told[at - _RECORD.size : at]), "", told[at:end])
            at = end
        number += 1


def differences(one: Left, other: Left, but: int = 0) -> list[str]:
    """What two processors left of a case otherwise, `but` for some bits of EFLAGS."""
    if one.end or other.end:
        ends = [left.end or f"vector {left.values[0]}" for left in (one, other)]
        return [] if one.end == other.end else [" ".join(ends)]
    pairs = list(zip(NAMES, one.values, other.values, strict=False))
    pairs += zip(PAGES, one.values[len(NAMES) :], other.values[len(NAMES) :], strict=True)
    if one.world:
        words = (memoryview(left.world).cast("I") for left in (one, other))
        pairs += [
            (f"[{0x10000 + 4 * i:x}]", *pair) for i, pair in enumerate(zip(*words, strict=True))
        ]
    return [
        f"{name} {a:x} {b:x}" for name, a, b in pairs
        if a != b and not (name == "eflags" and not (a ^ b) & ~but)
    ]  # fmt: skip


def memory(worlds: list[bytes], first: int, whole: bool) -> Iterator[tuple[int, bytes]]:
    """Where what lies."""
    yield MONITOR_AT, MONITOR
    yield STATE_AT, struct.pack("<4I", first, 0, len(worlds), whole)
    yield CASES_AT, b"".join(worlds)


#: cli; ds = 0; A20; lgdt; CR0.PE; jmp 8:; segments; jmp to the monitor. GDT and its pointer.
_SECTOR = bytes.fromhex(
    "FA 31 C0 8E D8 66 0F 01 16 50 7C 0F 20 C0 0C 01 0F 22 C0 66 EA 1C 7C 00 00 08 00 90"
    "B8 10 00 00 00 8E D8 8E C0 8E D0 B8 00 00 02 00 FF E0"
).ljust(0x38, b"\0") + struct.pack(
    "<3QHI", 0, 0xCF9B000000FFFF, 0xCF93000000FFFF, 23, 0x7C38
)  # fmt: skip


def by_vgaemu(
    worlds: list[bytes],
    whole: bool = False,
    *,
    is_native: bool | None = None,
    cpu: str = "unicorn",
) -> list[Left]:
    found: list[Left] = []
    size = WHOLE_BATCH if whole else BATCH
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faults.img"
        path.write_bytes(_SECTOR.ljust(510, b"\0") + b"\x55\xaa")
        for at in range(0, len(worlds), size):
            some = worlds[at : at + size]
            begin = partial(_on_vgaemu, path, some, is_native=is_native, cpu=cpu, whole=whole)
            found += _all_of(begin, some, whole)
    return found


def _all_of(begin: Begin, worlds: list[bytes], whole: bool) -> list[Left]:
    """Begin again behind each case that ends a run."""
    found: dict[int, Left] = {}
    while len(found) < len(worlds):
        first = len(found)
        end, told = begin(first)
        found |= records(told, first, whole)
        if len(found) < len(worlds):
            found[len(found)] = Left((), end)
    return [found[i] for i in range(len(worlds))]


def _on_vgaemu(
    path: Path, worlds: list[bytes], first: int, is_native: bool | None, cpu: str, whole: bool
) -> tuple[str, bytes]:
    end = "lost"
    with (
        patch("vgaemu.pc.pc.MOST_HOST_NS", 1 << 60),
        make_pc(path, cpu=cpu, free=cpu == "kvm", vram_pages=64) as pc,
    ):
        if isinstance(pc.cpu, UnicornCpu):
            pc.cpu._slices_in_python = 0 if is_native else -1
        for at, data in memory(worlds, first, whole):
            pc.bus.write(at, data)
        turns, told, still = pc.slices(), 0, 0
        try:
            while next(turns, "ended") != "ended":
                still = still + 1 if len(pc.debug.text) == told else 0
                told = len(pc.debug.text)
                if still > 10 + 30 * (cpu == "kvm"):
                    break
        except GuestFault as fault:
            end = "triple" if "triple fault" in str(fault) else str(fault)
        return end, bytes(pc.debug.text)


#: A firmware that is nothing but the way to the monitor, which lies in memory already.
def firmware() -> bytes:
    code = bytes.fromhex("FA 2E 66 0F 01 16 50 00 0F 20 C0 0C 01 0F 22 C0 66 EA 18 00 0F 00 08 00")
    code += bytes.fromhex("B8 10 00 00 00 8E D8 8E C0 8E D0 B8 00 00 02 00 FF E0")
    code = code.ljust(0x38, b"\0")
    code += struct.pack("<3QHI", 0, 0xCF9B000000FFFF, 0xCF93000000FFFF, 23, 0xF0038)
    return (code.ljust(0xFFF0, b"\0") + bytes.fromhex("EA 00 00 00 F0")).ljust(0x10000, b"\0")


def by_qemu(worlds: list[bytes], whole: bool = False) -> list[Left]:
    def start(folder: Path) -> tuple[list[str], str]:
        return [
            QEMU, "-accel", "tcg", "-display", "none", "-nodefaults", "-m", "16",
            "-object", f"memory-backend-file,id=m,size=16M,mem-path={folder}/ram,share=on",
            "-machine", "pc,memory-backend=m", "-bios", f"{folder}/rom",
            "-debugcon", f"file:{folder}/told",
        ], ""  # fmt: skip

    return _by_process(worlds, whole, start)


def by_bochs(worlds: list[bytes], whole: bool = False) -> list[Left]:
    def start(folder: Path) -> tuple[list[str], str]:
        (folder / "rc").write_text(
            f"romimage: file={folder}/rom\nmegs: 32\n"
            f"optramimage1: file={folder}/low, address=0x20000\n"
            f"optramimage2: file={folder}/cases, address=0x100000\n"
            "port_e9_hack: enabled=1\ndisplay_library: term\nlog: /dev/null\n"
            "cpu: model=p3_katmai, reset_on_triple_fault=1, ips=500000000\n"
            "panic: action=report\nboot: disk\n"
        )
        # Its blocks of 128 KiB lie in the order in which they are touched, the images in their own.
        ends = range(CASES_AT, CASES_AT + BATCH * CASE_BYTES, 0x20000)
        touch = "".join(f"xp /1wx {at:#x}\n" for at in ends)
        keys = touch + "c\n" * (2 * BATCH + 2)
        return ["bochs", "-q", "-f", f"{folder}/rc"], keys

    return _by_process(worlds, whole, start)


def _by_process(worlds: list[bytes], whole: bool, start: Start) -> list[Left]:
    found: list[Left] = []
    for at in range(0, len(worlds), BATCH):
        some = worlds[at : at + BATCH]
        found += _all_of(partial(_on_process, some, start=start, whole=whole), some, whole)
    return found


def _on_process(worlds: list[bytes], first: int, *, start: Start, whole: bool) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rom").write_bytes(firmware())
        ram = bytearray(16 << 20)
        for at, data in memory(worlds, first, whole):
            ram[at : at + len(data)] = data
        (folder / "ram").write_bytes(ram)
        (folder / "low").write_bytes(ram[MONITOR_AT : MONITOR_AT + CASE_BYTES])
        (folder / "cases").write_bytes(b"".join(worlds))
        command, keys = start(folder)
        (folder / "keys").write_text(keys)
        places = (folder / name for name in ("told", "log", "keys"))
        told, log, keys_file = (path.open("ab" if i < 2 else "rb") for i, path in enumerate(places))
        with told, log, keys_file:
            process = subprocess.Popen(command, stdout=told, stderr=log, stdin=keys_file)
            seen, still = 0, 0
            while still < STILL and process.poll() is None:
                time.sleep(0.02)
                now = (folder / "told").read_bytes()
                if now.endswith(b"E") and len(now) == seen:
                    break
                still, seen = (still + 1, seen) if len(now) == seen else (0, len(now))
            process.kill()
            process.wait()
        return "lost", (folder / "told").read_bytes()


def main() -> None:
    first, count, which = int(sys.argv[1]), int(sys.argv[2]), (*sys.argv[3:], "qemu")[0]
    run: dict[str, Callable[[list[bytes], bool], list[Left]]] = {
        "qemu": by_qemu, "bochs": by_bochs, "native": partial(by_vgaemu, is_native=True),
        "kvm": partial(by_vgaemu, cpu="kvm"),
    }  # fmt: skip
    for at in range(first, first + count, BATCH):
        worlds = [world(seed) for seed in range(at, min(at + BATCH, first + count))]
        whole = count == 1  # then words are told
        pairs = zip(by_vgaemu(worlds, whole), run[which](worlds, whole), strict=True)
        for i, pair in enumerate(pairs):
            if found := differences(*pair):
                print(at + i, *found if whole else found[:6], flush=True)


if __name__ == "__main__":
    main()
