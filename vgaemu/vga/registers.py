"""VGA registers as tables: one row each, with its writable bits and named fields.

A number that does not fit its register goes on in bits of others. It is a row of a second table, a
`Split`, made of the fields by name; whoever reads or writes it sees one field.

Emulated: the sequencer (3C4h/3C5h), CRTC (3D4h/3D5h or 3B4h/3B5h), graphics controller
(3CEh/3CFh) and attribute controller (3C0h/3C1h) of an IBM VGA, and its miscellaneous output
register (3C2h/3CCh). Unused bits and unused indexes read back as 0. The DAC and DISPI have files of
their own.

Sources: IBM PS/2 Hardware Interface Technical Reference (video subsystem); names after FreeVGA.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from vgaemu.native.shared import BANK_INDEX, BANK_NUMBERS, BANK_TAKES_DATA


@dataclass(frozen=True)
class Field:
    """Some bits of a register."""

    name: str
    lsb: int
    width: int = 1

    @property
    def mask(self) -> int:
        """The field's bits where they lie in the register."""
        return ((1 << self.width) - 1) << self.lsb


@dataclass(frozen=True)
class Register:
    """One row: index, name, writable bits, fields. Without fields it is one field of all bits."""

    index: int
    name: str
    mask: int
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table whose fields overlap or leave the writable bits."""
        seen = 0
        for field in self.fields:
            if field.mask & seen or field.mask & ~self.mask:
                raise ValueError(
                    f"{self.name}.{field.name}: bits {field.mask:#04x} overlap another field or "
                    f"leave the register's {self.mask:#04x}"
                )
            seen |= field.mask
        if self.fields and seen != self.mask:
            raise ValueError(f"{self.name}: bits {self.mask & ~seen:#04x} have no field")


@dataclass(frozen=True)
class Split:
    """A number in several fields of one bank, its lowest bits in the first."""

    name: str
    fields: tuple[str, ...]


class Part(NamedTuple):
    """Bits of a register, and how far up in the number they stand."""

    register: int
    lsb: int
    mask: int
    shift: int


class Place(tuple[Part, ...]):
    """Where a field or a split lies, lowest bits first."""

    __slots__ = ()

    def read(self, values: Sequence[int]) -> int:
        """The number, from a bank's values by index.

        >>> CRTC_PLACES["vertical_display_end"].read(bytes([0] * 7 + [0x42] + [0] * 10 + [0x8F]))
        911
        """
        number = 0
        for n, lsb, mask, shift in self:
            number |= (values[n] >> lsb & mask) << shift
        return number

    def write(self, values: MutableSequence[int], number: int) -> None:
        """Put a number into a bank's values; bits that have no place are dropped."""
        for n, lsb, mask, shift in self:
            values[n] = values[n] & ~(mask << lsb) | (number >> shift & mask) << lsb


def places_of(
    bank: str, rows: Iterable[Register], splits: Iterable[Split] = ()
) -> Mapping[str, Place]:
    """Where each field and each split of a table lies, by name. A row without fields is one.

    Raises:
        ValueError: Two rows share an index or two fields a name; a split asks for a field that is
            not there or is another split's.
    """
    places: dict[str, Place] = {}

    def add(name: str, parts: Iterable[Part]) -> None:
        if name in places:
            raise ValueError(f"{bank}: field {name} has two places")
        places[name] = Place(parts)

    indexes = set()
    for row in rows:
        if row.index in indexes:
            raise ValueError(f"{bank}: index {row.index:#04x} has two rows")
        indexes.add(row.index)
        for field in row.fields or (Field(row.name, 0, row.mask.bit_length()),):
            add(field.name, [Part(row.index, field.lsb, (1 << field.width) - 1, 0)])
    free = set(places)
    for split in splits:
        parts, shift = [], 0
        for name in split.fields:
            if name not in free:
                raise ValueError(f"{bank}: {split.name} has no field {name}, or shares it")
            free.remove(name)
            parts += [part._replace(shift=shift) for part in places[name]]
            shift += parts[-1].mask.bit_length()
        add(split.name, parts)
    return places


