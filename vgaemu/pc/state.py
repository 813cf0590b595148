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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vgaemu import snapshot
from vgaemu.errors import StateError
from vgaemu.pc.cpu.cpu import CPU_ARRAYS, Cpu
from vgaemu.pc.images import DiskImage, Image
from vgaemu.snapshot import Array, Part, Parts, octets, text

if TYPE_CHECKING:
    from vgaemu.pc.dos.handles import Handles

#: Parts that are large, or take long, and outlive the CPU and a program's files.
BULK = (
    "pc.sha256", "ram",
    *(f"disk{number}.{part}" for number in ("", *range(1, 6)) for part in ("sectors", "data")),
)  # fmt: skip

#: Of a name that is told; no file system has longer ones.
MAX_NAME_BYTES = 255


class Identity(NamedTuple):
    """What a state is of: files, and what runs them."""

    image: Image
    #: What stands in for the builtin BIOS; "": nothing.
    firmware: str = ""
    #: Disks that are there besides, and what each is: see `disks.kind_of`.
    more: tuple[tuple[str, DiskImage], ...] = ()

    def drives(self) -> list[list[str]]:
        """The further disks, as they are saved."""
        return [[kind, disk.path.name, disk.digest().hex()] for kind, disk in self.more]


def identity_parts(identity: Identity) -> dict[str, Part]:
    """Which files run, and under which firmware; see `check_identity`."""
    image, firmware = identity.image, identity.firmware
    drives = text(identity.drives, _compared, lambda said: isinstance(said, list))
    return {
        **({"pc.drives": drives.or_else(lambda: None)} if identity.more else {}),
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
    identity: Identity,
    disks: Mapping[str, DiskImage],
    arrays: Mapping[str, Array],
    source: object,
) -> None:
    """Find out whether `restore_state` may be called; nothing has changed then.

    Raises:
        StateError: It is the state of something else, or none.
    """
    if "pc.sha256" not in arrays:
        raise StateError(
            f"{source}: saved without a machine-code guest, {identity.image.path.name} is one; "
            "load it with the workload it was saved with"
        )
    check_identity(identity, arrays, source)
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
    for name, disk in disks.items() if wrong is None else ():
        written = len(arrays[f"{name}.data"])
        if written != len(arrays[f"{name}.sectors"]):
            wrong = f"{name}.data"
        elif written and disk.writable:
            raise StateError(
                f"{source}: the guest had written to a copy of {disk.path.name}; "
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
    identity: Identity,
    arrays: Mapping[str, Array],
    source: object,
    what: str = "saved",
    do: str = "run",
) -> None:
    """Find out whether a state, of `identity_parts` at least, is of these files and firmware.

    An error names `source`, `what` was done with another file, and what to `do` with the right one.

    Raises:
        StateError: It is of another one.
    """
    image, firmware = identity.image, identity.firmware
    saved_name, saved_firmware = identity_name(arrays), _text_of(arrays, "pc.firmware")
    if arrays.get("pc.sha256", np.zeros(0)).tobytes() != image.digest():
        name = image.path.name
        other = "another content of it" if saved_name == name else repr(saved_name)
        raise StateError(f"{source}: {what} with {other}, not with this {name}; {do} that file")
    if saved_firmware != firmware:
        said = f"--firmware {saved_firmware}" if saved_firmware else "the builtin BIOS"
        raise StateError(f"{source}: {what} under {said}; run it so")
    saved_drives, drives = _drives_of(arrays), identity.drives()
    if saved_drives != drives:
        said, has = (_said_of(ones) for ones in (saved_drives, drives))
        if said == has:
            said, has = f"other contents of {said}", "these"
        raise StateError(f"{source}: {what} with {said}, and this machine has {has}; {do} those")


def _drives_of(arrays: Mapping[str, Array]) -> list[list[str]]:
    """The further disks that a state tells of; it may tell anything."""
    array = arrays.get("pc.drives")
    try:
        said = [] if array is None else snapshot.parsed(array)
        return [[kind, name, digest] for kind, name, digest in said]
    except (TypeError, ValueError, RecursionError):
        return [["?", "?", "?"]]


def _said_of(drives: list[list[str]]) -> str:
    """As options."""
    said = " ".join(f"--drive {kind}={name}" for kind, name, _ in drives)
    return "".join(letter if letter.isprintable() else "?" for letter in said) or "no --drive"


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
