"""Saved states: everything a guest can see comes back, and what is no state is refused whole."""

from __future__ import annotations

import io
import os
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_tapes import random_ops
from state_files import arrays_of

from vgaemu.display.base import BaseDisplay
from vgaemu.display.loop import DisplayLoop
from vgaemu.errors import StateError
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.tape import START, Player
from vgaemu.vga.beam import VirtualBeam, WallBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.layout import Layout
from vgaemu.vga.modes import set_mode
from vgaemu.vga.state import HEAD, VERSION, load_state, read_state, save_state
from vgaemu.vga.vram import LFB_GPA

VRAM_BYTES = 1 << 20


def small_vga(mode: int | None = 3, vram_bytes: int = VRAM_BYTES) -> Vga:
    vga = Vga(Memslot(vram_bytes >> 12, LFB_GPA >> 12))
    if mode is not None:
        set_mode(vga, mode)
    return vga


def everything(vga: Vga) -> dict[str, Any]:
    return {name: part.array().tolist() for name, part in vga.parts().items()}


def reloaded(vga: Vga, path: Path) -> Vga:
    """The device saved, and loaded into one that was used for something else."""
    save_state(vga, path)
    other = small_vga(0x13 if vga.misc.values[0] != 0x63 else 7, vga.slot.nbytes)
    other.store(0xA0000, b"something else")
    load_state(other, path)
    return other


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "saved.npz"


def outs(vga: Vga, *pairs: tuple[int, int]) -> None:
    for port, value in pairs:
        vga.outb(port, value)


# --- what comes back --------------------------------------------------------------------------


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_half_written_colour(path: Path, written: int) -> None:
    vga = small_vga()
    outs(vga, (0x3C8, 40), *[(0x3C9, 11), (0x3C9, 22)][:written])
    other = reloaded(vga, path)
    outs(other, *[(0x3C9, 11), (0x3C9, 22), (0x3C9, 33)][written:])
    assert other.dac.entries[120:123] == bytes([11, 22, 33])
    assert other.inb(0x3C8) == 41


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_half_read_colour(path: Path, read: int) -> None:
    vga = small_vga()
    outs(vga, (0x3C8, 9), (0x3C9, 1), (0x3C9, 2), (0x3C9, 3), (0x3C6, 0x0F), (0x3C7, 9))
    assert [vga.inb(0x3C9) for _ in range(read)] == [1, 2, 3][:read]
    other = reloaded(vga, path)
    assert other.inb(0x3C7) == 3
    assert other.inb(0x3C6) == 0x0F
    assert [other.inb(0x3C9) for _ in range(3 - read)] == [1, 2, 3][read:]


def test_a_colour_that_was_half_written_and_read(path: Path) -> None:
    vga = small_vga()
    outs(vga, (0x3C8, 9), *[(0x3C9, n) for n in range(1, 7)], (0x3C8, 40), (0x3C9, 11))
    vga.inb(0x3C9)
    other = reloaded(vga, path)
    outs(other, (0x3C9, 33))  # the third byte; the second is the last entry's
    assert other.dac.entries[120:123] == bytes([11, 5, 33])


@pytest.mark.parametrize("polls", [100, 3000])
def test_a_retrace_that_is_watched_for(path: Path, polls: int) -> None:
    vga = small_vga()
    vga.outw(0x3D4, 0x9E11)
    assert any(vga.inb(0x3C2) for _ in range(polls)) == (polls == 3000)
    other = reloaded(vga, path)
    assert [other.inb(0x3C2) for _ in range(3000)] == [vga.inb(0x3C2) for _ in range(3000)]


def test_a_retrace_that_was_watched_for_by_the_wall_clock(path: Path) -> None:
    vga = small_vga()
    vga.beam = WallBeam()
    vga.outw(0x3D4, 0x9E11)
    other = reloaded(vga, path)  # whose time is another
    assert other.inb(0x3C2) == 0x80


@pytest.mark.parametrize("takes_data", [False, True])
def test_the_attribute_flip_flop(path: Path, takes_data: bool) -> None:
    vga = small_vga()
    vga.inb(0x3DA)
    if takes_data:
        vga.outb(0x3C0, 0x20 | 0x11)
    other = reloaded(vga, path)
    outs(other, *([] if takes_data else [(0x3C0, 0x20 | 0x11)]), (0x3C0, 0x2A))
    assert other.attribute.values[0x11] == 0x2A


