"""A browser's connection: the request that it begins with, and the WebSocket that it may become.

The protocol is that of the websockets library, which reads and writes no connection itself; its
limits hold whatever a peer sends. Here: how long a request may take, and messages as the stream of
bytes that an RFB session reads. Not here: compression, as RFB brings its own.

Source: RFC 6455; websockets' documentation, "Sans-I/O".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from time import monotonic

from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from vgaemu.view.http import Answer, Socket
from vgaemu.view.transport import Gone, TcpTransport

#: Seconds in which all of a request has come.
REQUEST_SECONDS = 10.0
#: A browser sends keys and requests; the largest of its messages is text to be typed.
MAX_MESSAGE_BYTES = 1 << 20
#: What older clients call a socket whose messages are bytes.
BINARY = Subprotocol("binary")
#: The library's own lines about each connection are for its debugging.
_PROTOCOL_LOG = logging.getLogger(f"{__name__}.protocol")
_PROTOCOL_LOG.setLevel(logging.WARNING)


def meet(
    connection: TcpTransport, answer: Callable[[str, str, Mapping[str, str]], Answer | Socket]
) -> tuple[WebSocketTransport, Socket] | None:
    """Take a browser's request, and answer it.

    Args:
        connection: The browser.
        answer: What it gets: see `Door.answer`.

    Returns:
        The socket that was opened, and what for; None: the request has its answer, and the
        connection is closed.

    Raises:
        Gone: The connection broke, or nothing came that could be answered.
        Stalled: The request did not come in time.
    """
    protocol = ServerProtocol(
        subprotocols=[BINARY], select_subprotocol=_binary_if_asked,
        max_size=MAX_MESSAGE_BYTES, logger=_PROTOCOL_LOG,
    )  # fmt: skip
    request = _read_request(connection, protocol)
    if request is None:
        _send(connection, protocol)
        connection.hang_up()
        raise Gone(f"{connection.peer}: sent no request that HTTP knows")
    given = answer(request.method, request.path, _headers(request))
    if isinstance(given, Socket):
        response = protocol.accept(request)
        protocol.send_response(response)
        _send(connection, protocol)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            return WebSocketTransport(connection, protocol), given
    else:
        protocol.send_response(_response(given))
        _send(connection, protocol)
    connection.hang_up()
    return None


def _read_request(connection: TcpTransport, protocol: ServerProtocol) -> Request | None:
    until = monotonic() + REQUEST_SECONDS
    while protocol.handshake_exc is None:
        protocol.receive_data(connection.read_some(until - monotonic()))
        events = protocol.events_received()
        if protocol.close_expected() or len(events) > 1:  # it went on before it had an answer
            return None
        if events and isinstance(events[0], Request):
            return events[0]
    return None


def _headers(request: Request) -> dict[str, str]:
    """By name, in lower case; what is said twice stands together, and is then no valid value."""
    headers: dict[str, str] = {}
    for name, value in request.headers.raw_items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _response(answer: Answer) -> Response:
    headers = Headers(answer.headers)
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)


def _send(connection: TcpTransport, protocol: ServerProtocol) -> None:
    for data in protocol.data_to_send():
        if data:  # nothing at all stands for the end
            connection.send(data)


def _binary_if_asked(
    protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    return BINARY if BINARY in offered else None


class WebSocketTransport:
    """A WebSocket whose binary messages are one stream of bytes, however they are cut.

    Args:
        connection: The connection below it, which is closed with this.
        protocol: The library's, past the handshake.
    """

    #: Whoever opened it had the token: a session asks for no password.
    is_trusted = True
    looks_only = False

    def __init__(self, connection: TcpTransport, protocol: ServerProtocol) -> None:
        self._connection = connection
        self._protocol = protocol
        #: Whoever writes the connection has the first; whoever asks the protocol, the second. Both
        #: are taken in this order, and only the first is held while the peer takes its time.
        self._writing, self._asking = threading.Lock(), threading.Lock()
        #: What has come and is not read yet.
        self._unread = bytearray()

    @property
    def peer(self) -> str:
        return self._connection.peer

    def read_exactly(self, count: int, seconds: float | None = None) -> bytes:
        until = None if seconds is None else monotonic() + seconds
        while len(self._unread) < count:
            left = None if until is None else until - monotonic()
            self._take(self._connection.read_some(left))
        read = bytes(self._unread[:count])
        del self._unread[:count]
        return read

    def _take(self, data: bytes) -> None:
        """Take in what has come.

        Raises:
            Gone: It was the end, or nothing that a WebSocket knows.
        """
        protocol = self._protocol
        with self._asking:
            protocol.receive_data(data)
            frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
            if any([frame.opcode is Opcode.TEXT for frame in frames]):
                protocol.fail(CloseCode.UNSUPPORTED_DATA, "RFB has binary messages")
            is_over = protocol.close_expected()
        if is_over or any([frame.opcode is Opcode.PING for frame in frames]):
            self._flush()  # a peer that takes no answers is read no further
        for frame in frames:
            if frame.opcode in (Opcode.BINARY, Opcode.CONT):
                self._unread += frame.data
        if is_over:
            raise Gone(f"{self.peer}: {self._reason()}")

    def _reason(self) -> str:
        protocol = self._protocol
        if protocol.parser_exc is not None:
            return f"broke the WebSocket: {protocol.parser_exc}"
        sent = protocol.close_sent
        return "closed the page" if sent is protocol.close_rcvd or sent is None else sent.reason

    def send(self, data: bytes | bytearray | memoryview) -> None:
        with self._writing:
            self._send_message(data, Opcode.BINARY)

    def tell(self, text: str) -> bool:
        """Send a text message, unless the peer is behind; never waits. Whether it was sent.

        Raises:
            Gone: There is no peer any more.
        """
        if not self._writing.acquire(blocking=False):  # a picture is under way
            return False
        try:
            if not self._connection.takes_more():
                return False
            self._send_message(text.encode(), Opcode.TEXT)
            return True
        finally:
            self._writing.release()

    def _send_message(self, data: bytes | bytearray | memoryview, kind: Opcode) -> None:
        with self._asking:
            try:
                if kind is Opcode.TEXT:
                    self._protocol.send_text(data)
                else:
                    self._protocol.send_binary(data)
            except InvalidState:
                raise Gone(f"{self.peer}: {self._reason()}") from None
            parts = self._protocol.data_to_send()
        for part in parts:
            self._connection.send(part)

    def _flush(self) -> None:
        with self._writing:
            with self._asking:
                parts = self._protocol.data_to_send()
            for part in parts:
                self._connection.send(part)

    def close(self) -> None:
        """Say goodbye if that takes no time, and hang up."""
        if self._writing.acquire(blocking=False):
            try:
                with self._asking, suppress(InvalidState):
                    self._protocol.send_close(CloseCode.GOING_AWAY)
                if self._connection.takes_more():
                    for part in self._protocol.data_to_send():
                        self._connection.send(part)
            except Gone:
                pass  # it has hung up already
            finally:
                self._writing.release()
        self._connection.close()
