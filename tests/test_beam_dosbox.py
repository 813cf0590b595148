"""DOSBox 0.74 shows raster programs as vgaemu does, where it is known to be right.

It draws each scan line in its time, as it is a quarter into it: so it measures lines, of programs
that write between them. It has other cursors, planes enabled, row heights and line compares, and
adds the offset of the line before, so programs with these are not among them. Its shots have
colours of 5, 6 and 5 bits.

``pytest -m long tests/test_beam_dosbox.py`` needs dosbox, xvfb and xdotool: ten seconds a program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from beam_harness import differences
from numpy.typing import NDArray
from PIL import Image

from vgaemu import Machine

NEEDED = ("dosbox", "Xvfb", "xdotool")
RASTER = Path(__file__).parent / "raster"
PROGRAMS = (
    "bars_12h", "bars_13h", "bars_modex", "bars_text", "fonts", "mask_13h", "off_index",
    "palette_12h", "select_12h", "split_palette",
)  # fmt: skip
#: Bits of a colour that its shots have.
SHOT_BITS = 0xF8FCF8
CONFIGURATION = """
[sdl]
output=surface
[dosbox]
machine=vgaonly
captures={folder}
[render]
frameskip=0
aspect=false
scaler=none
[cpu]
core=normal
cycles=fixed 20000
[mixer]
nosound=true
[autoexec]
mount c {folder}
c:
font
program
"""
#: A program that writes the BIOS's font of 16 lines to FONT.BIN.
FONT_PROGRAM = bytes.fromhex(
    "B83011 B706 CD10"  # mov ax, 1130h; mov bh, 6; int 10h
    "B43C 33C9 BA2101 CD21"  # mov ah, 3Ch; xor cx, cx; mov dx, name; int 21h
    "93 06 1F 8BD5"  # xchg ax, bx; push es; pop ds; mov dx, bp
    "B90010 B440 CD21"  # mov cx, 4096; mov ah, 40h; int 21h
    "B8004C CD21"  # mov ax, 4C00h; int 21h
    "464F4E542E42494E00"  # name: db "FONT.BIN", 0
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in NEEDED),
        reason="apt-get install dosbox xvfb xdotool",
    ),
]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Of what runs on a screen of its own."""
    read, write = os.pipe()
    command = ["Xvfb", "-noreset", "-displayfd", str(write), "-screen", "0", "1024x800x24"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as xvfb:
        os.close(write)
        with open(read) as numbers:
            display = f":{numbers.readline().strip()}"
        yield os.environ | {"DISPLAY": display, "SDL_AUDIODRIVER": "dummy"}
        xvfb.terminate()


def dosbox_shows(
    name: str, folder: Path, environment: dict[str, str]
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Its picture of a program, (height, width) uint32 0x00RRGGBB; its font, (256, 16) uint8."""
    shutil.copy(RASTER / f"{name}.com", folder / "program.com")
    (folder / "font.com").write_bytes(FONT_PROGRAM)
    configuration = folder / "dosbox.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    command = ["dosbox", "-conf", configuration, "-noconsole"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **quiet) as dosbox:
        try:
            for _ in range(10):
                time.sleep(3)
                # Keys go to the window below the pointer.
                shoot = ["xdotool", "mousemove", "100", "100", "key", "ctrl+F5"]
                subprocess.run(shoot, env=environment, check=False, timeout=30)
                time.sleep(1)
                shots = sorted(folder.glob("program_*.png"))
                if shots:
                    break
        finally:
            dosbox.kill()
    rgb = np.asarray(Image.open(shots[-1]).convert("RGB")).astype(np.uint32)
    font = np.frombuffer(next(folder.glob("[Ff]*.[Bb]*")).read_bytes(), np.uint8)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], font.reshape(256, 16)


@pytest.mark.parametrize("name", PROGRAMS)
def test_dosbox_shows_the_same(name: str, tmp_path: Path, environment: dict[str, str]) -> None:
    shot, font = dosbox_shows(name, tmp_path, environment)
    with Machine(RASTER / f"{name}.com", font=font) as machine:
        machine.tick(10)
        drawn = machine.screen.frame
    down, across = shot.shape[0] // drawn.shape[0], shot.shape[1] // drawn.shape[1]
    found = differences(drawn.repeat(down, 0).repeat(across, 1) & SHOT_BITS, shot & SHOT_BITS)
    assert not found, found
