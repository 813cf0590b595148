"""The `vgaemu` command. Every option is a keyword of the function it calls.

Exit status: 0 done or window closed, 1 the guest or a check failed, 2 wrong usage or input, 130
Ctrl-C without a window. Errors are one line on stderr that names the file or option and says what
to do.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

# Nothing heavy here: `--version` imports nothing, `--help` and wrong usage do not wait for numpy.
from vgaemu import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from vgaemu.display.report import Display
    from vgaemu.machine import Machine
    from vgaemu.migrate import Migration


#: Exit status of a run that Ctrl-C ended.
INTERRUPTED = 130

#: Longest number: what has more digits fits no C function's argument.
MAX_DIGITS = 18

#: What stands for it where a file may be named.
STANDARD_OUTPUT = "-"


class UsageError(Exception):
    """Wrong usage or input: each argument is one line to print."""


class OutputError(Exception):
    """Standard output takes no more: the message says why."""


class GuestFailedError(Exception):
    """The guest raised; its own traceback has been printed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        if arguments == ["--version"]:
            _say(f"vgaemu {__version__}")
            return 0
        options = _parsed(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        with _two_ctrl_c_are_one():
            status = command(options)
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough.
        _forget_output()
        return 0
    except UsageError as error:
        for line in error.args:
            _complain(line)
        return 2
    except OutputError as error:
        _complain(f"standard output: {error}")
        return 1
    except GuestFailedError:
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.filename is None:
            raise
        _complain(f"{error.filename}: {error.strerror}")
        return 2
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
    except OSError as error:
        _forget_output()
        _complain(f"standard output: {error.strerror}")
        return 1
    return status


def _complain(text: str) -> None:
    """One line on stderr, whatever characters a file's name has; what becomes of it is all one."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"vgaemu: {_one_line(text)}", file=sys.stderr)


def _one_line(text: str) -> str:
    r"""Line ends and other control characters as Python writes them.

    >>> _one_line("a\nb\x1b")
    'a\\nb\\x1b'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _say(text: str) -> None:
    """Print at once; a reader who has gone, such as `head`, ends the output and nothing else.

    Raises:
        OutputError: The disk is full, or the like; what comes later is not printed either.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _forget_output()
    except OSError as error:
        _forget_output()
        raise OutputError(error.strerror or str(error)) from None


def _forget_output() -> None:
    """Nothing is left to flush at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; what a workload takes may stand anywhere, and all after ``--`` is its own."""
    parser, commands = _parser()
    if arguments and arguments[0] not in commands and _is_workload(arguments[0]):
        parser.error(f"no command {arguments[0]!r}; say 'vgaemu run {arguments[0]}'")
    at = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, own = arguments[:at], arguments[at + 1 :]
    # What follows an option would otherwise not be taken as a workload's argument.
    options, rest = parser.parse_known_args(arguments)
    takes_more = hasattr(options, "args")
    if any(word.startswith("-") for word in rest) or (rest + own and not takes_more):
        parser.error(f"unrecognized arguments: {' '.join(rest + own)}")
    if takes_more:
        words = [*options.args, *rest, *own]
        if options.workload is None and words:
            options.workload = words.pop(0)
        options.args = words
    return options


def _is_workload(word: str) -> bool:
    from vgaemu.guest.workload import bundled_names
    from vgaemu.pc.images import is_image

    return not word.startswith("-") and (
        word in bundled_names() or word.endswith(".py") or is_image(word)
    )


def _parser() -> tuple[argparse.ArgumentParser, Collection[str]]:
    """The parser, and the names of the commands."""
    import argparse
    from pathlib import Path
    from typing import NoReturn

    from vgaemu.bench import BENCHMARKS

    class Parser(argparse.ArgumentParser):
        """One line for a mistake, without the usage."""

        def error(self, message: str) -> NoReturn:
            self.exit(2, f"{self.prog}: {_one_line(message)}; see '{self.prog} --help'\n")

    parser = Parser(
        prog="vgaemu",
        description="A VGA that redraws only what its dirty log says changed. "
        "Without a command: the tour.",
    )
    parser.add_argument("--version", action="version", version=f"vgaemu {__version__}")
    parser.set_defaults(command=_tour)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    run = commands.add_parser("run", help="run a workload, a disk image or a .com program")
    run.set_defaults(command=_run)
    run.add_argument(
        "workload", nargs="?", help="a name from 'vgaemu list', or a path: .py, .img, .com"
    )
    run.add_argument("args", nargs="*", help="the workload's arguments")
    run.add_argument(
        "--display", choices=("window", "null"), help="where the picture goes (window)"
    )
    run.add_argument(
        "--headless", action="store_true", help="--display null, as fast as it goes, in step"
    )
    run.add_argument("--frames", type=_positive, metavar="N", help="stop after N frames")
    run.add_argument(
        "--scale", type=_positive, metavar="N", help="window size, whole steps (what fits)"
    )
    run.add_argument(
        "--aspect", choices=("auto", "square"), default="auto",
        help="auto shows VGA modes as 4:3, as a monitor does; square shows square pixels (auto)",
    )  # fmt: skip
    run.add_argument("--fullscreen", action="store_true", help="start without a window's frame")
    run.add_argument(
        "--border", type=_not_negative, default=0, metavar="N",
        help="keep N window pixels of the overscan colour around the picture",
    )  # fmt: skip
    run.add_argument("--no-panel", action="store_true", help="only the picture")
    run.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="60 X frames a second; 0: no limit",
    )
    run.add_argument(
        "--dirty-log", default="flags", metavar="NAME",
        help="who keeps the log: flags, words, srcu, mmu, kvm...; 'vgaemu info' lists them (flags)",
    )  # fmt: skip
    run.add_argument(
        "--span-pages", type=int, choices=(64, 32, 16, 8), metavar="N",
        help="pages looked at as one word for the ffs..fls spans: 64, 32, 16 or 8 (8)",
    )  # fmt: skip
    run.add_argument("--screenshot", type=_path, metavar="F.png", help="save the last frame")
    run.add_argument(
        "--upscaled", action="store_true",
        help="save it as a monitor shows it: 320x200 as 1600x1200, pixels repeated",
    )  # fmt: skip
    run.add_argument("--dump-text", type=_path, metavar="F.txt", help="save the text screen")
    run.add_argument("--stats", type=_path, metavar="F.json", help="write the statistics")
    run.add_argument(
        "--stats-frames", action="store_true", help="with a row for every frame in --stats"
    )
    run.add_argument(
        "--dump-registers", type=_path, nargs="?", const=Path(STANDARD_OUTPUT), metavar="F",
        help="print every register by name with its fields at the end, or write them to F",
    )  # fmt: skip
    run.add_argument(
        "--dump-palette", type=_path, metavar="F.png", help="save the DAC's colours as a picture"
    )
    run.add_argument(
        "--font", type=_path, metavar="FILE",
        help="font of text modes 0 to 3 and 7, whose rows follow its height: PSF or raw 8xN, plain "
        "or .gz; tweaked modes such as 80x50 take one of their own height only",
    )  # fmt: skip
    run.add_argument("--load-state", type=_path, metavar="F.npz", help="go on from a saved state")
    run.add_argument("--save-state", type=_path, metavar="F.npz", help="save the state at the end")
    run.add_argument(
        "--record-tape",
        type=_path,
        metavar="F.tape",
        help="record for 'replay'; .tape.gz is smaller",
    )
    run.add_argument(
        "--keys", metavar="F:KEY,...", help="strike keys at frames: 30:a,60:enter,90:ctrl-c"
    )
    live = run.add_argument_group("live migration")
    live.add_argument(
        "--migrate-to", metavar="HOST:PORT", help="send the machine to a 'receive', while it runs"
    )
    live.add_argument(
        "--migrate-at",
        type=_positive,
        metavar="FRAME",
        help="after so many frames (60)",
    )
    live.add_argument(
        "--downtime", type=_positive, metavar="MS", dest="downtime_ms",
        help="stop the guest for the rest as soon as that takes no longer to send (50)",
    )  # fmt: skip
    live.add_argument(
        "--max-rounds", type=_positive, metavar="N",
        help="rounds until a guest is found to write faster than the link takes (30)",
    )  # fmt: skip
    live.add_argument(
        "--when-stuck", choices=("stop", "give-up"),
        help="what to do with such a guest: stop it for longer, the default, or let it run on here",
    )  # fmt: skip
    pc = _pc_options(run)
    pc.add_argument("--trace-ports", type=_path, metavar="F", help="write every port access")
    pc.add_argument(
        "--trace-code", action="store_true", help="slowly: report what led to a fault; unicorn only"
    )

    receive = commands.add_parser("receive", help="take over what 'run --migrate-to' sends")
    receive.set_defaults(
        command=_receive, aspect="auto", no_panel=False, border=0, fullscreen=False
    )
    receive.add_argument(
        "workload", nargs="?",
        help="an .img or .com that is sent goes on here: name the same file; of a workload in "
        "Python the picture is sent, and the one named here starts on it",
    )  # fmt: skip
    receive.add_argument("args", nargs="*", help="the workload's arguments")
    receive.add_argument(
        "--listen", default="127.0.0.1:4096", metavar="HOST:PORT",
        help="where; on loopback unless told otherwise (127.0.0.1:4096); port 0: one that is free",
    )  # fmt: skip
    receive.add_argument(
        "--wait", type=_positive, metavar="S", help="give up if nobody comes for S seconds"
    )
    receive.add_argument(
        "--display", choices=("window", "null"), help="where the picture goes (window)"
    )
    receive.add_argument(
        "--headless", action="store_true", help="--display null, as fast as it goes, in step"
    )
    receive.add_argument("--frames", type=_positive, metavar="N", help="then stop after N frames")
    receive.add_argument("--scale", type=_positive, metavar="N", help="window size, whole steps")
    receive.add_argument("--screenshot", type=_path, metavar="F.png", help="save the last frame")
    _pc_options(receive)

    replay = commands.add_parser("replay", help="play a tape: recorded port and memory operations")
    replay.set_defaults(command=_replay)
    replay.add_argument("tape", type=_path, help="JSON lines, gzipped or not: see vgaemu/tape")
    replay.add_argument("--screenshot", type=_path, metavar="F.png", help="save the last picture")
    replay.add_argument("--readbacks", type=_path, metavar="F.json", help="write what was read")
    replay.add_argument(
        "--display", choices=("window", "null"), help="where the picture goes (null)"
    )
    replay.add_argument("--headless", action="store_true", help="--display null")
    replay.add_argument(
        "--per-frame", type=_positive, metavar="N",
        help="operations between two frames; default: all at once, 500 in a window",
    )  # fmt: skip

    modes = commands.add_parser("modes", help="the modes: sizes, colours, memory, refresh")
    modes.set_defaults(command=_modes)
    listing = commands.add_parser("list", help="the bundled workloads")
    listing.set_defaults(command=_list)
    bench = commands.add_parser("bench", help="measure: both sides in one run, medians, ratios")
    bench.set_defaults(command=_bench)
    bench.add_argument("name", choices=list(BENCHMARKS), metavar="NAME", help="; ".join(
        f"{name}: {what}" for name, what in BENCHMARKS.items()
    ))  # fmt: skip
    bench.add_argument("--runs", type=_positive, default=5, metavar="N", help="repetitions (5)")
    bench.add_argument("--json", type=_path, metavar="F.json", help="write the rows too")
    bench.add_argument(
        "--plot", type=_path, metavar="F.png|svg", help="dirty-log, vga: draw the times, too"
    )
    bench.add_argument(
        "--heatmap", type=_path, metavar="F.png|svg",
        help="dirty-log: draw which pages a run dirties in which frame",
    )  # fmt: skip
    info = commands.add_parser("info", help="versions, displays, and what works here")
    info.set_defaults(command=_info)
    return parser, commands.choices


def _pc_options(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    pc = command.add_argument_group("machine code (.img, .com)")
    pc.add_argument(
        "--cpu", choices=("unicorn", "kvm"), help="who executes: an emulator, or the host (unicorn)"
    )
    pc.add_argument(
        "--vga-bios", metavar="auto|builtin|PATH",
        help="auto: a ROM of the system's, if there is one (auto)",
    )  # fmt: skip
    pc.add_argument("--firmware", choices=("seabios",), help="boot through SeaBIOS; needs kvm")
    pc.add_argument("--dos-root", type=_path, metavar="DIR",
        help="the folder whose files a .com program reads, writes and deletes (none)",
    )  # fmt: skip
    pc.add_argument("--writable", action="store_true", help="let the guest write to the image")
    pc.add_argument("--force", action="store_true", help="boot a disk without a boot signature")
    return pc


def _path(text: str) -> Path:
    from argparse import ArgumentTypeError
    from pathlib import Path

    if not text:
        raise ArgumentTypeError("an empty name is no file's")
    return Path(text)


def _positive(text: str) -> int:
    from argparse import ArgumentTypeError

    if len(text) > MAX_DIGITS:
        raise ArgumentTypeError(f"a number of {len(text)} characters is too large")
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def _not_negative(text: str) -> int:
    return 0 if text == "0" else _positive(text)


def _speed(text: str) -> float:
    from argparse import ArgumentTypeError

    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1000")
    return value


def _tour(options: argparse.Namespace) -> int:
    from vgaemu.cli.tour import tour

    return tour()


def _run(options: argparse.Namespace) -> int:
    with _sigterm_as_ctrl_c():  # until all files are written, not only while frames run
        return _run_workload(options)


def _run_workload(options: argparse.Namespace) -> int:
    from vgaemu.display.loop import DEFAULT_SPAN_PAGES
    from vgaemu.errors import FontError, KeysError
    from vgaemu.keys.queue import parse_keys
    from vgaemu.vga.font import load_font_file

    headless = _is_headless(options)
    if options.workload is None and options.load_state is None:
        hint = ""
        if options.dump_registers is not None:
            hint = " (--dump-registers took the word behind it: put it last)"
        raise UsageError(f"run: name a workload{hint}; 'vgaemu list' shows those there are")
    if options.load_state is not None and options.record_tape is not None:
        raise UsageError("--record-tape: a tape starts at power on, not from --load-state")
    how = {"--migrate-at": options.migrate_at, "--downtime": options.downtime_ms}
    how |= {"--max-rounds": options.max_rounds, "--when-stuck": options.when_stuck}
    if options.migrate_to is None and (given := [name for name in how if how[name] is not None]):
        raise UsageError(f"{', '.join(given)}: say with --migrate-to HOST:PORT where to")
    if options.upscaled and options.screenshot is None:
        raise UsageError("--upscaled: say with --screenshot F.png where the picture goes")
    if options.stats_frames and options.stats is None:
        raise UsageError("--stats-frames: say with --stats F.json where the rows go")
    outputs = _outputs(options)
    _check_outputs(options, outputs)
    try:
        font = None if options.font is None else load_font_file(options.font)
    except FontError as error:
        raise UsageError(f"--font {error}") from None
    try:
        keys = parse_keys(options.keys) if options.keys is not None else []
    except KeysError as error:
        raise UsageError(f"--keys: {error}") from None
    machine = _make_machine(
        options,
        headless,
        dirty_log=options.dirty_log,
        span_pages=options.span_pages or DEFAULT_SPAN_PAGES,
        record_tape=options.record_tape,
        font=font,
    )
    if options.stats_frames:
        machine.stats.rows = []
    machine.schedule_keys(keys)
    migration = None if options.migrate_to is None else _start_migration(machine, options)
    problems: list[str] = []
    with _device_errors(), machine:
        if headless and options.frames is None and (machine.endless or not options.workload):
            what = options.workload or "a machine without a workload"
            raise UsageError(f"{what} never ends: --headless needs --frames N with it")
        if options.load_state is not None:
            machine.load_state(options.load_state)
        status = _run_frames(machine, options.frames, headless, options.speed)
        if migration is not None and status == 0:  # who interrupts does not wait for it
            status = _finish_migration(machine, migration)
        for output in outputs:
            if not output.after_close:
                problems += output.problem(machine)
        problems += _closing_problems(machine)
    if machine.guest_error is not None and status == 0:  # raised while it was stopped
        _print_guest_traceback(machine.guest_error)
        status = 1
    for output in outputs:
        if output.after_close:
            problems += output.problem(machine)
    if headless:
        _say(machine.stats.table())
    if machine.pc is not None and machine.pc.exit_code:
        _say(f"{options.workload}: exit code {machine.pc.exit_code}")
    if problems:
        raise UsageError(*problems)
    return _exit_status(status, headless)


def _closing_problems(machine: Machine) -> list[str]:
    """Close a machine; why its tape or trace is not whole. Other files are still to be written."""
    from vgaemu.errors import TapeError, WorkloadError

    try:
        machine.close()
    except (TapeError, WorkloadError) as error:
        return [str(error)]
    return []


def _is_headless(options: argparse.Namespace) -> bool:
    if options.headless and options.display == "window":
        raise UsageError("--headless and --display window: take one of them")
    return bool(options.headless or options.display == "null")


class _Output(NamedTuple):
    """A file that a run leaves."""

    option: str
    path: Path
    write: Callable[[Machine, Path], None]
    is_picture: bool = False
    #: Written when the guest has stopped.
    after_close: bool = False

    def problem(self, machine: Machine) -> list[str]:
        """Write it; why it could not be, in one line, or nothing."""
        from vgaemu.errors import ScreenError, StateError

        try:
            self.write(machine, self.path)
        except (ScreenError, StateError) as error:
            return [f"{self.option}: {error}"]
        except OSError as error:
            return [f"{self.option} {self.path}: {error.strerror or error}"]
        except OutputError as error:
            return [f"{self.option}: standard output: {error}"]
        return []


def _outputs(options: argparse.Namespace) -> list[_Output]:
    """What the options ask for; the order is the one in which it is written."""
    import json

    from vgaemu.vga.dump import dump_registers, palette_picture

    def screenshot(machine: Machine, path: Path) -> None:
        machine.screen.save(path, upscaled=options.upscaled)

    def text(machine: Machine, path: Path) -> None:
        lines = [row.rstrip() for row in machine.screen.text()]
        path.write_text("\n".join(lines) + "\n", "utf-8")

    def palette(machine: Machine, path: Path) -> None:
        palette_picture(machine.vga).save(path)

    def registers(machine: Machine, path: Path) -> None:
        dump = dump_registers(machine.vga) + "\n"
        if str(path) == STANDARD_OUTPUT:
            _say(dump)
        else:
            path.write_text(dump, "utf-8")

    def stats(machine: Machine, path: Path) -> None:
        summary = {"workload": options.workload, "args": options.args}
        summary |= {"dirty_log": machine.vram.dirty_log} | machine.stats.summary()
        path.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")

    asked = (
        _Output("--screenshot", options.screenshot, screenshot, is_picture=True),
        _Output("--dump-text", options.dump_text, text),
        _Output("--dump-palette", options.dump_palette, palette, is_picture=True),
        _Output("--dump-registers", options.dump_registers, registers),
        _Output("--stats", options.stats, stats),
        _Output("--save-state", options.save_state, _write_state, after_close=True),
    )
    return [output for output in asked if output.path is not None]


def _write_state(machine: Machine, path: Path) -> None:
    machine.save_state(path)


def _check_outputs(options: argparse.Namespace, outputs: list[_Output]) -> None:
    """Before the run, all files that it leaves."""
    files = [(output.option, output.path) for output in outputs]
    files.append(("--record-tape", options.record_tape))
    files.append(("--trace-ports", options.trace_ports))
    inputs = (options.font, options.vga_bios, options.load_state)
    _check_files(files, (options.workload, *options.args, *inputs), options.load_state)
    for output in outputs:
        if output.is_picture:
            _check_picture_suffix(output.path, output.option)


def _check_files(
    outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[Any], state: Path | None = None
) -> None:
    """Each output can be written, and none over another or over what is read.

    Args:
        outputs: Option and file.
        inputs: What may name a file.
        state: An input that ``--save-state`` may write over.
    """
    taken = {_identity(name): str(name) for name in inputs if name and os.path.isfile(name)}
    for option, path in outputs:
        if path is None:
            continue
        if str(path) == STANDARD_OUTPUT:
            if option == "--dump-registers":
                continue
            raise UsageError(f"{option} -: only --dump-registers prints; name a file")
        _check_writable(path)
        if path.exists() and not path.is_file():
            if option == "--save-state":
                raise UsageError(f"{option} {path}: no regular file; name one")
            continue
        identity = _identity(path)
        if option == "--save-state" and state is not None and identity == _identity(state):
            continue
        other = taken.setdefault(identity, option)
        if other != option:
            raise UsageError(f"{option} {path}: {other} is the same file; name another")


def _identity(path: Any) -> object:
    """The same for all names of a file, links among them, and for those of one yet to come."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


#: Options that say how to migrate, as `vgaemu.migrate.Limits` has them; and when, by default.
LIMITS = ("downtime_ms", "max_rounds", "when_stuck")
MIGRATE_AT = 60


def _start_migration(machine: Machine, options: argparse.Namespace) -> Migration:
    from vgaemu.errors import MigrateError
    from vgaemu.migrate import Limits, Migration

    limits = {name: getattr(options, name) for name in LIMITS}
    limits = {name: value for name, value in limits.items() if value is not None}
    try:
        return Migration(
            machine,
            options.migrate_to,
            Limits(**limits),
            at_frame=options.migrate_at or MIGRATE_AT,
            say=_say_migration,
        )
    except MigrateError as error:
        machine.close()
        raise UsageError(f"--migrate-to {error}") from None


def _make_machine(options: argparse.Namespace, headless: bool, **more: Any) -> Machine:
    """The machine that `run` and `receive` ask for."""
    from vgaemu.errors import DisplayError, MemslotError, WorkloadError
    from vgaemu.machine import Machine

    more |= _machine_code_options(options)
    try:
        return Machine(
            options.workload,
            options.args,
            display="null" if headless else _window(options),
            free=not headless,
            **more,
        )
    except WorkloadError as error:
        raise UsageError(str(error)) from None
    except MemslotError as error:
        raise UsageError(f"--dirty-log: {error}") from None
    except DisplayError as error:
        raise UsageError(f"--display window: {error}") from None
    except (Exception, SystemExit) as error:  # raised by the workload's file while it was read
        _print_guest_traceback(error)
        raise GuestFailedError from None


#: Options that are only for machine code.
MACHINE_CODE_OPTIONS = (
    "cpu", "vga_bios", "firmware", "dos_root", "writable", "force", "trace_ports", "trace_code",
)  # fmt: skip


def _machine_code_options(options: argparse.Namespace) -> dict[str, Any]:
    """Those that were given, and the speed of the guest's clock."""
    from vgaemu.pc.images import is_image

    given = {name: getattr(options, name, None) for name in MACHINE_CODE_OPTIONS}
    given = {name: value for name, value in given.items() if value not in (None, False)}
    if not is_image(options.workload):
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise UsageError(f"{names}: only for machine code, a file that ends in .img or .com")
        return {}
    is_program = str(options.workload).lower().endswith(".com")
    for name in ("writable", "force") if is_program else ("dos_root",):
        if name in given:
            what = "disk images" if is_program else ".com programs"
            raise UsageError(f"--{name.replace('_', '-')}: only for {what}; leave it out")
    return given | ({"guest_speed": options.speed} if hasattr(options, "speed") else {})


def _run_frames(machine: Machine, frames: int | None, headless: bool, speed: float) -> int:
    """Run to the end: 0, 1 if the guest failed, `INTERRUPTED`.

    What a guest that failed shows in a window stays there until it is closed.
    """
    from vgaemu.errors import DisplayError, WorkloadError

    progress = _progress(frames) if headless else None
    try:
        machine.run(frames, speed=0 if headless else speed, progress=progress)
    except KeyboardInterrupt:
        return INTERRUPTED
    except WorkloadError as error:
        raise UsageError(str(error)) from None
    except DisplayError:
        raise
    except (Exception, SystemExit) as error:
        _print_guest_traceback(error)
        with suppress(KeyboardInterrupt):
            machine.keep_showing("the guest failed: see the terminal", frames)
        return 1
    finally:
        if progress is not None:
            progress(-1)
    return 0


def _interrupter() -> Callable[[int, FrameType | None], None]:
    """A signal handler that interrupts, and lets pass what comes at once after that.

    A second Ctrl-C does not end what the first lets the run leave, unless it comes
    `CTRL_C_AGAIN_S` later.
    """
    from time import monotonic

    from vgaemu.signals import CTRL_C_AGAIN_S

    heeded: float | None = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal heeded
        if heeded is None or monotonic() - heeded >= CTRL_C_AGAIN_S:
            heeded = monotonic()
            raise KeyboardInterrupt

    return interrupt


@contextmanager
def _two_ctrl_c_are_one() -> Iterator[None]:
    """See `_interrupter`."""
    import signal
    from threading import current_thread, main_thread

    before = signal.getsignal(signal.SIGINT)
    # It is ignored in the background, say; and only the main thread may take signals.
    if before is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _interrupter())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Who stops a container wants what the run leaves, too; also where Ctrl-C is ignored."""
    import signal

    ctrl_c = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, ctrl_c if callable(ctrl_c) else _interrupter())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_status(status: int, headless: bool) -> int:
    """Ctrl-C is how people end a window's run: nothing went wrong."""
    return 0 if status == INTERRUPTED and not headless else status


