"""Live migration of a `Machine`: a thread that sends beside the guest, and the stop at its end.

The sender has a thread of its own in both schedules. Only the last round needs the guest stopped,
and stopping it is for whoever moves the frames: between two frames, with a guest on its own thread
parked at its next ``yield``. A machine-code guest goes along, CPU and RAM. A Python guest has no
form that could travel, so it ends here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MigrateError
from vgaemu.machine import FRAME_HZ, Machine
from vgaemu.migrate.memory import UnloggedMemory
from vgaemu.migrate.sender import Limits, Report, connect, send
from vgaemu.migrate.stream import MAX_STATE_BYTES, Channel, Region, parse_address
from vgaemu.runner import HOLD_SECONDS, NO_YIELD, OnThread
from vgaemu.snapshot import Array, take

#: Seconds for somebody to move the machine on to the next frame.
FRAME_SECONDS = 10.0

#: Most that a guest may have written to its copy of a disk: the rest of a state is far smaller than
#: what this leaves of a message.
MAX_DISK_BYTES = MAX_STATE_BYTES - (2 << 20)
#: The array of a PC that is sent as memory.
RAM = "ram"

_CLOSED = "the machine was closed before"

#: Migrations that somebody may still know: one that is not done hangs on its machine.
_known: WeakSet[Migration] = WeakSet()


class Migration:
    """One machine on its way to a receiver, beside the frames that somebody else runs.

    It hooks itself into the machine; closing that hangs up. It is the sender's `Source`.

    Attributes:
        address: HOST:PORT of the receiver.
        at_frame: Frames to run before.
    """

    def __init__(
        self,
        machine: Machine,
        address: str,
        limits: Limits | None = None,
        *,
        at_frame: int = 0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Get ready; the first `between_frames` from `at_frame` on connects.

        `limits` say how long the guest may be stopped, and what to do if it writes too fast; `say`
        is called on the sender's thread with a line when it does not converge or not arrive.

        Raises:
            MigrateError: The address is none, or the machine is on its way already.
        """
        parse_address(address)
        self.address, self.at_frame = address, at_frame
        self._machine, self._limits, self._say = machine, limits or Limits(), say
        self._thread: threading.Thread | None = None
        self._channel: Channel | None = None
        self._cancelled = False
        self._report: Report | None = None
        self._error: BaseException | None = None
        #: The sender asks for the guest to be stopped; the other side answers with `_stopped`.
        self._stop_wanted, self._stopped = threading.Event(), threading.Event()
        self._why_running = ""
        #: Which file a machine-code guest runs.
        self._guest: Mapping[str, Array] = {}
        if machine.runner.left or any(m._machine is machine and not m.done for m in _known):
            raise MigrateError(f"{address}: the machine is on its way to another receiver")
        _known.add(self)
        machine.between_frames.append(self.between_frames)
        machine.before_close.append(self.cancel)

    def __repr__(self) -> str:
        state = "done" if self.done else "on its way" if self.started else "not started"
        return f"<Migration to {self.address}, {state}>"

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

    def between_frames(self) -> None:
        """Start when it is time; stop the guest, and wait out its downtime, when the sender asks.

        For the thread that runs the frames: nothing draws and no guest in step runs meanwhile.
        """
        machine = self._machine
        if self.done:
            if self.between_frames in machine.between_frames:
                machine.between_frames.remove(self.between_frames)
                machine.before_close.remove(self.cancel)
            return
        if self._thread is None and machine.frames >= self.at_frame:
            self._start()
        if not self._stop_wanted.is_set() or self._thread is None:
            return
        if not machine.runner.hold(HOLD_SECONDS):
            self._why_running = NO_YIELD
        self._stopped.set()
        self._thread.join()
        if self._report is None:
            machine.runner.release()

    def _start(self) -> None:
        pc = self._machine.pc
        if pc is not None:
            try:
                if not self._machine.runner.hold(HOLD_SECONDS):
                    self._error = MigrateError(f"{self.address}: {NO_YIELD}")
                    self._tell(f"{self._error}; the guest runs on here")
                    return
                self._guest = pc.identity()
            finally:
                self._machine.runner.release()
        thread = threading.Thread(target=self._send, name="vgaemu migration", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._error = MigrateError(f"{self.address}: no thread to be had: {error}")
            self._tell(f"{self._error}; the guest runs on here")
        else:
            self._thread = thread

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
            self._machine.runner.left = True
            self._report = report

    def _tell(self, line: str) -> None:
        if self._say is not None and not self._cancelled:
            self._say(line)

    def guest(self) -> Mapping[str, Array]:
        self._check_disk()
        return self._guest

    def _check_disk(self) -> None:
        """What a guest has written to its disk goes with the state: refuse what will not fit."""
        pc = self._machine.pc
        if pc is not None and pc.disk_state_bytes > MAX_DISK_BYTES:
            raise MigrateError(
                f"{self.address}: the guest has written {pc.disk_state_bytes >> 20} MiB to its "
                f"copy of the disk, a migration takes {MAX_DISK_BYTES >> 20}; save a state instead"
            )

    @property
    def regions(self) -> Sequence[Region]:
        pc = self._machine.pc
        return regions_of(self._machine, None if pc is None else pc.bus.array)

    def stop(self) -> None:
        self._check_disk()
        self._stop_wanted.set()
        if not self._stopped.wait(FRAME_SECONDS):
            self._why_running = f"no frame was run for {FRAME_SECONDS:.0f} s"
        if self._cancelled:
            self._why_running = _CLOSED
        if self._why_running:
            raise MigrateError(f"{self.address}: {self._why_running}")

    def state(self) -> Mapping[str, Array]:
        arrays, pc = device_state(self._machine), self._machine.pc
        if pc is not None:
            arrays |= pc.state_arrays()
            del arrays[RAM]
        return arrays

    def picture(self) -> NDArray[np.uint32]:
        return self._machine.screen.full_redraw()


def device_state(machine: Machine) -> dict[str, Array]:
    """What of the device is not in VRAM, and the number of the next frame, by name.

    A guest on its own thread must not run meanwhile.
    """
    arrays = take(machine.vga.parts(), without=("vram",))
    arrays["frame"] = np.asarray(machine.next_frame_number, "u8")
    return arrays


def regions_of(machine: Machine, ram: NDArray[np.uint8] | None) -> list[Region]:
    """The memory of a machine that travels; `ram` is a PC's, or where it arrives."""
    regions = [Region("vram", machine.vram)]
    if ram is not None:
        regions.append(Region(RAM, UnloggedMemory(ram)))
    return regions


def send_machine(machine: Machine, address: str, limits: Limits | None = None) -> Report:
    """Send all to a receiver, running frames meanwhile; then the guest ends here.

    A machine-code guest goes on there; of a workload in Python, VRAM and device are sent.

    Args:
        machine: What is sent.
        address: HOST:PORT of a `vgaemu receive` or a `Receiver`.
        limits: How long the guest may be stopped, and what to do if it writes too fast.

    Raises:
        MigrateError: The receiver has not taken over; the guest goes on here.
        Exception: Whatever the guest raised.
    """
    migration = Migration(machine, address, limits)
    try:
        while not migration.done:
            machine.closed_by_user()
            machine.run_frame()
            if isinstance(machine.runner, OnThread):
                time.sleep(1 / FRAME_HZ)
    finally:
        migration.cancel()
    return migration.result()
