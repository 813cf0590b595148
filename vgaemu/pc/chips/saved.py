"""What a chip or service says of its own state, for `pc.state` to save and to check."""

from __future__ import annotations

from typing import TypeAlias

#: Attribute -> smallest and largest value; -1 stands for None.
Saved: TypeAlias = dict[str, tuple[int, int]]
