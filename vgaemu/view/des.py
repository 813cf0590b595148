"""DES of a block, which VncAuth answers its challenge with.

Not here: decryption and modes. It is no protection any more, and of a password it takes eight
characters; that is what VNC's clients ask. Who looks over a network that others use does so
through ssh.

Sources: FIPS PUB 46-3; RFC 6143, 7.2.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# fmt: off
#: Initial permutation: each bit of the result is which of the block, counted from 1.
_IP = tuple(first - 8 * i for first in (58, 60, 62, 64, 57, 59, 61, 63) for i in range(8))
#: Its inverse, at the end.
_FP = tuple(_IP.index(bit) + 1 for bit in range(1, 65))
#: A half becomes eight groups of six bits, that share their outer ones with their neighbours.
_E = tuple((4 * group + bit - 1) % 32 + 1 for group in range(8) for bit in range(6))
_P = (16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
      2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25)
_PC1 = (57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3,
        60, 52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45,
        37, 29, 21, 13, 5, 28, 20, 12, 4)
_PC2 = (14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
        41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36,
        29, 32)
#: Rotations of the key's halves before each round.
_ROTATIONS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
#: S1 to S8: four rows of sixteen, a hexadecimal digit each.
_S = (
    "E4D12FB83A6C5907 0F74E2D1A6CB9538 41E8D62BFC973A50 FC8249175B3EA06D",
    "F18E6B34972DC05A 3D47F28EC01A69B5 0E7BA4D158C6932F D8A13F42B67C05E9",
    "A09E63F51DC7B428 D709346A285ECBF1 D6498F30B12C5AE7 1AD069874FE3B52C",
    "7DE3069A1285BC4F D8B56F03472C1AE9 A690CB7DF13E5284 3F06A1D8945BC72E",
    "2C417AB6853FD0E9 EB2C47D150FA3986 421BAD78F9C5630E B8C71E2D6F09A453",
    "C1AF92680D34E75B AF427C9561DE0B38 9EF528C3704A1DB6 432C95FABE17608D",
    "4B2EF08D3C975A61 D0B7491AE35C2F86 14BDC37EAF680592 6BD814A7950FE23C",
    "D2846FB1A93E50C7 1FD8A374C56B0E92 7B419CE206ADF358 21E74A8DFC90356B",
)
# fmt: on

_BOXES = tuple([int(digit, 16) for digit in box.replace(" ", "")] for box in _S)


def encrypt(key: bytes, block: bytes) -> bytes:
    """DES of 8 bytes under a key of 8, whose bits 0 are parity and do not count.

    >>> encrypt(bytes.fromhex("133457799BBCDFF1"), bytes.fromhex("0123456789ABCDEF")).hex()
    '85e813540f0ab405'
    """
    bits = _pick(int.from_bytes(block, "big"), 64, _IP)
    left, right = bits >> 32, bits & 0xFFFF_FFFF
    for round_key in _round_keys(key):
        left, right = right, left ^ _mix(right, round_key)
    return _pick(right << 32 | left, 64, _FP).to_bytes(8, "big")


def vnc_response(password: bytes, challenge: bytes) -> bytes:
    """What proves that a viewer knows the password: the challenge, encrypted block by block.

    The key is the password's first 8 bytes, filled up with zeros, the bits of each turned around.

    Args:
        password: At least one byte.
        challenge: 16 bytes.
    """
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password[:8].ljust(8, b"\0"))
    return b"".join(encrypt(key, challenge[at : at + 8]) for at in range(0, len(challenge), 8))


def _pick(value: int, width: int, table: Sequence[int]) -> int:
    """A number of the bits of another, which is `width` bits wide and counts them from its top."""
    picked = 0
    for bit in table:
        picked = picked << 1 | value >> (width - bit) & 1
    return picked


def _round_keys(key: bytes) -> Iterator[int]:
    """Sixteen of 48 bits."""
    halves = _pick(int.from_bytes(key, "big"), 64, _PC1)
    c, d = halves >> 28, halves & 0xFFF_FFFF
    for turns in _ROTATIONS:
        c = (c << turns | c >> (28 - turns)) & 0xFFF_FFFF
        d = (d << turns | d >> (28 - turns)) & 0xFFF_FFFF
        yield _pick(c << 28 | d, 56, _PC2)


def _mix(half: int, round_key: int) -> int:
    """The round's function of a half."""
    mixed, six = 0, _pick(half, 32, _E) ^ round_key
    for i, box in enumerate(_BOXES):
        group = six >> (42 - 6 * i) & 0x3F
        # The outer bits are the row, the inner ones the column.
        mixed = mixed << 4 | box[(group & 0x20 | (group & 1) << 4) + (group >> 1 & 0xF)]
    return _pick(mixed, 32, _P)
