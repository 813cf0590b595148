"""Fonts: glyphs from readable text art, as plane 2 holds them.

The bundled fonts (code page 437 in 8x16, 8x14 and 8x8) were drawn for this project; the art in
`assets/fonts` is their source and is compiled when loaded.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgaemu.assets import asset

#: Bytes a glyph takes in plane 2, whatever its height.
GLYPH_BYTES = 32


class FontError(ValueError):
    """A font file is not what it should be; the message names the file and line."""


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
        elif len(line) == 8 and not line.strip(".#"):
            rows.append(int(line.replace(".", "0").replace("#", "1"), 2))
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
    """The project's own code page 437: (256, height) uint8; height 8, 14 or 16."""
    path = asset(f"fonts/cp437-8x{height}.txt")
    font = parse_art(Path(path).read_text("utf-8"), path.name)
    font.setflags(write=False)
    return font


def plane_2_bytes(font: NDArray[np.uint8]) -> bytes:
    """A font as it lies in plane 2: 256 glyphs of 32 bytes."""
    padded = np.zeros((256, GLYPH_BYTES), np.uint8)
    padded[:, : font.shape[1]] = font
    return padded.tobytes()
