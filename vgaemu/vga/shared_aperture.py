"""An aperture that native code stores and loads through, too: `native.planes` says how.

What of it changes with each register is not here: native code looks at the registers themselves.
"""

from __future__ import annotations

from array import array

from vgaemu.memslot import Memslot
from vgaemu.native import cells
from vgaemu.native.shared import address_of
from vgaemu.vga.aperture import CHAIN4, ODD_EVEN, PLANAR, Aperture
from vgaemu.vga.registers import WINDOWS

#: Where native code's window begins: that of 128 KiB.
WHOLE_START, _ = WINDOWS[0]
#: `Addressing.kind` -> what native code calls it.
KINDS = {PLANAR: cells.PLANAR, ODD_EVEN: cells.ODD_EVEN, CHAIN4: cells.CHAIN4}


class SharedAperture(Aperture):
    """The CPU's way to the planes, with latches and addressing in `cells`."""

    def __init__(self, slot: Memslot, graphics: bytearray, sequencer: bytearray) -> None:
        """Over the values of the registers of both."""
        #: As `vgaemu.native.cells` says; `MARKS`, `TIME` and `COST` are for who has native code.
        self.cells = memoryview(array("q", bytes(8 * cells.PLANES_CELLS)))
        super().__init__(slot)
        # Memory that others point to must stay where it is: a view keeps it from being resized.
        self._kept = memoryview(graphics), memoryview(sequencer), slot.memory
        self.cells[cells.GRAPHICS], self.cells[cells.SEQUENCER] = map(address_of, self._kept[:2])
        self.cells[cells.VRAM] = slot.array.ctypes.data

    @property
    def latch(self) -> int:
        return self.cells[cells.LATCH]

    @latch.setter
    def latch(self, value: int) -> None:
        self.cells[cells.LATCH] = value

    def place(self, start: int, end: int) -> bool:
        addressing, into = self._addressing, self.cells
        was_known = into[cells.KIND] >= 0
        into[cells.FIRST], into[cells.BYTES] = WHOLE_START - start, end - start
        into[cells.KIND] = KINDS.get(addressing.kind, -1)
        into[cells.SELECT] = sum(bits << 4 * i for i, bits in enumerate(addressing.planes))
        into[cells.PAGE] = addressing.page
        into[cells.FIRST_DWORD] = addressing.first_dword % addressing.plane_dwords
        into[cells.PLANE_DWORDS] = addressing.plane_dwords
        return was_known != (into[cells.KIND] >= 0)
