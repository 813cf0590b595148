"""Linux reads a file on its VGA console: what `bench vga` measures beside, if there is a kernel.

The patch's own workload: a Linux under Unicorn reads a file a sector a time, to the console as cat
does and to /dev/null as dd does, at the host's full speed on a thread of its own. Its first process
is `reader.asm`'s, from a RAM disk that is made here; nothing else is in it but the file. The log is
read 60 times a second, and nothing is drawn. Keepers take turns within one run.

A 32-bit kernel is needed, which is not part of this project: the one that VGAEMU_LINUX names, or
Debian's in /boot (of its package linux-image-686, say).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from glob import glob
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep

import numpy as np

from vgaemu.bench.measure import Row, no_collector, switching_as_a_machine
from vgaemu.errors import BenchError
from vgaemu.machine import Machine
from vgaemu.memslot import why_unavailable
from vgaemu.pc.build import PcOptions

#: Where a kernel is named, and where one may be found.
KERNEL_VARIABLE, KERNELS = "VGAEMU_LINUX", "/boot/vmlinuz-*-686*"
#: The console is the VGA's; what the kernel would check of itself takes most of its time.
OPTIONS = "console=tty0 quiet cryptomgr.notests"
MEMORY_MIB = 128
#: Guest seconds a second: as fast as it goes.
FULL_SPEED = 1000.0
#: What the reader says it does.
WHAT = {"c": "cat", "d": "dd"}
#: And what that is at first: what was printed before is not in a state.
FIRST = "c"
KEEPERS = ("flags", "words", "srcu")
HZ = 60
#: Reads of a turn; seconds that it may take to boot, and to be measured.
READS, BOOT_S = 60, 600.0
FILE = Path(__file__).with_name("vga.py")
_DIRECTORY, _DEVICE, _PROGRAM, _FILE = 0o40755, 0o20666, 0o100755, 0o100644


def find_kernel() -> Path | None:
    """A Linux of 32 bits, if there is one."""
    named = os.environ.get(KERNEL_VARIABLE) or max(glob(KERNELS), default=None)
    return None if named is None else Path(named)


def cpio(*members: tuple[str, int, bytes, int]) -> bytes:
    """An archive of the form "newc": name, mode, content, device number of 8 bits each."""
    archive = b""
    for name, mode, content, device in (*members, ("TRAILER!!!", 0, b"", 0)):
        numbers = device >> 8, device & 0xFF, len(name) + 1, 0
        fields = 0, mode, 0, 0, 1, 0, len(content), 0, 0, *numbers
        head = "070701" + "".join(f"{field:08X}" for field in fields) + name + "\0"
        archive += head.encode().ljust(-(-len(head) // 4) * 4, b"\0")
        archive += content.ljust(-(-len(content) // 4) * 4, b"\0")
    return archive


def ram_disk() -> bytes:
    """The reader, the file that it reads, and the two devices that it writes to."""
    return cpio(
        ("dev", _DIRECTORY, b"", 0), ("dev/console", _DEVICE, b"", 0x501),
        ("dev/null", _DEVICE, b"", 0x103), ("file", _FILE, FILE.read_bytes(), 0),
        ("init", _PROGRAM, (files("vgaemu.bench") / "reader").read_bytes(), 0),
    )  # fmt: skip


class Reads:
    """What was read of the log with one keeper, while the guest did one thing."""

    def __init__(self) -> None:
        self.taken_ns: list[int] = []
        self.pages: list[int] = []

    def row(self) -> Row:
        """Units in the names."""
        return {
            "reads": len(self.taken_ns),
            "dirty_pages_median": float(np.median(self.pages)),
            "harvest_median_ns": float(np.median(self.taken_ns)),
            "harvest_p99_ns": float(np.percentile(self.taken_ns, 99)),
            "harvest_max_ns": float(max(self.taken_ns)),
        }


def measure(kernel: Path, runs: int) -> list[Row]:
    """A row for each keeper and what the guest does, from `runs` seconds of reading each.

    Raises:
        BenchError: The kernel does not come so far.
        WorkloadError: It is none.
    """
    keepers = [keeper for keeper in KEEPERS if why_unavailable(keeper) is None]
    reads = {(keeper, what): Reads() for what in WHAT.values() for keeper in keepers}
    state = BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder, "initrd")
        initrd.write_bytes(ram_disk())
        options: PcOptions = {"memory": MEMORY_MIB, "initrd": initrd, "append": OPTIONS}
        with Machine(kernel, **options) as machine:  # in step, it is sooner there
            _boot(machine)
            machine.save_state(state)
        state.seek(0)
        options["guest_speed"] = FULL_SPEED
        with Machine(kernel, free=True, **options) as machine:
            machine.load_state(state)
            end = monotonic() + BOOT_S
            with no_collector(), switching_as_a_machine():
                while any(len(one.taken_ns) < READS * runs for one in reads.values()):
                    for keeper in keepers:
                        machine.vram.keep_with(keeper)
                        _read(machine, {what: reads[keeper, what] for what in WHAT.values()})
                    _check(machine, end)
    return [{"keeper": keeper, "linux": what} | one.row() for (keeper, what), one in reads.items()]


def _boot(machine: Machine) -> None:
    """Up to where the reader begins with `FIRST`."""
    end = monotonic() + BOOT_S
    while not machine.debugcon:
        machine.run_frame()
        _check(machine, end)


def _check(machine: Machine, end: float) -> None:
    """Whether it goes on, and in time."""
    if machine.ended or monotonic() > end:
        last = " / ".join(line.strip() for line in machine.screen.text() if line.strip())[-200:]
        raise BenchError(f"bench vga: Linux does not read its file; on its console: {last}")


def _read(machine: Machine, reads: Mapping[str, Reads]) -> None:
    """A second: what the guest does may change within."""
    due = monotonic()
    for _ in range(READS):
        due = max(due + 1 / HZ, monotonic())
        sleep(max(due - monotonic(), 0))
        machine.runner.run_frame()  # nothing is drawn, whose time is not asked for
        begin = perf_counter_ns()
        log = machine.vram.get_dirty_log()
        taken_ns = perf_counter_ns() - begin
        one = reads[WHAT[(machine.debugcon or FIRST)[-1]]]
        one.taken_ns.append(taken_ns)
        one.pages.append(len(log))
