"""A look at input status 1 in virtual time: `vgaemu.pc.guest_beam.GuestBeam.status`."""

from __future__ import annotations

from math import ceil

from vgaemu.native.beam import leaves_ns, next_change_ns, status_at
from vgaemu.native.cells import DUE, EVENTS, LIMIT, NOW, PROGRESS, UNTIL
from vgaemu.native.clock import INSTRUCTION_NS, cost
from vgaemu.native.compiler import double_at, int64_at, part, uint8_at
from vgaemu.native.flags import CODE32, PAGING
from vgaemu.native.shared import (
    LOOP_BYTES,
    LOOP_ROOM,
    LOOPS,
    TIMING_KEY_BYTES,
    LookState,
    LoopState,
    PortState,
    TimingState,
    place,
)

#: As in `vgaemu.pc.clock` and `vgaemu.pc.guest_beam`, on floors above.
PORT_NS, POLL_NS, NEVER_NS = 1_000, 4_000, 1 << 62
SPINS, POLLS, LONGEST_LOOK_NS = 2, 3, 5_000
#: As in `vgaemu.pc.cpu.spin`: bytes of a loop before its IN.
BEFORE = 16
#: CRTC registers of cursor and start address, which no timing depends on.
FIRST_UNTIMED, LAST_UNTIMED = 0x0A, 0x0F
#: What `look` answers where Python is to be asked.
ASK = -1

_CLOCK, _LOOK, _TIMING = (place(PortState, name) for name in ("clock", "look", "timing"))
_CRTC, _SEQUENCER, _MISC = (
    place(PortState, name) for name in ("crtc_values", "sequencer_values", "misc_values")
)
_FEATURE = place(PortState, "feature_control")
_KEY, _IS_KNOWN = 8 * place(TimingState, "key"), place(TimingState, "is_known")
_ANSWER, _EQUAL = place(LookState, "answer"), place(LookState, "equal")
_EVENTS, _STAY = place(LookState, "events"), place(LookState, "stay")
_WAITING, _STATUS = place(LookState, "waiting_ns"), place(LookState, "status")
_SINCE, _CHANGE = place(LookState, "since_ns"), place(LookState, "change_ns")
_KNOWS_LOOPS = place(LookState, "knows_loops")
_IS_SAME, _TOOK = place(LookState, "is_same"), place(LookState, "took")


_LOOPS = place(PortState, "loops")
_EIP, _CS_BASE, _EDX, _CR0, _HFLAGS, _RAM, _RAM_BYTES, _KINDS, _STAYS = (
    place(LoopState, name)
    for name in ("eip", "cs_base", "edx", "cr0", "hflags", "ram", "ram_bytes", "kinds", "stays")
)
_CODE = 8 * place(LoopState, "code")


@part
def knows_timing(ports: int) -> bool:
    """Whether the timing that native code was told is that of the registers now."""
    numbers = int64_at(ports)
    timing = numbers[_TIMING]
    if not int64_at(timing)[_IS_KNOWN]:
        return False
    key, crtc = uint8_at(timing + _KEY), uint8_at(numbers[_CRTC])
    for n in range(TIMING_KEY_BYTES - 2):
        if key[n] != crtc[n] and not FIRST_UNTIMED <= n <= LAST_UNTIMED:
            return False
    sequencer, misc = uint8_at(numbers[_SEQUENCER]), uint8_at(numbers[_MISC])
    return key[TIMING_KEY_BYTES - 2] == sequencer[1] and key[TIMING_KEY_BYTES - 1] == misc[0]


@part
def time_after(clock: int, ns: int) -> int:
    """What time it will be when what is in hand has cost so much."""
    cells = int64_at(clock)
    return cells[UNTIL] - cells[DUE] + ns + int64_at(cells[PROGRESS])[0] * INSTRUCTION_NS


@part
def _see(ports: int, now_ns: int, status: int) -> None:
    """The answer is this from now to the next change."""
    numbers = int64_at(ports)
    look = int64_at(numbers[_LOOK])
    look[_STATUS], look[_SINCE] = status, now_ns
    double_at(numbers[_LOOK])[_CHANGE] = next_change_ns(numbers[_TIMING], float(now_ns))
    if not look[_IS_SAME]:
        look[_IS_SAME] = look[_TOOK] = 1


