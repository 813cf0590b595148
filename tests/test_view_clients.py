"""Viewers of others show the picture, pixel by pixel: vncdotool, asyncvnc and TigerVNC's.

All workloads, for seconds each: ``python -m pytest -m long tests/test_view_clients.py``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vgaemu.guest.find import bundled
from vgaemu.machine import Machine
from vgaemu.view.server import Server

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

HANG_SECONDS = 30.0
#: So long each workload is looked at.
LOOK_SECONDS = 5.0
#: The X server's screen, and that of a window at its corner.
DESKTOP = (1280, 1024)

Rgb = NDArray[np.uint8]


class Vncdotool:
    """A process for each thing it does."""

    def __init__(self, server: Server, folder: Path) -> None:
        pytest.importorskip("vncdotool", reason="pip install vncdotool")
        self._address, self._folder = f"127.0.0.1::{server.port}", folder

    def _do(self, *commands: str) -> None:
        vncdo = [sys.executable, "-m", "vncdotool.command", "--nocursor", "-s", self._address]
        subprocess.run([*vncdo, *commands], check=True, timeout=HANG_SECONDS)

    def look(self, seconds: float) -> None:
        """Look on for a while, at a moving picture."""
        path = str(self._folder / "moving.png")
        self._do(*(["capture", path, "pause", "0.9"] * int(seconds)))

    def picture(self, machine: Machine, text: str = "") -> Rgb:
        """What it shows in the end; it types a text before."""
        path = self._folder / "captured.png"
        self._do(*(("type", text) if text else ()), "capture", str(path))
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))

    def close(self) -> None:
        pass


class AsyncVnc:
    """Takes Zlib alone, and follows no change of size."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._asyncvnc = pytest.importorskip("asyncvnc", reason="pip install asyncvnc")
        self._port = server.port

    def _run(self, what: Callable[[Any], Any]) -> Any:
        async def connected() -> Any:
            async with self._asyncvnc.connect("127.0.0.1", self._port) as client:
                return await asyncio.wait_for(what(client), HANG_SECONDS)

        return asyncio.run(connected())

    def look(self, seconds: float) -> None:
        async def on(client: Any) -> None:
            until = monotonic() + seconds
            while monotonic() < until:
                client.video.refresh()
                with suppress(TimeoutError):  # it is over then
                    await asyncio.wait_for(client.read(), until - monotonic())

        self._run(on)

    def picture(self, machine: Machine, text: str = "") -> Rgb:
        async def look(client: Any) -> Rgb:
            client.keyboard.write(text)
            return np.asarray(await client.screenshot())[:, :, :3]

        found: Rgb = self._run(look)
        return found

    def close(self) -> None:
        pass


class TigerVnc:
    """Its window at the corner of an X server's screen, of which nobody else draws anything."""

    def __init__(self, server: Server, folder: Path) -> None:
        for program in ("Xvfb", "vncviewer", "xdotool"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        read, write = os.pipe()
        screen = ("-screen", "0", f"{DESKTOP[0]}x{DESKTOP[1]}x24", "-fbdir", str(folder))
        options = ("-noreset", "-nolisten", "tcp", "-nocursor", *screen)
        self._x = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), *options],
            pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as answer:
            display = f":{answer.readline().strip()}"
        self._env = os.environ | {"DISPLAY": display, "HOME": str(folder)}
        self._viewer = subprocess.Popen(
            ["vncviewer", "-geometry", "+0+0", "-DotWhenNoCursor=0", "-RemoteResize=0",
             "-AlertOnFatalError=0", f"127.0.0.1::{server.port}"],
            env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._framebuffer = folder / "Xvfb_screen0"

    def close(self) -> None:
        for process in (self._viewer, self._x):
            process.terminate()
            process.wait(HANG_SECONDS)

    def screen(self) -> Rgb:
        """All of it: XWD's header, then 32 bits a pixel."""
        data = self._framebuffer.read_bytes()
        head = np.frombuffer(data, ">u4", 25)
        begin = int(head[0]) + 12 * int(head[19])
        pixels = np.frombuffer(data, "<u4", DESKTOP[0] * DESKTOP[1], begin)
        rgb = pixels.view(np.uint8).reshape(DESKTOP[1], DESKTOP[0], 4)[:, :, 2::-1]
        return rgb

    def look(self, seconds: float) -> None:
        sleep(seconds)

    def picture(self, machine: Machine, text: str = "") -> Rgb:
        expected, until = machine.screen.rgb(), monotonic() + HANG_SECONDS
        while (found := self._find(expected)) is None and monotonic() < until:
            sleep(0.05)
        if text:
            self._type(text)
        return np.zeros_like(expected) if found is None else found

    def _find(self, expected: Rgb) -> Rgb | None:
        """A window without a window manager stands near the corner, and not always at one place."""
        height, width, _ = expected.shape
        screen = self.screen()
        for y in range(40):
            for x in range(8):
                shown = screen[y : y + height, x : x + width]
                if np.array_equal(shown[::97], expected[::97]) and np.array_equal(shown, expected):
                    return shown
        return None

    def _type(self, text: str) -> None:
        subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "vgaemu", "windowfocus", "--sync",
             "mousemove", "100", "100", "type", "--delay", "30", text],
            env=self._env, check=True, timeout=HANG_SECONDS,
        )  # fmt: skip


