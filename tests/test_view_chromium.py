"""Our page, and noVNC, in a browser: what they show is the picture, and what is typed arrives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import PATIENCE, Chromium, needs_chromium
from view_guests import bytes_256, planes, true_colour
from websockets.sync.client import connect

from vgaemu.guest.find import bundled_names
from vgaemu.guest.workload import Guest
from vgaemu.keys.mouse import Movement
from vgaemu.keys.table import KEYS
from vgaemu.machine import Machine
from vgaemu.vga.vram import LFB_GPA
from vgaemu.view.http import DEBIAN_NOVNC
from vgaemu.view.server import Server

pytestmark = [needs_chromium, pytest.mark.turns(2)]
needs_novnc = pytest.mark.skipif(not DEBIAN_NOVNC.exists(), reason="needs Debian's novnc")

#: Whether our page has a picture that is up to date, as far as it knows.
IS_LIVE = "!document.body.matches('.lost') && document.getElementById('mode').textContent"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture(autouse=True)
def browsers_speak_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy host Chromium's first word may take longer than a VNC viewer likes to wait."""
    monkeypatch.setattr("vgaemu.view.server.SPEAKS_FIRST_SECONDS", 5.0)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as machine:
        yield machine


def text(guest: Guest) -> None:
    guest.set_mode(3)
    guest.text.set_colour(14, 1)
    guest.text.print("the quick brown fox\n" * 8)


PICTURES: tuple[Callable[[Guest], None], ...] = (text, bytes_256, planes, true_colour)


def shows_the_picture(
    chromium: Chromium,
    machine: Machine,
    canvas: str = "#picture",
    *,
    advance: Callable[[], object] | None = None,
) -> None:
    """The canvas has the screen's very pixels, in a while; `advance` runs a frame."""
    until = time.monotonic() + PATIENCE
    while True:
        (advance or machine.tick)()
        machine.settle()
        expected, shown = machine.screen.rgb(), chromium.pixels(canvas)
        if np.array_equal(shown, expected):
            return
        assert time.monotonic() < until, (shown.shape, expected.shape, chromium.errors)
        time.sleep(0.02)


def open_page(chromium: Chromium, machine: Machine, server: Server) -> None:
    machine.tick()
    chromium.open(server.page)
    chromium.wait_for("document.getElementById('picture')?.width > 1")
    shows_the_picture(chromium, machine)
    chromium.wait_for(IS_LIVE)


def typed(machine: Machine, expected: str) -> None:
    """The guest gets these characters, in a while."""
    until, got = time.monotonic() + PATIENCE, ""
    while got != expected:
        assert time.monotonic() < until, got
        time.sleep(0.01)
        machine.tick()
        got += machine.keys.typed()


def test_pictures_keys_and_figures(chromium: Chromium, machine: Machine) -> None:
    server = machine.serve(port=0)
    open_page(chromium, machine, server)
    for draw in PICTURES:
        draw(machine.guest)
        shows_the_picture(chromium, machine)
        mode = machine.screen.info.mode_name
        chromium.wait_for(f"document.getElementById('mode').textContent === '{mode}'")
    assert chromium.run("document.getElementById('keeper').textContent") == "dirty log: flags"
    assert chromium.run("document.getElementById('harvest-p50').textContent").endswith("s")
    assert chromium.run("document.title").startswith("vgaemu")
    # A part of it alone is drawn over what was there.
    machine.guest.store(LFB_GPA + 320 * 4 * 100, bytes(400))
    shows_the_picture(chromium, machine)
    keys_arrive(chromium, machine)
    every_key_has_its_code(chromium, server)
    the_mouse_arrives(chromium, machine)
    # A reload goes on, and so does the page when the server was away.
    chromium.call("Page.reload")
    chromium.wait_for(f"document.getElementById('mode')?.textContent === '{mode}'")
    shows_the_picture(chromium, machine)
    port = server.port
    machine.remove_display(server)
    chromium.wait_for("document.body.matches('.lost')")
    machine.serve(port=port)
    machine.guest.store(LFB_GPA, bytes(400))
    shows_the_picture(chromium, machine)
    chromium.wait_for(IS_LIVE)
    assert not chromium.errors


