"""Live migration of a `Machine`: a thread that sends beside the guest, and the stop at its end.

The sender has a thread of its own in both schedules. Only the last round needs the guest stopped,
and stopping it is for whoever moves the frames: between two frames, with a guest on its own thread
parked at its next ``yield``. A Python guest has no form that could travel, so it ends here; the
receiver's machine has one of its own, or none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vgaemu.migrate.receiver import Received, Receiver
from vgaemu.migrate.sender import Limits, Report, connect, send
from vgaemu.migrate.stream import (
    Array,
    Channel,
    MigrateError,
    Region,
    check_names,
    parse_address,
)
from vgaemu.vga.state import StateError

if TYPE_CHECKING:
    from vgaemu.machine import Machine

#: Seconds for a guest to come to its next ``yield``.
HOLD_SECONDS = 2.0
#: Seconds for somebody to move the machine on to the next frame.
FRAME_SECONDS = 10.0

_CLOSED = "the machine was closed before"


class Migration:
    """One machine on its way to a receiver; `Machine.start_migration` makes it."""

    def __init__(
        self,
        machine: Machine,
        address: str,
        limits: Limits,
        *,
        at_frame: int = 0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Get ready; the first `between_frames` from `at_frame` on connects.

        Args:
            machine: What is sent.
            address: HOST:PORT of the receiver.
            limits: When to stop the guest.
            at_frame: Frames to run before.
            say: Called on the sender's thread with a line when the guest does not converge, and
                when it has not arrived.

        Raises:
            MigrateError: The address is none.
        """
        parse_address(address)
        #: HOST:PORT of the receiver.
        self.address = address
        self._machine, self._limits = machine, limits
        self._say = say
        #: Frames to run before.
        self.at_frame = at_frame
        self._thread: threading.Thread | None = None
        self._channel: Channel | None = None
        self._cancelled = False
        self._report: Report | None = None
        self._error: BaseException | None = None
        #: The sender asks for the guest to be stopped; the other side answers with `_stopped`.
        self._stop_wanted, self._stopped = threading.Event(), threading.Event()
        self._why_running = ""

    @property
    def started(self) -> bool:
        """Whether it has begun."""
        return self._thread is not None

    @property
    def done(self) -> bool:
        """Whether it has succeeded, or failed."""
        return self._report is not None or self._error is not None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has taken over."""
        return self._report is not None

    def result(self) -> Report:
        """What it took.

        Raises:
            MigrateError: It has failed, or is not done.
        """
        if self._error is not None:
            raise self._error
        if self._report is None:
            raise MigrateError(f"{self.address}: not done")
        return self._report

    # --- whoever moves the frames ---------------------------------------------------------------

    def between_frames(self) -> None:
        """Start when it is time; stop the guest, and wait out its downtime, when the sender asks.

        For the thread that runs the frames: nothing draws and no guest in step runs meanwhile.
        """
        machine = self._machine
        if self._thread is None and not self.done and machine.frames >= self.at_frame:
            self._thread = threading.Thread(target=self._send, name="vgaemu migration", daemon=True)
            self._thread.start()
        if not self._stop_wanted.is_set() or self.done or self._thread is None:
            return
        if not machine.hold_guest(HOLD_SECONDS):
            self._why_running = f"the guest came to no 'yield' within {HOLD_SECONDS:.0f} s"
        self._stopped.set()
        self._thread.join()
        if self._report is None:
            machine.release_guest()

    def finish(self) -> None:
        """Send what is left of a machine whose frames are over, if it has begun."""
        self.between_frames()
        while self.started and not self.done:
            self._stop_wanted.wait(0.01)
            self.between_frames()

    def cancel(self) -> None:
        """Hang up, if it is not done; the guest stays here."""
        self._cancelled = True
        self._stopped.set()
        if self._channel is not None:
            self._channel.close()
        if self._thread is not None:
            self._thread.join(HOLD_SECONDS)
        elif not self.done:
            self._error = MigrateError(f"{self.address}: {_CLOSED}")

    # --- the sender's thread --------------------------------------------------------------------

    def _send(self) -> None:
        try:
            channel = self._channel = connect(self.address)
            try:
                if self._cancelled:
                    raise MigrateError(f"{self.address}: {_CLOSED}")
                report = send(channel, self, self._limits, self._say)
            finally:
                channel.close()
        except BaseException as error:
            self._error = error
            self._tell(f"{error or repr(error)}; the guest runs on here")
        else:
            self._report = report

    def _tell(self, line: str) -> None:
        if self._say is not None and not self._cancelled:
            self._say(line)

    @property
    def regions(self) -> Sequence[Region]:
        """The machine's memory."""
        return regions_of(self._machine)

    def stop(self) -> None:
        """Ask for the guest to be stopped, and wait until it is."""
        self._stop_wanted.set()
        if not self._stopped.wait(FRAME_SECONDS):
            self._why_running = f"no frame was run for {FRAME_SECONDS:.0f} s"
        if self._cancelled:
            self._why_running = _CLOSED
        if self._why_running:
            raise MigrateError(f"{self.address}: {self._why_running}")

    def state(self) -> Mapping[str, Array]:
        """The device without its memory, and the number of the next frame."""
        return self._machine.device_state()

    def picture(self) -> NDArray[np.uint32]:
        """What it shows."""
        return self._machine.screen.full_redraw()


class Arrival:
    """A machine as the target of a receiver."""

    def __init__(self, machine: Machine) -> None:
        """Take what arrives into `machine`, which has not run yet."""
        self.machine = machine
        #: The machine's memory.
        self.regions = regions_of(machine)

    def put_state(self, arrays: Mapping[str, Array], channel: Channel) -> NDArray[np.uint32]:
        """Bring the device to the source's state and show its last frame."""
        check_names(channel, arrays, self.machine.device_state())
        try:
            self.machine.put_device_state(arrays, channel.peer)
        except StateError as error:
            raise MigrateError(str(error)) from None
        return self.machine.screen.frame


def regions_of(machine: Machine) -> list[Region]:
    """The memory of a machine that travels."""
    return [Region("vram", machine.vram)]


def receive_machine(
    receiver: Receiver,
    machine: Machine,
    wait_seconds: float | None = None,
) -> Received:
    """Wait for a source and let a machine take over its picture, ports and memory.

    The machine's own guest, if it has one, starts with the next frame.

    Args:
        receiver: What listens; it stays open.
        machine: One that has not run yet; throw it away if this raises.
        wait_seconds: How long to wait for a connection; None: as long as it takes.

    Raises:
        MigrateError: Nobody came, or somebody who is refused or does not hold out; or the user
            closed the display.
    """

    def look() -> None:
        if machine.closed_by_user():
            raise MigrateError(f"{receiver.address}: closed before a guest had arrived")

    machine.show()  # a window opens now, and not in the source's downtime
    return receiver.receive(Arrival(machine), wait_seconds, look)
