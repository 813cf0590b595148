"""Files that a run leaves: whether they can be written, and which one an error is about."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def why_unwritable(path: Path) -> str | None:
    """Why a file cannot be written, or None: asked before a run rather than after."""
    try:
        if path.is_dir():
            return os.strerror(errno.EISDIR)
        if path.exists() and not path.is_file():  # a pipe would wait for its reader
            return None if os.access(path, os.W_OK) else os.strerror(errno.EACCES)
        target = Path(os.path.realpath(path))  # a link may lead to where nothing is yet
        existed = target.exists()
        with target.open("ab"):
            pass
        if not existed:
            target.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return None


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Let an OSError say which file it was about: one of writing does not, by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
