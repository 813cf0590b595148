"""Disks for benchmarks: code that is booted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def boot_sector(code: bytes) -> Iterator[str]:
    """The path of a disk that boots some code."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "disk.img"
        image.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa")
        yield str(image)
