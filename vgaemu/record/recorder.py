"""Recorder: a display that copies what was redrawn, and lets a thread encode it.

The copies wait in a queue of bounded size. Where nobody looks, the loop waits for room in it, so
that no frame is lost; beside a window it does not: what was redrawn meanwhile is copied in one
piece as soon as there is room, and how many frames were joined so is said at the end.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

from vgaemu.display.base import BaseDisplay
from vgaemu.display.rects import merge_rects
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.errors import RecordError, file_error
from vgaemu.record.change import Change, Patch
from vgaemu.record.encoder import Picture, pixels_in
from vgaemu.record.film import Film
from vgaemu.record.formats import encoder_of

log = logging.getLogger(__name__)

#: What waits at most, unless it is a single change (bytes): 28 pictures of 720x400.
QUEUE_BYTES = 32 << 20


class Recorder(BaseDisplay):
    """Records what a machine shows into a file, from the first update to `close`.

    Args:
        path: The file; its suffix says which format.
        outlines: Draw the rectangles that were redrawn into the picture.
        waits: Whether the loop waits for the encoder rather than let it join frames.

    Raises:
        RecordError: There is no such format, or the file cannot be written.
    """

    in_step = True

    def __init__(self, path: str | Path, *, outlines: bool = False, waits: bool = True) -> None:
        self.path = Path(path)
        encoder = encoder_of(self.path)
        if self.path.exists() and not self.path.is_file():
            raise RecordError(f"{path}: no regular file; name one")
        try:
            self._film = Film(self.path, encoder, outlines=outlines)
        except OSError as error:
            advice = "name a file that can be written"
            raise RecordError(file_error(path, error, advice)) from None
        self._queue = _Queue()
        self._waits = waits
        #: The shape of the next change, if it may be another.
        self._info: ScreenInfo | None = None
        #: What was redrawn since the last change that found room.
        self._missed: list[Rect] = []
        #: Where that is, if there is any: the picture, as long as nothing is drawn.
        self._frame: Picture | None = None
        self._frame_number = 0
        #: Frames that were joined with the one after for want of room.
        self.joined = 0
        #: Why not all was recorded: a line; else empty.
        self.problem = ""
        self._thread = Thread(target=self._encode, name=f"recorder {self.path}", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # of who forgets it

    def __repr__(self) -> str:
        return f"<vgaemu.record.Recorder {self.path}, {self.pictures} pictures>"

    @property
    def paths(self) -> Sequence[Path]:
        """The files so far: a new one begins where a file cannot take the picture's shape."""
        return tuple(self._film.paths)

    @property
    def pictures(self) -> int:
        """Pictures written so far."""
        return self._film.pictures

    def resize(self, screen: ScreenInfo) -> None:
        self._info = screen
        self._missed, self._frame = [], None

    def update(self, frame: Picture, rects: Sequence[Rect], report: FrameReport) -> None:
        self._frame_number = report.frame_number
        if not rects and not self._missed:
            return
        if self._missed:
            rects = merge_rects([*self._missed, *rects])
        if self._queue.has_room or self._waits:
            self._put(frame, rects)
        else:
            self._frame, self._missed = frame, list(rects)
            self.joined += 1

    def _put(self, frame: Picture, rects: Sequence[Rect]) -> None:
        """Copy what changed for the thread, as soon as there is room."""
        self._queue.wait_for_room()
        patches = [Patch(rect, pixels_in(frame, rect).copy()) for rect in rects]
        self._queue.put(Change(self._frame_number, self._info, patches))
        self._info, self._missed, self._frame = None, [], None

    def close(self) -> None:
        """Write what waits, and end the file."""
        atexit.unregister(self.close)
        if not self._thread.is_alive():
            return
        if self._frame is not None:
            self._put(self._frame, self._missed)
        self._queue.end()
        self._thread.join()
        said = ", ".join(map(str, self.paths)) or "nothing"
        log.info("recorded %s: %d pictures", said, self.pictures)
        if self.joined:
            log.warning("%s: %d frames joined: encoding was slower", self.path, self.joined)

    def _encode(self) -> None:
        """The thread."""
        try:
            while (change := self._queue.get()) is not None:
                self._film.take(change)
            self._film.end(self._frame_number)
        except Exception as error:  # who waits for room must not wait for ever
            self._queue.end()
            self._film.give_up()
            self.problem = self._told(error)

    def _told(self, error: Exception) -> str:
        """What became of the recording, in a line."""
        kept = "what came before plays" if self.paths else "nothing was recorded"
        if isinstance(error, OSError):
            return file_error(error.filename or self.path, error, kept)
        return f"{self.path}: {type(error).__name__}: {error}; {kept}"


class _Queue:
    """Changes on their way to the thread: as many as fit into `QUEUE_BYTES`, and at least one.

    One puts, one gets. Each counts its own bytes, so that a change is put without a lock of ours:
    what wakes the thread is half of what a small change costs.
    """

    def __init__(self) -> None:
        self._changes: SimpleQueue[Change | None] = SimpleQueue()
        self._put_bytes = self._got_bytes = 0
        self._ended = False
        #: Set when something was taken.
        self._moved = Event()

    @property
    def has_room(self) -> bool:
        """Whether another change may be put; also one that nobody will get."""
        return self._put_bytes - self._got_bytes < QUEUE_BYTES or self._ended

    def wait_for_room(self) -> None:
        """Wait until there is room."""
        while not self.has_room:
            self._moved.clear()
            if not self.has_room:
                self._moved.wait()

    def put(self, change: Change) -> None:
        """Let the thread have it, unless it has ended."""
        if not self._ended:
            self._put_bytes += change.nbytes
            self._changes.put(change)

    def get(self) -> Change | None:
        """Wait for the next one; None after the last."""
        change = self._changes.get()
        if change is not None:
            self._got_bytes += change.nbytes
            self._moved.set()
        return change

    def end(self) -> None:
        """No more are put."""
        self._ended = True
        self._changes.put(None)
        self._moved.set()
