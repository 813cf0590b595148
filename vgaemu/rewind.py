"""Rewind: a run's last minutes, and the way back through them frame by frame.

Every few frames a snapshot is kept: the newest as it is, each one before it by what differs from
the one after (`deltas`), deflated. Where the guest's time is its own, frames between two snapshots
are run anew from the one before, with the keys and the mouse of then, and are exactly what they
were; on the way back each of them is kept until the next stretch, so it is run once. Where the
guest lives in wall time, as under KVM, each frame has a snapshot.

Whoever goes on from an earlier frame writes the run anew: what came after it is forgotten. So is
all of it where a state is loaded or a snapshot restored. What is still to be typed of a paste is
not typed any more.
"""

from __future__ import annotations

from collections import deque
from math import inf
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from vgaemu.deltas import delta, earlier
from vgaemu.display.events import MouseButton, MouseMoved, MousePlaced
from vgaemu.errors import SnapshotError
from vgaemu.keys.queue import Key
from vgaemu.memslot.pages import ZERO, Moment
from vgaemu.moments import Around, Moments, Snapshot, Works
from vgaemu.runner import InStep
from vgaemu.snapshot import Packed, Values

if TYPE_CHECKING:
    from vgaemu.pc.moments import PcThen

#: Frames between two snapshots where frames can be run anew, and the frames of a minute.
EVERY, MINUTE = 8, 3600
#: Bytes that are kept unless told otherwise: some minutes of most guests.
DEFAULT_MIB = 64
#: How often displays are told what it costs.
REMARK_FRAMES = 30
#: Bytes of an earlier moment beside its delta, about.
ENTRY_BYTES = 1_000

Input: TypeAlias = Key | MouseMoved | MouseButton | MousePlaced


class Plain(NamedTuple):
    """What of a snapshot `deltas` can tell."""

    device: Values
    vram: Moment
    parts: Values
    cpu: Values
    ram: Moment
    printed: tuple[bytes, bytes]
    numbers: tuple[int, ...]


class _Entry(NamedTuple):
    """A moment before the newest one."""

    frames: int
    #: From the moment after it.
    delta: bytes
    around: Around
    disks: tuple[dict[int, bytes], ...]


