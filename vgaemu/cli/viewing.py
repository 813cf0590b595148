"""`vgaemu run|receive ... --view [HOST:]PORT`: others look at a run, and type, from elsewhere."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vgaemu.addresses import split_address
from vgaemu.cli.options import Add, file_path
from vgaemu.cli.say import UsageError, say
from vgaemu.errors import ViewError, file_error

if TYPE_CHECKING:
    from vgaemu.machine import Machine

T = TypeVar("T")

#: Where a password may be that is in no file; on the command line all of a host's users see it.
PASSWORD_VARIABLE = "VGAEMU_VIEW_PASSWORD"
#: Options that are useless without ``--view``: see `check_needs`.
VIEW_NEEDS = (
    ("--view-password-file", "--view-shared", "--novnc"),
    "--view", "--view PORT where others look",
)  # fmt: skip


def view_address(text: str) -> tuple[str, int]:
    """Host, empty for loopback, and port, of ``[HOST:]PORT``."""
    split = split_address(f":{text}" if text.isdecimal() else text)
    if split is None or split[1] is None:
        raise ArgumentTypeError(f"{text!r} is no address: write PORT or HOST:PORT, such as 5900")
    return split[0], split[1]


# fmt: off
def add_view_options(add: Add) -> None:
    """Options of whoever lets others look."""
    add("--view", type=view_address, metavar="[HOST:]PORT",
        help="let VNC viewers and browsers look, and the first of them type; on loopback unless "
        "told otherwise; port 0: one that is free. Headless, the guest then runs in its own time "
        "and not as fast as it goes, and Ctrl-C ends it")
    add("--view-password-file", type=file_path, metavar="F",
        help="its first line, at most 8 characters, is what VNC viewers must know, as they must "
        f"where HOST is not loopback (or set {PASSWORD_VARIABLE})")
    add("--view-shared", action="store_true", help="all viewers may type, not the first one only")
    add("--novnc", type=file_path, metavar="DIR",
        help="noVNC's files for browsers, at /novnc (Debian's, if it is installed)")
# fmt: on


def start_view(machine: Machine, options: Namespace) -> None:
    """Let others look at a machine, and say where.

    Raises:
        UsageError: The password cannot be read or is none, or there is no noVNC.
        ViewError: One cannot listen there, or not without a password.
    """
    from vgaemu.view.browser import INSTALL, is_available
    from vgaemu.view.http import novnc_folder
    from vgaemu.view.server import password_bytes

    password, said_by = _password(options.view_password_file)
    _check(said_by, password_bytes, password)
    _check("--novnc", novnc_folder, options.novnc)
    host, port = options.view
    more = {} if not host else {"host": host}
    server = machine.serve(
        port, password=password, shared=options.view_shared, novnc=options.novnc, **more
    )  # fmt: skip
    browsers = f"browsers at {server.page}" if is_available() else INSTALL
    say(f"view: VNC at {server.address}, {browsers}")
    if options.display == "terminal":  # there it is not seen before the end
        machine.tell_user(f"view: {server.page if is_available() else server.address}")


def _check(option: str, check: Callable[[T], object], value: T) -> None:
    """Name the option whose value is refused."""
    try:
        check(value)
    except ViewError as error:
        raise UsageError(f"{option} {error}") from None


def _password(path: Path | None) -> tuple[str | None, str]:
    """The password, and where it is from."""
    if path is None:
        return os.environ.get(PASSWORD_VARIABLE), f"{PASSWORD_VARIABLE}:"
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline(256).rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"--view-password-file {file_error(path, error)}") from None
    except UnicodeDecodeError:
        first = ""
    if not first:
        raise UsageError(f"--view-password-file {path}: its first line is to be the password")
    return first, f"--view-password-file {path}:"