@part
def _wait(ports: int) -> None:
    """Until the answer comes that ends the loop in hand, or something else."""
    numbers = int64_at(ports)
    look, timing, clock = int64_at(numbers[_LOOK]), numbers[_TIMING], int64_at(numbers[_CLOCK])
    until = float(ceil(double_at(numbers[_LOOK])[_CHANGE]))
    if look[_STAY] >> status_at(timing, until) & 1:
        until = leaves_ns(timing, until, look[_STAY])
    until_ns = int(until) if until < NEVER_NS else NEVER_NS
    cost(clock, max(min(until_ns, clock[LIMIT]) - time_after(numbers[_CLOCK], 0), 0))
    now = clock[NOW]
    if now < until_ns:
        look[_WAITING] = now
    else:
        look[_EQUAL] = 1
    look[_ANSWER] = status_at(timing, float(now))
    _see(ports, now, look[_ANSWER])


@part
def _poll(ports: int) -> None:
    """Another look of one who counts them."""
    numbers = int64_at(ports)
    look, clock = int64_at(numbers[_LOOK]), int64_at(numbers[_CLOCK])
    left = ceil(double_at(numbers[_LOOK])[_CHANGE]) - time_after(numbers[_CLOCK], 0)
    if left > POLL_NS:
        cost(clock, POLL_NS)
        return
    cost(clock, left)
    status = status_at(numbers[_TIMING], float(clock[NOW]))
    _see(ports, clock[NOW], status)
    if status != look[_ANSWER]:
        look[_ANSWER], look[_EQUAL] = status, 1


@part
def _stays(ports: int) -> int:
    """For which answers the loop in hand does nothing but ask again, or `ASK`."""
    loops = int64_at(ports)[_LOOPS]
    state = int64_at(loops)
    if not state[_EIP] or int64_at(state[_CR0])[0] & PAGING:
        return ASK
    # A register has 32 bits, with upper ones that are 0.
    begin = int64_at(state[_CS_BASE])[0] + int64_at(state[_EIP])[0] - BEFORE
    if begin < 0 or begin + LOOP_BYTES > state[_RAM_BYTES]:
        return ASK
    kind = int64_at(state[_EDX])[0] & 0xFFFF | (uint8_at(state[_HFLAGS])[0] & CODE32) << 12
    code = uint8_at(state[_RAM] + begin)
    for n in range(LOOPS):
        if state[_KINDS + n] == kind:
            known, same = uint8_at(loops + _CODE + n * LOOP_ROOM), 0
            while same < LOOP_BYTES and known[same] == code[same]:
                same += 1
            if same == LOOP_BYTES:
                return state[_STAYS + n]
    return ASK


@part
def _is_seen(ports: int, now_ns: int) -> bool:
    """Whether what input status 1 says now is known already."""
    numbers = int64_at(ports)
    look = int64_at(numbers[_LOOK])
    if not look[_IS_SAME] or now_ns < look[_SINCE]:
        return False
    return now_ns < double_at(numbers[_LOOK])[_CHANGE]


@part
def _let_wait(ports: int, status: int) -> None:
    """Another equal answer in a row."""
    look = int64_at(int64_at(ports)[_LOOK])
    look[_EQUAL] += 1
    if look[_STAY] >> status & 1:
        _wait(ports)
    elif look[_EQUAL] >= POLLS:
        _poll(ports)


@part
def look(ports: int) -> int:
    """Bits 0 and 3 of input status 1, or `ASK`; the access has cost nothing yet."""
    numbers = int64_at(ports)
    if uint8_at(numbers[_FEATURE])[0] or not knows_timing(ports):
        return ASK
    look, clock = int64_at(numbers[_LOOK]), int64_at(numbers[_CLOCK])
    follows, waiting = clock[EVENTS] == look[_EVENTS], look[_WAITING]
    now = time_after(numbers[_CLOCK], PORT_NS)
    # The slice ended, and the wait goes on: nobody saw the time that the look took.
    turns_back = waiting >= 0 and follows and 0 <= now - waiting < LONGEST_LOOK_NS
    if turns_back:
        now = waiting
    is_seen = _is_seen(ports, now)
    status = look[_STATUS] if is_seen else status_at(numbers[_TIMING], float(now))
    again = follows and status == look[_ANSWER]
    if again and look[_EQUAL] + 1 == SPINS:
        stay = _stays(ports) if look[_KNOWS_LOOPS] else 0
        if stay == ASK:
            return ASK
        look[_STAY] = stay
    cost(clock, PORT_NS)
    if turns_back:
        clock[DUE] += clock[NOW] - waiting
        clock[NOW] = waiting
    look[_WAITING] = -1
    if not is_seen:
        _see(ports, now, status)
    if again:
        _let_wait(ports, status)
    else:
        look[_ANSWER], look[_EQUAL] = status, 1
    look[_EVENTS] = clock[EVENTS]
    return look[_ANSWER]
