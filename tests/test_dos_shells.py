"""Command interpreters and tools of the time under our DOS: fetched by whoever runs this.

``VGAEMU_MSDOS=.../MS-DOS VGAEMU_FREEDOS=... pytest -m long tests/test_dos_shells.py``: a checkout
of github.com/microsoft/MS-DOS (MIT licence), and a folder with FreeDOS's COMMAND.COM. Without them
there is nothing to run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vgaemu.machine import Machine

pytest.importorskip("unicorn")
pytestmark = pytest.mark.long
MSDOS, FREEDOS = (Path(os.environ.get(f"VGAEMU_{name}", "")) for name in ("MSDOS", "FREEDOS"))
needs_msdos = pytest.mark.skipif(
    not (MSDOS / "v2.0" / "bin").is_dir(), reason="VGAEMU_MSDOS leads to no checkout of MS-DOS"
)
needs_freedos = pytest.mark.skipif(
    not (FREEDOS / "COMMAND.COM").is_file(), reason="VGAEMU_FREEDOS has no COMMAND.COM"
)
#: Most frames that a command takes.
FRAMES = 6000
SOURCE = """code segment
 assume cs:code,ds:code
 org 100h
start: mov dx,offset msg
 mov ah,9
 int 21h
 int 20h
msg db 'assembled here',13,10,'$'
code ends
end start
"""


class Shell:
    """A command interpreter at its prompt."""

    def __init__(self, machine: Machine, root: Path) -> None:
        self.machine, self.root = machine, root
        self._wait()

    def _lines(self) -> list[str]:
        return [line.rstrip() for line in self.machine.screen.text() if line.strip()]

    def _wait(self) -> None:
        for _ in range(FRAMES // 10):
            self.machine.tick(10)
            lines = self._lines()
            if lines and lines[-1].startswith("C") and lines[-1].endswith(">"):
                return
        raise AssertionError(self._lines())

    def say(self, command: str) -> list[str]:
        """What is on the screen after a command."""
        self.machine.keys.type(f"{command}\n")
        self.machine.tick(20 + 4 * len(command))
        self._wait()
        return self._lines()

    def written(self, name: str) -> list[str]:
        """Lines of a file that a command has made."""
        return (self.root / name).read_bytes().decode("cp437").rstrip("\x1a").splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[Path], Shell]]:
    made: list[Machine] = []

    def begin(folder: Path) -> Shell:
        for path in folder.iterdir():
            if path.suffix.upper() in (".COM", ".EXE"):
                shutil.copy(path, tmp_path / path.name.upper())
        (tmp_path / "T.TXT").write_bytes(b"beta\r\nalpha\r\n")
        (tmp_path / "B.BAT").write_bytes(
            b"echo off\r\nfor %%f in (*.txt) do echo file %%f\r\nif exist t.txt echo yes>y.out\r\n"
            b"if not exist n.txt goto end\r\necho no>n.out\r\n:end\r\necho %1>arg.out\r\n"
        )
        made.append(Machine(tmp_path / "COMMAND.COM", dos_root=tmp_path))
        return Shell(made[0], tmp_path)

    yield begin
    for machine in made:
        machine.close()


def common(shell: Shell) -> None:
    """What both know."""
    assert shell.say("type t.txt")[-3:-1] == ["beta", "alpha"]
    shell.say("dir > dir.out")
    assert any(line.startswith("T        TXT") for line in shell.written("dir.out"))
    shell.say("copy t.txt+t.txt u.txt")
    assert shell.written("u.txt") == ["beta", "alpha"] * 2
    shell.say("ren u.txt v.txt")
    shell.say("md sub")
    shell.say("copy v.txt sub")
    shell.say("cd sub")
    assert "v.txt" in {path.name for path in (shell.root / "sub").iterdir()}
    assert shell.written("sub/v.txt") == ["beta", "alpha"] * 2
    shell.say("del v.txt")
    shell.say("cd ..")
    shell.say("rd sub")
    assert not (shell.root / "sub").exists()
    lines = shell.say("b word")
    assert "file T.TXT" in lines
    assert shell.written("y.out")[0].strip() == "yes"
    assert shell.written("arg.out")[0].strip() == "word"
    assert not (shell.root / "n.out").exists()
    shell.say("echo on")
    shell.say("set X=some words")
    shell.say("set > set.out")
    assert "X=some words" in shell.written("set.out")


@needs_msdos
def test_command_com_of_msdos_2(shell: Callable[[Path], Shell]) -> None:
    dos = shell(MSDOS / "v2.0" / "bin")
    common(dos)
    dos.say("sort < t.txt > s.out")
    assert dos.written("s.out") == ["alpha", "beta"]
    dos.say('dir | find "EXE" | sort > p.out')
    found = [line.split()[0] for line in dos.written("p.out") if line.strip()]
    assert found == sorted(found)
    assert "MASM" in found


@needs_msdos
def test_an_assembler_and_a_linker(shell: Callable[[Path], Shell]) -> None:
    dos = shell(MSDOS / "v2.0" / "bin")
    (dos.root / "HELLO.ASM").write_bytes(SOURCE.replace("\n", "\r\n").encode())
    for command in ("masm hello;", "link hello;", "exe2bin hello hello.com"):
        dos.say(command)
    assert "assembled here" in dos.say("hello")


@needs_freedos
def test_command_com_of_freedos(shell: Callable[[Path], Shell]) -> None:
    common(shell(FREEDOS))
