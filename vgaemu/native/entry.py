"""`on_block`, the hook by which each block of code is entered, in the compiler's own terms.

It does for most blocks all there is to do, up to a hundred million times a second. Numba calls a
callback's body by a second call, with two arguments more: that was a tenth of what a block costs.

In Python it would be::

    cells = int64_at(record[CELLS_AT])
    begun = cells[BEGUN] + record[FAST_COUNT]
    if begun <= cells[MOST]:
        cells[BEGUN], cells[BLOCK] = begun, record
    else:
        call4(cells[ENTER], engine, address, size, record)
"""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from vgaemu.native.compiler import callback
from vgaemu.native.cpu_cells import BEGUN, BLOCK, ENTER, MOST
from vgaemu.native.progress import CELLS_AT, FAST_COUNT

_WORD = ir.IntType(64)
#: `vgaemu.native.blocks.BLOCK_HOOK`
_HOOK = ir.FunctionType(ir.VoidType(), [_WORD, _WORD, ir.IntType(32), _WORD])


def _write_on_block(hook: Any) -> None:
    code = ir.IRBuilder(hook.append_basic_block())

    def place(words: Any, at: int) -> Any:
        pointer = code.inttoptr(words, _WORD.as_pointer())
        return code.gep(pointer, [ir.Constant(_WORD, at)])

    record = hook.args[3]
    cells = code.load(place(record, CELLS_AT))
    begun = code.add(code.load(place(cells, BEGUN)), code.load(place(record, FAST_COUNT)))
    is_fast = code.icmp_signed("<=", begun, code.load(place(cells, MOST)))
    with code.if_else(is_fast, likely=True) as (fast, slow):
        with fast:
            code.store(begun, place(cells, BEGUN))
            code.store(record, place(cells, BLOCK))
        with slow:
            enter = code.inttoptr(code.load(place(cells, ENTER)), _HOOK.as_pointer())
            code.call(enter, hook.args, tail=True)
    code.ret_void()


def _address_of_on_block(context: object) -> object:
    def build(context: object, builder: Any, signature: object, words: object) -> Any:
        hook = ir.Function(builder.module, _HOOK, "vgaemu_on_block")
        hook.linkage = "internal"
        _write_on_block(hook)
        return builder.ptrtoint(hook, _WORD)

    return types.int64(), build


_address_of = intrinsic(_address_of_on_block)


@callback(types.int64())
def _where() -> int:
    return int(_address_of())


#: Of `on_block`: ``void block(uc_engine *, uint64_t address, uint32_t size, int64_t *record)``.
ON_BLOCK: int = ctypes.CFUNCTYPE(ctypes.c_int64)(_where.address)()
