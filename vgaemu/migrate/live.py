"""Live migration of a `Machine`: a thread that sends beside the guest, and the stop at its end.

The sender has a thread of its own in both schedules. Only the last round needs the guest stopped,
and stopping it is for whoever moves the frames: between two frames, with a guest on its own thread
parked at its next ``yield``. A machine-code guest goes along, CPU and RAM, to a machine that was
made with the same file. A Python guest has no form that could travel, so it ends here; the
receiver's machine has one of its own, or none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MigrateError, StateError
from vgaemu.machine import FRAME_HZ, Machine
from vgaemu.migrate.memory import UnloggedMemory
from vgaemu.migrate.receiver import Received, Receiver
from vgaemu.migrate.sender import Limits, Report, connect, send
from vgaemu.migrate.stream import (
    MAX_STATE_BYTES,
    Array,
    Channel,
    Region,
    check_names,
    parse_address,
)
from vgaemu.pc.state import check_identity, identity_name
from vgaemu.runner import OnThread
from vgaemu.snapshot import take
from vgaemu.vga.state import State

#: Seconds for a guest to come to its next ``yield``.
HOLD_SECONDS = 2.0
#: Seconds for somebody to move the machine on to the next frame.
FRAME_SECONDS = 10.0

#: Most that a guest may have written to its copy of a disk: the rest of a state is far smaller than
#: what this leaves of a message.
MAX_DISK_BYTES = MAX_STATE_BYTES - (2 << 20)
#: The array of a PC that is sent as memory.
RAM = "ram"

_NO_YIELD = f"the guest came to no 'yield' within {HOLD_SECONDS:.0f} s"
_CLOSED = "the machine was closed before"

#: The latest migration of each machine.
_on_their_way: WeakKeyDictionary[Machine, Migration] = WeakKeyDictionary()


class Migration:
    """One machine on its way to a receiver, beside the frames that somebody else runs.

    It hooks itself into the machine; closing that hangs up.
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

        Args:
            machine: What is sent.
            address: HOST:PORT of the receiver.
            limits: How long the guest may be stopped, and what to do if it writes too fast.
            at_frame: Frames to run before.
            say: Called on the sender's thread with a line when the guest does not converge, and
                when it has not arrived.

        Raises:
            MigrateError: The address is none, or the machine is on its way already.
        """
        parse_address(address)
        other = _on_their_way.get(machine)
        if other is not None and (other.succeeded or not other.done):
            raise MigrateError(f"{address}: the machine is on its way to another receiver")
        #: HOST:PORT of the receiver.
        self.address = address
        self._machine, self._limits = machine, limits or Limits()
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
        #: Which file a machine-code guest runs.
        self._guest: Mapping[str, Array] = {}
        _on_their_way[machine] = self
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

    # --- whoever moves the frames ---------------------------------------------------------------

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
            self._why_running = _NO_YIELD
        self._stopped.set()
        self._thread.join()
        if self._report is None:
            machine.runner.release()

    def _start(self) -> None:
        pc = self._machine.pc
        if pc is not None:
            try:
                if not self._machine.runner.hold(HOLD_SECONDS):
                    self._error = MigrateError(f"{self.address}: {_NO_YIELD}")
                    self._tell(f"{self._error}; the guest runs on here")
                    return
                self._guest = pc.identity()
            finally:
                self._machine.runner.release()
        self._thread = threading.Thread(target=self._send, name="vgaemu migration", daemon=True)
        self._thread.start()

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
            self._machine.runner.left = True
            self._report = report

    def _tell(self, line: str) -> None:
        if self._say is not None and not self._cancelled:
            self._say(line)

    def guest(self) -> Mapping[str, Array]:
        """Which file a machine-code guest runs."""
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
        """The machine's memory."""
        pc = self._machine.pc
        return regions_of(self._machine, None if pc is None else pc.bus.array)

    def stop(self) -> None:
        """Ask for the guest to be stopped, and wait until it is.

        Raises:
            MigrateError: It does not stop, or what it wrote to its disk does not fit.
        """
        self._check_disk()
        self._stop_wanted.set()
        if not self._stopped.wait(FRAME_SECONDS):
            self._why_running = f"no frame was run for {FRAME_SECONDS:.0f} s"
        if self._cancelled:
            self._why_running = _CLOSED
        if self._why_running:
            raise MigrateError(f"{self.address}: {self._why_running}")

    def state(self) -> Mapping[str, Array]:
        """Device and PC without their memory, and the number of the next frame."""
        arrays, pc = device_state(self._machine), self._machine.pc
        if pc is not None:
            arrays |= pc.state_arrays()
            del arrays[RAM]
        return arrays

    def picture(self) -> NDArray[np.uint32]:
        """What it shows."""
        return self._machine.screen.full_redraw()


