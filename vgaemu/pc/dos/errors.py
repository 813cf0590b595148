"""Error codes of INT 21h, in AX with the carry flag, and what 59h says of the last one."""

from __future__ import annotations

import errno

BAD_FUNCTION, NO_FILE, NO_PATH, TOO_MANY, DENIED, BAD_HANDLE, BROKEN_CHAIN = range(1, 8)
NO_MEMORY, BAD_BLOCK, BAD_ENVIRONMENT, BAD_FORMAT, BAD_ACCESS, BAD_DATA = range(8, 14)
BAD_DRIVE = 15
CURRENT_FOLDER, OTHER_DRIVE, NO_MORE_FILES, EXISTS = 16, 17, 18, 80
#: What the host says -> what DOS says; all else is `DENIED`.
HOST_ERRORS = {
    errno.ENOENT: NO_FILE, errno.ENAMETOOLONG: NO_FILE, errno.ENOTDIR: NO_PATH,
    errno.EMFILE: TOO_MANY, errno.ENFILE: TOO_MANY, errno.EEXIST: EXISTS,
    errno.EXDEV: OTHER_DRIVE,
}  # fmt: skip
#: 59h, by error: class, action, locus. Out of what: 1; no authority: 3; the program's fault: 7;
#: not found: 8; bad format: 9. Ask the user: 3; end: 4. Unknown: 1; a disk: 2; memory: 5.
DETAILS = {
    NO_FILE: (8, 3, 2), NO_PATH: (8, 3, 2), TOO_MANY: (1, 4, 1), DENIED: (3, 3, 1),
    BROKEN_CHAIN: (7, 4, 5), NO_MEMORY: (1, 4, 5), BAD_BLOCK: (7, 4, 5), BAD_FORMAT: (9, 3, 1),
    NO_MORE_FILES: (8, 3, 2), EXISTS: (12, 3, 2),
}  # fmt: skip
OTHER_DETAILS = (7, 4, 1)


class DosError(Exception):
    """A call fails with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
