"""QEMU's TCG beside vgaemu: how long a boot sector takes there between two marks.

A guest writes `BEGIN` to QEMU's debug port, works, and writes `END`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from typing import NamedTuple

from vgaemu.bench.boot import boot_sector

DEBUG_PORT, BEGIN, END = 0xE9, b"a", b"."
#: Seconds that it may take to boot and work.
SECONDS = 30.0


def mark(what: bytes) -> bytes:
    """Mov al, what; out E9h, al."""
    return b"\xb0" + what + b"\xe6" + bytes((DEBUG_PORT,))


class Times(NamedTuple):
    """When QEMU was started, and when its guest wrote the marks (without `BEGIN`: the start)."""

    start: float
    begin: float
    end: float


def floppy(disk: str) -> tuple[str, ...]:
    """QEMU's options that boot it."""
    return ("-drive", f"file={disk},format=raw,if=floppy")


def seconds(code: bytes) -> float | None:
    """From mark to mark of code at 7C00h; None: there is no QEMU, or it does not come through."""
    with boot_sector(code) as disk:
        took = times(*floppy(disk))
    return None if took is None else took.end - took.begin


def times(*options: str) -> Times | None:
    """When a guest of these options writes its marks; None: as with `seconds`."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        return None
    start = begin = time.perf_counter()
    with subprocess.Popen(
        [program, "-accel", "tcg", "-display", "none", "-net", "none", "-debugcon", "stdio",
         *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as qemu:  # fmt: skip
        assert qemu.stdout is not None
        watchdog = threading.Timer(SECONDS, qemu.kill)
        watchdog.start()
        try:
            while (told := os.read(qemu.stdout.fileno(), 1)) not in (END, b""):
                if told == BEGIN:
                    begin = time.perf_counter()
            end = time.perf_counter()
        finally:
            watchdog.cancel()
            qemu.kill()
    return Times(start, begin, end) if told == END else None
