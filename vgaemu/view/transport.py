"""Transports: what carries a viewer's bytes, so that one RFB session serves any of them.

Here: the interface, and a connection of TCP. A WebSocket is another one; whoever has one gives it
to `vgaemu.view.server.Server.talk`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from selectors import EVENT_WRITE, DefaultSelector
from time import monotonic
from typing import Protocol

#: A viewer that takes nothing of what it is sent for so long is gone (seconds).
STALL_SECONDS = 60.0
#: Bytes that are read in one go, and seconds that one wait takes where there is no limit: a socket
#: that waits for ever would make both of a connection's wait for ever.
PART_BYTES, IDLE_SECONDS = 1 << 16, 3600.0
#: What is read and forgotten before hanging up, at most.
DRAINED_BYTES, DRAINED_SECONDS = 1 << 18, 1.0
#: A host that has vanished is found out after so long in silence, asked so often, so many times.
KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Gone(Exception):
    """The viewer has closed the connection, or it broke; the message says how.

    It ends the viewer's session and never leaves this room.
    """


class Stalled(Gone):
    """The viewer did not send or take in time what is the next step."""


class Transport(Protocol):
    """Bytes to and from one viewer. One thread reads and another one sends; any may close."""

    @property
    def peer(self) -> str:
        """HOST:PORT of the viewer, for a line in the log."""

    @property
    def is_trusted(self) -> bool:
        """Whether the viewer has shown a token already, and is asked for no password."""

    #: Whether the viewer may not type; whoever talks with it says so here.
    looks_only: bool

    def read_exactly(self, count: int, seconds: float | None = None) -> bytes:
        """The next `count` bytes; the caller has bounded how many that may be.

        Args:
            count: How many; 0 gives none at once.
            seconds: How long to wait for all of them; None: as long as it takes.

        Raises:
            Gone: There are no more.
            Stalled: They did not come in time.
        """

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it; waits while the viewer takes none.

        Raises:
            Gone: The viewer does not take it any more.
            Stalled: It took nothing for `STALL_SECONDS`.
        """

    def close(self) -> None:
        """Hang up; whoever reads or sends then gets `Gone`. Twice is fine."""


class TcpTransport:
    """A connection of TCP.

    Args:
        connection: The socket, which is closed with this.
        peer: HOST:PORT of the viewer.
        stall_seconds: See `STALL_SECONDS`.
    """

    is_trusted = False
    looks_only = False

    def __init__(
        self, connection: socket.socket, peer: str, stall_seconds: float = STALL_SECONDS
    ) -> None:
        self.peer = peer
        #: When it was, by `monotonic`.
        self.opened = monotonic()
        self._stall_seconds = stall_seconds
        # A socket has one time limit for both directions; two of one connection have two.
        self._sending, self._reading = connection, connection.dup()
        connection.settimeout(stall_seconds)
        with suppress(OSError):  # gone already, which the first read tells
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVE:
                if name in vars(socket):  # not on every system
                    connection.setsockopt(socket.IPPROTO_TCP, vars(socket)[name], value)

    def read_exactly(self, count: int, seconds: float | None = None) -> bytes:
        until = None if seconds is None else monotonic() + seconds
        parts = bytearray()
        while len(parts) < count:
            left = None if until is None else until - monotonic()
            parts += self.read_some(left, count - len(parts))
        return bytes(parts)

    def read_some(self, seconds: float | None = None, limit: int = PART_BYTES) -> bytes:
        """What has come, 1 to `limit` bytes of it; waits until there is some.

        Raises:
            Gone: There are no more.
            Stalled: Nothing came in time.
        """
        while seconds is None or seconds > 0:
            try:
                self._reading.settimeout(IDLE_SECONDS if seconds is None else seconds)
                part = self._reading.recv(min(limit, PART_BYTES))
            except TimeoutError:
                if seconds is None:
                    continue
                break
            except (OSError, ValueError) as error:  # ValueError: closed by another thread
                raise Gone(f"{self.peer}: {_reason(error)}") from None
            if not part:
                raise Gone(f"{self.peer}: hung up")
            return part
        raise Stalled(f"{self.peer}: did not say in time what comes next")

    def speaks_within(self, seconds: float) -> bool:
        """Whether something comes in time; it is still to be read. Hanging up is something, too.

        Raises:
            Gone: The connection broke.
        """
        try:
            self._reading.settimeout(seconds)
            self._reading.recv(1, socket.MSG_PEEK)
            return True
        except TimeoutError:
            return False
        except (OSError, ValueError) as error:
            raise Gone(f"{self.peer}: {_reason(error)}") from None

    def takes_more(self) -> bool:
        """Whether the system would take some of what is to be sent, just now."""
        try:
            with DefaultSelector() as selector:
                selector.register(self._sending, EVENT_WRITE)
                return bool(selector.select(0))
        except (OSError, ValueError):
            return True  # gone, which sending tells

    def send(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self._sending.send(left) :]
            except TimeoutError:
                raise Stalled(f"{self.peer}: took nothing for {self._stall_seconds:g} s") from None
            except (OSError, ValueError) as error:
                raise Gone(f"{self.peer}: {_reason(error)}") from None

    def hang_up(self) -> None:
        """Close it so that what was sent arrives: closed over unread bytes, it would be reset."""
        until, left = monotonic() + DRAINED_SECONDS, DRAINED_BYTES
        with suppress(Gone, OSError):
            self._sending.shutdown(socket.SHUT_WR)
            while left > 0:
                left -= len(self.read_some(until - monotonic()))
        self.close()

    def close(self) -> None:
        with suppress(OSError):  # not connected any more
            self._sending.shutdown(socket.SHUT_RDWR)
        self._sending.close()
        self._reading.close()


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
