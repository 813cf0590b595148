"""What INT 33h's driver remembers: numbers and masks, as they are saved and handed to programs."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import ClassVar

from vgaemu.snapshot import Array, Part

#: A graphics cursor: 16 words that pixels are masked with, 16 that change them.
MASK_BYTES = 64
#: The arrow that is there at first: # cuts out, + is lit, and its point is the hot spot.
ART = (
    "#", "##", "#+#", "#++#", "#+++#", "#++++#", "#+++++#", "#++++++#",
    "#+++++++#", "#++++####", "#++++#", "#+##++#", "##  #++#", "#   #++#", "     ##", "",
)  # fmt: skip


def _mask(lit: str) -> list[int]:
    """A word a row: the columns that hold one of some characters, bit 15 leftmost."""
    rows = (row.ljust(16) for row in ART)
    return [sum(0x8000 >> x for x, sign in enumerate(row) if sign in lit) for row in rows]


ARROW = struct.pack("<32H", *_mask(" "), *_mask("+"))
#: Kinds of text cursors: a cell's look, or the hardware's.
SOFTWARE, HARDWARE = 0, 1
BUTTONS = 3


class Settings:
    """All of it; positions are virtual, as programs see them, and of a pixel 65536 parts."""

    #: Its numbers, and what they may be: the least and the most.
    RANGES: ClassVar[dict[str, tuple[int, int]]] = {
        "is_on": (0, 1), "shown": (-0x8000, 0), "mode": (0, 0xFF), "rows": (0, 0xFF),
        "x": (-(1 << 40), 1 << 40), "y": (-(1 << 40), 1 << 40), "buttons": (0, 7),
        "wheel": (-0x8000, 0x7FFF), "left": (-0x8000, 0x7FFF), "right": (-0x8000, 0x7FFF),
        "top": (-0x8000, 0x7FFF), "bottom": (-0x8000, 0x7FFF),
        "mickeys_x": (-0x8000, 0x7FFF), "mickeys_y": (-0x8000, 0x7FFF),
        "ratio_x": (1, 0x7FFF), "ratio_y": (1, 0x7FFF), "threshold": (0, 0xFFFF),
        "sensitivity_x": (0, 0xFFFF), "sensitivity_y": (0, 0xFFFF), "sensitivity_2": (0, 0xFFFF),
        "handler": (0, 0xFFFFFFFF), "events": (0, 0xFFFF), "page": (0, 0xFF),
        "kind": (0, 1), "screen_mask": (0, 0xFFFF), "cursor_mask": (0, 0xFFFF),
        "hot_x": (-0x8000, 0x7FFF), "hot_y": (-0x8000, 0x7FFF),
        "exclude_left": (-0x8000, 0x7FFF), "exclude_top": (-0x8000, 0x7FFF),
        "exclude_right": (-0x8000, 0x7FFF), "exclude_bottom": (-0x8000, 0x7FFF),
        "language": (0, 0xFF), "rate": (0, 0xFF),
    }  # fmt: skip

    def __init__(self) -> None:
        self.power_on()

    def power_on(self) -> None:
        """Off, as before the first call."""
        self.is_on = False
        #: The BIOS's mode, and rows of text, that all this is for.
        self.mode, self.rows = 3, 25
        self.buttons = self.language = self.rate = 0
        self.reset(639, 199)

    def reset(self, most_x: int, most_y: int) -> None:
        """As after function 00h in a mode of that size: hidden, in the middle."""
        #: How often it was hidden, below 0; 0: it is shown.
        self.shown, self.handler, self.events = -1, 0, 0
        self.threshold, self.page = 64, 0
        self.sensitivity_x = self.sensitivity_y = self.sensitivity_2 = 50
        self.ratio_x, self.ratio_y = 8, 16
        self.mickeys_x = self.mickeys_y = self.wheel = 0
        #: Of 05h and 06h: how often each button went down and up, and where that was last.
        self.presses = [(0, 0, 0)] * BUTTONS
        self.releases = [(0, 0, 0)] * BUTTONS
        self.for_mode(most_x, most_y)

    def for_mode(self, most_x: int, most_y: int) -> None:
        """What another mode changes: range, cursors, position."""
        self.left, self.right, self.top, self.bottom = 0, most_x, 0, most_y
        self.x, self.y = (most_x + 1) // 2 << 16, (most_y + 1) // 2 << 16
        self.kind, self.screen_mask, self.cursor_mask = SOFTWARE, 0xFFFF, 0x7700
        self.masks, self.hot_x, self.hot_y = ARROW, 0, 0
        self.include_all()

    def include_all(self) -> None:
        """The cursor is hidden nowhere: the area of function 10h is empty."""
        self.exclude_left = self.exclude_top = 0
        self.exclude_right = self.exclude_bottom = -1

    def excludes(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether a rectangle of virtual pixels touches the area of function 10h."""
        return (
            self.exclude_left < x + width and x <= self.exclude_right
            and self.exclude_top < y + height and y <= self.exclude_bottom
        )  # fmt: skip

    # As bytes, for functions 16h and 17h.

    def packed(self) -> bytes:
        """All of it."""
        return NUMBERS.pack(*self._numbers()) + COUNTS.pack(*self.counts()) + self.masks

    def unpack(self, data: bytes) -> None:
        """What `packed` gave; nothing, if it is not that."""
        numbers = NUMBERS.unpack_from(data)
        if not self._are_numbers(numbers):
            return
        self._set_numbers(numbers)
        self._set_counts(list(COUNTS.unpack_from(data, NUMBERS.size)))
        self.masks = data[NUMBERS.size + COUNTS.size : PACKED_BYTES]

    def _numbers(self) -> list[int]:
        return [int(getattr(self, name)) for name in self.RANGES]

    def _are_numbers(self, numbers: Iterable[int]) -> bool:
        ranges = zip(numbers, self.RANGES.values(), strict=True)
        return all(least <= number <= most for number, (least, most) in ranges)

    def _set_numbers(self, numbers: Iterable[int]) -> None:
        for name, number in zip(self.RANGES, numbers, strict=True):
            setattr(self, name, type(getattr(self, name))(number))

    def counts(self) -> list[int]:
        """Presses and releases: times, X and Y of each button."""
        return [number for row in (*self.presses, *self.releases) for number in row]

    def _set_counts(self, flat: list[int]) -> None:
        rows = [(flat[at], flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3)]
        self.presses, self.releases = rows[:BUTTONS], rows[BUTTONS:]

    def _set_masks(self, array: Array) -> None:
        self.masks = array.tobytes()

    def parts(self) -> dict[str, Part]:
        return {
            "bios.mouse": Part(
                "i8", self._numbers, lambda array: self._set_numbers(array.tolist()),
                lambda array: self._are_numbers(array.tolist()), absent=self.power_on,
            ),
            "bios.mouse_counts": Part(
                "i4", self.counts, lambda array: self._set_counts(array.tolist()),
                absent=lambda: None,
            ),
            "bios.mouse_masks": Part(
                "u1", lambda: list(self.masks), self._set_masks, absent=lambda: None
            ),
        }  # fmt: skip


NUMBERS = struct.Struct(f"<{len(Settings.RANGES)}q")
COUNTS = struct.Struct(f"<{6 * BUTTONS}h")
PACKED_BYTES = NUMBERS.size + COUNTS.size + MASK_BYTES
