"""Instead: what a user wants to have run in a display that is open, and the list to choose from.

A file is dropped there, or a guest chosen: it gets a session of its own, and the display with it.
"""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from vgaemu.assets import guests
from vgaemu.cli.say import UsageError
from vgaemu.errors import WorkloadError
from vgaemu.guest.find import bundled, bundled_names, find_workload, usage
from vgaemu.guest.workload import Workload
from vgaemu.guest.workloads._choose import Entry, chooser
from vgaemu.pc import is_image

if TYPE_CHECKING:
    from vgaemu.machine import Machine

#: Options that are for all runs alike: where the picture goes, and how; who executes.
KEPT = frozenset((
    "headless", "display", "scale", "aspect", "fullscreen", "border", "no_panel", "font", "speed",
    "dirty_log", "compare", "span_pages", "view", "view_password_file", "view_shared", "novnc",
    "configured",
))  # fmt: skip
#: Those that are, if it is machine code, too.
KEPT_OF_MACHINE_CODE = frozenset(("cpu", "memory", "vga_bios", "firmware", "rewind"))
TAPES = (".tape", ".tape.gz")


class Program(NamedTuple):
    """What is to run."""

    workload: str | Workload
    args: tuple[str, ...] = ()
    #: `Machine`'s keywords that it needs.
    needs: Mapping[str, Any] = MappingProxyType({})


def program_of(name: str) -> Program:
    """What a name of a bundled workload, or a file, stands for.

    Raises:
        UsageError: It is nothing that runs.
        TapeError: It ends as a tape does, and is none.
    """
    if name in bundled_names() or is_image(name) or name.endswith(".py"):
        return Program(name)
    if not Path(name).is_file():
        raise UsageError(f"{name}: not a file; drop one that runs")
    if name.lower().endswith(TAPES):
        from vgaemu.cli.playback import tape_guest

        guest, vram_mib = tape_guest(Path(name))
        return Program(guest, needs={"vram_mib": vram_mib})
    from PIL import Image  # few drop pictures, and it is slow to import

    if Path(name).suffix.lower() in Image.registered_extensions():
        return Program("picture", (name,))
    raise UsageError(f"{name}: no disk image, .com, .py, picture or tape, by its name")


def options_for(program: Program, options: Namespace) -> Namespace:
    """The options of a run, as far as they are for that of another program, too."""
    kept = KEPT | (KEPT_OF_MACHINE_CODE if is_image(program.workload) else frozenset())
    following = {
        name: value if name in kept else False if isinstance(value, bool) else None
        for name, value in vars(options).items()
    }
    return Namespace(**following | {"workload": program.workload, "args": list(program.args)})


def options_for_choice(program: Program, options: Namespace) -> Namespace:
    """Options that were given for what is chosen from the list, as far as it can have them."""
    said: dict[str, Any] = {"workload": program.workload, "args": list(program.args)}
    if not is_image(program.workload):
        said["rewind"] = None  # a generator has no snapshots; nobody knew that it would be one
    return Namespace(**vars(options) | said)


Run = Callable[[str], None]


def list_of_guests() -> tuple[Workload, Callable[[Machine, Run], None]]:
    """A workload that shows what can run without arguments.

    Returns:
        The workload, and what its machine is given to, with what runs what was chosen.
    """
    chosen: deque[str | None] = deque()  # by the guest's thread; None: it was left

    def follow(machine: Machine, run: Run) -> None:
        def look() -> None:
            while chosen:
                name = chosen.popleft()
                if name is None:
                    machine.user.wants_to_close = True
                else:
                    run(name)

        machine.between_frames.append(look)

    return chooser(entries(), chosen.append, lambda: chosen.append(None)), follow


def entries() -> list[Entry]:
    """The bundled guests that need no arguments."""
    found = [Entry(name, name, what) for name, what in bundled().items() if _needs_nothing(name)]
    try:
        files = sorted(guests().iterdir())
    except FileNotFoundError:
        files = []
    found += [Entry(str(file), file.name, first_line(file)) for file in files if is_image(file)]
    return found


def _needs_nothing(name: str) -> bool:
    try:
        words = usage(find_workload(name)).split()
    except WorkloadError:
        return False
    return words == ["(no", "arguments)"] or all(word.startswith("[") for word in words)


def first_line(guest: Path) -> str:
    """What a bundled guest shows: the first line of its source."""
    return guest.with_suffix(".asm").read_text("utf-8").partition("\n")[0].strip("; .")
