"""Film: the recorder's side that encodes. It keeps its own picture, and knows when and where to.

A picture is written when the next one comes, for only then is it known how long it was shown. What
changed no pixel changes nothing here. Pictures that a file cannot take begin another: ``F.png``,
``F-2.png``, ``F-3.png``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from vgaemu.display.rects import around
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.outputs import NewFile, named_in_errors
from vgaemu.record.change import Change, Patch
from vgaemu.record.encoder import Encoder, Picture, pixels_in
from vgaemu.record.outlines import Outlines

#: Frames a second that are believed of a guest that programs nonsense.
MIN_HZ, MAX_HZ = 1, 500


class Film:
    """Pictures with their times, in as many files as it takes.

    Args:
        path: The first file.
        encoder: How files are written.
        outlines: Mark what was redrawn.

    Raises:
        OSError: The first file cannot be written.
    """

    def __init__(self, path: Path, encoder: type[Encoder], *, outlines: bool = False) -> None:
        self._path, self._encoder_class, self._outlined = path, encoder, outlines
        #: Open from the start: then it can be written, and its name is taken.
        self._first: NewFile | None = NewFile(path, stream=True)
        #: Files that were begun, and pictures written into them.
        self.paths: list[Path] = []
        self.pictures = 0
        self._part: _Part | None = None
        self._outlines: Outlines | None = None
        self._info: ScreenInfo | None = None
        self._picture: Picture = np.zeros((0, 0), np.uint32)
        #: What of it is not written yet.
        self._box: Rect | None = None
        #: The clock: the frame it is at, seconds since the first, and frames a second from there.
        self._frame_number: int | None = None
        self._now = Fraction(0)
        self._hz = Fraction(MAX_HZ)

    def take(self, change: Change) -> None:
        """Go on to a frame that changed something.

        Raises:
            OSError: A file cannot be written; those there are play.
        """
        number, info, patches = change
        self._unmark_before(number)
        self._go_to(number)
        if info is not None:
            self._hz = Fraction(min(max(info.refresh_hz, MIN_HZ), MAX_HZ)).limit_denominator(1000)
            if self._info is None or _shape(info) != _shape(self._info):
                self._begin_shape(info)
            self._info = info
        if self._outlines is not None:
            patches = self._outlines.mark(number, patches)
        self._lay(patches)

    def end(self, frame_number: int) -> None:
        """That was the last frame; its picture is shown as long as a frame.

        Raises:
            OSError: A file cannot be written; those there are play.
        """
        self._unmark_before(frame_number + 1)
        self._go_to(frame_number + 1)
        self._end_part()
        self._drop_unused()

    def give_up(self) -> None:
        """After an error, leave what there is."""
        with suppress(Exception):
            self._close_part()
        self._drop_unused()

    def _drop_unused(self) -> None:
        """Nothing was recorded: there is no file then."""
        if self._first is not None:
            _drop(self._first)

    def _close_part(self) -> None:
        """Put the file into its place; one without a picture is none, and what was there stays."""
        part, self._part = self._part, None
        if part is None:
            return
        try:
            part.close()
        finally:
            if part.is_empty:
                self.paths.remove(part.file.path)

    def _go_to(self, frame_number: int) -> None:
        """Let the clock go on; it begins at the first frame that it is told of."""
        if self._frame_number is not None:
            self._now += (frame_number - self._frame_number) / self._hz
        self._frame_number = frame_number

    def _unmark_before(self, frame_number: int) -> None:
        """Take outlines away that are shown until before then."""
        outlines = self._outlines
        if outlines is not None and outlines.until < frame_number and (plain := outlines.gone()):
            self._go_to(outlines.until)
            self._lay(plain)

    def _begin_shape(self, info: ScreenInfo) -> None:
        """Pictures of another shape come from now on."""
        if self._part is not None:
            self._write()
            if not self._part.encoder.resize(info):
                self._end_part()
        self._info = info
        if self._part is None:
            self._begin_part(self._now)
        self._picture = np.zeros((info.height, info.width), np.uint32)
        self._box = Rect(0, 0, info.width, info.height)
        self._outlines = Outlines(info) if self._outlined else None

    def _lay(self, patches: Sequence[Patch]) -> None:
        """Change the picture now; before that, what it was until now is written."""
        boxes = [patch.changed_in(self._picture) for patch in patches]
        if not any(boxes):
            return
        self._write()
        for rect, pixels in patches:
            pixels_in(self._picture, rect)[...] = pixels
        for box in boxes:
            self._box = around(self._box, box)

    def _write(self) -> None:
        """Write the picture, shown until now, unless that was too briefly."""
        if self._part is not None and not self._part.too_brief(self._now):
            self._show_until(self._now)

    def _show_until(self, until: Fraction) -> None:
        part, box = self._part, self._box
        if part is None or box is None:
            return
        if not part.show(self._picture, box, until):
            self._close_part()
            self._begin_part(part.written, many_colours=True).show(
                self._picture, Rect(0, 0, *self._picture.shape[::-1]), until
            )
        self.pictures += 1
        self._box = None

    def _begin_part(self, began: Fraction, *, many_colours: bool = False) -> _Part:
        assert self._info is not None
        file, self._first = self._first, None
        if file is None:
            stem = f"{self._path.stem}-{len(self.paths) + 1}"
            file = NewFile(self._path.with_stem(stem), stream=True)
        try:
            with named_in_errors(file.path):
                self._part = _Part(file, self._encoder_class, self._info, began, many_colours)
        except BaseException:
            _drop(file)
            raise
        self.paths.append(file.path)
        return self._part

    def _end_part(self) -> None:
        """The last picture of a file is shown for as long as it takes to be seen."""
        if (part := self._part) is None:
            return
        until = self._now
        while part.too_brief(until):
            until += Fraction(1, MAX_HZ)
        self._show_until(until)
        self._close_part()


class _Part:
    """A file of a film."""

    def __init__(
        self,
        file: NewFile,
        encoder_class: type[Encoder],
        info: ScreenInfo,
        began: Fraction,
        many_colours: bool,
    ) -> None:
        self.file = file
        self.encoder = encoder_class(file.file, info, many_colours=many_colours)
        #: Whether it was closed without a picture in it.
        self.is_empty = False
        #: Seconds of the film when the file begins, and until which it has been written.
        self._began = self.written = began

    def too_brief(self, until: Fraction) -> bool:
        """Whether nothing can be shown from what was written until then."""
        return until <= self.written or self.encoder.too_brief(until - self._began)

    def show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        """Write a picture: see `Encoder.show`; again, if that is a long time."""
        longest = self.encoder.LONGEST
        while until - self.written > longest:
            if not self._show(picture, box, self.written + longest):
                return False
            box = Rect(0, 0, 1, 1)
        return self._show(picture, box, until)

    def _show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        with named_in_errors(self.file.path):
            if not self.encoder.show(picture, box, until - self._began):
                return False
        self.written = until
        return True

    def close(self) -> None:
        """Put the file into its place, whatever became of it, unless that is nothing."""
        is_whole = False
        try:
            with named_in_errors(self.file.path):
                self.encoder.finish()
            is_whole = True
        finally:
            is_shown = self.written > self._began
            self.is_empty = not (is_shown and (is_whole or self.encoder.plays()))
            if self.is_empty:
                _drop(self.file)
            else:
                self.file.put()


def _drop(file: NewFile) -> None:
    """Leave nothing of a file: what was in its place stays."""
    left = file.left
    file.drop()
    if left is not None:
        left.unlink(missing_ok=True)


def _shape(info: ScreenInfo) -> tuple[object, ...]:
    """What a file may depend on."""
    return info.width, info.height, info.aspect, info.is_text
