"""A campaign on viewers: whatever one says, it is sent away in a line, and another one sees all."""

from __future__ import annotations

import logging
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from rfb_client import PSEUDO, RAW, TIGHT, ZLIB, Client

from vgaemu.machine import Machine
from vgaemu.view import handshake, messages, pixelformat, server
from vgaemu.view.server import Server

from .campaign import Campaign
from .mutate import EDGES, damage

#: Seconds for what is to come at once.
HANG_SECONDS = 10.0
ENCODINGS = (RAW, 1, 2, 5, ZLIB, TIGHT, 16, *PSEUDO, -312, -313, -32, -247, 0x7FFFFFFF, -1 << 31)


def messages_of(numbers: random.Random) -> list[bytes]:
    """What a viewer may say, with numbers of all sorts."""

    def edge(bits: int) -> int:
        return numbers.choice((*EDGES, numbers.getrandbits(bits))) & (1 << bits) - 1

    def area() -> tuple[int, ...]:
        return tuple(numbers.choice((0, 8, 320, edge(16))) for _ in range(4))

    said = []
    for _ in range(numbers.randrange(2, 12)):
        match numbers.randrange(10):
            case 0:
                chosen = numbers.choices(ENCODINGS, k=numbers.randrange(12))
                said.append(struct.pack(f">BxH{len(chosen)}i", 2, len(chosen), *chosen))
            case 1:
                bits = numbers.choice((8, 16, 32, edge(8)))
                largest = [numbers.choice((1, 7, 31, 255, edge(16))) for _ in range(3)]
                shifts = [numbers.choice((0, 5, 8, 16, edge(8))) for _ in range(3)]
                flags = numbers.choice((0, 1)), numbers.choice((0, 1, 1))
                said.append(struct.pack(">B3x4B3H3B3x", 0, bits, bits, *flags, *largest, *shifts))
            case 2 | 3:
                said.append(struct.pack(">BB4H", 3, edge(8), *area()))
            case 4:
                said.append(struct.pack(">BB4H", 150, edge(8), *area()))
            case 5:
                said.append(struct.pack(">BBxxI", 4, edge(8), edge(32)))
            case 6:
                said.append(struct.pack(">BBHH", 5, edge(8), edge(16), edge(16)))
            case 7:
                text = numbers.randbytes(numbers.choice((0, 1, 5000)))
                said.append(struct.pack(">B3xI", 6, len(text)) + text)
            case 8:
                payload = numbers.randbytes(numbers.randrange(65))
                said.append(struct.pack(">B3xIB", 248, edge(32), len(payload)) + payload)
            case 9:
                screens = numbers.randrange(3)
                said.append(struct.pack(">BxHHBx", 251, edge(16), edge(16), screens))
                said[-1] += numbers.randbytes(16 * screens)
                said.append(struct.pack(">BBHII", 255, 0, edge(16), edge(32), edge(32)))
    return said


class Lines(logging.Handler):
    """What is said of viewers."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if record.exc_info is not None:
            self.lines.append(f"raised {record.exc_info[1]!r}")


@contextmanager
def lines() -> Iterator[list[str]]:
    handler = Lines()
    server.log.addHandler(handler)
    server.log.propagate = False
    try:
        yield handler.lines
    finally:
        server.log.removeHandler(handler)
        server.log.propagate = True


def viewers(numbers: random.Random, folder: Path) -> str:
    """Messages of a viewer, some of them damaged, while the picture changes."""
    for module, name in ((handshake, "GREETING"), (handshake, "HANDSHAKE"), (messages, "MESSAGE")):
        setattr(module, f"{name}_SECONDS", 0.2)
    server.SPEAKS_FIRST_SECONDS = 0.01
    said = [b"RFB 003.008\n", b"\1", b"\1", *messages_of(numbers)]
    if numbers.random() < 0.7:
        for _ in range(numbers.choice((1, 1, 2, 5))):
            where = numbers.randrange(3 if numbers.random() < 0.2 else len(said))
            data = bytearray(said[where])
            damage(numbers, data)
            said[where] = bytes(data)
    with lines() as told, Machine(mode=numbers.choice((3, 0x13, 0x12)), vram_mib=1) as machine:
        served = machine.serve(port=0)
        machine.tick()
        with Client(served.port) as other:
            talk(numbers, machine, served, said)
            machine.guest.set_mode(numbers.choice((3, 0x13)))
            machine.tick()
            assert machine.settle(HANG_SECONDS)
            other.see(machine.screen.frame)
            np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())
        gone(served, 0)
    assert len(told) <= 1, told
    assert all(line.isprintable() and line.startswith("view: ") for line in told), told
    return "sent away" if told else "taken"


def talk(numbers: random.Random, machine: Machine, served: Server, said: list[bytes]) -> None:
    """Say it, read some of what is answered or nothing, and hang up."""
    with socket.create_connection(("127.0.0.1", served.port), HANG_SECONDS) as peer:
        with suppress(OSError):
            peer.recv(12)
            for data in said:
                peer.sendall(data)
                if numbers.random() < 0.3:
                    machine.guest.store(0xA0000, numbers.randbytes(999))
                    machine.tick()
        if numbers.random() < 0.8:
            peer.settimeout(0.02)
            with suppress(OSError):
                while peer.recv(1 << 16):
                    pass


def gone(served: Server, connections: int) -> None:
    until = monotonic() + HANG_SECONDS
    while f"{connections} connections" not in repr(served):
        assert monotonic() < until, repr(served)
        sleep(0.002)


def plant_viewers() -> None:
    """Formats are taken whatever they say."""

    def unpack(cls: type, data: bytes) -> pixelformat.PixelFormat:
        bits, depth, big, true, *rest = struct.unpack(">4B3H3B3x", data)
        channels = [pixelformat.Channel(*pair) for pair in zip(rest[:3], rest[3:], strict=True)]
        return pixelformat.PixelFormat(bits, depth, bool(big), bool(true), *channels)

    pixelformat.PixelFormat.unpack = classmethod(unpack)


CAMPAIGNS = {"viewers": Campaign(viewers, plant_viewers)}
