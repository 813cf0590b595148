"""`vgaemu run WORKLOAD`: run a guest and leave what was asked for."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgaemu.cli.options import (
    STANDARD_OUTPUT,
    Add,
    Commands,
    add_machine_code_group,
    add_picture_group,
    border_pixels,
    check_needs,
    file_path,
    port,
    positive,
    rewind_room,
    speed,
)
from vgaemu.cli.recording import RECORDING_NEEDS, add_recording_options
from vgaemu.cli.say import GuestFailedError, UsageError
from vgaemu.cli.viewing import VIEW_NEEDS, add_view_options
from vgaemu.display.hostkeys import all_keys
from vgaemu.errors import SnapshotError

if TYPE_CHECKING:
    from vgaemu.cli.session import Session  # brings numpy
    from vgaemu.machine import Machine

NO_WORKLOAD = "run: name a workload; 'vgaemu list' shows those there are"
#: See `check_needs`.
NEEDS = (
    (
        ("--migrate-at", "--downtime", "--max-rounds", "--when-stuck"),
        "--migrate-to", "--migrate-to HOST:PORT where to",
    ),
    VIEW_NEEDS,
    (("--upscaled",), "--screenshot", "--screenshot F.png where the picture goes"),
    (("--stats-frames",), "--stats", "--stats F.json where the rows go"),
    RECORDING_NEEDS,
)  # fmt: skip


def add_parser(commands: Commands) -> None:
    """Say what it takes."""
    command = commands.add_parser(
        "run",
        help="run a workload, a disk image or a DOS program",
        usage="%(prog)s [OPTION ...] [WORKLOAD [ARGUMENT ...]]",
        epilog=f"Keys in the window: {all_keys()}. All others are the guest's.",
    )
    command.set_defaults(command=run)
    add = command.add_argument
    add("workload", nargs="?", metavar="WORKLOAD",
        help="a name from 'vgaemu list', or a path: .py, .img, .com, .exe (a list to choose from)",
    )  # fmt: skip
    add("args", nargs="*", metavar="ARGUMENT", help="the workload's; those with dashes behind --")
    _add_guest_options(command.add_argument_group("guest program").add_argument)
    _add_picture_options(add_picture_group(command))
    add_view_options(command.add_argument_group("looking from elsewhere").add_argument)
    _add_output_options(command.add_argument_group("outputs").add_argument)
    add_machine_code_group(command)
    _add_debugging_options(command.add_argument_group("debugging").add_argument)
    _add_migration_options(command.add_argument_group("live migration").add_argument)


# fmt: off
def _add_guest_options(add: Add) -> None:
    add("--kernel", type=file_path, metavar="FILE", help="in place of WORKLOAD, as QEMU has it")
    add("--frames", type=positive, metavar="N", help="stop after N frames")
    add("--speed", type=speed, default=1.0, metavar="X", help="60 X frames a second; 0: no limit")
    add("--keys", metavar="F:KEY,...", help="strike keys, or use the mouse, at frames: "
        "30:a,60:enter,90:ctrl-c,120:click@160,100; 'vgaemu keys' has all")
    add("--load-state", type=file_path, metavar="F.npz", help="go on from a saved state")
    add("--rewind", type=rewind_room, metavar="MINUTES|MiB",
        help="keep the last minutes, or as many as 64MiB take, to go back through them with "
        "Ctrl+F12; machine code only, which then runs in step with the picture (off)")
    add("--exit-code", action="store_true",
        help="exit with the guest's code: that of INT 21h AH=4Ch, or what a workload returns or "
        "gives sys.exit; 124 if it has not ended; 1 and 2 may also be vgaemu's own")
    add("--exit-port", type=port, metavar="PORT",
        help="a port (0xf4) whose writes end the guest: a value V exits with 2 V + 1, as QEMU's "
        "isa-debug-exit; 124 if none has come")


def _add_picture_options(add: Add) -> None:
    add("--aspect", choices=("auto", "4:3", "square"), default="auto",
        help="auto: 4:3 as a monitor shows it, but text in whole steps nearest to that (80x25 as "
        "720x400 or 1440x1200), so that all strokes are equally thick; 4:3: exactly that, the "
        "largest that fits, edges blended; square: square pixels (auto)")
    add("--fullscreen", action="store_true", help="start without a window's frame")
    add("--border", type=border_pixels, nargs="?", const=True, default=0, metavar="N",
        help="show the border, too, as a part of the picture and as large as the guest has made "
        "it; with N: keep N window pixels of its colour around the picture")
    add("--no-panel", action="store_true",
        help="only the picture; else the panel is there if the picture is not smaller for it")
    add("--font", type=file_path, metavar="FILE",
        help="font of text modes 0 to 3 and 7, whose rows follow its height: PSF or raw 8xN, plain "
        "or .gz; tweaked modes such as 80x50 take one of their own height only")


def _add_output_options(add: Add) -> None:
    add("--screenshot", type=file_path, metavar="F.png", help="save the last frame")
    add("--upscaled", action="store_true",
        help="save it as a monitor shows it: 320x200 as 1600x1200, pixels repeated")
    add_recording_options(add)
    add("--dump-text", type=file_path, metavar="F.txt", help="save the text screen")
    add("--stats", type=file_path, metavar="F.json", help="write the statistics")
    add("--stats-frames", action="store_true", help="with a row for every frame in --stats")
    add("--save-state", type=file_path, metavar="F.npz", help="save the state at the end")
    add("--record-tape", type=file_path, metavar="F.tape",
        help="record what is written, for 'replay'; .tape.gz is smaller")


def _add_debugging_options(add: Add) -> None:
    add("--dirty-log", metavar="NAME",
        help="who keeps the log: flags, words, srcu, mmu, kvm...; 'vgaemu info' lists them (flags)")
    add("--compare", metavar="A,B",
        help="two of those harvest the same frames, and panel and --stats tell of both: srcu,words")
    add("--span-pages", type=int, choices=(64, 32, 16, 8), metavar="N",
        help="pages looked at as one word for the ffs..fls spans: 64, 32, 16 or 8 (8)")
    add("--dump-registers", type=file_path, nargs="?", const=Path(STANDARD_OUTPUT), metavar="F",
        help="print every register by name with its fields at the end, or write them to F")
    add("--dump-palette", type=file_path, metavar="F.png",
        help="save the DAC's colours as a picture")
    add("--trace-ports", type=file_path, metavar="F",
        help="machine code only: write every port access")
    add("--debugcon", type=file_path, metavar="F",
        help="machine code only: write what is printed to port E9h as it comes; -: print it")
    add("--serial", type=file_path, metavar="F",
        help="machine code only: write what is sent to the serial port at 3F8h; -: print it, "
             "and standard input comes to the port")
    add("--printer", type=file_path, metavar="F",
        help="machine code only: write what is printed at LPT1, as it comes; -: print it")
    add("--trace-code", action="store_true",
        help="machine code only, slowly: report what led to a fault; unicorn only")


def _add_migration_options(add: Add) -> None:
    add("--migrate-to", metavar="HOST:PORT",
        help="send the machine to a 'receive', while it runs")
    add("--migrate-at", type=positive, metavar="FRAME", help="after so many frames (60)")
    add("--downtime", type=positive, metavar="MS",
        help="stop the guest for the rest as soon as that takes no longer to send (50)")
    add("--max-rounds", type=positive, metavar="N",
        help="rounds until a guest is found to write faster than the link takes (30)")
    add("--when-stuck", choices=("stop", "give-up"),
        help="what to do with such a guest: stop it for longer, the default, or let it run on here")
# fmt: on


def run(options: Namespace) -> int:
    """Run a guest, and after it what its user wants instead; returns the last one's exit status."""
    from vgaemu.cli.files import check_outputs
    from vgaemu.cli.migration import finish_migration, start_migration
    from vgaemu.cli.recording import check_recording, start_recording, tell_of_parts
    from vgaemu.cli.viewing import start_view
    from vgaemu.keys.queue import parse_keys

    _take_kernel(options)
    _check_usage(options)
    check_outputs(options)
    check_recording(options)
    keys = [] if options.keys is None else parse_keys(options.keys)
    following: Session | None = _first_session(options)
    status = 0
    while following is not None:
        session, options = following, following.options
        with session:
            machine = session.machine
            if options.stats_frames:
                machine.stats.rows = []
            machine.schedule_keys(keys if options.keys else [])
            migration = None if options.migrate_to is None else start_migration(machine, options)
            session.check_ends(idle_ends=False)
            if options.view is not None:
                start_view(machine, options)
            if options.load_state is not None:
                machine.load_state(options.load_state)
            if options.rewind is not None:
                _start_rewind(machine, options)
            recording = start_recording(machine, options)
            session.run_frames(options.frames, options.speed)
            if migration is not None:
                finish_migration(session, migration)
            following = session.hand_over()
            session.finish(table=following is None)
            tell_of_parts(recording)
        status = session.exit_status
    return status


