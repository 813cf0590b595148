"""Files of states: equal to what numpy reads and writes, by pages, and from open files."""

from __future__ import annotations

import io
import mmap
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from state_files import arrays_of, with_whole_memories

from vgaemu import Machine, StateError
from vgaemu.memslot import zeros as memslot_zeros
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.keeper import anonymous_memory
from vgaemu.memslot.zeros import overwrite, used_pages, zeros
from vgaemu.vga.npz import Archive, folded, write

#: Whatever a state may have, and a little more.
ARRAYS: dict[str, Any] = {
    "a_number": np.asarray(5, "u4"),
    "nothing": np.zeros(0, "i8"),
    "no_rows": np.zeros((0, 6), "i8"),
    "rows": np.arange(12, dtype="i8").reshape(2, 6) - 5,
    "columns": np.asfortranarray(np.arange(12, dtype="u2").reshape(3, 4)),
    "every_second": np.arange(40, dtype="u1")[::2],
    "a_text": np.asarray("vgaemu state"),
    "flags": np.array([True, False]),
    "another_order": np.arange(3, dtype=">u4"),
    "much": np.arange(70_000, dtype="u4") // 9,
    "noise": np.random.default_rng(1).integers(0, 256, 60_000, "u1"),
    "a.name": np.full((2, 2, 2), -1.5),
}
#: What reading raises; `read_state` makes one error of them.
DAMAGED = (ValueError, TypeError, struct.error, zlib.error, zipfile.BadZipFile)
MOST = {name: array.nbytes for name, array in ARRAYS.items()}


def written(arrays: dict[str, Any]) -> io.BytesIO:
    file = io.BytesIO()
    write(file, arrays)
    file.seek(0)
    return file


def assert_equal(found: dict[str, Any]) -> None:
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_numpy_reads_what_is_written() -> None:
    with np.load(written(ARRAYS), allow_pickle=False) as file:
        assert_equal(dict(file))
    with zipfile.ZipFile(written(ARRAYS)) as file:
        assert file.testzip() is None
        much, noise = file.getinfo("much.npy"), file.getinfo("noise.npy")
    assert much.compress_size < 0.1 * ARRAYS["much"].nbytes
    assert noise.compress_type == zipfile.ZIP_STORED  # it does not shrink


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(save: Callable[..., None]) -> None:
    file = io.BytesIO()
    save(file, **ARRAYS)
    assert_equal(Archive(file).arrays(MOST))
    assert_equal(Archive(written(ARRAYS)).arrays(MOST))
    assert Archive(file).arrays({})["much"] is None


# --- pages ------------------------------------------------------------------------------------


