"""What viewers say after the handshake, and what a server's messages begin with.

`read_message` takes a message off a transport, checks each size before anything is read for it,
and gives it as a named tuple. What was not announced is refused: a message of unknown length ends
every stream.

Sources: RFC 6143, 7.5 and 7.6; the RFB protocol page of the rfbproto project for fences, continuous
updates, desktop sizes and QEMU's key events.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from vgaemu.errors import ViewError
from vgaemu.view.pixelformat import LAYOUT_BYTES, PixelFormat
from vgaemu.view.transport import Transport

#: A message that has begun is to be whole after so long (seconds).
MESSAGE_SECONDS = 30.0
#: More encodings than anybody has.
MAX_ENCODINGS = 1024
#: Longest clipboard that is read at all, and what of it can be typed; in bytes.
MAX_CUT_TEXT, TYPED_TEXT = 1 << 24, 4096
#: RFB's own limit.
MAX_FENCE = 64


class Encoding(IntEnum):
    """Encodings, and what viewers list among them to say that they take it."""

    RAW = 0
    COPY_RECT = 1
    ZLIB = 6
    TIGHT = 7
    DESKTOP_SIZE = -223
    LAST_RECT = -224
    QEMU_KEYS = -258
    LED_STATE = -261
    DESKTOP_NAME = -307
    EXTENDED_DESKTOP_SIZE = -308
    FENCE = -312
    CONTINUOUS_UPDATES = -313


class Server(IntEnum):
    """Types of a server's messages."""

    UPDATE = 0
    COLOUR_MAP = 1
    END_OF_CONTINUOUS_UPDATES = 150
    FENCE = 248


class SetPixelFormat(NamedTuple):
    """From now on pixels are wanted like this."""

    form: PixelFormat


class SetEncodings(NamedTuple):
    """What the viewer takes, the best first."""

    encodings: tuple[int, ...]


class UpdateRequest(NamedTuple):
    """Wants to see part of the picture: all of that, or what has changed there."""

    incremental: bool
    x: int
    y: int
    width: int
    height: int


class KeyEvent(NamedTuple):
    """A key, by what it means; and by its place on the keyboard if the viewer knows it."""

    pressed: bool
    keysym: int
    #: Of scancode set 1; bit 7: with the prefix E0h. 0: not known.
    keycode: int = 0


class PointerEvent(NamedTuple):
    """The pointer is there, with these buttons down: bit 0 is the left one."""

    buttons: int
    x: int
    y: int


class CutText(NamedTuple):
    """The viewer's clipboard, no more than `TYPED_TEXT` of it."""

    text: bytes


class EnableUpdates(NamedTuple):
    """Send what changes in part of the picture without being asked, or do not."""

    enable: bool
    x: int
    y: int
    width: int
    height: int


class Fence(NamedTuple):
    """Answer when all before it is done; or the answer to ours."""

    flags: int
    payload: bytes


class SetDesktopSize(NamedTuple):
    """Wants another size of the screen."""

    width: int
    height: int


Message: TypeAlias = (
    SetPixelFormat | SetEncodings | UpdateRequest | KeyEvent | PointerEvent | CutText
    | EnableUpdates | Fence | SetDesktopSize
)  # fmt: skip

_Read: TypeAlias = Callable[[int], bytes]

_ENCODINGS = struct.Struct(">xH")
_REQUEST = struct.Struct(">?4H")
_KEY = struct.Struct(">?2xI")
_POINTER = struct.Struct(">BHH")
_CUT_TEXT = struct.Struct(">3xI")
_FENCE = struct.Struct(">3xIB")
_DESKTOP_SIZE = struct.Struct(">xHHBx")
#: Number, x, y, width, height, flags.
SCREEN = struct.Struct(">I4HI")
_QEMU = struct.Struct(">BHII")


def _pixel_format(read: _Read) -> SetPixelFormat:
    read(3)
    return SetPixelFormat(PixelFormat.unpack(read(LAYOUT_BYTES)))


def _encodings(read: _Read) -> SetEncodings:
    (count,) = _ENCODINGS.unpack(read(_ENCODINGS.size))
    if count > MAX_ENCODINGS:
        raise ViewError(f"lists {count} encodings, at most {MAX_ENCODINGS} are listened to")
    return SetEncodings(struct.unpack(f">{count}i", read(4 * count)))


def _request(read: _Read) -> UpdateRequest:
    return UpdateRequest(*_REQUEST.unpack(read(_REQUEST.size)))


def _key(read: _Read) -> KeyEvent:
    return KeyEvent(*_KEY.unpack(read(_KEY.size)))


def _pointer(read: _Read) -> PointerEvent:
    return PointerEvent(*_POINTER.unpack(read(_POINTER.size)))


def _cut_text(read: _Read) -> CutText:
    (length,) = _CUT_TEXT.unpack(read(_CUT_TEXT.size))
    if length > MAX_CUT_TEXT:
        raise ViewError(f"sends a clipboard of {length} bytes, at most {MAX_CUT_TEXT} are taken")
    text = read(min(length, TYPED_TEXT))
    left = length - len(text)
    while left:
        left -= len(read(min(left, 1 << 16)))
    return CutText(text)


def _enable_updates(read: _Read) -> EnableUpdates:
    return EnableUpdates(*_REQUEST.unpack(read(_REQUEST.size)))


def _fence(read: _Read) -> Fence:
    flags, length = _FENCE.unpack(read(_FENCE.size))
    if length > MAX_FENCE:
        raise ViewError(f"sends a fence of {length} bytes, which has at most {MAX_FENCE}")
    return Fence(flags, read(length))


def _desktop_size(read: _Read) -> SetDesktopSize:
    width, height, screens = _DESKTOP_SIZE.unpack(read(_DESKTOP_SIZE.size))
    read(SCREEN.size * screens)
    return SetDesktopSize(width, height)


def _qemu(read: _Read) -> KeyEvent:
    (what,) = read(1)
    if what:
        raise ViewError(f"sends QEMU's message {what}, of which only keys, 0, are understood")
    pressed, keysym, keycode = struct.unpack(">HII", read(10))
    return KeyEvent(bool(pressed), keysym, keycode)


_BODIES: dict[int, Callable[[_Read], Message]] = {
    0: _pixel_format,
    2: _encodings,
    3: _request,
    4: _key,
    5: _pointer,
    6: _cut_text,
    150: _enable_updates,
    248: _fence,
    251: _desktop_size,
    255: _qemu,
}


def read_message(transport: Transport) -> Message:
    """The viewer's next message, however long it is silent before.

    Raises:
        ViewError: It is none, or one with a field that nothing can be made of.
        Gone: There will be none.
    """
    (kind,) = transport.read_exactly(1)
    body = _BODIES.get(kind)
    if body is None:
        raise ViewError(f"sends a message of type {kind}, which is not known here")
    return body(lambda count: transport.read_exactly(count, MESSAGE_SECONDS))


#: Type, rectangles.
UPDATE = struct.Struct(">BxH")
#: x, y, width, height, encoding.
RECT = struct.Struct(">4Hi")
#: What an update has instead of a count when its end is told by `Encoding.LAST_RECT`.
UNTOLD = 0xFFFF


def fence(flags: int, payload: bytes) -> bytes:
    """A fence of ours, or an answer."""
    return struct.pack(">B3xIB", Server.FENCE, flags, len(payload)) + payload


def colour_map(colours: bytes) -> bytes:
    """Colours of all numbers from 0: six bytes each, 16 bits of red, green and blue."""
    return struct.pack(">BxHH", Server.COLOUR_MAP, 0, len(colours) // 6) + colours
