"""`vgaemu bench migrate`: live migration of 64 MiB while a writer dirties it, and a plain copy.

The slot is full of random bytes. A writer thread stores whole pages at R MB/s, upwards and round
again, so that R is also the rate of dirty pages; the sender shares the interpreter with it, as it
does with a guest. The receiver is another process. In each run the same bytes also go through a
plain socket of the same two processes and link, `sendall` to `recv_into`, with nobody writing.

Over loopback the whole slot may fit the downtime budget, so nothing fails to converge there unless
the budget is small: some rows have one of 4 or 8 ms. The others of the sweep have a slow link
instead, a receiver that takes no more than so many bytes a second. The last rows have other keepers
of the dirty log, first beside the same writer, then beside a guest that reads a file and holds the
slot's read-side section for what it does with each 64 KiB of it (`Memslot.exit_section`), as the
2012 patch was measured: what reading the log costs, of all the time and of the stop.

Not measured: a device's state, which is a few KB, and what a real network adds.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgaemu.bench.measure import RUNS, Row, median_of_runs, switching_as_a_machine
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.migrate.receiver import Received, Receiver, receive
from vgaemu.migrate.sender import Limits, connect, send
from vgaemu.migrate.stream import Channel, Region, parse_address
from vgaemu.snapshot import Array

SLOT_BYTES = 64 << 20
MB = 1_000_000
#: Stores between two looks at the clock.
BURST = 16
#: Of the file that a guest reads: no multiple of the slot's, so that pages change each time round.
FILE_BYTES = 1 << 20
#: Migrations of one run over loopback, of writers that can be kept up with.
REPEATS = 5
#: Rounds until a writer is found too fast.
MAX_ROUNDS = 10


@dataclass(frozen=True)
class Case:
    """One row."""

    #: What the writer writes in MB/s; None: as fast as it can.
    written: int | None
    downtime_ms: float = 40.0
    #: What the link takes in MB/s; None: what loopback takes.
    link: int | None = None
    dirty_log: str = "flags"
    #: What it writes comes from a file, in read-side sections.
    reads_file: bool = False


CASES = (
    Case(0), Case(50), Case(200), Case(800), Case(None),
    Case(800, downtime_ms=4), Case(None, downtime_ms=4),
    Case(0, link=200), Case(50, link=200), Case(100, link=200), Case(150, link=200),
    Case(200, link=200), Case(400, link=200),
    *(Case(400, downtime_ms=8, dirty_log=name) for name in ("flags", "words", "pages", "srcu")),
    *(Case(400, downtime_ms=8, dirty_log=name, reads_file=True)
      for name in ("flags", "words", "srcu")),
)  # fmt: skip


class Writer:
    """A source whose thread dirties a slot at `written` MB/s, or as fast as it can."""

    def __init__(self, slot: Memslot, written: int | None) -> None:
        self.regions: Sequence[Region] = [Region("ram", slot)]
        self._slot, self._rate = slot, None if written is None else written * MB
        self._pool = np.random.default_rng(5).bytes(64 * PAGE_SIZE)
        self._stop = threading.Event()
        self._bytes, self._begin, self._seconds = 0, perf_counter(), 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        page, begin = 0, self._begin
        while not self._stop.is_set():
            if self._rate is not None and self._bytes >= self._rate * (perf_counter() - begin):
                sleep(0.001)
                continue
            page = self._burst(page)
            self._bytes += BURST * PAGE_SIZE

    def _burst(self, page: int) -> int:
        """Store `BURST` pages from this one on; returns the next."""
        slot, pool = self._slot, self._pool
        for _ in range(BURST):
            at = page % 63 * PAGE_SIZE + page % 4096
            slot.write(page << PAGE_SHIFT, pool[at : at + PAGE_SIZE])
            page = (page + 1) % slot.npages
        return page

    def stop(self) -> None:
        """Stop writing; twice is fine."""
        self._stop.set()
        self._thread.join()
        self._seconds = self._seconds or perf_counter() - self._begin

    @property
    def written_mb_s(self) -> float:
        """What was really written, once stopped."""
        return self._bytes / self._seconds / MB

    def guest(self) -> Mapping[str, Array]:
        return {}

    def state(self) -> Mapping[str, Array]:
        return {}

    def picture(self) -> NDArray[np.uint32]:
        return np.zeros((0, 0), np.uint32)

    def arrived(self, received: Received) -> None:
        pass


class Reader(Writer):
    """One that reads what it stores from a file, in a read-side section as a guest's slice is."""

    def _run(self) -> None:
        with TemporaryFile(buffering=0) as self._file:
            self._file.write(np.random.default_rng(6).bytes(FILE_BYTES))
            super()._run()

    def _burst(self, page: int) -> int:
        with self._slot.exit_section():
            self._file.seek(page * PAGE_SIZE % (FILE_BYTES - BURST * PAGE_SIZE))
            data = self._file.read(BURST * PAGE_SIZE)
            for at in range(0, BURST * PAGE_SIZE, PAGE_SIZE):
                self._slot.write(page << PAGE_SHIFT, data[at : at + PAGE_SIZE])
                page = (page + 1) % self._slot.npages
        return page


