"""The receiving side: pages straight into memory, a state that is checked whole, then its turn.

It listens on loopback unless told otherwise, takes one source, and believes it nothing: regions
must be those that are here, pages inside of them, each once a round, arrays those that the device
has, with values it can have. What is refused is refused in one line, on both sides. Who connects
and does not speak as a source does is no source: he neither ends the waiting nor delays it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from select import select
from time import monotonic
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vgaemu.addresses import LOOPBACK, name_of_address, why_no_socket
from vgaemu.errors import MigrateError
from vgaemu.memslot.bitmap import PAGE_SHIFT
from vgaemu.migrate import bodies, stream
from vgaemu.migrate.stream import Channel, Kind, Message, Region
from vgaemu.signals import stops_wait
from vgaemu.snapshot import Array

#: A source speaks first; who has not after this long is none.
SILENCE_SECONDS = 5.0
#: So many may be waited for at once.
MAX_SILENT = 64


class Target(Protocol):
    """Who takes what is sent: a machine, or memory alone."""

    @property
    def regions(self) -> Sequence[Region]:
        """The memory."""

    def check_guest(self, arrays: Mapping[str, Array], channel: Channel) -> None:
        """Find out whether this is where a guest belongs, before any memory is sent.

        `arrays` say which file a machine-code guest runs; there are none if no such guest comes.

        Raises:
            MigrateError: It belongs elsewhere.
        """

    def restore(self, arrays: Mapping[str, Array], channel: Channel) -> NDArray[np.uint32]:
        """Bring the device to a state, all memory being there, and say what it shows then.

        Raises:
            MigrateError: The arrays are not those of this device; it is as it was.
        """

    def arrived(self, received: Received) -> None:
        """The guest is here now and nowhere else: the source has been told."""


@dataclass(frozen=True)
class Received:
    """A guest that has arrived."""

    #: Where from.
    peer: str
    rounds: int
    pages: int
    zero_pages: int

    def line(self) -> str:
        """All of it for a person."""
        return (
            f"from {self.peer}: {self.rounds} rounds, {self.pages} pages and {self.zero_pages} "
            "of zeros, memory and picture are equal"
        )


class Receiver:
    """Listens for one source. Use it as a context manager, or call `close`."""

    def __init__(self, listen: str = f"{LOOPBACK}:{stream.DEFAULT_PORT}") -> None:
        """Begin to listen.

        Args:
            listen: HOST:PORT; port 0 is one that is free, see `address`.

        Raises:
            MigrateError: One cannot listen there.
        """
        host, port = stream.parse_address(listen)
        try:
            family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server(where[:2], family=family, backlog=MAX_SILENT)
            self._socket.setblocking(False)
        except OSError as error:
            raise MigrateError(
                f"{name_of_address((host, port))}: {why_no_socket(error)}; "
                "name an address of this host and a free port"
            ) from None
        #: HOST:PORT.
        self.address = name_of_address(self._socket.getsockname())

    def accept(
        self,
        wait_seconds: float | None = None,
        meanwhile: Callable[[], None] | None = None,
        greeting: bytes = stream.MAGIC,
    ) -> tuple[socket.socket, str]:
        """Wait as `receive` does for somebody who begins with a greeting: socket, address.

        Raises:
            MigrateError: Nobody came within `wait_seconds`.
        """
        begin = monotonic()
        silent: dict[socket.socket, tuple[str, float]] = {}
        try:
            while wait_seconds is None or monotonic() - begin < wait_seconds:
                ready, _, _ = select([self._socket, *silent], [], [], stream.LOOK_SECONDS)
                for one in ready:
                    if one is self._socket:
                        self._welcome(silent, len(greeting))
                    elif _heard(one, greeting):
                        return one, silent.pop(one)[0]
                    else:
                        del silent[one]
                        one.close()
                late = [one for one, (_, until) in silent.items() if monotonic() > until]
                for one in late or list(silent)[:-MAX_SILENT]:
                    del silent[one]
                    one.close()
                if meanwhile is not None:
                    meanwhile()
        finally:
            for one in silent:
                one.close()
        raise MigrateError(f"{self.address}: nobody came within {wait_seconds:g} s")

    def _welcome(self, silent: dict[socket.socket, tuple[str, float]], length: int) -> None:
        """Take a connection in; it is looked at when so many bytes are there."""
        with suppress(OSError):  # he has gone meanwhile
            connection, peer = self._socket.accept()
            connection.setblocking(False)
            silent[connection] = name_of_address(peer), monotonic() + SILENCE_SECONDS
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(length, 1))

    def receive(
        self,
        target: Target,
        wait_seconds: float | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Received:
        """Wait for a source and take what it sends.

        Args:
            target: Where it goes.
            wait_seconds: How long to wait for a connection; None: as long as it takes.
            meanwhile: Called every now and then; it may raise.

        Raises:
            MigrateError: Nobody came, or somebody who is refused or does not hold out. The
                target's memory then has whatever came so far: throw it away.
        """
        channel = Channel(*self.accept(wait_seconds, meanwhile))
        try:
            return receive(channel, target, meanwhile)
        finally:
            channel.close()

    def close(self) -> None:
        """Stop listening; twice is fine."""
        self._socket.close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _heard(connection: socket.socket, greeting: bytes) -> bool:
    """Whether a peer who has spoken, or hung up, began with a greeting."""
    try:
        begun = connection.recv(max(len(greeting), 1), socket.MSG_PEEK)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        connection.setblocking(True)
    except OSError:
        return False
    return bool(begun) and begun.startswith(greeting)


def receive(
    channel: Channel, target: Target, meanwhile: Callable[[], None] | None = None
) -> Received:
    """Take what the source at the other end sends; when this returns, the target has its turn.

    Raises:
        MigrateError: See `Receiver.receive`.
    """
    try:
        channel.meanwhile = meanwhile
        return _receive(channel, target)
    except MigrateError as error:
        channel.refuse(error)
        raise
    finally:
        for region in target.regions:  # displays and others who look
            region.slot.mark_dirty(0, region.slot.nbytes)


def _receive(channel: Channel, target: Target) -> Received:
    channel.handshake()
    message = channel.receive(Kind.GUEST, Kind.REGIONS)
    guest: dict[str, Array] = {}
    if message.kind is Kind.GUEST:
        guest = bodies.unpack_arrays(channel.read(message.length), message.count) or {}
        if not guest:
            raise channel.error("sent a damaged name of a guest")
        message = channel.receive(Kind.REGIONS)
    target.check_guest(guest, channel)
    theirs = bodies.unpack_regions(channel.read(message.length), message.count)
    regions = _check_regions(channel, target.regions, theirs)
    channel.send(Kind.ACCEPT)
    channel.tells_progress = True
    rounds = pages = zero_pages = 0
    #: Of each region and kind, the page behind the last that came in this round.
    ends: dict[tuple[int, Kind], int] = {}
    while True:
        message = channel.receive(Kind.PAGES, Kind.ZEROS, Kind.ROUND, Kind.STATE)
        if message.kind is Kind.STATE:
            break
        if message.kind is Kind.ROUND:
            rounds += 1
            if rounds >= stream.MAX_ROUNDS:
                raise channel.error(f"does not come to an end in {stream.MAX_ROUNDS} rounds")
            ends.clear()
            channel.send(Kind.ROUND_DONE)
        elif message.kind is Kind.PAGES:
            pages += _take_pages(channel, message, regions, ends)
        else:
            zero_pages += _take_pages(channel, message, regions, ends)
    arrays = bodies.unpack_arrays(channel.read(message.length), message.count)
    if arrays is None:
        raise channel.error("sent a damaged state")
    for region in regions:
        region.slot.mark_dirty(0, region.slot.nbytes)
    digests = bodies.pack_digests(regions, target.restore(arrays, channel))
    message = channel.receive(Kind.DIGESTS)
    theirs_digests = channel.read(message.length)
    channel.send(Kind.DIGESTS, [memoryview(digests)], count=len(regions) + 1)
    if theirs_digests != digests:
        raise channel.error("sent a memory or picture that differs from its own")
    received = Received(channel.peer, rounds + 1, pages, zero_pages)  # the last has no end
    with stops_wait():
        channel.receive(Kind.COMMIT)
        channel.send(Kind.RUNNING)
        target.arrived(received)
    return received


def _check_regions(
    channel: Channel, regions: Sequence[Region], theirs: Mapping[str, int] | None
) -> list[Region]:
    """Our regions in the order that the source numbers them."""
    if theirs is None:
        raise channel.error("sent a damaged list of regions")
    ours = {region.name: region for region in regions}
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs or name not in ours:
            raise channel.error(
                f"{'has' if name in theirs else 'lacks'} memory named {name}, the receiver "
                f"{'has' if name in ours else 'lacks'} it"
            )
        npages = ours[name].slot.npages
        if theirs[name] != npages:
            raise channel.error(
                f"has {_mib(theirs[name])} of {name}, the receiver {_mib(npages)}; make both alike"
            )
    return [ours[name] for name in theirs]


def _mib(npages: int) -> str:
    return f"{npages / 256:g} MiB"


def _take_pages(
    channel: Channel,
    message: Message,
    regions: Sequence[Region],
    ends: dict[tuple[int, Kind], int],
) -> int:
    """Put what a message has where it belongs; returns how many pages that were."""
    if message.region >= len(regions):
        raise channel.error(f"sent pages of region {message.region}, of {len(regions)}")
    slot = regions[message.region].slot
    begin = ends.get((message.region, message.kind), 0)
    runs = bodies.check_runs(channel, message, begin, slot.npages)
    ends[message.region, message.kind] = runs[-1][1]
    if message.kind is Kind.PAGES:
        memory = slot.memory
        channel.read_into([memory[start << PAGE_SHIFT : end << PAGE_SHIFT] for start, end in runs])
    else:
        for start, end in runs:
            part = slot.array[start << PAGE_SHIFT : end << PAGE_SHIFT]
            # Memory that nobody has written yet is zero, and is not allocated by a look at it.
            if part.any():
                part[:] = 0
    return sum(end - start for start, end in runs)
