"""`vgaemu replay TAPE`: play what was recorded."""

from __future__ import annotations

from argparse import Namespace

from vgaemu.cli.options import Commands, check_needs, file_path, path_of, positive
from vgaemu.cli.recording import RECORDING_NEEDS, add_recording_options, check_recording


def add_parser(commands: Commands) -> None:
    """Say what it takes."""
    replay = commands.add_parser("replay", help="play a tape: recorded port and memory operations")
    replay.set_defaults(command=run)
    add = replay.add_argument
    add("tape", type=file_path, help="JSON lines, gzipped or not: see vgaemu/tape")
    add("--screenshot", type=file_path, metavar="F.png", help="save the last picture")
    add("--readbacks", type=file_path, metavar="F.json", help="write what was read")
    add_recording_options(add)
    add("--display", choices=("window", "terminal", "null"), help="where the picture goes (null)")
    add("--headless", action="store_true", help="--display null")
    add("--per-frame", type=positive, metavar="N",
        help="operations between two frames; default: all at once, 500 if one looks")  # fmt: skip


def run(options: Namespace) -> int:
    """Play a tape; returns the exit status."""
    from vgaemu.cli.files import check_files
    from vgaemu.cli.playback import replay

    check_needs(options, (RECORDING_NEEDS,))
    names = ("--screenshot", "--readbacks", "--record")
    check_files([(name, path_of(options, name)) for name in names], [options.tape])
    check_recording(options)
    replay(
        options.tape,
        screenshot=options.screenshot,
        readbacks=options.readbacks,
        display=options.display or "null",
        per_frame=options.per_frame,
        record=options.record,
        outlines=options.record_outlines,
    )
    return 0
