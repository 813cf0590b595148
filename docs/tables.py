"""Tables of pages that are made of the code, so that none of them can be out of date.

Each function returns Markdown; `TABLES` names the files in `docs/generated` that pages include.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from types import ModuleType

import vgaemu
from vgaemu.assets import guests
from vgaemu.cli.main import main
from vgaemu.display.hostkeys import HOST_KEYS
from vgaemu.keys.actions import WORDS
from vgaemu.keys.table import KEYS, MODIFIERS
from vgaemu.migrate.stream import MAX_BODY_BYTES, Kind
from vgaemu.pc.bios.data_area import FIELDS
from vgaemu.pc.cpu.cpu import CPU_ARRAYS
from vgaemu.snapshot import Parts
from vgaemu.tape.ops import OPERATIONS

#: Width of what commands print; a page shows no more without scrolling.
COLUMNS = "88"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    r"""A table.

    >>> table(["a", "b"], [["1|2", "3"]])
    '| a | b |\n| --- | --- |\n| 1\\|2 | 3 |'
    """
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines
    )


def said(*arguments: str) -> str:
    """What a command prints."""
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        with redirect_stdout(io.StringIO()) as printed:
            try:
                main(arguments)
            except SystemExit as ended:  # as `--help` does
                if ended.code:
                    raise RuntimeError(f"vgaemu {' '.join(arguments)}: {ended.code}") from None
    finally:
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width
    return printed.getvalue()


def _literal(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def command_names() -> list[str]:
    """The commands, in the order in which help has them."""
    listed = said("--help").partition("commands:\n")[2].partition("\n\n")[0].splitlines()
    return [line.split()[0] for line in listed if line[:5].strip() and line.strip() != "COMMAND"]


def commands() -> str:
    """Each command with what its help says."""
    sections = [_literal(said("--help"))]
    sections += [
        f"## vgaemu {name}\n\n{_literal(said(name, '--help'))}" for name in command_names()
    ]
    return "\n\n".join(sections)


def modes() -> str:
    """What `vgaemu modes` prints."""
    return _literal(said("modes"))


def host_keys() -> str:
    """The keys that are the window's own."""
    rows = ([" or ".join(_pressed(one) for one in key.combinations), key.help] for key in HOST_KEYS)
    return table(["press", "for"], rows)


def _pressed(combination: str) -> str:
    return f"{{kbd}}`{combination}`"


def key_names() -> str:
    """The keys of the guest's keyboard, as `--keys` and `machine.keys.press` name them."""
    named = [key for key in KEYS if key.name != key.text]
    rows = ([f"`{key.name}`", _scancode(key.scancode, key.extended)] for key in named)
    return (
        f"Before a key may come {_in_words(MODIFIERS)} and a hyphen, such as `ctrl-alt-f1`.\n\n"
        + table(["key", "scancode, set 1"], rows)
    )


def mouse_words() -> str:
    """What the mouse does, as `--keys` and `machine.schedule_keys` name it."""
    return table(["word", "what"], ([f"`{name}`", word.meaning] for name, word in WORDS.items()))


def _in_words(names: Iterable[str]) -> str:
    *first, last = (f"`{name}`" for name in names)
    return f"{', '.join(first)} or {last}"


def _scancode(code: int, extended: bool) -> str:
    return f"{'E0 ' * extended}{code:02X}"


def tape_operations() -> str:
    """The operations of tapes: names, and how many arguments."""
    rows = (
        [
            f"`{name}`",
            f"{len(row.arguments) - row.optional} or {len(row.arguments)}"
            if row.optional
            else str(len(row.arguments)),
            "yes" if row.addresses else "",
        ]
        for name, row in OPERATIONS.items()
    )
    return table(["operation", "arguments", "may be repeated by `rep`"], rows)


def stream_messages() -> str:
    """The messages of the migration stream: numbers and longest bodies."""
    rows = ([str(kind.value), kind.name, f"{MAX_BODY_BYTES.get(kind, 0):,}"] for kind in Kind)
    return table(["kind", "name", "most bytes of the body"], rows)


def _arrays(parts: Parts) -> str:
    rows = []
    for name, part in parts.items():
        array = part.array()
        shape = list(map(str, array.shape))
        if part.any_length:
            shape[0] = "any"
        rows.append([f"`{name}`", part.dtype, " x ".join(shape) or "one number"])
    return table(["array", "type", "shape"], rows)


def state_device() -> str:
    """The arrays of a saved device."""
    with vgaemu.Machine() as machine:
        return _arrays(machine.vga.parts())


def state_pc() -> str:
    """The arrays that machine code adds: those of any CPU, and those of a DOS program's PC."""
    with vgaemu.Machine(guests() / "type.com") as machine:
        assert machine.pc is not None
        owned = _arrays(machine.pc.parts())
    cpu = table(
        ["array of the CPU", "type", "shape"],
        ([f"`{name}`", kind, " x ".join(map(str, shape)) or "one number"]
         for name, (kind, shape) in CPU_ARRAYS.items()),
    )  # fmt: skip
    return f"{cpu}\n\n{owned}"


def int10_calls() -> str:
    """INT 10h: each fact of the tests' table."""
    facts = _int10()
    sections = []
    for function, title in facts.TITLES.items():
        rows = (
            [row.about, _steps(row.before), _steps(row.call), _steps(row.after), row.source]
            for row in facts.rows()
            if row.function == function
        )
        name = f"AX={function}" if len(function) > 3 else f"AH={function}"
        head = ["", "before", "call", "leaves", "source"]
        sections.append(f"### {name}: {title}\n\n{table(head, rows)}")
    return "\n\n".join(sections)


def int10_bytes() -> str:
    """INT 10h: the bytes of the data area, and the functions whose facts name them."""
    facts, rows = _int10(), []
    for field in FIELDS:
        if field.address in facts.AREA:
            last = field.address + field.nbytes - 1
            place = f"40:{field.address & 0xFF:02X}" + f"-{last & 0xFF:02X}" * (field.nbytes > 1)
            known = {
                row.function: None
                for row in facts.rows()
                if any(at in facts.named(row) for at in range(field.address, last + 1))
            }
            bits = facts.BITS.get(field.address, "")
            rows.append([place, field.meaning, bits, " ".join(known)])
    return table(["bytes", "what", "", "facts of"], rows)


def int10_others() -> str:
    """INT 10h: where others' BIOSes leave something else."""
    facts = _int10()
    rows = (
        [row.function, row.about, _steps(row.call),
         *(_steps(row.others.get(key, "")) for key in facts.NAMES), row.right]
        for row in facts.rows()
        if row.others
    )  # fmt: skip
    return table(["", "", "call", *facts.NAMES.values(), "who is right"], rows)


def _steps(text: str) -> str:
    return f"`{text}`" if text else ""


def _int10() -> ModuleType:
    """The facts of INT 10h, which the tests have."""
    tests = str(Path(__file__).parents[1] / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    return import_module("int10_table")


TABLES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "host-keys.md": host_keys,
    "int10-bytes.md": int10_bytes,
    "int10-calls.md": int10_calls,
    "int10-others.md": int10_others,
    "key-names.md": key_names,
    "mouse-words.md": mouse_words,
    "modes.md": modes,
    "state-device.md": state_device,
    "state-pc.md": state_pc,
    "stream-messages.md": stream_messages,
    "tape-operations.md": tape_operations,
}


def write(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(exist_ok=True)
    for name, make in TABLES.items():
        folder.joinpath(name).write_text(make() + "\n", "utf-8")
