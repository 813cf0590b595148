"""Critical errors: INT 24h, and what is asked where no program answers it.

Emulated: errors of drive C:, which is the host's folder: that is gone (not ready), lies where
nothing can be written (write protected), or its host fails. A handler finds what DOS leaves it: AH,
AL, DI, BP:SI, and on the stack the call's registers; it says in AL whether the call is ignored,
made again, fails, or ends the program, or goes back to the program itself. Without one the person
is asked, as by COMMAND.COM. Not emulated: errors of character devices, and of other disks.

Source: MS-DOS Programmer's Reference 5.0 (INT 24h).
"""

from __future__ import annotations

import errno

from vgaemu.pc.bios.calls import WAIT, Calls
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import (
    ANSWER_AT,
    ASKED_AT,
    CRITICAL_ABOUT_AT,
    CRITICAL_CALL_OFFSET,
    CRITICAL_CODE_AT,
    DRIVE_C,
    SEGMENT,
)
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.errors import GENERAL, NOT_READY, PROTECTED, READ_FAULT, WRITE_FAULT

#: What a handler has answered, one more than it says in AL; nothing.
NOTHING, IGNORE, RETRY, ABORT, FAIL = range(5)
#: DI is the error, counted from this one.
FIRST = PROTECTED
#: Bits of AH: a write; in folders, in data; what may be answered: fail and retry, ignore.
WRITES, IN_FOLDERS, IN_DATA, MAY_FAIL_OR_RETRY, MAY_IGNORE = 0x01, 0x04, 0x06, 0x18, 0x20
#: Calls that read and write data, and those that write otherwise; the rest read.
DATA_READS, DATA_WRITES = frozenset((0x14, 0x21, 0x27, 0x3F)), frozenset((0x15, 0x22, 0x28, 0x40))
OTHER_WRITES = frozenset((0x13, 0x16, 0x17, 0x39, 0x3A, 0x3C, 0x41, 0x43, 0x56, 0x5A, 0x5B))
#: Those that can be ignored.
BY_HANDLE = (0x3F, 0x40)
#: A call that is done whatever the host says.
CLOSE = 0x3E
#: What the host says -> the error; a fault is one of reading or of writing.
FAULT = GENERAL
ERRORS = {
    errno.EROFS: PROTECTED, errno.EIO: FAULT, errno.ENXIO: NOT_READY, errno.ENODEV: NOT_READY,
}  # fmt: skip
TEXTS = {
    PROTECTED: "Write protect error", NOT_READY: "Not ready", WRITE_FAULT: "Write fault error",
    READ_FAULT: "Read fault error",
}  # fmt: skip
OTHER_TEXT = "General failure"
#: What may be asked for, by letter, with the bit that allows it.
CHOICES = (("Abort", ABORT, 0), ("Retry", RETRY, 0x10), ("Ignore", IGNORE, 0x20), ("Fail", FAIL, 8))


def critical_of(error: OSError, call: int) -> int | None:
    """The critical error that the host's is, for a call of INT 21h; None: it is none.

    >>> critical_of(OSError(errno.EIO, ""), 0x40), critical_of(OSError(errno.EACCES, ""), 0x40)
    (29, None)
    """
    code = ERRORS.get(error.errno or 0)
    if call == CLOSE:
        return None
    if code == FAULT and call in DATA_READS | DATA_WRITES:
        return READ_FAULT if call in DATA_READS else WRITE_FAULT
    return code


def _about(call: int, code: int) -> int:
    """AX as a handler finds it."""
    in_data = call in DATA_READS | DATA_WRITES
    bits = MAY_FAIL_OR_RETRY | (IN_DATA if in_data else IN_FOLDERS)
    if call in BY_HANDLE:
        bits |= MAY_IGNORE
    if code in (PROTECTED, WRITE_FAULT) or call in DATA_WRITES | OTHER_WRITES:
        bits |= WRITES
    return bits << 8 | DRIVE_C


class Critical:
    """The way to INT 24h and back."""

    def __init__(self, board: Board, calls: Calls, console: Console) -> None:
        self._bus, self._cpu, self._calls, self._console = board.bus, board.cpu, calls, console

    def begin(self, call: int, code: int) -> None:
        """Have the stub's IRET go to INT 24h; the call is made anew, whatever is answered."""
        self._bus.write16(CRITICAL_ABOUT_AT, _about(call, code))
        self._bus.write16(CRITICAL_CODE_AT, code - FIRST)
        self._calls.return_to(CRITICAL_CALL_OFFSET, SEGMENT)

    def take_answer(self) -> int:
        """What INT 24h has answered to the call that is made anew; `NOTHING`: it is a new one."""
        memory = self._bus.memory
        answer = memory[ANSWER_AT]
        if not answer:
            return NOTHING
        self._bus.write8(ANSWER_AT, NOTHING)
        asked = self._bus.read8(CRITICAL_ABOUT_AT + 1)
        if answer in (RETRY, ABORT) or (answer == IGNORE and asked & MAY_IGNORE):
            return answer
        return FAIL

    def ask(self) -> bool | None:
        """INT 24h of no program: AX, which its code has pushed, becomes the answer."""
        asked, code = self._cpu.stack_word(0), FIRST + (self._cpu.di & 0xFF)
        choices = [row for row in CHOICES if not row[2] or asked >> 8 & row[2]]
        if not self._bus.read8(ASKED_AT):
            self._bus.write8(ASKED_AT, 1)
            doing = "writing" if asked >> 8 & WRITES else "reading"
            what = f"{TEXTS.get(code, OTHER_TEXT)} {doing} drive {chr(ord('A') + (asked & 0xFF))}"
            names = ", ".join(name for name, _, _ in choices)
            self._console.type_all(f"\r\n{what}\r\n{names}? ".encode("ascii"))
        answers = {ord(name[0]): answer for name, answer, _ in choices}
        letter = self._console.ask(bytes(answers))
        if letter is None:
            return WAIT
        self._bus.write8(ASKED_AT, 0)
        self._cpu.set_stack_word(0, asked & 0xFF00 | answers[letter] - 1)
        return None
