r"""vgaemu: a VGA framebuffer emulator that draws only what a KVM-style dirty log says changed.

    import vgaemu

    with vgaemu.Machine() as machine:
        machine.vga.store(0xB8000, b"H\x1ei\x1e")
        machine.tick()
        print(machine.screen.text()[0])

`Machine` is the place to start; `attach` gives one's own Unicorn script a screen.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vgaemu.attached import attach
    from vgaemu.display.report import Display, FrameReport, Rect, ScreenInfo
    from vgaemu.guest.workload import Guest, GuestStopped, WorkloadError
    from vgaemu.machine import Machine
    from vgaemu.memslot import DirtyLog, Memslot, MemslotError, Vm
    from vgaemu.pc.cpu.unicorn_vga import AttachError
    from vgaemu.vga.device import Vga
    from vgaemu.vga.font import FontError

# Importing vgaemu costs nothing; each name brings its module when it is first used, so that
# `vgaemu --version` need not wait for numpy.
_HOMES = {
    "AttachError": "vgaemu.pc.cpu.unicorn_vga",
    "DirtyLog": "vgaemu.memslot",
    "Display": "vgaemu.display.report",
    "FrameReport": "vgaemu.display.report",
    "FontError": "vgaemu.vga.font",
    "Guest": "vgaemu.guest.workload",
    "GuestStopped": "vgaemu.guest.workload",
    "Machine": "vgaemu.machine",
    "Memslot": "vgaemu.memslot",
    "MemslotError": "vgaemu.memslot",
    "Rect": "vgaemu.display.report",
    "ScreenInfo": "vgaemu.display.report",
    "Vga": "vgaemu.vga.device",
    "Vm": "vgaemu.memslot",
    "WorkloadError": "vgaemu.guest.workload",
    "attach": "vgaemu.attached",
}

__all__ = [
    "AttachError",
    "DirtyLog",
    "Display",
    "FontError",
    "FrameReport",
    "Guest",
    "GuestStopped",
    "Machine",
    "Memslot",
    "MemslotError",
    "Rect",
    "ScreenInfo",
    "Vga",
    "Vm",
    "WorkloadError",
    "__version__",
    "attach",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vgaemu' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
