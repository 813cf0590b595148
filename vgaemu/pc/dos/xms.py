"""XMS 2.0: extended memory by INT 2Fh/4310h's entry point.

Emulated: the high memory area, blocks of extended memory from 1088 KiB to the end of RAM, at most
64 MiB (allocated, moved, locked, resized); while any of it is taken INT 15h/88h says that there is
no extended memory. The A20 gate, which is open for all when the system begins. Not emulated: upper
memory (there is none).

Source: Extended Memory Specification 2.0 (Microsoft, 1988).
"""

from __future__ import annotations

import struct
from typing import ClassVar, NamedTuple

import numpy as np

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import SERVICE_NS
from vgaemu.pc.dos.area import XMS_PORT
from vgaemu.pc.dos.errors import CallError
from vgaemu.snapshot import Array, Part, Saved, fields

VERSION, REVISION = 0x0200, 0x0100
#: Where blocks begin and what the specification ends at, in KiB; 64 KiB more are the HMA.
FIRST_KIB, MOST_KIB = 1088, 0xFFFF
MAX_HANDLES, MAX_LOCKS = 64, 0xFF
#: How often 05h may have opened the gate.
MOST_TIMES = 0xFFFF
#: A first handle, so that none is 0.
FIRST_HANDLE = 1
#: Handles of blocks that a DPMI host has taken.
EXTRA_HANDLES = range(0x1000, 0x1400)
#: What BL says.
NOT_THERE, GATE_FAILS, HMA_USED, HMA_FREE, STILL_OPEN, NO_MEMORY, NO_HANDLES, BAD_HANDLE = (
    0x80, 0x82, 0x91, 0x93, 0x94, 0xA0, 0xA1, 0xA2,
)  # fmt: skip
BAD_SOURCE, BAD_SOURCE_AT, BAD_TARGET, BAD_TARGET_AT, BAD_LENGTH, NOT_LOCKED, LOCKED, NO_LOCKS = (
    0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC,
)  # fmt: skip
NO_UPPER, BAD_UPPER = 0xB1, 0xB2
#: 0Bh: length; handle and offset of source and of target.
MOVE = struct.Struct("<IHIHI")
#: AH of INT 15h: how much extended memory there is.
EXTENDED_SIZE = 0x88
#: Bytes of a move that a unit of `Calls.spend` is worth.
BYTES_A_UNIT = 4096


class XmsError(CallError):
    """A call fails, with what BL says."""


class Block(NamedTuple):
    """A block of extended memory."""

    start_kib: int
    kib: int
    locks: int = 0


class Gate:
    """Who has opened the A20 gate: whoever has the HMA for all, others for as long as they say."""

    SAVED: ClassVar[Saved] = {"is_for_all": (0, 1), "times": (0, MOST_TIMES)}

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.forget()

    def forget(self) -> None:
        """As the system begins."""
        self.is_for_all, self.times = True, 0

    def open_for_all(self) -> None:
        """03h."""
        self.is_for_all = self._bus.a20_is_open = True

    def close_for_all(self) -> None:
        """04h.

        Raises:
            XmsError: It stays open for others.
        """
        self.is_for_all = False
        self._close_if_last()

    def open(self) -> None:
        """05h.

        Raises:
            XmsError: It has been called too often.
        """
        if self.times == MOST_TIMES:
            raise XmsError(GATE_FAILS)
        self.times += 1
        self._bus.a20_is_open = True

    def close(self) -> None:
        """06h.

        Raises:
            XmsError: Nobody has opened it so, or it stays open for others.
        """
        if not self.times:
            raise XmsError(GATE_FAILS)
        self.times -= 1
        self._close_if_last()

    def _close_if_last(self) -> None:
        if self.is_for_all or self.times:
            raise XmsError(STILL_OPEN)
        self._bus.a20_is_open = False


