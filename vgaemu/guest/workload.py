"""Workloads: guests written in Python; `find` finds one by name or file.

A workload is a generator function ``workload(guest, *args)``, or a function that looks at its
arguments and returns a generator: the machine may still be given a saved state before the first
slice, so only the generator touches the guest. ``yield`` waits for the next frame;
``yield guest.NOW`` ends a slice without waiting, for guests that run as fast as they can. It
reaches the machine through `Guest` alone: ports, memory, keys, and what is built on them. It has no
wall clock, so the same workload does the same in every run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Concatenate, Final, TypeAlias

from vgaemu.errors import GuestStopped, WorkloadError, file_error
from vgaemu.guest.text import Text
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Keys
from vgaemu.vga.beam import VERTICAL_RETRACE, VirtualBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_dispi_mode, set_mode
from vgaemu.vga.ports import Data, Ports

if TYPE_CHECKING:
    from vgaemu.guest.canvas import Canvas

#: What a workload yields is `Guest.NOW` or nothing.
Slices: TypeAlias = Generator[Any, None, None]
#: As who runs them takes them: what is returned, if it is a number, is the guest's exit code.
AnySlices: TypeAlias = Generator[object, None, object]
#: A guest, then whatever arguments it has.
Workload: TypeAlias = "Callable[Concatenate[Guest, ...], AnySlices]"


class _Now:
    def __repr__(self) -> str:
        return "guest.NOW"


class Guest:
    """What a workload sees of the machine: a `Device`, and what is built on it."""

    #: Yield it to end a slice without waiting for the next frame.
    NOW: Final = _Now()
    #: Keys that the user pressed.
    keys: Keys
    #: What the mouse did; whoever takes it listens from then on.
    mouse: Mouse
    #: Chance, seeded the same in every run.
    random: random.Random
    #: Set it where only the arguments tell that a workload never ends; see `endless`.
    endless: bool

    def __init__(self, vga: Vga, keys: Keys) -> None:
        """A guest of a machine.

        Args:
            vga: What it drives.
            keys: What it reads.
        """
        self._vga = vga
        self.keys = keys
        self.mouse = Mouse()
        self.random = random.Random(0)
        self.endless = False
        self._ports = Ports(self)
        self._text = Text(self)
        self._canvas: Canvas | None = None
        self._stopped = False

    def __repr__(self) -> str:
        return f"<vgaemu.Guest of {self._vga!r}{', stopped' * self._stopped}>"

    @property
    def ports(self) -> Ports:
        """Registers by name and by index: ``guest.ports["line_compare"] = 199``."""
        return self._ports

    @property
    def text(self) -> Text:
        """The console in text modes; a mode that is set starts a new one."""
        return self._text

    @property
    def canvas(self) -> Canvas:
        """Drawing in graphics modes; a mode that is set starts a new one.

        Raises:
            CanvasError: It is no graphics mode that can be drawn in.
        """
        if self._canvas is None:
            from vgaemu.guest.canvas import Canvas

            self._canvas = Canvas(self)
        return self._canvas

    @property
    def races_the_beam(self) -> bool:
        """Whether what it writes to registers while the beam draws is seen from that place on.

        Set it to get a beam that its looks at the retrace bits move. In step each workload has one;
        one in a window is given the wall's else, and what it writes is seen in the next frame.
        """
        return isinstance(self._vga.beam, VirtualBeam) and self._vga.beam.may_be_exact

    @races_the_beam.setter
    def races_the_beam(self, races: bool) -> None:
        if isinstance(self._vga.beam, VirtualBeam):
            self._vga.beam.may_be_exact = races
        elif races:
            self._vga.beam = VirtualBeam()
            self._vga.beam.start_frame()

    def place_beam(self, ns: int | None) -> None:
        """Have the beam stand somewhere, as a tape says: see `VirtualBeam.place`."""
        if not isinstance(self._vga.beam, VirtualBeam):
            self._vga.beam = VirtualBeam()
        self._vga.beam.place(ns)

    def stop(self) -> None:
        """The machine closes: the guest's next call raises `GuestStopped`."""
        self._stopped = True

    def _check(self) -> None:
        if self._stopped:
            raise GuestStopped

    def outb(self, port: int, value: int) -> None:
        """Write a byte to a port."""
        self._check()
        self._vga.outb(port, value)

    def outw(self, port: int, value: int) -> None:
        """Write 16 bits to a port (or index and data to a pair of them)."""
        self._check()
        self._vga.outw(port, value)

    def outs(self, port: int, data: bytes) -> None:
        """Write bytes to a port, one after the other (rep outsb)."""
        self._check()
        self._vga.outs(port, data)

    def inb(self, port: int) -> int:
        """Read a byte from a port."""
        self._check()
        return self._vga.inb(port)

    def inw(self, port: int) -> int:
        """Read 16 bits from a port."""
        self._check()
        return self._vga.inw(port)

    def store(self, gpa: int, data: Data) -> None:
        """Store bytes (any buffer of bytes) upwards from a guest-physical address."""
        self._check()
        self._vga.store(gpa, data)

    def load(self, gpa: int, count: int) -> bytes:
        """Load bytes upwards from a guest-physical address."""
        self._check()
        return self._vga.load(gpa, count)

    def copy(self, src: int, dst: int, count: int) -> None:
        """Copy bytes upwards, each read loading the latches (rep movsb)."""
        self._check()
        self._vga.copy(src, dst, count)

    def set_mode(self, mode: int | str) -> None:
        """Set a mode: a BIOS number, or a name in 'vgaemu modes'. Text and canvas start anew.

        Raises:
            ModeError: There is no such mode.
        """
        self._check()
        set_mode(self._vga, mode)
        self._start_anew()

    def set_dispi_mode(self, width: int, height: int, bits: int) -> None:
        """Set a DISPI mode of 4 to 32 bits a pixel. Text and canvas start anew.

        Raises:
            ModeError: The device has no such mode.
        """
        self._check()
        set_dispi_mode(self._vga, width, height, bits)
        self._start_anew()

    def _start_anew(self) -> None:
        self._text = Text(self)
        self._canvas = None

    def read_crtc(self, index: int) -> int:
        """Read a CRTC register at whichever base it answers."""
        return self._ports.get_crtc(index)

    def write_crtc(self, index: int, value: int) -> None:
        """Write a CRTC register at whichever base it answers."""
        self._ports.set_crtc(index, value)

    def wait_retrace(self) -> None:
        """Poll input status 1 until the next vertical retrace begins, as programs of the time."""
        status = self._ports.status
        while self.inb(status) & VERTICAL_RETRACE:
            pass
        while not self.inb(status) & VERTICAL_RETRACE:
            pass


def read_file(file: str, kind: str, most: int) -> bytes:
    """A file that a workload was given.

    Args:
        file: Its name.
        kind: What the user is to name instead.
        most: Bytes; what has more is not meant, or never ends.

    Raises:
        WorkloadError: It has no name, cannot be read, or is too large.
    """
    if not file:
        raise WorkloadError(f"an empty name; name a {kind}")
    try:
        with open(file, "rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise WorkloadError(file_error(file, error, f"name a {kind}")) from None
    if len(data) > most:
        raise WorkloadError(f"{file}: more than {most >> 20} MiB; name a smaller file")
    return data


def endless(workload: Workload) -> Workload:
    """Mark a workload that never ends, so that headless runs of it ask for a number of frames."""
    workload.endless = True  # type: ignore[attr-defined]
    return workload
