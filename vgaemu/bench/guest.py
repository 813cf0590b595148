"""`vgaemu bench guest`: what the VGA costs machine code, and what a harvest beside it costs.

Fills by `rep stosd` with Unicorn: through the VGA's windows with their dirty log, by native code
and by Python, against the same bytes on a bare engine in the same slices, and against a hook on
every store. Harvests while the guest runs, which fills, or polls a port and fills, with Unicorn and
with KVM: 60 times a second, when no cache holds what they need any more, and one after another; and
with processes that keep all CPUs busy. Before each a control loop spins for about as long: what it
takes beyond that is the machine's and the interpreter's own scheduling noise. Beside KVM the bare
ioctls take turns.
What goes through the planes: see `planes`; ports: `ports`; calls, interrupts and pages: `calls`;
the time to a first screen: `first_screen`; of many short runs in tests: `boots`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from statistics import median
from typing import Any

import numpy as np

from vgaemu import native
from vgaemu.bench import PARTS, boots, calls, first_screen, planes, ports
from vgaemu.bench.boot import boot_sector
from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs
from vgaemu.bench.paths import by_python
from vgaemu.errors import CpuError, ImageError
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import NEVER_NS, StepClock
from vgaemu.pc.cpu.kvm import KvmCpu
from vgaemu.pc.cpu.unicorn import SLICE_IN_STEP, UnicornCpu
from vgaemu.pc.cpu.unicorn_engine import Registers, Uc, unicorn
from vgaemu.pc.cpu.unicorn_pages import NEVER
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.vram import LFB_GPA

#: Slices timed together: about 60 Hz apart, as harvests are.
SLICES = 10
ROUNDS = 9
HARVEST_SECONDS = 0.8
#: Seconds between two harvests 60 times a second, and between a control loop and its harvest.
PAUSE_S, CONTROL_PAUSE_S = 0.016, 0.002
#: A control loop lasts about as long as a harvest.
CONTROL_NS = 50_000
CODE_AT = 0x7C00
#: mov ax, A000h; mov es, ax; l: xor di, di; mov cx, 16000; rep stosd; inc eax; jmp l
FILL_13H = bytes.fromhex("B8 00 A0 8E C0 31 FF B9 80 3E F3 66 AB 66 40 EB F4")
#: The same once a vertical retrace, for which it polls: mov ax, A000h; mov es, ax; mov dx, 3DAh;
#: l: in al, dx; test al, 8; jnz l; m: in al, dx; test al, 8; jz m; inc ebx; mov eax, ebx;
#: xor di, di; mov cx, 16000; rep stosd; jmp l
POLL_13H = bytes.fromhex(
    "B8 00 A0 8E C0 BA DA 03 EC A8 08 75 FB EC A8 08 74 FB 66 43 66 89 D8 31 FF B9 80 3E F3 66 AB"
    "EB E7"
)
#: Guest, whether one harvest follows the other at once, whether all CPUs are kept busy.
HARVESTS = (
    ("fills", FILL_13H, False, False),
    ("fills", FILL_13H, True, False),
    ("polls, fills", POLL_13H, False, False),
    ("polls, fills", POLL_13H, False, True),
)
#: Flat protected mode, then 640x480x32: mov edi, E0000000h; mov ecx, 307200; rep stosd; inc eax;
#: jmp
FILL_LFB = (
    bytes.fromhex("FA 0F 01 16 30 7C 0F 20 C0 0C 01 0F 22 C0 EA 13 7C 08 00")
    + bytes.fromhex("66 B8 10 00 8E C0 BF 00 00 00 E0 B9 00 B0 04 00 F3 AB 40 EB F1")
).ljust(0x30, b"\x90") + bytes.fromhex(
    "17 00 38 7C 00 00 90 90"
    "00 00 00 00 00 00 00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00"
)  # fmt: skip


def measure(runs: int = RUNS, parts: Sequence[str] = PARTS["guest"]) -> list[Row]:
    """The rows of some parts, each the median of `runs` runs."""
    rows: dict[str, Callable[[], list[Row]]] = {
        "fills": _fills,
        "stores": planes.rows,
        "ports": ports.rows,
        "calls": calls.rows,
        "harvests": _harvests,
        "boot": first_screen.rows,
        "boots": boots.rows,
    }
    return [row for part in parts for row in median_of_runs(rows[part], runs)]


def _fills() -> list[Row]:
    rows: list[Row] = []
    native.load(wait=True)
    for name, code in (("mode 13h", FILL_13H), ("LFB 640x480x32", FILL_LFB)):
        sides = {
            "native": _through_the_vga(code),
            "python": _through_the_vga(code, slow=True),
            "bare": _bare(code),
            "hook": _bare(code, hooked=True),
        }
        for side in sides.values():  # translate, touch
            side()
        times = interleaved(sides, ROUNDS)
        instructions = SLICES * SLICE_IN_STEP
        rows.append(
            {
                "fill": name,
                "native_store_ns": times["native"] / instructions,
                "python_store_ns": times["python"] / instructions,
                "bare_store_ns": times["bare"] / instructions,
                "hook_store_ns": times["hook"] / instructions,
                "native_times_as_fast_as_bare": times["bare"] / times["native"],
                "python_times_as_fast_as_bare": times["bare"] / times["python"],
                "hook_times_as_fast_as_bare": times["bare"] / times["hook"],
            }
        )
    return rows


def _through_the_vga(code: bytes, *, slow: bool = False) -> Callable[[], None]:
    """A CPU on a bus; after the slices a frame's harvest."""
    vga = Vga(Memslot(4096, LFB_GPA >> 12))
    set_mode(vga, 0x13)
    bus = Bus(vga)
    cpu = UnicornCpu(bus, StepClock())
    bus.write(CODE_AT, code)
    cpu.set("eip", CODE_AT)
    vga.slot.harvest_through(cpu.harvest)
    with by_python(slow):
        cpu.run(NEVER_NS)

    def side() -> None:
        for _ in range(SLICES):
            cpu.run(NEVER_NS)
        vga.slot.get_dirty_log()

    return side


