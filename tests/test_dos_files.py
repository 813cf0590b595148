"""Files of DOS programs: what they may take of the host, and folders that change meanwhile."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from boards import ask, make_board

from vgaemu import snapshot
from vgaemu.machine import Machine
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WORK_NS
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import CARRY
from vgaemu.pc.dos import area
from vgaemu.pc.dos import files as dos_files
from vgaemu.pc.dos.critical import FAIL, IGNORE, RETRY
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.entries import ARCHIVE, FOLDER, MAX_POSITION, READ_ONLY, Opening
from vgaemu.pc.dos.errors import (
    BAD_HANDLE,
    DENIED,
    EXISTS,
    FAILED_CRITICAL,
    NO_FILE,
    NO_MORE_FILES,
    NO_PATH,
    DosError,
)
from vgaemu.pc.dos.files import (
    CLUSTER,
    LOOK_UNITS,
    MAX_WRITTEN,
    NAMES_A_UNIT,
    DosFiles,
)
from vgaemu.pc.dos.names import DEVICES, device_of, fcb_name
from vgaemu.pc.dos.search import MAX_FOLDERS
from vgaemu.pc.dos.tables import STANDARD
from vgaemu.pc.images import DosProgram

BUFFER = 0x20000
ALL_FILES = fcb_name("*.*")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "F.TXT").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "F.TXT").write_text("outside")
    (tmp_path / "outside" / "ONLY.TXT").write_text("outside")
    return folder


class Guest:
    """A program that only calls INT 21h."""

    def __init__(self, root: Path) -> None:
        self.board: Board = make_board()
        bios = Bios(self.board, None)
        self.dos = Dos(self.board, bios, DosProgram(Path("p.com"), b"\xc3", []), root)
        self.calls = bios.calls
        self.board.cpu.set("ss", 0)

    def __call__(self, ah: int, name: str = "", data: bytes = b"", **registers: int) -> int:
        """AX, or the error below 0; `name` or `data` lie at DS:DX."""
        self.calls.new_slice()
        self.board.bus.write(BUFFER, name.encode("cp437") + b"\0" if name else data)
        registers = {"al": 0, "ds": BUFFER >> 4, "dx": 0, "cx": len(data)} | registers
        failed = ask(self.board, self.calls, 0x21, ah=ah, **registers) & CARRY
        return -self.board.cpu.ax if failed else self.board.cpu.ax

    def seek(self, handle: int, place: int) -> None:
        self(0x42, bx=handle, cx=place >> 16, dx=place & 0xFFFF)


@pytest.fixture
def guest(root: Path) -> Iterator[Guest]:
    made = Guest(root)
    yield made
    made.dos.close()


# --- what a program may take ----------------------------------------------------------------------


def test_new_files_are_bounded(guest: Guest, root: Path) -> None:
    guest.dos.files.written = MAX_WRITTEN - 3 * CLUSTER
    made = [guest(0x3E, bx=guest(0x3C, f"F{i}")) for i in range(3)]
    assert made == [made[0]] * 3
    assert guest(0x3C, "F3") == -DENIED
    assert not (root / "f3").exists()
    assert guest(0x3C, "F0") == 5  # it is there already


def test_a_gap_takes_room_on_the_disk(guest: Guest, root: Path) -> None:
    handle = guest(0x3C, "BIG")
    guest.seek(handle, MAX_WRITTEN)
    assert guest(0x40, bx=handle) == -DENIED  # write nothing: the file would end there
    assert guest(0x40, data=b"x", bx=handle) == 0
    assert (root / "big").stat().st_size == 0
    free = guest.dos.files.free
    guest.seek(handle, free - 3)
    assert guest(0x40, data=b"hello", bx=handle) == 3
    assert (root / "big").stat().st_size == free
    assert guest.dos.files.free == 0
    assert guest(0x40, data=b"hello", bx=handle) == 0
    guest.seek(handle, 2)
    assert guest(0x40, bx=handle) == 0  # what is cut off takes nothing, and gives nothing back
    assert ((root / "big").stat().st_size, guest.dos.files.free) == (2, 0)


def raising(number: int) -> Callable[..., object]:
    def fails(*args: object, **options: object) -> object:
        raise OSError(number, os.strerror(number))

    return fails


def test_a_host_that_is_full_takes_nothing(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = guest(0x3C, "A")
    monkeypatch.setattr(os, "write", raising(errno.ENOSPC))
    assert guest(0x40, data=b"hello", bx=handle) == 0


@pytest.mark.parametrize(
    ("number", "call", "about", "code"),
    [
        (errno.EROFS, 0x3C, 0x1D02, 0),  # write protected, in a folder
        (errno.EIO, 0x3D, 0x1C02, 12),  # general failure
        (errno.ENXIO, 0x3D, 0x1C02, 2),  # not ready
    ],
)
def test_what_the_host_cannot_do_is_a_critical_error(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, number: int, call: int, about: int, code: int
) -> None:
    bus, cpu = guest.board.bus, guest.board.cpu
    monkeypatch.setattr(os, "open", raising(number))
    guest(call, "SUB\\F.TXT")
    monkeypatch.undo()
    # The stub's IRET goes to the code that calls INT 24h.
    assert guest.calls.frame()[:2] == (area.CRITICAL_CALL_OFFSET, area.SEGMENT)
    found = bus.read16(area.CRITICAL_ABOUT_AT), bus.read16(area.CRITICAL_CODE_AT)
    assert found == (about, code)
    for answer, ax in ((FAIL, -DENIED), (IGNORE, -DENIED), (RETRY, 5)):
        bus.write8(area.ANSWER_AT, answer)
        assert guest(call, "SUB\\F.TXT") == ax
    guest(0x59)
    assert cpu.ax == FAILED_CRITICAL


def test_a_state_of_an_older_layout_gets_what_is_new(guest: Guest) -> None:
    bus, dos = guest.board.bus, guest.dos
    guest(0x3D, "SUB\\F.TXT")
    whole = bus.read(area.BASE + area.DRIVE_BLOCK_OFFSET, 0x200)
    bus.write(area.BASE + area.DRIVE_BLOCK_OFFSET, bytes(0x200))
    parts = dos.parts()
    arrays = snapshot.take(parts)
    del arrays["dos.layout"]
    snapshot.restore(parts, arrays)
    assert bus.read(area.BASE + area.DRIVE_BLOCK_OFFSET, 0x200) == whole


def test_data_of_a_state_of_before_it_could_be_swapped_moves(guest: Guest) -> None:
    bus, dos = guest.board.bus, guest.dos
    bus.write(area.BASE, bytes.fromhex("92 01 00 00 00 01 00 00 12 00"))
    bus.write(area.BASE + area.SWAPPED_OFFSET, bytes(area.SWAPPED_IN_DOS))
    parts = dos.parts()
    arrays = snapshot.take(parts)
    del arrays["dos.swapped"]
    arrays["dos.program"][0] = 0x12345
    snapshot.restore(parts, arrays)
    assert (dos.memory.current, dos.search.dta) == (0x192, 0x12345)
    guest(0x59)
    assert guest.board.cpu.ax == 0x12
    guest(0x33)
    assert guest.board.cpu.dl == 1


def test_free_space_is_what_can_be_written(guest: Guest) -> None:
    cpu = guest.board.cpu
    guest(0x36)
    assert cpu.ax * cpu.cx * cpu.dx == MAX_WRITTEN
    before = cpu.bx
    guest(0x40, data=b"x" * CLUSTER, bx=guest(0x3C, "A"))
    guest(0x36)
    assert (cpu.ax * cpu.cx, cpu.bx) == (CLUSTER, before - 2)


def test_reading_ends_at_the_farthest_position(guest: Guest, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(MAX_POSITION + 100)  # the host may have such a file; it is sparse
    handle = guest(0x3D, "HUGE")
    guest.seek(handle, MAX_POSITION - 5)
    assert [guest(0x3F, bx=handle, cx=100) for _ in range(2)] == [5, 0]
    part = guest.dos.handles.part()
    assert part.takes(part.array())


def test_a_folder_of_many_names_costs_time(
    guest: Guest, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(10 * NAMES_A_UNIT):
        (root / f"{i}.txt").touch()
    clock = guest.board.clock
    costs = []
    for name in ("1.txt", "MISSING"):
        before = clock.now_ns()
        guest(0x3D, name)
        costs.append(clock.now_ns() - before)
    assert costs[1] - costs[0] == (LOOK_UNITS + 10) * WORK_NS
    monkeypatch.setattr(dos_files, "MAX_ENTRIES", 10)
    assert guest(0x3D, "MISSING") == -DENIED
    assert guest(0x4E, "*.*") == -NO_MORE_FILES
    assert guest(0x3D, "1.txt") > 0


def test_a_long_text_for_the_printer_takes_slices(guest: Guest) -> None:
    text, printed = random.Random(1).randbytes(3000), bytearray()
    guest.dos.handles.print_all = printed.extend
    cpu, slices = guest.board.cpu, 1
    guest(0x40, data=text, bx=4)
    while cpu.get("eflags") & CARRY:
        cpu.set("eflags", 0)
        ask(guest.board, guest.calls, 0x21)
        slices += 1
    assert (cpu.ax, printed, slices) == (3000, text, 12)


def test_kinds_of_new_files(guest: Guest, root: Path) -> None:
    for call in (0x3C, 0x5B):
        assert guest(call, "NEW", cx=FOLDER) == -DENIED
    assert guest(0x5B, "SUB") == -EXISTS
    handle = guest(0x6C, "W", bx=1, dx=0x12, si=0)
    assert guest(0x3F, bx=handle, cx=1) == -DENIED  # opened to be written


def found(guest: Guest, pattern: str, attributes: int = 0) -> list[str]:
    """Names that a search finds."""
    names, answer = [], guest(0x4E, pattern, cx=attributes)
    while answer >= 0:
        raw = guest.board.bus.read(guest.dos.search.dta + 30, 13)
        names.append(raw.partition(b"\0")[0].decode("cp437"))
        answer = guest(0x4F)
    return names


def test_long_names_are_shown_as_short_ones(guest: Guest, root: Path) -> None:
    for name in ("long file name.text", "longfi~1.tex", "\xe4\xf6.c", ".hidden", "a.b.c"):
        (root / name).write_text(name)
    (root / "a long folder").mkdir()
    (root / "a long folder" / "f.txt").touch()
    assert found(guest, "*.*", FOLDER) == [
        "AB~1.C", "ALONGF~1", "LONGFI~1.TEX", "LONGFI~2.TEX", "SUB", "__~1.C",
    ]  # fmt: skip
    handle = guest(0x3D, "longfi~2.tex")
    assert guest.dos.handles.file(handle).name == "long file name.text"
    assert guest(0x3B, "ALONGF~1") >= 0
    assert found(guest, "*.*") == ["F.TXT"]
    for call, at, path in ((0x47, 0, b"ALONGF~1"), (0x60, 0x100, b"C:\\ALONGF~1\\F.TXT")):
        guest(call, "F.TXT", es=BUFFER >> 4, si=0, di=0x100)
        assert guest.board.bus.read(BUFFER + at, 64).partition(b"\0")[0] == path
    guest(0x3B, "\\")
    assert guest(0x41, "AB~1.C") >= 0
    assert not (root / "a.b.c").exists()


def test_a_folder_of_a_thousand_files(guest: Guest, root: Path) -> None:
    for nth in range(1000):
        (root / "sub" / f"number {nth}.text").touch()
    names = found(guest, "SUB\\*.*")
    assert len(names) == len(set(names)) == 1000 + 1
    assert {"F.TXT", "NUMBER~1.TEX", "NUMB~999.TEX", "NUM~1000.TEX"} < set(names)


def test_a_state_has_a_read_only_file_open_to_be_written(guest: Guest, root: Path) -> None:
    handle = guest(0x3C, "A", cx=READ_ONLY)
    guest(0x40, data=b"before", bx=handle)
    before = (root / "a").stat().st_mode
    assert not before & 0o200
    handles = guest.dos.handles
    with handles.reopened(json.loads(handles.part().array().tobytes())):
        pass
    assert guest(0x40, data=b", after", bx=handle) == 7
    assert (root / "a").read_bytes() == b"before, after"
    assert (root / "a").stat().st_mode == before
    assert guest(0x3D, "A", al=1) == -DENIED


def test_a_handle_is_closed_once(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = guest(0x3D, "SUB\\F.TXT")
    close, closed = os.close, []

    def fails(fd: int) -> None:
        closed.append(fd)
        close(fd)
        raise OSError(errno.EIO, "Input/output error")

    fd = guest.dos.handles.opened[len(STANDARD)].stream.fd
    monkeypatch.setattr(os, "close", fails)
    assert guest(0x3E, bx=handle) == -BAD_HANDLE
    assert guest(0x3E, bx=handle) == -BAD_HANDLE
    guest.dos.close()
    assert closed == [fd]


def test_what_is_open_can_be_neither_deleted_nor_renamed(guest: Guest, root: Path) -> None:
    # A state of it could not be gone on from.
    handle = guest(0x3D, "SUB\\F.TXT")
    fcb = b"\0F       TXT" + bytes(25)
    guest.board.bus.write(BUFFER + 0x100, b"SUB\\G.TXT\0")
    assert guest(0x3B, "SUB") >= 0
    assert guest(0x41, "F.TXT") == -DENIED
    assert guest(0x56, "F.TXT", es=BUFFER >> 4, di=0x100) == -DENIED
    assert guest(0x13, data=fcb) & 0xFF == 0xFF
    assert guest(0x3B, "..") >= 0
    assert guest(0x56, "SUB", es=BUFFER >> 4, di=0x100) == -DENIED
    assert guest(0x3E, bx=handle) >= 0
    assert guest(0x56, "SUB\\F.TXT", es=BUFFER >> 4, di=0x100) >= 0
    assert [path.name.upper() for path in (root / "sub").iterdir()] == ["G.TXT"]
    assert guest(0x41, "SUB\\G.TXT") >= 0
    assert not [*(root / "sub").iterdir()]


def test_aux_is_the_serial_port(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    # mov ah, 40h; mov bx, 3; mov cx, 5; mov dx, text; int 21h; mov ax, 4C00h; int 21h; text
    program = bytes.fromhex("B4 40 BB 03 00 B9 05 00 BA 12 01 CD 21 B8 00 4C CD 21") + b"hello"
    (tmp_path / "p.com").write_bytes(program)
    with Machine(tmp_path / "p.com") as machine:
        machine.tick(10)
        assert (machine.exit_code, machine.serial) == (0, "hello")


# --- names ----------------------------------------------------------------------------------------


def test_ports_of_windows_are_devices() -> None:
    for name in ("COM9", "lpt4.txt", "C:\\SUB\\COM\xb2", "CONIN$", "conout$.x", "COM5 .A"):
        assert device_of(name), name
    for name in ("COM", "COM10", "LPT0", "CON1", "CONIN"):
        assert device_of(name) is None, name
    assert len(DEVICES) == 7 + 2 * 12


@pytest.mark.parametrize("name", ["A.TXT:S", "C:A.TXT:S", "C:SUB:X\\F.TXT", "SUB\\F.TXT:", "C:C:A"])
@pytest.mark.parametrize("call", [0x3C, 0x3D, 0x43, 0x4E])
def test_no_name_has_a_colon(guest: Guest, root: Path, call: int, name: str) -> None:
    for there in ("A.TXT:S", "SUB:X", "sub/F.TXT:"):
        (root / there).touch()
    before = {*root.rglob("*")}
    assert guest(call, name) in (-NO_PATH, -NO_FILE, -18)
    assert {*root.rglob("*")} == before


def test_links_lead_to_names_that_a_state_can_say(guest: Guest, root: Path) -> None:
    for there in ("we:ird", "back\\slash", "NUL", "COM7.TXT"):
        (root / there).write_text("x")
        (root / "link").symlink_to(root / there)
        assert guest(0x3D, "LINK") == -DENIED
        (root / "link").unlink()


def test_paths_are_no_longer_than_a_program_can_say(guest: Guest, root: Path) -> None:
    deep = root.joinpath(*["a" * 60] * 2)
    deep.mkdir(parents=True)
    for name in ("x" * 5, "y" * 6):
        (deep / name).touch()
        (root / name[0]).symlink_to(deep / name)
    assert (guest(0x3D, "X"), guest(0x3D, "Y")) == (5, -DENIED)


def test_what_many_searches_know_goes_into_a_state(guest: Guest, root: Path) -> None:
    base = root / ("\xe9" * 60)
    base.mkdir()
    names = [f"{i:03}" + "\xe9" * 60 for i in range(MAX_FOLDERS + 20)]
    for name in names:
        (base / name).mkdir()
        (base / name / "A.TXT").touch()
        assert guest(0x4E, f"{base.name}\\{name}\\*.*") == 0
    folders = guest.dos.search.folders
    assert [folder[61:] for folder in folders.values()] == names[20:]
    part = guest.dos.search.part()
    assert part.takes(part.array())
    part.restore(part.array())
    assert guest.dos.search.folders == folders


# --- a folder that somebody else changes ----------------------------------------------------------


def open_file(files: DosFiles) -> object:
    return files.open("SUB\\F.TXT", os.O_RDWR)


def make_file(files: DosFiles) -> object:
    return files.open("SUB\\NEW.TXT", os.O_RDWR, Opening(create=True))


def list_folder(files: DosFiles) -> object:
    return [found.name for found in files.listing("sub", ALL_FILES, FOLDER)]


def look(files: DosFiles) -> object:
    with files.reached(files.resolve("SUB\\F.TXT")) as (folder, entry):
        return dos_files.mode_of(entry, folder)


@pytest.mark.skipif(not dos_files.HAS_FOLDER_FDS, reason="the host opens no names in open folders")
@pytest.mark.parametrize("act", [open_file, make_file, list_folder, look])
def test_a_folder_swapped_for_a_link_leads_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[DosFiles], object]
) -> None:
    files = DosFiles(root)
    inside = DosFiles._inside

    def swapped_behind(self: DosFiles, path: Path) -> Path:
        real = inside(self, path)
        if real.name.upper() in ("F.TXT", "NEW.TXT") or act is list_folder:
            (root / "sub").rename(root / "was")
            (root / "sub").symlink_to(root.parent / "outside")
        return real

    monkeypatch.setattr(DosFiles, "_inside", swapped_behind)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(NotADirectoryError):
        act(files)
    assert len(os.listdir("/dev/fd")) == before
    assert {path.name for path in (root.parent / "outside").iterdir()} == {"F.TXT", "ONLY.TXT"}


@pytest.mark.parametrize("has_folder_fds", [False, dos_files.HAS_FOLDER_FDS])
def test_files_are_reached_on_every_host(
    root: Path, monkeypatch: pytest.MonkeyPatch, has_folder_fds: bool
) -> None:
    monkeypatch.setattr(dos_files, "HAS_FOLDER_FDS", has_folder_fds)
    files = DosFiles(root)
    for name in ("sub\\f.txt", "SUB\\NEW.TXT"):
        file = files.open(name, os.O_RDWR, Opening(create="NEW" in name))
        assert os.fstat(file.stream.fd).st_ino == (root / file.name).stat().st_ino
        file.stream.close()
    assert [found.name for found in files.listing("sub", ALL_FILES, 0)] == ["F.TXT", "NEW.TXT"]
    assert [found.name for found in files.listing("", ALL_FILES, FOLDER)] == ["SUB"]
    for name, attributes in (("SUB", FOLDER), ("SUB\\F.TXT", ARCHIVE), ("SUB\\..", FOLDER)):
        with files.reached(files.resolve(name)) as (folder, entry):
            assert dos_files.attributes_of(dos_files.mode_of(entry, folder)) == attributes
    (root / "out").symlink_to(root.parent / "outside")
    for name in ("OUT\\F.TXT", "..\\outside\\F.TXT"):
        with pytest.raises(DosError):
            files.open(name, os.O_RDONLY)
