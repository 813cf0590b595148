"""What is kept of a field: one log of writes, and what was latched; as they are saved, too.

A log is self-contained: what registers held when the field began, and each write with its place.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.snapshot import MAX_COUNT, Array
from vgaemu.vga.effects import ATTRIBUTE, COLOURS, COUNTERS, CRTC, LOOKS, SEQUENCER, bits_of
from vgaemu.vga.registerfile import HELD_MASKS, Held
from vgaemu.vga.registers import RegisterBank

#: An entry is one number: value in bits 0-23 (a DAC entry's red highest), index from bit 24 on,
#: source from bit 32 on, and from bit 36 on which dot of the field is the first that begins at the
#: write or after it. The largest picture that CRTC registers can make has 2^23 of them.
INDEX_SHIFT, SOURCE_SHIFT, DOT_SHIFT = 24, 32, 36
#: More in a field are no picture that anybody could tell from another.
MOST_ENTRIES = 1 << 16
#: Words that a log has room for at first: as many as a palette, or a colour in each line.
FIRST_ROOM = 510
#: The latches of two fields, three each, and those to come.
MOST_LATCHES = 16


class Latched(NamedTuple):
    """What the CRTC and the attribute controller look at once a field."""

    start_address: int
    byte_panning: int
    cursor_location: int
    pel_panning: int
    preset_row: int

    @staticmethod
    def of(crtc: Sequence[int], attribute: Sequence[int]) -> Latched:
        """What registers of the two banks, by index, are latched as."""
        return Latched(
            crtc[0x0C] << 8 | crtc[0x0D],
            crtc[0x08] >> 5,
            crtc[0x0E] << 8 | crtc[0x0F],
            attribute[0x13],
            crtc[0x08] & 0x1F,
        )


class Entries:
    """Entries of a field, which native code may append to, too."""

    def __init__(self, entries: bytes = b"") -> None:
        """Those of a saved log."""
        count = len(entries) // 8
        #: How many there are, they, and room for more.
        self.words = array("Q", [count]) + array("Q", entries) + array("Q", bytes(8 * FIRST_ROOM))

    def __len__(self) -> int:
        return self.words[0]

    def append(self, entry: int) -> None:
        words = self.words
        count = words[0] + 1
        if count == len(words):
            words.frombytes(bytes(8 * count))
        words[count] = entry
        words[0] = count

    def tobytes(self) -> bytes:
        """All there are now, 8 bytes each."""
        words = self.words
        return words[1 : words[0] + 1].tobytes()


class Log(NamedTuple):
    """One field: its number, what registers held when it began, and what was written then."""

    field: int
    held: Held
    entries: Entries


#: Words of a saved log before its entries: the field's number and what registers held. Where there
#: is no log, there are none.
HEAD_WORDS = 1 + len(HELD_MASKS) // 8


def packed(log: Log | None) -> NDArray[np.uint64]:
    """A log as it is saved: (n,) uint64."""
    if log is None:
        return np.zeros(0, np.uint64)
    held = np.frombuffer(log.held.packed(), np.uint64)
    entries = np.frombuffer(log.entries.tobytes(), np.uint64)
    return np.concatenate((np.array([log.field], np.uint64), held, entries))


def unpacked(words: Array) -> Log | None:
    """What `packed` made, if `is_log` says so."""
    if not len(words):
        return None
    held = Held.unpacked(words[1:HEAD_WORDS].tobytes())
    return Log(int(words[0]), held, Entries(words[HEAD_WORDS:].tobytes()))


def is_log(words: Array) -> bool:
    """Whether (n,) uint64 are a log that a device may have kept."""
    if not len(words):
        return True
    if not HEAD_WORDS <= len(words) <= HEAD_WORDS + MOST_ENTRIES or words[0] > MAX_COUNT:
        return False
    held = np.frombuffer(words[1:HEAD_WORDS].tobytes(), np.uint8)
    if (held & ~np.frombuffer(HELD_MASKS, np.uint8)).any():
        return False
    entries = words[HEAD_WORDS:].astype(np.int64)
    register, value = entries >> INDEX_SHIFT & 0xFFF, entries & (1 << INDEX_SHIFT) - 1
    dots = words[HEAD_WORDS:] >> np.uint64(DOT_SHIFT)
    allowed = _allowed_bits().take(register, mode="clip")
    fits = (allowed != 0) & (value & ~allowed == 0)
    return bool(fits.all() and (dots[1:] >= dots[:-1]).all())


def _allowed_bits() -> NDArray[np.int64]:
    """The bits of an entry's value, by source << 8 | index; 0 for what is not kept."""
    kept, bits = bits_of(COLOURS, COUNTERS, LOOKS), bits_of(COLOURS)
    for source, name in ((SEQUENCER, "sequencer"), (CRTC, "crtc"), (ATTRIBUTE, "attribute")):
        masks = RegisterBank(name).masks
        bits[source][: len(masks)] = masks
    found = np.where(np.array(kept) != 0, np.array(bits), 0).ravel()
    return np.concatenate((found, np.zeros(1, np.int64)))  # what lies past it


def are_latches(rows: Array) -> bool:
    """Whether (n, 6) int64 are times and what was latched up to them."""
    most = MAX_COUNT, 0xFFFF, 3, 0xFFFF, 15, 31
    if len(rows) > MOST_LATCHES or (rows < 0).any() or (rows > most).any():
        return False
    return bool((rows[1:, 0] >= rows[:-1, 0]).all())
