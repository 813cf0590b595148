"""Properties of the text-art fonts in assets/fonts (code page 437 in three cell heights)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from vgaemu.assets import asset
from vgaemu.vga.codepage import CHARACTERS
from vgaemu.vga.font import bundled_font

Glyph = NDArray[np.bool_]  # (height, 8), True = ink

BLANKS = {0x00, 0x20, 0xFF}
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
X_HEIGHT_LETTERS = "acegmnopqrsuvwxyz"
ASCENDERS = "bdfhkl"
DESCENDERS = "gjpqy"

# Weight (0 none, 1 single, 2 double) of the arms up, down, left, right.
BOX_ARMS: dict[int, tuple[int, int, int, int]] = {
    0xB3: (1, 1, 0, 0), 0xB4: (1, 1, 1, 0), 0xB5: (1, 1, 2, 0), 0xB6: (2, 2, 1, 0),
    0xB7: (0, 2, 1, 0), 0xB8: (0, 1, 2, 0), 0xB9: (2, 2, 2, 0), 0xBA: (2, 2, 0, 0),
    0xBB: (0, 2, 2, 0), 0xBC: (2, 0, 2, 0), 0xBD: (2, 0, 1, 0), 0xBE: (1, 0, 2, 0),
    0xBF: (0, 1, 1, 0), 0xC0: (1, 0, 0, 1), 0xC1: (1, 0, 1, 1), 0xC2: (0, 1, 1, 1),
    0xC3: (1, 1, 0, 1), 0xC4: (0, 0, 1, 1), 0xC5: (1, 1, 1, 1), 0xC6: (1, 1, 0, 2),
    0xC7: (2, 2, 0, 1), 0xC8: (2, 0, 0, 2), 0xC9: (0, 2, 0, 2), 0xCA: (2, 0, 2, 2),
    0xCB: (0, 2, 2, 2), 0xCC: (2, 2, 0, 2), 0xCD: (0, 0, 2, 2), 0xCE: (2, 2, 2, 2),
    0xCF: (1, 0, 2, 2), 0xD0: (2, 0, 1, 1), 0xD1: (0, 1, 2, 2), 0xD2: (0, 2, 1, 1),
    0xD3: (2, 0, 0, 1), 0xD4: (1, 0, 0, 2), 0xD5: (0, 1, 0, 2), 0xD6: (0, 2, 0, 1),
    0xD7: (2, 2, 1, 1), 0xD8: (1, 1, 2, 2), 0xD9: (1, 0, 1, 0), 0xDA: (0, 1, 0, 1),
}  # fmt: skip

# Separate strokes of a glyph; 1 unless listed.  A line that should stop at the near one of two
# parallel lines, or the two bends of a double corner, must not run together.
BOX_STROKES: dict[int, int] = {
    0xB6: 2, 0xB9: 3, 0xBA: 2, 0xBB: 2, 0xBC: 2, 0xC7: 2, 0xC8: 2, 0xC9: 2, 0xCA: 3,
    0xCB: 3, 0xCC: 3, 0xCD: 2, 0xCE: 4, 0xCF: 2, 0xD1: 2,
}  # fmt: skip

ACCENTED_LOWER: dict[int, str] = {
    0x81: "u", 0x82: "e", 0x83: "a", 0x84: "a", 0x85: "a", 0x86: "a", 0x88: "e", 0x89: "e",
    0x8A: "e", 0x8B: "i", 0x8C: "i", 0x8D: "i", 0x93: "o", 0x94: "o", 0x95: "o", 0x96: "u",
    0x97: "u", 0x98: "y", 0xA0: "a", 0xA1: "i", 0xA2: "o", 0xA3: "u", 0xA4: "n",
}  # fmt: skip
ACCENTED_CAPITALS: dict[int, str] = {
    0x8E: "A", 0x8F: "A", 0x90: "E", 0x99: "O", 0x9A: "U", 0xA5: "N",
}  # fmt: skip
CEDILLAS: dict[int, str] = {0x80: "C", 0x87: "c"}


@dataclass(frozen=True)
class Metrics:
    """The vertical layout of one font; rows count from 0 at the top."""

    height: int
    cap_top: int  # first ink row of capitals, digits and ascenders
    x_top: int  # first ink row of lower-case letters without ascender
    baseline: int  # last ink row of everything without descender
    descent: int  # last ink row of g, j, p, q, y
    single_row: int  # the single horizontal line
    double_rows: tuple[int, int]  # the double horizontal line
    squeezed_top: int  # first row of an accented capital that is clear of its accent


METRICS: dict[str, Metrics] = {
    "8x8": Metrics(8, 0, 2, 6, 7, 3, (2, 4), 2),
    "8x14": Metrics(14, 2, 5, 10, 13, 6, (5, 7), 3),
    "8x16": Metrics(16, 2, 5, 11, 14, 7, (6, 8), 3),
}
SINGLE_COLUMNS = (3, 4)
DOUBLE_COLUMNS = (1, 2, 5, 6)


@dataclass(frozen=True)
class Font:
    """One bundled font: its art as text, and its glyphs by code as the emulator loads them."""

    metrics: Metrics
    text: str
    glyphs: dict[int, Glyph]

    def __getitem__(self, key: int | str) -> Glyph:
        """Return the glyph of a code, or of an ASCII character."""
        return self.glyphs[ord(key) if isinstance(key, str) else key]


def parse_strictly(text: str, height: int) -> tuple[list[str], list[Glyph]]:
    """Take a font file apart: comments, then blocks of header, rows and one empty line."""
    lines = text.split("\n")
    while lines[0].startswith("; "):
        lines.pop(0)
    assert lines.pop() == "", "the file ends with a line feed"
    assert len(lines) % (height + 2) == 0, "every block has the same number of lines"
    names: list[str] = []
    glyphs: list[Glyph] = []
    for start in range(0, len(lines), height + 2):
        head, *rows, gap = lines[start : start + height + 2]
        word, code, name = head.split(" ", 2)
        assert (word, gap) == ("glyph", ""), f"malformed block at {head!r}"
        assert code == f"{len(names):02X}", f"{head!r} is out of order"
        assert all(len(row) == 8 and set(row) <= {".", "#"} for row in rows), head
        names.append(name)
        glyphs.append(np.array([[dot == "#" for dot in row] for row in rows]))
    return names, glyphs


@pytest.fixture(scope="module", params=list(METRICS))
def font(request: pytest.FixtureRequest) -> Font:
    metrics = METRICS[request.param]
    text = asset(f"fonts/cp437-{request.param}.txt").read_text(encoding="ascii")
    bits = np.unpackbits(bundled_font(metrics.height)[..., np.newaxis], axis=2).astype(bool)
    return Font(metrics, text, dict(enumerate(bits)))


def ink_rows(glyph: Glyph) -> list[int]:
    return np.flatnonzero(glyph.any(axis=1)).tolist()


def ink_columns(glyph: Glyph) -> list[int]:
    return np.flatnonzero(glyph.any(axis=0)).tolist()


def marked(line: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(line).tolist())


def stroke_count(glyph: Glyph) -> int:
    """Count the 4-connected pieces of ink."""
    left = {(int(row), int(column)) for row, column in np.argwhere(glyph)}
    count = 0
    while left:
        count += 1
        front = [left.pop()]
        while front:
            row, column = front.pop()
            near = {(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)}
            front.extend(near & left)
            left -= near
    return count


def is_row_subsequence(part: Glyph, whole: Glyph) -> bool:
    """Tell whether `part` is `whole` with some rows left out."""
    remaining: Iterable[bytes] = iter([row.tobytes() for row in whole])
    return all(row.tobytes() in remaining for row in part)


def period(glyph: Glyph, axis: int) -> int:
    """Return the smallest cyclic period of a glyph along an axis."""
    size = glyph.shape[axis]
    shifts = range(1, size + 1)
    return next(n for n in shifts if np.array_equal(np.roll(glyph, n, axis=axis), glyph))


# --- the file ---------------------------------------------------------------------------------


def test_file_has_all_256_codes_in_order(font: Font) -> None:
    names, glyphs = parse_strictly(font.text, font.metrics.height)
    assert len(names) == len(glyphs) == 256


def test_file_opens_with_comments_naming_the_origin(font: Font) -> None:
    head = font.text.split("glyph 00", 1)[0]
    assert "drawn for vgaemu" in head
    assert all(line.startswith("; ") for line in head.splitlines())


def test_names_are_the_unicode_names(font: Font) -> None:
    expected = [unicodedata.name(character) for character in CHARACTERS]
    expected[0x00] = "NULL (blank)"
    assert parse_strictly(font.text, font.metrics.height)[0] == expected


def test_loader_yields_the_art_as_drawn(font: Font) -> None:
    drawn = parse_strictly(font.text, font.metrics.height)[1]
    assert np.array_equal(np.array(drawn), np.array(list(font.glyphs.values())))


# --- shapes -----------------------------------------------------------------------------------


def test_only_null_space_and_nbsp_are_blank(font: Font) -> None:
    assert {code for code, glyph in font.glyphs.items() if not glyph.any()} == BLANKS


def test_all_other_glyphs_differ(font: Font) -> None:
    by_shape: dict[bytes, list[int]] = {}
    for code, glyph in font.glyphs.items():
        by_shape.setdefault(glyph.tobytes(), []).append(code)
    shared = [codes for codes in by_shape.values() if len(codes) > 1]
    assert shared == [sorted(BLANKS)]


@pytest.mark.parametrize(
    "group", ["Il1|!i", "O0oQD", "5S", "2Z", "8B", "uv", "'`,", "([{<", ")]}>"]
)
def test_look_alikes_are_told_apart(font: Font, group: str) -> None:
    for n, first in enumerate(group):
        for second in group[n + 1 :]:
            assert np.count_nonzero(font[first] ^ font[second]) >= 3, (first, second)


def test_dots_and_squares_grow_from_middle_dot_to_bullet(font: Font) -> None:
    middle_dot, operator, bullet = (int(font[code].sum()) for code in (0xFA, 0xF9, 0x07))
    assert middle_dot < operator < bullet
    assert np.array_equal(font[0x08], ~font[0x07])
    assert np.array_equal(font[0x0A], ~font[0x09])


@pytest.mark.parametrize("char", "AHIMOTUVWXYiovwx8\"#'*+-.:=^_|")
def test_upright_letters_are_mirror_symmetric(font: Font, char: str) -> None:
    columns = ink_columns(font[char])
    body = font[char][:, columns[0] : columns[-1] + 1]
    if char == "i":  # the flag at the top of the stem is on one side only
        body = np.delete(body, font.metrics.x_top, axis=0)
    assert np.array_equal(body, body[:, ::-1])


@pytest.mark.parametrize("char", "0NOSXZINosxz%")
def test_point_symmetric_letters_survive_a_half_turn(font: Font, char: str) -> None:
    rows, columns = ink_rows(font[char]), ink_columns(font[char])
    body = font[char][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.array_equal(body, body[::-1, ::-1])


@pytest.mark.parametrize("pair", ["()", "<>", "\\/", "[]", "{}", "\x10\x11", "\x1a\x1b"])
def test_paired_signs_mirror_each_other(font: Font, pair: str) -> None:
    first, second = (font[char][:, ink_columns(font[char])] for char in pair)
    assert np.array_equal(first, second[:, ::-1])


# --- lines of text ----------------------------------------------------------------------------


def test_capitals_and_digits_stand_on_one_baseline(font: Font) -> None:
    for char in CAPITALS + DIGITS:
        rows = ink_rows(font[char])
        assert rows[0] == font.metrics.cap_top, char
        if char != "Q":
            assert rows[-1] == font.metrics.baseline, char


def test_lower_case_letters_stand_on_the_same_baseline(font: Font) -> None:
    for char in "abcdefghijklmnopqrstuvwxyz":
        last = ink_rows(font[char])[-1]
        if char in DESCENDERS:
            assert last == font.metrics.descent, char
        else:
            assert last == font.metrics.baseline, char


def test_lower_case_letters_share_x_height_and_ascender_height(font: Font) -> None:
    assert {ink_rows(font[char])[0] for char in X_HEIGHT_LETTERS} == {font.metrics.x_top}
    assert {ink_rows(font[char])[0] for char in ASCENDERS} == {font.metrics.cap_top}


def test_digits_are_equally_wide(font: Font) -> None:
    bounds = {char: (ink_columns(font[char])[0], ink_columns(font[char])[-1]) for char in DIGITS}
    one = bounds.pop("1")
    assert len(set(bounds.values())) == 1
    left, right = bounds["0"]
    assert left <= one[0] <= one[1] <= right


def test_column_7_is_free_in_letters_digits_and_punctuation(font: Font) -> None:
    codes = [*range(0x21, 0x7F), *range(0x80, 0xB0), *range(0xE0, 0xFF)]
    touching = [chr(code) for code in codes if font[code][:, 7].any()]
    assert touching == ["_"]


def test_underscore_joins_into_a_line(font: Font) -> None:
    rows = ink_rows(font["_"])
    assert len(rows) == 1
    assert rows[0] > font.metrics.baseline
    assert font["_"][rows[0]].all()


def test_hyphen_is_shorter_than_the_box_line(font: Font) -> None:
    assert not font["-"][:, [0, 7]].any()
    assert font["-"].sum() < font[0xC4].sum()


# --- accents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ACCENTED_LOWER)
def test_accented_lower_case_keeps_the_body_of_its_letter(font: Font, code: int) -> None:
    base, top = font[ACCENTED_LOWER[code]], font.metrics.x_top
    assert np.array_equal(font[code][top:], base[top:])
    assert font[code][:top].any(), "the accent is above the body"
    assert not np.array_equal(font[code], base)


@pytest.mark.parametrize("code", ACCENTED_CAPITALS)
def test_accented_capital_is_its_letter_squeezed(font: Font, code: int) -> None:
    metrics = font.metrics
    body = font[code][metrics.squeezed_top : metrics.baseline + 1]
    assert is_row_subsequence(body, font[ACCENTED_CAPITALS[code]])
    rows = ink_rows(font[code])
    assert (rows[0], rows[-1]) == (0, metrics.baseline)


@pytest.mark.parametrize("code", CEDILLAS)
def test_cedilla_hangs_under_its_letter(font: Font, code: int) -> None:
    base, body_rows = font[CEDILLAS[code]], ink_rows(font[CEDILLAS[code]])
    rows = ink_rows(font[code])
    assert rows[0] == body_rows[0]
    assert rows[-1] > font.metrics.baseline
    last = font.metrics.baseline - (1 if font.metrics.height == 8 else 0)
    assert is_row_subsequence(font[code][rows[0] : last + 1], base)


# --- box drawing ------------------------------------------------------------------------------


def test_straight_lines_lie_where_the_layout_says(font: Font) -> None:
    metrics = font.metrics
    expected = np.zeros((4, metrics.height, 8), dtype=bool)
    expected[0][:, SINGLE_COLUMNS] = True
    expected[1][:, DOUBLE_COLUMNS] = True
    expected[2][metrics.single_row] = True
    expected[3][list(metrics.double_rows)] = True
    for code, glyph in zip((0xB3, 0xBA, 0xC4, 0xCD), expected, strict=True):
        assert np.array_equal(font[code], glyph), f"{code:02X}"


@pytest.mark.parametrize("code", BOX_ARMS)
def test_box_lines_meet_at_every_edge(font: Font, code: int) -> None:
    up, down, left, right = BOX_ARMS[code]
    columns = ((), SINGLE_COLUMNS, DOUBLE_COLUMNS)
    rows = ((), (font.metrics.single_row,), font.metrics.double_rows)
    glyph = font[code]
    assert marked(glyph[0]) == columns[up]
    assert marked(glyph[-1]) == columns[down]
    assert marked(glyph[:, 0]) == rows[left]
    assert marked(glyph[:, 7]) == rows[right]


@pytest.mark.parametrize("code", BOX_ARMS)
def test_box_joints_connect_the_right_lines(font: Font, code: int) -> None:
    assert stroke_count(font[code]) == BOX_STROKES.get(code, 1)


@pytest.mark.parametrize("code", BOX_ARMS)
def test_box_glyph_mirrors_to_the_glyph_with_mirrored_arms(font: Font, code: int) -> None:
    up, down, left, right = BOX_ARMS[code]
    twin = {arms: other for other, arms in BOX_ARMS.items()}[up, down, right, left]
    assert np.array_equal(font[code][:, ::-1], font[twin])


def test_ninth_dot_is_drawn_exactly_for_right_going_lines(font: Font) -> None:
    for code in range(0xC0, 0xE0):
        goes_right = BOX_ARMS[code][3] > 0 if code in BOX_ARMS else code != 0xDD
        assert font[code][:, 7].any() == goes_right, f"{code:02X}"
    for code in range(0xB3, 0xC0):
        assert not font[code][:, 7].any(), f"{code:02X} gets no ninth dot"


# --- blocks and shades ------------------------------------------------------------------------


def test_half_blocks_fill_exactly_their_half(font: Font) -> None:
    rows, columns = np.indices((font.metrics.height, 8))
    lower, right = rows >= font.metrics.height // 2, columns >= 4
    assert font[0xDB].all()
    for code, half in ((0xDC, lower), (0xDD, ~right), (0xDE, right), (0xDF, ~lower)):
        assert np.array_equal(font[code], half), f"{code:02X}"


@pytest.mark.parametrize(("first", "second"), [(0xDC, 0xDF), (0xDD, 0xDE)])
def test_two_half_blocks_make_a_full_block(font: Font, first: int, second: int) -> None:
    assert not (font[first] & font[second]).any()
    assert np.array_equal(font[first] | font[second], font[0xDB])


@pytest.mark.parametrize(("code", "quarters"), [(0xB0, 1), (0xB1, 2), (0xB2, 3)])
def test_shades_have_exact_coverage(font: Font, code: int, quarters: int) -> None:
    assert 4 * np.count_nonzero(font[code]) == quarters * font[code].size
    assert (4 * np.count_nonzero(font[code], axis=1) == quarters * 8).all(), "in every row"


@pytest.mark.parametrize("code", [0xB0, 0xB1, 0xB2])
def test_shades_tile_without_seams(font: Font, code: int) -> None:
    across, down = period(font[code], axis=1), period(font[code], axis=0)
    assert across in (2, 4), "divides the 8 columns"
    assert down == 2, "divides 8, 14 and 16 rows"


# --- symbols ----------------------------------------------------------------------------------


def test_integral_halves_join(font: Font) -> None:
    upper, lower = font[0xF4], font[0xF5]
    assert marked(upper[-1]) == marked(lower[0]) == SINGLE_COLUMNS
    assert stroke_count(np.vstack([upper, lower])) == 1


def test_arrows_turn_into_each_other(font: Font) -> None:
    up, down = font[0x18], font[0x19]
    rows = ink_rows(up)
    assert rows == ink_rows(down)
    assert np.array_equal(up[rows], down[rows][::-1])
    up_triangle, down_triangle = font[0x1E], font[0x1F]
    upright, inverted = (glyph[ink_rows(glyph)] for glyph in (up_triangle, down_triangle))
    assert np.array_equal(upright, inverted[::-1])


def test_inverted_punctuation_is_the_upright_mark_turned(font: Font) -> None:
    for upright, inverted in (("?", 0xA8), ("!", 0xAD)):
        first, second = font[upright], font[inverted]
        first = first[ink_rows(first)[0] : ink_rows(first)[-1] + 1, ink_columns(first)]
        second = second[ink_rows(second)[0] : ink_rows(second)[-1] + 1, ink_columns(second)]
        assert np.array_equal(first[::-1, ::-1], second)


def test_comparison_signs_mirror_each_other(font: Font) -> None:
    greater, less = font[0xF2], font[0xF3]
    assert np.array_equal(greater[:, ink_columns(greater)], less[:, ink_columns(less)][:, ::-1])
