"""Updates: what a viewer wants made into rectangles, and sent.

Belongs to one thread of a session, which knows what the viewer has (`Seen`) and sends what differs.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import partial
from time import monotonic
from typing import NamedTuple, TypeAlias

from vgaemu.display.rects import intersection, merge_rects, without
from vgaemu.display.report import Rect
from vgaemu.vga.scanout import Scanout
from vgaemu.view import messages
from vgaemu.view.encodings.base import Block, Body, Colours, Encoder
from vgaemu.view.encodings.plain import RawEncoder, ZlibEncoder
from vgaemu.view.encodings.tight import MAX_WIDTH, TightEncoder
from vgaemu.view.messages import Encoding
from vgaemu.view.pace import Pace, Sent
from vgaemu.view.pixelformat import Pixels, three_bytes
from vgaemu.view.seen import Seen, position
from vgaemu.view.wants import Order

#: Sends a message, or part of one.
Send: TypeAlias = Callable[[bytes | bytearray], None]

#: What pixels can be sent as; of those that a viewer lists the first one is taken.
ENCODERS: dict[int, Callable[[Colours], Encoder]] = {
    Encoding.TIGHT: TightEncoder,
    Encoding.ZLIB: ZlibEncoder,
    Encoding.RAW: RawEncoder,
}
#: Pixels that are encoded in one go: a viewer draws the first part of a large picture while the
#: next one is encoded. Smaller ones have colours of their own, and are fewer bytes for it.
BLOCK_PIXELS = 1 << 16
#: So many bytes are sent before an update is complete, to viewers that take it in parts.
PART_BYTES = 1 << 14
#: Blocks that wait behind the one that is made and sent: the helper makes every second one.
MADE_AHEAD = 2
#: Either lets the picture change its size.
SIZES = {Encoding.DESKTOP_SIZE, Encoding.EXTENDED_DESKTOP_SIZE}
#: Where rectangles are that have no place.
NOWHERE = Rect(0, 0, 0, 0)
#: Of `Encoding.EXTENDED_DESKTOP_SIZE`: the viewer itself asked for it, and it is refused.
ASKED_BY_VIEWER, PROHIBITED = 1, 1


class Shown(NamedTuple):
    """The picture, as displays were told of it last."""

    #: (height, width) uint32 0x00RRGGBB: live, the next frame may be drawn into it meanwhile.
    frame: Pixels
    #: The colours it was drawn with: see `vgaemu.display.report.FrameReport`.
    palette: Pixels | None
    scanout: Scanout


class Beside(NamedTuple):
    """What viewers show beside the picture."""

    #: The title of its window.
    name: str
    #: Of the guest's keyboard: bit 0 scroll lock, 1 num lock, 2 caps lock; None: not known.
    lamps: int | None


class Made(Enum):
    """What came of an order."""

    #: The viewer has all that already.
    NOTHING = auto()
    UPDATE = auto()
    #: The viewer knows the picture's new size, and nothing of the picture.
    SIZE = auto()


class Updates:
    """Makes one viewer's updates.

    Args:
        send: To the viewer.
        width: Of its screen, in pixels, as it was told.
        height: Likewise.
        name: The title of its window, likewise.
    """

    def __init__(self, send: Send, width: int, height: int, name: str) -> None:
        self._send_bytes = send
        #: Bytes of this update, of pixels and on the wire.
        self._plain = self._wire = 0
        self._pace = Pace()
        self._colours = Colours()
        #: What it takes, and which of that pixels are sent as.
        self.takes: frozenset[int] = frozenset()
        self._encoding = int(Encoding.RAW)
        self._encoders: dict[int, Encoder] = {}
        self._seen = Seen(width, height)
        #: Where its picture lies in VRAM.
        self._seen_at: tuple[int, int] | None = None
        #: What it has been told; the lamps are a byte.
        self._name, self._lamps = name, -1
        self._has_keys = self._has_size = False

    def make(self, order: Order, shown: Shown, beside: Beside) -> Made:
        """Send what an order asks for, as far as the viewer has not got it.

        Raises:
            Gone: The viewer does not take it.
        """
        began, self._plain, self._wire = monotonic(), 0, 0
        self._pace.answered(order.answered)
        if order.form is not None:
            self._colours.use(order.form)
        self.takes = frozenset(order.encodings)
        self._encoding = next((e for e in order.encodings if e in ENCODERS), Encoding.RAW)
        update = _Update(self._send, in_parts=Encoding.LAST_RECT in self.takes)
        height, width = shown.frame.shape
        if (width, height) != self._seen.size and self.takes & SIZES:
            self._seen, self._seen_at = Seen(width, height), None
            self._add_size(update)
            update.finish()
            return Made.SIZE
        self._add_beside(update, beside, refuses_size=order.refuses_size)
        self._add_picture(update, order, shown)
        if not update.finish():
            return Made.NOTHING
        self._pace.sent(Sent(began, monotonic(), self._plain, self._wire))
        return Made.UPDATE

    def close(self) -> None:
        """The viewer has gone."""
        for encoder in self._encoders.values():
            encoder.close()

    @property
    def whole(self) -> Rect:
        """All of the viewer's screen."""
        return Rect(0, 0, *self._seen.size)

    def _send(self, data: bytes | bytearray) -> None:
        self._wire += len(data)
        self._send_bytes(data)

    def _add_size(self, update: _Update, reason: int = 0, status: int = 0) -> None:
        """The size, in a way that the viewer takes: of one screen."""
        width, height = self._seen.size
        if Encoding.EXTENDED_DESKTOP_SIZE not in self.takes:
            update.add(self.whole, Encoding.DESKTOP_SIZE)
            return
        self._has_size = True
        screen = b"\1\0\0\0" + messages.SCREEN.pack(0, 0, 0, width, height, 0)
        where = Rect(reason, status, width, height)
        update.add(where, Encoding.EXTENDED_DESKTOP_SIZE, screen)

    def _add_beside(self, update: _Update, beside: Beside, *, refuses_size: bool) -> None:
        """What is no picture."""
        takes = self.takes
        if Encoding.EXTENDED_DESKTOP_SIZE in takes:
            if refuses_size:
                self._add_size(update, ASKED_BY_VIEWER, PROHIBITED)
            elif not self._has_size:
                self._add_size(update)
        if Encoding.QEMU_KEYS in takes and not self._has_keys:
            self._has_keys = True
            update.add(NOWHERE, Encoding.QEMU_KEYS)
        if Encoding.LED_STATE in takes and beside.lamps not in (None, self._lamps):
            self._lamps = beside.lamps or 0
            update.add(NOWHERE, Encoding.LED_STATE, bytes((self._lamps,)))
        if Encoding.DESKTOP_NAME in takes and beside.name != self._name:
            self._name = beside.name
            name = beside.name.encode()
            update.add(NOWHERE, Encoding.DESKTOP_NAME, len(name).to_bytes(4, "big") + name)

    def _add_picture(self, update: _Update, order: Order, shown: Shown) -> None:
        frame, forced = self._seen.fitted(shown.frame), order.forced
        colours = self._colours.new_map(shown.palette)
        if colours is not None:
            forced = [self.whole]
            self._send(messages.colour_map(three_bytes(colours).repeat(2).tobytes()))
        whole = self.whole
        for rect in merge_rects([part for r in forced if (part := intersection(r, whole))]):
            self._add_pixels(update, frame, rect, shown.palette)
        dirty = merge_rects([part for r in order.dirty if (part := intersection(r, whole))])
        at, before = position(shown.scanout), self._seen_at
        self._seen_at = at
        if at != before and at is not None and before is not None and dirty == [whole]:
            dirty = self._add_move(update, frame, at[0] - before[0], at[1] - before[1])
        for rect in dirty:
            for part in self._seen.changed(frame, rect):
                self._add_pixels(update, frame, part, shown.palette)

    def _add_move(self, update: _Update, frame: Pixels, dx: int, dy: int) -> list[Rect]:
        """Let the viewer copy what the guest has scrolled; what is left to be looked at."""
        takes_it = Encoding.COPY_RECT in self.takes
        move = self._seen.move(frame, dx, dy) if takes_it else None
        if move is None:
            return [self.whole]
        update.add(move.to, Encoding.COPY_RECT, struct.pack(">HH", move.from_x, move.from_y))
        # What was copied, too: the next frame may be drawn meanwhile.
        return [*without(self.whole, move.to), move.to]

    def _add_pixels(
        self, update: _Update, frame: Pixels, rect: Rect, palette: Pixels | None
    ) -> None:
        if self._encoding not in self._encoders:
            self._encoders[self._encoding] = ENCODERS[self._encoding](self._colours)
        encoder = self._encoders[self._encoding]
        for part in _blocks(rect):
            block = Block(self._seen.take(frame, part), palette)
            self._plain += block.pixels.nbytes
            body = encoder.encode(block, stores=self._pace.stores)
            update.add_later(part, self._encoding, body)


