"""`vgaemu test PATH`: boot what `run` can, wait for what it is to show, and say whether it did."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vgaemu.cli.options import Commands, add_machine_code_group, file_path, port
from vgaemu.cli.say import UsageError, complain, say, write_error

if TYPE_CHECKING:
    from vgaemu.testing.machine import MachineUnderTest

#: Seconds of the guest, and of the host, if nobody says.
SECONDS, HOST_SECONDS = 10.0, 300.0
#: A day.
MOST_SECONDS = 86_400.0


def seconds(text: str) -> float:
    """Some time, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_SECONDS:
        raise ArgumentTypeError(f"{text!r} is no time: seconds, as 10 or 0.5")
    return value


def expected(text: str) -> str:
    """What is to come."""
    if not text:
        raise ArgumentTypeError("an empty text is always there; say one that is to come")
    return text


def exit_code(text: str) -> int:
    """What a guest may end with."""
    value = int(text) if text.isdecimal() and len(text) <= 3 else 256
    if value > 255:
        raise ArgumentTypeError(f"{text!r} is no exit code: 0 to 255")
    return value


def add_parser(commands: Commands) -> None:
    """Say what it takes."""
    command = commands.add_parser(
        "test",
        help="boot a guest and see whether it shows what it is to show",
        usage="%(prog)s [OPTION ...] PATH [ARGUMENT ...]",
        epilog="Exit status: 0, it did; 1, it did not, and standard error tells what it did "
        "instead; 2, wrong usage. With neither --expect nor --exit-code it is to run for all of "
        "the time without a fault.",
    )
    command.set_defaults(command=run)
    add = command.add_argument
    add("workload", nargs="?", metavar="PATH", help="what 'run' takes")
    add("args", nargs="*", metavar="ARGUMENT", help="the program's; those with dashes behind --")
    add("--expect", type=expected, action="append", metavar="TEXT",
        help="wait until a row of the screen has it, or the serial port, or port E9h; as it stands "
        "or as a regular expression; of several, one after the other")  # fmt: skip
    add("--exit-code", type=exit_code, metavar="N", help="then wait for its end, with this code")
    add("--timeout", type=seconds, default=SECONDS, metavar="S",
        help="the guest's seconds for all of that (10)")  # fmt: skip
    add("--host-limit", type=seconds, default=HOST_SECONDS, metavar="S",
        help="the host's seconds for each wait (300)")  # fmt: skip
    add("--keys", metavar="F:KEY,...", help="strike keys at frames: 30:a,60:enter,90:ctrl-c")
    add("--type", metavar="TEXT",
        help=r"type this when the first --expect is there, or at once; \n is Enter")  # fmt: skip
    add("--exit-port", type=port, metavar="PORT",
        help="a port (0xf4) whose writes end the guest: a value V exits with 2 V + 1, as QEMU's "
        "isa-debug-exit")  # fmt: skip
    add("--screenshot", type=file_path, metavar="F.png", help="save the last picture")
    add("--trace-code", action="store_true",
        help="slowly: report what led to a fault; unicorn only")  # fmt: skip
    add_machine_code_group(command)


def run(options: Namespace) -> int:
    """Run the guest, wait, report; returns the exit status.

    Raises:
        UsageError: Nothing to run is named, or options contradict each other or the guest.
        VgaemuError: There is no such machine.
    """
    from vgaemu.cli.files import check_files
    from vgaemu.cli.session import machine_code_options
    from vgaemu.errors import KeysError, ScreenError
    from vgaemu.keys.queue import parse_keys
    from vgaemu.signals import stops_wait
    from vgaemu.testing.machine import MachineUnderTest
    from vgaemu.testing.sections import Made

    if options.workload is None:
        raise UsageError("test: name what is to run: a disk image, a program, a kernel")
    check_files([("--screenshot", options.screenshot)], (options.workload,))
    keys = [] if options.keys is None else parse_keys(options.keys)
    more = machine_code_options(options)
    machine = MachineUnderTest(
        options.workload,
        options.args,
        host_limit=options.host_limit,
        **more,
    )
    with machine:
        machine.schedule_keys(keys)
        try:
            why = why_not(machine, options)
        except KeysError as error:
            raise UsageError(f"--type: {error}") from None
        with stops_wait():
            if options.screenshot is not None:
                try:
                    machine.screen.save(options.screenshot)
                except (ScreenError, OSError) as error:
                    complain(f"--screenshot {options.screenshot}: {error}")
        if not why:
            say(f"{options.workload}: passed, {machine.frames / 60:.2f} s of the guest's time")
            return 0
        complain(f"{options.workload}: {why}")
        for title, text in Made(machine, Path(options.workload).name, machine.port_tail).sections():
            write_error(f"--- {title}\n{text}\n")
        if not machine.screen.is_text and options.screenshot is None:
            write_error("--screenshot F.png keeps the picture\n")
    return 1


def why_not(machine: MachineUnderTest, options: Namespace) -> str:
    """Why the guest does not do what it is to do, in one line; empty: it does."""
    from vgaemu.errors import ExpectationError, GuestError

    try:
        expected = options.expect or []
        typed = (options.type or "").replace(r"\n", "\n")
        if typed and not expected:
            machine.type(typed, timeout=options.timeout)
        for number, text in enumerate(expected):
            machine.wait_for_output(text, timeout=_left(machine, options))
            if typed and number == 0:
                machine.type(typed, timeout=_left(machine, options))
        if options.exit_code is not None:
            code = machine.wait_for_exit(timeout=_left(machine, options))
            if code != options.exit_code:
                return f"ended with code {code}, not {options.exit_code}"
        elif not expected:
            machine.wait(_left(machine, options))
    except (ExpectationError, GuestError) as error:
        return str(error)
    return ""


def _left(machine: MachineUnderTest, options: Namespace) -> float:
    """Seconds of the guest's time."""
    timeout: float = options.timeout
    return max(timeout - machine.frames / 60, 0.0)
