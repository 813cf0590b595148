"""Contact sheet of the window's layouts, for eyes: `test_layouts.py` computes them, here they are.

    python tests/contact_sheet.py OUT [--screens 1280x720,500x400] [--modes text,planar]

For each screen, by Xvfb, and each mode: the window as it opens, without a panel, and full screen;
where no panel was there, also with the one that its key asks for. The folder OUT gets each screen
as it is, and `sheet.png`. Needs Xvfb, ImageMagick's `import` and Pillow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

SCREENS = ("500x400", "1280x720", "1366x768", "1920x1080", "2560x1440", "3840x2160")
#: Text 80x25, mode 13h, planar mode 12h, and 1024x768 in true colour: workloads that draw them.
MODES = {"text": "cat", "13h": "plasma", "planar": "planar", "1024": "truecolour"}
VIEWS = ("bare", "first", "asked", "full", "full-asked")
FRAMES = 100
#: Height of a screen in the sheet.
ROW = 400
LIMIT_S = 120


@contextmanager
def x_server(screen: str) -> Iterator[str]:
    """DISPLAY of an X server of our own, with one screen."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", f"{screen}x24"],
        pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def draw(mode: str, view: str, shot: str) -> None:
    """In a process of its own: run a guest in a window, and take a picture of the screen."""
    from vgaemu.display.window.sdl import pygame
    from vgaemu.display.window.window import WindowDisplay
    from vgaemu.machine import Machine

    window = WindowDisplay(panel=view != "bare", fullscreen=view.startswith("full"))
    args = [__file__] if mode == "text" else []
    with Machine(MODES[mode], args, display=window) as machine:
        machine.run(2)
        if view.endswith("asked"):
            if window.panel_place.area:
                return
            key = {"key": pygame.K_F3, "mod": pygame.KMOD_LCTRL, "unicode": ""}
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key))
        machine.run(FRAMES)
        subprocess.run(["import", "-window", "root", shot], check=True, timeout=LIMIT_S)


def sheet(folder: Path, screens: list[str], modes: list[str]) -> None:
    """A row a screen and mode, all views side by side."""
    from PIL import Image

    rows = []
    for screen, mode in product(screens, modes):
        files = [folder / f"{screen}-{mode}-{view}.png" for view in VIEWS]
        shots = [Image.open(file) for file in files if file.exists()]
        rows.append([shot.resize((shot.width * ROW // shot.height, ROW)) for shot in shots])
    width = max(sum(shot.width + 8 for shot in row) for row in rows)
    whole = Image.new("RGB", (width, (ROW + 8) * len(rows)), "#804040")
    for y, row in enumerate(rows):
        x = 0
        for shot in row:
            whole.paste(shot, (x, y * (ROW + 8)))
            x += shot.width + 8
    whole.save(folder / "sheet.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--screens", type=lambda text: text.split(","), default=list(SCREENS))
    parser.add_argument("--modes", type=lambda text: text.split(","), default=list(MODES))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for screen in options.screens:
        with x_server(screen) as display:
            environment = os.environ | {"DISPLAY": display, "SDL_VIDEODRIVER": "x11"}
            for mode, view in product(options.modes, VIEWS):
                shot = str((options.folder / f"{screen}-{mode}-{view}.png").absolute())
                code = f"import contact_sheet; contact_sheet.draw{(mode, view, shot)}"
                subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", code],
                    env=environment, cwd=Path(__file__).parent, check=True, timeout=LIMIT_S,
                )  # fmt: skip
    sheet(options.folder, options.screens, options.modes)


if __name__ == "__main__":
    main()
