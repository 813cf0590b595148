"""Pictures: a frame as arrays, Pillow's images and files.

A frame is (height, width) uint32 0x00RRGGBB, in memory bytes blue, green, red, 0. All but `bgrx_of`
are copies.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import ScreenError
from vgaemu.outputs import NewFile

if TYPE_CHECKING:
    from PIL.Image import Image

Frame = NDArray[np.uint32]


def rgb_of(frame: Frame, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """A frame as (height, width, 3) uint8, in `out` if that is given.

    Raises:
        ScreenError: `out` is of another shape or type, read-only or not in one piece.
    """
    shape = *frame.shape, 3
    if out is None:
        out = np.empty(shape, np.uint8)
    else:
        _check_out(out, shape)
    rgb, bgrx = out.reshape(-1), np.ascontiguousarray(frame).reshape(-1).view(np.uint8)
    # Each pixel in one load, a swap and one store of four bytes: read from the byte before it on,
    # it comes as red, green, blue and one too many, which the next pixel's store overwrites. That
    # takes half of what three strided copies do, a quarter of shifts. The first and the last pixel
    # have nothing before or behind them.
    inner = max(frame.size - 2, 0)
    loads = bgrx[3 : 3 + 4 * inner].view("<u4")
    stores: NDArray[np.uint32] = np.ndarray(inner, ">u4", rgb, min(3, rgb.size), (3,))
    np.copyto(stores, loads)
    rgb[:3], rgb[-3:] = bgrx[2::-1], bgrx[-2:-5:-1]
    return out


def _check_out(out: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    if out.shape != shape or out.dtype != np.uint8:
        what = f"{out.shape} {out.dtype}"
    elif not out.flags.c_contiguous:
        what = "one that lies in pieces"
    elif not out.flags.writeable:
        what = "a read-only one"
    else:
        return
    raise ScreenError(f"out is {what}; now it takes numpy.empty({shape}, numpy.uint8)")


def bgrx_of(frame: Frame) -> NDArray[np.uint8]:
    """A frame as (height, width, 4) uint8, a read-only view: blue, green, red, 0."""
    bgrx = frame.view(np.uint8).reshape(*frame.shape, 4)
    bgrx.setflags(write=False)
    return bgrx


def image_of(frame: Frame) -> Image:
    """A frame as Pillow's image, mode RGB."""
    from PIL import Image

    height, width = frame.shape
    # Pillow keeps four bytes a pixel: of `rgb_of` it would take twice as long.
    frame = np.ascontiguousarray(frame)
    return Image.frombuffer("RGB", (width, height), frame, "raw", "BGRX", 0, 1)


def save_picture(rgb: NDArray[np.uint8], path: str | Path) -> None:
    """Write (height, width, 3) as an image file, in the format that the suffix names.

    Raises:
        ScreenError: There is no such format.
        OSError: The file cannot be written.
    """
    from PIL import Image

    save_image(Image.fromarray(rgb), path)


def save_image(image: Image, path: str | Path) -> None:
    """Write an image as a file, in the format that the suffix names: see `save_picture`.

    Raises:
        ScreenError: No format has that suffix, or it cannot hold the image.
        OSError: The file cannot be written.
    """
    from PIL import Image

    try:
        form = Image.registered_extensions()[Path(path).suffix.lower()]
        encoded = encode_image(image, form)
    except KeyError:
        raise ScreenError(f"{path}: no picture format ends in that; use .png") from None
    except (ValueError, OSError) as error:  # not in that format
        raise ScreenError(f"{path}: {error}; use .png") from None
    with NewFile(path) as file:
        file.write(encoded)


def encode_image(image: Image, form: str) -> bytes:
    """The bytes of an image file, in a format by Pillow's name."""
    encoded = BytesIO()
    image.save(encoded, form)
    return encoded.getvalue()
