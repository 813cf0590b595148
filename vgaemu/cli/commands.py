"""The commands without options: the tour, `list`, `modes`, `keys`, `info`."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from vgaemu.cli.options import Commands
from vgaemu.cli.say import say


def add_parser(commands: Commands) -> None:
    """Say what there is."""
    for name, text, what in (
        ("modes", _modes, "the modes: sizes, colours, memory, refresh"),
        ("list", _guests, "the bundled workloads, and where guests in machine code lie"),
        ("keys", _keys, "the window's keys, and the names of the guest's"),
        ("info", _info, "versions, displays, and what works here"),
    ):
        commands.add_parser(name, help=what).set_defaults(command=run, text=text)


def show_tour(options: Namespace) -> int:
    """Without a command."""
    from vgaemu.cli.tour import tour

    return tour()


def run(options: Namespace) -> int:
    """Print what was asked for."""
    say(options.text())
    return 0


def _guests() -> str:
    from vgaemu.assets import guests
    from vgaemu.cli.instead import first_line
    from vgaemu.guest.find import bundled
    from vgaemu.pc import is_image

    shown, folder = bundled(), guests()
    code = {file.name: first_line(file) for file in sorted(folder.iterdir()) if is_image(file)}
    width = max(map(len, [*shown, *code]))
    said = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else folder
    return "\n".join([
        *(f"{name:{width}}  {what}" for name, what in shown.items()),
        f"Machine code, in {said}: 'vgaemu run {Path(said, 'snake.img')}' (with unicorn or kvm)",
        *(f"{name:{width}}  {what}" for name, what in code.items()),
    ])  # fmt: skip


def _modes() -> str:
    from vgaemu.vga.catalogue import catalogue

    return catalogue()


def _keys() -> str:
    from vgaemu.cli.keys import text

    return text()


def _info() -> str:
    from vgaemu.cli.info import lines

    return "\n".join(lines())
