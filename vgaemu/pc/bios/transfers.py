"""What INT 13h's calls share: statuses, and sectors between a disk and memory."""

from __future__ import annotations

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.pc.images import SECTOR, DiskImage

OK, BAD_COMMAND, PROTECTED, NOT_FOUND, CHANGED, CROSSES_64K = 0x00, 0x01, 0x03, 0x04, 0x06, 0x09
BAD_MEDIA, NO_DRIVE, WRITE_FAULT = 0x0C, 0x80, 0xCC
NOT_LOCKED, LOCKED, NOT_REMOVABLE, LOCKED_TOO_OFTEN, EJECT_FAILED = 0xB0, 0xB1, 0xB2, 0xB4, 0xB5


class DiskError(Exception):
    """A call fails with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Transfers:
    """Sectors of 512 bytes to memory and back."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._calls = board.bus, calls

    def load(self, image: DiskImage, first: int, gpa: int, count: int) -> None:
        """Read sectors into memory, one by one: what goes across an end of RAM is slow."""
        data = image.read(first, count)
        for at in range(0, len(data), SECTOR):
            self._bus.write(gpa + at, data[at : at + SECTOR])
        self._calls.spend(count)

    def save(self, image: DiskImage, first: int, gpa: int, count: int) -> None:
        """Write sectors from memory.

        Raises:
            DiskError: The file cannot be written to.
        """
        self.put(image, first, self._bus.read(gpa, count * SECTOR))

    def put(self, image: DiskImage, first: int, data: bytes) -> None:
        """Write sectors.

        Raises:
            DiskError: The file cannot be written to.
        """
        self._calls.spend(len(data) // SECTOR)
        try:
            image.write(first, data)
        except OSError:
            raise DiskError(WRITE_FAULT) from None
