"""Two Intel 8259A interrupt controllers, one on line 2 of the other: ports 20h, 21h, A0h, A1h.

Emulated: initialisation words, masks, fixed priorities, specific, non-specific and automatic end of
interrupt, reads of IRR and ISR, spurious interrupts, requests that go away: a line has to stay high
until it is acknowledged, also where edges count (QEMU and KVM remember the edge). Not emulated:
rotating priorities, special mask mode, polling, level triggering, 8080 mode.

Source: Intel 8259A data sheet; IBM AT Technical Reference (which lines, and the cascade).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeAlias

from vgaemu.pc.bus import Bus
from vgaemu.snapshot import Part, Saved, fields, octets

#: An edge on an interrupt line, 0 to 15: `Pic.raise_irq`, `Pic.lower_irq`, or another controller's.
RaiseIrq: TypeAlias = Callable[[int], None]


def unheard(irq: int) -> None:
    """An edge that changes nothing."""


class Pic:
    """Two 8259A: IRQs 0-7, and 8-15 through IRQ 2."""

    def __init__(
        self,
        bus: Bus,
        interrupts: Callable[[], None] = lambda: None,
        goes_away: Callable[[], None] = lambda: None,
    ) -> None:
        """Make both.

        Args:
            bus: Where their ports are.
            interrupts: Called when a line asks for attention from now on.
            goes_away: Called when none does any more, though nobody has acknowledged it.
        """
        self._interrupts, self._goes_away = interrupts, goes_away
        self.chips = (Pic8259(0x08), Pic8259(0x70))
        for chip, port in zip(self.chips, (0x20, 0xA0), strict=True):
            bus.byte_in[port] = chip.read_command
            bus.byte_in[port + 1] = chip.read_data
            bus.byte_out[port] = partial(self._write, chip.write_command)
            bus.byte_out[port + 1] = partial(self._write, chip.write_data)

    def _write(self, write: Callable[[int], None], value: int) -> None:
        write(value)
        if self.has_interrupt():
            self._interrupts()

    def raise_irq(self, irq: int) -> None:
        self.chips[irq >> 3].requested |= 1 << (irq & 7)
        if self.has_interrupt():
            self._interrupts()

    def lower_irq(self, irq: int) -> None:
        """What made it interrupt is over: no more than that is asked for, if nobody has yet."""
        chip, bit = self.chips[irq >> 3], 1 << (irq & 7)
        if chip.requested & bit:
            asked = self.has_interrupt()
            chip.requested &= ~bit
            if asked and not self.has_interrupt():
                self._goes_away()

    def is_requested(self, irq: int) -> bool:
        """Whether a line waits, masked or not, for its turn."""
        return bool(self.chips[irq >> 3].requested >> (irq & 7) & 1)

    def has_interrupt(self) -> bool:
        """Whether an unmasked line asks for attention."""
        first, second = self.chips
        if not second.requested & ~second.mask:  # most often: asked before each step
            first.requested &= ~4
            if not first.requested & ~first.mask:
                return False
        self._cascade()
        return first.next_line() is not None

    def acknowledge(self) -> int:
        """The CPU takes the interrupt: its vector."""
        self._cascade()
        line = self.chips[0].acknowledge()
        if line == 2:
            return self.chips[1].base + self.chips[1].acknowledge()
        return self.chips[0].base + line

    def _cascade(self) -> None:
        """The second one's output is the first one's line 2."""
        if self.chips[1].next_line() is not None:
            self.chips[0].requested |= 4
        else:
            self.chips[0].requested &= ~4

    def parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        for i, chip in enumerate(self.chips):
            parts |= {f"chips.pic{i}": fields(chip), f"chips.pic{i}_expects": chip.expected()}
        return parts


class Pic8259:
    """One 8259A."""

    SAVED: ClassVar[Saved] = {
        "base": (0, 0xFF), "mask": (0, 0xFF), "requested": (0, 0xFF), "in_service": (0, 0xFF),
        "auto_eoi": (0, 1), "read_service": (0, 1),
    }  # fmt: skip

    def __init__(self, base: int) -> None:
        self.base = base
        self.mask = 0
        self.requested = 0
        self.in_service = 0
        self.auto_eoi = False
        self.read_service = False
        #: Initialisation words still to come: ICW2, 3, 4.
        self.expect: list[int] = []

    def next_line(self) -> int | None:
        """The line that interrupts next: of higher priority than all that are in service."""
        ready = self.requested & ~self.mask
        if not ready:
            return None
        line = (ready & -ready).bit_length() - 1
        served = self.in_service
        if served and (served & -served).bit_length() - 1 <= line:
            return None
        return line

    def acknowledge(self) -> int:
        """Take the next line into service; 7 if it went away (a spurious interrupt)."""
        line = self.next_line()
        if line is None:
            return 7
        self.requested &= ~(1 << line)
        if not self.auto_eoi:
            self.in_service |= 1 << line
        return line

    def read_command(self) -> int:
        """IRR or ISR, as OCW3 chose."""
        return self.in_service if self.read_service else self.requested

    def read_data(self) -> int:
        return self.mask

    def write_command(self, value: int) -> None:
        """ICW1, OCW2 or OCW3."""
        if value & 0x10:
            self.mask = self.requested = self.in_service = 0
            self.auto_eoi = self.read_service = False
            self.expect = [2] + ([] if value & 2 else [3]) + ([4] if value & 1 else [])
        elif value & 0x08:
            if value & 2:
                self.read_service = bool(value & 1)
        elif value & 0x60 == 0x60:  # specific end of interrupt
            self.in_service &= ~(1 << (value & 7))
        elif value & 0x20:
            self.in_service &= self.in_service - 1 if self.in_service else 0

    def write_data(self, value: int) -> None:
        """The initialisation word that is due, or the mask."""
        if not self.expect:
            self.mask = value
            return
        word = self.expect.pop(0)
        if word == 2:
            self.base = value & 0xF8
        elif word == 4:
            self.auto_eoi = bool(value & 2)

    def expected(self) -> Part:
        """The initialisation words that are still to come, as they are saved."""

        def restore(data: bytes) -> None:
            self.expect[:] = data

        return octets(lambda: self.expect, restore, 3)