# fmt: off
SEQUENCER: Sequence[Register] = (
    #        index name                      mask  fields (lsb, width)
    Register(0x00, "reset",                  0x03),
    Register(0x01, "clocking_mode",          0x3D, (Field("dots_8", 0), Field("load_every_2nd", 2),
                                                    Field("half_dot_clock", 3), Field("load_every_4th", 4),
                                                    Field("screen_off", 5))),
    Register(0x02, "map_mask",               0x0F),
    Register(0x03, "character_map",          0x3F, (Field("map_b_low", 0, 2), Field("map_a_low", 2, 2),
                                                    Field("map_b_high", 4), Field("map_a_high", 5))),
    Register(0x04, "memory_mode",            0x0E, (Field("extended_memory", 1), Field("odd_even_off", 2),
                                                    Field("chain4", 3))),
)

CRTC: Sequence[Register] = (
    Register(0x00, "horizontal_total",       0xFF),  # characters, minus 5
    Register(0x01, "horizontal_display_end", 0xFF),  # characters, minus 1
    Register(0x02, "horizontal_blank_start", 0xFF),
    Register(0x03, "horizontal_blank_end",   0xFF, (Field("hblank_end_low", 0, 5), Field("display_skew", 5, 2),
                                                    Field("compatible_read", 7))),
    Register(0x04, "horizontal_retrace_start", 0xFF),
    Register(0x05, "horizontal_retrace_end", 0xFF, (Field("hretrace_end", 0, 5), Field("hretrace_skew", 5, 2),
                                                    Field("hblank_end_bit5", 7))),
    Register(0x06, "vertical_total_low",     0xFF),  # scan lines, minus 2
    Register(0x07, "overflow",               0xFF, (Field("vtotal_bit8", 0), Field("vdisplay_bit8", 1),
                                                    Field("vretrace_bit8", 2), Field("vblank_bit8", 3),
                                                    Field("line_compare_bit8", 4), Field("vtotal_bit9", 5),
                                                    Field("vdisplay_bit9", 6), Field("vretrace_bit9", 7))),
    Register(0x08, "preset_row_scan",        0x7F, (Field("preset_row", 0, 5), Field("byte_panning", 5, 2))),
    Register(0x09, "maximum_scan_line",      0xFF, (Field("max_scan_line", 0, 5), Field("vblank_bit9", 5),
                                                    Field("line_compare_bit9", 6), Field("double_scan", 7))),
    Register(0x0A, "cursor_start",           0x3F, (Field("cursor_first_line", 0, 5), Field("cursor_off", 5))),
    Register(0x0B, "cursor_end",             0x7F, (Field("cursor_last_line", 0, 5), Field("cursor_skew", 5, 2))),
    Register(0x0C, "start_address_high",     0xFF),
    Register(0x0D, "start_address_low",      0xFF),
    Register(0x0E, "cursor_location_high",   0xFF),
    Register(0x0F, "cursor_location_low",    0xFF),
    Register(0x10, "vertical_retrace_start_low", 0xFF),
    Register(0x11, "vertical_retrace_end",   0xFF, (Field("vretrace_end", 0, 4), Field("vretrace_irq_clear", 4),
                                                    Field("vretrace_irq_off", 5), Field("refresh_5_cycles", 6),
                                                    Field("protect", 7))),
    Register(0x12, "vertical_display_end_low", 0xFF),  # scan lines, minus 1
    Register(0x13, "offset",                 0xFF),  # row to row, in 2 characters
    Register(0x14, "underline_location",     0x7F, (Field("underline_line", 0, 5), Field("count_by_4", 5),
                                                    Field("dword_addressing", 6))),
    Register(0x15, "vertical_blank_start_low", 0xFF),
    Register(0x16, "vertical_blank_end",     0xFF),
    Register(0x17, "mode_control",           0xEF, (Field("no_row_bit0_as_a13", 0), Field("no_row_bit1_as_a14", 1),
                                                    Field("retrace_by_2", 2), Field("count_by_2", 3),
                                                    Field("address_wrap", 5), Field("byte_addressing", 6),
                                                    Field("retrace_on", 7))),
    Register(0x18, "line_compare_low",       0xFF),
)

