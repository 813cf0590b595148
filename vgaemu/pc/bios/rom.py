"""Where things lie in the builtin BIOS's ROM, segment F000h, and what its services are.

Emulated: a layout of our own; only what programs look for has its historical place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

ROM_SEGMENT = 0xF000
ROM_BASE = ROM_SEGMENT << 4

#: What a service returns to be asked again after the next interrupt.
WAIT: Final = True
#: A BIOS or DOS service: registers are the caller's.
Service: TypeAlias = Callable[[], bool | None]

#: Fonts: glyph height -> offset.
FONTS = {8: 0xB000, 14: 0xB800, 16: 0xC800}
#: The upper half of the 8x8 font, for INT 1Fh.
FONT_8_UPPER = FONTS[8] + 128 * 8

#: Stubs, 16 bytes each, in ROM's last page, so that they need one translation.
STUBS = 0xF000
STUB_BYTES = 16
IRET_STUB = STUBS + 0xE00
CONFIG_TABLE, DISKETTE_TABLE = 0xE6F5, 0xEFC7
