"""`Machine` and `vgaemu run` with tapes and saved states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vgaemu.cli.main import main
from vgaemu.cli.playback import picture
from vgaemu.errors import StateError, TapeError, WorkloadError
from vgaemu.guest.workload import Guest, Slices
from vgaemu.machine import Machine
from vgaemu.tape import Tape


def drawing(guest: Guest) -> Slices:
    guest.set_mode(0x13)
    for n in range(8):
        guest.store(0xA0000 + 320 * n, bytes([n + 32]) * 320)
        yield


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def run(*arguments: object) -> int:
    return main(["run", "--headless", *map(str, arguments)])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {n}\n" for n in range(40)))
    return path


def test_a_machine_records_from_power_on(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    with Machine(drawing, record_tape=path) as machine:
        machine.tick(20)
        shown = picture(machine.vga)
    assert main(["replay", str(path), "--screenshot", str(tmp_path / "t.png")]) == 0
    np.testing.assert_array_equal(pixels(tmp_path / "t.png"), shown)


def test_a_machine_that_does_not_start_closes_its_tape(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    with pytest.raises(WorkloadError):
        Machine("no_such_workload", record_tape=path)
    with Tape(path) as tape:
        assert tape.name == "t"
    with pytest.raises(TapeError, match="No such file"):
        Machine(record_tape=tmp_path / "no" / "t.tape")


def test_a_machine_goes_on_from_a_state(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with Machine(mode=0x03) as machine:
        machine.tick(20)  # the cursor is hidden
        machine.save_state(path)
        saved = machine.screen.full_redraw()
        machine.tick(13)  # and shown
        assert (machine.screen.full_redraw() != saved).any()
    with Machine(mode=0x13) as machine:
        machine.tick(3)
        machine.load_state(path)
        machine.tick()
        np.testing.assert_array_equal(machine.screen.frame, saved)
        np.testing.assert_array_equal(machine.screen.full_redraw(), saved)
        assert machine.frames == 4
        machine.tick(12)
        assert (machine.screen.frame != saved).any()
        machine.save_state(path)
        with pytest.raises(StateError):
            machine.load_state(tmp_path / "none.npz")


def test_the_options(tmp_path: Path, text: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tape, state = tmp_path / "t.tape.gz", tmp_path / "s.npz"
    shots = [tmp_path / f"{n}.png" for n in range(3)]
    assert (
        run("cat", text, "--record-tape", tape, "--save-state", state, "--screenshot", shots[0])
        == 0
    )
    assert run("--load-state", state, "--frames", 1, "--screenshot", shots[1]) == 0
    assert main(["replay", str(tape), "--screenshot", str(shots[2])]) == 0
    np.testing.assert_array_equal(pixels(shots[1]), pixels(shots[0]))
    # A replay shows the cursor, a run may have ended while it was hidden.
    assert np.count_nonzero((pixels(shots[2]) != pixels(shots[0])).any(axis=2)) <= 9 * 16
    assert capfd.readouterr().err == ""


def test_refusals_are_one_line(
    tmp_path: Path, text: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "s.npz"
    state.write_bytes(b"no state")
    for arguments, what in (
        ([], "name a workload"),
        (["--load-state", state], "--headless needs --frames"),
        (["cat", text, "--load-state", state], "s.npz: damaged, or no saved state"),
        (["cat", text, "--load-state", tmp_path / "none"], "none: No such file"),
        (["cat", text, "--load-state", state, "--record-tape", "t"], "a tape starts at power on"),
        (["cat", text, "--record-tape", tmp_path], "irectory"),
        (["cat", text, "--save-state", tmp_path / "no" / "s.npz"], "s.npz: No such file"),
    ):
        assert run(*arguments) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("vgaemu: ")
        assert what in err
        assert err.count("\n") == 1
