"""Typist: types a text into a guest, a few keys a frame, as fast as the guest takes them.

A BIOS keeps 15 keys that its program has not read; the others would be lost. So the next ones are
struck when what was struck before has been taken, as far as that can be seen from outside: by a
workload in Python, by the keyboard's controller, by whoever reads the buffer of the BIOS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from vgaemu.keys.queue import Keys, name_of
from vgaemu.keys.table import BY_NAME

if TYPE_CHECKING:
    from vgaemu.pc.pc import Pc

#: Characters struck in a frame: with shift each is four bytes of a millisecond.
A_FRAME = 4
#: Keys in a buffer of the BIOS that more are typed behind.
FEW_KEYS = 8
#: The longest text; typing it takes half an hour.
MOST = 1 << 18
#: Characters without a key that are named.
NAMED = 8
#: From this length on it is said that something is being typed, and how to stop it.
LONG = 200


class Typist:
    """Types for the user.

    Args:
        keys: Where.
        pc: Of machine code: its keyboard has fewer keys, and fewer places for what is not taken.
        tell: Says something to the user.
        between_frames: What is called between two frames; in it only while something is typed.
    """

    def __init__(
        self,
        keys: Keys,
        pc: Pc | None,
        tell: Callable[[str], None],
        between_frames: list[Callable[[], None]],
    ) -> None:
        self._keys, self._pc, self._tell = keys, pc, tell
        self._between_frames = between_frames
        self._left: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._left)

    def begin(self, text: str, stop: str) -> None:
        """Type a text from the next frame on; while one is being typed, stop that instead.

        Args:
            text: With lines ended as anybody ends them. Characters without a key are left out, and
                named once.
            stop: How the user stops it, for what is said of a long one.
        """
        if self._left:
            self._tell(f"typing stopped, {len(self._left)} characters left out")
            self.stop()
            return
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text:
            self._tell("nothing to paste: the clipboard has no text")
            return
        length, text = len(text), text[:MOST]
        unknown = {c: None for c in dict.fromkeys(text) if not self._has_key(c)}
        self._left.extend(c for c in text if c not in unknown)
        said = []
        if unknown:
            named = " ".join(map(_shown, list(unknown)[:NAMED]))
            said.append(f"no key types {named}{' ...' * (len(unknown) > NAMED)}")
        if length > MOST:
            said.append(f"only the first {MOST} characters are typed; {stop} stops")
        elif length >= LONG:
            said.append(f"typing {length} characters; {stop} stops")
        if said:
            self._tell("; ".join(said))
        if self._left:
            self._between_frames.append(self.type_on)

    @property
    def left(self) -> str:
        """What is still to be typed. Set it to go on, or back."""
        return "".join(self._left)

    @left.setter
    def left(self, text: str) -> None:
        if text or self._left:
            self.stop()
            self._left.extend(text)
            if text:
                self._between_frames.append(self.type_on)

    def stop(self) -> None:
        """Type nothing more."""
        self._left.clear()
        if self.type_on in self._between_frames:
            self._between_frames.remove(self.type_on)

    def type_on(self) -> None:
        """Between two frames: strike the next keys, if there is room for them."""
        if self._has_room():
            for _ in range(min(A_FRAME, len(self._left))):
                self._keys.type(self._left.popleft())
        if not self._left:
            self.stop()

    def _has_key(self, character: str) -> bool:
        """Escape and its like are on the keyboard, but nothing that a text should strike."""
        if character in "\n\t":
            return True
        return character.isprintable() and (self._pc is None or name_of(character) in BY_NAME)

    def _has_room(self) -> bool:
        return not len(self._keys) and (self._pc is None or self._pc.untaken_keys < FEW_KEYS)


def _shown(character: str) -> str:
    return character if character.isprintable() else f"U+{ord(character):04X}"
