"""Key: what a keyboard says to the guest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the host keyboard, for the guest."""

    #: ``a``, ``A``, ``1``, ``space``, ``enter``, ``left``, ``f1``: see `vgaemu.keys.queue`.
    name: str
    pressed: bool
    #: What the key types, or an empty string.
    text: str = ""
