"""Native code: callbacks of an engine as compiled functions, by numba, which is an extra.

What a guest of machine code does most, a store through the planes say, costs half a microsecond
where Python answers the engine and a twentieth where a C function does. Such functions are here,
each beside a path in Python that stays the reference: it leaves the same memory, marks and time,
and is what runs without numba. Nobody outside imports numba, and importing this does not: a thread
does (`load`), and until it is through, and where it cannot be, Python's path is taken.

A module of `MODULES` is compiled by being imported. Its `FUNCTIONS` are addresses that an engine
calls: C's calling convention, without the GIL. What such a function works on, it is told as one
pointer to an array of int64, `NUMBERS` of which Python fills; it calls nothing, allocates nothing
and raises nothing.

Machine code is kept in the user's cache folder, or numba's own `NUMBA_CACHE_DIR`, in a folder
named after these sources. `VGAEMU_NATIVE=0` in the environment switches all of this off.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

#: What is compiled, in this order; each has `FUNCTIONS`, by name.
MODULES = "marks", "planes", "ports", "engine"
#: The first numba of whose functions each that is used does what it is to.
OLDEST = (0, 61)
SWITCH = "VGAEMU_NATIVE"
#: What `platform.machine` calls it.
X86_64 = "x86_64", "AMD64"

_begin = threading.Lock()
_thread: threading.Thread | None = None
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
    folder = cache_folder()
    where = f"compiled anew in each process: cannot write {_cache_root()}"
    return f"native, by numba {_release()}; {where if folder is None else f'kept in {folder}'}"


def load(wait: bool = False, *, begin: bool = True) -> Mapping[str, int] | None:
    """The compiled functions' addresses by name; empty: there are none, `why_not`; None: not yet.

    The first call that is to `begin` starts a thread that compiles them, and returns; `wait` waits
    for it. The interpreter's end does, too: a compiler is not to be torn down while it works.
    """
    global _thread
    if os.environ.get(SWITCH) == "0":
        return {}
    if _thread is None:
        if not begin:
            return None
        with _begin:
            if _thread is None:
                if why_not() is not None:
                    return {}
                _thread = threading.Thread(target=_compile, name="vgaemu-native")
                _thread.start()
    if wait:
        _thread.join()
    return _functions


def cache_folder() -> Path | None:
    """Where machine code is kept; None: it cannot be, and is compiled anew in each process."""
    folder = _cache_root() / _stamp()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return None


def _release() -> str | None:
    """That of numba, if it is installed."""
    # Starts are not to pay for it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("numba")
    except PackageNotFoundError:
        return None


def _cache_root() -> Path:
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not root.is_absolute():  # the specification has others ignored
            root = Path.home() / ".cache"
    return root / "vgaemu"


def _stamp() -> str:
    """Names these sources: numba asks only whether the file of a function itself has changed."""
    import hashlib

    sources = sorted(Path(__file__).parent.glob("*.py"))
    return "native-" + hashlib.sha256(b"".join(map(Path.read_bytes, sources))).hexdigest()[:16]


def _compile() -> None:
    global _functions, _failed
    functions: dict[str, int] = {}
    try:
        with import_module("vgaemu.native.compiler").kept():
            for name in MODULES:
                functions |= import_module(f"vgaemu.native.{name}").FUNCTIONS
    # Whatever a compiler and its libraries may find amiss, Python's path is right.
    except Exception as error:
        _failed = f"numba failed: {type(error).__name__}: {error}".splitlines()[0]
        functions.clear()
    _functions = functions


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
