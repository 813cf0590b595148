"""DOSBox beside vgaemu: what it costs a host to run a guest for a second.

DOSBox 0.74 (`machine=vgaonly`, `core=normal`, 30,000 cycles a millisecond: as many instructions as
our guests do in one) draws each scan line in its time, so it is the other one that shows raster
programs. It keeps real time by sleeping; so what its process needs of the CPU while a second passes
says how fast it could be. SDL's dummy driver stands in for a screen: neither side shows a window.
A host that is too slow for it would make it look better than it is: there the figure is close to 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

#: Until a guest has booted, and how long it is watched.
BOOT_S, WATCHED_S = 2.0, 2.0
#: A floppy disk that DOSBox boots from.
DISK_BYTES = 1_474_560
CONFIGURATION = """
[sdl]
output=surface
[dosbox]
machine=vgaonly
[render]
frameskip=0
aspect=false
scaler=none
[cpu]
core=normal
cycles=fixed 30000
[mixer]
nosound=true
[autoexec]
boot {image}
"""


def times_of_real_time(image: str | Path) -> float | None:
    """CPU seconds that DOSBox takes for a second of a disk image's guest; None: it is not here."""
    program, processes = shutil.which("dosbox"), Path("/proc")
    if program is None or not (processes / "self/stat").exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        disk, configuration = Path(folder, "guest.img"), Path(folder, "dosbox.conf")
        disk.write_bytes(Path(image).read_bytes().ljust(DISK_BYTES, b"\0"))
        configuration.write_text(CONFIGURATION.format(image=disk))
        with subprocess.Popen(
            [program, "-conf", configuration, "-noconsole"],
            env=os.environ | {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as dosbox:  # fmt: skip
            try:
                time.sleep(BOOT_S)
                begin_s, used_s = time.monotonic(), _cpu_seconds(processes / str(dosbox.pid))
                time.sleep(WATCHED_S)
                used_s = _cpu_seconds(processes / str(dosbox.pid)) - used_s
                return used_s / (time.monotonic() - begin_s) if dosbox.poll() is None else None
            finally:
                dosbox.kill()


def _cpu_seconds(process: Path) -> float:
    """What a process has used so far: fields 14 and 15 of its line, user and system time."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
