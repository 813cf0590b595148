"""Programs that start others: INT 21h/4Bh, how they end, and what they have returned (4Dh).

Emulated: the first program, those that it runs (4B00h), loads (4B01h, for debuggers) and lays over
itself (4B03h), out of the folder that its files are in; memory and files of a program that ends;
programs that stay, started by another (the first one's end is the run's); prefixes that programs
make (26h, 55h), and those that are their own parents. What a program that waits is to go on with
lies in memory, as DOS has it: registers on its stack, that stack in its prefix.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from vgaemu.errors import ImageError
from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import INTERRUPT
from vgaemu.pc.dos.area import END_OFFSET, ENDING_AT, IN_DOS_AT, RETURNED_AT, SEGMENT
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.errors import BAD_FORMAT, BAD_FUNCTION, NO_MEMORY, DosError
from vgaemu.pc.dos.fcb import FCB_BYTES
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.memory import DOS, EXE_PREFIX, FREE, PREFIX, TOP, Memory
from vgaemu.pc.dos.names import file_name
from vgaemu.pc.dos.programs import (
    COMMAND_LINE_AT,
    ENVIRONMENT_AT,
    FCB_AT,
    MAX_COMMAND_LINE,
    PARENT_AT,
    PREFIX_BYTES,
    STACK_AT,
    TERMINATE_AT,
    VECTORS,
    AnyProgram,
    Com,
    Entry,
    environment,
    parse,
    write_prefix,
)
from vgaemu.pc.dos.search import Search
from vgaemu.pc.images import SECTOR, DosProgram
from vgaemu.snapshot import Saved

#: BP as MS-DOS from version 4 on leaves it: its stack. Small programs take it for memory of theirs.
STACK_OF_DOS = 0x091C
#: What AL of 4Bh asks for.
RUN, LOAD, OVERLAY = 0, 1, 3
#: A file is read so far: what lies behind is no part of what DOS loads.
MAX_FILE = 1 << 20
#: Bytes that the variables of an environment may take.
MAX_ENVIRONMENT = 0x8000
VARIABLES = b"COMSPEC=C:\\COMMAND.COM\0PATH=C:\\\0"
#: How a program has ended, in AH of 4Dh.
ENDED, BROKEN, CRITICAL, STAYS = range(4)
#: What a program that waits has on its stack, from the top; as DOS pushes them.
PUSHED = ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "ds", "es")
#: Where a child's prefix, which DOS has no use for, keeps its parent's disk transfer area.
PARENTS_DTA_AT = 0x4A
#: What the first program's prefix has as its parent's place to go on; that of older states: the
#: stub of INT 22h.
NOBODY = (SEGMENT << 16 | END_OFFSET, ROM_SEGMENT << 16 | stub_offset(VECTORS[0]))


class Processes:
    """The programs of one DOS: one runs, those that have started it wait."""

    SAVED: ClassVar[Saved] = {"returned": (0, 0xFFFF)}

    def __init__(
        self,
        board: Board,
        calls: Calls,
        memory: Memory,
        handles: Handles,
        search: Search,
        drives: Drives,
    ) -> None:
        self._board, self._bus, self._cpu = board, board.bus, board.cpu
        self._calls, self._memory, self._handles = calls, memory, handles
        self._search, self._drives = search, drives
        #: Is told the prefix of a program that ends.
        self.on_end: Callable[[int], None] = lambda prefix: None
        self.services: dict[int, Service] = {
            0x00: self.end,
            0x26: self._make_prefix,
            0x31: self._stay,
            0x4B: self._execute,
            0x4C: lambda: self.end(self._cpu.al),
            0x4D: self._take_returned,
            0x50: self._set_prefix,
            0x51: self._get_prefix,
            0x55: self._make_child,
            0x62: self._get_prefix,
        }

    @property
    def returned(self) -> int:
        """What the last program that ended has returned: its code, and `ENDED` or how else."""
        return self._bus.read16(RETURNED_AT)

    @returned.setter
    def returned(self, code: int) -> None:
        self._bus.write16(RETURNED_AT, code)

    def start(self, program: DosProgram) -> None:
        """Put the first program into memory, and registers as DOS leaves them.

        Raises:
            ImageError: It does not fit, or its arguments are longer than a command line.
        """
        try:
            parsed = parse(program.data)
        except DosError:
            raise ImageError(
                f"{program.path}: not whole: its .EXE header tells of what is not in the file"
            ) from None
        prefix = PREFIX + self._memory.own_paragraphs if isinstance(parsed, Com) else EXE_PREFIX
        room = TOP - prefix
        if parsed.least > room:
            raise ImageError(
                f"{program.path}: needs {parsed.least >> 6} KiB of memory, DOS has {room >> 6}"
            )
        memory, bus = self._memory, self._bus
        end = min(parsed.most, room)
        environment_at = memory.begin(prefix, end)
        memory.current = prefix
        path = f"C:\\{program.path.name}"
        memory.name(prefix, _own_name(path))
        bus.write(environment_at << 4, environment(VARIABLES, path))
        drives = write_prefix(
            bus, prefix, environment_at, prefix + end, prefix, _command_line(program)
        )
        self._handles.begin(prefix)
        self._search.dta = (prefix << 4) + COMMAND_LINE_AT
        entry = parsed.place(bus, prefix, end)
        self._enter(prefix, entry, drives)
        self._cpu.set_registers(cs=entry.cs, eip=entry.ip, eflags=INTERRUPT | 2)

    def _enter(self, prefix: int, entry: Entry, drives: int) -> None:
        """Registers as a program finds them, but for where it begins."""
        self._cpu.set_registers(
            ds=prefix, es=prefix, ss=entry.ss, esp=entry.sp, eax=drives, ebx=drives, ecx=0xFF,
            edx=prefix, esi=entry.ip, edi=entry.sp, ebp=STACK_OF_DOS,
        )  # fmt: skip

    # --- others ---

    def _execute(self) -> None:
        """4Bh: AL says what for, DS:DX which, ES:BX leads to what else is told."""
        cpu = self._cpu
        if cpu.al not in (RUN, LOAD, OVERLAY):
            raise DosError(BAD_FUNCTION)
        name = file_name(self._board)
        program = parse(self._file(name))
        if cpu.al == OVERLAY:
            at = cpu.linear("es", "bx")
            segment, factor = self._bus.read16(at), self._bus.read16(at + 2)
            self._bus.write(segment << 4, program.relocated(factor))
            return
        self._run(program, name)

    def _file(self, name: str) -> bytes:
        opened = self._drives.open(name, os.O_RDONLY)
        try:
            data = opened.stream.read(MAX_FILE)
        finally:
            opened.stream.close()
        self._calls.spend(len(data) // SECTOR)
        if not data:
            raise DosError(BAD_FORMAT)
        return data

    def _run(self, program: AnyProgram, name: str) -> None:
        cpu, bus, memory = self._cpu, self._bus, self._memory
        block, parent = cpu.linear("es", "bx"), memory.current
        variables_at = bus.read16(block) or bus.read16((parent << 4) + ENVIRONMENT_AT)
        command_line = self._far(block + 2, 1 + MAX_COMMAND_LINE)
        fcbs = [self._far(block + at, FCB_BYTES) for at in (6, 10)]
        text = environment(self._variables(variables_at), self._full(name))
        prefix, environment_at, room = self._allocate(program, len(text))
        memory.name(prefix, _own_name(name))
        bus.write(environment_at << 4, text)
        ip, cs, _ = self._calls.frame()
        self._calls.set_vector(VECTORS[0], ip, cs)
        drives = write_prefix(
            bus, prefix, environment_at, prefix + room, parent,
            command_line[1 : 1 + min(command_line[0], MAX_COMMAND_LINE)],
        )  # fmt: skip
        for at, fcb in zip(FCB_AT, fcbs, strict=True):
            bus.write((prefix << 4) + at, fcb)
        bus.write32((prefix << 4) + PARENTS_DTA_AT, self._search.dta)
        self._handles.begin(prefix, parent)
        entry = program.place(bus, prefix, room)
        memory.current = prefix
        self._search.dta = (prefix << 4) + COMMAND_LINE_AT
        if cpu.al == LOAD:
            self._tell_entry(block, entry, drives)
            return
        self._keep_stack(parent)
        self._enter(prefix, entry, drives)
        cpu.sp = entry.sp - 6  # the stub's IRET begins it
        self._calls.set_frame(entry.ip, entry.cs, INTERRUPT | 2)

    def _full(self, name: str) -> str:
        """A program's name with its drive, as its environment has it."""
        return name if ":" in name else f"{chr(ord('A') + self._drives.current)}:\\{name}"

    def _keep_stack(self, prefix: int) -> None:
        """A program waits: its registers on its stack, and that in its prefix."""
        cpu, at = self._cpu, (prefix << 4) + STACK_AT
        for register in reversed(PUSHED):
            cpu.push(cpu.get(register))
        self._bus.write16(at, cpu.sp)
        self._bus.write16(at + 2, cpu.get("ss"))

    def _tell_entry(self, block: int, entry: Entry, drives: int) -> None:
        """4B01h: SS:SP, with AX on that stack, and CS:IP."""
        stack = entry.sp - 2 & 0xFFFF
        self._bus.write16((entry.ss << 4) + stack, drives)
        for i, word in enumerate((stack, entry.ss, entry.ip, entry.cs)):
            self._bus.write16(block + 14 + 2 * i, word)

    def _allocate(self, program: AnyProgram, nbytes: int) -> tuple[int, int, int]:
        """Prefix, environment and paragraphs of a new program."""
        memory = self._memory
        environment_at = memory.take(-(-nbytes // 16), DOS)
        try:
            # What EXEPACK has packed unpacks itself nowhere below 64 KiB.
            above = EXE_PREFIX if program.is_packed else 0
            if above and memory.largest(above) < program.least:
                above = 0
            room = min(memory.largest(above), program.most)
            if room < program.least:
                raise DosError(NO_MEMORY)
            prefix = memory.take(room, DOS, above)
        except DosError:
            memory.set_owner(environment_at, FREE)
            raise
        for block in (environment_at, prefix):
            memory.set_owner(block, prefix)
        return prefix, environment_at, room

    def _far(self, at: int, count: int) -> bytes:
        """What a far pointer leads to."""
        offset, segment = self._bus.read16(at), self._bus.read16(at + 2)
        return self._bus.read((segment << 4) + offset, count)

    def _variables(self, segment: int) -> bytes:
        data = self._bus.read(segment << 4, MAX_ENVIRONMENT) if segment else b""
        variables, end, _ = data.partition(b"\0\0")
        return variables + b"\0" if end and variables else b""

    # --- prefixes that programs make ---

    def _make_prefix(self) -> None:
        """26h: a copy of the prefix at DX, with the vectors that there are now."""
        at, bus = self._memory.current << 4, self._bus
        head = bytearray(bus.read(at, PREFIX_BYTES))
        head[TERMINATE_AT : TERMINATE_AT + 12] = bus.read(4 * VECTORS[0], 12)
        bus.write(self._cpu.dx << 4, bytes(head))

    def _make_child(self) -> None:
        """55h: the prefix at DX is a child's, whose memory ends at SI; it runs from here on."""
        parent, prefix, bus = self._memory.current, self._cpu.dx, self._bus
        self._make_prefix()
        bus.write16((prefix << 4) + 2, self._cpu.si)
        bus.write16((prefix << 4) + PARENT_AT, parent)
        self._handles.begin(prefix, parent)
        self._memory.current = prefix

    def _set_prefix(self) -> None:
        self._memory.current = self._cpu.bx

    def _get_prefix(self) -> None:
        self._cpu.bx = self._memory.current

    # --- ends ---

    def end(self, code: int = 0) -> bool | None:
        """The program that runs is done: its parent goes on, or the run ends."""
        how = self._bus.read8(ENDING_AT)
        self._bus.write8(ENDING_AT, ENDED)
        return self._end(code, BROKEN if how == BROKEN else ENDED)

    def break_off(self) -> bool | None:
        """Ctrl-C ends the program that runs."""
        return self._end(0, BROKEN)

    def abort(self) -> bool | None:
        """A critical error ends the program that runs."""
        return self._end(0, CRITICAL)

    def end_run(self) -> bool:
        """The first program has had its own code called at its end, and that is done."""
        return self._calls.end(self.returned & 0xFF)

    def _stay(self) -> bool | None:
        return self._end(self._cpu.al, STAYS, keeps=self._cpu.dx)

    def stay_by_interrupt(self) -> bool | None:
        """INT 27h: DX is the end of what stays, in bytes."""
        return self._end(0, STAYS, keeps=-(-self._cpu.dx // 16))

    def _end(self, code: int, how: int, keeps: int | None = None) -> bool | None:
        bus, memory, prefix = self._bus, self._memory, self._memory.current
        at = prefix << 4
        bus.write8(IN_DOS_AT, 0)
        if keeps is None:
            self.on_end(prefix)
        parent, back = bus.read16(at + PARENT_AT), bus.read32(at + TERMINATE_AT)
        for i, vector in enumerate(VECTORS):
            bus.write(4 * vector, bus.read(at + TERMINATE_AT + 4 * i, 4))
        if back in NOBODY or (parent == prefix and not back):
            return self._calls.end(code)
        self.returned = how << 8 | code & 0xFF
        if parent == prefix:  # a command interpreter, which nothing ends
            self._keep_stack(prefix)
            self.go_back(parent, back)
            return None
        dta = bus.read32(at + PARENTS_DTA_AT)
        if keeps is None:
            self._handles.end(prefix)
            memory.give_back(prefix)
        else:
            memory.cut(prefix, keeps)
        memory.current = parent
        self._search.dta = min(dta, self._search.SAVED["dta"][1])
        self.go_back(parent, back)
        return None

    def go_back(self, parent: int, back: int) -> None:
        """Have the stub's IRET go on in a program that waits, on its stack."""
        cpu, stack = self._cpu, (parent << 4) + STACK_AT
        cpu.set("ss", self._bus.read16(stack + 2))
        cpu.sp = self._bus.read16(stack)
        for i, register in enumerate(PUSHED):
            cpu.set(register, cpu.stack_word(2 * i))
        cpu.sp = cpu.sp + 2 * len(PUSHED)
        self._calls.set_frame(back & 0xFFFF, back >> 16, cpu.stack_word(4))
        self._calls.carry(False)

    def _take_returned(self) -> None:
        self._cpu.ax, self.returned = self.returned, 0


def _own_name(path: str) -> bytes:
    """What the control block of a program's memory calls it."""
    last = path.replace("/", "\\").rpartition("\\")[2]
    return last.partition(".")[0].upper().encode("cp437", "replace")


def _command_line(program: DosProgram) -> bytes:
    tail = "".join(f" {arg}" for arg in program.args).encode("cp437", "replace")
    if len(tail) > MAX_COMMAND_LINE:
        raise ImageError(
            f"{program.path}: arguments of {len(tail)} bytes; "
            f"a command line takes {MAX_COMMAND_LINE}"
        )
    return tail
