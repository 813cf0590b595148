"""Boards without a PC: a CPU that is only registers, a real bus and VGA, to call services on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vgaemu.keys.queue import Keys
from vgaemu.memslot import DirtyLog, Memslot
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.clock import StepClock
from vgaemu.pc.cpu.cpu import REGISTERS, Array, Cpu
from vgaemu.vga.device import Vga
from vgaemu.vga.vram import LFB_GPA

#: Where a caller's IP, CS and FLAGS lie.
STACK = 0x7000


class RegisterCpu(Cpu):
    """Registers, and no instructions."""

    name = "registers"

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.values = dict.fromkeys(REGISTERS, 0)

    def get(self, register: str) -> int:
        return self.values[register]

    def set(self, register: str, value: int) -> None:
        self.values[register] = value & 0xFFFF_FFFF

    def interrupt(self, vector: int) -> None:
        self.real_mode_interrupt(vector)

    def run(self, limit_ns: int) -> None:
        raise NotImplementedError

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        return keeper_harvest()

    def harvest_ram(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        return keeper_harvest()

    def arrays(self) -> dict[str, Array]:
        return {}

    def refusal(self, arrays: Mapping[str, Array]) -> str | None:
        return None

    def restore(self, arrays: Mapping[str, Array]) -> None:
        raise NotImplementedError


def make_board(vram_pages: int = 512) -> Board:
    """A board with nothing on it that runs; its interrupt lines end nowhere."""
    vga = Vga(Memslot(vram_pages, LFB_GPA >> 12))
    bus, clock = Bus(vga), StepClock()
    keyboard = I8042(bus, lambda irq: None, clock, Keys())
    return Board(vga, bus, RegisterCpu(bus), clock, keyboard, Cmos(bus, clock, bus.ram_bytes))


def ask(board: Board, calls: Calls, vector: int, **registers: int) -> int:
    """Call a vector's service; returns the flags that the caller would find."""
    cpu = board.cpu
    cpu.sp = STACK
    board.bus.write(STACK, bytes.fromhex("00 00 00 00 02 02"))
    for name, value in registers.items():
        if name in ("ds", "es"):
            cpu.set(name, value)
        else:
            setattr(cpu, name, value)
    calls.call(vector)
    return board.bus.read16(STACK + 4)
