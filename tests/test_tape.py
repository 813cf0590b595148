"""Tapes: what is refused and how, streaming, playing, recording, and the `replay` command."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from goldens import play, tape_files
from PIL import Image
from random_tapes import random_ops
from vram_planes import planes_of

from vgaemu.cli.main import main
from vgaemu.cli.playback import picture, replay
from vgaemu.display.pictures import rgb_of
from vgaemu.errors import TapeError
from vgaemu.guest.find import find_workload
from vgaemu.guest.workload import Guest, Slices
from vgaemu.keys.queue import Keys
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.tape import START, Player, Tape, TapeRecorder, check_op, expand, read
from vgaemu.tape import play as play_module
from vgaemu.vga.device import Vga
from vgaemu.vga.layout import LEGACY_BYTES
from vgaemu.vga.modes import set_mode
from vgaemu.vga.ports import Ports
from vgaemu.vga.tap import TappedVga
from vgaemu.vga.vram import LFB_GPA

HEADER = '{"name": "t"}'


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def read_all(path: Path) -> list[Any]:
    with Tape(path) as tape:
        return list(tape)


def machine_with_ram() -> Vga:
    vga = Vga()
    Player(vga, START[:3]).play()
    return vga


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('["jump", 1]', "there is no operation 'jump'"),
        ('{"op": 1}', "is not an operation"),
        ("[]", "is not an operation"),
        ("[1, 2]", "is not an operation"),
        ('["out", 963]', "out takes 2 arguments, not 1"),
        ('["in", 962, 1, 2]', "in takes 1 or 2 arguments, not 3"),
        ('["out", 963, 256]', "out: 256 is not a whole number from 0 to 255"),
        ('["out", 963, true]', "out: True is not a whole number"),
        ('["out", 963, 1.0]', "out: 1.0 is not a whole number"),
        ('["out", 963, -1]', "out: -1 is not a whole number"),
        ('["out", 128, 1]', "port 0x80: not a VGA port"),
        ('["out", 462, 1]', "port 0x1ce: DISPI ports are 16 bits wide"),
        ('["out", "963", 1]', "'963' is not a port number"),
        ('["outs", 969, "0g"]', "'0g' is not a string of hex bytes"),
        ('["outs", 969, 12]', "12 is not a string of hex bytes"),
        ('["outs", 969, ""]', "the hex string is empty"),
        ('["w8", 655359, 1]', "w8: 1 bytes at 0x9ffff leave A0000h-BFFFFh"),
        ('["w16", 786431, 1]', "w16: 2 bytes at 0xbffff leave A0000h-BFFFFh"),
        ('["fill", 655360, 0, 1]', "fill: 0 bytes at 0xa0000 leave"),
        ('["copy", 655360, 786430, 3]', "copy: 3 bytes at 0xbfffe leave"),
        ('["lfb", 16777215, "0000"]', "2 bytes at offset 0xffffff leave the linear frame buffer"),
        ('["rep", 2, 1]', "rep takes 3 arguments, not 2"),
        ('["rep", 0, 1, ["rx", 655360]]', "rep: 0 times with step 1"),
        ('["rep", 2, 1, ["out", 963, 1]]', "rep repeats memory operations, not out"),
        ('["rep", 2, 1, ["rep", 2, 1, ["rx", 655360]]]', "rep repeats memory operations, not rep"),
        ('["rep", 2, 1, []]', "[] is not an operation"),
        ('["rep", 3, 65536, ["rx", 655360]]', "rx: 1 bytes at 0xc0000 leave"),
        ('["rx", 655360', "not JSON: Expecting ',' delimiter at column"),
        ("[" * 100_000, "not a tape: brackets in brackets"),
        ("9" * 5000, "not a tape: Exceeds the limit"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = write(tmp_path / "bad.tape", HEADER, '["rx", 655360]', "", line)
    with Tape(path) as tape, pytest.raises(TapeError) as caught:
        list(tape)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 4: ")
    assert what in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"[]\n", 'line 1: the header is an object with a "name"'),
        (b'{"bits": [6, 6, 6]}\n', 'line 1: the header is an object with a "name"'),
        (b'{"name": "t", "speed": 3}\n', "line 1: the header has unknown keys: speed"),
        (b'{"name": "t", "vram_mib": 0}\n', "line 1: vram_mib is a number from 1 to 256"),
        (b'{"name": "\xff"}\n', "line 1: the text is not UTF-8"),
        (b"\x7fELF\x02\x01\x01\0\0\0\n", "line 1: not JSON"),
        (b'{"name": "t", "ops": 3}\n', 'line 1: a tape in one object has a list "ops"'),
        (b'{\n "name": "t",\n "ops": [1,]\n}', "line 3: not JSON"),
    ],
)
def test_bad_header_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "bad.tape"
    path.write_bytes(content)
    with pytest.raises(TapeError) as caught:
        Tape(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert what in str(caught.value)


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"none\.tape: No such file"):
        Tape(tmp_path / "none.tape")
    with pytest.raises(TapeError, match="directory"):
        Tape(tmp_path)


def test_lfb_is_checked_against_the_vram_of_the_tape(tmp_path: Path) -> None:
    op = '["lfbfill", 1048575, 2, 0]'
    with Tape(write(tmp_path / "big.tape", HEADER, op)) as tape:
        assert len(list(tape)) == 1
    small = write(tmp_path / "small.tape", '{"name": "t", "vram_mib": 1}', op)
    why = "line 2: lfbfill: 2 bytes at offset 0xfffff leave"
    with Tape(small) as tape, pytest.raises(TapeError, match=why):
        list(tape)


def test_one_object_counts_operations_instead_of_lines(tmp_path: Path) -> None:
    whole = {"name": "one", "ops": [["rep", 2, 1, ["rx", 0xA0000]], ["in", 0x3CC, 300]]}
    for indent in (None, 1):
        path = write(tmp_path / "one.tape", json.dumps(whole, indent=indent))
        with Tape(path) as tape:
            ops = iter(tape)
            assert tape.name == "one"
            assert [next(ops), next(ops)] == [["rx", 0xA0000], ["rx", 0xA0001]]
            with pytest.raises(TapeError, match="op 2: in: 300 is not"):
                next(ops)


# --- streams ----------------------------------------------------------------------------------


def test_a_recording_may_be_called_ops(tmp_path: Path) -> None:
    vga = TappedVga(Memslot(4096, LFB_GPA >> 12))
    with TapeRecorder(vga, tmp_path / "ops.tape"):
        vga.outb(0x3C8, 1)
    with Tape(tmp_path / "ops.tape") as tape:
        assert tape.name == "ops"
        assert list(tape)[-1] == ["out", 0x3C8, 1]


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(f'{HEADER}\n["rx", 655360]\n'.encode()))
    with Tape(path) as tape:
        assert list(tape) == [["rx", 655360]]


def test_gzip_that_ends_early_or_is_damaged(tmp_path: Path) -> None:
    text = HEADER + "\n" + '["rx", 655360]\n' * 50 + f'["outs", 969, "{bytes(range(200)).hex()}"]\n'
    data = gzip.compress(text.encode(), mtime=0)
    path = tmp_path / "cut.tape.gz"
    for length in range(3, len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(TapeError, match=r"line \d+: the gzipped file is (cut off|damaged)"):
            read_all(path)
    path.write_bytes(data[:-8] + bytes(8))  # checksum and length of something else
    with pytest.raises(TapeError, match="the gzipped file is damaged: CRC check failed"):
        read_all(path)


def test_a_tape_larger_than_memory_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "large.tape.gz"
    line = b'["copy-in", 655360, "' + b"ab" * 65536 + b'"]\n'
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEADER.encode() + b"\n")
        for _ in range(400):
            file.write(line)
    with Tape(path) as tape:
        player = Player(Vga(), tape)
        tracemalloc.start()
        try:
            player.play()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(line) * 400 > 50e6
    assert peak < 4e6


def test_rep_is_expanded_one_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path / "rep.tape", HEADER, f'["rep", {1 << 20}, 0, ["rx", 655360]]')
    with Tape(path) as tape:
        assert list(islice(tape, 3)) == [["rx", 655360]] * 3
    assert list(expand(["rep", 2, -4, ["copy", 0xA0010, 0xB0010, 3]])) == [
        ["copy", 0xA0010, 0xB0010, 3],
        ["copy", 0xA000C, 0xB000C, 3],
    ]


def test_a_tape_that_unpacks_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes of gzip, or a line that is short for an operation of that length."""
    longest = 0

    def parse(text: str) -> Any:
        nonlocal longest
        longest = max(longest, text.count(","))
        return real(text)

    real = json.loads
    monkeypatch.setattr(read, "json", SimpleNamespace(loads=parse, JSONDecodeError=ValueError))
    many = '{"":0},' * 700_000
    path = tmp_path / "bomb.tape"
    for text, what in (
        (
            '{\n"name":"t","ops":[' + " " * read.MAX_LINE + "]}",
            "one object of more than 33555456 b",
        ),
        ('{"name":"t",\n"ops":[' + " " * read.MAX_LINE, "not JSON"),  # no tape in one object
        ('{\n"name":"t","ops":[' + many + "0]}", "one object of more than 1048576 values"),
        ('{"name":"t","ops":[' + many + "0]}", "one object of more than 1048576 values"),
        (f"{HEADER}\n[{many}0]", "line 2: not a tape: a line of more values than"),
        (f"{HEADER}\n[{'0:' * 90_000}0]", "line 2: not a tape: a line of more values than"),
        (f'{HEADER[:-1]},"desc":[{many}0]}}', "line 1: not a tape: a line of more values than"),
    ):
        for data in (text.encode(), gzip.compress(text.encode(), 1)):
            path.write_bytes(data)
            with pytest.raises(TapeError) as caught:
                read_all(path)
            assert what in str(caught.value)
            assert len(str(caught.value)) < 250
    assert longest < 100


