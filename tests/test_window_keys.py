"""What the window's keys do: states in slots, turbo, paste and copy, the mouse, files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vgaemu.cli.main import main
from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import (
    CopyText,
    Event,
    FileDropped,
    LoadState,
    MouseButton,
    MouseMoved,
    MouseWanted,
    Paste,
    RecordingToggled,
    SaveState,
    SlotStep,
    Turbo,
)
from vgaemu.display.hostkeys import HOST_KEYS
from vgaemu.errors import DisplayError
from vgaemu.folders import state_folder
from vgaemu.guest.workload import Guest, Slices
from vgaemu.keys.queue import Key, Keys
from vgaemu.machine import Machine
from vgaemu.pc.pace import RACE_FACTOR, WallClock
from vgaemu.slots import SLOTS, name_for
from vgaemu.typist import MOST, Typist

HANGS_S = 10.0


class User(BaseDisplay):
    """A display whose user does what is put here, and reads what is said."""

    can_be_closed = True

    def __init__(self) -> None:
        self.does: list[Event] = []
        self.told: list[str] = []
        self.captured = False

    def poll(self) -> list[Event]:
        does, self.does = self.does, []
        return does

    def notice(self, text: str) -> None:
        self.told.append(text)

    def capture_mouse(self) -> None:
        self.captured = True


def do(machine: Machine, user: User, *events: Event, frames: int = 3) -> str:
    """Let the user do something; what is said last."""
    user.does += events
    machine.tick(frames)
    return user.told[-1] if user.told else ""


def until(machine: Machine, true: Callable[[], bool]) -> None:
    """Run frames until something is so."""
    deadline = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < deadline
        machine.tick()
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    return tmp_path / "states" / "vgaemu"


def counting(guest: Guest) -> Slices:
    for n in range(1 << 30):
        guest.text.write_at(0, 0, f"{n:08}")
        yield


def counted(machine: Machine) -> int:
    return int(machine.screen.text()[0][:8])


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Shows what is typed, from the second row on."""
    pytest.importorskip("unicorn")
    path = tmp_path / "echo.com"
    path.write_bytes(bytes.fromhex(
        "B800B8 8EC0 BFA000"  # mov ax, B800h; mov es, ax; mov di, 160
        "B400 CD16 B40F AB"  # again: mov ah, 0; int 16h; mov ah, 0Fh; stosw
        "EBF7"  # jmp again
    ))  # fmt: skip
    return path


# --- states -------------------------------------------------------------------------------------


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
def test_a_python_guests_picture_comes_back(states: Path, free: bool) -> None:
    user = User()
    with Machine(counting, display=user, free=free) as machine:
        said = do(machine, user, SaveState())
        assert said == "slot 0: saved; a Python guest's picture, not its program"
        assert [path.name for path in states.iterdir()] == ["vgaemu-counting-0.npz"]
        machine.tick(5)
        said = do(machine, user, LoadState())
        assert said.startswith("slot 0: goes on from saved 20")


@pytest.mark.parametrize("cpu", ["unicorn", "kvm"])
def test_machine_code_goes_back_while_it_runs(program: Path, states: Path, cpu: str) -> None:
    if cpu == "kvm":
        pytest.importorskip("fcntl")
        if not Path("/dev/kvm").exists():
            pytest.skip("no /dev/kvm")
    user = User()
    with Machine(program, display=user, free=True, cpu=cpu) as machine:
        do(machine, user, Key("a", True, "a"), Key("a", False))
        until(machine, lambda: machine.screen.text()[1].startswith("a"))
        assert do(machine, user, SaveState()) == "slot 0: saved"
        do(machine, user, Key("b", True, "b"), Key("b", False))
        until(machine, lambda: machine.screen.text()[1].startswith("ab"))
        for _ in range(2):
            assert do(machine, user, LoadState()).startswith("slot 0: goes on from saved 20")
            until(machine, lambda: machine.screen.text()[1].startswith("a "))
            do(machine, user, Key("c", True, "c"), Key("c", False))
            until(machine, lambda: machine.screen.text()[1].startswith("ac"))


def test_no_key_is_held_in_a_state_that_is_loaded(program: Path) -> None:
    user = User()
    with Machine(program, display=user, free=True) as machine:
        do(machine, user, Key("x", True, "x"))
        until(machine, lambda: machine.screen.text()[1].startswith("x"))
        assert machine.pc is not None
        keyboard = machine.pc.board.keyboard
        until(machine, lambda: keyboard.held is not None)
        do(machine, user, SaveState())
        do(machine, user, Key("x", False))
        until(machine, lambda: keyboard.held is None)
        do(machine, user, LoadState())
        until(machine, lambda: keyboard.held is None)
        assert machine.keys.down == []


