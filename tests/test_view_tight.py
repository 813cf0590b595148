"""Tight by itself: lengths, what is deflated, by whom, and that a viewer makes the same of it."""

from __future__ import annotations

import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.typing import NDArray
from rfb_client import HANG_SECONDS, LAST_RECT, TIGHT, Client

from vgaemu.guest.workload import Guest
from vgaemu.machine import Machine
from vgaemu.vga.vram import LFB_GPA
from vgaemu.view.encodings.base import Block, Colours
from vgaemu.view.encodings.plain import Stream, _deflaters
from vgaemu.view.encodings.tight import HELPED, HELPED_BYTES, TightEncoder, compact
from vgaemu.view.pace import FAST, LARGE_BYTES, TRIED_EVERY, Pace, Sent

RANDOM = np.random.default_rng(5)


@pytest.fixture
def encoder() -> Iterator[TightEncoder]:
    encoder = TightEncoder(Colours())
    yield encoder
    encoder.close()


def noise(height: int, width: int) -> NDArray[np.uint32]:
    """More colours than a palette has."""
    return RANDOM.integers(0, 1 << 24, (height, width), np.uint32)


def wait_until(is_so: Callable[[], bool]) -> None:
    until = monotonic() + HANG_SECONDS
    while not is_so():
        assert monotonic() < until
        sleep(0.005)


def test_lengths():
    for length in (0, 1, 127, 128, 16383, 16384, (1 << 22) - 1):
        data = compact(length)
        value = sum((byte & (0x7F if i < 2 else 0xFF)) << 7 * i for i, byte in enumerate(data))
        assert value == length
        assert len(data) == 1 + (length > 127) + (length > 16383)


def test_one_colour_is_four_bytes(encoder: TightEncoder):
    block = Block(np.full((400, 720), 0x123456, np.uint32), None)
    assert encoder.encode(block, stores=False)() == b"\x80\x12\x34\x56"


