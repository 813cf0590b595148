"""Fonts: glyphs from readable text art and from console font files, as plane 2 holds them.

The bundled fonts (code page 437 in 8x16, 8x14 and 8x8) were drawn for this project; the art in
`assets/fonts` is their source and is compiled when loaded.

Font files: PSF1 and PSF2 (the Linux console's formats) and raw 8xN, each plain or gzipped. What
comes out is always 256 glyphs in the order of code page 437. A PSF's Unicode table says which glyph
is which character; without one its first 256 glyphs are taken as they are. So of a font with 512
glyphs the second half is used where the table asks for it, but attribute bit 3 stays the intensity:
a guest that wants 512 glyphs at once loads two fonts itself.

Sources: the PSF layouts as the kbd project's psf.h and psf(5) describe them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgaemu.assets import asset
from vgaemu.errors import FontError, file_error
from vgaemu.vga.codepage import CHARACTERS, to_cp437

#: Bytes a glyph takes in plane 2, whatever its height.
GLYPH_BYTES = 32
#: Plane 2 address of each of the eight fonts that SR03 can select.
FONT_ADDRESS = (0x0000, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000)
#: Heights of the fonts that come with vgaemu, and of a BIOS's.
BUNDLED_HEIGHTS = (8, 14, 16)
#: A row of text art -> its byte.
ROWS = {"".join(dots): byte for byte, dots in enumerate(product(".#", repeat=8))}


def parse_art(text: str, name: str = "font") -> NDArray[np.uint8]:
    """Compile text art: blocks of ``glyph XX NAME`` and rows of eight ``.`` and ``#``.

    Args:
        text: The art; lines that start with ``;`` are comments.
        name: What error messages call it.

    Returns:
        (256, height) uint8, bit 7 the leftmost dot.

    Raises:
        FontError: A row of another width, a missing or doubled glyph, uneven heights.
    """
    glyphs: dict[int, list[int]] = {}
    rows: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        row = ROWS.get(line)
        if row is not None:
            rows.append(row)
            continue
        line = line.strip()
        if not line or line.startswith(";"):
            continue
        if line.startswith("glyph "):
            try:
                code = int(line.split()[1], 16)
            except (IndexError, ValueError):
                raise FontError(f"{name}:{number}: 'glyph XX NAME' expected") from None
            if code in glyphs:
                raise FontError(f"{name}:{number}: glyph {code:02X} is here twice")
            rows = glyphs[code] = []
        elif line in ROWS:  # with blanks around it
            rows.append(ROWS[line])
        else:
            raise FontError(f"{name}:{number}: eight '.' and '#' expected, not {line!r}")
    missing = [f"{code:02X}" for code in range(256) if code not in glyphs]
    if missing:
        raise FontError(f"{name}: no glyph for {', '.join(missing)}")
    heights = {len(glyph) for glyph in glyphs.values()}
    if len(heights) != 1:
        raise FontError(f"{name}: glyphs of {sorted(heights)} rows; all have the same height")
    return np.array([glyphs[code] for code in range(256)], np.uint8)


@lru_cache(maxsize=4)
def bundled_font(height: int) -> NDArray[np.uint8]:
    """The project's own code page 437: (256, height) uint8; height as in `BUNDLED_HEIGHTS`.

    Raises:
        FontError: There is none of that height.
    """
    if height not in BUNDLED_HEIGHTS:
        raise FontError(f"the bundled fonts are 8, 14 and 16 dots high, not {height!r}")
    path = asset(f"fonts/cp437-8x{height}.txt")
    font = parse_art(path.read_text("utf-8"), path.name)
    font.setflags(write=False)
    return font


def text_dots(text: str, height: int) -> NDArray[np.bool_]:
    """A line of text in a bundled font: (height, 8 * len(text)) bool, True where a dot is set."""
    codes = np.frombuffer(to_cp437(text), np.uint8)
    return np.unpackbits(bundled_font(height)[codes].T, axis=1).astype(bool)


def plane_2_bytes(font: NDArray[np.uint8]) -> bytes:
    """A font as it lies in plane 2: 256 glyphs of 32 bytes."""
    padded = np.zeros((256, GLYPH_BYTES), np.uint8)
    padded[:, : font.shape[1]] = font
    return padded.tobytes()


def checked_font(font: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A font of a program's own: (256, 1 to 32) uint8.

    Raises:
        FontError: It has another shape or type.
    """
    if font.ndim != 2 or len(font) != 256 or font.dtype != np.uint8:
        raise FontError(f"a font is 256 glyphs of uint8 lines, not {font.dtype} {font.shape}")
    _check_height(font.shape[1])
    return font


