"""A session: the machine that a command runs, what the run leaves, and its exit status."""

from __future__ import annotations

import contextlib
import time
import traceback
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from vgaemu import machine as machine_module
from vgaemu import program, runner
from vgaemu.cli.files import OUTPUTS
from vgaemu.cli.options import STANDARD_OUTPUT, is_given, says, value_of
from vgaemu.cli.say import (
    GuestFailedError,
    OutputError,
    UsageError,
    complain,
    progress,
    say,
    write_error,
)
from vgaemu.cli.typed import StandardInput
from vgaemu.display.base import BaseDisplay
from vgaemu.display.report import Display
from vgaemu.errors import (
    DisplayError,
    GuestFault,
    KeeperUnavailable,
    KvmError,
    OutOfMemory,
    RecordError,
    TapeError,
    VgaemuError,
    WorkloadError,
)
from vgaemu.guest import find, workload, workloads
from vgaemu.machine import FRAME_HZ, Machine
from vgaemu.pc import is_image
from vgaemu.signals import FRAME_HANGS_S, exit_status, stops_wait

#: Options that are only for machine code.
MACHINE_CODE_OPTIONS = (
    "cpu", "memory", "vga_bios", "firmware", "dos_root", "dos_version", "dpmi", "writable", "force",
    "drive", "append", "initrd", "trace_ports", "debugcon", "serial", "printer", "exit_port",
    "trace_code", "retrace_irq", "no_reboot", "symbols",
)  # fmt: skip
#: The exit status with ``--exit-code`` if the guest has not ended, as timeout(1) says it.
NOT_ENDED = 124
#: What no guest raises: what the run stands on is gone.
_NOT_THE_GUEST = (WorkloadError, DisplayError, KeeperUnavailable, KvmError, OutOfMemory)


