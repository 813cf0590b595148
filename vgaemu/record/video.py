"""Video, by PyAV: MKV to the pixel, MP4 for people, as a monitor shows it.

MKV holds the picture as it is, lossless (H.264 in RGB, qp 0), and the shape of its pixels beside
it. MP4 holds what ``--upscaled`` makes a screenshot: pixels repeated to about 4:3, in a canvas
that several modes share; H.264 in yuv420p, which everything plays. That halves the resolution of
colours, so pixels are at least 2x2 where that makes no more than `LARGEST`.

Each picture has its own time. Not here: sound; encoders of graphics cards.
Source: FFmpeg's documentation of libx264, and of the muxers matroska and mp4.
"""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from io import FileIO
from typing import BinaryIO

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from vgaemu.display.pictures import rgb_of
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.screen import UPSCALED_ROOM
from vgaemu.display.viewport import Viewport, fitted_size, pixel_height
from vgaemu.record.encoder import Encoder, Picture, pixels_in
from vgaemu.record.stream import Output

#: Unit of time: of the frame rates that a VGA has, 60 Hz is a whole number of them.
TICK = Fraction(1, 90000)
#: Pixels are doubled up to this size of the canvas.
LARGEST = (2560, 2048)
#: x264 keeps few pictures, of 3 MB each, and writes them in their order.
AT_ONCE = {"rc-lookahead": "8", "bf": "0", "threads": "2"}
#: Y, and Cb and Cr.
BLACK = 16, 128
#: Red, green, blue of 0-255 to Y of 16-235, Cb and Cr of 16-240.
BT709 = np.array(
    [[0.182586, 0.614231, 0.062007], [-0.100644, -0.338572, 0.439216],
     [0.439216, -0.398942, -0.040274]], np.float32
)  # fmt: skip