def _start_rewind(machine: Machine, options: Namespace) -> None:
    try:
        machine.rewind.start(**options.rewind)
    except SnapshotError as error:
        raise UsageError(f"--rewind: {error}") from None


def _take_kernel(options: Namespace) -> None:
    """A kernel is what runs."""
    if options.kernel is None:
        return
    if options.workload is not None:
        raise UsageError("--kernel and a workload: take one of them")
    options.workload = str(options.kernel)


def _first_session(options: Namespace) -> Session:
    """Of what is named, or of a list of what there is."""
    if options.workload is not None or options.load_state is not None:
        return _open_session(options)
    from vgaemu.cli.instead import Program, list_of_guests, options_for
    from vgaemu.errors import DisplayError

    choose, follow = list_of_guests()
    try:
        session = _open_session(options_for(Program(choose), options))
    except DisplayError:
        raise UsageError(NO_WORKLOAD) from None
    follow(session.machine, lambda name: _run_instead(session, name, options))
    return session


def _open_session(options: Namespace, **more: Any) -> Session:
    from vgaemu.cli.session import Session
    from vgaemu.display.loop import DEFAULT_SPAN_PAGES
    from vgaemu.vga.font import load_font_file

    more = {
        "dirty_log": _dirty_log(options),
        "span_pages": options.span_pages or DEFAULT_SPAN_PAGES,
        "record_tape": options.record_tape,
        "font": None if options.font is None else load_font_file(options.font),
    } | more
    session = Session(options, **more)
    session.machine.on_file = lambda name: _run_instead(session, name)
    return session


