"""Deltas: what a tree of tuples was, told by how it differs from what it is now, deflated.

Leaves are bytes and plain values. What is the same object is not looked into; bytes of the same
length are told by their difference, which is mostly zeros.
"""

from __future__ import annotations

import pickle
import zlib
from typing import TypeAlias

#: A tuple, or a leaf: bytes, a number, a word.
Tree: TypeAlias = object
#: None: it is the same. A list: of a tuple what differs, by places. Bytes: their difference. A
#: tuple of one: as it was.
_Change: TypeAlias = object

#: Level 6 takes twice as long, for a tenth less.
LEVEL = 1


def delta(old: Tree, new: Tree) -> bytes:
    """What is needed to get from `new` to `old`."""
    return zlib.compress(pickle.dumps(_change(old, new), pickle.HIGHEST_PROTOCOL), LEVEL)


def earlier(new: Tree, change: bytes) -> Tree:
    """The old one of a `delta`; what did not change is that of `new`.

    >>> old, new = (b"ab", ("x", 3), b"long"), (b"ac", ("x", 3), b"longer")
    >>> earlier(new, delta(old, new)) == old, earlier(new, delta(old, new))[1] is new[1]
    (True, True)
    """
    return _changed(new, pickle.loads(zlib.decompress(change)))


def _change(old: Tree, new: Tree) -> _Change:
    if old is new:
        return None
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        changes = [(nth, _change(a, b)) for nth, (a, b) in pairs if a is not b]
        return [change for change in changes if change[1] is not None] or None
    if isinstance(old, bytes) and isinstance(new, bytes) and len(old) == len(new):
        return None if old == new else _xor(old, new)
    return None if old == new else (_plain(old),)


def _plain(tree: Tree) -> Tree:
    """Tuples whose items have names as plain ones, which take less room."""
    return tuple(_plain(item) for item in tree) if isinstance(tree, tuple) else tree


def _changed(new: Tree, change: _Change) -> Tree:
    if change is None:
        return new
    if isinstance(change, tuple):
        return change[0]
    if isinstance(change, bytes):
        assert isinstance(new, bytes)
        return _xor(new, change)
    assert isinstance(new, tuple)
    assert isinstance(change, list)
    items = [*new]
    for nth, inner in change:
        items[nth] = _changed(items[nth], inner)
    return tuple(items)


def _xor(one: bytes, other: bytes) -> bytes:
    number = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return number.to_bytes(len(one), "little")