def _bare(code: bytes, *, hooked: bool = False) -> Callable[[], None]:
    """The same engine without a VGA: plain memory, and a hook on each store if `hooked`."""
    uc = Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    uc.mem_map(0, 1 << 20)
    uc.mem_map(LFB_GPA, 16 << 20)
    uc.mem_write(CODE_AT, code)
    registers, eip = Registers(uc), unicorn.x86_const.UC_X86_REG_EIP
    registers["CR0"] = 0x10
    for name in ("CS", "DS", "ES", "SS"):
        registers[name] = 0
    if hooked:
        dirty = bytearray(4096)

        def on_store(uc: Any, access: int, gpa: int, size: int, value: int, _: object) -> None:
            dirty[gpa >> 12 & 0xFFF] = 1

        uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, on_store, None, 0xA0000, 0xBFFFF)
        uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, on_store, None, LFB_GPA, LFB_GPA + (16 << 20))
    uc.reg_write(eip, CODE_AT)

    def side() -> None:
        for _ in range(SLICES):
            uc.emu_start(uc.reg_read(eip), NEVER, count=SLICE_IN_STEP)

    return side


@contextmanager
def _all_cpus_busy() -> Iterator[None]:
    """A process that spins for each CPU but the one that the guest keeps busy."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(max((os.cpu_count() or 1) - 1, 1))
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _harvests() -> list[Row]:
    rows: list[Row] = []
    for cpu in ("unicorn", "kvm"):
        for guest, code, at_once, busy in HARVESTS:
            # mov ax, 13h; int 10h, then the guest.
            with suppress(CpuError), boot_sector(bytes.fromhex("B8 13 00 CD 10") + code) as image:
                row: Row = {
                    "harvest beside": cpu,
                    "guest": guest,
                    "asked": "one after another" if at_once else "60 times a second",
                    "CPUs": "all busy" if busy else "as they are",
                }
                with _all_cpus_busy() if busy else nullcontext():
                    rows.append(row | _harvest_beside(cpu, image, at_once))
    return rows


def _harvest_beside(cpu: str, image: str, at_once: bool) -> Row:
    """Draw frames on this thread while the guest fills the screen on its own."""
    try:
        machine = Machine(image, cpu=cpu, free=True)
    except ImageError as error:
        raise CpuError(str(error)) from None
    with machine:
        machine.run_frame()
        time.sleep(0.05)
        assert machine.pc is not None
        guest_cpu = machine.pc.cpu
        flush_ns: list[int] = []
        if isinstance(guest_cpu, UnicornCpu):
            guest_cpu.tlb.flushes_ns = flush_ns
        times, controls, ioctls, pages = [], [], [], []
        end = time.monotonic() + HARVEST_SECONDS
        while time.monotonic() < end:
            if not at_once:
                time.sleep(PAUSE_S - CONTROL_PAUSE_S)
            controls.append(_control_ns())
            if isinstance(guest_cpu, KvmCpu):
                ioctls.append(guest_cpu.time_log_ioctls())
            if not at_once:
                time.sleep(CONTROL_PAUSE_S)
            report = machine.run_frame()
            times.append(report.harvest_ns)
            pages.append(len(report.dirty_pages))
    row: Row = {
        "pages": float(median(pages)),
        "harvest_us": median(times) / 1000,
        "harvest_p99_us": float(np.percentile(times, 99)) / 1000,
        "control_p99_us": float(np.percentile(controls, 99)) / 1000,
    }
    if flush_ns:
        row["flush_us"] = median(flush_ns) / 1000
    else:
        row["bare_ioctls_us"] = median(ioctls) / 1000
        row["above_ioctls_us"] = row["harvest_us"] - row["bare_ioctls_us"]
    return row


def _control_ns() -> int:
    """How much longer than `CONTROL_NS` a loop takes that ends then."""
    begin = time.perf_counter_ns()
    while time.perf_counter_ns() < begin + CONTROL_NS:
        pass
    return time.perf_counter_ns() - begin - CONTROL_NS