class Rewind:
    """A machine's last minutes; `start` begins to keep them."""

    #: Nanoseconds that it took in the last frames, oldest first.
    cost_ns: deque[int]

    def __init__(self, moments: Moments, works: Works) -> None:
        _, pc, self._runner, self._loop, self._saving, *_ = works
        self._moments = moments
        self._keys, self._mouse, self._schedule = works.keys, works.mouse, works.schedule
        self._typist, self._between_frames = works.typist, works.between_frames
        #: Whether frames run anew are what they were.
        self._repeats = pc is not None and pc.keeps_own_time and isinstance(self._runner, InStep)
        self.cost_ns = deque(maxlen=600)
        self._every = 1
        self._most_bytes = self._most_frames = inf
        self._newest: Snapshot | None = None
        self._entries: deque[_Entry] = deque()
        self._entries_bytes = self._newest_bytes = 0
        #: What came in before each frame, and how much of that the snapshot has that is kept then.
        self._inputs: dict[int, list[Input]] = {}
        #: Frames of the stretch in hand that were run anew; and an earlier moment with its place.
        self._near: dict[int, Snapshot] = {}
        self._cursor: tuple[int, Snapshot] | None = None
        self._jumps = 0
        self._is_replaying = False
        #: Whether the user lets the run go backwards; and how many frames it has.
        self.is_held = False
        self._held_frames = 0

    def __repr__(self) -> str:
        if not self.is_on:
            return "<vgaemu.Rewind: off>"
        return f"<vgaemu.Rewind: {self.frames} frames, {self.nbytes / (1 << 20):.1f} MiB>"

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._newest is not None

    @property
    def oldest(self) -> int:
        """Number of frames that had been drawn at the oldest moment that is kept."""
        if self._newest is None:
            return self._loop.frames
        return self._entries[0].frames if self._entries else self._newest.frames

    @property
    def frames(self) -> int:
        """How many frames one can go back now."""
        return self._loop.frames - self.oldest

    @property
    def nbytes(self) -> int:
        """What it keeps, about."""
        return self._newest_bytes + self._entries_bytes

    def start(
        self,
        *,
        mib: float | None = None,
        minutes: float | None = None,
        every: int | None = None,
    ) -> None:
        """Keep the run's last moments from now on; what was kept before is forgotten.

        Args:
            mib: At most about so much memory; 64 MiB if neither is said.
            minutes: At most so many, of 3600 frames.
            every: Frames from one snapshot to the next: 8, or 1 where a guest lives in wall time.

        Raises:
            SnapshotError: The machine can have no snapshots; see `Machine.snapshot`.
            ValueError: A number is not positive.
        """
        for name, value in (("mib", mib), ("minutes", minutes), ("every", every)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} is more than 0, not {value!r}")
        if mib is None:
            mib = DEFAULT_MIB if minutes is None else inf
        self.stop()
        self._most_bytes = mib * (1 << 20)
        self._most_frames = inf if minutes is None else minutes * MINUTE
        self._every = (every or EVERY) if self._repeats else 1
        self._begin_anew()
        self._keys.on_put = self._heard
        self._mouse.on_move = lambda dx, dy, wheel: self._heard(MouseMoved(dx, dy, wheel))
        self._mouse.on_button = lambda number, down: self._heard(MouseButton(number, down))
        self._mouse.on_place = lambda x, y: self._heard(MousePlaced(x, y))
        self._between_frames.insert(0, self._after_frame)
        self._loop.stats.beside["rewind"] = self.cost_ns
        self._remark()

    def stop(self) -> None:
        """Keep nothing any more."""
        if self.is_on:
            self._forget()
            self._between_frames.remove(self._after_frame)
            self._loop.stats.beside.pop("rewind", None)
            self._loop.display.remark("")
            self._keys.on_put = lambda key: None
            self._mouse.on_move = lambda dx, dy, wheel: None
            self._mouse.on_button = lambda number, pressed: None
            self._mouse.on_place = lambda x, y: None

    def _forget(self) -> None:
        self._newest = self._cursor = None
        self._entries.clear()
        self._entries_bytes = self._newest_bytes = 0
        self._inputs.clear()
        self._near.clear()

    def _begin_anew(self) -> None:
        self._forget()
        self._jumps = self._saving.jumps
        self._newest = self._moments.take()
        self._newest_bytes = _bytes_of(self._newest)

    def _heard(self, what: Input) -> None:
        if not self._is_replaying:
            self._inputs.setdefault(self._loop.frames, []).append(what)

    # Keeping.

    def _after_frame(self) -> None:
        begin = perf_counter_ns()
        if self._jumps != self._saving.jumps:
            self._begin_anew()
        else:
            self._go_on_from(self._loop.frames - 1)
            newest = self._newest
            if newest is not None and self._loop.frames - newest.frames >= self._every:
                self._keep(newest)
        self.cost_ns.append(perf_counter_ns() - begin)
        if not self._loop.frames % REMARK_FRAMES:
            self._remark()

    def _remark(self) -> None:
        """Tell the displays what it costs."""
        recent = [*self.cost_ns][-REMARK_FRAMES:]
        cost_ms = sum(recent) / max(len(recent), 1) / 1e6
        seconds, mib = self.frames / 60, self.nbytes / (1 << 20)
        self._loop.display.remark(
            f"rewind {cost_ms:.2f} ms a frame, {seconds:.0f} s, {mib:.1f} MiB"
        )

    def _go_on_from(self, frames: int) -> None:
        """The run has gone on from there: forget what had come after it."""
        if self._near or self._cursor is not None:
            if self._cursor is not None and self._cursor[1].frames <= frames:
                nth, self._newest = self._cursor
                while len(self._entries) > nth:
                    self._entries_bytes -= len(self._entries.pop().delta) + ENTRY_BYTES
            self._near.clear()
            self._cursor = None

    def _keep(self, old: Snapshot) -> None:
        new = self._moments.take()
        change = delta(_plain(old), _plain(new))
        disks = () if old.pc is None else old.pc.disks
        self._entries.append(_Entry(old.frames, change, old.around, disks))
        self._entries_bytes += len(change) + ENTRY_BYTES
        self._newest = new
        if len(self._entries) % 64 == 1:
            self._newest_bytes = _bytes_of(new)
        while self._entries and (
            self.nbytes > self._most_bytes or self.frames > self._most_frames + self._every
        ):
            self._entries_bytes -= len(self._entries.popleft().delta) + ENTRY_BYTES
            oldest = self.oldest
            for frame in [frame for frame in self._inputs if frame < oldest]:
                del self._inputs[frame]

    # Going back.

    def hold(self, on: bool) -> None:
        """The user lets the run go backwards (`turn`), or on again, and hears how far it went."""
        tell = self._loop.display.notice
        if not self.is_on:
            if on:
                tell("rewind is off; start with --rewind 5 to keep the last five minutes")
            return
        if on == self.is_held:
            return
        self.is_held = on
        if on:
            self._held_frames = 0
            return
        tell(f"{self._held_frames / 60:.1f} s back, {self.frames / 60:.1f} s are left")
        for key in self._keys.down:  # of then; whoever holds one now presses it again
            self._keys.put(Key(key, False))

    def turn(self) -> None:
        """Go back one of the frames in which the user wants that."""
        self._held_frames += self.back()

    def back(self, frames: int = 1) -> int:
        """Go back so many frames, or as far as is kept; by how many it went.

        Raises:
            SnapshotError: Nothing is kept, or the guest does not stop.
        """
        if self._newest is None or self._jumps != self._saving.jumps:
            raise SnapshotError("rewind is off; machine.rewind.start() or --rewind keeps frames")
        now = self._loop.frames
        target = max(now - frames, self.oldest)
        if target < now:
            with self._saving.guest_stands("rewind", SnapshotError):
                self._typist.stop()
                self._go_to(target)
                self._schedule.strike_again(target)
                self._moments.show(target)
            for later in [frame for frame in self._inputs if frame >= target]:
                del self._inputs[later]
        return now - target

    def _go_to(self, target: int) -> None:
        near = self._near.get(target)
        if near is not None:
            self._moments.go_back(near)
            return
        begin = self._before(target)
        self._moments.go_back(begin)
        self._near = {begin.frames: begin}
        self._is_replaying = True
        try:
            for frame in range(begin.frames, target):
                self._run_anew(frame)
                if self._repeats:
                    self._near[frame + 1] = self._moments.take()
        finally:
            self._is_replaying = False
        self._loop.screen.invalidate()  # nobody was shown what was drawn

    def _run_anew(self, frame: int) -> None:
        for what in self._inputs.get(frame, ()):
            if isinstance(what, Key):
                self._keys.put(what)
            elif isinstance(what, MouseMoved):
                self._mouse.move(what.dx, what.dy, what.wheel)
            elif isinstance(what, MousePlaced):
                self._mouse.place(what.x, what.y)
            else:
                self._mouse.button(what.number, what.pressed)
        self._runner.run_frame()
        self._loop.pass_frame()

    def _before(self, target: int) -> Snapshot:
        """The last moment that is kept and not after a frame."""
        assert self._newest is not None
        nth, snapshot = self._cursor or (len(self._entries), self._newest)
        if snapshot.frames < target and nth < len(self._entries):
            nth, snapshot = len(self._entries), self._newest  # a way back from further on
        while snapshot.frames > target:
            nth -= 1
            snapshot = _snapshot_of(self._entries[nth], snapshot)
        self._cursor = nth, snapshot
        return snapshot


