"""`vgaemu bench pictures`: what somebody pays who takes pictures and states by the thousand.

Beside each stands how one would do it with numpy and Pillow alone, or how it was done before: the
channels shifted out of the frame one by one, a renderer made for each text, numpy's own .npz of
whole memories, deflated. What is saved is a machine with 16 MiB of RAM and as much VRAM, of which a
small guest uses little. A state is saved into memory and loaded from there; a file adds its
file system's time.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vgaemu.assets import guests
from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs
from vgaemu.display.screen import Screen
from vgaemu.machine import Machine
from vgaemu.snapshot import take
from vgaemu.vga.codepage import CHARACTERS
from vgaemu.vga.render import TextRenderer
from vgaemu.vga.state import FORMAT, VERSION

#: Turns at what takes part of a millisecond, and at states.
ROUNDS, STATE_ROUNDS = 200, 15
#: Frames until the guest has drawn its screen.
FRAMES = 60

Sides = dict[str, Callable[[], object]]


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    return median_of_runs(lambda: [*_pictures(), *_states()], runs)


def _pictures() -> list[Row]:
    rows = []
    with Machine(guests() / "snake.img") as text, Machine(mode=0x12) as planar:
        for machine in (text, planar):
            machine.tick(FRAMES)
            name, screen = machine.screen.info.mode_name, machine.screen
            rows += [
                _row(f"{name}: {what}", sides, ROUNDS) for what, sides in _ways(screen).items()
            ]
    return rows


def _ways(screen: Screen) -> dict[str, Sides]:
    """What is asked of a screen: here, and otherwise."""
    out, frame = np.empty_like(screen.rgb()), screen.frame
    ways: dict[str, Sides] = {
        "rgb": {"vgaemu": screen.rgb, "shifts": lambda: shifted(frame)},
        "rgb(out)": {"vgaemu": lambda: screen.rgb(out), "shifts": lambda: shifted(frame)},
        "bgrx": {"vgaemu": lambda: screen.bgrx, "shifts": lambda: shifted(frame)},
        "image": {
            "vgaemu": screen.image, "shifts": lambda: Image.fromarray(shifted(frame)),
        },
        "indices": {"vgaemu": screen.indices, "anew": lambda: Screen(screen.vga).indices()},
    }  # fmt: skip
    if screen.is_text:
        ways["text"] = {"vgaemu": screen.text, "anew": lambda: text_anew(screen)}
    return ways


def shifted(frame: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """(height, width, 3) uint8, a channel at a time."""
    rgb = np.empty((*frame.shape, 3), np.uint8)
    for nth, shift in enumerate((16, 8, 0)):
        rgb[:, :, nth] = frame >> np.uint32(shift)
    return rgb


def text_anew(screen: Screen) -> list[str]:
    """A screen's text by a renderer that is made for it."""
    cells = TextRenderer(screen.vga.slot.array, screen.scanout).drawn(None).cells
    return ["".join(CHARACTERS[code & 0xFF] for code in row) for row in cells.tolist()]


def _states() -> list[Row]:
    with Machine(guests() / "snake.img") as machine:
        machine.tick(FRAMES)
        state, whole = BytesIO(), BytesIO()
        machine.save_state(state)
        save_whole(machine, whole)
        save: Sides = {
            "vgaemu": lambda: machine.save_state(BytesIO()),
            "numpy": lambda: save_whole(machine, BytesIO()),
        }
        load: Sides = {
            "vgaemu": lambda: machine.load_state(state),
            "numpy": lambda: machine.load_state(whole),
        }
        return [_row("save", save, STATE_ROUNDS), _row("load", load, STATE_ROUNDS)]


def save_whole(machine: Machine, file: BytesIO) -> None:
    """A state as numpy writes one: each array whole, deflated."""
    guest = {} if machine.pc is None else machine.pc.state_arrays()
    arrays = take(machine.vga.parts()) | guest
    frame, version = np.asarray(machine.next_frame_number, "u8"), np.asarray(VERSION, "u4")
    head = {"format": np.asarray(FORMAT), "frame": frame, "version": version}
    save: Callable[..., None] = np.savez_compressed
    save(file, **arrays, **head)


def _row(what: str, sides: Sides, rounds: int) -> Row:
    times = interleaved(sides, rounds)
    ours_ns = times.pop("vgaemu")
    ((other, other_ns),) = times.items()
    return {
        "what": what,
        "us": ours_ns / 1000,
        "against": other,
        "its_us": other_ns / 1000,
        "times_as_fast_as_it": other_ns / ours_ns,
    }
