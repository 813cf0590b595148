"""Numbers that native code and Python both read and write: arrays of int64, laid out as said here.

**Time**: the guest's, in a slice. There the truth is in these cells: native code that takes the
guest time does `vgaemu.native.clock.cost`, Python `StepClock.cost`, and both the same arithmetic.
The engine is let go for as many instructions as `DUE` has room for, so what both keep right is that
one number.

**Marks**: a dirty log that native code marks pages in; `FlagsKeeper.share` has them.

**Planes**: what stores and loads through the planes look at; `SharedAperture` has them. Registers
are not among them: native code looks at the registers' own bytes, so nothing is done when a planar
program changes one before each store.
"""

from __future__ import annotations

#: Nanoseconds from the slice's first instruction to its end, less all that has cost time beside
#: instructions.
DUE = 0
#: When the slice is to end, and what time that passes must not pass, in nanoseconds since power on.
UNTIL, LIMIT = 1, 2
#: `StepClock.events`, and the time of the last of them if it was native code's.
EVENTS, NOW = 3, 4
#: Address of the engine's count: instructions begun, and how many there are to be, uint64 each.
PROGRESS = 5
CELLS = 8

#: Addresses of a byte a page, 1 = dirty and writable, and of what a harvest found of them.
FLAGS, FOUND = 0, 1
#: Bytes of each: a multiple of 8.
FLAG_BYTES = 2
#: Pages that native code found protected.
FAULTS = 3
MARKS_CELLS = 4

#: Addresses of VRAM, and of the values of graphics controller and sequencer.
VRAM, GRAPHICS, SEQUENCER = 0, 1, 2
#: Window offset of A0000h, 0 or below, and bytes of the window, 0 if there is none.
FIRST, BYTES = 3, 4
#: One of `KINDS`, or -1: only Python knows it.
KIND = 5
#: Four bits of planes for each value of an offset's bits 0-1; as `Addressing` has them.
SELECT, PAGE, FIRST_DWORD, PLANE_DWORDS = 6, 7, 8, 9
#: The latches as a dword, plane 0 lowest.
LATCH = 10
#: Addresses of the cells of marks; of those of time, or 0: nobody's time passes.
MARKS, TIME = 11, 12
#: What 16 bits stored or loaded through the planes take of it, in nanoseconds.
COST = 13
#: Address of the cells of the CPU whose instructions are counted by blocks, or 0.
COUNTED = 14
PLANES_CELLS = 15
#: How an offset becomes an address, as `Addressing.kind`.
PLANAR, ODD_EVEN, CHAIN4 = 0, 1, 2
