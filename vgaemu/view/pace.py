"""Pace: whether a viewer gets large pictures sooner deflated, or as they are.

zlib takes some 15 ms for a megabyte, and loopback one: what is not deflated is there sooner, and
leaves the processors to the guest. Over most networks it is the other way round. Nobody can tell
from an address (a tunnel begins at loopback, too), so it is measured, from an update's first byte
until the viewer asks for the next one. Where even what was deflated came fast, so that trying does
no harm, the other way is tried; the better one goes on.
"""

from __future__ import annotations

from typing import NamedTuple

#: Bytes of pixels of an update that says something about the pace.
LARGE_BYTES = 1 << 18
#: Bytes a second on the wire from which on pictures may be sent as they are.
FAST = 8_000_000
#: Large updates until the other way is tried again.
TRIED_EVERY = 100
#: What one update weighs among those before, which a busy moment must not overrule.
WEIGHT = 0.25


class Sent(NamedTuple):
    """An update: when it was begun and all sent, in seconds, its pixels' bytes and the wire's."""

    began: float
    ended: float
    plain: int
    wire: int


class Pace:
    """One viewer's."""

    #: Whether what follows is sent as it is.
    stores = False

    def __init__(self) -> None:
        self._sent: Sent | None = None
        #: Seconds a byte of pixels, deflated (False) and as it is.
        self._costs: dict[bool, float] = {}
        self._left = TRIED_EVERY

    def sent(self, sent: Sent) -> None:
        """An update is on its way."""
        self._sent = sent if sent.plain >= LARGE_BYTES else None

    def answered(self, when: float) -> None:
        """The viewer wants another one since then."""
        sent, self._sent = self._sent, None
        if sent is None or when < sent.ended:  # some ask before they have got it: that says nothing
            return
        seconds = when - sent.began
        cost = seconds / sent.plain
        before = self._costs.get(self.stores, cost)
        self._costs[self.stores] = cost = before + WEIGHT * (cost - before)
        self._left -= 1
        is_worse = self._costs.get(not self.stores, 0.0) < cost
        if (is_worse or self._left <= 0) and (self.stores or sent.wire >= FAST * seconds):
            self.stores, self._left = not self.stores, TRIED_EVERY