def test_every_second_large_block_is_the_helpers(encoder: TightEncoder):
    large, small = (64, HELPED_BYTES // 64), (64, HELPED_BYTES // 64 - 1)
    two_colours = RANDOM.integers(0, 2, (400, 720), np.uint32)
    few_colours = RANDOM.integers(0, 99, large, np.uint32)
    pictures = [
        noise(*large), noise(*small), noise(*large), noise(*large), two_colours, few_colours,
    ]  # fmt: skip
    bodies = [encoder.encode(Block(pixels, None), stores=False) for pixels in pictures]
    streams = [body()[0] >> 4 & 3 for body in bodies]
    assert streams == [0, 0, HELPED, 0, HELPED, 2]


def test_without_a_thread_it_is_done_all_the_same(
    encoder: TightEncoder, monkeypatch: pytest.MonkeyPatch
):
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        bodies = [encoder.encode(Block(noise(128, 128), None), stores=False) for _ in range(4)]
    bodies += [encoder.encode(Block(noise(128, 128), None), stores=False) for _ in range(4)]
    assert [body()[0] >> 4 for body in bodies] == [0] * 8


@pytest.mark.parametrize("deflates", ["zlib", "isal.isal_zlib"])
def test_a_stream_that_stores_in_between_goes_on(monkeypatch: pytest.MonkeyPatch, deflates: str):
    made = pytest.importorskip(deflates).compressobj
    monkeypatch.setattr("vgaemu.view.encodings.plain._deflaters", lambda: made)
    stream, viewer = Stream(), zlib.decompressobj()
    text = b"what was there before is referred to, " * 99
    for stores, data in (
        (True, b"x"), (True, b""), (False, text), (True, text), (False, text), (False, text),
        (True, RANDOM.bytes(70_000)), (True, RANDOM.bytes(0xFFFF)), (False, text), (False, b""),
    ):  # fmt: skip
        sent = stream.store(data) if stores else stream.compress(data)
        assert viewer.decompress(sent) == data
        assert len(sent) <= len(data) + 20 if stores else len(sent) < 120


def test_without_isal_zlib_deflates(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    _deflaters.cache_clear()
    assert _deflaters() is zlib.compressobj
    _deflaters.cache_clear()
    monkeypatch.undo()
    made = pytest.importorskip("isal.isal_zlib").compressobj
    assert _deflaters() is made


def test_what_is_stored_is_of_many_colours(encoder: TightEncoder):
    many, few = noise(64, 256), RANDOM.integers(0, 99, (64, 256), np.uint32)
    copied, numbers = (encoder.encode(Block(p, None), stores=True)() for p in (many, few))
    assert copied[0] >> 4 == 0
    assert numbers[0] >> 4 == 6
    viewer = zlib.decompressobj()
    assert np.frombuffer(viewer.decompress(copied[4:]), np.uint8)[:3].tobytes() == bytes(
        int(many[0, 0]) >> shift & 0xFF for shift in (16, 8, 0)
    )


def stored_of(link: float, zlib_rate: float, ratio: float, updates: int = 5 * TRIED_EVERY) -> int:
    """How many of some updates are sent as they are: bytes a second, and what deflating is for."""
    pace, now, stored = Pace(), 0.0, 0
    for _ in range(updates):
        plain, began = 10 * LARGE_BYTES, now
        wire = plain if pace.stores else int(plain / ratio)
        ended = began + (0.001 if pace.stores else plain / zlib_rate)
        stored += pace.stores
        now = max(ended, began + wire / link) + 0.001
        pace.sent(Sent(began, ended, plain, wire))
        pace.answered(now)
    return stored


@pytest.mark.parametrize(
    ("link", "zlib_rate", "ratio", "least", "most"),
    [
        (1e9, 6e7, 3, 490, 499),  # loopback: each hundredth is deflated
        (1e9, 6e7, 1, 490, 499),
        (1e8, 6e7, 3, 490, 499),  # a gigabit, and a slow processor
        (1e8, 1.2e8, 3, 1, 10),  # a faster one: each hundredth is tried
        (1e8, 1.2e8, 1.3, 1, 10),
        (FAST / 2, 6e7, 3, 0, 0),  # slower ones are never tried
        (FAST / 2, 6e7, 1, 0, 0),
        (1e5, 6e7, 30, 0, 0),
    ],
)
def test_the_pace_is_the_faster_one(
    link: float, zlib_rate: float, ratio: float, least: int, most: int
):
    assert least <= stored_of(link, zlib_rate, ratio) <= most


def test_the_pace_tells_nothing_from_who_asks_early_and_forgives_a_busy_moment():
    pace = Pace()
    pace.sent(Sent(0.0, 1.0, LARGE_BYTES, 1 << 30))
    pace.answered(0.9)
    pace.sent(Sent(0.0, 1.0, LARGE_BYTES - 1, 1 << 30))
    pace.answered(1.1)
    assert not pace.stores
    for seconds, stores in ((1.0, True), (0.1, True), (3.0, True), (0.1, True), (5.0, False)):
        pace.sent(Sent(0.0, 0.01, LARGE_BYTES, 1 << 30))
        pace.answered(seconds)
        assert pace.stores is stores


@pytest.mark.parametrize("encodings", [(TIGHT,), (TIGHT, LAST_RECT)], ids=["at once", "in parts"])
def test_a_large_picture_arrives_and_its_threads_end(encodings: tuple[int, ...]):
    def picture(guest: Guest) -> None:
        guest.set_dispi_mode(640, 480, 32)
        guest.store(LFB_GPA, noise(240, 640).tobytes())
        guest.store(LFB_GPA + 240 * 640 * 4, RANDOM.bytes(640 * 60) * 16)

    def viewers() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name.startswith("vgaemu viewer")]

    with Machine() as machine:
        picture(machine.guest)
        machine.tick()
        server = machine.serve(port=0)
        with Client(server.port, encodings) as client:
            client.ask(incremental=False)
            client.update()
            np.testing.assert_array_equal(client.frame(), machine.screen.frame)
            for row in (1, 477):
                client.ask()
                machine.guest.store(LFB_GPA + row * 640 * 4, RANDOM.bytes(640 * 3 * 4))
                machine.tick()
                client.update()
                np.testing.assert_array_equal(client.frame(), machine.screen.frame)
            assert len(viewers()) == 3  # one reads, one sends, and their helper
        wait_until(lambda: not viewers())
