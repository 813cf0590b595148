"""A PCI bus by configuration mechanism 1 (CF8h, CFCh), and what is on it.

Emulated: configuration space of the host bridge and the ISA bridge of a 440FX, an IDE controller
whose channels lie where an AT has them, and the VGA with its linear frame buffer as BAR0, which a
guest may size. Addresses stay where they are: one that moves the frame buffer ends the run. Not
emulated: bus masters, shadow RAM, interrupt routing, hot plug, what command registers switch off,
configuration mechanism 2. CF9h pulls the CPU's reset line: see `reset`.

Source: PCI Local Bus Specification 2.1, chapter 6; Intel 82441FX and 82371SB data sheets (which
functions are where); QEMU, docs/specs/standard-vga (identity and BAR0 of the VGA).
"""

from __future__ import annotations

import struct
from functools import partial
from typing import ClassVar

import numpy as np

from vgaemu.errors import GuestFault
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.i8042 import pull_reset_line
from vgaemu.snapshot import Array, Part, Saved, fields
from vgaemu.vga.vram import LFB_GPA

ADDRESS_PORT, DATA_PORT, RESET_PORT = 0xCF8, 0xCFC, 0xCF9
ENABLED = 1 << 31
#: Bit of `RESET_PORT` that resets the CPU.
RESETS = 4
#: Registers of all functions.
COMMAND, CACHE_LINE, LATENCY, BAR0, INTERRUPT_LINE = 0x04, 0x0C, 0x0D, 0x10, 0x3C
#: Command: I/O space, memory space, bus master; the bits that a function has.
IO, MEMORY, MASTER, COMMAND_BITS = 1, 2, 4, 0x0107
PREFETCHABLE, MANY_FUNCTIONS = 8, 0x80
#: Vendor, device, command, status, revision, class.
_IDENTITY = struct.Struct("<HHHHB3s")


class PciFunction:
    """256 bytes, and which bits of them can be written."""

    def __init__(
        self, vendor: int, device: int, kind: int, command: int, *,
        status: int = 0, revision: int = 0, header: int = 0,
    ) -> None:  # fmt: skip
        """`kind` is its class: base, sub-class, interface of 8 bits each."""
        self.space, self.writable = bytearray(256), bytearray(256)
        what = vendor, device, command, status, revision, kind.to_bytes(3, "little")
        self.space[: _IDENTITY.size] = _IDENTITY.pack(*what)
        self.space[0x0E] = header
        self.let_write(COMMAND, COMMAND_BITS, 2)
        self.let_write(CACHE_LINE, 0xFFFF, 2)
        self.let_write(INTERRUPT_LINE, 0xFF)

    def let_write(self, at: int, mask: int, size: int = 1) -> None:
        self.writable[at : at + size] = mask.to_bytes(size, "little")

    def put(self, at: int, value: int, size: int) -> None:
        """What it holds from power on."""
        self.space[at : at + size] = value.to_bytes(size, "little")

    def read(self, at: int, size: int) -> int:
        return int.from_bytes(self.space[at : at + size], "little")

    def write(self, at: int, value: int, size: int) -> None:
        for i, byte in enumerate(value.to_bytes(size, "little"), at):
            mask = self.writable[i]
            self.space[i] = self.space[i] & ~mask | byte & mask


def host_bridge() -> PciFunction:
    """An Intel 82441FX."""
    bridge = PciFunction(0x8086, 0x1237, 0x060000, MEMORY | MASTER, status=0x2280, revision=2)
    for at in range(0x59, 0x60):  # where reads and writes of shadow RAM go: kept, without effect
        bridge.let_write(at, 0x33)
    return bridge


def isa_bridge() -> PciFunction:
    """An Intel 82371SB."""
    bridge = PciFunction(
        0x8086, 0x7000, 0x060100, IO | MEMORY | MASTER, status=0x0200, header=MANY_FUNCTIONS
    )
    bridge.put(0x60, 0x80808080, 4)  # lines of the bus lead to no interrupt
    bridge.let_write(0x60, 0x8F8F8F8F, 4)
    return bridge


def ide_controller() -> PciFunction:
    """An Intel 82371SB's, its channels at 1F0h and 170h; without its bus master, and so BAR4."""
    ide = PciFunction(0x8086, 0x7010, 0x010100, IO, status=0x0280)
    ide.put(0x40, 0x80008000, 4)  # both channels are decoded
    ide.let_write(0x40, 0xFFFFFFFF, 4)
    return ide


