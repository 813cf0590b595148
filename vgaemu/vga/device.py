"""Vga: the device. Ports in one dict, memory windows, and what changed since somebody looked.

Emulated: an IBM VGA with 256 KiB of planes in the first part of a larger VRAM, and Bochs DISPI for
linear modes; the register banks, DAC, latches, windows, input status. Not emulated: PCI, the
retrace interrupt (that one is pending can be read), the monitor sense bits, the EGA feature
connector (3xAh stores nothing), light pen.

Addresses come in three kinds, never mixed: *gpa* is guest-physical, *offset* is a byte inside VRAM,
and a *window offset* is a byte inside the legacy aperture that GR06 selects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MemslotError
from vgaemu.memslot import PAGE_SIZE, Memslot
from vgaemu.snapshot import Array, Part, number, octets_in
from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.aperture import Aperture
from vgaemu.vga.beam import Beam, VirtualBeam
from vgaemu.vga.dac import Dac
from vgaemu.vga.dispi import Dispi
from vgaemu.vga.layout import LEGACY_BYTES, rearrange
from vgaemu.vga.legacy_window import Bank, window_of
from vgaemu.vga.planes import independent_bytes
from vgaemu.vga.ports import Data
from vgaemu.vga.registers import RegisterBank

log = logging.getLogger(__name__)

#: Where the linear frame buffer lies (QEMU's ISA VGA and Bochs without PCI put it there too).
LFB_GPA = 0xE0000000
DEFAULT_VRAM_MIB, MAX_VRAM_MIB = 16, 256
#: CRTC registers that say where the cursor is and how it looks, and nothing else.
CURSOR_REGISTERS = (0x0A, 0x0B, 0x0E, 0x0F)

PortHandler: TypeAlias = tuple[Callable[[], int] | None, Callable[[int], None] | None]


def make_vram(vram_mib: int = DEFAULT_VRAM_MIB, *, dirty_log: str = "flags") -> Memslot:
    """A slot for VRAM, where the linear frame buffer lies.

    Raises:
        MemslotError: Less than 1 MiB or more than `MAX_VRAM_MIB`, no such dirty log, or one that
            cannot work here.
    """
    if not 1 <= vram_mib <= MAX_VRAM_MIB:
        raise MemslotError(f"vram_mib is 1 to {MAX_VRAM_MIB}, not {vram_mib}")
    return Memslot((vram_mib << 20) // PAGE_SIZE, LFB_GPA // PAGE_SIZE, dirty_log=dirty_log)


def _as_bytes(data: Any) -> Any:
    """Data for a store, one byte an element; what has rows or gaps is copied row after row."""
    view = memoryview(data)
    if view.itemsize != 1:
        raise ValueError(f"a store takes bytes or uint8, not elements of format {view.format!r}")
    return data if view.ndim == 1 and view.contiguous else view.tobytes()


class Vga:
    """One VGA. One CPU thread at a time drives it; a display may look at it meanwhile."""

    #: VRAM.
    slot: Memslot
    #: The register banks; MISC output is one of a single register.
    sequencer: RegisterBank
    crtc: RegisterBank
    graphics: RegisterBank
    attribute: RegisterBank
    misc: RegisterBank
    #: The palette.
    dac: Dac
    #: The Bochs VBE registers.
    dispi: Dispi
    #: Attribute address register: bits 0-4 the index, bit 5 shows the picture; and its flip-flop.
    attribute_address: int
    attribute_takes_data: bool
    #: The font that a mode set loads for text, (256, height) uint8; the bundled ones if None.
    rom_font: NDArray[np.uint8] | None
    #: Tells input status 0 and 1 where the beam is.
    beam: Beam
    #: Counts register writes that changed something; the picture may depend on each. A change is
    #: there before it is counted, so that who looks at the count first misses none.
    generation: int
    #: The same for writes that only moved or reshaped the text cursor; `generation` has others.
    cursor_generation: int
    #: Called after `window()` began to answer otherwise.
    on_map_changed: list[Callable[[], None]]
    #: Told how many bytes of VRAM a port write has cleared or moved.
    on_moved: list[Callable[[int], None]]
    #: Whether the legacy 256 KiB of VRAM are stored for chain-4 (see `layout`).
    chain4_layout: bool
    #: Port -> what reads and what writes it.
    ports: dict[int, PortHandler]

    def __init__(self, slot: Memslot | None = None) -> None:
        """Power on: registers 0, VRAM as it is.

        Raises:
            ValueError: The slot for VRAM, 16 MiB if None, has less than 256 KiB.
        """
        self.slot = make_vram() if slot is None else slot
        if self.slot.nbytes < LEGACY_BYTES:
            raise ValueError(f"VRAM is at least {LEGACY_BYTES} bytes, not {self.slot.nbytes}")
        self.misc = RegisterBank("misc")
        self.sequencer = RegisterBank("sequencer")
        self.crtc = RegisterBank("crtc")
        self.graphics = RegisterBank("graphics")
        self.attribute = RegisterBank("attribute")
        self.dac = Dac()
        self.dispi = Dispi(self.slot.nbytes)
        self.dispi.on_change = self._dispi_changed
        self.attribute_address = 0
        self.attribute_takes_data = False
        self._aperture = Aperture(self.slot)
        self.rom_font = None
        self.beam = VirtualBeam()
        self.generation = self.cursor_generation = 0
        self.on_map_changed = []
        self.on_moved = []
        self.chain4_layout = False
        #: The part of the legacy window that is plain memory, and where it lies in VRAM.
        self._plain_start = self._plain_end = self._plain_offset = 0
        self._window_start = self._window_end = 0
        self._unknown_ports: set[int] = set()
        self.ports = self._port_table()
        self._remap()

    def __repr__(self) -> str:
        shows = "graphics" if self.graphics["graphics"] else "text"
        if self.dispi.enabled:
            _, width, height, bits, *_ = self.dispi.values
            shows = f"DISPI {width}x{height}, {bits} bits"
        return f"<vgaemu.Vga {shows}, {self.slot.nbytes >> 20} MiB>"

    # Ports.

    def _port_table(self) -> dict[int, PortHandler]:
        # The CRTC and input status 1 answer at 3Dxh, or at 3Bxh in monochrome modes.
        base = 0x3D0 if self.misc["colour_ports"] else 0x3B0
        sequencer, graphics, crtc, dac = self.sequencer, self.graphics, self.crtc, self.dac
        return {
            0x3C0: (self._read_attribute_address, self._write_attribute),
            0x3C1: (self._read_attribute, None),
            0x3C2: (self._read_status_0, self._write_misc),
            0x3C4: (lambda: sequencer.index, sequencer.select),
            0x3C5: (lambda: sequencer.read(sequencer.index), self._write_sequencer),
            0x3C6: (lambda: dac.mask, dac.write_mask),
            0x3C7: (lambda: dac.state, dac.write_read_index),
            0x3C8: (lambda: dac.write_index, dac.write_write_index),
            0x3C9: (dac.read_data, dac.write_data),
            0x3CA: (lambda: 0, None),
            0x3CC: (lambda: self.misc.values[0], None),
            0x3CE: (lambda: graphics.index, graphics.select),
            0x3CF: (lambda: graphics.read(graphics.index), self._write_graphics),
            base + 4: (lambda: crtc.index, crtc.select),
            base + 5: (lambda: crtc.read(crtc.index), self._write_crtc),
            base + 0xA: (self._read_status_1, lambda value: None),
        }

    def outb(self, port: int, value: int) -> None:
        """Write a byte to a port; one without a device ignores it."""
        write = self.ports.get(port, (None, None))[1]
        if write is not None:
            write(value & 0xFF)
        else:
            self._unknown(port)

    def inb(self, port: int) -> int:
        """Read a byte from a port; FFh where there is no device."""
        read = self.ports.get(port, (None, None))[0]
        if read is not None:
            return read()
        self._unknown(port)
        return 0xFF

    def outw(self, port: int, value: int) -> None:
        """Write 16 bits: one access to DISPI, elsewhere the low byte, then the high one above."""
        if port == 0x1CE:
            self.dispi.index = value & 0xFFFF
        elif port in (0x1CF, 0x1D0):
            self.dispi.write(value & 0xFFFF)
        else:
            self.outb(port, value & 0xFF)
            self.outb(port + 1, value >> 8 & 0xFF)

    def inw(self, port: int) -> int:
        """Read 16 bits."""
        if port == 0x1CE:
            return self.dispi.index
        if port in (0x1CF, 0x1D0):
            return self.dispi.read()
        return self.inb(port) | self.inb(port + 1) << 8

    def _unknown(self, port: int) -> None:
        if port not in self._unknown_ports:
            self._unknown_ports.add(port)
            log.debug("no device at port %#x", port)

    def _write_attribute(self, value: int) -> None:
        if not self.attribute_takes_data:
            old, self.attribute_address = self.attribute_address, value & 0x3F
            if (value ^ old) & 0x20:
                self.generation += 1
        else:
            index = self.attribute_address & 0x1F
            # The palette is out of the CPU's reach while the picture is shown.
            locked = index < 0x10 and self.attribute_address & 0x20
            if not locked and self.attribute.write(index, value):
                self.generation += 1
        self.attribute_takes_data = not self.attribute_takes_data

    def _read_attribute_address(self) -> int:
        return 0 if self.attribute_takes_data else self.attribute_address

    def _read_attribute(self) -> int:
        return self.attribute.read(self.attribute_address & 0x1F)

    def _write_misc(self, value: int) -> None:
        if self.misc.write(0, value):
            self.ports = self._port_table()
            self.generation += 1
            self._remap()

    def _write_sequencer(self, value: int) -> None:
        if self.sequencer.write(self.sequencer.index, value):
            self.generation += 1
            self._sync_layout()
            self._remap()

    def _write_graphics(self, value: int) -> None:
        if self.graphics.write(self.graphics.index, value):
            self.generation += 1
            self._remap()

    def _write_crtc(self, value: int) -> None:
        index = self.crtc.index
        if index <= 7 and self.crtc["protect"]:
            if index != 7:
                return
            value = self.crtc.values[7] & ~0x10 | value & 0x10  # line compare bit 8 stays free
        if index == 0x11 and value & ~self.crtc.values[0x11] & 0x10:
            self.beam.watch_retrace()
        if self.crtc.write(index, value):
            if index in CURSOR_REGISTERS:
                self.cursor_generation += 1
            else:
                self.generation += 1

    def _read_status_0(self) -> int:
        """Bit 7: a retrace has begun since CR11 bit 4, which holds it clear while 0, became 1."""
        if not self.crtc["vretrace_irq_clear"]:
            return 0
        return self.beam.retrace_began(self.timing_key()) << 7

    def _read_status_1(self) -> int:
        self.attribute_takes_data = False
        return self.beam.status(self.timing_key())

    # Memory.

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
                last = offset + count - 1 & ~3
                self.latch = int.from_bytes(self.slot.memory[last : last + 4], "little")
            return self.slot.read(offset, count)
        if self._window_start <= gpa and end <= self._window_end:
            return self._aperture.load(gpa - self._window_start, count)
        if gpa >= LFB_GPA and end <= LFB_GPA + self.slot.nbytes:
            return self.slot.read(gpa - LFB_GPA, count)
        result = bytearray(b"\xff" * count)
        for start, length in self._pieces(gpa, count):
            result[start : start + length] = self.load(gpa + start, length)
        return bytes(result)

    def copy(self, src: int, dst: int, count: int) -> None:
        """Copy bytes upwards as `rep movsb` would: each read loads the latches for its write."""
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
        # Chain-4 latches what lies around the last byte, with what was copied there before.
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

    def _sync_layout(self) -> None:
        """Store the legacy planes as SR04 wants them; linear DISPI modes leave VRAM alone."""
        if self.dispi.linear:
            return
        chain4 = bool(self.sequencer["chain4"]) and not self.dispi.enabled
        if chain4 != self.chain4_layout:
            rearrange(self.slot.array, chain4)
            self.chain4_layout = chain4
            self._moved(LEGACY_BYTES)
            self.generation += 1

    def _moved(self, nbytes: int) -> None:
        self.slot.mark_dirty(0, nbytes)
        for told in self.on_moved:
            told(nbytes)

    def _remap(self) -> None:
        """Work out the legacy window, how stores through it are addressed, and if it is plain."""
        dispi = self.dispi
        window = window_of(
            bytes(self.graphics.values), bytes(self.sequencer.values), bytes(self.misc.values),
            self.slot.nbytes,
            chain4_layout=self.chain4_layout,
            bank=Bank(dispi.linear, dispi.bank_bytes) if dispi.enabled else None,
        )  # fmt: skip
        self._aperture.configure(window.addressing, window.write, window.read)
        self._window_start, self._window_end = window.start, window.end
        old = self._plain_start, self._plain_end, self._plain_offset
        self._plain_start = window.start if window.plain_end else 0
        self._plain_end, self._plain_offset = window.plain_end, window.plain_offset
        if (self._plain_start, self._plain_end, self._plain_offset) != old:
            for callback in self.on_map_changed:
                callback()

    def _dispi_changed(self, clear: bool) -> None:
        dispi = self.dispi
        self.dac.set_eight_bit(bool(dispi.values[dispi_regs.ENABLE] & dispi_regs.EIGHT_BIT_DAC))
        self._sync_layout()
        if clear:
            # A pitch in addresses, for 4 bpp, counts four bytes each.
            pitch = dispi.pitch_bytes * (1 if dispi.linear else 4)
            nbytes = min(self.slot.nbytes, pitch * dispi.values[dispi_regs.YRES])
            self.slot.array[:nbytes] = 0
            self._moved(nbytes)
        self.generation += 1
        self._remap()

    def parts(self) -> dict[str, Part]:
        """What of the device is saved: see `vgaemu.snapshot`; call `restored` afterwards."""
        indexed = self.sequencer, self.crtc, self.graphics
        banks = self.misc, *indexed, self.attribute
        return {
            **{bank.name: octets_in(bank.values, bank.masks) for bank in banks},
            **{f"{bank.name}_index": number(bank, "index", bank.index_mask) for bank in indexed},
            "attribute_address": number(self, "attribute_address", 0x3F),
            "attribute_takes_data": number(self, "attribute_takes_data", 1),
            "latch": number(self, "latch", 0xFFFFFFFF),
            **self.dac.parts(),
            **self.dispi.parts(),
            "chain4_layout": number(self, "chain4_layout", 1),
            **self.beam.parts(),
            "vram": Part("u1", lambda: self.slot.array, self._restore_vram),
        }

    def _restore_vram(self, array: Array) -> None:
        self.slot.array[:] = array
        self.slot.mark_dirty(0, self.slot.nbytes)

    def restored(self) -> None:
        """Parts were set past the ports, from a snapshot: follow them."""
        self.generation += 1
        self.dac.generation += 1
        self.ports = self._port_table()
        self._remap()

    def timing_key(self) -> tuple[bytes, int, int]:
        """What the CRTC's timing depends on: its registers, SR01 and misc output."""
        return bytes(self.crtc.values), self.sequencer.values[1], self.misc.values[0]
