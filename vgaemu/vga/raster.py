"""Raster: a field in which registers changed while the picture was drawn, as a `Scanout`.

Pure functions from what `timeline` kept to what is drawn. Colours change from the first pixel on
that begins at or after the write: *bands* of the picture, in the order of the beam, each with a
palette of its own. The CRTC's counters see a change at the end of its line; fonts, cursor shape and
address mode follow with the next line. A pixel of several dots changes as a whole, and where
something changes inside a row that is shown for several scan lines, the picture is scan lines.

Sources: as in `timeline`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.beam import Timing
from vgaemu.vga.border import border_bands
from vgaemu.vga.colours import dac_indices
from vgaemu.vga.crtc import Counters
from vgaemu.vga.dac import colours_of_entries
from vgaemu.vga.effects import (
    ATTRIBUTE,
    ATTRIBUTE_ADDRESS,
    COLOURS,
    COUNTERS,
    CRTC,
    DAC_ENTRY,
    DAC_MASK,
    LOOKS,
    SEQUENCER,
)
from vgaemu.vga.fieldlog import DOT_SHIFT, INDEX_SHIFT, Latched
from vgaemu.vga.kinds import Kind
from vgaemu.vga.registerfile import Held, HeldRegisters, RegisterFile, Vram
from vgaemu.vga.scanout import CrtcRows, Look, Raster, Scanout, scanout_of
from vgaemu.vga.timeline import Shown

#: Parts of an entry: source << 8 | index, and the value.
_REGISTER, _VALUE = 0xFFF, 0xFFFFFF
_SCREEN_OFF, _SHOWS, _RETRACE_ON = 0x20, 0x20, 0x80
#: A DAC that is left out.
NO_COLOURS = bytes(768)


class Entries(NamedTuple):
    """Some entries of a log in the order of time, an element each."""

    #: The first dot of the field that begins at the write or after it; or the band.
    places: NDArray[np.int64]
    #: source << 8 | index.
    registers: NDArray[np.int64]
    values: NDArray[np.int64]

    @staticmethod
    def read(packed: bytes) -> Entries:
        """What `timeline` packed."""
        numbers = np.frombuffer(packed, np.int64)
        registers = numbers >> INDEX_SHIFT & _REGISTER
        return Entries(numbers >> DOT_SHIFT, registers, numbers & _VALUE)

    def where(self, mask: NDArray[np.bool_]) -> Entries:
        """Some of them."""
        return Entries(self.places[mask], self.registers[mask], self.values[mask])

    def by_effect(self) -> Callable[[int], Entries]:
        """Gives those with some effects."""
        effects = _EFFECTS.take(self.registers)
        found = int(np.bitwise_or.reduce(effects))

        def of(wanted: int) -> Entries:
            if not found & ~wanted:
                return self  # in nearly all fields they are of one kind
            return self.where(effects & wanted != 0) if found & wanted else _NO_ENTRIES

        return of

    def at(self, lines: NDArray[np.intp]) -> zip[tuple[int, int, int]]:
        """Line, register and value of each."""
        columns = lines.tolist(), self.registers.tolist(), self.values.tolist()
        return zip(*columns, strict=True)


_NO_ENTRIES = Entries.read(b"")
#: Where the first band begins.
_BEGIN = np.zeros(1, np.intp)


class Palettes(NamedTuple):
    """Palettes of bands: where each begins, and what is not the same in all of them."""

    #: (n,) intp, in pixels of scan lines.
    starts: NDArray[np.intp]
    #: The first band's, by pixel value.
    first: NDArray[np.uint32]
    #: Pixel values that others have other colours for, and these: (m,) and (n, m).
    values: NDArray[np.intp]
    colours: NDArray[np.uint32]
    #: The border's colour when the field begins, and whether its DAC entry changes in the picture.
    border: int
    has_bars: bool


#: What a write changes: colours by the DAC, and by what stands before it; counters; looks.
_DAC, _BEFORE_DAC, _COUNTERS, _LOOKS = 1, 2, 4, 8


def _effects() -> NDArray[np.uint8]:
    """The above of each register: (4096,) by source << 8 | index."""
    found = np.zeros(_REGISTER + 1, np.uint8)
    for effect, bits in ((_BEFORE_DAC, COLOURS), (_COUNTERS, COUNTERS), (_LOOKS, LOOKS)):
        for source, registers in bits.items():
            found[[source << 8 | index for index in registers]] |= effect
    found[DAC_ENTRY << 8 : DAC_ENTRY + 1 << 8] = _DAC
    return found


_EFFECTS = _effects()


def field_scanout(
    shown: Shown,
    now: RegisterFile,
    timing: Timing,
    *,
    cursor_phase: bool = True,
    blink_phase: bool = True,
    border: bool = False,
    in_lines: bool = False,
) -> Scanout:
    """What a field shows.

    Args:
        shown: What is to be seen of it.
        now: What registers hold now.
        timing: How the CRTC counts it.
        cursor_phase: Which half of its blink the cursor is in.
        blink_phase: The same of blinking characters.
        border: Show it.
        in_lines: Draw scan lines, whether something changes inside a row or not.
    """
    drawn = partial(
        scanout_of,
        cursor_phase=cursor_phase,
        blink_phase=blink_phase,
        border=border,
        latched=shown.latched,
    )
    held, vram = shown.held, Vram(now.dispi.vram_bytes, now.layout)
    if held is None:
        return drawn(now, in_lines=in_lines)
    if not shown.entries:
        return drawn(HeldRegisters(held, vram), in_lines=in_lines)
    entries = Entries.read(shown.entries)
    of_effect = entries.by_effect()
    changes = _counters(held, of_effect(_COUNTERS), timing)
    base = _without_colours(
        held._replace(dac_entries=NO_COLOURS, dac_mask=0, dac_eight_bit=False), vram,
        shown.latched, changes, cursor_phase, blink_phase, border, in_lines,
    )  # fmt: skip
    if base.margins is not None:
        edge = border_bands(held, *entries, timing, base.width, base.margins)
        base = base._replace(edge=edge)
    if not held.crtc[0x17] & _RETRACE_ON:
        return base  # all of it is black
    starts, by_band = _bands(base, of_effect(_DAC | _BEFORE_DAC), timing)
    palettes = _palettes(base.kind, held, starts, by_band, blink_phase)
    looks = _looks(partial(drawn, changes=changes), held, vram, of_effect(_LOOKS), timing)
    return _in_rows(base, palettes, looks)


@lru_cache(maxsize=8)
def _without_colours(
    held: Held,
    vram: Vram,
    latched: Latched | None,
    changes: tuple[Counters, ...],
    cursor_phase: bool,
    blink_phase: bool,
    border: bool,
    in_lines: bool,
) -> Scanout:
    """The scanout of registers whose DAC is left out: from field to field only colours change."""
    return scanout_of(
        HeldRegisters(held, vram), cursor_phase=cursor_phase, blink_phase=blink_phase,
        border=border, latched=latched, changes=changes, in_lines=in_lines,
    )  # fmt: skip


def _in_rows(base: Scanout, palettes: Palettes, looks: dict[int, Scanout]) -> Scanout:
    """The picture in rows, or in scan lines where something changes inside a row."""
    rows, starts = _rows(base), palettes.starts
    repeat, width = rows.scan_lines_a_row, base.width
    if repeat > 1:
        inside = bool((starts % (width * repeat)).any())
        if inside or any(
            line % repeat or _rows(look).scan_lines_a_row != repeat for line, look in looks.items()
        ):
            base = base._replace(
                height=base.height * repeat, rows=rows._replace(scan_lines_a_row=1)
            )
            repeat = 1
        else:
            starts = starts // repeat
    first = palettes.first.tobytes()
    # Displays are told of one colour of what is not shown: of bars, where each field may begin with
    # another, that asked for all of the picture each time.
    border = 0 if palettes.has_bars and base.margins is None else palettes.border
    colours = base.colours._replace(border=border, blank=False)
    if len(starts) == 1 and not looks:
        return base._replace(colours=colours._replace(palette=first))
    return base._replace(
        colours=colours._replace(palette=b""),
        raster=Raster(
            starts.tobytes(),
            first,
            palettes.values.tobytes(),
            palettes.colours.tobytes(),
            tuple(_look(line // repeat, repeat, scanout) for line, scanout in looks.items()),
        ),
    )


def _counters(held: Held, entries: Entries, timing: Timing) -> tuple[Counters, ...]:
    """What the CRTC's counters look at, from line to line; nothing where that stays the same."""
    if not len(entries.places):
        return ()
    crtc, mode = bytearray(held.crtc), held.attribute[0x10]

    def at_end_of(line: int) -> Counters:
        row = crtc[0x09]
        compare = crtc[0x18] | (crtc[0x07] & 0x10) << 4 | (row & 0x40) << 3
        pitch = 2 * crtc[0x13]
        return Counters(line, compare, (row & 0x1F) + 1, row > 0x7F, pitch, mode & 0x20 != 0)

    found = [base := at_end_of(0)]
    for line, register, value in entries.at(entries.places // timing.dots_a_line):
        if register >> 8 == CRTC:
            crtc[register & 0xFF] = value
        else:
            mode = value
        counters = at_end_of(line)
        if found[-1].line == line:
            found[-1] = counters
        elif found[-1][1:] != counters[1:]:
            found.append(counters)
    return () if found == [base] else tuple(found)


@lru_cache(maxsize=8)
def _pixels_of_dots(dots_a_line: int, displayed_dots: int, width: int) -> NDArray[np.intp]:
    """The first pixel that begins at a dot of a line or after it: (dots_a_line,)."""
    return np.minimum(-(-np.arange(dots_a_line) * width // displayed_dots), width)


def _bands(base: Scanout, entries: Entries, timing: Timing) -> tuple[NDArray[np.intp], Entries]:
    """Where bands begin, in pixels of scan lines; and the entries in the picture, by band."""
    displayed_dots = round(timing.dots_a_line * timing.displayed_fraction)
    lines, dots = np.divmod(entries.places, timing.dots_a_line)
    places = _pixels_of_dots(timing.dots_a_line, displayed_dots, base.width).take(dots)
    lines *= base.width
    places += lines
    count = int(places.searchsorted(base.width * base.height * _rows(base).scan_lines_a_row))
    places = places[:count]
    new = np.empty(count, np.bool_)
    new[:1] = places[:1] > 0
    np.not_equal(places[1:], places[:-1], out=new[1:])
    starts = np.concatenate((_BEGIN, places[new]))
    return starts, Entries(new.cumsum(), entries.registers[:count], entries.values[:count])


def _palettes(
    kind: Kind, held: Held, starts: NDArray[np.intp], entries: Entries, blink_phase: bool
) -> Palettes:
    """What bands look like; one that looks as the one before is part of it."""
    of_effect = entries.by_effect()
    before_dac = of_effect(_BEFORE_DAC)
    states, indices, is_black = _attribute_states(kind, held, before_dac, len(starts), blink_phase)
    before = colours_of_entries(held.dac_entries, held.dac_eight_bit)
    entry, columns = _dac_columns(before, held.dac_eight_bit, of_effect(_DAC), len(starts))
    if len(indices) > 1 or is_black[0]:
        tables = np.repeat(before[None], len(starts), axis=0)
        tables[:, entry] = columns
        tables = np.take_along_axis(tables, indices[states], axis=1)
        tables[is_black[states]] = 0
        first = tables[0]
        values = (tables != first).any(axis=0).nonzero()[0]
        colours = tables[:, values]
    else:
        # Nearly all pixel values keep their colours.
        values, column = _shown_columns(indices[0], entry)
        colours = columns.take(column, axis=1)
        first = before.take(indices[0])
        first[values] = colours[0]
    new = np.ones(len(starts), np.bool_)
    np.not_equal(colours[1:], colours[:-1]).any(axis=1, out=new[1:])
    if not new.all():
        starts, colours = starts[new], colours[new]
    of_border = held.attribute[0x11] & held.dac_mask
    border = 0 if held.sequencer[1] & _SCREEN_OFF else int(before[of_border])
    return Palettes(starts, first, values, colours, border, of_border in entry)


def _shown_columns(
    indices: NDArray[np.intp], entry: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixel values that show one of some DAC entries, and which of them."""
    if len(entry) == 1:
        values = (indices == entry).nonzero()[0]
        return values, np.zeros(len(values), np.intp)
    column_of = np.full(256, -1)
    column_of[entry] = np.arange(len(entry))
    column = column_of.take(indices)
    values = (column >= 0).nonzero()[0]
    return values, column[values]


@lru_cache(maxsize=64)
def _indices(attribute: bytes, mask: int, kind: Kind, blink_phase: bool) -> NDArray[np.intp]:
    """The DAC entry of each pixel value."""
    return dac_indices(attribute, kind, blink_phase) & mask


def _attribute_states(
    kind: Kind, held: Held, entries: Entries, count: int, blink_phase: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """What attribute controller, PEL mask and "screen off" do: states that occur.

    Returns:
        The state of each of `count` bands; by state the DAC entry of each pixel value, (n, m), and
        whether all is black.
    """
    attribute, mask = bytearray(held.attribute), held.dac_mask
    off, shows = held.sequencer[1] & _SCREEN_OFF, held.attribute_address & _SHOWS
    numbers = {(bytes(attribute), mask, off == 0 and shows != 0): 0}
    states = np.zeros(count, np.intp)
    for band, register, value in entries.at(entries.places):
        source = register >> 8
        if source == ATTRIBUTE:
            attribute[register & 0xFF] = value
        elif source == DAC_MASK:
            mask = value
        elif source == SEQUENCER:
            off = value & _SCREEN_OFF
        else:
            assert source == ATTRIBUTE_ADDRESS
            shows = value
        state = bytes(attribute), mask, off == 0 and shows != 0
        states[band] = numbers.setdefault(state, len(numbers)) + 1
    if len(numbers) == 1:
        states[:] = 0
    else:  # where none is noted, that of the band before
        known = np.maximum.accumulate(np.where(states > 0, np.arange(count), 0))
        states = np.maximum(states[known] - 1, 0)
    indices = [_indices(values, mask, kind, blink_phase) for values, mask, _ in numbers]
    return states, np.stack(indices), np.array([not lit for _, _, lit in numbers])


def _dac_columns(
    before: NDArray[np.uint32], eight_bit: bool, entries: Entries, count: int
) -> tuple[NDArray[np.intp], NDArray[np.uint32]]:
    """DAC entries that change, (m,), and the colours of each in `count` bands, (count, m)."""
    bands, values = entries.places, entries.values
    entry, column = entries.registers & 0xFF, np.zeros(len(bands), np.intp)
    if (entry[1:] == entry[:-1]).all():  # nearly all bars are of one entry
        entry = entry[:1]
    else:
        entry, column = np.unique(entry, return_inverse=True)
    last = np.zeros((count, len(entry)), np.intp)
    last[bands, column] = np.arange(1, len(bands) + 1)  # of several in a band, the last one
    np.maximum.accumulate(last, axis=0, out=last)
    if not eight_bit:
        values = values << 2 & 0xFCFCFC | values >> 4 & 0x030303
    colours = np.zeros(1 + len(values), np.uint32)
    colours[1:] = values
    return entry, np.where(last > 0, colours.take(last), before.take(entry))


def _looks(
    drawn: partial[Scanout], held: Held, vram: Vram, entries: Entries, timing: Timing
) -> dict[int, Scanout]:
    """What lines look like from some on."""
    if not len(entries.places):
        return {}
    registers = HeldRegisters(held, vram)
    lines = entries.places // timing.dots_a_line + 1
    banks = {SEQUENCER: registers.sequencer, CRTC: registers.crtc, ATTRIBUTE: registers.attribute}
    last_of_line = np.diff(lines, append=-1) != 0
    looks, before = {}, drawn(registers)
    #: Most lines have what others had: programs turn things off and on again.
    known: dict[tuple[bytes, ...], Scanout] = {}
    for (line, register, value), complete in zip(entries.at(lines), last_of_line, strict=True):
        banks[register >> 8].values[register & 0xFF] = value
        if complete:
            values = tuple(bytes(bank.values) for bank in banks.values())
            look = known.get(values)
            if look is None:
                look = known[values] = drawn(registers)
            if look is not before and _look(0, 1, look) != _look(0, 1, before):
                looks[line] = before = look
    return looks


def _look(row: int, repeat: int, scanout: Scanout) -> Look:
    rows = _rows(scanout)._replace(scan_lines_a_row=repeat)
    return Look(row, rows, scanout.text, scanout.cursor, scanout.blink_shown)


def _rows(scanout: Scanout) -> CrtcRows:
    assert isinstance(scanout.rows, CrtcRows)
    return scanout.rows