def test_a_long_line_of_one_operation_is_read(tmp_path: Path) -> None:
    op = '["rep", 2, 0, ["lfb", 0, "' + "ab" * 200_000 + '"]]'
    assert len(read_all(write(tmp_path / "t.tape", HEADER, op))) == 2


def test_reads_are_kept_as_many_as_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(play_module, "MAX_READBACKS", 1000)
    back = tmp_path / "back.json"
    for op, fits in (
        ('["rep", 10, 0, ["lfbread", 0, 100]]', True),
        ('["rep", 1048576, 0, ["lfbread", 0, 100]]', False),
        ('["lfbread", 0, 16777216]', False),
        ('["rep", 1000, 0, ["r8", 655360]]', True),
        ('["rep", 1001, 0, ["r8", 655360]]', False),
    ):
        path = write(tmp_path / "t.tape", HEADER, op)
        status = main(["replay", str(path), "--readbacks", str(back)])
        err = capfd.readouterr().err
        if fits:
            assert (status, err) == (0, "")
            assert len(json.loads(back.read_text())["readbacks"]) == 1000
        else:
            assert (status, err.count("\n")) == (2, 1)
            assert "readbacks: more than 1000 values" in err


# --- playing ----------------------------------------------------------------------------------


def test_as_many_operations_as_asked_for() -> None:
    vga = machine_with_ram()
    player = Player(vga, [["out", 0x3C8, n] for n in range(1, 6)])
    assert player.play(2)
    assert vga.dac.index == 2
    assert player.play(3)
    assert not player.play(1)


