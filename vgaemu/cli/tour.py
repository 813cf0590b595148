"""The tour: what plain `vgaemu` shows, in a window, or headless as a picture and a table.

The stations themselves are the workload `tour`; here is only where they are shown.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from vgaemu.cli.say import UsageError, say
from vgaemu.display.events import Close
from vgaemu.display.hostkeys import WindowChange, keys_in_title
from vgaemu.display.pictures import save_picture
from vgaemu.display.report import Display
from vgaemu.errors import DisplayError
from vgaemu.guest.workload import Guest, Slices
from vgaemu.guest.workloads.tour import STATIONS, Station, stations
from vgaemu.machine import Machine
from vgaemu.outputs import why_unwritable

#: The contact sheet, in pixels: pictures 4:3 as on a monitor, in rows of three.
SHEET = Path("tour.png")
CELL_WIDTH, CELL_HEIGHT, GAP, A_ROW = 640, 480, 16, 3
BACKGROUND = (24, 24, 28)


def tour() -> int:
    """Show the tour in a window; without a display run it headless and write `tour.png`.

    Returns:
        The exit status.

    Raises:
        UsageError: The picture cannot be written.
    """
    entered: deque[Station] = deque()  # by the guest's thread, which may not draw

    def workload(guest: Guest) -> Slices:
        return stations(guest, entered.append)

    try:
        window = open_window()
        with Machine(workload, display=window, free=True) as machine:
            machine.between_frames.append(lambda: _tell_of_keys(machine, entered))
            with suppress(KeyboardInterrupt):
                machine.run()
    except DisplayError:
        headless()
    else:
        say(machine.stats.table())
    return 0


def _tell_of_keys(machine: Machine, entered: deque[Station]) -> None:
    """What keys do at a station that has just begun, where that is new."""
    while entered:
        station = entered.popleft()
        if station.takes_keys:
            machine.tell_user("type something; the tour goes on by itself")
        elif station is STATIONS[0]:
            machine.tell_user(f"any key goes on; {keys_in_title(WindowChange.OUTLINES, Close())}")


def open_window() -> Display:
    """The window.

    Raises:
        DisplayError: There is no display.
    """
    from vgaemu.display.window.window import WindowDisplay

    return WindowDisplay(outlines=True)


def headless() -> None:
    """Run the tour in step, write a contact sheet of its stations, print the harvest table.

    Raises:
        UsageError: The picture cannot be written.
    """
    if (why := why_unwritable(SHEET)) is not None:
        raise UsageError(f"{SHEET}: {why}; run the tour in a directory that can be written")
    pictures = []
    with Machine("tour") as machine:
        for station in STATIONS:
            machine.tick(station.frames)
            pictures.append(_as_on_a_monitor(machine))
        machine.tick()
        table = machine.stats.table()
    save_picture(np.asarray(contact_sheet(pictures)), SHEET)
    say(f"no display: ran headless, wrote {SHEET} ({len(pictures)} stations)")
    say(table)


def _as_on_a_monitor(machine: Machine) -> Image.Image:
    """The screen as 4:3: each pixel a sharp rectangle, its edges blended."""
    picture = Image.fromarray(machine.screen.rgb())
    size = (CELL_WIDTH, CELL_HEIGHT)
    # Whole steps up, then the mean of what falls on each pixel.
    steps = [-(-2 * to // of) for to, of in zip(size, picture.size, strict=True)]
    large = picture.resize(
        (picture.width * steps[0], picture.height * steps[1]), Image.Resampling.NEAREST
    )
    return large.resize(size, Image.Resampling.BOX)


def contact_sheet(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size beside and under each other."""
    rows = -(-len(pictures) // A_ROW)
    right, down = CELL_WIDTH + GAP, CELL_HEIGHT + GAP
    sheet = Image.new("RGB", (GAP + A_ROW * right, GAP + rows * down), BACKGROUND)
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (GAP + i % A_ROW * right, GAP + i // A_ROW * down))
    return sheet