def keys_arrive(chromium: Chromium, machine: Machine) -> None:
    for code, key in (("KeyH", "h"), ("Digit1", "1"), ("Enter", "Enter"), ("Space", " ")):
        chromium.strike(code, key)
    chromium.key("keyDown", "ShiftLeft", "Shift")
    chromium.strike("KeyA", "A")
    chromium.strike("Slash", "?")
    chromium.key("keyUp", "ShiftLeft", "Shift")
    typed(machine, "h1\n A?")
    # A key that is down when the page loses the keyboard comes up.
    chromium.key("keyDown", "ArrowLeft", "ArrowLeft")
    wait_until(machine, lambda: machine.keys.is_down("left"))
    chromium.run("document.getElementById('stage').blur()")
    wait_until(machine, lambda: not machine.keys.is_down("left"))
    chromium.key("keyUp", "ArrowLeft", "ArrowLeft")
    chromium.strike("KeyX", "x")  # nobody has the keyboard now
    chromium.run("document.getElementById('stage').focus()")
    chromium.strike("KeyY", "y")
    typed(machine, "y")
    pasted(chromium, machine)


#: Makes a paste event of a text.
PASTE = """text => {
  const data = new DataTransfer();
  data.setData('text', text);
  return new ClipboardEvent('paste', { clipboardData: data, bubbles: true });
}"""


def pasted(chromium: Chromium, machine: Machine) -> None:
    chromium.run(f"document.dispatchEvent(({PASTE})('Pasted: 1'))")
    typed(machine, "Pasted: 1")


def the_mouse_arrives(chromium: Chromium, machine: Machine) -> None:
    left, top, wide = chromium.run(
        "(({ left, top, width }) => [left, top, width])"
        "(document.getElementById('picture').getBoundingClientRect())"
    )
    zoom = wide / machine.screen.info.width
    machine.mouse.take()

    def act(kind: str, x: int, y: int, **more: object) -> None:
        at = {"x": left + (x + 0.5) * zoom, "y": top + (y + 0.5) * zoom}
        chromium.call("Input.dispatchMouseEvent", type=kind, **at, **more)

    act("mouseMoved", 20, 30)
    wait_until(machine, lambda: machine.mouse._placed == (20, 30))
    machine.mouse.take()
    act("mouseMoved", 300, 200)
    act("mousePressed", 300, 200, button="right", buttons=2)
    act("mouseWheel", 300, 200, deltaX=0, deltaY=120, buttons=2)
    told: list[Movement] = []

    def all_of_it() -> bool:
        told.extend(iter(machine.mouse.take, None))
        return sum(one.wheel for one in told) == 1

    wait_until(machine, all_of_it)
    assert (sum(one.dx for one in told), sum(one.dy for one in told)) == (280, 170)
    assert [one.buttons for one in told if one.wheel] == [2]
    act("mouseReleased", 300, 200, button="right", buttons=0)
    wait_until(machine, lambda: not machine.mouse.buttons)


def every_key_has_its_code(chromium: Chromium, server: Server) -> None:
    """The page's table has all keys of ours, and only codes that a US keyboard has."""
    module = f"/{server.browsers.door.token}/keys.js"
    codes = dict(chromium.run(f"import('{module}').then(m => [...m.SCANCODES])"))
    assert len(set(codes.values())) == len(codes)
    assert {key.scancode | key.extended << 7 for key in KEYS} <= set(codes.values())
    for key in KEYS:
        if key.text.isalpha():
            assert codes[f"Key{key.text.upper()}"] == key.scancode
    assert (codes["Digit9"], codes["Slash"], codes["F12"], codes["NumpadDecimal"]) == (
        0x0A, 0x35, 0x58, 0x53,
    )  # fmt: skip
    assert (codes["Delete"], codes["ArrowDown"], codes["AltRight"]) == (0xD3, 0xD0, 0xB8)


