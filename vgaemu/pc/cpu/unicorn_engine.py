"""A Unicorn engine looked into: registers by name, and how many instructions it executed.

Only here unicorn itself is imported, an extra; the neighbours take it from here. How many
instructions an engine executed, and may, lies in its private words.

Source: measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any
from weakref import finalize

from vgaemu.errors import CpuError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.keeper import anonymous_memory

try:
    import unicorn as unicorn
    from unicorn import Uc as Uc
    from unicorn import x86_const
except ModuleNotFoundError:
    raise CpuError("the CPU 'unicorn' is not installed; pip install unicorn") from None
except ImportError as error:
    raise CpuError(f"the CPU 'unicorn' cannot be loaded: {error}") from None

#: What an access is; permissions to read and write, to read and execute, all.
WRITE, FETCH = unicorn.UC_MEM_WRITE, unicorn.UC_MEM_FETCH
RW = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
RX, ALL = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC, unicorn.UC_PROT_ALL
#: Arguments of `Uc.ctl`: forget translated addresses; forget translated code.
FLUSH_TLB = unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE
FLUSH_CODE = unicorn.UC_CTL_TB_FLUSH, unicorn.UC_CTL_IO_WRITE
#: An MSR; CR0 with protection and paging.
EFER, PAGING_ON = 0xC000_0080, 0x8000_0001
#: Words of Unicorn's engine that may be its count of instructions.
ENGINE_WORDS = 256
#: The upmost linear address of 32 bits.
_UPMOST = 0xFFFF_FFFF
#: Words of a hook that the engine keeps; where no code is, as its address is not canonical.
HOOK_WORDS, NOWHERE = 10, 1 << 63
#: The bounds of a hook that is called at all addresses.
EVERYWHERE = 1, 0
#: Jump to the next instruction.
_JUMP = b"\xeb\x00"
#: Room for translated code, for which the engine would reserve 1 GiB; and where an instruction is
#: tried. Where it is used up all is forgotten: Linux, which boots through a million instructions,
#: did so again and again in 64 MiB.
TRANSLATION_BYTES, PROBE_BYTES = 256 << 20, 1 << 20


class _Msr(ctypes.Structure):
    """What the engine is asked for an MSR with."""

    number: int
    value: int
    _fields_ = (("number", ctypes.c_uint32), ("value", ctypes.c_uint64))


class Registers:
    """An engine's, by names in capitals; a table register is selector, base, limit, flags."""

    def __init__(self, uc: Uc) -> None:
        self._uc = uc
        # `reg_read` finds out the type of a register first: 2.0 us for 0.7.
        self._read, self._write = uc._do_reg_read, uc._do_reg_write
        self._word = ctypes.c_uint64()
        self._at_word = ctypes.byref(self._word)
        self._msr = _Msr()
        self._at_msr = ctypes.byref(self._msr)
        self._octets = (ctypes.c_uint8 * 16)()

    def read(self, number: int) -> int:
        """One of the general, segment or control registers, by its number in the engine."""
        self._word.value = 0
        self._read(number, self._at_word)
        return self._word.value

    def write(self, number: int, value: int) -> None:
        self._word.value = value
        self._write(number, self._at_word)

    def read_msr(self, number: int) -> int:
        self._msr.number = number
        self._read(x86_const.UC_X86_REG_MSR, self._at_msr)
        return self._msr.value

    def read_octets(self, number: int, count: int) -> bytes:
        """One of the FPU's, of 10 bytes, or of SSE, of 16, by its number in the engine."""
        self._read(number, self._octets)
        return bytes(self._octets[:count])

    def write_msr(self, number: int, value: int) -> None:
        self._uc.msr_write(number, value)

    def __getitem__(self, name: str) -> Any:
        return self._uc.reg_read(getattr(x86_const, f"UC_X86_REG_{name}"))

    def __setitem__(self, name: str, value: Any) -> None:
        self._uc.reg_write(getattr(x86_const, f"UC_X86_REG_{name}"), value)


def make_engine(translation_bytes: int = TRANSLATION_BYTES, mode: int = unicorn.UC_MODE_32) -> Uc:
    """An engine with so much room for translated code, which speaks of registers of that `mode`.

    At the interpreter's end it is left to the system: a thread that never came back may still run
    in it.

    Raises:
        OutOfMemory: There is no such room; the engine itself would end the process.
    """
    anonymous_memory(translation_bytes).close()
    uc = Uc(unicorn.UC_ARCH_X86, mode)
    uc.ctl_set_tcg_buffer_size(translation_bytes)
    finalizer = _finalizer(uc)
    if finalizer is not None:
        finalizer.atexit = False
    return uc


