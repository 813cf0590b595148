"""An ATA channel of one or two drives: task files, a data port, an interrupt; programmed transfers.

Emulated: the command block of devices 0 and 1, each with registers of its own, of which the host
writes both and reads those of the one that it has selected; status and alternate status, nIEN and
software reset, a data port of 16 and 32 bits, an interrupt for each block. A command is done at
once and told of after the time that it takes in the guest's. A device 1 that is not there reads as
absent. Not emulated: DMA, the drive address at 3F7h, a data port of 8 bits, overlapped commands.

Source: ATA/ATAPI-4 (NCITS 317-1998), clauses 7 and 9. What a drive does is told by `ata_disk` and
`atapi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple, Protocol

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.pic import RaiseIrq, unheard
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields, octets, octets_held

#: Where the command block begins, the control register, and the line: of both channels of an AT.
PRIMARY, SECONDARY = (0x1F0, 0x3F6, 14), (0x170, 0x376, 15)
#: The command block.
DATA, ERROR, COUNT, LOW, MID, HIGH, DEVICE, STATUS = range(8)
#: Status.
FAILED, WANTS_DATA, SEEK_COMPLETE, DEVICE_FAULT, READY, BUSY = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
#: Error: the command was aborted, no such sector.
ABORTED, NOT_FOUND = 0x04, 0x10
#: What the error register says after a reset: the drive has passed its test.
PASSED = 0x01
#: Of the device register: the second drive, an address by LBA, and what reads as 1.
SECOND, BY_LBA, ALWAYS = 0x10, 0x40, 0xA0
#: Of the control register: no interrupts, reset.
NO_INTERRUPTS, RESET = 0x02, 0x04
#: What commands take, and each block after the first.
COMMAND_NS, BLOCK_NS, RESET_NS = 100_000, 20_000, 2_000_000
#: Bytes of a block: all that a packet device's byte count can say.
MOST_BLOCK = 0x10000
EXECUTE_DIAGNOSTIC = 0x90


class TaskFile:
    """What a host writes for a command, and a drive answers in."""

    SAVED: ClassVar[Saved] = dict.fromkeys(
        ("features", "count", "low", "mid", "high", "device"), (0, 0xFF)
    )

    def __init__(self) -> None:
        self.features = self.count = self.low = self.mid = self.high = 0
        self.device = ALWAYS

    @property
    def lba(self) -> int:
        """A sector by its number."""
        return self.low | self.mid << 8 | self.high << 16 | (self.device & 0x0F) << 24

    @property
    def cylinder(self) -> int:
        """Or the bytes of a packet device's next block."""
        return self.mid | self.high << 8

    @cylinder.setter
    def cylinder(self, value: int) -> None:
        self.mid, self.high = value & 0xFF, value >> 8 & 0xFF


class Step(NamedTuple):
    """What a drive does next: it has data, wants some, or is done."""

    #: What the host is to read.
    data: bytes = b""
    #: Bytes that it is to write.
    wanted: int = 0
    #: The error register, and what the status has besides that follows: see `failed`.
    error: int = 0
    status: int = 0
    #: When, and whether an interrupt tells it.
    after_ns: int = COMMAND_NS
    tells: bool = True


def failed(error: int = ABORTED, after_ns: int = COMMAND_NS, status: int = 0) -> Step:
    """The command ends here."""
    return Step(error=error, status=status | FAILED, after_ns=after_ns)


class Drive(Protocol):
    """What is on the cable."""

    #: Status when it has nothing to do after a reset.
    idle: int

    def reset(self, task: TaskFile) -> None:
        """Begin anew, and say what it is."""

    def begin(self, command: int, task: TaskFile) -> Step:
        """A command."""

    def go_on(self, task: TaskFile, data: bytes) -> Step:
        """A block has been read, or `data` were written."""

    def parts(self) -> dict[str, Part]:
        """What of it is saved."""


