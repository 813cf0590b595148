"""Browsers at the port of a view: they get their answer, or become viewers like any other.

The websockets library is an extra: it is imported when the first browser comes. Without it browsers
are told what to install, and VNC works as ever.
"""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from vgaemu.view.http import Answer, Door, Socket
from vgaemu.view.live import Live
from vgaemu.view.transport import TcpTransport

if TYPE_CHECKING:
    from vgaemu.view.websocket import WebSocketTransport

log = logging.getLogger(__name__)

#: For whoever has not the library, in the browser and at the command.
INSTALL = "a view in the browser needs websockets: pip install 'vgaemu[view]'"
_REFUSAL = (
    "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    f"Content-Length: {len(INSTALL) + 1}\r\n\r\n{INSTALL}\n"
).encode()
#: Seconds after a page in which a browser opens connections that it may need, and for which it
#: keeps those it has not used (Chromium: 10).
SPARES_SECONDS, KEPT_SECONDS = 1.0, 12.0
#: Hosts whose browsers are told from viewers so, at once.
MAX_HOSTS = 64


def is_available() -> bool:
    """Whether browsers can be talked with."""
    return find_spec("websockets") is not None


class Browsers:
    """Whatever speaks HTTP at one port.

    Args:
        host: What the port was opened on, which browsers may call it.
        novnc: The folder with noVNC's files; None: Debian's, if it is installed.

    Raises:
        ViewError: The folder has no noVNC.
    """

    def __init__(self, host: str = "", *, novnc: str | Path | None = None) -> None:
        self.door = Door(hosts=[host] if host else [], novnc=novnc)
        #: A display, in step, which the page's figures come from.
        self.live = Live()
        self._has_told = False
        #: Hosts that were given a page, and when, the latest last.
        self._pages: dict[str, float] = {}

    def address(self, host: str, port: int) -> str:
        """What a user opens: our page, where the port was opened; of all addresses, by name."""
        named = socket.gethostname() if host in ("0.0.0.0", "::") else host
        named = f"[{named}]" if ":" in named else named
        return f"http://{named}:{port}/?token={self.door.token}"

    def expects(self, connection: TcpTransport) -> bool:
        """Whether somebody who says nothing may be a browser, and is to be waited for.

        A browser that opens a page opens more than one connection at once, and speaks on the others
        only when it needs them; a VNC viewer says nothing, as it waits for us.
        """
        got_page = self._pages.get(_host(connection), -math.inf)
        return (
            connection.opened < got_page + SPARES_SECONDS
            and monotonic() < connection.opened + KEPT_SECONDS
        )

    def _answer(
        self, connection: TcpTransport, method: str, target: str, headers: Mapping[str, str]
    ) -> Answer | Socket:
        given = self.door.answer(method, target, headers)
        if isinstance(given, Answer) and given.is_page:
            self._pages.pop(_host(connection), None)
            self._pages[_host(connection)] = monotonic()
            if len(self._pages) > MAX_HOSTS:
                self._pages.pop(next(iter(self._pages)), None)
        return given

    @contextmanager
    def meet(self, connection: TcpTransport) -> Iterator[WebSocketTransport | None]:
        """Answer whoever began to speak HTTP; with the viewer that it became, or None.

        Raises:
            Gone: It left, or spoke nothing that HTTP knows.
        """
        try:
            from vgaemu.view import websocket
        except ModuleNotFoundError:
            if not self._has_told:
                log.warning("%s", INSTALL)
            self._has_told = True
            connection.send(_REFUSAL)
            connection.hang_up()
            yield None
            return
        met = websocket.meet(connection, partial(self._answer, connection))
        if met is None:
            yield None
            return
        transport, kind = met
        if kind is Socket.RFB:
            yield transport
            return
        self.live.join(transport)
        try:
            yield transport
        finally:
            self.live.leave(transport)


def _host(connection: TcpTransport) -> str:
    return connection.peer.rpartition(":")[0]
