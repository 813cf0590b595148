"""IN and OUT of an engine, where a port of the VGA only reads or sets a number.

Answered here: looks at input status 1, the DAC, index registers, what can be read behind them, and
writes behind them that change nothing, or the pipeline of stores and loads alone: GR00-GR05 (but
for the bits that the picture shows), GR07, GR08, SR02. A colour that is written while the picture
is drawn is noted at its dot. All else is Python's, which then does the whole access.

Not here: words but to the index ports, and accesses of 32 bits.
"""

from __future__ import annotations

from vgaemu.native.beam import first_dot
from vgaemu.native.calls import call4, call5
from vgaemu.native.clock import cost
from vgaemu.native.compiler import (
    IN,
    OUT,
    callback,
    int64_at,
    part,
    uint8_at,
    uint32_at,
)
from vgaemu.native.flags import LEVEL, PROTECTED, VIRTUAL_8086
from vgaemu.native.look import ASK, PORT_NS, knows_timing, look, time_after
from vgaemu.native.progress import enter_port, leave_port, left_port
from vgaemu.native.shared import ASK as ASK_PYTHON
from vgaemu.native.shared import (
    BANK_INDEX,
    BANK_TAKES_DATA,
    DAC_EIGHT_BIT,
    DAC_INDEX,
    DAC_STATE,
    DAC_STEP,
    KEEPS_NOTHING,
    FieldState,
    LoopState,
    PortState,
    TimingState,
    place,
)
from vgaemu.native.shared import DAC_MASK as MASK

#: As in `vgaemu.vga.effects` and `vgaemu.vga.dac`, on a floor above: sources of entries, bits of
#: GR05 that the picture shows, states of the DAC; and where the fields of an entry begin.
DAC_ENTRY, DAC_MASK, SHOWN_GR05 = 5, 6, 0x60
STATE_READ, STATE_WRITE = 3, 0
INDEX_SHIFT, SOURCE_SHIFT, DOT_SHIFT = 24, 32, 36
#: Those that are answered here are among these.
FIRST_PORT, END_OF_PORTS = 0x3B0, 0x3E0
#: Of input status 1: no light pen.
NO_LIGHT_PEN = 0x04
#: Registers of each bank, and the bits of its index register.
SEQUENCERS, GRAPHICS, CRTCS, ATTRIBUTES = 5, 9, 25, 21
SEQUENCER_INDEX, GRAPHICS_INDEX = 0x07, 0x0F

_CLOCK, _FLUSH = place(PortState, "clock"), place(PortState, "flush_asked")
_PYTHON_IN, _PYTHON_OUT = place(PortState, "python_in"), place(PortState, "python_out")
_MISC_VALUES = place(PortState, "misc_values")
_SEQ, _SEQ_VALUES = place(PortState, "sequencer"), place(PortState, "sequencer_values")
_GC, _GC_VALUES = place(PortState, "graphics"), place(PortState, "graphics_values")
_CRTC, _CRTC_VALUES = place(PortState, "crtc"), place(PortState, "crtc_values")
_ATTR, _ATTR_VALUES = place(PortState, "attribute"), place(PortState, "attribute_values")
_SEQ_MASKS, _GC_MASKS = place(PortState, "sequencer_masks"), place(PortState, "graphics_masks")
_CRTC_MASKS, _ATTR_MASKS = place(PortState, "crtc_masks"), place(PortState, "attribute_masks")
_STALE, _MOVES = place(PortState, "pipeline_stale"), place(PortState, "pipeline_moves")
_DAC, _ENTRIES = place(PortState, "dac"), place(PortState, "dac_entries")
_TRIPLE, _CHANGES = place(PortState, "dac_triple"), place(PortState, "dac_changes")
_TIMING, _FIELD_STATE = place(PortState, "timing"), place(PortState, "field")
_MODE, _OFF_UNTIL = place(FieldState, "mode"), place(FieldState, "off_until_ns")
_FIELD, _WORDS, _ROOM = (place(FieldState, name) for name in ("field", "entries", "room"))
_LOOPS, _COUNTED = place(PortState, "loops"), place(PortState, "counted")
_ANSWERS = place(PortState, "answers")
_CR0, _EFLAGS, _HFLAGS = (place(LoopState, name) for name in ("cr0", "eflags", "hflags"))
_DOTS_A_FRAME = place(TimingState, "dots_a_frame")
_PICTURE_DOTS = place(TimingState, "picture_dots")


