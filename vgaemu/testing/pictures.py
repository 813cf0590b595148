"""Pictures of screens as goldens: what is kept of them, and how two of them differ.

A golden is a PNG, and for a text mode a .txt beside it. The PNG has the palette and the indices of
a mode that has some, else RGB; compared are the colours it decodes to, so that whatever writes it
smaller leaves it equal. The .txt has a row a line, a rule, and below it what is not plain: the
cursor, and attributes other than 07h. Trailing blanks are no part of it, as editors drop them.

PNG: ISO/IEC 15948; the mode's name is its tEXt chunk "Description".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import groupby, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.attached import VgaCard
from vgaemu.display.pictures import rgb_of
from vgaemu.display.screen import Screen, blink_shown
from vgaemu.errors import ScreenError
from vgaemu.machine import Machine
from vgaemu.outputs import NewFile
from vgaemu.vga.codepage import to_unicode
from vgaemu.vga.render.text import cells_of
from vgaemu.vga.scanout import CrtcRows, Scanout, scanout_of

#: Light grey on black: what a cleared screen has.
PLAIN = 0x07
#: Foregrounds by an attribute's bits 0-3, backgrounds by bits 4-6, as IBM calls them.
NAMES = (
    "black", "blue", "green", "cyan", "red", "magenta", "brown", "light grey", "dark grey",
    "light blue", "light green", "light cyan", "light red", "light magenta", "yellow", "white",
)  # fmt: skip
#: Rows of a text diff, and characters of one, that are told before it is cut off.
MOST_LINES = 40


class Picture(NamedTuple):
    """What was shown."""

    #: (height, width, 3) uint8.
    rgb: NDArray[np.uint8]
    #: ``text 80x25``; empty: not known.
    mode: str = ""
    #: The .txt of a text mode.
    text: str | None = None
    #: Of a mode that has a palette: (height, width) uint8, and (n,) uint32 0x00RRGGBB. Goldens that
    #: were read do not tell them.
    indices: NDArray[np.uint8] | None = None
    palette: NDArray[np.uint32] | None = None
    #: Why there is nothing to compare with: a golden that cannot be read.
    broken: str = ""

    def __repr__(self) -> str:
        height, width, _ = self.rgb.shape
        return f"<Picture {width}x{height}, {self.mode or 'of pixels'}>"


class Difference(NamedTuple):
    """Where two pictures differ."""

    #: What a person reads.
    lines: list[str]
    #: (height, width) bool of pixels, in the larger of both sizes; None if one is missing.
    mask: NDArray[np.bool_] | None = None


def picture_of(shown: object) -> Picture:
    """What a machine, an attached card or a screen shows now, or pixels.

    Args:
        shown: One of these; pixels are (height, width, 3) uint8, or uint32 0x00RRGGBB.

    Raises:
        ScreenError: It is nothing of these, or is closed.
    """
    if isinstance(shown, Machine | VgaCard):
        shown = shown.screen
    if isinstance(shown, Screen):
        return _of_screen(shown)
    if isinstance(shown, np.ndarray):
        if shown.dtype == np.uint8 and shown.ndim == 3 and shown.shape[2] == 3 and shown.size:
            return Picture(shown.copy())
        if shown.dtype == np.uint32 and shown.ndim == 2 and shown.size:
            return Picture(rgb_of(shown))
        raise ScreenError(
            f"pixels are (height, width, 3) uint8 or (height, width) uint32, not {shown.shape} "
            f"{shown.dtype}"
        )
    raise ScreenError(
        f"a golden screen is compared with a machine, its screen or pixels, not with "
        f"{type(shown).__name__}"
    )


def _of_screen(screen: Screen) -> Picture:
    # Drawn afresh, not what the last frame drew: tests may have stored since.
    shown = blink_shown(screen.frame_number)
    scanout = scanout_of(screen.vga, cursor_phase=shown, blink_phase=shown)
    try:
        pixels, indices = screen.full_redraw(), screen.indices()
        text = text_of(screen, scanout) if scanout.is_text else None
    except (ValueError, TypeError) as error:
        raise ScreenError(f"the machine is closed; compare before that ({error})") from None
    palette = np.frombuffer(scanout.colours.palette, np.uint32)
    if indices is not None and not np.array_equal(palette.take(indices), pixels):
        indices = None  # the screen is off
    return Picture(rgb_of(pixels), scanout.mode_name, text, indices, palette)


def text_of(screen: Screen, scanout: Scanout) -> str:
    """What a text mode shows, as lines for a review."""
    cells = cells_of(screen.vga.slot.array, scanout)
    rows = [to_unicode(row.astype(np.uint8).tobytes()).rstrip() for row in cells]
    attributes = [(row >> 8).tolist() for row in cells]
    columns = len(attributes[0])
    blinks = scanout.text is not None and scanout.text.blink
    told = [scanout.mode_name + _cursor_in(scanout, columns)]
    numbered = enumerate(_runs(row, columns, blinks) for row in attributes)
    for runs, group in groupby(numbered, key=lambda entry: entry[1]):
        numbers = [number for number, _ in group]
        if runs:
            several = f"s {numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f" {numbers[0]}"
            told.append(f"row{several}: {'; '.join(runs)}")
    return "\n".join([*rows, "-" * columns, *told, ""])


def _cursor_in(scanout: Scanout, columns: int) -> str:
    cursor, rows = scanout.cursor, scanout.rows
    if cursor is None or not isinstance(rows, CrtcRows):
        return ""
    pitch = rows.geometry.pitch or columns
    row, column = divmod(cursor.address - rows.geometry.start, pitch)
    on_screen = 0 <= row < scanout.height and column < columns
    return f", cursor at row {row}, column {column}" if on_screen else ""


def _runs(attributes: Sequence[int], columns: int, blinks: bool) -> list[str]:
    """Columns of equal attributes, but the plain ones.

    >>> _runs([7, 7, 0x1F, 0x1F, 0xCE], 5, blinks=True)
    ['2-3 white on blue (1F)', '4 yellow on red, blinking (CE)']
    >>> _runs([0x70, 0x70], 2, blinks=False)
    ['all black on light grey (70)']
    """
    found, column = [], 0
    for attribute, group in groupby(attributes):
        first, column = column, column + len(list(group))
        if attribute != PLAIN:
            where = f"{first}-{column - 1}" if column - first > 1 else f"{first}"
            where = "all" if column - first == columns else where
            found.append(f"{where} {colour_names(attribute, blinks)} ({attribute:02X})")
    return found


def colour_names(attribute: int, blinks: bool) -> str:
    """What a text attribute says.

    >>> colour_names(0x9E, blinks=True), colour_names(0x9E, blinks=False)
    ('yellow on blue, blinking', 'yellow on light blue')
    """
    background = attribute >> 4 & (7 if blinks else 15)
    blinking = ", blinking" if blinks and attribute & 0x80 else ""
    return f"{NAMES[attribute & 15]} on {NAMES[background]}{blinking}"


def text_beside(path: str | Path) -> Path:
    """The .txt of a golden PNG."""
    return Path(path).with_suffix(".txt")


def read_picture(path: Path) -> Picture | None:
    """A golden; None: there is none. One that is no PNG is `Picture.broken`."""
    from PIL import Image

    text = None
    with suppress(FileNotFoundError):
        # Lines as editors and version control of any system leave them.
        text = text_beside(path).read_text("utf-8", errors="replace")
    try:
        with Image.open(path, formats=["PNG"]) as image:
            mode = str(image.info.get("Description", ""))
            return Picture(np.asarray(image.convert("RGB")), mode, text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a whole PNG"
        return Picture(np.zeros((1, 1, 3), np.uint8), broken=f"{path}: {why}")


def write_picture(path: Path, picture: Picture) -> None:
    """A golden, in both of its files; the .txt of another mode goes.

    Raises:
        OSError: They cannot be written.
    """
    with NewFile(path) as file:
        file.write(png_of(picture))
    if picture.text is None:
        text_beside(path).unlink(missing_ok=True)
        return
    with NewFile(text_beside(path)) as file:
        file.write(picture.text.encode())


def png_of(picture: Picture) -> bytes:
    """As a PNG, with palette and indices where there are some."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if picture.indices is None or picture.palette is None:
        image = Image.fromarray(picture.rgb)
    else:
        image = Image.frombytes("P", picture.rgb.shape[1::-1], picture.indices.tobytes())
        image.putpalette(rgb_of(picture.palette[None]).tobytes())
    about = PngInfo()
    if picture.mode:
        about.add_text("Description", picture.mode)
    encoded = BytesIO()
    image.save(encoded, "PNG", pnginfo=about, optimize=True)
    return encoded.getvalue()