VIEWERS = (Vncdotool, AsyncVnc, TigerVnc)
Viewer = Vncdotool | AsyncVnc | TigerVnc


@contextmanager
def viewer_of(kind: type[Viewer], machine: Machine, folder: Path) -> Iterator[Viewer]:
    viewer = kind(machine.serve(port=0), folder)
    try:
        yield viewer
    finally:
        viewer.close()


def picture_file(folder: Path) -> Path:
    path = folder / "picture.png"
    red, green = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(200, dtype=np.uint8))
    Image.fromarray(np.dstack((red, green, red ^ green))).save(path)
    return path


def typed(machine: Machine, text: str) -> str:
    """What arrives, up to as much as a text has."""
    got, until = "", monotonic() + HANG_SECONDS
    while len(got) < len(text) and monotonic() < until:
        machine.closed_by_user()
        got += machine.keys.typed()
        sleep(0.01)
    return got


@pytest.mark.parametrize("kind", VIEWERS)
def test_a_viewer_shows_the_picture_and_types(kind: type[Viewer], tmp_path: Path):
    with Machine() as machine:
        machine.guest.text.set_colour("yellow", "blue")
        machine.guest.text.print("Hello, viewer!")
        machine.tick()
        with viewer_of(kind, machine, tmp_path) as viewer:
            np.testing.assert_array_equal(viewer.picture(machine, "Hi, you"), machine.screen.rgb())
            assert typed(machine, "Hi, you") == "Hi, you"
            if kind is TigerVnc:
                for mode in (0x13, 0x12, 3):
                    machine.guest.set_mode(mode)
                    machine.guest.ports["cursor_off"] = 1
                    if mode != 3:
                        machine.guest.canvas.fill_circle(100, 90, 70, 14)
                    machine.tick()
                    np.testing.assert_array_equal(viewer.picture(machine), machine.screen.rgb())


@pytest.mark.long
@pytest.mark.parametrize("kind", VIEWERS)
@pytest.mark.parametrize("workload", bundled())
def test_a_viewer_shows_every_workload(kind: type[Viewer], workload: str, tmp_path: Path):
    arguments = {"cat": [__file__], "picture": [str(picture_file(tmp_path))]}.get(workload, [])
    with Machine(workload, arguments) as machine:
        machine.tick()
        with viewer_of(kind, machine, tmp_path) as viewer:
            looking = threading.Thread(target=viewer.look, args=(LOOK_SECONDS,))
            looking.start()
            while looking.is_alive() and machine.tick():
                sleep(1 / 60)
            looking.join(HANG_SECONDS)
            assert machine.settle(HANG_SECONDS)
            np.testing.assert_array_equal(viewer.picture(machine), machine.screen.rgb())


@pytest.mark.long
@pytest.mark.parametrize("kind", VIEWERS)
def test_a_viewer_survives_three_mode_changes(kind: type[Viewer], tmp_path: Path):
    """One that follows them shows the last picture; asyncvnc, whose window stays, goes on."""
    with Machine() as machine:
        machine.tick()
        with viewer_of(kind, machine, tmp_path) as viewer:
            looking = threading.Thread(target=viewer.look, args=(LOOK_SECONDS,))
            looking.start()
            modes = iter((0x13, 0x12, 3))
            changes_at = monotonic() + LOOK_SECONDS / 4
            while looking.is_alive():
                if monotonic() > changes_at and (mode := next(modes, None)) is not None:
                    changes_at += LOOK_SECONDS / 4
                    machine.guest.set_mode(mode)
                machine.tick()
                sleep(1 / 60)
            looking.join()
            assert next(modes, None) is None
            machine.guest.text.print("at last")
            machine.tick()
            assert machine.settle(HANG_SECONDS)
            np.testing.assert_array_equal(
                viewer.picture(machine, "still here"), machine.screen.rgb()
            )
            assert typed(machine, "still here") == "still here"
