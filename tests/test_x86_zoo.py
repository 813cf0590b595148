"""Small systems of our own, each for a kind of real ones, on both CPUs and on QEMU.

| guest | stands for |
|---|---|
| text40 | games of one sector: 40 columns, a glyph of their own, waits by INT 15h/86h |
| cga4 | turtles and plotters: pixels by INT 10h in four colours, exclusive or, read back |
| fpu | intros: a coprocessor, mode 13h, a palette |
| stages | loaders: forty sectors across tracks, sector by sector, the drive's shape |
| irqs | teaching kernels: protected mode, controllers moved, a timer's ticks, and back |
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from test_x86_qemu import QEMU, on_qemu, six_bits
from x86_helpers import CPUS

from vgaemu import Machine
from vgaemu.errors import GuestFault
from vgaemu.pc.bios.vgarom import PLACES

pytest.importorskip("unicorn")
ZOO = Path(__file__).parent / "zoo"
#: What each shows at the end, and within how many frames: rows of text, or how many colours.
SHOWS: dict[str, tuple[list[str] | int, int]] = {
    "text40": ([" 40 COLUMNS "], 60), "cga4": (4, 20), "fpu": (65, 5),
    "stages": (["66C9 4F12 0001"], 5), "irqs": (["and back", "30 ticks in protected mode"], 40),
}  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", SHOWS)
def test_each_of_them(name: str, cpu: str) -> None:
    expected, frames = SHOWS[name]
    with Machine(ZOO / f"{name}.img", cpu=cpu, vram_mib=1) as machine:
        try:
            machine.tick(frames * (15 if cpu == "kvm" else 1))
        except GuestFault as fault:
            if cpu == "kvm" and name == "fpu" and "cannot execute" in str(fault):
                pytest.skip("KVM's emulator has no coprocessor")
            raise
        picture = machine.screen.full_redraw()
        np.testing.assert_array_equal(machine.screen.frame, picture)
        if isinstance(expected, int):
            assert len(np.unique(picture)) == expected
        else:
            text = "\n".join(machine.screen.text())
            assert all(words in text for words in expected), text


def as_qemu_shows(picture: np.ndarray) -> np.ndarray:
    """Modes of 40 columns twice as wide, of eight dots a character; 200 lines twice as high."""
    if picture.shape[1] == 360:
        picture = picture.reshape(-1, 40, 9)[:, :, :8].reshape(-1, 320)
    return picture.repeat(400 // len(picture), axis=0).repeat(720 // picture.shape[1], axis=1)


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
@pytest.mark.skipif(not Path(PLACES[0]).is_file(), reason=f"{PLACES[0]} is not here")
@pytest.mark.parametrize("name", SHOWS)
def test_the_same_picture_on_qemu(name: str, tmp_path: Path) -> None:
    image = ZOO / f"{name}.img"
    with Machine(image, vga_bios=PLACES[0], vram_mib=1) as machine:
        machine.tick(SHOWS[name][1] + 30)
        # QEMU's cursor blinks as it likes.
        machine.vga.outw(0x3D4, 0x200A)
        machine.tick()
        expected = as_qemu_shows(six_bits(machine.screen.full_redraw()))
    seen = on_qemu(image, tmp_path, expected)
    assert seen.shape == expected.shape
    differs = (seen != expected).sum()
    assert differs <= 18, differs  # a cursor's cell
