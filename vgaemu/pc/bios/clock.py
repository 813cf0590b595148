"""Time in the BIOS: INT 08h, 1Ah, 70h, and of INT 15h the wait (86h) and the event (83h).

Emulated: ticks since midnight, time, date and alarm of the battery-backed clock, whose interrupt
calls INT 4Ah; a wait that halts, a flag that is set after a time, and what the data area says of
both. Not emulated: waits by the clock's periodic interrupt, as IBM's are; a count that it counts
down.
"""

from __future__ import annotations

from typing import ClassVar

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.chips.cmos import ALARM, ALARMS, STATUS_B, STATUS_C, from_bcd, to_bcd
from vgaemu.pc.clock import NEVER_NS
from vgaemu.snapshot import Saved

TICKS_A_DAY = 0x1800B0
#: 0040:00A0, which a wait has for its flag.
STATE_POINTER = 0x0040_00A0


class ClockBios:
    """Ticks, clock, waits."""

    SAVED: ClassVar[Saved] = {
        "wait_until_ns": (-1, NEVER_NS), "event_ns": (-1, NEVER_NS), "event_at": (0, 0x10FFEF),
    }  # fmt: skip

    def __init__(self, board: Board, calls: Calls, data: bda.DataArea) -> None:
        self._bus, self._cpu, self._clock = board.bus, board.cpu, board.clock
        self._cmos, self._calls, self._data = board.cmos, calls, data
        #: When a wait ends that an older version's state has in hand.
        self.wait_until_ns: int | None = None
        #: When INT 15h/83h sets a flag, and where.
        self.event_ns: int | None = None
        self.event_at = 0
        self._services: dict[int, Service] = {
            0x00: self._read_ticks, 0x01: self._set_ticks,
            0x02: self._read_time, 0x03: self._set_time,
            0x04: self._read_date, 0x05: self._set_date,
            0x06: self._set_alarm, 0x07: self._clear_alarm,
        }  # fmt: skip

    def set_ticks(self) -> None:
        """At boot: the ticks of the time of day."""
        now = self._cmos.now()
        seconds = (now.tm_hour * 60 + now.tm_min) * 60 + now.tm_sec
        self._data[bda.TICKS] = seconds * TICKS_A_DAY // 86_400

    def tick(self) -> None:
        ticks = self._data[bda.TICKS] + 1
        if ticks >= TICKS_A_DAY:
            ticks = 0
            self._data[bda.MIDNIGHT] = 1
        self._data[bda.TICKS] = ticks

    def service(self) -> None:
        self._services.get(self._cpu.ah, self._calls.unsupported)()

    def _read_ticks(self) -> None:
        cpu, data = self._cpu, self._data
        self._clock.polled()
        ticks = data[bda.TICKS]
        cpu.dx, cpu.cx = ticks & 0xFFFF, ticks >> 16
        cpu.al = data[bda.MIDNIGHT]
        data[bda.MIDNIGHT] = 0

    def _set_ticks(self) -> None:
        self._data[bda.TICKS] = self._cpu.cx << 16 | self._cpu.dx
        self._data[bda.MIDNIGHT] = 0

    def _read_time(self) -> None:
        cpu, now = self._cpu, self._cmos.now()
        cpu.ch, cpu.cl, cpu.dh = to_bcd(now.tm_hour), to_bcd(now.tm_min), to_bcd(now.tm_sec)
        cpu.dl = 0
        self._calls.carry(False)

    def _set_time(self) -> None:
        cpu, cmos = self._cpu, self._cmos
        time = (from_bcd(digits) for digits in (cpu.ch, cpu.cl, cpu.dh))
        self._calls.carry(not cmos.set(*cmos.now()[:3], *time))

    def _set_date(self) -> None:
        cpu, cmos = self._cpu, self._cmos
        year = 100 * from_bcd(cpu.ch) + from_bcd(cpu.cl)
        self._calls.carry(not cmos.set(year, from_bcd(cpu.dh), from_bcd(cpu.dl), *cmos.now()[3:6]))

    def _read_date(self) -> None:
        cpu, now = self._cpu, self._cmos.now()
        cpu.ch, cpu.cl = to_bcd(now.tm_year // 100), to_bcd(now.tm_year % 100)
        cpu.dh, cpu.dl = to_bcd(now.tm_mon), to_bcd(now.tm_mday)
        self._calls.carry(False)

    def _cmos_byte(self, index: int, value: int | None = None) -> int:
        """Read a register of the clock's, or write it."""
        self._bus.port_out(0x70, 1, index)
        if value is None:
            return self._bus.port_in(0x71, 1)
        self._bus.port_out(0x71, 1, value)
        return value

    def _set_alarm(self) -> None:
        """1Ah/06h: at a time, each day; there is one."""
        cpu, enabled = self._cpu, self._cmos_byte(STATUS_B)
        if enabled & ALARM:
            self._calls.carry(True)
            return
        for index, value in zip(ALARMS, (cpu.dh, cpu.cl, cpu.ch), strict=True):
            self._cmos_byte(index, value)
        for port, mask in ((0xA1, 0x01), (0x21, 0x04)):
            self._bus.port_out(port, 1, self._bus.port_in(port, 1) & ~mask)
        self._cmos_byte(STATUS_C)
        self._cmos_byte(STATUS_B, enabled | ALARM)
        self._calls.carry(False)

    def _clear_alarm(self) -> None:
        self._cmos_byte(STATUS_B, self._cmos_byte(STATUS_B) & ~ALARM)
        self._calls.carry(False)

    def alarm(self) -> None:
        """INT 70h: what the clock interrupts for; an alarm calls INT 4Ah."""
        if self._cmos_byte(STATUS_C) & self._cmos_byte(STATUS_B) & ALARM:
            self._calls.interrupt_next(0x4A)

    def _microseconds(self) -> int:
        return int(self._cpu.cx << 16 | self._cpu.dx) * 1000

    def event(self) -> None:
        """INT 15h/83h: set a flag after a time, or no longer."""
        cpu = self._cpu
        if cpu.al == 0x01:
            self.event_ns = None
            self._note_end()
            self._calls.carry(False)
        elif cpu.al or self.event_ns is not None:
            self._calls.carry(True)
        else:
            self.event_at = cpu.linear("es", "bx")
            self.event_ns = self._clock.now_ns() + self._microseconds()
            self._note_wait(cpu.get("es") << 16 | cpu.bx)
            self._clock.due(self.event_ns)
            self._calls.carry(False)

    def _note_wait(self, flag: int) -> None:
        """Tell the data area that a time passes, and what is set then: a far pointer."""
        data, cpu = self._data, self._cpu
        data[bda.EVENT_FLAG], data[bda.EVENT_STATE] = flag, 1
        data[bda.EVENT_COUNT] = cpu.cx << 16 | cpu.dx

    def _note_end(self) -> None:
        self._data[bda.EVENT_COUNT] = self._data[bda.EVENT_STATE] = 0

    def check_event(self) -> None:
        """Between two slices: set the flag of `event`, if it is due."""
        if self.event_ns is not None and self._clock.now_ns() >= self.event_ns:
            self.event_ns = None
            self._note_end()
            self._bus.write8(self.event_at, self._bus.read8(self.event_at) | 0x80)

    def wait(self) -> bool | None:
        """INT 15h/86h: let a time pass; not while an event is to come, there is one clock."""
        calls, now = self._calls, self._clock.now_ns()
        if not calls.progress and self.wait_until_ns is None:
            if self.event_ns is not None:
                calls.carry(True)
                return None
            self._note_wait(STATE_POINTER)
        until = calls.progress or self.wait_until_ns or now + self._microseconds()
        self.wait_until_ns = None
        if now < until:
            calls.remember(until)
            calls.wake_at(until)
            return WAIT
        self._note_end()
        calls.carry(False)
        return None
