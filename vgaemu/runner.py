"""Runner: who runs a guest's slices, and when: in step with the frames, or on a thread of its own.

A guest is a generator. *In step* (headless, scripts, tests) each frame runs it up to its next
``yield`` on the caller's thread, so that two runs with the same arguments are equal. *On a thread*
(the window) it runs as fast as it can, and each frame lets it past its next ``yield``.
"""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import NamedTuple, Protocol

from vgaemu.errors import GuestStopped, OutOfMemory, VgaemuError
from vgaemu.guest.workload import AnySlices, Guest

Section = Callable[[], AbstractContextManager[object]]

#: Slices that a guest in step may end with `Guest.NOW` before a frame is drawn.
NOW_SLICES_A_FRAME = 16
#: A busy guest thread hands the interpreter to the display after this long (seconds). Measured: at
#: the default of 5 ms the display wakes 5.2 ms late, at 0.5 ms 0.66 ms late.
SWITCH_INTERVAL = 0.0005
#: Seconds that a guest in step races before its frame is drawn.
RACE_SECONDS = 1 / 60
#: Seconds for a guest to come to its next ``yield``, and what is said of one that does not.
HOLD_SECONDS = 2.0
NO_YIELD = f"the guest came to no 'yield' within {HOLD_SECONDS:.0f} s"


class Frames(Protocol):
    """Who is told of frames."""

    def start_frame(self) -> None: ...
    def end_frame(self) -> None: ...


class _Nobody:
    """Nobody is."""

    def start_frame(self) -> None: ...
    def end_frame(self) -> None: ...


NOBODY = _Nobody()


class RunnerThen(NamedTuple):
    """How far a guest was at one moment."""

    done: bool
    left: bool
    error: BaseException | None
    returned: object


