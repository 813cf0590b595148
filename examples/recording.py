"""A recording
===========

Someone types a letter; what is redrawn is outlined. A recording has only the frames that redrew
something, each for as long as it was shown, so five seconds of typing are some kilobytes.
"""

from pathlib import Path

import vgaemu

with vgaemu.Machine("typing") as machine:
    machine.tick(420)  # until the first line is there
    with machine.record("letter.png", outlines=True):
        machine.tick(420)

print("seven seconds in at most 20 kB:", Path("letter.png").stat().st_size <= 20_000)
