"""The sending side: pre-copy from readers of the memory's dirty logs while the guest goes on.

The first round sends everything (pages of zeros as such), each further one what was written
meanwhile, until what is left fits the downtime budget at the throughput measured so far. Then the
guest is stopped, the rest is sent, and the device's state. Digests of memory and picture, taken
from the stopped guest's whole memory, are compared on both sides; then, and only then, the receiver
is told to take over. Whatever goes wrong before it says that it has: the guest runs on here.

Order, always: harvest a page's dirt, *then* read the page. A store that comes between is read torn
or not at all, but its page is dirty again and goes with the next round. Memory without a log is
read in the harvest itself: see `memory`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter, perf_counter_ns
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vgaemu.addresses import LOOPBACK, name_of_address
from vgaemu.errors import MigrateError
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, spans_of_pages
from vgaemu.memslot.log import DirtyLog
from vgaemu.migrate import bodies, stream
from vgaemu.migrate.memory import Reader, reader_of
from vgaemu.migrate.stream import CONNECT_SECONDS, MAX_PAGES, Channel, Kind, Region
from vgaemu.snapshot import Array

WhenStuck = Literal["stop", "give-up"]


class Source(Protocol):
    """What is sent: a machine, or memory alone."""

    def guest(self) -> Mapping[str, Array]:
        """Which file a machine-code guest runs; empty if there is no such guest."""

    @property
    def regions(self) -> Sequence[Region]:
        """The memory; each slot's log is on."""

    def stop(self) -> None:
        """Stop the guest: from now on nobody stores. It may take a little until then.

        Raises:
            MigrateError: It does not stop.
        """

    def state(self) -> Mapping[str, Array]:
        """What of the stopped device is in no region."""

    def picture(self) -> NDArray[np.uint32]:
        """What the stopped device shows: (height, width) uint32."""


@dataclass(frozen=True)
class Limits:
    """When to stop the guest, and what to do with one that writes faster than the link takes."""

    #: How long the guest may be stopped, in milliseconds.
    downtime_ms: float = 50.0
    #: Rounds, the first included, after which it is found not to converge; at most 998.
    max_rounds: int = 30
    #: Seconds after which it is found so, counted from the end of the first round.
    max_seconds: float = 60.0
    #: Then ``"stop"`` the guest nevertheless, for longer than the budget, or ``"give-up"``.
    when_stuck: WhenStuck = "stop"


@dataclass(frozen=True)
class Round:
    """What one round sent; the last one is that with the guest stopped."""

    #: Pages whose bytes were sent.
    pages: int
    #: Pages of zeros, sent as runs.
    zero_pages: int
    #: On the wire, headers and all.
    sent_bytes: int
    #: Until the receiver had it; of the last round, until it was sent.
    seconds: float
    #: What it took to read the dirty log before.
    harvest_ns: int


@dataclass
class Report:
    """A migration that has succeeded."""

    #: What went in each, the last one with the guest stopped.
    rounds: list[Round] = field(default_factory=list)
    #: All that was sent, from the first byte to the last.
    sent_bytes: int = 0
    #: From connecting until the receiver ran.
    seconds: float = 0.0
    #: From the guest's stop until the receiver ran.
    downtime_ns: int = 0
    #: Why the guest was stopped although what was left did not fit the budget; else empty.
    stuck: str = ""
    #: Whether both sides have the same memory and picture; else there is no report.
    digests_equal: bool = False

    @property
    def zero_pages(self) -> int:
        """Pages sent as zeros, in all rounds."""
        return sum(one.zero_pages for one in self.rounds)

    def line(self) -> str:
        """All of it for a person."""
        pages = sum(one.pages for one in self.rounds)
        return (
            f"{len(self.rounds)} rounds, {pages} pages and {self.zero_pages} of zeros, "
            f"{self.sent_bytes / 1e6:.1f} MB in {self.seconds:.2f} s, "
            f"downtime {self.downtime_ns / 1e6:.1f} ms, memory and picture are equal"
        )


def connect(address: str) -> Channel:
    """Connect to a receiver.

    Raises:
        MigrateError: Nobody answers there, or the address is none.
    """
    host, port = stream.parse_address(address)
    peer = name_of_address((host, port))
    try:
        return Channel(socket.create_connection((host, port), CONNECT_SECONDS), peer)
    except TimeoutError:
        raise MigrateError(f"{peer}: no answer within {CONNECT_SECONDS:.0f} s") from None
    except OSError as error:
        hint = (
            "" if host == LOOPBACK else "; the receiver listens on loopback unless told otherwise"
        )
        raise MigrateError(f"{peer}: {error.strerror or error}{hint}") from None


