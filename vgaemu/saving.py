"""Saving: a machine's state to a file and back, at a moment when nobody stores or loads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vgaemu.display.loop import DisplayLoop
from vgaemu.errors import RamError, StateError
from vgaemu.runner import HOLD_SECONDS, NO_YIELD, Runner
from vgaemu.vga.device import Vga
from vgaemu.vga.state import (
    State,
    StateFile,
    check_device,
    read_state,
    restore_device,
    save_state,
    source_of,
)

if TYPE_CHECKING:
    from vgaemu.pc.pc import Pc
    from vgaemu.pc.ram import Ram


class Saving:
    """What a machine consists of, as far as it is saved: the device, the frames, and a PC."""

    #: Whether there is a tape of it, which nothing else may change the device beside.
    recorded: bool = False
    #: Whether the guest's calls are refused: it has been stopped for good.
    closed: bool = False
    #: Goes up when the machine was brought to a moment that does not follow the one before.
    jumps: int = 0

    def __init__(self, vga: Vga, pc: Pc | None, runner: Runner, loop: DisplayLoop) -> None:
        self._vga, self._pc, self._runner, self._loop = vga, pc, runner, loop

    def save(self, file: StateFile) -> None:
        """See `vgaemu.machine.Machine.save_state`."""
        with self.guest_stands(source_of(file)):
            guest = None if self._pc is None else self._pc.state_arrays()
            save_state(self._vga, file, frame_number=self.next_frame_number, guest=guest)

    def load(self, file: StateFile) -> None:
        """See `vgaemu.machine.Machine.load_state`."""
        source = source_of(file)
        with self.guest_stands(source):
            guest = None if self._pc is None else self._pc.parts()
            self.restore(read_state(file, self._vga, guest), source)

    def restore(self, state: State, source: object) -> None:
        """See `vgaemu.machine.Machine.restore_state`."""
        pc = self._pc
        if self.recorded:
            raise StateError(f"{source}: a tape starts at power on, and one is being recorded")
        check_device(self._vga, state.device, source)
        if pc is not None:
            self._refuse_running_guest(source)
            pc.check_state(state.guest, source)
        elif state.guest:
            from vgaemu.pc.state import identity_name

            name = identity_name(state.guest)
            raise StateError(f"{source}: saved with machine code, {name!r}; load it with that file")
        if state.unread:
            raise StateError(f"{source}: {state.unread[0]} is no part of a state; save it again")
        if pc is not None:
            pc.restore_state(state.guest, source)
            self._runner.restart(pc.slices())
        restore_device(self._vga, state.device)
        self.jumps += 1
        self._loop.frame_offset = state.frame_number - self._loop.frames

    @property
    def next_frame_number(self) -> int:
        """Number of the next frame, which blinking follows; a loaded state goes on from its own."""
        return self._loop.frames + self._loop.frame_offset

    @property
    def ram(self) -> Ram:
        """See `vgaemu.machine.Machine.ram`."""
        if self._pc is None:
            raise RamError("ram: only machine code has RAM; this machine runs none")
        from vgaemu.pc.ram import Ram

        return Ram(self._pc.bus, self.guest_stands)

    @contextmanager
    def guest_stands(self, source: object, error: type[StateError] = StateError) -> Iterator[None]:
        """Let a state be of one moment: nobody stores or loads meanwhile.

        Raises:
            StateError: The guest does not stop; of that type.
        """
        held = self._runner.is_running and not self.closed  # then its calls are refused
        try:
            if held and not self._runner.hold(HOLD_SECONDS):
                raise error(f"{source}: {NO_YIELD}; close the machine first")
            yield
        finally:
            if held:
                self._runner.release()

    def _refuse_running_guest(self, source: object) -> None:
        """Registers of a CPU are nobody else's while it executes."""
        if self._pc is not None and self._runner.is_running:
            raise StateError(f"{source}: the guest runs on its own thread; close the machine first")