def test_slots_are_ten_and_tell_what_is_in_them(states: Path) -> None:
    user = User()
    with Machine(counting, display=user) as machine:
        assert do(machine, user, LoadState()) == "slot 0: empty"
        assert do(machine, user, SlotStep(-1)) == f"slot {SLOTS - 1}: empty"
        do(machine, user, SaveState())
        assert do(machine, user, SlotStep(1)) == "slot 0: empty"
        assert do(machine, user, SlotStep(-1)).startswith(f"slot {SLOTS - 1}: saved 20")
    assert [path.name for path in states.iterdir()] == [f"vgaemu-counting-{SLOTS - 1}.npz"]


def test_a_state_that_cannot_be_is_told(states: Path) -> None:
    user = User()
    with Machine(counting, display=user) as machine:
        states.parent.mkdir()
        states.write_bytes(b"")  # a file where the folder should be
        assert f"{states}: " in do(machine, user, SaveState())
        states.unlink()
        states.mkdir()
        (states / "vgaemu-counting-0.npz").write_bytes(b"nonsense")
        assert "vgaemu-counting-0.npz: " in do(machine, user, LoadState())
        assert not machine.ended


def test_names_of_slots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert name_for("typing") == "typing"
    assert name_for("a/boot.img") != name_for("b/boot.img")
    assert name_for(tmp_path / "boot.img") == name_for(str(tmp_path / "boot.img"))
    for odd in ("/x/ü ö;\n$(rm).com", "/x/" + "a" * 240 + ".img"):
        assert "/" not in name_for(odd)
        assert name_for(odd).isprintable()
        assert len(name_for(odd)) < 100
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder() == Path.home() / ".local" / "state" / "vgaemu"


# --- turbo --------------------------------------------------------------------------------------


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
def test_in_turbo_a_guest_does_more_in_a_frame(free: bool) -> None:
    user = User()
    with Machine(counting, display=user, free=free) as machine:
        machine.run(4)
        do(machine, user, Turbo(True))
        frames, begin = machine.frames, counted(machine)
        deadline = time.monotonic() + HANGS_S
        while counted(machine) - begin < 20 * (machine.frames - frames + 1):
            assert time.monotonic() < deadline
            machine.run(machine.frames + 5)
        do(machine, user, Turbo(False))
        frames, begin = machine.frames, counted(machine)
        machine.run(frames + 20)
        assert counted(machine) - begin <= machine.frames - frames + 1


def test_in_turbo_the_clock_of_machine_code_goes_faster(program: Path) -> None:
    user = User()
    with Machine(program, display=user, free=True) as machine:
        assert machine.pc is not None
        clock = machine.pc.clock
        do(machine, user, Turbo(True))
        begin, began = clock.now_ns(), time.perf_counter_ns()
        machine.run(machine.frames + 10)
        assert clock.now_ns() - begin > 2 * (time.perf_counter_ns() - began)
        do(machine, user, Turbo(False))
        assert not machine.ended


def test_a_clock_that_races_jumps_nowhere() -> None:
    clock = WallClock()
    clock.start()
    times = [clock.now_ns()]
    for on in (True, False, True):
        clock.race(on)
        times.append(clock.now_ns())
    assert times == sorted(times)
    assert times[-1] < 1_000_000_000 * RACE_FACTOR
    clock.stop()
    stopped = clock.now_ns()
    clock.race(False)
    assert clock.now_ns() == stopped


# --- paste and copy -----------------------------------------------------------------------------


def test_what_is_pasted_arrives_in_machine_code_as_it_is(program: Path) -> None:
    text = "The quick brown fox, 'Jumps' over {THE} lazy dog! 0123456789~ " * 3
    user = User()
    with Machine(program, display=user, free=True) as machine:
        do(machine, user, Paste(text))
        until(machine, lambda: "".join(machine.screen.text()[1:]).rstrip() == text.rstrip())
    assert user.told == []


