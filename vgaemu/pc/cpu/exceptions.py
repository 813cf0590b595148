"""Exceptions of an x86 processor: their vectors, and what follows from those.

Here is what the CPUs ask of them, and no more: not overflow, bounds, the FPU's own.

Source: Intel SDM volume 3A, tables 6-1 and 6-5.
"""

from __future__ import annotations

DIVIDE_ERROR, DEBUG, INVALID_OPCODE, DOUBLE_FAULT = 0, 1, 6, 8
INVALID_TSS, NOT_PRESENT, STACK_FAULT, GENERAL_PROTECTION, PAGE_FAULT = range(10, 15)

#: Those that push an error code.
WITH_ERROR_CODE = (8, 10, 11, 12, 13, 14, 17)
#: Faults: the guest is to go on at their instruction. That of a breakpoint is left out.
FAULTS = (0, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19)
#: What the segments of a task may raise as it is switched to.
OF_NEW_TASKS = (INVALID_TSS, NOT_PRESENT, STACK_FAULT, GENERAL_PROTECTION)
#: Faults of which two make a double one.
CONTRIBUTORY = (DIVIDE_ERROR, *OF_NEW_TASKS)
#: A fault -> those that make it a double one when they come on the way to its handler.
TWICE: dict[int | None, tuple[int, ...]] = {
    **dict.fromkeys(CONTRIBUTORY, CONTRIBUTORY),
    PAGE_FAULT: (*CONTRIBUTORY, PAGE_FAULT),
}
