"""Files that a run leaves: whole or not at all, wherever a process is killed; links, pipes."""

from __future__ import annotations

import ast
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import vgaemu
from vgaemu.errors import TapeError
from vgaemu.machine import Machine
from vgaemu.outputs import NewFile, why_unwritable

pytestmark = pytest.mark.turns(2)

PACKAGE = Path(vgaemu.__file__).parent
needs_posix = pytest.mark.skipif(os.name != "posix", reason="flock, limits and links are POSIX's")

#: Commands that write a file {}, whose name ends as the key does.
RUN = "run sprites --headless --frames 3"
COMMANDS = {
    "a.png": RUN + " --screenshot {}",
    "a.bmp": RUN + " --upscaled --screenshot {}",
    "palette.png": RUN + " --dump-palette {}",
    "a.txt": "run typing --headless --frames 3 --dump-text {}",
    "registers.txt": RUN + " --dump-registers {}",
    "stats.json": RUN + " --stats-frames --stats {}",
    "a.npz": RUN + " --save-state {}",
    "a.tape": RUN + " --record-tape {}",
    "a.tape.gz": RUN + " --record-tape {}",
    "replayed.png": "replay {tape} --screenshot {}",
    "readbacks.json": "replay {tape} --readbacks {}",
    "bench.json": "bench start --runs 1 --json {}",
}
#: Runs each command in processes that the kernel kills at some byte of the file, and says what is
#: there then: a JSON list of [file, killed at, exit status, whether all is as it should be].
KILLED = """
import json, os, resource, signal, sys
from pathlib import Path
import vgaemu.bench.start
from vgaemu.cli.main import main

vgaemu.bench.start.measure = lambda runs: [{"rows": n} for n in range(2000)]
commands, tape, folder = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
answer, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)

def killed(arguments, limit):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        os._exit(main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

seen = []
for name, command in commands.items():
    path = folder / name
    arguments = command.format(path, tape=tape).split()
    main(arguments)
    before, size = path.read_bytes(), path.stat().st_size
    for limit in (0, size // 2, size * 9 // 10):
        status = killed(arguments, limit)
        seen.append([name, limit, status, path.read_bytes() == before])
    path.unlink()
    status = killed(arguments, size // 2)
    seen.append([name, "new", status, not path.exists()])
    seen.append([name, "left", status, set(os.listdir(folder)) <= {f".{name}.part"}])
    status = main(arguments)
    seen.append([name, "taken", status - signal.SIGXFSZ, os.listdir(folder) == [name]])
    path.unlink()
os.write(answer, json.dumps(seen).encode())
"""


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "read.tape"
    path.write_text('{"name": "t"}\n["rn", 655360, 5000]\n')
    return path


@needs_posix
def test_killed_at_any_byte_a_file_is_whole_or_as_it_was(tmp_path: Path, tape: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(COMMANDS), str(tape), str(folder)],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    seen = json.loads(done.stdout)
    assert len(seen) == 6 * len(COMMANDS)
    assert [one for one in seen if not one[3] or one[2] != -signal.SIGXFSZ] == []


def test_nothing_else_writes_files() -> None:
    """`outputs` does; but for what is a log, a disk or a guest's own, and a benchmark's scratch.

    A video is a container within a file of `outputs`.
    """
    others = {"outputs.py", "pc/debug.py", "pc/images.py", "pc/dos/files.py", "record/video.py"}
    others |= {
        f"bench/{name}.py" for name in ("boot", "boots", "calls", "dosbox", "guest", "linux")
    }
    others |= {"pc/dos/fat_files.py", "pc/dos/fat_folders.py"}  # onto a guest's disk
    others.add("pc/formats.py")  # to find out whether a disk can be written
    others |= {"gym/vector.py", "gym/part.py"}  # memory that processes share
    writers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            opens = name == "open" and any(
                isinstance(mode, str) and set(mode) & set("wax+") and len(mode) <= 3
                for mode in modes
            )
            if opens or name in {"write_text", "write_bytes", "mkstemp", "NamedTemporaryFile"}:
                writers.add(path.relative_to(PACKAGE).as_posix())
    assert writers <= others


# --- what a new file is -----------------------------------------------------------------------


def write(path: Path, data: bytes = b"new") -> None:
    with NewFile(path) as file:
        file.write(data)