@part
def _note(ports: int, source: int, index: int, value: int) -> bool:
    """`Timeline.note` of a colour; False: Python is to do it."""
    numbers = int64_at(ports)
    state = int64_at(numbers[_FIELD_STATE])
    if state[_MODE] == KEEPS_NOTHING:
        return True
    if state[_MODE] == ASK_PYTHON:
        return False
    at_ns = time_after(numbers[_CLOCK], PORT_NS)
    if at_ns < state[_OFF_UNTIL]:
        return True
    if not knows_timing(ports):
        return False
    timing = int64_at(numbers[_TIMING])
    dot = first_dot(numbers[_TIMING], at_ns)
    field = dot // timing[_DOTS_A_FRAME]
    dot -= field * timing[_DOTS_A_FRAME]
    if dot >= timing[_PICTURE_DOTS]:
        return True
    words = int64_at(state[_WORDS])
    if field != state[_FIELD] or words[0] + 1 >= state[_ROOM]:
        return False
    words[words[0] + 1] = dot << DOT_SHIFT | source << SOURCE_SHIFT | index << INDEX_SHIFT | value
    words[0] += 1
    return True


@part
def _write_colour(ports: int, value: int) -> bool:
    """`Dac.write_data`."""
    numbers = int64_at(ports)
    dac, triple = uint8_at(numbers[_DAC]), uint8_at(numbers[_TRIPLE])
    if not dac[DAC_EIGHT_BIT]:
        value &= 0x3F
    step, index = int(dac[DAC_STEP]), int(dac[DAC_INDEX])
    if step < 2:
        triple[step] = value
        dac[DAC_STEP] = step + 1
        return True
    entry = uint8_at(numbers[_ENTRIES] + 3 * index)
    if entry[0] != triple[0] or entry[1] != triple[1] or entry[2] != value:
        rgb = int(triple[0]) << 16 | int(triple[1]) << 8 | value
        if not _note(ports, DAC_ENTRY, index, rgb):
            return False
        entry[0], entry[1], entry[2] = triple[0], triple[1], value
        int64_at(numbers[_CHANGES])[0] += 1
    triple[2] = value
    dac[DAC_STEP], dac[DAC_INDEX] = 0, index + 1 & 0xFF
    return True


@part
def _fetch(ports: int) -> None:
    """`Dac._fetch`."""
    numbers = int64_at(ports)
    dac, triple = uint8_at(numbers[_DAC]), uint8_at(numbers[_TRIPLE])
    entry = uint8_at(numbers[_ENTRIES] + 3 * dac[DAC_INDEX])
    triple[0], triple[1], triple[2] = entry[0], entry[1], entry[2]
    dac[DAC_INDEX] = dac[DAC_INDEX] + 1 & 0xFF


@part
def _read_colour(ports: int) -> int:
    """`Dac.read_data`."""
    numbers = int64_at(ports)
    dac = uint8_at(numbers[_DAC])
    step = dac[DAC_STEP]
    value = int(uint8_at(numbers[_TRIPLE])[step])
    dac[DAC_STEP] = step + 1
    if step == 2:
        dac[DAC_STEP] = 0
        _fetch(ports)
    return value if dac[DAC_EIGHT_BIT] else value & 0x3F


@part
def _write_dac(ports: int, port: int, value: int) -> bool:
    dac = uint8_at(int64_at(ports)[_DAC])
    if port == 0x3C9:
        return _write_colour(ports, value)
    if port == 0x3C6:
        if value != dac[MASK]:
            if not _note(ports, DAC_MASK, 0, value):
                return False
            dac[MASK] = value
            int64_at(int64_at(ports)[_CHANGES])[0] += 1
        return True
    dac[DAC_INDEX], dac[DAC_STEP] = value, 0
    if port == 0x3C8:
        dac[DAC_STATE] = STATE_WRITE
    else:
        dac[DAC_STATE] = STATE_READ
        _fetch(ports)
    return True


@part
def _changes(values_at: int, masks_at: int, index: int, value: int) -> int:
    """`RegisterBank.changes`, of a register that there is."""
    return (value ^ int(uint8_at(values_at)[index])) & int(uint8_at(masks_at)[index])


@part
def _write_pipeline(ports: int, values_at: int, index: int, changed: int) -> bool:
    """A register that only stores and loads look at."""
    numbers = int64_at(ports)
    if uint8_at(numbers[_MOVES])[0]:
        return False
    values = uint8_at(values_at)
    values[index] = values[index] ^ changed
    uint8_at(numbers[_STALE])[0] = 1
    return True


