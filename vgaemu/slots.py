"""Slots: ten saved states of what runs, in the user's folder for states, by a number.

A file is ``vgaemu-NAME-SLOT.npz``. NAME is that of the guest; one that is a file has a checksum of
its folder behind it: two projects' `boot.img` have slots of their own, and a file that is built
anew keeps those that it had.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from time import localtime, strftime

from vgaemu.errors import StateError, file_error
from vgaemu.folders import state_folder

#: How many there are, numbered from 0.
SLOTS = 10
#: Characters of a name, so that a file's name is one everywhere.
MAX_NAME = 80


def name_for(guest: object) -> str:
    """What the files of a guest are called: one by name, by path, a function, or none.

    >>> name_for("typing"), name_for(name_for), name_for(None)
    ('typing', 'name_for', 'no_guest')
    >>> name_for("disks/boot.img") == name_for("boot.img")
    False
    """
    if not isinstance(guest, str | os.PathLike):
        return getattr(guest, "__name__", "no_guest")
    path = Path(guest)
    name = "".join(c if c.isalnum() or c in "._" else "_" for c in path.name)[:MAX_NAME]
    if path.name == str(guest) and not path.suffix:
        return name
    return f"{name}-{zlib.crc32(os.fsencode(path.absolute().parent)):08x}"


class Slots:
    """The slots of one guest, one of them chosen.

    Args:
        name: Of `name_for`.
        save: Saves the state into a file.
        load: Goes on from one.
        tell: Says something to the user.
        machine_code: Of a workload in Python only the device is in a state, which is said.
    """

    def __init__(
        self,
        name: str,
        save: Callable[[Path], None],
        load: Callable[[Path], None],
        tell: Callable[[str], None],
        *,
        machine_code: bool,
    ) -> None:
        self._name, self._save, self._load, self._tell = name, save, load, tell
        self._remark = "" if machine_code else "; a Python guest's picture, not its program"
        #: The one that is chosen.
        self.slot = 0

    @property
    def path(self) -> Path:
        """The file of the slot that is chosen."""
        return state_folder() / f"vgaemu-{self._name}-{self.slot}.npz"

    def step(self, by: int) -> None:
        """Choose another one, round and round, and say what is in it."""
        self.slot = (self.slot + by) % SLOTS
        self._tell(f"slot {self.slot}: {self._content()}")

    def save(self) -> None:
        """Save into it, and say so or why not."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._save(self.path)
        except OSError as error:
            self._tell(file_error(error.filename or self.path, error, "no state was saved"))
        except StateError as error:
            self._tell(str(error))
        else:
            self._tell(f"slot {self.slot}: saved{self._remark}")

    def load(self) -> None:
        """Go on from what is in it, and say so or why not."""
        if not self.path.exists():
            self._tell(f"slot {self.slot}: {self._content()}")
            return
        try:
            self._load(self.path)
        except StateError as error:
            self._tell(str(error))
        else:
            self._tell(f"slot {self.slot}: goes on from {self._content()}{self._remark}")

    def _content(self) -> str:
        try:
            saved = self.path.stat().st_mtime
        except OSError:
            return "empty"
        return f"saved {strftime('%Y-%m-%d %H:%M:%S', localtime(saved))}"
