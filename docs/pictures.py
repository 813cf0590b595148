"""Pictures of the documentation, made when it is built: of examples, workloads and guests.

`scrape` is sphinx-gallery's hook: after each part of an example it takes a picture of every screen
that drew something since, and every recording that the part left beside the example.
"""

from __future__ import annotations

import shutil
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from PIL import Image
from sphinx_gallery.scrapers import figure_rst

import vgaemu
from vgaemu.assets import guests
from vgaemu.attached import VgaCard
from vgaemu.cli.main import main
from vgaemu.display.screen import Screen
from vgaemu.guest.find import bundled
from vgaemu.pc import is_image

ROOT = Path(__file__).parents[1]
#: Where examples are run, as copies; what they leave there is nobody's.
EXAMPLES = ROOT / "build" / "examples"
#: What is in the gallery: a folder of pages each.
GALLERY = ("*.py", "*.rst", "guests/*.img", "guests/*.com")

#: Examples in the order in which the gallery shows them; others come behind.
ORDER = (
    "hello.py", "drawing.py", "registers.py", "palette.py", "recording.py", "machine_code.py",
    "unicorn_bootsector.py", "test_with_vgaemu.py", "own_display.py", "dirty_log.py",
    "two_dirty_logs.py",
)  # fmt: skip

#: Workload or guest -> options of the picture of it; else it is taken in frame 300.
OPTIONS = {
    "cat": "README.md --frames 80",
    "modex": "--frames 80",
    "picture": "docs/window.png --frames 2",
    "planar": "--frames 1100",
    "plasma.img": "--frames 30",
    "scroller.img": "--frames 30",
    "snake.img": "--keys 178:down,215:left --frames 300",
    "splitscreen": "--frames 80",
    "truecolour": "--frames 30",
    "type.com": "--frames 60",
    "typing": "--frames 1500",
}
FRAMES = "--frames 300"

#: Frames of each screen that has been pictured.
_pictured: WeakKeyDictionary[Screen, int] = WeakKeyDictionary()
_recordings: set[Path] = set()


class InOrder:
    """Sorts examples by `ORDER`."""

    def __init__(self, src_dir: str) -> None:
        """As sphinx-gallery makes it."""

    def __call__(self, filename: str) -> tuple[int, str]:
        """The key of an example."""
        return ORDER.index(filename) if filename in ORDER else len(ORDER), filename


def copy_examples() -> None:
    """Copy what the gallery shows to where it is run."""
    shutil.rmtree(EXAMPLES, ignore_errors=True)
    for pattern in GALLERY:
        for file in sorted((ROOT / "examples").glob(pattern)):
            copy = EXAMPLES / file.relative_to(ROOT / "examples")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    _recordings.clear()


def scrape(block: object, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The pictures of one part of an example, as reStructuredText."""
    paths = block_vars["image_path_iterator"]
    stills = []
    for value in block_vars["example_globals"].values():
        if isinstance(value, vgaemu.Machine | VgaCard):
            screen = value.screen
            if _pictured.get(screen) != screen.frame_number:
                _pictured[screen] = screen.frame_number
                stills.append(str(next(paths)))
                screen.save(stills[-1], upscaled=True)
    # Where something moves, a still is the gallery's thumbnail and no more.
    moving = [str(shutil.copy(made, next(paths))) for made in _new_recordings(EXAMPLES)]
    return str(figure_rst(moving or stills, gallery_conf["src_dir"]))


def _get_sg_image_scraper():  # the name under which sphinx-gallery asks for it
    return scrape


def _new_recordings(folder: Path) -> list[Path]:
    """Pictures that move, and were not there before."""
    new = []
    for path in sorted(folder.glob("*.png")):
        if path not in _recordings:
            with Image.open(path) as picture:
                if picture.is_animated:
                    _recordings.add(path)
                    new.append(path)
    return new


def write_workloads(folder: Path) -> None:
    """A picture of every bundled workload and guest, and the page's part that shows them."""
    code = {file.name: _says(file) for file in sorted(guests().iterdir()) if is_image(file)}
    parts = [
        ("workloads.md", [_figure(folder, name, name, says) for name, says in bundled().items()]),
        ("guests.md",
         [_figure(folder, name, f"examples/guests/{name}", says) for name, says in code.items()]),
    ]  # fmt: skip
    for name, figures in parts:
        text = "````{container} screens\n" + "\n".join(figures) + "\n````\n"
        folder.joinpath(name).write_text(text, "utf-8")


def _says(guest: Path) -> str:
    """What a guest shows: the first line of its source."""
    return guest.with_suffix(".asm").read_text("utf-8").partition("\n")[0].strip("; .")


def _figure(folder: Path, name: str, run: str, says: str) -> str:
    """Make a picture by the command that stands below it."""
    options = OPTIONS.get(name, FRAMES)
    command = f"vgaemu run {run} {options} --headless --upscaled --screenshot {name}.png"
    words = command.split()[1:]
    with chdir(ROOT), redirect_stdout(StringIO()):
        if main([*words[:-1], str(folder / words[-1])]):
            raise RuntimeError(command)
    return (
        f"```{{figure}} generated/{name}.png\n:alt: {says}\n\n**{name}**: {says}.\n\n"
        f"`vgaemu run {run} {options}`\n```"
    )
