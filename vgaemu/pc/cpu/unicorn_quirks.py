"""What a Unicorn engine does not tell, found out otherwise.

How many instructions it executed, in its private words. Which exception it met: it remembers the
last fault for ever, as it never sees it delivered; so it takes the second for a double fault, and
ends the slice at the third, as a triple fault would, without a word.

Source: measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vgaemu.errors import CpuError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu.cpu import PROTECTED, TRAP, Cpu
from vgaemu.pc.cpu.mmu import BIG
from vgaemu.pc.cpu.unicorn_engine import LinearMemory

if TYPE_CHECKING:
    from unicorn import Uc

#: Vectors of exceptions.
DIVISION, SINGLE_STEP, BOUND, UNKNOWN_OPCODE, NO_COPROCESSOR = 0, 1, 5, 6, 7
DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT = 8, 13, 14
#: Room for translated code in an engine that tries one instruction.
PROBE_BYTES = 1 << 20
#: Words of Unicorn's engine that `find_counter` looks at.
ENGINE_WORDS = 256
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


def swallowed_vector(memory: LinearMemory) -> int:
    """The fault of the instruction at CS:IP that the engine took for a double one."""
    opcode = memory.code(0, 15).lstrip(PREFIXES)[:1]
    return DIVISION if opcode in DIVISIONS else GENERAL_PROTECTION


def lost_vector(cpu: Cpu, memory: LinearMemory) -> int:
    """The exception that ended a slice without a word, after two faults: it may be any."""
    cr0 = cpu.get("cr0")
    # The POPF that ends single steps is itself one.
    if cpu.get("eflags") & TRAP or (not cr0 & PROTECTED and memory.code(-1, 1) == _POPF):
        return SINGLE_STEP
    code = memory.code(0, 15)
    opcode = int.from_bytes(code.lstrip(PREFIXES)[:1], "little")
    if opcode == _BOUND:
        return BOUND
    if cr0 & NO_X87 and (opcode == _WAIT or opcode in _ESCAPES):
        return NO_COPROCESSOR
    segment = memory.code_segment()
    wide = segment is not None and bool(segment[3] & BIG)
    return UNKNOWN_OPCODE if _is_unknown(code, wide) else swallowed_vector(memory)


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


def find_counter(unicorn: Any) -> Callable[[Uc], Callable[[], int] | None]:
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


def release(uc: Uc) -> None:
    """Free an engine now: it is large, and in a cycle with its hooks."""
    finalizer = getattr(uc, "_Uc__finalizer", None)
    if finalizer is not None:
        finalizer()
