"""What runs instead in a window that is open: a file that was dropped, a guest that was chosen."""

from __future__ import annotations

import socket
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vgaemu.cli.instead import entries, options_for, program_of
from vgaemu.cli.main import main
from vgaemu.cli.say import UsageError
from vgaemu.display.events import Close, Event, FileDropped, PauseToggled
from vgaemu.errors import TapeError
from vgaemu.guest.workloads._choose import COLUMNS, ROWS, Choice, Entry, chooser
from vgaemu.keys.queue import Key
from vgaemu.machine import Machine
from vgaemu.pc import is_image

TAPE = Path(__file__).parent / "oracle" / "tapes" / "attr_flipflop.tape"
HANGS_S = 30.0


def entry(name: str) -> Entry:
    return Entry(f"/x/{name}", name, f"{name}: all of it, " + "and more " * 12)


# --- the list -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "at", "first"),
    [
        (["up"], 0, 0),
        (["down", "down", "up"], 1, 0),
        (["end"], 39, 40 - ROWS),
        (["end", "home"], 0, 0),
        (["pagedown"], ROWS, 1),
        (["end", "pageup"], 39 - ROWS, 39 - ROWS),
        (["b"], 20, 20 - ROWS + 1),
        (["B", "b", "up", "a"], 0, 0),  # from the 20th of a round to the first
        (["z", "!", "f1", "space"], 0, 0),
    ],
)
def test_the_list_is_walked_by_keys(keys: list[str], at: int, first: int) -> None:
    names = [*(f"a{n}" for n in range(20)), *(f"b{n}" for n in range(20))]
    choice = Choice([entry(name) for name in names])
    for key in keys:
        choice.answer(Key(key, True, key if len(key) == 1 else ""))
    assert (choice.at, choice.first) == (at, first)


def test_the_list_is_drawn_and_says_what_was_chosen() -> None:
    chosen: list[str] = []
    left: list[bool] = []
    all_of_them = [entry(f"{chr(97 + n)}") for n in range(26)]
    workload = chooser(all_of_them, chosen.append, lambda: left.append(True))
    with Machine(workload) as machine:
        machine.tick(2)
        fresh = machine.screen.text()
        assert "a: all of it" in fresh[22]
        assert any("↓" in row[-1] for row in fresh)
        machine.keys.press("z")
        machine.tick(2)
        assert any(row[1:].startswith("  z  ") for row in machine.screen.text())
        assert any("↑" in row[-1] for row in machine.screen.text())
        machine.keys.press("enter")
        machine.tick(2)
        assert chosen == ["/x/z"]
        machine.keys.press("a")
        machine.tick(2)
        assert machine.screen.text() == fresh
        assert max(len(row.rstrip()) for row in fresh) <= COLUMNS
        machine.keys.press("esc")
        machine.tick(2)
        assert left == [True]
        assert machine.ended


def test_the_list_has_what_runs_without_arguments() -> None:
    guests = [found.guest for found in entries()]
    assert "typing" in guests
    assert not {"cat", "picture"} & {*guests}
    assert any(is_image(guest) for guest in guests)
    for guest in guests:
        assert program_of(guest).workload == guest
    for found in entries():
        assert found.what


# --- which program a file is --------------------------------------------------------------------


def test_a_file_is_run_by_its_name(tmp_path: Path) -> None:
    for name in ("a.img", "a.COM", "a.py"):
        assert program_of(f"/x/{name}").workload == f"/x/{name}"
    picture = tmp_path / "ü 1.PNG"
    Image.new("RGB", (4, 4)).save(picture)
    assert program_of(str(picture))[:2] == ("picture", (str(picture),))
    assert program_of(str(TAPE)).needs == {"vram_mib": 16}
    for name, why in (("none.png", "not a file"), ("", "not a file"), ("notes.txt", "no disk")):
        (tmp_path / "notes.txt").write_text("notes")
        with pytest.raises(UsageError, match=why):
            program_of(str(tmp_path / name))
    (tmp_path / "t.tape").write_text("no tape")
    with pytest.raises(TapeError, match=r"t\.tape"):
        program_of(str(tmp_path / "t.tape"))


def test_options_of_one_run_are_not_those_of_the_next() -> None:
    options = Namespace(
        workload="a.img", args=["x"], scale=2, cpu="kvm", screenshot=Path("x.png"), speed=2.0,
        stats_frames=True, frames=9, configured=frozenset(),
    )  # fmt: skip
    following = options_for(program_of("typing"), options)
    assert (following.workload, following.args, following.scale) == ("typing", [], 2)
    assert (following.screenshot, following.frames, following.cpu) == (None, None, None)
    assert following.stats_frames is False
    assert options_for(program_of("b.com"), options).cpu == "kvm"
    assert options.frames == 9


