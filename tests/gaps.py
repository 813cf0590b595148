"""A deterministic race: run something in every bytecode gap of a call.

Two threads of Python can meet between any two bytecodes, and random stress hardly ever makes them
meet in the one gap that hurts. So `run_with_injections` traces the call opcode by opcode and, before
the k-th, runs an action to completion: on the same thread where nothing can block, or on a second
thread with a time limit where locks are taken. There "it waits" is an answer, too: the action then
completes when the call goes on.

`Rig` is what races: a slot, readers that copy the pages they are told of into a shadow, as a
display does, and the judgement afterwards.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from vgaemu.memslot import PAGE_SIZE, DirtyLog, Memslot, Subscription

Action = Callable[[], object]

#: An action on a second thread that has not finished after this long is waiting for a lock.
WAITS_SECONDS = 0.003
#: ... and never gets it: a deadlock.
STUCK_SECONDS = 30.0


def run_with_injections(
    target: Action,
    injections: Mapping[int, Action],
    *,
    modules: tuple[str, ...] = ("vgaemu.memslot",),
    threaded: bool = False,
) -> int:
    """Call `target`, and in its numbered bytecode gaps something else.

    Args:
        target: The call to look into.
        injections: Gap number (from 0) to action.
        modules: Names, or beginnings of names, of the modules whose bytecodes count.
        threaded: Run the actions on a second thread each, and let them wait for locks.

    Returns:
        How many gaps the call had.
    """
    gaps = 0
    waiting: list[threading.Thread] = []

    def inject(action: Action) -> None:
        if not threaded:
            action()
            return
        thread = threading.Thread(target=action)
        thread.start()
        thread.join(WAITS_SECONDS)
        waiting.append(thread)

    def trace_opcodes(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal gaps
        if event == "opcode":
            action = injections.get(gaps)
            gaps += 1
            if action is not None:
                inject(action)
        return trace_opcodes

    def trace_calls(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_globals.get("__name__", "").startswith(modules):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return trace_opcodes

    before = sys.gettrace()
    sys.settrace(trace_calls)
    try:
        target()
    finally:
        sys.settrace(before)
        for thread in waiting:
            thread.join(STUCK_SECONDS)
    assert not any(thread.is_alive() for thread in waiting), "deadlock"
    return gaps


class Reader:
    """Looks at the pages that its log names, after the harvest has returned, and at no others."""

    def __init__(self, slot: Memslot, log: Memslot | Subscription) -> None:
        self._slot = slot
        self._log = log
        self.shadow = bytes(slot.memory)
        self.last: DirtyLog | None = None

    def refresh(self) -> None:
        """What a display does each frame."""
        self.last = log = self._log.get_dirty_log()
        shadow = bytearray(self.shadow)
        for page in log.pages().tolist():
            at = slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
            shadow[at] = self._slot.memory[at]
        self.shadow = bytes(shadow)


class Rig:
    """A slot with two readers, its guest, and the judgement whether a store was lost."""

    def __init__(self, slot: Memslot) -> None:
        self.slot = slot
        self.readers = [Reader(slot, slot), Reader(slot, slot.subscribe())]
        self._value = 0

    def store(self, page: int, *, across: bool = False) -> None:
        """Store a value never seen before to a page, or across its upper edge."""
        self._value += 1
        offset = (page + 1) * PAGE_SIZE - 1 if across else page * PAGE_SIZE + 100
        self.slot.write(offset, self._value.to_bytes(2, "little") if across else self._bytes())

    def store_directly(self, page: int) -> None:
        """Store without the log's knowledge; `mark_dirty` is to follow."""
        self._value += 1
        self.slot.memory[page * PAGE_SIZE] = self._value & 0xFF

    def _bytes(self) -> bytes:
        return bytes([self._value & 0xFF])

    def lost(self) -> bool:
        """Whether a reader missed something, or a store yet to come would be missed.

        The shadows must equal memory after one last harvest each. Then every page is stored to: a
        page left writable but not dirty takes no fault, and is not reported.
        """
        for _ in range(2):
            for reader in self.readers:
                reader.refresh()
            if any(reader.shadow != bytes(self.slot.memory) for reader in self.readers):
                return True
            for page in range(self.slot.npages):
                self.store(page)
        return False


def every_gap(
    make: Callable[[], Rig],
    target: Callable[[Rig], object],
    action: Callable[[Rig], object],
    *,
    second: Callable[[Rig], object] | None = None,
    stride: int = 1,
    modules: tuple[str, ...] = ("vgaemu.memslot",),
    threaded: bool = False,
) -> Iterator[tuple[Rig, tuple[int, ...]]]:
    """Race `action` against `target` once for every gap, each time on a fresh rig.

    Args:
        make: A rig in the state in which `target` begins.
        target: The call to look into.
        action: What runs in its gaps.
        second: Runs in a later gap (or the same) of the same call: every pair is tried.
        stride: Try only every n-th gap for `second`.
        modules: As in `run_with_injections`.
        threaded: As in `run_with_injections`.

    Yields:
        The rig afterwards, and the gaps that were used.
    """
    rig = make()
    options: dict[str, Any] = {"modules": modules, "threaded": threaded}
    gaps = run_with_injections(lambda: target(rig), {}, **options)
    assert gaps, "the target runs no bytecode of those modules"
    for first in range(gaps):
        for later in range(first, gaps, stride) if second is not None else (None,):
            rig = make()
            injections: dict[int, Action] = {first: lambda rig=rig: action(rig)}  # type: ignore[misc]
            if second is not None and later is not None:
                injections[later] = (
                    (lambda rig=rig: second(rig))  # type: ignore[misc]
                    if later != first
                    else (lambda rig=rig: (action(rig), second(rig)))  # type: ignore[misc]
                )
            run_with_injections(lambda rig=rig: target(rig), injections, **options)  # type: ignore[misc]
            yield rig, (first,) if later is None else (first, later)