@contextmanager
def _device_errors() -> Iterator[None]:
    """Displays, tapes, pictures and states that are refused, as one line."""
    from vgaemu.errors import DisplayError, ScreenError, StateError, TapeError

    try:
        yield
    except (TapeError, StateError, ScreenError) as error:
        raise UsageError(str(error)) from None
    except DisplayError as error:
        raise UsageError(f"--display window: {error}") from None


def _say_migration(line: str) -> None:
    _complain(f"--migrate-to {line}")


def _finish_migration(machine: Machine, migration: Migration) -> int:
    """The frames are over: let a migration that is on its way arrive, and say how it went.

    Returns:
        The exit status: 1 if the guest is still here, unless the user ended the run.
    """
    closed = machine.closed_by_user()
    if not closed:
        migration.finish()
    if migration.succeeded:
        with suppress(OutputError):  # what the run leaves is still to be written
            _say(f"migrated to {migration.address}: {migration.result().line()}")
    elif not migration.done:
        what = "not over yet" if migration.started else f"due after {migration.at_frame}"
        _say_migration(f"{migration.address}: {what} when the run ended at {machine.frames} frames")
    return 0 if closed or migration.succeeded else 1


def _receive(options: argparse.Namespace) -> int:
    from vgaemu.errors import MigrateError
    from vgaemu.migrate import Receiver, receive_machine
    from vgaemu.outputs import named_in_errors

    headless = _is_headless(options)
    inputs = (options.workload, *options.args, options.vga_bios)
    _check_files([("--screenshot", options.screenshot)], inputs)
    if options.screenshot is not None:
        _check_picture_suffix(options.screenshot)
    machine = _make_machine(options, headless)
    with _device_errors(), machine:
        if headless and options.workload and options.frames is None and machine.endless:
            raise UsageError(f"{options.workload} never ends: --headless needs --frames N with it")
        listening = False
        try:
            with Receiver(options.listen) as receiver:
                listening = True
                _say(f"listening on {receiver.address}")
                received = receive_machine(receiver, machine, options.wait)
        except MigrateError as error:
            if machine.closed_by_user():
                return 0
            if not listening:
                raise UsageError(f"receive: {error}") from None
            _complain(f"receive: {error}")
            return 1
        with suppress(OutputError):  # the guest is here now, whoever hears of it
            _say(f"received {received.line()}")
        frames = None if options.frames is None else machine.frames + options.frames
        status = 0
        try:
            if frames is not None or options.workload or not headless:
                status = _run_frames(machine, frames, headless, 1.0)
        finally:
            if options.screenshot is not None:
                with named_in_errors(options.screenshot):
                    machine.screen.save(options.screenshot)
    return _exit_status(status, headless)


