"""DOS: what a .COM program finds around it, INT 20h, 21h, 27h, 29h, 2Fh and 33h.

Emulated: program prefix, environment, console input and output, date and time, vectors, memory
blocks, files by handle below one folder, searches, devices by name (but CON they swallow what is
written and read nothing), exit, Ctrl-C with INT 23h. Not emulated: FCBs, other programs (4Bh),
sub-directories made or removed, an INT 23h that returns by RETF, a mouse (INT 33h says there is
none), programs that stay (31h and 27h end the run).

A program sees the folder `--dos-root` as drive C: and nothing else of the host: every name is
resolved, symbolic links included, and must end inside the folder; only ordinary files are opened.
Without that option no file opens. Files of the host with long names open by them, but are not
listed; what a program creates has an 8.3 name.

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from vgaemu.errors import ImageError
from vgaemu.pc.bios.rom import ROM_SEGMENT, WAIT, Service
from vgaemu.pc.bios.video.area import PAGE, PAGE_START
from vgaemu.pc.chips.chips import Saved
from vgaemu.pc.cpu.cpu import CARRY, INTERRUPT, ZERO
from vgaemu.pc.dos.files import (
    BAD_ACCESS,
    BAD_BLOCK,
    BAD_FUNCTION,
    BAD_HANDLE,
    DENIED,
    DEVICES,
    HOST_ERRORS,
    NO_MEMORY,
    NO_MORE_FILES,
    NO_PATH,
    TOO_MANY,
    DosError,
    DosFiles,
    NamedFile,
    OpenFile,
    fcb_name,
)
from vgaemu.pc.images import SECTOR, ComProgram
from vgaemu.vga.codepage import to_unicode

if TYPE_CHECKING:
    from vgaemu.pc.pc import Pc

#: Paragraphs: environment and program prefix; the end of memory.
ENVIRONMENT, PREFIX, TOP = 0x0700, 0x0800, 0xA000
#: Handles 0 to 4 are the console's.
CONSOLE_HANDLES, MAX_HANDLES = 5, 20
VERSION = (5, 0)
#: What Ctrl-C calls.
BREAK_VECTOR = 0x23

CTRL_C, BELL, BACKSPACE, TAB, LINE_FEED, RETURN = 3, 7, 8, 9, 10, 13
#: Ctrl-Z: a line by handle ends before it.
END_OF_FILE = b"\x1a"
#: Characters that only type; so many are looked at at once.
PLAIN = re.compile(rb"[^\a\b\t\n\r]+")
RUN = 132

#: What INT 21h/44h says of them: a device, and whether it is input and output, or nothing.
DEVICE_BITS = {"CON": 0x80D3, "NUL": 0x80C4}
#: 1980-01-01, the date of every file.
FIRST_DAY = 0x0021
#: Folders and listings of searches that are remembered, for those that are not yet at their end.
MAX_FOLDERS, MAX_LISTINGS = 512, 16
#: Start of a disk transfer area, DOS's own part: drive, what is searched for as an FCB has it,
#: attributes, how far the search has come, number of the folder.
SEARCH = struct.Struct("<B11sBHH")

Handle: TypeAlias = int


class Dos:
    """One program and its DOS."""

    SAVED: ClassVar[Saved] = {"dta": (0, 0x10FFEF), "pending_scancode": (-1, 0xFF)}

    def __init__(self, pc: Pc, program: ComProgram, root: Path | None) -> None:
        """Load the program and take the vectors.

        Raises:
            ImageError: The arguments are longer than a command line.
        """
        self._pc, self._bus, self._cpu = pc, pc.bus, pc.cpu
        self.files = DosFiles(root)
        self.handles: dict[Handle, OpenFile] = {}
        self.dta = (PREFIX << 4) + 0x80
        self.pending_scancode: int | None = None
        #: A line that is typed; what a read by handle has left of one.
        self.line = bytearray()
        self.entered = b""
        #: Folders of searches, by the number that their transfer areas have; the latest is last.
        self.folders: dict[int, str] = {}
        self._listings: dict[tuple[str, bytes, int], list[NamedFile]] = {}
        #: Memory blocks: first paragraph -> paragraphs.
        self.blocks = {ENVIRONMENT: PREFIX - ENVIRONMENT - 1, PREFIX: TOP - PREFIX}
        pc.bios.services |= {
            0x20: self._terminate, 0x21: self._service, 0x27: self._terminate,
            0x29: lambda: self._type(self._cpu.al),
            0x33: lambda: None,  # AX stays 0: there is no mouse
        }  # fmt: skip
        self._calls = self._table()
        self._load(program)

    def _table(self) -> dict[int, Service]:
        return {
            0x00: self._terminate,
            0x01: lambda: self._read_key(echo=True),
            0x02: self._write_character,
            0x06: self._direct_console,
            0x07: lambda: self._read_key(echo=False, breaks=False),
            0x08: lambda: self._read_key(echo=False),
            0x09: self._write_string,
            0x0A: self._read_line,
            0x0B: self._key_status,
            0x0C: self._flush_and_read,
            0x0D: lambda: None,
            0x0E: lambda: self._set_al(3),
            0x19: lambda: self._set_al(2),  # drive C:
            0x1A: self._set_dta,
            0x25: self._set_vector,
            0x2A: self._get_date,
            0x2B: self._set_date,
            0x2C: self._get_time,
            0x2D: self._set_time,
            0x2F: self._get_dta,
            0x30: self._version,
            0x31: self._exit,
            0x33: self._break_check,
            0x35: self._get_vector,
            0x36: self._free_space,
            0x3C: self._create,
            0x3D: self._open,
            0x3E: self._close,
            0x3F: self._read,
            0x40: self._write,
            0x42: self._seek,
            0x43: self._attributes,
            0x44: self._device_control,
            0x47: self._current_folder,
            0x48: self._allocate,
            0x49: self._free,
            0x4A: self._resize,
            0x4C: self._exit,
            0x4D: lambda: self._set_ax(0),
            0x4E: self._find_first,
            0x4F: self._find_next,
            0x50: lambda: None,
            0x51: self._get_prefix,
            0x57: self._file_time,
            0x58: lambda: self._set_ax(0),
            0x62: self._get_prefix,
        }

    def _load(self, program: ComProgram) -> None:
        bus, cpu = self._bus, self._cpu
        tail = (" " + " ".join(program.args) if program.args else "").encode("cp437", "replace")
        if len(tail) > 126:
            raise ImageError(
                f"{program.path}: arguments of {len(tail)} bytes; a command line takes 126"
            )
        name = f"C:\\{program.path.name.upper()}".encode("cp437", "replace")
        bus.write(
            ENVIRONMENT << 4, b"COMSPEC=C:\\COMMAND.COM\0PATH=C:\\\0\0\x01\0" + name[:80] + b"\0"
        )
        prefix = bytearray(256)
        prefix[0:2] = b"\xcd\x20"  # int 20h
        prefix[2:4] = TOP.to_bytes(2, "little")
        prefix[0x2C:0x2E] = ENVIRONMENT.to_bytes(2, "little")
        prefix[0x50:0x53] = b"\xcd\x21\xcb"  # int 21h; retf
        prefix[0x5C + 1 : 0x5C + 12] = prefix[0x6C + 1 : 0x6C + 12] = b" " * 11
        prefix[0x80] = len(tail)
        prefix[0x81 : 0x81 + len(tail) + 1] = tail + b"\r"
        at = PREFIX << 4
        bus.write(at, bytes(prefix))
        bus.write(at + 0x100, program.data)
        for segment in ("cs", "ds", "es", "ss"):
            cpu.set(segment, PREFIX)
        cpu.set("esp", 0xFFFE)
        bus.write16(at + 0xFFFE, 0)  # RET goes to the INT 20h
        cpu.set("eax", 0)
        cpu.set("ecx", 0xFF)
        cpu.set("edx", PREFIX)
        cpu.set("esi", 0x100)
        cpu.set("edi", 0xFFFE)
        cpu.set("eip", 0x100)
        cpu.set("eflags", INTERRUPT | 2)

    def close(self) -> None:
        """Close the program's files."""
        for file in self.handles.values():
            os.close(file.fd)
        self.handles.clear()

    # --- calling ------------------------------------------------------------------------------

    def _service(self) -> bool | None:
        cpu = self._cpu
        call = self._calls.get(cpu.ah)
        if call is None:
            self._fail(BAD_FUNCTION)
            return None
        try:
            return call()
        except DosError as error:
            self._fail(error.code)
        except OSError as error:
            self._fail(HOST_ERRORS.get(error.errno or 0, DENIED))
        return None

    def _fail(self, code: int) -> None:
        self._cpu.ax = code
        self._pc.bios.carry(True)

    def _worked(self) -> None:
        self._pc.bios.flag(CARRY, False)

    def _set_al(self, value: int) -> None:
        self._cpu.al = value

    def _set_ax(self, value: int) -> None:
        self._cpu.ax = value
        self._worked()

    def _terminate(self) -> bool:
        self._pc.end()
        return WAIT  # the stub halts; no instruction of the program runs any more

    def _exit(self) -> bool:
        self._pc.end(self._cpu.al)
        return WAIT

    def _at_ds_dx(self) -> int:
        return int((self._cpu.ds << 4) + self._cpu.dx)

    def _name(self, gpa: int) -> str:
        raw = self._bus.read(gpa, 128).partition(b"\0")[0]
        if raw and min(raw) < 0x20:
            raise DosError(NO_PATH)
        return to_unicode(raw)

    # --- console ------------------------------------------------------------------------------

    def _type(self, code: int) -> None:
        video = self._pc.bios.video
        if code == TAB:
            _, column = video.cursor(self._bus.read8(PAGE))
            for _ in range(8 - column % 8):
                video.characters.type(0x20, 7 if not video.is_text else None)
        else:
            video.characters.type(code, 7 if not video.is_text else None)

    def _type_all(self, data: bytes) -> None:
        for code in data:
            self._type(code)

    def _type_some(self, data: bytes) -> int:
        """Type the first character, or in text the plain ones up to the row's end; how many."""
        bios, bus, video = self._pc.bios, self._bus, self._pc.bios.video
        plain = PLAIN.match(data)
        if plain is not None and video.is_text:
            page = bus.read8(PAGE)
            row, column = video.cursor(page)
            # The last column is left to `_type`: behind it the cursor goes on in the next row.
            count = min(plain.end(), video.columns - 1 - column)
            if count > 1 and row < video.rows:
                base = 0xB0000 if video.mode == 7 else 0xB8000
                at = base + bus.read16(PAGE_START) + 2 * (row * video.columns + column)
                cells = bytearray(bus.vga.load(at, 2 * count))
                cells[::2] = data[:count]
                bus.vga.store(at, cells)
                video.move_cursor(page, row, column + count)
                bios.worked(count)
                return count
        self._type(data[0])
        bios.worked(1)
        return 1

    def _type_memory(self, at: int, count: int, end: bytes | None = None) -> bool | None:
        """Type memory, at most up to a character, from where the call in hand had come to.

        Returns:
            `WAIT`, if there is more for the next slice.
        """
        bios = self._pc.bios
        done = bios.done
        while done < count:
            if bios.used_up:
                return bios.go_on_from(done)
            data = self._bus.read(at + done, min(count - done, RUN))
            if end is not None:
                data = data.partition(end)[0]
                if not data:
                    break
            done += self._type_some(data)
        return None

    def _write_character(self) -> None:
        self._type(self._cpu.dl)
        self._cpu.al = self._cpu.dl

    def _write_string(self) -> bool | None:
        if self._type_memory(self._at_ds_dx(), 0x10000, b"$") is WAIT:
            return WAIT
        self._cpu.al = ord("$")
        return None

    def _next_key(self) -> int | None:
        """The next character: for keys without one, 0 and then the scancode."""
        if self.pending_scancode is not None:
            code, self.pending_scancode = self.pending_scancode, None
            return code
        word = self._pc.bios.take_key()
        if word is None:
            return None
        if word == 0:  # break
            return CTRL_C
        if word & 0xFF in (0, 0xE0) and word >> 8:
            self.pending_scancode = word >> 8
            return 0
        return word & 0xFF

    def _read_key(self, *, echo: bool, breaks: bool = True) -> bool | None:
        code = self._next_key()
        if code is None:
            return WAIT
        if code == CTRL_C and breaks:
            return self._break()
        if echo and code:
            self._type(code)
        self._cpu.al = code
        return None

    def _break(self) -> bool | None:
        """Ctrl-C ends the program, or calls its INT 23h, whose IRET begins the call anew."""
        self._type_all(b"^C\r\n")
        self.line.clear()
        bus, bios = self._bus, self._pc.bios
        own = bus.read16(4 * BREAK_VECTOR), bus.read16(4 * BREAK_VECTOR + 2)
        if own == (bios.stub_offset(BREAK_VECTOR), ROM_SEGMENT):
            return self._terminate()
        bios.return_to(bios.stub_offset(0x21), ROM_SEGMENT)
        bios.interrupt_next(BREAK_VECTOR)
        return None

    def _direct_console(self) -> None:
        cpu = self._cpu
        if cpu.dl != 0xFF:
            self._write_character()
            return
        self._pc.clock.polled()
        code = self._next_key()
        self._pc.bios.flag(ZERO, code is None)
        cpu.al = code or 0

    def _key_status(self) -> None:
        self._pc.clock.polled()
        waiting = self.pending_scancode is not None or self._pc.bios.peek_key() is not None
        self._cpu.al = 0xFF if waiting else 0

    def _flush_and_read(self) -> bool | None:
        cpu = self._cpu
        while self._next_key() is not None:
            pass
        # Asked again while it waits, the call must not flush what comes: it becomes the other call.
        call = self._calls.get(cpu.al)
        if cpu.al in (0x01, 0x06, 0x07, 0x08, 0x0A) and call is not None:
            cpu.ah = cpu.al
            return call()
        return None

    def _read_line(self) -> bool | None:
        """Until Enter; what has been typed so far is kept here while the program waits."""
        buffer = self._at_ds_dx()
        room = max(self._bus.read8(buffer) - 1, 0)
        while (code := self._next_key()) is not None:
            if code == 0:
                self._next_key()
            elif code == RETURN:
                line, self.line = bytes(self.line), bytearray()
                self._bus.write(buffer + 1, bytes((len(line),)) + line + b"\r")
                self._type(RETURN)
                return None
            elif code == CTRL_C:
                return self._break()
            elif code == BACKSPACE:
                if self.line:
                    self.line.pop()
                    self._type_all(b"\b \b")
            elif len(self.line) < room:
                self.line.append(code)
                self._type(code)
        return WAIT

    # --- small ones -----------------------------------------------------------------------------

    def _set_dta(self) -> None:
        self.dta = self._at_ds_dx()

    def _get_dta(self) -> None:
        cpu = self._cpu
        cpu.set("es", self.dta >> 4)
        cpu.bx = self.dta & 0xF

    def _set_vector(self) -> None:
        self._pc.bios.set_vector(self._cpu.al, self._cpu.dx, self._cpu.ds)

    def _get_vector(self) -> None:
        cpu, at = self._cpu, 4 * self._cpu.al
        cpu.bx = self._bus.read16(at)
        cpu.set("es", self._bus.read16(at + 2))

    def _get_date(self) -> None:
        cpu, now = self._cpu, self._pc.cmos.now()
        cpu.cx, cpu.dh, cpu.dl = now.tm_year, now.tm_mon, now.tm_mday
        cpu.al = (now.tm_wday + 1) % 7

    def _set_date(self) -> None:
        cpu, cmos = self._cpu, self._pc.cmos
        cpu.al = 0 if cmos.set(cpu.cx, cpu.dh, cpu.dl, *cmos.now()[3:6]) else 0xFF

    def _set_time(self) -> None:
        cpu, cmos = self._cpu, self._pc.cmos
        cpu.al = 0 if cmos.set(*cmos.now()[:3], cpu.ch, cpu.cl, cpu.dh) else 0xFF

    def _get_time(self) -> None:
        self._pc.clock.polled()
        cpu, now = self._cpu, self._pc.cmos.now()
        cpu.ch, cpu.cl, cpu.dh = now.tm_hour, now.tm_min, now.tm_sec
        cpu.dl = self._pc.clock.now_ns() // 10_000_000 % 100

    def _version(self) -> None:
        cpu = self._cpu
        cpu.al, cpu.ah = VERSION
        cpu.bx = cpu.cx = 0

    def _break_check(self) -> None:
        cpu = self._cpu
        if cpu.al == 0:
            cpu.dl = 0
        elif cpu.al == 5:
            cpu.dl = 3
        elif cpu.al == 6:
            cpu.bl, cpu.bh = VERSION
            cpu.dx = 0

    def _free_space(self) -> None:
        cpu = self._cpu
        cpu.ax, cpu.bx, cpu.cx, cpu.dx = 8, 8192, 512, 16384  # 32 MiB of 64 in clusters of 4 KiB

    def _current_folder(self) -> None:
        self._bus.write8((self._cpu.ds << 4) + self._cpu.si, 0)
        self._set_ax(0x0100)

    def _get_prefix(self) -> None:
        self._cpu.bx = PREFIX

    # --- memory -----------------------------------------------------------------------------------

    def _room_behind(self, start: int) -> int:
        """Paragraphs from a block's start to the next block."""
        return min((other for other in self.blocks if other > start), default=TOP) - start

    def _allocate(self) -> None:
        cpu, wanted = self._cpu, self._cpu.bx
        largest = 0
        # Between two blocks one paragraph is DOS's own.
        for start in sorted(start + size for start, size in self.blocks.items()) or [PREFIX]:
            free = self._room_behind(start) - 1 if start not in self.blocks else 0
            if wanted and wanted <= free:
                self.blocks[start + 1] = wanted
                self._set_ax(start + 1)
                return
            largest = max(largest, free)
        cpu.bx = max(largest, 0)
        raise DosError(NO_MEMORY)

    def _free(self) -> None:
        if self.blocks.pop(self._cpu.es, None) is None:
            raise DosError(BAD_BLOCK)
        self._worked()

    def _resize(self) -> None:
        cpu, start = self._cpu, self._cpu.es
        if start not in self.blocks:
            raise DosError(BAD_BLOCK)
        if cpu.bx > self._room_behind(start):
            cpu.bx = self._room_behind(start)
            raise DosError(NO_MEMORY)
        self.blocks[start] = cpu.bx
        self._worked()

    # --- files ------------------------------------------------------------------------------------

    def _new_handle(self) -> Handle:
        for handle in range(CONSOLE_HANDLES, MAX_HANDLES):
            if handle not in self.handles:
                return handle
        raise DosError(TOO_MANY)

    def _file(self) -> OpenFile:
        file = self.handles.get(self._cpu.bx)
        if file is None:
            raise DosError(BAD_HANDLE)
        return file

    def _device(self) -> str | None:
        """What the handle in BX is, if it is no file."""
        if self._cpu.bx < CONSOLE_HANDLES:
            return "CON"
        name = self._file().name
        return name if name in DEVICES else None

    def _create(self) -> None:
        handle = self._new_handle()
        self.handles[handle] = self.files.open(self._name(self._at_ds_dx()), os.O_RDWR, create=True)
        self._set_ax(handle)

    def _open(self) -> None:
        handle = self._new_handle()
        flags = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_RDWR}.get(self._cpu.al & 7)
        if flags is None:
            raise DosError(BAD_ACCESS)
        self.handles[handle] = self.files.open(self._name(self._at_ds_dx()), flags)
        self._set_ax(handle)

    def _close(self) -> None:
        if self._cpu.bx >= CONSOLE_HANDLES:
            os.close(self._file().fd)
            del self.handles[self._cpu.bx]
        self._worked()

    def _read(self) -> bool | None:
        cpu, at = self._cpu, self._at_ds_dx()
        if self._device() == "CON":
            return self._read_console(at, cpu.cx)
        data = os.read(self._file().fd, cpu.cx)
        self._bus.write(at, data)
        self._pc.bios.worked(len(data) // SECTOR)
        self._set_ax(len(data))
        return None

    def _read_console(self, at: int, count: int) -> bool | None:
        if self.entered:
            self._read_entered(at, count)
            return None
        while (code := self._next_key()) is not None:
            if code == RETURN:
                line, end, _ = bytes(self.line).partition(END_OF_FILE)
                self.line, self.entered = bytearray(), line if end else line + b"\r\n"
                self._type_all(b"\r\n")
                self._read_entered(at, count)
                return None
            if code == CTRL_C:
                return self._break()
            if code == BACKSPACE:
                if self.line:
                    self.line.pop()
                    self._type_all(b"\b \b")
            elif code and len(self.line) < 126:
                self.line.append(code)
                self._type(code)
        return WAIT

    def _read_entered(self, at: int, count: int) -> None:
        """As much as is wanted of the line; the next reads get the rest."""
        data, self.entered = self.entered[:count], self.entered[count:]
        self._bus.write(at, data)
        self._set_ax(len(data))

    def _write(self) -> bool | None:
        cpu, at, device = self._cpu, self._at_ds_dx(), self._device()
        if device is not None:
            if device == "CON" and self._type_memory(at, cpu.cx) is WAIT:
                return WAIT
            self._set_ax(cpu.cx)
            return None
        fd = self._file().fd
        if not cpu.cx:  # writing nothing cuts the file off
            os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))
            self._set_ax(0)
            return None
        data = self._bus.read(at, cpu.cx)
        self._pc.bios.worked(len(data) // SECTOR)
        self._set_ax(self.files.write(fd, data))
        return None

    def _seek(self) -> None:
        cpu = self._cpu
        if cpu.al > 2:
            raise DosError(BAD_FUNCTION)
        offset = cpu.cx << 16 | cpu.dx
        if cpu.al:
            offset -= (offset & 0x8000_0000) << 1
        place = self.files.seek(self._file().fd, offset, cpu.al)
        cpu.dx = place >> 16
        self._set_ax(place & 0xFFFF)

    def _attributes(self) -> None:
        if self._cpu.al != 0:
            raise DosError(DENIED)
        path = self.files.resolve(self._name(self._at_ds_dx()))
        self._cpu.cx = 0x10 if path.is_dir() else 0x20
        self._worked()

    def _device_control(self) -> None:
        cpu = self._cpu
        if cpu.al != 0:
            raise DosError(BAD_FUNCTION)
        device = self._device()
        cpu.dx = 0x0002 if device is None else DEVICE_BITS.get(device, 0x80C0)
        self._worked()

    def _find_first(self) -> None:
        folder, wanted = self.files.folder(self._name(self._at_ds_dx()))
        numbers = (n for n, known in self.folders.items() if known == folder)
        number = next(numbers, None)
        if number is None:
            number = next(n for n in range(MAX_FOLDERS + 1) if n not in self.folders)
        attributes = self._cpu.cl
        self._listings.pop((folder, fcb_name(wanted), attributes), None)
        self._find(SEARCH.pack(3, fcb_name(wanted), attributes, 0, number), folder)

    def _find_next(self) -> None:
        search = self._bus.read(self.dta, SEARCH.size)
        folder = self.folders.get(SEARCH.unpack(search)[-1])
        if folder is None:
            raise DosError(NO_MORE_FILES)
        self._find(search, folder)

    def _find(self, search: bytes, folder: str) -> None:
        """What a search finds next, into the transfer area, where the search itself lies, too."""
        drive, wanted, attributes, place, number = SEARCH.unpack(search)
        self.folders.pop(number, None)
        self.folders[number] = folder
        if len(self.folders) > MAX_FOLDERS:
            del self.folders[next(iter(self.folders))]
        found = self._listing(folder, wanted, attributes)
        if place >= len(found):
            raise DosError(NO_MORE_FILES)
        file = found[place]
        entry = bytearray(43)
        SEARCH.pack_into(entry, 0, drive, wanted, attributes, place + 1, number)
        entry[0x15] = file.attributes
        entry[0x18:0x1A] = FIRST_DAY.to_bytes(2, "little")
        entry[0x1A:0x1E] = min(file.size, 0xFFFFFFFF).to_bytes(4, "little")
        entry[0x1E : 0x1E + len(file.name)] = file.name.encode("ascii")
        self._bus.write(self.dta, entry)
        self._set_ax(0)

    def _listing(self, folder: str, wanted: bytes, attributes: int) -> list[NamedFile]:
        key = folder, wanted, attributes
        if key not in self._listings:
            self._listings[key] = self.files.listing(*key)
            self._pc.bios.worked(1 + len(self._listings[key]))
            if len(self._listings) > MAX_LISTINGS:
                del self._listings[next(iter(self._listings))]
        return self._listings[key]

    def _file_time(self) -> None:
        if self._cpu.al == 0:
            self._device()
            self._cpu.cx, self._cpu.dx = 0, FIRST_DAY
        self._worked()
