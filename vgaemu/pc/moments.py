"""A PC at one moment, in memory: everything but its VGA, and back.

Kept: what a saved state has (see `state`), and besides what was printed on debug ports. Pages of
RAM, sectors and small parts that did not change are shared with the moment before. Not kept:
contents of a program's own files, what a file of a debug port has.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple, TypeAlias

import numpy as np

from vgaemu import snapshot
from vgaemu.errors import SnapshotError, file_error
from vgaemu.memslot.pages import Moment, Pages, octets_of
from vgaemu.pc.images import SECTOR
from vgaemu.pc.pc import Pc
from vgaemu.pc.state import BULK
from vgaemu.snapshot import Array, Parts, Values

#: Sectors that were written to, and what they hold.
Written: TypeAlias = dict[int, bytes]


class PcThen(NamedTuple):
    """One moment of one PC."""

    parts: Values
    cpu: Values
    ram: Moment
    #: Of each disk.
    disks: tuple[Written, ...]
    #: What was printed on debug ports.
    printed: tuple[bytes, bytes]
    #: When the frame in hand ends; of a guest that has ended, it never does.
    next_frame_ns: int


class PcMoments:
    """Keeps moments of one PC, which stands when it is asked to."""

    def __init__(self, pc: Pc) -> None:
        """From now on RAM's log is kept, until `close`."""
        self._pc = pc
        pc.bus.log_ram(True)
        self._ram = Pages(pc.bus.slot, self._written)
        # The same file runs, under the same firmware.
        self._same = {*pc.identity_parts(), *BULK}

    def _written(self, gpa: int, count: int) -> None:
        for written in self._pc.bus.on_memory_written:
            written(gpa, count)

    def take(self, before: PcThen | None) -> PcThen:
        """This moment."""
        pc = self._pc
        small = snapshot.take(self._parts())
        printed = pc.debug.moment()
        return PcThen(
            snapshot.packed(small, () if before is None else before.parts),
            snapshot.packed(pc.cpu.mark(), () if before is None else before.cpu),
            self._ram.take(),
            tuple(disk.moment() for disk in pc.disks),
            before.printed if before is not None and before.printed == printed else printed,
            pc.next_frame_ns,
        )

    def _parts(self) -> Parts:
        return {name: part for name, part in self._pc.parts().items() if name not in self._same}

    def go_back(self, then: PcThen) -> None:
        """Be as then.

        Raises:
            SnapshotError: A file that the program had open is gone, or the image cannot be written
                to; nothing has changed then.
        """
        pc, arrays = self._pc, snapshot.arrays_in(then.parts)
        opened = None if pc.dos is None else pc.dos.handles
        files = nullcontext() if opened is None else opened.at(snapshot.parsed(arrays["dos.files"]))
        try:
            with files:
                for disk, written in zip(pc.disks, then.disks, strict=True):
                    disk.go_back(written)
                self._ram.put(then.ram)
                snapshot.restore(self._parts(), arrays)
                pc.cpu.go_back(snapshot.arrays_in(then.cpu))
                pc.debug.go_back(then.printed)
                pc.next_frame_ns = then.next_frame_ns
        except FileNotFoundError as error:
            raise SnapshotError(
                f"the program had {error.args[0]!r} open, which cannot be opened now; put it back"
            ) from None
        except OSError as error:
            raise SnapshotError(file_error(pc.image.path, error)) from None

    def arrays(self, then: PcThen) -> dict[str, Array]:
        """What a saved state of then has: see `Pc.state_arrays`."""
        pc = self._pc
        arrays = pc.identity() | snapshot.arrays_in(then.parts)
        arrays |= pc.cpu.arrays_of(snapshot.arrays_in(then.cpu))
        arrays["ram"] = np.frombuffer(octets_of(then.ram), np.uint8)
        for name, disk, written in zip(pc.disk_names, pc.disks, then.disks, strict=True):
            sectors = {} if disk.writable else written
            data = b"".join(sectors[sector] for sector in sorted(sectors))
            arrays[f"{name}.sectors"] = np.array(sorted(sectors), "u4")
            arrays[f"{name}.data"] = np.frombuffer(data, np.uint8).reshape(-1, SECTOR)
        return arrays

    def close(self) -> None:
        """Keep RAM's log no more."""
        self._ram.close()
        self._pc.bus.log_ram(False)
