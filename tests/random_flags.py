"""Random programs whose registers and memory hang on arithmetic flags: boot sectors up to a HLT.

Flags that the processor's manual leaves undefined are looked at by none: BT and its like, shifts
by more than 1, multiplications and decimal corrections are not among them, nor is AF.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

#: Segments 0, the stack's end at 7000h, up.
BEGIN = bytes.fromhex("31 C0 8E D8 8E C0 8E D0 BC 00 70 FC")
#: pushf; pop ax; and ax, those that are looked at; mov [642h], ax; cli; hlt
END = bytes.fromhex("9C 58 25 C1 08 A3 42 06 FA F4")
#: Where programs keep what they compute, and how much.
DATA, DATA_BYTES = 0x600, 0x60
#: General registers but SP; conditions but those of parity, which is of one byte alone.
WORDS, CONDITIONS = (0, 1, 2, 3, 5, 6, 7), (*range(10), 12, 13, 14, 15)
ROOM = 430
Random = random.Random


def _operand(rng: Random, register: int, wide: int) -> bytes:
    """A ModRM byte: memory, or another register."""
    if rng.random() < 0.3:
        return bytes([0x06 | register << 3]) + (DATA + rng.randrange(64)).to_bytes(2, "little")
    other = rng.choice(WORDS) if wide else rng.randrange(8)
    return bytes([0xC0 | register << 3 | other])


def _sized(rng: Random, opcode: bytes, extensions: tuple[int, ...] = ()) -> bytes:
    """One of bytes or words, whose last bit says which; of a register, or one of these."""
    wide = rng.randrange(2)
    register = rng.choice(extensions or (WORDS if wide else tuple(range(8))))
    return opcode[:-1] + bytes([opcode[-1] | wide]) + _operand(rng, register, wide)


def _arithmetic(rng: Random) -> bytes:
    return _sized(rng, bytes([rng.randrange(8) << 3 | rng.choice((0, 2))]))


def _immediate(rng: Random) -> bytes:
    wide = rng.randrange(2)
    return bytes([0x80 | wide]) + _operand(rng, rng.randrange(8), wide) + rng.randbytes(1 + wide)


def _wide(rng: Random) -> bytes:
    registers = 0xC0 | rng.choice(WORDS) << 3 | rng.choice(WORDS)
    return bytes([0x66, rng.randrange(8) << 3 | 1, registers])


def _condition(rng: Random) -> bytes:
    """SETcc."""
    return bytes([0x0F, 0x90 | rng.choice(CONDITIONS), 0xC0 | rng.randrange(8)])


def _jump(rng: Random) -> bytes:
    """Jcc past an INC."""
    return bytes([0x70 | rng.choice(CONDITIONS), 1, 0x40 | rng.choice(WORDS)])


def _loop(rng: Random) -> bytes:
    """LOOPNE, LOOPE, LOOP or JCXZ past a MOV, most often behind arithmetic, and by their count."""
    past = bytes([0xB8 | rng.choice(WORDS)]) + rng.randbytes(2)
    before = b""
    if rng.random() < 0.7:
        before = bytes([0xB9, rng.randrange(3), 0])
        if rng.random() < 0.8:
            before += bytes([rng.randrange(8) << 3, 0xC0 | rng.randrange(64)])
    return before + bytes([0xE0 + rng.randrange(4), len(past)]) + past


def _string(rng: Random) -> bytes:
    """REPE or REPNE, CMPS or SCAS, up to four times."""
    begin = bytes.fromhex("BF 00 06 BE 20 06 B9") + bytes([rng.randrange(5), 0])
    return begin + bytes([rng.choice((0xF2, 0xF3)), rng.choice((0xA6, 0xA7, 0xAE, 0xAF))])


def _lahf(rng: Random) -> bytes:
    """LAHF without AF and PF, or SAHF."""
    return rng.choice((bytes.fromhex("9F 80 E4 C1"), b"\x9e"))


def _pushf(rng: Random) -> bytes:
    """pushf; pop ax; and ax, 8C1h; add [640h], ax"""
    return bytes.fromhex("9C 58 25 C1 08 01 06 40 06")


#: INC, DEC; NOT, NEG; rotations and shifts by 1; TEST, MOV, XADD, CMPXCHG; CMC, CLC, STC.
MAKERS: tuple[Callable[[Random], bytes], ...] = (
    *4 * (_arithmetic,),
    _immediate, _wide, _condition, _jump, *2 * (_loop,), _string, _lahf, _pushf,
    partial(_sized, opcode=b"\xfe", extensions=(0, 1)),
    partial(_sized, opcode=b"\xf6", extensions=(2, 3)),
    partial(_sized, opcode=b"\xd0", extensions=(0, 1, 2, 3, 4, 5, 7)),
    *(partial(_sized, opcode=code) for code in (b"\x84", b"\x88", b"\x8a")),
    *(partial(_sized, opcode=b"\x0f" + code) for code in (b"\xc0", b"\xb0")),
    lambda rng: bytes([rng.choice((0xF5, 0xF8, 0xF9))]),
)  # fmt: skip


def program(seed: int) -> bytes:
    """One of them."""
    rng = Random(seed)
    made = BEGIN + b"".join(bytes([0xB8 | word]) + rng.randbytes(2) for word in WORDS)
    while len(made) < ROOM:
        made += rng.choice(MAKERS)(rng)
    return made + END
