"""The migration stream: messages over a TCP connection; their bodies are `bodies`.

Little-endian. Both sides first say who they are (`PREAMBLE`: magic and version), then speak in
messages: a header of 16 bytes with the length of what follows, and that many bytes. The source
speaks, the receiver answers where the table has it on the right:

    ======================================  =======================================
    GUEST  which file, if a machine-code    (none), or REFUSE with the reason
    guest comes
    REGIONS  name and pages of each region  ACCEPT, or REFUSE
    PAGES, ZEROS  runs of pages, as often   (none)
    as it takes
    ROUND  all of a round is sent           ROUND_DONE, all of it has arrived
    anything that takes its time            PROGRESS, now and then
    ... more rounds ...
    STATE  named arrays
    DIGESTS  of each region and the picture DIGESTS  its own, or REFUSE
    COMMIT                                  RUNNING
    ======================================  =======================================

Nothing is allocated for a peer before its size has been checked, and nothing that arrives is ever
run: there are pages of regions both sides know, and arrays of a few plain types. Not provided:
encryption and proof of who the peer is; that is for a tunnel, such as ssh's.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic

import numpy as np

from vgaemu.addresses import LOOPBACK, split_address
from vgaemu.errors import MigrateError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.migrate.memory import Memory

#: As PNG's: bytes that no text has, and that a changed line end would show.
MAGIC = b"vgaemu\x1a\n"
#: Goes up when a message changes its meaning; both sides must be of one version. Version 1 had no
#: machine-code guests; up to version 2 the device, up to 3 DOS, and up to 4 the timer had other
#: arrays; up to version 5 a receiver was silent until a round had arrived; up to version 6 text was
#: laid out as planes are.
VERSION = 7
PREAMBLE = struct.Struct("<8sH6x")  # magic, version
HEADER = struct.Struct("<BB2sIQ")  # kind, region, zeros, count, length of the body
RUN = np.dtype("<u4")  # a run of pages is two of them: its first page, how many

#: Most pages of one message: 16 MiB. At each message's end the two sides wait for each other: with
#: 4 MiB, 64 MiB take a tenth longer, with 1 MiB a fifth.
MAX_PAGES = 4096
#: Rounds, the last included; a guest that does not converge is told after 30.
MAX_ROUNDS = 1000
MAX_REGIONS = 16
MAX_ARRAYS = 256
MAX_STATE_BYTES = 1 << 26
MAX_GUEST_BYTES = 1 << 12
MAX_REASON_BYTES = 400
DIGEST_BYTES = 16

#: Listened on at `LOOPBACK`, and connected to, unless told otherwise: the size of a page.
DEFAULT_PORT = 4096
#: Seconds until a host that does not answer is given up.
CONNECT_SECONDS = 5.0
#: Seconds without a single byte from, or to, the peer.
PEER_SECONDS = 10.0
#: What takes longer than `PEER_SECONDS` has to go on this fast, so that no peer can hold a stopped
#: guest for long with a byte now and then.
MIN_BYTES_A_SECOND = 4096
#: How often a receiver says that something arrives, in `PEER_SECONDS`: on a slow link what has been
#: sent is on its way for longer than that.
PROGRESS_SHARE = 0.1
#: Bytes not yet on their way of which a socket takes no more. Without this limit Linux takes
#: megabytes, and then nothing until a third of them has gone: on a slow link that looks like
#: silence.
UNSENT_BYTES = 1 << 17
#: Seconds for a peer that is refused to read why.
LINGER_SECONDS = 1.0
#: How often somebody who waits for a peer may look at something else, in seconds.
LOOK_SECONDS = 0.05
#: Buffers of one system call; Linux takes 1024.
IOV_MAX = 1000


class Kind(IntEnum):
    """What a message is."""

    REGIONS = 1
    ACCEPT = 2
    REFUSE = 3
    PAGES = 4
    ZEROS = 5
    ROUND = 6
    ROUND_DONE = 7
    STATE = 8
    DIGESTS = 9
    COMMIT = 10
    RUNNING = 11
    GUEST = 12
    PROGRESS = 13


#: Longest body of each kind; none has more than a header unless it is here.
MAX_BODY_BYTES = {
    Kind.REGIONS: MAX_REGIONS * (1 + 32 + 8),
    Kind.REFUSE: MAX_REASON_BYTES,
    Kind.PAGES: MAX_PAGES * (2 * RUN.itemsize + PAGE_SIZE),
    Kind.ZEROS: MAX_PAGES * 2 * RUN.itemsize,
    Kind.STATE: MAX_STATE_BYTES,
    Kind.DIGESTS: (MAX_REGIONS + 1) * DIGEST_BYTES,
    Kind.GUEST: MAX_GUEST_BYTES,
}


@dataclass(frozen=True)
class Region:
    """Memory that travels under a name which both sides know."""

    name: str
    slot: Memory


@dataclass(frozen=True, slots=True)
class Message:
    """A header that has been checked; `length` bytes follow on the connection."""

    kind: Kind
    region: int
    count: int
    length: int


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``HOST``, ``:PORT`` or ``[::1]:PORT``.

    Raises:
        MigrateError: It is none of these.

    >>> parse_address("[::1]:80"), parse_address(":80"), parse_address("there")
    (('::1', 80), ('127.0.0.1', 80), ('there', 4096))
    """
    split = split_address(text)
    if split is None:
        raise MigrateError(
            f"{text!r} is no address: write HOST:PORT, such as {LOOPBACK}:{DEFAULT_PORT}"
        )
    host, port = split
    return host or LOOPBACK, DEFAULT_PORT if port is None else port


