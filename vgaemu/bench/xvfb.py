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


@contextmanager
def own_x_server(desktop: str) -> Iterator[bool]:
    """While it lasts, an Xvfb is the display (``1920x1080``), on a CPU that it shares with us.

    Yields whether it is installed; if not, everything is as it was.
    """
    if shutil.which("Xvfb") is None:
        yield False
        return
    read, write = os.pipe()
    screen = ("-screen", "0", f"{desktop}x24")
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-noreset", "-nolisten", "tcp", *screen],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C is for us
    )
    os.close(write)
    before = {name: os.environ.get(name) for name in ("DISPLAY", "SDL_VIDEODRIVER")}
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
        # No others: when it is imported, the window's module sets what SDL is to read.
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
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
