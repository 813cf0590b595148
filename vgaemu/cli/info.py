"""`vgaemu info`: versions, and which displays and dirty-log keepers work here."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from vgaemu import __version__, native
from vgaemu.cli.config import place_of_users_file, users_file
from vgaemu.errors import DisplayError, KvmError, TerminalError
from vgaemu.memslot import KEEPERS, why_unavailable
from vgaemu.memslot.atomic import atomic_words
from vgaemu.memslot.kvm import ioctl
from vgaemu.pc.bios.vgarom import PLACES
from vgaemu.pc.disks import MOST, NAMES

#: Each of the project's extras, and the package that it is for.
EXTRAS = (
    ("unicorn", "unicorn"), ("fast", "numba"), ("view", "websockets"), ("video", "av"),
    ("notebook", "jupyter-rfb"), ("pytest", "syrupy"), ("gym", "gymnasium"), ("plot", "matplotlib"),
)  # fmt: skip


def lines() -> list[str]:
    """One fact a line."""
    keepers = {name: why_unavailable(name) for name in KEEPERS}
    return [
        f"vgaemu {__version__}, Python {platform.python_version()} on {platform.platform()}",
        *(f"{name} {_installed(name)}" for name in ("numpy", "pillow", "pygame", "pygame-ce")),
        "extras: " + "; ".join(f"{extra}: {name} {_installed(name)}" for extra, name in EXTRAS),
        f"display null: yes; window: {_window()}",
        f"display terminal: {_terminal()}",
        f"dirty log: {', '.join(name for name, why in keepers.items() if why is None)}",
        *(f"dirty log {name}: no: {why}" for name, why in keepers.items() if why is not None),
        f"dirty log words, pages, srcu: {atomic_words(1).how}",
        "runs: boot sectors, floppy, hard-disk and CD images; multiboot and Linux kernels; "
        "DOS .COM and .EXE programs; workloads in Python (docs/what-runs.md)",
        f"drives of machine code: {', '.join(f'{MOST[kind]} {NAMES[kind]}' for kind in MOST)} "
        "(--drive); a printer at LPT1 (--printer)",
        f"CPUs of machine code: unicorn {_installed('unicorn')}; kvm {_kvm()}",
        f"planes of machine code: {native.told()}",
        f"VGA BIOS ROMs: {_roms()}",
        f"options of your own: {users_file() or 'no ' + str(place_of_users_file())}",
    ]


def _roms() -> str:
    return ", ".join(place for place in PLACES if os.path.isfile(place)) or "none; builtin"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _terminal() -> str:
    try:
        from vgaemu.display.terminal.tty import check_terminals
    except TerminalError as error:
        return f"no: {error}"
    try:
        check_terminals(0, 1)
    except TerminalError as error:
        return f"no: {error}"
    return "yes"


def _window() -> str:
    try:
        from vgaemu.display.window.sdl import probe

        return f"yes ({probe()})"
    except DisplayError as error:
        return f"no: {error}"


def _kvm() -> str:
    try:
        ioctl.KvmVm().close()
    except KvmError as error:
        return f"no: {error}"
    if os.path.exists("/sys/module/kvm_pvm"):
        return "yes; by kvm_pvm: guests cannot use 32-bit paging"
    return "yes"
