"""What carries a viewer's bytes: all of them, in time, or a line that says why not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from time import sleep

import pytest

from vgaemu.view.transport import Gone, Stalled, TcpTransport

Pair = tuple[socket.socket, TcpTransport]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A viewer's socket, and the server's end of it, which does not wait long."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        viewer = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    transport = TcpTransport(accepted, "viewer", stall_seconds=0.1)
    with viewer:
        yield viewer, transport
    transport.close()


def test_what_comes_in_parts_is_read_whole(pair: Pair) -> None:
    viewer, transport = pair
    threading.Timer(0.05, viewer.sendall, [b"defg"]).start()
    viewer.sendall(b"abc")
    assert transport.read_exactly(6, 10) == b"abcdef"
    assert transport.read_exactly(0) == b""
    assert transport.read_exactly(1) == b"g"


def test_half_of_it_is_not_waited_for_any_longer(pair: Pair) -> None:
    viewer, transport = pair
    viewer.sendall(b"abc")
    with pytest.raises(Stalled, match=r"^viewer: did not say in time what comes next$"):
        transport.read_exactly(4, 0.1)


def test_who_hangs_up_is_gone(pair: Pair) -> None:
    viewer, transport = pair
    viewer.sendall(b"abc")
    viewer.close()
    with pytest.raises(Gone, match=r"^viewer: hung up$"):
        transport.read_exactly(4)


def test_who_takes_nothing_is_not_waited_for(pair: Pair) -> None:
    _, transport = pair
    with pytest.raises(Stalled, match=r"^viewer: took nothing for 0\.1 s$"):
        transport.send(bytes(1 << 26))


def test_a_wait_to_read_does_not_bound_what_is_sent_meanwhile(pair: Pair) -> None:
    viewer, transport = pair
    reader = threading.Thread(target=transport.read_exactly, args=(1, 10.0))
    reader.start()
    sleep(0.05)
    with pytest.raises(Stalled, match=r"0\.1 s"):
        transport.send(bytes(1 << 26))
    viewer.sendall(b"a")
    reader.join(10)
    assert not reader.is_alive()


def test_closing_ends_a_wait(pair: Pair) -> None:
    _, transport = pair
    threading.Timer(0.05, transport.close).start()
    with pytest.raises(Gone):
        transport.read_exactly(1)
    with pytest.raises(Gone):
        transport.send(b"a")
    with pytest.raises(Gone):
        transport.read_exactly(1)
    transport.close()
