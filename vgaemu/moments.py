"""Moments: a machine's snapshots, in memory, and the ways back to them.

A snapshot has everything that the run depends on: the device with the beam and what it did in
mid-picture, machine code's CPU, chips, BIOS, DOS and disk, keys and mouse, what is still to be
typed, the number of the frame. So a run goes on from it exactly as it first did, as often as it is
restored.

Snapshots are readers of the dirty logs of VRAM and of the guest's RAM: the first one looks at all
of both, a further one costs what was written since the last, and what did not change is shared. A
restored page is marked, so that displays draw it. RAM is logged while there is a snapshot, no
longer.

Not kept: a workload in Python (a generator has no form that could be), files of a DOS program, a
recording, the wall clock.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vgaemu import snapshot
from vgaemu.display.loop import DisplayLoop
from vgaemu.errors import SnapshotError, StateError
from vgaemu.keys.mouse import Mouse, MouseThen
from vgaemu.keys.queue import Keys, KeysThen
from vgaemu.keys.schedule import KeySchedule
from vgaemu.memslot.pages import Moment, Pages, octets_of
from vgaemu.runner import Runner, RunnerThen
from vgaemu.saving import Saving
from vgaemu.snapshot import Array, Parts, Values
from vgaemu.typist import Typist
from vgaemu.vga.beam import BeamThen, VirtualBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.state import State, state_bytes

if TYPE_CHECKING:
    from vgaemu.pc.moments import PcMoments, PcThen
    from vgaemu.pc.pc import Pc


class Around(NamedTuple):
    """What there is around device and PC at one moment."""

    keys: KeysThen
    mouse: MouseThen
    scheduled: tuple[tuple[int, str], ...]
    #: What is still to be typed of what was pasted.
    typed: str
    runner: RunnerThen
    #: Where a beam is that is nobody's clock.
    beam: BeamThen | None
    frame_offset: int
    #: See `Screen.lines_until`.
    lines_until: int


class _Alive:
    """Whom all snapshots of one log hold: with the last of them it goes, and the log."""

    __slots__ = ("__weakref__",)


class Snapshot:
    """A machine at one moment; `Machine.snapshot` takes it, `Machine.restore` goes back to it.

    It belongs to its machine; `to_bytes` makes a state of it, which others can load.
    """

    __slots__ = ("__weakref__", "_alive", "_of", "around", "device", "frames", "pc", "vram")

    #: Frames that had been drawn.
    frames: int
    device: Values
    vram: Moment
    pc: PcThen | None
    around: Around

    def __init__(
        self,
        of: weakref.ref[Moments],
        alive: _Alive,
        frames: int,
        device: Values,
        vram: Moment,
        pc: PcThen | None,
        around: Around,
    ) -> None:
        self._of, self._alive = of, alive
        self.frames, self.device, self.vram, self.pc, self.around = frames, device, vram, pc, around

    def __repr__(self) -> str:
        return f"<vgaemu.Snapshot after {self.frames} frames>"

    def at(
        self, frames: int, device: Values, vram: Moment, pc: PcThen | None, around: Around
    ) -> Snapshot:
        """Another moment of the same machine."""
        return Snapshot(self._of, self._alive, frames, device, vram, pc, around)

    def to_bytes(self) -> bytes:
        """As a state file: ``machine.load_state(io.BytesIO(data))`` goes on from it, anywhere.

        Raises:
            SnapshotError: Its machine is closed.
        """
        return self.owner.to_bytes(self)

    @property
    def owner(self) -> Moments:
        """Whose it is.

        Raises:
            SnapshotError: That machine is closed.
        """
        moments = self._of()
        if moments is None or moments.is_closed:
            raise SnapshotError("the snapshot's machine is closed; call to_bytes() before that")
        return moments


class _Logs:
    """What is kept while there is a snapshot: who reads the logs, and what they held last."""

    def __init__(self, vga: Vga, pc: Pc | None, alive: _Alive) -> None:
        self.alive = weakref.ref(alive)
        self.vram = Pages(vga.slot)
        self.pc: PcMoments | None = None
        if pc is not None:
            from vgaemu.pc.moments import PcMoments

            self.pc = PcMoments(pc)

    def close(self) -> None:
        self.vram.close()
        if self.pc is not None:
            self.pc.close()


class Works(NamedTuple):
    """A machine from within, as far as its moments consist of that."""

    vga: Vga
    pc: Pc | None
    runner: Runner
    loop: DisplayLoop
    saving: Saving
    keys: Keys
    mouse: Mouse
    schedule: KeySchedule
    typist: Typist
    between_frames: list[Callable[[], None]]


class Moments:
    """Takes and restores a machine's snapshots."""

    def __init__(self, works: Works) -> None:
        self._vga, self._pc, self._runner, self._loop, self._saving, *_ = works
        self._keys, self._mouse, self._schedule = works.keys, works.mouse, works.schedule
        self._typist, self._between_frames = works.typist, works.between_frames
        self._logs: _Logs | None = None
        #: What is shared with the next one.
        self._last: tuple[Values, PcThen | None, Around] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the machine is."""
        return self._saving.closed

    # Taking.

    def take(self) -> Snapshot:
        """See `vgaemu.machine.Machine.snapshot`."""
        self._check("no snapshot was taken")
        with self._saving.guest_stands("snapshot", SnapshotError):
            return self._take()

    def _check(self, what: str) -> None:
        if self.is_closed:
            raise SnapshotError(f"the machine is closed; {what}")
        if self._pc is None and self._runner.has_guest:
            raise SnapshotError(
                "a workload in Python is a generator, which cannot be kept as it is; only machine "
                f"code, and machines without a guest, have snapshots; {what}"
            )

    def _take(self) -> Snapshot:
        alive = None if self._logs is None else self._logs.alive()
        if alive is None:
            self._end_logs()
            alive = _Alive()
            self._logs = _Logs(self._vga, self._pc, alive)
            self._between_frames.append(self._look_after_logs)
        logs = self._logs
        assert logs is not None
        device, pc, around = self._last or ((), None, None)
        device = snapshot.packed(snapshot.take(self._parts()), device)
        pc = None if logs.pc is None else logs.pc.take(pc)
        around = self._around() if around is None else _same(around, self._around())
        self._last = device, pc, around
        vram = logs.vram.take()
        return Snapshot(weakref.ref(self), alive, self._loop.frames, device, vram, pc, around)

    def _look_after_logs(self) -> None:
        """Between two frames: no snapshot is left, so nothing is to be logged."""
        if self._logs is None or self._logs.alive() is None:
            self._end_logs()

    def _end_logs(self) -> None:
        if self._logs is not None:
            self._logs.close()
            self._logs = self._last = None
            self._between_frames.remove(self._look_after_logs)

    def _parts(self) -> Parts:
        parts = self._vga.parts()
        del parts["vram"]
        return parts

    def _around(self) -> Around:
        beam = self._vga.beam
        return Around(
            self._keys.moment(),
            self._mouse.moment(),
            self._schedule.left,
            self._typist.left,
            self._runner.moment(),
            beam.moment() if isinstance(beam, VirtualBeam) else None,
            self._loop.frame_offset,
            self._loop.screen.lines_until,
        )

    # Going back.

    def restore(self, then: Snapshot) -> None:
        """See `vgaemu.machine.Machine.restore`."""
        if not isinstance(then, Snapshot):
            what = (
                "load_state(io.BytesIO(data)) takes bytes"
                if isinstance(then, bytes)
                else f"not {type(then).__name__}"
            )
            raise SnapshotError(f"restore takes what snapshot() has given; {what}")
        self._check("nothing was restored")
        if self._saving.recorded:
            raise SnapshotError("a tape starts at power on, and one is being recorded")
        with self._saving.guest_stands("snapshot", SnapshotError):
            if then.owner is self:
                self.go_back(then)
            else:
                self._load(then)
            self._saving.jumps += 1
            self.show(then.frames)

    def go_back(self, then: Snapshot) -> None:
        """Be as then, but for the picture; the guest stands.

        Raises:
            SnapshotError: See `restore`.
        """
        logs, vga, around = self._logs, self._vga, then.around
        assert logs is not None  # `then` is alive
        if logs.pc is not None and then.pc is not None:
            logs.pc.go_back(then.pc)
        self._loop.frames = then.frames
        logs.vram.put(then.vram)
        self._go_back_around(around)
        snapshot.restore(self._parts(), snapshot.arrays_in(then.device))
        if around.beam is not None and isinstance(vga.beam, VirtualBeam):
            vga.beam.go_back(around.beam)
        vga.restored()
        self._last = then.device, then.pc, around

    def _go_back_around(self, around: Around) -> None:
        if self._pc is not None:
            self._runner.go_back(around.runner, self._pc.slices)
        self._keys.go_back(around.keys)
        self._mouse.go_back(around.mouse)
        self._schedule.left, self._typist.left = around.scheduled, around.typed
        self._loop.frame_offset = around.frame_offset
        self._loop.screen.lines_until = around.lines_until

    def _load(self, then: Snapshot) -> None:
        """Be as another machine was then, if it is one like this."""
        try:
            self._saving.restore(then.owner.state(then), "snapshot of another machine")
        except SnapshotError:
            raise
        except StateError as error:
            raise SnapshotError(str(error)) from None
        around = then.around
        self._go_back_around(around._replace(runner=self._runner.moment()))

    def show(self, frames: int) -> None:
        """Show the picture of the last of so many frames, and go on counting from there."""
        self._loop.frames = max(frames - 1, 0)
        self._loop.draw_frame()
        self._loop.frames = frames

    # As a state.

    def state(self, then: Snapshot) -> State:
        """What a file would have."""
        device = snapshot.arrays_in(then.device)
        device["vram"] = np.frombuffer(octets_of(then.vram), np.uint8)
        guest: dict[str, Array] = {}
        if self._logs is not None and self._logs.pc is not None and then.pc is not None:
            with self._saving.guest_stands("snapshot", SnapshotError):
                guest = self._logs.pc.arrays(then.pc)
        return State(device, guest, then.frames + then.around.frame_offset)

    def to_bytes(self, then: Snapshot) -> bytes:
        """See `Snapshot.to_bytes`."""
        return state_bytes(self.state(then))


def _same(before: Around, now: Around) -> Around:
    """What is now, sharing what is as it was before."""
    return before if before == now else now
