"""DOS: what a program finds around it, INT 20h, 21h, 27h, 29h, 2Fh and 33h.

Emulated: what the files of this folder say; Ctrl-C with INT 23h, which may go back by IRET or RETF.
Not emulated: critical errors (INT 24h is never called: what the host refuses fails), absolute disk
access (INT 25h and 26h fail), INT 28h while DOS waits.
"""

from __future__ import annotations

from pathlib import Path

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WAIT, Service
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import BREAK_OFFSET, SEGMENT, VECTORS, write_area
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.country import Country, write_tables
from vgaemu.pc.dos.errors import BAD_FUNCTION, DENIED, HOST_ERRORS, DosError, said
from vgaemu.pc.dos.fcb import parse_call
from vgaemu.pc.dos.fcb_files import END, FAILED, MOVES, FcbFiles
from vgaemu.pc.dos.files import MAX_WRITTEN, DosFiles
from vgaemu.pc.dos.folders import Folders
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.ioctl import DeviceControl
from vgaemu.pc.dos.memory import Memory
from vgaemu.pc.dos.processes import Processes
from vgaemu.pc.dos.search import Search
from vgaemu.pc.dos.system import VERSION, System
from vgaemu.pc.dos.tables import write_tables as write_file_tables
from vgaemu.pc.dos.xms import Xms
from vgaemu.pc.images import DosProgram
from vgaemu.snapshot import Part, fields, number

#: What Ctrl-C calls.
BREAK_VECTOR = 0x23
#: Calls that clear the carry flag when they succeed; any that fails sets it.
CARRY_CALLS = frozenset(
    [*range(0x38, 0x4C), 0x4D, 0x4E, 0x4F, *range(0x56, 0x59), *range(0x5A, 0x62),
     0x65, 0x66, 0x67, 0x68, 0x6C]
)  # fmt: skip
#: Calls that say in AL that there is no such drive.
DRIVE_CALLS = frozenset((0x1C, 0x1F, 0x32))


class Dos:
    """One program and its DOS."""

    def __init__(
        self,
        board: Board,
        bios: Bios,
        program: DosProgram,
        root: Path | None,
        version: tuple[int, int] = VERSION,
    ) -> None:
        """Load the program and take the vectors; its files are in `root`, if it has any.

        Raises:
            ImageError: It does not fit, or its arguments are longer than a command line.
        """
        self._board, self._cpu, self._calls = board, board.cpu, bios.calls
        calls = self._calls
        self.files = DosFiles(root)
        self.console = Console(board, bios)
        self.memory = Memory(board, calls)
        self.handles = Handles(board, calls, self.console, self.files, self.memory)
        self.folders = Folders(board, self.files, self.handles)
        self.search = Search(board, calls, self.files)
        self.fcbs = FcbFiles(
            board, calls, self.files, self.folders, self.handles, self.search, self.console
        )
        self.processes = Processes(board, calls, self.memory, self.handles, self.search, self.files)
        self.system = System(board, calls, self.files, version)
        self.xms = Xms(board, calls)
        self._services: dict[int, Service] = {
            0x29: lambda: parse_call(board),
            **self.system.services,
            **Country(board).services,
            **self.console.services,
            **self.memory.services,
            **self.handles.services,
            **self.folders.services,
            **DeviceControl(board, self.handles, self.console).services,
            **self.search.services,
            **self.fcbs.services,
            **self.processes.services,
        }
        calls.services |= {
            0x20: self.processes.end,
            0x21: self._service,
            0x27: self.processes.stay_by_interrupt,
            0x29: lambda: self.console.type(board.cpu.al),
            0x2F: self.system.multiplex,
            0x33: bios.mouse.service,
        }
        self._write_area()
        for vector, offset in VECTORS.items():
            calls.set_vector(vector, offset, SEGMENT)
        self.processes.start(program)

    def _write_area(self) -> None:
        write_area(self._board.bus)
        write_tables(self._board.bus)
        write_file_tables(self._board.bus)

    def close(self) -> None:
        """Close the programs' files."""
        self.handles.close_all()
        self.fcbs.close()

    def _service(self) -> bool | None:
        """INT 21h."""
        call = self._cpu.ah
        try:
            if call not in self._services:
                raise DosError(BAD_FUNCTION)
            waits = self._services[call]()
        except ControlC:
            return self._break()
        except DosError as error:
            self._fail(call, error.code)
        except OSError as error:
            self._fail(call, HOST_ERRORS.get(error.errno or 0, DENIED))
        else:
            if waits is not WAIT and call in CARRY_CALLS:
                self._calls.carry(False)
            return waits
        finally:
            self._calls.spend(self.files.take_work())
        return None

    def _fail(self, call: int, code: int) -> None:
        self.system.failed(code)
        if call in self.fcbs.services or call in DRIVE_CALLS:  # they know no carry flag
            self._cpu.al = END if call in MOVES else FAILED
            return
        self._cpu.ax = said(call, code)
        self._calls.carry(True)

    def _break(self) -> bool | None:
        """Ctrl-C ends the program, or calls its INT 23h, whose IRET begins the call anew."""
        self.console.give_up_line()
        calls = self._calls
        if calls.get_vector(BREAK_VECTOR) == (ROM_SEGMENT, stub_offset(BREAK_VECTOR)):
            return self.processes.break_off()
        calls.return_to(BREAK_OFFSET, SEGMENT)
        return None

    def _forget_returned(self) -> None:
        self.processes.returned = 0

    def _make_area(self) -> None:
        """In a state that was saved when DOS had less of its own in memory."""
        self._write_area()
        self.handles.begin(self.memory.current)

    def parts(self) -> dict[str, Part]:
        # `Handles.reopened` opens the files of "dos.files".
        return {
            "dos.program": fields(self.search, self.console),
            "dos.area": number(self.console, "raw", 1, "u1")._replace(absent=self._make_area),
            "dos.files": self.handles.part(),
            "dos.folder": self.folders.part(),
            "dos.found": self.search.part(),
            **self.memory.parts(),
            "dos.returned": fields(self.processes)._replace(absent=self._forget_returned),
            **self.console.parts(),
            "dos.written": number(self.files, "written", MAX_WRITTEN, "i8"),
            **self.xms.parts(),
        }
