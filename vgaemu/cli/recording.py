"""`--record`: the picture of a run as a moving picture."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from vgaemu.cli.options import Add, file_path
from vgaemu.cli.say import complain

if TYPE_CHECKING:
    from vgaemu.machine import Machine
    from vgaemu.recordings import Recording

#: What is useless without ``--record``: see `check_needs`.
RECORDING_NEEDS = ("--record-outlines",), "--record", "--record F.png where the pictures go"


# fmt: off
def add_recording_options(add: Add) -> None:
    """What a command takes that can record."""
    add("--record", type=file_path, metavar="F.png",
        help="record the picture: .png (APNG), .gif, .webp, .mp4 as a monitor shows it, .mkv to "
        "the pixel; where its size changes F-2.png goes on, but .mp4 mostly takes it")
    add("--record-outlines", action="store_true",
        help="with the rectangles drawn in that were redrawn")
# fmt: on


def check_recording(options: Namespace) -> None:
    """Before a machine powers on.

    Raises:
        RecordError: There is no such format, or what it takes is not installed.
    """
    if options.record is not None:
        from vgaemu.record.formats import encoder_of

        encoder_of(options.record)


def start_recording(machine: Machine, options: Namespace) -> Recording | None:
    """Begin, if it was asked for; it ends with the machine.

    Raises:
        RecordError: The file cannot be written.
    """
    if options.record is None:
        return None
    return machine.record(options.record, outlines=options.record_outlines)


def tell_of_parts(recording: Recording | None) -> None:
    """Say which files there are besides the one that was named."""
    if recording is not None and len(recording.paths) > 1:
        more = ", ".join(map(str, recording.paths[1:]))
        complain(f"--record {recording.path}: the picture's size changed; it goes on in {more}")
