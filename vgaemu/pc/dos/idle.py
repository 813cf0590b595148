"""DOS that waits: the InDOS flag and INT 28h.

Emulated: InDOS is set while a call waits, and only then: no other is ever interrupted. INT 28h is
called while calls of the console (INT 21h/01h to 0Ch, but no reads by handle) wait for a key, a few
hundred times a second, and by those that only ask whether there is one (06h, 0Bh). A handler of it
may call what is above 0Ch; one that has put the swappable area aside, anything. Not emulated: INT
28h in between characters that are shown.

Source: MS-DOS Programmer's Reference 5.0 (INT 28h); microsoft/MS-DOS, v4.0/src/DOS/CTRLC.ASM.
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios.calls import WAIT, Calls
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import (
    CRITICAL_FLAG_AT,
    IDLED_AT,
    IN_DOS_AT,
    POLL_OFFSET,
    SEGMENT,
    WAIT_OFFSET,
    WAITER_AT,
)

VECTOR = 0x28
AT, BEHIND = 4 * VECTOR, 4 * VECTOR + 4
UNHEARD = struct.pack("<HH", stub_offset(VECTOR), ROM_SEGMENT)
#: Calls that are idle where they wait, and that wait for nothing but are idle, too.
WAITS, POLLS = frozenset((0x01, 0x03, 0x07, 0x08, 0x0A, 0x0C)), frozenset((0x06, 0x0B))
#: How long a call that waits does that between two of INT 28h.
IDLE_NS = 4_000_000


class Idle:
    """Whether DOS is busy, and whom it tells that it waits."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._calls, self._clock = board.bus, board.cpu, calls, board.clock

    def leave(self, call: int, waits: bool | None) -> bool | None:
        """A call ends or waits: what it is to say to its stub."""
        if waits is not WAIT:
            if self._bus.memory[IN_DOS_AT] and self._bus.read32(WAITER_AT) == self._caller():
                self.forget()
            if call in POLLS and self._is_heard() and self._has_none(call):
                self._calls.return_to(POLL_OFFSET, SEGMENT)
            return waits
        bus = self._bus
        bus.write8(IN_DOS_AT, 1)
        bus.write32(WAITER_AT, self._caller())
        if call not in WAITS or self._calls.exhausted or not self._is_heard():
            return WAIT
        if bus.read8(IDLED_AT):
            bus.write8(IDLED_AT, 0)
            self._calls.wake_at(self._clock.now_ns() + IDLE_NS)
            return WAIT
        bus.write8(IDLED_AT, 1)
        self._calls.return_to(WAIT_OFFSET, SEGMENT)
        return None

    def forget(self) -> None:
        """No call waits any more."""
        self._bus.write8(IN_DOS_AT, 0)

    def _caller(self) -> int:
        """SS:SP of the call in hand."""
        segment: int = self._cpu.get("ss")
        return segment << 16 | int(self._cpu.sp)

    def _has_none(self, call: int) -> bool:
        """Whether a call that asks for a key has found none."""
        return not self._cpu.al and (call != 0x06 or self._cpu.dl == 0xFF)

    def _is_heard(self) -> bool:
        """Whether there is a handler, and no critical error."""
        memory = self._bus.memory  # asked for each poll: without a call
        return memory[AT:BEHIND] != UNHEARD and not memory[CRITICAL_FLAG_AT]
