"""Files and streams that somebody has spoilt: seeded mutations of each format, and who reads it.

`attack(name, seed, folder)` makes one, has it read, and says what came of it: "taken", or why it
was refused. Anything else than a refusal in a line is an error that is raised. A campaign, which
counts both:

    python tests/random_files.py FORMAT COUNT [FIRST_SEED]
"""

from __future__ import annotations

import gzip
import io
import json
import random
import socket
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from random_tapes import random_ops

from vgaemu.errors import VgaemuError
from vgaemu.guest.workloads import picture
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.migrate import Region, stream
from vgaemu.migrate.bodies import pack_arrays, pack_regions
from vgaemu.migrate.live import device_state
from vgaemu.migrate.receiver import receive
from vgaemu.migrate.stream import HEADER, MAGIC, PREAMBLE, VERSION, Channel, Kind
from vgaemu.pc.bios.vgarom import find_vga_rom
from vgaemu.pc.formats import load_image
from vgaemu.tape import Player, Tape
from vgaemu.vga.device import Vga
from vgaemu.vga.font import load_font_file
from vgaemu.vga.modes import set_mode
from vgaemu.vga.state import State, load_state, save_state
from vgaemu.vga.vram import LFB_GPA

#: Numbers that programs trip over, in bytes little-endian.
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 1 << 24, (1 << 31) - 1,
         1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
#: Longest message of a refusal.
MAX_MESSAGE = 600


