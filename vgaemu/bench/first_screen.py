"""How long until the first screen of a boot sector and of kernels; beside it QEMU's TCG."""

from __future__ import annotations

import time

from vgaemu.bench import tcg
from vgaemu.bench.boot import boot_sector, file_of
from vgaemu.bench.measure import Row
from vgaemu.machine import Machine

#: Mov ax, 0E21h; mov bx, 7; int 10h; then the mark, cli, hlt.
SECTOR = bytes.fromhex("B8 21 0E BB 07 00 CD 10") + tcg.mark() + b"\xfa\xf4"
#: At 1 MiB, a multiboot 1 header with the fields of a.out.
HEADER = bytes.fromhex("02B0AD1B 00000100 FE4F51E4 00001000 00001000 00000000 00000000 20001000")
#: Mov word [B8000h], 0721h; the mark; cli; hlt.
KERNEL = HEADER + bytes.fromhex("66 C7 05 00 80 0B 00 21 07 B0 2E E6 E9 FA F4")
#: The same in long mode: tables of pages at 1000h, 2000h and 3000h that map 2 MiB; CR3, CR4.PAE,
#: EFER.LME, CR0.PG, LGDT; jmp 8:l; l: mov r8d, B8000h; mov word [r8], 0721h; the mark; cli; hlt.
KERNEL64 = HEADER + bytes.fromhex(
    "C7 05 00 10 00 00 03 20 00 00 C7 05 00 20 00 00 03 30 00 00 C7 05 00 30 00 00 83 00 00 00"
    "B8 00 10 00 00 0F 22 D8 0F 20 E0 0C 20 0F 22 E0 B9 80 00 00 C0 0F 32 80 CC 01 0F 30"
    "0F 20 C0 0D 00 00 00 80 0F 22 C0 0F 01 15 98 00 10 00 EA 73 00 10 00 08 00"
    "41 B8 00 80 0B 00 66 41 C7 00 21 07 B0 2E E6 E9 FA F4 90 90 90"
    "00 00 00 00 00 00 00 00 00 00 00 00 00 9A 20 00 0F 00 88 00 10 00"
)


def rows() -> list[Row]:
    """From nothing to the first frame with text on it, modules imported; QEMU's from its start."""
    with boot_sector(SECTOR) as sector, file_of(KERNEL) as kernel, file_of(KERNEL64) as kernel64:
        return [
            _row("boot sector", sector, *tcg.floppy(sector)),
            _row("multiboot kernel", kernel, "-kernel", kernel),
            _row("64-bit multiboot kernel", kernel64, "-kernel", kernel64),
        ]


def _row(name: str, image: str, *qemu: str) -> Row:
    begin = time.perf_counter()
    with Machine(image) as machine:
        machine.tick()
        took = time.perf_counter() - begin
        if not machine.screen.text()[0].startswith("!"):
            raise RuntimeError(f"the {name} printed nothing")
    row: Row = {"boot": name, "first_frame_ms": took * 1e3}
    qemu_s = tcg.seconds_to_mark(*qemu)
    if qemu_s is not None:
        row["qemu_ms"] = qemu_s * 1e3
    return row
