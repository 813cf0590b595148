"""Environments for agents: guests that gymnasium's learners play. docs/agents.md is its page.

    import gymnasium
    import vgaemu.gym

    env = gymnasium.make("vgaemu/Snake-v0")

``vgaemu/Image-v0`` is any disk image, program or kernel: see `vgaemu.gym.env.ImageEnv`. Bundled
guests have names of their own: ``vgaemu/Snake-v0``.
"""

from __future__ import annotations

import gymnasium

from vgaemu.assets import guests

#: Of snake.asm: its score, and its random numbers' state.
SNAKE_SCORE, SNAKE_SEED = 0x7E04, 0x7E0C
ONE, SEVERAL = "vgaemu.gym.env:ImageEnv", "vgaemu.gym.vector:ImageVectorEnv"

gymnasium.register("vgaemu/Image-v0", entry_point=ONE, vector_entry_point=SEVERAL)
gymnasium.register(
    "vgaemu/Snake-v0",
    entry_point=ONE,
    vector_entry_point=SEVERAL,
    kwargs={
        "image": str(guests() / "snake.img"),
        "keys": ("up", "down", "left", "right"),
        "obs": "text",
        "reward": f"gained(word({SNAKE_SCORE:#x})) - terminated",
        "terminated": "shows('Game over')",
        "seed_at": ((SNAKE_SEED, 2),),
    },
    max_episode_steps=10_000,
)
