"""A machine in a notebook: the view's picture and keys, and the example, run by a kernel."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import Callable, Coroutine
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vgaemu
from vgaemu.display.events import PauseToggled, SingleStep
from vgaemu.display.pictures import rgb_of
from vgaemu.keys.queue import Key

pytest.importorskip("jupyter_rfb", reason="no jupyter-rfb (the extra notebook)")

from vgaemu.notebook import NotebookKeyboard, View, key_of

NOTEBOOK = Path(__file__).parent.parent / "examples" / "notebook.ipynb"


def pixels(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def test_machines_and_screens_show_themselves() -> None:
    with vgaemu.Machine("planar") as machine:
        machine.tick(3)
        for shown in (machine, machine.screen):
            assert np.array_equal(pixels(shown._repr_png_()), machine.screen.rgb())


def in_loop(test: Callable[[vgaemu.Machine], Coroutine[object, object, None]]) -> None:
    with vgaemu.Machine() as machine:
        asyncio.run(test(machine))


async def until(holds: Callable[[], object]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come within 10 s")


def test_a_view_runs_its_machine_between_the_cells() -> None:
    async def test(machine: vgaemu.Machine) -> None:
        view = View(machine)
        await until(lambda: machine.frames > 2)
        machine.guest.text.print("from a cell")
        seen = machine.frames
        await until(lambda: machine.frames > seen + 1)
        assert np.array_equal(view.get_frame(), rgb_of(machine.screen.full_redraw()))
        view.stop()
        seen = machine.frames
        await asyncio.sleep(0.05)
        assert (machine.frames, view.is_running) == (seen, False)
        view.start()
        await until(lambda: machine.frames > seen)
        view.close()
        seen = machine.frames
        await asyncio.sleep(0.05)
        assert machine.frames == seen
        machine.tick()  # it goes on being the user's

    in_loop(test)


def test_a_view_that_runs_as_fast_as_possible_lets_others_run() -> None:
    async def test(machine: vgaemu.Machine) -> None:
        View(machine, speed=0)
        await until(lambda: machine.frames > 2)

    in_loop(test)


def test_a_view_takes_keys_and_pauses() -> None:
    async def test(machine: vgaemu.Machine) -> None:
        view = View(machine, run=False)
        for kind, key in (("down", "a"), ("up", "a"), ("down", "Shift"), ("down", "B"),
                          ("up", "Shift"), ("up", "b"), ("down", "Unidentified")):  # fmt: skip
            view.handle_event({"type": f"key_{kind}", "key": key, "modifiers": ()})
        taken = list(iter(machine.keys.get, None))
        assert taken == [
            Key("a", True, "a"), Key("a", False), Key("shift", True), Key("B", True, "B"),
            Key("shift", False), Key("B", False),
        ]  # fmt: skip
        view.handle_event({"type": "key_down", "key": "x", "modifiers": ()})
        view.close()
        assert not machine.keys.is_down("x")
        other, turns = View(machine), list[int]()
        machine.user.do([PauseToggled()])
        await asyncio.sleep(0)
        seen = machine.frames
        machine.between_frames.append(lambda: turns.append(machine.frames))
        await until(lambda: len(turns) > 3)
        assert turns == [seen] * len(turns)
        machine.user.do([SingleStep()])
        await until(lambda: turns[-1] > seen)
        await asyncio.sleep(0.05)
        assert machine.frames == seen + 1
        machine.user.do([PauseToggled()])
        await until(lambda: machine.frames > seen + 1)
        assert other.is_running

    in_loop(test)


def test_a_view_follows_the_mode_and_asks_only_for_pictures_that_changed() -> None:
    async def test(machine: vgaemu.Machine) -> None:
        view = View(machine, width=640, run=False)
        machine.tick()
        assert view.css_height == "480px"
        asked: list[int] = []
        view.request_draw = lambda: asked.append(machine.frames)
        machine.tick(10)
        assert asked == []
        machine.guest.set_dispi_mode(320, 160, 32)
        machine.tick(2)
        assert (view.css_height, len(asked)) == ("320px", 1)
        view.close()

    in_loop(test)


def test_a_view_says_what_it_is_and_has_a_picture_for_who_shows_no_widgets() -> None:
    async def test(machine: vgaemu.Machine) -> None:
        machine.tick()
        view = View(machine)
        assert repr(view) == "<vgaemu.notebook.View of text 80x25, running>"
        bundle = view._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert "application/vnd.jupyter.widget-view+json" in data
        assert np.array_equal(pixels(base64.b64decode(data["image/png"])), machine.screen.rgb())
        view.close()
        assert repr(view) == "<vgaemu.notebook.View of text 80x25, standing>"

    in_loop(test)


def test_a_guest_that_fails_stops_its_view() -> None:
    def workload(guest: vgaemu.Guest):  # type: ignore[no-untyped-def]
        yield
        raise ValueError("a mistake")

    async def test() -> None:
        with vgaemu.Machine(workload) as machine:
            view = View(machine)
            said: list[str] = []
            view.print = said.append
            await until(lambda: not view.is_running)
            assert said == ["the guest failed: ValueError: a mistake"]

    asyncio.run(test())


def test_a_machine_that_closes_takes_its_view_along() -> None:
    async def test() -> None:
        with vgaemu.Machine() as machine:
            view = View(machine)
            await until(lambda: machine.frames)
        assert not view.is_running
        await asyncio.sleep(0.03)
        view.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("dom", "name", "text"),
    [
        (" ", "space", " "), ("Enter", "enter", "\n"), ("F12", "f12", ""), ("é", "é", "é"),
        ("Escape", "esc", "\x1b"), ("PageDown", "pagedown", ""), ("Delete", "delete", ""),
        ("ContextMenu", "menu", ""), (",", "comma", ","), ("~", "~", "~"),
    ],
)  # fmt: skip
def test_names_of_keys(dom: str, name: str, text: str) -> None:
    assert key_of(dom) == Key(name, True, text)


def test_keys_that_are_none() -> None:
    for dom in ("", "Dead", "Meta", "Process", "\x00", "AudioVolumeUp"):
        assert key_of(dom) is None
    assert NotebookKeyboard().event({"type": "key_up", "key": "a"}) is None


def test_without_the_extra_a_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['jupyter_rfb'] = None; import vgaemu.notebook"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ran.stderr.endswith(
        "DisplayError: vgaemu.notebook needs jupyter-rfb: pip install 'vgaemu[notebook]'\n"
    )


def test_the_example_runs_and_shows_what_it_shows() -> None:
    nbclient = pytest.importorskip("nbclient", reason="no nbclient")
    import nbformat

    kept = nbformat.read(NOTEBOOK, 4)
    notebook = nbformat.read(NOTEBOOK, 4)
    kernel = {"kernel_name": "python3", "timeout": 60}
    nbclient.NotebookClient(notebook, **kernel, resources={"metadata": {"path": "."}}).execute()

    def shown(book: object) -> list[np.ndarray]:
        return [
            pixels(base64.b64decode(output["data"]["image/png"]))
            for cell in book["cells"]  # type: ignore[index]
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", ())
        ]

    was, now = shown(kept), shown(notebook)
    assert len(was) == len(now) == 3
    assert all(np.array_equal(*pair) for pair in zip(was, now, strict=True))
