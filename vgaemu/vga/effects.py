"""Effects: what a register that changes does to the picture, bit by bit, and to the window.

Sources: as in `timeline`, which table of whom takes effect when.
"""

from __future__ import annotations

#: Where entries come from: a bank, or a register that is in none.
SEQUENCER, CRTC, GRAPHICS, ATTRIBUTE, MISC, DAC_ENTRY, DAC_MASK, ATTRIBUTE_ADDRESS = range(8)

#: Bits of registers, by what a change of them in mid-picture does: source -> index -> bits. What
#: stands nowhere cannot be seen.
Bits = dict[int, dict[int, int]]
#: Another mode: kind, size or timing. CR11 bits 4-7 and misc bits 0, 1, 5 are for the CPU.
SHAPE: Bits = {
    SEQUENCER: {0x01: 0x1D, 0x04: 0x08},
    CRTC: dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 0x10, 0x12, 0x15, 0x16), 0xFF)
    | {0x07: 0xEF, 0x09: 0x20, 0x11: 0x0F, 0x14: 0x20, 0x17: 0x8C},
    GRAPHICS: {0x05: 0x60, 0x06: 0x01},
    ATTRIBUTE: {0x10: 0x41},
    MISC: {0: 0xCC},
}
#: What is latched: see `Latched`.
LATCHES: Bits = {CRTC: {0x08: 0x7F, 0x0C: 0xFF, 0x0D: 0xFF, 0x0E: 0xFF, 0x0F: 0xFF},
                 ATTRIBUTE: {0x13: 0x0F}}  # fmt: skip
#: What pixel values look like, from the dot on that is shown then.
COLOURS: Bits = {
    SEQUENCER: {0x01: 0x20},
    ATTRIBUTE: dict.fromkeys(range(16), 0x3F) | {0x10: 0x88, 0x11: 0xFF, 0x12: 0x0F, 0x14: 0x0F},
    DAC_ENTRY: dict.fromkeys(range(256), 0xFFFFFF),
    DAC_MASK: {0: 0xFF},
    ATTRIBUTE_ADDRESS: {0: 0x20},
}
#: What the CRTC's counters look at when a line ends.
COUNTERS: Bits = {CRTC: {0x07: 0x10, 0x09: 0xDF, 0x13: 0xFF, 0x18: 0xFF}, ATTRIBUTE: {0x10: 0x20}}
#: How lines are fetched and characters look, from the next line on. AR10 bit 3 is here for text.
LOOKS: Bits = {
    SEQUENCER: {0x03: 0x3F},
    CRTC: {0x0A: 0x3F, 0x0B: 0x1F, 0x14: 0x5F, 0x17: 0x63},
    ATTRIBUTE: {0x10: 0x0C},
}


#: What a register that has changed asks for: to look at the picture anew; at the timing; at how
#: VRAM is laid out; at where the window lies; at what stores and loads do to bytes on their way,
#: which in chain-4 decides, too, whether it is plain memory.
PICTURE, TIMING, LAYOUT, MAP, PIPELINE = 1, 2, 4, 8, 16
#: By index; what stands nowhere asks for nothing. Planar programs write GR00-GR05, GR08 and SR02
#: before almost every store; bits of `SHAPE` ask for the picture, too.
SEQUENCER_ASKS = {1: PICTURE | TIMING, 2: PIPELINE, 3: PICTURE, 4: PICTURE | LAYOUT | MAP}
GRAPHICS_ASKS = dict.fromkeys((*range(6), 7, 8), PIPELINE) | {6: MAP}


def bits_of(*kinds: Bits) -> list[list[int]]:
    """The bits of some kinds together, by source and index."""
    table = [[0] * 256 for _ in range(8)]
    for kind in kinds:
        for source, registers in kind.items():
            for index, bits in registers.items():
                table[source][index] |= bits
    return table
