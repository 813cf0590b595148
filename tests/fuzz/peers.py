"""Campaigns on migration: whatever a source says, the receiver takes it or refuses in a line."""

from __future__ import annotations

import functools
import random
import socket
import struct
import threading
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from test_migrate import receiving
from test_migrate_peers import CuttingProxy, ends_of_messages

from vgaemu.errors import GuestFault, MigrateError
from vgaemu.machine import Machine
from vgaemu.migrate import bodies, send_machine
from vgaemu.migrate.arrival import Arrival
from vgaemu.migrate.receiver import receive
from vgaemu.migrate.stream import HEADER, Channel, Message

from .campaign import Campaign, refused
from .files import GUESTS
from .mutate import EDGES, damage

#: What is sent: mode or program.
SENT: tuple[dict[str, Any], ...] = (
    {"mode": 3}, {"mode": 0x12}, {"workload": str(GUESTS / "snake.img")},
)  # fmt: skip


def pair() -> tuple[socket.socket, socket.socket]:
    """A connection of TCP, as migrations have."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        there, _ = server.accept()
    return here, there


@functools.cache
def said(what: int) -> list[bytes]:
    """All messages of a migration that succeeded, its greeting first."""
    with Machine(vram_mib=1, **SENT[what]) as source, Machine(vram_mib=1, **SENT[what]) as target:
        source.tick(4)
        with receiving(target) as (address, received):
            proxy = CuttingProxy(address)
            send_machine(source, proxy.address)
            received.result(30)
            proxy.close()
    data = proxy.passed[0]
    return [bytes(data[at:end]) for at, end in pairwise((0, *ends_of_messages(data)))]


def hostile(numbers: random.Random, folder: Path) -> str:
    """Messages of a good source, some of them damaged, doubled or left out."""
    what = numbers.randrange(len(SENT))
    messages = list(said(what))
    for _ in range(numbers.choice((1, 1, 2, 4))):
        where = numbers.randrange(len(messages))
        match numbers.randrange(6):
            case 0:
                del messages[where:]
                messages.append(b"")
            case 1:
                messages.insert(where, numbers.choice(messages))
            case 2:
                del messages[where]
                messages.append(b"")
            case 3 if len(messages[where]) > HEADER.size:
                fields = list(HEADER.unpack_from(messages[where]))
                field, bits = numbers.choice(((0, 8), (1, 8), (3, 32), (4, 64)))
                fields[field] = numbers.choice(EDGES) & (1 << bits) - 1
                messages[where] = HEADER.pack(*fields) + messages[where][HEADER.size :]
            case _:
                data = bytearray(messages[where])
                damage(numbers, data)
                messages[where] = bytes(data)
    here, there = pair()
    channel = Channel(there, "source")
    thread = threading.Thread(target=say, args=(here, b"".join(messages)))
    thread.start()
    with Machine(vram_mib=1, **SENT[what]) as target:
        try:
            receive(channel, Arrival(target))
            end = "taken"
        except MigrateError as error:
            end = refused(error)
        finally:
            channel.close()
            thread.join()
        with suppress(GuestFault):  # what arrived may be machine code of nonsense
            target.tick(1)
        np.testing.assert_array_equal(target.screen.frame, target.screen.full_redraw())
    return end


def say(sock: socket.socket, data: bytes) -> None:
    """All of it, whatever is answered."""
    with sock, suppress(OSError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass


def plant_hostile() -> None:
    """Runs of pages are taken wherever they lie."""

    def runs(channel: Channel, message: Message, npages: int) -> list[tuple[int, int]]:
        pairs = struct.iter_unpack("<2I", channel.read(8 * message.count))
        return [(start, start + length) for start, length in pairs]

    bodies.check_runs = runs


CAMPAIGNS = {"streams": Campaign(hostile, plant_hostile)}
