"""`vgaemu bench store`: what the logged store path costs a guest.

Small stores through `Memslot.write`, each against the same store into a raw memoryview; and 64 KiB
through the VGA's write modes against the same bytes stored into plain memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs
from vgaemu.memslot import KEEPERS, Memslot, why_unavailable
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode

#: Calls timed together, so that the clock's own cost does not count.
BATCH = 2000
ROUNDS = 15
#: Graphics controller settings (index -> value) by what they are for.
WRITE_SETUPS: dict[str, dict[int, int]] = {
    "mode 0": {5: 0x00},
    "mode 0, set/reset, XOR": {0: 0x0A, 1: 0x0F, 3: 0x18, 5: 0x00},
    "mode 0, bit mask 3Ch": {5: 0x00, 8: 0x3C},
    "mode 1": {5: 0x01},
    "mode 2": {5: 0x02},
    "mode 3": {0: 0x0C, 5: 0x03},
}


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    return median_of_runs(_small_stores, runs) + median_of_runs(_write_modes, runs)


def _small_stores() -> list[Row]:
    rows: list[Row] = []
    keepers = [name for name in KEEPERS if why_unavailable(name) is None]
    for length in (1, 2, 8, 80):
        data = bytes(length)
        sides: dict[str, Callable[[], None]] = {"loop": _nothing, "raw": partial(_raw_stores, data)}
        for name in keepers:
            slot = Memslot(256, dirty_log=name)
            slot.write(0, b"x")  # the first store of a page faults; these do not
            sides[name] = partial(_stores, slot, data)
        times = interleaved(sides, ROUNDS)
        base = (times["raw"] - times["loop"]) / BATCH
        for name in keepers:
            net = (times[name] - times["loop"]) / BATCH
            rows.append(
                {
                    "store": "memslot",
                    "keeper": name,
                    "bytes": length,
                    "store_ns": net,
                    "raw_memoryview_ns": base,
                    "times_as_fast_as_raw": base / net,
                }
            )
    return rows


def _nothing() -> None:
    for _ in range(BATCH):
        pass


def _raw_stores(data: bytes) -> None:
    raw, length = memoryview(bytearray(BATCH + len(data))), len(data)
    for offset in range(BATCH):
        raw[offset : offset + length] = data


def _stores(slot: Memslot, data: bytes) -> None:
    write = slot.write
    for offset in range(BATCH):
        write(offset, data)


def _single_bytes(vga: Vga) -> None:
    for offset in range(BATCH):
        vga.store(0xA0000 + offset, b"\x5a")


def _write_modes() -> list[Row]:
    rng = np.random.default_rng(12)
    constant = bytes([0x5A]) * 0x10000
    varied = rng.integers(0, 256, 0x10000, dtype=np.uint8).tobytes()
    plain = Memslot(64)
    rows: list[Row] = []
    for name, graphics in WRITE_SETUPS.items():
        vga = Vga(Memslot(64))
        set_mode(vga, 0x12)
        vga.load(0xA0000, 1)
        for index, value in graphics.items():
            vga.outw(0x3CE, value << 8 | index)
        for content, data in (("constant", constant), ("varied", varied)):
            times = interleaved(
                {
                    "plain": partial(plain.write, 0, data),
                    "planes": partial(vga.store, 0xA0000, data),
                },
                ROUNDS,
            )
            rows.append(
                {
                    "store": "planes",
                    "setup": name,
                    "content": content,
                    "bytes": 0x10000,
                    "store_ns": times["planes"],
                    "plain_ns": times["plain"],
                    "times_as_fast_as_plain": times["plain"] / times["planes"],
                }
            )
        single = interleaved({"byte": partial(_single_bytes, vga)}, ROUNDS)["byte"] / BATCH
        rows[-1]["single_byte_ns"] = rows[-2]["single_byte_ns"] = single
    return rows
