"""What an exchange costs: "the pure xchg() overheads", with and without a second thread that marks.

The bitmap of a 1 GiB slot, every word of it dirty, is taken word by word: by the exchange that the
keepers use (`vgaemu.memslot.atomic`); by a plain load that is called in the same way, so that the
difference is the processor's; and by Python's own read and store, which is no call and not atomic.
The second thread sets a bit in every word again and again, in numpy and
therefore without the GIL: the words really are written by two processors at once.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from ctypes.util import find_library
from functools import partial
from time import perf_counter_ns

import numpy as np

from vgaemu.bench.measure import Row, no_collector, running
from vgaemu.memslot.atomic import AtomicWords, LibatomicWords, atomic_words

WORDS = 4096
#: Words taken between two looks at the clock.
BATCH = 64
ROUNDS = 3
EXCHANGE, ALIKE, PLAIN = "exchange", "plain load, called alike", "read and store of Python"
ALONE, BESIDE = "nobody marks", "a second thread marks"

#: Takes the words from one number to another (exclusive).
Take = Callable[[int, int], object]


def measure(runs: int) -> list[Row]:
    """A row for each way to take a word, alone and beside a thread that marks."""
    words = atomic_words(WORDS)
    rows: list[Row] = []
    for beside in (ALONE, BESIDE):
        stop = threading.Event()
        threads = [threading.Thread(target=_mark, args=(words, stop))] if beside is BESIDE else []
        with running(threads, stop), no_collector():
            rows += [
                {"taken_by": how, "beside": beside, "ns_a_word": _ns_a_word(words, take, runs)}
                for how, take in _ways(words).items()
            ]
    return rows


def _mark(words: AtomicWords, stop: threading.Event) -> None:
    marked, one = words.array, np.uint64(1)
    while not stop.is_set():
        np.bitwise_or(marked, one, out=marked)


def _ns_a_word(words: AtomicWords, take: Take, runs: int) -> float:
    taken = []
    for _ in range(ROUNDS * runs):
        words.array[:] = ~np.uint64(0)
        for at in range(0, WORDS, BATCH):
            begin = perf_counter_ns()
            take(at, at + BATCH)
            taken.append(perf_counter_ns() - begin)
    return float(np.median(taken)) / BATCH


def _ways(words: AtomicWords) -> dict[str, Take]:
    view = words.view

    def plain(start: int, end: int) -> None:
        for i in range(start, end):
            view[i]
            view[i] = 0

    ways: dict[str, Take] = {EXCHANGE: partial(_call, words.exchange)}
    if isinstance(words, LibatomicWords):
        library = ctypes.PyDLL(find_library("atomic") or "libatomic.so.1")
        load = library["__atomic_load_8"]  # (address, order); it ignores a third
        load.restype = ctypes.c_uint64
        ways[ALIKE] = partial(_call, LibatomicWords(WORDS, (load, load)).exchange)
    return ways | {PLAIN: plain}


def _call(function: Callable[[int, int], int], start: int, end: int) -> None:
    for i in range(start, end):
        function(i, 0)
