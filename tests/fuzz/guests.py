"""Campaigns with random machine code: whatever it does, its run ends as specified.

Faults in the middle of instructions leave the same with native code and without.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import numpy as np
import x86_fuzz
from faults import by_vgaemu
from random_faults import world

from vgaemu import native
from vgaemu.errors import GuestFault
from vgaemu.machine import Machine
from vgaemu.pc import pc
from vgaemu.pc.cpu import unicorn_interrupts

from .campaign import Campaign


def guest(numbers: random.Random, folder: Path, kind: str, cpu: str) -> str:
    """A disk of a kind, run for a few frames; then its state is taken, put back, and goes on."""
    path, disk = folder / "fuzz.img", x86_fuzz.KINDS[kind](numbers.getrandbits(64))
    path.write_bytes(disk)
    with Machine(str(path), cpu=cpu, vram_mib=1) as machine:
        machine.keys.press("a")
        try:
            end = "running" if machine.tick(x86_fuzz.FRAMES) else "halted"
        except GuestFault as fault:
            end = "a fault" if fault.report else "a fault without a report"
        np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())
        x86_fuzz.save_and_go_on(machine)
    assert end != "a fault without a report"
    assert path.read_bytes() == disk
    return end


def plant_guest() -> None:
    """A guest's fault is told without its report."""
    pc.fault_report = lambda *arguments, **options: ""


#: Worlds of faults that a case runs.
WORLDS = 8


def faults(numbers: random.Random, folder: Path) -> str:
    """Some of `random_faults`, on one engine."""
    worlds = [world(numbers.getrandbits(64)) for _ in range(WORLDS)]
    native.load(wait=True)
    left = by_vgaemu(worlds)
    assert left == by_vgaemu(worlds, is_native=True)
    return "a triple fault among them" if any(case.end for case in left) else "handled"


def plant_fault() -> None:
    """What keeps a frame from its stack is no guest's fault."""

    def broken(*_: object, **__: object) -> int:
        raise ZeroDivisionError

    vars(unicorn_interrupts)["push"] = broken


CAMPAIGNS = {
    f"{kind}-{cpu}": Campaign(partial(guest, kind=kind, cpu=cpu), plant_guest)
    for kind in ("sector", "protected")  # string instructions: test_native_strings.py
    for cpu in ("unicorn", "kvm")
} | {"faults-unicorn": Campaign(faults, plant_fault)}
