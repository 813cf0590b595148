"""The disks of a PC: the one that is run, and those that `--drive KIND=FILE` puts beside it.

Emulated: floppies in A and B, hard disks 80h and 81h, a CD; the one that is run comes first of its
kind, the others as they are said. They need no boot sector. Not emulated: more of them, empty
drives, disks that are changed while the guest runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from vgaemu.errors import ImageError
from vgaemu.pc.eltorito import DATA_DISC, is_iso
from vgaemu.pc.formats import (
    DRIVES,
    MAX_FLOPPY,
    check_writable,
    floppy_shape,
    hard_disk_shape,
    read_file,
)
from vgaemu.pc.images import DiskImage, Image

#: As `Machine` takes it: one, or some.
Said: TypeAlias = str | Sequence[str] | None
#: What each kind is called, and how many there are at most.
NAMES = {"fd": "floppies", "hd": "hard disks", "cd": "CD"}
MOST = {"fd": 2, "hd": 2, "cd": 1}
ADVICE = "name a disk image"


class Wanted(NamedTuple):
    """What was said of drives."""

    #: What sort of disk the file is that is run; None: it says so itself.
    kind: str | None
    #: Kind and file of each further one.
    more: tuple[tuple[str, Path], ...]


def read_said(said: Said) -> Wanted:
    """Take apart what `--drive` says.

    Raises:
        ImageError: It says nothing of the kind, or the same twice.

    >>> read_said(["hd", "fd=b.img"]).kind
    'hd'
    """
    words = [said] if isinstance(said, str) else [*(said or ())]
    kinds, more = [], []
    for word in words:
        kind, is_file, name = word.partition("=")
        if kind not in DRIVES or (is_file and not name):
            raise ImageError(
                f"--drive {word}: say fd, hd or cd of the image, fd=FILE, hd=FILE or cd=FILE of "
                "another one"
            )
        if is_file:
            more.append((kind, Path(name)))
        else:
            kinds.append(kind)
    if len(kinds) > 1:
        raise ImageError(f"--drive {', --drive '.join(kinds)}: say once what the image is")
    return Wanted(kinds[0] if kinds else None, tuple(more))


def kind_of(image: DiskImage) -> str:
    """Which of `DRIVES` a disk is."""
    return "cd" if image.is_cd else "hd" if image.is_hard_disk else "fd"


def all_disks(image: Image, wanted: Wanted, *, writable: bool = False) -> tuple[DiskImage, ...]:
    """The disk that is run, if it is one, and those beside it, which are read.

    Raises:
        ImageError: One cannot be read, or there is no place for it.
    """
    disks = [image] if isinstance(image, DiskImage) else []
    if wanted.kind is not None and not disks:
        raise ImageError(
            f"--drive {wanted.kind}: {image.path} is no disk image; "
            f"--drive {wanted.kind}=FILE puts one beside it"
        )
    for kind, path in wanted.more:
        there = [disk for disk in disks if kind_of(disk) == kind]
        said = f"--drive {kind}={path}"
        if len(there) == MOST[kind]:
            names = " and ".join(disk.path.name for disk in there)
            are = "is" if len(there) == 1 else "are"
            raise ImageError(f"{said}: {MOST[kind]} {NAMES[kind]} at most, and {names} {are} there")
        if writable and any(_is_same(path, disk.path) for disk in disks):
            raise ImageError(f"{said}: in another drive, too, and --writable; copy the file")
        disks.append(_load(kind, path, said, writable))
    return tuple(disks)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False  # it is refused when it is read


def _load(kind: str, path: Path, said: str, writable: bool) -> DiskImage:
    data = read_file(path, f"--drive {kind}=", ADVICE)
    if kind == "cd":
        if not is_iso(data):
            raise ImageError(f"{said}: no ISO image")
        return DiskImage(path, data, 0, 0, 0, False, cd_boot=DATA_DISC)
    if kind == "fd" and len(data) > MAX_FLOPPY:
        raise ImageError(f"{said}: {len(data)} bytes is more than a floppy ({MAX_FLOPPY})")
    if writable:
        check_writable(path, said)
    shape = hard_disk_shape(data) if kind == "hd" else floppy_shape(data)
    return DiskImage(path, data, *shape, kind == "hd", writable)
