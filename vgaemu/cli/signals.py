"""Ctrl-C and SIGTERM of the command: both end a run, and let it leave what it was asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType

from vgaemu.signals import CTRL_C_AGAIN_S


def _interrupter() -> Callable[[int, FrameType | None], None]:
    """A signal handler that interrupts, and lets pass what comes at once after that.

    A second Ctrl-C does not end what the first lets the run leave, unless it comes
    `CTRL_C_AGAIN_S` later.
    """
    heeded: float | None = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal heeded
        if heeded is None or monotonic() - heeded >= CTRL_C_AGAIN_S:
            heeded = monotonic()
            raise KeyboardInterrupt

    return interrupt


@contextmanager
def two_ctrl_c_are_one() -> Iterator[None]:
    """Let the second of two Ctrl-C at a time pass."""
    before = signal.getsignal(signal.SIGINT)
    # It is ignored in the background, say; and only the main thread may take signals.
    if before is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _interrupter())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Who stops a container wants what the run leaves, too; also where Ctrl-C is ignored."""
    ctrl_c = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, ctrl_c if callable(ctrl_c) else _interrupter())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
