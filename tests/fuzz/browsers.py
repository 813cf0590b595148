"""A campaign on browsers: whatever one says has its answer, or ends in a line."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path

from test_view_browser import UPGRADE, frame, request

from vgaemu.view import http, transport
from vgaemu.view.browser import Browsers
from vgaemu.view.transport import Gone, TcpTransport

from .campaign import Campaign, refused
from .mutate import STRANGE, damaged

TOKEN = "0123456789abcdef"
TARGETS = (
    f"/?token={TOKEN}", f"/{TOKEN}/page.js", f"/live?token={TOKEN}", f"/websockify?token={TOKEN}",
    f"/novnc/?token={TOKEN}", "/novnc/core/rfb.js",
)  # fmt: skip


def said(numbers: random.Random) -> tuple[bytes, bytes]:
    """A request and messages after it, most of them as they are meant."""
    headers = [*UPGRADE, "Origin: http://127.0.0.1:5900"]
    numbers.shuffle(headers)
    messages = [
        frame(numbers.randbytes(numbers.choice((0, 1, 125, 126, 70_000))),
              numbers.choice((2, 2, 2, 0, 1, 8, 9, 10)), fin=numbers.random() < 0.9)
        for _ in range(numbers.randrange(5))
    ]  # fmt: skip
    target = numbers.choice(TARGETS)
    if numbers.random() < 0.2:
        strange = numbers.choice(STRANGE).encode("utf-8", "replace").decode("latin-1")
        target = target.replace(TOKEN, strange)
    asked = request(target, *headers)
    if numbers.random() < 0.7:
        asked = damaged(numbers, asked)
    if messages and numbers.random() < 0.7:
        messages[-1] = damaged(numbers, messages[-1])
    return asked, b"".join(messages)


def browsers(numbers: random.Random, folder: Path) -> str:
    """Requests and messages of a browser, some of them damaged."""
    transport.DRAINED_SECONDS = 0.05
    asked, messages = said(numbers)
    here, there = socket.socketpair()
    got = bytearray()
    talker = threading.Thread(target=talk, args=(here, asked, messages, got))
    talker.start()
    server = Browsers()
    server.door.token = TOKEN
    ours = TcpTransport(there, "peer:1")
    try:
        with closing(ours), server.meet(ours) as viewer:
            if viewer is None:
                return "answered"
            assert TOKEN.encode() in asked
            while True:
                viewer.read_exactly(numbers.choice((1, 3, 1000)))
    except Gone as gone:
        return refused(gone)
    finally:
        ours.close()
        talker.join()
        if b"<!DOCTYPE html>" in got:
            assert TOKEN.encode() in asked


def talk(sock: socket.socket, asked: bytes, messages: bytes, got: bytearray) -> None:
    """Ask, and hear what is answered; if that is a WebSocket, go on."""
    with sock, suppress(OSError):  # the other one may have hung up
        sock.sendall(asked)
        if not asked.endswith(b"\r\n\r\n"):
            sock.shutdown(socket.SHUT_WR)  # else it would be waited for
        got += sock.recv(1 << 16)
        if got.startswith(b"HTTP/1.1 101 "):
            sender = threading.Thread(target=say, args=(sock, messages))
            sender.start()
        while part := sock.recv(1 << 16):
            got += part
        if got.startswith(b"HTTP/1.1 101 "):
            sender.join()


def say(sock: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


def plant_browsers() -> None:
    """Any token is the right one."""
    http.Door._is_token = lambda door, given: True


CAMPAIGNS = {"browsers": Campaign(browsers, plant_browsers)}
