"""Show a picture FILE in 256 colours; an animated GIF plays, and only rows that change are stored.

Mode 13h has 320x200 pixels that are 5:6, so a picture is fitted as it will look on a 4:3 monitor,
in the middle, with a black border. A still picture is drawn and the workload ends. An animation
plays as often as its file says, or for ever. Its timing is kept to the nearest frame of 60 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice, pairwise, repeat
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import WorkloadError
from vgaemu.guest.workload import Guest, Slices, read_file

if TYPE_CHECKING:
    from PIL import Image

WIDTH, HEIGHT = 320, 200
#: Height to width of a pixel on a 4:3 monitor.
PIXEL_ASPECT = 6 / 5
#: Colour 0 is the border's black; the picture has the others.
COLOURS = 255
#: Frames that are looked at to choose an animation's colours, and the most that are played.
SAMPLES, MAX_FRAMES = 12, 2000
#: Pixels of a picture, whose decoded copies take up to 20 bytes each; and of all frames together,
#: which take some ten seconds: an animation is played up to there.
MAX_PIXELS, MAX_DECODED = 1 << 25, 1 << 28
#: Largest file: it is kept in memory.
MAX_BYTES = 256 << 20
#: Milliseconds of a GIF frame that names none, or less than a monitor shows: as in browsers.
DEFAULT_MS, MIN_MS = 100, 20


def workload(guest: Guest, file: str) -> Slices:
    """Show `file`: anything that Pillow reads; what loops for ever is played for ever."""
    film = load(file)
    guest.endless = film.rounds is None
    return _play(guest, film)


@dataclass(frozen=True)
class Film:
    """Pictures as mode 13h holds them."""

    palette: NDArray[np.uint8]  # (256, 3)
    pictures: list[NDArray[np.uint8]]  # (HEIGHT, WIDTH) each
    #: Frames of 60 Hz that each is shown.
    durations: list[int]
    #: How often it is played; None for ever.
    rounds: int | None


def load(file: str) -> Film:
    """Read and convert a picture file.

    Raises:
        WorkloadError: It cannot be read, or is no picture.
    """
    from PIL import Image, UnidentifiedImageError

    data = read_file(file, "picture file", MAX_BYTES)
    if not data:
        raise WorkloadError(f"{file}: the file is empty; name a picture file")
    try:
        with catch_warnings():
            simplefilter("ignore")  # of what is odd in a file that can be read
            simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data)) as image:
                loop = image.info.get("loop", 1)
                frames = [_fitted(frame) for frame in _frames(image)]
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise WorkloadError(f"{file}: a picture too large; scale it down") from None
    except UnidentifiedImageError:
        raise WorkloadError(f"{file}: not a picture that Pillow can read") from None
    except Exception as error:
        # What a decoder raises for a broken file depends on the format.
        raise WorkloadError(f"{file}: a damaged picture: {_one_line(error)}") from None
    palette, pictures = _quantise([picture for picture, _ in frames])
    rounds = None if len(pictures) > 1 and not loop else max(loop, 1)
    return Film(palette, pictures, _durations([ms for _, ms in frames]), rounds)


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    """As many as are played, each looked at before it is decoded."""
    from PIL import Image, ImageSequence

    left = MAX_DECODED
    for frame in islice(ImageSequence.Iterator(image), MAX_FRAMES):
        pixels = frame.width * frame.height
        if pixels > MAX_PIXELS:
            raise Image.DecompressionBombError
        left -= pixels
        if left < 0:
            return
        yield frame


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fitted(image: Image.Image) -> tuple[Image.Image, float]:
    """An RGB picture of the screen's size, and how many milliseconds it is shown."""
    from PIL import Image, ImageOps

    milliseconds = image.info.get("duration", 0)
    picture = _of_8_bits(ImageOps.exif_transpose(image)).convert("RGBA")
    scale = min(WIDTH / picture.width, HEIGHT * PIXEL_ASPECT / picture.height)
    size = (
        max(round(picture.width * scale), 1),
        max(round(picture.height * scale / PIXEL_ASPECT), 1),
    )
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    screen = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 255))
    screen.alpha_composite(picture, ((WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2))
    return screen.convert("RGB"), milliseconds


def _of_8_bits(image: Image.Image) -> Image.Image:
    """Greys of more than 8 bits as 8: Pillow would cut all bright ones to white."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    values = np.array(image, np.float64)
    # Floats are of 0 to 1 or of 0 to 255 by custom; integers of 16 bits, whatever they are held in.
    most = 65535.0 if image.mode != "F" else 1.0 if values.max(initial=0) <= 1 else 255.0
    values *= 255 / most
    np.clip(values, 0, 255, out=values)
    return Image.fromarray(values.astype(np.uint8))


def _durations(milliseconds: list[float]) -> list[int]:
    """Frames of 60 Hz for each, at least one; rounding does not add up."""
    lasting = [ms if ms >= MIN_MS else DEFAULT_MS for ms in milliseconds]
    ends = np.cumsum([0, *lasting]) * 60 / 1000
    return [max(round(end) - round(start), 1) for start, end in pairwise(ends.tolist())]


def _quantise(
    frames: list[Image.Image],
) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """One palette for all frames, as the DAC's 6 bits show it, and the frames in its numbers."""
    from PIL import Image

    samples = frames[:: -(-len(frames) // SAMPLES)]
    sheet = Image.new("RGB", (WIDTH, HEIGHT * len(samples)))
    for i, frame in enumerate(samples):
        sheet.paste(frame, (0, HEIGHT * i))
    still = len(frames) == 1
    # One round of k-means lessens the error by a third and takes as long again as the median cut.
    chosen = sheet.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=1 if still else 0)
    colours = np.array(chosen.getpalette() or [], np.int64).reshape(-1, 3)[:COLOURS]
    colours = np.minimum(colours + 2, 255) >> 2
    palette = np.zeros((256, 3), np.uint8)
    palette[1 : 1 + len(colours)] = colours << 2 | colours >> 4
    reference = Image.new("P", (1, 1))
    reference.putpalette(palette.tobytes())
    # Dithering pleases in a still picture; in a moving one it makes all rows change.
    dither = Image.Dither.FLOYDSTEINBERG if still else Image.Dither.NONE
    pictures = [
        np.array(frame.quantize(palette=reference, dither=dither), np.uint8) for frame in frames
    ]
    return palette, pictures


def _play(guest: Guest, film: Film) -> Slices:
    guest.set_mode(0x13)
    canvas = guest.canvas
    canvas.set_palette(film.palette)
    shown: NDArray[np.uint8] | None = None
    for _ in repeat(None) if film.rounds is None else repeat(None, film.rounds):
        for picture, duration in zip(film.pictures, film.durations, strict=True):
            for first, end in _changed_rows(shown, picture):
                canvas.blit(0, first, picture[first:end])
            shown = picture
            for _ in range(duration if len(film.pictures) > 1 else 1):
                yield


def _changed_rows(old: NDArray[np.uint8] | None, new: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Runs of rows that differ, half-open."""
    if old is None:
        return [(0, len(new))]
    changed = np.concatenate(([False], (old != new).any(axis=1), [False]))
    edges = np.flatnonzero(changed[1:] != changed[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
