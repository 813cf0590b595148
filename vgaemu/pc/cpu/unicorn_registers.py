"""A Unicorn engine's registers by name, as services use them: in place, where they are found there.

Not here: what changes with a segment register, FPU and SSE; see `unicorn_state`.

Source: measured with Unicorn 2.1.4.
"""

from __future__ import annotations

from vgaemu.pc.cpu.unicorn_context import (
    ARITHMETIC,
    CC_AT,
    CC_OP_AT,
    CR_AT,
    DF_AT,
    DIRECTION,
    EFLAGS_AT,
    EIP_AT,
    GENERAL_AT,
    IN_CC,
    SEGMENT_NUMBERS,
    SELECTOR_AT,
    Context,
    write_flags,
)
from vgaemu.pc.cpu.unicorn_engine import Registers, Uc, unicorn


class RegisterFile:
    """The registers that services use, by name, without what changes with segments."""

    def __init__(self, uc: Uc, context: Context) -> None:
        """Those of one engine, by a `context` that nobody else uses."""
        self._engine = Registers(uc)
        names = (*GENERAL_AT, *SEGMENT_NUMBERS, "eip", "rip", "eflags", "cr0", "cr2", "cr3", "cr4")
        numbers = vars(unicorn.x86_const)
        self._numbers = {name: numbers[f"UC_X86_REG_{name.upper()}"] for name in names}
        self._words = context.words
        selectors = {name: SELECTOR_AT[number] for name, number in SEGMENT_NUMBERS.items()}
        control = {f"cr{number}": CR_AT + 2 * number for number in (0, 2, 3, 4)}
        #: What is read, and written, in place.
        self._read: dict[str, int] = {}
        self._written: dict[str, int] = {}
        if context.in_place:
            self._written = {**GENERAL_AT, "cr2": control["cr2"]}
            self._read = GENERAL_AT | selectors | control | {"eip": EIP_AT}
        self._in_place = context.in_place

    def read(self, register: str) -> int:
        at = self._read.get(register)
        if at is not None:
            return self._words[at]
        env = self._words
        if register == "rip" and self._in_place:
            return env[EIP_AT] | env[EIP_AT + 1] << 32
        if self._in_place and env[CC_OP_AT] == IN_CC:  # it is asked for the flags
            flags = env[EFLAGS_AT] & ~(ARITHMETIC | DIRECTION)
            return flags | env[CC_AT + 2] & ARITHMETIC | env[DF_AT] & DIRECTION
        return self._engine.read(self._numbers[register])

    def write_extended(self, register: str, value: int) -> None:
        """Write a general register as an instruction of 32 bits does: the half above it is 0."""
        self.write(register, value)
        if self._in_place:
            self._words[GENERAL_AT[register] + 1] = 0

    def write(self, register: str, value: int) -> None:
        at = self._written.get(register)
        if at is not None:
            self._words[at] = value & 0xFFFF_FFFF
        elif register == "eflags" and self._in_place:
            write_flags(self._words, value)
        else:
            self._engine.write(self._numbers[register], value)
