"""Saved states of a PC: everything but its VGA, as plain arrays, and back.

Saved: the CPU (`CPU_ARRAYS`, and what KVM adds), and the parts that each owner declares
(`Pc.parts`). Not saved: the file that is run, contents of a program's own files, what was printed
on debug ports.

A state is of one file, by its SHA-256, and of the builtin BIOS or of a firmware. Between CPUs it
can be carried as far as both know what is in it: see `unicorn_state` and `kvm_state`. Wall time
and virtual time are one time line, so a state also goes from a window to a headless run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from vgaemu import snapshot
from vgaemu.errors import StateError
from vgaemu.pc.cpu.cpu import CPU_ARRAYS, Cpu
from vgaemu.pc.images import DiskImage, Image
from vgaemu.snapshot import Array, Part, Parts, octets

if TYPE_CHECKING:
    from vgaemu.pc.dos.handles import Handles

#: Parts that are large, or take long, and outlive the CPU and a program's files.
BULK = ("pc.sha256", "ram", "disk.sectors", "disk.data")

#: Of a name that is told; no file system has longer ones.
MAX_NAME_BYTES = 255


def identity_parts(image: Image, firmware: str) -> dict[str, Part]:
    """Which file runs, and under which firmware ("": the builtin BIOS); see `check_identity`."""
    return {
        "pc.name": octets(lambda: os.fsencode(image.path.name), _compared),
        "pc.sha256": Part("u1", lambda: list(image.digest()), _compared),
        "pc.firmware": octets(lambda: firmware.encode(), _compared),
    }


def _compared(_: object) -> None:
    """What is the same already needs no restoring."""


def bulk_arrays(parts: Parts) -> dict[str, Array]:
    """The parts of `BULK`."""
    return snapshot.take({name: parts[name] for name in BULK if name in parts})


def small_arrays(parts: Parts, cpu: Cpu) -> dict[str, Array]:
    """Everything else, between two slices."""
    return snapshot.take(parts, without=BULK) | cpu.arrays()


def identity_name(arrays: Mapping[str, Array]) -> str:
    """The name of the file that a state is of, as `identity_parts` has it."""
    return _text_of(arrays, "pc.name")


def _text_of(arrays: Mapping[str, Array], name: str) -> str:
    text = arrays.get(name, np.zeros(0)).tobytes()[:MAX_NAME_BYTES].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def check_state(
    parts: Parts,
    cpu: Cpu,
    image: Image,
    firmware: str,
    arrays: Mapping[str, Array],
    source: object,
) -> None:
    """Find out whether `restore_state` may be called; nothing has changed then.

    Raises:
        StateError: It is the state of something else, or none.
    """
    if "pc.sha256" not in arrays:
        raise StateError(
            f"{source}: saved without a machine-code guest, {image.path.name} is one; "
            "load it with the workload it was saved with"
        )
    check_identity(image, firmware, arrays, source)
    wrong = snapshot.misfit(parts, arrays)
    ram = arrays.get("ram")
    if wrong == "ram" and ram is not None and ram.ndim == 1:
        mib = [array.size >> 20 for array in (ram, parts["ram"].array())]
        if mib[0] != mib[1]:
            raise StateError(
                f"{source}: saved with {mib[0]} MiB of RAM, and this machine has {mib[1]}; "
                f"load it with --memory {mib[0]}"
            )
        raise StateError(f"{source}: saved with another version's BIOS; start the guest anew")
    wrong = wrong or _cpu_misfit(arrays)
    if wrong is None and isinstance(image, DiskImage):
        written = len(arrays["disk.data"])
        if written != len(arrays["disk.sectors"]):
            wrong = "disk.data"
        elif written and image.writable:
            raise StateError(
                f"{source}: the guest had written to a copy of {image.path.name}; "
                "load it without --writable"
            )
    if wrong is not None:
        raise StateError(f"{source}: {wrong} is not what a PC has; save the state again")
    why = cpu.refusal(arrays)
    if why is not None:
        raise StateError(f"{source}: {why}")


def _cpu_misfit(arrays: Mapping[str, Array]) -> str | None:
    for name, (dtype, shape) in CPU_ARRAYS.items():
        array = arrays.get(name)
        if array is None or array.dtype != np.dtype(dtype) or array.shape != shape:
            return name
    return None if -1 <= int(arrays["cpu.pending"]) <= 0xFF else "cpu.pending"


def check_identity(
    image: Image,
    firmware: str,
    arrays: Mapping[str, Array],
    source: object,
    what: str = "saved",
    do: str = "run",
) -> None:
    """Find out whether a state, of `identity_parts` at least, is of this file and firmware.

    An error names `source`, `what` was done with another file, and what to `do` with the right one.

    Raises:
        StateError: It is of another one.
    """
    saved_name, saved_firmware = identity_name(arrays), _text_of(arrays, "pc.firmware")
    if arrays.get("pc.sha256", np.zeros(0)).tobytes() != image.digest():
        name = image.path.name
        other = "another content of it" if saved_name == name else repr(saved_name)
        raise StateError(f"{source}: {what} with {other}, not with this {name}; {do} that file")
    if saved_firmware != firmware:
        said = f"--firmware {saved_firmware}" if saved_firmware else "the builtin BIOS"
        raise StateError(f"{source}: {what} under {said}; run it so")


def restore_state(
    parts: Parts, cpu: Cpu, handles: Handles | None, arrays: Mapping[str, Array], source: object
) -> None:
    """Bring a PC to a state that `check_state` has passed; `handles` are a program's, if one runs.

    Raises:
        StateError: A file that a program had open cannot be opened; nothing has changed then. Or
            the kernel refuses what `check_state` could not try; the PC is not to be run on then.
    """
    files = (
        nullcontext() if handles is None else handles.reopened(snapshot.parsed(arrays["dos.files"]))
    )
    try:
        with files:
            snapshot.restore(parts, arrays)
            try:
                cpu.restore(arrays)
            except OSError as error:
                raise StateError(f"{source}: KVM does not take it: {error.strerror}") from None
    except FileNotFoundError as error:
        raise StateError(
            f"{source}: saved with {error.args[0]!r} open, which cannot be opened now; "
            "name its folder with --dos-root"
        ) from None
