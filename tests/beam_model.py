"""A VGA that draws each scan line as the beam passes it: the measure of raster programs.

It shares neither code nor design with vgaemu. Registers at some moment, what was written since and
when, and VRAM go in; the dots of the last whole field come out. Each line runs the CRTC's counters
a step, and is drawn with the registers of its begin; each write draws the rest of its line anew.

Words: a *field* begins with the first displayed line, and ends with the last line that is
displayed; a *dot* is one of the dot clock, so that 40 columns have half as many and a pixel of 256
colours has two. Dot 0 is the first that is displayed. Positions are whole numbers: the first dot
that begins when a write is done, or later, is the first that shows it.

Drawn: text of 8 and 9 dots with two fonts, blink, underline and cursor; planar 16 colours; CGA's
shifts; 256 colours, chained or not; all of the CRTC's addressing, panning and splits. Left out:
DISPI, snow, display skew, SR01 bits 2 and 4, CR17 bits 2 and 3, CR14 bit 5, 9-dot graphics.

When a register is looked at:

- DAC (with an entry's third byte), PEL mask, attribute controller, screen off: with the next dot.
- SR03, CR14, CR17: with the next character. CR0A, CR0B: with the next line.
- CR0C, CR0D, CR08 bits 5-6, CR0E, CR0F: as the vertical retrace begins. AR13: as it ends.
  CR08 bits 0-4: with the first line.
- CR09, then CR18 and its two bits, then AR10 bit 5: at the end of each line, by equality alone.
  CR13: when a row ends there.
- All others that make a mode, its size or its timing: see `picture`.

Where the sources are silent, this is so:

- A pixel of 256 colours has the colour of its first dot, the border's likewise: AR10 bit 6 halves
  the DAC's clock.
- In graphics AR10 bit 3 makes bit 3 of a pixel, or of a nibble, 1; in the other half of the blink
  it is what it is not, or 0 of a plane that is not enabled.
- Horizontal blanking begins after character CR02 and ends with the one that it is compared with;
  vertical blanking likewise: both comparisons act on what follows.
- A write belongs to the dot that shows it first: one in the last dot of a line is too late for the
  comparisons at its end. Latches go by time itself.

Source: IBM PS/2 Hardware Interface Technical Reference; for when a write takes effect 86Box and
MartyPC, read for their facts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from beam_registers import Access, Registers, Timing, timing_of
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Dots = NDArray[np.uint32]


class Latched(NamedTuple):
    """What the CRTC looks at once a field."""

    start: int
    cursor: int
    pan: int
    preset_row: int

    @staticmethod
    def of(r: Registers) -> Latched:
        return Latched(r.start, r.cursor, r.pan, r.crtc[8] & 0x1F)


class Trace:
    """Writes carried out one after another on a copy of some registers."""

    def __init__(
        self,
        registers: Registers,
        accesses: Sequence[Access],
        timing: Timing,
        line_of: Callable[[int], int] | None = None,
    ) -> None:
        self.registers = copy.deepcopy(registers)
        self.timing = timing
        self._line_of = line_of or timing.line_of
        self._accesses = accesses
        self._done = 0

    def fork(self) -> Trace:
        """Another one that goes on from here."""
        other = copy.copy(self)
        other.registers = copy.deepcopy(self.registers)
        return other

    def next_before(self, line: int) -> int | None:
        """Carry out the next access if it ends before that line begins; the dot that shows it."""
        if self._done == len(self._accesses):
            return None
        access = self._accesses[self._done]
        if self._line_of(access.ns) >= line:
            return None
        self._done += 1
        self.registers.access(access)
        return self.timing.first_dot(access.ns)

    def run_to(self, line: int) -> None:
        """Carry out all that ends before that line begins."""
        while self.next_before(line) is not None:
            pass


def picture(
    registers: Registers,
    accesses: Sequence[Access],
    planes: NDArray[np.uint8],
    now_ns: int,
    *,
    blink_shown: bool = True,
    border: bool = False,
) -> Dots:
    """What a monitor shows at a moment: the last field that is whole, in VRAM as it is then.

    What the CRTC latches is the latest that it did. A field in which nothing that shows was
    written, or a mode was set, is no raster effect: all of it is drawn with the registers that the
    next one begins with, or those of now. After a mode was set since then, those of now count.

    Args:
        registers: Those at some moment two fields ago, or earlier.
        accesses: All since then, in their order.
        planes: (4, 65536) uint8.
        now_ns: The moment; nothing after it counts.
        blink_shown: Whether blinking text and the cursor are in the half that shows them.
        border: With the border around it. Of the field that is shown, its upper lines come before
            the first displayed one, its left dots before dot 0.

    Returns:
        (lines, dots) uint32 0x00RRGGBB.
    """
    accesses = [access for access in accesses if access.ns <= now_ns]
    last = copy.deepcopy(registers)
    for access in accesses:
        last.access(access)
    timing = timing_of(last)
    now = timing.line_of(now_ns)
    begin = (now - timing.shown_lines) // timing.lines * timing.lines
    latched = latches(Trace(registers, accesses, timing, timing.line_at), timing.line_at(now_ns))
    trace = Trace(registers, accesses, timing)
    around = trace.fork()
    trace.run_to(begin)
    following = min(begin + timing.lines, now + 1)
    shows = changes(trace, begin + timing.shown_lines, Registers.shown)
    if not shows or changes(trace, now + 1, Registers.mode):
        trace.run_to(following)
        trace.run_to(now + 1 if changes(trace, now + 1, Registers.mode) else following)
        around = trace = Trace(trace.registers, [], timing)
    shown = Field(trace, planes, latched, blink_shown).draw(begin)
    return with_border(around, begin, shown) if border else shown


def changes(trace: Trace, line: int, of: Callable[[Registers], object]) -> bool:
    """Whether something changes from here to the begin of a line."""
    ahead = trace.fork()
    before = of(ahead.registers)
    while ahead.next_before(line) is not None:
        if of(ahead.registers) != before:
            return True
    return False


def latches(trace: Trace, now: int) -> Latched:
    """What was latched last, by the line that the beam is in; setting a mode latches all."""
    timing, r = trace.timing, trace.registers
    latched, mode = Latched.of(r), r.mode()
    for line in range(now - 2 * timing.lines, now + 1):
        while trace.next_before(line) is not None:
            if r.mode() != mode:
                latched, mode = Latched.of(r), r.mode()
        of = Latched.of(r)
        if line % timing.lines == timing.retrace_begin:
            latched = latched._replace(start=of.start, cursor=of.cursor)
        if line % timing.lines == timing.retrace_end:
            latched = latched._replace(pan=of.pan)
        if line % timing.lines == 0:
            latched = latched._replace(preset_row=of.preset_row)
    return latched


class Field:
    """One field as the beam draws it."""

    def __init__(
        self, trace: Trace, planes: NDArray[np.uint8], latched: Latched, blink_shown: bool
    ) -> None:
        self._trace, self._timing, self._r = trace, trace.timing, trace.registers
        self._planes = planes.astype(np.intp)
        self._cursor, self._pan = latched.cursor, latched.pan
        self._blink_shown = blink_shown
        # The CRTC's counters.
        self._row_start, self._row_scan = latched.start, latched.preset_row
        self._shown_twice = False
        self._cursor_lines = range(0)

    def draw(self, begin: int) -> Dots:
        """Lines from `begin`, the first of the field."""
        timing, trace = self._timing, self._trace
        shown = np.zeros((timing.shown_lines, timing.shown_dots), np.uint32)
        for line, dots in enumerate(shown):
            self._cursor_lines = cursor_lines(self._r)
            first_dot = (begin + line) * timing.dots_a_line
            fetched, read_by = self._fetch(), fetch_registers(self._r)
            dots[:] = self._colour(fetched)
            drawn_with = self._r.shown()
            while (at := trace.next_before(begin + line + 1)) is not None:
                dot = at - first_dot
                if dot >= timing.shown_dots or self._r.shown() == drawn_with:
                    continue
                drawn_with = self._r.shown()
                if fetch_registers(self._r) != read_by:
                    read_by = fetch_registers(self._r)
                    character = -(-(dot + self._pan) // self._r.char_dots)
                    fetched[:, character:] = self._fetch()[:, character:]
                pixel = dot + (dot + self._pan) % 2 if self._r.is_wide else dot
                dots[pixel:] = self._colour(fetched)[pixel:]
            self._end_line(line)
        characters = blanked_characters(self._r)[: timing.shown_dots // self._r.char_dots]
        shown[:, characters.repeat(self._r.char_dots)] = 0
        shown[blanked_scan_lines(self._r, timing)[: timing.shown_lines]] = 0
        return shown

    def _end_line(self, line: int) -> None:
        """The counters, and then the line compare."""
        crtc = self._r.crtc
        if crtc[9] & 0x80 and not self._shown_twice:
            self._shown_twice = True
        else:
            self._shown_twice = False
            if self._row_scan == crtc[9] & 0x1F:
                self._row_scan = 0
                self._row_start += 2 * crtc[0x13]
            else:
                self._row_scan = self._row_scan + 1 & 0x1F
        if line == self._r.line_compare:
            self._row_start = self._row_scan = 0
            if self._r.attribute[0x10] & 0x20:
                self._pan = 0

    def _fetch(self) -> Numbers:
        """The four bytes of each character of this line; of text, bytes 2 and 3 are its dots.

        Returns:
            (4, characters) int, one character more than are shown.
        """
        r = self._r
        counter = self._row_start + np.arange(r.crtc[1] + 2) & 0xFFFF
        fetched = self._planes[:, plane_address(r, counter, self._row_scan)]
        if not r.is_text:
            return fetched
        character, attribute = fetched[:2]
        fonts = np.array([0x0000, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000])
        select = r.sequencer[3] if r.sequencer[4] & 2 else 0
        font_b, font_a = select & 3 | select >> 2 & 4, select >> 2 & 3 | select >> 3 & 4
        font = fonts[np.where(attribute & 8, font_a, font_b)]
        fetched[2] = self._planes[2, font + 32 * character + self._row_scan]
        fetched[3] = 0
        if self._row_scan == r.crtc[0x14] & 0x1F:
            fetched[3, attribute & 0x77 == 1] |= UNDERLINED
        if self._row_scan in self._cursor_lines and self._blink_shown:
            fetched[3, counter == self._cursor] |= CURSOR
        return fetched

    def _colour(self, fetched: Numbers) -> Dots:
        """The line's dots with the colours of now."""
        r = self._r
        dots = text_dots(r, fetched, self._blink_shown) if r.is_text else graphics_dots(r, fetched)
        dots = dots[self._pan :][: self._timing.shown_dots]
        dark = r.sequencer[1] & 0x20 or not r.attribute_index & 0x20 or not r.crtc[0x17] & 0x80
        return np.zeros(dots.shape, np.uint32) if dark else colours(r, self._blink_shown)[dots]