def _plain(snapshot: Snapshot) -> Plain:
    pc = snapshot.pc
    if pc is None:
        return Plain(snapshot.device, snapshot.vram, (), (), (), (b"", b""), ())
    numbers = (pc.next_frame_ns,)
    return Plain(snapshot.device, snapshot.vram, pc.parts, pc.cpu, pc.ram, pc.printed, numbers)


def _snapshot_of(entry: _Entry, after: Snapshot) -> Snapshot:
    plain = Plain(*cast("Plain", earlier(_plain(after), entry.delta)))
    pc: PcThen | None = None
    if after.pc is not None:
        pc = after.pc._replace(
            parts=_values(plain.parts), cpu=_values(plain.cpu), ram=plain.ram,
            disks=entry.disks, printed=plain.printed, next_frame_ns=plain.numbers[0],
        )  # fmt: skip
    return after.at(entry.frames, _values(plain.device), plain.vram, pc, entry.around)


def _values(values: Values) -> Values:
    return tuple(
        value if isinstance(value[1], Packed) else (value[0], Packed(*value[1])) for value in values
    )


def _bytes_of(snapshot: Snapshot) -> int:
    """Bytes of pages that are not zeros."""
    ram = () if snapshot.pc is None else snapshot.pc.ram
    pages = (page for chunk in (*snapshot.vram, *ram) for page in chunk)
    return sum(len(block) for page in pages if page is not ZERO for block in page)