def test_indexes_and_the_port_base(path: Path) -> None:
    vga = small_vga(7)
    outs(vga, (0x3B4, 0x0F), (0x3C4, 3), (0x3CE, 8))
    other = reloaded(vga, path)
    assert (other.inb(0x3B4), other.inb(0x3C4), other.inb(0x3CE)) == (0x0F, 3, 8)
    assert other.inb(0x3D4) == 0xFF


def test_latches(path: Path) -> None:
    vga = small_vga(0x12)
    vga.store(0xA0000, b"\x5a")
    vga.load(0xA0000, 1)
    other = reloaded(vga, path)
    other.outw(0x3CE, 0x0105)  # write mode 1: the latches land
    other.store(0xA0100, b"\0")
    other.outw(0x3CE, 0x0005)
    assert other.load(0xA0100, 1) == b"\x5a"


def test_chain_4_and_its_layout(path: Path) -> None:
    vga = small_vga(0x13)
    vga.store(0xA0000, bytes(range(64)))
    other = reloaded(vga, path)
    assert other.window(0xA0000) == 0
    for device in (vga, other):
        device.outw(0x3C4, 0x0604)  # unchained: byte 5 is plane 1, address 4
        device.outw(0x3CE, 0x0104)
        assert device.load(0xA0004, 1) == b"\5"
    assert everything(other) == everything(vga)


def test_dispi(path: Path) -> None:
    vga = small_vga(0x13)
    for index, value in ((1, 64), (2, 40), (3, 8), (4, 0x61), (6, 80), (8, 4), (9, 2), (5, 3)):
        vga.outw(0x1CE, index)
        vga.outw(0x1CF, value)
    outs(vga, (0x3C8, 1), (0x3C9, 0xFF), (0x3C9, 0x80), (0x3C9, 0x01))
    vga.store(LFB_GPA, bytes(range(256)) * 20)
    other = reloaded(vga, path)
    assert everything(other) == everything(vga)
    assert other.inw(0x1CF) == 3
    assert other.window(0xA0000) == 3 << 16
    assert other.dac.colours()[1] == 0xFF8001


def test_the_virtual_beam_and_the_frame(path: Path) -> None:
    vga = small_vga()
    status = [vga.inb(0x3DA) for _ in range(1000)]
    assert len(set(status)) > 1
    save_state(vga, path, frame_number=1234)
    status = [vga.inb(0x3DA) for _ in range(3000)]
    other = small_vga()
    assert load_state(other, path) == 1234
    assert isinstance(other.beam, VirtualBeam)
    assert [other.inb(0x3DA) for _ in range(3000)] == status


@pytest.mark.parametrize("seed", range(15))
def test_a_machine_goes_on_where_it_was_saved(path: Path, seed: int) -> None:
    """Random operations, save, load into a device that did others, and the rest on both."""
    vga, other = small_vga(None), small_vga(None)
    for device, from_seed in ((vga, seed), (other, seed + 1000)):
        ops = chain.from_iterable(islice(random_ops(from_seed, VRAM_BYTES), 30))
        Player(device, chain(START[:3], ops)).play()
    loop = DisplayLoop(other, BaseDisplay())
    loop.draw_frame()
    save_state(vga, path, frame_number=20)
    loop.frames = load_state(other, path)
    assert everything(other) == everything(vga)
    steps = islice(random_ops(seed, VRAM_BYTES), 30, 60)
    for rest in ([], *steps):
        first, second = Player(vga, rest), Player(other, rest)
        first.play()
        second.play()
        assert first.readbacks == second.readbacks
        loop.draw_frame()
        np.testing.assert_array_equal(loop.screen.frame, loop.screen.full_redraw())
    assert everything(other) == everything(vga)


def test_loading_makes_all_pages_dirty(path: Path) -> None:
    vga = small_vga()
    save_state(vga, path)
    vga.slot.get_dirty_log()
    load_state(vga, path)
    assert len(vga.slot.get_dirty_log()) == vga.slot.npages


def test_loading_redraws_the_saved_picture(path: Path) -> None:
    vga = small_vga(0x13)
    loop = DisplayLoop(vga, BaseDisplay())
    vga.store(0xA0000, bytes(range(256)) * 250)
    loop.draw_frame()
    saved = loop.screen.frame.copy()
    save_state(vga, path)
    for change in (
        lambda: vga.store(0xA0000, bytes(64000)),
        lambda: outs(vga, (0x3C8, 7), (0x3C9, 0), (0x3C9, 0), (0x3C9, 9)),
        lambda: set_mode(vga, 3),
        lambda: None,
    ):
        change()
        loop.draw_frame()
        load_state(vga, path)
        loop.draw_frame()
        np.testing.assert_array_equal(loop.screen.frame, saved)


