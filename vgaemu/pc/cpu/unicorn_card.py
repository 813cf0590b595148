"""A card's memory in a script's own engine, where nobody knows when a slice ends.

A script may be one call of `emu_start` and no frame, so native code, if there is any, is asked for
by those accesses to the planes that Python answers. When it is there it takes over as the engine
asks for a page: there an engine lets its memory be mapped anew, a script's own hooks do that, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from vgaemu import native
from vgaemu.pc.cpu.unicorn_engine import Uc, unicorn
from vgaemu.pc.cpu.unicorn_vga import VramPages
from vgaemu.vga.device import Vga

#: Accesses that Python answers before native code is asked for, 50 ms or so: a script that comes
#: and goes is not to wait for a compiler. And those until the next look whether it is there.
BEFORE_NATIVE, BETWEEN_LOOKS = 20_000, 1_000


class CardPages(VramPages):
    """`VramPages` that finds out for itself when native code can answer."""

    def __init__(self, uc: Uc, vga: Vga) -> None:
        """See `VramPages`."""
        self._left = BEFORE_NATIVE
        #: Functions that the next fill is to begin with.
        self._next: Mapping[str, int] = {}
        super().__init__(uc, vga, planes_touched=self._count)

    def _count(self, size: int) -> None:
        """On the engine's thread, in a store or load that Python answers."""
        self._left -= 1
        if self._left:
            return
        functions = native.load()
        if functions is None:
            self._left = BETWEEN_LOOKS
        elif functions:
            self._next = functions
            self.tlb.enter()
            self.tlb.map_changed()  # so the engine asks for this page again

    def translate(self, page: int, access: int) -> tuple[int, int] | None:
        if self._next:
            functions, self._next = self._next, {}
            # Where the script has something else by now Python goes on.
            with suppress(unicorn.UcError):
                self.use_native(functions)
        return super().translate(page, access)
