"""Find a workload by name or file, and start it with its arguments."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import inspect
import pkgutil
import stat
import sys
from collections.abc import Generator
from os import PathLike
from pathlib import Path

from vgaemu.errors import WorkloadError, file_error
from vgaemu.guest import workloads
from vgaemu.guest.workload import AnySlices, Guest, Workload

#: Workload files are modules of this name and their own.
FILES = "vgaemu_workload_files"
#: What is said of a file that does not run.
NEITHER = (
    "neither Python nor machine code that runs here: a disk image (55AAh at 510), a kernel, an "
    ".exe or .com program"
)
#: Files of other sorts, by their names' ends: what they are, and what is to be done.
OTHERS = {
    (".asm", ".nasm"): "a source; assemble it, as by nasm -o boot.img, and run what comes of it",
    (".s",): "a source; assemble it, and run what comes of it",
    (".c", ".cpp", ".rs"): "a source; compile it, and run what comes of it",
    (".tape", ".tape.gz"): "a tape; 'vgaemu replay' plays it",
    (".npz",): "a saved state; name what it was saved of, and this with --load-state",
}


def bundled_names() -> list[str]:
    """Names of the bundled workloads, in order."""
    names = [m.name for m in pkgutil.iter_modules(workloads.__path__)]
    return sorted(name for name in names if not name.startswith("_"))


def bundled() -> dict[str, str]:
    """The bundled workloads and what each shows: the first line of its docstring.

    That is read from its source: ``python -OO`` drops docstrings.
    """
    found = {}
    for name in bundled_names():
        source = inspect.getsource(importlib.import_module(f"{workloads.__name__}.{name}"))
        shows = ast.get_docstring(ast.parse(source)) or ""
        found[name] = shows.partition("\n")[0].rstrip(".")
    return found


def find_workload(name: str | PathLike[str] | Workload) -> Workload:
    """A workload by bundled name, by path of a Python file, or itself.

    Raises:
        WorkloadError: There is none, or the file has no function ``workload``.
    """
    if isinstance(name, PathLike):
        return _load_file(Path(name))
    if callable(name):
        return name
    if not isinstance(name, str):
        raise WorkloadError(
            f"a workload is a name, a path or a generator function, not {type(name).__name__}"
            + "; write what is to boot to a file" * isinstance(name, bytes | bytearray)
        )
    check_name(name)
    if name in bundled_names():
        module = importlib.import_module(f"vgaemu.guest.workloads.{name}")
        found: Workload = module.workload
        return found
    return _load_file(Path(name))


def check_name(name: str) -> None:
    """See whether there is something of a name: a bundled workload, which comes first, or a file.

    Raises:
        WorkloadError: There is not.
    """
    if name in bundled_names() or Path(name).is_file():
        return
    if name.endswith(".py") or "/" in name or "\\" in name:
        _check_file(Path(name))
    from difflib import get_close_matches  # nobody mistypes in most runs

    near = get_close_matches(name, bundled_names(), n=3)
    if near:
        raise WorkloadError(f"no workload named {name!r}; did you mean {' or '.join(near)}?")
    if Path(name).is_dir():
        raise WorkloadError(f"{name}: a folder; name a file in it, or one of 'vgaemu list'")
    raise WorkloadError(
        f"no workload named {name!r}, and no file; 'vgaemu list' shows the workloads, and a file "
        "is named with its suffix"
    )


def _check_file(path: Path) -> None:
    try:
        # Not `is_file`: from Python 3.14 on it says no where it may not look.
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise WorkloadError(
            f"{path}: no such file; name a Python file, or one of 'vgaemu list'"
        ) from None
    except OSError as error:
        raise WorkloadError(file_error(path, error, "name a readable Python file")) from None
    if stat.S_ISDIR(mode):
        raise WorkloadError(f"{path}: a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise WorkloadError(f"{path}: not a file; name a Python file")


def _load_file(path: Path) -> Workload:
    _check_file(path)
    for ends, what in OTHERS.items():
        if path.name.lower().endswith(ends):
            raise WorkloadError(f"{path}: {what}")
    try:
        source = path.read_bytes()
        if b"\0" in source:
            raise WorkloadError(
                f"{path}: not Python, as its name says; a kernel or a disk image runs by another"
                if path.suffix == ".py"
                else f"{path}: {NEITHER}"
            )
        compile(source, str(path), "exec")
    except OSError as error:
        raise WorkloadError(file_error(path, error, "name a readable Python file")) from None
    except SyntaxError as error:
        if path.suffix != ".py":
            raise WorkloadError(f"{path}: {NEITHER}") from None
        place = path if error.lineno is None else f"{path}:{error.lineno}"
        raise WorkloadError(f"{place}: not Python: {error.msg}") from None
    loader = importlib.machinery.SourceFileLoader(f"{FILES}.{path.stem}", str(path))
    spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up here.
    sys.modules[loader.name] = module
    # The file may import its neighbours at any time, as it could if it were run.
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[loader.name]
        raise
    workload = getattr(module, "workload", None)
    if not callable(workload):
        raise WorkloadError(f"{path}: has no function 'workload(guest, ...)'")
    return workload  # type: ignore[no-any-return]


def start(workload: Workload, guest: Guest, args: list[str]) -> AnySlices:
    """Call a workload with its arguments.

    Raises:
        WorkloadError: The arguments do not fit, or it is not a generator function.
    """
    try:
        inspect.signature(workload).bind(guest, *args)
    except TypeError as error:
        name = name_of(workload)
        raise WorkloadError(f"{name}: {error}; usage: {name} {usage(workload)}") from None
    slices = workload(guest, *args)
    if not isinstance(slices, Generator):
        raise WorkloadError(
            f"{name_of(workload)}: no generator: it "
            "needs at least one 'yield', which waits for the next frame"
        )
    return slices


def name_of(workload: Workload) -> str:
    """What a person calls it: its file, as it was named, its bundled name, or the function's."""
    name: str = getattr(workload, "__name__", "workload")
    module = workload.__module__
    if module.startswith(f"{FILES}."):
        return str(getattr(sys.modules[module].__loader__, "path", name))
    return module.rpartition(".")[2] if name == "workload" else name


def usage(workload: Workload) -> str:
    """The arguments a workload takes, as in a usage line."""
    words = []
    for parameter in list(inspect.signature(workload).parameters.values())[1:]:
        word = parameter.name.upper()
        if parameter.kind is parameter.VAR_POSITIONAL:
            word = f"[{word}...]"
        elif parameter.default is not parameter.empty:
            word = f"[{word}]"
        words.append(word)
    return " ".join(words) or "(no arguments)"