class Device:
    """A drive as its channel has it: registers, the block in hand, its interrupt."""

    SAVED: ClassVar[Saved] = {
        "status": (0, 0xFF), "error": (0, 0xFF), "control": (0, 0xFF), "wanted": (0, MOST_BLOCK),
        "next_status": (0, 0xFF), "next_error": (0, 0xFF), "tells": (0, 1), "waits": (0, 1),
        "due_ns": (0, NEVER_NS),
    }  # fmt: skip

    def __init__(self, drive: Drive, clock: Clock, name: str) -> None:
        self.drive, self._clock, self._name = drive, clock, name
        self.task = TaskFile()
        #: Of the block in hand, what was written.
        self.written = bytearray()
        self._forget()
        drive.reset(self.task)

    def _forget(self) -> None:
        """As power on leaves it."""
        self.status, self.error, self.control = self.drive.idle, PASSED, 0
        #: The block in hand: what is read, from where on, or how many bytes are wanted.
        self.block, self.at, self.wanted = b"", 0, 0
        self.written.clear()
        #: What `due_ns` brings.
        self.next_status = self.next_error = 0
        self.tells = False
        #: It asks for an interrupt, as far as nIEN lets it.
        self.waits = False
        self.due_ns = NEVER_NS

    def look(self) -> None:
        """Be what it is by now."""
        now = self._clock.now_ns()
        if now >= self.due_ns:
            self.advance(now)

    @property
    def interrupts(self) -> bool:
        """Whether it drives the interrupt line high, once it is selected."""
        return self.waits and not self.control & NO_INTERRUPTS

    def read(self, at: int) -> int:
        """A register but the status."""
        if at == ERROR:
            return self.error
        task = self.task
        return (task.count, task.low, task.mid, task.high, task.device)[at - COUNT]

    def write(self, at: int, value: int) -> None:
        """A register but the command."""
        task = self.task
        if at == ERROR:
            task.features = value
        elif at == DEVICE:
            task.device = value | ALWAYS
        else:
            setattr(task, ("count", "low", "mid", "high")[at - COUNT], value)

    def command(self, command: int) -> None:
        """Begin a command."""
        self.waits = False
        self._plan(self.drive.begin(command, self.task))

    def write_control(self, value: int) -> None:
        """No interrupts, or a reset, which both of a channel take."""
        before, self.control = self.control, value
        if value & RESET:
            self._forget()
            self.control, self.status = value, BUSY
        elif before & RESET:
            self.drive.reset(self.task)
            self.next_status, self.next_error, self.tells = self.drive.idle, PASSED, False
            self._wait(RESET_NS)

    def read_data(self, size: int) -> int:
        """Some of the block in hand."""
        if not self.status & WANTS_DATA or self.wanted:
            return 0
        at = self.at
        self.at = end = at + max(size, 2)
        block = self.block
        value = int.from_bytes(block[at : at + size], "little")
        if end >= len(block):
            self._plan(self.drive.go_on(self.task, b""))
        return value

    def write_data(self, value: int, size: int) -> None:
        """Some of the block that is wanted."""
        if not self.status & WANTS_DATA or not self.wanted:
            return
        written = self.written
        written += value.to_bytes(max(size, 2), "little")
        if len(written) >= self.wanted:
            self._plan(self.drive.go_on(self.task, bytes(written[: self.wanted])))

    def _plan(self, step: Step) -> None:
        """What follows, at its time."""
        self.block, self.at, self.wanted = step.data, 0, step.wanted
        self.written.clear()
        self.error, self.status, self.tells = 0, BUSY, step.tells
        has_data = bool(step.data or step.wanted)
        self.next_error = step.error
        self.next_status = READY | SEEK_COMPLETE | step.status | (WANTS_DATA if has_data else 0)
        self._wait(step.after_ns)

    def _wait(self, ns: int) -> None:
        now = self._clock.now_ns()
        self.due_ns = now + ns
        if ns:
            self._clock.due(self.due_ns)
        else:
            self.advance(now)

    def advance(self, now_ns: int) -> None:
        """Let be seen what is there by now."""
        if now_ns < self.due_ns:
            return
        self.due_ns = NEVER_NS
        self.status, self.error = self.next_status, self.next_error
        if self.tells:
            self.waits = True

    def parts(self) -> dict[str, Part]:
        """What is saved; states of before there was a drive have none of it."""
        return {
            self._name: fields(self, self.task).or_else(self._reset),
            f"{self._name}_block": octets(
                lambda: self.block[self.at :], self._restore_block, MOST_BLOCK
            ).or_else(lambda: None),
            f"{self._name}_written": octets_held(self.written, MOST_BLOCK).or_else(lambda: None),
        } | self.drive.parts()  # fmt: skip

    def _reset(self) -> None:
        self._forget()
        self.drive.reset(self.task)

    def _restore_block(self, data: bytes) -> None:
        self.block, self.at = data, 0