@part
def _write_graphics(ports: int, index: int, value: int) -> bool:
    if index >= GRAPHICS:
        return True
    numbers = int64_at(ports)
    changed = _changes(numbers[_GC_VALUES], numbers[_GC_MASKS], index, value)
    if not changed:
        return True
    if index == 6 or (index == 5 and changed & SHOWN_GR05):
        return False
    return _write_pipeline(ports, numbers[_GC_VALUES], index, changed)


@part
def _write_sequencer(ports: int, index: int, value: int) -> bool:
    if index >= SEQUENCERS:
        return True
    numbers = int64_at(ports)
    changed = _changes(numbers[_SEQ_VALUES], numbers[_SEQ_MASKS], index, value)
    if not changed:
        return True
    if index != 2 or int64_at(numbers[_FIELD_STATE])[_MODE] == ASK_PYTHON:
        return False
    return _write_pipeline(ports, numbers[_SEQ_VALUES], index, changed)


@part
def _write_crtc(ports: int, index: int, value: int) -> bool:
    if index >= CRTCS:
        return True
    numbers = int64_at(ports)
    return _changes(numbers[_CRTC_VALUES], numbers[_CRTC_MASKS], index, value) == 0


@part
def _write_attribute(ports: int, value: int) -> bool:
    """`Vga._write_attribute`, where only the index changes, and the flip-flop."""
    numbers = int64_at(ports)
    bank = uint8_at(numbers[_ATTR])
    address = bank[BANK_INDEX]
    if not bank[BANK_TAKES_DATA]:
        if (value ^ address) & 0x20:
            return False
        bank[BANK_INDEX], bank[BANK_TAKES_DATA] = value & 0x3F, 1
        return True
    index = address & 0x1F
    is_locked = index < 0x10 and address & 0x20
    if (
        index < ATTRIBUTES
        and not is_locked
        and _changes(numbers[_ATTR_VALUES], numbers[_ATTR_MASKS], index, value)
    ):
        return False
    bank[BANK_TAKES_DATA] = 0
    return True


@part
def _write_indexed(ports: int, port: int, value: int) -> bool:
    """Index registers, and what is behind them."""
    numbers = int64_at(ports)
    if port == 0x3CE:
        uint8_at(numbers[_GC])[BANK_INDEX] = value & GRAPHICS_INDEX
        return True
    if port == 0x3CF:
        return _write_graphics(ports, uint8_at(numbers[_GC])[BANK_INDEX], value)
    if port == 0x3C4:
        uint8_at(numbers[_SEQ])[BANK_INDEX] = value & SEQUENCER_INDEX
        return True
    if port == 0x3C5:
        return _write_sequencer(ports, uint8_at(numbers[_SEQ])[BANK_INDEX], value)
    if port == 0x3C0:
        return _write_attribute(ports, value)
    crtc = 0x3D4 if uint8_at(numbers[_MISC_VALUES])[0] & 1 else 0x3B4
    if port == crtc:
        uint8_at(numbers[_CRTC])[BANK_INDEX] = value
        return True
    return port == crtc + 1 and _write_crtc(ports, uint8_at(numbers[_CRTC])[BANK_INDEX], value)


@part
def _write_word(ports: int, port: int, value: int) -> bool:
    """An index, and a value for what it names."""
    numbers = int64_at(ports)
    index, value = value & 0xFF, value >> 8 & 0xFF
    if port == 0x3CE:
        bank, index = uint8_at(numbers[_GC]), index & GRAPHICS_INDEX
        done = _write_graphics(ports, index, value)
    elif port == 0x3C4:
        bank, index = uint8_at(numbers[_SEQ]), index & SEQUENCER_INDEX
        done = _write_sequencer(ports, index, value)
    elif port == (0x3D4 if uint8_at(numbers[_MISC_VALUES])[0] & 1 else 0x3B4):
        bank = uint8_at(numbers[_CRTC])
        done = _write_crtc(ports, index, value)
    else:
        return False
    if done:
        bank[BANK_INDEX] = index
    return done


@part
def _read_register(values_at: int, count: int, index: int) -> int:
    """`RegisterBank.read`."""
    return int(uint8_at(values_at)[index]) if index < count else 0


@part
def _read_dac(ports: int, port: int) -> int:
    dac = uint8_at(int64_at(ports)[_DAC])
    if port == 0x3C9:
        return _read_colour(ports)
    if port == 0x3C8:
        return dac[DAC_INDEX]
    return dac[DAC_STATE] if port == 0x3C7 else dac[MASK]


