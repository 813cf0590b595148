"""INT 10h, a row a fact: what is called, and what it leaves; `int10_run` plays them.

The rows are in ``int10_table.txt``; ``python int10_table.py`` makes ``docs/int10h.md`` of them. A
row begins with its function, what the fact is about, and where it stands, by `SOURCES`. Then come
the calls before (or memory that is put), the call, and what it leaves: in the words of `int10_run`.
What SeaVGABIOS (``sea``), the LGPL VGABIOS (``lgpl``) and DOSBox (``dosbox``) leave instead comes
then, and a ``note``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("int10_table.txt")
#: Where a fact stands; in the order of what is believed.
SOURCES = {
    "T": "IBM PS/2 and PC BIOS Interface Technical Reference",
    "L": "the listing of IBM's EGA BIOS in its Technical Reference, from which the VGA's goes on",
    "B": "R. Brown's interrupt list: INT 10h, MEM 0040h",
    "D": "DOSBox Staging, which follows IBM's VGA BIOS",
    "V": "VESA BIOS Extension 2.0",
    "-": "a choice: no source says it, or they differ",
}


class Other(NamedTuple):
    """Another BIOS."""

    name: str
    #: Where Debian puts it, in which package, and the CRC-32 of the version that was compared.
    path: str
    package: str
    crc: int


#: By their keys in the table.
OTHERS = {
    "sea": Other(
        "SeaVGABIOS 1.16.2", "/usr/share/seabios/vgabios-isavga.bin", "seabios", 0xBEA630F7
    ),
    "lgpl": Other("LGPL VGABIOS 0.8a", "/usr/share/vgabios/vgabios.bin", "vgabios", 0xAC49B94F),
}
#: All that are compared, by key; DOSBox is played by `int10_dosbox`.
NAMES = {key: other.name for key, other in OTHERS.items()} | {"dosbox": "DOSBox 0.74-3"}
#: What the functions are.
TITLES = {
    "00h": "set a mode", "01h": "the cursor's shape", "02h": "put the cursor",
    "03h": "where the cursor is", "04h": "light pen", "05h": "show a page", "06h": "scroll up",
    "07h": "scroll down", "08h": "read a character", "09h": "write characters and attributes",
    "0Ah": "write characters", "0Bh": "a CGA's colours", "0Ch": "write a pixel",
    "0Dh": "read a pixel", "0Eh": "teletype", "0Fh": "which mode", "10h": "palette",
    "11h": "fonts", "12h": "options", "13h": "write a string", "1Ah": "display combination",
    "1Bh": "state", "1Ch": "save and restore", "4F00h": "VBE: what there is",
    "4F01h": "VBE: a mode's facts", "4F02h": "VBE: set a mode", "4F04h": "VBE: save and restore",
    "4F05h": "VBE: window", "4F06h": "VBE: pitch", "4F07h": "VBE: start of the picture",
    "4F08h": "VBE: width of colours", "4F09h": "VBE: colours",
    "4F0Ah": "VBE: protected-mode interface", "4F10h": "VBE: power", "4F15h": "VBE: monitor",
}  # fmt: skip
#: Bytes of the video data area, with what their bits are.
AREA = (*range(0x449, 0x467), *range(0x484, 0x48B), *range(0x4A8, 0x4AC))
BITS = {
    0x44C: "after a font has been loaded: rows x columns x 2 + 100h",
    0x460: "as programs asked, not as it was emulated",
    0x465: "bit 0: 80 columns, 1: graphics, 2: grey, 3: picture on, 4: 640 dots, 5: blinking",
    0x466: "bits 0-4: border, background or bright colours, 5: cyan, magenta and white",
    0x487: "bit 0: cursors are not emulated, 5-6: 256 KiB, 7: memory was not cleared",
    0x488: "bits 0-3: 8 (200 lines) or 9, 4-7: feature connector",
    0x489: "bit 0: VGA, 1: greys, 3: mode sets load no palette, 4: 400 lines, 6: set, 7: 200 lines",
    0x48A: "0Bh: the VGA alone",
    0x4A8: "mode parameters, then 0, 0, 0, and the second table, which has the combinations",
}
HEAD = re.compile(r"(?P<function>\w+) (?P<about>.+) \[(?P<source>[TLBDV-]+)\]")


class Row(NamedTuple):
    """A fact."""

    function: str
    about: str
    source: str
    before: str
    call: str
    after: str
    #: What others' BIOSes leave instead.
    others: dict[str, str]
    #: Why it is so.
    note: str

    @property
    def right(self) -> str:
        """Who is, where others differ."""
        return self.note or f"the table: {', '.join(self.source)}"


def rows() -> list[Row]:
    """The table."""
    found = []
    for block in re.split(r"\n(?=\S)", TABLE.read_text("ascii").strip()):
        head, *lines = block.split("\n")
        match = HEAD.fullmatch(head)
        if match is None:
            raise ValueError(f"{TABLE.name}: {head}")
        said = dict(line.split(None, 1) for line in lines if line.strip())
        others = {key: said[key] for key in NAMES if key in said}
        found.append(
            Row(**match.groupdict(), before=said.get("before", ""), call=said["call"],
                after=said["after"], others=others, note=said.get("note", ""))
        )  # fmt: skip
    return found


def named(row: Row) -> set[int]:
    """Bytes of the data area that a fact is about."""
    found = set()
    for word in row.after.split():
        name, _, digits = word.partition("=")
        if name.startswith("40:"):
            at = 0x400 + int(name[3:], 16)
            found |= set(range(at, at + len(digits) // 2))
    return found
