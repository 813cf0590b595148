"""Machines of tests, and what is told of them when a test fails.

A section each of pytest's report: the screen, the processor, the VGA's registers where they are not
as their mode sets them, the last port accesses, what the guest printed for debugging; and where the
pictures went.
"""

from __future__ import annotations

import os
import re
import sys
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

import pytest

import vgaemu
from vgaemu.display.pictures import rgb_of
from vgaemu.errors import GuestFault, ScreenError, VgaemuError
from vgaemu.machine import Machine
from vgaemu.outputs import NewFile
from vgaemu.pc import is_image
from vgaemu.pc.bios.rom import SERVICES, TRAP_PORTS
from vgaemu.pc.build import PcOptions
from vgaemu.pc.debug import PortTail, fault_report
from vgaemu.testing.pictures import Picture, picture_of, png_of
from vgaemu.testing.results import Failure, Shot, difference_picture
from vgaemu.vga import dispi
from vgaemu.vga.codepage import to_unicode
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import NAMES, Mode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vgaemu.display.report import Display
    from vgaemu.guest.workload import Workload
    from vgaemu.memslot.bitmap import SpanPages
    from vgaemu.testing.screens import ScreenAssertion

#: Characters of what a guest printed for debugging that are told, its last.
MOST_PRINTED = 2000
#: What of a test's name is in those of its pictures.
NAME_LENGTH = 60


class MachineOptions(PcOptions, total=False):
    """What `vgaemu.Machine` takes by keyword."""

    display: str | Display | Sequence[str | Display]
    dirty_log: str
    span_pages: SpanPages
    vram_mib: int
    mode: int | str
    border: bool
    free: bool | None
    font: str | Path | NDArray[np.uint8] | None
    record_tape: str | Path | None


@dataclass
class Made:
    """A machine that a test has made."""

    machine: Machine
    #: How it was called: ``kernel.img``.
    name: str
    #: Its last port accesses, if it runs machine code.
    ports: PortTail | None = None
    #: What there was to tell when an error left its ``with``; afterwards it is closed.
    told: list[tuple[str, str]] | None = None
    is_closed: bool = False

    def sections(self) -> list[tuple[str, str]]:
        """Titles and texts."""
        return list(sections_of(self)) if self.told is None else self.told

    def remember(self) -> None:
        """It is about to close."""
        if sys.exc_info()[1] is not None:
            self.told = self.sections()
        self.is_closed = True


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
        **options: Unpack[MachineOptions],
    ) -> Machine:
        """A machine, powered on: see `vgaemu.Machine`."""
        __tracebackhide__ = True
        ports = None
        if is_image(workload) and options.get("trace_ports") is None:
            options["trace_ports"] = ports = PortTail()
        try:
            machine = Machine(self._found(workload), args, **options)
        except VgaemuError as error:
            # The line says what to do; the test's reader need not see where it was found out.
            raise error.with_traceback(None) from None
        self._closing.callback(machine.close)
        name = "machine" if workload is None else getattr(workload, "__name__", str(workload))
        made = Made(machine, Path(name).name, ports)
        machine.before_close.append(made.remember)
        self._evidence.machines.append(made)
        return machine

    def _found(
        self, workload: str | PathLike[str] | Workload | None
    ) -> str | PathLike[str] | Workload | None:
        if isinstance(workload, str | PathLike):
            path = Path(workload)
            for folder in () if path.is_absolute() else self._folders:
                if path.suffix and (folder / path).is_file():
                    return folder / path
        return workload

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
        ours = frames.tb_frame.f_code.co_filename.startswith(rooms)
        if not ours:
            kept.append(frames)
        frames = frames.tb_next
    if kept and (isinstance(error, VgaemuError) or not ours):
        for above, below in zip_longest(kept, kept[1:]):
            above.tb_next = below


