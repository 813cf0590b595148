"""A session: one viewer, from its handshake until it has gone.

One thread reads what the viewer says, another one encodes and sends. The viewer gets an update when
it has asked for one (or lets them come: continuous updates) and something is new; then all that it
missed. At most one update is under way: the next one waits until the viewer has asked again, or
has answered the fence behind the last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.errors import ViewError
from vgaemu.view.handshake import server_init, shake_hands
from vgaemu.view.inbox import Pointer
from vgaemu.view.keyboard import ViewerKeyboard
from vgaemu.view.messages import (
    CutText,
    EnableUpdates,
    Encoding,
    Fence,
    KeyEvent,
    PointerEvent,
    Server,
    SetDesktopSize,
    SetEncodings,
    SetPixelFormat,
    UpdateRequest,
    fence,
    read_message,
)
from vgaemu.view.transport import Gone, Transport
from vgaemu.view.updates import Beside, Made, Shown, Updates
from vgaemu.view.wants import Wants

#: Fences: who sends one wants an answer; before that, all that came before it is done. Of a
#: viewer's flags these are kept in the answer, which is what doing things in turn gives.
REQUEST, BLOCK_BEFORE, KEPT_FLAGS = 1 << 31, 1, 7
#: What the fences behind our updates have in them.
BEHIND_UPDATE = b"update"
#: Seconds that the sending thread has to end after the viewer has gone.
END_SECONDS = 5.0


class Host(Protocol):
    """Where viewers sit: what a session must know, and whom it tells what its viewer did."""

    @property
    def info(self) -> ScreenInfo:
        """What the screen is like, whether a picture has been drawn yet or not."""

    @property
    def shown(self) -> Shown | None:
        """The picture; None: there is none yet."""

    @property
    def password(self) -> bytes | None:
        """What viewers must know that are not trusted."""

    def beside(self, session: Session) -> Beside:
        """What it shows beside the picture."""

    def join(self, session: Session) -> None:
        """It may look from now on.

        Raises:
            ViewError: It may not.
        """

    def leave(self, session: Session) -> None:
        """It has gone."""

    def type(self, session: Session, key: KeyEvent) -> None:
        """It typed."""

    def point(self, session: Session, pointer: PointerEvent) -> None:
        """It pointed somewhere."""


class Session:
    """One viewer.

    Args:
        transport: The connection.
        host: Where it sits.
    """

    def __init__(self, transport: Transport, host: Host) -> None:
        self.transport = transport
        #: What it has down, for the host.
        self.keyboard, self.pointer = ViewerKeyboard(), Pointer()
        #: What it has copied, which is typed when its user asks for it.
        self.clipboard = ""
        self.wants = Wants(lambda: host.shown is not None)
        self._host = host
        #: Held for a whole message, so that an answer does not come amid an update.
        self._sending = threading.Lock()
        #: Why it ended, if the sending thread knows.
        self._why: Exception | None = None
        self._answers: dict[type, Callable[[Any], None]] = {
            SetPixelFormat: self._set_pixel_format,
            SetEncodings: self._set_encodings,
            UpdateRequest: self._request,
            EnableUpdates: self._enable_updates,
            Fence: self._fence,
            SetDesktopSize: self._set_desktop_size,
            KeyEvent: self._key,
            PointerEvent: self._pointer,
            CutText: self._cut_text,
        }

    def run(self) -> None:
        """All of it, on the caller's thread.

        Raises:
            ViewError: The viewer was sent away, or has gone: why.
        """
        host, transport = self._host, self.transport
        try:
            shake_hands(transport, host.password)
            host.join(self)
            try:
                self._talk()
            finally:
                host.leave(self)
        finally:
            transport.close()

    def _talk(self) -> None:
        info, name = self._host.info, self._host.beside(self).name
        self.transport.send(server_init(info.width, info.height, name))
        updates = Updates(self.transport.send, info.width, info.height, name)
        sender = threading.Thread(
            target=self._send_updates, args=(updates,), name="vgaemu viewer", daemon=True
        )
        try:
            sender.start()
        except RuntimeError as error:
            raise ViewError(f"has no thread: {error}") from None
        try:
            while True:
                message = read_message(self.transport)
                self._answers[type(message)](message)
        except Gone:
            # That it is gone was seen here, too, and here it is known how.
            if self._why is None or type(self._why) is Gone:
                raise
            raise self._why from None
        finally:
            self.wants.finish()
            self.transport.close()
            sender.join(END_SECONDS)

    def _send_updates(self, updates: Updates) -> None:
        """The sending thread."""
        wants = self.wants
        try:
            while (order := wants.wait()) is not None:
                # Only now: the picture is at least as new as what the order says of it.
                shown = self._host.shown
                assert shown is not None
                with self._sending:
                    made = updates.make(order, shown, self._host.beside(self))
                    if made is not Made.NOTHING and Encoding.FENCE in updates.takes:
                        self._send_fence()
                if made is Made.SIZE:
                    wants.force(updates.whole, asked=bool(order.forced))
                elif made is Made.NOTHING:
                    wants.put_back(order)
        except Exception as error:  # the reading thread tells of it
            self._why = error
        finally:
            self.transport.close()
            updates.close()

    def _send_fence(self) -> None:
        if self.wants.await_fence(BEHIND_UPDATE):
            self.transport.send(fence(REQUEST | BLOCK_BEFORE, BEHIND_UPDATE))

    def _set_pixel_format(self, message: SetPixelFormat) -> None:
        self.wants.use(message.form)

    def _set_encodings(self, message: SetEncodings) -> None:
        new = set(message.encodings) - set(self.wants.take(message.encodings))
        with self._sending:
            # What it may use from now on is told by using it once.
            if Encoding.FENCE in new:
                self.transport.send(fence(REQUEST, b""))
            if Encoding.CONTINUOUS_UPDATES in new:
                self.transport.send(bytes((Server.END_OF_CONTINUOUS_UPDATES,)))

    def _request(self, message: UpdateRequest) -> None:
        self.wants.ask(Rect(*message[1:]), incremental=message.incremental)

    def _enable_updates(self, message: EnableUpdates) -> None:
        area = Rect(*message[1:]) if message.enable else None
        if self.wants.let_come(area) and area is None:
            with self._sending:
                self.transport.send(bytes((Server.END_OF_CONTINUOUS_UPDATES,)))

    def _fence(self, message: Fence) -> None:
        if message.flags & REQUEST:
            with self._sending:
                self.transport.send(fence(message.flags & KEPT_FLAGS, message.payload))
        else:
            self.wants.take_fence(message.payload)

    def _set_desktop_size(self, message: SetDesktopSize) -> None:
        self.wants.refuse_size()

    def _key(self, message: KeyEvent) -> None:
        self._host.type(self, message)

    def _pointer(self, message: PointerEvent) -> None:
        self._host.point(self, message)

    def _cut_text(self, message: CutText) -> None:
        self.clipboard = message.text.decode("latin-1")
