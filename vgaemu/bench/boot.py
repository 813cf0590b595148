"""Disks and other images for benchmarks: code that is booted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def boot_sector(code: bytes) -> Iterator[str]:
    """The path of a disk that boots some code."""
    with file_of(code.ljust(510, b"\0") + b"\x55\xaa") as image:
        yield image


@contextmanager
def file_of(data: bytes) -> Iterator[str]:
    """The path of a file with it."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        image.write_bytes(data)
        yield str(image)
