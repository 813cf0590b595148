"""Program: what a machine is asked to run, made ready: a workload in Python, or machine code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

from vgaemu.errors import WorkloadError
from vgaemu.guest.find import find_workload, start
from vgaemu.guest.workload import AnySlices, Guest, Workload
from vgaemu.pc import is_image
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import MODES, find_mode, set_mode

if TYPE_CHECKING:
    from vgaemu.pc.build import PcOptions
    from vgaemu.pc.chips.serial import Serial
    from vgaemu.pc.pc import Pc


class Program(NamedTuple):
    """A guest that is about to start, or none."""

    slices: AnySlices | None = None
    #: The PC around machine code.
    pc: Pc | None = None
    #: Whether it says of itself that it never ends.
    endless: bool = False


def load_program(
    name: str | PathLike[str] | Workload | None,
    args: Sequence[str],
    vga: Vga,
    guest: Guest,
    *,
    mode: int | str,
    free: bool,
    options: PcOptions,
) -> Program:
    """Find a program, as `vgaemu.Machine` takes it, and make it ready, in a mode that it starts in.

    Machine code gets `vga`, the guest's keyboard and mouse, and the options, and is told whether it
    will run on a thread of its own (`free`); a workload in Python gets `guest`.

    Raises:
        WorkloadError: It cannot be found or started, or takes no such options.
        ModeError: No such mode.
    """
    if isinstance(args, str):
        raise WorkloadError(f"args is a list of arguments, not the string {args!r}")
    if is_image(name):
        from vgaemu.pc.build import open_pc, sets_mode_3

        if find_mode(mode) is not MODES[3] or not sets_mode_3(options):
            set_mode(vga, mode)
        devices = guest.keys, guest.mouse
        pc = open_pc(str(name), list(args), vga, *devices, free=free, options=options)
        return Program(pc.slices(), pc, pc.endless)
    set_mode(vga, mode)
    if options:
        raise WorkloadError(
            f"{', '.join(options)}: only for machine code, an .img or .com file, say; "
            f"this is {'no guest' if name is None else 'a workload in Python'}"
        )
    if name is None:
        return Program()
    workload = find_workload(name)
    endless = getattr(workload, "endless", False)  # `vgaemu.guest.workload.endless` marks them
    slices = start(workload, guest, list(args))
    return Program(slices, None, endless or guest.endless)


def printed_by(pc: Pc | None) -> str:
    r"""What a guest has printed to port E9h, as UTF-8; bytes that are none as ``\xff``.

    The last MiB of it: who wants more has it written to a file (`PcOptions.debugcon`).

    Raises:
        WorkloadError: It is no machine code.
    """
    if pc is None:
        raise WorkloadError("debugcon: only machine code prints to port E9h; this runs none")
    return bytes(pc.debug.console).decode(errors="backslashreplace")


class SerialText(str):
    """What a guest has sent to its serial port; `write` sends something to the guest."""

    _serial: Serial

    @classmethod
    def of(cls, serial: Serial) -> SerialText:
        """What has been sent until now."""
        text = cls(bytes(serial.text).decode(errors="backslashreplace"))
        text._serial = serial
        return text

    def write(self, text: str | bytes) -> int:
        """Let a text come to the port, in UTF-8, as fast as the guest has set the line.

        What is to come is kept, up to 64 KiB of it: the number of bytes that there was room for is
        returned. Lines end in a carriage return, as the Enter key of a terminal sends it, where the
        guest is one that takes keys.
        """
        data = text.encode() if isinstance(text, str) else text
        return self._serial.write(data)


def sent_by(pc: Pc | None) -> SerialText:
    """What a guest has sent to the serial port at 3F8h, in the same way.

    Raises:
        WorkloadError: It is no machine code.
    """
    if pc is None:
        raise WorkloadError("serial: only machine code sends to a port; this runs none")
    return SerialText.of(pc.serial)


def check_options(options: Mapping[str, object], taker: Callable[..., object]) -> None:
    """Answer a keyword that there is not with the nearest that there is, its taker's among them.

    Raises:
        TypeError: One is none of `PcOptions`.
    """
    from vgaemu.pc.build import PcOptions

    known = PcOptions.__annotations__
    for name in options:
        if name not in known:
            from difflib import get_close_matches  # nobody mistypes in most runs

            near = get_close_matches(name, [*signature(taker).parameters, *known], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"Machine has no keyword {name!r}{hint}")


def paper_of(pc: Pc | None) -> str:
    """What a guest has printed, in the PC's code page (437), control characters included.

    The last MiB of it, as of `printed_by`.

    Raises:
        WorkloadError: It is no machine code.
    """
    if pc is None:
        raise WorkloadError("printer: only machine code prints; this runs none")
    return bytes(pc.printer.text).decode("cp437")
