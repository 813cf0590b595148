"""The terminal itself: its modes, and that they are what they were when we leave it.

Raw mode by termios, the alternate screen and what else is switched on by `ENTER`. It is left on
`close`, at the process's end, before it stops (SIGTSTP), and before a signal ends a script that
takes none itself; where `vgaemu.signals` takes them, `close` comes of that. Not on SIGKILL.

What is printed meanwhile, on the same terminal, is kept and comes when it is left. Writing never
waits for a terminal that takes no more: what it does not take is sent first the next time.

Sources: termios(3), ECMA-48, xterm's ctlseqs.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import struct
import sys
import tempfile
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import IO

from vgaemu.errors import TerminalError

try:
    import fcntl
    import termios
except ImportError:
    raise TerminalError("this system has no termios; use --display window") from None

#: Keep the title; then the alternate screen, no wrap at the last column, pastes marked.
KEEP_TITLE, ENTER = b"\x1b[22;2t", b"\x1b[?1049h\x1b[?7l\x1b[?2004h"
#: End a string that was cut off; then all of that back, the cursor's shape too.
LEAVE = b"\x1b\\\x1b[?2004l\x1b[?7h\x1b[0m\x1b[0 q\x1b[?25h\x1b[?1049l\x1b[23;2t"
#: A terminal that takes no more gets so long to take what is left (seconds).
LEAVE_S = 0.5
READ_BYTES = 1 << 16


class Tty:
    """A terminal in raw mode.

    Args:
        in_fd: Where keys come from.
        out_fd: Where the picture goes.

    Raises:
        TerminalError: One of them is no terminal.
    """

    #: Whether it is gone: its window was closed, or the line is dead.
    gone: bool = False
    #: Whether the process was stopped, and the terminal taken anew; whoever looks sets it back.
    has_returned: bool = False

    def __init__(self, in_fd: int = 0, out_fd: int = 1) -> None:
        check_terminals(in_fd, out_fd)
        self._in_fd = in_fd
        self._out_fd, self._ours = _open_again(out_fd)
        self._modes = termios.tcgetattr(in_fd)
        self._unsent = b""
        #: Written before the rest when it is left.
        self.leave_first = b""
        #: Whether the terminal is ours now.
        self.inside = False
        self._closed = False
        self._lock = threading.RLock()
        self._kept: IO[bytes] | None = None
        self._saved: dict[int, int] = {}
        atexit.register(self.leave)
        self.enter()
        _open.append(self)
        _take_signals()

    def enter(self) -> None:
        """Take the terminal."""
        with self._lock:
            if self.inside:
                return
            self.inside = True
            self._keep_prints()
            with suppress(OSError):
                self._set_raw()
            self._unsent = b""
            self.write(KEEP_TITLE + ENTER)

    def leave(self) -> None:
        """Give the terminal back as it was; twice is fine."""
        with self._lock:
            if not self.inside:
                return
            self.inside = False
            self._send_for(LEAVE_S)
            self._unsent = self.leave_first + LEAVE
            self._send_for(LEAVE_S)
            with suppress(OSError, termios.error):
                # Not TCSAFLUSH, which waits for a terminal that takes no more.
                termios.tcsetattr(self._in_fd, termios.TCSANOW, self._modes)
                termios.tcflush(self._in_fd, termios.TCIFLUSH)
            self._print_kept()

    def close(self) -> None:
        """Leave it for good."""
        self.leave()
        self._closed = True
        atexit.unregister(self.leave)
        if self in _open:
            _open.remove(self)
        _leave_signals()
        if self._ours:
            self._ours = False
            os.close(self._out_fd)

    def _set_raw(self) -> None:
        """Each key at once and as it is, none of them a signal."""
        t = termios
        modes = [*self._modes]
        modes[0] &= ~(t.BRKINT | t.ICRNL | t.INLCR | t.IGNCR | t.INPCK | t.ISTRIP | t.IXON)
        modes[1] &= ~t.OPOST
        modes[2] = modes[2] & ~(t.CSIZE | t.PARENB) | t.CS8
        modes[3] &= ~(t.ECHO | t.ICANON | t.IEXTEN | t.ISIG)
        modes[6] = [*modes[6]]
        modes[6][t.VMIN], modes[6][t.VTIME] = 1, 0
        t.tcsetattr(self._in_fd, t.TCSANOW, modes)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        try:
            columns, rows = os.get_terminal_size(self._out_fd)
        except OSError:
            columns = rows = 0
        return rows or 24, columns or 80  # a serial line does not know

    @property
    def cell_pixels(self) -> tuple[int, int] | None:
        """Width and height of a cell, where the terminal says it; a console does not."""
        try:
            size = fcntl.ioctl(self._out_fd, termios.TIOCGWINSZ, bytes(8))
        except OSError:
            return None
        rows, columns, width, height = struct.unpack("4H", size)
        cell = width // max(columns, 1), height // max(rows, 1)
        return None if 0 in cell else cell

    def write(self, data: bytes) -> bool:
        """Send as much as the terminal takes; False: something is left, for the next time."""
        with self._lock:
            if not self.inside:
                return True
            self._unsent += data
            return self._send()

    @property
    def takes_more(self) -> bool:
        """Whether all has been sent; sends what has not."""
        return not self._unsent or self.write(b"")

    def _send(self) -> bool:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._out_fd, self._unsent) :]
        except BlockingIOError:
            return False
        except OSError:  # its window was closed
            self.gone, self._unsent = True, b""
        return True

    def _send_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._send() and (left := until - time.monotonic()) > 0:
            select.select([], [self._out_fd], [], left)

    def read(self) -> bytes:
        """What has been typed and the like; nothing: nobody has."""
        if not self.inside or self.gone:
            return b""
        try:
            ready, _, _ = select.select([self._in_fd], [], [], 0)
            if not ready:
                return b""
            data = os.read(self._in_fd, READ_BYTES)
        except OSError:
            data = b""
        self.gone = not data
        return data

    def await_input(self, seconds: float) -> None:
        """Wait for something to read."""
        with suppress(OSError, ValueError):
            select.select([self._in_fd], [], [], seconds)

    def stop(self) -> None:
        """Stop the process, as Ctrl+Z does a shell's; returns when it goes on."""
        _stop(signal.SIGTSTP, None)

    def come_back(self) -> None:
        """Take the terminal again: the process was stopped, and goes on."""
        with self._lock:
            if self._closed:
                return
            if self.inside:  # it was stopped without a word (SIGSTOP)
                with suppress(OSError):
                    self._set_raw()
                self.write(ENTER)
            self.enter()
            self.has_returned = True

    def _keep_prints(self) -> None:
        """Let what the process prints on this terminal go to a file."""
        where = os.fstat(self._out_fd).st_rdev
        for fd, stream in ((1, sys.stdout), (2, sys.stderr)):
            if not _is_terminal(fd) or os.fstat(fd).st_rdev != where:
                continue
            if self._kept is None:
                self._kept = tempfile.TemporaryFile()  # noqa: SIM115  closed when it is left
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
            self._saved[fd] = os.dup(fd)
            os.dup2(self._kept.fileno(), fd)

    def _print_kept(self) -> None:
        """Let it come now, on what it was meant for."""
        for fd, stream in ((1, sys.stdout), (2, sys.stderr)):
            if fd in self._saved:
                with suppress(OSError, ValueError, AttributeError):
                    stream.flush()
                os.dup2(self._saved[fd], fd)
                os.close(self._saved.pop(fd))
        if self._kept is not None:
            kept, self._kept = self._kept, None
            with kept, suppress(OSError):
                kept.seek(0)
                while data := kept.read(READ_BYTES):
                    os.write(2, data)


