"""Where the fonts, pictures and machine-code guests that come with vgaemu are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def asset(name: str) -> Path:
    """Path of a file in `assets/`, in an installed wheel and in a checkout alike.

    Raises:
        FileNotFoundError: There is no such asset.
    """
    return _found("assets", name)


def guests() -> Path:
    """The folder of the bundled guests in machine code, and of their sources.

    Raises:
        FileNotFoundError: There is none.
    """
    return _found("examples", "guests")


def _found(folder: str, name: str) -> Path:
    package = Path(str(files("vgaemu")))
    for place in (package, package.parent):
        if (place / folder / name).exists():
            return place / folder / name
    raise FileNotFoundError(f"vgaemu has no {folder}/{name}: the installation is incomplete")
