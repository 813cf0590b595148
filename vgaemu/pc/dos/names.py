"""Names of DOS: drives, devices, 8.3 names, patterns.

Emulated: 8.3 names in any case, cut off where they are longer, patterns with `*` and `?`. Names of
the host that are not 8.3 are shown with a tilde and a number, as Windows does it, except those that
begin with a dot, which are hidden. Names of devices are DOS's and those that Windows has: neither
is ever a file. Which drives there are is told by `drives`.
"""

from __future__ import annotations

from collections.abc import Iterable

from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import DRIVE_C
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


def place_drive(place: str) -> int:
    """The drive of a place: of another than C: it has the letter (see `drives`).

    >>> place_drive("sub/a.txt"), place_drive("D:/SUB")
    (2, 3)
    """
    return ord(place[0]) - ord("A") if place[1:2] == ":" else DRIVE_C


def file_name(board: Board, register: str = "dx", segment: str = "ds") -> str:
    """The file name at DS:DX or elsewhere, up to its zero byte.

    Raises:
        DosError: It has control characters.
    """
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
    r"""A name with slashes and without its drive.

    >>> below_drive(r"c:\SUB\A.TXT")
    '/SUB/A.TXT'

    Raises:
        DosError: The drive is not C:.
    """
    if len(name) > 1 and name[1] == ":":
        if name[0].upper() != "C":
            raise DosError(NO_PATH)
        name = name[2:]
    return name.replace("\\", "/")


def without_dots(path: str) -> list[str]:
    """The parts of a path, as DOS takes two dots: before it looks for what is before them.

    >>> without_dots("/SUB/../NONE/./../A.TXT")
    ['A.TXT']

    Raises:
        DosError: They lead out of the root.
    """
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise DosError(NO_PATH)
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


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


def aliases(names: Iterable[str]) -> dict[str, str]:
    r"""Names of a folder that are none of DOS, by the 8.3 names that they are shown with.

    >>> aliases(["a long name.text", "A long number.tex", "ALONGN~1.TEX", "\xe4.c", ".hidden"])
    {'ALONGN~2.TEX': 'A long number.tex', 'ALONGN~3.TEX': 'a long name.text', '_~1.C': 'ä.c'}
    """
    others: list[str] = []
    taken: set[str] = set()
    for name in names:
        upper = name.upper()
        if is_short(upper):
            taken.add(upper)
        elif is_host_name(name) and not name.startswith("."):
            others.append(name)
    found: dict[str, str] = {}
    numbers: dict[tuple[str, str], int] = {}
    for name in sorted(others):
        stem, dot, suffix = name.rpartition(".")
        parts = [_letters(part) for part in ((stem, suffix) if dot else (name, ""))]
        kind = parts[0][:6], parts[1][:3]
        short = ""
        while not short or short in taken:
            numbers[kind] = numbers.get(kind, 0) + 1
            tail = f"~{numbers[kind]}"
            short = parts[0][: 8 - len(tail)] + tail + (f".{kind[1]}" if kind[1] else "")
        taken.add(short)
        found[short] = name
    return found


def _letters(part: str) -> str:
    """What an 8.3 name may have of a part of a longer one."""
    letters = (letter for letter in part.upper() if letter not in " .")
    return "".join(
        letter if letter.isascii() and letter > " " and letter not in FORBIDDEN else "_"
        for letter in letters
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
