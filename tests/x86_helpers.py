"""What the tests of machine-code guests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vgaemu.keys.queue import Keys
from vgaemu.memslot import Memslot
from vgaemu.pc.build import build_pc
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import Image
from vgaemu.pc.pc import Pc
from vgaemu.vga.device import Vga
from vgaemu.vga.vram import LFB_GPA

GUESTS = Path(__file__).parents[1] / "examples" / "guests"


def has_kvm() -> bool:
    if sys.platform != "linux":
        return False
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


needs_kvm = pytest.mark.skipif(not has_kvm(), reason="/dev/kvm cannot be opened")
CPUS = ["unicorn", pytest.param("kvm", marks=needs_kvm)]


def boot_sector(code: bytes) -> bytes:
    """A bootable sector that begins with `code`."""
    return code.ljust(510, b"\0") + b"\x55\xaa"


def disk(tmp_path: Path, code: bytes, name: str = "test.img") -> Path:
    path = tmp_path / name
    path.write_bytes(boot_sector(code))
    return path


@contextmanager
def make_pc(path: Path, *args: str, vram_pages: int = 1024, **options: Any) -> Iterator[Pc]:
    """A PC with an image, not yet run."""
    image: Image = load_image(
        str(path), list(args), force=options.pop("force", False),
        writable=options.pop("writable", False),
    )  # fmt: skip
    pc = build_pc(Vga(Memslot(vram_pages, LFB_GPA >> 12)), Keys(), image, **options)
    try:
        yield pc
    finally:
        pc.close()


def run_until_halted(pc: Pc, frames: int = 100) -> None:
    """Until a HLT with interrupts off."""
    turns = pc.slices()
    # KVM's time is the host's: of a frame a busy host gives the guest a part.
    for _ in range(frames * 20 if pc.cpu.name == "kvm" else frames):
        if next(turns, "ended") == "ended":
            return
    raise AssertionError(f"still running after {frames} frames")


def call(pc: Pc, vector: int, **registers: int) -> int:
    """Call a BIOS or DOS service; returns the flags that the caller would find."""
    cpu = pc.cpu
    cpu.set("ss", 0)
    cpu.sp = 0x7000
    pc.bus.write(0x7000, bytes.fromhex("00 00 00 00 02 02"))
    for name, value in registers.items():
        if name in ("ds", "es"):
            cpu.set(name, value)
        else:
            setattr(cpu, name, value)
    pc.bios.calls.new_slice()
    pc.bios.calls.call(vector)
    return pc.bus.read16(0x7004)