class _Update:
    """A message that is being made."""

    def __init__(self, send: Send, *, in_parts: bool) -> None:
        self._send, self._in_parts = send, in_parts
        self._data = bytearray(messages.UPDATE.pack(messages.Server.UPDATE, messages.UNTOLD))
        #: Rectangles that are not made, or not known to be: in the order in which they are sent.
        self._ahead: deque[tuple[Rect, int, Body]] = deque()
        self._count = 0
        self._has_begun = False

    def add(self, rect: Rect, encoding: int, body: bytes = b"") -> None:
        """Another rectangle."""
        self.add_later(rect, encoding, partial(bytes, body))

    def add_later(self, rect: Rect, encoding: int, body: Body) -> None:
        """Likewise, of which the bytes are still made."""
        self._ahead.append((rect, encoding, body))
        self._count += 1
        if len(self._ahead) > MADE_AHEAD:
            self._write()

    def _write(self) -> None:
        """The next rectangle's bytes."""
        rect, encoding, body = self._ahead.popleft()
        self._data += messages.RECT.pack(*rect, encoding)
        self._data += body()
        if self._in_parts and len(self._data) > PART_BYTES:
            self._send(self._data)
            self._data, self._has_begun = bytearray(), True

    def finish(self) -> bool:
        """Send the rest; whether there was anything."""
        if not self._count:
            return False
        while self._ahead:
            self._write()
        if self._has_begun:
            self._data += messages.RECT.pack(*NOWHERE, Encoding.LAST_RECT)
        else:
            messages.UPDATE.pack_into(self._data, 0, messages.Server.UPDATE, self._count)
        self._send(self._data)
        return True


def _blocks(rect: Rect) -> Iterator[Rect]:
    """A rectangle in parts that encoders take."""
    for x in range(0, rect.width, MAX_WIDTH):
        width = min(MAX_WIDTH, rect.width - x)
        rows = max(1, BLOCK_PIXELS // width)
        for y in range(0, rect.height, rows):
            yield Rect(rect.x + x, rect.y + y, width, min(rows, rect.height - y))
