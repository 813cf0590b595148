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
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

#: Those that there are on this system; all want the same.
STOPS = tuple(s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"))
#: Another one counts only so long after the first (seconds).
AGAIN_S = 1.0
#: So long a single one waits for a guest's frame, which takes far less unless it hangs (seconds).
FRAME_HANGS_S = 2.0
#: A `__del__` or an import, in which one is lost, may be over after this (seconds).
LOST_S = 0.01

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
        self._waiting = waiting = number, frame
        if self._hangs_s is not None:
            _send_later(self._hangs_s, number, lambda: self._waiting is waiting)

    def lost(self, number: int) -> None:
        """What is raised now, or was, comes to nobody; so it comes again."""
        self._heeded = -AGAIN_S
        _send_later(LOST_S, number, lambda: True)

    def enter(self, hangs_s: float | None) -> None:
        """What comes from now on waits."""
        self._depth += 1
        self._hangs_s = hangs_s

    def leave(self) -> None:
        """Out of the last of them, pass on what has come."""
        self._depth -= 1
        if not self._depth:
            self.come()

    def come(self) -> None:
        """Pass on what has come."""
        if self._waiting is not None:
            (number, frame), self._waiting = self._waiting, None
            self._heeded = time.monotonic()
            self._then[number](number, frame)


def _send_later(seconds: float, number: int, wanted: Callable[[], bool]) -> None:
    """Send ourselves a signal, if it is still wanted then."""

    def send() -> None:
        time.sleep(seconds)
        if wanted():
            _thread.interrupt_main(signal.Signals(number))

    # Not `threading`: a handler may have interrupted who holds its locks.
    with suppress(RuntimeError):
        _thread.start_new_thread(send, ())


#: Who takes the signals of the command that runs; in scripts of one's own, while a machine runs.
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

    importing_since: float | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal importing_since
        now = time.monotonic()
        importing_since = importing_since or now
        if _is_importing(frame) and now - importing_since < FRAME_HANGS_S:
            taker.lost(number)
        else:
            raise Stopped(number)

    plain = signal.SIG_DFL, signal.default_int_handler
    stops = [number for number in STOPS if signal.getsignal(number) in plain]
    outer, taker = _taker, _Taker(dict.fromkeys(stops, stop))

    def ignored(what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, Stopped):
            taker.lost(what.exc_value.number)
        else:
            hook(what)

    before = {number: signal.signal(number, taker.take) for number in stops}
    _taker = taker
    hook, sys.unraisablehook = sys.unraisablehook, ignored
    try:
        yield
    finally:
        taker.enter(None)  # nothing is worth it any more
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if for_good else handler)
        _taker = outer


class _Block:
    """What is not to be interrupted, where somebody takes signals already.

    Generators in its place were a tenth of what an undrawn frame takes.
    """

    __slots__ = ("_hangs_s", "_taker")

    def __init__(self, taker: _Taker, hangs_s: float | None) -> None:
        self._taker, self._hangs_s = taker, hangs_s

    def __enter__(self) -> Callable[[], None]:
        self._taker.enter(self._hangs_s)
        return self._taker.come

    def __exit__(self, *error: object) -> None:
        self._taker.leave()


def stops_wait(*, hangs_s: float | None = None) -> AbstractContextManager[Callable[[], None]]:
    """Let what stops us come after the block; if that hangs, a second one comes at once.

    Yields what lets it come within the block.

    A KeyboardInterrupt raised in a hook that the engine calls may be lost, and the hook's answer
    with it: the guest then fails, or polls a port for ever. After a step the PC can be saved, too.
    In a script all handlers of `STOPS` wait that are functions.

    Args:
        hangs_s: What takes longer hangs: then a single one comes, too.
    """
    if _taker is not None and _in_main_thread():
        return _Block(_taker, hangs_s)
    return _waits_alone(hangs_s)


@contextmanager
def _waits_alone(hangs_s: float | None) -> Iterator[Callable[[], None]]:
    with stops_taken() as taker:
        if taker is None:
            yield lambda: None
        else:
            with _Block(taker, hangs_s) as come:
                yield come


@contextmanager
def stops_taken() -> Iterator[_Taker | None]:
    """Take signals here, and pass them on at once, but in `stops_wait`.

    In a script a frame's `stops_wait` would change handlers, a tenth of an undrawn frame; within
    this, around many frames, it need not. Yields who takes them; off the main thread nobody can.
    """
    global _taker
    if _taker is not None or not _in_main_thread():
        yield _taker if _in_main_thread() else None
        return
    before: dict[int, _Handler] = {
        n: handler for n in STOPS if callable(handler := signal.getsignal(n))
    }
    _taker = taker = _Taker(before)
    for number in before:
        signal.signal(number, taker.take)
    try:
        yield taker
    finally:
        _taker = None
        for number, handler in before.items():
            if signal.getsignal(number) == taker.take:  # else somebody else has it by now
                signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether it is in an import: modules in C make another error of what is raised there."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