GRAPHICS: Sequence[Register] = (
    Register(0x00, "set_reset",              0x0F),
    Register(0x01, "enable_set_reset",       0x0F),
    Register(0x02, "colour_compare",         0x0F),
    Register(0x03, "data_rotate",            0x1F, (Field("rotate", 0, 3), Field("function", 3, 2))),
    Register(0x04, "read_map",               0x03),
    Register(0x05, "graphics_mode",          0x7B, (Field("write_mode", 0, 2), Field("read_mode", 3),
                                                    Field("odd_even_read", 4), Field("interleave", 5),
                                                    Field("shift_256", 6))),
    Register(0x06, "miscellaneous",          0x0F, (Field("graphics", 0), Field("chain_odd_even", 1),
                                                    Field("memory_map", 2, 2))),
    Register(0x07, "colour_dont_care",       0x0F),
    Register(0x08, "bit_mask",               0xFF),
)

ATTRIBUTE: Sequence[Register] = (
    *(Register(i, f"palette_{i:x}",          0x3F) for i in range(16)),
    Register(0x10, "mode_control",           0xEF, (Field("attribute_graphics", 0), Field("mono", 1),
                                                    Field("line_graphics", 2), Field("blink", 3),
                                                    Field("split_pan_off", 5), Field("pixel_8_bit", 6),
                                                    Field("p54_select", 7))),
    Register(0x11, "overscan_colour",        0xFF),
    Register(0x12, "plane_enable",           0x3F, (Field("planes_shown", 0, 4), Field("status_mux", 4, 2))),
    Register(0x13, "pel_panning",            0x0F),
    Register(0x14, "colour_select",          0x0F),
)

MISC_OUTPUT = Register(0x00, "misc_output",  0xEF, (Field("colour_ports", 0), Field("ram_enable", 1),
                                                    Field("clock_select", 2, 2), Field("odd_even_page", 5),
                                                    Field("hsync_negative", 6), Field("vsync_negative", 7)))

SEQUENCER_SPLITS: Sequence[Split] = (
    # Fonts of attribute bit 3 = 0 and 1, as `FONT_ADDRESS` counts them.
    Split("map_b",                  ("map_b_low", "map_b_high")),
    Split("map_a",                  ("map_a_low", "map_a_high")),
)
CRTC_SPLITS: Sequence[Split] = (
    Split("hblank_end",             ("hblank_end_low", "hblank_end_bit5")),
    Split("vertical_total",         ("vertical_total_low", "vtotal_bit8", "vtotal_bit9")),
    Split("start_address",          ("start_address_low", "start_address_high")),
    Split("cursor_location",        ("cursor_location_low", "cursor_location_high")),
    Split("vertical_retrace_start", ("vertical_retrace_start_low", "vretrace_bit8", "vretrace_bit9")),
    Split("vertical_display_end",   ("vertical_display_end_low", "vdisplay_bit8", "vdisplay_bit9")),
    Split("vertical_blank_start",   ("vertical_blank_start_low", "vblank_bit8", "vblank_bit9")),
    Split("line_compare",           ("line_compare_low", "line_compare_bit8", "line_compare_bit9")),
)
# fmt: on

