"""A CPU by Unicorn: translated code, VRAM pages opened by TLB fills, slices by instruction count.

Emulated: real mode and flat or segmented protected mode, with paging and user mode; software
interrupts and exceptions through the vector table or the IDT's interrupt and trap gates, also to
privilege level 0 from 3; external interrupts between slices. Not emulated: levels 1 and 2, task
gates, virtual 8086 mode, long mode, instruction timing, A20 off.

The write fault is the *virtual TLB*: Unicorn asks `_fill` for each page it does not know. A VRAM
page that is read becomes readable; the first store to it asks again, is marked dirty in the slot
and made writable: what KVM's write fault does. A harvest snapshots, clears and protects in the
slot, then flushes this TLB, and must do so between two instructions of the guest; so a harvest that
is asked for by another thread while pages are open is carried out by the CPU's own thread, at the
end of its slice or at its next port access, whatever comes first. A guest's own page tables are
walked in `_fill`, too: with a virtual TLB the engine leaves them alone.

Slices end by instruction count alone. Measured with Unicorn 2.1.4: `timeout=` costs milliseconds,
`emu_stop` from another thread tears read-modify-write instructions, and touching a running engine
from another thread crashes it.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from vgaemu.errors import CpuError, GuestFault
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.log import DirtyLog
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_START, Bus
from vgaemu.pc.clock import INTERRUPT_NS, PLANES_NS, PORT_NS, Clock
from vgaemu.pc.cpu.cpu import GENERAL, INTERRUPT, NESTED, PROTECTED, SEGMENTS, TRAP, Array, Cpu
from vgaemu.pc.cpu.paging import (
    PAGING,
    Control,
    LinearReader,
    PageFault,
    linear_reader,
    translate,
)
from vgaemu.pc.cpu.segments import BIG
from vgaemu.pc.cpu.unicorn_state import (
    code_base,
    engine_arrays,
    engine_refusal,
    read_gate,
    restore_engine,
    set_privilege,
)
from vgaemu.pc.cpu.unicorn_vga import VramPages

if TYPE_CHECKING:
    from unicorn import Uc

#: Instructions in a slice: 86 us, 5 % slower than slices of a million (measured).
SLICE = 10_000
#: Where in Unicorn's own physical space the other ranges lie that are served by the bus; RAM is at
#: 0.
ROM_AT = 0xF010_0000
OPEN_AT = 0xF020_0000
#: In free runs: a slice that takes longer is halved, down to the shortest. Stores take 26 to 55 ns.
LONG_SLICE_NS, SHORTEST_SLICE = 150_000, 1_250
#: Basic blocks that a trace of code remembers.
BLOCKS_KEPT = 32
#: Room for translated code; Unicorn would reserve 1 GiB for each engine.
TRANSLATION_BYTES = 64 << 20
#: The same for an engine that tries one instruction.
PROBE_BYTES = 1 << 20
#: Words of Unicorn's engine that `_find_counter` looks at.
ENGINE_WORDS = 256
#: Where a slice would end by address: the last byte of ROM, which holds no instruction. Unicorn
#: looks it up after each slice, so it must be memory.
NEVER = ROM_END - 1
_PAGE = -PAGE_SIZE & 0xFFFF_FFFF
_HLT = 0xF4
DIVISION, SINGLE_STEP, BOUND, UNKNOWN_OPCODE, NO_COPROCESSOR = 0, 1, 5, 6, 7
DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT = 8, 13, 14
UNPAGED = Control(0, 0, 0)
#: Exceptions that push an error code; which, the engine does not tell: it is 0 then.
ERROR_CODES = frozenset([8, 10, 11, 12, 13, 14, 17])
PREFIXES = bytes.fromhex("26 2E 36 3E 64 65 66 67 F0 F2 F3")
#: div and idiv, aam.
DIVISIONS = (b"\xf6", b"\xf7", b"\xd4")
_BOUND, _WAIT, _ESCAPES, _POPF = 0x62, 0x9B, range(0xD8, 0xE0), b"\x9d"
#: CR0 bits 2 and 3: coprocessor instructions are emulated, or come after a task switch.
NO_X87 = 0x0C


def import_unicorn() -> Any:
    """The module.

    Raises:
        CpuError: It is not installed.
    """
    try:
        import unicorn
    except ImportError:
        raise CpuError("the CPU 'unicorn' is not installed; pip install unicorn") from None
    return unicorn


@lru_cache(maxsize=64)
def _is_unknown(code: bytes, wide: bool) -> bool:
    """Whether an engine without a past takes an instruction for an unknown one.

    Args:
        code: The instruction, and what follows it.
        wide: It is in a segment of 32-bit code.
    """
    unicorn = import_unicorn()
    probe = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32 if wide else unicorn.UC_MODE_16)
    probe.ctl_set_tcg_buffer_size(PROBE_BYTES)
    probe.mem_map(0, PAGE_SIZE)
    probe.mem_write(0, code)
    try:
        probe.emu_start(0, PAGE_SIZE - 1, count=1)
    except unicorn.UcError as error:
        return bool(getattr(error, "errno", 0) == unicorn.UC_ERR_INSN_INVALID)
    return False


class UnicornCpu(Cpu):
    """One Unicorn engine on a `Bus`."""

    name = "unicorn"

    def __init__(
        self, bus: Bus, clock: Clock, *, free: bool = False, trace_code: bool = False
    ) -> None:
        """An engine in real mode, all registers as after reset or 0.

        Args:
            bus: Memory and ports.
            clock: Told what was executed.
            free: Fit the slices to the time they take; else all are equal, for runs that repeat.
            trace_code: Remember the basic blocks that were executed last.

        Raises:
            CpuError: Unicorn is not installed.
        """
        super().__init__(bus)
        unicorn = import_unicorn()
        from unicorn import x86_const

        self._clock = clock
        self._slice = SLICE
        self._adapts = free
        self._error: type[Exception] = unicorn.UcError
        # A 32-bit engine runs real mode as well, and resumes 32-bit code where it was; a 16-bit one
        # cuts EIP to 16 bits.
        self._uc: Uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
        self._uc.ctl_set_tcg_buffer_size(TRANSLATION_BYTES)
        self._ids = {
            name: getattr(x86_const, f"UC_X86_REG_{name.upper()}")
            for name in (*GENERAL, *SEGMENTS, "eip", "eflags", "cr0", "cr3", "cr4")
        }
        self._counter = _find_counter(unicorn)
        #: RAM pages that hold translated code, by address.
        self._code_pages: set[int] = set()
        self._tables = tuple(
            getattr(x86_const, f"UC_X86_REG_{name}") for name in ("GDTR", "LDTR", "IDTR", "TR")
        )
        self._cr2 = x86_const.UC_X86_REG_CR2
        #: The guest fetched from where there is no memory; its page tables forbade an access.
        self._lost = False
        self._page_fault: PageFault | None = None
        self._vram = VramPages(self._uc, bus.vga, lambda: clock.cost(PLANES_NS))
        #: Who harvests beside this CPU.
        self.tlb = self._vram.tlb
        self._map(unicorn)
        self._hook(unicorn, x86_const)
        if trace_code:
            blocks: deque[tuple[int, int]] = deque(maxlen=BLOCKS_KEPT)
            self.blocks = blocks
            self._uc.hook_add(
                unicorn.UC_HOOK_BLOCK, lambda uc, at, size, _: blocks.append((at, size))
            )
        self.set("cr0", 0x10)  # a 32-bit engine starts in protected mode
        for name in SEGMENTS:
            self.set(name, 0)
        # As FNINIT and a reset leave them; the engine starts with all exceptions unmasked.
        for register, value in (
            (x86_const.UC_X86_REG_FPCW, 0x37F),
            (x86_const.UC_X86_REG_FPTAG, 0xFFFF),
            (x86_const.UC_X86_REG_MXCSR, 0x1F80),
        ):
            self._uc.reg_write(register, value)
        bus.on_memory_written.append(self._memory_written)
        bus.on_protection_changed.append(self.tlb.map_changed)

    def _map(self, unicorn: Any) -> None:
        uc, bus = self._uc, self.bus
        self._write, self._fetch = unicorn.UC_MEM_WRITE, unicorn.UC_MEM_FETCH
        self._rw = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        self._rx = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        self._all = unicorn.UC_PROT_ALL
        uc.mem_map_ptr(0, bus.ram_bytes, self._all, bus.array.ctypes.data)
        cost = self._clock.cost

        def rom_read(uc: Uc, offset: int, size: int, _: object) -> int:
            cost(PLANES_NS)
            at = ROM_START + offset
            return int.from_bytes(bus.memory[at : at + size], "little")

        def open_read(uc: Uc, offset: int, size: int, _: object) -> int:
            cost(PLANES_NS)
            return (1 << 8 * size) - 1

        def ignore(uc: Uc, offset: int, size: int, value: int, _: object) -> None:
            cost(PLANES_NS)

        uc.mmio_map(ROM_AT, ROM_END - ROM_START, rom_read, None, ignore, None)
        uc.mmio_map(OPEN_AT, PAGE_SIZE, open_read, None, ignore, None)

    def _hook(self, unicorn: Any, x86: Any) -> None:
        uc = self._uc
        uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        uc.hook_add(unicorn.UC_HOOK_TLB_FILL, self._fill)
        uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        uc.hook_add(unicorn.UC_HOOK_INSN, self._on_in, None, 1, 0, x86.UC_X86_INS_IN)
        uc.hook_add(unicorn.UC_HOOK_INSN, self._on_out, None, 1, 0, x86.UC_X86_INS_OUT)

    # --- registers --------------------------------------------------------------------------

    def get(self, register: str) -> int:
        """A register, zero-extended."""
        return int(self._uc.reg_read(self._ids[register]))

    def set(self, register: str, value: int) -> None:
        """Load a register."""
        self._uc.reg_write(self._ids[register], value)

    # --- what the engine asks -----------------------------------------------------------------

    def _fill(self, uc: Uc, address: int, access: int, result: Any, _: object) -> bool:
        """Which physical page a linear one is, and what may be done with it."""
        page, writable = address & _PAGE, True
        control = self._control()
        if control.paging:
            try:
                page, writable = self._translate(control, address, access)
            except PageFault as fault:
                self._page_fault = fault
                return False
        if not self._place(page, access, result):
            return False
        if not writable:
            result.perms &= self._rx
        return True

    def _control(self) -> Control:
        cr0 = self.get("cr0")
        return Control(cr0, self.get("cr3"), self.get("cr4")) if cr0 & PAGING else UNPAGED

    def _translate(self, control: Control, address: int, access: int) -> tuple[int, bool]:
        """Through the guest's page tables; see `translate`."""
        write, memory = access == self._write, self.bus.memory
        user = (self.cs & 3) == 3
        try:
            return translate(memory, control, address, write=write, user=user, mark=True)
        except PageFault:
            page = address & _PAGE
            if user and self._holds_descriptors(page):
                # Loading a segment, the processor reads as the supervisor that it is.
                return translate(memory, control, address, write=write, mark=True)
            if page == NEVER & _PAGE and access == self._fetch and self._code_at() & _PAGE != page:
                return page, False  # not the guest: the engine looks where the slice would end
            raise

    def _holds_descriptors(self, page: int) -> bool:
        tables = [self._uc.reg_read(register) for register in self._tables]
        return any(base - PAGE_SIZE < page <= base + limit for _, base, limit, _ in tables)

    def _place(self, page: int, access: int, result: Any) -> bool:
        """Where a physical page lies in the engine's own physical space."""
        bus = self.bus
        if (
            page < VGA_START
            or ROM_END <= page < bus.ram_bytes
            or (ROM_START <= page < ROM_END and bus.rom_writable)
        ):
            result.paddr = page
            if access == self._fetch:
                self._code_pages.add(page)
            result.perms = self._all if page in self._code_pages else self._rw
            return True
        place = self._vram.translate(page, access)
        if place is not None:
            result.paddr, result.perms = place
            return True
        if ROM_START <= page < ROM_END:
            if access == self._write:
                result.paddr = ROM_AT + page - ROM_START
                result.perms = self._rw
            else:
                result.paddr = page
                result.perms = self._rx
                self._code_pages.add(page)
            return True
        if access == self._fetch:
            self._lost = True
            return False  # nothing to execute: the run ends
        result.paddr = OPEN_AT
        result.perms = self._rw
        return True

    def _on_in(self, uc: Uc, port: int, size: int, _: object) -> int:
        tlb = self.tlb
        if tlb.request is not None:
            tlb.serve()
        self._clock.cost(PORT_NS)
        return self.bus.port_in(port, size)

    def _on_out(self, uc: Uc, port: int, size: int, value: int, _: object) -> None:
        tlb = self.tlb
        if tlb.request is not None:
            tlb.serve()
        self._clock.cost(PORT_NS)
        self.bus.port_out(port, size, value)

    def _on_interrupt(self, uc: Uc, vector: int, _: object) -> None:
        """INT n, or an exception. Unicorn goes through no vector table itself."""
        self._clock.cost(INTERRUPT_NS)
        if vector == DOUBLE_FAULT and self._code(-2, 2) != b"\xcd\x08":
            vector = self._swallowed_vector()
        software = self._code(-2, 2) == bytes((0xCD, vector))
        self._deliver(vector, software=software, error_code=_error_code(vector, software))

    def _deliver(
        self, vector: int, *, software: bool = False, error_code: int | None = None
    ) -> None:
        """On at the vector's handler."""
        if not self.get("cr0") & PROTECTED:
            self.real_mode_interrupt(vector)
            return
        gate = read_gate(self._uc, self._memory(), vector)
        at = f"{self.cs:04X}:{self.get('eip'):08X}"
        if isinstance(gate, str):
            raise GuestFault(f"interrupt {vector:02X}h at {at} in protected mode: {gate}")
        level = self.cs & 3
        if software and gate.level < level:
            self.set("eip", self.get("eip") - 2)  # the INT n itself is at fault
            self._deliver(GENERAL_PROTECTION, error_code=vector << 3 | 2)
            return
        flags = self.get("eflags")
        frame = [flags, self.cs, self.get("eip")]
        more_privilege = (gate.selector & 3) < level
        if more_privilege:
            frame = [self.ss, self.get("esp"), *frame]
        if error_code is not None:
            frame.append(error_code)
        stack = gate.pointer - gate.size * len(frame) & gate.stack_mask
        data = b"".join(
            (value & (1 << 8 * gate.size) - 1).to_bytes(gate.size, "little")
            for value in reversed(frame)
        )
        try:
            self._write_linear(gate.stack_base + stack, data)
        except PageFault as fault:
            raise GuestFault(f"interrupt {vector:02X}h at {at}: its stack has a {fault}") from None
        if more_privilege:
            set_privilege(self._uc, gate.selector & 3)
            self.set("ss", gate.stack)
        self.set("esp", gate.pointer & ~gate.stack_mask | stack)
        self.set("eflags", flags & ~(TRAP | NESTED | (INTERRUPT if gate.masks else 0)))
        self.set("cs", gate.selector)
        self.set("eip", gate.offset)

    def _memory(self) -> LinearReader:
        """The guest's memory by linear addresses, as its page tables are now."""
        return linear_reader(self.bus.memory, self._control())

    def _write_linear(self, linear: int, data: bytes) -> None:
        """Store as the processor itself does."""
        control = self._control()
        if not control.paging:
            self.bus.write(linear & 0xFFFF_FFFF, data)
            return
        for i, byte in enumerate(data):
            at = linear + i & 0xFFFF_FFFF
            page, _ = translate(self.bus.memory, control, at, write=True, mark=True)
            self.bus.write8(page | at & ~_PAGE, byte)

    def _code_at(self) -> int:
        """Linear address of the next instruction."""
        if self.get("cr0") & PROTECTED:
            base = code_base(self._uc, self._memory())
            return (base + self.get("eip")) & 0xFFFF_FFFF
        return int((self.cs << 4) + self.ip)

    def _code(self, offset: int, count: int) -> bytes:
        """Bytes at CS:IP + offset."""
        at = max(self._code_at() + offset, 0)
        if not self._control().paging:
            return self.bus.read(at, count)
        return self._memory()(at, count).ljust(count, b"\0")

    def _swallowed_vector(self) -> int:
        """The fault of the instruction at CS:IP.

        The engine remembers the last fault for ever, as it never sees it delivered: it takes the
        second for a double fault, and ends the slice at the third as a triple fault would.
        """
        opcode = self._code(0, 15).lstrip(PREFIXES)[:1]
        return DIVISION if opcode in DIVISIONS else GENERAL_PROTECTION

    def _lost_vector(self) -> int:
        """The exception that ended a slice without a word, after two faults: it may be any."""
        protected = self.get("cr0") & PROTECTED
        # The POPF that ends single steps is itself one.
        if self.get("eflags") & TRAP or (not protected and self._code(-1, 1) == _POPF):
            return SINGLE_STEP
        code = self._code(0, 15)
        opcode = int.from_bytes(code.lstrip(PREFIXES)[:1], "little")
        if opcode == _BOUND:
            return BOUND
        if self.get("cr0") & NO_X87 and (opcode == _WAIT or opcode in _ESCAPES):
            return NO_COPROCESSOR
        wide = bool(protected and int(self.arrays()["cpu.segments"][0][3]) & BIG)
        return UNKNOWN_OPCODE if _is_unknown(code, wide) else self._swallowed_vector()

    # --- running --------------------------------------------------------------------------------

    def interrupt(self, vector: int) -> None:
        """Take an external interrupt, between slices."""
        self.halted = False
        self._deliver(vector)

    def can_interrupt(self) -> bool:
        """IF is set, and the next instruction does not follow an STI in whose shadow it is."""
        if not self.get("eflags") & INTERRUPT:
            return False
        # sti; hlt: an interrupt taken between them would be slept through.
        return self.halted or self._code(-1, 2) != b"\xfb\xf4"

    def run(self, limit_ns: int) -> None:
        """Execute one slice."""
        uc, tlb = self._uc, self.tlb
        begin = self.get("eip")
        count = self._slice
        counter = self._counter(uc)
        failed = False
        started = perf_counter_ns() if self._adapts else 0
        tlb.enter()
        try:
            uc.emu_start(begin, NEVER, count=count)
        except self._error as error:
            failed = True
            self._on_error(error)
        finally:
            tlb.leave()
        if started:
            self._fit_slice(perf_counter_ns() - started)
        executed = min(counter(), count) if counter is not None else count
        if not failed and (counter is None or counter() < count):
            self.halted = self._stopped_at_hlt()
            if not self.halted and counter is not None:
                vector = self._lost_vector()
                self._deliver(vector, error_code=_error_code(vector))
        self._clock.ran(max(executed, 1))

    def _fit_slice(self, took_ns: int) -> None:
        """Shorter slices for code that takes long, and back: harvests wait for their ends."""
        if took_ns > LONG_SLICE_NS:
            self._slice = max(self._slice // 2, SHORTEST_SLICE)
        elif took_ns < LONG_SLICE_NS // 3:
            self._slice = min(self._slice * 2, SLICE)

    def _stopped_at_hlt(self) -> bool:
        """Nothing but HLT, an error or the count ends a slice; the byte before IP tells them."""
        return self._code(-1, 1)[0] == _HLT

    def _on_error(self, error: Any) -> None:
        from unicorn import unicorn_const as const

        where = f"at {self.cs:04X}:{self.get('eip'):04X}"
        fault, self._page_fault = self._page_fault, None
        if fault is not None:
            self._uc.reg_write(self._cr2, fault.linear)
            self._deliver(PAGE_FAULT, error_code=fault.error_code)
            return
        if error.errno == const.UC_ERR_INSN_INVALID:
            self._deliver(UNKNOWN_OPCODE)
            return
        if self._lost or error.errno == const.UC_ERR_FETCH_UNMAPPED:
            raise GuestFault(f"fetch from where there is no memory, {where}") from None
        raise GuestFault(f"{error} {where}") from None

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Harvest between two instructions, then flush the TLB."""
        return self.tlb.harvest(keeper_harvest)

    def _memory_written(self, gpa: int, count: int) -> None:
        """Drop translated code that was overwritten."""
        if self._control().paging:
            # The engine wants linear addresses here, and there may be several.
            pages = range(gpa & _PAGE, gpa + count, PAGE_SIZE)
            if not self._code_pages.isdisjoint(pages):
                self._forget_code()
            return
        for page in range(gpa & _PAGE, gpa + count, PAGE_SIZE):
            if page in self._code_pages:
                self._uc.ctl_remove_cache(max(page, gpa), min(page + PAGE_SIZE, gpa + count))

    def _forget_code(self) -> None:
        import unicorn

        self._uc.ctl(unicorn.UC_CTL_TB_FLUSH, unicorn.UC_CTL_IO_WRITE)

    # --- states ---------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """`CPU_ARRAYS`."""
        arrays = engine_arrays(self._uc, self._memory())
        arrays["cpu.pending"][...] = -1
        arrays["cpu.halted"][...] = self.halted
        return arrays

    def refusal(self, arrays: Mapping[str, Array]) -> str | None:
        """Why the engine cannot take a state, or None."""
        return engine_refusal(arrays)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from a saved CPU."""
        self._forget_code()
        self._code_pages.clear()
        self.tlb.map_changed()
        restore_engine(self._uc, arrays)
        self.halted = bool(arrays["cpu.halted"])
        if int(arrays["cpu.pending"]) >= 0:
            self.real_mode_interrupt(int(arrays["cpu.pending"]))

    def close(self) -> None:
        """Drop the engine."""
        self._vram.close()
        if hasattr(self, "_uc"):
            # The engine is large, and in a cycle with its hooks: do not wait for the collector.
            finalizer = getattr(self._uc, "_Uc__finalizer", None)
            del self._uc
            if finalizer is not None:
                finalizer()
        bus = self.bus
        if self._memory_written in bus.on_memory_written:
            bus.on_memory_written.remove(self._memory_written)
            bus.on_protection_changed.remove(self.tlb.map_changed)


def _error_code(vector: int, software: bool = False) -> int | None:
    """What an exception pushes; for want of better knowledge 0."""
    return 0 if vector in ERROR_CODES and not software else None


def _find_counter(unicorn: Any) -> Callable[[Uc], Callable[[], int] | None]:
    """How many instructions a slice executed: a reader for an engine, or one that has none.

    emu_start does not say why it returned, and a HLT must be told from a count used up: the byte
    before IP may be F4h by chance (it ends many an instruction), and then the guest would sleep for
    nothing. The engine counts, next to the count it was given; where, a trial run shows: a count
    like no other value, two instructions and a HLT.
    """
    unlikely = 0x5EED_0B0E
    trial = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_write(0, b"\x90\x90\xf4")
    trial.emu_start(0, PAGE_SIZE, count=unlikely)
    words = _engine_words(trial)
    places = [i for i in range(1, ENGINE_WORDS) if words[i] == unlikely and words[i - 1] == 3]
    if len(places) != 1:
        return lambda uc: None
    place = places[0] - 1

    def reader(uc: Uc) -> Callable[[], int]:
        words = _engine_words(uc)
        return lambda: int(words[place])

    return reader


def _engine_words(uc: Any) -> Any:
    if ctypes.sizeof(ctypes.c_size_t) != 8:
        return [0] * ENGINE_WORDS
    return (ctypes.c_uint64 * ENGINE_WORDS).from_address(uc._uch.value)
