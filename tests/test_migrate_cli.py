"""`vgaemu run --migrate-to` and `vgaemu receive`, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from PIL import Image

from vgaemu.bench import migrate as bench
from vgaemu.cli.main import main
from vgaemu.memslot.log import DirtyLog
from vgaemu.migrate import sender, stream

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "SDL_VIDEODRIVER": "dummy",
    "SDL_AUDIODRIVER": "dummy",
}


def vgaemu(cwd: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore:pkg_resources", "-m", "vgaemu"]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        cwd=cwd,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Status and what a process has printed."""
    with process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `vgaemu receive` with the test's options, and its address."""
    process = vgaemu(tmp_path, "receive", "--listen", ":0", "--wait", 30, *request.param)
    assert process.stdout is not None
    line = process.stdout.readline()
    if "--view" in request.param:
        assert line.startswith("view: VNC at 127.0.0.1:")
        line = process.stdout.readline()
    address = line.removeprefix("listening on ").strip()
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    yield process, address
    with suppress(OSError):
        process.kill()
    process.wait()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("receiver", [["--headless", "--screenshot", "there.png"]], indirect=True)
@pytest.mark.parametrize("window", [False, True], ids=["headless", "window"])
def test_the_picture_arrives(
    receiver: tuple[subprocess.Popen[str], str], tmp_path: Path, window: bool
) -> None:
    process, address = receiver
    here, there = tmp_path / "here.png", tmp_path / "there.png"
    options = [] if window else ["--headless", "--frames", 10_000_000]
    source = vgaemu(
        tmp_path, "run", "sprites", *options, "--migrate-to", address, "--migrate-at", 20,
        "--screenshot", here,
    )  # fmt: skip
    status, out, err = ended(source)
    assert (status, err) == (0, "")
    assert f"migrated to {address}: " in out
    assert "memory and picture are equal" in out
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert re.match(r"received from 127\.0\.0\.1:\d+: \d+ rounds", out)
    assert out.endswith(
        "a workload in Python has ended at the source: 'vgaemu receive WORKLOAD' starts one here, "
        "on the screen that arrives\n"
    )
    assert pixels(there).shape == (200, 320, 3)
    if not window:  # a free guest may have drawn between the last frame and its stop
        np.testing.assert_array_equal(pixels(there), pixels(here))