def write_half(path: Path, error: type[BaseException]) -> None:
    with NewFile(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_one_that_fails_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a"
    for before in (None, b"old"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(error):
            write_half(path, error)
        assert [other.name for other in tmp_path.iterdir()] == ([] if before is None else ["a"])
    assert path.read_bytes() == b"old"


@needs_posix
def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with NewFile(path) as first, NewFile(path) as second:
        for file, letter in ((first, b"1"), (second, b"2")):
            file.write(letter * 20_000)
        write(path, b"3")
        assert path.read_bytes() == b"3"
    assert path.read_bytes() in (b"1" * 20_000, b"2" * 20_000)
    assert [other.name for other in tmp_path.iterdir()] == ["a"]


@needs_posix
def test_what_a_killed_process_left_is_taken(tmp_path: Path) -> None:
    left = tmp_path / ".a.part"
    left.write_bytes(b"much more than what is new")
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not left.exists()


@needs_posix
def test_mode_and_links_stay(tmp_path: Path) -> None:
    there, link, other = tmp_path / "there", tmp_path / "link", tmp_path / "other"
    there.write_bytes(b"old")
    there.chmod(0o640)
    link.symlink_to("there")
    other.hardlink_to(there)
    write(link)
    assert link.is_symlink()
    assert there.read_bytes() == b"new"
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    assert other.read_bytes() == b"old"
    umask = os.umask(0o027)
    try:
        write(tmp_path / "fresh")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


@needs_posix
def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    (tmp_path / ".a.part").symlink_to("kept")
    write(tmp_path / "a")
    assert kept.read_bytes() == b"kept"
    assert (tmp_path / "a").read_bytes() == b"new"


@needs_posix
def test_a_pipe_a_device_and_a_descriptor_are_written_in_place(tmp_path: Path) -> None:
    pipe, to_pipe = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    to_pipe.symlink_to("pipe")
    for path in (pipe, to_pipe):
        heard: list[bytes] = []
        reader = threading.Thread(target=lambda heard=heard: heard.append(pipe.read_bytes()))
        reader.start()
        write(path)
        reader.join(10)
        assert heard == [b"new"]
    write(Path(os.devnull))
    program = "import sys\nfrom vgaemu.outputs import NewFile\n" \
        "with NewFile(sys.argv[1]) as file: file.write(b'new')\n"  # fmt: skip
    (tmp_path / "out").symlink_to("/dev/stdout")
    for path in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", str(tmp_path / "out")):
        with (tmp_path / "a").open("wb+") as redirected:
            subprocess.run(
                [sys.executable, "-c", program, path], stdout=redirected, check=True, timeout=60
            )
            assert os.path.samestat(os.fstat(redirected.fileno()), os.stat(tmp_path / "a"))
            assert redirected.read() == b"new"


@needs_posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    tmp_path.chmod(0o500)
    try:
        write(path)
        assert path.read_bytes() == b"new"
        assert why_unwritable(tmp_path / "b") == "Permission denied"
        path.chmod(0o400)
        with pytest.raises(PermissionError):
            write(path)
    finally:
        tmp_path.chmod(0o700)


@needs_posix
def test_a_folder_that_lets_nothing_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sticky one with the file of somebody else, a mount of this file alone."""

    def refuse(self: Path, target: object) -> None:
        raise OSError(1, "Operation not permitted")

    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", refuse)
    write(path)
    assert path.read_bytes() == b"new"
    assert [other.name for other in tmp_path.iterdir()] == ["a"]
    with pytest.raises(PermissionError, match="b"):
        write(tmp_path / "b")


@pytest.mark.parametrize("letter", ["a", "\u00e4", "\u20ac"])
def test_the_longest_names(tmp_path: Path, letter: str) -> None:
    path = tmp_path / (letter * (255 // len(letter.encode())))
    for _ in range(2):
        assert why_unwritable(path) is None
        write(path)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_asking_whether_it_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert why_unwritable(path) is None
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"old")
    assert why_unwritable(path) is None
    assert path.read_bytes() == b"old"
    assert why_unwritable(tmp_path / "no" / "a") == "No such file or directory"


# --- tapes: streams ---------------------------------------------------------------------------


@needs_posix
@pytest.mark.parametrize(
    ("name", "text_of"), [("a.tape", bytes), ("a.tape.gz", gzip.decompress)]
)  # fmt: skip
def test_a_tape_takes_its_place_when_it_is_over(
    tmp_path: Path, name: str, text_of: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    machine = Machine("typing", record_tape=path)
    machine.tick(3)
    assert path.read_bytes() == b"old"
    machine.close()
    assert text_of(path.read_bytes()).startswith(b'{"name":"a"')
    assert [other.name for other in tmp_path.iterdir()] == [name]


@needs_posix
def test_a_tape_on_a_full_disk_is_kept_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    path, limits = tmp_path / "a.tape", resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_bytes(b"old")
    machine = Machine("sprites", record_tape=path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        machine.tick(3)
        with pytest.raises(TapeError) as caught:
            machine.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = tmp_path / ".a.tape.part"
    assert str(caught.value).startswith(f"{path}: File too large; what was recorded until then")
    assert str(caught.value).endswith(str(left))
    assert left.read_bytes().startswith(b'{"name":"a"')
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.tape", "a.tape.gz"])
def test_the_tape_of_a_machine_that_nobody_closes_is_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    program = (
        "import sys\nfrom vgaemu.machine import Machine\n"
        "machine = Machine('typing', record_tape=sys.argv[1])\nmachine.tick(5)\n"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=60)
    data = path.read_bytes()
    text = gzip.decompress(data) if name.endswith(".gz") else data
    assert next(json.loads(line) for line in text.splitlines())["name"] == "a"
    assert [other.name for other in tmp_path.iterdir()] == [name]
