"""Which file is what: told by what is in it; by its name only where that says nothing.

Emulated: disks with a boot signature (floppies of 160 KB to 2.88 MB by their size, all larger ones
and those with a table of partitions that lie in it are hard disks), ISO images that boot, DOS
programs with and without the signature MZ, kernels with a multiboot header, Linux's bzImages. Not
emulated: compressed images, those of other emulators.

Source: MS-DOS Programmer's Reference 5.0 (.EXE header); IBM AT BIOS reference (boot record);
Multiboot Specification 0.6.96; Linux's Documentation/arch/x86/boot.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vgaemu.errors import ImageError, file_error
from vgaemu.pc.eltorito import FLOPPY_SECTORS, NO_EMULATION, boot_entry, is_iso
from vgaemu.pc.eltorito import SECTOR as CD_SECTOR
from vgaemu.pc.images import (
    SECTOR,
    DiskImage,
    DosProgram,
    Image,
    LinuxKernel,
    Module,
    MultibootKernel,
)
from vgaemu.pc.kernels import ELF_SIGNATURE, MAGIC_2, find_header

MAX_FLOPPY = 2880 << 10
#: Largest file that is read: it is kept in memory.
MAX_FILE = 512 << 20
#: Sectors in all -> cylinders, heads, sectors a track.
FLOPPIES = {
    320: (40, 1, 8), 360: (40, 1, 9), 640: (40, 2, 8), 720: (40, 2, 9), 1440: (80, 2, 9),
    2400: (80, 2, 15), 2880: (80, 2, 18), 3360: (80, 2, 21), 3444: (82, 2, 21), 5760: (80, 2, 36),
}  # fmt: skip
#: Heads, and sectors a track, of a hard disk whose image does not say.
HEADS, SECTORS = 16, 63
#: A program of 64 KiB has no room for its prefix (256 bytes) and a stack.
MAX_COM = 0x10000 - 0x100 - 2
#: What `--drive` may say of a disk.
DRIVES = ("fd", "hd", "cd")
#: What the first bytes of an .EXE program are.
EXE_SIGNATURES = (b"MZ", b"ZM")
#: What to do where a file is none of these.
ADVICE = "name a disk image, a kernel or a DOS program"
#: So much of a file is looked at.
HEAD_BYTES = 64 << 10
#: What is in a file that does not run as it is -> what to do with it.
OTHERS = {
    b"\x1f\x8b": "compressed (gzip); unpack it",
    b"\xfd7zXZ": "compressed (xz); unpack it",
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"QFI\xfb": "a qcow2 image; make it raw: qemu-img convert -O raw",
    b"KDMV": "a VMDK image; make it raw: qemu-img convert -O raw",
}


@dataclass(frozen=True)
class Wishes:
    """What its user says of a file."""

    args: list[str] = field(default_factory=list)
    #: Boot a disk without a boot signature.
    force: bool = False
    #: Let the guest write to the file.
    writable: bool = False
    #: One of `DRIVES`: what sort of disk it is.
    drive: str | None = None
    #: The command line of a kernel; files that are handed to it, as `_modules` takes them apart.
    append: str | None = None
    initrd: str | Path | None = None


class Format(NamedTuple):
    """One sort of file."""

    #: Whether a file's first `HEAD_BYTES` are of it.
    probe: Callable[[bytes], bool]
    load: Callable[[Path, bytearray, Wishes], Image]
    #: Files of these names are of it if several would do, or none.
    suffixes: tuple[str, ...]
    #: What is said of a wish that is not for it, and those that are.
    what: str
    takes: frozenset[str]
    #: Whether what it is told by leaves no doubt, whatever its name.
    is_certain: bool = False


def load_image(
    name: str,
    args: list[str],
    *,
    force: bool = False,
    writable: bool = False,
    drive: str | None = None,
    append: str | None = None,
    initrd: str | Path | None = None,
) -> Image:
    """Read and check a file of machine code; for the rest see `Wishes`.

    Raises:
        ImageError: It cannot be run.
    """
    path, wishes = Path(name), Wishes(args, force, writable, drive, append, initrd)
    data = read_file(path)
    found = format_of(path, bytes(data[:HEAD_BYTES]))
    if found is None:
        raise ImageError(f"{name}: {none_of_them(data)}")
    return found.load(path, data, wishes)


def check_writable(path: Path, said: str) -> None:
    """Whether `--writable` can keep its word for a disk that is told as `said`.

    Raises:
        ImageError: It cannot.
    """
    try:
        with path.open("r+b"):
            pass
    except OSError as error:
        raise ImageError(
            file_error(f"{said}: --writable", error, "leave it out, and writes go to a copy")
        ) from None


def read_file(path: Path, option: str = "", advice: str = ADVICE) -> bytearray:
    """All of a file; messages name the option that it comes from, and say what to do.

    Raises:
        ImageError: It cannot be read, is empty or too large.
    """
    gap = "" if option.endswith("=") else " "
    said = f"{option}{gap}{path}" if option else str(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ImageError(f"{said}: not a file; {advice}")
        if size > MAX_FILE:
            raise ImageError(f"{said}: {size >> 20} MiB; at most {MAX_FILE >> 20} MiB are read")
        data = bytearray(size)  # a hard disk is read once, and kept
        with path.open("rb") as file:
            del data[file.readinto(data) :]
    except OSError as error:
        raise ImageError(file_error(said, error, advice)) from None
    if not data:
        raise ImageError(f"{said}: the file is empty; {advice}")
    return data


def is_told(path: Path) -> bool:
    """Whether it is a file that is something by what is in it; not what cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return any(one.probe(head) for one in FORMATS)


