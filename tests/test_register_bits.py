"""Every register bit has an effect of its own, or a reason for none."""

from random import Random

import numpy as np
import pytest

from vgaemu.vga.colours import IDENTITY, dac_indices
from vgaemu.vga.kinds import Kind

# The colour path: pixel values to entries of the DAC.

BIOS_PALETTE = (0, 1, 2, 3, 4, 5, 0x14, 7, *range(0x38, 0x40))


def attribute_bytes(palette=tuple(range(16)), mode=0x01, planes=0x0F, select=0):
    return bytes((*palette, mode, 0, planes, 0, select))


def entry_of(value, kind, attribute, *, shown):
    """The entry of one pixel value, a nibble at a time."""
    mode, planes, select = attribute[0x10], attribute[0x12] & 0x0F, attribute[0x14]

    def looked_up(nibble):
        nibble &= planes
        if mode & 0x08 and kind is not Kind.TEXT:
            nibble = nibble | 8 if shown else nibble ^ 8
        return attribute[nibble]

    if kind is Kind.BYTES:
        high, low = (attribute[nibble & planes] & 15 for nibble in (value >> 4, value & 15))
        return high << 4 | low
    if mode & 0x80:
        return select << 4 | looked_up(value) & 0x0F
    return (select & 0x0C) << 4 | looked_up(value)


@pytest.mark.parametrize(
    "kind", [Kind.TEXT, Kind.PLANAR, Kind.INTERLEAVE, Kind.NIBBLES, Kind.BYTES]
)
def test_pixel_values_go_through_the_attribute_controller_bit_by_bit(kind):
    chance = Random(kind.value)
    for _ in range(40):
        attribute = attribute_bytes(
            [chance.randrange(64) for _ in range(16)],
            chance.choice((0x01, 0x09, 0x81, 0x89)),
            chance.randrange(16),
            chance.randrange(16),
        )
        shown = chance.random() < 0.5
        indices = dac_indices(attribute, kind, shown)
        values = range(256 if kind is Kind.BYTES else 16)
        assert indices.tolist() == [entry_of(v, kind, attribute, shown=shown) for v in values]


@pytest.mark.parametrize("mode", [0x41, 0xC1])
@pytest.mark.parametrize("select", [0, 0x0F])
def test_the_usual_palette_of_256_colours_passes_pixel_values_on(mode, select):
    attribute = attribute_bytes(mode=mode, select=select)
    assert dac_indices(attribute, Kind.BYTES, True) is IDENTITY
    assert IDENTITY.tolist() == list(range(256))


@pytest.mark.parametrize(("kind", "count"), [(Kind.LINEAR_8, 256), (Kind.LINEAR_32, 0)])
def test_linear_modes_leave_the_attribute_palette_out(kind, count):
    attribute = attribute_bytes(BIOS_PALETTE[::-1], planes=0, select=5)
    indices = dac_indices(attribute, kind, True)
    assert np.array_equal(indices, IDENTITY[:count])
