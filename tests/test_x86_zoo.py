"""Small systems of our own, each for a kind of real ones, on both CPUs and on QEMU.

| guest | stands for |
|---|---|
| text40 | games of one sector: 40 columns, a glyph of their own, waits by INT 15h/86h |
| cga4 | turtles and plotters: pixels by INT 10h in four colours, exclusive or, read back |
| fpu | intros: a coprocessor, mode 13h, a palette |
| stages | loaders: forty sectors across tracks, sector by sector, the drive's shape |
| irqs | teaching kernels: protected mode, controllers moved, a timer's ticks, and back |
| monitor | EMM386, DOS boxes: the BIOS in virtual 8086 mode, ports by a bitmap |

Those of `zoo_speakers` say on COM1 what they found, and "end". `tests/zoo/README.md` tells which
real guests each stands for.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from test_x86_paging import pvm
from test_x86_qemu import QEMU, Monitor, on_qemu, ppm, six_bits
from x86_helpers import CPUS, needs_kvm
from zoo_speakers import LEFT, SPEAKERS, Button, Move, Speaker, Type

from vgaemu import Machine
from vgaemu.errors import GuestFault
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.pc.bios.vgarom import PLACES
from vgaemu.pc.cpu.kvm import KvmCpu

pytest.importorskip("unicorn")
ZOO = Path(__file__).parent / "zoo"
#: What each shows at the end, and within how many frames: rows of text, or how many colours.
SHOWS: dict[str, tuple[list[str] | int, int]] = {
    "text40": ([" 40 COLUMNS "], 60), "cga4": (4, 20), "fpu": (65, 5),
    "stages": (["66C9 4F12 0001"], 5), "irqs": (["and back", "30 ticks in protected mode"], 40),
    "monitor": (["INT 10h in virtual 8086 mode", "3 ports refused", "three ticks"], 20),
}  # fmt: skip
KVM_GET_TSC_KHZ = 0xAEA3
#: What a KVM that emulates each instruction cannot do for it.
LACKS = {"fpu": "coprocessor", "monitor": "virtual 8086 mode"}


def is_shown(machine: Machine, expected: list[str] | int) -> bool:
    if isinstance(expected, int):
        return len(np.unique(machine.screen.frame)) == expected
    text = "\n".join(machine.screen.text())
    return all(words in text for words in expected)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", SHOWS)
def test_each_of_them(name: str, cpu: str) -> None:
    expected, frames = SHOWS[name]
    with Machine(ZOO / f"{name}.img", cpu=cpu, vram_mib=1) as machine:
        try:
            machine.tick(frames)
            # KVM's time is the host's: of a frame a busy host gives the guest a part.
            for _ in range(100 if cpu == "kvm" else 0):
                if is_shown(machine, expected):
                    break
                machine.tick(frames)
        except GuestFault as fault:
            if cpu == "kvm" and name in LACKS and "cannot execute" in str(fault):
                pytest.skip(f"KVM's emulator has no {LACKS[name]}")
            raise
        assert is_shown(machine, expected), machine.screen
        np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())


def as_qemu_shows(picture: np.ndarray) -> np.ndarray:
    """Modes of 40 columns twice as wide, of eight dots a character; few lines twice as high."""
    if picture.shape[1] == 360:
        picture = picture.reshape(-1, 40, 9)[:, :, :8].reshape(-1, 320)
    down, across = 1 + (len(picture) <= 240), 720 // picture.shape[1]
    return picture.repeat(down, axis=0).repeat(across, axis=1)


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


def act(machine: Machine, what: Type | Move | Button) -> None:
    if isinstance(what, Type):
        machine.keys.type(what.text)
    elif isinstance(what, Move):
        machine.mouse.move(*what)
    else:
        machine.mouse.button(*what)


def dumped(picture: np.ndarray) -> np.ndarray:
    """As QEMU's screendump has a picture."""
    picture = six_bits(picture)
    return as_qemu_shows(picture) if len(picture) <= 400 else picture


#: What of a text QEMU calls otherwise.
QCODES = {
    " ": "spc",
    "\n": "ret",
    "\b": "backspace",
    "\33": "esc",
    "*": "shift-8",
    "+": "shift-equal",
}


def act_on_qemu(monitor: Monitor, what: Type | Move | Button) -> None:
    events: list[dict[str, object]] = []
    if isinstance(what, Type):
        for character in what.text:
            names = QCODES.get(character, character).split("-")
            keys = [{"type": "qcode", "data": name} for name in names]
            monitor.command("send-key", **{"keys": keys, "hold-time": 20})
            time.sleep(0.06)
        return
    if isinstance(what, Move):
        for axis, steps in zip("xy", what, strict=True):
            events.append({"type": "rel", "data": {"axis": axis, "value": steps}})
    else:
        name = {1: "left", 3: "right"}[what.number]
        events.append({"type": "btn", "data": {"button": name, "down": what.down}})
    monitor.command("input-send-event", events=events)
    time.sleep(0.2)


