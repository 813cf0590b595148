"""Options of the command line: types of their values, and the groups that commands share.

A type refuses a word with ArgumentTypeError, which becomes one line that names the option.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vgaemu.cli.say import UsageError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

#: Where a command adds its parser.
Commands: TypeAlias = "_SubParsersAction[ArgumentParser]"
#: `add_argument` of a titled part of a command's help.
Add: TypeAlias = Callable[..., object]

#: Longest number: what has more digits fits no C function's argument.
MAX_DIGITS = 18

#: Minutes of a rewind, or MiB.
MOST_REWIND = 1 << 20
#: What stands for it where a file may be named.
STANDARD_OUTPUT = "-"


def file_path(text: str) -> Path:
    """A file's name; not an empty one."""
    if not text:
        raise ArgumentTypeError("an empty name is no file's")
    return Path(text)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if len(text) > MAX_DIGITS:
        raise ArgumentTypeError(f"a number of {len(text)} characters is too large")
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def port(text: str) -> int:
    """The number of an I/O port, as 0xf4 or 244."""
    try:
        value = int(text, 0) if len(text) <= MAX_DIGITS else -1
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFF:
        raise ArgumentTypeError(f"{text!r} is no port: 0 to 0xffff, as 0xf4")
    return value


def not_negative(text: str) -> int:
    """A whole number."""
    return 0 if text == "0" else positive(text)


def ram_mib(text: str) -> int:
    """A size of RAM, which the machine knows the bounds of."""
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise ArgumentTypeError(f"{text!r} is no number of MiB: 2 to 1024, as 64")
    return int(text)


def border_pixels(text: str) -> int:
    """A whole number of window pixels."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number; put --border behind the workload")
    return not_negative(text)


def rewind_room(text: str) -> dict[str, float]:
    """How much `Rewind.start` is to keep: minutes, or MiB."""
    number, is_memory = text, False
    for unit in ("MiB", "M"):
        if text.endswith(unit):
            number, is_memory = text.removesuffix(unit), True
            break
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_REWIND:
        raise ArgumentTypeError(
            f"{text!r} is no time and no memory: minutes as in 5, or MiB as in 64MiB"
        )
    return {"mib" if is_memory else "minutes": value}


def speed(text: str) -> float:
    """How many times 60 frames a second, 0 to 1000."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1000")
    return value


def value_of(options: Namespace, option: str) -> object:
    """What was said of an option, as ``--dump-text``; None for one that the command has not."""
    value: object = getattr(options, option.removeprefix("--").replace("-", "_"), None)
    return value


def is_given(options: Namespace, option: str) -> bool:
    """Whether the command line says it; what a file sets for all runs may be of no use in this."""
    name = option.removeprefix("--").replace("-", "_")
    return name not in options.configured and says(value_of(options, option))


def says(value: object) -> bool:
    """Whether an option's value is one; 0 is."""
    return value is not None and value is not False


def check_needs(options: Namespace, needs: Iterable[tuple[Iterable[str], str, str]]) -> None:
    """Refuse options without what they are useless without: those, that, and how to say it.

    Raises:
        UsageError: One is there alone.
    """
    for others, needed, how in needs:
        given = [name for name in others if is_given(options, name)]
        if given and value_of(options, needed) is None:
            raise UsageError(f"{', '.join(given)}: say with {how}")


def nearest(word: str, known: Iterable[str]) -> str:
    """What may have been meant, to be put behind a complaint; or nothing."""
    from difflib import get_close_matches  # nobody mistypes in most runs

    bare = {name.lstrip("-"): name for name in known}  # two dashes are alike in all
    near = get_close_matches(word.lstrip("-"), [*bare], n=1, cutoff=0.65)  # vram is no frames
    return f", did you mean {bare[near[0]]}?" if near else ""


def path_of(options: Namespace, option: str) -> Path | None:
    """The file that an option names, if it names one."""
    value = value_of(options, option)
    return value if isinstance(value, Path) else None


def add_picture_group(command: ArgumentParser) -> Add:
    """Options of commands that open a window unless told otherwise; returns what adds more."""
    add = command.add_argument_group("picture").add_argument
    add("--display", choices=("window", "terminal", "null"), help="where the picture goes (window)")
    add("--headless", action="store_true", help="--display null, as fast as it goes, in step")
    add("--scale", type=positive, metavar="N", help="window size, whole steps (what fits)")
    return add


def add_machine_code_group(command: ArgumentParser) -> None:
    """Options of guests that are machine code."""
    add = command.add_argument_group(
        "machine code (disk images, DOS programs, kernels)"
    ).add_argument
    add("--cpu", choices=("unicorn", "kvm"),
        help="who executes: an emulator, or the host (unicorn)")  # fmt: skip
    add("--memory", type=ram_mib, metavar="MIB",
        help="RAM, 2 to 1024 MiB; the host gives what is used (16)")  # fmt: skip
    add("--vga-bios", metavar="auto|builtin|PATH",
        help="auto: a ROM of the system's, if there is one (auto)")  # fmt: skip
    add("--firmware", choices=("seabios",), help="boot through SeaBIOS; needs kvm")
    add("--dos-root", type=file_path, metavar="DIR",
        help="the files of a DOS program, which may write 64 MiB (none)")  # fmt: skip
    add("--dos-version", metavar="N.NN", help="what DOS says that it is, from 2.0 on (5.0)")
    add("--dpmi", action="store_true", help="DOS has a DPMI host, for programs without their own")
    add("--retrace-irq", action="store_true",
        help="connect the VGA's interrupt line to IRQ 9, which most cards do not")  # fmt: skip
    add("--writable", action="store_true", help="let the guest write to disk images")
    add("--drive", action="append", metavar="fd|hd|cd[=FILE]",
        help="what a disk image is, if it does not say: a floppy, a hard disk, a CD; with a file, "
             "another disk; more than one may be said")  # fmt: skip
    add("--append", metavar="TEXT", help="a kernel's command line")
    add("--initrd", metavar="FILE[,...]",
        help="Linux's RAM disk; modules, each with words: 'a.bin,b.bin some words'")  # fmt: skip
    add("--symbols", type=file_path, metavar="F.elf",
        help="names of code for faults and traces; an ELF kernel has its own")  # fmt: skip
    add("--no-reboot", action="store_true",
        help="end, with status 0, where the guest resets the machine")  # fmt: skip
    add("--force", action="store_true", help="boot a disk without a boot signature")
