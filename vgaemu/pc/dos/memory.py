"""A program's memory: blocks by INT 21h/48h to 4Ah; and how a .COM program lies in it at first.

Emulated: blocks in paragraphs of 16 bytes below 640 KiB, first fit; COMSPEC, PATH and the program's
name; of its prefix INT 20h, the end of memory, the environment, a call of INT 21h, the FCBs and the
command line. Not emulated: the chain of control blocks in memory (their paragraphs are kept
free), other strategies, upper memory, the handles' table, parents, overlays.
"""

from __future__ import annotations

import numpy as np

from vgaemu.errors import ImageError
from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import INTERRUPT, Cpu
from vgaemu.pc.dos.errors import BAD_BLOCK, NO_MEMORY, DosError
from vgaemu.pc.dos.fcb import prefix_fcbs
from vgaemu.pc.images import ComProgram
from vgaemu.snapshot import Array, Part

#: Paragraphs: environment and program prefix; the end of memory. The prefix lies as low as under
#: DOSBox: small programs written for that take DX, which is CS, for a number below 200h.
ENVIRONMENT, PREFIX, TOP = 0x0182, 0x0192, 0xA000
#: Where DOS keeps the prefix of the program that runs: in its own data, behind that of the BIOS.
#: States saved when it lay at 0800h have nothing there.
CURRENT_PREFIX_AT, OLD_PREFIX = 0x0600, 0x0800
#: BP as MS-DOS from version 4 on leaves it: its stack. Small programs take it for memory of theirs.
STACK_OF_DOS = 0x091C
MAX_COMMAND_LINE = 126
#: Blocks that DOS goes past in one unit of `Calls.spend`.
BLOCKS_A_UNIT = 64


class Memory:
    """What a program has of memory, and what is free."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._cpu, self._calls = board.cpu, calls
        #: First paragraph and paragraphs of each block, ascending: (count, 2). A program can have
        #: 20000 of them, and allocate in a loop.
        self.blocks: Array = np.array(
            ((ENVIRONMENT, PREFIX - ENVIRONMENT - 1), (PREFIX, TOP - PREFIX))
        )
        self.services: dict[int, Service] = {
            0x48: self._allocate,
            0x49: self._free,
            0x4A: self._resize,
        }

    def gaps(self) -> tuple[Array, Array]:
        """First paragraph and paragraphs before each block and behind the last; below 1: none.

        Before each block and each gap a paragraph is DOS's own.
        """
        self._calls.spend(len(self.blocks) // BLOCKS_A_UNIT)
        starts, sizes = self.blocks.T
        begins = np.concatenate(((ENVIRONMENT,), starts + sizes + 1))
        return begins, np.concatenate((starts - 1, (TOP,))) - begins

    def _allocate(self) -> None:
        wanted, (begins, rooms) = self._cpu.bx, self.gaps()
        first = int(np.argmax(rooms >= wanted))
        if not 0 < wanted <= rooms[first]:
            self._cpu.bx = max(int(rooms.max()), 0)
            raise DosError(NO_MEMORY)
        self.blocks = np.insert(self.blocks, first, (begins[first], wanted), axis=0)
        self._cpu.ax = int(begins[first])

    def _block(self) -> int:
        """Place in `blocks` of the one at ES."""
        starts = self.blocks[:, 0]
        place = int(np.searchsorted(starts, self._cpu.es))
        if place == len(starts) or starts[place] != self._cpu.es:
            raise DosError(BAD_BLOCK)
        return place

    def _free(self) -> None:
        self.blocks = np.delete(self.blocks, self._block(), axis=0)

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


def load_program(bus: Bus, cpu: Cpu, program: ComProgram) -> None:
    """Put a program into memory, and registers as DOS leaves them.

    Raises:
        ImageError: The arguments are longer than a command line.
    """
    command_line = _command_line(program)
    first, second, drives = prefix_fcbs(command_line)
    at = PREFIX << 4
    bus.write16(CURRENT_PREFIX_AT, PREFIX)
    bus.write(ENVIRONMENT << 4, _environment(program.path.name))
    bus.write(at, _prefix(command_line, first, second))
    bus.write(at + 0x100, program.data)
    bus.write16(at + 0xFFFE, 0)  # RET goes to the INT 20h
    cpu.set_registers(
        cs=PREFIX, ds=PREFIX, es=PREFIX, ss=PREFIX, eflags=INTERRUPT | 2, eip=0x100, esp=0xFFFE,
        eax=drives, ebx=drives, ecx=0xFF, edx=PREFIX, esi=0x100, edi=0xFFFE, ebp=STACK_OF_DOS,
    )  # fmt: skip


def _command_line(program: ComProgram) -> bytes:
    tail = "".join(f" {arg}" for arg in program.args).encode("cp437", "replace")
    if len(tail) > MAX_COMMAND_LINE:
        raise ImageError(
            f"{program.path}: arguments of {len(tail)} bytes; "
            f"a command line takes {MAX_COMMAND_LINE}"
        )
    return tail


def _environment(file_name: str) -> bytes:
    name = f"C:\\{file_name.upper()}".encode("cp437", "replace")
    return b"COMSPEC=C:\\COMMAND.COM\0PATH=C:\\\0\0\x01\0" + name[:80] + b"\0"


def _prefix(command_line: bytes, first: bytes, second: bytes) -> bytes:
    prefix = bytearray(256)
    prefix[0:2] = b"\xcd\x20"  # int 20h
    prefix[2:4] = TOP.to_bytes(2, "little")
    prefix[0x2C:0x2E] = ENVIRONMENT.to_bytes(2, "little")
    prefix[0x50:0x53] = b"\xcd\x21\xcb"  # int 21h; retf
    prefix[0x5C:0x6C], prefix[0x6C:0x7C] = first, second
    prefix[0x80] = len(command_line)
    prefix[0x81 : 0x82 + len(command_line)] = command_line + b"\r"
    return bytes(prefix)
