"""The rows of `docs/register-bits.md`, and what a change of one bit does to a device."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vram_planes import planes_of, put_planes

from vgaemu.display.screen import BLINK_FRAMES, full_redraw
from vgaemu.memslot import Memslot
from vgaemu.vga.beam import NOT_DISPLAYING, VirtualBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.layout import LEGACY_DWORDS
from vgaemu.vga.modes import set_mode
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.scanout import Scanout, scanout_of

PAGE = Path(__file__).parents[1] / "docs" / "register-bits.md"

#: Columns of the page, and the BIOS modes that they begin as.
MODES = {"text": 0x03, "12h": 0x12, "13h": 0x13, "X": 0x13}
ROW = re.compile(r"\| ((?:3C|SR|CR|GR|AR)[\w-]*) \| ([\d-]+) \|(.*)\|")
WHERE = re.compile(r"(3C|SR|CR|GR|AR)(\w\w?)(?:b(\d))? = (\w+)")


class Place(NamedTuple):
    """A register: a port of its own (3C), or an index in one of the banks."""

    bank: str
    index: int


@dataclass
class Row:
    """What each of some bits does."""

    places: Sequence[Place]
    bits: Sequence[int]
    names: Sequence[str]
    #: Mode -> what changes.
    effects: dict[str, set[str]]
    where: str
    what: str

    @property
    def title(self) -> str:
        first, last = self.places[0], self.places[-1]
        rest = f"-{last.index:02X}" if last != first else ""
        return f"{first.bank}{first.index:02X}{rest} bits {self.bits} {self.where}".rstrip()


def numbers(text: str, base: int = 10) -> range:
    """``3`` or ``0-7``, both ends included."""
    first, _, last = text.partition("-")
    return range(int(first, base), int(last or first, base) + 1)


def rows() -> list[Row]:
    """All rows of the page."""
    found = []
    for register, bits, rest in ROW.findall(PAGE.read_text("utf-8")):
        names, *cells, where, what = (cell.strip() for cell in rest.split("|"))
        effects = {
            mode: set(re.findall(r"\w+", cell)) for mode, cell in zip(MODES, cells, strict=True)
        }
        places = [Place(register[:2], index) for index in numbers(register[2:], 16)]
        found.append(
            Row(places, numbers(bits), re.findall(r"`(\w+)`", names), effects, where, what)
        )
    return found


@cache
def _content() -> Any:
    """Random VRAM whose text has few characters; some are underlined, blink, or C0h-DFh."""
    chance = np.random.default_rng(7)
    planes = chance.integers(0, 256, (LEGACY_DWORDS, 4), np.uint8)
    planes[:, 0] = chance.choice([0x41, 0xC4], LEGACY_DWORDS)
    attributes = bytearray.fromhex("01101224364A5C6E831527394B5DEF78")  # every colour
    planes[:, 1] = chance.choice(attributes, LEGACY_DWORDS)
    return planes


def device(mode: str) -> Vga:
    """A device with a picture on which every bit can matter."""
    vga = Vga(Memslot(64))
    vga.beam = beam = VirtualBeam()
    beam.place(None)  # it moves when it is told to, so that nothing happens in mid-picture
    set_mode(vga, MODES[mode])
    ports = Ports(vga)
    if mode == "X":
        ports.set(SEQ, 4, 0x06)
        ports.set_all(ports.crtc, {0x14: 0x00, 0x17: 0xE3})
    ports["protect"] = 0
    ports["vertical_display_end"] = 119
    ports["line_compare"] = 60
    ports["start_address"] = 0x0123
    ports["cursor_location"] = 0x0130
    ports.set_all(ports.crtc, {0x0A: 0x03, 0x0B: 0x09})
    ports.set_attribute(0x13, 2)
    colours = np.random.default_rng(3).permutation(64**3)[:256]
    ports.write_dac(0, [int(c) >> shift & 0x3F for c in colours for shift in (12, 6, 0)])
    put_planes(vga, _content())
    return vga


def read(vga: Vga, place: Place) -> int:
    """A register's value, by its port."""
    ports, (bank, index) = Ports(vga), place
    match bank:
        case "3C":
            vga.inb(ports.status)
            return vga.inb(0x3CC if index == 2 else 0x3C0 | index)
        case "AR":
            return ports.get_attribute(index)
        case _:
            return ports.get(_index_port(ports, bank), index)


def write(vga: Vga, place: Place, value: int) -> None:
    ports, (bank, index) = Ports(vga), place
    match bank:
        case "3C":
            vga.inb(ports.status)
            vga.outb(ports.status if index == 0xA else 0x3C0 | index, value)
        case "AR":
            ports.set_attribute(index, value)
        case _:
            ports.set(_index_port(ports, bank), index, value)


