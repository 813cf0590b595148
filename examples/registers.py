"""Registers by name
=================

A status line that stands still while the text above it scrolls smoothly: the line compare register
splits the screen, and the start address with the preset row scan moves the upper part by single
scan lines. No page of memory becomes dirty by it.
"""

import vgaemu

with vgaemu.Machine() as machine:
    guest = machine.guest
    guest.text.cursor(False)
    # Memory begins with what stands below the split; the picture above begins at row 1.
    guest.text.set_colour("black", "cyan")
    guest.text.print(" status: all is well".ljust(80), end="")
    for number in range(1, 29):  # more than fit: characters, and light grey on blue
        line = f"line {number}".ljust(80).encode()
        guest.store(0xB8000 + 160 * number, b"".join(bytes((byte, 0x17)) for byte in line))
    guest.ports["line_compare"] = 400 - 16 - 1
    guest.ports["start_address"] = 80
    machine.tick()

    # %%
    # Sixteen steps of a scan line, then a row: nothing is stored.
    dirty = 0
    with machine.record("scrolling.png"):
        for step in range(40):
            guest.ports["start_address"] = 80 * (1 + step // 16)
            guest.ports["preset_row"] = step % 16
            dirty += len(machine.run_frame().dirty_pages)
    print(f"40 frames scrolled, {dirty} dirty pages")
    print(machine.screen.text()[0].strip())
