"""DOS file names: 8.3, patterns as FCBs have them, names of devices.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from vgaemu.pc.dos.caller import NO_PATH, DosError

#: Device names, whatever folder and suffix they come with.
DEVICES = frozenset(
    ["CON", "NUL", "AUX", "PRN", "CLOCK$"]
    + [f"COM{n}" for n in range(1, 5)]
    + [f"LPT{n}" for n in range(1, 4)]
)
#: What no 8.3 name has in it, besides control characters.
FORBIDDEN = frozenset(' "*+,/:;<=>?[\\]|')


def below_drive(name: str) -> str:
    r"""A name with slashes and without its drive, which must be C:.

    Raises:
        DosError: It is another drive.

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


def short_name(name: str) -> str:
    """A name as a file's that is made: what is more than 8.3 is cut off.

    Raises:
        DosError: It is no name.
    """
    short = cut_off(name)
    if not is_short(short, ascii_only=False):
        raise DosError(NO_PATH)
    return short


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
