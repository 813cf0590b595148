"""The user's folders: where what is to outlive a program lies, and what can be made anew.

Source: XDG Base Directory Specification; what it says of Windows and macOS is nothing, so there it
is where programs of theirs keep such files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def state_folder() -> Path:
    """Where the user's programs keep what is to outlive them; nothing is made yet."""
    return _folder("XDG_STATE_HOME", Path(".local", "state"), "Application Support")


def cache_folder() -> Path:
    """Where they keep what can be made anew; nothing is made yet."""
    return _folder("XDG_CACHE_HOME", Path(".cache"), "Caches")


def _folder(variable: str, in_home: Path, in_library: str) -> Path:
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / in_library
    else:
        root = Path(os.environ.get(variable, ""))
        if not root.is_absolute():  # the specification has others ignored
            root = Path.home() / in_home
    return root / "vgaemu"
