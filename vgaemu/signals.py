"""What ends a command: Ctrl-C, SIGTERM, a terminal that closes (SIGHUP), Ctrl-Break on Windows.

Two of them at a time are one, whichever they are: who stops us may pass on what the terminal has
sent us, too, and a session that ends sends several. They wait while they could do harm. The
command then leaves what it was asked for; another one, `AGAIN_S` later, cuts that short.

Not here: SIGQUIT and SIGKILL, for what hangs; a console of Windows that is closed, which ends its
processes before Python hears of it.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

#: Those that there are on this system; all want the same.
STOPS = tuple(s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"))
#: Another one counts only so long after the first (seconds).
AGAIN_S = 1.0
#: So long a single one waits for a step of a guest, which takes far less unless it hangs (seconds).
STEP_HANGS_S = 2.0

_Handler = Callable[[int, FrameType | None], object]


class Stopped(KeyboardInterrupt):
    """One of `STOPS` came; for all who do not ask which, it is Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = signal.Signals(number)


def stopped_by(error: KeyboardInterrupt) -> signal.Signals:
    """Which signal it was."""
    return error.number if isinstance(error, Stopped) else signal.SIGINT


def exit_status(error: KeyboardInterrupt) -> int:
    """What a shell says of a process that the signal has ended.

    >>> exit_status(KeyboardInterrupt()), exit_status(Stopped(signal.SIGTERM))
    (130, 143)
    """
    return 128 + stopped_by(error)


class _Taker:
    """Takes signals, and passes them on to who had them before, one at a time, when it may."""

    def __init__(self, then: Mapping[int, _Handler]) -> None:
        self._then = then
        self._heeded = -AGAIN_S
        #: How many blocks we are in that are not to be interrupted, and for how long at most.
        self._depth = 0
        self._hangs_s: float | None = None
        #: What came in them.
        self._waiting: tuple[int, FrameType | None] | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        now = time.monotonic()
        if now - self._heeded < AGAIN_S:
            return
        self._heeded = now
        if not self._depth or self._waiting is not None:
            self._waiting = None
            self._then[number](number, frame)
            return
        self._waiting = number, frame
        if self._hangs_s is not None:
            # Not `threading`: the block may hold its locks.
            with suppress(RuntimeError):
                _thread.start_new_thread(self._take_again, (self._hangs_s, self._waiting))

    def _take_again(self, seconds: float, waiting: tuple[int, FrameType | None]) -> None:
        """On a thread: what came still waits, so the block hangs."""
        time.sleep(seconds)
        if self._waiting is waiting:
            _thread.interrupt_main(signal.Signals(waiting[0]))

    def enter(self, hangs_s: float | None) -> None:
        """What comes from now on waits."""
        self._depth += 1
        self._hangs_s = hangs_s

    def leave(self) -> None:
        """Pass on what has come."""
        self._depth -= 1
        if self._waiting is not None and not self._depth:
            (number, frame), self._waiting = self._waiting, None
            self._heeded = time.monotonic()
            self._then[number](number, frame)


#: Who takes the signals of the command that runs; in scripts of one's own nobody does.
_taker: _Taker | None = None


@contextmanager
def stops_raise(*, for_good: bool = False) -> Iterator[None]:
    """Raise `Stopped` for what would otherwise just end the process.

    What is ignored stays so: Ctrl-C in a shell's background, SIGHUP under nohup. What has a handler
    of its own keeps it. `for_good`: the process ends after the block, and undisturbed.
    """
    global _taker
    if not _in_main_thread():  # only there signals can be taken
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    plain = signal.SIG_DFL, signal.default_int_handler
    stops = [number for number in STOPS if signal.getsignal(number) in plain]
    outer, taker = _taker, _Taker(dict.fromkeys(stops, stop))
    before = {number: signal.signal(number, taker.take) for number in stops}
    _taker = taker
    try:
        yield
    finally:
        taker.enter(None)  # nothing is worth it any more
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if for_good else handler)
        _taker = outer


@contextmanager
def stops_wait(*, hangs_s: float | None = None) -> Iterator[None]:
    """Let what stops us come after the block; if that hangs, a second one comes at once.

    A KeyboardInterrupt raised in a hook that the engine calls may be lost, and the hook's answer
    with it: the guest then fails, or polls a port for ever. After a step the PC can be saved, too.
    In a script all handlers of `STOPS` wait that are functions.

    Args:
        hangs_s: What takes longer hangs: then a single one comes, too.
    """
    if not _in_main_thread():
        yield
        return
    taker, before = _taker, dict[int, _Handler]()
    if taker is None:
        before = {n: handler for n in STOPS if callable(handler := signal.getsignal(n))}
        taker = _Taker(before)
    taker.enter(hangs_s)
    for number in before:
        signal.signal(number, taker.take)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        taker.leave()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
