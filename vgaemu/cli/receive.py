"""`vgaemu receive`: take over what `run --migrate-to` sends."""

from __future__ import annotations

from argparse import Namespace

from vgaemu.cli.options import (
    Commands,
    add_machine_code_group,
    add_picture_group,
    check_needs,
    file_path,
    positive,
)
from vgaemu.cli.recording import RECORDING_NEEDS, add_recording_options
from vgaemu.cli.viewing import VIEW_NEEDS, add_view_options


def add_parser(commands: Commands) -> None:
    """Say what it takes."""
    receive = commands.add_parser(
        "receive",
        help="take over what 'run --migrate-to' sends",
        usage="%(prog)s [OPTION ...] [WORKLOAD [ARGUMENT ...]]",
    )
    receive.set_defaults(command=run, aspect="auto", no_panel=False, border=0, fullscreen=False)
    add = receive.add_argument
    add("workload", nargs="?", metavar="WORKLOAD",
        help="an .img or .com that is sent goes on here: name the same file; a workload in Python "
        "ends at the source, and the one named here starts on its screen")  # fmt: skip
    add("args", nargs="*", metavar="ARGUMENT", help="the workload's")
    add("--listen", default="127.0.0.1:4096", metavar="HOST:PORT",
        help="where; on loopback unless told otherwise (127.0.0.1:4096); port 0: one that is free",
    )  # fmt: skip
    add("--wait", type=positive, metavar="S", help="give up if nobody comes for S seconds")
    add("--frames", type=positive, metavar="N", help="then stop after N frames")
    add("--screenshot", type=file_path, metavar="F.png", help="save the last frame")
    add("--save-state", type=file_path, metavar="F.npz",
        help="save the state at the end, for 'run --load-state'")  # fmt: skip
    add_recording_options(add)
    add_picture_group(receive)
    add_view_options(receive.add_argument_group("looking from elsewhere").add_argument)
    add_machine_code_group(receive)


def run(options: Namespace) -> int:
    """Receive a guest, and run it; returns the exit status."""
    from vgaemu.cli.files import check_outputs
    from vgaemu.cli.migration import receive_into, say_what_ended, where_to_keep_guest
    from vgaemu.cli.recording import check_recording, start_recording, tell_of_parts
    from vgaemu.cli.say import complain
    from vgaemu.cli.session import Session
    from vgaemu.cli.viewing import start_view
    from vgaemu.migrate import Received

    check_needs(options, (VIEW_NEEDS, RECORDING_NEEDS))
    check_outputs(options)
    check_recording(options)
    with Session(options) as session:
        session.check_ends(idle_ends=True)
        if options.view is not None:
            start_view(session.machine, options)
        recording = None
        arrived: list[Received] = []
        try:
            receive_into(session, options.listen, options.wait, arrived)
            frames = None if options.frames is None else session.machine.frames + options.frames
            seen = not session.headless or session.is_viewed
            runs = frames is not None or options.workload or seen
            if arrived and not options.workload:
                say_what_ended(session.machine)
            if arrived and runs:
                recording = start_recording(session.machine, options)
                session.run_frames(frames)
        except KeyboardInterrupt as stop:
            session.stopped = stop
        if not arrived:
            return session.exit_status
        kept = where_to_keep_guest(session, options)
        if kept is not None:
            options.save_state = kept
        session.finish(table=False)
        tell_of_parts(recording)
        if kept is not None:
            run_it = f"vgaemu run {options.workload or ''}".rstrip()
            complain(f"receive: stopped, the guest is in {kept}: '{run_it} --load-state {kept}'")
    return session.exit_status
