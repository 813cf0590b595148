"""Code close before a page that is not there.

The engine translates a block of code as a whole, and fails before its first instruction if the
block goes on into such a page. A processor executes what comes before, which may jump, or bring the
page. So the engine is asked for blocks that are short enough, until the instruction in hand is the
one that lies in both pages, or the page's first one.

Where an engine's words are not found (`unicorn_blocks.places`), the fault is at the block's begin.

Source: measured with Unicorn 2.1.4; where the fault is to be, with QEMU 7.2's TCG.
"""

from __future__ import annotations

import ctypes

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.native.cpu_cells import ASKED
from vgaemu.pc.cpu.unicorn_blocks import Translations, places
from vgaemu.pc.cpu.unicorn_context import CS, Context

#: Bytes of an instruction, at most.
LONGEST = 15


class Ahead:
    """How many instructions the next block may have."""

    def __init__(
        self, context: Context, translations: Translations, cells: memoryview[int]
    ) -> None:
        """Of one engine; `cells` are what native code shares."""
        self._context, self._cells = context, cells
        self._translations = translations
        #: 0: as many as it likes.
        self._count = 0
        #: Whether the engine was let go with a short block asked for.
        self._asked = False

    def is_only(self, linear: int, executed: int) -> bool:
        """Whether a fetch failed, from that linear address, that the guest has not come to.

        If so, the engine is to be let go again. `executed` instructions were, since it was last.
        """
        room = (linear & -PAGE_SIZE) - self._at()
        if not 0 < room <= PAGE_SIZE or places() is None or (self._asked and not executed):
            return False
        self._count = max(room // LONGEST, 1)
        return True

    @property
    def waits(self) -> bool:
        """Whether a short block is asked for that has not begun."""
        return self._count != 0

    def begin(self) -> None:
        """The engine is let go, and has been told how many instructions it may execute."""
        count, self._count = self._count, 0
        self._asked, self._translations.asked_at = count != 0, -1
        if not count:
            return
        found = places()
        assert found is not None
        env = ctypes.addressof(self._context.loaded)
        ctypes.c_uint32.from_address(env - found.most).value = count
        self._cells[ASKED] = count
        self._translations.asked_at = self._at()

    def _at(self) -> int:
        """Where the next block begins, as the engine has it: it does not wrap."""
        env = self._context.load()
        return int(env.segs[CS].base + env.eip)
