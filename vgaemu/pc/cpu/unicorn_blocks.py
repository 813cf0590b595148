"""Instructions counted by blocks: what native code needs of an engine for that, and its count.

`vgaemu.native.blocks` counts, and says how. Where the engine keeps what it looks at a trial shows;
where that is not found, the engine counts each instruction itself (`InstructionCount`).

Where code stores to the block in hand, the engine comes out of it and does that instruction once
more, as a block of its own. Both counts take it back. As the engine counts each instruction, it
would not tell, once it has such a block, and loses flags: `Translations` sees to both.

Source: include/hw/core/cpu.h of QEMU 5.0, as Unicorn 2.1 has it; measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from vgaemu.errors import GuestFault
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.keeper import anonymous_memory
from vgaemu.native import again, engine_block
from vgaemu.native import cpu_cells as c
from vgaemu.native.shared import address_of
from vgaemu.pc.cpu.unicorn_context import CS, ENABLED, Context, flags_are_whole, memory_at
from vgaemu.pc.cpu.unicorn_engine import (
    FLUSH_CODE,
    InstructionCount,
    Uc,
    engine_words,
    hook_native,
    library,
    map_native,
    small_engine,
    unhook,
    unicorn,
)
from vgaemu.pc.cpu.unicorn_loops import Loops

#: How far before an engine's registers its CPU may begin.
REACH = 1 << 16
#: Before the CPU's cache of blocks its registers' address, and that of the word to come out by.
CACHE_BEHIND = 16
#: How far from its begin the CPU has how many instructions the next block may have, at most; and in
#: how many words the address of its registers.
HEAD, HEAD_WORDS = 64, 512
NO_LIMIT = (1 << 32) - 1
#: Blocks that there are records for; where fewer are left than a slice may need, all are forgotten.
RECORDS, ENOUGH = 1 << 19, 200_000
#: Bytes of an instruction in a block's list, at most.
LONGEST_ENTRY = 16
#: More instructions than there are.
UNCOUNTED = 1 << 62
_LEAVE = "cpu_loop_exit_restore_x86_64"
_DEVICE = 0x1000


class Places(NamedTuple):
    """Of an engine, all so many bytes before its registers."""

    #: Its CPU, and that one's cache of blocks by address.
    cpu: int
    blocks: int
    #: How many instructions the next block may have, uint32.
    most: int
    #: Two words of 16 bits; the upper one is looked at before each block.
    come_out: int
    #: The host's return address of the last access to a device.
    site: int


@cache
def places() -> Places | None:
    """Those of every engine; None: they were not found."""
    trial = small_engine()
    context = Context(trial)
    if not context.in_place or not hasattr(library(), _LEAVE):
        return None
    env = ctypes.addressof(context.loaded)
    trial.mem_map(0, PAGE_SIZE)
    # What lies close before a CPU leads there, too.
    cpu = max((at for at in engine_words(trial) if _leads(at, env)), default=0)
    if not cpu:
        return None
    distance, place = env - cpu, _words(cpu, HEAD_WORDS << 3).index(env)
    come_out = _words(cpu + 8 * place + 8, 8)[0]
    if not env - REACH < come_out < env:
        return None
    heads = [at for at in range(cpu, cpu + HEAD, 4) if _is_most(trial, at, come_out)]
    sites = _sites(trial, cpu, distance)
    if len(heads) != 1 or len(sites) != 1:
        return None
    blocks = distance - 8 * place - CACHE_BEHIND
    if not _tells_each_block(trial) or not _does_anew(trial, env - blocks):
        return None
    return Places(
        cpu=distance, blocks=blocks, most=env - heads[0],
        come_out=env - come_out, site=env - sites[0],
    )  # fmt: skip


def _leads(at: int, env: int) -> bool:
    """Whether a CPU may be there that has its registers at `env`."""
    return env - REACH < at < env and env in _words(at, HEAD_WORDS << 3)


def _words(at: int, count: int) -> tuple[int, ...]:
    octets = memory_at(at, count & -8)
    return struct.unpack(f"{len(octets) // 8}Q", octets)


def _is_most(trial: Uc, at: int, come_out: int) -> bool:
    """Whether a number there is how many instructions the next block may have.

    Then the engine comes out before a block as its hook asks for that, and on with a shorter one.
    """
    word, out = ctypes.c_uint32.from_address(at), ctypes.c_uint16.from_address(come_out + 2)
    sizes: list[int] = []
    if word.value != NO_LIMIT:
        return False

    def entered(uc: Uc, address: int, size: int, _: object) -> None:
        sizes.append(size)
        if len(sizes) == 1:
            word.value, out.value = 2, 0xFFFF

    hook = trial.hook_add(unicorn.UC_HOOK_BLOCK, entered)
    trial.mem_write(0, b"\x90\x90\x90\xf4")
    trial.ctl(*FLUSH_CODE)
    trial.emu_start(0, PAGE_SIZE)
    was, word.value = word.value, NO_LIMIT
    trial.hook_del(hook)
    return (was, sizes) == (NO_LIMIT, [4, 2, 2])


def _sites(trial: Uc, cpu: int, size: int) -> list[int]:
    """Words of a CPU that change between two accesses to a device from one block."""
    seen: list[tuple[int, ...]] = []

    def store(*_: object) -> None:
        seen.append(_words(cpu, size))

    trial.mmio_map(_DEVICE, PAGE_SIZE, None, None, store, None)
    trial.mem_write(0, 2 * (b"\xa2" + _DEVICE.to_bytes(4, "little")) + b"\xf4")  # mov [], al
    trial.ctl(*FLUSH_CODE)
    trial.emu_start(0, PAGE_SIZE)
    first, second = seen
    changed = [i for i, (old, new) in enumerate(zip(first, second, strict=True)) if old != new]
    return [cpu + 8 * i for i in changed]


_Told = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_int64)


def _tells_each_block(trial: Uc) -> bool:
    """Whether a block is told for good what a hook's word was as it was translated."""
    told: list[int] = []
    called = _Told(lambda engine, address, size, word: told.append(word))
    first = 0x5EED_0001
    hook = hook_native(trial, unicorn.UC_HOOK_BLOCK, _address(called), first)
    found = [at for at in range(hook, hook + 16 * HEAD, 8) if _words(at, 8) == (first,)]
    trial.mem_write(0, b"\xeb\x00\xf4")  # jmp to the HLT
    trial.ctl(*FLUSH_CODE)
    if len(found) == 1:
        trial.emu_start(0, PAGE_SIZE)
        ctypes.c_int64.from_address(found[0]).value = first + 1
        trial.emu_start(0, PAGE_SIZE)
        trial.mem_write(0x10, b"\xf4")
        trial.emu_start(0x10, PAGE_SIZE)
    trial._callbacks[hook] = called
    trial.hook_del(hook)
    return told == [first] * 4 + [first + 1]


