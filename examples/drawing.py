"""A guest in Python
=================

A guest is a generator: it draws, and each ``yield`` waits for the next frame. This one fans lines
out from a corner, and stops when a key is struck.
"""

import vgaemu


def fan(guest, colour="32"):
    guest.set_mode(0x13)  # 320x200, 256 colours
    for x in range(0, 320, 8):
        guest.canvas.line(0, 199, x, 0, int(colour) + x // 8 % 24)
        yield
    guest.canvas.text(200, 180, "press a key", 15)
    while not guest.keys.typed():
        yield


with vgaemu.Machine(fan, ["32"]) as machine:
    with machine.record("fan.png"):
        machine.tick(60)
    report = machine.run_frame()  # it waits: nothing is stored
    print(f"{len(report.dirty_pages)} dirty pages, {report.pixels} pixels drawn")
    machine.keys.press("a")
    machine.run(speed=0)
    print(f"ended after {machine.frames} frames")
