"""Machine code, keys and a saved state
====================================

The bundled snake is a boot sector of 16-bit machine code. Keys are struck in given frames, so every
run of this script draws the same picture. A saved state has the CPU and RAM in it: the game goes on
from there, in another machine. It needs ``pip install 'vgaemu[unicorn]'``.
"""

from vgaemu import Machine
from vgaemu.assets import guests

SNAKE = guests() / "snake.img"

with Machine(SNAKE) as machine:
    machine.schedule_keys([(178, "down"), (215, "left")])
    machine.tick(240)
    machine.save_state("snake.npz")
    machine.tick(60)
    first = machine.screen.text()

# %%
# Another machine goes on from the file, and comes to the same picture.
with Machine(SNAKE) as machine:
    machine.load_state("snake.npz")
    machine.tick(60)
    print("the same screen:", machine.screen.text() == first)
