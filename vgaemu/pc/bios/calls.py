"""Calls: how the guest's INT comes to a Python service, and what a service may say to its caller.

Emulated: a software interrupt's frame on the real-mode stack, with the caller's flags; services
that wait, and long ones that go on in the next slice of instructions, with interrupts in between.

A stub in ROM (see `rom`) writes to a trap port. The service finds the caller's registers in the CPU
and answers in them; flags that it sets are the stacked ones. One that has to wait returns `WAIT`:
the stub then halts, and asks again after the next interrupt.

A service lets interrupts in where its stub halts, whether its caller would or not (IBM's begin with
STI), and nowhere else. It halts when it waits, before it does anything when an interrupt waits, and
when it has done as much as a slice may. What else it wants to be woken by (`wake_at`) holds for
that halt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from vgaemu.pc.bios import rom
from vgaemu.pc.board import Board
from vgaemu.pc.clock import NEVER_NS, SERVICE_NS
from vgaemu.pc.cpu.cpu import CARRY, INTERRUPT, TRAP
from vgaemu.snapshot import Part, text

#: What a service returns to be asked again after the next interrupt.
WAIT: Final = True
#: A BIOS or DOS service: registers are the caller's.
Service: TypeAlias = Callable[[], bool | None]

#: Characters or colours that a call may do in a slice of instructions. They take the host up to a
#: hundred times as long as instructions do, and a slice must not: harvests and keys wait for its
#: end.
WORK_A_SLICE = 256
#: Virtual time of one unit of a long call's work.
WORK_NS = 10_000
#: Long calls that are remembered half done: one, and those of the interrupts that came meanwhile.
MAX_UNFINISHED = 8
#: What tells them apart, with the vector.
CALL_REGISTERS = ("eax", "ebx", "ecx", "edx", "ebp", "esp", "ss", "ds", "es")
#: Where the caller's FLAGS lie: SS:SP+4.
FLAGS_AT = 4
#: Interrupts of chips are served even when others wait.
CHIPS = (0x08, 0x09, 0x70, 0x74)


def serve(services: Mapping[int, Service], number: int) -> bool | None:
    """The service that a register asks for; nothing happens if there is none."""
    service = services.get(number)
    return None if service is None else service()


class Calls:
    """The table of services, the budget of a slice, and the call in hand."""

    def __init__(self, board: Board) -> None:
        """Load ROM, take the trap ports, and let each vector lead to its stub."""
        self._bus, self._cpu, self._clock, self._run = board.bus, board.cpu, board.clock, board.run
        #: What answers a vector.
        self.services: dict[int, Service] = {}
        #: Long calls that go on in the next slice, by `_this_call`: how far each has come.
        self.unfinished: dict[tuple[int, ...], int] = {}
        #: The vector of the call in hand.
        self.vector: int = 0
        #: How far the call in hand had come when it was suspended; 0 if it is new.
        self.progress: int = 0
        self._left = WORK_A_SLICE
        self._bus.load_rom(rom.ROM_BASE, rom.rom_image(board.vga.rom_font))
        self._bus.older_stubs = rom.OLDER_STUBS
        # Fonts below may differ.
        self._bus.stubs = slice(rom.ROM_BASE + rom.STUBS, rom.ROM_BASE + 0x10000)
        for vector, port in rom.trap_ports().items():
            self._bus.byte_out[port] = partial(self._trap, vector)
        self._bus.write(0, rom.vectors())

    def offer(self) -> None:
        """Let the CPU answer calls at once that it can: those that have services now."""
        stubs = {
            vector: rom.ROM_SEGMENT << 16 | rom.stub_offset(vector) for vector in self.services
        }
        run = self._run
        self._cpu.answer_calls(stubs, lambda: not run.interrupt_waits)

    def _trap(self, vector: int, value: int) -> None:
        self.call(vector)

    def call(self, vector: int) -> None:
        """A stub's OUT: serve it. Registers and the stacked flags are the caller's."""
        service = self.services.get(vector)
        if service is None:
            return
        self._clock.cost(SERVICE_NS)
        if (self._run.stopped or self._run.interrupt_waits) and vector not in CHIPS:
            # Ask again in the next slice. A machine that closes waits for none.
            waits: bool | None = self.retry()
        else:
            # Each call gets it whole: where slices end is nothing that a guest is to see.
            self.new_slice()
            self._left -= 1
            self.vector = vector
            self.progress = self.unfinished.pop(self._this_call(), 0) if self.unfinished else 0
            waits = service()
        if waits is WAIT:
            # No interrupt before the HLT, also where a hook has called the stub with them on.
            self._cpu.set("eflags", self._cpu.get("eflags") & ~INTERRUPT | CARRY)

    # The budget of a slice, and calls that need more.

    def new_slice(self, units: int = WORK_A_SLICE) -> None:
        """A slice of instructions begins, in which a service may do so much."""
        self._left = units

    def spend(self, units: int) -> None:
        """The service did so much: characters, glyphs, colours. That takes time."""
        self._left -= units
        self._clock.cost(units * WORK_NS)

    @property
    def exhausted(self) -> bool:
        """Whether the service has done enough in this slice, or the machine closes."""
        return self._left <= 0 or self._run.stopped

    def suspend(self, progress: int) -> bool:
        """The slice is exhausted, the call in hand is not done: go on from there in the next slice.

        The service returns this; registers must be the caller's, as they were.
        """
        self.remember(progress)
        return self.retry()

    def remember(self, progress: int) -> None:
        """The call in hand is to find that it has come so far when it is asked again."""
        self.unfinished[self._this_call()] = progress
        if len(self.unfinished) > MAX_UNFINISHED:
            del self.unfinished[next(iter(self.unfinished))]

    def retry(self) -> bool:
        """A service has not finished: wait, and ask again at once. The service returns this."""
        self._run.wake_at(0)
        return WAIT

    def wake_at(self, ns: int) -> None:
        """A service that waits is to be asked again at that time, interrupt or not."""
        self._run.wake_at(ns)

    def end(self, exit_code: int = 0) -> bool:
        """The guest is done. The service returns this: its stub halts, and no code runs on."""
        self._run.end(exit_code)
        return WAIT

    def _this_call(self) -> tuple[int, ...]:
        """What tells the call in hand from others, such as an interrupt's that came between."""
        return (self.vector, *map(self._cpu.get, CALL_REGISTERS))

    # What the caller finds: flags, and where it goes on.

    def flag(self, bit: int, on: bool) -> None:
        """A flag as the caller finds it after IRET."""
        flags = self._cpu.stack_word(FLAGS_AT)
        new = flags | bit if on else flags & ~bit
        if new != flags:
            self._cpu.set_stack_word(FLAGS_AT, new)

    def carry(self, on: bool) -> None:
        self.flag(CARRY, on)

    def unsupported(self) -> None:
        """There is no such call, as INT 15h and 1Ah say it."""
        self._cpu.ah = 0x86
        self.carry(True)

    def frame(self) -> tuple[int, int, int]:
        """IP, CS and FLAGS of the caller."""
        ip, cs, flags = (self._cpu.stack_word(at) for at in (0, 2, FLAGS_AT))
        return ip, cs, flags

    def set_frame(self, ip: int, cs: int, flags: int) -> None:
        """Have the stub's IRET go elsewhere."""
        for i, word in enumerate((ip, cs, flags)):
            self._cpu.set_stack_word(2 * i, word)

    def return_to(self, offset: int, segment: int) -> None:
        """Have the stub's IRET go to some code, whose IRET goes where this one would have."""
        flags = self._cpu.stack_word(FLAGS_AT) & ~(INTERRUPT | TRAP)
        self._cpu.sp = self._cpu.sp - 6
        self.set_frame(offset, segment, flags)

    def interrupt_next(self, vector: int) -> None:
        """Have the stub's IRET go to another interrupt, whose IRET goes back to the program."""
        segment, offset = self.get_vector(vector)
        self.return_to(offset, segment)

    def get_vector(self, vector: int) -> tuple[int, int]:
        """Segment and offset."""
        return self._bus.read16(4 * vector + 2), self._bus.read16(4 * vector)

    def is_hooked(self, vector: int) -> bool:
        """Whether a vector leads elsewhere than to its stub."""
        return self.get_vector(vector) != (rom.ROM_SEGMENT, rom.stub_offset(vector))

    def set_vector(self, vector: int, offset: int, segment: int = rom.ROM_SEGMENT) -> None:
        self._bus.write16(4 * vector, offset)
        self._bus.write16(4 * vector + 2, segment)

    def part(self) -> Part:
        """Long calls that are not done, as they are saved: which, and how far."""
        return text(
            lambda: [[list(call), progress] for call, progress in self.unfinished.items()],
            self._restore,
            _are_unfinished,
        )

    def _restore(self, calls: list[list[Any]]) -> None:
        self.unfinished = {tuple(call): progress for call, progress in calls}


def _are_unfinished(calls: Any) -> bool:
    return len(calls) <= MAX_UNFINISHED and all(
        len(call) == 1 + len(CALL_REGISTERS)
        and all(isinstance(number, int) and 0 <= number < 1 << 32 for number in call)
        and isinstance(progress, int)
        and 0 <= progress <= NEVER_NS
        for call, progress in calls
    )