def measure(runs: int = RUNS) -> list[Row]:
    """A row for each of `CASES`, each the median of `runs` runs."""
    memory = np.random.default_rng(1).integers(0, 256, SLOT_BYTES, np.uint8)
    slots = {
        name: Memslot(SLOT_BYTES >> PAGE_SHIFT, dirty_log=name, memory=memory)
        for name in {case.dirty_log for case in CASES}
    }
    with switching_as_a_machine(), _other_process() as other:
        other.plain(memory.data)  # touches all of the receiver's memory
        rows = median_of_runs(
            lambda: [_case(slots[case.dirty_log], other, case) for case in CASES], runs
        )
    for row in rows:
        row["converges"] = row["converges"] > 0.5
    return rows


def _case(slot: Memslot, other: _Other, case: Case) -> Row:
    """One row of a run; what takes milliseconds is repeated, and the median is taken."""
    times = REPEATS if case.link is None and case.written is not None else 1
    return median_of_runs(lambda: [_one(slot, other, case)], times)[0]


def _one(slot: Memslot, other: _Other, case: Case) -> Row:
    plain_seconds = other.plain(slot.memory, case.link)
    other.ask(f"migrate {case.link or 0}")
    channel = connect(other.address)
    limits = Limits(downtime_ms=case.downtime_ms, max_rounds=MAX_ROUNDS)
    writer = (Reader if case.reads_file else Writer)(slot, case.written)
    try:
        report = send(channel, writer, limits)
    finally:
        writer.stop()
        channel.close()
    sent = report.sent_bytes / report.seconds
    plain = slot.nbytes / plain_seconds
    return {
        "link": "loopback" if case.link is None else f"{case.link} MB/s",
        "guest": "reads a file" if case.reads_file else "writes",
        "asked_mb_s": "all it can" if case.written is None else str(case.written),
        "written_mb_s": writer.written_mb_s,
        "budget_ms": case.downtime_ms,
        "converges": float(not report.stuck),
        "rounds": float(len(report.rounds)),
        "sent_mb": report.sent_bytes / MB,
        "sent_mb_s": sent / MB,
        "plain_mb_s": plain / MB,
        "times_as_fast_as_plain": sent / plain,
        "first_round_times_as_fast_as_plain": slot.nbytes / report.rounds[0].seconds / plain,
        "last_round_mb": report.rounds[-1].sent_bytes / MB,
        "downtime_ms": report.downtime_ns / 1e6,
        "dirty_log": case.dirty_log,
        "harvest_us": median([one.harvest_ns / 1000 for one in report.rounds[1:]]),
        "harvest_max_us": max(one.harvest_ns / 1000 for one in report.rounds[1:]),
        "harvest_percent": sum(one.harvest_ns for one in report.rounds) / report.seconds / 1e7,
    }


class _Other:
    """The other process, seen from this one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.address = process.stdout.readline().strip()

    def ask(self, what: str) -> None:
        """Tell it what the next connection is for."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def plain(self, memory: memoryview, link: int | None = None) -> float:
        """Seconds of a plain copy of all of a slot, until the other process has it."""
        self.ask(f"plain {link or 0}")
        with socket.create_connection(parse_address(self.address)) as connection:
            begin = perf_counter()
            connection.sendall(memory)
            connection.recv(1)
            return perf_counter() - begin


@contextmanager
def _other_process() -> Iterator[_Other]:
    process = subprocess.Popen(
        [sys.executable, "-c", "from vgaemu.bench.migrate import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield _Other(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # it ends by that


class _SlowSocket:
    """A socket that gives no more than so many bytes a second."""

    def __init__(self, connection: socket.socket, bytes_a_second: int) -> None:
        self._connection, self._rate = connection, bytes_a_second
        self._due = perf_counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def recvmsg_into(self, views: list[memoryview]) -> tuple[int]:
        """As a socket's, of the first buffer."""
        return (self.recv_into(views[0]),)

    def recv_into(self, view: memoryview) -> int:
        """At most 64 KiB, not before their time."""
        got = self._connection.recv_into(view[: 1 << 16])
        now = perf_counter()
        self._due = max(self._due, now - 0.001) + got / self._rate
        if self._due > now + 0.001:
            sleep(self._due - now)
        return got


class _Memory:
    """A slot as the target of a migration."""

    def __init__(self, slot: Memslot) -> None:
        self.regions: Sequence[Region] = [Region("ram", slot)]

    def check_guest(self, arrays: Mapping[str, Array], channel: Channel) -> None:
        pass  # anybody may come

    def restore(self, arrays: Mapping[str, Array], channel: Channel) -> NDArray[np.uint32]:
        return np.zeros((0, 0), np.uint32)

    def arrived(self, received: Received) -> None:
        pass


def serve() -> None:
    """The receiver's process: takes one connection for each line of its input."""
    slot = Memslot(SLOT_BYTES >> PAGE_SHIFT)
    with Receiver("127.0.0.1:0") as receiver:
        print(receiver.address, flush=True)
        for line in sys.stdin:
            what, _, rate = line.strip().partition(" ")
            connection, peer = receiver.accept(greeting=b"")
            link: Any = _SlowSocket(connection, int(rate) * MB) if int(rate) else connection
            if what == "plain":
                at = 0
                while at < slot.nbytes:
                    at += link.recv_into(slot.memory[at:])
                connection.sendall(b"!")
                connection.close()
            else:
                channel = Channel(link, peer)
                receive(channel, _Memory(slot))
                channel.close()
