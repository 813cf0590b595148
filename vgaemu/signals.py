"""Ctrl-C and SIGTERM: held back while they could do harm; two at a time are one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: What started us may pass on what the terminal has sent us, too: a second Ctrl-C counts only so
#: long after the first.
CTRL_C_AGAIN_S = 1.0


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
    if threading.current_thread() is not threading.main_thread() or not ours:
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
