"""A PC for machine code: CPUs, chips, BIOS and DOS around a `Vga`; imports nothing heavy itself."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

#: Suffixes that are machine code; .py is a workload.
SUFFIXES = frozenset([".img", ".ima", ".bin", ".flp", ".vfd", ".dsk", ".com", ".exe"])


def is_image(name: object) -> bool:
    """Whether a name is a file of machine code, by its suffix."""
    return isinstance(name, str | PathLike) and Path(name).suffix.lower() in SUFFIXES