def send(
    channel: Channel,
    source: Source,
    limits: Limits | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Send a guest to the receiver at the other end; it has taken over when this returns.

    Args:
        channel: The connection; the caller closes it.
        source: What to send. Its guest is still stopped afterwards, and if it was stopped before
            something failed; whoever stopped it lets it go on.
        limits: When to stop it.
        say: Called with a line when the guest turns out not to converge.

    Raises:
        MigrateError: The receiver refuses or is gone, the digests differ, or the guest does not
            converge and `limits` say to give up. The receiver does not run then, unless exactly its
            last word was lost.
    """
    limits = limits or Limits()
    begin = perf_counter()
    views: list[Reader] = []
    try:
        for region in source.regions:
            if isinstance(region.slot, Memslot) and not region.slot.logging:
                raise MigrateError(f"{region.name}: its dirty log is off")
            views.append(reader_of(region.slot))
        report = PreCopy(channel, source, views, limits, say).run()
    except MigrateError as error:
        channel.refuse(error)
        raise
    finally:
        for view in views:
            view.close()
    report.seconds = perf_counter() - begin
    report.sent_bytes = channel.sent_bytes
    return report


class PreCopy:
    """One run of `send`: rounds of pages while the guest goes on, then the last without it."""

    def __init__(
        self,
        channel: Channel,
        source: Source,
        views: Sequence[Reader],
        limits: Limits,
        say: Callable[[str], None] | None,
    ) -> None:
        self.channel, self.source, self.views = channel, source, views
        self.limits, self.say = limits, say
        self.regions = source.regions
        self.report = Report()
        #: Of all rounds so far, for the throughput.
        self.sent_bytes, self.sent_seconds = 0, 0.0
        #: Since the last round.
        self.harvest_ns = 0

    def run(self) -> Report:
        channel, report = self.channel, self.report
        channel.handshake()
        guest = self.source.guest()
        if guest:
            channel.send(Kind.GUEST, [memoryview(bodies.pack_arrays(guest))], count=len(guest))
        body = memoryview(bodies.pack_regions(self.regions))
        channel.send(Kind.REGIONS, [body], count=len(self.regions))
        channel.receive(Kind.ACCEPT)
        self.harvest()  # what was written so far goes with the rest
        self.round([_all_pages(region) for region in self.regions])
        logs = self.iterate()
        self.source.stop()
        stopped_ns = perf_counter_ns()
        left = [log | last for log, last in zip(logs, self.harvest(), strict=True)]
        self.round([_pages_of(log) for log in left], last=True)
        self.hand_over()
        report.downtime_ns = perf_counter_ns() - stopped_ns
        return report

    def iterate(self) -> list[DirtyLog]:
        """Rounds of dirty pages; returns the logs of those that are left for the last one."""
        limits, digest_seconds = self.limits, self.digest_seconds()
        # Together at most half of the budget: no round makes them shorter.
        most_seconds = limits.downtime_ms / 2000
        begin = harvested = perf_counter()
        while True:
            begun = perf_counter()
            logs = self.harvest()
            now = perf_counter()
            fixed_seconds = min(digest_seconds + now - begun, most_seconds)
            left = sum(len(log) for log in logs) * PAGE_SIZE
            bytes_a_second = self.sent_bytes / self.sent_seconds
            downtime_ms = 1000 * (left / bytes_a_second + fixed_seconds)
            if downtime_ms <= limits.downtime_ms:
                return logs
            most = min(limits.max_rounds, stream.MAX_ROUNDS - 2)
            if len(self.report.rounds) >= most or now - begin > limits.max_seconds:
                dirtied = left / max(now - harvested, 1e-6)
                stuck = (
                    f"does not converge: after {len(self.report.rounds)} rounds "
                    f"{left / 1e6:.1f} MB are left, {downtime_ms:.0f} ms for a budget of "
                    f"{limits.downtime_ms:g} (written {dirtied / 1e6:.0f} MB/s, "
                    f"sent {bytes_a_second / 1e6:.0f} MB/s)"
                )
                if limits.when_stuck == "give-up":
                    raise self.channel.error(stuck)
                self.report.stuck = stuck
                if self.say is not None:
                    self.say(f"{self.channel.peer}: {stuck}; the guest is stopped for so long")
                return logs
            harvested = now
            self.round([_pages_of(log) for log in logs])

    def digest_seconds(self) -> float:
        """How long the digests of all memory will take.

        Told from one message's worth of it: the guest still runs. Both sides take theirs at once,
        but perhaps from one memory bus or on one CPU: twice.
        """
        largest = max((region.slot for region in self.regions), key=lambda slot: slot.npages)
        part = largest.array[: MAX_PAGES << PAGE_SHIFT]
        begin = perf_counter()
        bodies.memory_digest(part)
        seconds_a_byte = (perf_counter() - begin) / len(part)
        nbytes = sum(region.slot.nbytes for region in self.regions)
        return 2 * nbytes * seconds_a_byte

    def harvest(self) -> list[DirtyLog]:
        """What was written since the last call, region by region."""
        begin = perf_counter_ns()
        logs = [view.get_dirty_log() for view in self.views]
        self.harvest_ns += perf_counter_ns() - begin
        return logs

    def round(self, regions: Sequence[Iterable[NDArray[np.intp]]], *, last: bool = False) -> None:
        """Send pages; in all rounds but the last, for a stopped guest, wait until they are there.

        `regions` has for each region the numbers of its pages, ascending, `MAX_PAGES` at once.
        """
        channel = self.channel
        begin, sent_before = perf_counter(), channel.sent_bytes
        data_pages = zero_pages = 0
        for number, pages_of_region in enumerate(regions):
            memory = self.views[number].array
            for pages in pages_of_region:
                zero = _zero(memory, pages)
                zero_pages += int(zero.sum())
                data_pages += len(pages) - int(zero.sum())
                self.send_pages(number, memory, pages, zero)
        if not last:
            # So its time is the link's and not that of a buffer; and a cut is noticed.
            channel.send(Kind.ROUND, count=len(self.report.rounds))
            channel.receive(Kind.ROUND_DONE)
        seconds, sent_bytes = perf_counter() - begin, channel.sent_bytes - sent_before
        self.report.rounds.append(
            Round(data_pages, zero_pages, sent_bytes, seconds, self.harvest_ns)
        )
        self.harvest_ns = 0
        self.sent_bytes += sent_bytes
        self.sent_seconds += seconds

    def send_pages(
        self,
        number: int,
        memory: NDArray[np.uint8],
        pages: NDArray[np.intp],
        zero: NDArray[np.bool_],
    ) -> None:
        """Send a message's worth of pages of one region, not copied."""
        if zero.any():
            runs = spans_of_pages(pages[zero], 1)
            self.channel.send(Kind.ZEROS, [bodies.pack_runs(runs)], region=number, count=len(runs))
            pages = pages[~zero]
        if len(pages):
            runs = spans_of_pages(pages, 1)
            view = memory.data
            data = [view[start << PAGE_SHIFT : end << PAGE_SHIFT] for start, end in runs]
            body = [bodies.pack_runs(runs), *data]
            self.channel.send(Kind.PAGES, body, region=number, count=len(runs))

    def hand_over(self) -> None:
        """The state of the stopped device, the comparison, and the receiver's turn."""
        channel, source = self.channel, self.source
        arrays = source.state()
        channel.send(Kind.STATE, [memoryview(bodies.pack_arrays(arrays))], count=len(arrays))
        # While the receiver takes its own.
        digests = bodies.pack_digests(self.regions, source.picture())
        channel.send(Kind.DIGESTS, [memoryview(digests)], count=len(self.regions) + 1)
        message = channel.receive(Kind.DIGESTS)
        if channel.read(message.length) != digests:
            raise channel.error("has another memory or picture after all was sent")
        self.report.digests_equal = True
        channel.send(Kind.COMMIT)
        channel.receive(Kind.RUNNING)


def _all_pages(region: Region) -> Iterator[NDArray[np.intp]]:
    npages = region.slot.npages
    for first in range(0, npages, MAX_PAGES):
        yield np.arange(first, min(first + MAX_PAGES, npages))


def _pages_of(log: DirtyLog) -> Iterator[NDArray[np.intp]]:
    pages = log.pages()
    for at in range(0, len(pages), MAX_PAGES):
        yield pages[at : at + MAX_PAGES]


def _zero(memory: NDArray[np.uint8], pages: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which of some pages have no bit set: (count,) bool."""
    words = memory.view(np.uint64).reshape(-1, PAGE_SIZE // 8)
    # Two words of a page tell most of those that are not; only the others are read whole.
    zero: NDArray[np.bool_] = (words[pages, 0] | words[pages, -1]) == 0
    maybe = pages[zero]
    if len(maybe):
        first, last = int(maybe[0]), int(maybe[-1]) + 1
        # A run need not be gathered.
        rows = words[first:last] if last - first == len(maybe) else words[maybe]
        zero[zero] = ~rows.any(axis=1)
    return zero