def memory(seed: int, pages: int = 40) -> np.ndarray:
    """Some pages are zeros, some have one byte."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (pages, PAGE_SIZE), np.uint8)
    made[rng.random(pages) < 0.6] = 0
    made[rng.random(pages) < 0.1, rng.choice((0, 7, 4095))] = 1
    return made.reshape(-1)


@pytest.mark.parametrize("seed", range(4))
def test_a_memory_by_pages_is_the_memory(seed: int) -> None:
    ram = memory(seed)
    arrays = folded({"ram": ram, "small": ram[:PAGE_SIZE], "odd": ram[: 3 * PAGE_SIZE + 1]})
    used = ram.reshape(-1, PAGE_SIZE).any(axis=1)
    assert arrays.keys() == {"ram.used", "ram.pages", "small", "odd"}
    np.testing.assert_array_equal(arrays["ram.used"], used)
    np.testing.assert_array_equal(with_whole_memories(arrays)["ram"], ram)
    found = Archive(written(arrays)).arrays({"ram": ram.nbytes})
    np.testing.assert_array_equal(found["ram"], ram)
    assert Archive(written(arrays)).arrays({"ram": ram.nbytes - PAGE_SIZE})["ram"] is None


@pytest.mark.parametrize("seed", range(4))
def test_a_memory_is_overwritten_where_it_differs(seed: int) -> None:
    old, new = memory(seed), memory(seed + 10)
    new[: 9 * PAGE_SIZE] = old[: 9 * PAGE_SIZE]
    differ = (old != new).reshape(-1, PAGE_SIZE).any(axis=1)
    changed = overwrite(old, new)
    np.testing.assert_array_equal(changed, np.flatnonzero(differ))
    np.testing.assert_array_equal(old, new)
    assert not overwrite(old, new).size


def test_zeros_are_to_be_written_too() -> None:
    some = zeros(5 * PAGE_SIZE)
    assert not used_pages(some).any()
    some[[PAGE_SIZE, -1]] = 1
    assert used_pages(some).tolist() == [False, True, False, False, True]


@pytest.fixture
def anonymous() -> np.ndarray:
    """40 pages: 3 has a byte, 5 was stored to and is zeros, 39 has its last byte."""
    some = np.frombuffer(anonymous_memory(40 * PAGE_SIZE), np.uint8)
    some[3 * PAGE_SIZE + 77] = some[-1] = 1
    some[5 * PAGE_SIZE] = 0
    return some


@pytest.mark.parametrize("told", ["/proc/self/pagemap", "/nowhere", "/dev/null"])
def test_used_pages_whatever_the_system_tells(
    told: str, anonymous: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memslot_zeros, "PAGEMAP", told)
    assert np.flatnonzero(used_pages(anonymous)).tolist() == [3, 39]
    assert np.flatnonzero(used_pages(anonymous[2 * PAGE_SIZE :])).tolist() == [1, 37]
    assert np.flatnonzero(used_pages(anonymous[128 : 128 + 39 * PAGE_SIZE])).tolist() == [2]
    anonymous[::PAGE_SIZE] = 1
    assert used_pages(anonymous).all()


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell")
def test_pages_that_are_not_there_are_not_looked_at(anonymous: np.ndarray) -> None:
    there = memslot_zeros._pages_there(anonymous)
    assert there.tolist() == [3, 5, 39]
    used_pages(anonymous)
    assert memslot_zeros._pages_there(anonymous).tolist() == [3, 5, 39]


def test_memory_that_others_store_to_is_looked_at(tmp_path: Path) -> None:
    """Of a file, say: a page that this process has not may have what another one stored."""
    (tmp_path / "a").write_bytes(bytes(3 * PAGE_SIZE))
    with (tmp_path / "a").open("r+b") as file:
        shared = np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8)
        file.seek(PAGE_SIZE)
        file.write(b"x")
        file.flush()
    assert used_pages(shared).tolist() == [False, True, False]


def flags(*values: int) -> np.ndarray:
    """bool, of bytes that none has."""
    return np.asarray(values, "u1").view("?")


PAGES = np.ones((2, PAGE_SIZE), "u1")
WRONG: dict[str, dict[str, Any]] = {
    "too few": {"ram.used": flags(1, 0, 1, 1), "ram.pages": PAGES},
    "too many": {"ram.used": flags(1, 0, 0, 0), "ram.pages": PAGES},
    "more than a flag": {"ram.used": flags(2, 0, 0, 0), "ram.pages": PAGES[:1]},
    "no flags": {"ram.used": np.asarray([1, 0, 1, 0], "u1"), "ram.pages": PAGES},
    "no bytes": {"ram.used": flags(1, 0, 1, 0), "ram.pages": PAGES.astype("u2")[:1]},
    "rows of flags": {"ram.used": flags(1, 0, 1, 0).reshape(2, 2), "ram.pages": PAGES},
    "a flag": {"ram.used": flags(1)[0], "ram.pages": PAGES[:1]},
    "also whole": {"ram.used": flags(1, 1), "ram.pages": PAGES, "ram": PAGES.reshape(-1)},
}


@pytest.mark.parametrize("name", WRONG)
def test_pages_that_are_no_memory_s(name: str) -> None:
    file = io.BytesIO()
    np.savez(file, **WRONG[name])
    with pytest.raises(DAMAGED):
        Archive(file).arrays({"ram": 1 << 20})


def test_pages_of_more_than_a_machine_has_are_not_read() -> None:
    arrays = {"ram.used": np.ones(1024, "?"), "ram.pages": np.zeros((1024, PAGE_SIZE), "u1")}
    assert Archive(written(arrays)).arrays({"ram": 1 << 20}) == {"ram": None}
    lies = {"ram.used": flags(1, 0), "ram.pages": np.zeros((1024, PAGE_SIZE), "u1")}
    assert Archive(written(lies)).arrays({"ram": 1 << 20}) == {"ram": None}


# --- what is no member ------------------------------------------------------------------------


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


DIRECTORY = b"PK\x01\x02"
#: What is done to a file of one array: where a byte is changed, from the file's beginning or from
#: the directory on.
DAMAGES = {
    "another signature": (0, 0, 0x51),
    "a name that goes on": (0, 26, 200),
    "an element": (0, -1, 0x33),
    "another checksum": (1, 16, 0x33),
    "encrypted": (1, 8, 1),
    "fewer packed bytes": (1, 20, 9),
    "it begins elsewhere": (1, 42, 3),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("array", [np.arange(3), np.arange(5000)])
def test_a_member_that_is_damaged(name: str, array: np.ndarray) -> None:
    data = written({"a": array}).getvalue()
    directory = data.rindex(DIRECTORY)
    there, offset, value = DAMAGES[name]
    at = offset + (directory if there or offset < 0 else 0)
    with pytest.raises(DAMAGED):
        Archive(io.BytesIO(changed(data, at, value))).arrays({"a": 1 << 20})
    assert Archive(io.BytesIO(data)).arrays({"a": 1 << 20})["a"] is not None


def test_a_member_with_more_than_an_array() -> None:
    data = written({"a": np.arange(3)}).getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = archive.read("a.npy")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", member + b"more")
    data = file.getvalue()
    at = data.rindex(DIRECTORY) + 16
    checksum = struct.pack("<I", zlib.crc32(member))  # of what an array is
    with pytest.raises(DAMAGED):
        Archive(io.BytesIO(data[:at] + checksum + data[at + 4 :])).arrays({})


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("{'descr': '<u4', 'fortran_order': False, 'shape': (1,), 'more': 1, }", 4),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8),
        ("{'descr': [('a', '<u4')], 'fortran_order': False, 'shape': (1,), }", 4),
        ("{'descr': '<u4', 'fortran_order': False, 'shape': (-1,), }", 4),
        ("{'descr': '<u4', 'fortran_order': False, 'shape': (1*1,), }", 4),
        ("{'descr': '<q9', 'fortran_order': False, 'shape': (1,), }", 4),
        ("{'descr': '<u4', 'fortran_order': False, 'shape': (" + "1, " * 70 + "), }", 4),
        ("{'descr': '<u4', 'fortran_order': 0, 'shape': (1,), }", 4),
    ],
)
def test_a_head_that_is_no_state_s(head: str, size: int) -> None:
    file = io.BytesIO()
    packed = head.encode() + b"\n"
    with zipfile.ZipFile(file, "w") as archive:
        data = b"\x93NUMPY\1\0" + len(packed).to_bytes(2, "little") + packed + bytes(size)
        archive.writestr("a.npy", data)
    with pytest.raises(DAMAGED):
        Archive(file).arrays({})


# --- open files -------------------------------------------------------------------------------


def machine_with(text: bytes) -> Machine:
    machine = Machine(vram_mib=1)
    machine.vga.store(0xB8000, text)
    return machine


def saved_in_memory() -> io.BytesIO:
    file = io.BytesIO()
    with machine_with(b"H\x1ei\x1e") as machine:
        machine.save_state(file)
    return file


@pytest.mark.parametrize("kind", ["memory", "file", "temporary", "raw"])
def test_open_files_are_written_and_read(kind: str, tmp_path: Path) -> None:
    files: dict[str, Callable[[], BinaryIO]] = {
        "memory": io.BytesIO,
        "file": partial((tmp_path / "a.npz").open, "w+b"),
        "temporary": partial(tempfile.TemporaryFile, "w+b"),
        "raw": partial((tmp_path / "a.npz").open, "w+b", buffering=0),
    }
    with files[kind]() as file, machine_with(b"H\x1ei\x1e") as machine:
        machine.save_state(file)
        machine.vga.store(0xB8000, b"O\x1eh\x1e")
        machine.load_state(file)  # wherever in the file one stands
        assert machine.screen.text()[0].strip() == "Hi"
        file.seek(0)
        assert arrays_of(file)["version"] == 5
        assert not file.closed


def test_a_path_and_an_open_file_get_the_same(tmp_path: Path) -> None:
    with machine_with(b"x\x07") as machine:
        machine.save_state(tmp_path / "a.npz")
        machine.save_state(str(tmp_path / "b.npz"))
        machine.save_state(file := io.BytesIO())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes() == file.getvalue()


class Full(io.RawIOBase):
    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_open_files_that_take_no_state(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with machine_with(b"") as machine:
        closed = io.BytesIO()
        closed.close()
        with (tmp_path / "a").open("rb") as for_reading:
            for file, why in (
                (io.StringIO(), "string argument expected"),
                (closed, "closed file"),
                (for_reading, "write"),
                (Full(), "No space left on device; name a file that can be written"),
            ):
                with pytest.raises(StateError, match=rf"^the open file: .*{why}") as caught:
                    machine.save_state(file)
                assert "\n" not in str(caught.value)
    assert (tmp_path / "a").read_bytes() == b"a"


def test_open_files_that_have_no_state(tmp_path: Path) -> None:
    data = saved_in_memory().getvalue()
    (tmp_path / "a").write_bytes(data)
    closed = io.BytesIO(data)
    closed.close()
    pipe = io.BytesIO(data)
    pipe.seekable = lambda: False
    what = "not one of bytes that can be read at any place; open it with 'rb'"
    with (
        machine_with(b"") as machine,
        (tmp_path / "a").open("ab") as for_writing,
        (tmp_path / "a").open() as for_text,
    ):
        for file in (closed, pipe, for_writing, for_text):
            with pytest.raises(StateError, match=rf"^the open file: {what}"):
                machine.load_state(file)
        with pytest.raises(StateError, match=r"^the open file: damaged, or no saved state"):
            machine.load_state(io.BytesIO(data[:-1]))
        with pytest.raises(StateError, match=r"^the open file: saved with 1 MiB of VRAM"):
            Machine(vram_mib=2).load_state(io.BytesIO(data))
        assert not machine.screen.text()[0].strip()
