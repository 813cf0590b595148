"""What `StepClock.cost` does, for native code."""

from __future__ import annotations

from vgaemu.native.cells import DUE, EVENTS, NOW, PROGRESS, UNTIL
from vgaemu.native.compiler import Pointer, int64_at, part

#: `vgaemu.pc.clock.INSTRUCTION_NS`, which lies on a floor above.
INSTRUCTION_NS = 33


@part
def cost(cells: Pointer, ns: int) -> None:
    """The guest did what takes a real machine long, too; the slice ends as much sooner."""
    progress = int64_at(cells[PROGRESS])
    done = progress[0]
    due = cells[DUE] - ns
    cells[DUE] = due
    cells[NOW] = cells[UNTIL] - due + done * INSTRUCTION_NS
    cells[EVENTS] += 1
    if done <= progress[1]:  # else the end has been asked for, see `vgaemu.pc.clock`
        most = -(-due // INSTRUCTION_NS)
        progress[1] = most if most > done else done
