"""Error codes of INT 21h: in AX with the carry flag, and what 59h says of the last one.

Emulated: the codes that each call knew when it was made, which are all that it says; 59h's class,
action and locus. Source: MS-DOS Programmer's Reference 5.0 (59h, and each call's errors);
microsoft/MS-DOS, v4.0/src/DOS/MS_TABLE.ASM, which has what AX says by call.
"""

from __future__ import annotations

import errno

BAD_FUNCTION, NO_FILE, NO_PATH, TOO_MANY, DENIED, BAD_HANDLE, BROKEN_CHAIN = range(1, 8)
NO_MEMORY, BAD_BLOCK, BAD_ENVIRONMENT, BAD_FORMAT, BAD_ACCESS, BAD_DATA = range(8, 14)
BAD_DRIVE = 15
CURRENT_FOLDER, OTHER_DRIVE, NO_MORE_FILES, EXISTS = 16, 17, 18, 80
#: What INT 24h is told as 0, 2, 10, 11 and 12; that it was answered by "fail".
PROTECTED, NOT_READY, WRITE_FAULT, READ_FAULT, GENERAL = 19, 21, 29, 30, 31
FAILED_CRITICAL = 83
#: What the host says -> what DOS says; all else is `DENIED`.
HOST_ERRORS = {
    errno.ENOENT: NO_FILE, errno.ENAMETOOLONG: NO_FILE, errno.ENOTDIR: NO_PATH,
    errno.EMFILE: TOO_MANY, errno.ENFILE: TOO_MANY, errno.EEXIST: EXISTS,
    errno.EXDEV: OTHER_DRIVE,
}  # fmt: skip
#: Class, action and locus of 59h.
OUT_OF, NO_AUTHORITY, HARDWARE, PROGRAM, NOT_FOUND, BAD_KIND, MEDIUM, ALREADY, ANY = (
    1, 3, 5, 7, 8, 9, 11, 12, 13,
)  # fmt: skip
ASK, END, END_AT_ONCE, ASK_AND_RETRY = 3, 4, 5, 7
UNKNOWN, DISK, MEMORY = 1, 2, 5
DETAILS = {
    NO_FILE: (NOT_FOUND, ASK, DISK), NO_PATH: (NOT_FOUND, ASK, DISK),
    TOO_MANY: (OUT_OF, END, UNKNOWN), DENIED: (NO_AUTHORITY, ASK, UNKNOWN),
    BROKEN_CHAIN: (PROGRAM, END_AT_ONCE, MEMORY), NO_MEMORY: (OUT_OF, END, MEMORY),
    BAD_BLOCK: (PROGRAM, END, MEMORY), BAD_ENVIRONMENT: (PROGRAM, END, MEMORY),
    BAD_FORMAT: (BAD_KIND, ASK, UNKNOWN), BAD_DATA: (BAD_KIND, END, UNKNOWN),
    BAD_DRIVE: (NOT_FOUND, ASK, DISK), CURRENT_FOLDER: (NO_AUTHORITY, ASK, DISK),
    OTHER_DRIVE: (ANY, ASK, DISK), NO_MORE_FILES: (NOT_FOUND, ASK, DISK),
    EXISTS: (ALREADY, ASK, DISK), PROTECTED: (MEDIUM, ASK_AND_RETRY, DISK),
    NOT_READY: (HARDWARE, ASK_AND_RETRY, DISK), WRITE_FAULT: (HARDWARE, END, DISK),
    READ_FAULT: (HARDWARE, END, DISK), GENERAL: (ANY, END, DISK),
    FAILED_CRITICAL: (ANY, END, UNKNOWN),
}  # fmt: skip
OTHER_DETAILS = (PROGRAM, END, UNKNOWN)
#: What a call says in AX; all else is the last of them there, and only 59h tells it. Calls that
#: are not here say it as it is.
SAID = {
    0x38: (BAD_FUNCTION, NO_FILE),
    0x39: (NO_PATH, NO_FILE, DENIED),
    0x3A: (CURRENT_FOLDER, NO_PATH, NO_FILE, DENIED),
    0x3B: (NO_FILE, NO_PATH),
    0x3C: (NO_PATH, NO_FILE, TOO_MANY, DENIED),
    0x3D: (NO_PATH, NO_FILE, BAD_ACCESS, TOO_MANY, DENIED),
    0x3E: (BAD_HANDLE,),
    0x3F: (BAD_HANDLE, DENIED),
    0x40: (BAD_HANDLE, DENIED),
    0x41: (NO_PATH, NO_FILE, DENIED),
    0x42: (BAD_HANDLE, BAD_FUNCTION),
    0x43: (NO_PATH, NO_FILE, BAD_FUNCTION, DENIED),
    0x44: (BAD_DRIVE, BAD_DATA, BAD_FUNCTION, BAD_HANDLE, DENIED),
    0x45: (BAD_HANDLE, TOO_MANY),
    0x46: (BAD_HANDLE, TOO_MANY),
    0x47: (BAD_DRIVE,),
    0x48: (BROKEN_CHAIN, NO_MEMORY),
    0x49: (BROKEN_CHAIN, BAD_BLOCK),
    0x4A: (BROKEN_CHAIN, BAD_BLOCK, NO_MEMORY),
    0x4B: (
        NO_PATH, BAD_FUNCTION, NO_FILE, TOO_MANY, BAD_FORMAT, BAD_ENVIRONMENT, NO_MEMORY, DENIED,
    ),
    0x4E: (NO_PATH, NO_FILE, NO_MORE_FILES),
    0x4F: (NO_MORE_FILES,),
    0x56: (OTHER_DRIVE, NO_PATH, NO_FILE, CURRENT_FOLDER, DENIED),
    0x57: (BAD_HANDLE, NO_MEMORY, BAD_DATA, BAD_FUNCTION),
    0x58: (BAD_FUNCTION,),
    0x5A: (NO_PATH, NO_FILE, TOO_MANY, DENIED),
    0x5B: (EXISTS, NO_PATH, NO_FILE, TOO_MANY, DENIED),
    0x65: (BAD_FUNCTION, NO_FILE),
    0x66: (BAD_FUNCTION, NO_FILE),
    0x67: (TOO_MANY, NO_MEMORY, BAD_FUNCTION),
    0x68: (BAD_HANDLE,),
    0x6C: (
        NO_PATH, NO_FILE, BAD_ACCESS, TOO_MANY, EXISTS, NO_MEMORY, BAD_DATA, BAD_FUNCTION, DENIED,
    ),
}  # fmt: skip


def said(call: int, code: int) -> int:
    """What AX is where a call fails with an error.

    >>> said(0x3D, NO_FILE), said(0x3D, PROTECTED), said(0x60, PROTECTED)
    (2, 5, 19)
    """
    among = SAID.get(call)
    return code if among is None or code in among else among[-1]


class CallError(Exception):
    """A call fails with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class DosError(CallError):
    """The same of INT 21h and its kin, with a code from above."""
