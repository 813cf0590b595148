"""A Motorola MC146818 clock with battery-backed RAM: ports 70h, 71h, IRQ 8.

Emulated: time and date in BCD or binary, of 12 or 24 hours, set by the BIOS or through the ports
(with SET or without), the update flag before each new second, alarm, update and periodic interrupts
and their flags; 128 bytes of RAM with what a BIOS finds in them (drives, sizes of memory). Not
emulated: daylight saving, the square wave, a divider that stands, NMI off (port 70h bit 7).

Seconds begin where those of the guest's clock do, so all of it follows from that.

Source: Motorola MC146818 data sheet; IBM AT Technical Reference (layout of the RAM).
"""

from __future__ import annotations

import calendar
import struct
import time
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.pic import RaiseIrq, unheard
from vgaemu.pc.clock import NEVER_NS, VIRTUAL_EPOCH, Clock
from vgaemu.pc.images import DiskImage
from vgaemu.snapshot import Part, Saved, fields, octets_in

#: The clock knows the years 1980 to 2099: 43830 days.
YEARS, ALL_SECONDS = range(1980, 2100), 43_830 * 86_400
SECOND_NS = 1_000_000_000
#: The update flag is up so long: 244 us before an update, and while it lasts.
UPDATE_NS = 244_000 + 1_984_000
#: Its registers.
SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY = 0, 2, 4, 6, 7, 8, 9, 0x32
TIME = (SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY)
ALARMS = (1, 3, 5)
STATUS_A, STATUS_B, STATUS_C, STATUS_D = range(0x0A, 0x0E)
#: Status A: an update is in progress. Status B: SET, 24 hours, binary.
UPDATING, SET, BINARY, HOURS_24 = 0x80, 0x80, 0x04, 0x02
#: Status B and C: periodic, alarm and update interrupt; C: any that is enabled.
PERIODIC, ALARM, UPDATE, INTERRUPTED = 0x40, 0x20, 0x10, 0x80
#: An hour of 12 after noon; an alarm's field that matches all.
AFTER_NOON, ANY = 0x80, 0xC0
IRQ = 8
CRYSTAL_HZ = 32_768
#: Drives that a floppy's sectors fit: 360 KB, 1.2 MB, 720 KB, 1.44 MB, 2.88 MB.
FLOPPY_DRIVES = {720: 1, 2400: 2, 1440: 3, 2880: 4, 5760: 5}
USUAL_FLOPPY, USER_DEFINED_DISK = 4, 47
#: Of a hard disk: cylinders, heads, write precompensation, control, landing zone, sectors a track.
HARD_DISK = struct.Struct("<HBHBHB")
NO_PRECOMPENSATION = 0xFFFF
#: Of the control byte: more than eight heads.
MANY_HEADS = 0x08


