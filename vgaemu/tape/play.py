"""Playing tapes: operations on a device, and what was read."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice

from vgaemu.errors import TapeError
from vgaemu.tape.ops import OPERATIONS, Log, Op
from vgaemu.vga.ports import Device
from vgaemu.vga.vram import DEFAULT_VRAM_MIB

#: Brings a device that was used before to where a tape starts; a new one needs only the first
#: three, which switch RAM on and choose the ports at 3Dxh.
START: tuple[Op, ...] = (
    ("outw", 0x1CE, 4),
    ("outw", 0x1CF, 0),  # DISPI off
    ("out", 0x3C2, 0x63),
    ("inx", 0x3DA),
    *(("outw", 0x3D4, index) for index in (0x11, *range(0x19))),  # 11h first: it locks the others
    *(("outw", 0x3C4, index) for index in range(5)),
    *(("outw", 0x3CE, index) for index in range(9)),
    *(("out", 0x3C0, value) for index in range(0x15) for value in (index, 0)),
    ("out", 0x3C0, 0),  # palette address source off: no picture
    ("inx", 0x3DA),
    *(("out", port, 0) for port in (0x3C4, 0x3CE, 0x3D4, 0x3C8)),
    ("outw", 0x1CE, 0),
    ("outs", 0x3C9, bytes(768).hex()),
    ("out", 0x3C7, 0),
    ("out", 0x3C8, 0),
    ("out", 0x3C6, 0xFF),
    ("lfbfill", 0, DEFAULT_VRAM_MIB << 20, 0),  # what leaves a smaller VRAM is ignored
    ("rx", 0xA0000),  # zeros into the latches
)

#: Reads that are kept; a line of a tape may make a million times 256 MiB of them.
MAX_READBACKS = 1 << 26


class Player:
    """Plays operations on a device, as many at a time as wanted, and keeps what was read."""

    def __init__(
        self,
        device: Device,
        ops: Iterable[Op],
        *,
        keep_readbacks: bool = True,
        place_beam: Callable[[int | None], None] = lambda ns: None,
    ) -> None:
        """Prepare to play a `Tape`, or what `expand` gives: operations checked, without ``rep``.

        Args:
            device: Who they are played on.
            ops: The operations.
            keep_readbacks: Whether reads that a tape logs are kept, up to `MAX_READBACKS`.
            place_beam: Told where the device's beam is to stand: see `VirtualBeam.place`.
        """
        self._ops = iter(ops)
        #: Number of the frame that was drawn last, as far as the tape says.
        self.frame_number = 0
        #: Logged reads so far, in order; 16 bits are enough for each.
        self.readbacks = array("H")
        log: Log = _Bounded(self.readbacks) if keep_readbacks else _Forgetful()
        self._plays: dict[str, Callable[[Op], object]] = {
            name: partial(row.play, device, log) for name, row in OPERATIONS.items()
        }
        self._plays["frame"] = self._set_frame
        self._plays["beam"] = lambda op: place_beam(op[1] if len(op) > 1 else None)

    def play(self, count: int | None = None) -> bool:
        """Play the next `count` operations, or all; False if there were not so many.

        Raises:
            TapeError: A line is no operation, or there are too many reads to keep.
        """
        plays = self._plays
        played = 0
        for op in islice(self._ops, count):
            plays[op[0]](op)
            played += 1
        return played == count

    def _set_frame(self, op: Op) -> None:
        self.frame_number = op[1]


class _Bounded:
    """Keeps reads, as many as may be."""

    def __init__(self, values: array[int]) -> None:
        self._values = values

    def append(self, value: int) -> None:
        self.extend((value,))

    def extend(self, values: Sequence[int]) -> None:
        if len(self._values) + len(values) > MAX_READBACKS:
            raise TapeError(f"readbacks: more than {MAX_READBACKS} values; play it without them")
        self._values.extend(values)


class _Forgetful:
    """Keeps no reads."""

    def append(self, value: int) -> None:
        pass

    def extend(self, values: Sequence[int]) -> None:
        pass