# --- in a window --------------------------------------------------------------------------------


@pytest.fixture
def act(dummy_driver: None, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`vgaemu run` with a window whose user does one thing after another, each in its time."""
    from vgaemu.display.window.window import WindowDisplay

    def run(arguments: list[str], *steps: tuple[str, list[Event]]) -> tuple[int, list[str]]:
        left, told = list(steps), []
        deadline = time.monotonic() + HANGS_S

        class User(WindowDisplay):
            made = 0

            def __init__(self, **options: object) -> None:
                User.made += 1
                super().__init__(**options)

            def poll(self) -> list[Event]:
                if time.monotonic() > deadline:
                    told.append("hangs")
                    return [Close()]
                super().poll()
                shown = self._stage.info.mode_name if self._stage else ""
                if left and (left[0][0] in (shown, *told) or left[0][0] == "at once"):
                    return left.pop(0)[1]
                return []

            def notice(self, text: str) -> None:
                if text:
                    told.append(text)
                super().notice(text)

        monkeypatch.setattr("vgaemu.display.window.window.WindowDisplay", User)
        status = main(arguments)
        assert left == []
        assert User.made <= 1
        return status, told

    return run


def press(*names: str) -> list[Event]:
    return [Key(name, down, name * (len(name) == 1)) for name in names for down in (True, False)]


def test_a_guest_is_chosen_then_files_are_dropped_in_the_same_window(
    act: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, ends = tmp_path / "broken.py", tmp_path / "ends.py"
    broken.write_text("def workload(guest:\n")
    ends.write_text("def workload(guest):\n    guest.set_mode(0x13)\n    yield\n    return 7\n")
    raises = tmp_path / "raises.py"
    raises.write_text("1 / 0\n")
    picture = tmp_path / "p.png"
    Image.new("RGB", (320, 200), (9, 9, 9)).save(picture)
    status, told = act(
        ["run"],
        ("text 80x25", press("m", "enter")),  # modex
        ("320x240x256", [PauseToggled(), FileDropped(str(tmp_path / "none.png"))]),
        (f"{tmp_path}/none.png: not a file; drop one that runs", [FileDropped(str(broken))]),
        (f"{broken}:1: not Python: '(' was never closed", [FileDropped(str(raises))]),
        (f"{raises}: failed while it was read", [FileDropped(str(TAPE))]),
        ("at once", [FileDropped(str(ends)), FileDropped(str(picture))]),
        ("the guest has ended with code 7; Ctrl+F9 quits", [Close()]),
    )
    assert "hangs" not in told
    assert status == 0
    output = capsys.readouterr()
    assert output.out.count("harvest") == 1
    assert "ZeroDivisionError" in output.err


def test_the_options_given_are_for_what_is_chosen(
    act: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "t.txt"
    status, told = act(
        ["run", "--dump-text", str(text), "--frames", "20"], ("at once", press("t", "enter"))
    )
    assert (status, "hangs" in told) == (0, False)
    assert len(text.read_text().splitlines()) == 50  # text50


def test_a_workload_in_python_that_is_chosen_runs_without_rewind(act: Callable) -> None:
    """Named on the command line it is refused: there one knows what it is."""
    no = "no rewind: a workload in Python cannot be kept as it is"
    status, told = act(["run", "--rewind", "1", "--frames", "9"], ("at once", press("c", "enter")))
    assert (status, told) == (0, [no])
    status, told = act(
        ["run", "--rewind", "1", "--frames", "9"],
        ("at once", [*press("s", "end"), *press("up", "enter")]),  # a guest in machine code
    )
    assert status == 0
    assert not {no, "hangs"} & {*told}


def test_who_looks_from_elsewhere_finds_the_next_one_at_the_same_port(
    act: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    status, told = act(
        ["run", "--view", str(port), "--record", str(tmp_path / "r.png"), "--frames", "9"],
        ("at once", press("c", "enter")),
    )
    assert (status, "hangs" in told) == (0, False)
    assert capsys.readouterr().out.count(f"127.0.0.1:{port}") == 4  # for viewers, for browsers
    assert (tmp_path / "r.png").exists()  # of what was chosen: the list would have been there first


def test_leaving_the_list_closes_the_window(act: Callable) -> None:
    status, told = act(["run"], ("text 80x25", press("esc")))
    assert (status, "hangs" in told) == (0, False)


def test_without_a_display_a_workload_is_to_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    assert main(["run"]) == 2
    assert capsys.readouterr().err == (
        "vgaemu: run: name a workload; 'vgaemu list' shows those there are\n"
    )