SEQUENCER_PLACES = places_of("sequencer", SEQUENCER, SEQUENCER_SPLITS)
CRTC_PLACES = places_of("crtc", CRTC, CRTC_SPLITS)
GRAPHICS_PLACES = places_of("graphics", GRAPHICS)
ATTRIBUTE_PLACES = places_of("attribute", ATTRIBUTE)
MISC_PLACES = places_of("misc", (MISC_OUTPUT,))


class Table(NamedTuple):
    """A bank's registers, where their fields lie, and the bits that its index register has."""

    rows: Sequence[Register]
    places: Mapping[str, Place]
    index_mask: int = 0xFF


TABLES = {
    "misc": Table((MISC_OUTPUT,), MISC_PLACES),
    "sequencer": Table(SEQUENCER, SEQUENCER_PLACES, 0x07),
    "crtc": Table(CRTC, CRTC_PLACES),
    "graphics": Table(GRAPHICS, GRAPHICS_PLACES, 0x0F),
    "attribute": Table(ATTRIBUTE, ATTRIBUTE_PLACES),
}

#: GR06 bits 2-3 (``memory_map``) -> first byte and size of the window onto VRAM.
WINDOWS = ((0xA0000, 0x20000), (0xA0000, 0x10000), (0xB0000, 0x8000), (0xB8000, 0x8000))


#: A field at hand: register, lowest bit and mask of its first part, and the others.
Looked: TypeAlias = tuple[int, int, int, Sequence[Part]]


@lru_cache(maxsize=len(TABLES))
def _looked_up(name: str) -> tuple[bytes, Mapping[str, Looked]]:
    """A bank's writable bits by index, and its fields: nearly all are of one part."""
    rows, places, _ = TABLES[name]
    masks = bytearray(max(row.index for row in rows) + 1)
    for row in rows:
        masks[row.index] = row.mask
    return bytes(masks), {
        field: (first.register, first.lsb, first.mask, rest)
        for field, (first, *rest) in places.items()
    }


class RegisterBank:
    """The registers of one of `TABLES`: an index, the values, and their fields by name.

    ``bank["chain4"]`` reads a field, ``bank["line_compare"]`` a split, ``bank.values[4]`` a whole
    register.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows, _, self.index_mask = TABLES[name]
        self.masks, self._places = _looked_up(name)
        self.values = bytearray(len(self.masks))
        #: Index, and the attribute controller's flip-flop: native code's, too.
        self.numbers = bytearray(BANK_NUMBERS)

    @property
    def index(self) -> int:
        """The index register."""
        return self.numbers[BANK_INDEX]

    @index.setter
    def index(self, value: int) -> None:
        self.numbers[BANK_INDEX] = value

    @property
    def takes_data(self) -> bool:
        """Whether the attribute controller takes what is written next for data."""
        return bool(self.numbers[BANK_TAKES_DATA])

    @takes_data.setter
    def takes_data(self, takes: bool) -> None:
        self.numbers[BANK_TAKES_DATA] = takes

    def select(self, value: int) -> None:
        """Write the index register."""
        self.numbers[BANK_INDEX] = value & self.index_mask

    def __getitem__(self, name: str) -> int:
        """Value of a field, of a split, or of a register that has no fields."""
        index, lsb, mask, rest = self._places[name]
        number = self.values[index] >> lsb & mask
        if rest:
            values = self.values
            for index, lsb, mask, shift in rest:
                number |= (values[index] >> lsb & mask) << shift
        return number

    def write(self, index: int, value: int) -> bool:
        """Store a register's writable bits, if there is one, and say whether that changed it."""
        if index >= len(self.values):
            return False
        value &= self.masks[index]
        if self.values[index] == value:
            return False
        self.values[index] = value
        return True

    def changes(self, index: int, value: int) -> int:
        """The bits of a register that `write` would change; 0 where there is none."""
        if index >= len(self.values):
            return 0
        return (value ^ self.values[index]) & self.masks[index]

    def read(self, index: int) -> int:
        """Value of a register; 0 where there is none."""
        return self.values[index] if index < len(self.values) else 0
