"""Error codes of INT 21h, in AX with the carry flag."""

from __future__ import annotations

import errno

BAD_FUNCTION, NO_FILE, NO_PATH, TOO_MANY, DENIED, BAD_HANDLE = 1, 2, 3, 4, 5, 6
NO_MEMORY, BAD_BLOCK, BAD_FORMAT, BAD_ACCESS, NO_MORE_FILES = 8, 9, 11, 12, 18
#: What the host says -> what DOS says; all else is `DENIED`.
HOST_ERRORS = {
    errno.ENOENT: NO_FILE, errno.ENAMETOOLONG: NO_FILE, errno.ENOTDIR: NO_PATH,
    errno.EMFILE: TOO_MANY, errno.ENFILE: TOO_MANY,
}  # fmt: skip


class DosError(Exception):
    """A call fails with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
