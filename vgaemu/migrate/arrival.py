"""The receiver's `Machine`: it takes over what arrives, at once and whole.

A machine-code guest goes on here, in a machine that was made with the same file. Whatever else a
machine runs is its own, and starts with the picture that has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MigrateError, StateError
from vgaemu.machine import Machine
from vgaemu.migrate.bodies import check_names
from vgaemu.migrate.live import RAM, device_state, regions_of
from vgaemu.migrate.receiver import Received, Receiver
from vgaemu.migrate.stream import Channel
from vgaemu.pc.state import check_identity, identity_name
from vgaemu.snapshot import Array
from vgaemu.vga.state import State


class Arrival:
    """A machine that has not run yet as the `Target` of a receiver."""

    def __init__(
        self, machine: Machine, on_arrival: Callable[[Received], object] | None = None
    ) -> None:
        self.machine = machine
        self._on_arrival = on_arrival
        #: RAM as it arrives; a PC takes it over with the rest of its state, or not at all.
        self._ram: NDArray[np.uint8] | None = None
        if machine.pc is not None:
            # A copy of what is here: then both are allocated before a guest is stopped for it.
            self._ram = machine.pc.bus.array.copy()
        self.regions = regions_of(machine, self._ram)

    def check_guest(self, arrays: Mapping[str, Array], channel: Channel) -> None:
        """Machine code goes to a machine with the same file, and nothing else does."""
        pc = self.machine.pc
        if pc is None and arrays:
            raise channel.error(
                f"sends machine code, {identity_name(arrays)!r}; receive it with that file"
            )
        if pc is not None and not arrays:
            raise channel.error(
                f"sends no machine code, and {pc.image.path.name} is; receive it without that file"
            )
        if pc is None:
            return
        try:
            check_identity(pc.identity_of(), arrays, channel.peer, "sent", "receive it with")
        except StateError as error:
            raise MigrateError(str(error)) from None

    def restore(self, arrays: Mapping[str, Array], channel: Channel) -> NDArray[np.uint32]:
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

    def arrived(self, received: Received) -> None:
        if self._on_arrival is not None:
            self._on_arrival(received)


def receive_machine(
    receiver: Receiver,
    machine: Machine,
    wait_seconds: float | None = None,
    on_arrival: Callable[[Received], object] | None = None,
) -> Received:
    """Wait for a source and let a machine take over its picture, ports and memory.

    A machine-code guest goes on with the next frame where it was. A machine's own guest in Python,
    if it has one, starts with it.

    Args:
        receiver: What listens; it stays open.
        machine: One that has not run yet; throw it away if this raises.
        wait_seconds: How long to wait for a connection; None: as long as it takes.
        on_arrival: Called once the guest is here and nowhere else. If this is interrupted after
            that, the machine has the only one.

    Raises:
        MigrateError: Nobody came, or somebody who is refused or does not hold out; or the user
            closed the display.
    """

    def look() -> None:
        if machine.closed_by_user():
            raise MigrateError(f"{receiver.address}: closed before a guest had arrived")

    machine.draw_frame()  # a window opens now, and not in the source's downtime
    return receiver.receive(Arrival(machine, on_arrival), wait_seconds, look)