def same(expected: Picture, actual: Picture) -> bool:
    """Whether they are equal: every pixel, and the text."""
    return (
        not expected.broken
        and expected.text == actual.text
        and np.array_equal(expected.rgb, actual.rgb)
    )


def difference(expected: Picture, actual: Picture) -> Difference:
    """What differs, for a person."""
    if expected.broken:
        return Difference([expected.broken])
    lines, mask = [], mask_of(expected.rgb, actual.rgb)
    sizes = [f"{rgb.shape[1]}x{rgb.shape[0]}" for rgb in (expected.rgb, actual.rgb)]
    if sizes[0] != sizes[1] or (expected.mode and actual.mode and expected.mode != actual.mode):
        was, now = (
            f"{picture.mode} ({size})" if picture.mode else size
            for picture, size in zip((expected, actual), sizes, strict=True)
        )
        lines.append(f"expected {was}, the screen is {now}")
    if sizes[0] == sizes[1]:
        lines.append(_pixels_differ(mask))
    lines += text_difference(expected.text, actual.text, any_pixel=bool(mask.any()))
    return Difference(lines, mask)


def mask_of(expected: NDArray[np.uint8], actual: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels differ: (H, W) bool, of the larger of both sizes; those of only one do."""
    height, width = (max(a, b) for a, b in zip(expected.shape[:2], actual.shape[:2], strict=True))
    mask = np.ones((height, width), np.bool_)
    both = tuple(min(a, b) for a, b in zip(expected.shape[:2], actual.shape[:2], strict=True))
    here = slice(both[0]), slice(both[1])
    mask[here] = (expected[here] != actual[here]).any(axis=2)
    return mask


def rectangle_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The smallest rectangle around all true pixels: left, top, right, bottom, inclusive."""
    ys, xs = np.nonzero(mask)
    return (int(xs.min()), int(ys[0]), int(xs.max()), int(ys[-1])) if len(xs) else None


def _pixels_differ(mask: NDArray[np.bool_]) -> str:
    around = rectangle_of(mask)
    if around is None:
        return "all pixels are the same"
    left, top, right, bottom = around
    if np.count_nonzero(mask) == 1:
        return f"1 of {mask.size} pixels differs, at {left},{top}"
    where = f"{left},{top} - {right},{bottom} ({right - left + 1}x{bottom - top + 1})"
    return f"{np.count_nonzero(mask)} of {mask.size} pixels differ, in {where}"


def text_difference(expected: str | None, actual: str | None, *, any_pixel: bool) -> list[str]:
    """Rows that differ, ``-`` expected and ``+`` shown."""
    if expected == actual:
        hint = "the text is the same: look at the font, the palette, the cursor's shape"
        return [hint] if expected is not None and any_pixel else []
    if expected is None:
        return ["there is no .txt beside the expected picture"]
    if actual is None:
        return ["expected is text (its .txt); the screen has none"]
    before, after = expected.splitlines(), actual.splitlines()
    lines = list(_changed_rows(before, after))
    return [*lines[:MOST_LINES], "..."] if len(lines) > MOST_LINES else lines


def _changed_rows(before: list[str], after: list[str]) -> Iterator[str]:
    """Lines that changed, rows of the screen with their numbers."""
    rule = next((n for n, line in enumerate(after) if line.startswith("----")), len(after))
    from difflib import SequenceMatcher  # not where all is as it should be

    changes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for kind, a, a_end, b, b_end in changes:
        if kind == "equal":
            continue
        if b < rule:
            yield f"row {b}:" if b_end - b < 2 else f"rows {b}-{b_end - 1}:"
        else:
            yield "cursor and colours:"
        for was, now in zip_longest(before[a:a_end], after[b:b_end]):
            if was is not None:
                yield f"- {was}"
            if now is not None:
                yield f"+ {now}"
            if was is not None and now is not None:
                marks = (" " if x == y else "^" for x, y in zip_longest(was, now, fillvalue=" "))
                yield f"  {''.join(marks)}".rstrip()