def _said(report: pytest.TestReport) -> str:
    """Why a test failed, in a few lines."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(report.longrepr) if crash is None else str(crash.message)


def sections_of(made: Made) -> Iterator[tuple[str, str]]:
    """Titles and texts, each by itself: one that cannot be told says why."""
    machine = made.machine
    title = f"screen, {machine.frames} frames, {machine.screen.info.mode_name}"
    tellers: dict[str, Callable[[Made], str]] = {
        title: _screen_text,
        "processor": _processor,
        "VGA registers": _vga_registers,
        "guest": _guest_state,
        "printed for debugging": _printed,
        "last port accesses": _last_ports,
    }
    for title, tell in tellers.items():
        try:
            text = tell(made)
        except Exception as error:
            # The test's own failure is what matters; pytest would end its run at another one here.
            text = f"cannot be told: {type(error).__name__}: {error}"
        if text:
            yield title, text


def last_of(made: Made) -> Picture:
    """What a machine shows; of one that cannot be drawn any more, what it showed last."""
    screen = made.machine.screen
    try:
        return picture_of(screen)
    except ScreenError:
        return Picture(rgb_of(screen.frame), screen.info.mode_name)


def _screen_text(made: Made) -> str:
    screen = made.machine.screen
    if not screen.is_text:
        return "a graphics mode: see the picture"
    rows = [row.rstrip() for row in screen.text()]
    while rows and not rows[-1]:
        rows.pop()
    return "\n".join(rows) or "(blank)"


def _processor(made: Made) -> str:
    machine = made.machine
    pc, error = machine.pc, machine.guest_error
    if isinstance(error, GuestFault):
        return f"{error}\n{error.report}"
    if pc is None:
        return ""
    if made.is_closed:
        return "its state went when the machine was closed"
    if machine.runner.is_running:
        return "the guest is still running, on its own thread (free=True)"
    return fault_report(pc.cpu, pc.bus)


def _vga_registers(made: Made) -> str:
    vga = made.machine.vga
    if vga.dispi.values[dispi.ENABLE] & dispi.ENABLED:
        return ""  # its mode says it all
    mode, changed = changed_registers(vga)
    return "\n".join([f"as mode {mode.name}, but:", *changed]) if changed else ""


def _guest_state(made: Made) -> str:
    machine = made.machine
    return machine.runner.standstill if machine.ended or machine.pc is not None else ""


def _printed(made: Made) -> str:
    pc = made.machine.pc
    printed = b"" if pc is None else bytes(pc.debug.text[-MOST_PRINTED:])
    # As a screen would show it: what a guest prints may be a terminal's escape sequences.
    return "\n".join(to_unicode(line.rstrip(b"\r")) for line in printed.split(b"\n")).rstrip()


def _last_ports(made: Made) -> str:
    """The last port accesses; those by which the builtin BIOS is called say the interrupt."""
    pc = made.machine.pc
    if made.ports is None or pc is None:
        return ""
    services = {} if pc.firmware is not None else dict(zip(TRAP_PORTS, SERVICES, strict=False))
    names = {port: f"INT {vector:02X}h" for port, vector in services.items()}
    return "\n".join(made.ports.lines(names))


def changed_registers(vga: Vga) -> tuple[Mode, list[str]]:
    """The mode that a device's registers are nearest to, and those that are not as it sets them."""
    found = [(mode, list(_differences(vga, mode))) for mode in NAMES.values()]
    return min(found, key=lambda entry: len(entry[1]))


def _differences(vga: Vga, mode: Mode) -> Iterator[str]:
    tables = (
        (vga.misc, 0, bytes([mode.misc])),
        (vga.sequencer, 1, mode.sequencer),
        (vga.crtc, 0, mode.crtc),
        (vga.graphics, 0, mode.graphics),
        (vga.attribute, 0, mode.attribute),
    )
    for bank, first, values in tables:
        for row in bank.rows:
            if first <= row.index < first + len(values):
                usual, now = values[row.index - first] & row.mask, bank.values[row.index]
                if usual != now:
                    yield f"{bank.name} {row.index:02X}h {row.name} {now:02X}, not {usual:02X}"