def make_wide_engine(model: int) -> Uc:
    """One of 64-bit registers, of a model that has long mode, which it begins without.

    Its `emu_start` takes a whole RIP; one of another mode cuts it. Code of all modes it executes.
    """
    uc = make_engine(mode=unicorn.UC_MODE_64)
    uc.ctl_set_cpu_model(model)
    # It begins in long mode without paging, where no instruction leads: through paging it leaves.
    uc.msr_write(EFER, 0)
    for value in (PAGING_ON, 0x10):
        uc.reg_write(x86_const.UC_X86_REG_CR0, value)
    # Of a block that it has translated it tells once it has come out of one.
    uc.mem_map(0, PAGE_SIZE)
    uc.mem_write(0, _JUMP)
    uc.emu_start(0, len(_JUMP))
    uc.mem_unmap(0, PAGE_SIZE)
    uc.ctl(*FLUSH_CODE)
    return uc


def small_engine() -> Uc:
    """An engine that is to try an instruction."""
    return make_engine(PROBE_BYTES)


_InsteadOf = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def hook_rdtsc(uc: Uc, instead: Callable[[], None]) -> None:
    """Call this instead of RDTSC, for which the engine has a hook, and its binding none."""

    def called(handle: int, key: int) -> int:
        instead()
        return 1  # and not the engine

    add = getattr(uc, "_Uc__do_hook_add", None)
    if add is not None:
        number = ctypes.c_int(x86_const.UC_X86_INS_RDTSC)
        add(unicorn.UC_HOOK_INSN, _InsteadOf(called), 1, 0, number)


def map_native(uc: Uc, at: int, size: int, read_at: int, write_at: int, cells_at: int) -> None:
    """Map a range that two native functions answer for, told of some cells; the binding has none.

    Raises:
        UcError: Something is mapped there already.
    """
    answers = (ctypes.c_void_p(address) for address in (read_at, cells_at, write_at, cells_at))
    status = library().uc_mmio_map(uc._uch, at, size, *answers)
    if status != unicorn.UC_ERR_OK:
        raise unicorn.UcError(status)


def library() -> Any:
    """The engine's own library, for what its binding does not have."""
    return vars(sys.modules[Uc.__module__])["uclib"]


def hook_native(
    uc: Uc, kind: int, function: int, cells: int, instruction: int = 0,
    bounds: tuple[int, int] = EVERYWHERE,
) -> int:  # fmt: skip
    """Call the native function at an address, told of its cells' address; the engine's handle.

    Of an `instruction`, if the kind is UC_HOOK_INSN; at all addresses, or within bounds.

    Raises:
        UcError: There is no such hook.
    """
    handle, (begin, end) = ctypes.c_size_t(), map(ctypes.c_uint64, bounds)
    what = (ctypes.c_void_p(function), ctypes.c_void_p(cells), begin, end)
    status = library().uc_hook_add(
        uc._uch, ctypes.byref(handle), kind, *what, ctypes.c_int(instruction)
    )
    if status != unicorn.UC_ERR_OK:
        raise unicorn.UcError(status)
    return handle.value


def unhook(uc: Uc, handle: int) -> None:
    """Take out a hook, native or not."""
    uc._callbacks.setdefault(handle, None)  # the binding lets go of what it has not hooked itself
    uc.hook_del(handle)


def code_dropper(uc: Uc) -> Callable[[int, int], None]:
    """What drops translated code of a range of physical addresses; the binding's takes longer."""
    ctl, engine, begin, end = library().uc_ctl, uc._uch, ctypes.c_uint64(), ctypes.c_uint64()
    code = unicorn.UC_CTL_TB_REMOVE_CACHE | unicorn.UC_CTL_IO_WRITE << 30 | 2 << 26

    def drop(first: int, stop: int) -> None:
        begin.value, end.value = first, stop
        status = ctl(engine, code, begin, end)
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    return drop


