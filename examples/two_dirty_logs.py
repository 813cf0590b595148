"""Two dirty logs beside one guest
===============================

What the 2012 patch replaced (``srcu``) and the patch (``words``) harvest the same frames of one
guest. Both find the same pages; what they did to find them is counted.
"""

import vgaemu

with vgaemu.Machine("sprites", dirty_log="srcu+words") as machine:
    machine.tick(60)
    for name, kept in machine.stats.keepers.items():
        work = kept.work
        print(f"{name}: {work.entries_looked_at} page table entries looked at,", end=" ")
        print(f"{work.entries_changed} changed, {work.grace_periods} grace periods")
