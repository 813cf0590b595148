"""DOS: what a .COM program finds around it, INT 20h, 21h, 27h, 29h, 2Fh and 33h.

Emulated: what the files of this folder say, exit, Ctrl-C with INT 23h. Not emulated: FCBs, other
programs (4Bh), sub-directories made or removed, an INT 23h that returns by RETF, a mouse (INT 33h
says there is none), programs that stay (31h and 27h end the run).

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

from pathlib import Path

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import Service
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.board import Board
from vgaemu.pc.dos.caller import BAD_FUNCTION, DENIED, HOST_ERRORS, Caller, DosError
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.files import MAX_WRITTEN, DosFiles
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.memory import Memory
from vgaemu.pc.dos.program import load_program
from vgaemu.pc.dos.search import Search
from vgaemu.pc.dos.system import System
from vgaemu.pc.images import ComProgram
from vgaemu.snapshot import Part, fields, number

#: What Ctrl-C calls.
BREAK_VECTOR = 0x23


class Dos:
    """One program and its DOS."""

    def __init__(self, board: Board, bios: Bios, program: ComProgram, root: Path | None) -> None:
        """Load the program and take the vectors.

        Args:
            board: What the program runs on.
            bios: Types and reads keys for it; its table of services gets ours.
            program: What runs.
            root: The folder that its files are in; None: it has none.

        Raises:
            ImageError: The arguments are longer than a command line.
        """
        self._cpu, self._calls = board.cpu, bios.calls
        calls = self._calls
        self._caller = Caller(board, calls)
        self.files = DosFiles(root)
        self.console = Console(board, calls, bios)
        self.memory = Memory(board, calls)
        self.handles = Handles(board, calls, self.console, self.files)
        self.search = Search(board, calls, self.files)
        self._services: dict[int, Service] = {
            0x00: calls.end,
            0x31: self._exit,
            0x4C: self._exit,
            **self.console.services,
            **System(board, calls).services,
            **self.memory.services,
            **self.handles.services,
            **self.search.services,
        }
        calls.services |= {
            0x20: calls.end,
            0x21: self._service,
            0x27: calls.end,
            0x29: lambda: self.console.type(board.cpu.al),
            0x33: lambda: None,  # AX stays 0: there is no mouse
        }
        load_program(board.bus, board.cpu, program)

    def close(self) -> None:
        """Close the program's files."""
        self.handles.close_all()

    def _service(self) -> bool | None:
        """INT 21h."""
        service = self._services.get(self._cpu.ah)
        if service is None:
            self._caller.fail(BAD_FUNCTION)
            return None
        try:
            return service()
        except ControlC:
            return self._break()
        except DosError as error:
            self._caller.fail(error.code)
        except OSError as error:
            self._caller.fail(HOST_ERRORS.get(error.errno or 0, DENIED))
        return None

    def _break(self) -> bool | None:
        """Ctrl-C ends the program, or calls its INT 23h, whose IRET begins the call anew."""
        self.console.give_up_line()
        calls = self._calls
        if calls.get_vector(BREAK_VECTOR) == (ROM_SEGMENT, stub_offset(BREAK_VECTOR)):
            return calls.end()
        calls.return_to(stub_offset(0x21), ROM_SEGMENT)
        calls.interrupt_next(BREAK_VECTOR)
        return None

    def _exit(self) -> bool:
        return self._calls.end(self._cpu.al)

    def parts(self) -> dict[str, Part]:
        """What of it is saved: see `vgaemu.snapshot`; `Handles.reopened` opens the files."""
        return {
            "dos.program": fields(self.search, self.console),
            "dos.files": self.handles.part(),
            "dos.found": self.search.part(),
            "dos.blocks": self.memory.part(),
            **self.console.parts(),
            "dos.written": number(self.files, "written", MAX_WRITTEN, "i8"),
        }
