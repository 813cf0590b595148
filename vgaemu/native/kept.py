"""Kept: folders of machine code in the user's cache, one of each version of the sources.

Which are still used is told by the time of their file `READY`, to a day. Whoever finds that a day
old looks for folders of other versions that nobody has used for a month, and removes them. Each
step of that is one of the file system's own, so any number of processes may be at it, and at
loading: who marks a folder as used before it is taken away keeps it, who comes later finds none.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

#: In a folder: all is compiled; a process compiles. That takes no longer than so many seconds.
READY, LOCK, LONGEST_S = "ready", "lock", 180.0
DAY_S = 86_400.0
#: How long a folder is kept that nobody uses: who goes back to an older version in the meantime
#: has it at once.
KEPT_S = 30 * DAY_S
_NAME = re.compile(r"native-[0-9a-f]{16}")
#: Folders on their way out are called so, and their `READY`.
_LEAVING = "leaving-"


def is_ready(folder: Path) -> bool:
    """Whether all is there; it is used from now on, so nobody takes it away."""
    ready = folder / READY
    try:
        if _age_s(ready) > DAY_S:
            os.utime(ready)
    except FileNotFoundError:
        return False
    return True


def is_due(folder: Path) -> bool:
    """Whether `remove_unused` is worth while: once a day, or when a version is new; ask first."""
    try:
        return _age_s(folder / READY) > DAY_S
    except FileNotFoundError:
        return True


def remove_unused(used: Path) -> None:
    """Remove folders beside this one that nobody has used for long; it is no error if one stays."""
    with suppress(OSError):
        for folder in [*used.parent.iterdir()]:
            if folder == used or folder.is_symlink() or not folder.is_dir():
                continue
            if folder.name.startswith(_LEAVING):  # of a process that did not come to its end
                shutil.rmtree(folder, ignore_errors=True)
            elif _NAME.fullmatch(folder.name):
                with suppress(OSError):
                    _remove_if_unused(folder)


def _remove_if_unused(folder: Path) -> None:
    ready, leaving = folder / READY, folder / (_LEAVING + READY)
    if not ready.exists():  # a process that compiles did not come to its end, or is at it
        if _age_s(folder) > KEPT_S:
            _take_away(folder)
        return
    if _age_s(ready) <= KEPT_S:
        return
    ready.rename(leaving)
    try:
        # Who came between the look and here has made it new, and goes on to load from it.
        is_unused = _age_s(leaving) > KEPT_S
        if is_unused:
            _take_away(folder)
    except OSError:
        is_unused = False
    if not is_unused:
        leaving.rename(ready)


def _take_away(folder: Path) -> None:
    away = folder.with_name(_LEAVING + folder.name)
    shutil.rmtree(away, ignore_errors=True)
    folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
