"""What is told of a machine when a test of it fails, as titles and texts.

The screen, the processor, the VGA's registers where they are not as their mode sets them, what the
guest sent to the serial port and printed for debugging, the last port accesses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vgaemu.errors import GuestFault
from vgaemu.machine import Machine
from vgaemu.pc.bios.rom import SERVICES, TRAP_PORTS
from vgaemu.pc.debug import PortTail
from vgaemu.vga import dispi
from vgaemu.vga.codepage import to_unicode
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import NAMES, Mode

#: Characters of what a guest printed for debugging, or sent, that are told, its last.
MOST_PRINTED = 2000


@dataclass
class Made:
    """A machine that a test has made."""

    machine: Machine
    #: How it was called: ``kernel.img``.
    name: str
    #: Its last port accesses, if it runs machine code.
    ports: PortTail | None = None
    #: What there was to tell when an error left its ``with``; afterwards it is closed.
    told: list[tuple[str, str]] | None = None
    is_closed: bool = False

    def sections(self) -> list[tuple[str, str]]:
        """Titles and texts."""
        return list(sections_of(self)) if self.told is None else self.told

    def remember(self) -> None:
        """It is about to close."""
        if sys.exc_info()[1] is not None:
            self.told = self.sections()
        self.is_closed = True


def sections_of(made: Made) -> Iterator[tuple[str, str]]:
    """Titles and texts, each by itself: one that cannot be told says why."""
    machine = made.machine
    title = f"screen, {machine.frames} frames, {machine.screen.info.mode_name}"
    tellers: dict[str, Callable[[Made], str]] = {
        title: _screen_text,
        "processor": _processor,
        "VGA registers": _vga_registers,
        "guest": _guest_state,
        "serial port": _sent,
        "printed for debugging": _printed,
        "last port accesses": _last_ports,
    }
    for title, tell in tellers.items():
        try:
            text = tell(made)
        except Exception as error:
            # The test's own failure is what matters; pytest would end its run at another one here.
            text = f"cannot be told: {type(error).__name__}: {error}"
        if text:
            yield title, text


def _screen_text(made: Made) -> str:
    screen = made.machine.screen
    if not screen.is_text:
        return "a graphics mode: see the picture"
    rows = [row.rstrip() for row in screen.text()]
    while rows and not rows[-1]:
        rows.pop()
    return "\n".join(rows) or "(blank)"


def _processor(made: Made) -> str:
    machine = made.machine
    pc, error = machine.pc, machine.guest_error
    if isinstance(error, GuestFault):
        return f"{error}\n{error.report}"
    if pc is None:
        return ""
    if made.is_closed:
        return "its state went when the machine was closed"
    if machine.runner.is_running:
        return "the guest is still running, on its own thread (free=True)"
    return pc.report()


def _vga_registers(made: Made) -> str:
    vga = made.machine.vga
    if vga.dispi.values[dispi.ENABLE] & dispi.ENABLED:
        return ""  # its mode says it all
    mode, changed = changed_registers(vga)
    return "\n".join([f"as mode {mode.name}, but:", *changed]) if changed else ""


def _guest_state(made: Made) -> str:
    machine = made.machine
    return machine.runner.standstill if machine.ended or machine.pc is not None else ""


def _sent(made: Made) -> str:
    pc = made.machine.pc
    return "" if pc is None else _shown(pc.serial.text)


def _printed(made: Made) -> str:
    pc = made.machine.pc
    return "" if pc is None else _shown(pc.debug.text)


def _shown(sent: bytes | bytearray) -> str:
    """The end of it, as a screen would show it: it may have a terminal's escape sequences."""
    lines = bytes(sent[-MOST_PRINTED:]).split(b"\n")
    return "\n".join(to_unicode(line.rstrip(b"\r")) for line in lines).rstrip()


def _last_ports(made: Made) -> str:
    """The last port accesses; those by which the builtin BIOS is called say the interrupt."""
    pc = made.machine.pc
    if made.ports is None or pc is None:
        return ""
    services = {} if pc.firmware is not None else dict(zip(TRAP_PORTS, SERVICES, strict=False))
    names = {port: f"INT {vector:02X}h" for port, vector in services.items()}
    return "\n".join(made.ports.lines(names))


def changed_registers(vga: Vga) -> tuple[Mode, list[str]]:
    """The mode that a device's registers are nearest to, and those that are not as it sets them.

    Modes in grey have the registers of those in colour.
    """
    found = [(mode, list(_differences(vga, mode))) for mode in NAMES.values()]
    return min(found, key=lambda entry: (len(entry[1]), entry[0].name.endswith("grey")))


def _differences(vga: Vga, mode: Mode) -> Iterator[str]:
    tables = (
        (vga.misc, 0, bytes([mode.misc])),
        (vga.sequencer, 1, mode.sequencer),
        (vga.crtc, 0, mode.crtc),
        (vga.graphics, 0, mode.graphics),
        (vga.attribute, 0, mode.attribute),
    )
    for bank, first, values in tables:
        for row in bank.rows:
            if first <= row.index < first + len(values):
                usual, now = values[row.index - first] & row.mask, bank.values[row.index]
                if usual != now:
                    yield f"{bank.name} {row.index:02X}h {row.name} {now:02X}, not {usual:02X}"