#: What draws a character of text as a solid block, in byte 3 of what is fetched.
UNDERLINED, CURSOR = 1, 2


def fetch_registers(r: Registers) -> tuple[int, ...]:
    """What changes with the next character."""
    return r.sequencer[3], r.crtc[0x14], r.crtc[0x17]


def cursor_lines(r: Registers) -> range:
    first, last = r.crtc[0x0A], r.crtc[0x0B]
    return range(0) if first & 0x20 else range(first & 0x1F, (last & 0x1F) + 1)


def plane_address(r: Registers, counter: Numbers, row_scan: int) -> Numbers:
    """Addresses within the planes of the CRTC's memory counter, 16 bits."""
    mode = r.crtc[0x17]
    if r.crtc[0x14] & 0x40:
        address = counter << 2 & 0xFFFC | counter >> 14 & 3
    elif mode & 0x40:
        address = counter
    else:
        address = counter << 1 & 0xFFFE | counter >> (15 if mode & 0x20 else 13) & 1
    for bit, place in ((0, 13), (1, 14)):
        if not mode >> bit & 1:
            address = address & ~(1 << place) | (row_scan >> bit & 1) << place
    return address


def text_dots(r: Registers, fetched: Numbers, blink_shown: bool) -> Numbers:
    """Numbers of colours, 0 to 15, of each dot of a line of text."""
    character, attribute, pattern, solid = (row[:, None] for row in fetched)
    dots = pattern >> np.arange(7, -1, -1) & 1
    if r.char_dots == 9:
        copies = (character & 0xE0 == 0xC0) & bool(r.attribute[0x10] & 4)
        dots = np.hstack((dots, dots[:, 7:] & copies))
    dots = np.where(solid & UNDERLINED, 1, dots)
    back = attribute >> 4
    if r.attribute[0x10] & 8:
        back = back & 7
        if not blink_shown:
            dots = np.where(attribute & 0x80, 0, dots)
    dots = np.where(solid & CURSOR, 1, dots)
    return np.where(dots, attribute & 15, back).ravel()


