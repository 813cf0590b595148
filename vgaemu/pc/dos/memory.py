"""Memory of DOS: blocks by INT 21h/48h to 4Ah, and whose they are.

Emulated: blocks in paragraphs of 16 bytes below 640 KiB, first fit; what a program has
allocated is freed when it ends. Not emulated: the chain of control blocks in memory (their
paragraphs are kept free), other strategies, upper memory.
"""

from __future__ import annotations

import numpy as np

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.errors import BAD_BLOCK, NO_MEMORY, DosError
from vgaemu.snapshot import Array, Part

#: Paragraphs: environment and program prefix; the end of memory. The prefix lies as low as under
#: DOSBox: small programs written for that take DX, which is CS, for a number below 200h.
ENVIRONMENT, PREFIX, TOP = 0x0182, 0x0192, 0xA000
#: That of an .EXE program, whose code then begins at 64 KiB: what EXEPACK has packed unpacks
#: itself nowhere below. The environment is before it, and what is before that is DOS's own.
EXE_PREFIX = 0x0FF0
#: Where DOS keeps the prefix of the program that runs: in its own data, behind that of the BIOS.
#: States saved when it lay at 0800h have nothing there.
CURRENT_PREFIX_AT, OLD_PREFIX = 0x0600, 0x0800
#: Blocks that DOS goes past in one unit of `Calls.spend`.
BLOCKS_A_UNIT = 64


class Memory:
    """What a program has of memory, and what is free."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        #: First paragraph and paragraphs of each block, ascending: (count, 2). A program can have
        #: 20000 of them, and allocate in a loop.
        self.blocks: Array = np.array(
            ((ENVIRONMENT, PREFIX - ENVIRONMENT - 1), (PREFIX, TOP - PREFIX))
        )
        #: First paragraph of blocks -> the prefix of the program that has allocated them.
        self.owners: dict[int, int] = {}
        self.services: dict[int, Service] = {
            0x48: self._allocate,
            0x49: self._free,
            0x4A: self._resize,
        }

    def begin(self, prefix: int) -> None:
        """The first program's prefix lies there, its environment before it; it has the rest."""
        environment = prefix - PREFIX + ENVIRONMENT
        blocks = [(environment, PREFIX - ENVIRONMENT - 1), (prefix, TOP - prefix)]
        if environment > ENVIRONMENT:
            blocks.insert(0, (ENVIRONMENT, environment - ENVIRONMENT - 1))
        self.blocks = np.array(blocks)

    @property
    def current(self) -> int:
        """The prefix of the program that runs."""
        return self._bus.read16(CURRENT_PREFIX_AT) or OLD_PREFIX

    @current.setter
    def current(self, prefix: int) -> None:
        self._bus.write16(CURRENT_PREFIX_AT, prefix)

    def gaps(self) -> tuple[Array, Array]:
        """First paragraph and paragraphs before each block and behind the last; below 1: none.

        Before each block and each gap a paragraph is DOS's own.
        """
        self._calls.spend(len(self.blocks) // BLOCKS_A_UNIT)
        starts, sizes = self.blocks.T
        begins = np.concatenate(((ENVIRONMENT,), starts + sizes + 1))
        return begins, np.concatenate((starts - 1, (TOP,))) - begins

    def largest(self) -> int:
        """Paragraphs of the largest block that can be allocated."""
        return max(int(self.gaps()[1].max()), 0)

    def take(self, wanted: int, owner: int) -> int:
        """Allocate a block: its first paragraph; a program's prefix owns it.

        Raises:
            DosError: There is no room for it.
        """
        begins, rooms = self.gaps()
        place = int(np.argmax(rooms >= wanted))
        if not 0 < wanted <= rooms[place]:
            raise DosError(NO_MEMORY)
        first = int(begins[place])
        self.blocks = np.insert(self.blocks, place, (first, wanted), axis=0)
        self.owners[first] = owner
        return first

    def give_back(self, owner: int, *, keeps: int | None = None) -> None:
        """Free what a program has allocated; one that stays `keeps` paragraphs from its prefix on.

        Of one that stays nobody frees anything any more.
        """
        starts = self.blocks[:, 0]
        its = np.isin(starts, [start for start, who in self.owners.items() if who == owner])
        if keeps is None:
            self.blocks = self.blocks[~its]
        else:
            at = starts == owner
            self.blocks[at, 1] = np.minimum(self.blocks[at, 1], keeps)
        self.owners = {start: who for start, who in self.owners.items() if who != owner}

    def _allocate(self) -> None:
        try:
            self._cpu.ax = self.take(self._cpu.bx, self.current)
        except DosError:
            self._cpu.bx = self.largest()
            raise

    def _block(self) -> int:
        """Place in `blocks` of the one at ES."""
        starts = self.blocks[:, 0]
        place = int(np.searchsorted(starts, self._cpu.es))
        if place == len(starts) or starts[place] != self._cpu.es:
            raise DosError(BAD_BLOCK)
        return place

    def _free(self) -> None:
        self.blocks = np.delete(self.blocks, self._block(), axis=0)
        self.owners.pop(self._cpu.es, None)

    def _resize(self) -> None:
        cpu, place = self._cpu, self._block()
        size = int(self.blocks[place, 1])
        _, rooms = self.gaps()
        most = max(size + 1 + int(rooms[place + 1]), size)
        if cpu.bx > most:
            cpu.bx = most
            raise DosError(NO_MEMORY)
        self.blocks[place, 1] = cpu.bx

    def part(self) -> Part:
        """The blocks as they are saved: first paragraph, paragraphs."""
        return Part("u2", lambda: self.blocks, self._restore, _are_blocks, any_length=True)

    def _restore(self, array: Array) -> None:
        self.blocks = array.astype(int)


def _are_blocks(array: Array) -> bool:
    """Whether blocks ascend, and none reaches into the next or beyond the end of memory."""
    starts, sizes = array.astype(int).T
    ends = starts + np.maximum(sizes, 1)
    return bool((starts > 0).all() and (ends <= np.append(starts[1:], TOP)).all())
