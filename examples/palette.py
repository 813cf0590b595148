"""One colour changes
==================

Change one colour in mode 13h: no page of memory is dirty, yet everything is drawn again.
"""

import vgaemu

with vgaemu.Machine(mode=0x13) as machine:
    machine.tick()  # the black screen that setting the mode leaves
    row = bytes(column * 64 // 320 for column in range(320))  # 64 colours, from left to right
    machine.vga.store(0xA0000, row * 200)
    stored = machine.run_frame()
    machine.vga.outb(0x3C8, 5)  # the DAC's write index, then red, green and blue, 6 bits each
    for channel in (63, 32, 0):
        machine.vga.outb(0x3C9, channel)
    changed = machine.run_frame()

print(f"picture stored: {len(stored.dirty_pages)} dirty pages, {stored.pixels} pixels drawn")
print(f"colour changed: {len(changed.dirty_pages)} dirty pages, {changed.pixels} pixels drawn")
