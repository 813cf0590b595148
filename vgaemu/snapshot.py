"""Snapshots: what of an object is saved, declared by its owner, and one engine for all of them.

An owner has a method `parts`: name -> `Part`, each bound to the object as it is. A snapshot is
plain arrays by these names; it may come from anywhere, so all of it is checked before the first
part is restored.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
#: Attributes of an object -> least and greatest; below 0 is None.
Saved: TypeAlias = Mapping[str, tuple[int, int]]

#: Times in ns and numbers of frames up to here leave room to count on.
MAX_COUNT = 1 << 62
#: Bytes of texts and queues: more is no snapshot of ours.
MAX_BYTES = 1 << 16
#: Bytes of rows, of which there may be any number.
MAX_ROWS_BYTES = 1 << 20


#: Bytes that what changes little is cut into.
BLOCK_BYTES = 256


class Packed(NamedTuple):
    """An array that stays as it was; its bytes are cut into blocks, shared with those before."""

    dtype: str
    shape: tuple[int, ...]
    blocks: tuple[bytes, ...]

    def array(self) -> Array:
        """It, read-only."""
        return np.frombuffer(b"".join(self.blocks), self.dtype).reshape(self.shape)


#: Some by name.
Values: TypeAlias = tuple[tuple[str, Packed], ...]


class Part(NamedTuple):
    """One array of a snapshot."""

    dtype: str
    #: What it is now; its shape is the one that is restored.
    take: Callable[[], object]
    restore: Callable[[Array], object]
    #: Whether an array of the right type and shape can be restored.
    fits: Callable[[Array], bool] = lambda array: True
    #: The first axis may have any length, up to so many bytes in all.
    any_length: bool = False
    most_bytes: int = MAX_ROWS_BYTES
    #: What restores it from a snapshot of before there was such a part; None: there is none.
    absent: Callable[[], object] | None = None

    def or_else(self, absent: Callable[[], object]) -> Part:
        """This part; `absent` restores it from a snapshot of before there was one."""
        return self._replace(absent=absent)

    def array(self) -> Array:
        """What it is now, as it is saved."""
        return np.asarray(self.take(), self.dtype)

    @property
    def room(self) -> int:
        """Most bytes of an array that can be restored."""
        return self.most_bytes if self.any_length else self.array().nbytes

    def takes(self, array: Array | None) -> bool:
        """Whether an array may be restored."""
        if array is None:
            return self.absent is not None
        if array.dtype != np.dtype(self.dtype):
            return False
        shape = np.asarray(self.take()).shape
        if self.any_length:
            same = array.ndim == len(shape) and array.shape[1:] == shape[1:]
        else:
            same = array.shape == shape
        return same and self.fits(array)


Parts: TypeAlias = Mapping[str, Part]


def take(parts: Parts, *, without: Collection[str] = ()) -> dict[str, Array]:
    """A snapshot."""
    return {name: part.array() for name, part in parts.items() if name not in without}


def packed(arrays: Mapping[str, Array], before: Values = ()) -> Values:
    """Arrays kept; what is as it was `before` is shared with that."""
    values = []
    for nth, (name, array) in enumerate(arrays.items()):
        old = before[nth] if nth < len(before) and before[nth][0] == name else None
        value = name, _packed(array, None if old is None else old[1])
        values.append(old if old is not None and old[1] is value[1] else value)
    return tuple(values)


def _packed(array: Array, before: Packed | None) -> Packed:
    octets = array.tobytes()
    blocks = cut(octets, BLOCK_BYTES, () if before is None else before.blocks)
    if before is not None:
        same = blocks is before.blocks and array.shape == before.shape
        if same and array.dtype == before.dtype:
            return before
    return Packed(array.dtype.str, array.shape, blocks)


def cut(octets: bytes, size: int, before: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """Blocks of so many bytes; those that are as they were are the same objects, as may be all.

    >>> before = cut(b"abcd", 2)
    >>> after = cut(b"abce", 2, before)
    >>> after, after[0] is before[0], cut(b"abcd", 2, before) is before
    ((b'ab', b'ce'), True, True)
    """
    if len(octets) <= size:
        return before if before == (octets,) else (octets,)
    blocks, same = [], len(before) == -(-len(octets) // size)
    for nth, at in enumerate(range(0, len(octets), size)):
        block = octets[at : at + size]
        old = before[nth] if nth < len(before) else None
        if old == block:
            block = old
        else:
            same = False
        blocks.append(block)
    return before if same else tuple(blocks)


def arrays_in(values: Values) -> dict[str, Array]:
    """What was `packed`."""
    return {name: value.array() for name, value in values}


def misfit(parts: Parts, arrays: Mapping[str, Array]) -> str | None:
    """Name of the first part that a snapshot lacks, or that cannot be restored from it."""
    return next((name for name, part in parts.items() if not part.takes(arrays.get(name))), None)


def restore(parts: Parts, arrays: Mapping[str, Array]) -> None:
    """Restore all parts from a snapshot that has no `misfit`."""
    for name, part in parts.items():
        if name in arrays:
            part.restore(arrays[name])
        elif part.absent is not None:
            part.absent()


def number(owner: object, name: str, most: int, dtype: str = "u4", least: int = 0) -> Part:
    """An attribute from `least` to `most`, of the type that it has: int, bool or float."""
    kind = type(getattr(owner, name))
    return Part(
        dtype,
        lambda: int(getattr(owner, name)),
        lambda array: setattr(owner, name, kind(array)),
        lambda array: least <= int(array) <= most,
    )


def marker(value: int, absent: Callable[[], object]) -> Part:
    """A number that says what else is there, from 0 to 255; `absent`: as `Part.or_else`."""
    return Part(
        "u1", lambda: value, lambda array: None, lambda array: int(array) == value, absent=absent
    )


def fields(*owners: Any) -> Part:
    """The attributes that each owner's `SAVED` (`Saved`) names, one number each."""
    ranges = [(owner, name, *between) for owner in owners for name, between in owner.SAVED.items()]

    def take() -> list[int]:
        values = [getattr(owner, name) for owner, name, _, _ in ranges]
        return [-1 if value is None else int(value) for value in values]

    def restore(array: Array) -> None:
        for (owner, name, least, _), value in zip(ranges, array.tolist(), strict=True):
            kind = bool if isinstance(getattr(owner, name), bool) else int
            setattr(owner, name, None if least < 0 and value < 0 else kind(value))

    def fits(array: Array) -> bool:
        between = zip(ranges, array.tolist(), strict=True)
        return all(least <= value <= most for (_, _, least, most), value in between)

    return Part("i8", take, restore, fits)