class InstructionCount:
    """How many instructions a slice has executed, and how many it may.

    emu_start does not say why it returned, and a HLT must be told from a count used up: the byte
    before IP may be F4h by chance (it ends many an instruction), and then the guest would sleep for
    nothing. The engine looks at both before each instruction, and between the stores of a REP.
    """

    def __init__(self, at: int) -> None:
        """It lies at this address."""
        self.address = at
        #: In a hook: instructions begun, the one in hand among them, and how many there are to be.
        #: Fewer end the slice earlier; `emu_stop` in the hook of an IN, of memory or of a TLB fill
        #: (measured) lets the instruction be executed once more.
        self.cells = (ctypes.c_uint64 * 2).from_address(at)
        #: Before it the hook that counts, a structure of the engine's; 0: not yet.
        self._hook = ctypes.c_uint64.from_address(at - 8)

    @classmethod
    def find(cls, uc: Uc) -> InstructionCount | None:
        """That of an engine; None if it cannot be found."""
        place, _ = _private_places()
        return None if place is None else cls(uc._uch.value + 8 * place)

    def switch_off(self, uc: Uc, function: int) -> bool:
        """Between two slices: blocks that are translated from now on are not counted.

        If that cannot be had, nothing has changed. A count of 0 would do it, too, but has the
        engine look up each page again that has ever been executed. `function` is never called.
        """
        hook, nowhere = self._hook, (NOWHERE, NOWHERE)
        if not hook.value:
            hook.value = hook_native(uc, unicorn.UC_HOOK_CODE, function, 0, bounds=nowhere)
            return True
        words, at = (ctypes.c_uint64 * HOOK_WORDS).from_address(hook.value), _bounds_at()
        if at is None or (words[at], words[at + 1]) != EVERYWHERE:
            return False
        words[at], words[at + 1] = nowhere
        return True

    def begin_slice(self) -> None:
        """Nothing is to be done."""

    def begin(self, count: int) -> int:
        """The engine is let go for so many; what it is to be told of that."""
        return count

    def faulted(self) -> None:
        """It has counted the instruction that did."""

    @property
    def executed(self) -> int:
        # Where it may execute no more, the next one is counted already.
        return int(min(self.cells[0], self.cells[1]))

    @property
    def is_used_up(self) -> bool:
        """Whether the slice ended, or will, as it may execute no more."""
        return bool(self.cells[0] > self.cells[1])


class FaultAddress:
    """The linear address that the engine has been refused last; its hook tells the page alone."""

    def __init__(self, uc: Uc) -> None:
        self._words, (_, self._place) = engine_words(uc), _private_places()

    def within(self, page: int) -> int:
        """That address, if it is in a page, or the page's own."""
        found = 0 if self._place is None else int(self._words[self._place])
        if page <= _UPMOST:  # where the engine has code it does not wrap
            found &= _UPMOST
        return found if found & -PAGE_SIZE == page else page


@cache
def _private_places() -> tuple[int | None, int | None]:
    """Which of an engine's words are its count and `FaultAddress`; trial runs show.

    The engine counts next to the count that it was given: one like no other value, two instructions
    and a HLT. Then it is to read from where there is no memory.
    """
    unlikely, nowhere = 0x5EED_0B0E, 0x5EED_F00D
    trial = small_engine()
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_write(0, b"\x90\x90\xf4\xa1" + nowhere.to_bytes(4, "little"))  # mov eax, [nowhere]
    words = engine_words(trial)
    trial.emu_start(0, PAGE_SIZE, count=unlikely)
    counts = [i for i in range(ENGINE_WORDS - 1) if words[i + 1] == unlikely and words[i] == 3]
    with suppress(unicorn.UcError):
        trial.emu_start(3, PAGE_SIZE, count=1)
    addresses = [i for i in range(ENGINE_WORDS) if words[i] == nowhere]
    return _only(counts), _only(addresses)


@cache
def _bounds_at() -> int | None:
    """Which word of a hook its bounds begin at: of one with bounds like no other value."""
    bounds = 0x5EED_0B0E, 0x5EED_F00D
    trial = small_engine()
    hook = hook_native(trial, unicorn.UC_HOOK_CODE, NOWHERE, 0, bounds=bounds)  # never called
    words = (ctypes.c_uint64 * HOOK_WORDS).from_address(hook)
    return _only([i for i in range(HOOK_WORDS - 1) if (words[i], words[i + 1]) == bounds])


def _only(places: list[int]) -> int | None:
    return places[0] if len(places) == 1 else None


def engine_words(uc: Uc) -> Any:
    """The first `ENGINE_WORDS` of an engine's own memory."""
    if ctypes.sizeof(ctypes.c_size_t) != 8:
        return [0] * ENGINE_WORDS
    return (ctypes.c_uint64 * ENGINE_WORDS).from_address(uc._uch.value)


def release(uc: Uc) -> None:
    """Free an engine now: it is large, and in a cycle with its hooks."""
    finalizer = _finalizer(uc)
    if finalizer is not None:
        finalizer()


def _finalizer(uc: Uc) -> finalize[..., Any] | None:
    found: finalize[..., Any] | None = getattr(uc, "_Uc__finalizer", None)
    return found