def test_who_maps_windows_is_told(path: Path) -> None:
    vga = small_vga(0x13)
    save_state(vga, path)
    set_mode(vga, 3)
    seen: list[int | None] = []
    vga.on_map_changed.append(lambda: seen.append(vga.window(0xA0000)))
    load_state(vga, path)
    assert seen == [0]


def test_a_state_is_a_plain_npz(path: Path) -> None:
    vga = small_vga(vram_bytes=16 << 20)
    save_state(vga, path)
    assert path.stat().st_size < 30_000
    with np.load(path, allow_pickle=False) as file:
        assert set(file) - {"vram.used", "vram.pages"} == {*vga.parts(), *HEAD} - {"vram"}
        assert len(file["vram.used"]) == 4096
        assert file["vram.pages"].shape == (np.count_nonzero(file["vram.used"]), 4096)
    arrays = arrays_of(path)
    assert all(arrays[name].dtype == part.dtype for name, part in vga.parts().items())
    np.testing.assert_array_equal(arrays["vram"], vga.slot.array)


# --- older versions ---------------------------------------------------------------------------


def as_version_2(path: Path, **arrays: object) -> None:
    """The file as version 2 would have written it."""
    old: dict[str, object] = {
        "version": np.asarray(2, "u4"),
        "dac_partial": np.zeros(3, "u1"),
        "dac_read_step": np.asarray(0, "u4"),
        "dac_write_index": np.asarray(0, "u4"),
        "dac_read_index": np.asarray(0, "u4"),
        "dac_index": None,
        "dac_triple": None,
        "dac_step": None,
        "watched_ns": None,
    }
    changed(path, **(old | arrays))


def test_a_colour_half_written_in_version_2(path: Path) -> None:
    vga = saved(path)
    as_version_2(
        path,
        dac_state=np.asarray(0, "u4"),
        dac_write_index=np.asarray(40, "u4"),
        dac_partial=np.asarray([2, 11, 22], "u1"),
        dac_read_step=np.asarray(1, "u4"),  # nobody went on with it after a write index
    )
    load_state(vga, path)
    outs(vga, (0x3C9, 33))
    assert vga.dac.entries[120:123] == bytes([11, 22, 33])


def test_a_colour_half_read_in_version_2(path: Path) -> None:
    vga = saved(path)
    as_version_2(
        path,
        dac_state=np.asarray(3, "u4"),
        dac_read_index=np.asarray(9, "u4"),
        dac_read_step=np.asarray(1, "u4"),
        dac_partial=np.asarray([2, 11, 22], "u1"),
    )
    load_state(vga, path)
    assert [vga.inb(0x3C9), vga.inb(0x3C9)] == list(vga.dac.entries[28:30])


def as_version_3(path: Path, **arrays: object) -> None:
    """The file as version 3 would have written it."""
    old: dict[str, object] = {
        "version": np.asarray(3, "u4"),
        "dac_index": None,
        "dac_triple": None,
        "dac_cache": np.asarray([11, 22, 33], "u1"),
    }
    changed(path, **(old | arrays))


@pytest.mark.parametrize("read", [9, 255])
def test_a_colour_being_read_in_version_3(path: Path, read: int) -> None:
    vga = saved(path)
    as_version_3(
        path,
        dac_state=np.asarray(3, "u4"),
        dac_write_index=np.asarray(40, "u4"),
        dac_read_index=np.asarray(read, "u4"),
        dac_step=np.asarray(1, "u4"),
    )
    load_state(vga, path)
    entries = (bytes(vga.dac.entries) * 2)[3 * read :]
    assert vga.inb(0x3C8) == (read + 1) & 0xFF
    assert bytes(vga.inb(0x3C9) for _ in range(5)) == entries[1:6]


def test_a_colour_being_written_in_version_3(path: Path) -> None:
    vga = saved(path)
    as_version_3(
        path,
        dac_state=np.asarray(0, "u4"),
        dac_write_index=np.asarray(40, "u4"),
        dac_read_index=np.asarray(7, "u4"),
        dac_step=np.asarray(2, "u4"),
    )
    load_state(vga, path)
    outs(vga, (0x3C9, 44))
    assert vga.dac.entries[120:123] == bytes([11, 22, 44])
    assert vga.inb(0x3C8) == 41


