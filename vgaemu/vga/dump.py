"""What the device holds, for people: every register by name with its fields, and the DAC.

Both only look: no port is read, so no flip-flop moves and no latch loads. Names and fields come
from the register tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.dac import STATE_READ
from vgaemu.vga.device import Vga
from vgaemu.vga.font import text_dots
from vgaemu.vga.registers import RegisterBank
from vgaemu.vga.scanout import LinearRows, scanout_of

#: Ports of each bank, index and data; x is the digit that misc output chooses, B or D.
PORTS = {
    "misc": "write 3C2h, read 3CCh",
    "sequencer": "3C4h, 3C5h",
    "crtc": "3{x}4h, 3{x}5h",
    "graphics": "3CEh, 3CFh",
    "attribute": "3C0h, 3C1h",
}
#: Columns of a name: the longest is `vertical_retrace_start_low`.
NAME_WIDTH = 26
#: What has room on a line of 100, the columns in front of the fields taken off.
FIELDS_WIDTH = 64

#: DISPI's registers by index; the flags of "enable" are its fields.
_DISPI_NAMES = (
    "id", "xres", "yres", "bpp", "enable", "bank", "virt_width", "virt_height",
    "x_offset", "y_offset", "memory_64k",
)  # fmt: skip
_DISPI_FLAGS = {
    "enabled": dispi_regs.ENABLED,
    "getcaps": dispi_regs.GETCAPS,
    "bank_32k": dispi_regs.BANK_32K,
    "eight_bit_dac": dispi_regs.EIGHT_BIT_DAC,
    "lfb_enabled": dispi_regs.LFB_ENABLED,
    "no_clear": dispi_regs.NO_CLEAR,
}


def dump_registers(vga: Vga) -> str:
    """Every register with its fields, the DAC's and DISPI's state, the latches, and the picture."""
    lines = ["picture", *_picture(vga)]
    digit = "D" if vga.misc["colour_ports"] else "B"
    for bank in (vga.misc, vga.sequencer, vga.crtc, vga.graphics, vga.attribute):
        ports = PORTS[bank.name].format(x=digit)
        lines += ["", f"{bank.name}  ({ports})", *_bank_state(vga, bank)]
        for row in bank.rows:
            head = f"{row.index:02X}h  {row.name:{NAME_WIDTH}} {bank.values[row.index]:02X}"
            lines += _wrapped(head, [f"{field.name} {bank[field.name]}" for field in row.fields])
    lines += ["", "dac  (3C6h-3C9h)", *_dac(vga)]
    lines += ["", f"dispi  (1CEh, 1CFh)\n     index now {vga.dispi.index:02X}h", *_dispi(vga)]
    planes = [f"{vga.latch >> 8 * plane & 0xFF:02X}" for plane in range(4)]
    lines += ["", "latches", _value("planes 0-3", " ".join(planes))]
    return "\n".join(lines)


def _value(name: str, value: object) -> str:
    return f"     {name:{NAME_WIDTH}} {value}"


def _picture(vga: Vga) -> Iterator[str]:
    """What several registers say together."""
    scanout = scanout_of(vga)
    yield _value("mode", scanout.mode_name)
    yield _value("pixels", f"{scanout.width}x{scanout.height}")
    yield _value("shown", "no: the screen is off" if scanout.colours.blank else "yes")
    rows = scanout.rows
    if isinstance(rows, LinearRows):
        yield _value("first byte", f"{rows.start:06X}h")
        yield _value("bytes a line", rows.pitch)
        return
    geometry, timing = rows.geometry, vga.timing
    yield _value("scan lines", f"{geometry.lines} of {timing.total_lines}")
    yield _value("refresh", f"{timing.refresh_hz:.2f} Hz, {1e6 / timing.line_ns:.2f} kHz")
    yield _value("start address", f"{geometry.start:04X}h")
    yield _value("addresses a row", geometry.pitch)
    yield _value("line compare", geometry.line_compare)
    if scanout.is_text:
        yield _value("cursor address", f"{vga.crtc['cursor_location']:04X}h")


def _bank_state(vga: Vga, bank: RegisterBank) -> Iterator[str]:
    if bank is vga.attribute:
        address = vga.attribute_address
        yield f"     index now {address & 0x1F:02X}h, picture shown {address >> 5 & 1}"
        yield f"     the next write is {'data' if vga.attribute_takes_data else 'an index'}"
    elif bank is not vga.misc:
        yield f"     index now {bank.index:02X}h"


def _wrapped(head: str, fields: Sequence[str]) -> Iterator[str]:
    """A register, and its fields beside it, in as many lines as they need."""
    unbroken = [field.replace(" ", "\xa0") for field in fields]
    for line in wrap(", ".join(unbroken), FIELDS_WIDTH) or [""]:
        yield f"{head:36} {line}".replace("\xa0", " ").rstrip()
        head = ""


def _dac(vga: Vga) -> Iterator[str]:
    dac = vga.dac
    yield _value("mask", f"{dac.mask:02X}")
    yield _value("index", f"{dac.index:02X}h")
    yield _value("next byte of a triple", f"{dac.step + 1} of 3")
    yield _value("triple", dac.triple.hex(" ").upper())
    yield _value("state", "reading" if dac.state == STATE_READ else "writing")
    yield _value("bits a channel", 8 if dac.eight_bit else 6)
    for first in range(0, 256, 8):
        triples = (dac.entries[3 * i : 3 * i + 3].hex().upper() for i in range(first, first + 8))
        yield f"{first:02X}h  " + " ".join(triples)


def _dispi(vga: Vga) -> Iterator[str]:
    for index, value in enumerate(vga.dispi.values):
        if index == dispi_regs.VIRT_HEIGHT:
            value = vga.dispi.virtual_height
        meaning = [] if index == dispi_regs.ID else [str(value)]
        if index == dispi_regs.ENABLE:
            meaning = [f"{name} {int(bool(value & flag))}" for name, flag in _DISPI_FLAGS.items()]
        name = _DISPI_NAMES[index]
        yield from _wrapped(f"{index:02X}h  {name:{NAME_WIDTH}} {value:04X}", meaning)


#: Pixels: a swatch, the gap to the next, what is around all, and what heads rows and columns.
SWATCH, GAP, MARGIN, HEAD = (56, 40), 4, 20, 28
PAPER, INK, DIM = (22, 22, 26), (232, 232, 238), (132, 132, 142)
#: Swatches of more light than this (0-255) carry dark numbers.
LIGHT = 112
#: How much light an eye takes red, green and blue for, in 1000.
LUMA = (299, 587, 114)


def palette_picture(vga: Vga) -> NDArray[np.uint8]:
    """The DAC's 256 colours as swatches, each with its index and its components in hex.

    Returns:
        (height, width, 3) uint8.
    """
    dac, (wide, high) = vga.dac, SWATCH
    width = 2 * MARGIN + HEAD + 16 * (wide + GAP) - GAP
    height = 2 * MARGIN + 2 * HEAD + 16 * (high + GAP) - GAP
    pixels = np.full((height, width, 3), PAPER, np.uint8)
    left, top = MARGIN + HEAD, MARGIN + 2 * HEAD
    bits = 8 if dac.eight_bit else 6
    title = f"DAC, {bits} bits a channel, mask {dac.mask:02X}h"
    _write(pixels, left, MARGIN, title, INK, 16)
    for number in range(16):
        x, y = left + number * (wide + GAP), top + number * (high + GAP)
        _write(pixels, x + wide // 2 - 4, top - HEAD // 2 - 4, f"{number:X}", DIM, 14)
        _write(pixels, MARGIN, y + high // 2 - 7, f"{number:X}0", DIM, 14)
    for index, colour in enumerate(dac.rgb().tolist()):
        x, y = left + index % 16 * (wide + GAP), top + index // 16 * (high + GAP)
        pixels[y : y + high, x : x + wide] = colour
        light = sum(weight * channel for weight, channel in zip(LUMA, colour, strict=True)) / 1000
        ink = tuple(c * 0.4 if light > LIGHT else c + (255 - c) * 0.6 for c in colour)
        _write(pixels, x + 4, y + 5, f"{index:02X}", ink, 14)
        components = dac.entries[3 * index : 3 * index + 3].hex().upper()
        _write(pixels, x + 4, y + high - 12, components, ink, 8)
    return pixels


def _write(
    pixels: NDArray[np.uint8], x: int, y: int, text: str, colour: Sequence[float], height: int
) -> None:
    """Write with a bundled font."""
    dots = text_dots(text, height)
    area = pixels[y : y + height, x : x + dots.shape[1]]
    area[dots] = np.array(colour).astype(np.uint8)
