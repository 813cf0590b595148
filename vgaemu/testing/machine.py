"""A machine under test: it waits for what its guest is to do, in the guest's own seconds.

Each wait ends with what was waited for, or with an `ExpectationError` that says in one line what
came instead. A limit of the host's time, far beyond what guests take, ends what would hang a job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from os import PathLike
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Unpack

import numpy as np

from vgaemu.display.find import Sought, finder
from vgaemu.errors import ExpectationError, WorkloadError
from vgaemu.keys.queue import name_of
from vgaemu.machine import FRAME_HZ, Machine
from vgaemu.pc import is_image
from vgaemu.pc.build import PcOptions
from vgaemu.pc.debug import PortTail
from vgaemu.program import sent_by
from vgaemu.runner import OnThread
from vgaemu.typist import Typist

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vgaemu.display.report import Display
    from vgaemu.guest.workload import Workload
    from vgaemu.memslot.bitmap import SpanPages

#: Seconds of the guest that a wait takes at most, if it does not say.
TIMEOUT_S = 10.0
#: Seconds of the host that a wait takes at most, if its machine does not say.
HOST_LIMIT_S = 300.0
#: Characters of a line that a message tells.
MOST_TOLD = 60
#: Ports where QEMU's isa-debug-exit often is.
USUAL_EXIT_PORTS = (0xF4, 0x501)


class MachineOptions(PcOptions, total=False):
    """What `vgaemu.Machine` takes by keyword."""

    display: str | Display | Sequence[str | Display]
    dirty_log: str
    span_pages: SpanPages
    vram_mib: int
    mode: int | str
    border: bool
    free: bool | None
    font: str | Path | NDArray[np.uint8] | None
    record_tape: str | Path | None


class _Log:
    """What a guest has sent somewhere, and how much of that was waited for."""

    def __init__(self, sent: bytearray) -> None:
        self._sent = sent
        #: Bytes before which nothing is looked for any more.
        self._sought_to = 0

    def looks_for(self, pattern: Sought) -> Callable[[], bool]:
        """Whether a text has come behind what was found last; what tells that once it has."""
        find, seen = finder(pattern), -1

        def is_there() -> bool:
            nonlocal seen
            if len(self._sent) == seen:
                return False
            seen = len(self._sent)
            if seen < self._sought_to:  # only its last MiB are kept
                self._sought_to = 0
            text = self._sent[self._sought_to :].decode(errors="surrogateescape")
            if (end := find(text, 0)) < 0:
                return False
            self._sought_to += len(text[:end].encode(errors="surrogateescape"))
            return True

        return is_there


class MachineUnderTest(Machine):
    """A `Machine` that waits for its guest.

    Args:
        workload: See `Machine`.
        args: See `Machine`.
        host_limit: Seconds of the host's time that one wait may take.
        seed: Of machine code's random numbers: the BIOS's ticks and the clock, as in `vgaemu.gym`.
            Without one they are the same in every run.
        **options: See `Machine`.

    Raises:
        VgaemuError: See `Machine`.
    """

    def __init__(
        self,
        workload: str | PathLike[str] | Workload | None = None,
        args: Sequence[str] = (),
        *,
        host_limit: float = HOST_LIMIT_S,
        seed: int | None = None,
        **options: Unpack[MachineOptions],
    ) -> None:
        #: The last port accesses of machine code, unless they go to a file.
        self.port_tail: PortTail | None = None
        if is_image(workload) and options.get("trace_ports") is None:
            options["trace_ports"] = self.port_tail = PortTail()
        if seed is not None and not is_image(workload):
            raise WorkloadError(f"seed={seed!r}: only machine code has one")
        numbers = None if seed is None else _numbers(seed)
        super().__init__(workload, args, **options)
        if self.pc is not None:
            if "no_reboot" not in options:
                self.pc.on_reset = lambda: False  # a test is told, as of any fault
            if numbers is not None:
                self.pc.begin_by_chance(numbers)
        self._typist = Typist(self.keys, self.pc, lambda text: None, self.between_frames)
        self._host_limit = host_limit
        pc = self.pc
        self._serial = _Log(bytearray() if pc is None else pc.serial.text)
        self._console = _Log(bytearray() if pc is None else pc.debug.console)

    def wait(self, seconds: float) -> None:
        """Let the guest run for so many of its seconds, or until it ends.

        Raises:
            ExpectationError: The host took too long.
            Exception: Whatever the guest raised; so do all waits.
        """
        last = self.frames + ceil(seconds * FRAME_HZ)
        self._run_until(lambda: self.frames >= last, seconds + 1, f"{seconds:g} s", or_end=True)

    def wait_until(
        self, condition: Callable[[], object], timeout: float = TIMEOUT_S, what: str = "condition"
    ) -> None:
        """Run until `condition()` is true: it is asked now, and after each frame.

        Raises:
            ExpectationError: It was not, for `timeout` seconds of the guest or until it ended.
        """
        self._run_until(condition, timeout, what)

    def wait_for_text(
        self, pattern: Sought, frames: int | None = None, *, timeout: float = TIMEOUT_S
    ) -> bool:
        """Run until a row of a text screen has a text, or matches it as a regular expression.

        Returns:
            True; but with `frames`, as `Machine.wait_for_text`, whether it was seen in so many.

        Raises:
            ExpectationError: It was not, for `timeout` seconds of the guest or until it ended.
        """
        if frames is not None:
            return super().wait_for_text(pattern, frames)
        is_shown = self._looks_for_text(pattern)
        self._run_until(is_shown, timeout, f"{_told(pattern)} on the screen", self._shown)
        return True

    def wait_for_serial(self, pattern: Sought, timeout: float = TIMEOUT_S) -> None:
        """Run until the guest has sent a text to the serial port, behind what was waited for last.

        Raises:
            ExpectationError: It has not, in `timeout` seconds of its time or until it ended.
            WorkloadError: It is no machine code.
        """
        sent_by(self.pc)  # has it one?
        is_sent = self._serial.looks_for(pattern)
        self._run_until(is_sent, timeout, f"{_told(pattern)} on the serial port", self._sent)

    def wait_for_output(self, pattern: Sought, timeout: float = TIMEOUT_S) -> None:
        """Run until a text is on the screen, or was sent to the serial port or to port E9h.

        Raises:
            ExpectationError: It was not, in `timeout` seconds of its time or until it ended.
        """
        looks = [self._looks_for_text(pattern)]
        looks += [log.looks_for(pattern) for log in (self._serial, self._console)]
        what = f"{_told(pattern)} on the screen, the serial port or port E9h"
        self._run_until(lambda: any(look() for look in looks), timeout, what, self._shown)

    def _looks_for_text(self, pattern: Sought) -> Callable[[], bool]:
        find = finder(pattern)
        return lambda: self.screen.is_text and any(find(row, 0) >= 0 for row in self.screen.text())

    def wait_for_exit(self, timeout: float = TIMEOUT_S) -> int:
        """Run until the guest ends; returns its exit code.

        Raises:
            ExpectationError: It has not ended in `timeout` seconds of its time.
        """
        self._run_until(lambda: self.ended, timeout, "the guest's end", self._exit_hint)
        assert self.exit_code is not None
        return self.exit_code

    def type(self, text: str, timeout: float = TIMEOUT_S) -> None:
        r"""Type a text as fast as the guest takes it: a BIOS keeps 15 keys, `keys.type` more.

        Raises:
            ExpectationError: The guest has not taken it in `timeout` seconds of its time.
            KeysError: A character is not on the keyboard.
        """
        for character in text:
            self.keys.text_of(name_of(character))
        self._typist.left = text
        self._run_until(lambda: not self._typist.left, timeout, f"{_told(text)} typed")

    def _run_until(
        self,
        condition: Callable[[], object],
        timeout: float,
        what: str,
        instead: Callable[[], str] = str,
        *,
        or_end: bool = False,
    ) -> None:
        """Run frames until a condition holds; else say `what` did not come, and what `instead`."""
        speed = 1.0 if isinstance(self.runner, OnThread) else 0.0
        frames, began_s = ceil(timeout * FRAME_HZ), monotonic()
        first = self.frames
        while not condition():
            if or_end and self.ended:
                return
            why = self._why_not(self.frames - first, frames, monotonic() - began_s)
            if why:
                told = instead()
                raise ExpectationError(f"{what} did not come{why}" + f"; {told}" * bool(told))
            self.run(self.frames + 1, speed=speed, stay=False)

    def _why_not(self, passed: int, frames: int, host_s: float) -> str:
        """Why what is waited for does not come any more, or nothing; `passed` of so many frames."""
        passed_s, timeout = passed / FRAME_HZ, frames / FRAME_HZ
        if self.ended:
            code = f" with code {self.exit_code}" * bool(self.exit_code)
            return f": the guest has ended{code} after {passed_s:.3g} s of its time"
        if self.user.wants_to_close:
            return ": the display was closed"
        if passed >= frames:
            return f" within {timeout:.4g} s of the guest's time"
        if host_s > self._host_limit:
            return (
                f": {self._host_limit:g} s of the host's time are over, after {passed_s:.3g} of "
                f"{timeout:.4g} s of the guest's; give the machine a larger host_limit"
            )
        return ""

    def _shown(self) -> str:
        """What is on the screen, in a few words."""
        if not self.screen.is_text:
            return f"the screen is in mode {self.screen.info.mode_name}, which has no text"
        rows = [row.strip() for row in self.screen.text() if row.strip()]
        return f"the last row is {_told(rows[-1])}" if rows else "the screen is blank"

    def _sent(self) -> str:
        """What the guest has sent, in a few words."""
        lines = [line for line in self.serial.splitlines() if line.strip()]
        return f"the last line is {_told(lines[-1])}" if lines else "nothing was sent"

    def _exit_hint(self) -> str:
        """Whether it has tried to end by a port that nobody listens to."""
        tail = self.port_tail
        tried = () if tail is None else [p for p in USUAL_EXIT_PORTS if tail.has_written(p)]
        return f"it wrote to port {tried[0]:#x}: say exit_port={tried[0]:#x}" if tried else ""


def _numbers(seed: int) -> np.random.Generator:
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise WorkloadError(f"seed={seed!r}: a whole number, at least 0") from None


def _told(text: Sought) -> str:
    said = text if isinstance(text, str) else text.pattern
    return repr(said if len(said) <= MOST_TOLD else said[:MOST_TOLD] + "...")
