"""The `vgaemu` command. Every option is a keyword of the function it calls.

Exit status: 0 done or window closed, 1 the guest or a check failed, 2 wrong usage or input. Errors
are one line on stderr that names the file or option and says what to do.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

# Nothing heavy here: `--version` imports nothing, `--help` and wrong usage do not wait for numpy.
from vgaemu import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from vgaemu.display.report import Display
    from vgaemu.machine import Machine
    from vgaemu.migrate import Migration


class UsageError(Exception):
    """Wrong usage or input: the message is the one line to print."""


class GuestFailedError(Exception):
    """The guest raised; its own traceback has been printed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments == ["--version"]:
        print(f"vgaemu {__version__}")
        return 0
    parser = _parser()
    # What follows an option would otherwise not be taken as a workload's argument.
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "args") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.args += rest
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough; nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UsageError as error:
        print(f"vgaemu: {error}", file=sys.stderr)
        return 2
    except GuestFailedError:
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    import argparse
    from pathlib import Path

    from vgaemu.bench import BENCHMARKS

    parser = argparse.ArgumentParser(
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
    run.add_argument("--display", choices=("window", "null"), default="window")
    run.add_argument(
        "--headless", action="store_true", help="--display null, as fast as it goes, in step"
    )
    run.add_argument("--frames", type=_positive, metavar="N", help="stop after N frames")
    run.add_argument("--scale", type=_positive, metavar="N", help="window size, whole steps")
    run.add_argument(
        "--aspect", choices=("auto", "square"), default="auto",
        help="auto shows VGA modes as 4:3, as a monitor does; square shows square pixels",
    )  # fmt: skip
    run.add_argument("--fullscreen", action="store_true")
    run.add_argument(
        "--border", type=_positive, default=0, metavar="N",
        help="keep N window pixels of the overscan colour around the picture",
    )  # fmt: skip
    run.add_argument("--no-panel", action="store_true", help="only the picture")
    run.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="60 X frames a second; 0: no limit"
    )
    run.add_argument(
        "--dirty-log", default="flags", metavar="NAME",
        help="who keeps the log: flags, words, srcu, mmu, kvm...; 'vgaemu info' lists them",
    )  # fmt: skip
    run.add_argument(
        "--span-pages", type=int, choices=(64, 32, 16, 8), metavar="N",
        help="pages looked at as one word for the ffs..fls spans: 64, 32, 16 or 8",
    )  # fmt: skip
    run.add_argument("--screenshot", type=Path, metavar="F.png", help="save the last frame")
    run.add_argument("--dump-text", type=Path, metavar="F.txt", help="save the text screen")
    run.add_argument("--stats", type=Path, metavar="F.json", help="write the statistics")
    run.add_argument(
        "--stats-frames", action="store_true", help="with a row for every frame in --stats"
    )
    run.add_argument(
        "--dump-registers", type=Path, nargs="?", const=Path("-"), metavar="F",
        help="print every register by name with its fields at the end, or write them to F",
    )  # fmt: skip
    run.add_argument(
        "--dump-palette", type=Path, metavar="F.png", help="save the DAC's colours as a picture"
    )
    run.add_argument(
        "--font", type=Path, metavar="FILE", help="text mode's font: PSF or raw 8xN, plain or .gz"
    )
    run.add_argument("--load-state", type=Path, metavar="F.npz", help="go on from a saved state")
    run.add_argument("--save-state", type=Path, metavar="F.npz", help="save the state at the end")
    run.add_argument(
        "--record-tape",
        type=Path,
        metavar="F.tape",
        help="record for 'replay'; .tape.gz is smaller",
    )
    run.add_argument("--keys", metavar="F:KEY,...", help="strike keys at frames: 30:a,60:enter")
    live = run.add_argument_group("live migration")
    live.add_argument(
        "--migrate-to", metavar="HOST:PORT", help="send the machine to a 'receive', while it runs"
    )
    live.add_argument(
        "--migrate-at",
        type=_positive,
        default=60,
        metavar="FRAME",
        help="after so many frames (60)",
    )
    live.add_argument(
        "--downtime", type=_positive, default=50, metavar="MS",
        help="stop the guest when what is left takes no longer (50)",
    )  # fmt: skip
    live.add_argument(
        "--max-rounds", type=_positive, default=30, metavar="N",
        help="rounds until a guest is found to write faster than the link takes (30)",
    )  # fmt: skip
    live.add_argument(
        "--when-stuck", choices=("stop", "give-up"), default="stop",
        help="then stop it for longer, or let it run on here",
    )  # fmt: skip
    pc = _pc_options(run)
    pc.add_argument("--trace-ports", type=Path, metavar="F", help="write every port access")
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
    receive.add_argument("--display", choices=("window", "null"), default="window")
    receive.add_argument(
        "--headless", action="store_true", help="--display null, as fast as it goes, in step"
    )
    receive.add_argument("--frames", type=_positive, metavar="N", help="then stop after N frames")
    receive.add_argument("--scale", type=_positive, metavar="N", help="window size, whole steps")
    receive.add_argument("--screenshot", type=Path, metavar="F.png", help="save the last frame")
    _pc_options(receive)

    replay = commands.add_parser("replay", help="play a tape: recorded port and memory operations")
    replay.set_defaults(command=_replay)
    replay.add_argument("tape", type=Path, help="JSON lines, gzipped or not: see vgaemu/tape.py")
    replay.add_argument("--screenshot", type=Path, metavar="F.png", help="save the last picture")
    replay.add_argument("--readbacks", type=Path, metavar="F.json", help="write what was read")
    replay.add_argument("--display", choices=("window", "null"), default="null")
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
    bench.add_argument("--json", type=Path, metavar="F.json", help="write the rows too")
    bench.add_argument(
        "--plot", type=Path, metavar="F.png|svg", help="dirty-log, vga: draw the times, too"
    )
    bench.add_argument(
        "--heatmap", type=Path, metavar="F.png|svg",
        help="dirty-log: draw which pages a run dirties in which frame",
    )  # fmt: skip
    info = commands.add_parser("info", help="versions, displays, and what works here")
    info.set_defaults(command=_info)
    return parser


