"""Where the fonts and pictures that come with vgaemu are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def asset(name: str) -> Path:
    """Path of a file in `assets/`, in an installed wheel and in a checkout alike.

    Raises:
        FileNotFoundError: There is no such asset.
    """
    package = Path(str(files("vgaemu")))
    for folder in (package / "assets", package.parent / "assets"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"vgaemu has no asset {name!r}: the installation is incomplete")
