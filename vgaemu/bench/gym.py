"""`vgaemu bench gym`: steps of agents a second, by one environment and by vectors of two.

The guest is the bundled snake, which is steered around a square: each step is a key, four frames
and the text screen. One environment, two by `vgaemu.gym.vector` and two by gymnasium's own
AsyncVectorEnv take turns. Both CPU and wall time of the one are told: on a shared machine the first
is its speed.
"""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median
from time import perf_counter, process_time
from typing import Protocol

import numpy as np

from vgaemu.bench.measure import RUNS, Row, median_of_runs
from vgaemu.errors import BenchError

#: Steps of a turn, and turns, behind one that is left out.
STEPS, TURNS = 250, 5
#: Up, left, down, right, for so many steps each: a square.
SQUARE, SIDE = (0, 2, 1, 3), 8
#: What an agent sees.
SEEN = ("text", "ram", "gray", "rgb")
NAME, FRAME_SKIP = "vgaemu.gym:vgaemu/Snake-v0", 4


def measure(runs: int = RUNS) -> list[Row]:
    """A row each of one environment, by what it sees, and of a vector of either kind.

    Raises:
        BenchError: There is no gymnasium.
    """
    if find_spec("gymnasium") is None:
        raise BenchError("bench gym: no gymnasium: pip install 'vgaemu[gym]'")
    return median_of_runs(lambda: [*(_one(obs) for obs in SEEN), *_vectors()], runs)


class Steps(Protocol):
    """An environment, or a vector of them."""

    def reset(self, *, seed: int) -> object: ...
    def step(self, action: object) -> object: ...


def _one(obs: str) -> Row:
    import gymnasium

    env = gymnasium.make(NAME, frame_skip=FRAME_SKIP, obs=obs)
    try:
        turns = [_turn(env, 1) for _ in range(TURNS + 1)][1:]
    finally:
        env.close()
    return {
        "steps": f"a second, {obs}",
        "of_cpu_time": median(cpu for _, cpu in turns),
        "of_wall_time": median(wall for wall, _ in turns),
    }


def _vectors() -> list[Row]:
    import gymnasium

    one = gymnasium.make(NAME, frame_skip=FRAME_SKIP)
    twos = {
        said: gymnasium.make_vec(NAME, 2, vectorization_mode=mode, frame_skip=FRAME_SKIP)
        for said, mode in (("ours", "vector_entry_point"), ("gymnasium's", "async"))
    }
    envs = {one: 1} | dict.fromkeys(twos.values(), 2)
    try:
        for env, count in envs.items():
            _turn(env, count)
        turns = [[_turn(env, count)[0] for env, count in envs.items()] for _ in range(TURNS)]
    finally:
        for env in envs:
            env.close()
    return [
        {
            "vector": f"of two, text, a second, {said}",
            "one": median(turn[0] for turn in turns),
            "two": median(turn[at] for turn in turns),
            "times_as_fast_as_one": median(turn[at] / turn[0] for turn in turns),
        }
        for at, said in enumerate(twos, 1)
    ]


def _turn(env: Steps, count: int) -> tuple[float, float]:
    """Steps a second of wall time and of our own CPU time; `count` of them at once."""
    env.reset(seed=1)
    begin, begin_cpu = perf_counter(), process_time()
    for step in range(STEPS):
        action = np.int64(SQUARE[step // SIDE % 4])
        env.step(action if count == 1 else np.full(count, action))
    wall, cpu = perf_counter() - begin, process_time() - begin_cpu
    return count * STEPS / wall, count * STEPS / max(cpu, 1e-9)