@part
def _read(ports: int, port: int) -> int:
    """What a port holds, or `ASK`."""
    numbers = int64_at(ports)
    if 0x3C6 <= port <= 0x3C9:
        return _read_dac(ports, port)
    if port == 0x3C4:
        return uint8_at(numbers[_SEQ])[BANK_INDEX]
    if port == 0x3C5:
        index = uint8_at(numbers[_SEQ])[BANK_INDEX]
        return _read_register(numbers[_SEQ_VALUES], SEQUENCERS, index)
    if port == 0x3CE:
        return uint8_at(numbers[_GC])[BANK_INDEX]
    if port == 0x3CF:
        return _read_register(numbers[_GC_VALUES], GRAPHICS, uint8_at(numbers[_GC])[BANK_INDEX])
    if port == 0x3CC:
        return int(uint8_at(numbers[_MISC_VALUES])[0])
    crtc = 0x3D4 if uint8_at(numbers[_MISC_VALUES])[0] & 1 else 0x3B4
    if port == crtc:
        return uint8_at(numbers[_CRTC])[BANK_INDEX]
    if port == crtc + 1:
        return _read_register(numbers[_CRTC_VALUES], CRTCS, uint8_at(numbers[_CRTC])[BANK_INDEX])
    return ASK


@part
def _may(ports: int) -> bool:
    """Whether all ports are the guest's; if not, or that is not to be had, Python looks."""
    engine = int64_at(int64_at(ports)[_LOOPS])
    if not engine[_CR0]:
        return False
    if not uint8_at(engine[_CR0])[0] & PROTECTED:
        return True
    flags = uint32_at(engine[_EFLAGS])[0]
    return not flags & VIRTUAL_8086 and uint8_at(engine[_HFLAGS])[0] & LEVEL <= flags >> 12 & 3


@part
def _enter(ports: int) -> int:
    """How many instructions of a block follow the port that is accessed."""
    counted = int64_at(ports)[_COUNTED]
    return enter_port(int64_at(counted), PORT_NS) if counted else 0


@part
def _done(ports: int, rest: int) -> None:
    """Native code has answered."""
    numbers = int64_at(ports)
    cost(int64_at(numbers[_CLOCK]), PORT_NS)
    if rest:
        left_port(int64_at(numbers[_COUNTED]), rest)


@part
def _be_last(ports: int, rest: int, always: bool) -> None:
    """It does only where nothing follows."""
    if rest:
        leave_port(int64_at(int64_at(ports)[_COUNTED]), rest, always)


@callback(IN)
def on_in(engine: int, port: int, size: int, ports: int) -> int:
    """IN."""
    state = int64_at(ports)
    rest = _enter(ports)
    is_known = state[_ANSWERS] and size == 1 and FIRST_PORT <= port < END_OF_PORTS
    if is_known and not uint8_at(state[_FLUSH])[0] and _may(ports):
        status_port = 0x3DA if uint8_at(state[_MISC_VALUES])[0] & 1 else 0x3BA
        if port == status_port:
            _be_last(ports, rest, True)
            answer = look(ports)
            if answer != ASK:
                uint8_at(state[_ATTR])[BANK_TAKES_DATA] = 0
                return answer | NO_LIGHT_PEN
        else:
            answer = _read(ports, int(port))
            if answer != ASK:
                _done(ports, rest)
                return answer
    _be_last(ports, rest, not is_known)
    return call4(state[_PYTHON_IN], engine, port, size, 0) & 0xFFFFFFFF


@callback(OUT)
def on_out(engine: int, port: int, size: int, value: int, ports: int) -> None:
    """OUT."""
    state = int64_at(ports)
    rest = _enter(ports)
    done = False
    is_known = state[_ANSWERS] and size <= 2 and FIRST_PORT <= port < END_OF_PORTS
    if is_known and not uint8_at(state[_FLUSH])[0] and _may(ports):
        if size == 2:
            done = _write_word(ports, int(port), int(value) & 0xFFFF)
        elif 0x3C6 <= port <= 0x3C9:
            done = _write_dac(ports, int(port), int(value) & 0xFF)
        else:
            done = _write_indexed(ports, int(port), int(value) & 0xFF)
    if done:
        _done(ports, rest)
        return
    _be_last(ports, rest, not is_known)
    call5(state[_PYTHON_OUT], engine, port, size, value, 0)


FUNCTIONS = {"port_in": on_in.address, "port_out": on_out.address}
