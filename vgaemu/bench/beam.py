"""`vgaemu bench beam`: guests that follow the beam, against real time; and raster frames.

A guest that writes a colour in each of 400 lines, and two of the bundled ones that wait for the
retrace. Each is run once as it is, and once as if nothing were known of its loops, so that every
look at the retrace bits is carried out; both take turns. `times_of_real_time` above 1: a window is
late. These times are the thread's CPU time. DOSBox 0.74 runs the same guests beside it where it is
installed (`bench.dosbox`). Raster frames are `raster`'s.
"""

from __future__ import annotations

from statistics import median
from time import thread_time_ns

from vgaemu import native
from vgaemu.assets import guests
from vgaemu.bench import dosbox, raster
from vgaemu.bench.boot import boot_sector
from vgaemu.bench.measure import RUNS, Row, median_of_runs, no_collector
from vgaemu.machine import Machine
from vgaemu.pc.guest_beam import GuestBeam
from vgaemu.pc.pc import FRAME_NS

#: Frames timed together, how often, and untimed ones before, in which the bundled guests prepare.
FRAMES, ROUNDS, FRAMES_BEFORE = 10, 7, 30
#:         cli; mov ax, 13h; int 10h; ...          ; colour 0 everywhere
#: field:  mov dx, 3DAh; ...                       ; wait for the retrace; inc bx; mov cx, 400
#: line:   mov dx, 3DAh
#: .blank: in al, dx; test al, 1; jnz .blank
#: .draw:  in al, dx; test al, 1; jz .draw
#:         mov dx, 3C8h; xor al, al; out dx, al; inc dx
#:         mov al, cl; add al, bl; out dx, al; shr al, 1; out dx, al; shr al, 1; out dx, al
#:         loop line; jmp field
LINES = bytes.fromhex(
    "FA B8 13 00 CD 10 B8 00 A0 8E C0 31 FF 31 C0 B9 00 7D F3 AB 31 DB"
    "BA DA 03 EC A8 08 75 FB EC A8 08 74 FB 43 B9 90 01"
    "BA DA 03 EC A8 01 75 FB EC A8 01 74 FB"
    "BA C8 03 30 C0 EE 42 88 C8 00 D8 EE D0 E8 EE D0 E8 EE E2 DF EB CC"
)


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    return median_of_runs(lambda: [*_guests(), *raster.rows()], runs)


def _guests() -> list[Row]:
    native.load(wait=True)  # VGAEMU_NATIVE=0 shows what a guest costs without
    with boot_sector(LINES) as lines:
        return [
            _guest("a colour in each of 400 lines", lines),
            *(_guest(name, str(guests() / name)) for name in ("plasma.img", "scroller.img")),
        ]


def _guest(name: str, image: str) -> Row:
    with Machine(image) as machine, Machine(image) as counted:
        beam = counted.vga.beam
        assert isinstance(beam, GuestBeam)
        beam.knows_loops = False
        for each in (machine, counted):
            each.tick(FRAMES_BEFORE)
        with no_collector():
            turns = [(_cpu_ns(machine), _cpu_ns(counted)) for _ in range(ROUNDS)]
    tick_ns, counted_ns = (median(times) / FRAMES for times in zip(*turns, strict=True))
    theirs = dosbox.times_of_real_time(image)
    return {
        "guest": name,
        "ticks_a_second": 1e9 / tick_ns,
        "times_of_real_time": tick_ns / FRAME_NS,
        **({} if theirs is None else {"dosbox_times_of_real_time": theirs}),
        "looks_counted_ticks_a_second": 1e9 / counted_ns,
        "times_as_fast_as_looks_counted": counted_ns / tick_ns,
    }


def _cpu_ns(machine: Machine) -> int:
    """CPU time of some frames: all of it is this thread's, guest and picture."""
    begin = thread_time_ns()
    machine.tick(FRAMES)
    return thread_time_ns() - begin
