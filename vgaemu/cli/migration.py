"""Live migration on the command line: the machine of a session sent away, or one taken over."""

from __future__ import annotations

import signal
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from vgaemu.cli.say import OutputError, UsageError, complain, say
from vgaemu.cli.session import Session
from vgaemu.errors import MigrateError
from vgaemu.machine import Machine
from vgaemu.migrate import Limits, Migration, Received, Receiver, receive_machine
from vgaemu.outputs import next_free_name
from vgaemu.signals import stopped_by

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
    if not session.went_well:  # who stops it does not wait for it
        return
    machine = session.machine
    closed = machine.closed_by_user()
    if not closed:
        try:
            migration.finish()
        except KeyboardInterrupt as stop:
            session.stopped = stop
            return
    if migration.succeeded:
        with suppress(OutputError):  # what the run leaves is still to be written
            say(f"migrated to {migration.address}: {migration.result().line()}")
    elif not migration.done:
        what = "not over yet" if migration.started else f"due after {migration.at_frame}"
        _say_migration(f"{migration.address}: {what} when the run ended at {machine.frames} frames")
    session.status = 0 if closed or migration.succeeded else 1


def receive_into(
    session: Session, listen: str, wait_seconds: float | None, arrived: list[Received]
) -> None:
    """Wait for a guest and let the session's machine take it over: `arrived` is then not empty.

    If nobody came the session's status says whether that is a failure.

    Raises:
        UsageError: Nobody can come there.
        KeyboardInterrupt: Something stops us, before or after it has come.
    """
    listening = False
    try:
        with Receiver(listen) as receiver:
            listening = True
            where = f"listening on {receiver.address}"
            say(where)
            session.machine.tell_user(where)
            receive_machine(receiver, session.machine, wait_seconds, arrived.append)
    except MigrateError as error:
        arrived.clear()
        if session.machine.closed_by_user():
            return
        if not listening:
            raise UsageError(f"receive: {error}") from None
        complain(f"receive: {error}")
        session.status = 1
        return
    with suppress(OutputError):  # the guest is here now, whoever hears of it
        say(f"received {arrived[0].line()}")


def say_what_ended(machine: Machine) -> None:
    """Of a machine that has come without machine code there is the screen, and nobody writes it."""
    what = "a workload in Python has ended at the source"
    machine.tell_user(what)
    with suppress(OutputError):
        say(f"{what}: 'vgaemu receive WORKLOAD' starts one here, on the screen that arrives")


def where_to_keep_guest(session: Session, options: Namespace) -> Path | None:
    """A file for a guest that has come and that nobody wants to end.

    It is nowhere else. Ctrl-C and a closed window end it; what stops the command from outside does
    not, and the machine's state is then saved though nobody asked for it.
    """
    stop = session.stopped
    if stop is None or stopped_by(stop) is signal.SIGINT or options.save_state is not None:
        return None
    return next_free_name(".npz")
