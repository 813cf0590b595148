"""DOS: what a .COM program finds around it, INT 20h, 21h, 27h, 29h, 2Fh and 33h.

Emulated: program prefix, environment, console input and output, date and time, vectors, memory
blocks, files by handle below one folder, exit. Not emulated: FCBs, other programs (4Bh), devices
but CON and NUL, sub-directories made or removed, a mouse (INT 33h says there is none).

A program sees the folder `--dos-root` as drive C: and nothing else of the host: every name is
resolved, symbolic links included, and must end inside the folder; only ordinary files are opened.
Without that option no file opens.

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

from vgaemu.guest.x86.chips import Saved
from vgaemu.guest.x86.cpu import CARRY, INTERRUPT, ZERO
from vgaemu.guest.x86.images import ComProgram, ImageError
from vgaemu.guest.x86.rom import WAIT, Service
from vgaemu.vga.codepage import to_unicode

if TYPE_CHECKING:
    from vgaemu.guest.x86.pc import Pc

#: Paragraphs: environment and program prefix; the end of memory.
ENVIRONMENT, PREFIX, TOP = 0x0700, 0x0800, 0xA000
#: Handles 0 to 4 are the console's.
CONSOLE_HANDLES, MAX_HANDLES = 5, 20
#: A program may write this much in all; then the disk is full.
MAX_WRITTEN = 64 << 20
VERSION = (5, 0)

# Error codes of INT 21h.
BAD_FUNCTION, NO_FILE, NO_PATH, TOO_MANY, DENIED, BAD_HANDLE = 1, 2, 3, 4, 5, 6
NO_MEMORY, BAD_BLOCK, NO_MORE_FILES = 8, 9, 18
CTRL_C, ESCAPE, BACKSPACE, RETURN, LINE_FEED, TAB = 3, 27, 8, 13, 10, 9

#: Codes above 7Fh in names, as code page 437 has them.
Handle: TypeAlias = int
#: Name and size.
NamedFile: TypeAlias = tuple[str, int]


class OpenFile(NamedTuple):
    """What a handle stands for."""

    fd: int
    #: Below the program's folder, as the host spells it, with slashes.
    name: str
    #: O_RDONLY, O_WRONLY or O_RDWR.
    access: int


class DosError(Exception):
    """A call fails with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class DosFiles:
    """The files below one folder, by DOS names."""

    def __init__(self, root: Path | None) -> None:
        self._root = None if root is None else root.resolve()
        self.written = 0

    def resolve(self, name: str, *, must_exist: bool = True) -> Path:
        """A host path inside the folder.

        Raises:
            DosError: There is no such file, or it lies elsewhere.
        """
        root = self._root
        if root is None:
            raise DosError(NO_PATH)
        if len(name) > 1 and name[1] == ":":
            if name[0].upper() != "C":
                raise DosError(NO_PATH)
            name = name[2:]
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts or any("\0" in part or part == ".." for part in parts):
            raise DosError(NO_PATH)
        path = root
        for i, part in enumerate(parts):
            found = _entry(path, part)
            last = i == len(parts) - 1
            if found is None and (must_exist or not last):
                raise DosError(NO_FILE if last else NO_PATH)
            path = path / (found or part.lower())
            # A link may lead anywhere: what counts is where it ends.
            real = Path(os.path.realpath(path))
            if real != root and root not in real.parents:
                raise DosError(DENIED)
            path = real
        return path

    def open(self, name: str, access: int, *, create: bool = False) -> OpenFile:
        """Open an ordinary file.

        Raises:
            DosError: It cannot be opened.
        """
        path = self.resolve(name, must_exist=not create)
        # Neither follow a link that has just appeared, nor wait for a pipe.
        flags = access | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            if path.exists() and not path.is_file():
                raise DosError(DENIED)
            fd = os.open(path, flags | (os.O_CREAT if create else 0), 0o644)
        except FileNotFoundError:
            raise DosError(NO_FILE) from None
        except OSError:
            raise DosError(DENIED) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise DosError(DENIED)
        if create:
            os.ftruncate(fd, 0)
        assert self._root is not None
        return OpenFile(fd, path.relative_to(self._root).as_posix(), access)

    def write(self, fd: int, data: bytes) -> int:
        """Write, as far as there is room."""
        data = data[: MAX_WRITTEN - self.written]
        try:
            count = os.write(fd, data) if data else 0
        except OSError:
            raise DosError(DENIED) from None
        self.written += count
        return count

    def seek(self, fd: int, offset: int, whence: int) -> int:
        """Move a file's position; no farther than a program could write."""
        base = int((0, os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_size)[whence])
        if not 0 <= base + offset <= MAX_WRITTEN * 32:
            raise DosError(BAD_FUNCTION)
        return int(os.lseek(fd, base + offset, os.SEEK_SET))

    def listing(self, pattern: str) -> list[NamedFile]:
        """Names in 8.3 that match a pattern, in the pattern's folder."""
        folder, _, wanted = pattern.replace("\\", "/").rpartition("/")
        if folder in ("", "C:", "c:"):
            path = self._root
            wanted = wanted.rpartition(":")[2]
        else:
            path = self.resolve(folder)
        if path is None or not path.is_dir():
            raise DosError(NO_PATH)
        wanted = wanted.upper()
        if wanted == "*.*":
            wanted = "*"
        found = []
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name.upper()):
            name = entry.name.upper()
            if (
                _is_short(name)
                and entry.is_file(follow_symlinks=False)
                and fnmatchcase(name, wanted)
            ):
                found.append((name, entry.stat(follow_symlinks=False).st_size))
        return found


