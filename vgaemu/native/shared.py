"""State of the device that Python and native code both read and write, as memory.

So it is right at each moment that either looks. What Python's path looks at for each access is in
bytes, which cost it the least: 15 ns more than an attribute, where a field of a `ctypes.Structure`
costs 30 to 50. The others are such fields: numbers of int64, or doubles, one every eight bytes,
which native code indexes by `place`.
"""

from __future__ import annotations

from ctypes import Array, Structure, addressof, c_bool, c_double, c_int64, c_uint8

#: Registers 00h-18h of the CRTC, SR01 and misc output: what a timing depends on.
TIMING_KEY_BYTES = 27
#: `FieldState.mode`: registers are kept with their time; nothing is; Python knows.
KEEPS, KEEPS_NOTHING, ASK = 1, 0, -1
#: `FieldState.field`: there is no log that grows.
NO_FIELD = -1


#: Of a register bank's `numbers`: its index, and the attribute controller's flip-flop.
BANK_INDEX, BANK_TAKES_DATA = 0, 1
BANK_NUMBERS = 2
#: Of the DAC's: see `vgaemu.vga.dac.Dac`.
DAC_INDEX, DAC_STEP, DAC_STATE, DAC_MASK, DAC_EIGHT_BIT = range(5)
DAC_NUMBERS = 5


class LookState(Structure):
    """Of `vgaemu.pc.guest_beam.GuestBeam`: the last look, and what input status 1 says now."""

    _fields_ = (
        ("answer", c_int64), ("equal", c_int64), ("events", c_int64), ("stay", c_int64),
        ("waiting_ns", c_int64), ("status", c_int64), ("since_ns", c_int64),
        ("change_ns", c_double),
        ("is_same", c_int64), ("took", c_int64), ("knows_loops", c_bool),
    )  # fmt: skip
    #: Its answer, how many in a row were equal, `StepClock.events` after it.
    answer: int
    equal: int
    events: int
    #: What the loop in hand goes on for: a bit for each answer.
    stay: int
    #: Since when it waits, if something else came first; or below 0.
    waiting_ns: int
    #: What input status 1 says, from when until when.
    status: int
    since_ns: int
    change_ns: float
    #: Those belong to the timing that native code was told; native code has looked by that since.
    is_same: int
    took: int
    #: Whether a loop that does nothing else is let wait.
    knows_loops: bool


class TimingState(Structure):
    """See `vgaemu.vga.beam.Timing`; valid while the registers are those of `key`."""

    _fields_ = (
        ("line_ns", c_double), ("frame_ns", c_double), ("displayed_fraction", c_double),
        ("edges_ns", c_double * 4), ("edges", c_int64), ("displayed_lines", c_int64),
        ("retrace_start_line", c_int64), ("retrace_end_line", c_int64), ("total_lines", c_int64),
        ("dot_hz", c_int64), ("dots_a_frame", c_int64), ("picture_dots", c_int64),
        ("key", c_uint8 * 32), ("is_known", c_int64),
    )  # fmt: skip
    line_ns: float
    frame_ns: float
    displayed_fraction: float
    edges_ns: Array[c_double]
    edges: int
    displayed_lines: int
    retrace_start_line: int
    retrace_end_line: int
    total_lines: int
    dot_hz: int
    dots_a_frame: int
    #: In displayed lines.
    picture_dots: int
    key: Array[c_uint8]
    is_known: int


class FieldState(Structure):
    """Of `vgaemu.vga.timeline.Timeline`: the log that grows, and whether anything is kept."""

    _fields_ = (
        ("mode", c_int64), ("off_until_ns", c_int64), ("field", c_int64), ("entries", c_int64),
        ("room", c_int64),
    )  # fmt: skip
    mode: int
    off_until_ns: int
    #: Its number, where its words lie, and how many there is room for; the first is a count.
    field: int
    entries: int
    room: int


#: Loops that are remembered; bytes of code around an IN by which one is known, and room for them.
LOOPS, LOOP_BYTES, LOOP_ROOM = 8, 49, 64


class LoopState(Structure):
    """Of `vgaemu.pc.cpu.unicorn_spin.LoopInHand`: where to look, and what was found out there.

    Addresses are of registers of an engine, and of RAM; 0: they are not to be had. A loop is its
    code, and what else decides for which answers it goes on: the port, and 2^16 for 32-bit code.
    """

    _fields_ = (
        ("eip", c_int64), ("cs_base", c_int64), ("edx", c_int64), ("cr0", c_int64),
        ("eflags", c_int64), ("hflags", c_int64), ("ram", c_int64), ("ram_bytes", c_int64),
        ("next", c_int64),
        ("kinds", c_int64 * LOOPS), ("stays", c_int64 * LOOPS),
        ("code", c_uint8 * (LOOPS * LOOP_ROOM)),
    )  # fmt: skip
    eip: int
    cs_base: int
    edx: int
    cr0: int
    eflags: int
    hflags: int
    ram: int
    ram_bytes: int
    #: Which is forgotten for the next one.
    next: int
    kinds: Array[c_int64]
    #: A bit for each answer that it goes on for.
    stays: Array[c_int64]
    code: Array[c_uint8]

    def remember(self, code: bytes, kind: int, stays: int) -> None:
        """A loop goes on for these answers."""
        n, self.next = self.next, (self.next + 1) % LOOPS
        self.kinds[n], self.stays[n] = kind, stays
        self.code[n * LOOP_ROOM : n * LOOP_ROOM + len(code)] = [*code]


class PortState(Structure):
    """What native code that answers ports works on: addresses, but for the functions it asks.

    `counted` is that of the cells of a CPU whose instructions are counted by blocks, or 0. Where
    `answers` is 0, Python does, and the others that follow the functions are not filled in.
    """

    _fields_ = tuple(
        (name, c_int64)
        for name in (
            "clock", "flush_asked", "python_in", "python_out",
            "misc_values", "sequencer", "sequencer_values", "graphics", "graphics_values",
            "crtc", "crtc_values", "attribute", "attribute_values",
            "sequencer_masks", "graphics_masks", "crtc_masks", "attribute_masks",
            "pipeline_stale", "pipeline_moves", "feature_control",
            "dac", "dac_entries", "dac_triple", "dac_changes", "look", "timing", "field", "loops",
            "counted", "answers",
        )
    )  # fmt: skip
    clock: int
    counted: int
    python_in: int
    python_out: int
    answers: int


def place(kind: type[Structure], name: str) -> int:
    """Which of a structure's words a field is."""
    offset: int = getattr(kind, name).offset
    return offset // 8


def address_of(state: Structure | bytearray | memoryview) -> int:
    """Where it lies; a bytearray must not change its length any more."""
    if isinstance(state, Structure):
        return addressof(state)
    return addressof(c_uint8.from_buffer(state))
