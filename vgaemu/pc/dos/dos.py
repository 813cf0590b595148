"""DOS: what a program finds around it, INT 20h, 21h, 27h, 29h, 2Fh and 33h.

Emulated: what the files of this folder say; Ctrl-C with INT 23h, which may go back by IRET or RETF;
critical errors with INT 24h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WAIT, Service
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.board import Board
from vgaemu.pc.clock import SERVICE_NS
from vgaemu.pc.cpu.cpu import CARRY, INTERRUPT
from vgaemu.pc.dos.absolute import AbsoluteDisk
from vgaemu.pc.dos.area import (
    BREAK_OFFSET,
    DIRECTORY_BYTES,
    DOS_PORT,
    DRIVE_AT,
    DRIVE_C,
    FIRST_DRIVES,
    SEGMENT,
    VECTORS,
    add_drives,
    move_data,
    write_area,
)
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.country import Country, write_tables
from vgaemu.pc.dos.critical import ABORT, IGNORE, NOTHING, RETRY, Critical, critical_of
from vgaemu.pc.dos.dpmi import DPMI_CALL, GET_HOST, Dpmi
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.errors import (
    BAD_FUNCTION,
    DENIED,
    FAILED_CRITICAL,
    HOST_ERRORS,
    NO_FILE,
    NO_MORE_FILES,
    NO_PATH,
    NOT_READY,
    DosError,
    said,
)
from vgaemu.pc.dos.fcb import parse_call
from vgaemu.pc.dos.fcb_files import END, FAILED, MOVES, FcbFiles
from vgaemu.pc.dos.files import MAX_WRITTEN, DosFiles
from vgaemu.pc.dos.folders import Folders
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.idle import Idle
from vgaemu.pc.dos.ioctl import DeviceControl
from vgaemu.pc.dos.memory import ENVIRONMENT, Memory
from vgaemu.pc.dos.multiplex import Multiplex
from vgaemu.pc.dos.processes import Processes
from vgaemu.pc.dos.search import Search
from vgaemu.pc.dos.system import VERSION, System
from vgaemu.pc.dos.tables import write_tables as write_file_tables
from vgaemu.pc.dos.xms import Xms
from vgaemu.pc.images import DiskImage, DosProgram
from vgaemu.snapshot import Part, fields, marker, number

#: What Ctrl-C calls.
BREAK_VECTOR = 0x23
#: What lies where in DOS's memory; states of before had neither INT 24h nor files there.
LAYOUT = 1
END_VECTOR, CRITICAL_VECTOR, READ_VECTOR, WRITE_VECTOR = 0x22, 0x24, 0x25, 0x26
#: Errors that a folder that is gone looks like.
MISSING = frozenset((NO_FILE, NO_PATH, NO_MORE_FILES))
#: Calls that clear the carry flag when they succeed; any that fails sets it.
CARRY_CALLS = frozenset(
    [*range(0x38, 0x4C), 0x4D, 0x4E, 0x4F, *range(0x56, 0x59), *range(0x5A, 0x62),
     0x65, 0x66, 0x67, 0x68, 0x69, 0x6C]
)  # fmt: skip
#: The last that there is up to DOS 6. Those above, which newer systems have (71h: long names), say
#: no more than AL = 0.
LAST_CALL = 0x6C
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
        disks: Sequence[DiskImage] = (),
        *,
        dpmi: bool = False,
    ) -> None:
        """Load the program and take the vectors; its files are in `root`, if it has any.

        Further disks are drives; with `dpmi` there is a host for protected mode.

        Raises:
            ImageError: It does not fit, or its arguments are longer than a command line.
        """
        self._board, self._cpu, self._calls = board, board.cpu, bios.calls
        calls = self._calls
        self.files = DosFiles(root)
        self.drives = drives = Drives(board, self.files, disks)
        self._take_work = self.files.take_work if drives.is_single else drives.take_work
        self.console = Console(board, bios)
        self.memory = Memory(board, calls)
        self.handles = Handles(board, calls, self.console, drives, self.memory)
        self.handles.print_all = bios.printer.print_all
        self.folders = Folders(board, drives, self.handles)
        self.search = Search(board, calls, drives)
        self.fcbs = FcbFiles(
            board, calls, drives, self.folders, self.handles, self.search, self.console
        )
        self.processes = Processes(board, calls, self.memory, self.handles, self.search, drives)
        self.system = System(board, calls, drives, version)
        self.xms = Xms(board, calls)
        self.critical = Critical(board, calls, self.console)
        self.disk = AbsoluteDisk(board, calls, drives)
        self.idle = Idle(board, calls)
        self.dpmi = Dpmi(board, calls, self.console, self.memory, self.xms)
        self.processes.on_end = self.dpmi.ended
        self._own_calls = self._all_own_calls()
        self._services = self._all_services(board, bios)
        calls.services |= {
            0x20: self.processes.end,
            0x21: self._service,
            0x27: self.processes.stay_by_interrupt,
            0x29: lambda: self.console.type(board.cpu.al),
            0x2F: self._multiplex(board, with_dpmi=dpmi).service,
            0x33: bios.mouse.service,
        }
        board.bus.byte_out[DOS_PORT] = self._called
        self._write_area()
        self._add_drives()
        for vector, offset in VECTORS.items():
            calls.set_vector(vector, offset, SEGMENT)
        self.processes.start(program)

    def _multiplex(self, board: Board, *, with_dpmi: bool) -> Multiplex:
        """INT 2Fh."""
        multiplex = Multiplex(
            board, self._calls, self.console, self.handles, self.folders, self.drives
        )
        if with_dpmi:
            multiplex.services[GET_HOST] = self.dpmi.tell
        return multiplex

    def _all_services(self, board: Board, bios: Bios) -> dict[int, Service]:
        """Those of INT 21h."""
        return {
            0x03: self._receive,
            0x04: lambda: self.handles.auxiliary.send(bytes((board.cpu.dl,))),
            0x05: lambda: bios.printer.print_all(bytes((board.cpu.dl,))),
            0x29: lambda: parse_call(board),
            **self.system.services,
            **Country(board).services,
            **self.disk.services,
            **self.console.services,
            **self.memory.services,
            **self.handles.services,
            **self.folders.services,
            **DeviceControl(board, self.handles, self.console, self.disk, self.drives).services,
            **self.search.services,
            **self.fcbs.services,
            **self.processes.services,
        }

    def _all_own_calls(self) -> dict[int, Callable[[], bool | None]]:
        """What DOS's own code asks for, by the vector that it has in AL; whether that failed."""
        return {
            END_VECTOR: self.processes.end_run,
            CRITICAL_VECTOR: self.critical.ask,
            READ_VECTOR: lambda: self._absolute(self.disk.read),
            WRITE_VECTOR: lambda: self._absolute(self.disk.write),
            DPMI_CALL: self.dpmi.enter,
        }

    def _write_area(self) -> None:
        write_area(self._board.bus)
        write_tables(self._board.bus)
        write_file_tables(self._board.bus)

    def _add_drives(self) -> None:
        """More drives than C: have more in memory, of which what has no room is before programs."""
        drives = self.drives
        if drives.count > FIRST_DRIVES:
            self.memory.own = -(-drives.count * DIRECTORY_BYTES // 16)
        if len(drives.volumes) > 1:
            add_drives(self._board.bus, min(drives.volumes), drives.count, ENVIRONMENT)
        self._board.bus.write8(DRIVE_AT, DRIVE_C)
        drives.show()

    def _called(self, vector: int) -> None:
        """An OUT of `area_code.asm`: AX was pushed, and the carry flag is heeded."""
        cpu = self._cpu
        self._board.clock.cost(SERVICE_NS)
        self._calls.new_slice()
        failed = self._own_calls.get(vector, lambda: False)()
        flags = cpu.get("eflags") & ~(CARRY | INTERRUPT)
        cpu.set("eflags", flags | (CARRY if failed else 0))

    def _absolute(self, call: Callable[[int], int]) -> bool:
        """INT 25h or 26h: AL is the drive, AX becomes an error or 0."""
        code = call(self._cpu.stack_word(0) & 0xFF)
        self._cpu.set_stack_word(0, code)
        return code != 0

    def close(self) -> None:
        """Close the programs' files."""
        self.handles.close_all()
        self.fcbs.close()

    def _service(self) -> bool | None:
        """INT 21h."""
        call, answer = self._cpu.ah, self.critical.take_answer()
        if answer not in (NOTHING, RETRY):
            return self._answered(call, answer)
        if call > LAST_CALL:
            self._cpu.al = 0  # the carry flag is its caller's
            return None
        try:
            if call not in self._services:
                raise DosError(BAD_FUNCTION)
            waits = self._services[call]()
        except ControlC:
            return self._break()
        except DosError as error:
            gone = error.code in MISSING and self.drives.is_gone
            self._fail(call, error.code, NOT_READY if gone else None)
        except OSError as error:
            code = HOST_ERRORS.get(error.errno or 0, DENIED)
            self._fail(call, code, critical_of(error, call))
        else:
            if waits is not WAIT and call in CARRY_CALLS:
                self._calls.carry(False)
            return self.idle.leave(call, waits)
        finally:
            self._calls.spend(self._take_work())
        return None

    def _receive(self) -> bool | None:
        """03h: a character of AUX, which is waited for."""
        received = self.handles.auxiliary.receive(1)
        if not received:
            return WAIT
        self._cpu.al = received[0]
        return None

    def _answered(self, call: int, answer: int) -> bool | None:
        """INT 24h has answered to a call that is not made again."""
        if answer == ABORT:
            return self.processes.abort()
        if answer == IGNORE:
            self._cpu.ax = self._cpu.cx
            self._calls.carry(False)
        else:
            self._fail(call, FAILED_CRITICAL)
        return None

    def _fail(self, call: int, code: int, critical: int | None = None) -> None:
        self.system.failed(code if critical is None else critical)
        if critical is not None:
            self.critical.begin(call, critical)
            return
        if call in self.fcbs.services or call in DRIVE_CALLS:  # they know no carry flag
            self._cpu.al = END if call in MOVES else FAILED
            return
        self._cpu.ax = said(call, code)
        self._calls.carry(True)

    def _break(self) -> bool | None:
        """Ctrl-C ends the program, or calls its INT 23h, whose IRET begins the call anew."""
        self.console.give_up_line()
        self.idle.forget()
        calls = self._calls
        if calls.get_vector(BREAK_VECTOR) == (ROM_SEGMENT, stub_offset(BREAK_VECTOR)):
            return self.processes.break_off()
        calls.return_to(BREAK_OFFSET, SEGMENT)
        return None

    def _forget_returned(self) -> None:
        self.processes.returned = 0

    def _make_tables(self) -> None:
        """In a state that was saved when there was no INT 24h, nor files in DOS's memory."""
        self._write_area()
        self.drives.show()
        self.handles.show()

    def _make_area(self) -> None:
        """In a state that was saved when DOS had less of its own in memory."""
        self._write_area()
        self.drives.show()
        self.handles.begin(self.memory.current)

    def parts(self) -> dict[str, Part]:
        # `Handles.reopened` opens the files of "dos.files".
        return {
            "dos.swapped": marker(1, lambda: move_data(self._board.bus)),
            "dos.program": fields(self.search, self.console),
            "dos.area": number(self.console, "raw", 1, "u1").or_else(self._make_area),
            "dos.files": self.handles.part(),
            **self.drives.parts(),
            "dos.found": self.search.part(),
            "dos.layout": marker(LAYOUT, self._make_tables),
            **self.memory.parts(),
            "dos.returned": fields(self.processes).or_else(self._forget_returned),
            **self.console.parts(),
            "dos.written": number(self.files, "written", MAX_WRITTEN, "i8"),
            **self.xms.parts(),
        }