def _entry(folder: Path, name: str) -> str | None:
    """The host's spelling of a name; DOS has no case."""
    if (folder / name).exists():
        return name
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    return next((entry for entry in sorted(names) if entry.upper() == name.upper()), None)


def _is_short(name: str) -> bool:
    stem, _, suffix = name.partition(".")
    return 0 < len(stem) <= 8 and len(suffix) <= 3 and "." not in suffix and name.isascii()


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
        self.line = bytearray()
        self.found: list[NamedFile] = []
        #: Memory blocks: first paragraph -> paragraphs.
        self.blocks = {PREFIX: TOP - PREFIX}
        pc.bios.services |= {
            0x20: self._terminate, 0x21: self._service, 0x27: self._terminate,
            0x29: lambda: self._type(self._cpu.al), 0x33: self._no_mouse,
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
            0x2B: lambda: self._set_al(0xFF),
            0x2C: self._get_time,
            0x2D: lambda: self._set_al(0xFF),
            0x2F: self._get_dta,
            0x30: self._version,
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
        return to_unicode(raw)

    # --- console ------------------------------------------------------------------------------

    def _type(self, code: int) -> None:
        video = self._pc.bios.video
        if code == TAB:
            _, column = video.cursor(self._bus.read8(0x462))
            for _ in range(8 - column % 8):
                video.type(0x20, 7 if not video.is_text else None)
        else:
            video.type(code, 7 if not video.is_text else None)

    def _type_all(self, data: bytes) -> None:
        for code in data:
            self._type(code)

    def _write_character(self) -> None:
        self._type(self._cpu.dl)
        self._cpu.al = self._cpu.dl

    def _write_string(self) -> None:
        at = self._at_ds_dx()
        for _ in range(0x10000):
            code = self._bus.read8(at)
            if code == ord("$"):
                break
            self._type(code)
            at += 1
        self._cpu.al = ord("$")

    def _next_key(self) -> int | None:
        """The next character: for keys without one, 0 and then the scancode."""
        if self.pending_scancode is not None:
            code, self.pending_scancode = self.pending_scancode, None
            return code
        word = self._pc.bios.take_key()
        if word is None:
            return None
        if word & 0xFF in (0, 0xE0) and word >> 8:
            self.pending_scancode = word >> 8
            return 0
        return word & 0xFF

    def _read_key(self, *, echo: bool, breaks: bool = True) -> bool | None:
        code = self._next_key()
        if code is None:
            return WAIT
        if code == CTRL_C and breaks:
            self._type_all(b"^C\r\n")
            return self._terminate()
        if echo and code:
            self._type(code)
        self._cpu.al = code
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
                self._type_all(b"^C\r\n")
                return self._terminate()
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
        cpu, now = self._cpu, self._pc.clock.time_of_day()
        cpu.cx, cpu.dh, cpu.dl = now.tm_year, now.tm_mon, now.tm_mday
        cpu.al = (now.tm_wday + 1) % 7

    def _get_time(self) -> None:
        self._pc.clock.polled()
        cpu, now = self._cpu, self._pc.clock.time_of_day()
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

    def _no_mouse(self) -> None:
        if self._cpu.ax == 0:
            self._cpu.ax = 0

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

    def _fd(self) -> int:
        file = self.handles.get(self._cpu.bx)
        if file is None:
            raise DosError(BAD_HANDLE)
        return file.fd

    def _create(self) -> None:
        handle = self._new_handle()
        self.handles[handle] = self.files.open(self._name(self._at_ds_dx()), os.O_RDWR, create=True)
        self._set_ax(handle)

    def _open(self) -> None:
        handle = self._new_handle()
        flags = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_RDWR}.get(self._cpu.al & 7)
        if flags is None:
            raise DosError(12)
        name = self._name(self._at_ds_dx())
        if name.upper() in ("CON", "NUL"):
            self._set_ax(1)
            return
        self.handles[handle] = self.files.open(name, flags)
        self._set_ax(handle)

    def _close(self) -> None:
        if self._cpu.bx >= CONSOLE_HANDLES:
            os.close(self._fd())
            del self.handles[self._cpu.bx]
        self._worked()

    def _read(self) -> bool | None:
        cpu, at = self._cpu, self._at_ds_dx()
        if cpu.bx < CONSOLE_HANDLES:
            return self._read_console(at, cpu.cx)
        try:
            data = os.read(self._fd(), cpu.cx)
        except OSError:
            raise DosError(DENIED) from None
        self._bus.write(at, data)
        self._set_ax(len(data))
        return None

    def _read_console(self, at: int, count: int) -> bool | None:
        while (code := self._next_key()) is not None:
            if code == RETURN:
                line, self.line = bytes(self.line) + b"\r\n", bytearray()
                self._type_all(b"\r\n")
                self._bus.write(at, line[:count])
                self._set_ax(min(len(line), count))
                return None
            if code == BACKSPACE:
                if self.line:
                    self.line.pop()
                    self._type_all(b"\b \b")
            elif code and len(self.line) < 126:
                self.line.append(code)
                self._type(code)
        return WAIT

    def _write(self) -> None:
        cpu, at = self._cpu, self._at_ds_dx()
        data = self._bus.read(at, cpu.cx)
        if cpu.bx < CONSOLE_HANDLES:
            self._type_all(data)
            self._set_ax(len(data))
            return
        fd = self._fd()
        if not data:  # writing nothing cuts the file off
            try:
                os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))
            except OSError:
                raise DosError(DENIED) from None
            self._set_ax(0)
            return
        self._set_ax(self.files.write(fd, data))

    def _seek(self) -> None:
        cpu = self._cpu
        if cpu.al > 2:
            raise DosError(BAD_FUNCTION)
        offset = cpu.cx << 16 | cpu.dx
        if cpu.al:
            offset -= (offset & 0x8000_0000) << 1
        place = self.files.seek(self._fd(), offset, cpu.al)
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
        if cpu.bx >= CONSOLE_HANDLES:
            self._fd()
            cpu.dx = 0x0002
        else:
            cpu.dx = 0x80D3
        self._worked()

    def _find_first(self) -> None:
        self.found = self.files.listing(self._name(self._at_ds_dx()))
        if not self.found:
            raise DosError(NO_FILE)
        self._find_next()

    def _find_next(self) -> None:
        if not self.found:
            raise DosError(NO_MORE_FILES)
        name, size = self.found.pop(0)
        entry = bytearray(43)
        entry[0x15] = 0x20
        entry[0x1A:0x1E] = min(size, 0xFFFFFFFF).to_bytes(4, "little")
        entry[0x1E : 0x1E + len(name)] = name.encode("ascii")
        self._bus.write(self.dta, bytes(entry))
        self._set_ax(0)

    def _file_time(self) -> None:
        if self._cpu.al == 0:
            self._fd()
            self._cpu.cx, self._cpu.dx = 0, 0x21  # 1980-01-01
        self._worked()
