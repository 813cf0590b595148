"""Bodies of the stream's messages: regions, runs of pages, named arrays and digests.

What a peer sent is read here without trust: sizes are checked before anything is made of them.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MigrateError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, Span
from vgaemu.migrate import stream
from vgaemu.migrate.stream import MAX_PAGES, RUN, Channel, Kind, Message, Region
from vgaemu.snapshot import Array

#: What an array of a state may consist of.
DTYPES = ("u1", "u2", "u4", "u8", "i4", "i8")
MAX_DIMENSIONS = 4
NAME = re.compile(r"[a-z0-9_.]{1,32}")
#: Of a page's words: odd, so that no change of a single word keeps the sum; all different, so that
#: order counts.
WEIGHTS = np.arange(1, PAGE_SIZE // 4, 2, dtype="<u8")


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
    for _ in range(min(count, stream.MAX_REGIONS + 1)):
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


def check_runs(channel: Channel, message: Message, begin: int, npages: int) -> list[Span]:
    """The runs at the head of a PAGES or ZEROS message: half-open, ascending, inside the slot.

    `begin` is the page behind the last of this kind in this round.

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
    # Else a few bytes could have all of a slot looked at thousands of times, and a round no end.
    if any(before > start for (_, before), (start, _) in pairwise([(0, begin), *runs])):
        raise channel.error("sent runs of pages that are out of order")
    if message.length != nbytes + (pages << PAGE_SHIFT):
        raise channel.error("sent a message whose length is not that of its pages")
    return runs


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
    if len(body) > stream.MAX_STATE_BYTES or len(arrays) > stream.MAX_ARRAYS:
        raise MigrateError(f"{len(arrays)} arrays of {len(body)} bytes are too much for a state")
    return body


def unpack_arrays(body: bytearray, count: int) -> dict[str, Array] | None:
    """The inverse of `pack_arrays`; None if that is no such body."""
    arrays: dict[str, Array] = {}
    at = 0
    try:
        for _ in range(min(count, stream.MAX_ARRAYS + 1)):
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


def memory_digest(memory: NDArray[np.uint8]) -> bytes:
    """Digest of whole pages, (nbytes,) uint8: blake2b of a weighted sum of each page's words.

    TCP looks after flipped bits; this finds pages that were lost, torn or put elsewhere. It takes
    4 ms for 64 MiB, blake2b of all bytes 70, zlib's crc32 16.
    """
    words = memory.view("<u8").reshape(-1, PAGE_SIZE // 8)
    sums = np.einsum("ij,j->i", words, WEIGHTS)  # modulo 2**64; faster than @ for integers
    return blake2b(sums.tobytes(), digest_size=stream.DIGEST_BYTES).digest()


def picture_digest(picture: NDArray[np.uint32]) -> bytes:
    """Size of a picture, (height, width) uint32, and the CRC of its pixels."""
    crc = zlib.crc32(np.ascontiguousarray(picture, "<u4").data)
    return struct.pack("<3I4x", *picture.shape, crc)


def pack_digests(regions: Sequence[Region], picture: NDArray[np.uint32]) -> bytes:
    """Of each region and the picture, the body of DIGESTS."""
    digests = [memory_digest(region.slot.array) for region in regions]
    return b"".join([*digests, picture_digest(picture)])
