"""Episodes, each from one snapshot
================================

Who lets a program play wants thousands of steps a second. A step here is a key, some frames of the
guest's time, and the picture, always in the same array. What the player sees is text and the
guest's memory. An episode begins with `restore`, which copies back only what was written since. It
needs ``pip install 'vgaemu[unicorn]'``.
"""

import random

from vgaemu import Machine
from vgaemu.assets import guests

SCORE, PLACE = 0x7E04, 0x7E0A  # of snake.asm
FRAMES = 7  # about as long as the snake stays where it is


def towards_the_diamond(machine):
    """The key that leads there."""
    text = "".join(machine.screen.text())
    row, column = divmod(text.index("♦"), 80)
    place = int.from_bytes(machine.ram[PLACE : PLACE + 2], "little") // 2
    if column != place % 80:
        return "left" if column < place % 80 else "right"
    return "up" if row < place // 80 else "down"


with Machine(guests() / "snake.img") as machine:
    machine.tick(60)
    start, picture = machine.snapshot(), machine.screen.rgb()
    for episode in range(2):
        player, steps = random.Random(episode), 0
        machine.restore(start)
        while "Game over" not in machine.screen.text()[12]:
            key = towards_the_diamond(machine)
            if player.random() < 0.1:
                key = player.choice(("up", "down", "left", "right"))
            machine.keys.press(key)
            machine.tick(FRAMES)
            machine.screen.rgb(out=picture)
            steps += 1
        print(f"episode {episode}: {steps} steps, score {machine.ram[SCORE]}")
