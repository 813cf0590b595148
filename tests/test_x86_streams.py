"""Files that get a guest's text while it runs: what they may be, and what is said of others."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from x86_helpers import disk

from vgaemu.cli.main import main
from vgaemu.errors import VgaemuError
from vgaemu.machine import Machine

pytest.importorskip("unicorn")
needs_pipes = pytest.mark.skipif(os.name != "posix", reason="pipes with names are POSIX's")

#: mov dx, 3F8h; mov al, 'A'; out dx, al; out E9h, al; cli; hlt
SENDS = bytes.fromhex("BAF803 B041 EE E6E9 FA F4")
OPTIONS = ("serial", "debugcon", "printer", "trace_ports", "record_tape")


@needs_pipes
@pytest.mark.parametrize("option", OPTIONS)
def test_a_pipe_without_a_reader_is_refused(tmp_path: Path, option: str) -> None:
    pipe = tmp_path / "pipe.tape"
    os.mkfifo(pipe)
    with pytest.raises(VgaemuError) as caught:
        Machine(disk(tmp_path, SENDS), **{option: str(pipe)})
    said = str(caught.value)
    assert said.endswith(f"{pipe}: a pipe that nobody reads; start its reader first")


@needs_pipes
@pytest.mark.parametrize("option", ["serial", "debugcon"])
def test_a_pipe_with_a_reader_gets_each_byte(tmp_path: Path, option: str) -> None:
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    with os.fdopen(fd, "rb") as reader:
        thread = threading.Thread(target=lambda: heard.append(reader.read()))
        with Machine(disk(tmp_path, SENDS), **{option: str(pipe)}) as machine:
            thread.start()
            machine.tick(2)
        thread.join(10)
    assert heard == [b"A"]


@needs_pipes
def test_the_command_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = ["run", str(disk(tmp_path, SENDS)), "--headless", "--frames", "1"]
    assert main([*run, "--serial", str(pipe)]) == 2
    assert capfd.readouterr().err == (
        f"vgaemu: --serial {pipe}: a pipe that nobody reads; start its reader first\n"
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_a_folder_is_told_and_what_to_name_instead(tmp_path: Path, option: str) -> None:
    with pytest.raises(VgaemuError) as caught:
        Machine(disk(tmp_path, SENDS), **{option: tmp_path})
    said = str(caught.value)
    assert said.endswith(f"{tmp_path}: Is a directory; name a file that can be written")


#: mov dx, port; mov ax, 2000h; out dx, ax; ud2; and cli; hlt, as Linux does without ACPI.
ENDS = ("BA0406 B80020 EF 0F0B", "BA04B0 B80020 EF 0F0B", "FA F4")


@pytest.mark.parametrize("code", ENDS)
def test_a_guest_that_switches_itself_off_ends_well(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str
) -> None:
    """With status 0, and without a word on standard error, whether its code is asked for or not."""
    path = str(disk(tmp_path, bytes.fromhex(code)))
    for words in ([], ["--exit-code"], ["--no-reboot"]):
        assert main(["run", path, "--headless", "--frames", "9", *words]) == 0
        assert capfd.readouterr().err == ""
    assert main(["test", path, "--exit-code", "0"]) == 0
    with Machine(path, vram_mib=1) as machine:
        assert not machine.tick()
        assert (machine.ended, machine.exit_code) == (True, 0)