def wrong_options(name: str, options: Iterable[str], *, disks_beside: bool = False) -> list[str]:
    """Of names of options those that are for other sorts of files than this one.

    Disks beside what is run may be written to, whatever it is.
    """
    path = Path(name)
    try:
        with path.open("rb") as file:
            found = format_of(path, file.read(HEAD_BYTES))
    except OSError:
        found = None  # it is refused when it is loaded
    if found is None:
        return []
    takes = found.takes | ({"writable"} if disks_beside else set())
    others = frozenset().union(*(one.takes for one in FORMATS)) - takes
    return [option for option in options if option in others]


def who_takes(option: str) -> str:
    """Which sorts of files an option is for."""
    return " and ".join(dict.fromkeys(one.what for one in FORMATS if option in one.takes))


def format_of(path: Path, head: bytes) -> Format | None:
    """What a file is: where that is not certain, its name decides."""
    suffix = path.suffix.lower()
    possible = [one for one in FORMATS if one.probe(head)]
    if certain := next((one for one in possible if one.is_certain), None):
        return certain
    named = [one for one in possible or FORMATS if suffix in one.suffixes]
    return next(iter(named or possible), None)


def none_of_them(head: bytes | bytearray) -> str:
    """What is said of a file that does not run."""
    for signature, what in OTHERS.items():
        if head.startswith(signature):
            return what
    runs = ", ".join(dict.fromkeys(one.what for one in FORMATS))
    return f"nothing in it says what it is; what runs: {runs}, workloads in Python (.py)"


def _is_disk(head: bytes | bytearray) -> bool:
    return head[510:512] == b"\x55\xaa"


def _load_disk(path: Path, data: bytearray, wishes: Wishes) -> DiskImage:
    if wishes.args:
        raise ImageError(f"{path}: a disk takes no arguments, only DOS programs do")
    is_cd = wishes.drive == "cd" or (wishes.drive is None and _is_cd(path, data))
    if is_cd:
        return _load_cd(path, data)
    if not _is_disk(data) and not wishes.force:
        what = "shorter than a boot sector" if len(data) < SECTOR else "no signature 55AA at 510"
        for signature, other in OTHERS.items():
            if data.startswith(signature):
                raise ImageError(f"{path}: {other}")
        raise ImageError(f"{path}: not bootable, {what}; --force boots it all the same")
    if wishes.writable:
        check_writable(path, str(path))
    is_hard_disk = _is_hard_disk(path, data, wishes.drive)
    shape = hard_disk_shape(data) if is_hard_disk else floppy_shape(data)
    return DiskImage(path, data, *shape, is_hard_disk, wishes.writable)


def _is_cd(path: Path, data: bytearray) -> bool:
    """An ISO image; one that also has a boot sector is a disk unless its name says so."""
    return is_iso(data) and (path.suffix.lower() == ".iso" or not _is_disk(data))


def _load_cd(path: Path, data: bytearray) -> DiskImage:
    """A CD, or the floppy or hard disk that its boot entry has in its place."""
    entry = boot_entry(data)
    if not is_iso(data):
        raise ImageError(f"{path}: --drive cd: no ISO image; leave it out")
    if entry is None:
        raise ImageError(f"{path}: an ISO image that does not boot: no El Torito entry in it")
    if entry.media == NO_EMULATION:
        return DiskImage(path, data, 0, 0, 0, False, cd_boot=entry)
    at, end = entry.first * CD_SECTOR, len(data)
    if entry.media in FLOPPY_SECTORS:
        total = FLOPPY_SECTORS[entry.media]
        disk = data[at : at + total * SECTOR].ljust(total * SECTOR, b"\0")
        return DiskImage(path, disk, *FLOPPIES[total], False)
    disk = data[at:end]
    return DiskImage(path, disk, *hard_disk_shape(disk), True)


def _is_hard_disk(path: Path, data: bytearray, drive: str | None) -> bool:
    if drive == "fd" and len(data) > MAX_FLOPPY:
        raise ImageError(
            f"{path}: --drive fd: {len(data)} bytes is more than a floppy ({MAX_FLOPPY}); "
            "leave it out"
        )
    if drive is not None:
        return drive == "hd"
    total, ends = _sectors(data), _partition_ends(data)
    fits = bool(ends) and all(0 < end <= total for end in ends)
    return len(data) > MAX_FLOPPY or (total not in FLOPPIES and fits)