class Cmos:
    """The clock, and its RAM."""

    SAVED: ClassVar[Saved] = {"index": (0, 0x7F), "ahead_s": (0, ALL_SECONDS - 1)}

    def __init__(
        self, bus: Bus, clock: Clock, ram_bytes: int, raise_irq: RaiseIrq = unheard
    ) -> None:
        self._clock, self._raise_irq = clock, raise_irq
        self.lower_irq: RaiseIrq = unheard
        self.index = 0
        #: The guest has set the clock: so much ahead of `Clock.time_of_day`, around all years.
        self.ahead_s = 0
        self.interrupts = Interrupts()
        self.ram = bytearray(128)
        extended_kib = min((ram_bytes >> 10) - 1024, 0xFFFF)
        self.ram[STATUS_A] = 0x26  # a crystal of 32768 Hz, 1024 periodic interrupts a second
        self.ram[STATUS_B] = HOURS_24
        self.ram[STATUS_D] = 0x80  # the battery is fine
        self.ram[0x10] = USUAL_FLOPPY << 4
        self.ram[0x14] = 0x23  # a floppy drive, 80x25 colour, coprocessor
        self.ram[0x15:0x17] = (640).to_bytes(2, "little")
        self.ram[0x17:0x19] = self.ram[0x30:0x32] = extended_kib.to_bytes(2, "little")
        over_16m = max(0, ram_bytes - (16 << 20)) >> 16
        self.ram[0x34:0x36] = over_16m.to_bytes(2, "little")
        self._sum_up()
        bus.byte_out[0x70] = self._select
        bus.byte_in[0x70] = lambda: 0xFF
        bus.byte_in[0x71] = self._read
        bus.byte_out[0x71] = self._write

    def note_drives(self, disks: Sequence[DiskImage]) -> None:
        """Say which drives there are, if it is known."""
        if not disks:
            return
        ram = self.ram
        hard_disks = [disk for disk in disks if disk.is_hard_disk]
        for number, disk in enumerate(hard_disks):
            ram[0x12] |= 0xF0 >> 4 * number
            ram[0x19 + number] = USER_DEFINED_DISK
            control = MANY_HEADS if disk.heads > 8 else 0
            shape = HARD_DISK.pack(
                disk.cylinders,
                disk.heads,
                NO_PRECOMPENSATION,
                control,
                disk.cylinders,
                disk.sectors,
            )
            ram[0x1B + 9 * number : 0x24 + 9 * number] = shape
        floppies = [disk for disk in disks if not disk.is_hard_disk and not disk.is_cd]
        ram[0x10] = sum(
            FLOPPY_DRIVES.get(disk.total, USUAL_FLOPPY) << 4 - 4 * number
            for number, disk in enumerate(floppies)
        )
        ram[0x14] = ram[0x14] & ~0xC1 | ((len(floppies) - 1) << 6 | 1 if floppies else 0)
        self._sum_up()

    def _sum_up(self) -> None:
        self.ram[0x2E:0x30] = (sum(self.ram[0x10:0x2E]) & 0xFFFF).to_bytes(2, "big")

    # --- the time ---

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

    def _digits(self) -> dict[int, int]:
        """The time's registers as they read."""
        now = self.now()
        values = {
            SECOND: now.tm_sec, MINUTE: now.tm_min, HOUR: now.tm_hour,
            WEEKDAY: (now.tm_wday + 1) % 7 + 1, DAY: now.tm_mday, MONTH: now.tm_mon,
            YEAR: now.tm_year % 100, CENTURY: now.tm_year // 100,
        }  # fmt: skip
        return {at: self._coded(at, value) for at, value in values.items()}

    def _coded(self, at: int, value: int) -> int:
        after_noon = 0
        if at == HOUR and not self.ram[STATUS_B] & HOURS_24:
            after_noon, value = AFTER_NOON * (value >= 12), (value - 1) % 12 + 1
        return (value if self.ram[STATUS_B] & BINARY else to_bcd(value)) | after_noon

    def _decoded(self, at: int, value: int) -> int:
        halves = at == HOUR and not self.ram[STATUS_B] & HOURS_24
        number = value & ~AFTER_NOON if halves else value
        number = number if self.ram[STATUS_B] & BINARY else from_bcd(number)
        return number % 12 + 12 * bool(value & AFTER_NOON) if halves else number

    def _set_digits(self, digits: dict[int, int]) -> None:
        """Set the clock to what its registers are to read; not to what is no time."""
        values = {at: self._decoded(at, digit) for at, digit in digits.items()}
        year = 100 * values[CENTURY] + values[YEAR]
        self.set(year, *(values[at] for at in (MONTH, DAY, HOUR, MINUTE, SECOND)))

    # --- registers ---

    def _select(self, value: int) -> None:
        self.index = value & 0x7F

    def _read(self) -> int:
        index = self.index
        if index == STATUS_A:
            self._clock.polled()
            left = SECOND_NS - self._clock.now_ns() % SECOND_NS
            updating = left <= UPDATE_NS and not self.ram[STATUS_B] & SET
            return self.ram[STATUS_A] & ~UPDATING | UPDATING * updating
        if index == STATUS_C:
            self._clock.polled()
            self._look()
            flags, self.interrupts.flags = self.interrupts.flags, 0
            self.lower_irq(IRQ)
            self._plan()
            return flags
        if index in TIME and not self.ram[STATUS_B] & SET:
            return self._digits()[index]
        return self.ram[index]

    def _write(self, value: int) -> None:
        index, ram = self.index, self.ram
        if index in (STATUS_C, STATUS_D):
            return
        if index in (STATUS_A, STATUS_B) or index in ALARMS:
            self._look()
            if index == STATUS_B:
                self._write_mode(value)
            ram[index] = value
            self._plan()
        elif index in TIME and not ram[STATUS_B] & SET:
            self._set_digits(self._digits() | {index: value})
        else:
            ram[index] = value

    def _write_mode(self, value: int) -> None:
        """SET holds the time's registers for the guest, and starts the clock from them."""
        before = self.ram[STATUS_B]
        if value & SET and not before & SET:
            for at, digit in self._digits().items():
                self.ram[at] = digit
        elif before & SET and not value & SET:
            self.ram[STATUS_B] = value  # in which the registers are read
            self._set_digits({at: self.ram[at] for at in TIME})

    # --- interrupts ---

    @property
    def due_ns(self) -> int:
        """When there is something to tell next."""
        return self.interrupts.due_ns

    def advance(self, now_ns: int) -> None:
        """Raise flags of what has been since, and the line if one of them is enabled."""
        interrupts, enabled = self.interrupts, self.ram[STATUS_B]
        since, interrupts.seen_ns = interrupts.seen_ns, now_ns
        if (period := self._period) and _ticks(since) // period != _ticks(now_ns) // period:
            interrupts.flags |= PERIODIC
        if since // SECOND_NS != now_ns // SECOND_NS and not enabled & SET:
            interrupts.flags |= UPDATE
            # A guest that nobody woke meanwhile may have slept over it.
            seconds = min(now_ns // SECOND_NS - since // SECOND_NS, 86_400)
            if any(self._alarm_matches(past) for past in range(seconds)):
                interrupts.flags |= ALARM
        if interrupts.flags & enabled & (PERIODIC | ALARM | UPDATE):
            if not interrupts.flags & INTERRUPTED:
                self._raise_irq(IRQ)
            interrupts.flags |= INTERRUPTED
        self._plan()

    @property
    def _period(self) -> int:
        """Of the periodic interrupt, in the crystal's; 0: there is none."""
        rate = self.ram[STATUS_A] & 0x0F
        return 1 << (rate + 6 if rate < 3 else rate - 1) if rate else 0

    def _alarm_matches(self, past_s: int) -> bool:
        now = time.gmtime(calendar.timegm(self.now()) - past_s)
        fields = ((1, SECOND, now.tm_sec), (3, MINUTE, now.tm_min), (5, HOUR, now.tm_hour))
        return all(
            self.ram[alarm] >= ANY or self.ram[alarm] == self._coded(at, value)
            for alarm, at, value in fields
        )

    def _look(self) -> None:
        self.advance(self._clock.now_ns())

    def _plan(self) -> None:
        """When an interrupt that is enabled may come: none before its flag is read."""
        interrupts, now, mode = self.interrupts, self._clock.now_ns(), self.ram[STATUS_B]
        period, due = self._period, NEVER_NS
        if not interrupts.flags & INTERRUPTED:
            if mode & PERIODIC and period:
                due = -(-(_ticks(now) // period + 1) * period * SECOND_NS // CRYSTAL_HZ)
            if mode & (ALARM | UPDATE) and not mode & SET:
                due = min(due, (now // SECOND_NS + 1) * SECOND_NS)
        interrupts.due_ns = due
        if due != NEVER_NS:
            self._clock.due(due)

    def parts(self) -> dict[str, Part]:
        """What is saved; older states know of no interrupts."""
        return {
            "chips.cmos": fields(self),
            "chips.cmos_ram": octets_in(self.ram),
            "chips.rtc": fields(self.interrupts).or_else(self.interrupts.forget),
        }


def _ticks(ns: int) -> int:
    """Of the crystal, since power on."""
    return ns * CRYSTAL_HZ // SECOND_NS


class Interrupts:
    """What of the clock goes on by itself."""

    SAVED: ClassVar[Saved] = {"flags": (0, 0xF0), "seen_ns": (0, NEVER_NS), "due_ns": (0, NEVER_NS)}

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As power on leaves it."""
        #: Status C; when it was looked at last, and is to be.
        self.flags, self.seen_ns, self.due_ns = 0, 0, NEVER_NS


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
