"""DOS: what a program finds around it, INT 20h, 21h, 27h, 29h, 2Fh and 33h.

Emulated: what the files of this folder say; one drive C:, vectors, version, the clock that CMOS
keeps, Ctrl-C with INT 23h. Not emulated: sub-directories made, removed or gone to, an INT 23h that
returns by RETF, a mouse (INT 33h says there is none), country, verify, another switch character
than the slash; the break check is always off.
"""

from __future__ import annotations

from pathlib import Path

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WAIT, Service
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.board import Board
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.errors import BAD_FUNCTION, DENIED, HOST_ERRORS, NO_PATH, DosError
from vgaemu.pc.dos.fcb import DRIVES, parse_call
from vgaemu.pc.dos.files import CLUSTER, MAX_WRITTEN, DosFiles
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.memory import Memory
from vgaemu.pc.dos.names import below_drive, file_name
from vgaemu.pc.dos.processes import BROKEN, Processes
from vgaemu.pc.dos.search import Search
from vgaemu.pc.images import SECTOR, DosProgram
from vgaemu.snapshot import Part, fields, number

#: What Ctrl-C calls.
BREAK_VECTOR = 0x23
#: Calls that clear the carry flag when they succeed; any that fails sets it.
CARRY_CALLS = frozenset(
    [*range(0x3B, 0x41), 0x42, 0x43, 0x44, *range(0x47, 0x4C), 0x4D, 0x4E, 0x4F, 0x57, 0x58]
)
VERSION = (5, 0)
DRIVE_C = 2
#: How AL says that a date or time is none, or that a call of DOS 1 has failed.
REFUSED = 0xFF
#: Calls of DOS 1 that are not emulated, and know no carry flag: files and searches by FCB, what a
#: drive is; and, by FCB, reading, which ends at once, and writing, for which the disk is full.
FAILING = (*range(0x0F, 0x14), 0x16, 0x17, 0x1B, 0x1C, 0x1F, 0x23, 0x32)
ENDING = (0x14, 0x15, 0x21, 0x22, 0x27, 0x28)


