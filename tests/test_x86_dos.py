"""DOS: files below one folder and nowhere else, memory, console."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import CPUS, call, make_pc, run_until_halted

from vgaemu.display.screen import Screen
from vgaemu.machine import Machine
from vgaemu.pc.bios.calls import WORK_A_SLICE, WORK_NS
from vgaemu.pc.clock import NEVER_NS, SERVICE_NS
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.entries import OpenFile
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.files import DosFiles
from vgaemu.pc.dos.memory import PREFIX
from vgaemu.pc.pc import FRAME_NS, Pc

pytest.importorskip("unicorn")
CARRY = 1
DATA = 0x2000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "Hello.txt").write_text("hello")
    (folder / "sub" / "deep.txt").write_text("deep")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "rootless").mkdir()
    (tmp_path / "rootless" / "x.txt").write_text("x")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "outdir").symlink_to(tmp_path)
    (folder / "in.txt").symlink_to(folder / "Hello.txt")
    (folder / "self").symlink_to(folder / "self")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def pc(tmp_path: Path, root: Path) -> Iterator[Pc]:
    program = tmp_path / "p.com"
    program.write_bytes(b"\xc3")
    with make_pc(program, "a", "b c", dos_root=root) as made:
        yield made


def opened(pc: Pc) -> dict[int, OpenFile]:
    assert pc.dos is not None
    return pc.dos.handles.opened


def open_file(pc: Pc, name: str, call_number: int = 0x3D, access: int = 0) -> int | None:
    pc.bus.write(DATA << 4, name.encode("cp437") + b"\0")
    flags = call(pc, 0x21, ah=call_number, al=access, ds=DATA, dx=0, cx=0)
    return None if flags & CARRY else pc.cpu.ax


def test_open_read_seek_close(pc: Pc) -> None:
    handle = open_file(pc, "C:\\HELLO.TXT")
    assert handle == 5
    call(pc, 0x21, ah=0x3F, bx=handle, cx=100, ds=DATA, dx=0x100)
    assert (pc.cpu.ax, pc.bus.read((DATA << 4) + 0x100, 5)) == (5, b"hello")
    call(pc, 0x21, ax=0x4202, bx=handle, cx=0xFFFF, dx=0xFFFE)
    assert pc.cpu.ax == 3
    call(pc, 0x21, ah=0x3F, bx=handle, cx=100, ds=DATA, dx=0x100)
    assert pc.cpu.ax == 2
    assert not call(pc, 0x21, ah=0x3E, bx=handle) & CARRY
    assert call(pc, 0x21, ah=0x3E, bx=handle) & CARRY
    assert open_file(pc, "sub\\deep.txt") == 5
    assert open_file(pc, "in.txt") == 6


@pytest.mark.parametrize(
    "name",
    [
        "..\\secret.txt", "../secret.txt", "sub\\..\\..\\secret.txt", "out.txt", "OUT.TXT",
        "outdir\\secret.txt", "outdir\\root\\Hello.txt\\..\\..\\secret.txt", "/etc/passwd",
        "C:/etc/passwd", "\\..\\rootless\\x.txt", "D:\\hello.txt", "self", "self\\x", "pipe", "sub",
        "", "outdir", ".", "..",
    ],
)  # fmt: skip
@pytest.mark.parametrize("call_number", [0x3D, 0x3C])
def test_nothing_outside_opens(pc: Pc, root: Path, name: str, call_number: int) -> None:
    before = {path: path.stat().st_size for path in root.parent.rglob("*") if path.is_file()}
    handle = open_file(pc, name, call_number)
    if handle is not None:  # a new file of a harmless name, inside
        assert os.path.realpath(f"/proc/self/fd/{opened(pc)[handle].stream.fd}").startswith(
            f"{root}/"
        )
    after = {path: path.stat().st_size for path in before}
    assert after == before


def test_a_name_inside_an_outward_link_is_refused(root: Path) -> None:
    files = DosFiles(root)
    for name in ("out.txt", "outdir/secret.txt", "outdir/new.txt"):
        with pytest.raises(DosError):
            files.resolve(name, must_exist=False)
    assert files.resolve("new.txt", must_exist=False) == root / "new.txt"
    with pytest.raises(DosError):
        DosFiles(None).resolve("hello.txt")


def test_create_and_write(pc: Pc, root: Path) -> None:
    handle = open_file(pc, "NEW.TXT", 0x3C)
    assert handle == 5
    pc.bus.write((DATA << 4) + 0x100, b"written")
    call(pc, 0x21, ah=0x40, bx=handle, cx=7, ds=DATA, dx=0x100)
    assert pc.cpu.ax == 7
    call(pc, 0x21, ah=0x3E, bx=handle)
    assert (root / "new.txt").read_bytes() == b"written"


def test_handles_run_out(pc: Pc) -> None:
    assert [open_file(pc, "hello.txt") for _ in range(17)] == [*range(5, 20), None, None]
    assert pc.cpu.ax == 4


def find(pc: Pc, pattern: str, attributes: int = 0, dta: int = 0x80) -> list[str]:
    pc.bus.write(DATA << 4, pattern.encode("cp437") + b"\0")
    found = []
    call(pc, 0x21, ah=0x1A, ds=DATA, dx=dta)
    flags = call(pc, 0x21, ah=0x4E, ds=DATA, dx=0, cx=attributes)
    while not flags & CARRY:
        found.append(found_name(pc, dta))
        flags = call(pc, 0x21, ah=0x4F)
    return found


def found_name(pc: Pc, dta: int = 0x80) -> str:
    return pc.bus.read((DATA << 4) + dta + 0x1E, 13).partition(b"\0")[0].decode()


def test_find_first_and_next(pc: Pc) -> None:
    assert find(pc, "*.TXT") == ["HELLO.TXT"]  # links are not listed
    assert pc.cpu.ax == 18
    call(pc, 0x21, ah=0x4E, ds=DATA, dx=0, cx=0)
    entry = pc.bus.read((DATA << 4) + 0x80, 43)
    assert (entry[0x15], int.from_bytes(entry[0x1A:0x1E], "little")) == (0x20, 5)
    assert find(pc, "D:*.*") == []
    assert find(pc, "..\\*.*") == []
    assert find(pc, "nowhere\\*.*") == []
    assert pc.cpu.ax == 3


NAMES = (
    "A.B", "AUX", "NUL.TXT", "README", "README.TXT", "RUN.COM", "X.COM", "LONGNAME.EXT",
    "SPA CE.TXT", "A[B].C", "A_B.C", "TOO.LONG", "TOOLONGNAME.C", ".HIDDEN",
)  # fmt: skip
ALL = (
    "A.B A_B.C A_B_~1.C LONGNAME.EXT README README.TXT RUN.COM SPACE~1.TXT TOOLON~1.C TOO~1.LON "
    "X.COM"
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.*", ALL), ("????????.???", ALL), ("*~*.*", ALL), ("???~?.*", "TOO~1.LON"),
        ("R*.*", "README README.TXT RUN.COM"), ("*.", "README"), ("*", "README"),
        ("readme.*", "README README.TXT"), ("?.com", "X.COM"), ("r??.c*", "RUN.COM"),
        ("[A-Z].COM", ""), ("A[B].C", ""),
        ("*b.c", "A_B.C A_B_~1.C TOOLON~1.C"),  # what follows a star does not matter
    ],
)  # fmt: skip
def test_patterns_are_dos_patterns(pc: Pc, root: Path, pattern: str, found: str) -> None:
    for name in NAMES:
        (root / "sub" / name).write_text("")
    (root / "sub" / "deep.txt").unlink()
    assert find(pc, f"C:\\SUB\\{pattern}") == found.split()


def test_folders_are_listed_on_request(pc: Pc, root: Path) -> None:
    (root / "sub" / "inner").mkdir()
    assert find(pc, "*.*") == ["HELLO.TXT"]
    assert find(pc, "*.*", 0x16) == ["HELLO.TXT", "SUB"]
    assert find(pc, "sub\\..\\s*.*", 0x10) == ["SUB"]
    assert find(pc, "sub\\*.*", 0x10) == [".", "..", "DEEP.TXT", "INNER"]
    assert find(pc, "*.*", 0x08) == []  # volume labels
    pc.bus.write(DATA << 4, b"S*.*\0")
    call(pc, 0x21, ah=0x4E, ds=DATA, dx=0, cx=0x10)
    assert pc.bus.read8((DATA << 4) + 0x80 + 0x15) == 0x10


def test_searches_nest(pc: Pc, root: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (root / name).write_text("")
    outer, name = [], "*.TXT"
    pc.bus.write((DATA << 4) + 0x40, b"*.TXT\0")
    call(pc, 0x21, ah=0x1A, ds=DATA, dx=0x80)
    flags = call(pc, 0x21, ah=0x4E, ds=DATA, dx=0x40, cx=0)
    while not flags & CARRY:
        name = found_name(pc)
        outer.append((name, find(pc, "sub\\*.*", dta=0x100), find(pc, name[0] + "*.*", dta=0x200)))
        call(pc, 0x21, ah=0x1A, ds=DATA, dx=0x80)
        flags = call(pc, 0x21, ah=0x4F)
    assert outer == [(f, ["DEEP.TXT"], [f]) for f in ("A.TXT", "B.TXT", "HELLO.TXT")]


def test_a_state_goes_on_with_a_search(pc: Pc, root: Path) -> None:
    (root / "sub" / "another.txt").write_text("")
    pc.bus.write(DATA << 4, b"sub\\*.*\0")
    call(pc, 0x21, ah=0x1A, ds=DATA, dx=0x80)
    call(pc, 0x21, ah=0x4E, ds=DATA, dx=0, cx=0)
    arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
    with make_pc(pc.image.path, "a", "b c", dos_root=root) as other:
        other.check_state(arrays, "state")
        other.restore_state(arrays)
        assert not call(other, 0x21, ah=0x4F) & CARRY
        assert found_name(other) == "DEEP.TXT"
        assert call(other, 0x21, ah=0x4F) & CARRY
        # A state may come from anywhere; no folder in it leads out of the program's.
        for folder in ("..", "/etc", "sub/../..", "outdir"):
            assert other.dos is not None
            other.dos.search.folders = {0: folder}
            assert call(other, 0x21, ah=0x4F) & CARRY


def test_a_search_that_has_not_begun_finds_nothing(pc: Pc) -> None:
    call(pc, 0x21, ah=0x1A, ds=DATA, dx=0x80)
    for garbage in (bytes(43), b"\xff" * 43):
        find(pc, "*.*")
        pc.bus.write((DATA << 4) + 0x80, garbage)
        assert call(pc, 0x21, ah=0x4F) & CARRY
        assert pc.cpu.ax == 18


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call_number", [0x3D, 0x3C, 0x43, 0x4E])
@pytest.mark.parametrize("name", [b"\xb0" * 127, b"A" * 127, b"\xb0" * 100 + b"\\x", b"x\\" * 60])
def test_names_that_the_host_cannot_have_are_dos_errors(
    pc: Pc, name: bytes, call_number: int
) -> None:
    pc.bus.write(DATA << 4, name + b"\0")
    flags = call(pc, 0x21, ah=call_number, al=0, ds=DATA, dx=0, cx=0)
    if not flags & CARRY:
        assert call_number == 0x3C  # cut off to 8 characters
    else:
        assert pc.cpu.ax in (2, 3, 18)


@pytest.mark.parametrize("function", ["exists", "scandir", "stat", "open", "fstat"])
def test_what_the_host_forbids_is_a_dos_error(
    pc: Pc, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr(Path if function == "exists" else os, function, forbidden)
    failed = {}
    for call_number in (0x3D, 0x3C, 0x43, 0x4E):
        pc.bus.write(DATA << 4, b"SUB\\HELLO.TXT\0")
        flags = call(pc, 0x21, ah=call_number, al=0, ds=DATA, dx=0, cx=0)
        failed[call_number] = pc.cpu.ax if flags & CARRY else 0
    monkeypatch.undo()
    assert set(failed.values()) <= {0, 2, 3, 5, 18}
    assert 5 in failed.values()
    assert not opened(pc)
    assert len(os.listdir("/dev/fd")) == before


def test_parent_folders_inside(pc: Pc, root: Path) -> None:
    (root / "sub" / "inner").mkdir()
    (root / "sub" / "link").symlink_to(root / "sub" / "inner")
    for name in (
        "sub/../hello.txt", "sub/inner/../../hello.txt", "./sub/./../HELLO.TXT",
        "sub/link/../deep.txt", "hello.txt/../hello.txt", "nowhere/../hello.txt",
        "outdir/../hello.txt",
    ):  # fmt: skip
        assert open_file(pc, name.replace("/", "\\")) is not None, name
    for name in (
        "sub/../../root/hello.txt", "sub/..", "sub/inner/..", "../root/hello.txt",
    ):  # fmt: skip
        assert open_file(pc, name.replace("/", "\\")) is None, name


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("LongFileName.Text", "longfile.tex"), ("a.b", "a.b"), ("noext", "noext"),
        ("trailing.", "trailing"), ("sub\\New_1.dat", "sub/new_1.dat"), ("\x8e.txt", "ä.txt"),
        ("a*b.txt", None), ("a?.txt", None), ("bad|name", None), ("sp ace.txt", None),
        ("a.b.c", None), (".x", None), ("tab\t.x", None), ("a:b", None), ("is|here", None),
    ],
)  # fmt: skip
def test_names_of_new_files_are_short(pc: Pc, root: Path, name: str, made: str | None) -> None:
    (root / "is|here").write_text("")
    before = set(root.rglob("*"))
    pc.bus.write(DATA << 4, name.encode("latin-1") + b"\0")
    flags = call(pc, 0x21, ah=0x3C, ds=DATA, dx=0, cx=0)
    after = {path.relative_to(root).as_posix() for path in set(root.rglob("*")) - before}
    assert after == (set() if made is None else {made})
    assert bool(flags & CARRY) == (made is None)
    if made is not None:
        pc.bus.write(DATA << 4, name.encode("latin-1") + b"\0")
        assert not call(pc, 0x21, ax=0x3D00, ds=DATA, dx=0) & CARRY


@pytest.mark.parametrize("call_number", [0x3D, 0x3C])
@pytest.mark.parametrize(
    "name", ["NUL", "nul.txt", "C:\\NUL", "SUB\\NUL.X", "AUX", "PRN", "COM1", "LPT1.DAT", "C:COM4"]
)
def test_devices_swallow_and_give_nothing(pc: Pc, root: Path, name: str, call_number: int) -> None:
    before = set(root.rglob("*"))
    (root / "nul.txt").write_text("a file of the host")
    handle = open_file(pc, name, call_number, access=2 if call_number == 0x3D else 0)
    assert handle is not None
    assert handle >= 5
    pc.bus.write(DATA << 4, b"text")
    assert not call(pc, 0x21, ah=0x40, bx=handle, cx=4, ds=DATA, dx=0) & CARRY
    assert pc.cpu.ax == 4
    assert not call(pc, 0x21, ah=0x40, bx=handle, cx=0, ds=DATA, dx=0) & CARRY
    assert not call(pc, 0x21, ah=0x3F, bx=handle, cx=4, ds=DATA, dx=0) & CARRY
    assert pc.cpu.ax == 0
    assert not call(pc, 0x21, ax=0x4400, bx=handle) & CARRY
    assert pc.cpu.dx & 0x80
    assert not call(pc, 0x21, ah=0x3E, bx=handle) & CARRY
    assert typed(pc)[0] == ""
    assert set(root.rglob("*")) - before == {root / "nul.txt"}


@pytest.mark.parametrize("name", ["CON", "con.txt", "C:\\CON"])
def test_the_console_by_name(pc: Pc, root: Path, name: str) -> None:
    handle = open_file(pc, name, 0x3C)
    assert handle == 5
    pc.bus.write(DATA << 4, b"text")
    call(pc, 0x21, ah=0x40, bx=handle, cx=4, ds=DATA, dx=0)
    assert typed(pc)[0] == "text"
    for word in (0x1E61, 0x1C0D):
        pc.bios.keyboard.buffer.put(word)
    call(pc, 0x21, ah=0x3F, bx=handle, cx=9, ds=DATA, dx=0)
    assert (pc.cpu.ax, pc.bus.read(DATA << 4, 3)) == (3, b"a\r\n")
    arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
    pc.check_state(arrays, "state")
    pc.restore_state(arrays)
    call(pc, 0x21, ax=0x4400, bx=handle)
    assert pc.cpu.dx == 0x80D3
    assert {path.name for path in root.iterdir()}.isdisjoint({"con", "con.txt"})


def test_memory_blocks(pc: Pc) -> None:
    assert call(pc, 0x21, ah=0x48, bx=1) & CARRY  # the program has it all
    assert not call(pc, 0x21, ah=0x4A, bx=0x1000, es=PREFIX) & CARRY
    assert not call(pc, 0x21, ah=0x48, bx=0x100) & CARRY
    first = pc.cpu.ax
    assert not call(pc, 0x21, ah=0x48, bx=0x100) & CARRY
    second = pc.cpu.ax
    assert first >= PREFIX + 0x1000
    assert second >= first + 0x100
    assert not call(pc, 0x21, ah=0x49, es=first) & CARRY
    # DOS looks only at the control block, which is still one.
    assert not call(pc, 0x21, ah=0x49, es=first) & CARRY
    assert call(pc, 0x21, ah=0x49, es=first + 1) & CARRY
    assert call(pc, 0x21, ah=0x48, bx=0xFFFF) & CARRY
    assert 0x5000 < pc.cpu.bx < 0xA000


def test_the_environment_is_a_block(pc: Pc) -> None:
    environment = pc.bus.read16((PREFIX << 4) + 0x2C)
    assert pc.bus.read16((environment - 1 << 4) + 1) == PREFIX
    assert not call(pc, 0x21, ah=0x49, es=environment) & CARRY
    assert pc.bus.read16((environment - 1 << 4) + 1) == 0


def test_prefix_and_vectors(pc: Pc) -> None:
    at = PREFIX << 4
    assert pc.bus.read(at, 2) == b"\xcd\x20"
    assert pc.bus.read(at + 0x80, 8) == b"\x06 a b c\r"
    call(pc, 0x21, ax=0x2577, ds=0x1234, dx=0x5678)
    call(pc, 0x21, ax=0x3577)
    assert (pc.cpu.es, pc.cpu.bx) == (0x1234, 0x5678)
    call(pc, 0x21, ah=0x30)
    assert pc.cpu.al == 5
    assert call(pc, 0x21, ah=0x4B) & CARRY


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    "ending", ["C3", "CD 20", "B4 4C B0 00 CD 21", "B4 00 CD 21", "B8 00 31 BA 10 00 CD 21"]
)
def test_programs_end_and_nothing_runs_after(tmp_path: Path, cpu: str, ending: str) -> None:
    # print "A"; end; and what must not run: print "B" for ever
    program = bytes.fromhex("B4 02 B2 41 CD 21" + ending + "B4 02 B2 42 CD 21 EB F8")
    path = tmp_path / "p.com"
    path.write_bytes(program)
    with Machine(str(path), cpu=cpu) as machine:
        assert not machine.tick(30)
        assert machine.screen.text()[0].rstrip() == "A"


def test_date_and_time_are_set(pc: Pc) -> None:
    call(pc, 0x21, ah=0x2B, cx=2024, dx=0x021D)
    assert pc.cpu.al == 0
    call(pc, 0x21, ah=0x2D, cx=0x0C22, dx=0x3800)
    assert pc.cpu.al == 0
    call(pc, 0x21, ah=0x2A)
    assert (pc.cpu.cx, pc.cpu.dx, pc.cpu.al) == (2024, 0x021D, 4)
    call(pc, 0x21, ah=0x2C)
    assert (pc.cpu.cx, pc.cpu.dh) == (0x0C22, 0x38)
    call(pc, 0x21, ah=0x2B, cx=2023, dx=0x021D)
    assert pc.cpu.al == 0xFF


def test_break_ends_a_program_that_reads(pc: Pc) -> None:
    pc.bios.keyboard.buffer.put(0)
    call(pc, 0x21, ah=0x08)
    assert pc.ended
    assert typed(pc)[0] == "^C"


def test_line_input_waits_and_edits(tmp_path: Path) -> None:
    # mov ah, 0Ah; mov dx, 200h; mov byte [200h], 20; int 21h; int 20h
    path = tmp_path / "p.com"
    path.write_bytes(bytes.fromhex("C6 06 00 02 14 B4 0A BA 00 02 CD 21 CD 20"))
    with Machine(str(path)) as machine:
        assert machine.pc is not None
        machine.tick(5)
        for key in ("a", "b", "backspace", "C"):
            machine.keys.press(key)
            assert machine.tick(5)
        machine.keys.press("enter")
        assert not machine.tick(10)
        assert machine.pc.bus.read((PREFIX << 4) + 0x200, 5) == b"\x14\x02aC\r"


def type_keys(pc: Pc, text: bytes) -> None:
    for code in text:
        pc.bios.keyboard.buffer.put(code)


def read_console(pc: Pc, count: int) -> bytes:
    assert not call(pc, 0x21, ah=0x3F, bx=0, cx=count, ds=DATA, dx=0) & CARRY
    assert not pc.cpu.get("eflags") & CARRY  # it does not wait
    return pc.bus.read(DATA << 4, pc.cpu.ax)


def test_a_line_is_read_by_handle_in_pieces(pc: Pc) -> None:
    type_keys(pc, b"abcd\r")
    assert [read_console(pc, 1), read_console(pc, 2)] == [b"a", b"bc"]
    arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
    type_keys(pc, b"e\r")
    assert [read_console(pc, 2), read_console(pc, 80), read_console(pc, 80)] == [
        b"d\r", b"\n", b"e\r\n",
    ]  # fmt: skip
    pc.check_state(arrays, "state")
    pc.restore_state(arrays)
    assert read_console(pc, 80) == b"d\r\n"


def test_end_of_file_and_break_by_handle(pc: Pc) -> None:
    type_keys(pc, b"\x1a\r")
    assert read_console(pc, 80) == b""
    type_keys(pc, b"x\x03")
    call(pc, 0x21, ah=0x3F, bx=0, cx=80, ds=DATA, dx=0)
    assert pc.ended
    assert typed(pc)[1] == "x^C"


def test_keys_without_a_character_are_not_part_of_a_line(pc: Pc) -> None:
    for word in (0x4300, ord("a"), 0x47E0, ord("b"), ord("\r")):  # F9, a, home, b, enter
        pc.bios.keyboard.buffer.put(word)
    assert read_console(pc, 80) == b"ab\r\n"
    for word in (0x4300, ord("a"), 0x47E0, ord("b"), ord("\r")):
        pc.bios.keyboard.buffer.put(word)
    pc.bus.write8(DATA << 4, 20)
    call(pc, 0x21, ah=0x0A, ds=DATA, dx=0)
    assert pc.bus.read(DATA << 4, 5) == b"\x14\x02ab\r"


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("reading", ["B4 08", "B4 01", "B4 0A", "B4 3F"])
def test_break_calls_the_programs_handler(tmp_path: Path, cpu: str, reading: str) -> None:
    # The handler (int 23h) counts in [300h]; the call then reads what is typed next.
    path = tmp_path / "p.com"
    begin = bytes.fromhex(
        "C6 06 00 02 0A B8 23 25 BA 40 01 CD 21 BA 00 02 31 DB B9 0A 00" + reading + "CD 21"
        "A3 02 03 B8 05 4C CD 21"
    )
    path.write_bytes(begin.ljust(0x40, b"\x90") + bytes.fromhex("FE 06 00 03 CF"))
    with make_pc(path, cpu=cpu) as pc:
        type_keys(pc, b"x\x03y\r" if reading in ("B4 0A", "B4 3F") else b"\x03y\r")
        run_until_halted(pc)
        base = PREFIX << 4
        assert (pc.exit_code, pc.bus.read8(base + 0x300)) == (5, 1)
        line = {"B4 0A": b"\x0a\x01y\r", "B4 3F": b"y\r\n"}.get(reading, b"")
        assert pc.bus.read(base + 0x200, len(line)) == line
        if not line:
            assert pc.bus.read8(base + 0x302) == ord("y")


# --- long calls -----------------------------------------------------------------------------------


def asks(pc: Pc, limit: int = 10_000) -> int:
    """Slices that the call in the registers takes; none of them may do more than its part."""
    for slices in range(1, limit):
        before = pc.clock.now_ns()
        pc.bios.new_slice()
        pc.run.wake_ns = NEVER_NS
        pc.cpu.set("eflags", pc.cpu.get("eflags") & ~CARRY)
        pc.bios.calls.call(0x21)
        # A row of characters may still be typed when the slice's part is done.
        assert pc.clock.now_ns() - before <= SERVICE_NS + (WORK_A_SLICE + 80) * WORK_NS
        if not pc.cpu.get("eflags") & CARRY:
            return slices
        assert pc.run.wake_ns == 0
    raise AssertionError("does not end")


def typed(pc: Pc) -> list[str]:
    return [row.rstrip() for row in Screen(pc.vga).text()]


@pytest.mark.parametrize(
    ("mode", "registers"),
    [
        (3, {"ah": 0x40, "bx": 1, "cx": 0xF000}), (3, {"ah": 0x09}),
        (3, {"ah": 0x40, "bx": 2, "cx": 0xF000}), (0x12, {"ah": 0x40, "bx": 1, "cx": 600}),
    ],
)  # fmt: skip
def test_a_long_string_takes_many_slices(pc: Pc, mode: int, registers: dict[str, int]) -> None:
    call(pc, 0x10, ax=mode)
    pc.bios.new_slice()
    lines = [f"{i}\tThe quick brown fox{i % 7 * ' jumps'}\r\n" for i in range(2000)]
    data = "".join(lines).encode()[:0xF000]
    pc.bus.write(DATA << 4, data + b"$" if registers["ah"] == 9 else data)
    before = pc.clock.now_ns()
    call(pc, 0x21, ds=DATA, dx=0, **registers)
    assert pc.cpu.get("eflags") & CARRY  # the stub asks again
    length = registers.get("cx", len(data))
    assert asks(pc) >= length // (WORK_A_SLICE + 80)
    assert pc.clock.now_ns() - before >= length * WORK_NS
    assert pc.cpu.ax == length if registers["ah"] == 0x40 else pc.cpu.al == ord("$")
    assert not pc.bios.calls.unfinished
    if mode == 3:
        shown = data.decode().expandtabs(8).split("\r\n")
        assert typed(pc) == [line.rstrip() for line in shown[-25:]]


def test_an_interrupt_between_two_parts_of_a_call_types_its_own(pc: Pc) -> None:
    pc.bus.write(DATA << 4, b"a" * 400 + b"$")
    pc.bus.write((DATA << 4) + 0x1000, b"b" * 300 + b"$")
    call(pc, 0x21, ah=9, ds=DATA, dx=0)
    assert pc.cpu.get("eflags") & CARRY
    before = pc.cpu.registers()
    pc.cpu.sp = 0x6F00
    pc.cpu.dx = 0x1000
    assert asks(pc) == 2
    for name, value in before.items():
        pc.cpu.set(name, value)
    assert asks(pc) == 1
    text = "".join(typed(pc))
    assert (text.count("a"), text.count("b")) == (400, 300)


def test_an_endless_string_leaves_the_display_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # again: mov ah, 9; mov dx, 100h; int 21h; jmp again: memory without a $, 64 KiB of it
    path = tmp_path / "p.com"
    path.write_bytes(bytes.fromhex("B4 09 BA 00 01 CD 21 EB F7"))
    lengths: list[int] = []
    type_some = Console.type_some

    def count(console: Console, data: bytes) -> int:
        lengths.append(type_some(console, data))
        return lengths[-1]

    monkeypatch.setattr(Console, "type_some", count)
    with Machine(str(path)) as machine:
        assert machine.tick(3)
    assert 0 < sum(lengths) < 3 * FRAME_NS // WORK_NS + WORK_A_SLICE


def test_a_machine_that_closes_waits_for_no_service(pc: Pc) -> None:
    pc.bus.write(DATA << 4, b"text$")
    pc.stop()
    call(pc, 0x21, ah=9, ds=DATA, dx=0)
    assert pc.cpu.get("eflags") & CARRY
    assert typed(pc)[0] == ""
    call(pc, 0x21, ah=0x3C, ds=DATA, dx=0, cx=0)
    assert not opened(pc)


def test_a_state_goes_on_with_a_long_call(pc: Pc) -> None:
    pc.bus.write(DATA << 4, b"x" * 700 + b"$")
    call(pc, 0x21, ah=9, ds=DATA, dx=0)
    arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
    part = "".join(typed(pc)).count("x")
    assert 0 < part < 700
    assert asks(pc) > 1
    call(pc, 0x10, ax=3)
    pc.check_state(arrays, "state")
    pc.restore_state(arrays)
    asks(pc)
    assert "".join(typed(pc)).count("x") == 700 - part