def test_readbacks_are_masked_and_only_kept_if_wanted() -> None:
    ops = [
        ["in", 0x3CC],
        ["in", 0x3CC, 0x60],
        ["inw", 0x1CF, 0xFF],
        ["inx", 0x3CC],
        ["rx", 0xA0000],
    ]
    ops += [["fill", 0xA0000, 4, 7], ["rn", 0xA0000, 2], ["r16", 0xA0002], ["lfbread", 0, 1]]
    start = [
        ["outw", 0x1CE, 0],
        ["outw", 0x3C4, 0x0604],
        ["outw", 0x3C4, 0x0F02],
        ["outw", 0x3CE, 0xFF08],
    ]
    assert play(start + ops).readbacks == [0x63, 0x60, 0xC5, 7, 7, 0x0707, 7]
    player = Player(machine_with_ram(), ops, keep_readbacks=False)
    player.play()
    assert not player.readbacks


def test_an_odd_word_read_latches_the_byte_above_it() -> None:
    planar = [["outw", 0x3C4, 0x0604], ["outw", 0x3C4, 0x0F02], ["outw", 0x3CE, 0xFF08]]
    data = [["copy-in", 0xA0000, "00112233"]]
    for address, latched in ((0xA0000, 0x11), (0xA0001, 0x33)):
        vga = machine_with_ram()
        Player(vga, [*planar, *data, ["r16", address]]).play()
        assert vga.latch == latched * 0x01010101


