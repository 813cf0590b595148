"""The guest's time in a slice, where native code and Python both let it pass.

Inside a slice the truth is in these cells, each an int64: native code that takes the guest time
does `vgaemu.native.time.cost`, Python `StepClock.cost`, and both the same arithmetic. The engine is
let go for as many instructions as `DUE` has room for, so what both keep right is that one number.
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