def _does_anew(trial: Uc, blocks: int) -> bool:
    """Whether `_is_short` tells of each store to the block in hand, by the cache of these."""
    told: list[bool] = []

    def translated(uc: Uc, block: Any, before: object, _: object) -> None:
        at = _block_at(blocks, block.pc, block.size)
        told.append(at != 0 and _is_short(at))

    hook = trial.hook_add(unicorn.UC_HOOK_EDGE_GENERATED, translated)
    # mov ecx, 2; l: mov byte [n], 90h; n: nop; loop l; hlt
    trial.mem_write(0x20, bytes.fromhex("B9 02 00 00 00 C6 05 2C 00 00 00 90 90 E2 F6 F4"))
    trial.ctl(*FLUSH_CODE)
    trial.emu_start(0x20, PAGE_SIZE)
    trial.hook_del(hook)
    return told.count(True) == 2


def _block_at(blocks: int, address: int, size: int) -> int:
    """Where the engine has a block, by its cache; 0: it is not there."""
    at = ctypes.c_uint64.from_address(blocks + 8 * engine_block.place_of(address)).value
    if not at or ctypes.c_uint64.from_address(at + 8 * engine_block.PC_AT).value != address:
        return 0
    return at if ctypes.c_uint16.from_address(at + 2 * engine_block.SIZE_AT).value == size else 0


def _last_of(at: int, count: int) -> int:
    """How far from its begin the last of so many instructions begins: the list behind its code."""
    code, size = _words(at + 8 * engine_block.CODE_AT, 16)
    octets = memory_at(code + size, LONGEST_ENTRY * count)
    offset = at = 0
    for _ in range(count):
        step, at = engine_block.number(octets, at)
        offset += step
        for _ in range(2):  # what flags are, and how much code it is
            _, at = engine_block.number(octets, at)
    return offset


