"""Machines of tests, and what there is to see of them when a test fails: texts and pictures."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

import pytest

import vgaemu
from vgaemu.display.pictures import rgb_of
from vgaemu.errors import ScreenError, VgaemuError
from vgaemu.outputs import NewFile
from vgaemu.testing.machine import HOST_LIMIT_S, MachineOptions, MachineUnderTest
from vgaemu.testing.pictures import Picture, picture_of, png_of
from vgaemu.testing.results import Failure, Shot, difference_picture
from vgaemu.testing.sections import Made

if TYPE_CHECKING:
    from vgaemu.guest.workload import Workload
    from vgaemu.testing.screens import ScreenAssertion

#: What of a test's name is in those of its pictures.
NAME_LENGTH = 60


class MachineFactory:
    """What the fixture `vga` is: makes machines, and closes them after the test."""

    def __init__(self, evidence: Evidence, folders: Sequence[Path]) -> None:
        """Look for guests in `folders` first."""
        self._evidence, self._folders = evidence, folders
        self._closing = ExitStack()

    def __call__(
        self,
        workload: str | PathLike[str] | Workload | None = None,
        args: Sequence[str] = (),
        *,
        host_limit: float = HOST_LIMIT_S,
        seed: int | None = None,
        **options: Unpack[MachineOptions],
    ) -> MachineUnderTest:
        """A machine, powered on: see `vgaemu.testing.machine.MachineUnderTest`."""
        __tracebackhide__ = True
        self._find_files(options)
        try:
            machine = MachineUnderTest(
                self._found(workload),
                args,
                host_limit=host_limit,
                seed=seed,
                **options,
            )
        except VgaemuError as error:
            # The line says what to do; the test's reader need not see where it was found out.
            raise error.with_traceback(None) from None
        self._closing.callback(machine.close)
        name = "machine" if workload is None else getattr(workload, "__name__", str(workload))
        made = Made(machine, Path(name).name, machine.port_tail)
        machine.before_close.append(made.remember)
        self._evidence.machines.append(made)
        return machine

    def _found(
        self, workload: str | PathLike[str] | Workload | None
    ) -> str | PathLike[str] | Workload | None:
        if isinstance(workload, str | PathLike) and Path(workload).suffix:
            return self._path(workload) or workload
        return workload

    def _find_files(self, options: MachineOptions) -> None:
        """Files that go with a guest are looked for where it is."""
        if isinstance(initrd := options.get("initrd"), str | Path):
            options["initrd"] = ",".join(map(self._module, str(initrd).split(",")))
        if (root := options.get("dos_root")) is not None:
            options["dos_root"] = self._path(root) or root
        if (symbols := options.get("symbols")) is not None:
            options["symbols"] = self._path(symbols) or symbols
        if isinstance(font := options.get("font"), str | Path):
            options["font"] = self._path(font) or font

    def _module(self, said: str) -> str:
        name, space, words = said.partition(" ")
        return f"{self._path(name) or name}{space}{words}"

    def _path(self, name: str | PathLike[str]) -> Path | None:
        """Where a relative path leads to, if it is beside the test or in pytest's root folder."""
        places = () if Path(name).is_absolute() else self._folders
        return next((folder / name for folder in places if (folder / name).exists()), None)

    def __repr__(self) -> str:
        return f"<vga: {len(self._evidence.machines)} machines>"

    def __enter__(self) -> MachineFactory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()