class Dos:
    """One program and its DOS."""

    def __init__(self, board: Board, bios: Bios, program: DosProgram, root: Path | None) -> None:
        """Load the program and take the vectors; its files are in `root`, if it has any.

        Raises:
            ImageError: It does not fit, or its arguments are longer than a command line.
        """
        self._board, self._cpu, self._calls = board, board.cpu, bios.calls
        calls = self._calls
        self.files = DosFiles(root)
        self.console = Console(board, bios)
        self.memory = Memory(board, calls)
        self.handles = Handles(board, calls, self.console, self.files)
        self.search = Search(board, calls, self.files)
        self.processes = Processes(board, calls, self.memory, self.handles, self.search, self.files)
        self._services: dict[int, Service] = {
            0x0D: self._nothing_to_do,
            0x0E: lambda: self._set_al(DRIVES), 0x19: lambda: self._set_al(DRIVE_C),
            0x25: self._set_vector, 0x35: self._get_vector,
            0x2A: self._get_date, 0x2B: self._set_date,
            0x2C: self._get_time, 0x2D: self._set_time,
            0x29: lambda: parse_call(board),
            0x30: self._version,
            0x33: self._break_check,
            0x36: self._free_space,
            0x37: self._switch_character,
            0x3B: self._change_folder,
            0x47: self._current_folder,
            0x50: self._set_prefix, 0x51: self._get_prefix, 0x62: self._get_prefix,
            0x58: lambda: self._set_ax(0),  # first fit
            **dict.fromkeys(FAILING, lambda: self._set_al(REFUSED)),
            **dict.fromkeys(ENDING, lambda: self._set_al(1)),
            **self.console.services,
            **self.memory.services,
            **self.handles.services,
            **self.search.services,
            **self.processes.services,
        }  # fmt: skip
        calls.services |= {
            0x20: self.processes.end,
            0x21: self._service,
            0x27: self.processes.stay_by_interrupt,
            0x29: lambda: self.console.type(board.cpu.al),
            0x2F: self._nothing_to_do,  # AL stays 0: nothing is installed
            0x33: self._nothing_to_do,  # AX stays 0: there is no mouse
        }
        self.processes.start(program)

    def close(self) -> None:
        """Close the program's files."""
        self.handles.close_all()

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
            self._fail(error.code)
        except OSError as error:
            self._fail(HOST_ERRORS.get(error.errno or 0, DENIED))
        else:
            if waits is not WAIT and call in CARRY_CALLS:
                self._calls.carry(False)
            return waits
        finally:
            self._calls.spend(self.files.take_work())
        return None

    def _fail(self, code: int) -> None:
        self._cpu.ax = code
        self._calls.carry(True)

    def _break(self) -> bool | None:
        """Ctrl-C ends the program, or calls its INT 23h, whose IRET begins the call anew."""
        self.console.give_up_line()
        calls = self._calls
        if calls.get_vector(BREAK_VECTOR) == (ROM_SEGMENT, stub_offset(BREAK_VECTOR)):
            return self.processes.end(0, BROKEN)
        calls.return_to(stub_offset(0x21), ROM_SEGMENT)
        calls.interrupt_next(BREAK_VECTOR)
        return None

    def _nothing_to_do(self) -> None: ...

    def _set_al(self, value: int) -> None:
        self._cpu.al = value

    def _set_ax(self, value: int) -> None:
        self._cpu.ax = value

    def _set_vector(self) -> None:
        self._calls.set_vector(self._cpu.al, self._cpu.dx, self._cpu.ds)

    def _get_vector(self) -> None:
        segment, self._cpu.bx = self._calls.get_vector(self._cpu.al)
        self._cpu.set("es", segment)

    def _get_date(self) -> None:
        cpu, now = self._cpu, self._board.cmos.now()
        cpu.cx, cpu.dh, cpu.dl = now.tm_year, now.tm_mon, now.tm_mday
        cpu.al = (now.tm_wday + 1) % 7

    def _set_date(self) -> None:
        cpu, cmos = self._cpu, self._board.cmos
        cpu.al = 0 if cmos.set(cpu.cx, cpu.dh, cpu.dl, *cmos.now()[3:6]) else REFUSED

    def _get_time(self) -> None:
        clock = self._board.clock
        clock.polled()
        cpu, now = self._cpu, self._board.cmos.now()
        cpu.ch, cpu.cl, cpu.dh = now.tm_hour, now.tm_min, now.tm_sec
        cpu.dl = clock.now_ns() // 10_000_000 % 100

    def _set_time(self) -> None:
        cpu, cmos = self._cpu, self._board.cmos
        cpu.al = 0 if cmos.set(*cmos.now()[:3], cpu.ch, cpu.cl, cpu.dh) else REFUSED

    def _version(self) -> None:
        cpu = self._cpu
        cpu.al, cpu.ah = VERSION
        cpu.bx = cpu.cx = 0

    def _break_check(self) -> None:
        cpu = self._cpu
        if cpu.al == 0:
            cpu.dl = 0
        elif cpu.al == 5:  # boot drive
            cpu.dl = DRIVE_C + 1
        elif cpu.al == 6:
            cpu.bl, cpu.bh = VERSION
            cpu.dx = 0

    def _free_space(self) -> None:
        """What the program may still write; in sectors a cluster, of bytes, and in clusters."""
        cpu = self._cpu
        cpu.ax, cpu.bx, cpu.cx, cpu.dx = (
            CLUSTER // SECTOR, self.files.free // CLUSTER, SECTOR, MAX_WRITTEN // CLUSTER
        )  # fmt: skip

    def _current_folder(self) -> None:
        self._board.bus.write8(self._cpu.linear("ds", "si"), 0)
        self._cpu.ax = 0x0100

    def _switch_character(self) -> None:
        """37h: options begin with a slash, and go on to; devices are there in every folder."""
        cpu, call = self._cpu, self._cpu.al
        if call in (0, 2):
            cpu.dl = ord("/") if call == 0 else 0xFF
        cpu.al = 0 if call <= 3 else REFUSED

    def _change_folder(self) -> None:
        """3Bh: only to where the program is already."""
        if not {*below_drive(file_name(self._board)).split("/")} <= {"", "."}:
            raise DosError(NO_PATH)

    def _set_prefix(self) -> None:
        self.memory.current = self._cpu.bx

    def _get_prefix(self) -> None:
        self._cpu.bx = self.memory.current

    def _forget_returned(self) -> None:
        self.processes.returned = 0

    def parts(self) -> dict[str, Part]:
        # `Handles.reopened` opens the files of "dos.files".
        return {
            "dos.program": fields(self.search, self.console),
            "dos.files": self.handles.part(),
            "dos.found": self.search.part(),
            "dos.blocks": self.memory.part(),
            "dos.owners": self.processes.part(),
            "dos.returned": fields(self.processes)._replace(absent=self._forget_returned),
            **self.console.parts(),
            "dos.written": number(self.files, "written", MAX_WRITTEN, "i8"),
        }
