"""Native code: whether it is there and why not, and the guest's time that it shares with Python."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from array import array
from pathlib import Path

import numpy as np
import pytest

from vgaemu import native
from vgaemu.cli import info
from vgaemu.native import kept
from vgaemu.pc.clock import StepClock

needs_native = pytest.mark.skipif(
    native.why_not() is not None, reason=f"no native code: {native.why_not()}"
)


def test_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to do."""

    def told(release: str | None) -> str | None:
        monkeypatch.setattr(native, "_release", lambda: release)
        return native.why_not()

    monkeypatch.delenv("VGAEMU_NATIVE", raising=False)
    assert told("0.60.9") == "numba 0.60.9 is too old; pip install 'numba>=0.61'"
    assert told("0.61.0rc1") is None
    assert told(None) == "numba is not installed; pip install 'vgaemu[fast]'"
    monkeypatch.setattr(native.platform, "machine", lambda: "aarch64")
    assert "not aarch64" in str(told("0.61.0"))
    monkeypatch.setenv("VGAEMU_NATIVE", "0")
    assert told("0.61.0") == "switched off by VGAEMU_NATIVE=0"
    assert native.load(wait=True) == {}
    assert native.told() == "by Python: switched off by VGAEMU_NATIVE=0"


def test_info_says_which_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def line() -> str:
        return next(line for line in info.lines() if line.startswith("planes of machine code: "))

    monkeypatch.delenv("VGAEMU_NATIVE", raising=False)
    monkeypatch.setattr(native, "_release", lambda: "1.0")
    monkeypatch.setattr(native, "why_not", lambda: None)
    monkeypatch.setattr("vgaemu.folders.cache_folder", lambda: tmp_path / "cache")
    folder = tmp_path / "cache" / native._stamp()
    assert line().endswith(f": native, by numba 1.0; kept in {folder}")
    (tmp_path / "file").touch()
    monkeypatch.setattr("vgaemu.folders.cache_folder", lambda: tmp_path / "file")
    assert line().endswith(f"; compiled anew in each process: cannot write {tmp_path / 'file'}")
    monkeypatch.setattr(native, "why_not", lambda: "no numba")
    assert line() == "planes of machine code: by Python: no numba"


