"""Rollouts on many machines
=========================

Ray starts workers wherever its cluster has cores; each plays episodes of its own, and hands back
what it gained. Without a cluster (``RAY_ADDRESS``) it makes a local one. It needs
``pip install 'vgaemu[unicorn,gym]' ray``; ``ray_rollouts.py WORKERS STEPS`` says how much to play.
"""

import os
import sys
import time

import ray


@ray.remote(num_cpus=1)
class Player:
    """A worker with an environment."""

    def __init__(self, number):
        import gymnasium

        self.env = gymnasium.make("vgaemu.gym:vgaemu/Snake-v0", frame_skip=4)
        self.env.action_space.seed(number)
        self.env.reset(seed=number)

    def play(self, steps):
        """What so many steps gained, and how many episodes ended."""
        gained = episodes = 0
        for _ in range(steps):
            _, reward, over, cut, _ = self.env.step(self.env.action_space.sample())
            gained += reward
            if over or cut:
                episodes += 1
                self.env.reset()
        return gained, episodes


workers, steps = (int(word) for word in (*sys.argv[1:], "2", "1000")[:2])
if "RAY_ADDRESS" in os.environ:
    ray.init(log_to_driver=False)
else:
    ray.init(
        num_cpus=workers, _node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False
    )
players = [Player.remote(number) for number in range(workers)]
ray.get([player.play.remote(10) for player in players])  # they are ready
begin = time.perf_counter()
results = ray.get([player.play.remote(steps) for player in players])
seconds = time.perf_counter() - begin
for number, (gained, episodes) in enumerate(results):
    print(f"worker {number}: {episodes} episodes, {gained:g} gained")
print(f"{workers * steps / seconds:.0f} steps/s by {workers} workers")
ray.shutdown()
