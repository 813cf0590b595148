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

#: Bytes of an instruction, and the one behind, which a longer one is asked for.
LONGEST = 16
NOWHERE = -1


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
        #: Where the engine was let go with one instruction alone asked for, and with several.
        self._alone_at = self._asked_at = NOWHERE

    def is_only(self, linear: int, executed: int) -> bool:
        """Whether a fetch failed, from that linear address, that the guest has not come to.

        If so, the engine is to be let go again. `executed` instructions were, since it was last.
        """
        at = self._at()
        room = (linear & -PAGE_SIZE) - at & self._context.loaded.control().linear
        if not 0 < room <= PAGE_SIZE or places() is None:
            return False
        if not executed and at == self._alone_at:
            return False
        again = not executed and at == self._asked_at
        self._count = 1 if again else max(room // LONGEST, 1)
        return True

    @property
    def waits(self) -> bool:
        """Whether a short block is asked for that has not begun."""
        return self._count != 0

    def begin(self) -> None:
        """The engine is let go, and has been told how many instructions it may execute.

        What interrupted it meanwhile may have led elsewhere.
        """
        count, self._count = self._count, 0
        self._alone_at = self._asked_at = self._translations.asked_at = NOWHERE
        if not count:
            return
        found = places()
        assert found is not None
        at = self._at()
        env = ctypes.addressof(self._context.loaded)
        ctypes.c_uint32.from_address(env - found.most).value = count
        self._cells[ASKED] = count
        self._translations.asked_at = at
        if count == 1:
            self._alone_at = at
        else:
            self._asked_at = at

    def _at(self) -> int:
        """Where the next block begins, as the engine has it: it does not wrap."""
        env = self._context.load()
        return int(env.segs[CS].base + env.eip)
