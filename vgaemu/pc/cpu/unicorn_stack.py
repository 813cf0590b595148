"""What the processor itself pushes, in protected mode: values one by one, from the top.

Emulated: limits of stacks, of those that expand down, too, and pointers of 16 bits that wrap; where
a page is not to be written its fault, above which what was pushed stays. Whether a stack has room
for all is asked first.

Source: Intel SDM volume 2A, INT n, and volume 3A, section 5.3; beside QEMU 7.2 and Bochs 2.7.
"""

from __future__ import annotations

from collections.abc import Sequence

from vgaemu.pc.cpu.exceptions import STACK_FAULT
from vgaemu.pc.cpu.mmu import BIG, EXPAND_DOWN, Control, Segment
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_tables import Fault


def push(
    memory: LinearMemory,
    control: Control,
    stack: tuple[Segment, int],
    values: Sequence[int],
    size: int,
    *,
    user: bool,
    code: int,
) -> int:
    """Values of some bytes each, the first one first; returns the pointer after it.

    Of a pointer of 16 bits that is the lower half; a fault of the stack has this error `code`.

    Raises:
        Fault: There is no room for them; nothing has been pushed then.
        PageFault: A page of the stack is missing, or forbids it.
    """
    (_, base, limit, attributes), pointer = stack
    mask = 0xFFFF_FFFF if attributes & BIG else 0xFFFF
    places = [pointer - size * i & mask for i in range(1, len(values) + 1)]
    if attributes & EXPAND_DOWN:
        has_room = all(limit < at <= mask + 1 - size for at in places)
    else:
        has_room = all(at + size - 1 <= limit for at in places)
    if not has_room:
        raise Fault(STACK_FAULT, code, "its stack has no room")
    for at, value in zip(places, values, strict=True):
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        memory.write(control, base + at & 0xFFFF_FFFF, data, user=user)
    return places[-1]