class Runner(ABC):
    """One guest's slices; None: there is no guest, and nothing to end.

    A `section` is held (`with`) from the start of each slice to its end: for VRAM's log, the
    handling of one exit (`Memslot.exit_section`). `device` is told when the guest begins with what
    it does in a frame, and when that is done, on the guest's thread.
    """

    #: Whether the guest goes on elsewhere: here it has ended.
    left: bool
    #: What the guest raised, if it did.
    error: BaseException | None
    #: Whether the guest, in a slice of its own, has come to no ``yield`` for `HOLD_SECONDS`.
    is_stuck: bool = False

    def __init__(
        self,
        slices: AnySlices | None,
        section: Section = nullcontext,
        *,
        device: Frames = NOBODY,
    ) -> None:
        self._slices = slices
        self._section, self._device = section, device
        self._thread: threading.Thread | None = None
        self._done = self.left = self._racing = False
        self._returned: object = None
        self.error = None

    def __repr__(self) -> str:
        return f"<vgaemu.{type(self).__name__}: {self.state}>"

    @property
    def state(self) -> str:
        """``"no guest"``, ``"running"`` or ``"ended"``."""
        return "no guest" if self._slices is None else "ended" if self.ended else "running"

    @property
    def ended(self) -> bool:
        """Whether the guest has ended: returned, raised, or gone elsewhere."""
        return self._done or self.left or self.error is not None

    @property
    def exit_code(self) -> int | None:
        """What a process exits with that ends as the guest has; None if it has not, or elsewhere.

        A program's own code, what a workload in Python returns or `sys.exit` gets, or 1.
        """
        if self.left or not self.ended:
            return None
        if isinstance(self.error, SystemExit):
            return self.error.code & 0xFF if isinstance(self.error.code, int) else 1
        if self.error is not None:
            return 1
        return self._returned & 0xFF if isinstance(self._returned, int) else 0

    @property
    def standstill(self) -> str:
        """Why the guest takes no keys, for a person; empty: it does."""
        if self.ended:
            if isinstance(self.error, VgaemuError):
                return f"the guest failed: {self.error}"
            if self.error is not None and not isinstance(self.error, SystemExit):
                return f"the guest failed: {type(self.error).__name__}: {self.error}"
            return "the guest has ended" + (f" with code {self.exit_code}" * bool(self.exit_code))
        return f"the guest has not yielded for {HOLD_SECONDS:.0f} s" if self.is_stuck else ""

    @property
    def is_running(self) -> bool:
        """Whether the guest may be doing something between two frames."""
        return False

    @abstractmethod
    def run_frame(self) -> None:
        """Let the guest do what it does in a frame."""

    def hold(self, seconds: float) -> bool:
        """Let the guest stop at its next ``yield``, and wait so long for it; else it stops later.

        Returns:
            Whether it has. One in step stands still between two frames anyway.
        """
        return True

    def release(self) -> None:  # noqa: B027  # a default
        """Let a guest go on that `hold` has stopped."""

    def pause(self, on: bool) -> None:  # noqa: B027  # a default
        """While paused, a guest stops after its slice, ``yield guest.NOW`` or not."""

    def race(self, on: bool) -> None:
        """While it races, a guest does not wait for the next frame at its ``yield``."""
        self._racing = on

    def restart(self, slices: AnySlices) -> None:
        """Go on with other slices: the guest has been brought to another state."""
        self._slices, self._done, self.left, self.error = slices, False, False, None
        self._returned = None

    @property
    def has_guest(self) -> bool:
        """Whether there is a guest, ended or not."""
        return self._slices is not None

    def moment(self) -> RunnerThen:
        """Whether it has ended, and how, for `go_back`."""
        return RunnerThen(self._done, self.left, self.error, self._returned)

    def go_back(self, moment: RunnerThen, slices: Callable[[], AnySlices]) -> None:
        """The guest has been brought to that moment; if it has ended since, take other slices."""
        if self.ended:
            self.restart(slices())
        self._done, self.left, self.error, self._returned = moment

    @property
    def is_over(self) -> bool:
        """Whether no thread runs the guest, now or any more."""
        return self._thread is None or not self._thread.is_alive()

    def close(self, timeout: float, *, is_ours: bool = False) -> None:
        """Run what the guest has in its ``finally``, when its calls are refused already.

        A workload that never yields, or lets nothing pass, cannot be stopped: after `timeout`
        seconds it is left to die with the process, and not `is_over`. Slices that are `ours` need
        no thread to end on: they do at once.
        """
        if self._thread is None and self._slices is not None and is_ours:
            self._end_slices()
        elif self._thread is None and self._slices is not None:
            try:
                self._thread = _start(self._end_slices)
            except OutOfMemory:
                self._end_slices()
        if self._thread is not None:
            self._thread.join(timeout)

    def _end_slices(self) -> None:
        assert self._slices is not None
        try:
            self._slices.close()
        except GuestStopped:
            pass
        except BaseException as error:
            self.error = self.error or error

    def _fail(self, error: BaseException) -> None:
        """The guest raised; a SystemExit of 0 is only its end."""
        if isinstance(error, SystemExit) and not error.code:
            self._done = True
        else:
            self.error = error


class InStep(Runner):
    """The guest runs while its frame waits, on the same thread."""

    def run_frame(self) -> None:
        if self._slices is None or self.ended:
            self._device.start_frame()
            self._device.end_frame()
            return
        until = monotonic() + RACE_SECONDS if self._racing else 0.0
        try:
            self._run_slices(self._slices)
            while self._racing and monotonic() < until:
                self._run_slices(self._slices)
        except StopIteration as end:
            self._done, self._returned = True, end.value
        except (Exception, SystemExit) as error:
            self._fail(error)

    def _run_slices(self, slices: AnySlices) -> None:
        """Those of a frame."""
        self._device.start_frame()
        try:
            for _ in range(NOW_SLICES_A_FRAME):
                with self._section():
                    ended_with = next(slices)
                if ended_with is not Guest.NOW:
                    break
        finally:
            self._device.end_frame()