#: Of QEMU: a guest's nanoseconds are made of its instructions, its counter's and its clock's, too.
OWN_TIME = ("-icount", "shift=5,sleep=off", "-rtc", "clock=vm")


def to_the_end(
    machine: Machine, speaker: Speaker, frames: int, before: str = ""
) -> list[np.ndarray]:
    """Until it has said "end", or is over; what is done to it comes three frames apart.

    What it said `before`, elsewhere, counts, too.

    Returns:
        Pictures that stood.
    """
    steps, stood = iter(speaker.done), list[np.ndarray]()
    apart = 3 if frames < 1000 else 30
    for number in range(frames):
        if not machine.tick() or machine.serial.endswith("end\n"):
            break
        readies = (before + machine.serial).count("ready\n")
        if number % apart or not readies or (speaker.stands and readies == len(stood)):
            continue
        machine.tick(2)
        picture = machine.screen.full_redraw()
        # It is one of scan lines for a while after its registers moved in mid-picture.
        stood.append(picture[::2] if picture.shape[1] == 320 and len(picture) >= 400 else picture)
        if step := next(steps, None):
            act(machine, step)
    # The cursor blinks.
    machine.vga.outw(0x3D4, 0x200A)
    machine.tick()
    return stood


def sums(pictures: list[np.ndarray]) -> tuple[int, ...]:
    return tuple(crc32(picture.tobytes()) for picture in pictures)


def are_of_this_host(machine: Machine) -> None:
    """What was measured under KVM, whose counter goes on while the guest stands, between frames."""
    *rates, waited = map(int, re.findall(r": (\d+)", machine.serial))
    assert machine.pc is not None
    assert isinstance(machine.pc.cpu, KvmCpu)
    host = kvm.libc_ioctl(machine.pc.cpu._vcpu, KVM_GET_TSC_KHZ, None) / 1000
    # On a busy host a mark may come late, and so may an end.
    assert 0.6 * host < min(rates) < 1.5 * host
    assert waited * rates[-1] > 0.97 * 200 * host


@pytest.mark.turns(2)
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", SPEAKERS)
def test_what_they_find(name: str, cpu: str) -> None:
    speaker = SPEAKERS[name]
    if cpu == "kvm" and speaker.no_pvm and pvm():
        pytest.skip(f"kvm_pvm has no {speaker.no_pvm}")
    with Machine(ZOO / f"{name}.img", cpu=cpu, drive=speaker.drive, memory=speaker.mib) as machine:
        stood = to_the_end(machine, speaker, 6000 if cpu == "kvm" else 300)
        if speaker.stands:
            assert sums(stood) == speaker.stands
        said, says = machine.serial, speaker.says + "end\n"
        if cpu == "kvm" and speaker.measures:
            are_of_this_host(machine)
            said, says = (re.sub(r": \d+", ": of this host", text) for text in (said, says))
        assert said == says
        if speaker.is_off:
            assert machine.exit_code == 0
        picture = machine.screen.full_redraw()
        np.testing.assert_array_equal(machine.screen.frame, picture)
        if isinstance(speaker.shows, int):
            assert crc32(picture.tobytes()) == speaker.shows
        else:
            rows = [row.rstrip() for row in machine.screen.text() if row.strip()]
            assert rows == (speaker.shows or machine.serial.splitlines())


@pytest.mark.turns(2)
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", [path.stem for path in sorted(ZOO.glob("*.com"))])
def test_a_program_leaves_dos_as_it_was(name: str, cpu: str) -> None:
    speaker = SPEAKERS[name]
    if cpu == "kvm" and speaker.no_pvm and pvm():
        pytest.skip(f"kvm_pvm has no {speaker.no_pvm}")
    with Machine(ZOO / f"{name}.com", cpu=cpu, dos_root=ZOO) as machine:
        assert machine.pc is not None
        before = machine.pc.bus.read(0, 0x400)
        stood = to_the_end(machine, speaker, 6000 if cpu == "kvm" else 300)
        assert sums(stood) == speaker.stands or not speaker.stands
        assert f"{machine.serial}{LEFT}" == speaker.says
        assert machine.exit_code == 0
        assert machine.pc.bus.read(0, 0x400) == before
        assert machine.pc.pit.channels[0].reload == 0x10000
        shown = [row.rstrip() for row in machine.screen.text() if row.strip()]
        assert shown == ([] if speaker.stands else machine.serial.splitlines())