# --- recording --------------------------------------------------------------------------------


def recorded(path: Path, drive: Callable[[Vga], object], vga: TappedVga | None = None) -> Vga:
    vga = vga or TappedVga()
    with TapeRecorder(vga, path):
        drive(vga)
    return vga


def assert_same_device(played: Vga, vga: Vga) -> None:
    np.testing.assert_array_equal(picture(played), picture(vga))
    # The recorded machine counts frames, which may lay text out meanwhile.
    np.testing.assert_array_equal(planes_of(played), planes_of(vga))
    above = slice(LEGACY_BYTES, None)
    np.testing.assert_array_equal(played.slot.array[above], vga.slot.array[above])
    assert played.latch == vga.latch
    assert played.dac.entries == vga.dac.entries
    for bank in ("misc", "sequencer", "crtc", "graphics", "attribute"):
        assert getattr(played, bank).values == getattr(vga, bank).values


def play_back(path: Path) -> Vga:
    with Tape(path) as tape:
        vga = Vga(Memslot(tape.vram_mib << 8, LFB_GPA >> 12))
        Player(vga, START[:3]).play()
        Player(vga, tape).play()
    return vga


def run_workload(vga: Vga, workload: Callable[..., Slices], *args: str) -> None:
    set_mode(vga, 3)
    for _ in workload(Guest(vga, Keys()), *args):
        pass


def squares(guest: Guest) -> Slices:
    guest.set_mode(0x13)
    for n in range(20):
        for y in range(10):
            guest.store(0xA0000 + 320 * (n * 8 + y) + n * 9, bytes([n + 32]) * 10)
        yield
    guest.copy(0xA0000, 0xA0000 + 320, 64000 - 320)
    assert guest.load(0xA0000 + 321, 3) == guest.load(0xA0001, 3)


def planar(guest: Guest) -> Slices:
    guest.set_mode(0x12)
    guest.outw(0x3C4, 0x0302)
    guest.store(0xA0000, b"\xaa\x55" * 4000)
    guest.outw(0x3CE, 0x0105)  # write mode 1
    guest.load(0xA0001, 1)
    guest.store(0xA4000, memoryview(bytes(300)))
    guest.copy(0xA0000, 0xA0050, 8000)
    yield


def dispi(guest: Guest) -> Slices:
    for index, value in ((1, 100), (2, 60), (3, 32), (4, 0x41)):
        guest.outw(0x1CE, index)
        guest.outw(0x1CF, value)
    guest.outb(0x3C0, 0x20)
    guest.store(0xE0000000, np.arange(24000, dtype=np.uint8))
    guest.store(0xA0000 + 24000, b"\x80" * 70000)  # past the banked window: cut off there
    guest.copy(0xE0000000, 0xA8000, 4000)
    assert guest.inw(0x1CF) == 0x41
    yield


