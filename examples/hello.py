"""Hello, screen
=============

Store five characters into text memory, draw one frame, and look at the screen.
"""

import vgaemu

with vgaemu.Machine() as machine:
    machine.vga.store(0xB8000, b"H\x1ee\x1el\x1el\x1eo\x1e")  # yellow (Eh) on blue (1)
    machine.tick()
    print(machine.screen.text()[0].rstrip())
    machine.screen.save("hello.png")
