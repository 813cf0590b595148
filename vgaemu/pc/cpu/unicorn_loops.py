"""LOOPE and LOOPNE, where the engine counts each instruction: flags behind those that loop no more.

If one of these ends by its count, the engine (QEMU 5.0's target/i386/translate.c, as Unicorn 2.1
has it) has not stored of which kind the arithmetic flags are, and takes them for what arithmetic
right before it left, where its hook of each instruction has brought all of them to one place. So
what follows such a block is hooked, and lets them be that.

Native code has them alone in their blocks (`vgaemu.native.blocks`). Not seen to: where what follows
was executed before the loop was, from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.unicorn_context import (
    ARITHMETIC,
    CC_AT,
    CC_OP_AT,
    EFLAGS_AT,
    IN_CC,
    Context,
    control_of,
)
from vgaemu.pc.cpu.unicorn_engine import Uc, unicorn

#: Bytes of LOOPNE and LOOPE, besides prefixes.
LOOPS, BYTES = b"\xe0\xe1", 2
PREFIXES, LONGEST = bytes.fromhex("26 2E 36 3E 64 65 66 67 F2 F3"), 15


class Loops:
    """What follows loops of one engine."""

    def __init__(self, uc: Uc, context: Context, bus: Bus) -> None:
        """Registers are changed in place by `context`; where they are not, nothing is done."""
        self._uc, self._context, self._bus = uc, context, bus
        self._hooks: dict[int, int] = {}

    def look(self, address: int, size: int, last: Callable[[], int]) -> None:
        """A block of several instructions was translated, and is about to begin.

        `last` says how far from its address its last one begins; -1: nobody knows.
        """
        following = address + size
        if following in self._hooks or not self._context.in_place:
            return
        code = self._code(following, BYTES)
        # Other ends may look like it: the displacement of a CALL.
        if code[:1] in LOOPS and len(code) == BYTES and self._is_alone(following, size - last()):
            self._hooks[following] = self._uc.hook_add(
                unicorn.UC_HOOK_BLOCK, self._left, None, following, following
            )

    def _is_alone(self, end: int, size: int) -> bool:
        """Whether the last instruction, of so many bytes, has nothing before these but prefixes."""
        return BYTES <= size <= LONGEST and not self._code(end, size)[:-BYTES].strip(PREFIXES)

    def _code(self, end: int, count: int) -> bytes:
        """What is in memory before a linear address; nothing where no page is."""
        control, memory = control_of(self._context.words), self._bus.memory
        if control.paging:
            return mmu.linear_reader(memory, control)(end - count, count)
        begin = end - count & self._bus.a20
        return bytes(memory[begin : begin + count])

    def _left(self, uc: Uc, address: int, size: int, _: object) -> None:
        """A block begins that follows a loop."""
        env = self._context.words
        flags = env[CC_AT + 2]
        # Of another kind they would be where they come by another way: then these are not they.
        if env[CC_OP_AT] > IN_CC and flags == env[EFLAGS_AT] & ARITHMETIC:
            env[CC_OP_AT] = IN_CC

    def close(self) -> None:
        """Between two slices: native code has them from now on."""
        for hook in self._hooks.values():
            self._uc.hook_del(hook)
        self._hooks.clear()
