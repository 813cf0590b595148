"""QEMU's TCG beside vgaemu: how long a boot sector takes there between two marks.

A guest writes `BEGIN` to QEMU's debug port, works, and writes `END`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time

from vgaemu.bench.boot import boot_sector

DEBUG_PORT, BEGIN, END = 0xE9, b"a", b"."
#: Seconds that it may take to boot and work.
SECONDS = 30.0


def mark(what: bytes) -> bytes:
    """Mov al, what; out E9h, al."""
    return b"\xb0" + what + b"\xe6" + bytes((DEBUG_PORT,))


def seconds(code: bytes) -> float | None:
    """From mark to mark of code at 7C00h; None: there is no QEMU, or it does not come through."""
    program = shutil.which("qemu-system-i386")
    if program is None:
        return None
    with boot_sector(code) as disk, subprocess.Popen(
        [program, "-accel", "tcg", "-display", "none", "-net", "none", "-debugcon", "stdio",
         "-drive", f"file={disk},format=raw,if=floppy"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as qemu:  # fmt: skip
        assert qemu.stdout is not None
        watchdog = threading.Timer(SECONDS, qemu.kill)
        watchdog.start()
        try:
            begin = time.perf_counter()
            while (told := os.read(qemu.stdout.fileno(), 1)) not in (END, b""):
                if told == BEGIN:
                    begin = time.perf_counter()
            took = time.perf_counter() - begin
        finally:
            watchdog.cancel()
            qemu.kill()
    return took if told == END else None