class AtaChannel:
    """One cable."""

    def __init__(
        self,
        bus: Bus,
        raise_irq: RaiseIrq,
        clock: Clock,
        drives: Sequence[Drive],
        place: tuple[int, int, int] = PRIMARY,
    ) -> None:
        """Take the ports of a `place`, `PRIMARY` or `SECONDARY`, for one drive or two."""
        base, control, self._irq = place
        self._raise_irq, self.lower_irq = raise_irq, unheard
        self._clock = clock
        name = f"chips.ata{self._irq - PRIMARY[2]}"
        names = name, f"{name}_second"
        self.devices: tuple[Device, ...] = tuple(
            Device(drive, clock, name) for drive, name in zip(drives, names, strict=False)
        )
        bus.wide_in[base], bus.wide_out[base] = self._read_data, self._write_data
        for at in range(ERROR, STATUS + 1):
            bus.byte_in[base + at] = partial(self._read, at)
            bus.byte_out[base + at] = partial(self._write, at)
        bus.byte_in[control], bus.byte_out[control] = self._alternate, self._write_control

    @property
    def _selected(self) -> Device | None:
        """The one that the host means, if it is there."""
        second = bool(self.devices[0].task.device & SECOND)
        return self.devices[second] if second < len(self.devices) else None

    @property
    def _line(self) -> bool:
        device = self._selected
        return device is not None and device.interrupts

    def _tell(self, before: bool) -> None:
        """The interrupt line was high `before`, or not."""
        now = self._line
        if now and not before:
            self._raise_irq(self._irq)
        elif before and not now:
            self.lower_irq(self._irq)

    @property
    def due_ns(self) -> int:
        """When `advance` has something to do next."""
        first = self.devices[0].due_ns
        return first if len(self.devices) == 1 else min(first, self.devices[1].due_ns)

    def advance(self, now_ns: int) -> None:
        """Let be seen what is there by now."""
        before = self._line
        for device in self.devices:
            device.advance(now_ns)
        self._tell(before)

    def _look(self) -> None:
        if (now := self._clock.now_ns()) >= self.due_ns:
            self.advance(now)

    # --- registers ---

    def _alternate(self) -> int:
        self._clock.polled()
        self._look()
        device = self._selected
        return 0 if device is None else device.status

    def _read(self, at: int) -> int:
        if at == STATUS:
            status, device, before = self._alternate(), self._selected, self._line
            if device is not None:
                device.waits = False
            self._tell(before)
            return status
        self._look()
        device = self._selected
        if device is None:  # device 0 answers in its place
            return 0 if at == ERROR else self.devices[0].read(at)
        return device.read(at)

    def _write(self, at: int, value: int) -> None:
        self._look()
        if any(device.status & BUSY for device in self.devices):
            return
        before = self._line
        if at != STATUS:
            for device in self.devices:
                device.write(at, value)
        elif value == EXECUTE_DIAGNOSTIC:  # both do it, and device 0 tells of it
            for device in self.devices:
                device.command(value)
                device.tells = device is self.devices[0]
        elif self._selected is not None:  # else nobody is there to do it
            self._selected.command(value)
        self._tell(before)

    def _write_control(self, value: int) -> None:
        self._look()
        before = self._line
        for device in self.devices:
            device.write_control(value)
        self._tell(before)

    def _read_data(self, size: int) -> int:
        device = self._selected
        if device is None:
            return 0
        before = device.interrupts
        value = device.read_data(size)
        self._tell(before)
        return value

    def _write_data(self, value: int, size: int) -> None:
        device = self._selected
        if device is not None:
            before = device.interrupts
            device.write_data(value, size)
            self._tell(before)

    def parts(self) -> dict[str, Part]:
        """What is saved."""
        return {name: part for device in self.devices for name, part in device.parts().items()}
