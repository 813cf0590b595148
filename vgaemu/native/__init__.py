"""Native code: callbacks of an engine as compiled functions, by numba, which is an extra.

What a guest of machine code does most, a store through the planes say, costs half a microsecond
where Python answers the engine and a twentieth where a C function does. Such functions are here,
each beside a path in Python that stays the reference: it leaves the same memory, marks and time,
and is what runs without numba. Nobody outside imports numba, and importing this does not: `load`
has it done, and until that is through, and where it cannot be, Python's path is taken.

A module of `MODULES` is compiled by being imported. Its `FUNCTIONS` are addresses that an engine
calls: C's calling convention, without the GIL. What such a function works on, it is told as one
pointer to an array of int64, `NUMBERS` of which Python fills; it calls nothing, allocates nothing
and raises nothing.

Machine code is kept in the user's cache folder, or numba's own `NUMBA_CACHE_DIR`, in a folder
named after these sources. What is not there yet another process compiles (``python -m
vgaemu.native``, some ten seconds of its CPU's time), so that Python runs here undisturbed.
`VGAEMU_NATIVE=0` in the environment switches all of this off.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from vgaemu import folders
from vgaemu.native import kept

#: What is compiled, in this order; each has `FUNCTIONS`, by name.
MODULES = "marks", "planes", "ports", "engine", "long", "blocks"
#: The first numba of whose functions each that is used does what it is to.
OLDEST = (0, 61)
SWITCH = "VGAEMU_NATIVE"
#: What `platform.machine` calls it.
X86_64 = "x86_64", "AMD64"

_begin = threading.Lock()
_begun = False
_done = threading.Event()
_functions: dict[str, int] | None = None
_failed: str | None = None


def why_not() -> str | None:
    """Why there is no native code here, in one line; None: there is, or will be after `load`."""
    if os.environ.get(SWITCH) == "0":
        return f"switched off by {SWITCH}=0"
    if platform.machine() not in X86_64 or ctypes.sizeof(ctypes.c_void_p) != 8:
        return f"only for x86-64, whose stores land in their order, not {platform.machine()}"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "not in free-threaded Python"
    found = _release()
    if found is None:
        return "numba is not installed; pip install 'vgaemu[fast]'"
    if _numbers_of(found) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"numba {found} is too old; pip install 'numba>={oldest}'"
    return _failed


def told() -> str:
    """Which path is used and why, in one line."""
    why = why_not()
    if why is not None:
        return f"by Python: {why}"
    folder = folders.cache_folder() / _stamp()
    where = f"kept in {folder}"
    if not _can_be_written(folder):
        where = f"compiled anew in each process: cannot write {folders.cache_folder()}"
    return f"native, by numba {_release()}; {where}"


def load(wait: bool = False, *, begin: bool = True) -> Mapping[str, int] | None:
    """The compiled functions' addresses by name; empty: there are none, `why_not`; None: not yet.

    The first call that is to `begin` has them made on a thread, and returns; `wait` waits for it.
    """
    global _begun
    if os.environ.get(SWITCH) == "0":
        return {}
    if not _begun:
        if not begin:
            return None
        with _begin:
            if not _begun:
                if why_not() is not None:
                    return {}
                _begun = True
                # It waits for another process, and need not come to an end.
                threading.Thread(target=_prepare, name="vgaemu-native", daemon=True).start()
    if wait:
        _done.wait()
    return _functions


def _prepare() -> None:
    """Have all compiled, by a process whose interpreter nobody else waits for; then load it."""
    folder = cache_folder()
    is_due = folder is not None and kept.is_due(folder)
    if folder is not None and sys.executable:
        with suppress(OSError):
            _have_compiled(folder)
    try:
        # The interpreter's end waits for a module: a compiler is not to be torn down in its work.
        threading.Thread(target=compile_all, name="vgaemu-native", daemon=False).start()
    except RuntimeError:  # it is the end
        _done.set()
        return
    if folder is not None and is_due:
        kept.remove_unused(folder)


def _have_compiled(folder: Path) -> None:
    import subprocess

    lock = folder / kept.LOCK
    while not kept.is_ready(folder):
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if time.time() - lock.stat().st_mtime > kept.LONGEST_S:
                lock.unlink(missing_ok=True)  # of a process that did not come to its end
            time.sleep(0.1)
            continue
        package = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        with suppress(subprocess.SubprocessError):
            subprocess.run(
                [sys.executable, "-m", "vgaemu.native"],
                env=os.environ | {"PYTHONPATH": paths}, timeout=kept.LONGEST_S, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        lock.unlink(missing_ok=True)
        return  # whatever came of it


def cache_folder() -> Path | None:
    """Where machine code is kept; None: it cannot be, and is compiled anew in each process."""
    folder = folders.cache_folder() / _stamp()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return None


def _can_be_written(folder: Path) -> bool:
    """Whether it can, or can be made; it is not."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _release() -> str | None:
    """That of numba, if it is installed."""
    # Starts are not to pay for it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("numba")
    except PackageNotFoundError:
        return None


def _stamp() -> str:
    """Names these sources, where they lie, and what compiles them.

    Numba asks only whether the file of a function itself has changed, and keeps what it made of
    other folders, or another release of it did, apart: none of that would be there.
    """
    import hashlib

    folder = Path(__file__).parent
    made = hashlib.sha256(f"{folder} {_release()} {sys.version}".encode("utf-8", "replace"))
    for source in sorted(folder.glob("*.py")):
        made.update(source.read_bytes())
    return f"native-{made.hexdigest()[:16]}"


def compile_all() -> None:
    """Compile what the cache folder has not, and load all."""
    global _functions, _failed
    functions: dict[str, int] = {}
    try:
        with _plain_messages(), import_module("vgaemu.native.compiler").kept():
            for name in MODULES:
                if not threading.main_thread().is_alive():
                    break  # nobody is left to call them, and the interpreter's end waits for this
                functions |= import_module(f"vgaemu.native.{name}").FUNCTIONS
    # Whatever a compiler and its libraries may find amiss, Python's path is right.
    except Exception as error:
        _failed = f"numba failed: {type(error).__name__}: {error}".splitlines()[0]
        functions.clear()
    _functions = functions
    _done.set()


@contextmanager
def _plain_messages() -> Iterator[None]:
    """Let numba not colour its messages, which nobody sees.

    Where colorama is installed it would replace sys.stdout and sys.stderr for that, time and again.
    As this changes, numba takes all of its configuration from the environment: not in the middle.
    """
    switch = "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING"
    if switch in os.environ:
        yield
        return
    os.environ[switch] = "1"
    try:
        yield
    finally:
        os.environ.pop(switch, None)


def _numbers_of(release: str) -> tuple[int, ...]:
    """The numbers that a release begins with.

    >>> _numbers_of("0.61.0rc1") < (0, 61), _numbers_of("1.0") < (0, 61)
    (False, False)
    """
    numbers = []
    for part in release.split(".")[:2]:
        digits = "".join(c for c in part if c.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)