def _is_short(at: int) -> bool:
    """Whether a block was just translated as one of so few instructions as were asked for.

    The engine does not find it any more.
    """
    flags = ctypes.c_uint32.from_address(at + 4 * engine_block.FLAGS_AT)
    if not flags.value & engine_block.ASKED_FOR:
        return False
    flags.value |= engine_block.INVALID
    return True


class Translations:
    """What the engine translates: charged, and refused where it would never come back."""

    def __init__(
        self, uc: Uc, context: Context, worked: Callable[[int], None],
        count: InstructionCount | None, loops: Loops,
    ) -> None:  # fmt: skip
        """Look at registers by a `context` that nobody else changes; `count` is the engine's."""
        self._context, self._worked, self._count = context, worked, count
        self._loops = loops
        #: Address and size of blocks, until native code counts: those are again, by then. None: it
        #: never will.
        self.paid: set[tuple[int, int]] | None = set()
        #: Whether native code charges.
        self.is_charged = False
        #: Where a short block was asked for, which nobody pays for; -1: none was.
        self.asked_at = -1
        self.hook = uc.hook_add(unicorn.UC_HOOK_EDGE_GENERATED, self._on_translation)

    def hand_over(self, uc: Uc) -> None:
        """Between two slices: native code looks from now on, and asks."""
        uc.hook_del(self.hook)
        self._loops.close()
        self.is_charged = True

    def _on_translation(self, uc: Uc, block: Any, before: object, _: object) -> None:
        if block.icount > 1 and not self.is_charged:
            self._loops.look(int(block.pc), int(block.size), lambda: self._last_of(block))
        if self.is_charged:
            self._worked(0)
        elif block.pc == self.asked_at:
            self.asked_at = -1
            # Where it is found again nobody would be told that an instruction is done once more.
            self._is_anew(int(block.pc), int(block.size))
        elif block.icount == 1 and self._is_anew(int(block.pc), int(block.size)):
            flags_are_whole(self._context.words)
            if self._count is not None and self._count.cells[0]:
                self._count.cells[0] -= 1
        else:
            if self.paid is not None:
                self.paid.add((int(block.pc), int(block.size)))
            self._worked(c.BLOCK_NS + c.TRANSLATION_NS * int(block.icount))
        env, raised = self._context.load(), self._context.raised
        if raised.dr[7] & ENABLED and env.segs[CS].base:
            # The engine compares their addresses with EIP, and never comes back if that differs.
            within = range(block.pc, block.pc + block.size)
            if not set(within).isdisjoint(raised.breakpoints()):
                where = f"at {env.segs[CS].selector:04X}:{env.eip:04X}"
                what = f"a breakpoint {where}, in code with a base"
                raise GuestFault(f"{what}: only --cpu kvm has these")

    def _is_anew(self, address: int, size: int) -> bool:
        """Whether an instruction has changed the block in hand, and is done once more."""
        at = self._at(address, size)
        return at != 0 and _is_short(at)

    def _last_of(self, block: Any) -> int:
        """How far from the address of a block its last instruction begins; -1: it is not known."""
        at = self._at(int(block.pc), int(block.size))
        return _last_of(at, int(block.icount)) if at else -1

    def _at(self, address: int, size: int) -> int:
        """Where the engine has a block that was just translated, or 0."""
        found = places()
        if found is None:
            return 0
        return _block_at(ctypes.addressof(self._context.loaded) - found.blocks, address, size)