@pytest.mark.parametrize("version", [1, 2])
def test_indexes_of_eight_bits_in_older_versions(path: Path, version: int) -> None:
    vga = saved(path)
    as_version_2(
        path,
        version=np.asarray(version, "u4"),
        sequencer_index=np.asarray(0x0A, "u4"),
        graphics_index=np.asarray(0xFF, "u4"),
    )
    load_state(vga, path)
    assert (vga.inb(0x3C4), vga.inb(0x3CE), vga.inb(0x3C2)) == (2, 0x0F, 0)
    assert read_state(path, Vga()).guest == {}


def test_older_versions_without_what_they_had(path: Path) -> None:
    vga = saved(path)
    as_version_2(path, dac_partial=None)
    refused(vga, path, because="damaged, or no saved state")
    save_state(vga, path)
    as_version_2(path, dac_partial=np.asarray([3, 1, 2], "u1"))
    refused(vga, path, because="dac_step has values that no VGA has")


# --- what is refused --------------------------------------------------------------------------


def refused(vga: Vga, path: Path, *, because: str) -> None:
    """Loading fails with one line that names the file, and changes nothing at all."""
    before, generation = everything(vga), (vga.generation, vga.dac.generation)
    vga.slot.get_dirty_log()
    with pytest.raises(StateError) as caught:
        load_state(vga, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert because in message
    assert "\n" not in message
    assert everything(vga) == before
    assert (vga.generation, vga.dac.generation) == generation
    assert not vga.slot.get_dirty_log()


def changed(path: Path, **arrays: object) -> None:
    """The file again, with some arrays replaced; None leaves one out."""
    with np.load(path) as file:
        kept = dict(file)
    kept.update({name: np.asarray(value) for name, value in arrays.items()})
    kept = {name: value for name, value in kept.items() if arrays.get(name, 0) is not None}
    with path.open("wb") as out:
        np.savez(out, **kept)


def saved(path: Path) -> Vga:
    vga = small_vga(0x13, 256 << 10)
    vga.store(0xA0000, np.random.default_rng(1).integers(0, 256, 3000, np.uint8))
    save_state(vga, path)
    set_mode(vga, 3)
    return vga


def test_truncation_anywhere(path: Path) -> None:
    vga = saved(path)
    data = path.read_bytes()
    for length in [*range(0, len(data), len(data) // 60), len(data) - 1]:
        path.write_bytes(data[:length])
        refused(vga, path, because="damaged, or no saved state")


def test_a_damaged_byte_anywhere(path: Path) -> None:
    vga = saved(path)
    data = path.read_bytes()
    want = everything(vga)
    intact = 0
    for at in range(5, len(data), len(data) // 80):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        try:
            load_state(vga, path)
        except StateError as error:
            assert "damaged, or no saved state" in str(error)  # noqa: PT017
            assert everything(vga) == want
        else:
            intact += 1  # a date, or a flag that nobody reads
            set_mode(vga, 3)
            want = everything(vga)
    assert intact < 27  # a third: each part has a header or two


def text_file() -> bytes:
    return b"just text\n" * 100


def empty_file() -> bytes:
    return b""


def npy_file() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(9))
    return buffer.getvalue()


def foreign_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(9), version=np.asarray(1))
    return buffer.getvalue()


def other_format() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, format=np.asarray("something"), version=np.asarray(1))
    return buffer.getvalue()


def pickled_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, format=np.array([{"a": 1}], object))
    return buffer.getvalue()


def plain_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("format", "vgaemu state")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [text_file, empty_file, npy_file, foreign_npz, other_format, pickled_npz, plain_zip],
)
def test_foreign_files(path: Path, content: Callable[[], bytes]) -> None:
    path.write_bytes(content())
    refused(small_vga(), path, because="damaged, or no saved state")