@pytest.mark.turns(5)
@pytest.mark.parametrize(
    "way",
    [("unicorn", "unicorn"), *(pytest.param(way, marks=needs_kvm) for way in (
        ("unicorn", "kvm"), ("kvm", "unicorn"),
    ))],
    ids="-".join,
)  # fmt: skip
@pytest.mark.parametrize("name", SPEAKERS)
def test_a_state_goes_on(name: str, way: tuple[str, str], tmp_path: Path) -> None:
    speaker, state = SPEAKERS[name], tmp_path / "state.npz"
    if "kvm" in way and (speaker.measures or (speaker.no_pvm and pvm())):
        pytest.skip("KVM cannot have it, or measures another machine")
    image = ZOO / f"{name}.img"
    with Machine(image, cpu=way[0], drive=speaker.drive, memory=speaker.mib) as machine:
        # Another moment each day.
        moment = random.Random(f"{name} {os.environ['VGAEMU_FUZZ_SEED']}").randrange(1, 40)
        machine.tick(moment * (5 if way[0] == "kvm" else 1))
        machine.save_state(state)
        before, is_over = machine.serial, machine.exit_code is not None
    if is_over:
        return
    with Machine(image, cpu=way[1], drive=speaker.drive, memory=speaker.mib) as machine:
        machine.load_state(state)
        stood = to_the_end(machine, speaker, 6000 if way[1] == "kvm" else 400, before)
        assert before + machine.serial == speaker.says + "end\n"
        assert sums(stood) == speaker.stands or not speaker.stands


def spoken_on_qemu(
    name: str,
    tmp_path: Path,
    stood: list[np.ndarray],
    is_done: Callable[[np.ndarray], bool],
) -> tuple[str, np.ndarray]:
    """What it says under QEMU, and its picture then; what is done to it waits for what `stood`."""
    speaker, log = SPEAKERS[name], tmp_path / "serial"
    copy, qmp, shot = tmp_path / "boot.img", tmp_path / "qmp", tmp_path / "shot.ppm"
    data = (ZOO / f"{name}.img").read_bytes()
    floppy = speaker.drive != "hd"
    copy.write_bytes(data.ljust(1440 << 10, b"\0") if floppy else data)
    medium = f"if={'floppy' if floppy else 'ide'},format=raw,file={copy}"
    qemu = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-no-shutdown", "-vga", "std",
         "-m", str(speaker.mib), "-drive", medium, "-boot", "a" if floppy else "c",
         "-serial", f"file:{log}", "-qmp", f"unix:{qmp},server=on,wait=off",
         *(OWN_TIME if speaker.measures else ())],
    )  # fmt: skip
    try:
        monitor = Monitor(qmp)
        steps = iter(speaker.done)
        said, picture, seen = "", np.zeros((0, 0), np.uint32), 0
        for _ in range(200):
            time.sleep(0.1)
            said = log.read_text("cp437") if log.is_file() else ""
            if said.count("ready\n") > (seen if stood else 0):
                if stood:
                    monitor.command("screendump", filename=str(shot))
                    if not np.array_equal(ppm(shot), stood[seen]):
                        continue
                    seen += 1
                if step := next(steps, None):
                    act_on_qemu(monitor, step)
            if said.endswith("end\n"):
                monitor.command("screendump", filename=str(shot))
                picture = ppm(shot)
                if is_done(picture):
                    break
        state = monitor.command("query-status")["return"]["status"]
        assert (state == "shutdown") == speaker.is_off
        monitor.close()
        return said, picture
    finally:
        qemu.kill()
        qemu.wait()


@pytest.mark.qemu
@pytest.mark.turns(2)
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
@pytest.mark.skipif(not Path(PLACES[0]).is_file(), reason=f"{PLACES[0]} is not here")
@pytest.mark.parametrize("name", SPEAKERS)
def test_qemu_finds_the_same(name: str, tmp_path: Path) -> None:
    speaker = SPEAKERS[name]
    with Machine(
        ZOO / f"{name}.img", vga_bios=PLACES[0], drive=speaker.drive, memory=speaker.mib
    ) as machine:
        stood = to_the_end(machine, speaker, 300)
        expected = dumped(machine.screen.full_redraw())

    def differs(picture: np.ndarray) -> int:
        return int((picture != expected).sum()) if picture.shape == expected.shape else 1 << 30

    standing = [dumped(picture) for picture in stood] if speaker.stands else []
    said, picture = spoken_on_qemu(name, tmp_path, standing, lambda seen: differs(seen) == 0)
    assert said == speaker.says + "end\n"
    assert differs(picture) <= 18  # a cursor's cell


@pytest.mark.skipif(shutil.which("nasm") is None, reason="no nasm; apt-get install nasm")
@pytest.mark.parametrize(
    "folder",
    [ZOO, *(ZOO.parent / name for name in ("kernels", "programs"))],
    ids=lambda folder: folder.name,
)
def test_the_bytes_are_of_the_sources(folder: Path, tmp_path: Path) -> None:
    for source in (ZOO, folder):  # whose `boot.inc` others include, too
        built = tmp_path / source.name
        built.mkdir(exist_ok=True)
        for path in source.iterdir():
            if path.suffix in {".asm", ".inc", ".sh"}:
                shutil.copy(path, built)
    subprocess.run(["sh", "build.sh"], cwd=built, check=True, timeout=60)
    made = {path.name: path.read_bytes() for path in built.iterdir()}
    assert made == {path.name: path.read_bytes() for path in folder.iterdir() if path.name in made}
    assert made.keys() >= {path.name for path in folder.iterdir() if path.suffix != ".md"}
