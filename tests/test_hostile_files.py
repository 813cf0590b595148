"""Spoilt files and streams: refused in a line, or taken, in no more memory than they may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import random_files
from PIL import Image

from vgaemu.errors import StateError, TapeError, WorkloadError
from vgaemu.guest.workloads import picture
from vgaemu.migrate import stream
from vgaemu.pc.formats import load_image
from vgaemu.tape import read
from vgaemu.vga.state import State

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

COUNTS = {"picture": 40, "state": 60, "pc state": 60}


@pytest.mark.parametrize("name", random_files.NAMES)
def test_a_spoilt_file_is_refused_in_a_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "pc state":
        pytest.importorskip("unicorn")
    monkeypatch.setattr(stream, "PEER_SECONDS", 1.0)
    said = [random_files.attack(name, seed, tmp_path) for seed in range(COUNTS.get(name, 150))]
    assert len(set(said)) >= 3


def test_names_in_a_state_are_told_as_long_as_names_are(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    pc = random_files.pc_states()
    for name, value in (("pc.firmware", np.full(60_000, 0x61, "u1")), ("pc.sha256", None)):
        guest = pc.guest | {"pc.name": np.full(60_000, 0x61, "u1")}
        guest[name] = np.zeros(32, "u1") if value is None else value
        with pytest.raises(StateError) as caught:
            pc.machine.restore_state(State(pc.device, guest, 2), "state")
        assert len(str(caught.value)) < 400


def test_the_mutations_find_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that forgets one check is found out."""
    check = read.Tape._check_header

    def forgetful(self: read.Tape, header: object) -> None:
        try:
            check(self, header)
        except TapeError:
            return

    monkeypatch.setattr(read.Tape, "_check_header", forgetful)
    with pytest.raises((TypeError, KeyError, ValueError)):
        _ = [random_files.attack("tape", seed, tmp_path) for seed in range(300)]


def pictures_that_unpack(folder: Path) -> None:
    Image.new("RGB", (9400, 9400)).save(folder / "rgb.png", compress_level=1)
    Image.new("I;16", (9400, 9400)).save(folder / "grey.png", compress_level=1)


def test_a_picture_that_unpacks_is_refused_before_it_does(tmp_path: Path) -> None:
    """One of 90 million pixels took a gigabyte, and of 16 bits two."""
    pictures_that_unpack(tmp_path)
    for path in tmp_path.iterdir():
        with pytest.raises(WorkloadError, match="too large; scale it down"):
            picture.load(str(path))


def test_an_animation_is_played_as_far_as_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "MAX_DECODED", 5 * 64 * 48)
    frames = [Image.new("L", (64, 48), shade) for shade in range(0, 250, 25)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert len(picture.load(str(path)).pictures) == 5


def test_greys_of_16_bits_are_as_before() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    grey = np.asarray(picture._of_8_bits(Image.fromarray(values)))
    np.testing.assert_array_equal(grey, (values * (255 / 65535)).astype(np.uint8))


def test_a_picture_that_is_only_odd_says_nothing_else(tmp_path: Path) -> None:
    """Pillow warns of what it leaves out."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.tiff", description="x" * 50)
    data = bytearray((tmp_path / "a.tiff").read_bytes())
    at = data.index(b"\x0e\x01\x02\x00")  # tag 270, a text: it lies outside
    data[at + 8 : at + 12] = b"\0\0\0\x7f"
    (tmp_path / "a.tiff").write_bytes(data)
    program = (
        "import sys\nfrom vgaemu.errors import WorkloadError\n"
        "from vgaemu.guest.workloads import picture\n"
        "try:\n    picture.load(sys.argv[1])\n"
        "except WorkloadError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.tiff"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_a_disk_is_held_once(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "large.img"
    with path.open("wb") as file:
        file.truncate(32 << 20)
    tracemalloc.start()
    try:
        image = load_image(str(path), [], force=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(image.data) == 32 << 20
    assert peak < 33 << 20