def test_a_program_that_reads_slowly_loses_nothing(program: Path) -> None:
    """The BIOS keeps 15 keys: others would be lost."""
    slow = bytes.fromhex("BB0800 31C9 E2FE 4B 75F9")  # mov bx, 8; xor cx, cx; loop $; dec bx; jnz
    code = program.read_bytes()
    program.write_bytes(code[:8] + slow + code[8:-2] + b"\xeb" + bytes((code[-1] - len(slow),)))
    text = "".join(chr(0x41 + n % 50) for n in range(48))
    user = User()
    with Machine(program, display=user) as machine:
        do(machine, user, Paste(text), frames=150)
        assert "".join(machine.screen.text()[1:]).rstrip() == text


def test_what_no_key_types_is_named_once(program: Path) -> None:
    user = User()
    with Machine(program, display=user, free=True) as machine:
        assert do(machine, user, Paste("aé\x1bßéb")) == "no key types é U+001B ß"
        until(machine, lambda: machine.screen.text()[1].startswith("ab"))
    assert len(user.told) == 1


def test_a_python_guest_takes_what_no_us_key_types() -> None:
    typed = []

    def workload(guest: Guest) -> Slices:
        while True:
            typed.append(guest.keys.typed())
            yield

    user = User()
    with Machine(workload, display=user) as machine:
        do(machine, user, Paste("né\r\nß\r\n"), frames=8)
    assert "".join(typed) == "né\nß\n"
    assert max(map(len, typed)) <= 4
    assert user.told == []


def test_pasting_again_stops_it_and_nothing_is_typed_ahead_of_the_guest() -> None:
    told: list[str] = []
    frames: list[Callable[[], None]] = []
    keys = Keys()
    typist = Typist(keys, None, told.append, frames)
    typist.begin("x" * 300, "Ctrl+Shift+V")
    assert told == ["typing 300 characters; Ctrl+Shift+V stops"]
    for _ in range(5):  # nobody takes them
        for companion in list(frames):
            companion()
    assert len(keys) == 8  # four keys, down and up
    typist.begin("y", "")
    assert told[1] == "typing stopped, 296 characters left out"
    assert frames == []
    typist.begin("", "")
    assert told[2] == "nothing to paste: the clipboard has no text"


def test_whatever_is_pasted_has_bounds() -> None:
    told: list[str] = []
    typist = Typist(Keys(), None, told.append, [])
    typist.begin("x" * (2 * MOST) + "\x00", "Ctrl+Shift+V")
    assert told == [f"only the first {MOST} characters are typed; Ctrl+Shift+V stops"]
    assert len(typist) == MOST
    typist.stop()
    controls = "".join(map(chr, range(0x20))).replace("\t", "").replace("\n", "")
    typist.begin(controls, "")
    assert told[1] == "no key types U+0000 U+0001 U+0002 U+0003 U+0004 U+0005 U+0006 U+0007 ..."
    assert len(typist) == 1  # a carriage return ends a line


def test_the_text_of_the_screen_is_copied() -> None:
    user = User()
    got: list[str] = []

    def refuses(text: str) -> None:
        raise DisplayError("the clipboard takes nothing")

    with Machine(counting, display=user) as machine:
        machine.tick(3)
        assert do(machine, user, CopyText(got.append)) == "copied 1 rows"
        assert got == [f"{counted(machine) - 3:08}\n"]
        assert do(machine, user, CopyText(refuses)) == "the clipboard takes nothing"
    with Machine(mode=0x13, display=user) as machine:
        assert do(machine, user, CopyText(got.append)).startswith("no text to copy: the mode is ")
    with Machine(display=user) as machine:
        assert do(machine, user, CopyText(got.append)) == "no text to copy: the screen is blank"
    assert len(got) == 1


# --- the others ---------------------------------------------------------------------------------


def test_the_mouse_is_captured_where_a_guest_listens() -> None:
    user = User()
    with Machine(counting, display=user) as machine:
        assert do(machine, user, MouseWanted(by_click=True)) == ""
        assert do(machine, user, MouseWanted()) == "the guest listens to no mouse"
        assert not user.captured
        machine.mouse.listening = True
        do(machine, user, MouseWanted(by_click=True))
        assert user.captured


def test_a_machine_of_a_script_refuses_files() -> None:
    user = User()
    with Machine(counting, display=user) as machine:
        assert do(machine, user, FileDropped("/x/a.img")).startswith("/x/a.img: ")


def test_keys_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for key in HOST_KEYS:
        assert any(line.startswith(key.combinations[0]) and key.help in line for line in lines)
    assert max(map(len, lines)) <= 80