class Xms:
    """The driver."""

    SAVED: ClassVar[Saved] = {"hma_used": (0, 1)}

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._clock, self._calls = board.bus, board.cpu, board.clock, calls
        self.hma_used = False
        self.gate = Gate(board.bus)
        self.blocks: dict[int, Block] = {}
        #: Where RAM ends; what lies above the specification's end is for DPMI's clients alone.
        self.ram_kib = board.bus.ram_bytes >> 10
        self.end_kib = min(self.ram_kib, FIRST_KIB + MOST_KIB)
        self._services: dict[int, Service] = {
            0x00: self._version,
            0x01: self._take_hma,
            0x02: self._free_hma,
            0x03: self.gate.open_for_all,
            0x04: self.gate.close_for_all,
            0x05: self.gate.open,
            0x06: self.gate.close,
            0x07: self._is_open,
            0x08: self._free_memory,
            0x09: self._allocate,
            0x0A: self._free,
            0x0B: self._move,
            0x0C: self._lock,
            0x0D: self._unlock,
            0x0E: self._information,
            0x0F: self._resize,
            0x10: self._no_upper_memory,
        }
        board.bus.byte_out[XMS_PORT] = self._call
        service = calls.services[0x15]
        calls.services[0x15] = lambda: self._size() if self._is_asked() else service()

    def _is_asked(self) -> bool:
        """Whether INT 15h asks for memory that XMS has given away some of."""
        return self._cpu.ah == EXTENDED_SIZE and bool(self.blocks or self.hma_used)

    def _size(self) -> None:
        """INT 15h/88h, as HIMEM.SYS answers it."""
        self._cpu.ax = 0
        self._calls.carry(False)

    def _call(self, _: int) -> None:
        """The entry's OUT."""
        cpu = self._cpu
        self._clock.cost(SERVICE_NS)
        self._calls.new_slice()
        service = self._services.get(cpu.ah)
        try:
            if service is None:
                raise XmsError(BAD_UPPER if cpu.ah == 0x11 else NOT_THERE)
            said = cpu.ah
            service()
            if said not in (0x00, 0x07, 0x08):
                cpu.ax, cpu.bl = 1, 0 if said in range(0x01, 0x07) else cpu.bl
        except XmsError as error:
            cpu.ax, cpu.bl = 0, error.code

    def _version(self) -> None:
        self._cpu.ax, self._cpu.bx, self._cpu.dx = VERSION, REVISION, 1

    def _take_hma(self) -> None:
        if self.hma_used:
            raise XmsError(HMA_USED)
        self.hma_used = True

    def _free_hma(self) -> None:
        if not self.hma_used:
            raise XmsError(HMA_FREE)
        self.hma_used = False

    def _is_open(self) -> None:
        self._cpu.ax, self._cpu.bl = self._bus.a20_is_open, 0

    def _gaps(self, end_kib: int | None = None) -> list[tuple[int, int]]:
        """Begin and length of what is free, in KiB."""
        begin, gaps = FIRST_KIB, []
        end = self.end_kib if end_kib is None else end_kib
        for block in sorted(self.blocks.values()):
            if block.kib:
                gaps.append((begin, min(block.start_kib, end) - begin))
                begin = block.start_kib + block.kib
        return [gap for gap in (*gaps, (begin, end - begin)) if gap[1] > 0]

    def room(self, end_kib: int | None = None) -> tuple[int, int]:
        """The largest block that there may be, and all that is free, in KiB."""
        sizes = [kib for _, kib in self._gaps(end_kib)]
        return max(sizes, default=0), sum(sizes)

    def _free_memory(self) -> None:
        self._cpu.ax, self._cpu.dx = self.room()
        self._cpu.bl = 0 if self._cpu.dx else NO_MEMORY

    # --- blocks of a DPMI host's clients ---

    def is_extra(self, handle: int) -> bool:
        """Whether a block is of those that XMS itself does not give away."""
        return handle in EXTRA_HANDLES and handle in self.blocks

    def take_extra(self, kib: int) -> int:
        """Allocate a block, by a handle of those.

        Raises:
            XmsError: There is no room.
        """
        free = next((handle for handle in EXTRA_HANDLES if handle not in self.blocks), None)
        if free is None:
            raise XmsError(NO_HANDLES)
        self.blocks[free] = Block(self._place(kib, self.ram_kib), kib)
        return free

    def forget_extra(self) -> None:
        """Free all of them."""
        self.blocks = {handle: self.blocks[handle] for handle in self.blocks
                       if handle not in EXTRA_HANDLES}  # fmt: skip

    def _place(self, kib: int, end_kib: int | None = None) -> int:
        found = [begin for begin, room in self._gaps(end_kib) if room >= kib]
        if not found and kib:
            raise XmsError(NO_MEMORY)
        return found[0] if found else FIRST_KIB

    def _allocate(self) -> None:
        free = next(
            (n for n in range(FIRST_HANDLE, FIRST_HANDLE + MAX_HANDLES) if n not in self.blocks),
            None,
        )
        if free is None:
            raise XmsError(NO_HANDLES)
        self.blocks[free] = Block(self._place(self._cpu.dx), self._cpu.dx)
        self._cpu.dx = free

    def _block(self, handle: int, wrong: int = BAD_HANDLE) -> Block:
        if handle not in self.blocks:
            raise XmsError(wrong)
        return self.blocks[handle]

    def _free(self) -> None:
        if self._block(self._cpu.dx).locks:
            raise XmsError(LOCKED)
        del self.blocks[self._cpu.dx]

    def _move(self) -> None:
        raw = self._bus.read(self._cpu.linear("ds", "si"), MOVE.size)
        count, source, source_at, target, target_at = MOVE.unpack(raw)
        if count & 1:
            raise XmsError(BAD_LENGTH)
        begin = self._address(source, source_at, count, BAD_SOURCE)
        to = self._address(target, target_at, count, BAD_TARGET)
        self._calls.spend(count // BYTES_A_UNIT)
        self._bus.write(to, self._bus.read(begin, count))

    def _address(self, handle: int, at: int, count: int, wrong: int) -> int:
        """Where a move begins: in a block, or, of handle 0, at segment and offset."""
        if handle == 0:
            linear = (at >> 16 << 4) + (at & 0xFFFF)
            if linear + count > self._bus.ram_bytes or linear + count > FIRST_KIB << 10:
                raise XmsError(wrong + 1)
            return linear
        block = self._block(handle, wrong)
        if at + count > block.kib << 10:
            raise XmsError(wrong + 1)
        return (block.start_kib << 10) + at

    def _lock(self) -> None:
        cpu, block = self._cpu, self._block(self._cpu.dx)
        if block.locks == MAX_LOCKS:
            raise XmsError(NO_LOCKS)
        self.blocks[cpu.dx] = block._replace(locks=block.locks + 1)
        at = block.start_kib << 10
        cpu.dx, cpu.bx = at >> 16, at & 0xFFFF

    def _unlock(self) -> None:
        block = self._block(self._cpu.dx)
        if not block.locks:
            raise XmsError(NOT_LOCKED)
        self.blocks[self._cpu.dx] = block._replace(locks=block.locks - 1)

    def _information(self) -> None:
        cpu, block = self._cpu, self._block(self._cpu.dx)
        cpu.bh, cpu.bl, cpu.dx = block.locks, self._free_handles, block.kib

    @property
    def _free_handles(self) -> int:
        return MAX_HANDLES - sum(handle not in EXTRA_HANDLES for handle in self.blocks)

    def _resize(self) -> None:
        """0Fh: where it is if there is room, else elsewhere, with what it holds."""
        self.resize(self._cpu.dx, self._cpu.bx)

    def resize(self, handle: int, kib: int) -> None:
        """Make a block larger or smaller, perhaps elsewhere.

        Raises:
            XmsError: There is none that can be, or no room.
        """
        block = self._block(handle)
        if block.locks:
            raise XmsError(LOCKED)
        del self.blocks[handle]
        begin = block.start_kib
        end_kib = self.ram_kib if handle in EXTRA_HANDLES else None
        here = [room for at, room in self._gaps(end_kib) if at <= begin < at + room
                and at + room - begin >= kib]  # fmt: skip
        try:
            if kib and not here:
                begin = self._place(kib, end_kib)
        except XmsError:
            self.blocks[handle] = block
            raise
        kept = min(block.kib, kib) << 10
        if begin != block.start_kib and kept:
            self._calls.spend(kept // BYTES_A_UNIT)
            self._bus.write(begin << 10, self._bus.read(block.start_kib << 10, kept))
        self.blocks[handle] = Block(begin, kib)

    def _no_upper_memory(self) -> None:
        self._cpu.dx = 0
        raise XmsError(NO_UPPER)

    def parts(self) -> dict[str, Part]:
        """Blocks as they are saved: handle, begin and length in KiB, locks."""
        return {
            "dos.hma": fields(self).or_else(self._forget),
            "dos.a20": fields(self.gate).or_else(self.gate.forget),
            "dos.xms": Part(
                "u4",
                lambda: np.array(
                    [(handle, *block) for handle, block in self.blocks.items()], "u4"
                ).reshape(-1, 4),
                self._restore,
                self._are_blocks,
                any_length=True,
                absent=self._forget,
            ),
        }

    def _forget(self) -> None:
        self.hma_used = False
        self.blocks.clear()

    def _restore(self, array: Array) -> None:
        self.blocks = {row[0]: Block(*row[1:]) for row in array.tolist()}

    def _are_blocks(self, array: Array) -> bool:
        rows = array.astype(int)
        order = rows[np.argsort(rows[:, 1], kind="stable")]
        order = order[order[:, 2] > 0]
        ends = order[:, 1] + order[:, 2]
        return bool(
            len({*rows[:, 0].tolist()}) == len(rows)
            and all(map(_is_handle, rows[:, 0].tolist()))
            and (rows[:, 1] >= FIRST_KIB).all()
            and (rows[:, 3] <= MAX_LOCKS).all()
            and (ends <= np.append(order[1:, 1], self.ram_kib)).all()
        )


def _is_handle(handle: int) -> bool:
    return handle in EXTRA_HANDLES or FIRST_HANDLE <= handle < FIRST_HANDLE + MAX_HANDLES
