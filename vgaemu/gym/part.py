"""A process's part of a vector of environments, and the memory that all parts share.

A step goes through that memory: actions, what is seen, rewards, ends, frames. Whatever else there
is to tell, which is rare, goes through a pipe.
"""

from __future__ import annotations

import mmap
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import TypeAlias

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from vgaemu.errors import GymError, VgaemuError
from vgaemu.gym.env import Observation

Env: TypeAlias = gymnasium.Env[Observation, np.int64]
#: By an environment's number in the vector, what its info has besides its frames.
Told: TypeAlias = list[tuple[int, dict[str, object]]]

#: What a process is to do: a step, or what its pipe says.
STEP, MESSAGE = 0, 1
#: Tries to go on at once, some 50 us; then a process sleeps, which takes longer to end.
SPINS = 300
#: Of the host's cache.
LINE_BYTES = 64
#: So often a process that sleeps looks whether the other one is still there (seconds).
LOOK_S = 0.5


class Block:
    """What all processes see: an element for each environment."""

    def __init__(self, buffer: mmap.mmap, count: int, parts: int, shape: tuple[int, ...]) -> None:
        fields = dict(_fields(count, parts, shape))
        at, arrays = 0, {}
        for name, (sizes, kind) in fields.items():
            dtype = np.dtype(kind)
            array = np.frombuffer(buffer, dtype, int(np.prod(sizes)), at).reshape(sizes)
            arrays[name] = array
            at += _whole_lines(array.nbytes)
        #: What is to be done, `STEP` or `MESSAGE`.
        self.command: NDArray[np.int64] = arrays["command"]
        self.actions: NDArray[np.int64] = arrays["actions"]
        self.rewards: NDArray[np.float64] = arrays["rewards"]
        self.frames: NDArray[np.int64] = arrays["frames"]
        self.terminated: NDArray[np.bool_] = arrays["terminated"]
        self.truncated: NDArray[np.bool_] = arrays["truncated"]
        #: Of each process: whether there is something in its pipe.
        self.notes: NDArray[np.bool_] = arrays["notes"]
        self.seen: Observation = arrays["seen"]


def _fields(
    count: int, parts: int, shape: tuple[int, ...]
) -> list[tuple[str, tuple[tuple[int, ...], str]]]:
    return [
        ("command", ((1,), "i8")),
        ("actions", ((count,), "i8")),
        ("rewards", ((count,), "f8")),
        ("frames", ((count,), "i8")),
        ("terminated", ((count,), "?")),
        ("truncated", ((count,), "?")),
        ("notes", ((parts,), "?")),
        ("seen", ((count, *shape), "u1")),
    ]


