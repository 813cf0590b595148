"""INT 10h, a row a fact: what is called, and what it leaves; `int10_run` plays them.

The rows are in ``int10_table.txt``; ``python int10_table.py`` makes ``docs/int10h.md`` of them. A
row begins with its function, what the fact is about, and where it stands, by `SOURCES`. Then come
the calls before (or memory that is put), the call, and what it leaves: in the words of `int10_run`.
What SeaVGABIOS (``sea``) and the LGPL VGABIOS (``lgpl``) leave instead follows.
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
    "D": "DOSBox, which follows IBM's VGA BIOS",
    "V": "VESA BIOS Extension 2.0",
    "-": "a choice: no source says it, or they differ",
}
#: Others' BIOSes by their key in the table: name, and the ROM where Debian puts it.
OTHERS = {
    "sea": ("SeaVGABIOS 1.16", "/usr/share/seabios/vgabios-isavga.bin"),
    "lgpl": ("LGPL VGABIOS 0.8a", "/usr/share/vgabios/vgabios.bin"),
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


def rows() -> list[Row]:
    """The table."""
    found = []
    for block in re.split(r"\n(?=\S)", TABLE.read_text("ascii").strip()):
        head, *lines = block.split("\n")
        match = HEAD.fullmatch(head)
        if match is None:
            raise ValueError(f"{TABLE.name}: {head}")
        said = dict(line.split(None, 1) for line in lines if line.strip())
        others = {key: said[key] for key in OTHERS if key in said}
        found.append(
            Row(**match.groupdict(), before=said.get("before", ""), call=said["call"],
                after=said["after"], others=others)
        )  # fmt: skip
    return found