class Video(Encoder):
    """A file of one stream of pictures of one size."""

    def __init__(self, file: BinaryIO, info: ScreenInfo, *, many_colours: bool = False) -> None:
        self._shown = Fraction(0)
        self._file = file
        self._output = Output(file)
        self._container, self._stream = self._open(self._output, info)
        self._stream.codec_context.time_base = TICK
        self._stream.codec_context.flags |= Flags.frame_duration

    @abstractmethod
    def _open(
        self, file: Output, info: ScreenInfo
    ) -> tuple[av.container.OutputContainer, av.VideoStream]:
        """Begin the file."""

    @abstractmethod
    def _frame(self, picture: Picture, box: Rect) -> av.VideoFrame:
        """A picture as the encoder takes it: see `show`."""

    def show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        frame = self._frame(picture, box)
        begin, end = round(self._shown / TICK), round(until / TICK)
        frame.time_base, frame.pts, frame.duration = TICK, begin, end - begin
        self._container.mux(self._stream.encode(frame))
        self._output.check()
        self._shown = until
        return True

    def finish(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        self._output.check()

    def plays(self) -> bool:
        # It has taken some pictures before it writes the first, and a head before that.
        try:
            with FileIO(self._file.fileno(), closefd=False) as file:
                file.seek(0)
                with av.open(file, "r") as container:
                    return next(container.decode(video=0), None) is not None
        except (av.error.FFmpegError, IndexError):  # no stream of pictures
            return False


class Mkv(Video):
    """Writes MKV."""

    def _open(
        self, file: Output, info: ScreenInfo
    ) -> tuple[av.container.OutputContainer, av.VideoStream]:
        self._size = info.width, info.height
        # What a process leaves that is killed lacks the last second.
        container = av.open(file, "w", format="matroska", options={"cluster_time_limit": "1000"})
        options = {"qp": "0", "preset": "veryfast", **AT_ONCE}
        stream = container.add_stream("libx264rgb", options=options)
        stream.width, stream.height = self._size
        stream.pix_fmt = "bgr0"
        shape = Fraction(1 / pixel_height(info)).limit_denominator(100)
        stream.codec_context.sample_aspect_ratio = shape
        return container, stream

    def resize(self, info: ScreenInfo) -> bool:
        return (info.width, info.height) == self._size

    def _frame(self, picture: Picture, box: Rect) -> av.VideoFrame:
        return av.VideoFrame.from_ndarray(_bytes_of(picture), format="bgra")


class Mp4(Video):
    """Writes MP4."""

    def _open(
        self, file: Output, info: ScreenInfo
    ) -> tuple[av.container.OutputContainer, av.VideoStream]:
        self._canvas = width, height = canvas_of(info)
        #: Brightness, and below it both colour planes, half as wide and high; black.
        self._planes = np.empty((height * 3 // 2, width), np.uint8)
        self.resize(info)
        # In fragments until it is whole, so that it plays whatever ends it.
        options = {"movflags": "hybrid_fragmented", "frag_duration": "1000000"}
        container = av.open(file, "w", format="mp4", options=options)
        stream = container.add_stream(
            "libx264", options={"crf": "18", "preset": "veryfast", **AT_ONCE}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        return container, stream

    def resize(self, info: ScreenInfo) -> bool:
        width, height = self._canvas
        wanted = canvas_of(info)
        if wanted[0] > width or wanted[1] > height:
            return False
        self._planes[:height], self._planes[height:] = BLACK
        across, down = fitted_size(info, self._canvas)
        self._view = Viewport(
            (width - across) // 2, (height - down) // 2, across, down, (info.width, info.height)
        )
        return True

    def _frame(self, picture: Picture, box: Rect) -> av.VideoFrame:
        x, y, width, height = self._view.place(box)
        columns = self._view.columns[x - self._view.x :][:width] - box.x
        rows = self._view.rows[y - self._view.y :][:height] - box.y
        brightness, *colours = yuv_of(pixels_in(picture, box))
        full = self._canvas[1]
        self._planes[y : y + height, x : x + width] = brightness[rows[:, None], columns]
        # A colour is that of the first of its 2x2 pixels.
        halves = self._planes[full:].reshape(2, full // 2, -1)
        x, y, columns, rows = -(-x // 2), -(-y // 2), columns[x % 2 :: 2], rows[y % 2 :: 2]
        for plane, colour in zip(halves, colours, strict=True):
            plane[y : y + len(rows), x : x + len(columns)] = colour[rows[:, None], columns]
        return av.VideoFrame.from_ndarray(self._planes, format="yuv420p")


def yuv_of(pixels: Picture) -> NDArray[np.uint8]:
    """Pixels 0x00RRGGBB as Y, Cb, Cr of ITU-R BT.709, 8 bits, limited range: (3, h, w) uint8.

    >>> yuv_of(np.array([[0, 0xFFFFFF, 0xFF0000]], np.uint32))[:, 0].T.tolist()
    [[16, 128, 128], [235, 128, 128], [63, 102, 240]]
    """
    rgb = rgb_of(pixels).reshape(-1, 3).astype(np.float32)
    yuv = BT709 @ rgb.T + np.array([[16.5], [128.5], [128.5]], np.float32)
    return yuv.astype(np.uint8).reshape(3, *pixels.shape)


def canvas_of(info: ScreenInfo) -> tuple[int, int]:
    """Size of the video that a picture begins.

    >>> shape = ("", 4096, "flags", False)
    >>> canvas_of(ScreenInfo(320, 200, 4 / 3, 0, *shape))
    (1600, 1200)
    >>> canvas_of(ScreenInfo(1024, 768, 4 / 3, 0, *shape))
    (2048, 1536)
    >>> canvas_of(ScreenInfo(2559, 1599, 1.6, 0, *shape))
    (2560, 1600)
    """
    doubled = info.width * 2, info.height * 2
    if doubled[0] <= UPSCALED_ROOM[0] and doubled[1] <= UPSCALED_ROOM[1]:
        return UPSCALED_ROOM
    if doubled[0] <= LARGEST[0] and doubled[1] <= LARGEST[1]:
        return doubled
    return info.width + info.width % 2, info.height + info.height % 2


def _bytes_of(picture: Picture) -> NDArray[np.uint8]:
    """Blue, green, red, and nothing, a byte each: (h, w, 4)."""
    height, width = picture.shape
    return picture.astype("<u4", copy=False).view(np.uint8).reshape(height, width, 4)