class Arrival:
    """A machine as the target of a receiver."""

    def __init__(self, machine: Machine) -> None:
        """Take what arrives into `machine`, which has not run yet."""
        self.machine = machine
        #: RAM as it arrives; a PC takes it over with the rest of its state, or not at all.
        self._ram: NDArray[np.uint8] | None = None
        if machine.pc is not None:
            # A copy of what is here: then both are allocated before a guest is stopped for it.
            self._ram = machine.pc.bus.array.copy()
        #: The machine's memory.
        self.regions = regions_of(machine, self._ram)

    def check_guest(self, arrays: Mapping[str, Array], channel: Channel) -> None:
        """Machine code goes to a machine with the same file, and nothing else does.

        Raises:
            MigrateError: It belongs elsewhere.
        """
        pc = self.machine.pc
        if pc is None and arrays:
            raise channel.error(
                f"sends machine code, {identity_name(arrays)!r}; receive it with that file"
            )
        if pc is not None and not arrays:
            raise channel.error(
                f"sends no machine code, and {pc.image.path.name} is; receive it without that file"
            )
        if pc is not None:
            try:
                check_identity(
                    pc.image, pc.firmware_name, arrays, channel.peer, "sent", "receive it with"
                )
            except StateError as error:
                raise MigrateError(str(error)) from None

    def restore(self, arrays: Mapping[str, Array], channel: Channel) -> NDArray[np.uint32]:
        """Bring device and PC to the source's state and show its last frame.

        Raises:
            MigrateError: The arrays are not those of this machine.
        """
        device, pc = device_state(self.machine), self.machine.pc
        known = {*device} if pc is None else {*device, *pc.state_arrays()} - {RAM}
        # What only KVM saves may be missing, or left out: `Pc.check_state` says if it must not.
        check_names(channel, *(
            [name for name in names if not name.startswith("kvm.")] for names in (arrays, known)
        ))  # fmt: skip
        guest = {name: array for name, array in arrays.items() if name not in device}
        if self._ram is not None:
            guest[RAM] = self._ram
        try:
            frame = arrays["frame"]
            if frame.shape or frame.dtype != np.uint64 or int(frame) >> 63:
                raise channel.error("frame is no number; save the state again")
            shown = State(
                {name: arrays[name] for name in device if name != "frame"},
                guest,
                max(int(frame) - 1, 0),
            )
            self.machine.restore_state(shown, channel.peer)
        except StateError as error:
            raise MigrateError(str(error)) from None
        self.machine.draw_frame()
        return self.machine.screen.frame


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


def receive_machine(
    receiver: Receiver,
    machine: Machine,
    wait_seconds: float | None = None,
) -> Received:
    """Wait for a source and let a machine take over its picture, ports and memory.

    A machine-code guest goes on with the next frame where it was. A machine's own guest in Python,
    if it has one, starts with it.

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

    machine.draw_frame()  # a window opens now, and not in the source's downtime
    return receiver.receive(Arrival(machine), wait_seconds, look)
