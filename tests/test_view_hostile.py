"""Viewers that are none, that lie, or that stand still: a line each, nobody else is disturbed."""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from time import monotonic, sleep

import numpy as np
import pytest
from rfb_client import HANG_SECONDS, PSEUDO, RAW, TIGHT, ZLIB, Client

from vgaemu.machine import Machine
from vgaemu.view.server import MAX_CONNECTIONS, Server

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr("vgaemu.view.server.SPEAKS_FIRST_SECONDS", 0.005)
    with Machine() as machine:
        machine.guest.text.print("hello")
        machine.tick()
        yield machine


def empty(server: Server) -> None:
    """Everybody has gone."""
    until = monotonic() + HANG_SECONDS
    while "0 connections" not in repr(server):
        assert monotonic() < until
        sleep(0.005)


def still_shows(machine: Machine, server: Server) -> None:
    with Client(server.port) as client:
        machine.tick()
        assert machine.settle(HANG_SECONDS)
        client.see(machine.screen.frame)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of viewers who were sent away."""
    found = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert all(line.isprintable() and line.startswith("view: 127.0.0.1:") for line in found), found
    return [line.partition("sent away: it ")[2] for line in found]


def pixel_format(*form: int) -> bytes:
    return struct.pack(">B3x4B3H3B3x", 0, *form)


#: What is sent instead of a message, and what is said of it.
REFUSED = {
    "type 1": (b"\1", "sends a message of type 1, which is not known here"),
    "type 255": (b"\xff\1", "sends QEMU's message 1, of which only keys, 0, are understood"),
    "encodings": (b"\2\0\xff\xff", "lists 65535 encodings, at most 1024 are listened to"),
    "cut text": (
        b"\6\0\0\0\xff\xff\xff\xff",
        "sends a clipboard of 4294967295 bytes, at most 16777216 are taken",
    ),
    "fence": (
        b"\xf8\0\0\0\x80\0\0\0\x41", "sends a fence of 65 bytes, which has at most 64"
    ),
    "24 bits": (
        pixel_format(24, 24, 0, 1, 255, 255, 255, 16, 8, 0),
        "asks for pixels of 24 bits, which are 8, 16 or 32",
    ),
    "0 bits": (
        pixel_format(0, 0, 0, 1, 0, 0, 0, 0, 0, 0),
        "asks for pixels of 0 bits, which are 8, 16 or 32",
    ),
    "map of 16 bits": (
        pixel_format(16, 16, 0, 0, 0, 0, 0, 0, 0, 0),
        "asks for a colour map with pixels of 16 bits, which are 8",
    ),
    "shift 255": (
        pixel_format(32, 24, 0, 1, 255, 255, 255, 255, 8, 0),
        "asks for colours up to 255 << 255 in 32 bits",
    ),
    "shift 25": (
        pixel_format(32, 24, 0, 1, 255, 255, 255, 25, 8, 0),
        "asks for colours up to 255 << 25 in 32 bits",
    ),
    "largest 100": (
        pixel_format(32, 24, 0, 1, 100, 255, 255, 16, 8, 0),
        "asks for colours up to 100, which is not 2^N - 1",
    ),
    "largest 65535": (
        pixel_format(8, 8, 0, 1, 65535, 1, 1, 0, 0, 0),
        "asks for colours up to 65535 << 0 in 8 bits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_a_line(
    machine: Machine, name: str, caplog: pytest.LogCaptureFixture
):
    server = machine.serve(port=0)
    said, why = REFUSED[name]
    with Client(server.port, (RAW,)) as client:
        client.send(said)
        with suppress(EOFError, ConnectionResetError):
            while client.hear() is not None:
                pass
    empty(server)
    assert lines(caplog) == [why]
    still_shows(machine, server)


def test_requests_beyond_the_picture_are_of_nothing(machine: Machine):
    server = machine.serve(port=0)
    with Client(server.port, (TIGHT, *PSEUDO)) as client:
        for area in ((60000, 0, 5, 5), (0, 0, 0, 0), (719, 399, 65535, 65535), (9, 9, 65535, 0)):
            client.ask(incremental=False, area=area)
        client.ask(incremental=False)
        machine.tick()
        client.see(machine.screen.frame)


def test_absurd_numbers_that_are_allowed(machine: Machine):
    server = machine.serve(port=0)
    with Client(server.port, (TIGHT, *PSEUDO)) as client:
        client.set_encodings((*range(-512, 511), TIGHT))
        client.encodings = (*range(-512, 511), TIGHT)
        client.set_encodings((TIGHT, 0x7FFFFFFF, -0x80000000, *PSEUDO))
        client.send(b"\xfb\0" + struct.pack(">HHBx", 65535, 65535, 255) + bytes(16 * 255))
        client.send(struct.pack(">BBHH", 5, 255, 65535, 65535))
        client.send(struct.pack(">BBxxI", 4, 1, 0xFFFFFFFF))
        client.scancode(0xFFFFFFFF, True, 0xFFFFFFFF)
        client.send(struct.pack(">BB4H", 150, 1, 65535, 65535, 65535, 65535))
        client.send(struct.pack(">BB4H", 150, 0, 0, 0, 0, 0))
        client.paste(bytes(1 << 20))
        client.ask(incremental=False)
        machine.tick()
        client.see(machine.screen.frame)


@pytest.mark.parametrize(
    "said", [b"", b"RFB 003", b"RFB 003.008\n", b"RFB 003.008\n\1", b"RFB 003.008\n\1\1\2\0"]
)
def test_who_falls_silent_is_not_waited_for_but_while_looking(
    machine: Machine, said: bytes, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    for name in ("handshake.HANDSHAKE", "handshake.GREETING", "messages.MESSAGE"):
        monkeypatch.setattr(f"vgaemu.view.{name}_SECONDS", 0.1)
    server = machine.serve(port=0)
    with Client(server.port, silent=True) as client:
        client.read(12)
        client.send(said)
        with suppress(EOFError, ConnectionResetError):
            while True:
                client.read(1)
        empty(server)
    assert lines(caplog) == []  # nobody did anything wrong
    still_shows(machine, server)


def test_who_says_nothing_may_look_on(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vgaemu.view.messages.MESSAGE_SECONDS", 0.05)
    server = machine.serve(port=0)
    with Client(server.port) as client:
        client.ask(incremental=False)
        client.update()
        sleep(0.2)
        machine.guest.text.print("more")
        machine.tick()
        assert machine.settle(HANG_SECONDS)
        client.see(machine.screen.frame)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HELO example.org\r\n", None),
        (b"RFB 003.00x\n", r"said b'RFB 003.00x\n', which is not RFB"),
        (b"RFB 003.008\n\x13", "chose security 19, which was not offered"),
    ],
)
def test_who_speaks_something_else(
    machine: Machine, said: bytes, why: str | None, caplog: pytest.LogCaptureFixture
):
    server = machine.serve(port=0)
    with socket.create_connection(("127.0.0.1", server.port), HANG_SECONDS) as peer:
        if why is not None:
            peer.recv(12)
        peer.sendall(said)
        with suppress(ConnectionResetError):
            while peer.recv(100):
                pass
    empty(server)
    assert len(lines(caplog)) <= 1
    if why is not None:
        assert lines(caplog) == [why]
    still_shows(machine, server)


def scramble(machine: Machine, number: int) -> None:
    """Another picture of 256 colours, which zlib makes nothing of."""
    noise = np.random.default_rng(number).integers(0, 256, 64000, np.uint8)
    machine.guest.store(0xA0000, noise.tobytes())


def test_who_reads_nothing_disturbs_nobody(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vgaemu.view.transport.STALL_SECONDS", 60.0)
    server = machine.serve(port=0)
    machine.guest.set_mode(0x13)
    with Client(server.port, (RAW, *PSEUDO)) as deaf, Client(server.port) as client:
        for _ in range(200):
            deaf.ask(incremental=False)
        for number in range(40):
            scramble(machine, number)
            machine.tick()
        assert machine.settle(HANG_SECONDS)
        client.see(machine.screen.frame)
        # It stands in the middle of something, and what it did not read is a few pictures at most.
        deaf.see(machine.screen.frame)
        assert deaf.updates < 200
    empty(server)


def test_who_takes_nothing_for_long_is_gone(machine: Machine, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    server = machine.serve(port=0)
    machine.guest.set_dispi_mode(1024, 768, 32)
    machine.tick()
    with pytest.MonkeyPatch.context() as patch, Client(server.port, (RAW,)) as deaf:
        for session in server._sessions:
            patch.setattr(session.transport, "_stall_seconds", 0.1)
            session.transport._sending.settimeout(0.1)
        until = monotonic() + HANG_SECONDS
        number = 0
        while "0 connections" not in repr(server):
            assert monotonic() < until
            number += 1
            machine.guest.store(0xE0000000, np.full(768 * 1024, number, np.uint32).tobytes())
            with suppress(OSError):
                deaf.ask(incremental=False)
            machine.tick()
            sleep(0.01)
    assert any("took nothing for 0.1 s" in r.getMessage() for r in caplog.records)
    still_shows(machine, server)


def test_fifty_viewers_see_the_same(machine: Machine):
    server = machine.serve(port=0)
    machine.guest.set_mode(0x13)
    encodings = ((TIGHT, *PSEUDO), (ZLIB, *PSEUDO), (RAW, *PSEUDO))
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port, encodings[i % 3])) for i in range(50)]
        for number in range(3):
            machine.guest.store(0xA0000 + 5000 * number, bytes([number + 1]) * 900)
            machine.tick()
        assert machine.settle(HANG_SECONDS)
        for client in clients:
            client.see(machine.screen.frame)
    empty(server)


def test_one_too_many_is_sent_away(machine: Machine, caplog: pytest.LogCaptureFixture):
    server = machine.serve(port=0)
    with ExitStack() as stack:
        clients = []
        for _ in range(MAX_CONNECTIONS):
            clients.append(stack.enter_context(Client(server.port, silent=True)))
            clients[-1].read(12)
        for _ in range(3):
            late = stack.enter_context(Client(server.port, silent=True))
            with pytest.raises((EOFError, ConnectionResetError)):
                late.read(12)
    empty(server)
    assert len([r for r in caplog.records if "64 are here" in r.getMessage()]) == 1
    still_shows(machine, server)


def test_viewers_come_and_go_while_the_mode_changes(machine: Machine):
    server = machine.serve(port=0)
    over = threading.Event()
    failures: list[BaseException] = []

    def come_and_go(encodings: tuple[int, ...]) -> None:
        while not over.is_set():
            try:
                with Client(server.port, encodings) as client:
                    for _ in range(3):
                        client.ask(incremental=False)
                        client.update()
            except (EOFError, OSError):
                pass
            except BaseException as error:
                failures.append(error)
                return

    threads = [
        threading.Thread(target=come_and_go, args=(encodings,))
        for encodings in ((TIGHT, *PSEUDO), (RAW,), (ZLIB, *PSEUDO))
    ]
    for thread in threads:
        thread.start()
    for number in range(30):
        machine.guest.set_mode((0x13, 0x12, 3, 0x0D)[number % 4])
        machine.tick(2)
        sleep(0.005)
    over.set()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert failures == []
    empty(server)
    still_shows(machine, server)
