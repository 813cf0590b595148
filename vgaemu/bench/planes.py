"""What machine code's stores cost where they go through the planes, against mode 13h's.

Each guest stores without end, in the same slices, on the same engine: by native code, by Python's
path, and in mode 13h, where VRAM is plain memory. A store is one instruction's, of one byte or two.
Beside it, where it is installed, QEMU's TCG runs the same bytes as a boot sector, and tells on its
debug port when it has stored so many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from vgaemu import native
from vgaemu.bench import tcg
from vgaemu.bench.measure import Row, no_collector
from vgaemu.bench.paths import by_python
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import NEVER_NS, StepClock
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.vram import LFB_GPA

CODE_AT, ROUNDS = 0x7C00, 3
#: Slices a turn: about as many stores where each takes a guest 15 times as long.
SLICES, PLANES_SLICES, PYTHON_SLICES = 10, 150, 8
#: A pass stores to 16 KiB: text's window has no more than 32.
PASS_BYTES = 0x4000
#: Passes of a round in QEMU.
QEMU_PASSES = 2


class Stores(NamedTuple):
    """A kind of stores: a pass begins with DI and SI 0, and CX says how many."""

    name: str
    code: str
    nbytes: int = 1


STOSB, STOSW = Stores("rep stosb", "F3AA"), Stores("rep stosw", "F3AB", 2)
#: m: mov [es:di], al; inc di; dec cx; jnz m
MOV = Stores("mov loop", "268805 47 49 75F9")
#: mov di, 4000h; rep movsb
MOVSB = Stores("rep movsb", "BF0040 F3A4")
MODES = ((0x12, 0xA000), (0x0D, 0xA000), (0x03, 0xB800))
#: GR05, and GR01, GR03 and GR08 with it.
WRITE_MODES = (
    ("0", (0, 0, 0, 0xFF)), ("0, set/reset", (0, 0xF, 0, 0xFF)), ("0, XOR", (0, 0, 0x18, 0xFF)),
    ("0, bit mask", (0, 0, 0, 0x55)), ("1", (1, 0, 0, 0xFF)), ("2", (2, 0, 0, 0xFF)),
    ("3", (3, 0, 0, 0xFF)),
)  # fmt: skip


def rows() -> list[Row]:
    """Each kind of stores in each mode, and every write mode."""
    native.load(wait=True)
    found = [
        _row(stores, mode, segment) for stores in (STOSB, STOSW, MOV) for mode, segment in MODES
    ]
    found += [
        _row(MOVSB, mode, segment, "1" if mode != 0x03 else "0", (mode != 0x03, 0, 0, 0xFF))
        for mode, segment in MODES
    ]
    return found + [_row(STOSB, 0x12, 0xA000, *how) for how in WRITE_MODES]


def _row(
    stores: Stores,
    mode: int,
    segment: int,
    write_mode: str = "0",
    registers: tuple[int, int, int, int] = (0, 0, 0, 0xFF),
) -> Row:
    sides = {
        "native": _guest(stores, mode, segment, registers, PLANES_SLICES),
        "python": _guest(stores, mode, segment, registers, PYTHON_SLICES, slow=True),
        "13h": _guest(stores, 0x13, 0xA000, (0, 0, 0, 0xFF), SLICES),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    with no_collector():
        for _ in range(ROUNDS):
            for name, side in sides.items():
                rates[name].append(side())
    middle = {name: sorted(values)[ROUNDS // 2] for name, values in rates.items()}
    return {
        "stores": stores.name,
        "mode": "text" if mode == 0x03 else f"{mode:02X}h",
        "write mode": write_mode,
        "native_m_stores_s": middle["native"],
        "python_m_stores_s": middle["python"],
        "mode_13h_m_stores_s": middle["13h"],
        "times_as_fast_as_13h": middle["native"] / middle["13h"],
        "times_as_fast_as_python": middle["native"] / middle["python"],
        "qemu_tcg_m_stores_s": _qemu(stores, mode, segment, registers),
    }


def _passes(stores: Stores, segment: int, after: bytes) -> bytes:
    """Mov ax, segment; mov es, ax; mov ds, ax; cld; then passes, and `after` each."""
    setup = b"\xb8" + segment.to_bytes(2, "little") + bytes.fromhex("8EC0 8ED8 FC")
    # l: xor di, di; xor si, si; mov cx, count; the stores; inc ebx
    count = (PASS_BYTES // stores.nbytes).to_bytes(2, "little")
    one = bytes.fromhex("31FF 31F6 B9") + count + bytes.fromhex(stores.code + "66 43") + after
    return setup + one + b"\xeb" + (-len(one) - 2 & 0xFF).to_bytes(1, "little")


def _guest(
    stores: Stores,
    mode: int,
    segment: int,
    registers: tuple[int, int, int, int],
    slices: int,
    *,
    slow: bool = False,
) -> Callable[[], float]:
    """One turn of a guest: how many million stores a second it made."""
    vga = Vga(Memslot(4096, LFB_GPA >> 12))
    set_mode(vga, mode)
    if mode != 0x03:
        for index, value in zip((5, 1, 3, 8), registers, strict=True):
            kept = vga.graphics.values[5] & ~3 if index == 5 else 0
            vga.outw(0x3CE, (value | kept) << 8 | index)
    cpu = UnicornCpu(Bus(vga), StepClock())
    cpu.bus.write(CODE_AT, _passes(stores, segment, b""))
    cpu.set("eip", CODE_AT)
    vga.slot.harvest_through(cpu.harvest)
    with by_python(slow):
        cpu.run(NEVER_NS)

    def stored() -> int:
        left = cpu.get("ecx") & 0xFFFF
        return (cpu.get("ebx") + 1) * PASS_BYTES // stores.nbytes - left

    def turn() -> float:
        made, begin = stored(), time.perf_counter()
        for _ in range(slices):
            cpu.run(NEVER_NS)
        return (stored() - made) / (time.perf_counter() - begin) / 1e6

    turn()
    return turn


@lru_cache(maxsize=64)
def _qemu(
    stores: Stores, mode: int, segment: int, registers: tuple[int, int, int, int]
) -> float | None:
    """Million stores a second in QEMU's TCG, or None: it is not here, or does not come through."""
    took_s = tcg.seconds(_boot_code(stores, mode, segment, registers))
    count = QEMU_PASSES * PASS_BYTES // stores.nbytes
    return None if took_s is None else count / took_s / 1e6


def _boot_code(
    stores: Stores, mode: int, segment: int, registers: tuple[int, int, int, int]
) -> bytes:
    """Xor ax, ax; mov ss, ax; mov sp, 7C00h; the mode by int 10h; the registers; the passes."""
    code = bytes.fromhex("31C0 8ED0 BC007C B8") + mode.to_bytes(2, "little") + b"\xcd\x10"
    if mode != 0x03:
        for index, value in zip((5, 1, 3, 8), registers, strict=True):
            # mov dx, 3CEh; mov ax, value and index; out dx, ax
            code += bytes.fromhex("BACE03 B8") + bytes((index, value)) + b"\xef"
    passes = b"\x66\xbd" + QEMU_PASSES.to_bytes(4, "little")  # mov ebp, passes
    # dec ebp; jz out of the loop
    return code + tcg.endless(passes + _passes(stores, segment, bytes.fromhex("664D 7402")))
