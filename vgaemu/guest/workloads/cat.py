"""Print a file on the text console, scrolling: the nearest thing to what the patch measured.

The 2012 kernel patch was measured with VGA and a guest that reads a file.
"""

from __future__ import annotations

from pathlib import Path

from vgaemu.guest.workload import Guest, Slices, WorkloadError

#: Lines printed between two frames when the guest runs in step with them.
LINES_A_SLICE = 1


def workload(guest: Guest, file: str) -> Slices:
    """Print `file` as fast as slices come, once, and end."""
    lines = read_lines(file)
    guest.set_mode(3)
    return _print(guest, lines)


def read_lines(file: str) -> list[str]:
    """The file's lines; bytes that are not UTF-8 are taken as code page 437.

    Raises:
        WorkloadError: It cannot be read, or is empty.
    """
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise WorkloadError(f"{file}: {error.strerror}; name a readable text file") from None
    if not data:
        raise WorkloadError(f"{file}: the file is empty; there is nothing to print")
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return data.decode("cp437").splitlines()


def _print(guest: Guest, lines: list[str]) -> Slices:
    for line in lines:
        guest.text.print(line)
        yield
