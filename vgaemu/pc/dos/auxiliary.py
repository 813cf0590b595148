"""AUX: the device that is COM1, by the ports of the 16550 at 3F8h.

Emulated: bytes sent at once, what has been received. Not emulated: a wait for bytes (a read brings
what there is), Ctrl-Z as an end, INT 21h/03h and 04h.
"""

from __future__ import annotations

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board

COM1, LINE_STATUS, RECEIVED, NO_PORT = 0x3F8, 0x3FD, 0x01, 0xFF
#: Most that a call reads.
MAX_RECEIVED = 256


class Auxiliary:
    """COM1 as a device of DOS."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._calls = board.bus, calls

    def has_received(self) -> bool:
        """Whether there is something to read."""
        status = self._bus.port_in(LINE_STATUS, 1)
        return status != NO_PORT and bool(status & RECEIVED)

    def receive(self, count: int) -> bytes:
        """What has come, at most so much."""
        data = bytearray()
        while len(data) < min(count, MAX_RECEIVED) and self.has_received():
            data.append(self._bus.port_in(COM1, 1))
            self._calls.spend(1)
        return bytes(data)

    def send(self, data: bytes) -> None:
        """Send a few bytes."""
        for octet in data:
            self._bus.port_out(COM1, 1, octet)
        self._calls.spend(len(data))

    def send_memory(self, at: int, count: int) -> bool | None:
        """Send memory, from where the call in hand had come to."""
        calls = self._calls
        for done in range(calls.progress, count):
            if calls.exhausted:
                return calls.suspend(done)
            self._bus.port_out(COM1, 1, self._bus.read8(at + done))
            calls.spend(1)
        return None
