"""QEMU's TCG beside vgaemu: how long what a boot sector does over and over takes there.

A guest writes a mark to QEMU's debug port after each round. Rounds are short, and as many are timed
together as take a while: one boot gives several such times, whose median counts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import closing
from statistics import median

from vgaemu.bench.boot import boot_sector

DEBUG_PORT, MARK = 0xE9, b"."
#: Seconds that a guest may take for all of it.
SECONDS = 30.0
#: What is timed together takes at least so many seconds; and how often that is done.
TOGETHER_S, TIMES = 0.1, 3


def mark() -> bytes:
    """Mov al, '.'; out E9h, al."""
    return b"\xb0" + MARK + b"\xe6" + bytes((DEBUG_PORT,))


def endless(work: bytes, *, flat: bool = False) -> bytes:
    """A mark, work, and from the beginning; 32-bit code if it is `flat`."""
    code = mark() + work + b"\xe9"
    width = 4 if flat else 2
    return code + (-len(code) - width & (1 << 8 * width) - 1).to_bytes(width, "little")


def floppy(disk: str) -> tuple[str, ...]:
    """QEMU's options that boot it."""
    return ("-drive", f"file={disk},format=raw,if=floppy")


def seconds(code: bytes) -> float | None:
    """What a round of `endless` code at 7C00h takes; None: as with `seconds_to_mark`."""
    found: list[float] = []
    with boot_sector(code) as disk, closing(_marks(*floppy(disk))) as marks:
        begin, rounds = next(marks, 0.0), 0
        for now in marks:
            rounds += 1
            if now - begin >= TOGETHER_S:
                found.append((now - begin) / rounds)
                if len(found) == TIMES:
                    return median(found)
                begin, rounds = now, 0
    return None


def seconds_to_mark(*options: str) -> float | None:
    """From QEMU's start to its guest's mark.

    None: there is no QEMU, or the guest does not come through.
    """
    start = time.perf_counter()
    with closing(_marks(*options)) as marks:
        return next((now - start for now in marks), None)


def _marks(*options: str) -> Generator[float]:
    """When a guest writes its marks."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        return
    with subprocess.Popen(
        [program, "-accel", "tcg", "-display", "none", "-net", "none", "-debugcon", "stdio",
         *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as qemu:  # fmt: skip
        assert qemu.stdout is not None
        watchdog = threading.Timer(SECONDS, qemu.kill)
        watchdog.start()
        try:
            while told := os.read(qemu.stdout.fileno(), 1):
                if told == MARK:
                    yield time.perf_counter()
        finally:
            watchdog.cancel()
            qemu.kill()
