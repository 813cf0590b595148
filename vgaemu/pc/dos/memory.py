"""A program's memory: blocks by INT 21h/48h to 4Ah; and how a .COM program lies in it at first.

Emulated: blocks in paragraphs of 16 bytes below 640 KiB, first fit; COMSPEC, PATH and the program's
name; of its prefix INT 20h, the end of memory, the environment, a call of INT 21h, empty FCBs and
the command line. Not emulated: the chain of control blocks in memory (their paragraphs are kept
free), other strategies, upper memory, the handles' table, parents, overlays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vgaemu.errors import ImageError
from vgaemu.pc.bios.calls import Service
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import INTERRUPT, Cpu
from vgaemu.pc.dos.errors import BAD_BLOCK, NO_MEMORY, DosError
from vgaemu.pc.images import ComProgram
from vgaemu.snapshot import Array, Part

#: Paragraphs: environment and program prefix; the end of memory.
ENVIRONMENT, PREFIX, TOP = 0x0700, 0x0800, 0xA000
MAX_COMMAND_LINE = 126


class Memory:
    """What a program has of memory, and what is free."""

    def __init__(self, board: Board) -> None:
        self._cpu = board.cpu
        #: Memory blocks: first paragraph -> paragraphs.
        self.blocks = {ENVIRONMENT: PREFIX - ENVIRONMENT - 1, PREFIX: TOP - PREFIX}
        self.services: dict[int, Service] = {
            0x48: self._allocate,
            0x49: self._free,
            0x4A: self._resize,
        }

    def gaps(self) -> Iterator[tuple[int, int]]:
        """First paragraph and paragraphs of what is free behind each block and one of DOS's own."""
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
                self._cpu.ax = start
                return
        self._cpu.bx = max((free for _, free in gaps), default=0)
        raise DosError(NO_MEMORY)

    def _free(self) -> None:
        if self.blocks.pop(self._cpu.es, None) is None:
            raise DosError(BAD_BLOCK)

    def _resize(self) -> None:
        cpu, start = self._cpu, self._cpu.es
        if start not in self.blocks:
            raise DosError(BAD_BLOCK)
        room = self._room_from(start)
        if cpu.bx > room:
            cpu.bx = room
            raise DosError(NO_MEMORY)
        self.blocks[start] = cpu.bx

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


def load_program(bus: Bus, cpu: Cpu, program: ComProgram) -> None:
    """Put a program into memory, and registers as DOS leaves them.

    Raises:
        ImageError: The arguments are longer than a command line.
    """
    at, prefix = PREFIX << 4, _prefix(_command_line(program))
    bus.write(ENVIRONMENT << 4, _environment(program.path.name))
    bus.write(at, prefix)
    bus.write(at + 0x100, program.data)
    bus.write16(at + 0xFFFE, 0)  # RET goes to the INT 20h
    cpu.set_registers(
        cs=PREFIX, ds=PREFIX, es=PREFIX, ss=PREFIX, eflags=INTERRUPT | 2,
        eax=0, ecx=0xFF, edx=PREFIX, esi=0x100, edi=0xFFFE, esp=0xFFFE, eip=0x100,
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


def _prefix(command_line: bytes) -> bytes:
    prefix = bytearray(256)
    prefix[0:2] = b"\xcd\x20"  # int 20h
    prefix[2:4] = TOP.to_bytes(2, "little")
    prefix[0x2C:0x2E] = ENVIRONMENT.to_bytes(2, "little")
    prefix[0x50:0x53] = b"\xcd\x21\xcb"  # int 21h; retf
    prefix[0x5D:0x68] = prefix[0x6D:0x78] = b" " * 11
    prefix[0x80] = len(command_line)
    prefix[0x81 : 0x82 + len(command_line)] = command_line + b"\r"
    return bytes(prefix)
