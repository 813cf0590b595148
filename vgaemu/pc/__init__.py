"""A PC for machine code: CPUs, chips, BIOS and DOS around a `Vga`; imports nothing heavy itself."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

#: Suffixes that are machine code, whatever is in the file; .py is a workload.
SUFFIXES = frozenset(
    [".img", ".ima", ".bin", ".flp", ".vfd", ".dsk", ".iso", ".com", ".exe", ".elf"]
)


def is_image(name: object) -> bool:
    """Whether a name is a file of machine code: by its suffix, or by what is in the file."""
    if not isinstance(name, str | PathLike):
        return False
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES or suffix == ".py":
        return suffix != ".py"
    from vgaemu.pc.formats import is_told  # it brings what images are made of

    return is_told(path)