# --- in a window --------------------------------------------------------------------------------


class Sdl:
    """A window, and what SDL tells it."""

    def __init__(self) -> None:
        import pygame

        from vgaemu.display.window.window import WindowDisplay

        self.pygame = pygame
        self.window = WindowDisplay()

    def post(self, kind: str, **what: object) -> None:
        self.pygame.event.post(self.pygame.event.Event(getattr(self.pygame, kind), what))

    def press(self, key: str, mod: int = 0, text: str = "") -> None:
        self.post("KEYDOWN", key=getattr(self.pygame, f"K_{key}"), mod=mod, unicode=text)

    def release(self, key: str) -> None:
        self.post("KEYUP", key=getattr(self.pygame, f"K_{key}"), mod=0, unicode="")

    @property
    def title(self) -> str:
        return str(self.pygame.display.get_caption()[0])


@pytest.fixture
def sdl(dummy_driver: None) -> Iterator[Sdl]:
    sdl = Sdl()
    with Machine(display=sdl.window) as machine:
        machine.tick()
        sdl.window.poll()
        yield sdl


def test_turbo_lasts_while_its_key_is_held_and_lets_keys_go(sdl: Sdl) -> None:
    sdl.press("LALT")
    sdl.press("F12", sdl.pygame.KMOD_LALT)
    sdl.press("F12", sdl.pygame.KMOD_LALT)  # it repeats
    assert sdl.window.poll() == [Key("alt", True), Turbo(True)]
    assert "TURBO" in sdl.title
    sdl.release("F12")
    assert sdl.window.poll() == [Key("alt", False), Turbo(False)]
    assert "TURBO" not in sdl.title


def test_turbo_ends_with_the_focus(sdl: Sdl) -> None:
    sdl.press("F12", sdl.pygame.KMOD_LALT)
    sdl.post("WINDOWFOCUSLOST")
    sdl.release("F12")
    assert sdl.window.poll() == [Turbo(True), Turbo(False)]


@pytest.mark.parametrize(("key", "event"), [("F1", SaveState()), ("F2", LoadState())])
def test_a_state_has_no_keys_held(sdl: Sdl, key: str, event: Event) -> None:
    sdl.press("LEFT")
    sdl.press("LCTRL")
    sdl.press(key, sdl.pygame.KMOD_LCTRL)
    sdl.release("LCTRL")
    assert sdl.window.poll()[2:] == [Key("left", False), Key("ctrl", False), event]
    sdl.press("LEFT")  # it repeats
    assert sdl.window.poll() == [Key("left", True)]


def test_modifiers_tell_one_key_from_another(sdl: Sdl) -> None:
    ctrl, shift = sdl.pygame.KMOD_LCTRL, sdl.pygame.KMOD_RSHIFT
    sdl.press("F1", ctrl | shift)
    sdl.press("F2", ctrl | shift)
    sdl.press("F7", ctrl)
    sdl.press("F3", ctrl | shift)  # nobody's but the guest's
    assert sdl.window.poll() == [SlotStep(-1), SlotStep(1), RecordingToggled(), Key("f3", True)]


def test_a_file_and_a_click(sdl: Sdl) -> None:
    view = sdl.window.viewport
    sdl.post("DROPFILE", file="/x/game.img")
    for button, pos in ((1, (view.x, view.y)), (1, (view.x - 1, view.y)), (3, (view.x, view.y))):
        sdl.post("MOUSEBUTTONDOWN", button=button, pos=pos)
    assert sdl.window.poll() == [FileDropped("/x/game.img"), MouseWanted(by_click=True)]


def test_a_captured_mouse_is_the_guests_until_it_is_freed(sdl: Sdl) -> None:
    sdl.window.capture_mouse()
    assert "Ctrl+F10 frees it" in sdl.title
    sdl.window.poll()
    for rel in ((1, 2), (3, -4)):
        sdl.post("MOUSEMOTION", rel=rel, pos=(0, 0), buttons=(0, 0, 0))
    for button in (3, 4):
        sdl.post("MOUSEBUTTONDOWN", button=button, pos=(0, 0))
    sdl.post("MOUSEWHEEL", x=0, y=1)
    moved = [MouseMoved(4, -2), MouseButton(3, True), MouseMoved(0, 0, -1)]
    assert sdl.window.poll() == moved
    sdl.window.notice("")
    assert sdl.title.endswith("Ctrl+F10 mouse")
    sdl.press("F10", sdl.pygame.KMOD_LCTRL)
    assert sdl.window.poll() == [MouseButton(3, False)]
    sdl.post("MOUSEMOTION", rel=(1, 1), pos=(0, 0), buttons=(0, 0, 0))
    assert sdl.window.poll() == []