def _sectors(data: bytearray) -> int:
    return -(-len(data) // SECTOR)


def floppy_shape(data: bytearray) -> tuple[int, int, int]:
    """Cylinders, heads and sectors: of the smallest usual floppy that holds it.

    A lone boot sector is on 1.44 MB.
    """
    total = _sectors(data)
    return FLOPPIES.get(total) or FLOPPIES[2880 if total <= 2880 else 5760]


def hard_disk_shape(data: bytearray) -> tuple[int, int, int]:
    """Cylinders, heads and sectors of a hard disk that does not say."""
    return min(-(-_sectors(data) // (HEADS * SECTORS)), 1024), HEADS, SECTORS


def _partition_ends(data: bytearray) -> list[int]:
    """The sector behind each partition; none if nothing looks like a partition table."""
    entries = [data[at : at + 16] for at in range(446, 510, 16)]
    if (
        len(data) < SECTOR
        or any(entry[0] not in (0, 0x80) for entry in entries)
        or not any(entry[4] for entry in entries)
    ):
        return []
    return [sum(struct.unpack("<8xII", entry)) for entry in entries if any(entry)]


def _load_com(path: Path, data: bytearray, wishes: Wishes) -> DosProgram:
    if len(data) > MAX_COM:
        raise ImageError(
            f"{path}: {len(data)} bytes; a .COM program has at most {MAX_COM}: one segment"
        )
    return _load_exe(path, data, wishes)


def _load_exe(path: Path, data: bytearray, wishes: Wishes) -> DosProgram:
    return DosProgram(path, bytes(data), list(wishes.args))


def _is_multiboot(head: bytes) -> bool:
    return find_header(head) is not None and not _is_disk(head)


def _load_multiboot(path: Path, data: bytearray, wishes: Wishes) -> MultibootKernel:
    """A kernel, checked as far as that can be before there is memory for it."""
    _refuse_arguments(path, wishes)
    if find_header(bytes(data[:HEAD_BYTES])) is None:
        what = "no multiboot header in its first 8 KiB, which a kernel has"
        if MAGIC_2 in data[: 2 * HEAD_BYTES]:
            what = "a multiboot 2 kernel: make an ISO image of it with grub-mkrescue"
        elif (late := find_header(bytes(data), len(data))) is not None:
            what = (
                f"its multiboot header is at {late.at:#x}: link it into the first 8 KiB, where "
                "loaders look, by a linker script or -z noseparate-code"
            )
        raise ImageError(f"{path}: an ELF file, but {what}")
    modules = _modules(wishes.initrd)
    return MultibootKernel(path, bytes(data), wishes.append or "", modules)


def _is_linux(head: bytes) -> bool:
    return _is_disk(head) and head[0x202:0x206] == b"HdrS"


def _load_linux(path: Path, data: bytearray, wishes: Wishes) -> LinuxKernel:
    _refuse_arguments(path, wishes)
    return LinuxKernel(path, bytes(data), wishes.append or "", _modules(wishes.initrd))


def _refuse_arguments(path: Path, wishes: Wishes) -> None:
    if wishes.args:
        raise ImageError(f"{path}: a kernel's command line is said with --append")


def _modules(files: str | Path | None) -> list[Module]:
    """Files in a row, each with its words behind a space: ``a.bin,b.bin some words``."""
    found = []
    for one in str(files).split(",") if files else []:
        name, _, words = one.partition(" ")
        if not name:
            raise ImageError(f"--initrd {files}: name a file before each comma")
        path = Path(name)
        data = read_file(path, "--initrd", "name files to hand to it")
        found.append(Module(path.name, words, bytes(data)))
    return found


_ALL = frozenset(("drive",))
_DISK = _ALL | {"force", "writable"}
_DOS = _ALL | {"dos_root", "dos_version", "dpmi"}
_KERNEL = _ALL | {"append", "initrd"}
#: In this order; .COM programs have nothing to be told by but their names.
FORMATS = (
    Format(_is_linux, _load_linux, (), "kernels", _KERNEL, is_certain=True),
    Format(_is_multiboot, _load_multiboot, (".elf",), "kernels", _KERNEL),
    Format(lambda head: head.startswith(ELF_SIGNATURE), _load_multiboot, (), "kernels", _KERNEL),
    Format(lambda head: is_iso(head), _load_disk, (".iso",), "disk images", _DISK),
    Format(_is_disk, _load_disk, (".img", ".ima", ".bin", ".flp", ".vfd", ".dsk"),
           "disk images", _DISK),
    Format(lambda head: False, _load_com, (".com", ".exe"), "DOS programs", _DOS),
    Format(lambda head: head.startswith(EXE_SIGNATURES), _load_exe, (".exe", ".com"),
           "DOS programs", _DOS),
)  # fmt: skip
