"""Campaigns on files: whatever is in them, they are taken or refused in a line."""

from __future__ import annotations

import functools
import io
import json
import random
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import random_files
from state_files import with_whole_memories

from vgaemu import snapshot
from vgaemu.errors import GuestFault, ImageError, KeysError, StateError
from vgaemu.guest.workloads import picture
from vgaemu.keys import queue
from vgaemu.keys.table import BY_NAME
from vgaemu.machine import Machine
from vgaemu.pc import formats
from vgaemu.pc.bios import vgarom
from vgaemu.tape import read
from vgaemu.vga import font
from vgaemu.vga.state import check_device

from .campaign import Campaign, refused
from .mutate import EDGES, STRANGE, damaged, damaged_value, strange_value

ROOT = Path(__file__).parents[2]
GUESTS = ROOT / "examples" / "guests"


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


# --- files of which reading is all ----------------------------------------------------------------


def spoilt(numbers: random.Random, folder: Path, form: str) -> str:
    """One of `random_files.FORMATS`."""
    said = random_files.attack(form, numbers.getrandbits(64), folder)
    return said if said == "taken" else "refused"


def plant_tape() -> None:
    """Operations are no longer checked before they are played."""
    read.check_op = lambda op, vram_bytes: None


def plant_font_file() -> None:
    """Sizes in a header are no longer compared with the file's."""
    font._glyphs = lambda data, at, count, height: np.frombuffer(
        data, np.uint8, count * height, at
    ).reshape(count, height)


def plant_picture_file() -> None:
    """What a decoder says is told as it is."""
    picture._one_line = lambda error: f"{type(error)}:\n{error}"


def plant_rom() -> None:
    """A ROM that is cut short has a length."""
    vgarom.check_rom = lambda data, name: data[: data[2] * vgarom.BLOCK]


# --- lists of keys --------------------------------------------------------------------------------


def keys(numbers: random.Random, folder: Path) -> str:
    entries = []
    for _ in range(numbers.choice((1, 1, 2, 5))):
        frame = numbers.choice(
            (str(numbers.choice(EDGES)), numbers.choice(STRANGE), "²", "9" * 5000)
        )
        name = numbers.choice((*BY_NAME, *STRANGE, "ctrl-", "shift-ctrl-x", "-", "--", ":"))
        entries.append(f"{frame}{numbers.choice((':', ':', ':', '', '::'))}{name}")
    text = numbers.choice((",", ",", " , ", ";")).join(entries)
    if numbers.random() < 0.3:
        text = damaged(numbers, text.encode("utf-8", "replace")).decode("utf-8", "replace")
    try:
        found = queue.parse_keys(text)
    except KeysError as error:
        return refused(error)
    pressed = queue.Keys()
    for frame, name in found:
        assert frame >= 0
        pressed.press(name)
    pressed.typed()
    return "taken"


def plant_keys() -> None:
    """A name is looked up and no more."""
    queue.key_text = lambda name: BY_NAME[queue.split_key(name)[1]][0].text


# --- images ---------------------------------------------------------------------------------------


@functools.cache
def bootable() -> list[tuple[str, bytes]]:
    return [(path.suffix, path.read_bytes()) for path in sorted(GUESTS.glob("*.*"))
            if path.suffix in (".img", ".com")]  # fmt: skip


def image(numbers: random.Random, folder: Path) -> str:
    """Of a disk or a program, run for a frame."""
    suffix, data = numbers.choice(bootable())
    data = damaged(numbers, data)
    if numbers.random() < 0.3:  # a partition table
        table = bytearray(data[:512].ljust(512, b"\0"))
        table[446:510] = numbers.randbytes(64)
        table[446:510:16] = bytes(numbers.choice((0, 0x80)) for _ in range(4))
        table[510:] = b"\x55\xaa"
        data = bytes(table) + data[512:].ljust(numbers.choice((0, 4_000_000)), b"\0")
    path = put(folder, "fuzz" + suffix, data)
    try:
        formats.load_image(str(path), [], force=numbers.random() < 0.3)
        with Machine(str(path), vram_mib=1) as machine:
            machine.tick()
    except ImageError as error:
        return refused(error)
    except GuestFault:
        return "a fault"
    return "run"


def plant_image() -> None:
    """A partition table is taken to be whole."""
    formats._partition_ends = lambda data: [
        sum(struct.unpack("<8xII", data[at : at + 16])) for at in range(446, 510, 16)
    ]


# --- states ---------------------------------------------------------------------------------------

#: Modes of saved devices; programs that are saved, and after how many frames.
MODES = (0x03, 0x06, 0x07, 0x0D, 0x12, 0x13)
PROGRAMS = (("scroller.img", 9), ("snake.img", 20), ("selftest.img", 9), ("type.com", 3))


