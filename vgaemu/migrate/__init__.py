"""Live migration: a machine's memory and device over TCP while its guest goes on.

`sender` does the rounds, `receiver` the other end; `stream` and `bodies` are what goes between
them. `live` and `arrival` are where a `Machine` comes in.
"""

from vgaemu.addresses import LOOPBACK
from vgaemu.errors import MigrateError
from vgaemu.migrate.arrival import receive_machine
from vgaemu.migrate.live import Migration, send_machine
from vgaemu.migrate.receiver import Received, Receiver
from vgaemu.migrate.sender import Limits, Report, Round, connect, send
from vgaemu.migrate.stream import DEFAULT_PORT, Region, parse_address

__all__ = [
    "DEFAULT_PORT",
    "LOOPBACK",
    "Limits",
    "MigrateError",
    "Migration",
    "Received",
    "Receiver",
    "Region",
    "Report",
    "Round",
    "connect",
    "parse_address",
    "receive_machine",
    "send",
    "send_machine",
]