def _run_instead(session: Session, name: str, options: Namespace | None = None) -> None:
    """Let a file, or a bundled guest, have a session's display; or say why not.

    Args:
        session: What runs.
        name: What is to run.
        options: Those that were given for it; else what of the session's is for all alike.
    """
    from vgaemu.cli.instead import options_for, options_for_choice, program_of
    from vgaemu.errors import VgaemuError

    if session.successor is not None:  # one of several files that were dropped at once
        return
    try:
        program = program_of(name)
        if options is None:
            chosen = options_for(program, session.options)
        else:
            chosen = options_for_choice(program, options)
        successor = _open_session(chosen, display=session.display, **program.needs)
    except (UsageError, VgaemuError) as error:
        session.machine.tell_user(str(error))
    except GuestFailedError:
        session.machine.tell_user(f"{name}: failed while it was read")
    else:
        if options is not None and options.rewind is not None and chosen.rewind is None:
            session.machine.tell_user("no rewind: a workload in Python cannot be kept as it is")
        session.run_instead(successor)


def _dirty_log(options: Namespace) -> str:
    """Who keeps the log: one, or two that are compared."""
    from vgaemu.memslot import KEEPERS

    if options.compare is None:
        return options.dirty_log or "flags"
    if options.dirty_log is not None:
        raise UsageError("--dirty-log and --compare: take one of them")
    names = options.compare.split(",")
    unknown = [name for name in names if name not in KEEPERS]
    if unknown:
        known = ", ".join(KEEPERS)
        raise UsageError(f"--compare: no dirty log named {unknown[0]!r}; there are: {known}")
    if len(names) != 2 or names[0] == names[1]:
        raise UsageError(f"--compare {options.compare}: name two different ones, as srcu,words")
    return "+".join(names)


def _check_usage(options: Namespace) -> None:
    """Options that need others, or exclude them."""
    if options.workload is None and options.load_state is None:
        if options.dump_registers is not None:
            hint = " (--dump-registers took the word behind it: put it last)"
            raise UsageError(NO_WORKLOAD.replace(";", f"{hint};"))
        if options.headless:
            raise UsageError(NO_WORKLOAD)
    if options.load_state is not None and options.record_tape is not None:
        raise UsageError("--record-tape: a tape starts at power on, not from --load-state")
    for option in ("debugcon", "serial", "printer"):
        if str(getattr(options, option)) == STANDARD_OUTPUT and options.display == "terminal":
            raise UsageError(f"--{option} -: the picture is in the terminal; name a file")
    check_needs(options, NEEDS)
