"""FCBs, file control blocks: names in the form of DOS 1, and what a command line becomes in them.

Emulated: INT 21h/29h, the two FCBs of a program's prefix. Files and searches by FCB are
`fcb_files`.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import last_drive
from vgaemu.pc.dos.names import MAX_NAME

#: Drive, name, suffix; then block and record size, which are set to 0.
NAMED_BYTES, FCB_BYTES = 12, 16
#: Drives A: to C: are there, at least; a name may be of one.
DRIVES = 3
#: AL of INT 21h/29h: go past a separator; leave drive, name, suffix as they are if there is none.
SKIP_SEPARATOR, KEEP_DRIVE, KEEP_NAME, KEEP_SUFFIX = 1, 2, 4, 8
#: What it says in AL: this is a pattern; there is no such drive.
PATTERN, NO_DRIVE = 0x01, 0xFF
BLANKS = b" \t"
SEPARATORS = BLANKS + b":;,=+<|>"
#: What ends a name, besides control characters.
ENDS = frozenset(SEPARATORS + b'."/\\[]' + bytes(range(32)))


def parse_name(
    text: bytes, options: int = SKIP_SEPARATOR, fcb: bytes = bytes(FCB_BYTES), drives: int = DRIVES
) -> tuple[int, bytes, int]:
    r"""How much of a text was gone through, the FCB that it makes of another, and AL.

    >>> parse_name(b" c:a*.txt 1")
    (9, b'\x03A???????TXT\x00\x00\x00\x00', 1)
    """
    drive, name, suffix = fcb[0], fcb[1:9], fcb[9:12]
    drive = drive if options & KEEP_DRIVE else 0
    name = name if options & KEEP_NAME else b" " * 8
    suffix = suffix if options & KEEP_SUFFIX else b" " * 3
    at, said, found = _past_blanks(text, 0), 0, b""
    if options & SKIP_SEPARATOR and text[at : at + 1] in SEPARATORS:
        at = _past_blanks(text, at + 1)
    if _word(text, at) and text[at + 1 : at + 2] == b":":
        drive = text[at : at + 1].upper()[0] - ord("@") & 0xFF
        said = 0 if 1 <= drive <= max(drives, DRIVES) else NO_DRIVE
        at += 2
    word = _word(text, at)
    if word:
        at += len(word)
        name = found = _filled(word, 8)
    if text[at : at + 1] == b".":
        word = _word(text, at + 1)
        at += 1 + len(word)
        suffix = _filled(word, 3)
        found += suffix
    if b"?" in found:
        said |= PATTERN
    return at, bytes((drive,)) + name + suffix + bytes(FCB_BYTES - NAMED_BYTES), said


def _past_blanks(text: bytes, at: int) -> int:
    return len(text) - len(text[at:].lstrip(BLANKS))


def _word(text: bytes, at: int) -> bytes:
    """What comes before the next end of a name."""
    end = next((i for i in range(at, len(text)) if text[i] in ENDS), len(text))
    return text[at:end]


def _filled(word: bytes, width: int) -> bytes:
    """A part of a name in capitals; a star is question marks up to the end."""
    before, star, _ = word.upper().partition(b"*")
    return before[:width].ljust(width, b"?" if star else b" ")


def parse_call(board: Board) -> None:
    """INT 21h/29h: parse the text at DS:SI, which goes on, into the FCB at ES:DI."""
    cpu, bus = board.cpu, board.bus
    text, fcb = bus.read(cpu.linear("ds", "si"), MAX_NAME), cpu.linear("es", "di")
    count, made, said = parse_name(text, cpu.al, bus.read(fcb, FCB_BYTES), last_drive(bus))
    bus.write(fcb, made)
    cpu.si = cpu.si + count
    cpu.al = said


def prefix_fcbs(command_line: bytes, drives: int) -> tuple[bytes, bytes, int]:
    """The FCBs of the first two words of a command line, and AX: whether their drives are there."""
    count, first, said = parse_name(command_line, drives=drives)
    rest = command_line[count:].lstrip(bytes({*range(33, 256)} - {*SEPARATORS}))
    _, second, said_second = parse_name(rest, drives=drives)
    states = (NO_DRIVE if state == NO_DRIVE else 0 for state in (said, said_second))
    return first, second, int.from_bytes(bytes(states), "little")
