r"""vgaemu: a VGA framebuffer emulator that draws only what a KVM-style dirty log says changed.

    import vgaemu

    with vgaemu.Machine() as machine:
        machine.vga.store(0xB8000, b"H\x1ei\x1e")
        machine.tick()
        print(machine.screen.text()[0])

`Machine` is the place to start; `attach` gives one's own Unicorn script a screen.
"""

from __future__ import annotations

from vgaemu.errors import *  # noqa: F403  all errors are public

__version__ = "0.1.0"

# Type checkers know the name; importing `typing` for it would be most of `import vgaemu`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from vgaemu.attached import attach as attach
    from vgaemu.display.base import BaseDisplay as BaseDisplay
    from vgaemu.display.report import (
        Display as Display,
        FrameReport as FrameReport,
        Rect as Rect,
        ScreenInfo as ScreenInfo,
    )
    from vgaemu.guest.workload import Guest as Guest
    from vgaemu.machine import Machine as Machine
    from vgaemu.memslot import DirtyLog as DirtyLog, Memslot as Memslot, Vm as Vm
    from vgaemu.moments import Snapshot as Snapshot
    from vgaemu.vga.device import Vga as Vga

#: Importing vgaemu costs nothing; each of these brings its module when it is first used, so that
#: `vgaemu --version` need not wait for numpy.
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
    "Snapshot": "vgaemu.moments",
    "Vga": "vgaemu.vga.device",
    "Vm": "vgaemu.memslot",
    "attach": "vgaemu.attached",
}

_ERRORS = [name for name, value in globals().items() if isinstance(value, type)]
__all__ = sorted(["__version__", *_HOMES, *_ERRORS])

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module 'vgaemu' has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return __all__
