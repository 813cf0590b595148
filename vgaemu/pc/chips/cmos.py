"""A Motorola MC146818 clock with battery-backed RAM: ports 70h, 71h.

Emulated: time and date in BCD or binary, 128 bytes of RAM with what a BIOS finds in them (drives,
sizes of memory). Not emulated: interrupts and alarms, 12-hour mode, setting the clock through the
ports (the BIOS sets it), the update flag.

Source: Motorola MC146818 data sheet; IBM AT Technical Reference (layout of the RAM).
"""

from __future__ import annotations

import calendar
import time
from datetime import datetime
from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import VIRTUAL_EPOCH, Clock
from vgaemu.snapshot import Part, Saved, fields, octets_in

#: The clock knows the years 1980 to 2099: 43830 days.
YEARS, ALL_SECONDS = range(1980, 2100), 43_830 * 86_400


class Cmos:
    """The clock, and its RAM."""

    SAVED: ClassVar[Saved] = {"index": (0, 0x7F), "ahead_s": (0, ALL_SECONDS - 1)}

    def __init__(self, bus: Bus, clock: Clock, ram_bytes: int, *, floppy: bool = True) -> None:
        self._clock = clock
        self.index = 0
        #: The guest has set the clock: so much ahead of `Clock.time_of_day`, around all years.
        self.ahead_s = 0
        self.ram = bytearray(128)
        extended_kib = min((ram_bytes >> 10) - 1024, 0xFFFF)
        self.ram[0x0B] = 0x02  # 24 hours, BCD
        self.ram[0x0D] = 0x80  # the battery is fine
        self.ram[0x10] = 0x40 if floppy else 0  # a 1.44 MB drive
        self.ram[0x14] = 0x23 if floppy else 0x22  # 80x25 colour, coprocessor
        self.ram[0x15:0x17] = (640).to_bytes(2, "little")
        self.ram[0x17:0x19] = self.ram[0x30:0x32] = extended_kib.to_bytes(2, "little")
        over_16m = max(0, ram_bytes - (16 << 20)) >> 16
        self.ram[0x34:0x36] = over_16m.to_bytes(2, "little")
        bus.byte_out[0x70] = self._select
        bus.byte_in[0x70] = lambda: 0xFF
        bus.byte_in[0x71] = self._read
        bus.byte_out[0x71] = self._write

    def now(self) -> time.struct_time:
        """Date and time as the guest has set them."""
        return time.gmtime(VIRTUAL_EPOCH + (self._unset_s() + self.ahead_s) % ALL_SECONDS)

    def set(self, year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:
        """Set the clock; False if there is no such time."""
        try:
            wanted = datetime(year, month, day, hour, minute, second).timetuple()
        except ValueError:
            return False
        if wanted.tm_year not in YEARS:
            return False
        self.ahead_s = (calendar.timegm(wanted) - VIRTUAL_EPOCH - self._unset_s()) % ALL_SECONDS
        return True

    def _unset_s(self) -> int:
        """Seconds since 1980 as they would be."""
        return calendar.timegm(self._clock.time_of_day()) - VIRTUAL_EPOCH

    def _select(self, value: int) -> None:
        self.index = value & 0x7F

    def _read(self) -> int:
        now = self.now()
        fields = {
            0x00: now.tm_sec, 0x02: now.tm_min, 0x04: now.tm_hour,
            0x06: (now.tm_wday + 1) % 7 + 1, 0x07: now.tm_mday, 0x08: now.tm_mon,
            0x09: now.tm_year % 100, 0x32: now.tm_year // 100,
        }  # fmt: skip
        if self.index == 0x0A:
            self._clock.polled()
            return 0x26
        value = fields.get(self.index)
        if value is None:
            return self.ram[self.index]
        return value if self.ram[0x0B] & 4 else to_bcd(value)

    def _write(self, value: int) -> None:
        if self.index >= 0x0E or self.index in (0x0A, 0x0B):
            self.ram[self.index] = value

    def parts(self) -> dict[str, Part]:
        return {"chips.cmos": fields(self), "chips.cmos_ram": octets_in(self.ram)}


def to_bcd(value: int) -> int:
    """Two decimal digits, four bits each.

    >>> hex(to_bcd(59))
    '0x59'
    """
    return value // 10 << 4 | value % 10


def from_bcd(value: int) -> int:
    """What two decimal digits say.

    >>> from_bcd(0x59)
    59
    """
    return 10 * (value >> 4) + (value & 0x0F)
