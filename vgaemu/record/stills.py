"""One picture's compressed data, from Pillow: it encodes a still, of which we take what we need.

Pillow writes animations only whole, from memory; these stills are what `gif` and `webp` and `apng`
put into files that grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Of a GIF: signature and logical screen, whose flags say how large its colour table is.
_GIF_FLAGS, _GIF_HEAD = 10, 13
_GIF_IMAGE = 10


def _still(pixels: NDArray[np.uint8], form: str, **options: object) -> bytes:
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, form, **options)
    return encoded.getvalue()


def deflated_rgb(rgb: NDArray[np.uint8]) -> bytes:
    """(h, w, 3) as a PNG has it: filtered and deflated, what lies in its IDAT chunks."""
    png = _still(rgb, "PNG", compress_level=3)
    return b"".join(data for name, data in png_chunks(png) if name == b"IDAT")


def png_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and data of the chunks behind the signature."""
    at = 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += 12 + size


def gif_image(numbers: NDArray[np.uint8]) -> bytes:
    """(h, w) as a GIF has it: LZW code size and blocks, what follows an image descriptor."""
    gif = _still(numbers, "GIF", optimize=False, interlace=False)
    at = _GIF_HEAD + (3 << (gif[_GIF_FLAGS] & 7) + 1 if gif[_GIF_FLAGS] & 0x80 else 0)
    while gif[at : at + 1] == b"!":  # extensions: a label and blocks
        at += 2
        while gif[at]:
            at += 1 + gif[at]
        at += 1
    return gif[at + _GIF_IMAGE : -1]


def webp_chunk(rgb: NDArray[np.uint8]) -> bytes:
    """(h, w, 3) as a lossless VP8L chunk, header included."""
    webp = _still(rgb, "WEBP", lossless=True, method=1, quality=25)
    return webp[12:]


def nearest_256(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """(h, w, 3) in at most 256 colours: their (h, w) numbers, and the colours 0x00RRGGBB."""
    few = Image.fromarray(rgb).quantize(256, dither=Image.Dither.NONE)
    colours = np.zeros((256, 4), np.uint8)
    palette = few.getpalette() or []
    colours[: len(palette) // 3, 1:] = np.array(palette, np.uint8).reshape(-1, 3)
    return np.asarray(few, np.uint8), colours.view(">u4")[:, 0].astype(np.uint32)
