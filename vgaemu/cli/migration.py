"""Live migration on the command line: the machine of a session sent away, or one taken over."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress

from vgaemu.cli.say import OutputError, UsageError, complain, say
from vgaemu.cli.session import Session
from vgaemu.errors import MigrateError
from vgaemu.machine import Machine
from vgaemu.migrate import Limits, Migration, Receiver, receive_machine

#: Frames to run before, by default.
MIGRATE_AT = 60


def start_migration(machine: Machine, options: Namespace) -> Migration:
    """Have a machine sent while it runs.

    Raises:
        UsageError: The address is none.
    """
    limits = {
        "downtime_ms": options.downtime,
        "max_rounds": options.max_rounds,
        "when_stuck": options.when_stuck,
    }
    given = Limits(**{name: value for name, value in limits.items() if value is not None})
    at_frame = options.migrate_at or MIGRATE_AT
    try:
        return Migration(machine, options.migrate_to, given, at_frame=at_frame, say=_say_migration)
    except MigrateError as error:
        raise UsageError(f"--migrate-to {error}") from None


def _say_migration(line: str) -> None:
    complain(f"--migrate-to {line}")


def finish_migration(session: Session, migration: Migration) -> None:
    """The frames are over: let a migration that is on its way arrive, and say how it went.

    The session's status is 1 if the guest is still here, unless the user ended the run.
    """
    machine = session.machine
    closed = machine.closed_by_user()
    if not closed:
        migration.finish()
    if migration.succeeded:
        with suppress(OutputError):  # what the run leaves is still to be written
            say(f"migrated to {migration.address}: {migration.result().line()}")
    elif not migration.done:
        what = "not over yet" if migration.started else f"due after {migration.at_frame}"
        _say_migration(f"{migration.address}: {what} when the run ended at {machine.frames} frames")
    session.status = 0 if closed or migration.succeeded else 1


def receive_into(session: Session, listen: str, wait_seconds: float | None) -> bool:
    """Wait for a guest and let the session's machine take it over.

    Returns:
        Whether it is here; if not, the session's status says whether that is a failure.

    Raises:
        UsageError: Nobody can come there.
    """
    listening = False
    try:
        with Receiver(listen) as receiver:
            listening = True
            say(f"listening on {receiver.address}")
            received = receive_machine(receiver, session.machine, wait_seconds)
    except MigrateError as error:
        if session.machine.closed_by_user():
            return False
        if not listening:
            raise UsageError(f"receive: {error}") from None
        complain(f"receive: {error}")
        session.status = 1
        return False
    with suppress(OutputError):  # the guest is here now, whoever hears of it
        say(f"received {received.line()}")
    return True
