"""How programs call INT 21h: DS:DX, file names, AX with the carry flag, error codes.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import errno

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.vga.codepage import to_unicode

BAD_FUNCTION, NO_FILE, NO_PATH, TOO_MANY, DENIED, BAD_HANDLE = 1, 2, 3, 4, 5, 6
NO_MEMORY, BAD_BLOCK, BAD_ACCESS, NO_MORE_FILES = 8, 9, 12, 18
#: What the host says -> what DOS says; all else is `DENIED`.
HOST_ERRORS = {
    errno.ENOENT: NO_FILE, errno.ENAMETOOLONG: NO_FILE, errno.ENOTDIR: NO_PATH,
    errno.EMFILE: TOO_MANY, errno.ENFILE: TOO_MANY,
}  # fmt: skip
MAX_NAME = 128


class DosError(Exception):
    """A call fails with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Caller:
    """The program that is calling."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls

    @property
    def buffer(self) -> int:
        """Guest-physical address of DS:DX."""
        return self._cpu.linear("ds", "dx")

    def name(self) -> str:
        """The file name at DS:DX, up to its zero byte.

        Raises:
            DosError: It has control characters.
        """
        raw = self._bus.read(self.buffer, MAX_NAME).partition(b"\0")[0]
        if raw and min(raw) < 0x20:
            raise DosError(NO_PATH)
        return to_unicode(raw)

    def succeed(self, ax: int | None = None) -> None:
        """Clear the caller's carry flag; AX is what it asked for, if it gets a number."""
        if ax is not None:
            self._cpu.ax = ax
        self._calls.carry(False)

    def fail(self, code: int) -> None:
        """Set the caller's carry flag; AX says why."""
        self._cpu.ax = code
        self._calls.carry(True)