def font_of(font: str | Path | NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """A program's own font, or that of a file: (256, height) uint8, or None for none.

    Raises:
        FontError: See `checked_font` and `load_font_file`.
    """
    if font is None:
        return None
    return checked_font(font) if isinstance(font, np.ndarray) else load_font_file(font)


def _check_height(height: int) -> None:
    if not 1 <= height <= GLYPH_BYTES:
        raise FontError(f"glyphs are {height} lines high; a VGA font has 1 to {GLYPH_BYTES}")


PSF1_MAGIC, PSF2_MAGIC = b"\x36\x04", b"\x72\xb5\x4a\x86"
GZIP_MAGIC = b"\x1f\x8b"
#: PSF1 mode bits: 512 glyphs; a Unicode table follows (bit 2 says so too).
PSF1_512, PSF1_TABLE = 0x01, 0x06
#: PSF2 header: magic, version, header bytes, flags, glyphs, bytes a glyph, height, width.
PSF2_HEADER = struct.Struct("<4s7I")
PSF2_TABLE = 0x01
#: A glyph's entry in a Unicode table ends with the first, a sequence of characters begins with the
#: second.
PSF1_END, PSF1_SEQUENCE = 0xFFFF, 0xFFFE
PSF2_END, PSF2_SEQUENCE = b"\xff", b"\xfe"
#: No font of this kind is larger; a compressed file that claims to be is not unpacked.
MAX_BYTES = 4 << 20
#: Characters to look for where a font lacks that of code page 437.
STAND_INS = {
    "ß": "β", "µ": "μ", "Ω": "Ω", "Σ": "∑", "φ": "ϕø", "ε": "∈є", "δ": "ð", "∩": "⋂", "π": "п",
    "∙": "•·", "·": "∙", "■": "▪▮", "►": "▶", "◄": "◀", "♪": "♩", "☼": "¤", "▬": "━", "↨": "↕",
    "⌂": "△", "◘": "▣", "○": "◯", "◙": "▣", "∟": "└", "ƒ": "f", "₧": "P", "⌐": "¬", "¬": "⌐",
    "\xa0": " ",
}  # fmt: skip


def load_font_file(path: str | Path) -> NDArray[np.uint8]:
    """Read a console font: PSF1, PSF2 or raw 8xN, plain or gzipped.

    Args:
        path: The file.

    Returns:
        (256, height) uint8 in the order of code page 437, bit 7 the leftmost dot.

    Raises:
        FontError: It cannot be read or is no such font.
    """
    data = _read(Path(path))
    try:
        if data.startswith(PSF2_MAGIC):
            font = _psf2(data)
        elif data.startswith(PSF1_MAGIC):
            font = _psf1(data)
        else:
            font = _raw(data)
    except FontError as error:
        raise FontError(f"{path}: {error}") from None
    font.setflags(write=False)
    return font


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FontError(file_error(path, error, "name a font file")) from None
    if data.startswith(GZIP_MAGIC):
        import gzip

        try:
            with gzip.open(path, "rb") as unpacked:
                data = unpacked.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise FontError(f"{path}: a damaged gzip file: {reason}") from None
    if not data:
        raise FontError(f"{path}: the file is empty")
    if len(data) > MAX_BYTES:
        raise FontError(f"{path}: not a font: larger than {MAX_BYTES >> 20} MiB")
    return data


def _raw(data: bytes) -> NDArray[np.uint8]:
    height, rest = divmod(len(data), 256)
    if rest or not 1 <= height <= GLYPH_BYTES:
        raise FontError(
            f"not a font: neither PSF nor 256 raw glyphs of 1 to {GLYPH_BYTES} lines "
            f"({len(data)} bytes)"
        )
    return np.frombuffer(data, np.uint8).reshape(256, height).copy()


def _psf1(data: bytes) -> NDArray[np.uint8]:
    if len(data) < 4:
        raise FontError("truncated: a PSF1 header has 4 bytes")
    mode, height = data[2], data[3]
    count = 512 if mode & PSF1_512 else 256
    glyphs = _glyphs(data, 4, count, height)
    if not mode & PSF1_TABLE:
        return glyphs[:256].copy()
    words = np.frombuffer(data[4 + count * height :][: -1 if len(data) & 1 else None], "<u2")
    return _in_cp437_order(glyphs, islice(_psf1_table(words), count))


def _psf1_table(words: NDArray[np.uint16]) -> Iterator[str]:
    """For each glyph, the single characters that it shows."""
    characters, in_sequence = "", False
    for word in words.tolist():
        if word == PSF1_END:
            yield characters
            characters, in_sequence = "", False
        elif word == PSF1_SEQUENCE:
            in_sequence = True  # what follows are characters that make one picture together
        elif not in_sequence:
            characters += chr(word)


def _psf2(data: bytes) -> NDArray[np.uint8]:
    if len(data) < PSF2_HEADER.size:
        raise FontError(f"truncated: a PSF2 header has {PSF2_HEADER.size} bytes")
    _, version, header_bytes, flags, count, nbytes, height, width = PSF2_HEADER.unpack_from(data)
    if version:
        raise FontError(f"PSF2 version {version}; only 0 is known")
    if width != 8:
        raise FontError(f"glyphs are {width} dots wide; a VGA font has 8")
    if nbytes != height or header_bytes < PSF2_HEADER.size:
        raise FontError("a damaged PSF2 header: its sizes contradict each other")
    glyphs = _glyphs(data, header_bytes, count, height)
    if flags & PSF2_TABLE:
        entries = data[header_bytes + count * height :].split(PSF2_END)[:count]
        singles = (entry.split(PSF2_SEQUENCE)[0].decode("utf-8", "ignore") for entry in entries)
        return _in_cp437_order(glyphs, singles)
    if count < 256:
        raise FontError(f"{count} glyphs and no Unicode table; 256 are needed")
    return glyphs[:256].copy()


def _glyphs(data: bytes, at: int, count: int, height: int) -> NDArray[np.uint8]:
    _check_height(height)
    need = at + count * height
    if len(data) < need or not count:
        raise FontError(
            f"truncated: {count} glyphs of {height} bytes need {need} bytes, there are {len(data)}"
        )
    return np.frombuffer(data, np.uint8, count * height, at).reshape(count, height)


def _in_cp437_order(glyphs: NDArray[np.uint8], table: Iterator[str]) -> NDArray[np.uint8]:
    """Pick the glyph of each character of code page 437; `table` says what each glyph shows.

    Where the font has neither the character nor a stand-in, the bundled font of the same height
    lends its glyph; at other heights the cell stays blank.
    """
    where: dict[str, int] = {}
    for number, characters in enumerate(table):
        for character in characters:
            where.setdefault(character, number)
    height = glyphs.shape[1]
    font = np.zeros((256, height), np.uint8)
    if height in BUNDLED_HEIGHTS:
        font[:] = bundled_font(height)
    for code, character in enumerate(CHARACTERS):
        for candidate in character + STAND_INS.get(character, ""):
            if candidate in where:
                font[code] = glyphs[where[candidate]]
                break
    return font
