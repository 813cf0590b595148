"""Tapes: recorded port and memory operations, played back on any VGA.

A tape is JSON lines, plain or gzipped: a header object, then one operation a line. It is read as a
stream, so it may be larger than memory. A single JSON object ``{"name": ..., "ops": [...]}`` is a
tape too, and is read whole. Numbers are integers, addresses guest-physical, `hex` is bytes:

    ["out", port, v8]            ["w8", addr, v8]             ["fill", addr, count, v8]
    ["outw", port, v16]          ["w16", addr, v16]           ["copy-in", addr, hex]
    ["outs", port, hex]          ["w32", addr, v32]           ["copy", src, dst, count]
    ["in", port, mask?]          ["r8", addr]                 ["lfb", offset, hex]
    ["inw", port, mask?]         ["r16", addr]                ["lfbfill", offset, count, v8]
    ["inx", port]                ["rx", addr]                 ["lfbread", offset, count]
    ["frame", number]            ["rn", addr, count]          ["rep", n, step, memory op]
    ["beam", ns?]

Reads are logged, one value each, save ``inx`` and ``rx``. ``outs`` writes all its bytes to one
port. ``rep`` repeats an operation with its address (``copy``: both) growing by `step`. ``frame``,
which only vgaemu has, says which frame was drawn last: whether blinking and cursor are shown. It is
at the end of recordings that end with them hidden. ``beam``, which only vgaemu has, too, says where
the beam is from then on, in ns since line 0 of some field, so that what is written takes effect
from there on; without a number, what is written counts for all of the picture, as it does in tapes
that have no ``beam``. The header needs a ``name``; the keys it may have are `HEADER_KEYS`.
``vram_mib`` is 16 if it is not there.

Before the first operation DISPI is off, VRAM and latches are zero and the display is off: `START`.
"""

from vgaemu.tape.ops import Op, check_op, expand
from vgaemu.tape.play import START, Player
from vgaemu.tape.read import Tape
from vgaemu.tape.record import TapeRecorder

__all__ = ["START", "Op", "Player", "Tape", "TapeRecorder", "check_op", "expand"]