@pytest.mark.parametrize("name", ["misc", "vram", "dac_triple", "guest"])
def test_a_part_that_is_no_array(path: Path, name: str) -> None:
    saved(path)
    with zipfile.ZipFile(path) as file:
        parts = {part: file.read(part) for part in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for part, data in (parts | {f"{name}.npy": b"no array"}).items():
            file.writestr(part, data)
    refused(small_vga(), path, because="damaged, or no saved state")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    refused(small_vga(), tmp_path / "none.npz", because="No such file")
    refused(small_vga(), tmp_path, because="irectory")


def test_a_newer_version(path: Path) -> None:
    vga = saved(path)
    # A later version may lack what this one wants.
    changed(path, version=VERSION + 1, vram=None)
    refused(vga, path, because=f"newer vgaemu (state version {VERSION + 1}")


def test_another_size_of_vram(path: Path) -> None:
    save_state(small_vga(vram_bytes=2 << 20), path)
    refused(small_vga(), path, because="saved with 2 MiB of VRAM, this machine has 1;")


@pytest.mark.parametrize(
    "wrong",
    [
        {"crtc": None},
        {"frame": np.zeros(3, "u8")},
        {"frame": np.asarray(2**62 + 1, "u8")},
        {"frame": np.asarray(-1)},
    ],
)
def test_missing_arrays_and_other_types(path: Path, wrong: dict[str, object]) -> None:
    vga = saved(path)
    changed(path, **wrong)
    refused(vga, path, because="damaged, or no saved state")


def dispi_values(**values: int) -> Any:
    names = "id xres yres bpp enable bank virt_width virt_height x y memory".split()  # noqa: SIM905
    registers = dict.fromkeys(names, 0) | {"id": 0xB0C5, "bpp": 8, "memory": 4}
    return np.asarray(list((registers | values).values()), "u2")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("crtc", np.zeros(24, "u1")),
        ("crtc", np.zeros(25, "u2")),
        ("latch", np.zeros((), "i4")),
        ("sequencer", np.full(5, 0xFF, "u1")),
        ("attribute_address", np.asarray(0x40, "u4")),
        ("attribute_takes_data", np.asarray(2, "u4")),
        ("sequencer_index", np.asarray(8, "u4")),
        ("graphics_index", np.asarray(16, "u4")),
        ("dac_step", np.asarray(3, "u4")),
        ("dac_triple", np.zeros(2, "u1")),
        ("dac_state", np.asarray(1, "u4")),
        ("dac_state", np.asarray(2, "u4")),
        ("dac_entries", np.zeros(765, "u1")),
        ("beam_ns", np.asarray(2**62 + 1, "u8")),
        ("watched_ns", np.asarray(2**62 + 1, "i8")),
        ("watched_ns", np.asarray(-2, "i8")),
        ("dispi", dispi_values(id=0xB0BF)),
        ("dispi", dispi_values(id=0xB0C6)),
        ("dispi", dispi_values(memory=8)),
        ("dispi", dispi_values(bpp=4, enable=1, xres=4, yres=48, virt_width=64)),
        ("dispi", dispi_values(bpp=7)),
        ("dispi", dispi_values(bank=4)),
        ("dispi", dispi_values(enable=1)),
        ("dispi", dispi_values(enable=1, xres=640, yres=480, virt_width=640)),
        ("dispi", dispi_values(enable=1, xres=64, yres=48, virt_width=32)),
    ],
)
def test_values_that_no_device_has(path: Path, name: str, wrong: Any) -> None:
    vga = saved(path)
    changed(path, **{name: wrong})
    refused(vga, path, because=f"{name} has values that no VGA has")


def test_a_layout_that_other_registers_speak_against(path: Path) -> None:
    """The state is of mode 13h: SR04 asks for chain-4, and VRAM is laid out for it."""
    four_bits = dispi_values(bpp=4, enable=1, xres=64, yres=48, virt_width=64)
    for wrong in (
        {"layout": np.asarray(0, "u4")},
        {"sequencer": np.asarray([3, 1, 15, 0, 6], "u1")},
        {"dispi": four_bits},
    ):
        vga = saved(path)
        changed(path, **wrong)
        refused(vga, path, because="layout has values that no VGA has")


def test_any_layout_in_a_linear_mode(path: Path) -> None:
    vga = saved(path)
    changed(path, layout=np.asarray(0, "u4"), dispi=linear_64x48())
    load_state(vga, path)
    assert vga.layout is Layout.PLANAR
    save_state(vga, path)
    assert load_state(small_vga(3, 256 << 10), path) == 0


def linear_64x48() -> Any:
    return dispi_values(enable=1, xres=64, yres=48, virt_width=64)


# --- what unpacks -----------------------------------------------------------------------------