class Format(NamedTuple):
    """What is spoilt, and who reads it."""

    suffix: str
    #: Good ones.
    seeds: Callable[[], list[bytes]]
    #: Has it read; raises what the reader raises.
    read: Callable[[Path], object]
    #: A mutation that knows the format; else bytes are changed.
    spoil: Callable[[bytes, random.Random], bytes] | None = None


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, put in, left out, doubled, cut off."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        size = len(spoilt)
        # Heads are where sizes are.
        at = rng.randrange(min(size, 64) + 1) if rng.random() < 0.5 else rng.randrange(size + 1)
        count = rng.choice((1, 1, 2, 4, 8, 64, 4096))
        what = rng.randrange(7)
        if what == 0:
            spoilt[at : at + 1] = bytes([rng.randrange(256)])
        elif what == 1:
            width = rng.choice((1, 2, 4, 8))
            edge = rng.choice(EDGES) & (1 << 8 * width) - 1
            spoilt[at : at + width] = edge.to_bytes(width, rng.choice(("little", "big")))
        elif what == 2:
            spoilt[at:at] = rng.randbytes(count)
        elif what == 3:
            del spoilt[at : at + count]
        elif what == 4:
            spoilt[at:at] = spoilt[at : at + count]
        elif what == 5:
            del spoilt[at:]
        elif at < size:
            spoilt[at] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def any_value(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value."""
    what = rng.randrange(9 if depth < 3 else 7)
    if what < 3:
        return rng.choice((1, -1)) * (rng.choice(EDGES) + rng.randrange(-2, 3))
    if what == 3:
        return rng.choice((None, True, False, 0.5, -1e308, 1e-5))
    if what < 6:
        return rng.choice(("", "00", "ff" * 700, "0g", "out", "rep", "\0", "\U0001f600", "../x"))
    if what == 6:
        return rng.randrange(0xA0000, 0xC0000)
    if what == 7:
        return [any_value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {rng.choice(("", "name", "ops", "a")): any_value(rng, depth + 1)}


# --- tapes ------------------------------------------------------------------------------------


@cache
def tapes() -> list[bytes]:
    made = []
    for seed in range(8):
        ops = [op for some in islice(random_ops(seed, 1 << 20), 6) for op in some][:60]
        ops += [["rep", 5, 3, ["w8", 0xA0000, 7]], ["lfbread", 5, 9], ["frame", 3]]
        head = {"name": "t", "vram_mib": 1}
        lines = [json.dumps(head), *map(json.dumps, ops)]
        made.append("\n".join(lines).encode())
        made.append(json.dumps(head | {"ops": ops}, indent=seed % 3 or None).encode())
    return made


def spoil_tape(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.6:
        lines = data.decode().split("\n")
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(lines))
            try:
                op = json.loads(lines[at])
            except ValueError:
                continue
            if isinstance(op, list) and op:
                op[rng.randrange(len(op))] = any_value(rng)
            elif isinstance(op, dict):
                op[rng.choice(("name", "vram_mib", "ops", "x"))] = any_value(rng)
            lines[at] = json.dumps(op)
        data = "\n".join(lines).encode()
    else:
        data = mutated(data, rng)
    if rng.random() < 0.3:
        data = gzip.compress(data, 1)
        if rng.random() < 0.5:
            data = mutated(data, rng)
    return data


def read_tape(path: Path) -> None:
    with Tape(path) as tape:
        vga = Vga(Memslot(tape.vram_mib << 8, LFB_GPA >> 12))
        Player(vga, islice(tape, 200), keep_readbacks=False).play()


# --- states -----------------------------------------------------------------------------------


def new_vga() -> Vga:
    return Vga(Memslot(64, LFB_GPA >> 12))


def saved(vga: Vga) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.npz")
        save_state(vga, path)
        return path.read_bytes()


@cache
def states() -> list[bytes]:
    made = []
    for mode in (3, 0x12, 0x13, 0x06):
        vga = new_vga()
        set_mode(vga, mode)
        vga.store(0xA0000, bytes(range(256)))
        made.append(saved(vga))
    return made


def spoilt_array(array: np.ndarray, rng: random.Random) -> Any:
    """Other values, types, shapes."""
    what = rng.randrange(8)
    if what < 4 and array.size and array.dtype.kind in "iub":
        array = array.copy()
        flat = array.reshape(-1)
        for _ in range(rng.choice((1, 1, 8))):
            edge = rng.choice(EDGES) & (1 << 8 * array.itemsize) - 1
            flat[rng.randrange(flat.size)] = np.array(edge, f"u{array.itemsize}").view(array.dtype)
        return array
    if what == 4:
        return np.zeros(array.shape, rng.choice(("u1", "i8", "f8", ">u4", "U3", "c16", "bool")))
    if what == 5:
        return rng.choice((array.reshape(-1)[:-1], array.reshape(1, -1), np.zeros(0, array.dtype)))
    if what == 6:
        return np.zeros((rng.choice((0, 1, 65536)), rng.choice((0, 1, 3))), "V4")
    return np.full(array.shape, rng.choice((np.nan, 1e300, -1.0)), "f8")


def spoil_state(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return mutated(data, rng)
    with np.load(io.BytesIO(data)) as file:
        arrays: dict[str, Any] = dict(file)
    for _ in range(rng.choice((1, 1, 2, 5))):
        name = rng.choice(list(arrays))
        arrays[name] = spoilt_array(arrays[name], rng)
        if rng.random() < 0.1:
            arrays[rng.choice(list(arrays))] = arrays.pop(name)
    out = io.BytesIO()
    np.savez(out, **arrays)
    if rng.random() < 0.2:  # sizes in the directory or in a head
        with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as file:
            head = io.BytesIO()
            fields = {"descr": "|u1", "fortran_order": False, "shape": (rng.choice(EDGES),)}
            np.lib.format.write_array_header_1_0(head, fields)
            file.writestr("extra.npy", head.getvalue() + bytes(rng.choice((0, 9, 1 << 20))))
    return out.getvalue()


def read_state_file(path: Path) -> None:
    vga = new_vga()
    load_state(vga, path)
    with Machine(vram_mib=1) as machine:  # what is taken can be drawn
        machine.draw_frame()


def halting_image() -> bytes:
    return b"\xfb\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # STI; HLT; JMP to it


class PcStates:
    """One PC whose states are spoilt; made once, for it takes long."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        image = Path(self._folder.name, "halt.img")
        image.write_bytes(halting_image())
        self.machine = Machine(image, vram_mib=1)
        self.machine.tick(2)
        assert self.machine.pc is not None
        self.device = {name: part.array() for name, part in self.machine.vga.parts().items()}
        self.guest = self.machine.pc.state_arrays()

    def attack(self, rng: random.Random) -> None:
        device, guest = dict(self.device), dict(self.guest)
        for _ in range(rng.choice((1, 1, 2, 5))):
            arrays = guest if rng.random() < 0.8 else device
            names = [name for name in arrays if name not in ("ram", "vram") or rng.random() < 0.1]
            name = rng.choice(names)
            arrays[name] = spoilt_array(arrays[name], rng)
        try:
            self.machine.restore_state(State(device, guest, 2), "state")
            self.machine.tick()
        finally:
            self.machine.restore_state(State(self.device, self.guest, 2), "good")


@cache
def pc_states() -> PcStates:
    return PcStates()


# --- fonts, pictures, images ------------------------------------------------------------------


@cache
def fonts() -> list[bytes]:
    glyphs = bytes(range(256)) * 16
    table = b"".join(chr(0x20 + i % 90).encode() + b"\xff" for i in range(256))
    words = b"".join(struct.pack("<2H", 0x20 + i % 90, 0xFFFF) for i in range(256))
    psf2 = struct.pack("<4s7I", b"\x72\xb5\x4a\x86", 0, 32, 1, 256, 16, 16, 8) + glyphs + table
    plain = [b"\x36\x04\x02\x10" + glyphs + words, psf2, glyphs]
    return [*plain, *(gzip.compress(one, 1, mtime=0) for one in plain)]


@cache
def pictures() -> list[bytes]:
    from PIL import Image

    made = []
    gradient = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8) * 4
    still = Image.fromarray(np.dstack([gradient, gradient, 255 - gradient]))
    for form in ("PNG", "GIF", "BMP", "JPEG", "PPM", "TIFF", "PCX", "TGA", "WEBP", "ICO", "SGI"):
        out = io.BytesIO()
        still.save(out, form)
        made.append(out.getvalue())
    out = io.BytesIO()
    others = [still.rotate(90 * n) for n in range(3)]
    still.save(out, "GIF", save_all=True, append_images=others, duration=50, loop=0)
    return [*made, out.getvalue()]