#: Terminals in raw mode: more than one only in tests.
_open: list[Tty] = []


def _leave_all() -> None:
    for terminal in _open:
        terminal.leave()


def _end(number: int, frame: FrameType | None) -> None:
    _leave_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _stop(number: int, frame: FrameType | None) -> None:
    _leave_all()
    handler = signal.getsignal(number)
    if _in_main_thread():
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    if _in_main_thread():
        signal.signal(number, handler)
    # Where nobody could let it go on, as in a container, it was not stopped: no SIGCONT comes.
    for terminal in _open:
        if not terminal.inside:
            terminal.come_back()


def _go_on(number: int, frame: FrameType | None) -> None:
    for terminal in _open:
        terminal.come_back()


#: What would leave the terminal as it is, where nobody takes it; the rest is for who stops us.
_HANDLERS = dict.fromkeys(("SIGTERM", "SIGHUP", "SIGQUIT"), _end)
_HANDLERS |= {"SIGTSTP": _stop, "SIGCONT": _go_on}


def _take_signals() -> None:
    if _in_main_thread():
        for name, handler in _HANDLERS.items():
            if signal.getsignal(getattr(signal, name)) == signal.SIG_DFL:
                signal.signal(getattr(signal, name), handler)


def _leave_signals() -> None:
    """Elsewhere than in the main thread they stay ours, and do what they would do without us."""
    if _in_main_thread() and not _open:
        for name, handler in _HANDLERS.items():
            if signal.getsignal(getattr(signal, name)) is handler:
                signal.signal(getattr(signal, name), signal.SIG_DFL)


def _in_main_thread() -> bool:
    """Whether signals may be taken here."""
    return threading.current_thread() is threading.main_thread()


def check_terminals(in_fd: int, out_fd: int) -> None:
    """Find out whether a `Tty` can be made of them.

    Raises:
        TerminalError: One of them is no terminal.
    """
    for fd, name in ((out_fd, "standard output"), (in_fd, "standard input")):
        if not _is_terminal(fd):
            raise TerminalError(f"{name} is no terminal; use --display window, or --headless")


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _open_again(fd: int) -> tuple[int, bool]:
    """The terminal behind `fd`, in a way that never waits; and whether that is ours to close.

    That mode would be everybody's who shares `fd`: the shell's too.
    """
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(os.ttyname(fd), flags), True
    except OSError:  # in a container it may have no name, or be another user's
        return os.dup(fd), True