def _pc_options(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    from pathlib import Path

    pc = command.add_argument_group("machine code (.img, .com)")
    pc.add_argument("--cpu", choices=("unicorn", "kvm"), default="unicorn")
    pc.add_argument(
        "--vga-bios", default="auto", metavar="auto|builtin|PATH",
        help="auto: a ROM of the system's, if there is one",
    )  # fmt: skip
    pc.add_argument("--firmware", choices=("seabios",), help="boot through SeaBIOS; needs kvm")
    pc.add_argument("--dos-root", type=Path, metavar="DIR", help="the files a .com program sees")
    pc.add_argument("--writable", action="store_true", help="let the guest write to the image")
    pc.add_argument("--force", action="store_true", help="boot a disk without a boot signature")
    return pc


def _positive(text: str) -> int:
    from argparse import ArgumentTypeError

    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


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
    from vgaemu.tour import tour

    return tour()


def _run(options: argparse.Namespace) -> int:
    import json

    from vgaemu.display.loop import DEFAULT_SPAN_PAGES
    from vgaemu.display.screen import ScreenError
    from vgaemu.guest.keys import KeysError, parse_keys
    from vgaemu.migrate import Limits, MigrateError
    from vgaemu.vga.dump import dump_registers, palette_picture
    from vgaemu.vga.font import FontError, load_font_file

    headless = options.headless or options.display == "null"
    if options.workload is None and options.load_state is None:
        raise UsageError("run: name a workload; 'vgaemu list' shows those there are")
    if options.load_state is not None and options.record_tape is not None:
        raise UsageError("--record-tape: a tape starts at power on, not from --load-state")
    for path in (options.save_state, options.record_tape):
        _check_writable(path)
    registers = options.dump_registers
    outputs = [options.screenshot, options.dump_text, options.stats, options.dump_palette]
    if registers is not None and str(registers) != "-":
        outputs.append(registers)
    for path in outputs:
        _check_writable(path)
    if options.screenshot is not None:
        _check_picture_suffix(options.screenshot)
    if options.dump_palette is not None:
        _check_picture_suffix(options.dump_palette, "--dump-palette")
    try:
        font = None if options.font is None else load_font_file(options.font)
    except FontError as error:
        raise UsageError(f"--font {error}") from None
    try:
        keys = parse_keys(options.keys) if options.keys else []
    except KeysError as error:
        raise UsageError(f"--keys: {error}") from None
    machine = _make_machine(
        options,
        headless,
        dirty_log=options.dirty_log,
        span_pages=options.span_pages or DEFAULT_SPAN_PAGES,
        record_tape=options.record_tape,
        font=font,
        trace_ports=options.trace_ports,
        trace_code=options.trace_code,
        guest_speed=options.speed,
    )
    if options.stats_frames:
        machine.stats.rows = []
    machine.schedule_keys(keys)
    migration: Migration | None = None
    if options.migrate_to is not None:
        limits = Limits(
            downtime_ms=options.downtime,
            max_rounds=options.max_rounds,
            when_stuck=options.when_stuck,
        )
        try:
            migration = machine.start_migration(
                options.migrate_to, limits, at_frame=options.migrate_at, say=_say_migration
            )
        except MigrateError as error:
            machine.close()
            raise UsageError(f"--migrate-to {error}") from None
    with _device_errors(), machine:
        if headless and options.frames is None and (machine.endless or not options.workload):
            what = options.workload or "a machine without a workload"
            raise UsageError(f"{what} never ends: --headless needs --frames N with it")
        if options.load_state is not None:
            machine.load_state(options.load_state)
        status = _run_frames(machine, options.frames, headless, options.speed)
        if migration is not None and status == 0:  # who interrupts does not wait for it
            _finish_migration(machine, migration)
        if options.screenshot is not None:
            machine.screen.save(options.screenshot)
        if options.dump_text is not None:
            try:
                lines = [row.rstrip() for row in machine.screen.text()]
            except ScreenError as error:
                raise UsageError(f"--dump-text: {error}") from None
            options.dump_text.write_text("\n".join(lines) + "\n", "utf-8")
        if options.dump_palette is not None:
            palette_picture(machine.vga).save(options.dump_palette)
        if registers is not None:
            dump = dump_registers(machine.vga) + "\n"
            if str(registers) == "-":
                print(dump)
            else:
                registers.write_text(dump, "utf-8")
        if options.stats is not None:
            summary = {"workload": options.workload, "args": options.args}
            summary |= {"dirty_log": machine.vram.dirty_log} | machine.stats.summary()
            options.stats.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    if options.save_state is not None:
        with _device_errors():  # after the guest has stopped
            machine.save_state(options.save_state)
    if headless:
        print(machine.stats.table())
    return _exit_status(status, headless)


def _make_machine(options: argparse.Namespace, headless: bool, **more: Any) -> Machine:
    """The machine that `run` and `receive` ask for."""
    from vgaemu.display.errors import DisplayError
    from vgaemu.guest.workload import WorkloadError
    from vgaemu.machine import Machine
    from vgaemu.memslot import MemslotError

    try:
        return Machine(
            options.workload,
            options.args,
            display="null" if headless else _window(options),
            free=not headless,
            cpu=options.cpu,
            vga_bios=options.vga_bios,
            firmware=options.firmware,
            dos_root=options.dos_root,
            writable=options.writable,
            force=options.force,
            **more,
        )
    except WorkloadError as error:
        raise UsageError(str(error)) from None
    except MemslotError as error:
        raise UsageError(f"--dirty-log: {error}") from None
    except DisplayError as error:
        raise UsageError(f"--display window: {error}") from None
    except Exception as error:  # raised by the workload's own file while it was read
        _print_guest_traceback(error)
        raise GuestFailedError from None


#: Exit status of a run that Ctrl-C ended.
INTERRUPTED = 130


def _run_frames(machine: Machine, frames: int | None, headless: bool, speed: float) -> int:
    """Run to the end: 0, 1 if the guest failed, `INTERRUPTED`."""
    from vgaemu.display.errors import DisplayError
    from vgaemu.guest.workload import WorkloadError

    progress = _progress(frames) if headless else None
    try:
        machine.run(frames, speed=0 if headless else speed, progress=progress)
    except KeyboardInterrupt:
        return INTERRUPTED
    except WorkloadError as error:
        raise UsageError(str(error)) from None
    except DisplayError:
        raise
    except Exception as error:
        _print_guest_traceback(error)
        return 1
    finally:
        if progress is not None:
            progress(-1)
    return 0


def _exit_status(status: int, headless: bool) -> int:
    """Ctrl-C is how people end a window's run: nothing went wrong."""
    return 0 if status == INTERRUPTED and not headless else status


@contextmanager
def _device_errors() -> Iterator[None]:
    """Displays, tapes and states that are refused, as one line."""
    from vgaemu.display.errors import DisplayError
    from vgaemu.tape import TapeError
    from vgaemu.vga.state import StateError

    try:
        yield
    except (TapeError, StateError) as error:
        raise UsageError(str(error)) from None
    except DisplayError as error:
        raise UsageError(f"--display window: {error}") from None


def _say_migration(line: str) -> None:
    print(f"vgaemu: --migrate-to {line}", file=sys.stderr)


def _finish_migration(machine: Machine, migration: Migration) -> None:
    """The frames are over: let a migration that is on its way arrive, and say how it went."""
    if not machine.closed_by_user():
        migration.finish()
    if migration.succeeded:
        print(f"migrated to {migration.address}: {migration.result().line()}")
    elif not migration.done:
        what = "not over yet" if migration.started else f"due after {migration.at_frame}"
        _say_migration(f"{migration.address}: {what} when the run ended at {machine.frames} frames")


def _receive(options: argparse.Namespace) -> int:
    from vgaemu.migrate import MigrateError, Receiver, receive_machine

    headless = options.headless or options.display == "null"
    _check_writable(options.screenshot)
    if options.screenshot is not None:
        _check_picture_suffix(options.screenshot)
    machine = _make_machine(options, headless)
    with _device_errors(), machine:
        if headless and options.workload and options.frames is None and machine.endless:
            raise UsageError(f"{options.workload} never ends: --headless needs --frames N with it")
        try:
            with Receiver(options.listen) as receiver:
                print(f"listening on {receiver.address}", flush=True)
                received = receive_machine(receiver, machine, options.wait)
        except MigrateError as error:
            if machine.closed_by_user():
                return 0
            raise UsageError(f"receive: {error}") from None
        print(f"received {received.line()}", flush=True)
        frames = None if options.frames is None else machine.frames + options.frames
        status = 0
        try:
            if frames is not None or options.workload or not headless:
                status = _run_frames(machine, frames, headless, 1.0)
        finally:
            if options.screenshot is not None:
                machine.screen.save(options.screenshot)
    return _exit_status(status, headless)


def _replay(options: argparse.Namespace) -> int:
    from vgaemu.replay import replay

    for path in (options.screenshot, options.readbacks):
        _check_writable(path)
    if options.screenshot is not None:
        _check_picture_suffix(options.screenshot)
    with _device_errors():
        replay(
            options.tape,
            screenshot=options.screenshot,
            readbacks=options.readbacks,
            display=options.display,
            per_frame=options.per_frame,
        )
    return 0


def _window(options: argparse.Namespace) -> Display:
    from vgaemu.display.window import WindowDisplay

    return WindowDisplay(
        scale=options.scale,
        square_pixels=options.aspect == "square",
        panel=not options.no_panel,
        border=options.border,
        fullscreen=options.fullscreen,
    )


def _check_writable(path: Path | None) -> None:
    from vgaemu.machine import unwritable

    if path is not None and (why := unwritable(path)) is not None:
        raise UsageError(f"{path}: {why}; name a file that can be written")


def _check_picture_suffix(path: Path, option: str = "--screenshot") -> None:
    from PIL import Image

    if path.suffix.lower() not in Image.registered_extensions():
        raise UsageError(f"{option} {path}: no picture format ends in that; use .png")


def _print_guest_traceback(error: BaseException) -> None:
    """The guest's own frames only: what lies below the machine's call into it."""
    import traceback

    from vgaemu.guest.x86.cpu import GuestFault

    if isinstance(error, GuestFault):
        print(f"vgaemu: the guest failed, its screen is kept: {error}", file=sys.stderr)
        print(error.report, file=sys.stderr)
        return

    from vgaemu import machine
    from vgaemu.guest import workload

    frames = error.__traceback__
    ours = (__file__, machine.__file__, workload.__file__)
    while frames is not None and (
        frames.tb_frame.f_code.co_filename in ours
        or frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
    ):
        frames = frames.tb_next
    print("vgaemu: the guest failed:", file=sys.stderr)
    traceback.print_exception(type(error), error, frames, file=sys.stderr)


def _progress(total: int | None) -> Callable[[int], None] | None:
    """Frames so far on a terminal's stderr, ten times a second; nothing where it is no terminal."""
    if not sys.stderr.isatty():
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
        print(f"{name:{width}}  {shows}")
    return 0


def _modes(options: argparse.Namespace) -> int:
    from vgaemu.vga.catalogue import catalogue

    print(catalogue())
    return 0


def _bench(options: argparse.Namespace) -> int:
    from vgaemu.bench.suite import BenchError, run

    for path in (options.json, options.plot, options.heatmap):
        _check_writable(path)
    try:
        text = run(
            options.name,
            runs=options.runs,
            json_file=options.json,
            plot=options.plot,
            heatmap=options.heatmap,
        )
    except BenchError as error:
        raise UsageError(str(error)) from None
    print(text)
    return 0


def _info(options: argparse.Namespace) -> int:
    from vgaemu.info import lines

    print("\n".join(lines()))
    return 0