def _whole_lines(nbytes: int) -> int:
    """What bytes take where each field begins at a line of the host's cache."""
    return -(-nbytes // LINE_BYTES) * LINE_BYTES


def block_bytes(count: int, parts: int, shape: tuple[int, ...]) -> int:
    """How large a `Block`'s memory is."""
    return sum(
        _whole_lines(int(np.prod(sizes)) * np.dtype(kind).itemsize)
        for _, (sizes, kind) in _fields(count, parts, shape)
    )


def mapped(path: Path) -> mmap.mmap:
    """A file as memory that others see."""
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


@dataclass
class Failed:
    """An error of another process."""

    said: str
    #: Whether `said` is all that there is to say.
    is_ours: bool

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """What is told of an error."""
        is_ours = isinstance(error, VgaemuError)
        return cls(str(error) if is_ours else f"{type(error).__name__}: {error}", is_ours)

    def raised(self, who: str) -> GymError:
        """The error here."""
        return GymError(self.said if self.is_ours else f"{who}: {self.said}")


class Part:
    """Some environments of a vector, from number `first` on."""

    def __init__(
        self, envs: Sequence[Env], block: Block, first: int, autoreset: AutoresetMode
    ) -> None:
        self.envs, self.block, self._first, self._autoreset = envs, block, first, autoreset

    def step(self) -> Told | None:
        """A step of each, by `Block.actions`; of one that is over, what its mode says.

        Raises:
            GymError: One is over that only its user resets.
        """
        block, told = self.block, Told()
        for number, env in enumerate(self.envs, self._first):
            if block.terminated[number] or block.truncated[number]:
                if self._autoreset is AutoresetMode.DISABLED:
                    raise GymError(f"environment {number} is over: reset it first")
                if self._autoreset is AutoresetMode.NEXT_STEP:
                    self._reset(number, told)
                    continue
            seen, reward, over, cut, info = env.step(block.actions[number])
            if (over or cut) and self._autoreset is AutoresetMode.SAME_STEP:
                self._reset(number, told)
                told.append((number, {"final_obs": seen.copy(), "final_info": info}))
            else:
                self._note(number, seen, info, told)
            block.rewards[number] = reward
            block.terminated[number], block.truncated[number] = over, cut
        return told or None

    def reset(
        self,
        seeds: Sequence[int | None],
        options: dict[str, object] | None,
        mask: Sequence[bool],
    ) -> Told | None:
        """Begin episodes of those that a mask has."""
        told = Told()
        for at, (seed, wanted) in enumerate(zip(seeds, mask, strict=True)):
            if wanted:
                self._reset(self._first + at, told, seed, options)
        return told or None

    def _reset(
        self,
        number: int,
        told: Told,
        seed: int | None = None,
        options: dict[str, object] | None = None,
    ) -> None:
        block = self.block
        seen, info = self.envs[number - self._first].reset(seed=seed, options=options)
        block.rewards[number] = 0
        block.terminated[number] = block.truncated[number] = False
        self._note(number, seen, info, told)

    def _note(self, number: int, seen: Observation, info: dict[str, object], told: Told) -> None:
        self.block.seen[number] = seen
        frames = info.pop("frames")
        assert isinstance(frames, int)
        self.block.frames[number] = frames
        if info:
            told.append((number, info))

    def render(self) -> list[object]:
        """Of each, what its render mode shows."""
        return [env.render() for env in self.envs]

    def call(
        self, name: str, words: tuple[object, ...], keywords: dict[str, object]
    ) -> list[object]:
        """Of each, an attribute, or what it returns.

        Raises:
            GymError: There is none of that name.
        """
        try:
            found = [env.get_wrapper_attr(name) for env in self.envs]
        except (AttributeError, TypeError):
            raise GymError(f"{name!r}: the environments have no attribute of that name") from None
        return [each(*words, **keywords) if callable(each) else each for each in found]

    def set_attr(self, name: str, values: Sequence[object]) -> None:
        """Give each an attribute.

        Raises:
            GymError: It is no name, or of what stays as it is.
        """
        try:
            for env, value in zip(self.envs, values, strict=True):
                env.set_wrapper_attr(name, value)
        except (AttributeError, TypeError) as error:
            raise GymError(f"{name!r}: not an attribute that can be set: {error}") from None

    def close(self) -> None:
        """Close them."""
        for env in self.envs:
            env.close()


def work(
    make: Callable[[], Env],
    numbers: range,
    autoreset: AutoresetMode,
    place: tuple[int, int, int],
    pipe: Connection,
    go: Semaphore,
    done: Semaphore,
) -> None:
    """What a process does: it makes its environments, and does what it is told until it is closed.

    Args:
        make: Makes an environment.
        numbers: Which it has.
        autoreset: What comes after an episode.
        place: Which process it is, of how many, and environments in all.
        pipe: First tells whether environments could be made, then gets the path of the block.
        go: There is something to do.
        done: It is done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who plays
    with ExitStack() as closing:
        try:
            envs = [make() for _ in numbers]
            for env in envs:
                closing.callback(env.close)
        except Exception as error:
            pipe.send_bytes(pickle.dumps(Failed.of(error)))
            return
        pipe.send_bytes(pickle.dumps(None))
        try:
            path = pipe.recv()
        except EOFError:
            return  # another one could not be made
        process, processes, count = place
        shape = envs[0].observation_space.shape
        assert shape is not None
        part = Part(envs, Block(mapped(path), count, processes, shape), numbers.start, autoreset)
        pipe.send_bytes(pickle.dumps(None))
        while _told_to_go(go) and _act(part, process, pipe, done):
            pass


def _told_to_go(go: Semaphore) -> bool:
    """Wait for something to do; False once nobody is there any more."""
    for _ in range(SPINS):
        if go.acquire(False):
            return True
    parent = parent_process()
    assert parent is not None
    while not go.acquire(timeout=LOOK_S):
        if not parent.is_alive():
            return False
    return True


def _act(part: Part, process: int, pipe: Connection, done: Semaphore) -> bool:
    """Do one thing; False after the last."""
    goes_on, told = True, b""
    try:
        answer: object
        if part.block.command[0] == STEP:
            answer = part.step()
        else:
            name, words = pipe.recv()
            goes_on = name != "close"
            answer = getattr(part, name)(*words)
        told = b"" if answer is None else pickle.dumps(answer)
    except Exception as error:
        told = pickle.dumps(Failed.of(error))
    part.block.notes[process] = bool(told)
    done.release()  # first: what is larger than a pipe waits for its reader
    if told:
        pipe.send_bytes(told)
    return goes_on
