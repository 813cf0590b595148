"""Random guests of REP STOS and REP MOVS: a few instructions over and over, with all prefixes,
between memory, the planes in any setting, ROM and what is nowhere; a device's and a table's pages
are reached on the way. In real mode, and in flat protected mode with pages of all rights.
"""

from __future__ import annotations

import random

from protected import DIRECTORY, PG, TABLE, WP, Protected, dword, to_ring_3

#: Segments that begin, end or change into something else within 64 KiB.
SEGMENTS = (
    0x2000, 0x3000, 0x3007, 0x9800, 0x9FF0, 0xA000, 0xA000, 0xA000, 0xA800, 0xAFFF, 0xB000, 0xB800,
    0xB801, 0xBFF0, 0xC000,
)  # fmt: skip
SOURCES = (*SEGMENTS, 0x0000, 0xF000)
#: Linear addresses of the same kind.
PLACES = (
    0x20000, 0x30FFE, 0x9F000, 0xA0000, 0xA0000, 0xA1FF0, 0xAFF00, 0xB8000, 0xBFF00, 0xC0000,
    0x100000, 0x2FFFF0, 0xE0000000, 0xE0007FF8, 0xE00FF000,
)  # fmt: skip
MODES = (0x13, 0x12, 0x0D, 0x0D, 0x12, 0x03, 0x04, 0x06, 0x10)
MODE_SET = "B8 {:02X} 00 CD 10"


def real(seed: int) -> bytes:
    """A disk whose boot sector does so."""
    rng = random.Random(seed)
    code = bytes.fromhex("31 C0 8E D0 BC 00 7C 8E E0 8E E8")
    if rng.random() < 0.9:
        code += bytes.fromhex(MODE_SET.format(rng.choice(MODES)))
    code += b"\xbd" + rng.randrange(1, 4).to_bytes(2, "little")  # mov bp, turns
    top, body = len(code), b""
    while len(code) + len(body) < 440:
        body += _ports(rng) if rng.random() < 0.25 else _real_string(rng)
    code += body + b"\x4d"  # dec bp; jz on; jmp top
    back = top - len(code) - 5
    return (code + b"\x74\x03\xe9" + (back & 0xFFFF).to_bytes(2, "little") + b"\xfa\xf4").ljust(
        510, b"\x90"
    ) + b"\x55\xaa"


def _ports(rng: random.Random, wide: bool = False) -> bytes:
    """mov dx, port; mov ax, value and index; out dx, ax."""
    index = rng.choice((0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 8))
    port, value = 0x3CE, rng.getrandbits(8)
    if index == 5:
        value = rng.choice((0, 1, 1, 2, 3, 0x10, 0x08, 0x09, 0x40, value))
    elif index == 8 and rng.random() < 0.6:
        value = 0xFF
    elif index == 6:
        value = rng.choice((0x00, 0x05, 0x05, 0x09, 0x0D, 0x0E))
    if rng.random() < 0.3:
        port, index, value = 0x3C4, *rng.choice(((2, value), (2, 15), (4, 6), (4, 2), (4, 14)))
    size = b"\x66" if wide else b""
    moves = size + b"\xba" + port.to_bytes(2, "little") + size + b"\xb8" + bytes((index, value))
    return moves + size + b"\xef"


def _real_string(rng: random.Random) -> bytes:
    # mov ax, segment; mov es, ax; and the same of DS
    code = b"\xb8" + rng.choice(SEGMENTS).to_bytes(2, "little") + b"\x8e\xc0"
    code += b"\xb8" + rng.choice(SOURCES).to_bytes(2, "little") + b"\x8e\xd8"
    to, out, count = rng.choice((0, 0, 0x1F00, 0x8000, rng.getrandbits(16))), rng.getrandbits(16), 0
    if rng.random() < 0.3:
        out = to + rng.choice((0, 1, 2, 3, 4, -1, -2, 0x50)) & 0xFFFF
    count = rng.choice((0, 1, 5, 6, 40, 0x200, rng.randrange(0x2000), rng.randrange(0x8000)))
    # mov edi, to; mov esi, from; mov ecx, count; mov eax, anything
    values = to, out, count, rng.choice((0, 0x55555555, 0xFFFF, rng.getrandbits(32)))
    registers = zip((0xBF, 0xBE, 0xB9, 0xB8), values, strict=True)
    code += b"".join(b"\x66" + bytes((register,)) + dword(value) for register, value in registers)
    return code + _instruction(rng)


def _instruction(rng: random.Random) -> bytes:
    prefixes = [rng.choice((b"\xf3", b"\xf3", b"\xf2"))]
    if rng.random() < 0.3:
        prefixes.append(b"\x66")
    if rng.random() < 0.2:
        prefixes.append(b"\x67")
    if rng.random() < 0.2:
        prefixes.append(rng.choice((b"\x26", b"\x2e", b"\x36", b"\x3e", b"\x64", b"\x65")))
    rng.shuffle(prefixes)
    opcode = rng.choice((b"\xaa", b"\xab", b"\xa4", b"\xa5"))
    down = rng.random() < 0.1
    whole = b"".join(prefixes) + opcode
    return b"\xfd" + whole + b"\xfc" if down else whole


def protected(seed: int) -> bytes:
    """A floppy that boots into protected mode, goes to ring 3 perhaps, and does so."""
    rng = random.Random(seed)
    paged = rng.random() < 0.8
    guest = Protected(cr0=0x11 | (rng.choice((PG, PG | WP)) if paged else 0))
    for _ in range(rng.choice((0, 2, 8))):
        at = rng.choice(PLACES) >> 12 & 0x3FF
        rights = rng.choice((0, 1, 3, 5, 7, 7))
        to = rng.choice((at << 12, 0xA0000, 0xA1000, 0x30000, 0x200000, 0xE0000000))
        if not 0x7000 <= at << 12 <= TABLE:
            guest.put(TABLE + 4 * at, dword(to | rights))
    guest.put(DIRECTORY + 4 * 0x380, dword(0xE0000000 | 0x87))
    guest.cr4 = 0x10  # large pages
    code = b"".join(_protected_string(rng) for _ in range(12)) + b"\xeb\xfe"
    guest.program = guest.code = code[:0xC00]
    if rng.random() < 0.3:
        guest.code = to_ring_3()
    else:
        ports = b"".join(_ports(rng, wide=True) for _ in range(6))
        guest.code = (ports + code)[:0xE00]
    return guest.image()


def _protected_string(rng: random.Random) -> bytes:
    to, out = (rng.choice(PLACES) + rng.choice((0, 0, 1, 2, 4, 0xF00)) for _ in range(2))
    if rng.random() < 0.3:
        out = to + rng.choice((0, 1, 2, 3, 4, -1, -2, 0x50))
    count = rng.choice((0, 1, 5, 6, 0x200, rng.randrange(0x2000), rng.randrange(0x5000)))
    values = to, out, count, rng.choice((0, 0x55555555, 0xFFFF, rng.getrandbits(32)))
    registers = zip((0xBF, 0xBE, 0xB9, 0xB8), values, strict=True)
    moves = b"".join(bytes((register,)) + dword(value) for register, value in registers)
    return moves + _instruction(rng)
