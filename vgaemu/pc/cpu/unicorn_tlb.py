"""Where a Unicorn engine keeps pages that it has looked up: before its registers, a trial shows.

Source: include/exec/cpu-defs.h and accel/tcg/cputlb.c of QEMU 5.0, as Unicorn 2.1 has them;
measured.
"""

from __future__ import annotations

import ctypes
import struct
import time
from contextlib import suppress
from functools import cache
from typing import Any

from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.native.env import DEVICE, ENTRY_SHIFT, SUPERVISOR
from vgaemu.pc.cpu.unicorn_context import Context, memory_at
from vgaemu.pc.cpu.unicorn_engine import ALL, FETCH, RW, Uc, small_engine, unicorn

#: How far before its registers it is looked for.
REACH = 256
#: The trial's linear pages, to store to, to load from, and of a device; its physical ones are as
#: far behind those.
STORED, LOADED, ASKED, BEHIND = 0x5000, 0x6000, 0x7000, 0x10_0000
#: mov byte [STORED + 34h], 77h; mov ax, [LOADED + 10h]; mov [ASKED], ax; hlt
CODE = bytes.fromhex("C606345077 A11060 A30070 F4")
_NONE = (1 << 64) - 1
#: How far before its registers, for what belongs to the tables; how many there are.
FAR, TABLES = 8192, 3
#: Begun then, in nanoseconds, a period is never over.
NEVER_OVER = 1 << 62


@cache
def before_registers() -> int:
    """How many bytes before an engine's `Env` its TLB's tables begin; 0: they were not found.

    Three pairs of a mask and an address, for the three kinds of accesses: see `native.strings`.
    """
    trial = small_engine()
    trial.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_map(BEHIND, ASKED)
    trial.mmio_map(BEHIND + ASKED, PAGE_SIZE, None, None, lambda *_: None, None)

    def fill(uc: Uc, address: int, access: int, result: Any, _: object) -> bool:
        page = address & -PAGE_SIZE
        result.paddr, result.perms = (page, ALL) if access == FETCH else (page + BEHIND, RW)
        return True

    trial.hook_add(unicorn.UC_HOOK_TLB_FILL, fill)
    trial.reg_write(unicorn.x86_const.UC_X86_REG_CR0, 0x10)
    for name in ("CS", "DS"):
        trial.reg_write(getattr(unicorn.x86_const, f"UC_X86_REG_{name}"), 0)
    trial.mem_write(0, CODE)
    with suppress(unicorn.UcError):
        trial.emu_start(0, PAGE_SIZE - 1)
    context = Context(trial)
    if not context.in_place:
        return 0
    begin = ctypes.addressof(context.loaded)
    found = [at for at in range(3 << 4, REACH, 8) if _is_tlb(begin - at)]
    return found[0] if len(found) == 1 else 0


def _is_tlb(at: int) -> bool:
    """Whether what the trial left is there."""
    tables = memory_at(at, 3 << 4)
    if len(tables) < 3 << 4:
        return False
    mask, table = struct.unpack_from("QQ", tables, SUPERVISOR << 4)

    def entry(page: int) -> tuple[int, ...]:
        octets = memory_at(table + (page >> PAGE_SHIFT << ENTRY_SHIFT & mask), 40)
        return struct.unpack("5Q", octets) if len(octets) == 40 else ()

    if (mask + (1 << ENTRY_SHIFT)) & mask:
        return False
    store, load, ask, code = map(entry, (STORED, LOADED, ASKED, 0))
    return (
        store[:4] == (STORED, STORED, _NONE, STORED + BEHIND)
        and memory_at(store[4] + STORED + 0x34, 1) == b"\x77"
        and load[::3][:2] == (LOADED, LOADED + BEHIND)
        and ask[:4] == (ASKED | DEVICE, ASKED | DEVICE, _NONE, ASKED + BEHIND)
        and code[2:4] == (0, 0)
        and memory_at(code[4], len(CODE)) == CODE
    )


class TableSizes:
    """Keeps the sizes of an engine's tables from depending on the host's time.

    At a flush it doubles a table that was used well, and halves one that was not for 100 ms of the
    host's. How many pages a guest has to ask for again depends on these sizes, and is charged: runs
    on a busy host would differ. So the time that each period began, which lies before the table, is
    put where the period is never over, and tables grow only.
    """

    def __init__(self, context: Context) -> None:
        """Of a context's engine; nothing is done where the places are not found."""
        begin = ctypes.addressof(context.loaded)
        places = _periods() if context.in_place else ()
        self._begun = [ctypes.c_int64.from_address(begin - place) for place in places]
        self.keep()

    def keep(self) -> None:
        """Between two slices: a table that has grown has begun another period."""
        for begun in self._begun:
            begun.value = NEVER_OVER


@cache
def _periods() -> tuple[int, ...]:
    """How many bytes before an engine's `Env` these times are: when the tables were made."""
    began = time.time_ns() - 1000
    trial = small_engine()
    trial.mem_map(0, PAGE_SIZE)
    trial.mem_write(0, b"\xf4")
    trial.emu_start(0, PAGE_SIZE - 1)
    made = range(began, time.time_ns() + 1000)
    begin = ctypes.addressof(Context(trial).loaded)
    words = struct.iter_unpack("q", memory_at(begin - FAR, FAR))
    found = tuple(FAR - 8 * i for i, (word,) in enumerate(words) if word in made)
    return found if len(found) == TABLES else ()