class Evidence:
    """What a test had of vgaemu."""

    def __init__(self, nodeid: str, folder: Callable[[], Path], *, attach: bool) -> None:
        """Put pictures into a folder; `attach` them to the report for pytest-html, too."""
        self.machines: list[Made] = []
        self.screens: list[ScreenAssertion] = []
        self._nodeid, self._find_folder, self._attach = nodeid, folder, attach
        self._extras: list[dict[str, str | None]] = []

    @cached_property
    def _folder(self) -> Path:
        return self._find_folder()

    def tell(self, report: pytest.TestReport) -> None:
        """Add to the report of a failed test what there is to see."""
        failure = Failure(test=self._nodeid, said=_said(report), sections=[], shots=[])
        for made in self.machines:
            for title, text in made.sections():
                failure["sections"].append((f"{made.name}: {title}", text))
        try:
            failure["shots"] = self._shots()
        except Exception as error:  # a full disk, say: the rest is told all the same
            failure["sections"].append(("pictures", f"none: {error}"))
        report.sections += [(f"vga {title}", text) for title, text in failure["sections"]]
        for shot in failure["shots"]:
            paths = [f"{kind}: {path}" for kind, path in shot["files"].items()]
            report.sections.append((f"vga {shot['name']}", "\n".join(paths)))
        # A report's attributes go with it: from a worker of pytest-xdist to who writes the page.
        vars(report)["vga_failure"] = failure
        if self._attach:
            vars(report)["extras"] = [*vars(report).get("extras", []), *self._extras]

    def _shots(self) -> list[Shot]:
        """What did not match; if all did, what each machine showed last."""
        shots = []
        for assertion in self.screens:
            for name, expected, actual in assertion.mismatches():
                shots.append(self._compared(name, expected, actual))
        if shots:
            return shots
        test = re.sub(r".*::", "", self._nodeid)
        for made in self.machines:
            shots.append(self._shot(f"{test}, last of {made.name}", [], {"actual": last_of(made)}))
        return shots

    def _compared(self, name: str, expected: Picture | None, actual: Picture) -> Shot:
        from vgaemu.testing.screens import difference_of  # only with syrupy

        found, pictures = difference_of(expected, actual), {"actual": actual}
        if expected is not None and not expected.broken:
            pictures = {"expected": expected, "actual": actual}
            if found.mask is not None:
                pictures["difference"] = Picture(difference_picture(actual.rgb, found.mask))
        return self._shot(name, found.lines, pictures)

    def _shot(self, name: str, lines: list[str], pictures: dict[str, Picture]) -> Shot:
        """Write pictures, and say where they are."""
        words = re.sub(r"[^\w.-]+", "-", name.removesuffix(".png")).strip("-")
        key = f"{words[:NAME_LENGTH]}-{zlib.crc32((self._nodeid + name).encode()):08x}"
        paths = {}
        for kind, picture in pictures.items():
            path = self._folder / f"{key}-{kind}.png"
            encoded = png_of(picture)
            with NewFile(path) as file:
                file.write(encoded)
            paths[kind] = str(path)
            if self._attach:
                from pytest_html import extras

                self._extras.append(extras.png(b64encode(encoded).decode(), f"{name}: {kind}"))
        width = max([picture.rgb.shape[1] for picture in pictures.values()], default=0)
        return Shot(name=name, lines=lines, files=paths, width=width)


def without_our_frames(error: BaseException) -> None:
    """Let a traceback lead through the test and its guest alone.

    Frames of vgaemu and its engine go where it says itself what was wrong, and between the test and
    a guest in Python that raised. Of any other error, all of them stay.
    """
    frames, kept = error.__traceback__, []
    unicorn = sys.modules.get("unicorn")
    rooms = tuple(
        f"{Path(str(room.__file__)).parent}{os.sep}" for room in (vgaemu, unicorn) if room
    )
    while frames is not None:
        ours = _is_ours(frames, rooms)
        if not ours:
            kept.append(frames)
        frames = frames.tb_next
    if kept and (isinstance(error, VgaemuError) or not ours):
        for above, below in zip_longest(kept, kept[1:]):
            above.tb_next = below


def _is_ours(frames: TracebackType, rooms: tuple[str, ...]) -> bool:
    """Whether the outermost frame is, or a decorator's of the library around one of ours."""
    below, file = frames.tb_next, frames.tb_frame.f_code.co_filename
    if below is not None and file == contextlib.__file__:
        return _is_ours(below, rooms)
    return file.startswith(rooms)


def _said(report: pytest.TestReport) -> str:
    """Why a test failed, in a few lines."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(report.longrepr) if crash is None else str(crash.message)


def last_of(made: Made) -> Picture:
    """What a machine shows; of one that cannot be drawn any more, what it showed last."""
    screen = made.machine.screen
    try:
        return picture_of(screen)
    except ScreenError:
        return Picture(rgb_of(screen.frame), screen.info.mode_name)
