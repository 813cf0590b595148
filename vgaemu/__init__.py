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
    from vgaemu.display.base import BaseDisplay
    from vgaemu.display.report import Display, FrameReport, Rect, ScreenInfo
    from vgaemu.errors import (
        AttachError,
        BenchError,
        CanvasError,
        CpuError,
        DisplayError,
        FontError,
        GuestError,
        GuestFault,
        GuestStopped,
        ImageError,
        KeeperUnavailable,
        KeysError,
        KvmError,
        MemslotError,
        MigrateError,
        ModeError,
        ScreenError,
        StateError,
        TapeError,
        TextError,
        VgaemuError,
        WorkloadError,
    )
    from vgaemu.guest.workload import Guest
    from vgaemu.machine import Machine
    from vgaemu.memslot import DirtyLog, Memslot, Vm
    from vgaemu.vga.device import Vga

# Importing vgaemu costs nothing; each name brings its module when it is first used, so that
# `vgaemu --version` need not wait for numpy.
_HOMES = {
    "BaseDisplay": "vgaemu.display.base",
    "DirtyLog": "vgaemu.memslot",
    "Display": "vgaemu.display.report",
    "FrameReport": "vgaemu.display.report",
    "Guest": "vgaemu.guest.workload",
    "Machine": "vgaemu.machine",
    "Memslot": "vgaemu.memslot",
    "Rect": "vgaemu.display.report",
    "ScreenInfo": "vgaemu.display.report",
    "Vga": "vgaemu.vga.device",
    "Vm": "vgaemu.memslot",
    "attach": "vgaemu.attached",
} | dict.fromkeys(
    (
        "AttachError",
        "BenchError",
        "CanvasError",
        "CpuError",
        "DisplayError",
        "FontError",
        "GuestError",
        "GuestFault",
        "GuestStopped",
        "ImageError",
        "KeeperUnavailable",
        "KeysError",
        "KvmError",
        "MemslotError",
        "MigrateError",
        "ModeError",
        "ScreenError",
        "StateError",
        "TapeError",
        "TextError",
        "VgaemuError",
        "WorkloadError",
    ),
    "vgaemu.errors",
)

__all__ = [
    "AttachError",
    "BaseDisplay",
    "BenchError",
    "CanvasError",
    "CpuError",
    "DirtyLog",
    "Display",
    "DisplayError",
    "FontError",
    "FrameReport",
    "Guest",
    "GuestError",
    "GuestFault",
    "GuestStopped",
    "ImageError",
    "KeeperUnavailable",
    "KeysError",
    "KvmError",
    "Machine",
    "Memslot",
    "MemslotError",
    "MigrateError",
    "ModeError",
    "Rect",
    "ScreenError",
    "ScreenInfo",
    "StateError",
    "TapeError",
    "TextError",
    "Vga",
    "VgaemuError",
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