def wait_until(machine: Machine, is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)
        machine.tick()


def test_the_second_viewer_looks_only(chromium: Chromium, machine: Machine) -> None:
    server = machine.serve(port=0)
    machine.tick()
    with connect(
        f"ws://127.0.0.1:{server.port}/websockify?token={server.browsers.door.token}"
    ) as first:
        first.recv(10)
        for answer in (b"RFB 003.008\n", b"\1", b"\1"):
            first.send(answer)
        wait_until(machine, lambda: len(server._sessions) == 1)
        open_page(chromium, machine, server)
        chromium.wait_for("document.body.matches('.looks-only')")
        assert "looking only" in chromium.run("document.getElementById('role').textContent")
        chromium.strike("KeyN", "n")
    chromium.wait_for("!document.body.matches('.looks-only')")
    chromium.strike("KeyY", "y")
    typed(machine, "y")
    pasted(chromium, machine)


def test_without_inflating_and_of_another_run(chromium: Chromium, machine: Machine) -> None:
    """A browser that cannot inflate gets what is not deflated; one from an older run, a word."""
    server = machine.serve(port=0)
    before_scripts = "Page.addScriptToEvaluateOnNewDocument"
    script = chromium.call(before_scripts, source="delete window.DecompressionStream")
    open_page(chromium, machine, server)
    for draw in PICTURES[1:3]:
        draw(machine.guest)
        shows_the_picture(chromium, machine)
    chromium.call("Page.removeScriptToEvaluateOnNewDocument", **script)
    server.browsers.door.token = "another"
    for session in server._sessions:
        session.transport.close()
    chromium.wait_for("document.getElementById('notice').textContent.includes('started anew')")


#: What a workload is given that wants a file.
ARGUMENTS = {
    "picture": [str(Path(__file__).parents[1] / "docs" / "window.png")],
    "cat": [str(Path(__file__).parents[1] / "README.md")],
}


@pytest.mark.long
@pytest.mark.parametrize("page", ["ours", "noVNC"])
@pytest.mark.parametrize("name", bundled_names())
def test_every_workload(chromium: Chromium, name: str, page: str) -> None:
    """Each for 5 s: ``pytest -m long tests/test_view_chromium.py``, some five minutes."""
    if page == "noVNC" and not DEBIAN_NOVNC.exists():
        pytest.skip("needs Debian's novnc")
    with Machine(name, ARGUMENTS.get(name, ())) as machine:
        server = machine.serve(port=0)
        machine.tick()
        chromium.open(server.page.replace("/?", "/novnc/?" if page == "noVNC" else "/?"))
        canvas = "#picture" if page == "ours" else "canvas"
        chromium.wait_for(f"document.querySelector('{canvas}')?.width > 1")
        until = time.monotonic() + 5
        while time.monotonic() < until and not machine.ended:
            machine.run(machine.frames + 6)
        stands(machine)
        shows_the_picture(chromium, machine, canvas, advance=machine.draw_frame)
        if page == "ours":
            assert not chromium.errors


def stands(machine: Machine) -> None:
    """The picture is drawn, and its displays have it."""
    machine.draw_frame()
    assert machine.settle(10)


@pytest.mark.long
@needs_novnc
def test_novnc(chromium: Chromium, machine: Machine) -> None:
    """Debian's: ``pytest -m long tests/test_view_chromium.py``."""
    server = machine.serve(port=0)
    text(machine.guest)
    machine.tick()
    chromium.open(server.page.replace("/?", "/novnc/?"))
    chromium.wait_for("document.querySelector('canvas')?.width === 720")
    for draw in PICTURES[1:]:
        draw(machine.guest)
        shows_the_picture(chromium, machine, "canvas")
    chromium.wait_for("document.documentElement.matches('.noVNC_connected')")
    chromium.strike("KeyH", "h")
    typed(machine, "h")
