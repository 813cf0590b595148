"""A deterministic race: run something in every bytecode gap of a call.

Two threads of Python can meet between any two bytecodes, and random stress hardly ever makes them
meet in the one gap that hurts. So `run_with_injections` traces the call opcode by opcode and,
before the k-th, runs an action to completion: on the same thread where nothing can block, or on a
second thread with a time limit where locks are taken. There "it waits" is an answer, too: the
action then completes when the call goes on.

`Rig` is what races: a slot, readers that copy the pages they are told of into a shadow, as a
display does, and the judgement afterwards.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import CodeType, FrameType
from typing import Any

from vgaemu.memslot import PAGE_SIZE, Memslot, Subscription

Action = Callable[[], object]

#: An action on a second thread that has not finished after this long is waiting for a lock.
WAITS_SECONDS = 0.001
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

    def gap() -> None:
        nonlocal gaps
        action = injections.get(gaps)
        gaps += 1
        if action is not None:
            inject(action)

    try:
        with _before_each_opcode(gap, modules):
            target()
    finally:
        for thread in waiting:
            thread.join(STUCK_SECONDS)
    assert not any(thread.is_alive() for thread in waiting), "deadlock"
    return gaps


@contextmanager
def _before_each_opcode(gap: Action, modules: tuple[str, ...]) -> Iterator[None]:
    """Call `gap` before each opcode that this thread executes in `modules`."""
    if sys.version_info < (3, 12):

        def trace_opcodes(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "opcode":
                gap()
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
            yield
        finally:
            sys.settrace(before)
        return

    # Here settrace shows no opcodes of a function's first call.
    files = {
        file
        for name, module in sys.modules.items()
        if name.startswith(modules) and (file := getattr(module, "__file__", None))
    }
    this_thread, inside = threading.get_ident(), False

    def on_instruction(code: CodeType, offset: int) -> None:
        nonlocal inside
        if inside or code.co_filename not in files or threading.get_ident() != this_thread:
            return
        inside = True
        try:
            gap()
        finally:
            inside = False

    monitoring = sys.monitoring
    tool, event = monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION
    monitoring.use_tool_id(tool, "gaps")
    monitoring.register_callback(tool, event, on_instruction)
    monitoring.set_events(tool, event)
    try:
        yield
    finally:
        monitoring.set_events(tool, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(tool)


class Reader:
    """Looks at the pages that its log names, after the harvest has returned, and at no others."""

    def __init__(self, slot: Memslot, log: Memslot | Subscription) -> None:
        self._slot = slot
        self._log = log
        self._shadow = bytearray(slot.memory)
        self.log = slot.nothing_dirty

    def refresh(self) -> None:
        """What a display does each frame."""
        self.log = self._log.get_dirty_log()
        for page in self.log.pages().tolist():
            at = slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
            self._shadow[at] = self._slot.memory[at]

    def is_stale(self) -> bool:
        """Whether a store is missing in what this reader has seen."""
        return self._shadow != self._slot.memory


class Rig:
    """A slot with two readers, its guest, and the judgement whether a store was lost."""

    def __init__(self, slot: Memslot, dirty: Iterable[int] = ()) -> None:
        """Race on `slot`, in which the pages `dirty` have been stored to."""
        self.slot = slot
        self.first = Reader(slot, slot)
        self.second = Reader(slot, slot.subscribe())
        self._value = 0
        for page in dirty:
            self.store(page)

    def _fresh(self) -> int:
        """A value that none of the last 255 stores had."""
        self._value = (self._value + 1) % 256
        return self._value

    def store(self, page: int) -> None:
        """Store a fresh value."""
        self.slot.write(page * PAGE_SIZE + 100, bytes([self._fresh()]))

    def store_across(self, page: int) -> None:
        """Store fresh values to the last byte of a page and the first of the next."""
        self.slot.write(page * PAGE_SIZE + PAGE_SIZE - 1, bytes([self._fresh(), self._fresh()]))

    def mark(self, page: int) -> None:
        """Store without the log's knowledge, and then tell it."""
        self.slot.memory[page * PAGE_SIZE] = self._fresh()
        self.slot.mark_dirty(page * PAGE_SIZE, 1)

    def harvest(self) -> None:
        """Refresh the first reader."""
        self.first.refresh()

    def lost(self) -> bool:
        """Whether a reader has missed a store, or would miss one yet to come.

        What the readers have seen must equal memory after one last harvest each. Then every page
        is stored to: one that was left writable but not dirty takes no fault and is not reported.
        """
        if self._stale():
            return True
        for page in range(self.slot.npages):
            self.store(page)
        return self._stale()

    def _stale(self) -> bool:
        for reader in (self.first, self.second):
            reader.refresh()
        return self.first.is_stale() or self.second.is_stale()


@dataclass
class Score:
    """How many gaps were tried, and in how many of them a store was lost."""

    gaps: int = 0
    lost: int = 0


RigAction = Callable[[Rig], object]


def race(
    make: Callable[[], Rig],
    target: RigAction,
    action: RigAction,
    second: RigAction | None = None,
    *,
    lost: Callable[[Rig], bool] = Rig.lost,
    stride: int = 1,
    modules: tuple[str, ...] = ("vgaemu.memslot",),
    threaded: bool = False,
) -> Score:
    """Run `action` in each gap of `target`, each time on a fresh rig.

    Args:
        make: A rig in the state in which `target` begins.
        target: The call to look into.
        action: What runs in its gaps.
        second: Runs in a later gap (or the same one) of the same call: pairs of gaps are tried.
        lost: Judges the rig afterwards.
        stride: With `second`, try only every n-th gap for it.
        modules: As in `run_with_injections`.
        threaded: As in `run_with_injections`.
    """
    score = Score()

    def reaches(injections: dict[int, RigAction]) -> bool:
        """Race once; whether the call was long enough for all of `injections`."""
        rig = make()
        bound = {gap: partial(act, rig) for gap, act in injections.items()}
        call = partial(target, rig)
        gaps = run_with_injections(call, bound, modules=modules, threaded=threaded)
        if gaps <= max(injections):
            return False
        score.gaps += 1
        score.lost += lost(rig)
        return True

    # An action may send the call down another path, so how many gaps there are is not known before.
    for gap in count():
        if not reaches({gap: action}):
            return score
        if second is not None:
            later = count(gap + 1, stride)
            while reaches({gap: action, next(later): second}):
                pass
    raise AssertionError("count() does not end")