def _index_port(ports: Ports, bank: str) -> int:
    return ports.crtc if bank == "CR" else {"SR": SEQ, "GR": GC}[bank]


def prepare(vga: Vga, where: str) -> None:
    """Set what a row's *where* names."""
    for bank, index, bit, value in WHERE.findall(where):
        place, number = Place(bank, int(index, 16)), int(value, 16)
        if bit:
            number = read(vga, place) & ~(1 << int(bit)) | number << int(bit)
        write(vga, place, number)


#: Border, frame: one in each half of a blink; and what changes where they are drawn otherwise.
DRAWN = {
    (False, 0): "picture", (False, BLINK_FRAMES): "picture",
    (True, 0): "border", (True, BLINK_FRAMES): "border",
}  # fmt: skip

#: What the page calls both together.
BLANKING = {"picture": "blanking", "border": "blanking"}


def _scanout(vga: Vga, border: bool, frame: int) -> Scanout:
    return scanout_of(vga, cursor_phase=not frame, blink_phase=not frame, border=border)


def _look(vga: Vga) -> dict[str, object]:
    """What a device does besides showing a picture, by effect."""
    shape = _scanout(vga, border=False, frame=0).aspect
    return {"shape": shape, "timing": vga.timing, "ports": _ports(vga), "CPU": _cpu(vga)}


def _ports(vga: Vga) -> list[int]:
    """Which ports answer, what those of status say, and whether CR00 can be written."""
    ports, beam = Ports(vga), vga.beam
    assert isinstance(beam, VirtualBeam)
    beam.ns = ceil(8 * vga.timing.frame_ns) + 1  # in line 0; retraces have begun since
    answers = [vga.inb(port) & ~NOT_DISPLAYING for port in (0x3BA, 0x3DA, 0x3C2)]
    answers += [vga.inb(port) == 0xFF for port in (0x3B4, 0x3D4)]
    beam.ns = 0
    total = ports["horizontal_total"]
    ports["horizontal_total"] = total ^ 1
    answers.append(ports["horizontal_total"] ^ total)
    ports["horizontal_total"] = total
    return answers


#: Addresses in each of the windows, in each place that four bytes can have.
LOADED = (0xA0000, 0xA0402, 0xA0103, 0xA8001, 0xB0004, 0xB0007, 0xB8000, 0xB8001, 0xB8106)


def _cpu(vga: Vga) -> tuple[list[object], bytes]:
    """What loads bring and latch, and the planes after some stores."""
    seen: list[object] = []
    vga.latch = 0x5AC33C96
    for gpa in LOADED:
        seen += [vga.load(gpa, 1), vga.latch]
        vga.store(gpa + 8, b"\x96")
        vga.store(gpa + 17, b"\x3b")
    return seen, planes_of(vga).tobytes()


class Subject:
    """A device of which one bit after another is changed."""

    def __init__(self, mode: str, where: str = "") -> None:
        self.vga = vga = device(mode)
        prepare(vga, where)
        self._planes = planes_of(vga)
        self._scanouts = {key: _scanout(vga, *key) for key in DRAWN}
        self._frames = {key: self._draw(*key) for key in DRAWN}
        self._before = _look(vga)
        self._put_back()

    def changed_by(self, place: Place, bit: int) -> set[str]:
        """What another value of one bit changes; the device is as before afterwards."""
        vga, value = self.vga, read(self.vga, place)
        write(vga, place, value ^ 1 << bit)
        assert read(vga, place) == value ^ 1 << bit
        drawn = (effect for key, effect in DRAWN.items() if self._is_drawn_otherwise(*key))
        changed = {effect for effect in (next(drawn, None),) if effect is not None}
        after = _look(vga)
        changed |= {effect for effect, before in self._before.items() if before != after[effect]}
        write(vga, place, value)
        assert read(vga, place) == value
        self._put_back()
        return changed

    def _put_back(self) -> None:
        self.vga.lay_text_out()  # each bit is to find it so
        put_planes(self.vga, self._planes)

    def _draw(self, border: bool, frame: int) -> NDArray[np.uint32]:
        return full_redraw(self.vga, frame, border=border)

    def _is_drawn_otherwise(self, border: bool, frame: int) -> bool:
        key = border, frame
        if _scanout(self.vga, border, frame) == self._scanouts[key]:
            return False  # what is drawn depends on nothing else
        return not np.array_equal(self._draw(border, frame), self._frames[key])
