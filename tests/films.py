"""Recordings read back: what is shown when, decoded by others than wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vgaemu.display.pictures import rgb_of
from vgaemu.machine import Machine


class Shown(NamedTuple):
    """A picture, and from when to when it is there (seconds)."""

    start: float
    end: float
    rgb: NDArray[np.uint8]


def decoded(path: Path) -> list[Shown]:
    """All pictures of a file."""
    return list(_video(path) if path.suffix in (".mkv", ".mp4") else _image(path))


def _image(path: Path) -> Iterator[Shown]:
    at = 0.0
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            rgb = np.asarray(image.convert("RGB"))
            start, at = at, at + image.info["duration"] / 1000
            yield Shown(start, at, rgb)


def _video(path: Path) -> Iterator[Shown]:
    import av

    with av.open(str(path)) as container:
        frames = []
        with suppress(av.error.InvalidDataError):  # cut short in the middle of a picture
            for frame in container.decode(video=0):
                at = float(frame.pts * frame.time_base)
                frames.append((at, frame.to_ndarray(format="rgb24")))
        # A file that was cut short does not say how long it is.
        end = container.duration / av.time_base if container.duration else frames[-1][0] + 0.014
    starts = [start for start, _ in frames]
    for (start, rgb), next_start in zip(frames, [*starts[1:], end], strict=True):
        yield Shown(start, next_start, rgb)


class Truth:
    """What a machine showed in each frame, and when: drawn afresh, at the mode's rate."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.now = 0.0
        self.frames: list[Shown] = []
        machine.between_frames.append(self._look)

    def _look(self) -> None:
        start, self.now = self.now, self.now + 1 / self.machine.screen.info.refresh_hz
        self.frames.append(Shown(start, self.now, rgb_of(self.machine.screen.full_redraw())))

    def parts(self) -> list[list[Shown]]:
        """Runs of frames of one size, each from 0 s."""
        parts: list[list[Shown]] = []
        for frame in self.frames:
            if not parts or parts[-1][-1].rgb.shape != frame.rgb.shape:
                parts.append([])
                began = frame.start
            parts[-1].append(Shown(frame.start - began, frame.end - began, frame.rgb))
        return parts


def differences(film: list[Shown], frames: list[Shown], *, joins_s: float = 0.0) -> list[str]:
    """In which frames a film shows anything else in their middle.

    `joins_s`: Frames shorter than this may be left out for the next one.
    """
    found = []
    for number, frame in enumerate(frames):
        middle = (frame.start + frame.end) / 2
        there = [shown for shown in film if shown.start <= middle < shown.end]
        if len(there) != 1:
            found.append(f"frame {number}: {len(there)} pictures at {middle:.4f} s")
        elif np.array_equal(there[0].rgb, frame.rgb):
            continue
        elif not any(
            np.array_equal(there[0].rgb, other.rgb)
            for other in frames[number + 1 :]
            if other.start < frame.start + joins_s
        ):
            differ = int((there[0].rgb != frame.rgb).any(axis=2).sum())
            found.append(f"frame {number} at {middle:.4f} s: {differ} pixels")
    return found
