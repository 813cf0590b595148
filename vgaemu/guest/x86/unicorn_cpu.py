"""A CPU by Unicorn: translated code, VRAM pages opened by TLB fills, slices by instruction count.

Emulated: real mode and flat or segmented protected mode without paging; software interrupts and
exceptions through the real-mode vector table; external interrupts between slices. Not emulated:
paging, interrupts while in protected mode, instruction timing, A20 off.

The write fault is the *virtual TLB*: Unicorn asks `_fill` for each page it does not know. A VRAM
page that is read becomes readable; the first store to it asks again, is marked dirty in the slot and
made writable: what KVM's write fault does. A harvest snapshots, clears and protects in the slot,
then flushes this TLB, and must do so between two instructions of the guest; so a harvest that is
asked for by another thread while pages are open is carried out by the CPU's own thread, at the end
of its slice or at its next port access, whatever comes first.

Slices end by instruction count alone. Measured with Unicorn 2.1.4: `timeout=` costs milliseconds,
`emu_stop` from another thread tears read-modify-write instructions, and touching a running engine
from another thread crashes it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vgaemu.guest.x86.bus import ROM_END, ROM_START, VGA_END, VGA_START, Bus
from vgaemu.guest.x86.clock import Clock
from vgaemu.guest.x86.cpu import (
    GENERAL,
    INTERRUPT,
    PROTECTED,
    SEGMENTS,
    Cpu,
    CpuError,
    GuestFault,
)
from vgaemu.memslot.bitmap import PAGE_SIZE, DirtyLog
from vgaemu.vga.device import LFB_GPA

if TYPE_CHECKING:
    from unicorn import Uc

#: Instructions in a slice: 86 us, 5 % slower than slices of a million (measured).
SLICE = 10_000
#: Where in Unicorn's own physical space the ranges lie that are served by the bus. VRAM itself is
#: where the linear frame buffer is, RAM at 0.
PLANES_AT = 0xF000_0000
ROM_AT = 0xF010_0000
OPEN_AT = 0xF020_0000
#: Words of Unicorn's engine that `_find_counter` looks at.
ENGINE_WORDS = 256
#: Where a slice would end by address: the last byte of ROM, which holds no instruction. Unicorn looks
#: it up after each slice, so it must be memory.
NEVER = ROM_END - 1
_PAGE = -PAGE_SIZE & 0xFFFF_FFFF
_HLT = 0xF4


def import_unicorn() -> Any:
    """The module.

    Raises:
        CpuError: It is not installed.
    """
    try:
        import unicorn
    except ImportError:
        raise CpuError(
            "the CPU 'unicorn' is not installed; pip install 'vgaemu[unicorn]'"
        ) from None
    return unicorn


class TlbHarvest:
    """Lets any thread harvest beside a CPU whose TLB only its own thread may flush.

    Two facts decide what a harvest does, and one lock guards both: whether the CPU is in guest code,
    and whether its TLB holds a VRAM page that can be written without a fault.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        """Stand still.

        Args:
            flush: Flushes the TLB; called on the CPU's thread only.
        """
        self._flush = flush
        self._mmu_lock = threading.Lock()
        self._running = False
        self._open = False
        self._stale = False
        self._thread = 0
        self._request: Callable[[], DirtyLog] | None = None
        self._answer: DirtyLog | None = None
        self._answered = threading.Semaphore(0)

    def enter(self) -> None:
        """The CPU's thread is about to execute guest code."""
        with self._mmu_lock:
            self._thread = threading.get_ident()
            self._running = True
            stale, self._stale = self._stale, False
        if stale:
            self._flush()

    def leave(self) -> None:
        """It has stopped executing; what was asked meanwhile is answered."""
        with self._mmu_lock:
            self._running = False
        self.serve()

    def page_opened(self) -> None:
        """A VRAM page is about to become writable in the TLB."""
        if not self._open:
            with self._mmu_lock:
                self._open = True

    def map_changed(self) -> None:
        """Windows moved: no translation is right any more."""
        with self._mmu_lock:
            here = self._running and self._thread == threading.get_ident()
            self._stale = not here
            # Pages stay open until the flush has happened.
        if here:
            self._flush()

    def serve(self) -> None:
        """On the CPU's thread, between two instructions: answer who waits for a harvest."""
        request = self._request
        if request is not None:
            self._request = None
            try:
                self._answer = self._harvest_here(request)
            finally:
                self._answered.release()

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Snapshot, clear, protect, flush; on any thread, one at a time."""
        with self._mmu_lock:
            if not self._running or not self._open:
                log = keeper_harvest()
                if log and self._open:
                    self._open = False
                    self._stale = True  # flushed before the next instruction
                return log
            if self._thread == threading.get_ident():
                asked = False
            else:
                asked = True
                self._answer = None
                self._request = keeper_harvest
        if not asked:
            return self._harvest_here(keeper_harvest)
        self._answered.acquire()
        answer = self._answer
        if answer is None:
            raise RuntimeError("the harvest failed on the CPU's thread")
        return answer

    def _harvest_here(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        log = keeper_harvest()
        if log:
            with self._mmu_lock:
                self._open = False
                here = self._running
                self._stale = not here
            if here:
                self._flush()
        return log


class UnicornCpu(Cpu):
    """One Unicorn engine on a `Bus`."""

    name = "unicorn"

    def __init__(self, bus: Bus, clock: Clock, *, slice_instructions: int = SLICE) -> None:
        """An engine in real mode, all registers as after reset or 0.

        Raises:
            CpuError: Unicorn is not installed.
        """
        super().__init__(bus)
        unicorn = import_unicorn()
        from unicorn import x86_const

        self._clock = clock
        self._slice = slice_instructions
        self._error: type[Exception] = unicorn.UcError
        # A 32-bit engine runs real mode as well, and resumes 32-bit code where it was; a 16-bit one
        # cuts EIP to 16 bits.
        self._uc: Uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
        self._ids = {
            name: getattr(x86_const, f"UC_X86_REG_{name.upper()}")
            for name in (*GENERAL, *SEGMENTS, "eip", "eflags", "cr0")
        }
        self._counter = _find_counter(unicorn)
        #: RAM pages that hold translated code, by address.
        self._code_pages: set[int] = set()
        self._tlb = TlbHarvest(self._flush_tlb)
        self._flush_args = (unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)
        self._fault: GuestFault | None = None
        self._interrupt_pending: Callable[[], bool] | None = None
        self._map(unicorn)
        self._hook(unicorn, x86_const)
        self.set("cr0", 0x10)  # a 32-bit engine starts in protected mode
        for name in SEGMENTS:
            self.set(name, 0)
        bus.vga.on_map_changed.append(self._tlb.map_changed)
        bus.cpu = self

    def _map(self, unicorn: Any) -> None:
        uc, bus = self._uc, self.bus
        vga = bus.vga
        self._read, self._write, self._fetch = (
            unicorn.UC_MEM_READ, unicorn.UC_MEM_WRITE, unicorn.UC_MEM_FETCH,
        )  # fmt: skip
        self._rw = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        self._rx = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        self._all = unicorn.UC_PROT_ALL
        uc.mem_map_ptr(0, bus.ram_bytes, self._all, bus.array.ctypes.data)
        uc.mem_map_ptr(LFB_GPA, vga.slot.nbytes, self._all, vga.slot.array.ctypes.data)
        load, store = vga.load, vga.store

        def planes_read(uc: Uc, offset: int, size: int, _: object) -> int:
            return int.from_bytes(load(VGA_START + offset, size), "little")

        def planes_write(uc: Uc, offset: int, size: int, value: int, _: object) -> None:
            store(VGA_START + offset, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

        def rom_read(uc: Uc, offset: int, size: int, _: object) -> int:
            return int.from_bytes(bus.memory[ROM_START + offset :][:size], "little")

        def open_read(uc: Uc, offset: int, size: int, _: object) -> int:
            return (1 << 8 * size) - 1

        def ignore(uc: Uc, offset: int, size: int, value: int, _: object) -> None:
            pass

        uc.mmio_map(PLANES_AT, VGA_END - VGA_START, planes_read, None, planes_write, None)
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
        """Which physical page a virtual one is, and what may be done with it."""
        page = address & _PAGE
        if page < VGA_START or ROM_END <= page < self.bus.ram_bytes:
            result.paddr = page
            if access == self._fetch:
                self._code_pages.add(page)
            result.perms = self._all if page in self._code_pages else self._rw
            return True
        vga = self.bus.vga
        offset = vga.window(page)
        if offset is not None:
            result.paddr = LFB_GPA + offset
            if access == self._write:
                # The store lands after this; no harvest comes between, see the module.
                self._tlb.page_opened()
                vga.slot.mark_dirty(offset, 1)
                result.perms = self._all
            else:
                result.perms = self._rx
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
            return False  # nothing to execute: the run ends
        result.paddr = PLANES_AT + page - VGA_START if VGA_START <= page < VGA_END else OPEN_AT
        result.perms = self._rw
        return True

    def _flush_tlb(self) -> None:
        self._uc.ctl(*self._flush_args)

    def _on_in(self, uc: Uc, port: int, size: int, _: object) -> int:
        tlb = self._tlb
        if tlb._request is not None:
            tlb.serve()
        return self.bus.port_in(port, size)

    def _on_out(self, uc: Uc, port: int, size: int, value: int, _: object) -> None:
        tlb = self._tlb
        if tlb._request is not None:
            tlb.serve()
        self.bus.port_out(port, size, value)

    def _on_interrupt(self, uc: Uc, vector: int, _: object) -> None:
        """INT n, or an exception. Unicorn goes through no vector table itself."""
        if self.get("cr0") & PROTECTED:
            raise GuestFault(
                f"interrupt {vector:02X}h in protected mode: --cpu unicorn does not emulate that, "
                "--cpu kvm does"
            )
        self.real_mode_interrupt(vector)

    # --- running --------------------------------------------------------------------------------

    def interrupt(self, vector: int) -> None:
        """Take an external interrupt, between slices."""
        self.halted = False
        self.real_mode_interrupt(vector)

    def can_interrupt(self) -> bool:
        """IF is set, and the next instruction does not follow an STI in whose shadow it is."""
        if not self.get("eflags") & INTERRUPT or self.get("cr0") & PROTECTED:
            return False
        at = (self.cs << 4) + self.ip
        # sti; hlt: an interrupt taken between them would be slept through.
        return self.halted or self.bus.read(max(at - 1, 0), 2) != b"\xfb\xf4"

    def run(self, limit_ns: int) -> None:
        """Execute one slice."""
        uc, tlb = self._uc, self._tlb
        begin = self.get("eip")
        count = self._slice
        counter = self._counter(uc)
        tlb.enter()
        try:
            uc.emu_start(begin, NEVER, count=count)
        except self._error as error:
            self._on_error(error)
        finally:
            tlb.leave()
        executed = counter() if counter is not None else count
        if executed < count or counter is None:
            self.halted = self._stopped_at_hlt()
            if counter is None:
                executed = count
        self._clock.ran(min(executed, count))

    def _stopped_at_hlt(self) -> bool:
        """Nothing but HLT, an error or the count ends a slice; the byte before IP tells them."""
        # Segment bases are kept in the engine only, so protected mode is taken at its word.
        if self.get("cr0") & PROTECTED:
            return True
        at = (self.cs << 4) + self.ip
        return self.bus.read8(max(at - 1, 0)) == _HLT

    def _on_error(self, error: Any) -> None:
        from unicorn import unicorn_const as const

        where = f"at {self.cs:04X}:{self.get('eip'):04X}"
        if error.errno == const.UC_ERR_INSN_INVALID:
            if self.get("cr0") & PROTECTED:
                raise GuestFault(f"unknown opcode {where}") from None
            self.real_mode_interrupt(6)
            return
        if error.errno == const.UC_ERR_FETCH_UNMAPPED:
            raise GuestFault(f"fetch from where there is no memory, {where}") from None
        raise GuestFault(f"{error} {where}") from None

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Harvest between two instructions, then flush the TLB."""
        return self._tlb.harvest(keeper_harvest)

    def ram_written(self, gpa: int, count: int) -> None:
        """Drop translated code that was overwritten."""
        pages = range(gpa & _PAGE, gpa + count, PAGE_SIZE)
        for page in pages:
            if page in self._code_pages:
                # The same bytes again, through the engine: it then knows.
                start, end = max(page, gpa), min(page + PAGE_SIZE, gpa + count)
                self._uc.mem_write(start, bytes(self.bus.memory[start:end]))

    def close(self) -> None:
        """Drop the engine."""
        changed = self.bus.vga.on_map_changed
        if self._tlb.map_changed in changed:
            changed.remove(self._tlb.map_changed)
        self.bus.cpu = None


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
