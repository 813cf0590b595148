"""States: what a machine keeps of itself, and goes back to: files, and snapshots in memory."""

from __future__ import annotations

from vgaemu.moments import Moments, Snapshot
from vgaemu.rewind import Rewind
from vgaemu.saving import Saving
from vgaemu.vga.state import State, StateFile


class States:
    """The part of a `Machine` that is about its states."""

    _saving: Saving
    _moments: Moments
    #: The run's last minutes: `rewind.start()` begins to keep them; see `vgaemu.rewind`.
    rewind: Rewind

    def save_state(self, file: StateFile) -> None:
        """Save the device and a machine-code guest; of a workload in Python only the device.

        `file` is a path, or open for bytes. A guest on its own thread is held for so long: machine
        code after its slice, a workload in Python at its next ``yield``.

        Raises:
            StateError: The file cannot be written, or the guest does not stop.
        """
        self._saving.save(file)

    def load_state(self, file: StateFile) -> None:
        """Bring the device to a saved state, and a machine-code guest with it.

        A workload in Python goes on with its program, from its next ``yield``.

        Raises:
            StateError: The file is refused; nothing has changed then. Or the guest does not stop.
        """
        self._saving.load(file)

    def restore_state(self, state: State, source: object) -> None:
        """Look at all of a state, then put all of it; what is not in it stays as it is.

        Args:
            state: As `vgaemu.vga.state.read_state` has it, or of a peer; VRAM may be missing.
            source: What an error names.

        Raises:
            StateError: A device or PC has no such state; nothing has changed then, but see
                `Pc.restore_state`.
        """
        self._saving.restore(state, source)

    @property
    def next_frame_number(self) -> int:
        """Number of the next frame, which blinking follows; a loaded state goes on from its own."""
        return self._saving.next_frame_number

    def snapshot(self) -> Snapshot:
        """Keep this moment in memory, in a millisecond: see `vgaemu.moments`.

        The first one looks at all memory; a further one shares what was not written since. Let go
        of the last one, and nothing is logged for them any more.

        Raises:
            SnapshotError: The machine is closed, its workload is in Python, or its guest does not
                stop.
        """
        return self._moments.take()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, as often as wanted: the run goes on exactly as it first did.

        `frames` is as it was then, and the picture is that of the last frame then. One of another
        machine is restored as a state file is, if that is of the same kind.

        Raises:
            SnapshotError: It is of another kind of machine, or that is closed; a tape records, or
                the guest does not stop. Nothing has changed then.
        """
        self._moments.restore(snapshot)

    def step_back(self, frames: int = 1) -> int:
        """Go back so many frames of what `rewind` keeps, or as far as that goes.

        State and picture are exactly those of then; the run goes on from there.

        Returns:
            By how many frames it went.

        Raises:
            SnapshotError: Nothing is kept, or the guest does not stop.
        """
        return self.rewind.back(frames)
