"""Our still guests on a live QEMU: the same text, and the same pixels, under the same VGA BIOS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from x86_helpers import GUESTS

from vgaemu.machine import Machine
from vgaemu.pc.bios.vgarom import PLACES

pytest.importorskip("unicorn")
QEMU = "qemu-system-x86_64"
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here"),
    pytest.mark.skipif(not Path(PLACES[0]).is_file(), reason=f"{PLACES[0]} is not here"),
]


class Monitor:
    """QMP over a socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                time.sleep(0.05)
        self._file = self._socket.makefile("rw")
        self._file.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        self._file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = json.loads(self._file.readline())
            if "return" in answer or "error" in answer:
                return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def ppm(path: Path) -> np.ndarray:
    """A binary PPM as (height, width) 0x00RRGGBB."""
    _, size, _, data = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3).astype(np.uint32)
    return six_bits(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2])


def six_bits(picture: np.ndarray) -> np.ndarray:
    """What the DAC holds: QEMU widens its 6 bits to 8 in another way."""
    return picture & 0xFCFCFC


def on_qemu(image: Path, tmp_path: Path, expected: np.ndarray) -> np.ndarray:
    """The picture once it is as expected, or after some seconds, whatever it is then."""
    qmp, shot = tmp_path / "qmp", tmp_path / "shot.ppm"
    copy = tmp_path / "boot.img"
    copy.write_bytes(image.read_bytes().ljust(1440 << 10, b"\0"))
    qemu = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-boot", "a",
         "-drive", f"if=floppy,format=raw,file={copy}", "-qmp", f"unix:{qmp},server=on,wait=off"],
    )  # fmt: skip
    try:
        monitor = Monitor(qmp)
        picture = np.zeros((0, 0), np.uint32)
        for _ in range(40):
            time.sleep(0.25)
            monitor.command("screendump", filename=str(shot))
            picture = ppm(shot)
            if picture.shape == expected.shape and np.array_equal(picture, expected):
                break
        monitor.close()
        return picture
    finally:
        qemu.kill()
        qemu.wait()


@pytest.mark.parametrize("name", ["colours", "modes12", "vbe", "kernel"])
def test_the_same_picture(name: str, tmp_path: Path) -> None:
    image = GUESTS / f"{name}.img"
    with Machine(str(image), vga_bios=PLACES[0]) as machine:
        machine.tick(120)
        expected = six_bits(machine.screen.full_redraw())
    seen = on_qemu(image, tmp_path, expected)
    np.testing.assert_array_equal(seen, expected)