@pytest.mark.parametrize(
    "receiver", [["--headless", "--record", "there.png", "--view", "0"]], indirect=True
)
def test_what_arrives_is_recorded_and_looked_at_until_ctrl_c(
    receiver: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = receiver
    options = ("--headless", "--frames", 10**7, "--migrate-to", address, "--migrate-at", 5)
    assert ended(vgaemu(tmp_path, "run", "plasma", *options))[0] == 0
    assert process.stdout is not None
    while "a workload in Python has ended" not in process.stdout.readline():
        pass
    sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0
    assert pixels(tmp_path / "there.png").shape == (200, 320, 3)


def test_what_cannot_be_recorded_is_refused_before_anything_arrives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["receive", "--headless", "--listen", ":0", "--record", "there.xyz"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "there.xyz" in err


@pytest.mark.parametrize("receiver", [["--headless", "--screenshot", "there.png"]], indirect=True)
def test_a_guest_arrives_though_nobody_reads_on(
    receiver: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = receiver
    assert process.stdout is not None
    process.stdout.close()
    options = ("--headless", "--frames", 10**7, "--migrate-to", address, "--migrate-at", 5)
    assert ended(vgaemu(tmp_path, "run", "plasma", *options))[0] == 0
    with process:
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert pixels(tmp_path / "there.png").shape == (200, 320, 3)


@pytest.mark.parametrize("receiver", [["--frames", "5"]], indirect=True)
def test_into_a_window(receiver: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    process, address = receiver
    source = vgaemu(
        tmp_path, "run", "typing", "--headless", "--frames", 10**7, "--migrate-to", address
    )
    assert ended(source)[0] == 0
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert out.startswith("received from")


@pytest.mark.parametrize("receiver", [["cat", __file__, "--headless"]], indirect=True)
def test_a_workload_starts_there(
    receiver: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = receiver
    source = vgaemu(
        tmp_path, "run", "plasma", "--headless", "--frames", 61, "--migrate-to", address
    )
    assert ended(source)[0] == 0
    status, out, _ = ended(process)
    assert status == 0
    assert "has ended at the source" not in out


PLASMA = ROOT / "examples" / "guests" / "plasma.img"


@pytest.mark.parametrize("receiver", [[PLASMA, "--headless", "--frames", "5"]], indirect=True)
def test_the_guest_of_the_readme_goes_on_there(
    receiver: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    pytest.importorskip("unicorn")
    process, address = receiver
    options = ("--headless", "--frames", 10**6, "--migrate-to", address, "--migrate-at", 5)
    assert ended(vgaemu(tmp_path, "run", PLASMA, *options))[0] == 0
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert re.fullmatch(r"received from .* memory and picture are equal\n", out)


def test_a_run_goes_on_without_a_receiver(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    assert main(["run", "sprites", "--headless", "--frames", "90", "--migrate-to", address]) == 1
    out, err = capfd.readouterr()
    assert "90 frames" in out
    assert err == (f"vgaemu: --migrate-to {address}: Connection refused; the guest runs on here\n")


@pytest.mark.parametrize("receiver", [["--headless"]], indirect=True)
def test_giving_up_by_choice(
    receiver: tuple[subprocess.Popen[str], str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, address = receiver
    harvest = sender.PreCopy.harvest

    def all_dirty(migration: sender.PreCopy) -> list[DirtyLog]:
        for region in migration.regions:
            region.slot.mark_dirty(0, region.slot.nbytes)
        return harvest(migration)

    monkeypatch.setattr(sender.PreCopy, "harvest", all_dirty)
    status = main(
        ["run", "sprites", "--headless", "--frames", "40", "--migrate-to", address,
         "--migrate-at", "1", "--max-rounds", "2", "--downtime", "1", "--when-stuck", "give-up"]
    )  # fmt: skip
    out, err = capfd.readouterr()
    assert status == 1
    assert "40 frames" in out
    assert re.fullmatch(
        r"vgaemu: --migrate-to .*: does not converge: after 2 rounds .* for a budget of 1 "
        r"\(written \d+ MB/s, sent \d+ MB/s\); the guest runs on here\n",
        err,
    )
    status, _, err = ended(process)
    assert status == 1
    assert re.fullmatch(r"vgaemu: receive: 127.0.0.1:\d+: refuses: does not converge: .*\n", err)


@pytest.mark.parametrize("receiver", [["--headless"]], indirect=True)
def test_a_wrong_peer_is_refused_with_status_1(
    receiver: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = receiver
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as stray:
        stray.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionResetError):
            assert stray.recv(1) == b""
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(stream.PREAMBLE.pack(stream.MAGIC, stream.VERSION + 1))
        status, _, err = ended(process)
    assert status == 1
    assert re.fullmatch(
        rf"vgaemu: receive: 127.0.0.1:\d+: speaks version {stream.VERSION + 1} .*\n", err
    )


MISTAKES = {
    "address": (
        ["run", "typing", "--headless", "--frames", "1", "--migrate-to", "a:b:c"],
        "--migrate-to 'a:b:c' is no address: write HOST:PORT",
    ),
    "listen": (["receive", "--headless", "--listen", "1:2:3"], "'1:2:3' is no address"),
    "no name of a host": (["receive", "--headless", "--listen", "a..b:0"], "'a..b:0' is no addr"),
    "not of this host": (
        ["receive", "--headless", "--listen", "192.0.2.1:4096"],
        "name an address of this host",
    ),
    "endless": (
        ["receive", "typing", "--headless", "--listen", ":0"],
        "typing never ends: --headless needs --frames N with it",
    ),
    "workload": (["receive", "plasmo", "--headless"], "did you mean plasma"),
    "screenshot": (["receive", "--headless", "--screenshot", "no/dir/x.png"], "no/dir/x.png"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(capfd: pytest.CaptureFixture[str], name: str) -> None:
    arguments, says = MISTAKES[name]
    assert main(arguments) == 2
    _, err = capfd.readouterr()
    assert says in err
    assert err.startswith("vgaemu: ")
    assert err.count("\n") == 1


def test_nobody_comes(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["receive", "--headless", "--listen", ":0", "--wait", "1"]) == 1
    err = capfd.readouterr().err
    assert re.fullmatch(r"vgaemu: receive: 127.0.0.1:\d+: nobody came within 1 s\n", err)


@pytest.mark.parametrize("receiver", [["--headless"]], indirect=True)
def test_who_only_looks_whether_the_port_is_open_is_no_source(
    receiver: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = receiver
    host, port = address.split(":")
    for _ in range(3):
        socket.create_connection((host, int(port))).close()
    assert main(["run", "sprites", "--headless", "--frames", "90", "--migrate-to", address]) == 0
    assert ended(process)[0] == 0


def test_a_run_that_ends_before_it_is_time(capfd: pytest.CaptureFixture[str]) -> None:
    command = ["run", "typing", "--headless", "--frames", "5", "--migrate-to", "127.0.0.1:1"]
    assert main(command) == 1
    assert capfd.readouterr().err == (
        "vgaemu: --migrate-to 127.0.0.1:1: due after 60 when the run ended at 5 frames\n"
    )


def test_the_benchmark_has_its_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = (
        bench.Case(0),
        bench.Case(100),
        bench.Case(None, downtime_ms=0.001),
        bench.Case(50, dirty_log="srcu", reads_file=True),
    )
    monkeypatch.setattr(bench, "CASES", cases)
    file = tmp_path / "rows.json"
    assert main(["bench", "migrate", "--runs", "1", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    assert [row["guest"] for row in rows] == 3 * ["writes"] + ["reads a file"]
    assert rows[0]["converges"] is True
    assert [row["asked_mb_s"] for row in rows] == ["0", "100", "all it can", "50"]
    assert all(row["sent_mb"] >= 67 and row["times_as_fast_as_plain"] > 0 for row in rows)
    assert "times_as_fast_as_plain" in capfd.readouterr().out
    assert threading.active_count() < 20
