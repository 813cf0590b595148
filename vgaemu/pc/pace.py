"""Clocks of a guest that go with wall time: as it is, and virtual time that waits for it.

KVM's guests live in wall time. Unicorn's live in virtual time, in a window as headless: there it
waits, between two slices, until as much wall time has passed. So a window shows what a headless run
shows, as long as the host is in time; what it cannot do in time, the guest's time is late for ever.
"""

from __future__ import annotations

import time

from vgaemu.pc.clock import Clock, StepClock

#: How many times as fast wall time passes for a guest that races: more, and what it does between
#: two ticks of its timer would be less than a game needs.
RACE_FACTOR = 8


class WallClock(Clock):
    """Wall time, as fast as `speed` says; it stands still while the guest does."""

    #: A halted guest looks for keys this often.
    NAP_S = 0.004

    def __init__(self, speed: float = 1.0, *, skip: bool = False) -> None:
        """Guest seconds a second: at least a hundredth, 1 for 0; whether a halt skips its wait."""
        super().__init__()
        self._speed = self._usual_speed = max(speed or 1.0, 0.01)
        self._skip = self._usual_skip = skip
        self._passed = 0
        #: Host time of power on, in whole seconds: those of the guest's clock begin with its own.
        self._powered_on = int(time.time())
        self._since: int | None = None

    def now_ns(self) -> int:
        since = self._since
        if since is None:
            return self._passed
        return self._passed + int((time.perf_counter_ns() - since) * self._speed)

    def set_ns(self, ns: int) -> None:
        self._passed, self._since = ns, None
        self._powered_on = int(time.time()) - ns // 1_000_000_000

    def start(self) -> None:
        if self._since is None:
            self._since = time.perf_counter_ns()

    def stop(self) -> None:
        self._passed = self.now_ns()
        self._since = None

    def race(self, on: bool) -> None:
        self._passed = self.now_ns()
        if self._since is not None:
            self._since = time.perf_counter_ns()
        self._speed = self._usual_speed * RACE_FACTOR if on else self._usual_speed
        self._skip = on or self._usual_skip

    def idle(self, until_ns: int) -> None:
        left = until_ns - self.now_ns()
        if left <= 0:
            return
        if self._skip:
            self._passed += left
            return
        self.wake.wait(min(left / 1e9 / self._speed, self.NAP_S))
        self.wake.clear()

    def time_of_day(self) -> time.struct_time:
        # The host's at power on, and as much later as the guest has lived.
        return time.localtime(self._powered_on + self.now_ns() // 1_000_000_000)


class PacedClock(StepClock):
    """Virtual time that waits for wall time, as fast as `speed` says."""

    #: A guest this far before wall time waits; one this far behind it does not catch up.
    MOST_AHEAD_NS, MOST_LATE_NS = 1_000_000, 50_000_000
    #: One that waits looks for keys this often.
    NAP_S = 0.004

    def __init__(self, speed: float = 1.0) -> None:
        """Guest seconds a second: at least a hundredth, 1 for 0."""
        super().__init__()
        self._speed = self._usual_speed = max(speed or 1.0, 0.01)
        self._skip = False
        #: Host time of power on, in whole seconds: those of the guest's clock begin with its own.
        self._powered_on = int(time.time())
        #: A moment of wall time, and of the guest's that belongs to it; None: it stands.
        self._since: int | None = None
        self._base_ns = 0

    def set_ns(self, ns: int) -> None:
        self.ns, self._since = ns, None
        self._powered_on = int(time.time()) - ns // 1_000_000_000

    def stop(self) -> None:
        self._since = None

    def race(self, on: bool) -> None:
        self._since = None
        self._speed = self._usual_speed * RACE_FACTOR if on else self._usual_speed
        self._skip = on

    def keep_pace(self) -> None:
        ahead = self.ns - self._wall_ns()
        if ahead > self.MOST_AHEAD_NS:
            self._nap(ahead)

    def idle(self, until_ns: int) -> None:
        left = until_ns - self.ns
        if left <= 0:
            return
        if self._skip:
            self._base_ns += left
        elif (ahead := until_ns - self._wall_ns()) > 0:
            self._nap(ahead)
            until_ns = min(until_ns, self._wall_ns())
        self.ns = max(self.ns, until_ns)

    def time_of_day(self) -> time.struct_time:
        # The host's at power on, and as much later as the guest has lived.
        return time.localtime(self._powered_on + self.ns // 1_000_000_000)

    def _wall_ns(self) -> int:
        """Where wall time wants the guest's to be."""
        wall = time.perf_counter_ns()
        if self._since is not None:
            wanted = self._base_ns + int((wall - self._since) * self._speed)
            if wanted < self.ns + self.MOST_LATE_NS:
                return wanted
        self._since, self._base_ns = wall, self.ns
        return self.ns

    def _nap(self, guest_ns: int) -> None:
        self.wake.wait(min(guest_ns / 1e9 / self._speed, self.NAP_S))
        self.wake.clear()