class Session:
    """A machine and the options that it runs under; a context manager, which closes it."""

    def __init__(
        self, options: Namespace, display: BaseDisplay | None = None, **machine_options: Any
    ) -> None:
        """Power on; `machine_options` are `Machine`'s that not every command has options for.

        What there is to look at opens with it, unless a `display` is open.

        Raises:
            UsageError: Options contradict each other, or the guest.
            GuestFailedError: A workload's file raised while it was read.
            VgaemuError: There is no such machine.
        """
        self.options = options
        self.headless: bool = options.headless
        #: Whether people look at it from elsewhere: it runs in their time, and they end it.
        self.is_viewed = value_of(options, "--view") is not None
        self.machine = _power_on(options, display, machine_options)
        #: What is looked at, but for those that look from elsewhere.
        self.display = self.machine.display  # before others look, too
        #: What is to run in this one's display as soon as this one has finished.
        self.successor: Session | None = None
        self.status = 0
        #: What ended the run before its time: a signal, or an error that is not the guest's.
        self.stopped: KeyboardInterrupt | None = None
        self._failure: BaseException | None = None
        self._told = False
        self._wants_code = bool(value_of(options, "--exit-code"))
        self._wants_code |= value_of(options, "--exit-port") is not None
        #: The guest's own, if it has ended.
        self._code: int | None = None
        self._problems: list[str] = []
        self._typed: StandardInput | None = None
        if str(value_of(options, "--serial")) == STANDARD_OUTPUT and self.machine.pc is not None:
            self._typed = StandardInput(self.machine.pc.serial.write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if self._typed is not None:
            self._typed.close()
        self.machine.close()
        if kind is not None and self.successor is not None:
            self.successor.machine.close()

    def run_instead(self, successor: Session) -> None:
        """End this one soon; its display goes on, with another session's machine."""
        self.successor = successor
        self.machine.user.wants_to_close = True

    def hand_over(self) -> Session | None:
        """Let the display be the successor's, if there is one."""
        if self.successor is not None:
            self.machine.remove_display(self.display, close=False)
            self.display.begin_anew()
        return self.successor

    def check_ends(self, *, idle_ends: bool) -> None:
        """Refuse to run without a window what nobody could end.

        Without a workload that is no guest, if the command then ends by itself: `idle_ends`. Who
        names an exit port says that the guest ends, as it does in QEMU.

        Raises:
            UsageError: It would run for ever.
        """
        name = self.options.workload
        endless = self.machine.endless or (not name and not idle_ends)
        endless &= value_of(self.options, "--exit-port") is None
        watched = not self.headless or self.is_viewed
        if not watched and self.options.frames is None and endless:
            what = name or "a machine without a workload"
            port = ", or the --exit-port that ends it" * is_image(name)
            raise UsageError(f"{what} never ends: --headless needs --frames N with it{port}")

    def run_frames(self, frames: int | None, speed: float = 1.0) -> None:
        """Run to the end, or so many frames since power on.

        The status is then 0, or 1 if the guest failed. What a guest that failed shows in a window
        stays there until it is closed.
        """
        hurries = self.headless and not self.is_viewed
        show = progress(frames) if hurries else None
        if show is not None:
            self.machine.between_frames.append(lambda: show(self.machine.frames))
        try:
            run_stoppably(self.machine, frames, 0 if hurries else speed)
        except KeyboardInterrupt as stop:
            self.stopped = stop
        except (Exception, SystemExit) as error:
            if not _is_guests(error):
                self._failure = error
                return
            self._tell_of(error)
            if not self.headless:
                with suppress(KeyboardInterrupt):
                    keep_showing(self.machine, frames)
        finally:
            self._code = self.machine.runner.exit_code
            if show is not None:
                show(-1)

    def finish(self, *, table: bool = True) -> None:
        """Close the machine, write the files that the options name, and say how it went.

        What stops us waits until that is done.

        Raises:
            UsageError: Some of that could not be done; all else has been.
            Exception: What the run ended with, if it is not the guest's.
        """
        try:
            with stops_wait():
                self._leave_files()
                self._report(table=table)
        except KeyboardInterrupt as stop:
            self.stopped = self.stopped or stop
        if self._failure is not None:
            for line in self._problems:
                complain(line)
            raise self._failure
        if self._problems:
            raise UsageError(*self._problems)

    def _leave_files(self) -> None:
        self._write(after_close=False)
        try:
            self.machine.close()
        except (RecordError, TapeError, WorkloadError) as error:  # one of these files is not whole
            self._problems.append(str(error))
        raised = self.machine.guest_error
        if raised is not None and not self._told:  # while it was stopped
            self._tell_of(raised)
        self._write(after_close=True)

    def _tell_of(self, error: BaseException) -> None:
        """Say what the guest raised: it has failed, unless that is how it gives its exit code."""
        self._told = True
        if not isinstance(error, SystemExit) or not self._wants_code:
            _print_guest_traceback(error)
            self.status = 1
        elif not isinstance(error.code, int):
            complain(f"the guest has ended: {error.code}")

    def _report(self, *, table: bool) -> None:
        try:
            if table:
                say(self.machine.stats.table())
            if self._lacks_code and self.stopped is None:
                frames = self.machine.frames
                complain(f"{self.options.workload}: not ended after {frames} frames: no exit code")
            elif self._code and self.status == 0:
                say(f"{self.options.workload}: exit code {self._code}")
        except OutputError as error:
            if self.stopped is None:
                raise
            complain(f"standard output: {error}")  # of a terminal that has closed, say

    @property
    def went_well(self) -> bool:
        """Whether the run has ended as it was to."""
        return self.status == 0 and self.stopped is None and self._failure is None

    def _write(self, *, after_close: bool) -> None:
        for output in OUTPUTS:
            if output.after_close == after_close:
                self._problems += output.problems(self.machine, self.options)

    @property
    def exit_status(self) -> int:
        """Ctrl-C is how people end a run that they look at: nothing went wrong."""
        if self.stopped is not None and self.headless and not self.is_viewed:
            return exit_status(self.stopped)
        if self._lacks_code:
            return NOT_ENDED
        if self._wants_code and self.status == 0 and self._code is not None:
            return self._code
        return self.status

    @property
    def _lacks_code(self) -> bool:
        """Whether its guest was to have ended with a code, and nothing else says why not."""
        is_told = self.status != 0 or self.machine.runner.left or self._failure is not None
        return self._wants_code and self._code is None and not is_told


def run_stoppably(machine: Machine, frames: int | None, speed: float) -> None:
    """Run to the end, or to the frame in which a signal comes.

    Raises:
        KeyboardInterrupt: It has; picture, state and tape are of one moment, unless the frame hung.
        Exception: Whatever the guest raised.
    """
    with stops_wait(hangs_s=FRAME_HANGS_S) as let_come:
        machine.between_frames.append(let_come)
        try:
            machine.run(frames, speed=speed)
        finally:
            machine.between_frames.remove(let_come)


def keep_showing(machine: Machine, frames: int | None = None) -> None:
    """Show a guest that has failed until the user closes the window, or all frames are over."""
    while not machine.closed_by_user() and (frames is None or machine.frames < frames):
        machine.draw_frame()
        time.sleep(1 / FRAME_HZ)


def _power_on(options: Namespace, display: str | Display | None, more: dict[str, Any]) -> Machine:
    more = more | machine_code_options(options)
    # Frames are run anew exactly only where the guest runs in step with them.
    free = not options.headless and value_of(options, "--rewind") is None
    more |= {"free": free, "border": options.border is True}
    try:
        if display is None:
            _check_guest(options.workload)
            display = "null" if options.headless else _display(options)
        return Machine(options.workload, options.args, display=display, **more)
    except VgaemuError:
        raise
    except (Exception, SystemExit) as error:
        if not _is_guests(error):
            raise
        _print_guest_traceback(error)  # raised by the workload's file while it was read
        raise GuestFailedError from None


def _check_guest(name: object) -> None:
    """Whether there is something of that name: whoever mistypes it is not told of displays first.

    Raises:
        WorkloadError: There is not.
    """
    if not isinstance(name, str):
        return
    if not is_image(name):
        find.check_name(name)
    elif not Path(name).exists():
        from vgaemu.pc.formats import read_file  # most runs of workloads need none

        read_file(Path(name))  # says why


def machine_code_options(options: Namespace) -> dict[str, Any]:
    """Those that are set, and the speed of the guest's clock.

    Raises:
        UsageError: They are not for what is run.
    """
    given = [name for name in MACHINE_CODE_OPTIONS if is_given(options, name)]
    if not is_image(options.workload):
        if given:
            raise UsageError(
                f"{_spelt(given)}: only for machine code, such as an .img or .com file"
            )
        return {}
    from vgaemu.pc.formats import who_takes, wrong_options  # most runs of workloads need none

    beside = _has_disks_beside(options)
    wrong = wrong_options(options.workload, MACHINE_CODE_OPTIONS, disks_beside=beside)
    refused = [name for name in wrong if name in given]
    if refused:
        raise UsageError(f"{_spelt(refused)}: only for {who_takes(refused[0])}; leave it out")
    useful = [name for name in MACHINE_CODE_OPTIONS if name not in wrong]
    values = {name: value_of(options, name) for name in useful}
    chosen = {name: value for name, value in values.items() if says(value)}
    return chosen | ({"guest_speed": options.speed} if "speed" in options else {})


def _has_disks_beside(options: Namespace) -> bool:
    drives = value_of(options, "--drive")
    return isinstance(drives, list) and any("=" in said for said in drives)


def _spelt(names: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _display(options: Namespace) -> str | Display:
    if options.display == "terminal":
        return "terminal"
    from vgaemu.display.window.window import WindowDisplay  # headless runs have no pygame

    return WindowDisplay(
        scale=options.scale,
        aspect=options.aspect,
        panel=not options.no_panel,
        border=0 if options.border is True else options.border,
        fullscreen=options.fullscreen,
    )


def _is_guests(error: BaseException) -> bool:
    """Whether a guest raised it, or what runs guests; else the system gave out under both."""
    if isinstance(error, _NOT_THE_GUEST):
        return False
    files = (find.FILES, workloads.__name__)
    return not isinstance(error, OSError | MemoryError | ImportError) or any(
        frame.f_globals.get("__name__", "").startswith(files)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _print_guest_traceback(error: BaseException) -> None:
    """The guest's own frames only: what lies below the machine's call into it."""
    if isinstance(error, GuestFault):
        complain(f"the guest failed, its screen is kept: {error}")
        write_error(f"{error.report}\n")
        return
    if isinstance(error, MemoryError):
        complain(f"the guest failed: no memory to be had: {error}")
        return
    frames = error.__traceback__
    rooms = (machine_module, contextlib, program, runner, find, workload)  # `run` is decorated
    ours = {__file__, *(module.__file__ for module in rooms)}
    while frames is not None and (
        frames.tb_frame.f_code.co_filename in ours
        or frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
    ):
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames)
    write_error("".join(["vgaemu: the guest failed:\n", *lines]))
