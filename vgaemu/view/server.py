"""The RFB server: a display whose viewers come over a network.

It listens on loopback unless told otherwise; elsewhere only viewers with a password may look. The
first one to come types and points; those after it look only, until it has gone, unless all may.
Browsers come to the same port: `vgaemu.view.browser`.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from vgaemu.addresses import LOOPBACK, name_of_address, why_no_socket
from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Event, Paste
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.display.screen import Screen
from vgaemu.errors import ViewError
from vgaemu.view.browser import Browsers
from vgaemu.view.inbox import Inbox
from vgaemu.view.messages import KeyEvent, PointerEvent
from vgaemu.view.session import Session
from vgaemu.view.transport import Gone, TcpTransport, Transport
from vgaemu.view.updates import Beside, Shown

log = logging.getLogger(__name__)

#: VNC's first display.
DEFAULT_PORT = 5900
#: So many may be here at once: viewers, those who shake hands, and browsers.
MAX_CONNECTIONS = 64
#: Of a password: VncAuth has room for no more, and what is longer would be cut in silence.
PASSWORD_BYTES = 8
#: Seconds to wait when the system has no more connections to give.
RETRY_SECONDS = 1.0
#: A browser speaks first, and a viewer waits for our banner: after so long it is one (seconds).
#: On loopback Chromium asks within 20 ms; a network, or a host with much to do, takes some more.
SPEAKS_FIRST_SECONDS = 0.2


class ViewOptions(TypedDict, total=False):
    """Keywords of a `Server` that a machine passes on."""

    password: str | None
    shared: bool
    novnc: str | Path | None


class Server(BaseDisplay):
    """Shows a picture to whoever comes, and types what the first of them types.

    Args:
        screen: The picture.
        host: Where to listen: a name or an address of this host.
        port: Likewise; 0 is one that is free, see `port`.
        password: What viewers must know; needed unless `host` is loopback.
        shared: Whether all may type, and not the first one only.
        novnc: The folder with noVNC's files; None: Debian's, if it is installed.
        is_drawn: Whether there is a picture already; else viewers wait for the first one.
        lamps: Says which of the guest's keyboard are lit: see `vgaemu.view.updates.Beside`.

    Raises:
        ViewError: One cannot listen there, or without a password nobody may look from there.
            Or the folder has no noVNC.
    """

    #: All that is done in a frame is to tell who waits for it; sessions have threads of their own,
    #: and another one between would be woken for each frame.
    in_step = True
    #: Nobody ends the machine by going away.
    can_be_closed = False
    #: HOST:PORT where viewers come, and the port.
    address: str
    port: int
    #: Whatever speaks HTTP there; its `live` is a display, too.
    browsers: Browsers

    def __init__(
        self,
        screen: Screen,
        host: str = LOOPBACK,
        port: int = 0,
        *,
        password: str | None = None,
        shared: bool = False,
        novnc: str | Path | None = None,
        lamps: Callable[[], int] | None = None,
        is_drawn: bool = False,
    ) -> None:
        self.password = password_bytes(password)
        self.browsers = Browsers(host, novnc=novnc)
        self._live = self.browsers.live
        #: The picture as it was shown last, and its palette: see `shown`.
        self._latest = (screen.frame, screen.palette) if is_drawn else None
        self._screen, self._info = screen, screen.info
        self._is_shared = shared
        self._find_lamps, self._lamps = lamps, None if lamps is None else lamps()
        self._inbox = Inbox()
        #: Guards who is there: all connections, and of those the viewers in the order they came.
        self._door = threading.Lock()
        self._connections: set[Transport] = set()
        self._sessions: list[Session] = []
        #: Whom of them a frame is told.
        self._notes: list[Callable[[Sequence[Rect]], None]] = []
        self._is_closed = self._was_full = False
        #: Whose connections they are, and whose threads.
        self._process = os.getpid()
        self._listener = _listen(host, port, needs_password=self.password is None)
        self.port = int(self._listener.getsockname()[1])
        self.address = name_of_address(self._listener.getsockname())
        threading.Thread(target=self._accept, name="vgaemu view", daemon=True).start()

    def __repr__(self) -> str:
        return f"<vgaemu.view.Server {self.address}, {len(self._connections)} connections>"

    @property
    def page(self) -> str:
        """What a browser opens, with the token that it needs."""
        return self.browsers.address(self.address.rpartition(":")[0].strip("[]"), self.port)

    # What a display is asked.

    def resize(self, screen: ScreenInfo) -> None:
        self._info = screen
        self._live.resize(screen)
        self._note_news()

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        # Caches are cold here, 60 times a second: each object that is touched takes a microsecond.
        self._latest = frame, report.palette
        if rects:
            for note in self._notes:
                note(rects)
        if self._live.is_heard:
            self._live.note(report, len(rects))

    def poll(self) -> Iterable[Event]:
        if self._sessions and self._find_lamps is not None:
            lamps = self._find_lamps()
            if lamps != self._lamps:
                self._lamps = lamps
                self._note_news()
        return self._inbox.take()

    def close(self) -> None:
        """Let nobody look any more; twice is fine."""
        if os.getpid() != self._process:  # a fork: what is shut down would be so for its parent
            return
        self.is_gone = True
        self._live.close()
        with self._door:
            self._is_closed = True
            connections = list(self._connections)
        with suppress(OSError):  # it wakes who waits there, where the system lets it
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in connections:
            connection.close()

    def _note_news(self) -> None:
        for session in self._sessions:
            session.wants.note_news()

    # Who comes.

    def _accept(self) -> None:
        """The listening thread."""
        while not self._is_closed:
            try:
                connection, address = self._listener.accept()
                transport = TcpTransport(connection, name_of_address(address))
            except OSError as error:
                if not self._is_closed:  # out of file descriptors, say
                    log.warning("view: %s", error.strerror or error)
                    time.sleep(RETRY_SECONDS)
                continue
            if self._has_room(transport):
                self._meet_on_thread(transport)
            else:
                transport.close()

    def _has_room(self, transport: Transport) -> bool:
        """Count a connection in, if it is not one too many."""
        with self._door:
            is_full = len(self._connections) >= MAX_CONNECTIONS
            if not is_full and not self._is_closed:
                self._connections.add(transport)
                self._was_full = False
                return True
            is_told, self._was_full = self._was_full, is_full
        if is_full and not is_told:
            log.warning("view: %s sent away: %d are here", transport.peer, MAX_CONNECTIONS)
        return False

    def _meet_on_thread(self, transport: TcpTransport) -> None:
        thread = threading.Thread(
            target=self._meet, args=(transport,), name="vgaemu viewer", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            log.warning("view: %s sent away: %s", transport.peer, error)
            self._forget(transport)

    def _meet(self, transport: TcpTransport) -> None:
        """A connection's thread."""
        try:
            if self._speaks_first(transport):
                with self.browsers.meet(transport) as viewer:
                    if viewer is not None:
                        self.talk(viewer)
            else:
                self.talk(transport)
        except Gone as gone:
            log.info("view: %s", gone)
        finally:
            self._forget(transport)

    def _speaks_first(self, transport: TcpTransport) -> bool:
        """Whether it is a browser, which speaks soon, or later if it has opened a page."""
        while not transport.speaks_within(SPEAKS_FIRST_SECONDS):
            if not self.browsers.expects(transport):
                return False
        return True

    def _forget(self, transport: Transport) -> None:
        transport.close()
        with self._door:
            self._connections.discard(transport)

    def talk(self, transport: Transport) -> None:
        """Let a viewer look until it has gone; its connection is closed then."""
        try:
            Session(transport, self).run()
        except Gone as gone:
            log.info("view: %s", gone)
        except (ViewError, MemoryError) as error:
            log.warning("view: %s sent away: it %s", transport.peer, error)
        except Exception:
            log.exception("view: %s sent away", transport.peer)

    # What sessions ask and tell: see `vgaemu.view.session.Host`.

    @property
    def shown(self) -> Shown | None:
        """The picture, as it was shown last; None: there is none yet."""
        if self._latest is None:
            return None
        # The scanout may be newer by now: what is guessed from it is looked at before it is sent.
        return Shown(*self._latest, self._screen.scanout)

    @property
    def info(self) -> ScreenInfo:
        """The screen, as the display was told of it."""
        return self._info

    def beside(self, session: Session) -> Beside:
        """What a viewer shows beside the picture."""
        looks_only = " (look only)" if session.transport.looks_only else ""
        return Beside(f"vgaemu, {self._info.mode_name}{looks_only}", self._lamps)

    def join(self, session: Session) -> None:
        """A viewer may look from now on."""
        with self._door:
            self._seat([*self._sessions, session])
        log.info("view: %s looks", session.transport.peer)

    def leave(self, session: Session) -> None:
        """A viewer has gone."""
        with self._door:
            self._seat([other for other in self._sessions if other is not session])
        for event in (*session.keyboard.release_all(), *session.pointer.release_all()):
            self._inbox.put(event)

    def _seat(self, sessions: list[Session]) -> None:
        """These are here, and the first one types."""
        self._sessions = sessions
        self._notes = [session.wants.note for session in sessions]
        for i, session in enumerate(sessions):
            session.transport.looks_only = bool(i) and not self._is_shared
        self._note_news()

    def type(self, session: Session, key: KeyEvent) -> None:
        """A viewer typed."""
        for event in self._typed(session, key):
            self._inbox.put(event)

    def _typed(self, session: Session, key: KeyEvent) -> Sequence[Event]:
        keyboard, which = session.keyboard, (key.keysym, key.keycode)
        if not key.pressed:
            # Of what went down, all comes up: so many keys no keyboard has.
            released = keyboard.release(*which)
            return () if released is None else (released,)
        if session.transport.looks_only or self._inbox.is_full:
            return ()
        let_go = keyboard.begin_paste(*which) if session.clipboard else None
        if let_go is not None:
            return *let_go, Paste(session.clipboard)
        pressed = keyboard.press(*which)
        return () if pressed is None else (pressed,)

    def point(self, session: Session, pointer: PointerEvent) -> None:
        """A viewer's pointer moved, or its buttons did."""
        may = not session.transport.looks_only and not self._inbox.is_full
        for event in session.pointer.events(pointer, presses=may):
            self._inbox.put(event)


def password_bytes(password: str | None) -> bytes | None:
    """A password as viewers know it.

    Raises:
        ViewError: They cannot.
    """
    if password is None:
        return None
    try:
        encoded = password.encode("latin-1")
    except UnicodeEncodeError:
        encoded = b""
    if not 0 < len(encoded) <= PASSWORD_BYTES or b"\0" in encoded:
        raise ViewError("a viewer's password is of 1 to 8 characters of Latin-1")
    return encoded


def _listen(host: str, port: int, *, needs_password: bool) -> socket.socket:
    """A socket that viewers come to.

    Raises:
        ViewError: There can be none, or not without a password.
    """
    name = name_of_address((host, port))
    if port not in range(0x10000):  # the system would take its lower 16 bits
        raise ViewError(f"{name}: ports are 0 to 65535")
    try:
        family, _, _, _, where = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ViewError(
            f"{name}: {error.strerror or error}; name an address of this host"
        ) from None
    if needs_password and not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback:
        raise ViewError(
            f"{name}: who looks from elsewhere must know a password; give one, or listen on "
            f"{LOOPBACK} and look through ssh"
        )
    try:
        return socket.create_server(where[:2], family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise ViewError(f"{name}: {why_no_socket(error)}; name a free port of this host") from None