class BlockCount:
    """How many instructions a slice has executed, and how many it may, counted by native code.

    The same as `InstructionCount`, which see; a block that faulted is to be told, though.
    """

    def __init__(self, numbers: memoryview[int]) -> None:
        #: In a hook: instructions begun, the one in hand among them, and how many there are to be.
        self.cells = (ctypes.c_uint64 * 2).from_buffer(numbers, 8 * c.BEGUN)
        self.cells[0], self.cells[1] = 0, UNCOUNTED
        self.address = ctypes.addressof(self.cells)
        self._numbers = numbers
        self._settle: Callable[[], None] = lambda: None
        self._kept: list[Any] = []

    def count(
        self, uc: Uc, context: Context, before: InstructionCount, translations: Translations,
        functions: Mapping[str, int],
    ) -> bool:  # fmt: skip
        """Between two slices, after `CpuCells.tell`: let native code count; False: it cannot.

        It asks `translations` from now on, where it does not know; the count `before` is over.
        """
        found = places()
        if found is None:
            return False
        numbers, at = self._numbers, address_of(self._numbers)
        self._uc = uc
        env = ctypes.addressof(context.loaded)
        asked = uc._callbacks[translations.hook]
        table = again.table_of(translations.paid or ())
        #: The one behind the last is told of, and never used.
        self._records = anonymous_memory((RECORDS + 1) * c.RECORD_BYTES)
        self._first = ctypes.addressof(ctypes.c_char.from_buffer(self._records))
        self._kept += [asked, table]
        for cell, value in {
            c.CPU: env - found.cpu,
            c.BLOCKS_AT: env - found.blocks,
            c.MOST_AT: env - found.most,
            c.COME_OUT_AT: env - found.come_out,
            c.SITE_AT: env - found.site,
            c.ENTER: functions["blocks.enter_special"],
            c.STOP: _address(library().uc_emu_stop),
            c.LEAVE: _address(getattr(library(), _LEAVE)),
            c.TRANSLATED: _address(asked),
            c.AGAIN: table.buffer_info()[0],
        }.items():
            numbers[cell] = value
        self._most = ctypes.c_uint32.from_address(numbers[c.MOST_AT])
        hook = hook_native(uc, unicorn.UC_HOOK_BLOCK, functions["blocks.enter"], self._first)
        words = _words(hook, HEAD * 2)
        if words.count(self._first) != 1 or not before.switch_off(uc, functions["blocks.enter"]):
            unhook(uc, hook)
            return False
        numbers[c.NEXT_AT] = hook + 8 * words.index(self._first)
        self._rewind()
        translations.hand_over(uc)
        hook_native(uc, unicorn.UC_HOOK_EDGE_GENERATED, functions["blocks.translated"], at)
        settle = ctypes.CFUNCTYPE(None, ctypes.c_int64)(functions["blocks.settle"])
        self._settle = partial(settle, at)
        return True

    def _rewind(self) -> None:
        """All records are free; no translated block knows of one."""
        at = self._numbers[c.NEXT] = self._first
        ctypes.c_int64.from_address(at).value = address_of(self._numbers)
        ctypes.c_int64.from_address(self._numbers[c.NEXT_AT]).value = at
        self._uc.ctl(*FLUSH_CODE)

    def begin_slice(self) -> None:
        """Where records run out, forget all code."""
        self._most.value = NO_LIMIT
        used = (self._numbers[c.NEXT] - self._first) // c.RECORD_BYTES
        if used > RECORDS - ENOUGH:
            self._rewind()

    def begin(self, count: int) -> int:
        """The engine is let go for so many; what it is to be told of that."""
        self.cells[0], self.cells[1] = 0, count
        numbers = self._numbers
        numbers[c.BLOCK] = numbers[c.ASKED] = numbers[c.ENDED] = numbers[c.PORTS_LEFT] = 0
        numbers[c.ACCESS_COUNT] = -1
        return count

    def faulted(self) -> None:
        """An instruction did, and nobody is told by a hook."""
        self._settle()

    @property
    def executed(self) -> int:
        return int(self.cells[0])

    @property
    def is_used_up(self) -> bool:
        """Whether the slice ended as it may execute no more."""
        return self._numbers[c.ENDED] != 0


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def remap(uc: Uc, at: int, size: int, read: int, write: int, cells: int) -> None:
    """Let native functions, told of their cells, answer for what Python has.

    It lies there in the engine's physical space. To unmap it the engine asks for a page by that
    address, which is to be refused.
    """
    uc.mem_unmap(at, size)
    map_native(uc, at, size, read, write, cells)


def ask_last(
    uc: Uc, at: int, size: int, functions: Mapping[str, int], numbers: memoryview[int]
) -> list[Any]:
    """Let Python answer for a device only in the last instruction of a block; what is to be kept.

    See `remap`; it was mapped by `mmio_map`.
    """
    callbacks = uc._mmio_callbacks[at, at + size]
    device = array("q", [address_of(numbers), *map(_address, callbacks)])
    answers = functions["device.read"], functions["device.write"]
    remap(uc, at, size, *answers, device.buffer_info()[0])
    return [callbacks, device]