def graphics_dots(r: Registers, fetched: Numbers) -> Numbers:
    """Numbers of colours of each dot: 0 to 15, or 0 to 255 where pixels have two dots."""
    places = np.arange(7, -1, -1)
    if r.graphics[5] & 0x40:  # nibbles, the high one first, of planes 0, 1, 2, 3
        dots = np.stack((fetched >> 4, fetched & 15), 1).reshape(8, -1).T
    elif r.graphics[5] & 0x20:  # pairs of bits: low ones of planes 0, 1, high ones of 2, 3
        low, high = (
            pair[..., None] >> np.arange(6, -1, -2) & 3 for pair in (fetched[:2], fetched[2:])
        )
        dots = (low | high << 2).transpose(1, 0, 2)
    else:
        dots = sum((plane[:, None] >> places & 1) << nth for nth, plane in enumerate(fetched))
    dots = dots.ravel()
    if r.is_wide:
        dots = np.repeat(dots[::2] << 4 | dots[1::2], 2)
    return dots


def colours(r: Registers, blink_shown: bool) -> Dots:
    """Colours by number: (256,) where pixels have two dots, else (16,)."""
    attribute = r.attribute
    pixels = np.arange(16) & attribute[0x12]
    if attribute[0x10] & 8 and not r.is_text:
        pixels = pixels | 8 if blink_shown else pixels ^ attribute[0x12] & 8
    palette = np.array(attribute[:16])[pixels]
    if r.is_wide:
        index = ((palette & 15)[:, None] << 4 | palette & 15).ravel()
    elif attribute[0x10] & 0x80:
        index = (attribute[0x14] & 0x0F) << 4 | palette & 0x0F
    else:
        index = (attribute[0x14] & 0x0C) << 4 | palette & 0x3F
    return r.dac[index & r.mask]


