"""An X server of the benchmark's own, so that a window can be measured on any machine.

It shares one CPU with the benchmark. Presenting ends in a round trip to the server, and waking it
on another CPU, which a virtual machine has to leave to its host, costs 75-300 us; on the same CPU
it is a switch of some 17 us (measured for one text cell). That wait is no renderer's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

#: A common desktop: windows open in the size that suits it.
SCREEN = "1920x1080x24"


@contextmanager
def own_x_server() -> Iterator[bool]:
    """While it lasts, an Xvfb is the display, and this process shares a CPU with it.

    Yields:
        Whether Xvfb is installed; if not, everything is as it was.
    """
    if shutil.which("Xvfb") is None:
        yield False
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-noreset", "-nolisten", "tcp", "-screen", "0", SCREEN],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    environment = dict(os.environ)
    try:
        with os.fdopen(read) as answer:
            number = answer.readline().strip()
        if not number:  # it could not start
            yield False
            return
        os.environ.update(DISPLAY=f":{number}", SDL_VIDEODRIVER="x11")
        with _one_cpu(server.pid):
            yield True
    finally:
        os.environ.clear()
        os.environ.update(environment)
        server.terminate()
        server.wait()


@contextmanager
def _one_cpu(pid: int) -> Iterator[None]:
    """This process and `pid` run on one CPU, where the system can tell them to."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cpus = os.sched_getaffinity(0)
    for process in (0, pid):
        os.sched_setaffinity(process, {max(cpus)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)
