"""`vgaemu run ... --view`: what a user types, and what is said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rfb_client import HANG_SECONDS, RAW, Client

from vgaemu.cli.main import main

ECHO = """
def workload(guest):
    guest.text.print("ready")
    while True:
        guest.text.print(guest.keys.typed(), end="")
        yield
"""


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["run", "typing", "--headless", "--frames", "2", *arguments]) == 2
    return capsys.readouterr().err


def test_a_headless_run_is_looked_at_typed_into_and_ended_by_ctrl_c(tmp_path: Path):
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "echo.py").write_text(ECHO)
    options = ["--headless", "--view", "0", "--view-password-file", "password"]
    command = [sys.executable, "-m", "vgaemu", "run", "echo.py", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        try:
            assert run.stdout is not None
            line = run.stdout.readline()
            found = re.fullmatch(
                r"view: VNC at 127\.0\.0\.1:(\d+), browsers at http://127\.0\.0\.1:\1/\?token=\S+\n",
                line,
            )
            assert found, line
            with Client(int(found[1]), (RAW,), password=b"secret") as client:
                client.ask(incremental=False)
                client.update()
                before = client.pixels.copy()
                client.type("hello")
                client.ask()
                client.update()
                assert (client.pixels != before).any()
        finally:
            run.send_signal(signal.SIGINT)
            try:
                assert run.wait(HANG_SECONDS) == 0
            finally:
                run.kill()


def test_a_password_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("VGAEMU_VIEW_PASSWORD", "secret")
    assert main(["run", "typing", "--headless", "--frames", "2", "--view", "0.0.0.0:0"]) == 0
    assert re.search(r"VNC at 0\.0\.0\.0:\d+, ", capsys.readouterr().out)


@pytest.mark.parametrize("address", ["abc", "", "host", "1:2:3", "99999", "host:99999", "-1"])
def test_what_is_no_address(address: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as error:
        main(["run", "typing", f"--view={address}"])
    assert error.value.code == 2
    assert re.search("--view: '.*' is no address: write PORT or HOST:PORT", capsys.readouterr().err)


def test_elsewhere_a_password_is_needed(capsys: pytest.CaptureFixture[str]):
    assert refused(capsys, "--view", "0.0.0.0:0") == (
        "vgaemu: --view 0.0.0.0:0: who looks from elsewhere must know a password; give one, or "
        "listen on 127.0.0.1 and look through ssh\n"
    )


def test_a_file_without_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    none, empty, strange = (tmp_path / name for name in ("none", "empty", "strange"))
    empty.write_text("\nsecret")
    strange.write_bytes(b"\xff\xfe")
    for path in (none, empty, strange, tmp_path):
        said = refused(capsys, "--view", "0", "--view-password-file", str(path))
        assert said.startswith(f"vgaemu: --view-password-file {path}: ")
        assert said.count("\n") == 1


def test_what_is_refused_is_told_by_its_own_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    view = "--view", "0"
    said = refused(capsys, *view, "--novnc", str(tmp_path))
    assert said.startswith(f"vgaemu: --novnc {tmp_path}: no noVNC is there")
    path = tmp_path / "password"
    path.write_text("123456789")
    said = refused(capsys, *view, "--view-password-file", str(path))
    assert said.startswith(f"vgaemu: --view-password-file {path}: a viewer's password is of 1 to 8")
    monkeypatch.setenv("VGAEMU_VIEW_PASSWORD", "123456789")
    said = refused(capsys, *view)
    assert said.startswith("vgaemu: VGAEMU_VIEW_PASSWORD: a viewer's password is of 1 to 8")


@pytest.mark.parametrize(
    "option", [("--view-shared",), ("--view-password-file", os.devnull), ("--novnc", ".")]
)
def test_options_that_need_a_view(option: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert (
        refused(capsys, *option) == f"vgaemu: {option[0]}: say with --view PORT where others look\n"
    )
