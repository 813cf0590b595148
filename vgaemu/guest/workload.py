"""Workloads: guests written in Python, and how one is found by name or file.

A workload is a generator function ``workload(guest, *args)``, or a function that looks at its
arguments and returns a generator: the machine may still be given a saved state before the first
slice, so only the generator touches the guest. ``yield`` waits for the next frame;
``yield guest.NOW`` ends a slice without waiting, for guests that run as fast as they can. It
reaches the machine through `Guest` alone: ports, memory, keys, and what is built on them. It has no
wall clock, so the same workload does the same in every run.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.machinery
import importlib.util
import inspect
import pkgutil
import random
import stat
import sys
from collections.abc import Callable, Generator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, TypeAlias

import vgaemu.guest.workloads
from vgaemu.errors import GuestStopped, WorkloadError, file_error
from vgaemu.guest.text import Text
from vgaemu.keys.queue import Keys
from vgaemu.vga.beam import VERTICAL_RETRACE
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_dispi_mode, set_mode
from vgaemu.vga.ports import Data, Ports

if TYPE_CHECKING:
    from vgaemu.guest.canvas import Canvas

#: What a workload yields is `Guest.NOW` or nothing.
Slices: TypeAlias = Generator[Any, None, None]
#: A guest, then whatever arguments it has.
Workload: TypeAlias = "Callable[Concatenate[Guest, ...], Slices]"


#: Workload files are modules of this name and their own.
FILES = "vgaemu_workload_files"


class _Now:
    def __repr__(self) -> str:
        return "guest.NOW"


class Guest:
    """What a workload sees of the machine: a `Device`, and what is built on it."""

    #: Yield it to end a slice without waiting for the next frame.
    NOW: Final = _Now()
    #: Keys that the user pressed.
    keys: Keys
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


def bundled_names() -> list[str]:
    """Names of the bundled workloads, in order."""
    names = [m.name for m in pkgutil.iter_modules(vgaemu.guest.workloads.__path__)]
    return sorted(name for name in names if not name.startswith("_"))


def bundled() -> dict[str, str]:
    """The bundled workloads and what each shows: the first line of its docstring."""
    found = {}
    for name in bundled_names():
        module = importlib.import_module(f"vgaemu.guest.workloads.{name}")
        found[name] = (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return found


def find_workload(name: str | PathLike[str] | Workload) -> Workload:
    """A workload by bundled name, by path of a Python file, or itself.

    Raises:
        WorkloadError: There is none, or the file has no function ``workload``.
    """
    if isinstance(name, PathLike):
        return _load_file(Path(name))
    if callable(name):
        return name
    if not isinstance(name, str):
        raise WorkloadError(
            f"a workload is a name, a path or a generator function, not a {type(name).__name__}"
        )
    if name.endswith(".py") or "/" in name or "\\" in name:
        return _load_file(Path(name))
    if name in bundled_names():
        module = importlib.import_module(f"vgaemu.guest.workloads.{name}")
        found: Workload = module.workload
        return found
    near = difflib.get_close_matches(name, bundled_names(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "'vgaemu list' shows all."
    raise WorkloadError(
        f"no workload named {name!r}; {hint} A file's name ends in .py, .img or .com"
    )


def _load_file(path: Path) -> Workload:
    try:
        # Not `is_file`: from Python 3.14 on it says no where it may not look.
        if not stat.S_ISREG(path.stat().st_mode):
            raise WorkloadError(f"{path}: not a file; name a Python file")
        compile(path.read_bytes(), str(path), "exec")
    except FileNotFoundError:
        raise WorkloadError(
            f"{path}: no such file; name a Python file, or one of 'vgaemu list'"
        ) from None
    except OSError as error:
        raise WorkloadError(file_error(path, error, "name a readable Python file")) from None
    except SyntaxError as error:
        place = path if error.lineno is None else f"{path}:{error.lineno}"
        raise WorkloadError(f"{place}: not Python: {error.msg}") from None
    except ValueError as error:  # null bytes, before Python 3.12
        raise WorkloadError(f"{path}: not Python: {error}") from None
    loader = importlib.machinery.SourceFileLoader(f"{FILES}.{path.stem}", str(path))
    spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up here.
    sys.modules[loader.name] = module
    # The file may import its neighbours at any time, as it could if it were run.
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[loader.name]
        raise
    workload = getattr(module, "workload", None)
    if not callable(workload):
        raise WorkloadError(f"{path}: has no function 'workload(guest, ...)'")
    return workload  # type: ignore[no-any-return]


def start(workload: Workload, guest: Guest, args: list[str]) -> Slices:
    """Call a workload with its arguments.

    Raises:
        WorkloadError: The arguments do not fit, or it is not a generator function.
    """
    try:
        inspect.signature(workload).bind(guest, *args)
    except TypeError as error:
        name = name_of(workload)
        raise WorkloadError(f"{name}: {error}; usage: {name} {usage(workload)}") from None
    slices = workload(guest, *args)
    if not isinstance(slices, Generator):
        raise WorkloadError(
            f"{name_of(workload)} is not a generator: "
            "it needs at least one 'yield', which waits for the next frame"
        )
    return slices


def name_of(workload: Workload) -> str:
    """What a person calls it: the function's name, or its file's if that is ``workload``."""
    name: str = getattr(workload, "__name__", "workload")
    return workload.__module__.rpartition(".")[2] if name == "workload" else name


def usage(workload: Workload) -> str:
    """The arguments a workload takes, as in a usage line."""
    words = []
    for parameter in list(inspect.signature(workload).parameters.values())[1:]:
        word = parameter.name.upper()
        if parameter.kind is parameter.VAR_POSITIONAL:
            word = f"[{word}...]"
        elif parameter.default is not parameter.empty:
            word = f"[{word}]"
        words.append(word)
    return " ".join(words) or "(no arguments)"
