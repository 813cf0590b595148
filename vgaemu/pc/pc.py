"""Pc: a CPU, a bus, small chips, a BIOS and one image or program; what `vgaemu run game.img` runs.

Emulated: a one-processor AT with 2 MiB to 1 GiB. Not emulated: see `chips`, `bios`, `dos`, `bus`.

The guest's time runs in slices of instructions. Between two slices, and only there, the chips look
at the clock and interrupts are taken. The dirty log is harvested at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vgaemu.errors import CpuError, GuestFault, ResetFault
from vgaemu.guest.workload import Guest
from vgaemu.keys.queue import Keys
from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.clock import TICKS_A_DAY
from vgaemu.pc.board import Board, RunState
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.debugports import DebugPorts
from vgaemu.pc.chips.pic import Pic
from vgaemu.pc.chips.pit import Pit
from vgaemu.pc.chips.printer import Printer
from vgaemu.pc.chips.retrace import RetraceLine
from vgaemu.pc.chips.serial import Serial
from vgaemu.pc.clock import MOST_HOST_NS, NEVER_NS, Clock, StepClock, most_host_ns
from vgaemu.pc.cpu.cpu import INTERRUPT, Array, Cpu
from vgaemu.pc.debug import fault_report, place_of
from vgaemu.pc.disks import kind_of
from vgaemu.pc.guest_beam import GuestBeam
from vgaemu.pc.images import SECTOR, DiskImage, DosProgram, Image, Kernel
from vgaemu.pc.state import (
    Identity,
    bulk_arrays,
    check_state,
    identity_parts,
    restore_state,
    small_arrays,
)
from vgaemu.pc.symbols import Symbols, read_symbols
from vgaemu.signals import FRAME_HANGS_S, stops_wait
from vgaemu.snapshot import Part, fields, number, take
from vgaemu.vga.device import Vga

if TYPE_CHECKING:
    from vgaemu.pc.bios.seabios import SeaBios  # brings KVM
    from vgaemu.pc.dos.dos import Dos

FRAME_NS = 1_000_000_000 // 60
#: Seconds that chance may set the clock ahead: ten years.
CLOCK_S = 10 * 365 * 86_400
#: Free-running slices are handed to KVM for at most this long, and after so long keys are looked
#: for; a guest in virtual time runs so long before it waits for wall time.
KVM_SLICE_NS, KVM_LOOK_NS, PACED_TURN_NS = 10_000_000, 4_000_000, 2_000_000
#: A CPU in virtual time that refuses an interrupt is asked again after the next instructions, so
#: many in all; then they pause, for longer each time: as long as a handler may then be late, a
#: guest keeps interrupts off for much longer. A loop may let them in for an instruction or two.
ASKED_IN_A_ROW, PAUSE_NS, LONGEST_PAUSE_NS = 8, 1_000, 4_000_000


class Chip(Protocol):
    """A chip that goes on by itself now and then."""

    @property
    def due_ns(self) -> int:
        """When `advance` has something to do next."""

    def advance(self, now_ns: int) -> None:
        """Do what is to be done by now."""

    def parts(self) -> dict[str, Part]:
        """What of it is saved."""


class Pc:
    """One PC. `slices` is what a `Machine` runs."""

    def __init__(
        self,
        board: Board,
        keys: Keys,
        pic: Pic,
        pit: Pit,
        debug: DebugPorts,
        serial: Serial,
        printer: Printer,
        image: Image,
        disks: Sequence[DiskImage],
        *,
        free: bool,
        bios: Bios | None,
        dos: Dos | None,
        firmware: SeaBios | None,
        beam: GuestBeam,
        retrace: RetraceLine | None = None,
        channels: Sequence[Chip] = (),
        resources: ExitStack,
    ) -> None:
        """Take what `build_pc` has put together; `free`: live in wall time, a slice a turn.

        `image` is run, and is among the `disks` if it is one; `channels` are those of disks.
        """
        self.board: Board = board
        self.vga: Vga = board.vga
        self.bus: Bus = board.bus
        self.cpu: Cpu = board.cpu
        self.clock: Clock = board.clock
        self.run: RunState = board.run
        self.keys: Keys = keys
        self.pic: Pic = pic
        self.pit: Pit = pit
        #: `text`: what the guest printed on port E9h and its like.
        self.debug: DebugPorts = debug
        #: `text`: what the guest sent to the serial port.
        self.serial: Serial = serial
        #: `text`: what the guest printed at the parallel port.
        self.printer: Printer = printer
        self.image: Image = image
        #: All disks: the one that is run first, if it is one.
        self.disks: tuple[DiskImage, ...] = tuple(disks)
        self.free: bool = free
        self.dos: Dos | None = dos
        self.firmware: SeaBios | None = firmware
        self._bios, self._resources = bios, resources
        self._beam, self._retrace, self._channels = beam, retrace, tuple(channels)
        #: What is looked at between two slices, where it is due.
        self._chips: tuple[Chip, ...] = (board.cmos, serial, printer, *channels)
        self._is_virtual = isinstance(board.clock, StepClock)
        #: Called where the guest has pulled the CPU's reset line; False: that ends the run.
        self.on_reset: Callable[[], bool] = lambda: False
        #: What its code is called, if its image does not say.
        self.symbols: Symbols | None = None
        #: When the next frame ends; whether it is the next turn.
        self.next_frame_ns: int = 0
        self._single = False
        #: What is left of a closed PC for a saved state: all but RAM and disk.
        self._last: dict[str, Array] | None = None

    def __repr__(self) -> str:
        return f"<Pc {type(self.image).__name__} on {self.cpu.name}>"

    @property
    def bios(self) -> Bios:
        """The builtin BIOS; a RuntimeError where this PC runs a firmware of its own."""
        if self._bios is None:
            raise RuntimeError("this PC runs a firmware of its own")
        return self._bios

    def keyboard_lamps(self) -> int:
        """As the BIOS has set them: bit 0 scroll lock, 1 num lock, 2 caps lock."""
        return self.bus.memory[bda.LAMPS.address] & 7

    @property
    def endless(self) -> bool:
        """Whether it does not end by itself: programs do, what boots from a disk seldom does."""
        return not isinstance(self.image, DosProgram)

    @property
    def ended(self) -> bool:
        """Whether the guest is done."""
        return self.run.ended

    @property
    def exit_code(self) -> int:
        """What the guest returned, for programs that do."""
        return self.run.exit_code

    def slices(self) -> Generator[Any, None, int]:
        """The guest, for a `Machine`: a frame a turn in step, a slice a turn on its own thread.

        Returns:
            Its exit code.

        Raises:
            GuestFault: What ended the run.
        """
        try:
            while not self.run.over:
                try:
                    self._turn()
                except ResetFault:
                    if not self.on_reset():
                        raise
                    self.next_frame_ns = self.clock.now_ns()  # it begins here
                if not self.run.over:
                    yield Guest.NOW if self.free else None
        except GuestFault as fault:
            fault.report = self.report(fault.registers, repeats=not self.free)
            if place := place_of(self.cpu, self.bus, self.known_symbols, fault.registers):
                fault.args = (f"{fault}, in {place}",)
            raise
        finally:
            # Its time stands still from now on, and the beam with it: no field gets whole any more.
            if not self.run.stopped:
                self.vga.timeline.forget()
        return self.exit_code

    def report(self, registers: dict[str, int] | None = None, *, repeats: bool = False) -> str:
        """Where its CPU is, as lines: see `vgaemu.pc.debug.fault_report`."""
        symbols = self.known_symbols
        return fault_report(self.cpu, self.bus, registers, repeats=repeats, symbols=symbols)

    @property
    def known_symbols(self) -> Symbols:
        """What its code is called: `symbols`, or those of a kernel that is an ELF file."""
        if self.symbols is None:
            self.symbols = read_symbols(self.image.data if isinstance(self.image, Kernel) else b"")
        return self.symbols

    def begin_by_chance(self, numbers: np.random.Generator) -> None:
        """Have other ticks of the BIOS, and another time of the clock: guests' random numbers."""
        if isinstance(self.image, DiskImage | DosProgram):  # others keep something else there
            self.bus.write32(bda.TICKS.address, int(numbers.integers(TICKS_A_DAY)))
        self.board.cmos.ahead_s = int(numbers.integers(CLOCK_S))

    def _turn(self) -> None:
        self.clock.start()
        try:
            if self.free and not self._single:
                self._run_free()
                return
            self._single = False
            if self.free:
                self.next_frame_ns = self.clock.now_ns()
            self.run_frame()
        finally:
            if not self.free:
                self.clock.stop()

    def _run_free(self) -> None:
        clock = self.clock
        now = clock.now_ns()
        if not self._is_virtual:
            self.vga.note_frame()
            self.step(now + KVM_SLICE_NS)
            return
        if now >= self.next_frame_ns:
            self.next_frame_ns = now + FRAME_NS
            clock.begin_frame()
            self.vga.note_frame()
        until = now + PACED_TURN_NS
        while clock.now_ns() < until and not self.run.over:
            self.step(until)
        clock.keep_pace()

    def stop(self) -> None:
        """End the run soon; any thread may ask."""
        self.run.stopped = True
        self.clock.wake.set()
        self.cpu.stop()

    def pause(self) -> None:
        """Stand still: the machine is paused. The next turn of `slices` is a whole frame."""
        self.clock.stop()
        self._single = True

    @property
    def keeps_own_time(self) -> bool:
        """Whether its time is made of what it does, so that it does the same again."""
        return self._is_virtual

    def race(self, on: bool) -> None:
        """Live faster than time passes, as far as it goes, or as before; between two slices."""
        self.clock.race(on)

    @property
    def untaken_keys(self) -> int:
        """Keys that the guest has not taken, as far as its memory tells; any thread may ask."""
        head, tail, start, end = (
            self.bus.read16(field.address)
            for field in (bda.KEY_HEAD, bda.KEY_TAIL, bda.KEY_BUFFER_START, bda.KEY_BUFFER_END)
        )
        # Whoever has another use for the BIOS's data area keeps keys elsewhere.
        is_buffer = start < end and all(place in range(start, end, 2) for place in (head, tail))
        words = (tail - head) % (end - start) // 2 if is_buffer else 0
        return words + len(self.board.keyboard.buffer) // 2

    def run_frame(self) -> None:
        """Run for a 60th of a second of the guest's time."""
        with stops_wait(hangs_s=FRAME_HANGS_S):  # here: around each step it was a tenth of the time
            self._run_frame()

    def _run_frame(self) -> None:
        self.next_frame_ns += FRAME_NS
        self.clock.begin_frame()
        self.vga.note_frame()
        clock, began_ns, begin_ns = self.clock, perf_counter_ns(), thread_time_ns()
        allowed_ns = MOST_HOST_NS
        while clock.now_ns() < self.next_frame_ns and not self.run.over:
            self._step(self.next_frame_ns)
            if perf_counter_ns() - began_ns <= allowed_ns:
                continue  # no CPU time is longer, and it takes much longer to be told
            taken_ns = thread_time_ns() - begin_ns
            if taken_ns > allowed_ns:
                allowed_ns = most_host_ns()  # is it the guest, or is the host slow?
                if taken_ns > allowed_ns:
                    self.next_frame_ns = clock.now_ns()  # the next frame begins here

    def step(self, limit_ns: int) -> None:
        """Chips, an interrupt if one is due, one slice of instructions or of sleep."""
        with stops_wait(hangs_s=FRAME_HANGS_S):
            self._step(limit_ns)

    def _step(self, limit_ns: int) -> None:
        cpu, clock, keyboard, run = self.cpu, self.clock, self.board.keyboard, self.run
        now = clock.now_ns()
        keyboard.advance(now)
        if not cpu.has_own_timer:
            self.pit.advance(now)
        if self._retrace is not None:
            self._retrace.advance(now)
        for chip in self._chips:
            if now >= chip.due_ns:
                chip.advance(now)
        if cpu.halted and now >= run.wake_ns:
            self._wake()
        retry_ns = NEVER_NS if cpu.has_own_timer else self._interrupt(now)
        if not cpu.halted:
            due = min(limit_ns, retry_ns)
            if self._is_virtual:
                self.pit.advance(clock.now_ns())  # an interrupt has taken its time
            else:
                due = min(due, now + KVM_LOOK_NS)
            if not cpu.has_own_timer:
                due = min(due, self._next_irq_ns(now))
            if self._bios is not None:
                self._bios.new_slice()
                due = min(due, self._bios.due_ns)
            cpu.run(max(due, clock.now_ns() + 1))
        elif not cpu.get("eflags") & INTERRUPT and run.wake_ns == NEVER_NS:
            run.end()  # halted with interrupts off: nothing can happen any more
        else:
            due = min(limit_ns, run.wake_ns, self._next_irq_ns(now))
            clock.idle(max(due, now + 1))

    def _next_irq_ns(self, now_ns: int) -> int:
        """When a chip is to be looked at again."""
        retrace_ns = NEVER_NS if self._retrace is None else self._retrace.due_ns(now_ns)
        # While the timer's line waits for its turn, another edge is none.
        timer_ns = NEVER_NS if self.pic.is_requested(0) else self.pit.next_irq_ns
        due = min(timer_ns, self.board.keyboard.due_ns(now_ns), retrace_ns)
        for chip in self._chips:
            if (chip_ns := chip.due_ns) < due:
                due = chip_ns
        return due

    def _interrupt(self, now_ns: int) -> int:
        """Interrupt the CPU if that is asked for; when it refuses, say when to ask again."""
        run, cpu, pic = self.run, self.cpu, self.pic
        while pic.has_interrupt():
            run.interrupt_waits = True
            if self._is_virtual and now_ns < run.retry_ns:
                return run.retry_ns
            if not cpu.can_interrupt():
                run.refusals += 1
                rounds, again = divmod(run.refusals, ASKED_IN_A_ROW)
                pause = 1 if again else min(PAUSE_NS << min(rounds, 20), LONGEST_PAUSE_NS)
                run.retry_ns = now_ns + pause
                return run.retry_ns if self._is_virtual else NEVER_NS
            self._wake()
            cpu.interrupt(pic.acknowledge())
            run.refusals = run.retry_ns = 0
        run.interrupt_waits = False
        run.refusals = run.retry_ns = 0
        return NEVER_NS

    def _wake(self) -> None:
        """The CPU goes on, if it was halted; what was to wake it is for no other halt."""
        if self.cpu.halted:
            self.cpu.halted = False
            self.run.wake_ns = NEVER_NS

    def close(self) -> None:
        """Stop and give everything back. Closing twice is fine."""
        self.run.stopped = True
        self.clock.wake.set()
        self.clock.stop()
        try:
            if self._last is None:
                with suppress(CpuError):  # its state is lost
                    self._last = small_arrays(self.parts(), self.cpu)
        finally:
            self._resources.close()

    @property
    def disk_names(self) -> list[str]:
        """What states call the disks."""
        first = 0 if isinstance(self.image, DiskImage) else 1
        return [f"disk{number or ''}" for number in range(first, first + len(self.disks))]

    @property
    def firmware_name(self) -> str:
        """What stands in for the builtin BIOS, or nothing."""
        return "" if self.firmware is None else self.firmware.name

    def parts(self) -> dict[str, Part]:
        """What of the PC is saved, but its CPU: see `vgaemu.snapshot`."""
        parts = {
            **self.identity_parts(),
            # Whether the guest has ended; whether option ROMs may be written.
            "pc.flags": Part(
                "u1",
                lambda: [self.run.ended, self.bus.rom_writable],
                self._restore_flags,
                lambda array: int(array.max()) <= 1,
            ),
            "pc.exit_code": number(self.run, "exit_code", 0xFF, "i8"),
            "pc.clock_ns": _time(self.clock.now_ns, self.clock.set_ns),
            "pc.wake_ns": number(self.run, "wake_ns", NEVER_NS, "i8"),
            "pc.refused": fields(self.run).or_else(self._forget_refusals),
            "pc.looks": self._beam.looks(),
            "pc.next_frame_ns": _time(
                lambda: self.clock.now_ns() if self.free else self.next_frame_ns,
                self._restore_next_frame,
            ),
            "ram": self.bus.part(),
            "chips.a20": self.bus.gate_part(),
            **self.pic.parts(),
            **self.pit.parts(),
            **self.board.keyboard.parts(),
            **self.board.cmos.parts(),
            **self.serial.parts(),
            **self.printer.parts(),
        }
        others = self.board.pci, self._retrace, self._bios, self.firmware, self.dos
        for owner in (*self._channels, *others):
            if owner is not None:
                parts |= owner.parts()
        for name, disk in zip(self.disk_names, self.disks, strict=True):
            parts |= disk.parts(name)
        return parts

    def identity_of(self) -> Identity:
        """Which files run, under which firmware."""
        more = tuple((kind_of(disk), disk) for disk in self.disks if disk is not self.image)
        return Identity(self.image, self.firmware_name, more)

    def identity_parts(self) -> dict[str, Part]:
        """Of `parts` those that say it."""
        return identity_parts(self.identity_of())

    def _forget_refusals(self) -> None:
        self.run.refusals = self.run.retry_ns = 0

    def _restore_flags(self, array: Array) -> None:
        self.run.ended, self.bus.rom_writable = (bool(value) for value in array)

    def _restore_next_frame(self, ns: int) -> None:
        # Between two frames it has passed already; else the next frame would not end.
        self.next_frame_ns = min(ns, self.clock.now_ns())

    def state_arrays(self) -> dict[str, Array]:
        """All that a saved state needs but the VGA; between slices, or after `close`."""
        parts = self.parts()
        small = small_arrays(parts, self.cpu) if self._last is None else self._last
        return small | bulk_arrays(parts)

    def identity(self) -> dict[str, Array]:
        """Of `state_arrays` those that say which file is run; between slices, or after `close`."""
        return take(self.identity_parts())

    @property
    def disk_state_bytes(self) -> int:
        """What the guest has written to its copies of the disks, which a state carries."""
        return SECTOR * sum(len(disk.originals) for disk in self.disks)

    def check_state(self, arrays: Mapping[str, Array], source: object) -> None:
        """Find out whether `restore_state` may be called.

        Raises:
            StateError: It is of something else, or no state.
        """
        disks = dict(zip(self.disk_names, self.disks, strict=True))
        check_state(self.parts(), self.cpu, self.identity_of(), disks, arrays, source)

    def restore_state(self, arrays: Mapping[str, Array], source: object = "state") -> None:
        """Bring the PC to a state that `check_state` has passed; `slices` then begins anew.

        Raises:
            StateError: A file that the program had open is gone; nothing has changed then.
        """
        handles = None if self.dos is None else self.dos.handles
        restore_state(self.parts(), self.cpu, handles, arrays, source)


def _time(now_ns: Callable[[], int], restore: Callable[[int], object]) -> Part:
    def fits(array: Array) -> bool:
        return 0 <= int(array) <= NEVER_NS >> 1  # time goes on from there

    return Part("i8", now_ns, lambda array: restore(int(array)), fits)
