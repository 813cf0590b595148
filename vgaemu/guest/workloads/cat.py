"""Print a file on the text console, scrolling: the nearest thing to what the patch measured.

The 2012 kernel patch was measured with VGA and a guest that reads a file.
"""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE

from vgaemu.errors import WorkloadError
from vgaemu.guest.workload import Guest, Slices, read_file

COLUMNS = 80
#: Largest file: it is kept in memory.
MAX_BYTES = 64 << 20


def workload(guest: Guest, file: str) -> Slices:
    """Print `file` as fast as slices come, once, and end."""
    return _print(guest, read_lines(file))


def read_lines(file: str) -> list[str]:
    """The file's lines; bytes that are not UTF-8, nor marked as UTF-16, are of code page 437.

    Raises:
        WorkloadError: It cannot be read, or is empty.
    """
    data = read_file(file, "readable text file", MAX_BYTES)
    if not data:
        raise WorkloadError(f"{file}: the file is empty; there is nothing to print")
    try:
        if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return data.decode("utf-16").splitlines()
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return data.decode("cp437").splitlines()


def _print(guest: Guest, lines: list[str]) -> Slices:
    guest.set_mode(3)
    for line in lines:
        # A line that is wrapped is as many frames as rows.
        while len(line) > COLUMNS:
            guest.text.print(line[:COLUMNS], end="")
            line = line[COLUMNS:]
            yield
        guest.text.print(line)
        yield