def _replay(options: argparse.Namespace) -> int:
    from vgaemu.cli.playback import replay

    headless = _is_headless(options)
    outputs = [("--screenshot", options.screenshot), ("--readbacks", options.readbacks)]
    _check_files(outputs, [options.tape])
    if options.screenshot is not None:
        _check_picture_suffix(options.screenshot)
    with _device_errors():
        replay(
            options.tape,
            screenshot=options.screenshot,
            readbacks=options.readbacks,
            display="null" if headless or options.display is None else options.display,
            per_frame=options.per_frame,
        )
    return 0


def _window(options: argparse.Namespace) -> Display:
    from vgaemu.display.window.window import WindowDisplay

    return WindowDisplay(
        scale=options.scale,
        square_pixels=options.aspect == "square",
        panel=not options.no_panel,
        border=options.border,
        fullscreen=options.fullscreen,
    )


def _check_writable(path: Path) -> None:
    from vgaemu.outputs import why_unwritable

    if (why := why_unwritable(path)) is not None:
        raise UsageError(f"{path}: {why}; name a file that can be written")


def _check_picture_suffix(path: Path, option: str = "--screenshot") -> None:
    from io import BytesIO

    from PIL import Image

    known = Image.registered_extensions().get(path.suffix.lower())
    if known not in Image.SAVE:
        raise UsageError(f"{option} {path}: no picture format ends in that; use .png")
    try:
        Image.new("RGB", (1, 1)).save(BytesIO(), known)
    except Exception as error:  # what it raises depends on the format
        why = " ".join(str(error).split())
        raise UsageError(
            f"{option} {path}: pictures cannot be written so ({why}); use .png"
        ) from None