def vga(vram_bytes: int) -> PciFunction:
    """QEMU's standard VGA, without the registers of its BAR2."""
    card = PciFunction(0x1234, 0x1111, 0x030000, IO | MEMORY, revision=2)
    size = 1 << (vram_bytes - 1).bit_length()
    card.put(BAR0, LFB_GPA | PREFETCHABLE, 4)
    card.let_write(BAR0, -size & 0xFFFFFFFF, 4)
    card.put(0x2C, 0x11001AF4, 4)
    return card


class PciBus:
    """Bus 0: device and function -> what is there."""

    SAVED: ClassVar[Saved] = {"address": (0, 0xFFFFFFFF)}

    def __init__(self, bus: Bus) -> None:
        self.address = 0
        self.functions: dict[tuple[int, int], PciFunction] = {
            (0, 0): host_bridge(), (1, 0): isa_bridge(), (1, 1): ide_controller(),
            (2, 0): vga(bus.vga.slot.nbytes),
        }  # fmt: skip
        self._first = self._spaces()
        masks = b"".join(bytes(function.writable) for function in self.functions.values())
        self._fixed = ~np.frombuffer(masks, np.uint8)
        bus.wide_in[ADDRESS_PORT] = self._read_address
        bus.wide_out[ADDRESS_PORT] = self._write_address
        bus.byte_out[RESET_PORT] = self._write_reset
        for at in range(4):
            bus.wide_in[DATA_PORT + at] = partial(self._read_data, at)
            bus.wide_out[DATA_PORT + at] = partial(self._write_data, at)

    def _read_address(self, size: int) -> int:
        return self.address if size == 4 else (1 << 8 * size) - 1

    def _write_address(self, value: int, size: int) -> None:
        if size == 4:
            self.address = value & (ENABLED | 0xFFFFFC)
        elif size == 2 and value >> 8 & RESETS:
            self._write_reset(value >> 8)

    def _write_reset(self, value: int) -> None:
        if value & RESETS:
            pull_reset_line(RESET_PORT)

    def _read_data(self, at: int, size: int) -> int:
        if not self.address & ENABLED:
            return (1 << 8 * size) - 1
        address = self.address
        return self.read(address >> 16 & 0xFF, address >> 8 & 0xFF, (address & 0xFC) + at, size)

    def _write_data(self, at: int, value: int, size: int) -> None:
        address = self.address
        if address & ENABLED:
            self.write(
                address >> 16 & 0xFF, address >> 8 & 0xFF, (address & 0xFC) + at, value, size
            )

    def read(self, bus: int, function: int, at: int, size: int) -> int:
        """A register of `function`, five bits of device and three; ones where nothing is."""
        found = self.functions.get((function >> 3, function & 7)) if bus == 0 else None
        return (1 << 8 * size) - 1 if found is None else found.read(at & 0xFF, size)

    def write(self, bus: int, function: int, at: int, value: int, size: int) -> None:
        place = function >> 3, function & 7
        found = self.functions.get(place) if bus == 0 else None
        if found is None:
            return
        found.write(at & 0xFF, value, size)
        if place == (2, 0):
            self._check_frame_buffer(found)

    def _check_frame_buffer(self, card: PciFunction) -> None:
        """It stays where it is; all ones ask for its size."""
        base, size = card.read(BAR0, 4) & ~0xF, card.writable[BAR0 : BAR0 + 4]
        if base not in (LFB_GPA, int.from_bytes(size, "little")):
            raise GuestFault(
                f"the guest moves the linear frame buffer to {base:08X}h (BAR0 of 00:02.0), "
                f"and it stays at {LFB_GPA:08X}h"
            )

    def parts(self) -> dict[str, Part]:
        """What is saved; a state of before there was a bus has none of it."""
        return {
            "chips.pci": fields(self).or_else(self._reset),
            "chips.pci_spaces": Part(
                "u1", self._spaces, self._restore, self._fits, absent=self._reset
            ),
        }  # fmt: skip

    def _spaces(self) -> Array:
        """All that its functions hold, one after another."""
        held = b"".join(function.space for function in self.functions.values())
        return np.frombuffer(held, np.uint8)

    def _restore(self, array: Array) -> None:
        for nth, function in enumerate(self.functions.values()):
            function.space[:] = array[256 * nth : 256 * (nth + 1)].tobytes()

    def _fits(self, array: Array) -> bool:
        """What cannot be written is the same in all."""
        return not ((array ^ self._first) & self._fixed).any()

    def _reset(self) -> None:
        self.address = 0
        self._restore(self._first)
