"""Keys that are struck, and what the mouse does, at given frames: for scripts and `--keys`."""

from __future__ import annotations

from collections.abc import Iterable

from vgaemu.keys.actions import do, parse_action, steps_of
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Keys, parse_keys


class KeySchedule:
    """What is still to be struck, and when."""

    def __init__(self, keys: Keys, mouse: Mouse | None = None) -> None:
        self._keys, self._mouse = keys, mouse or Mouse()
        #: What is still to be struck: frame and key, or what the mouse does, by frames.
        self.left: tuple[tuple[int, str], ...] = ()
        self._all: tuple[tuple[int, str], ...] = ()

    def add(self, keys: str | Iterable[tuple[int, str]]) -> None:
        """Frame numbers and names of keys, or as text: see `vgaemu.keys.queue.parse_keys`.

        Raises:
            KeysError: There is no key of a name; none of them is struck then.
        """
        keys = parse_keys(keys) if isinstance(keys, str) else list(keys)
        for _, name in keys:
            if parse_action(name) is None:
                self._keys.text_of(name)
        steps = [step for frame, name in keys for step in steps_of(frame, name)]
        self.left = tuple(sorted([*self.left, *steps], key=lambda entry: entry[0]))
        self._all = (*self._all, *steps)

    def strike_again(self, frame_number: int) -> None:
        """Strike all that was ever to be struck from a frame on."""
        left = [entry for entry in self._all if entry[0] >= frame_number]
        self.left = tuple(sorted(left, key=lambda entry: entry[0]))

    def strike(self, frame_number: int) -> None:
        """Strike what is due up to a frame."""
        while self.left and self.left[0][0] <= frame_number:
            (_, name), *left = self.left
            self.left = tuple(left)
            action = parse_action(name)
            if action is None:
                self._keys.press(name)
            else:
                do(action, self._mouse)
