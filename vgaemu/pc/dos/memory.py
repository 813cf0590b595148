"""Memory of DOS: the chain of memory control blocks (MCBs), INT 21h/48h to 4Ah and 58h.

Emulated: blocks in paragraphs of 16 bytes below 640 KiB, each behind its control block, which says
whose it is, how long, and whether another follows; first, best and last fit. The chain lies in the
guest's memory and nowhere else: programs walk it, change owners in it, and may break it, which is
an error of the next call. Not emulated: upper memory.

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list (table 01628).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import FIRST_BLOCK_AT, FIT_AT, PREFIX_AT
from vgaemu.pc.dos.errors import BAD_BLOCK, BAD_FUNCTION, BROKEN_CHAIN, NO_MEMORY, DosError
from vgaemu.snapshot import Array, Part

#: Paragraphs: environment and program prefix; the end of memory. The prefix lies as low as under
#: DOSBox: small programs written for that take DX, which is CS, for a number below 200h.
ENVIRONMENT, PREFIX, TOP = 0x0182, 0x0192, 0xA000
#: That of an .EXE program, whose code then begins at 64 KiB: what EXEPACK has packed unpacks
#: itself nowhere below. The environment is before it, and what is before that is free.
EXE_PREFIX = 0x0FF0
#: What states have as the prefix that runs which were saved when it lay at 0800h: nothing.
OLD_PREFIX = 0x0800
#: A control block as far as it tells of its block: kind, owner, paragraphs.
HEAD = struct.Struct("<BHH")
#: First byte of a control block: another follows its block; it is the last.
FOLLOWED, LAST = 0x4D, 0x5A
#: Owners: nobody; DOS itself.
FREE, DOS = 0, 8
#: Where a control block has the name of the program whose prefix is in its block.
NAME_AT, NAME_BYTES = 8, 8
#: Blocks that DOS goes past in one unit of `Calls.spend`.
BLOCKS_A_UNIT = 64
#: How a block is chosen: the first that is large enough, the smallest, the last.
FIRST_FIT, BEST_FIT, LAST_FIT = range(3)
#: Kinds of rows in the owners that older states have: of blocks.
OLD_BLOCK = 0


class Block(NamedTuple):
    """A block: its first paragraph, who owns it, and its paragraphs."""

    start: int
    owner: int
    size: int


class Memory:
    """What programs have of memory, and what is free."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        #: What DOS has of it for itself, below all programs, with a control block.
        self.own = 0
        self.services: dict[int, Service] = {
            0x48: self._allocate,
            0x49: self._free,
            0x4A: self._resize,
            0x58: self._strategy,
        }

    def begin(self, prefix: int, paragraphs: int) -> int:
        """The first program's prefix lies there, in a block of so many; its environment before it.

        Returns:
            The environment's first paragraph.
        """
        environment, begin = prefix - PREFIX + ENVIRONMENT, ENVIRONMENT + self.own_paragraphs
        rest = TOP - prefix - paragraphs
        blocks = [
            Block(begin, FREE, environment - begin - 1),
            Block(environment, prefix, PREFIX - ENVIRONMENT - 1),
            Block(prefix, prefix, paragraphs),
            Block(TOP - rest + 1, FREE, rest - 1),
        ]
        self._bus.write16(FIRST_BLOCK_AT, ENVIRONMENT - 1)
        blocks = [block for block in blocks if block.size >= 0 and block.start <= TOP]
        own = [Block(ENVIRONMENT, DOS, self.own)] if self.own else []
        self._write([*own, *(block for block in blocks if block.size or block.start > begin)])
        return environment

    @property
    def own_paragraphs(self) -> int:
        """How much farther up programs lie because of what is DOS's own."""
        return self.own + 1 if self.own else 0

    @property
    def current(self) -> int:
        """The prefix of the program that runs."""
        return self._bus.read16(PREFIX_AT) or OLD_PREFIX

    @current.setter
    def current(self, prefix: int) -> None:
        self._bus.write16(PREFIX_AT, prefix)

    def blocks(self) -> list[tuple[int, int, int]]:
        """The chain, as the fields of `Block`; free neighbours are one.

        Raises:
            DosError: It is no chain any more.
        """
        # A program can have 40000 of them: no call of a function for each.
        memory, start = self._bus.memory, self._first()
        blocks: list[tuple[int, int, int]] = []
        kind = FOLLOWED
        while kind == FOLLOWED and start <= TOP:
            at = start - 1 << 4
            kind = memory[at]
            owner, size = memory[at + 1] | memory[at + 2] << 8, memory[at + 3] | memory[at + 4] << 8
            if owner == FREE and blocks and blocks[-1][1] == FREE:
                before = blocks[-1]
                blocks[-1] = before[0], FREE, before[2] + 1 + size
            else:
                blocks += ((start, owner, size),)
            start += size + 1
        self._calls.spend(len(blocks) // BLOCKS_A_UNIT)
        if kind != LAST or start > TOP + 1:
            raise DosError(BROKEN_CHAIN)
        return blocks

    def _first(self) -> int:
        """First paragraph of the first block, as the list of lists says."""
        first = self._bus.read16(FIRST_BLOCK_AT) + 1
        return first if first > 1 else ENVIRONMENT

    def _write(self, blocks: list[Block]) -> None:
        """Put control blocks before blocks; none follows the last if it ends where memory does."""
        for block in blocks:
            kind = LAST if block.start + block.size >= TOP else FOLLOWED
            at = block.start - 1 << 4
            self._bus.write(at, HEAD.pack(kind, block.owner, block.size))

    def name(self, prefix: int, name: bytes) -> None:
        """Say whose the block of a prefix is, as the chain tells it to programs that list it."""
        name = name[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
        self._bus.write((prefix - 1 << 4) + NAME_AT, name)

    def set_owner(self, start: int, owner: int) -> None:
        self._bus.write16((start - 1 << 4) + 1, owner)

    def _free_blocks(self, above: int) -> list[tuple[int, int, int]]:
        """What is free from a paragraph on; a block that begins below it leaves some there."""
        found: list[tuple[int, int, int]] = []
        for start, owner, size in self.blocks():
            begin = start if start >= above else above
            if owner == FREE and begin <= start + size:
                found += ((begin, FREE, size - (begin - start)),)
        return found

    def largest(self, above: int = 0) -> int:
        """Paragraphs of the largest block that can be allocated, from a paragraph on."""
        return max([size for _, _, size in self._free_blocks(above)], default=0)

    def take(self, wanted: int, owner: int, above: int = 0) -> int:
        """Allocate a block that begins at a paragraph or behind it: its first paragraph.

        Raises:
            DosError: There is no room for it, or the chain is broken.
        """
        room = [block for block in self._free_blocks(above) if block[2] >= wanted]
        if not room:
            raise DosError(NO_MEMORY)
        fit = self.fit
        smallest = min([size for _, _, size in room])
        fitting = [block for block in room if block[2] == smallest] if fit == BEST_FIT else room
        block = Block(*fitting[-1 if fit == LAST_FIT else 0])
        first, rest = block.start, block.size - wanted
        if first == above:
            self._split(first)
        if not rest:
            self._write([Block(first, owner, wanted)])
        elif fit == LAST_FIT:
            first += rest
            self._write([Block(block.start, FREE, rest - 1), Block(first, owner, wanted)])
        else:
            behind = Block(first + wanted + 1, FREE, rest - 1)
            self._write([Block(first, owner, wanted), behind])
        return first

    def _split(self, above: int) -> None:
        """A free block that begins below a paragraph ends before it, and another begins there."""
        for start, owner, size in self.blocks():
            if owner == FREE and start < above <= start + size:
                below = above - start - 1
                self._write([Block(start, FREE, below), Block(above, FREE, size - below - 1)])

    def give_back(self, owner: int) -> None:
        """Free what a program has allocated."""
        try:
            for start, who, _ in self.blocks():
                if who == owner:
                    self.set_owner(start, FREE)
        except DosError:  # a chain that it has broken stays so
            return

    def cut(self, prefix: int, keeps: int) -> None:
        """Leave a program that stays so many paragraphs of its prefix's block."""
        try:
            block = self._block(self.blocks(), prefix)
        except DosError:
            return
        self._resize_to(block, min(block.size, keeps))

    def _allocate(self) -> None:
        try:
            self._cpu.ax = self.take(self._cpu.bx, self.current)
        except DosError as error:
            if error.code == NO_MEMORY:
                self._cpu.bx = self.largest()
            raise

    @staticmethod
    def _block(blocks: list[tuple[int, int, int]], start: int) -> Block:
        found = [block for block in blocks if block[0] == start]
        if not found:
            raise DosError(BAD_BLOCK)
        return Block(*found[0])

    def _free(self) -> None:
        self.free_block(self._cpu.es)

    def free_block(self, start: int) -> None:
        """Free one that begins there.

        Raises:
            DosError: None does, or the chain is broken.
        """
        self.set_owner(self._block(self.blocks(), start).start, FREE)

    def _resize(self) -> None:
        self.resize_block(self._cpu.es, self._cpu.bx)

    def resize_block(self, start: int, wanted: int) -> None:
        """Make one that begins there larger or smaller; BX is what there is if that fails.

        Raises:
            DosError: None does, there is no room, or the chain is broken.
        """
        cpu, blocks = self._cpu, self.blocks()
        block = self._block(blocks, start)
        end = block.start + block.size + 1
        behind = [size for start, owner, size in blocks if start == end and owner == FREE]
        most = block.size + (1 + behind[0] if behind else 0)
        # As DOS from 2.1 on has it, also a call that fails takes what there is.
        self._resize_to(Block(block.start, self.current, most), min(wanted, most))
        if wanted > most:
            cpu.bx = most
            raise DosError(NO_MEMORY)

    def _resize_to(self, block: Block, size: int) -> None:
        """A block of less; what it had of more is free."""
        parts = [Block(block.start, block.owner, size)]
        if size < block.size:
            parts.append(Block(block.start + size + 1, FREE, block.size - size - 1))
        self._write(parts)

    @property
    def fit(self) -> int:
        """How a block is chosen; part of DOS's own data."""
        return min(self._bus.read8(FIT_AT), LAST_FIT)

    def _strategy(self) -> None:
        """58h: how blocks are chosen; there is no upper memory to be linked."""
        cpu, call = self._cpu, self._cpu.al
        if call == 0:
            cpu.ax = self.fit
        elif call == 1 and cpu.bl <= LAST_FIT:
            self._bus.write8(FIT_AT, cpu.bl)
        elif call == 2:
            cpu.al = 0
        else:
            raise DosError(BAD_FUNCTION)

    def parts(self) -> dict[str, Part]:
        """What states had that were saved when the chain did not lie in memory."""
        empty = np.zeros((0, 3), "u2")
        return {
            "dos.blocks": Part(
                "u2", lambda: empty[:, :2], self._restore, _are_blocks, any_length=True
            ),
            "dos.owners": Part(
                "u2", lambda: empty, self._restore_owners, any_length=True, absent=lambda: None
            ),
        }

    def _restore(self, array: Array) -> None:
        """A chain out of the blocks that an older state has: before each is a free paragraph."""
        if not len(array):
            return
        begin, chain = ENVIRONMENT, []
        for start, size in array.astype(int).tolist():
            if start > begin:
                chain.append(Block(begin, FREE, start - 1 - begin))
            chain.append(Block(start, self.current, size))
            begin = start + size + 1
        if begin <= TOP:
            chain.append(Block(begin, FREE, TOP - begin))
        self._bus.write16(FIRST_BLOCK_AT, ENVIRONMENT - 1)
        self._write(chain)

    def _restore_owners(self, array: Array) -> None:
        for kind, what, owner in array.astype(int).tolist():
            if kind == OLD_BLOCK and 0 < what <= TOP:
                self.set_owner(what, owner)


def _are_blocks(array: Array) -> bool:
    """Whether blocks ascend, and none reaches into the next or beyond the end of memory."""
    starts, sizes = array.astype(int).T
    ends = starts + np.maximum(sizes, 1)
    return bool((starts > 0).all() and (ends <= np.append(starts[1:], TOP)).all())
