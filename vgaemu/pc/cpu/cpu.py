"""What the PC asks of a CPU, whoever executes its instructions: Unicorn or KVM.

Emulated: registers by name, their 8- and 16-bit parts, external interrupts, halt. A CPU reaches
everything else through the `Bus`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping

from vgaemu.errors import CpuError
from vgaemu.memslot.log import DirtyLog
from vgaemu.pc.bus import Bus
from vgaemu.snapshot import Array as Array

#: In the order of `CPU_ARRAYS`.
GENERAL = ("eax", "ebx", "ecx", "edx", "esi", "edi", "esp", "ebp")
SEGMENTS = ("cs", "ds", "es", "ss", "fs", "gs")
REGISTERS = (*GENERAL, "eip", "eflags", *SEGMENTS, "cr0")

CARRY, ZERO, TRAP, INTERRUPT = 0x0001, 0x0040, 0x0100, 0x0200
NESTED, RESUME, VIRTUAL_8086 = 1 << 14, 1 << 16, 1 << 17
#: CR0 bit 0: protected mode.
PROTECTED = 1

#: A saved CPU, the same for all: array -> type and shape. A CPU may add arrays of its own.
CPU_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    # RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8 to R15, RIP, RFLAGS.
    "cpu.general": ("u8", (18,)),
    # CS, DS, ES, FS, GS, SS, TR, LDT: selector, base, limit, attributes as in a descriptor: type,
    # S, DPL and P in bits 0-7, AVL, L, D and G in bits 12-15; bit 16: not usable.
    "cpu.segments": ("u8", (8, 4)),
    # GDT, IDT: base, limit.
    "cpu.tables": ("u8", (2, 2)),
    # CR0, CR2, CR3, CR4, CR8, EFER, APIC base.
    "cpu.control": ("u8", (7,)),
    # ST(0) to ST(7), 10 bytes each and 6 unused; FCW, FSW, FTW (a bit a register), MXCSR.
    "cpu.fpu": ("u1", (8, 16)),
    "cpu.fpu_control": ("u4", (4,)),
    "cpu.xmm": ("u1", (16, 16)),
    # Vector of an interrupt that was raised and not taken yet, or -1; `STOPPED` and `SHADOWED`.
    "cpu.pending": ("i4", ()),
    "cpu.halted": ("u1", ()),
}
#: Bits of ``cpu.halted``: a HLT stopped it; no interrupt comes before the next instruction.
STOPPED, SHADOWED = 1, 2
#: Where these two lie in ``cpu.general``.
RIP, RFLAGS = 16, 17
#: Where registers lie in ``cpu.control``; EFER's bit of long mode.
CR0, CR2, CR3, CR4, CR8, EFER, APIC_BASE = range(7)
LONG_MODE = 1 << 10


def _part(register: str, shift: int, mask: int) -> property:
    def get(self: Cpu) -> int:
        return self.get(register) >> shift & mask

    def put(self: Cpu, value: int) -> None:
        old = self.get(register)
        self.set(register, old & ~(mask << shift) | (value & mask) << shift)

    return property(get, put)


class Cpu(ABC):
    """One x86 CPU on a `Bus`."""

    #: How `--cpu` calls it.
    name: str
    #: Interrupt controllers and timer come with it; it takes interrupts by itself. The lines of
    #: all other chips then end at its own `raise_irq`.
    has_own_timer = False
    #: It can be told to fill `blocks`.
    can_trace = False

    ax, al, ah = _part("eax", 0, 0xFFFF), _part("eax", 0, 0xFF), _part("eax", 8, 0xFF)
    bx, bl, bh = _part("ebx", 0, 0xFFFF), _part("ebx", 0, 0xFF), _part("ebx", 8, 0xFF)
    cx, cl, ch = _part("ecx", 0, 0xFFFF), _part("ecx", 0, 0xFF), _part("ecx", 8, 0xFF)
    dx, dl, dh = _part("edx", 0, 0xFFFF), _part("edx", 0, 0xFF), _part("edx", 8, 0xFF)
    si, di = _part("esi", 0, 0xFFFF), _part("edi", 0, 0xFFFF)
    bp, sp = _part("ebp", 0, 0xFFFF), _part("esp", 0, 0xFFFF)
    ds, es = _part("ds", 0, 0xFFFF), _part("es", 0, 0xFFFF)
    cs, ss = _part("cs", 0, 0xFFFF), _part("ss", 0, 0xFFFF)
    ip = _part("eip", 0, 0xFFFF)

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        #: Stopped by a HLT until the next interrupt.
        self.halted = False
        #: Linear address and size of the basic blocks executed last, if they are traced.
        self.blocks: deque[tuple[int, int]] | None = None

    @abstractmethod
    def get(self, register: str) -> int:
        """A register of `REGISTERS`, or the whole of ``"rip"``."""

    def where(self) -> str:
        """``at CS:EIP``, for messages; digits as many as it takes."""
        return f"at {self.cs:04X}:{self.get('rip'):04X}"

    @abstractmethod
    def set(self, register: str, value: int) -> None:
        """Load a register; a segment register in real mode gets its base, too."""

    def set_registers(self, **values: int) -> None:
        """Load some, in this order."""
        for register, value in values.items():
            self.set(register, value)

    def can_interrupt(self) -> bool:
        """Whether an external interrupt would be taken now."""
        return bool(self.get("eflags") & INTERRUPT)

    @abstractmethod
    def interrupt(self, vector: int) -> None:
        """Take an external interrupt; `can_interrupt` said yes."""

    def stays(self) -> frozenset[int]:
        """For which answers of input status 1 to the IN in hand the guest asks anew, and no more.

        None: that is not known.
        """
        return frozenset()

    @abstractmethod
    def run(self, limit_ns: int) -> None:
        """Execute a slice, at most about until the guest's clock says `limit_ns`.

        Raises:
            GuestFault: The run ends here.
        """

    @abstractmethod
    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Harvest VRAM's dirty log with this CPU's part in it; any thread may ask.

        `keeper_harvest` is that of the slot's own log: snapshot, clear and protect.
        """

    @abstractmethod
    def harvest_ram(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """The same with the log of RAM, while it stands; see `Bus.log_ram`."""

    def mark(self) -> Mapping[str, Array]:
        """All of this CPU for `go_back`, in arrays that stay; between slices."""
        return self.arrays()

    def go_back(self, mark: Mapping[str, Array]) -> None:
        """Go on from where this CPU was; RAM has been, by `Bus.on_memory_written`."""
        self.restore(mark)

    def arrays_of(self, mark: Mapping[str, Array]) -> dict[str, Array]:
        """What `arrays` was then; between slices."""
        return dict(mark)

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """`CPU_ARRAYS`, and what else this CPU needs to go on; between slices."""

    @abstractmethod
    def refusal(self, arrays: Mapping[str, Array]) -> str | None:
        """Why `restore` cannot take `CPU_ARRAYS` of the right types, and RAM, or None."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from a saved CPU; RAM has been replaced before."""

    def raise_irq(self, irq: int) -> None:
        """An edge on a line of its own interrupt controllers, 0 to 15; see `has_own_timer`.

        Raises:
            CpuError: It has none.
        """
        raise CpuError(f"{self.name} has no interrupt controllers of its own")

    def answer_calls(  # noqa: B027  # a default
        self, stubs: Mapping[int, int], may: Callable[[], bool]
    ) -> None:
        """Answer BIOS calls that only look at the data area without their stubs, if it can.

        Those of these vectors, which have far pointers of their stubs here; `may` is asked before
        each slice whether calls of that are to be.
        """

    def stop(self) -> None:  # noqa: B027  # a default
        """End `run` soon; any thread may ask."""

    def close(self) -> None:  # noqa: B027  # a default
        """Give everything back. Closing twice is fine."""

    def linear(self, segment: str, offset: str, plus: int = 0) -> int:
        """Real-mode address: ``linear("es", "bp", 2)`` is that of ES:[BP+2]; offsets wrap."""
        linear = (self.get(segment) << 4) + (self.get(f"e{offset}") + plus & 0xFFFF)
        return linear & self.bus.a20

    def stack_word(self, at: int) -> int:
        """The word at SS:[SP+at] of the real-mode stack."""
        return self.bus.read16(self.linear("ss", "sp", at))

    def set_stack_word(self, at: int, value: int) -> None:
        self.bus.write16(self.linear("ss", "sp", at), value)

    def push(self, value: int) -> None:
        self.sp = self.sp - 2
        self.set_stack_word(0, value)

    def real_mode_interrupt(self, vector: int) -> None:
        """FLAGS, CS and IP to the stack, on at IVT[vector]."""
        flags = self.get("eflags")
        self.push(flags & 0xFFFF)
        self.push(self.cs)
        self.push(self.ip)
        self.set("eflags", flags & ~(INTERRUPT | TRAP))
        self.set("cs", self.bus.read16(4 * vector + 2))
        self.set("eip", self.bus.read16(4 * vector))

    def registers(self) -> dict[str, int]:
        return {name: self.get(name) for name in REGISTERS}
