"""The migration stream: messages over a TCP connection, and every check on what a peer sends.

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

import re
import socket
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from itertools import pairwise
from time import monotonic
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MigrateError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, Span
from vgaemu.migrate.memory import Memory

#: As PNG's: bytes that no text has, and that a changed line end would show.
MAGIC = b"vgaemu\x1a\n"
#: Goes up when a message changes its meaning; both sides must be of one version. Version 1 had no
#: machine-code guests; up to version 2 the device, up to 3 DOS, and up to 4 the timer had other
#: arrays.
VERSION = 5
PREAMBLE = struct.Struct("<8sH6x")  # magic, version
HEADER = struct.Struct("<BB2sIQ")  # kind, region, zeros, count, length of the body
RUN = np.dtype("<u4")  # a run of pages is two of them: its first page, how many

#: Most pages of one message: 16 MiB. At each message's end the two sides wait for each other: with
#: 4 MiB, 64 MiB take a tenth longer, with 1 MiB a fifth.
MAX_PAGES = 4096
MAX_REGIONS = 16
MAX_ARRAYS = 256
MAX_STATE_BYTES = 1 << 26
MAX_GUEST_BYTES = 1 << 12
MAX_DIMENSIONS = 4
MAX_REASON_BYTES = 400
DIGEST_BYTES = 16
#: What an array of a state may consist of.
DTYPES = ("u1", "u2", "u4", "u8", "i4", "i8")
NAME = re.compile(r"[a-z0-9_.]{1,32}")

#: Listened on and connected to unless told otherwise: the size of a page.
DEFAULT_PORT = 4096
LOOPBACK = "127.0.0.1"
#: Seconds until a host that does not answer is given up.
CONNECT_SECONDS = 5.0
#: Seconds without a single byte from, or to, the peer.
PEER_SECONDS = 10.0
#: What takes longer than `PEER_SECONDS` has to go on this fast, so that no peer can hold a stopped
#: guest for long with a byte now and then.
MIN_BYTES_A_SECOND = 4096

#: Seconds for a peer that is refused to read why.
LINGER_SECONDS = 1.0

#: How often somebody who waits for a peer may look at something else, in seconds.
LOOK_SECONDS = 0.05

#: Buffers of one system call; Linux takes 1024.
IOV_MAX = 1000

Array: TypeAlias = NDArray[Any]


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
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]\s]*))(?::(\d{1,5}))?", text)
    port = int(match[3] or DEFAULT_PORT) if match else -1
    host = (match[1] or match[2] or LOOPBACK) if match else ""
    try:
        host.encode("idna")  # as `socket` will
    except UnicodeError:
        host = ""
    if not host or not text or not 0 <= port <= 0xFFFF:
        raise MigrateError(
            f"{text!r} is no address: write HOST:PORT, such as {LOOPBACK}:{DEFAULT_PORT}"
        )
    return host, port


def name_of_address(address: tuple[Any, ...]) -> str:
    """What `parse_address` reads.

    >>> name_of_address(("::1", 80, 0, 0))
    '[::1]:80'
    """
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Channel:
    """One end of a connection."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        """Take over a connected socket.

        Args:
            sock: Closed by `close`.
            peer: What errors call the other side.
        """
        self._socket = sock
        self.peer = peer
        #: Bytes sent so far, headers and all.
        self.sent_bytes = 0
        #: Called now and then while something arrives; it may raise.
        self.meanwhile: Callable[[], None] | None = None
        self._looked = monotonic()
        sock.settimeout(PEER_SECONDS)
        # A round ends with a small message that somebody waits for.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up, also from another thread; twice is fine."""
        with suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def error(self, what: str) -> MigrateError:
        """An error that names the peer."""
        return MigrateError(f"{self.peer}: {what}")

    # --- who is there ---------------------------------------------------------------------------

    def send_preamble(self) -> None:
        """Say who we are."""
        self._send([memoryview(PREAMBLE.pack(MAGIC, VERSION))])

    def check_preamble(self) -> None:
        """Hear who the peer is.

        Raises:
            MigrateError: No vgaemu, or one of another version.
        """
        magic, version = PREAMBLE.unpack(self.read(PREAMBLE.size))
        if magic != MAGIC:
            raise self.error("no vgaemu answers there")
        if version != VERSION:
            raise self.error(
                f"speaks version {version} of the migration stream, this vgaemu {VERSION}; "
                "use the same vgaemu on both sides"
            )

    # --- messages -------------------------------------------------------------------------------

    def send(
        self, kind: Kind, body: Sequence[memoryview] = (), *, region: int = 0, count: int = 0
    ) -> None:
        """Send a message.

        Args:
            kind: What it is.
            body: Its bytes, in pieces; not copied.
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
        kind, region, zeros, count, length = HEADER.unpack(self.read(HEADER.size))
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
        deadline = _deadline(views)
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
            if self.meanwhile is not None and monotonic() - self._looked > LOOK_SECONDS:
                self.meanwhile()
                self._looked = monotonic()

    def _send(self, buffers: list[memoryview]) -> None:
        deadline = _deadline(buffers)
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
            at = _advance(buffers, at, sent)
            self._check_pace(deadline)

    def _check_pace(self, deadline: float) -> None:
        if monotonic() > deadline:
            raise self.error(f"slower than {MIN_BYTES_A_SECOND} bytes a second")

    def _lost(self, error: OSError) -> MigrateError:
        if isinstance(error, TimeoutError):
            return self.error(f"silent for {PEER_SECONDS:.0f} s")
        return self.error(f"the connection is lost ({error.strerror or error})")


def _deadline(buffers: Sequence[memoryview]) -> float:
    """When all of some buffers has to be through."""
    return monotonic() + PEER_SECONDS + sum(map(len, buffers)) / MIN_BYTES_A_SECOND


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


# --- regions and runs of pages ------------------------------------------------------------------


def pack_regions(regions: Sequence[Region]) -> bytes:
    """Names and sizes, the body of REGIONS."""
    return b"".join(
        bytes([len(region.name)]) + region.name.encode() + struct.pack("<Q", region.slot.npages)
        for region in regions
    )


def unpack_regions(body: bytearray, count: int) -> dict[str, int] | None:
    """Names and pages of the regions, in order; None if that is no such body."""
    regions: dict[str, int] = {}
    at = 0
    for _ in range(min(count, MAX_REGIONS + 1)):
        end = at + 1 + (body[at] if at < len(body) else 0)
        name = body[at + 1 : end].decode("ascii", "replace")
        if NAME.fullmatch(name) is None or name in regions or end + 8 > len(body):
            return None
        (regions[name],) = struct.unpack_from("<Q", body, end)
        at = end + 8
    return regions if at == len(body) and len(regions) == count else None


def pack_runs(runs: Sequence[Span]) -> memoryview:
    """Half-open runs of pages as the stream has them."""
    pairs = np.array(runs, RUN)
    pairs[:, 1] -= pairs[:, 0]
    return memoryview(pairs.tobytes())


def check_runs(channel: Channel, message: Message, npages: int) -> list[Span]:
    """The runs at the head of a PAGES or ZEROS message: half-open, ascending, inside the slot.

    Raises:
        MigrateError: They do not fit the message or the slot.
    """
    nbytes = 2 * RUN.itemsize * message.count
    if not 0 < message.count <= MAX_PAGES or nbytes > message.length:
        raise channel.error(f"sent a message of {message.count} runs of pages")
    pairs = np.frombuffer(channel.read(nbytes), RUN).reshape(-1, 2).tolist()
    runs = [(start, start + length) for start, length in pairs]
    # PAGES is bounded by its length; a run of zeros may be all of a slot.
    pages = sum(length for _, length in pairs) if message.kind is Kind.PAGES else 0
    if any(not start < end <= npages for start, end in runs):
        raise channel.error(f"sent pages outside of the {npages} there are")
    # Else a few bytes could have all of a slot looked at thousands of times.
    if any(before > start for (_, before), (start, _) in pairwise(runs)):
        raise channel.error("sent runs of pages that are out of order")
    if message.length != nbytes + (pages << PAGE_SHIFT):
        raise channel.error("sent a message whose length is not that of its pages")
    return runs


# --- arrays -------------------------------------------------------------------------------------


def pack_arrays(arrays: Mapping[str, Array]) -> bytes:
    """Named arrays, the body of GUEST and STATE: of each its name, type, shape and bytes.

    Raises:
        MigrateError: More or other than a state may be.
    """
    parts: list[bytes] = []
    for name, array in arrays.items():
        dtype = f"{array.dtype.kind}{array.dtype.itemsize}"
        if NAME.fullmatch(name) is None or dtype not in DTYPES or array.ndim > MAX_DIMENSIONS:
            raise MigrateError(f"{name}: no array that a migration sends")
        parts += [bytes([len(name)]), name.encode(), dtype.encode(), bytes([array.ndim])]
        parts += [struct.pack(f"<{array.ndim}I", *array.shape), array.astype(f"<{dtype}").tobytes()]
    body = b"".join(parts)
    if len(body) > MAX_STATE_BYTES or len(arrays) > MAX_ARRAYS:
        raise MigrateError(f"{len(arrays)} arrays of {len(body)} bytes are too much for a state")
    return body


def unpack_arrays(body: bytearray, count: int) -> dict[str, Array] | None:
    """The inverse of `pack_arrays`; None if that is no such body."""
    arrays: dict[str, Array] = {}
    at = 0
    try:
        for _ in range(min(count, MAX_ARRAYS + 1)):
            name = body[at + 1 : at + 1 + body[at]].decode("ascii")
            at += 1 + body[at]
            code, ndim = struct.unpack_from("<2sB", body, at)
            at += 3
            dtype = code.decode("ascii")
            if dtype not in DTYPES or ndim > MAX_DIMENSIONS or name in arrays:
                return None
            if NAME.fullmatch(name) is None:
                return None
            shape = struct.unpack_from(f"<{ndim}I", body, at)
            at += 4 * ndim
            elements = 1
            for length in shape:  # Python integers: no product overflows
                elements *= length
            nbytes = elements * int(dtype[1])
            if nbytes > len(body) - at:
                return None
            array = np.frombuffer(body, f"<{dtype}", elements, at).reshape(shape)
            arrays[name] = array.astype(dtype)
            at += nbytes
    except (IndexError, struct.error, UnicodeDecodeError, ValueError):
        return None  # it ends inside of an array
    return arrays if at == len(body) and len(arrays) == count else None


def check_names(channel: Channel, arrays: Collection[str], known: Collection[str]) -> None:
    """Find out whether a state has all that a device has, and nothing that would be lost.

    Raises:
        MigrateError: It is not so.
    """
    for name in (*known, *arrays):
        if name not in known or name not in arrays:
            whose = "does not know" if name not in known else "needs"
            raise channel.error(f"sent a state; this vgaemu {whose} {name}; use the same on both")


# --- digests ------------------------------------------------------------------------------------

#: Odd, so that no change of a single word keeps the sum; all different, so that order counts.
_WEIGHTS = np.arange(1, PAGE_SIZE // 4, 2, dtype="<u8")


def memory_digest(memory: NDArray[np.uint8]) -> bytes:
    """Digest of whole pages: a weighted sum of each page's words, and blake2b of these sums.

    TCP looks after flipped bits; this finds pages that were lost, torn or put elsewhere. It takes
    4 ms for 64 MiB, blake2b of all bytes 70, zlib's crc32 16.

    Args:
        memory: (nbytes,) uint8, a multiple of the page size.
    """
    words = memory.view("<u8").reshape(-1, PAGE_SIZE // 8)
    sums = np.einsum("ij,j->i", words, _WEIGHTS)  # modulo 2**64; faster than @ for integers
    return blake2b(sums.tobytes(), digest_size=DIGEST_BYTES).digest()


def picture_digest(picture: NDArray[np.uint32]) -> bytes:
    """Size of a picture and the CRC of its pixels.

    Args:
        picture: (height, width) uint32.
    """
    crc = zlib.crc32(np.ascontiguousarray(picture, "<u4").data)
    return struct.pack("<3I4x", *picture.shape, crc)
