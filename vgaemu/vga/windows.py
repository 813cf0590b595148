"""Windows: how a program reaches VRAM, through the legacy window and the linear frame buffer.

Emulated: stores, loads and copies by guest-physical address, byte for byte as `rep stosb`,
`rep lodsb` and `rep movsb` do them; which pages of a window are plain memory; VRAM's layout, which
follows SR04. What planes and latches do to a byte is `planes` and `aperture`.

Addresses come in three kinds, never mixed: *gpa* is guest-physical, *offset* is a byte inside VRAM,
and a *window offset* is a byte inside the legacy aperture that GR06 selects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from vgaemu.memslot import PAGE_SIZE, Memslot
from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.aperture import Aperture
from vgaemu.vga.layout import HIGH_CELLS, LEGACY_BYTES, Layout, rearrange
from vgaemu.vga.legacy_window import Bank, Window, window_of
from vgaemu.vga.planes import independent_bytes
from vgaemu.vga.ports import Data
from vgaemu.vga.registerfile import RegisterFile
from vgaemu.vga.shared_aperture import SharedAperture
from vgaemu.vga.vram import LFB_GPA


def _as_bytes(data: Any) -> Any:
    """Data for a store, one byte an element; what has rows or gaps is copied row after row."""
    view = memoryview(data)
    if view.itemsize != 1:
        raise ValueError(f"a store takes bytes or uint8, not elements of format {view.format!r}")
    return data if view.ndim == 1 and view.contiguous else view.tobytes()


class Windows(RegisterFile):
    """Registers, and the memory that they let a program reach."""

    #: VRAM.
    slot: Memslot
    #: Counts register writes that changed something; the picture may depend on each. A change is
    #: there before it is counted, so that who looks at the count first misses none.
    generation: int
    #: Called after `window()` began to answer otherwise.
    on_map_changed: list[Callable[[], None]]
    #: Told how many bytes of VRAM a port write has cleared or moved.
    on_moved: list[Callable[[int], None]]
    #: Not 0: the pipeline's registers have changed since the aperture was told of them. Memory, so
    #: that native code that writes those can tell, too.
    pipeline_stale: bytearray
    #: Not 0: they have a say in whether the window is plain memory.
    pipeline_moves: bytearray
    #: Held while the layout changes, and by displays while they read VRAM by it.
    layout_lock: threading.Lock
    #: Registers that move windows have been those of text since the last frame began.
    text_stays: bool

    def __init__(self, slot: Memslot) -> None:
        """All registers 0, VRAM as it is.

        Raises:
            ValueError: The slot has less than 256 KiB.
        """
        if slot.nbytes < LEGACY_BYTES:
            raise ValueError(f"VRAM is at least {LEGACY_BYTES} bytes, not {slot.nbytes}")
        super().__init__(slot.nbytes)
        self.slot = slot
        self.generation = 0
        self.on_map_changed = []
        self.on_moved = []
        self.layout_lock = threading.Lock()
        self.text_stays = False
        self.dispi.on_change = self._dispi_changed
        self._aperture = Aperture(slot)
        #: The part of the legacy window that is plain memory, and where it lies in VRAM.
        self._plain_start = self._plain_end = self._plain_offset = 0
        self._window_start = self._window_end = 0
        self.pipeline_stale = bytearray(1)
        self.pipeline_moves = bytearray(1)
        self.remap()

    def window(self, gpa: int) -> int | None:
        """Where the page around an address lies in VRAM, if it is *plain* memory.

        Returns:
            VRAM offset of the page's first byte, or None: not VRAM, or only through `store`,
            `load` and `copy`, because latches, masks or planes have a say.
        """
        return self._plain_range(gpa & -PAGE_SIZE, PAGE_SIZE)

    def store(self, gpa: int, data: Data) -> None:
        """Store bytes upwards, each as `rep stosb` would. What lies outside VRAM is ignored.

        Args:
            gpa: Guest-physical address of the first.
            data: Bytes, or an array of them, row after row if it has more than one dimension.

        Raises:
            TypeError: The data are not in a buffer, as in a list.
            ValueError: They are no bytes.
        """
        if type(data) is not bytes:
            data = _as_bytes(data)
        end = gpa + len(data)
        if self._plain_start <= gpa and end <= self._plain_end:
            self.slot.write(gpa - self._plain_start + self._plain_offset, data)
        elif self._window_start <= gpa and end <= self._window_end:
            if self.pipeline_stale[0]:
                self._follow_pipeline()
            self._aperture.store(gpa - self._window_start, data)
        elif gpa >= LFB_GPA and end <= LFB_GPA + self.slot.nbytes:
            self.slot.write(gpa - LFB_GPA, data)
        else:
            for start, length in self._pieces(gpa, len(data)):
                self.store(gpa + start, np.frombuffer(data, np.uint8)[start : start + length])

    def load(self, gpa: int, count: int) -> bytes:
        """Load bytes upwards, each as `rep lodsb` would. What lies outside VRAM reads FFh."""
        end = gpa + count
        if self._plain_start <= gpa and end <= self._plain_end:
            offset = gpa - self._plain_start + self._plain_offset
            if count and not self.dispi.linear:
                self.latch = self._planes_around(offset + count - 1)
            return self.slot.read(offset, count)
        if self._window_start <= gpa and end <= self._window_end:
            if self.pipeline_stale[0]:
                self._follow_pipeline()
            return self._aperture.load(gpa - self._window_start, count)
        if gpa >= LFB_GPA and end <= LFB_GPA + self.slot.nbytes:
            return self.slot.read(gpa - LFB_GPA, count)
        result = bytearray(b"\xff" * count)
        for start, length in self._pieces(gpa, count):
            result[start : start + length] = self.load(gpa + start, length)
        return bytes(result)

    def _planes_around(self, offset: int) -> int:
        """What a read of a plain window's byte of VRAM latches: see `latch`."""
        memory = self.slot.memory
        if self.layout is Layout.ODD_EVEN:
            low = offset % (2 * HIGH_CELLS) & ~1
            high = low + 2 * HIGH_CELLS
            return int.from_bytes(
                bytes(memory[low : low + 2]) + bytes(memory[high : high + 2]), "little"
            )
        low = offset & ~3
        return int.from_bytes(memory[low : low + 4], "little")

    def copy(self, src: int, dst: int, count: int) -> None:
        """Copy bytes upwards as `rep movsb` would: each read loads the latches for its write."""
        if self.pipeline_stale[0]:
            self._follow_pipeline()
        start, end = self._window_start, self._window_end
        in_window = start <= min(src, dst) and max(src, dst) + count <= end
        if in_window and self._plain_end == 0:
            self._aperture.copy(src - start, dst - start, count)
            return
        source, target = self._plain_range(src, count), self._plain_range(dst, count)
        if source is not None and target is not None:
            self._copy_plain(src, dst, count, target - source)
            return
        pieces = self._pieces_of_copy(src, dst, count)
        if len(pieces) > 1:
            for at, stop in pieces:
                self.copy(src + at, dst + at, stop - at)
        elif in_window:  # plain memory and what lies behind it, where it shows again
            self._aperture.copy(src - start, dst - start, count)
        else:
            # Some bytes load the latches, or two windows show the same ones; else it is as one.
            both = self._pieces(src, count) and self._pieces(dst, count)
            self._copy_blocks(src, dst, count, 1 if both else max(count, 1))

    def _copy_plain(self, src: int, dst: int, count: int, ahead: int) -> None:
        """Plain memory; the target lies so many bytes ahead of the source in VRAM."""
        head = count
        # Latched is what lies around the last byte, with what was copied there before.
        if -3 < ahead < count + 3:
            head = max(count - 1, 0)
        step = independent_bytes(ahead % (1 << 32), 1, 1 << 32)
        self._copy_blocks(src, dst, head, step)
        self._copy_blocks(src + head, dst + head, count - head, 1)

    def _copy_blocks(self, src: int, dst: int, count: int, step: int) -> None:
        for at in range(0, count, step):
            self.store(dst + at, self.load(src + at, min(step, count - at)))

    def _pieces_of_copy(self, src: int, dst: int, count: int) -> list[tuple[int, int]]:
        """A copy, cut where source or target enters or leaves a window: begin and end of each."""
        windows = self._window_start, self._window_end, LFB_GPA, LFB_GPA + self.slot.nbytes
        borders = {border - gpa for border in (*windows, self._plain_end) for gpa in (src, dst)}
        return list(pairwise((0, *sorted(at for at in borders if 0 < at < count), count)))

    def _plain_range(self, gpa: int, count: int) -> int | None:
        """VRAM offset of a range of guest-physical space, if it is plain memory as a whole."""
        end = gpa + count
        if self._plain_start <= gpa and end <= self._plain_end:
            return gpa - self._plain_start + self._plain_offset
        if gpa >= LFB_GPA and end <= LFB_GPA + self.slot.nbytes:
            return gpa - LFB_GPA
        return None

    @property
    def latch(self) -> int:
        """The four latches as a dword, plane 0 lowest."""
        return self._aperture.latch

    @latch.setter
    def latch(self, value: int) -> None:
        self._aperture.latch = value

    def _pieces(self, gpa: int, count: int) -> list[tuple[int, int]]:
        """The parts of a range that lie in a window whole: (position, length)."""
        pieces = []
        for low, high in (
            (self._window_start, self._window_end),
            (LFB_GPA, LFB_GPA + self.slot.nbytes),
        ):
            start, stop = max(gpa, low), min(gpa + count, high)
            if start < stop:
                edge = self._plain_end
                cuts = (start, edge, stop) if start < edge < stop else (start, stop)
                pieces += [(at - gpa, end - at) for at, end in pairwise(cuts)]
        return pieces

    # What follows from the registers.

    def sync_layout(self) -> None:
        """Lay the legacy planes out as SR04 wants them; linear DISPI modes leave VRAM alone.

        They find text in the planar layout, so that they show what they would without the odd/even
        one. That stays otherwise unless SR04 forbids it; `remap` ends it, too.
        """
        old = layout = self.layout
        if self.dispi.linear:
            layout = Layout.PLANAR if old is Layout.ODD_EVEN else old
        elif self.sequencer["chain4"] and not self.dispi.enabled:
            layout = Layout.CHAIN4
        elif old is Layout.CHAIN4 or self.dispi.enabled:
            layout = Layout.PLANAR
        if layout is not old:
            self._lay_out(layout)
            if Layout.CHAIN4 in (old, layout):
                self._tell_moved(LEGACY_BYTES)

    def _lay_out(self, layout: Layout) -> None:
        with self.layout_lock:
            rearrange(self.slot.array, self.layout, layout)
            self.layout = layout
        self.slot.mark_dirty(0, LEGACY_BYTES)
        self.generation += 1

    def _tell_moved(self, nbytes: int) -> None:
        for told in self.on_moved:
            told(nbytes)

    def lay_text_out(self) -> None:
        """Lay VRAM out for text, if registers are those of text; the window is plain memory then.

        A mode set does so, and `note_frame` after a whole frame of text: a guest that goes to and
        fro between text and its fonts is not to have all of it moved each time.
        """
        if self.layout is not Layout.ODD_EVEN and self._window_of_now().is_text:
            self._lay_out(Layout.ODD_EVEN)
            self.remap()

    def note_frame(self) -> None:
        """A guest begins with what it does in another frame; on its thread."""
        if self.layout is Layout.ODD_EVEN or self.graphics["graphics"]:
            return
        if self.text_stays:
            self.lay_text_out()
        self.text_stays = self._window_of_now().is_text

    def _window_of_now(self) -> Window:
        dispi = self.dispi
        return window_of(
            bytes(self.graphics.values), bytes(self.sequencer.values), bytes(self.misc.values),
            self.slot.nbytes,
            layout=self.layout,
            bank=Bank(dispi.linear, dispi.bank_bytes) if dispi.enabled else None,
        )  # fmt: skip

    def pipeline_changed(self) -> None:
        """Registers changed that move no window: who stores or loads next looks at them."""
        if self.pipeline_moves[0]:
            self.remap()
        else:
            self.pipeline_stale[0] = 1

    def _follow_pipeline(self) -> None:
        # First: what is written meanwhile is looked at again.
        self.pipeline_stale[0] = 0
        window = self._window_of_now()
        self._aperture.configure(window.addressing, window.write, window.read)

    def share_planes(self) -> SharedAperture:
        """Let native code store and load through the planes, too; the guest stands still."""
        aperture = self._aperture
        if not isinstance(aperture, SharedAperture):
            registers = self.graphics.values, self.sequencer.values
            aperture = SharedAperture(self.slot, *registers)
            aperture.latch, self._aperture = self.latch, aperture
            self.remap()
        return aperture

    def tells_of_stores(self) -> bool:
        """Whether each store and load is to come through here: somebody is told of it."""
        return False

    def remap(self) -> None:
        """Work out the legacy window, how stores through it are addressed, and if it is plain."""
        self.pipeline_stale[0] = 0
        window = self._window_of_now()
        if not window.is_text:
            self.text_stays = False
            if self.layout is Layout.ODD_EVEN:
                self._lay_out(Layout.PLANAR)
                window = self._window_of_now()
        self.pipeline_moves[0] = self.layout is not Layout.PLANAR
        self._aperture.configure(window.addressing, window.write, window.read)
        self._window_start, self._window_end = window.start, window.end
        other = self._aperture.place(window.start, window.end)
        old = self._plain_start, self._plain_end, self._plain_offset
        self._plain_start = window.start if window.plain_end else 0
        self._plain_end, self._plain_offset = window.plain_end, window.plain_offset
        if other or (self._plain_start, self._plain_end, self._plain_offset) != old:
            for callback in self.on_map_changed:
                callback()

    def _dispi_changed(self, clear: bool) -> None:
        dispi = self.dispi
        self.dac.set_eight_bit(bool(dispi.values[dispi_regs.ENABLE] & dispi_regs.EIGHT_BIT_DAC))
        self.sync_layout()
        if clear:
            # A pitch in addresses, for 4 bpp, counts four bytes each.
            pitch = dispi.pitch_bytes * (1 if dispi.linear else 4)
            nbytes = min(self.slot.nbytes, pitch * dispi.values[dispi_regs.YRES])
            self.slot.array[:nbytes] = 0
            self.slot.mark_dirty(0, nbytes)
            self._tell_moved(nbytes)
        self.generation += 1
        self.remap()
