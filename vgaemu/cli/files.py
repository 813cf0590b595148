"""Files of a command: checked before it starts, written when it is over."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from vgaemu.cli.options import STANDARD_OUTPUT, path_of, value_of
from vgaemu.cli.say import OutputError, UsageError, say
from vgaemu.display.pictures import save_picture
from vgaemu.errors import ScreenError, StateError, file_error
from vgaemu.machine import Machine
from vgaemu.outputs import NewFile, why_unwritable
from vgaemu.vga.dump import dump_registers, palette_picture

#: Options whose files may be standard output.
PRINTED = ("--dump-registers", "--debugcon", "--serial", "--printer")
#: Options whose files are pictures that Pillow writes.
PICTURES = ("--screenshot", "--dump-palette", "--picture")


class Output(NamedTuple):
    """A file that a run leaves if its option names one."""

    option: str
    write: Callable[[Machine, Namespace, Path], None]
    #: Written when the guest has stopped.
    after_close: bool = False

    def problems(self, machine: Machine, options: Namespace) -> list[str]:
        """Write it; why it could not be, in one line, or nothing."""
        if (path := path_of(options, self.option)) is None:
            return []
        try:
            self.write(machine, options, path)
        except (ScreenError, StateError) as error:
            return [f"{self.option}: {error}"]
        except OSError as error:
            return [file_error(f"{self.option} {path}", error)]
        except OutputError as error:
            return [f"{self.option}: standard output: {error}"]
        except MemoryError as error:
            return [f"{self.option} {path}: no memory to be had: {error}"]
        return []


def _write(path: Path, text: str) -> None:
    with NewFile(path) as file:
        file.write(text.encode())


def _write_text(machine: Machine, options: Namespace, path: Path) -> None:
    lines = [row.rstrip() for row in machine.screen.text()]
    _write(path, "\n".join(lines) + "\n")


def _write_registers(machine: Machine, options: Namespace, path: Path) -> None:
    dump = dump_registers(machine.vga) + "\n"
    if str(path) == STANDARD_OUTPUT:
        say(dump)
    else:
        _write(path, dump)


def _write_stats(machine: Machine, options: Namespace, path: Path) -> None:
    summary = {"workload": options.workload, "args": options.args}
    summary |= {"dirty_log": machine.vram.dirty_log} | machine.stats.summary()
    _write(path, json.dumps(summary, indent=1) + "\n")


#: What a session can leave, in the order in which it is written.
OUTPUTS = (
    Output("--screenshot", lambda machine, options, path: machine.screen.save(
        path, upscaled=bool(value_of(options, "--upscaled"))
    )),
    Output("--dump-text", _write_text),
    Output("--dump-palette", lambda machine, _, path: save_picture(
        palette_picture(machine.vga), path
    )),
    Output("--dump-registers", _write_registers),
    Output("--stats", _write_stats),
    Output("--save-state", lambda machine, _, path: machine.save_state(path), after_close=True),
)  # fmt: skip


def check_outputs(options: Namespace) -> None:
    """Before a session runs, all files that it leaves.

    Raises:
        UsageError: One of them will not do.
    """
    written = [output.option for output in OUTPUTS]
    written += ["--record", "--record-tape", "--trace-ports", "--debugcon", "--serial", "--printer"]
    read = [path_of(options, option) for option in ("--font", "--load-state", "--symbols")]
    bios = str(value_of(options, "--vga-bios") or "")
    check_files(
        [(option, path_of(options, option)) for option in written],
        (options.workload, *options.args, *read, bios, *_more_inputs(options)),
        path_of(options, "--load-state"),
    )


def _more_inputs(options: Namespace) -> Iterator[str]:
    """Files of options that name several: disks, RAM disks and modules."""
    drives = value_of(options, "--drive")
    for said in drives if isinstance(drives, list) else ():
        yield str(said).partition("=")[2]
    for module in str(value_of(options, "--initrd") or "").split(","):
        yield module.partition(" ")[0]


def check_files(
    outputs: Sequence[tuple[str, Path | None]],
    inputs: Iterable[str | Path | None] = (),
    state: Path | None = None,
) -> None:
    """Each output can be written, as a picture if it is one, none over another or what is read.

    The inputs may name a file or something else; ``--save-state`` may write over `state`.

    Raises:
        UsageError: One of them will not do.
    """
    taken = {_identity(name): str(name) for name in inputs if name and os.path.isfile(name)}
    for option, path in outputs:
        if path is None or not _is_file_to_be(option, path):
            continue
        identity = _identity(path)
        if option == "--save-state" and state is not None and identity == _identity(state):
            continue
        other = taken.setdefault(identity, option)
        if other != option:
            raise UsageError(f"{option} {path}: {other} is the same file; name another")
    for option, path in outputs:
        if path is not None and option in PICTURES:
            _check_picture_suffix(option, path)


def _is_file_to_be(option: str, path: Path) -> bool:
    """Whether an output is a regular file, so that another may be the same one.

    Raises:
        UsageError: It cannot be written there.
    """
    if str(path) == STANDARD_OUTPUT:
        if option not in PRINTED:
            *others, last = PRINTED
            printed = f"{', '.join(others)} and {last}"
            raise UsageError(f"{option} -: only {printed} print; name a file")
        return False
    if (why := why_unwritable(path)) is not None:
        raise UsageError(f"{path}: {why}; name a file that can be written")
    is_file = path.is_file() or not path.exists()
    if option == "--save-state" and not is_file:
        raise UsageError(f"{option} {path}: no regular file; name one")
    return is_file


def _identity(path: str | Path) -> object:
    """The same for all names of a file, links among them, and for those of one yet to come."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _check_picture_suffix(option: str, path: Path) -> None:
    from PIL import Image  # few runs leave a picture, and it is slow to import

    known = Image.registered_extensions().get(path.suffix.lower())
    if known not in Image.SAVE:
        raise UsageError(f"{option} {path}: no picture format ends in that; use .png")
    try:
        Image.new("RGB", (1, 1)).save(BytesIO(), known)
    except Exception as error:  # what it raises depends on the format
        why = f"pictures cannot be written so ({' '.join(str(error).split())})"
        raise UsageError(f"{option} {path}: {why}; use .png") from None