class OnThread(Runner):
    """The guest has a thread of its own, which begins with the first frame.

    `on_park` is called on that thread when the guest has come to a ``yield`` and stays there.
    """

    def __init__(
        self,
        slices: AnySlices | None,
        section: Section = nullcontext,
        on_park: Callable[[], None] = lambda: None,
        *,
        device: Frames = NOBODY,
    ) -> None:
        super().__init__(slices, section, device=device)
        self._on_park = on_park
        self._closing = self._paused = False
        #: Guards what follows, and tells of changes.
        self.changed = threading.Condition()
        #: Frames that the guest was let run into, and what that was when the slice in hand began.
        self._released = self._seen = 0
        #: It is to stay at its next ``yield``, and whether it is at one.
        self._held = self._parked = False
        #: The slice that was seen last, and since when.
        self._watched, self._watched_since = -1, 0.0

    @property
    def is_running(self) -> bool:
        return not self.is_over and not (self._parked and self._stays)

    @property
    def _stays(self) -> bool:
        """Whether a guest at a ``yield`` is to stay there."""
        return self._held or self._released == self._seen

    def run_frame(self) -> None:
        if self._thread is not None:
            self._watch()
            self._release_frame()
        elif self._slices is not None and not self._held and not self.left:
            _switch_quickly(self)
            self._thread = _start(self._run)

    def _watch(self) -> None:
        """Find out whether the guest still comes to its ``yield``."""
        now = monotonic()
        if self._seen != self._watched or not self.is_running:
            self._watched, self._watched_since = self._seen, now
        self.is_stuck = now - self._watched_since > HOLD_SECONDS

    def _release_frame(self) -> None:
        with self.changed:
            self._released += 1
            self.changed.notify_all()

    def _run(self) -> None:
        assert self._slices is not None
        begins = True
        try:
            while not self._closing:
                self._seen = self._released
                if begins:
                    self._device.start_frame()
                with self._section():
                    ended_with = next(self._slices)
                begins = ended_with is not Guest.NOW
                if begins:
                    self._device.end_frame()
                waits = begins and not self._racing
                if waits or self._paused or self._held:
                    self._on_park()
                    self._park()
        except StopIteration as end:
            self._done, self._returned = True, end.value
        except GuestStopped:
            self._done = True
        except BaseException as error:
            self._fail(error)
        finally:
            with self.changed:
                self._parked = True
                self.changed.notify_all()
            if self._closing:
                self._end_slices()

    def _park(self) -> None:
        with self.changed:
            self._parked = True
            self.changed.notify_all()
            while self._stays and not self._closing:
                self.changed.wait()
            self._parked = False

    def hold(self, seconds: float) -> bool:
        with self.changed:
            self._held = True
            if self._thread in (None, threading.current_thread()):
                return True
            return self.changed.wait_for(lambda: self._parked, seconds)

    def release(self) -> None:
        with self.changed:
            self._held = False
            self.changed.notify_all()

    def pause(self, on: bool) -> None:
        self._paused = on

    def restart(self, slices: AnySlices) -> None:
        # The next frame starts another thread if this one has ended.
        if self._thread is not None and (self._done or self.error is not None):
            self._thread.join()
            self._thread = None
        super().restart(slices)

    def close(self, timeout: float, *, is_ours: bool = False) -> None:
        self._closing = True
        self._release_frame()
        _switch_as_before(self)
        super().close(timeout, is_ours=is_ours)


def _start(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name="vgaemu guest", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # its stack is memory, and threads are counted
        raise OutOfMemory(f"no thread for the guest to be had: {error}") from None
    return thread


#: Runners with threads, and the interpreter's interval from before the first.
_quick: set[Runner] = set()
_interval_before = 0.0


def _switch_quickly(runner: Runner) -> None:
    """Let threads take turns as a guest beside a display needs it, until the last one is closed."""
    global _interval_before
    if not _quick:
        _interval_before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
    _quick.add(runner)


def _switch_as_before(runner: Runner) -> None:
    """Undo `_switch_quickly`, in whatever order runners are closed."""
    if runner in _quick:
        _quick.remove(runner)
        if not _quick:
            sys.setswitchinterval(_interval_before)