@cache
def images() -> list[bytes]:
    boot = halting_image()
    entry = struct.pack("<B3sB3sII", 0x80, b"\1\1\0", 6, b"\x0f\x3f\x10", 63, 900)
    disk = boot[:446] + entry.ljust(64, b"\0") + boot[510:] + bytes(512 * 999)
    return [boot, boot + bytes(2000), disk]


@cache
def roms() -> list[bytes]:
    rom = bytearray(b"\x55\xaa\x02\xcb".ljust(1024, b"\0"))
    rom[-1] = -sum(rom) & 0xFF
    return [bytes(rom)]


# --- streams ----------------------------------------------------------------------------------


class Target:
    """A machine's device, as what arrives is for."""

    def __init__(self) -> None:
        self.slot = Memslot(8)
        self.regions = [Region("vram", self.slot)]

    def check_guest(self, arrays: Mapping[str, Any], channel: Channel) -> None:
        if arrays:
            raise channel.error("sends machine code")

    def restore(self, arrays: Mapping[str, Any], channel: Channel) -> np.ndarray:
        if "frame" not in arrays:
            raise channel.error("sent no frame")
        return np.zeros((2, 2), np.uint32)

    def arrived(self, received: object) -> None:
        pass


def message(kind: Kind, body: bytes = b"", count: int = 0) -> bytes:
    return HEADER.pack(kind, 0, b"\0\0", count, len(body)) + body


@cache
def streams() -> list[bytes]:
    with Machine(vram_mib=1) as machine:
        state = device_state(machine)
    body = pack_arrays(state)
    head = [
        PREAMBLE.pack(MAGIC, VERSION),
        message(Kind.REGIONS, pack_regions(Target().regions), 1),
        message(Kind.PAGES, struct.pack("<2I", 1, 2) + bytes(range(256)) * 32, 1),
        message(Kind.ZEROS, struct.pack("<4I", 0, 1, 3, 5), 2),
        message(Kind.ROUND),
    ]
    tail = [message(Kind.STATE, body, len(state)), message(Kind.DIGESTS, bytes(32), 2)]
    return [b"".join([*head, *tail]), b"".join([*head, *head[2:], *tail]), b"".join(tail)]


def read_stream(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        source = socket.create_connection(listening.getsockname())
        there = listening.accept()[0]
    with source, there:
        source.setblocking(False)
        try:
            source.send(path.read_bytes())
            source.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        receive(Channel(there, "peer"), Target())


FORMATS = {
    "tape": Format(".tape", tapes, read_tape, spoil_tape),
    "state": Format(".npz", states, read_state_file, spoil_state),
    "font": Format(".psf", fonts, load_font_file),
    "picture": Format(".png", pictures, lambda path: picture.load(str(path))),
    "image": Format(".img", images, lambda path: load_image(str(path), [])),
    "program": Format(".com", images, lambda path: load_image(str(path), ["a"], force=True)),
    "rom": Format(".bin", roms, lambda path: find_vga_rom(str(path))),
    "stream": Format(".bin", streams, read_stream),
}


def attack(name: str, seed: int, folder: Path) -> str:
    """Have one spoilt file read; ``"taken"``, or why it was refused."""
    rng = random.Random(f"{name} {seed}")
    if name == "pc state":
        return outcome(lambda: pc_states().attack(rng))
    form = FORMATS[name]
    data = (form.spoil or mutated)(rng.choice(form.seeds()), rng)
    path = folder / f"spoilt{form.suffix}"
    path.write_bytes(data)
    return outcome(lambda: form.read(path))


def outcome(read: Callable[[], object]) -> str:
    said = "taken"
    try:
        read()
    except VgaemuError as error:
        said = str(error)
    assert said, "a refusal that says nothing"
    assert len(said) < MAX_MESSAGE, said[:MAX_MESSAGE]
    assert "\n" not in said, said
    return said


NAMES = (*FORMATS, "pc state")


def main() -> None:
    name, count, first = sys.argv[1], int(sys.argv[2]), int((*sys.argv, "0")[3])
    seen: Counter[bool] = Counter()
    stream.PEER_SECONDS = 1.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            try:
                seen[attack(name, seed, Path(folder)) == "taken"] += 1
            except BaseException:
                print(f"{name}, seed {seed}", flush=True)
                raise
    print(f"{name}: {count} spoilt, {seen[True]} taken, {seen[False]} refused")


if __name__ == "__main__":
    main()
