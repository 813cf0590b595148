"""Memory blocks of DOS: INT 21h/48h, 49h, 4Ah, 58h.

Emulated: blocks in paragraphs of 16 bytes below 640 KiB, first fit. Not emulated: the chain of
control blocks in memory (their paragraphs are kept free), other strategies, upper memory.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.caller import BAD_BLOCK, NO_MEMORY, Caller, DosError
from vgaemu.snapshot import Array, Part

#: Paragraphs: environment and program prefix; the end of memory.
ENVIRONMENT, PREFIX, TOP = 0x0700, 0x0800, 0xA000


class Memory:
    """What a program has of memory, and what is free."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._cpu, self._caller = board.cpu, Caller(board, calls)
        #: Memory blocks: first paragraph -> paragraphs.
        self.blocks = {ENVIRONMENT: PREFIX - ENVIRONMENT - 1, PREFIX: TOP - PREFIX}
        self.services: dict[int, Service] = {
            0x48: self._allocate,
            0x49: self._free,
            0x4A: self._resize,
            0x58: lambda: self._caller.succeed(0),  # first fit
        }

    def gaps(self) -> Iterator[tuple[int, int]]:
        """First paragraph and paragraphs of what is free behind each block.

        Between two blocks one paragraph is DOS's own.
        """
        for end in sorted(start + size for start, size in self.blocks.items()) or [PREFIX]:
            free = 0 if end in self.blocks else self._room_from(end) - 1
            if free > 0:
                yield end + 1, free

    def _room_from(self, start: int) -> int:
        """Paragraphs up to the next block."""
        return min((other for other in self.blocks if other > start), default=TOP) - start

    def _allocate(self) -> None:
        wanted, gaps = self._cpu.bx, list(self.gaps())
        for start, free in gaps:
            if 0 < wanted <= free:
                self.blocks[start] = wanted
                self._caller.succeed(start)
                return
        self._cpu.bx = max((free for _, free in gaps), default=0)
        raise DosError(NO_MEMORY)

    def _free(self) -> None:
        if self.blocks.pop(self._cpu.es, None) is None:
            raise DosError(BAD_BLOCK)
        self._caller.succeed()

    def _resize(self) -> None:
        cpu, start = self._cpu, self._cpu.es
        if start not in self.blocks:
            raise DosError(BAD_BLOCK)
        room = self._room_from(start)
        if cpu.bx > room:
            cpu.bx = room
            raise DosError(NO_MEMORY)
        self.blocks[start] = cpu.bx
        self._caller.succeed()

    def part(self) -> Part:
        """The blocks as they are saved: first paragraph, paragraphs."""
        return Part(
            "u2",
            lambda: np.array(sorted(self.blocks.items()), "u2").reshape(-1, 2),
            self._restore,
            any_length=True,
        )

    def _restore(self, array: Array) -> None:
        self.blocks = dict(array.tolist())