def mono(guest: Guest) -> Slices:
    guest.set_mode(7)
    guest.wait_retrace()
    guest.store(0xB0000, b"H\x01i\x70")
    guest.outb(0x3B4, 0x0F)
    guest.inw(0x3B4)
    yield


@pytest.mark.parametrize("workload", [squares, planar, dispi, mono])
def test_a_recording_plays_back_the_same(tmp_path: Path, workload: Callable[..., Slices]) -> None:
    path = tmp_path / "run.tape.gz"
    vga = recorded(path, lambda vga: run_workload(vga, workload))
    assert picture(vga).any()
    assert_same_device(play_back(path), vga)


def test_what_registers_did_in_mid_picture_is_on_the_tape(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def bars(guest: Guest) -> Slices:
        set_mode(guest, 0x13)
        for _ in range(3):
            for shade in range(40):
                while not guest.inb(0x3DA) & 1:
                    pass
                while guest.inb(0x3DA) & 1:
                    pass
                Ports(guest).write_dac(0, (shade, 0, 63))
            yield

    path = tmp_path / "bars.tape"
    with Machine(bars, record_tape=path) as machine:
        machine.tick(3)
        shown = machine.screen.full_redraw()
        assert machine.screen.scanout.raster is not None
    assert main(["replay", str(path), "--screenshot", str(tmp_path / "bars.png")]) == 0
    capfd.readouterr()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "bars.png")), rgb_of(shown))


def test_recording_a_bundled_workload(tmp_path: Path) -> None:
    text = write(tmp_path / "text.txt", *(f"line {n}, {'x' * (n % 90)}" for n in range(60)))
    path = tmp_path / "cat.tape"
    vga = recorded(path, lambda vga: run_workload(vga, find_workload("cat"), str(text)))
    assert_same_device(play_back(path), vga)
    replay(path, screenshot=tmp_path / "cat.png")
    with Image.open(tmp_path / "cat.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture(vga))


@pytest.mark.parametrize("seed", range(12))
def test_recording_random_tapes(tmp_path: Path, seed: int) -> None:
    vram_bytes = 1 << 20
    ops = chain.from_iterable(islice(random_ops(seed, vram_bytes), 60))
    vga = TappedVga(Memslot(vram_bytes >> 12, LFB_GPA >> 12))
    path = tmp_path / "random.tape"
    recorded(path, lambda vga: Player(vga, chain(START[:3], ops)).play(), vga)
    assert_same_device(play_back(path), vga)
    assert json.loads(path.read_text().splitlines()[0])["vram_mib"] == 1


def test_what_a_recording_looks_like(tmp_path: Path) -> None:
    def drive(vga: Vga) -> None:
        vga.outb(0x3C2, 0x67)
        vga.outb(0x80, 1)  # no VGA port
        vga.inb(0x3DA)
        vga.inb(0x3CC)
        vga.inw(0x3DA)
        vga.store(0x9FFFF, b"\1\2\3")  # its first byte is no VRAM
        vga.store(0x1000, b"none of our business")
        vga.store(0xA0000, bytes(100))
        vga.load(0xBFFFF, 2)
        vga.store(LFB_GPA + (16 << 20) - 2, b"\1\2")
        vga.copy(0xA0000, LFB_GPA, 1)

    path = tmp_path / "seen.tape"
    recorded(path, drive)
    header, *ops = [json.loads(line) for line in path.read_text().splitlines()]
    assert header == {"name": "seen", "group": "recorded"}
    assert ops == [
        ["out", 0x3C2, 0], ["out", 0x3C2, 0x67], ["inx", 0x3DA], ["in", 0x3CC],
        ["inx", 0x3DA], ["in", 0x3DB], ["copy-in", 0xA0000, "0203"], ["fill", 0xA0000, 100, 0],
        ["rn", 0xBFFFF, 1], ["lfb", (16 << 20) - 2, "0102"], ["rn", 0xA0000, 1], ["lfb", 0, "00"],
    ]  # fmt: skip
    for op in ops:
        check_op(op)


def test_plain_memory_goes_through_the_device_while_recording(tmp_path: Path) -> None:
    vga = TappedVga()
    changes: list[int | None] = []
    with TapeRecorder(vga, tmp_path / "t.tape"):
        set_mode(vga, 0x13)
        vga.on_map_changed.append(lambda: changes.append(vga.window(0xA0000)))
        assert vga.window(0xA0000) is None
    assert changes == [0]
    assert vga.window(0xA0000) == 0


def test_two_recordings_of_a_run_are_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        recorded(tmp_path / folder / "t.tape.gz", lambda vga: run_workload(vga, squares))
    assert (tmp_path / "a/t.tape.gz").read_bytes() == (tmp_path / "b/t.tape.gz").read_bytes()


def test_a_recording_starts_at_power_on(tmp_path: Path) -> None:
    vga = TappedVga()
    vga.outb(0x3C2, 0x67)
    with pytest.raises(TapeError, match=r"t\.tape: a recording starts at power on"):
        TapeRecorder(vga, tmp_path / "t.tape")
    assert not (tmp_path / "t.tape").exists()


def test_a_recording_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="directory"):
        TapeRecorder(TappedVga(), tmp_path)
    full = Path("/dev/full")
    if full.exists():
        vga = TappedVga()
        recorder = TapeRecorder(vga, full)
        for n in range(10_000):
            vga.outb(0x3C8, n)
        assert vga.dac.index == 9_999 & 0xFF  # the guest goes on
        with pytest.raises(TapeError, match="/dev/full: No space left"):
            recorder.close()
        recorder.close()