def add_member(
    path: Path, name: str, shape: tuple[int, ...], nbytes: int, method: int = zipfile.ZIP_DEFLATED
) -> None:
    """Another array, whose head says a shape and which unpacks to so many zeros."""
    head = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, fields)
    with (
        zipfile.ZipFile(path, "a", method, compresslevel=1) as file,
        file.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        member.write(head.getvalue())
        for at in range(0, nbytes, 1 << 20):
            member.write(bytes(min(1 << 20, nbytes - at)))


def without(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as file:
        parts = {part: file.read(part) for part in file.namelist() if part != f"{name}.npy"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for part, data in parts.items():
            file.writestr(part, data)


#: Name, shape and bytes of an array that a state has in stead of its own: what is said of it.
BOMBS = {
    "unknown": (("extra", (96 << 20,), 96 << 20), "extra is no part of a state"),
    "known": (("crtc", (96 << 20,), 96 << 20), "damaged, or no saved state"),
    "head": (("format", (96 << 20,), 96 << 20), "damaged, or no saved state"),
    "a head that lies": (("crtc", (1 << 40,), 25), "damaged, or no saved state"),
    "an unknown head that lies": (("extra", (1 << 40,), 25), "extra is no part of a state"),
    "a product": (("extra", (1 << 32, 1 << 32), 25), "extra is no part of a state"),
    "less than it says": (("extra", (60_000,), 25), "damaged, or no saved state"),
    "more than it says": (("extra", (25,), 96 << 20), "damaged, or no saved state"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_state_that_unpacks_is_refused_before_it_does(path: Path, name: str) -> None:
    (member, shape, nbytes), what = BOMBS[name]
    with Machine(vram_mib=1) as machine:
        machine.save_state(path)
        without(path, member)
        add_member(path, member, shape, nbytes)
        tracemalloc.start()
        try:
            with pytest.raises(StateError) as caught:
                machine.load_state(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: {what}")
    assert peak < 16 << 20


def many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as file:
        for number in range(2000):
            file.writestr(f"{number}.npy", npy_file())


def one_name_twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        add_member(path, "crtc", (25,), 25)


def another_method(path: Path) -> None:
    add_member(path, "extra", (25,), 25, zipfile.ZIP_LZMA)


def another_directory(path: Path) -> None:
    """As a zip64 has it, before the end record."""
    data = path.read_bytes()
    at = data.rindex(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 9, 9, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    path.write_bytes(data[:at] + record + locator + data[at:])


@pytest.mark.parametrize(
    "change", [many_members, one_name_twice, another_method, another_directory]
)
def test_an_archive_that_is_not_ours(path: Path, change: Callable[[Path], None]) -> None:
    vga = saved(path)
    change(path)
    refused(vga, path, because="damaged, or no saved state")


def test_a_state_of_large_vram_says_so(path: Path) -> None:
    save_state(small_vga(vram_bytes=64 << 20), path)
    refused(small_vga(), path, because="saved with 64 MiB of VRAM, this machine has 1;")


# --- writing ----------------------------------------------------------------------------------


def test_a_state_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved.npz"
    save_state(small_vga(), path)
    before = path.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StateError, match=r"saved\.npz: No space left on device"):
        save_state(small_vga(0x13), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["saved.npz"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    there, link = tmp_path / "deep" / "there.npz", tmp_path / "link.npz"
    there.parent.mkdir()
    link.symlink_to("deep/there.npz")
    for mode in (3, 0x13):  # one that leads nowhere yet, and one that does
        save_state(small_vga(mode), link)
        assert link.is_symlink()
        assert not there.is_symlink()
        other = small_vga()
        load_state(other, there)
        assert everything(other) == everything(small_vga(mode))
    assert [file.name for file in there.parent.iterdir()] == ["there.npz"]


def test_what_is_no_regular_file_stays(tmp_path: Path) -> None:
    pipe, to_pipe, loop = (tmp_path / name for name in ("pipe", "to_pipe", "loop"))
    os.mkfifo(pipe)
    to_pipe.symlink_to("pipe")
    loop.symlink_to("loop")
    for place in (pipe, to_pipe, loop):
        with pytest.raises(StateError) as caught:
            save_state(small_vga(), place)
        assert str(caught.value) == f"{place}: no regular file; name a file that can be written"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert {file.name for file in tmp_path.iterdir()} == {"pipe", "to_pipe", "loop"}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"no/saved\.npz: No such file"):
        save_state(small_vga(), tmp_path / "no" / "saved.npz")
    with pytest.raises(StateError, match="irectory"):
        save_state(small_vga(), tmp_path)
    assert not list(tmp_path.iterdir())
