"""Names of DOS: drives, devices, 8.3 names, patterns.

Emulated: one drive C:, names of 8.3 in any case, cut off where they are longer, patterns with `*`
and `?`. Names of devices are DOS's and those that Windows has: neither is ever a file.
"""

from __future__ import annotations

from vgaemu.pc.board import Board
from vgaemu.pc.dos.errors import NO_PATH, DosError
from vgaemu.vga.codepage import to_unicode

#: Device names, whatever folder and suffix they come with.
DEVICES = frozenset(
    ["CON", "NUL", "AUX", "PRN", "CLOCK$", "CONIN$", "CONOUT$"]
    # Windows takes the superscripts for digits.
    + [port + digit for port in ("COM", "LPT") for digit in "123456789\xb9\xb2\xb3"]
)
#: Bytes of a name that are looked at.
MAX_NAME = 128
#: What no 8.3 name has in it, besides control characters.
FORBIDDEN = frozenset(' "*+,/:;<=>?[\\]|')
#: What no name of a file of the host has in it if a program is to open that: a colon leads to
#: another drive, or to a stream of a file of Windows.
NEVER_OPENED = frozenset("\0/\\:")


def file_name(board: Board, register: str = "dx", segment: str = "ds") -> str:
    """The file name at DS:DX or elsewhere, up to its zero byte; none has control characters."""
    raw = board.bus.read(board.cpu.linear(segment, register), MAX_NAME).partition(b"\0")[0]
    if raw and min(raw) < 0x20:
        raise DosError(NO_PATH)
    return to_unicode(raw)


def is_host_name(name: str) -> bool:
    """Whether programs may open a file or folder of the host that has this name.

    >>> is_host_name("a long name.text"), is_host_name("A.TXT:S"), is_host_name("com7.txt")
    (True, False, False)
    """
    return NEVER_OPENED.isdisjoint(name) and device_of(name) is None


def below_drive(name: str) -> str:
    r"""A name with slashes and without its drive, which must be C:.

    >>> below_drive(r"c:\SUB\A.TXT")
    '/SUB/A.TXT'
    """
    if len(name) > 1 and name[1] == ":":
        if name[0].upper() != "C":
            raise DosError(NO_PATH)
        name = name[2:]
    return name.replace("\\", "/")


def device_of(name: str) -> str | None:
    r"""The device that a name means, or None.

    >>> device_of(r"C:\SUB\con.txt"), device_of("console")
    ('CON', None)
    """
    last = name.replace("\\", "/").rpartition("/")[2].rpartition(":")[2]
    stem = last.partition(".")[0].rstrip().upper()
    return stem if stem in DEVICES else None


def cut_off(name: str) -> str:
    """A name without what is more than 8.3.

    >>> cut_off("longfilename.text")
    'longfile.tex'
    """
    stem, dot, suffix = name.partition(".")
    return stem[:8] + (dot + suffix[:3] if suffix else "")


def is_short(name: str, *, ascii_only: bool = True) -> bool:
    """Whether a name is 8.3, of letters that such names have."""
    stem, _, suffix = name.partition(".")
    return (
        0 < len(stem) <= 8
        and len(suffix) <= 3
        and "." not in suffix
        and FORBIDDEN.isdisjoint(name)
        and all(letter >= " " for letter in name)
        and (not ascii_only or name.isascii())
    )


def fcb_name(name: str) -> bytes:
    """A name or pattern as 11 characters; a star is question marks up to the end.

    >>> fcb_name("R*.*"), fcb_name("*."), fcb_name("..")
    (b'R??????????', b'????????   ', b'..         ')
    """
    if name in (".", ".."):
        return name.ljust(11).encode("ascii")
    stem, _, suffix = name.upper().partition(".")
    parts = []
    for part, width in ((stem, 8), (suffix, 3)):
        before, star, _ = part.partition("*")
        parts.append(before[:width].ljust(width, "?" if star else " "))
    return "".join(parts).encode("cp437", "replace")


def matches(name: str, pattern: bytes) -> bool:
    """Whether an 8.3 name is what a pattern looks for.

    >>> matches("README.TXT", fcb_name("r*.?xt"))
    True
    """
    return all(b in (a, ord("?")) for a, b in zip(fcb_name(name), pattern, strict=True))