def with_border(trace: Trace, begin: int, shown: Dots) -> Dots:
    """A field's picture and the border around it, as the beam draws that."""
    timing = trace.timing
    (left, right), (top, bottom) = border_sizes(trace.registers, timing)
    # All dots from the line before the first on, one after another.
    first = (begin - top - 1) * timing.dots_a_line
    trace.run_to(begin - top - 1)
    lines = top + timing.shown_lines + bottom
    dots = np.zeros((lines + 1) * timing.dots_a_line, np.uint32)
    dots[:] = border_colour(trace.registers)
    while (at := trace.next_before(begin + timing.shown_lines + bottom)) is not None:
        if trace.registers.is_wide:
            at += at % timing.dots_a_line % 2
        dots[max(at - first, 0) :] = border_colour(trace.registers)
    rows = dots.reshape(lines + 1, timing.dots_a_line)
    before = rows[:-1, timing.dots_a_line - left :]
    framed = np.hstack((before, rows[1:, : timing.shown_dots + right]))
    framed[top : top + timing.shown_lines, left : left + timing.shown_dots] = shown
    return framed


def border_colour(r: Registers) -> int:
    dark = r.sequencer[1] & 0x20 or not r.crtc[0x17] & 0x80
    return 0 if dark else int(r.dac[r.attribute[0x11] & r.mask])


def border_sizes(r: Registers, timing: Timing) -> tuple[tuple[int, int], tuple[int, int]]:
    """Dots at the left and right, lines above and below."""
    characters, lines = blanked_characters(r), blanked_scan_lines(r, timing)
    across = sizes_of(characters, timing.shown_dots // r.char_dots)
    return (across[0] * r.char_dots, across[1] * r.char_dots), sizes_of(lines, timing.shown_lines)


def sizes_of(dark: NDArray[np.bool_], shown: int) -> tuple[int, int]:
    """Counts before the first that is displayed, and after the last, that are not blanked."""
    after = dark[shown:]
    return int(after[::-1].argmax()), int(after.argmax())


def blanked_characters(r: Registers) -> NDArray[np.bool_]:
    crtc = r.crtc
    return blanked(crtc[2], crtc[3] & 0x1F | (crtc[5] & 0x80) >> 2, 0x3F, crtc[0] + 5)


def blanked_scan_lines(r: Registers, timing: Timing) -> NDArray[np.bool_]:
    crtc = r.crtc
    begin = crtc[0x15] | (crtc[7] & 8) << 5 | (crtc[9] & 0x20) << 4
    return blanked(begin, crtc[0x16], 0x7F, timing.lines)


def blanked(begin: int, end: int, mask: int, total: int) -> NDArray[np.bool_]:
    """Which of `total` counts come after `begin`, up to one that equals `end` in some bits.

    It goes on where the count begins anew. A begin that is never counted blanks nothing.
    """
    dark = np.zeros(total, np.bool_)
    if begin < total:
        for nth in range(begin + 1, begin + 1 + total):
            dark[nth % total] = True
            if nth % total & mask == end & mask:
                break
    return dark
