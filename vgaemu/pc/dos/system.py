"""The small calls of INT 21h: drive, vectors, date and time, version, break check, free space.

Emulated: one drive C:, the vectors, the clock that CMOS keeps. Not emulated: country, verify,
switches, other drives; the break check is always off.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.caller import Caller
from vgaemu.pc.dos.memory import PREFIX

VERSION = (5, 0)
DRIVES, DRIVE_C = 3, 2
#: AX, BX, CX, DX of INT 21h/36h: 32 MiB of 64 are free, in clusters of 8 sectors.
FREE_SPACE = (8, 8192, 512, 16384)
#: How AL says that a date or time is none.
REFUSED = 0xFF


class System:
    """Calls that need no state of their own."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._clock, self._cmos = (
            board.bus,
            board.cpu,
            board.clock,
            board.cmos,
        )
        self._calls, self._caller = calls, Caller(board, calls)
        self.services: dict[int, Service] = {
            0x0D: lambda: None, 0x50: lambda: None,
            0x0E: lambda: self._set_al(DRIVES), 0x19: lambda: self._set_al(DRIVE_C),
            0x25: self._set_vector, 0x35: self._get_vector,
            0x2A: self._get_date, 0x2B: self._set_date,
            0x2C: self._get_time, 0x2D: self._set_time,
            0x30: self._version,
            0x33: self._break_check,
            0x36: self._free_space,
            0x47: self._current_folder,
            0x4D: lambda: self._caller.succeed(0),
            0x51: self._get_prefix, 0x62: self._get_prefix,
        }  # fmt: skip

    def _set_al(self, value: int) -> None:
        self._cpu.al = value

    def _set_vector(self) -> None:
        self._calls.set_vector(self._cpu.al, self._cpu.dx, self._cpu.ds)

    def _get_vector(self) -> None:
        segment, self._cpu.bx = self._calls.get_vector(self._cpu.al)
        self._cpu.set("es", segment)

    def _get_date(self) -> None:
        cpu, now = self._cpu, self._cmos.now()
        cpu.cx, cpu.dh, cpu.dl = now.tm_year, now.tm_mon, now.tm_mday
        cpu.al = (now.tm_wday + 1) % 7

    def _set_date(self) -> None:
        cpu, cmos = self._cpu, self._cmos
        done = cmos.set(cpu.cx, cpu.dh, cpu.dl, *cmos.now()[3:6])
        cpu.al = 0 if done else REFUSED

    def _get_time(self) -> None:
        self._clock.polled()
        cpu, now = self._cpu, self._cmos.now()
        cpu.ch, cpu.cl, cpu.dh = now.tm_hour, now.tm_min, now.tm_sec
        cpu.dl = self._clock.now_ns() // 10_000_000 % 100

    def _set_time(self) -> None:
        cpu, cmos = self._cpu, self._cmos
        done = cmos.set(*cmos.now()[:3], cpu.ch, cpu.cl, cpu.dh)
        cpu.al = 0 if done else REFUSED

    def _version(self) -> None:
        cpu = self._cpu
        cpu.al, cpu.ah = VERSION
        cpu.bx = cpu.cx = 0

    def _break_check(self) -> None:
        cpu = self._cpu
        if cpu.al == 0:
            cpu.dl = 0
        elif cpu.al == 5:  # boot drive
            cpu.dl = DRIVE_C + 1
        elif cpu.al == 6:
            cpu.bl, cpu.bh = VERSION
            cpu.dx = 0

    def _free_space(self) -> None:
        cpu = self._cpu
        cpu.ax, cpu.bx, cpu.cx, cpu.dx = FREE_SPACE

    def _current_folder(self) -> None:
        self._bus.write8(self._cpu.linear("ds", "si"), 0)
        self._caller.succeed(0x0100)

    def _get_prefix(self) -> None:
        self._cpu.bx = PREFIX