@functools.cache
def state_of(folder: Path, frames: int, **machine: Any) -> dict[str, np.ndarray]:
    path = folder / "seed.npz"
    with Machine(vram_mib=1, **machine) as saved:
        saved.vga.store(0xB0000 if machine.get("mode") == 7 else 0xB8000, bytes(range(256)) * 16)
        saved.tick(frames)
        saved.save_state(path)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def damaged_array(numbers: random.Random, array: np.ndarray) -> np.ndarray:
    """An array of other values, of another type or of another shape."""
    found = array.copy()
    noise = np.random.default_rng(numbers.getrandbits(32))
    match numbers.randrange(8):
        case 0 | 1 | 2 if found.size:
            flat = found.reshape(-1).view("u1")
            for _ in range(numbers.choice((1, 1, 2, 9))):
                flat[numbers.randrange(len(flat))] = numbers.randrange(256)
        case 3 if found.dtype.kind in "iu" and found.size:
            limits = np.iinfo(found.dtype)
            value = numbers.choice((limits.min, limits.max, 0, 1, limits.max >> 1))
            found.reshape(-1)[numbers.randrange(found.size)] = value
        case 4:
            kind = numbers.choice(
                ("u1", "<i2", ">u4", "<i8", "<f8", "<c16", "?", "<U3", "V3", "S5")
            )
            found = noise.integers(0, 256, 240, np.uint8).view(kind)
        case 5:
            found = found.reshape(-1)[: numbers.randrange(found.size + 1)]
        case 6:
            found = np.resize(found, numbers.choice(((), (0,), (3,), (2, 2), (1, 256), (70_000,))))
        case _ if found.dtype == np.uint8 and found.ndim == 1:
            found = np.frombuffer(text_of(numbers, found), np.uint8)
    return found


def text_of(numbers: random.Random, array: np.ndarray) -> bytes:
    """Another text, where the array is one in JSON."""
    try:
        value = json.loads(array.tobytes())
    except ValueError:
        value = strange_value(numbers)
    return json.dumps(damaged_value(numbers, value)).encode()


def state(numbers: random.Random, folder: Path) -> str:
    return load_damaged(numbers, folder, 1, mode=numbers.choice(MODES))


def pc_state(numbers: random.Random, folder: Path, cpu: str) -> str:
    name, frames = numbers.choice(PROGRAMS)
    return load_damaged(numbers, folder, frames, workload=str(GUESTS / name), cpu=cpu)


def load_damaged(numbers: random.Random, folder: Path, frames: int, **machine: Any) -> str:
    whole = state_of(folder, frames, **machine)
    if numbers.random() < 0.3:  # memories as older versions have them
        whole = with_whole_memories(whole)
    arrays = dict(whole)
    for _ in range(numbers.choice((0, 1, 1, 1, 2, 5))):
        name = numbers.choice(list(arrays))
        if numbers.random() < 0.05:
            del arrays[name]
        elif numbers.random() < 0.05:
            arrays[numbers.choice((name, "x", "é/..", "ram"))] = numbers.choice(
                list(arrays.values())
            )
        else:
            arrays[name] = damaged_array(numbers, arrays[name])
    file = io.BytesIO()
    np.savez(file, **arrays)
    data = file.getvalue()
    if len(arrays) == len(whole) and numbers.random() < 0.3:
        data = damaged(numbers, data)
    path = put(folder, "fuzz.npz", data)
    with Machine(vram_mib=1, **machine) as loaded:
        try:
            loaded.load_state(path)
        except StateError as error:
            return refused(error)
        with suppress(GuestFault):
            loaded.tick(2)
        np.testing.assert_array_equal(loaded.screen.frame, loaded.screen.full_redraw())
        # What it has become can be saved and loaded again.
        check_device(loaded.vga, snapshot.take(loaded.vga.parts()), "again")
        if loaded.pc is not None:
            loaded.pc.check_state(loaded.pc.state_arrays(), "again")
    return "taken"


def plant_state() -> None:
    """Parts are restored whatever their values."""
    snapshot.Part.takes = lambda self, array: array is not None


CAMPAIGNS = {
    "tapes": Campaign(functools.partial(spoilt, form="tape"), plant_tape),
    "fonts": Campaign(functools.partial(spoilt, form="font"), plant_font_file),
    "keys": Campaign(keys, plant_keys),
    "pictures": Campaign(functools.partial(spoilt, form="picture"), plant_picture_file),
    "roms": Campaign(functools.partial(spoilt, form="rom"), plant_rom),
    "images": Campaign(image, plant_image),
    "states": Campaign(state, plant_state),
    "states-unicorn": Campaign(functools.partial(pc_state, cpu="unicorn"), plant_state),
    "states-kvm": Campaign(functools.partial(pc_state, cpu="kvm"), plant_state),
}
