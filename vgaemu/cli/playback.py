"""Replaying a tape: on a machine, onto a display, into a picture and a list of what was read."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgaemu.cli.recording import tell_of_parts
from vgaemu.cli.session import run_stoppably
from vgaemu.display.named import FOR_PEOPLE
from vgaemu.display.pictures import rgb_of, save_picture
from vgaemu.display.report import Display
from vgaemu.display.screen import full_redraw
from vgaemu.guest.workload import Guest, Slices, Workload
from vgaemu.machine import Machine
from vgaemu.outputs import NewFile
from vgaemu.signals import stops_wait
from vgaemu.tape import START, Player, Tape, expand
from vgaemu.vga.device import Vga

#: Operations a frame in a window, where one wants to see the picture come into being.
WINDOW_PER_FRAME = 500
#: Read-backs written to a file in one go.
CHUNK_READBACKS = 1 << 16


def replay(
    path: str | Path,
    *,
    screenshot: Path | None = None,
    readbacks: Path | None = None,
    display: str | Display = "null",
    per_frame: int | None = None,
    record: Path | None = None,
    outlines: bool = False,
    speed: float = 1.0,
) -> None:
    """Play a tape on a new machine.

    The picture has cursor and blinking shown, unless the tape says that it ended with them
    hidden; the reads that it logs go to `readbacks` as JSON. By default all operations are played
    in one frame, or `WINDOW_PER_FRAME` where somebody sees it come into being: in a window, and in
    what it is recorded to. Stopped by a signal, it leaves what it has come to.

    Raises:
        TapeError: The tape cannot be read, or what is in it is no tape.
        ScreenError: No picture format ends as `screenshot` does.
        RecordError: Pictures cannot be recorded as `record` ends, or not there.
        OSError: A file cannot be written.
    """
    window = display in FOR_PEOPLE
    if per_frame is None and (window or record is not None):
        per_frame = WINDOW_PER_FRAME
    with Tape(path) as tape:
        guest = _TapeGuest(tape, per_frame, keep_readbacks=readbacks is not None)
        with Machine(guest.workload, display=display, vram_mib=tape.vram_mib) as machine:
            stopped = None
            recording = None if record is None else machine.record(record, outlines=outlines)
            try:
                run_stoppably(machine, None, speed if window else 0)
            except KeyboardInterrupt as stop:
                stopped = stop
            with stops_wait():
                _leave_files(machine, guest, tape.name, screenshot, readbacks)
                if recording is not None:
                    recording.close()
                    tell_of_parts(recording)
            if stopped is not None and not window:  # a window's run people end so
                raise stopped


def _leave_files(
    machine: Machine, guest: _TapeGuest, name: str, screenshot: Path | None, readbacks: Path | None
) -> None:
    player = guest.player
    rgb = picture(machine.vga, player.frame_number if player else 0)
    if screenshot is not None:
        save_picture(rgb, screenshot)
    if readbacks is not None:
        height, width = rgb.shape[:2]
        values = player.readbacks if player else array("H")
        write_readbacks(readbacks, name, (width, height), values)


class _TapeGuest:
    """A workload that plays a tape."""

    def __init__(self, tape: Tape, per_frame: int | None, *, keep_readbacks: bool) -> None:
        self._tape = tape
        self._per_frame = per_frame
        self._keep = keep_readbacks
        self.player: Player | None = None  # a window may be closed before it begins

    def workload(self, guest: Guest) -> Slices:
        """Bring the machine to where tapes start, then play some operations a frame."""
        guest.races_the_beam = False  # what a tape read was read elsewhere, at another time
        Player(guest, (op for start in START for op in expand(start))).play()
        self.player = player = Player(
            guest, self._tape, keep_readbacks=self._keep, place_beam=guest.place_beam
        )
        while player.play(self._per_frame):
            yield


def tape_guest(path: Path) -> tuple[Workload, int]:
    """A workload that plays a tape as a window shows it, and MiB of VRAM that it takes.

    Raises:
        TapeError: It cannot be read, or is none.
    """
    with Tape(path) as tape:
        vram_mib = tape.vram_mib

    def play(guest: Guest) -> Slices:
        with Tape(path) as tape:
            yield from _TapeGuest(tape, WINDOW_PER_FRAME, keep_readbacks=False).workload(guest)

    return play, vram_mib


def picture(vga: Vga, frame_number: int = 0) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: what the device shows in some frame, drawn afresh."""
    return rgb_of(full_redraw(vga, frame_number))


def write_readbacks(path: Path, name: str, size: tuple[int, int], readbacks: array[int]) -> None:
    """Write ``{"name": ..., "size": [w, h], "readbacks": [...]}``, however many there are."""
    with NewFile(path) as file:
        head = json.dumps({"name": name, "size": size, "readbacks": []}, separators=(",", ":"))
        file.write(head.removesuffix("]}").encode())
        for at in range(0, len(readbacks), CHUNK_READBACKS):
            values = readbacks[at : at + CHUNK_READBACKS]
            file.write((("," if at else "") + ",".join(map(str, values))).encode())
        file.write(b"]}\n")