def _print_guest_traceback(error: BaseException) -> None:
    """The guest's own frames only: what lies below the machine's call into it."""
    import traceback

    from vgaemu.errors import GuestFault

    if isinstance(error, GuestFault):
        print(f"vgaemu: the guest failed, its screen is kept: {error}", file=sys.stderr)
        print(error.report, file=sys.stderr)
        return

    from vgaemu import machine, runner
    from vgaemu.guest import workload

    frames = error.__traceback__
    ours = (__file__, machine.__file__, runner.__file__, workload.__file__)
    while frames is not None and (
        frames.tb_frame.f_code.co_filename in ours
        or frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
    ):
        frames = frames.tb_next
    print("vgaemu: the guest failed:", file=sys.stderr)
    traceback.print_exception(type(error), error, frames, file=sys.stderr)


def _progress(total: int | None) -> Callable[[int], None] | None:
    """Frames so far on a terminal's stderr, ten times a second; nothing where it is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from time import monotonic

    last = monotonic()
    width = 0

    def show(frames: int) -> None:
        nonlocal last, width
        if frames < 0:
            if width:
                print("\r" + " " * width + "\r", end="", file=sys.stderr)
            return
        if monotonic() - last < 0.1:
            return
        last = monotonic()
        line = f"{frames} of {total} frames" if total else f"{frames} frames"
        width = len(line)
        print("\r" + line, end="", flush=True, file=sys.stderr)

    return show


def _list(options: argparse.Namespace) -> int:
    from vgaemu.guest.workload import bundled

    workloads = bundled()
    width = max(map(len, workloads))
    for name, shows in workloads.items():
        _say(f"{name:{width}}  {shows}")
    return 0


def _modes(options: argparse.Namespace) -> int:
    from vgaemu.vga.catalogue import catalogue

    _say(catalogue())
    return 0


def _bench(options: argparse.Namespace) -> int:
    from vgaemu.bench.suite import run
    from vgaemu.errors import BenchError

    outputs = [(f"--{name}", getattr(options, name)) for name in ("json", "plot", "heatmap")]
    _check_files(outputs, [])
    unheard: list[OutputError] = []

    def say(text: str) -> None:
        """What took minutes is printed before a file fails, and written though nobody reads."""
        try:
            _say(text)
        except OutputError as error:
            unheard.append(error)

    try:
        run(
            options.name,
            say=say,
            runs=options.runs,
            json_file=options.json,
            plot=options.plot,
            heatmap=options.heatmap,
        )
    except BenchError as error:
        raise UsageError(str(error)) from None
    if unheard:
        raise unheard[0]
    return 0


def _info(options: argparse.Namespace) -> int:
    from vgaemu.cli.info import lines

    _say("\n".join(lines()))
    return 0
