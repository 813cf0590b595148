"""Loops that do nothing but look at a port until they like the answer.

    wait:   in al, dx
            test al, 8
            jz wait

As long as the answer is one with which such a loop goes on, it changes nothing that lasts: AL and
the flags are made anew from the next answer. So nobody can tell how often it went round, and time
may pass until an answer comes with which it ends. Known are IN AL, DX, what compares AL with a
constant or itself, and short jumps. A loop with anything else may count, store or let interrupts
in: of that nothing is known, and it looks as often as ever.
"""

from __future__ import annotations

from functools import lru_cache

#: Bytes of code before and after IN in which a loop lies.
BEFORE, AFTER = 16, 32
#: More instructions than a way back to IN has.
_STEPS = 12
_IN, _NOP, _MOV_DX, _JMP, _SHR = 0xEC, 0x90, 0xBA, 0xEB, (0xD0, 0xE8)
_TEST, _AND, _CMP = 0xA8, 0x24, 0x3C
#: TEST, OR and AND of AL with itself.
_WITH_ITSELF = (0x84, 0xC0), (0x08, 0xC0), (0x0A, 0xC0), (0x20, 0xC0), (0x22, 0xC0)


#: Opcode -> the flag that a jump looks at, and what it is to be.
_JUMPS = {
    0x72: ("carry", True), 0x73: ("carry", False), 0x74: ("zero", True),
    0x75: ("zero", False), 0x78: ("sign", True), 0x79: ("sign", False),
}  # fmt: skip


@lru_cache(maxsize=256)
def stays(
    code: bytes, port: int, answers: tuple[int, ...], known: int, *, wide: bool
) -> frozenset[int]:
    r"""The answers with which a loop does nothing but ask again.

    Args:
        code: What lies around an IN AL, DX: `BEFORE` bytes, it, and `AFTER` bytes.
        port: What DX holds.
        answers: Those that there are, as far as it is known.
        known: Which of their bits are.
        wide: It is 32-bit code.

    >>> loop = bytes.fromhex("EC A8 08 74 FB").ljust(1 + AFTER, b"\0")
    >>> sorted(stays(bytes(BEFORE) + loop, 0x3DA, (0, 1, 8, 9), 9, wide=False))
    [0, 1]
    """
    if len(code) != BEFORE + 1 + AFTER or code[BEFORE] != _IN:
        return frozenset()
    return frozenset(al for al in answers if _asks_again(code, port, al, known, wide=wide))


def _asks_again(code: bytes, port: int, al: int, known: int, *, wide: bool) -> bool:
    """Whether the code behind IN leads back there, with an answer of which some bits are known."""
    at, answer = BEFORE + 1, _Answer(al, known)
    for _ in range(_STEPS):
        if at == BEFORE:
            return True
        if not 0 <= at <= len(code) - 3:
            return False
        op, operand = code[at], code[at + 1]
        at += 2
        if op == _NOP:
            at -= 1
        elif op == _MOV_DX and not wide and operand | code[at] << 8 == port:
            at += 1
        elif op == _JMP or op in _JUMPS:
            taken = op == _JMP or answer.takes(op)
            if taken is None:
                return False
            at += (operand ^ 0x80) - 0x80 if taken else 0
        elif not answer.looked_at(op, operand):
            return False
    return False


class _Answer:
    """AL, as far as it is known, and the flags of what has looked at it."""

    def __init__(self, al: int, known: int) -> None:
        self._al, self._known = al, known
        self._flags: dict[str, bool] = {}

    def takes(self, op: int) -> bool | None:
        """Whether a conditional jump is taken; None: that is not known."""
        name, wanted = _JUMPS[op]
        return self._flags[name] == wanted if name in self._flags else None

    def looked_at(self, op: int, operand: int) -> bool:
        """Do an instruction of two bytes; whether what it does is known."""
        al, whole = self._al, self._known == 0xFF
        if op in (_TEST, _AND) and not operand & ~self._known:
            result = al & operand
            if op == _AND:
                self._al, self._known = result, 0xFF
        elif op == _CMP and whole:
            result = al - operand
        elif (op, operand) in _WITH_ITSELF and whole:
            result = al
        elif (op, operand) == _SHR and self._known & 1:
            self._flags, self._known = {"carry": bool(al & 1)}, 0
            return True
        else:
            return False
        self._flags = {"carry": result < 0, "zero": not result, "sign": bool(result & 0x80)}
        return True
