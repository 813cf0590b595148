"""What the tape tests share: playing a tape on a fresh device, and comparing with a golden.

A golden is a picture and a list of read-backs, from QEMU, or (``.hw``) what hardware shows where
QEMU is known to be wrong. Pictures may differ by whole factors, each axis for itself: QEMU doubles
320-pixel modes and scans 200 lines twice. Only as many bits of a channel count as the tape says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vgaemu.cli.playback import picture
from vgaemu.tape import START, Player, Tape
from vgaemu.vga.device import Vga

FOLDER = Path(__file__).parent / "oracle"
Picture = NDArray[np.uint8]


@dataclass
class Outcome:
    """What a tape leaves behind."""

    picture: Picture
    readbacks: list[int]


def tape_files() -> list[Path]:
    return sorted([*FOLDER.glob("tapes/*.tape"), *FOLDER.glob("tapes/*.tape.gz")])


def tape_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".tape")


def goldens(name: str) -> tuple[list[Outcome], bool]:
    """What is accepted for a tape, and whether it is what hardware shows."""
    hardware = [_golden(path) for path in sorted(FOLDER.glob(f"golden/{name}.hw*.png"))]
    return (hardware, True) if hardware else ([_golden(FOLDER / f"golden/{name}.png")], False)


def _golden(path: Path) -> Outcome:
    with Image.open(path) as image:
        rgb = np.asarray(image.convert("RGB"))
    return Outcome(rgb, json.loads(path.with_suffix(".json").read_text())["readbacks"])


def play(ops: Any) -> Outcome:
    """Play operations on a new device, from the state that every tape starts in."""
    vga = Vga()
    Player(vga, START[:3]).play()
    player = Player(vga, ops)
    player.play()
    return Outcome(picture(vga), player.readbacks.tolist())


def play_file(path: Path) -> tuple[dict[str, Any], Outcome]:
    with Tape(path) as tape:
        return tape.header, play(tape)


def enlarged(a: Picture, b: Picture) -> tuple[Picture, Picture] | None:
    """Both pictures at the larger size of each axis, or None if no whole factor leads there."""
    for axis in (0, 1):
        m, n = a.shape[axis], b.shape[axis]
        if max(m, n) % min(m, n):
            return None
        a = a.repeat(max(1, n // m), axis)
        b = b.repeat(max(1, m // n), axis)
    return a, b


def picture_difference(got: Picture, want: Picture, bits: list[int]) -> str:
    """An empty string, or where the pictures differ."""
    both = enlarged(got, want)
    if both is None:
        return f"the picture is {got.shape[1::-1]}, the golden {want.shape[1::-1]}"
    shift = 8 - np.array(bits, np.uint8)
    differs = ((both[0] >> shift) != (both[1] >> shift)).any(axis=2)
    if not differs.any():
        return ""
    y, x = np.argwhere(differs)[0].tolist()
    return (
        f"{np.count_nonzero(differs)} of {differs.size} pixels differ, the first at ({x}, {y}): "
        f"{both[0][y, x].tolist()}, golden {both[1][y, x].tolist()}"
    )


def readback_difference(got: list[int], want: list[int]) -> str:
    """An empty string, or which read-backs differ."""
    if len(got) != len(want):
        return f"{len(got)} read-backs, golden {len(want)}"
    wrong = [i for i, (a, b) in enumerate(zip(got, want, strict=True)) if a != b]
    if not wrong:
        return ""
    i = wrong[0]
    return (
        f"{len(wrong)} read-backs differ, the first is number {i}: {got[i]:#x}, golden {want[i]:#x}"
    )


def differences(header: dict[str, Any], got: Outcome, want: Outcome) -> dict[str, str]:
    """What differs: ``screen`` and ``read``, each with where; empty if nothing does."""
    found = {
        "screen": picture_difference(got.picture, want.picture, header.get("bits", [6, 6, 6])),
        "read": readback_difference(got.readbacks, want.readbacks),
    }
    return {part: text for part, text in found.items() if text}
