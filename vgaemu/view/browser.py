"""Browsers at the port of a view: they get their answer, or become viewers like any other.

The websockets library is an extra: it is imported when the first browser comes. Without it browsers
are told what to install, and VNC works as ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vgaemu.view.http import Door, Socket
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

    def address(self, host: str, port: int) -> str:
        """What a user opens: our page at some host and port."""
        named = f"[{host}]" if ":" in host else host
        return f"http://{named}:{port}/?token={self.door.token}"

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
        met = websocket.meet(connection, self.door)
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
