"""ImageVectorEnv: environments that step together, on as many cores as there are.

The process that plays has the first part of them itself, so that nobody waits idle: two on two
cores are two processes, not three. What a step says goes through shared memory, see `part`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from gymnasium.core import RenderFrame
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper, batch_space
from gymnasium.wrappers import TimeLimit
from numpy.typing import ArrayLike, NDArray

from vgaemu.errors import GymError
from vgaemu.gym.env import ImageEnv, Observation, check_reset_options
from vgaemu.gym.part import (
    LOOK_S,
    MESSAGE,
    SPINS,
    STEP,
    Block,
    Env,
    Failed,
    Part,
    Told,
    block_bytes,
    mapped,
    work,
)
from vgaemu.signals import FRAME_HANGS_S, stops_wait

#: Seconds that a process has to end when it is closed.
CLOSE_S = 10.0
#: Where files are memory, if there is such a place.
MEMORY = Path("/dev/shm")


@dataclass
class _Worker:
    """A process with environments of its own."""

    process: BaseProcess
    pipe: Connection
    go: Semaphore
    done: Semaphore
    numbers: range

    @property
    def name(self) -> str:
        first, last = self.numbers.start, self.numbers.stop - 1
        return f"environment {first}" if first == last else f"environments {first} to {last}"

    @property
    def some(self) -> slice:
        """Which it has, of lists of all."""
        return slice(self.numbers.start, self.numbers.stop)

    def send(self, message: bytes) -> None:
        """Tell it a method of its part, and the words, as `_packed` makes them.

        Raises:
            GymError: It is there no more.
        """
        try:
            self.pipe.send_bytes(message)
        except OSError:
            raise self.lost() from None

    def receive(self) -> object:
        """What it tells.

        Raises:
            GymError: It failed, or is there no more.
        """
        while not self.pipe.poll(LOOK_S):
            self.check()
        try:
            told = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            raise self.lost() from None
        if isinstance(told, Failed):
            raise told.raised(self.name)
        return told

    def wait(self) -> None:
        """Until it is done.

        Raises:
            GymError: It is there no more.
        """
        for _ in range(SPINS):
            if self.done.acquire(False):
                return
        while not self.done.acquire(timeout=LOOK_S):
            self.check()

    def check(self) -> None:
        if not self.process.is_alive():
            raise self.lost()

    def lost(self) -> GymError:
        self.process.join(LOOK_S)
        return GymError(f"{self.name}: its process has ended with {self.process.exitcode}")


class ImageVectorEnv(VectorEnv[Observation, NDArray[np.int64], NDArray[np.generic]]):
    """Environments of one kind that step together.

    They are what `gymnasium.vector.AsyncVectorEnv` has of them, and infos are as there.

    Args:
        num_envs: How many.
        autoreset_mode: What follows an episode's end: ``NextStep``, ``SameStep`` or ``Disabled``,
            as in `gymnasium.vector.AutoresetMode`.
        max_episode_steps: Cut episodes after so many steps.
        processes: How many processes they are in, this one among them; as many as there are cores.
        **options: For each: see `vgaemu.gym.env.ImageEnv`.

    Raises:
        GymError: An argument is none of those.
        VgaemuError: There is no such environment.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        processes: int | None = None,
        **options: object,
    ) -> None:
        self.closed = True  # nothing is there yet
        for name, number in (("num_envs", num_envs), ("processes", processes)):
            whole = isinstance(number, int) and not isinstance(number, bool)
            if number is not None and (not whole or number < 1):
                raise GymError(f"{name}={number!r}: a whole number, at least 1")
        try:
            autoreset = AutoresetMode(autoreset_mode)
        except ValueError:
            known = ", ".join(mode.value for mode in AutoresetMode)
            raise GymError(f"autoreset_mode={autoreset_mode!r}: there are {known}") from None
        self.num_envs = num_envs
        count = min(num_envs, processes or cores())
        ends = [num_envs * number // count for number in range(count + 1)]
        parts = [range(*pair) for pair in pairwise(ends)]
        make = partial(_make, options, max_episode_steps)
        self._workers: list[_Worker] = []
        #: Those that have been told to do something, and were not waited for yet.
        self._busy: list[_Worker] = []
        try:
            for number, part in enumerate(parts[1:], 1):
                place = number, count, num_envs
                self._workers.append(_started(make, part, autoreset, place))
            envs = [make() for _ in parts[0]]
            self._own = self._shared(envs, count, autoreset)
        except BaseException:
            self._end(0)
            raise
        self.render_mode = envs[0].render_mode
        self.metadata = envs[0].metadata | {"autoreset_mode": autoreset}
        self.single_action_space = envs[0].action_space
        assert isinstance(self.single_action_space, Discrete)
        self._actions = int(self.single_action_space.n)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = envs[0].observation_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.closed = False

    def _shared(self, envs: Sequence[Env], count: int, autoreset: AutoresetMode) -> Part:
        """Our own part, in memory that all of them see."""
        for worker in self._workers:
            worker.receive()
        shape = envs[0].observation_space.shape
        assert shape is not None
        where = MEMORY if os.access(MEMORY, os.W_OK) else None
        with TemporaryDirectory(prefix="vgaemu-", dir=where, ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "block"
            path.write_bytes(bytes(block_bytes(self.num_envs, count, shape)))
            for worker in self._workers:
                worker.pipe.send(path)
            memory = mapped(path)
            for worker in self._workers:
                worker.receive()
        return Part(envs, Block(memory, self.num_envs, count, shape), 0, autoreset)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, object] | None = None,
    ) -> tuple[Observation, dict[str, object]]:
        """Begin episodes, of all or of those that ``options["reset_mask"]`` has.

        Args:
            seed: Of the first, of whom the others have those that follow; or one of each.
            options: For each; ``reset_mask`` is (n,) bool.

        Raises:
            GymError: There are not as many seeds or masks.
        """
        seeds = self._seeds(seed)
        check_reset_options(options)
        options = dict(options or {})
        mask = _array_of(options.pop("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise GymError(f"reset_mask: {self.num_envs} of True and False, one True at least")
        chosen = mask.tolist()
        told = self._all("reset", lambda some: (seeds[some], options or None, chosen[some]))
        return self._own.block.seen.copy(), self._infos(told, mask)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + number for number in range(self.num_envs)]
        else:
            seeds = list(seed) if isinstance(seed, Sequence) else [-1]
        if any(one is not None and (not isinstance(one, int) or one < 0) for one in seeds):
            raise GymError(f"seed={seed!r}: a whole number from 0 on, or a list of one each")
        if len(seeds) != self.num_envs:
            raise GymError(f"seed: {len(seeds)} of them for {self.num_envs} environments")
        return seeds

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        Observation,
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, object],
    ]:
        """A step of each.

        Args:
            actions: A whole number for each environment.

        Returns:
            As gymnasium has it: what is seen; rewards, whether it is over and whether it was cut
            short, (environments,) each; what else there is to tell.

        Raises:
            GymError: There is no such action; or one of them fails.
        """
        block, said = self._own.block, _array_of(actions)
        if said.shape != (self.num_envs,) or said.dtype.kind not in "iu":
            raise GymError(f"actions {actions!r}: a whole number for each environment")
        if said.min() < 0 or said.max() >= self._actions:
            raise GymError(f"actions {said.tolist()}: 0 to {self._actions - 1}")
        block.actions[:] = said
        told = self._all("step", None)
        rewards, over, cut = block.rewards.copy(), block.terminated.copy(), block.truncated.copy()
        everybody = np.ones(self.num_envs, np.bool_)
        return block.seen.copy(), rewards, over, cut, self._infos(told, everybody)

    def _infos(self, told: list[object], mask: NDArray[np.bool_]) -> dict[str, object]:
        frames = np.where(mask, self._own.block.frames, 0)
        infos: dict[str, object] = {"frames": frames, "_frames": mask.copy()}
        for some in told:
            for number, info in cast(Told, some or []):
                infos = self._add_info(infos, info, number)
        return infos

    def _all(
        self, name: str, words: Callable[[slice], tuple[object, ...]] | None = None
    ) -> list[object]:
        """What each part returns of a method, at once; a step has no words.

        Raises:
            GymError: One of them fails; the others have done it. Or they are closed.
        """
        if self.closed:
            raise GymError("the environments are closed: make others")
        # All first: what cannot be told to one is told to none.
        messages = [_packed(name, words(worker.some)) if words else b"" for worker in self._workers]
        while self._busy:  # an error came between; nobody asks for what they tell
            with suppress(GymError):
                self._answer()
        with stops_wait(hangs_s=FRAME_HANGS_S):
            self._own.block.command[0] = MESSAGE if words else STEP
            for worker, message in zip(self._workers, messages, strict=True):
                if words:
                    worker.send(message)
                worker.go.release()
                self._busy.append(worker)
            own = words(slice(0, len(self._own.envs))) if words else ()
            found = [getattr(self._own, name)(*own)]
            while self._busy:
                found.append(self._answer())
            return found

    def _answer(self) -> object:
        """What the next one that is busy tells."""
        worker = self._busy[0]
        try:
            worker.wait()
        except GymError:
            del self._busy[0]  # it is there no more
            raise
        del self._busy[0]
        noted = self._own.block.notes[1 + self._workers.index(worker)]
        return worker.receive() if noted else None

    def render(self) -> tuple[RenderFrame, ...]:
        """What the render mode shows of each."""
        return cast(tuple[RenderFrame, ...], tuple(self._lists("render", lambda some: ())))

    def call(self, name: str, *words: object, **keywords: object) -> tuple[object, ...]:
        """What a method of each returns, or an attribute of each.

        Raises:
            GymError: They have none of that name; or words cannot go to another process.
        """
        return tuple(self._lists("call", lambda some: (name, words, keywords)))

    def get_attr(self, name: str) -> tuple[object, ...]:
        """An attribute of each."""
        return self.call(name)

    def set_attr(self, name: str, values: object) -> None:
        """Give each an attribute: the same, or of a list one each.

        Raises:
            GymError: The list is longer or shorter; there is no such name, or it stays as it is; or
                a value cannot go to another process.
        """
        each = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise GymError(f"{name}: {len(each)} values for {self.num_envs} environments")
        self._all("set_attr", lambda some: (name, each[some]))

    def _lists(self, name: str, words: Callable[[slice], tuple[object, ...]]) -> list[object]:
        return [value for some in self._all(name, words) for value in cast(list[object], some)]

    def close_extras(self, **_: object) -> None:
        """Close all of them, and end their processes."""
        try:
            while self._busy:
                with suppress(GymError):
                    self._answer()
            self._own.block.command[0] = MESSAGE
            for worker in self._workers:  # also where another one is there no more
                with suppress(GymError):
                    worker.send(_packed("close", ()))
                    worker.go.release()
        finally:
            self._own.close()
            self._end(CLOSE_S)

    def _end(self, seconds: float) -> None:
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(seconds)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def cores() -> int:
    """How many of the machine's this process may use, where a system tells that."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _packed(name: str, words: tuple[object, ...]) -> bytes:
    """A method and its words, for another process."""
    try:
        return pickle.dumps((name, words))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        what = next((str(word) for word in words if isinstance(word, str)), name)
        raise GymError(
            f"{what}: what cannot be pickled does not go to another process: {error}; "
            "use a function of a module, or processes=1"
        ) from None


def _array_of(said: object) -> NDArray[Any]:
    """An array; an empty one of what is none, such as lists of several lengths."""
    try:
        return np.asarray(said)
    except ValueError:
        return np.empty(0)


def _make(options: dict[str, object], max_episode_steps: int | None) -> Env:
    make: Callable[..., Env] = ImageEnv
    env = make(**options)
    return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)


def _started(
    make: Callable[[], Env], numbers: range, autoreset: AutoresetMode, place: tuple[int, int, int]
) -> _Worker:
    """A process that makes its environments."""
    pipe, its = multiprocessing.Pipe()
    go, done = multiprocessing.Semaphore(0), multiprocessing.Semaphore(0)
    words = CloudpickleWrapper(make), numbers, autoreset, place, its, go, done
    process = multiprocessing.Process(target=work, args=words, daemon=True)
    process.start()
    its.close()
    return _Worker(process, pipe, go, done, numbers)
