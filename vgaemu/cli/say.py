"""What the command says: results on standard output, one line on stderr for what went wrong.

Imports nothing that takes time: `vgaemu --version` comes through here.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

# Type checkers know the name; importing `typing` for it would be most of `vgaemu --version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class UsageError(Exception):
    """Wrong usage or input: each argument is one line to print."""


class OutputError(Exception):
    """Standard output takes no more: the message says why."""


class GuestFailedError(Exception):
    """The guest raised; its own traceback has been printed."""


def say(text: str) -> None:
    """Print at once; a reader who has gone, such as `head`, ends the output and nothing else.

    Raises:
        OutputError: The disk is full, or the like; what comes later is not printed either.
    """
    try:
        try:
            print(text, flush=True)
        except UnicodeEncodeError as error:  # a file's name has what the encoding has not
            known = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
            print(known, flush=True)
    except BrokenPipeError:
        forget_output()
    except OSError as error:
        forget_output()
        raise OutputError(error.strerror or str(error)) from None


def forget_output() -> None:
    """Nothing is left to flush at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def hold_standard_streams() -> None:
    """Let no file that is opened later take the place of a standard stream that is closed.

    Libraries in C write there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one


def flushed(status: int) -> int:
    """The exit status, unless standard output does not take what is left."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        forget_output()
    except OSError as error:
        forget_output()
        complain(f"standard output: {error.strerror}")
        return 1
    return status


def complain(text: str) -> None:
    """One line on stderr, whatever characters a file's name has; what becomes of it is all one."""
    write_error(f"vgaemu: {one_line(text)}\n")


def write_error(text: str) -> None:
    """Print on stderr, if it takes anything: nothing that is still to be done depends on it."""
    if sys.stderr is None:
        return
    try:
        print(text, end="", flush=True, file=sys.stderr)
    except OSError:
        return


def one_line(text: str) -> str:
    r"""Line ends and other control characters as Python writes them.

    >>> one_line("a\nb\x1b")
    'a\\nb\\x1b'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def progress(total: int | None) -> Callable[[int], None] | None:
    """Frames so far on a terminal's stderr, ten times a second; nothing where it is no terminal.

    Returns:
        What takes the number of frames, and -1 to wipe the line.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    last = monotonic()
    width = 0

    def show(frames: int) -> None:
        nonlocal last, width
        if frames < 0:
            if width:
                write_error("\r" + " " * width + "\r")
            return
        if monotonic() - last < 0.1:
            return
        last = monotonic()
        line = f"{frames} of {total} frames" if total else f"{frames} frames"
        width = len(line)
        write_error("\r" + line)

    return show