def octets(
    take: Callable[[], Iterable[int]],
    restore: Callable[[bytes], object],
    most: int = MAX_BYTES,
) -> Part:
    """As many bytes as there are, up to `most`."""
    return Part(
        "u1",
        lambda: list(take()),
        lambda array: restore(array.tobytes()),
        lambda array: array.size <= most,
        any_length=True,
    )


def octets_held(container: deque[int] | bytearray, most: int = MAX_BYTES) -> Part:
    """As many bytes as a container has, which stays the same one.

    >>> queue = deque(b"ab")
    >>> part = octets_held(queue)
    >>> queue.clear()
    >>> part.restore(np.frombuffer(b"xyz", np.uint8))
    >>> bytes(queue)
    b'xyz'
    """

    def restore(data: bytes) -> None:
        container.clear()
        container.extend(data)

    return octets(lambda: container, restore, most)


def octets_in(
    memory: bytearray | memoryview | NDArray[np.uint8], masks: bytes | bytearray = b"\xff"
) -> Part:
    """Bytes that stay where they are; without bits beside `masks`."""
    held, allowed = np.frombuffer(memory, np.uint8), np.frombuffer(masks, np.uint8)

    def restore(array: Array) -> None:
        held[:] = array

    return Part("u1", held.copy, restore, lambda array: not (array & ~allowed).any())


def text(
    take: Callable[[], object], restore: Callable[[Any], object], check: Callable[[Any], bool]
) -> Part:
    """What has names in it, as JSON; `check` may raise what wrong types raise."""

    def fits(array: Array) -> bool:
        try:
            return array.size <= MAX_BYTES and check(parsed(array))
        except (TypeError, ValueError, AttributeError, RecursionError):
            return False

    return Part(
        "u1",
        lambda: list(json.dumps(take()).encode("ascii")),
        lambda array: restore(parsed(array)),
        fits,
        any_length=True,
    )


def parsed(array: Array) -> Any:
    """What a `text` holds."""
    return json.loads(array.tobytes())