# --- replay -----------------------------------------------------------------------------------


class Counting:
    def __init__(self) -> None:
        self.frames = 0

    def resize(self, screen: Any) -> None:
        pass

    def update(self, frame: Any, rects: Any, report: Any) -> None:
        self.frames += 1

    def close(self) -> None:
        pass


def test_start_brings_a_used_machine_to_where_tapes_start() -> None:
    with Machine(display="null", mode=0x13) as machine:
        vga = machine.vga
        vga.store(0xA0000, bytes(range(256)))
        vga.load(0xA0001, 1)
        for port, value in ((0x3C7, 5), (0x3C8, 5), (0x3C9, 5), (0x3C6, 5), (0x3C0, 3), (0x3C4, 3)):
            vga.outb(port, value)
        Player(vga, START).play()
        fresh = machine_with_ram()
        assert_same_device(vga, fresh)
        for bank in ("misc", "sequencer", "crtc", "graphics", "attribute"):
            assert getattr(vga, bank).index == getattr(fresh, bank).index
        for field in ("mask", "index", "step", "triple"):
            assert getattr(vga.dac, field) == getattr(fresh.dac, field)
        assert (vga.attribute_address, vga.attribute_takes_data) == (0, False)
        assert vga.dispi.index == 0


def test_a_recording_that_looks_at_dispi_first_plays_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "dispi.tape"
    recorded(path, lambda vga: vga.inw(0x1CF))  # the id, by the index of power on
    replay(path, readbacks=tmp_path / "read.json")
    assert json.loads((tmp_path / "read.json").read_text())["readbacks"] == [0xB0C5]


def test_some_operations_a_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tape", HEADER, *['["rx", 655360]'] * 25)
    for per_frame, frames in ((10, 3), (None, 1), (25, 2)):
        display = Counting()
        replay(path, display=display, per_frame=per_frame)
        assert display.frames == frames


def small_tape(folder: Path) -> Path:
    lines = (json.dumps(op) for op in mode_13h())
    return write(folder / "small.tape", HEADER, *lines, '["r8", 655361]')