class Channel:
    """One end of a connection."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        """Take over a connected socket; errors call the other side `peer`."""
        self._socket = sock
        self.peer = peer
        #: Bytes sent so far, headers and all.
        self.sent_bytes = 0
        #: Called now and then while something arrives; it may raise.
        self.meanwhile: Callable[[], None] | None = None
        #: Whether the peer waits while something arrives here, and is told.
        self.tells_progress = False
        self._looked = self._told = monotonic()
        #: Sent since the peer last answered.
        self._unanswered = 0
        sock.settimeout(PEER_SECONDS)
        # A round ends with a small message that somebody waits for.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def close(self) -> None:
        """Hang up, also from another thread; twice is fine."""
        with suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def error(self, what: str) -> MigrateError:
        """An error that names the peer."""
        return MigrateError(f"{self.peer}: {what}")

    def handshake(self) -> None:
        """Say who we are, and hear who the peer is.

        Raises:
            MigrateError: No vgaemu, or one of another version.
        """
        self._send([memoryview(PREAMBLE.pack(MAGIC, VERSION))])
        magic, version = PREAMBLE.unpack(self.read(PREAMBLE.size))
        if magic != MAGIC:
            raise self.error("no vgaemu answers there")
        if version != VERSION:
            raise self.error(
                f"speaks version {version} of the migration stream, this vgaemu {VERSION}; "
                "use the same vgaemu on both sides"
            )

    def send(
        self, kind: Kind, body: Sequence[memoryview] = (), *, region: int = 0, count: int = 0
    ) -> None:
        """Send a message whose body is in pieces, which are not copied.

        Args:
            kind: What it is.
            body: Its bytes.
            region: Number of the region that it is about.
            count: What it has several of.

        Raises:
            MigrateError: The connection is gone, or takes nothing any more.
        """
        length = sum(map(len, body))
        assert length <= MAX_BODY_BYTES.get(kind, 0)
        self._send([memoryview(HEADER.pack(kind, region, b"\0\0", count, length)), *body])

    def refuse(self, error: MigrateError) -> None:
        """Tell the peer why we hang up, if it still listens."""
        reason = str(error).removeprefix(f"{self.peer}: ").encode()[:MAX_REASON_BYTES]
        with suppress(MigrateError, OSError):  # it does not
            self.send(Kind.REFUSE, [memoryview(reason)])
            self._socket.shutdown(socket.SHUT_WR)
            # Closed with bytes unread, TCP would reset, and the reason might be lost with it.
            self._socket.settimeout(LINGER_SECONDS)
            deadline = monotonic() + LINGER_SECONDS
            while self._socket.recv(1 << 16) and monotonic() < deadline:
                pass

    def receive(self, *expected: Kind) -> Message:
        """The next message's header, checked.

        Raises:
            MigrateError: The peer refuses (with its reason), is gone, or sent what is no message
                or none of the `expected` ones.
        """
        deadline = _deadline(self._unanswered)
        while True:
            header = HEADER.unpack(self.read(HEADER.size))
            if header != (Kind.PROGRESS, 0, b"\0\0", 0, 0):
                break
            self._check_pace(deadline)
        self._unanswered = 0
        kind, region, zeros, count, length = header
        if kind not in (*expected, Kind.REFUSE) or zeros != b"\0\0":
            raise self.error("sent something else than a migration stream has here")
        if length > MAX_BODY_BYTES.get(kind, 0):
            raise self.error(f"sent a message of {length} bytes where none is so long")
        if kind == Kind.REFUSE:
            raise self.error(f"refuses: {_printable(self.read(length))}")
        return Message(Kind(kind), region, count, length)

    def read(self, length: int) -> bytearray:
        """So many bytes; the caller has checked the number."""
        data = bytearray(length)
        self.read_into([memoryview(data)])
        return data

    def read_into(self, views: list[memoryview]) -> None:
        """Fill some buffers, one after the other; the list is used up.

        Raises:
            MigrateError: The connection is cut, silent for too long, or far too slow.
        """
        deadline = _deadline(sum(map(len, views)))
        at = _advance(views, 0, 0)
        while at < len(views):
            try:
                if hasattr(self._socket, "recvmsg_into"):
                    got = self._socket.recvmsg_into(views[at : at + IOV_MAX])[0]
                else:
                    got = self._socket.recv_into(views[at])
            except OSError as error:
                raise self._lost(error) from None
            if not got:
                raise self.error("cut the connection")
            at = _advance(views, at, got)
            self._check_pace(deadline)
            self._look_up()

    def _look_up(self) -> None:
        """While something arrives: do what is due."""
        now = monotonic()
        if self.meanwhile is not None and now - self._looked > LOOK_SECONDS:
            self.meanwhile()
            self._looked = monotonic()
        if self.tells_progress and now - self._told > PROGRESS_SHARE * PEER_SECONDS:
            self.send(Kind.PROGRESS)
            self._told = now

    def _send(self, buffers: list[memoryview]) -> None:
        deadline = _deadline(sum(map(len, buffers)))
        at = _advance(buffers, 0, 0)
        while at < len(buffers):
            try:
                if hasattr(self._socket, "sendmsg"):
                    sent = self._socket.sendmsg(buffers[at : at + IOV_MAX])
                else:
                    sent = self._socket.send(buffers[at])
            except OSError as error:
                raise self._lost(error) from None
            self.sent_bytes += sent
            self._unanswered += sent
            at = _advance(buffers, at, sent)
            self._check_pace(deadline)

    def _check_pace(self, deadline: float) -> None:
        if monotonic() > deadline:
            raise self.error(f"slower than {MIN_BYTES_A_SECOND} bytes a second")

    def _lost(self, error: OSError) -> MigrateError:
        if isinstance(error, TimeoutError):
            return self.error(f"silent for {PEER_SECONDS:.0f} s")
        return self.error(f"the connection is lost ({error.strerror or error})")


def _deadline(nbytes: int) -> float:
    """When so many bytes have to be through."""
    return monotonic() + PEER_SECONDS + nbytes / MIN_BYTES_A_SECOND


def _advance(buffers: list[memoryview], at: int, nbytes: int) -> int:
    """Number of the first buffer with bytes left to do; what of it is done is cut off."""
    while at < len(buffers) and nbytes >= len(buffers[at]):
        nbytes -= len(buffers[at])
        at += 1
    if nbytes:
        buffers[at] = buffers[at][nbytes:]
    return at


def _printable(reason: bytearray) -> str:
    """A peer's words, on one line and without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in reason.decode("utf-8", "replace"))