@needs_native
def test_numba_leaves_standard_output_and_errors_alone() -> None:
    """Where colorama is installed it would put something else there while it works."""
    code = (
        "from vgaemu import native; made = native.load(wait=True); from numba.core import errors;"
        "import os; assert not hasattr(errors, 'ColorShell'); print(len(made), sorted(os.environ))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert "HIGHLIGHTING" not in done.stdout
    folder = native.cache_folder()
    if folder is not None:  # all of it is kept
        assert len([*folder.glob("*/*.nbi")]) >= int(done.stdout.split()[0])


def test_another_process_compiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once: others wait for it, but not for one that came to no end."""
    begun = []

    def run(command: list[str], **options: object) -> None:
        assert (tmp_path / kept.LOCK).exists()
        begun.append(command[1:])
        (tmp_path / kept.READY).touch()

    monkeypatch.setattr(subprocess, "run", run)
    lock = tmp_path / kept.LOCK
    lock.touch()
    os.utime(lock, (0, 0))
    native._have_compiled(tmp_path)
    native._have_compiled(tmp_path)
    assert begun == [["-m", "vgaemu.native"]]
    assert not lock.exists()


def _folder(root: Path, number: int, days: float, ready: bool = True) -> Path:
    """One of another version, used so many days ago."""
    folder = root / f"native-{number:016x}"
    (folder / "deep").mkdir(parents=True)
    then = time.time() - days * kept.DAY_S
    for name in ("deep/code.nbi", kept.READY):
        if ready or name != kept.READY:
            (folder / name).touch()
            os.utime(folder / name, (then, then))
    os.utime(folder, (then, then))
    return folder


def test_folders_of_other_versions_go_after_a_month(tmp_path: Path) -> None:
    """What is used, however old, what is another program's, and what a link leads to stays."""
    used = _folder(tmp_path, 1, 90)
    recent, old = _folder(tmp_path, 2, 29), _folder(tmp_path, 3, 31)
    begun, given_up = (_folder(tmp_path, 4 + at, 60 * at, ready=False) for at in range(2))
    other = _folder(tmp_path / "elsewhere", 6, 90)
    (tmp_path / other.name).symlink_to(other)
    foreign = tmp_path / "numbers"
    other.parent.rename(foreign)
    half_gone = tmp_path / f"leaving-{old.name}"
    half_gone.mkdir()
    kept.remove_unused(used)
    assert {*tmp_path.iterdir()} == {used, recent, begun, tmp_path / other.name, foreign}
    assert not given_up.exists()
    assert (foreign / other.name / kept.READY).exists()
    assert not kept.is_ready(old)


def test_who_uses_a_folder_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also in the moment in which another process is about to remove it."""
    used, old = _folder(tmp_path, 1, 0), _folder(tmp_path, 2, 40)
    assert kept.is_due(old)
    rename = Path.rename

    def after_it_is_loaded(path: Path, target: Path) -> Path:
        if path == old / kept.READY:
            assert kept.is_ready(old)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", after_it_is_loaded)
    kept.remove_unused(used)
    assert kept.is_ready(old)
    assert (old / "deep" / "code.nbi").exists()
    assert not kept.is_due(old)


@pytest.mark.long
@needs_native
def test_a_cold_cache(tmp_path: Path) -> None:
    """``pytest -m long tests/test_native.py``: half a minute; what one process compiles the next
    has at once."""
    code = "from vgaemu import native; print(len(native.load(wait=True)))"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    for limit_s in (200, 30):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, timeout=limit_s, check=True,
            capture_output=True,
        )  # fmt: skip
        assert int(done.stdout) >= 3
    assert [path.name for path in tmp_path.glob("vgaemu/*/ready")] == [kept.READY]


def test_vgaemu_does_not_import_numba() -> None:
    code = "import sys, vgaemu, vgaemu.machine, vgaemu.native; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == [b"False"]


class TwoClocks:
    """The clocks of two engines in a slice: the second shares its time with native code."""

    def __init__(self, limit_ns: int) -> None:
        self.counts = array("Q", [0, 10_000]), array("Q", [0, 10_000])
        self.clocks = StepClock(), StepClock()
        self.clocks[1].share(self.counts[1].buffer_info()[0])
        for clock, count in zip(self.clocks, self.counts, strict=True):
            clock.set_ns(1_000_007)
            clock.begin_slice(1_330_007, limit_ns, count, lambda: None)

    def go(self, instructions: int) -> None:
        for count in self.counts:
            count[0] = min(count[0] + instructions, count[1])

    def stop(self) -> None:
        """The engine comes back, and is let go for what is left."""
        for clock, count in zip(self.clocks, self.counts, strict=True):
            clock.executed(count[0])
            count[0], count[1] = 0, max(clock.instructions_left(), 0)

    def check(self) -> None:
        one, other = self.clocks
        assert one.now_ns() == other.now_ns()
        assert self.counts[0] == self.counts[1]


@needs_native
@pytest.mark.parametrize("seed", range(20))
def test_native_code_and_python_let_the_same_time_pass(seed: int) -> None:
    """Costs of both kinds, what is due, waits and steps back in turn: times, counts, events."""
    native.load(wait=True)
    from vgaemu.native.clock import cost

    rng = random.Random(seed)
    two = TwoClocks(rng.choice((1_330_007, 1_200_000, 2_000_000)))
    cells = np.frombuffer(two.clocks[1].cells, np.int64)
    for _ in range(60):
        two.go(rng.randrange(40))
        ns, what = rng.choice((0, 1, 500, 1000, 4000, 20_011)), rng.random()
        if what < 0.6:
            two.clocks[0].cost(ns)
            cost(cells, ns)
        elif what < 0.9:
            for clock in two.clocks:
                clock.cost(ns)
                assert clock.events == two.clocks[0].events
        elif what < 0.93:
            for clock in two.clocks:
                clock.cost(0)
                clock.wait(clock.ns + ns)
        elif what < 0.96:
            for clock in two.clocks:
                clock.due(clock.now_ns() + ns)
        elif what < 0.98:
            for clock in two.clocks:
                clock.cost(ns)
                clock.turn_back(clock.ns - ns)
                clock.cost(0)
        else:
            two.stop()
        two.check()
    for clock in two.clocks:
        clock.end_slice(0)
    two.check()
    assert two.clocks[0].events == two.clocks[1].events