def mode_13h() -> Iterator[Any]:
    yield from next(random_ops(0))
    yield ["w8", 0xA0001, 0x41]


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tape = small_tape(tmp_path)
    png, back = tmp_path / "t.png", tmp_path / "t.json"
    arguments = ["--screenshot", str(png), "--readbacks", str(back)]
    assert main(["replay", str(tape), *arguments, "--per-frame", "7"]) == 0
    with Tape(tape) as opened:
        want = play(opened)
    with Image.open(png) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), want.picture)
    height, width = want.picture.shape[:2]
    assert json.loads(back.read_text()) == {
        "name": "t",
        "size": [width, height],
        "readbacks": want.readbacks,
    }
    assert capfd.readouterr() == ("", "")


def test_the_command_refuses_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = write(tmp_path / "bad.tape", HEADER, '["jump"]')
    good = small_tape(tmp_path)
    for arguments, what in (
        ([str(bad)], f"{bad}: line 2: there is no operation 'jump'"),
        ([str(bad), "--per-frame", "1"], f"{bad}: line 2"),
        ([str(tmp_path / "none")], "No such file or directory; name a tape"),
        ([str(good), "--screenshot", str(tmp_path / "no" / "t.png")], "t.png: No such file"),
        ([str(good), "--screenshot", str(tmp_path / "t.doc")], "no picture format"),
        ([str(good), "--readbacks", str(tmp_path)], "irectory"),
    ):
        assert main(["replay", *arguments]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("vgaemu: ")
        assert what in err
        assert err.count("\n") == 1


def test_the_tapes_of_the_oracle_play_through_a_machine(tmp_path: Path) -> None:
    for path in tape_files()[::20]:
        replay(path, screenshot=tmp_path / "t.png", per_frame=200)
        with Tape(path) as tape, Image.open(tmp_path / "t.png") as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), play(tape).picture)


def test_a_recording_that_ends_with_blinking_hidden_plays_back_so(tmp_path: Path) -> None:
    def workload(guest: Guest) -> Slices:
        guest.store(0xB8000 + 160 * 5, b"B\x8e" * 40)
        while True:
            yield

    for frames in (3, 20, 40):
        tape, shot = tmp_path / f"{frames}.tape", tmp_path / f"{frames}.png"
        with Machine(workload, record_tape=tape) as machine:
            machine.tick(frames)
            expected = machine.screen.rgb()
        replay(tape, screenshot=shot)
        np.testing.assert_array_equal(np.asarray(Image.open(shot)), expected)
        # Other players do not know it: it is there only where it says something.
        assert ('["frame",19]' in tape.read_text()) == (frames == 20)


def test_what_leaves_the_frame_buffer_is_not_on_the_tape(tmp_path: Path) -> None:
    tape = tmp_path / "edge.tape"
    with Machine(None, record_tape=tape, vram_mib=1) as machine:
        machine.vga.load(0xE0000000 + (1 << 20), 1)
        machine.vga.store(0xE0000000 + (1 << 20) - 2, b"abcd")
        end = machine.vram.read((1 << 20) - 2, 2)
    assert end == b"ab"
    with Machine(None, vram_mib=1) as machine, Tape(tape) as read:
        Player(machine.vga, read).play()
        assert machine.vram.read((1 << 20) - 2, 2) == end


@pytest.mark.parametrize("display", ["window", "null"])
def test_a_replay_that_is_stopped_leaves_what_it_has_come_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, display: str
) -> None:
    def interrupted(machine: Machine, *frames: object, **options: object) -> None:
        machine.run_frame()
        raise KeyboardInterrupt

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Machine, "run", interrupted)
    path, shot = write(tmp_path / "t.tape", HEADER, '["rx", 655360]'), tmp_path / "t.png"
    # People end a window's run so.
    with pytest.raises(KeyboardInterrupt) if display == "null" else nullcontext():
        replay(path, screenshot=shot, display=display)
    assert shot.exists()
