"""Ctrl-C and SIGTERM: two at a time are one, and both wait while they could do harm.

Both end a run of the command, and let it leave what it was asked for.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

#: What started us may pass on what the terminal has sent us, too: a second Ctrl-C counts only so
#: long after the first.
CTRL_C_AGAIN_S = 1.0

_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Let Ctrl-C come after the block; another one comes at once if the block has hung meanwhile.

    A KeyboardInterrupt raised in a hook that the engine calls may be lost, and the hook's answer
    with it: the guest then fails, or polls a port for ever. After a step the PC can be saved, too.
    SIGTERM waits as well: it has a handler only where somebody wants it to do more than end the
    process.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    if not ours or not _in_main_thread():
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []
    since = 0.0

    def wait(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if not waiting:
            waiting.append((number, frame))
            since = time.monotonic()
        elif time.monotonic() - since >= CTRL_C_AGAIN_S:
            ours[signal.Signals(number)](number, frame)

    for number in ours:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if waiting:
            first, frame = waiting[0]
            ours[signal.Signals(first)](first, frame)


def _interrupter() -> _Handler:
    """A signal handler that interrupts, and lets pass what comes at once after that.

    A second Ctrl-C does not end what the first lets the run leave, unless it comes
    `CTRL_C_AGAIN_S` later.
    """
    heeded: float | None = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal heeded
        if heeded is None or time.monotonic() - heeded >= CTRL_C_AGAIN_S:
            heeded = time.monotonic()
            raise KeyboardInterrupt

    return interrupt


@contextmanager
def _handled_by(number: int, handler: _Handler) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def two_ctrl_c_are_one() -> Iterator[None]:
    """Let the second of two Ctrl-C at a time pass."""
    # It is ignored in the background, say; and only the main thread may take signals.
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler and _in_main_thread()
    with _handled_by(signal.SIGINT, _interrupter()) if heeded else nullcontext():
        yield


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Who stops a container wants what the run leaves, too; also where Ctrl-C is ignored."""
    ctrl_c = signal.getsignal(signal.SIGINT)
    with _handled_by(signal.SIGTERM, ctrl_c if callable(ctrl_c) else _interrupter()):
        yield


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
