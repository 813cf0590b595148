"""Timeline: what registers did while the picture was drawn, and which of it is to be seen.

Emulated: a *field* is one picture of the beam, from its first displayed line to the end of the
blanking after it. A write in one of its displayed lines that the picture may depend on is kept with
its time; writes in the blanking need not be, they are there before the next field begins. Shown is
the last field whose displayed lines have all passed. Start address, byte panning and the cursor's
place are latched where the vertical retrace begins, pel panning where it ends, the preset row at
the first line. Who changes kind, size or timing in mid-picture sets a mode: until the next field
nothing is kept, and the picture is what the registers say.

Not emulated: the same where time is not the guest's own (KVM, wall time, whoever holds the device
between two slices): a write then counts at once, for all of the picture. So it does in DISPI modes.

Sources: 86Box (svga_poll), MartyPC and DOSBox for what is latched when; Abrash's Graphics
Programming Black Book for start address and pel panning.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from vgaemu.native.shared import ASK, KEEPS, KEEPS_NOTHING, NO_FIELD, FieldState
from vgaemu.snapshot import MAX_COUNT, Array, Part, number
from vgaemu.vga.beam import Beam, Timing
from vgaemu.vga.dispi import Dispi
from vgaemu.vga.effects import COLOURS, COUNTERS, LATCHES, LOOKS, SHAPE, bits_of
from vgaemu.vga.fieldlog import (
    HEAD_WORDS,
    INDEX_SHIFT,
    MOST_ENTRIES,
    Entries,
    Latched,
    Log,
    are_latches,
    is_log,
    packed,
    unpacked,
)
from vgaemu.vga.registerfile import Held

_SHAPE, _LATCHES, _KEPT = bits_of(SHAPE), bits_of(LATCHES), bits_of(COLOURS, COUNTERS, LOOKS)


class Device(Protocol):
    """Whose registers they are."""

    dispi: Dispi

    @property
    def beam(self) -> Beam: ...
    @property
    def timing(self) -> Timing: ...
    def held(self) -> Held: ...


class Shown(NamedTuple):
    """What is to be seen now."""

    #: What registers held when the field began, and the entries since; None: what they hold now.
    held: Held | None = None
    entries: bytes = b""
    #: None: what registers hold now.
    latched: Latched | None = None
    #: Time alone changes nothing of it.
    is_settled: bool = True


#: No register has moved in mid-picture lately.
NOW = Shown()
NO_LOGS: tuple[Log | None, Log | None] = None, None


class Timeline:
    """What registers of one device did in the fields of late. Any thread may `look`."""

    def __init__(self, vga: Device) -> None:
        self._vga = vga
        #: The field before the last one in which something was written, and that one. Who looks
        #: reads both at once; only the last one grows, and only while it is not shown yet.
        self._logs = NO_LOGS
        #: What was latched registers' content up to some times, ascending; one for each latch that
        #: has passed between.
        self._latches: tuple[tuple[int, Latched], ...] = ()
        #: What native code that writes a colour looks at.
        self.state = FieldState(mode=KEEPS, field=NO_FIELD)

    @property
    def _off_until_ns(self) -> int:
        """Nothing is kept up to here: a mode is being set."""
        return self.state.off_until_ns

    @_off_until_ns.setter
    def _off_until_ns(self, ns: int) -> None:
        self.state.off_until_ns = ns

    @property
    def has_moved(self) -> bool:
        """Whether what is shown may be other than what registers hold."""
        return bool(self._latches) or self._logs is not NO_LOGS

    def note(self, source: int, index: int, value: int, changed: int) -> None:
        """A register is about to hold `value`, in which the bits `changed` are other than before.

        Call it before it does, so that the first one of a field finds what the field began with.
        """
        vga = self._vga
        if not vga.beam.is_exact or vga.dispi.enabled:
            if self._latches or self._logs is not NO_LOGS:
                self.forget()
            return
        if changed & _SHAPE[source][index]:
            self.forget()
            # In the timing of now: the next write of that mode set finds another one.
            frame_ns = vga.timing.frame_ns
            self._off_until_ns = int((vga.beam.at_ns() // frame_ns + 1) * frame_ns)
        elif changed & _LATCHES[source][index]:
            self._note_latch(vga.beam.at_ns(), vga.timing)
        elif changed & _KEPT[source][index]:
            at_ns = vga.beam.at_ns()
            if at_ns < self._off_until_ns:
                return
            timing = vga.timing
            field, dot = divmod(timing.first_dot(at_ns), timing.dots_a_frame)
            if dot < timing.displayed_lines * timing.dots_a_line:
                self._keep(field, (dot << 12 | source << 8 | index) << INDEX_SHIFT | value)

    def _keep(self, field: int, entry: int) -> None:
        before, log = self._logs
        if log is None or log.field != field:
            before, log = log, Log(field, self._vga.held(), Entries())
            self._logs = before, log
        log.entries.append(entry)
        self._share(log)
        if len(log.entries) > MOST_ENTRIES:
            self._logs = before, None
            self._share(None)
            self._off_until_ns = int((field + 1) * self._vga.timing.frame_ns)

    def _note_latch(self, at_ns: int, timing: Timing) -> None:
        kept = self._latches
        if kept and max(_latch_times(at_ns, timing)) <= kept[-1][0]:
            return  # nothing has looked at what was there in between
        oldest_ns = at_ns - 2 * timing.frame_ns
        held = self._vga.held()
        now = at_ns, Latched.of(held.crtc, held.attribute)
        self._latches = (*(latch for latch in kept if latch[0] > oldest_ns), now)

    def forget(self) -> None:
        """What registers hold now counts for all of the picture."""
        if self._latches:
            self._latches = ()
        if self._logs is not NO_LOGS:
            self._logs = NO_LOGS
            self._share(None)
        self.state.mode = KEEPS_NOTHING if self._vga.dispi.enabled else KEEPS

    def _share(self, log: Log | None) -> None:
        """Native code may append to this log."""
        state = self.state
        if log is None:
            state.field = NO_FIELD
        else:
            state.field = log.field
            state.entries, room = log.entries.words.buffer_info()
            state.room = min(room, MOST_ENTRIES + 1)

    def restored(self) -> None:
        """Logs and latches were set, and the device's registers are."""
        if self._vga.dispi.enabled:
            is_quiet = self._logs is NO_LOGS and not self._latches
            self.state.mode = KEEPS_NOTHING if is_quiet else ASK
        else:
            self.state.mode = KEEPS
        self._share(self._logs[1])

    def look(self) -> Shown:
        """What is to be seen now."""
        logs, latches = self._logs, self._latches
        if logs is NO_LOGS and not latches:
            return NOW
        at_ns, timing = self._vga.beam.at_ns(), self._vga.timing
        field, dot = divmod(timing.first_dot(at_ns), timing.dots_a_frame)
        whole = field if dot >= timing.displayed_lines * timing.dots_a_line else field - 1
        held, entries, is_settled = None, b"", True
        for log in logs:
            if log is not None and log.field == whole:
                held, entries, is_settled = log.held, log.entries.tobytes(), False
        log = logs[1]
        if held is None and log is not None and log.field == field:
            held, is_settled = log.held, False  # the field before had what this one began with
        latched = None
        if latches:
            times = _latch_times(at_ns, timing)
            if latches[-1][0] > min(times):
                is_settled = False
            latched = self._latched_at(latches, times)
        return Shown(held, entries, latched, is_settled)

    def _latched_at(
        self, latches: tuple[tuple[int, Latched], ...], times: tuple[float, float, float]
    ) -> Latched:
        held = self._vga.held()
        now = Latched.of(held.crtc, held.attribute)
        start, panning, row = (
            next((latched for until, latched in latches if until > at), now) for at in times
        )
        return Latched(
            start.start_address, start.byte_panning, start.cursor_location,
            panning.pel_panning, row.preset_row,
        )  # fmt: skip

    def parts(self) -> dict[str, Part]:
        """What of it is saved: see `vgaemu.snapshot`. A snapshot of before has none of it."""
        most = 8 * (HEAD_WORDS + MOST_ENTRIES)

        def log_part(nth: int) -> Part:
            return Part(
                "u8",
                lambda: packed(self._logs[nth]),
                lambda array: self._restore_log(nth, array),
                is_log,
                any_length=True,
                most_bytes=most,
                absent=self.forget,
            )

        latches = Part(
            "i8",
            lambda: np.reshape([(until, *latched) for until, latched in self._latches], (-1, 6)),
            self._restore_latches,
            are_latches,
            any_length=True,
            absent=self.forget,
        )
        off_until = number(self, "_off_until_ns", MAX_COUNT, "i8")
        return {
            "field_before": log_part(0),
            "field_last": log_part(1),
            "latches": latches,
            "field_off_until_ns": off_until.or_else(self.forget),
        }

    def _restore_log(self, nth: int, words: Array) -> None:
        logs = list(self._logs)
        logs[nth] = unpacked(words)
        self._logs = (logs[0], logs[1]) if any(logs) else NO_LOGS

    def _restore_latches(self, array: Array) -> None:
        self._latches = tuple((until, Latched(*values)) for until, *values in array.tolist())


def _latch_times(at_ns: float, timing: Timing) -> tuple[float, float, float]:
    """When a vertical retrace last began, one last ended, and a field last began."""
    frame_ns, line_ns = timing.frame_ns, timing.line_ns
    if timing.retrace_start_line == timing.retrace_end_line:
        return at_ns, at_ns, at_ns // frame_ns * frame_ns  # there is none

    def last(line: int) -> float:
        offset = line * line_ns
        return (at_ns - offset) // frame_ns * frame_ns + offset

    return last(timing.retrace_start_line), last(timing.retrace_end_line), last(0)
