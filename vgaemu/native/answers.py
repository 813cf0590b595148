"""BIOS calls that guests poll, answered where they are made; see `vgaemu.pc.cpu.unicorn_calls`."""

from __future__ import annotations

from vgaemu.native import polls
from vgaemu.native.compiler import Pointer, part, uint8_at, uint32_at
from vgaemu.native.cpu_cells import CURSOR_STUB, ENV, KEY_STUB, MAY_ANSWER, RAM, TICKS_STUB
from vgaemu.native.env import EAX_AT, EBX_AT, ECX_AT, EDX_AT
from vgaemu.native.flags import TRAP, ZERO
from vgaemu.native.memory import fetch16, stored_to
from vgaemu.native.polls import (
    CURSOR_SHAPE_AT,
    CURSORS_AT,
    DATA_AT,
    DATA_END,
    KEY_HEAD_AT,
    KEY_TAIL_AT,
    MIDNIGHT_AT,
    TICKS_AT,
)

old_key = part(polls.old_key)


@part
def set16(env: Pointer, at: int, value: int) -> None:
    """The lower half of a register."""
    env[at] = (env[at] & 0xFFFF0000) | value


@part
def poll_of(cells: Pointer, target: int, flags: int, frame_at: int) -> int:
    """Which poll a call to a far pointer is that is answered here: the stub's cell; or 0."""
    if not cells[MAY_ANSWER] or flags & TRAP or frame_at < DATA_END or not target:
        return 0
    number = uint32_at(cells[ENV])[EAX_AT] >> 8 & 0xFF
    if target == cells[TICKS_STUB] and number == 0x00:
        return TICKS_STUB
    if target == cells[KEY_STUB] and number in (0x01, 0x11):
        return KEY_STUB
    return CURSOR_STUB if target == cells[CURSOR_STUB] and number == 0x03 else 0


@part
def answer(uc: int, cells: Pointer, poll: int, flags: int) -> int:
    """Make registers and data area those after a poll; returns flags."""
    env = uint32_at(cells[ENV])
    number = env[EAX_AT] >> 8 & 0xFF
    if poll == TICKS_STUB:
        set16(env, EDX_AT, fetch16(cells, TICKS_AT))
        set16(env, ECX_AT, fetch16(cells, TICKS_AT + 2))
        set16(env, EAX_AT, number << 8 | fetch16(cells, MIDNIGHT_AT) & 0xFF)
        uint8_at(cells[RAM])[MIDNIGHT_AT] = 0
        stored_to(uc, cells, MIDNIGHT_AT, 1)
    elif poll == KEY_STUB:
        head = fetch16(cells, KEY_HEAD_AT)
        if head == fetch16(cells, KEY_TAIL_AT):
            return flags | ZERO
        word = fetch16(cells, DATA_AT + head)
        set16(env, EAX_AT, word if number == 0x11 else old_key(word))
        return flags & ~ZERO
    else:
        page = env[EBX_AT] >> 8 & 7
        set16(env, EDX_AT, fetch16(cells, CURSORS_AT + 2 * page))
        set16(env, ECX_AT, fetch16(cells, CURSOR_SHAPE_AT))
        set16(env, EAX_AT, 0)
    return flags
