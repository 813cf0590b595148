"""What the system does not give: memory, threads, files, an encoding, somebody who listens."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keepers import skip_unless_available

from vgaemu import Machine
from vgaemu.cli.main import main
from vgaemu.cli.say import say
from vgaemu.errors import OutOfMemory
from vgaemu.memslot import Memslot
from vgaemu.memslot.keeper import AnonymousMemory, anonymous_memory
from vgaemu.memslot.kvm import ioctl
from vgaemu.memslot.kvm.guest import KvmGuest

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

ROOT = Path(__file__).parents[1]
PLASMA = ROOT / "examples" / "guests" / "plasma.img"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def vgaemu(*arguments: object, **more: Any) -> tuple[int, str]:
    """A child's exit status and complaints."""
    ended = subprocess.run(
        [sys.executable, "-m", "vgaemu", *map(str, arguments)],
        stderr=subprocess.PIPE, timeout=60, env=ENVIRONMENT, check=False, **more,
    )  # fmt: skip
    return ended.returncode, ended.stderr.decode(errors="replace")


@pytest.mark.parametrize(
    ("what", "nbytes"), [("RAM", 16 << 20), ("VRAM", 8 << 20), ("translated code", 256 << 20)]
)
def test_memory_that_is_not_there_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, nbytes: int
) -> None:
    pytest.importorskip("unicorn")

    def gives(fileno: int, length: int, **options: int) -> AnonymousMemory:
        if length == nbytes:
            raise OSError(12, "Cannot allocate memory")
        return AnonymousMemory(fileno, length, **options)

    monkeypatch.setattr("vgaemu.memslot.keeper.AnonymousMemory", gives)
    if what == "VRAM":
        with pytest.raises(OutOfMemory, match="no 8,388,608 bytes"):
            Machine(vram_mib=8)
        return
    assert main(["run", str(PLASMA), "--headless", "--frames", "1"]) == 2
    why = "of memory to be had: [Errno 12] Cannot allocate memory"
    assert capsys.readouterr().err == f"vgaemu: no {nbytes:,} bytes {why}\n"


def test_more_than_an_address_space() -> None:
    with pytest.raises(OutOfMemory, match="bytes of memory to be had"):
        anonymous_memory(1 << 80)


def test_memory_that_runs_out_in_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the run was to leave is left."""

    def draw_frame(self: object) -> None:
        raise MemoryError("Unable to allocate 9 MiB")

    monkeypatch.setattr("vgaemu.display.loop.DisplayLoop.draw_frame", draw_frame)
    state = tmp_path / "s.npz"
    options = ("--headless", "--frames", "3", "--save-state", str(state))
    assert main(["run", "typing", *options]) == 2
    said = "vgaemu: no memory to be had: Unable to allocate 9 MiB\n"
    assert capsys.readouterr().err == said
    assert state.exists()


def limited(resource_name: str, value: int) -> Callable[[], None]:
    resource = pytest.importorskip("resource")
    number = getattr(resource, resource_name)
    return lambda: resource.setrlimit(number, (value, value))


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize("mib", [130, 150, 170, 200])
def test_little_address_space(tmp_path: Path, mib: int) -> None:
    options = ("--headless", "--frames", 2, "--screenshot", tmp_path / "s.png")
    status, err = vgaemu(
        "run", PLASMA, *options, preexec_fn=limited("RLIMIT_AS", mib << 20), stdout=-3
    )
    assert status in (0, 1, 2)  # 1: numpy's libraries end a process by themselves
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize("files", [5, 7, 9])
@pytest.mark.parametrize("options", [["typing", "--dirty-log", "mmu"], [PLASMA, "--cpu", "kvm"]])
def test_few_files(files: int, options: list[object]) -> None:
    limits = limited("RLIMIT_NOFILE", files)
    status, err = vgaemu("run", *options, "--headless", "--frames", 1, preexec_fn=limits, stdout=-3)
    assert status in (0, 2)
    assert "Traceback" not in err
    assert err.count("\n") <= 1


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ended: list[bool] = []

    def workload(guest: object) -> Any:
        try:
            while True:
                yield
        finally:
            ended.append(True)

    monkeypatch.setattr(threading.Thread, "start", start)
    with Machine(workload) as machine:
        machine.tick()
    assert ended == [True]
    with (
        pytest.raises(OutOfMemory, match="no thread for the guest"),
        Machine("typing", free=True) as m,
    ):
        m.tick()


def test_output_that_cannot_hold_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, shown in (("ascii", b"ex\\xfc\\u2603\n"), ("latin-1", b"ex\xfc\\u2603\n")):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        say("ex\u00fc\u2603")
        assert raw.getvalue() == shown


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
@pytest.mark.parametrize("closed", [False, True])
def test_complaints_that_nobody_hears_stop_nothing(tmp_path: Path, closed: bool) -> None:
    program, stats = tmp_path / "fails.py", tmp_path / "s.json"
    program.write_text("def workload(guest):\n    yield\n    raise KeyError('mine')\n")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "vgaemu", "run", program, "--headless", "--stats", stats]
    ended = subprocess.run(
        command, stderr=write, stdout=subprocess.PIPE, text=True, timeout=60, env=ENVIRONMENT,
        preexec_fn=(lambda: os.close(2)) if closed else None, check=False,
    )  # fmt: skip
    os.close(write)
    assert ended.returncode == 1
    assert "KeyError" not in ended.stdout
    assert json.loads(stats.read_text())["totals"]["frames"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has KVM")
def test_signals_interrupt_no_ioctl_for_good() -> None:
    """Ctrl-Z and fg, or a handler that says nothing: a guest of a KVM log goes on."""
    skip_unless_available("kvm")
    slot = Memslot(2048, dirty_log="kvm")
    guest = KvmGuest(slot.keeper, native=False)
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        until = time.monotonic() + 10
        while len(came) < 200 and time.monotonic() < until:
            guest.write_pages(range(2048))
            assert len(slot.get_dirty_log().pages()) == 2048
            ioctl.KvmVm().close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_workloads_have_words_without_docstrings() -> None:
    command = [sys.executable, "-OO", "-m", "vgaemu", "list"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert all(len(line.split(maxsplit=1)) == 2 for line in ended.stdout.splitlines())
