"""What a viewer wants, and what it has missed: written by two threads, waited for by a third.

The session reads requests, the display tells what was drawn, and the sender waits here until it
has reason for an update. Whatever comes meanwhile is joined, so that there is never more kept than
a few rectangles, however slow the viewer is and however much it asks for. Whoever runs frames takes
no lock for it, and wakes nobody who has nothing to do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from vgaemu.display.rects import MAX_RECTS, around, intersection, merge_rects, without
from vgaemu.display.report import Rect
from vgaemu.view.pixelformat import PixelFormat

#: Frames that nobody has looked at, before their rectangles are joined.
MAX_FRAMES = 32


class Order(NamedTuple):
    """What the next update is made of."""

    #: Where the viewer may not have what is shown; and what it gets whether it has it or not.
    dirty: list[Rect]
    forced: list[Rect]
    #: The part of the picture that this is about.
    area: Rect
    #: How it wants its pixels, if that is new.
    form: PixelFormat | None
    #: What it takes: see `vgaemu.view.messages.Encoding`.
    encodings: tuple[int, ...]
    #: It asked for another size of the screen, and waits for a refusal.
    refuses_size: bool
    #: When it asked last, or answered what was sent: `monotonic`.
    answered: float


class Wants:
    """One viewer's.

    Args:
        is_ready: Whether there is a picture at all; whoever draws the first one calls `note`.
    """

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._lock = threading.Lock()
        #: What was drawn, a sequence a frame: these are added without the lock.
        self._drawn: deque[Sequence[Rect]] = deque()
        #: Rung to wake the sender, if it sleeps, and if it would for something drawn.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._sleeps = self._is_waited_for = False
        self._dirty: list[Rect] = []
        self._forced: list[Rect] = []
        #: Where it waits for a change, and where it need not ask.
        self._asked: Rect | None = None
        self._continuous: Rect | None = None
        #: Nobody knows what it shows before its first update: that is of all it asks for.
        self._is_new = True
        self._form: PixelFormat | None = None
        self._encodings: tuple[int, ...] = ()
        #: Something besides the picture may be new.
        self._has_news = self._refuses_size = False
        #: What the viewer has to answer before it gets more.
        self._fence: bytes | None = None
        self._is_over = False
        self._answered = 0.0

    def note(self, rects: Sequence[Rect]) -> None:
        """This was drawn; nobody changes it any more."""
        self._drawn.append(rects)
        if self._is_waited_for:
            self._is_waited_for = False
            self._bell.put(None)
        elif len(self._drawn) > MAX_FRAMES:
            with self._lock:
                self._join_drawn()

    def note_news(self) -> None:
        """Something besides the picture may be new."""
        with self._lock:
            self._has_news = True
            self._wake()

    def ask(self, area: Rect, *, incremental: bool) -> None:
        """The viewer wants an update: of what has changed there, or of all of that."""
        with self._lock:
            self._answered = monotonic()
            self._asked = around(self._asked, area)
            if not incremental or self._is_new:
                self._is_new = False
                self._forced = _joined(self._forced, [area])
            self._wake()

    def let_come(self, area: Rect | None) -> bool:
        """The viewer takes updates there without asking, or none any more; whether it did."""
        with self._lock:
            before, self._continuous = self._continuous, area
            self._wake()
            return before is not None

    def use(self, form: PixelFormat) -> None:
        """From the next update on pixels are like this."""
        with self._lock:
            self._form = form

    def take(self, encodings: Sequence[int]) -> tuple[int, ...]:
        """From the next update on it takes these; returns those before."""
        with self._lock:
            before, self._encodings = self._encodings, tuple(encodings)
            self._has_news = True
            self._wake()
            return before

    def refuse_size(self) -> None:
        """The viewer is to be told that the screen stays as it is."""
        with self._lock:
            self._refuses_size = True
            self._wake()

    def await_fence(self, payload: bytes) -> bool:
        """Nothing more is sent before the viewer has answered: if updates come unasked, at all."""
        with self._lock:
            if self._continuous is not None:
                self._fence = payload
            return self._fence is not None

    def take_fence(self, payload: bytes) -> None:
        """The viewer has answered a fence."""
        with self._lock:
            if payload == self._fence:
                self._fence, self._answered = None, monotonic()
                self._wake()

    def finish(self) -> None:
        """The viewer has gone."""
        with self._lock:
            self._is_over = True
            self._wake()

    def wait(self) -> Order | None:
        """Wait for reason for an update, and take it all; None: the viewer has gone."""
        with self._lock:
            while not self._has_reason():
                self._sleep()
            area = around(self._asked, self._continuous)
            if self._is_over or area is None:
                return None
            dirty, rest = _cut(self._dirty, area)
            order = Order(
                dirty, self._forced, area, self._form, self._encodings, self._refuses_size,
                self._answered,
            )  # fmt: skip
            self._dirty, self._forced, self._asked, self._form = rest, [], None, None
            self._has_news = self._refuses_size = False
            return order

    def _wake(self) -> None:
        """Let the sender look, which sleeps; under the lock."""
        if self._sleeps:
            self._sleeps = self._is_waited_for = False
            self._bell.put(None)

    def _sleep(self) -> None:
        """Until something may have come; under the lock, which is free meanwhile."""
        # Who waits for the viewer would wake for nothing, and whoever runs frames paid for it.
        has_room = (self._asked or self._continuous) is not None and self._fence is None
        self._sleeps, self._is_waited_for = True, has_room
        if not (has_room and self._drawn):  # what was drawn before that has rung nobody
            self._lock.release()
            try:
                self._bell.get()
            finally:
                self._lock.acquire()
        self._sleeps = self._is_waited_for = False

    def _join_drawn(self) -> None:
        while self._drawn:
            self._dirty = _joined(self._dirty, self._drawn.popleft())

    def _has_reason(self) -> bool:
        self._join_drawn()
        if self._is_over:
            return True
        area = around(self._asked, self._continuous)
        if area is None or self._fence is not None or not self._is_ready():
            return False
        return (
            bool(self._forced) or self._has_news or self._refuses_size
            or any([intersection(rect, area) for rect in self._dirty])
        )  # fmt: skip

    def put_back(self, order: Order) -> None:
        """There was nothing to send: the viewer still waits."""
        with self._lock:
            self._asked = around(self._asked, order.area)

    def force(self, area: Rect, *, asked: bool) -> None:
        """The picture has another size: all of it is due, as soon as the viewer asks for any.

        `asked`: it has; who wants a picture is not content with a size.
        """
        with self._lock:
            self._join_drawn()
            self._forced, self._dirty = [area], []
            if asked:
                self._asked = area
            if self._continuous is not None:
                self._continuous = area


def _cut(rects: Sequence[Rect], area: Rect) -> tuple[list[Rect], list[Rect]]:
    """The parts of rectangles inside of an area, and those outside."""
    inside: list[Rect] = []
    outside: list[Rect] = []
    for rect in rects:
        part = intersection(rect, area)
        if part is None:
            outside.append(rect)
        else:
            inside.append(part)
            outside += without(rect, part)
    return inside, outside


def _joined(rects: list[Rect], more: Iterable[Rect]) -> list[Rect]:
    joined = [*rects, *more]
    return merge_rects(joined) if len(joined) > MAX_RECTS else joined