def test_another_machine_finds_nothing_paused_held_or_captured(sdl: Sdl) -> None:
    sdl.window.pauses(True)
    sdl.press("F12", sdl.pygame.KMOD_LALT)
    sdl.window.stands_still("the guest has ended")
    sdl.window.capture_mouse()
    sdl.window.poll()
    sdl.window.begin_anew()
    for said in ("PAUSED", "TURBO", "ended", "mouse - "):
        assert said not in sdl.title


def test_paste_and_copy_are_the_systems_clipboard(
    sdl: Sdl, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vgaemu.display.window import window

    monkeypatch.setattr(window, "clipboard_text", lambda: "from elsewhere")
    ctrl_shift = sdl.pygame.KMOD_LCTRL | sdl.pygame.KMOD_LSHIFT
    sdl.press("LCTRL")
    sdl.press("v", ctrl_shift)
    sdl.press("c", ctrl_shift)
    sdl.press("INSERT", sdl.pygame.KMOD_LSHIFT)
    paste = Paste("from elsewhere")
    copy = CopyText(window.put_into_clipboard)
    assert sdl.window.poll() == [Key("ctrl", True), Key("ctrl", False), paste, copy, paste]


# --- in an X server -----------------------------------------------------------------------------

#: A guest that shows what is typed, and ends with Escape; a file says that it is there.
ECHO = """
def workload(guest, ready):
    yield
    open(ready, "w").close()
    while True:
        for key in iter(guest.keys.get, None):
            if key.pressed and key.name == "esc":
                return
            if key.pressed and key.text:
                guest.text.print(key.text, end="")
        yield
"""


@pytest.fixture
def x_server() -> Iterator[dict[str, str]]:
    """The environment of programs in an Xvfb of the test's own."""
    for program in ("Xvfb", "xdotool", "xclip"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install xvfb xdotool xclip")
    read, write = os.pipe()
    options = ("-displayfd", str(write), "-noreset", "-nolisten", "tcp")
    server = subprocess.Popen(["Xvfb", *options], pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as answer:
        number = answer.readline().strip()
    environment = {name: value for name, value in os.environ.items() if name != "SDL_VIDEODRIVER"}
    yield environment | {"DISPLAY": f":{number}"}
    server.terminate()
    server.wait(HANGS_S)


def test_a_real_clipboard_and_real_keys(tmp_path: Path, x_server: dict[str, str]) -> None:
    """What xclip has is typed, what is copied xclip gets; xdotool presses the keys."""
    program = tmp_path / "echo.py"
    program.write_text(ECHO)

    def x(*command: str, text: str = "") -> str:
        with (tmp_path / "out").open("w+") as out:  # xclip stays, and would keep a pipe open
            subprocess.run(
                command, env=x_server, input=text, text=True, stdout=out, timeout=HANGS_S,
                stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            out.seek(0)
            return out.read()

    def seen(what: str, *does: str) -> bool:
        """Do something until the clipboard is so."""
        deadline = time.monotonic() + HANGS_S
        while time.monotonic() < deadline:
            x("xdotool", *does)
            time.sleep(0.1)
            if x("xclip", "-selection", "clipboard", "-o") == what:
                return True
        return False

    x("xclip", "-selection", "clipboard", text="Grüße, {World}!")
    ready = tmp_path / "ready"
    arguments = ("run", str(program), str(ready), "--scale", "1")
    window = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "vgaemu", *arguments],
        env=x_server, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 2 * HANGS_S
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        x("xdotool", "mousemove", "100", "100", "key", "ctrl+shift+v", "sleep", "0.5")
        assert seen("Grüße, {World}!\n", "key", "ctrl+shift+c")
        x("xdotool", "key", "shift+Insert", "sleep", "0.5", "key", "a", "sleep", "0.2")
        assert seen("Grüße, {World}!Grüße, {World}!\na\n", "key", "ctrl+shift+c")
        x("xdotool", "key", "Escape", "sleep", "0.2", "key", "ctrl+F9")
        assert window.wait(HANGS_S) == 0
    finally:
        window.kill()
        window.wait()
