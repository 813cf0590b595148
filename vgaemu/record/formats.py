"""Which formats there are: a row each, by suffix."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from vgaemu.errors import RecordError
from vgaemu.record.encoder import Encoder

#: Suffix -> module of this room and class in it, imported when it is asked for.
FORMATS = {
    ".png": ("apng", "Apng"),
    ".apng": ("apng", "Apng"),
    ".gif": ("gif", "Gif"),
    ".webp": ("webp", "WebP"),
    ".mp4": ("video", "Mp4"),
    ".mkv": ("video", "Mkv"),
}


def encoder_of(path: Path) -> type[Encoder]:
    """Who writes a file.

    Raises:
        RecordError: There is no such format, or what it takes is not installed.
    """
    try:
        module, name = FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise RecordError(f"{path}: no recording ends in that; use one of {known}") from None
    try:
        encoder: type[Encoder] = getattr(import_module(f"{__package__}.{module}"), name)
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise RecordError(f"{path}: needs PyAV: pip install 'vgaemu[video]'") from None
    return encoder
