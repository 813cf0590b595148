"""Saved states: the whole device in one file, and back.

Saved: every register with its index, the attribute flip-flop, the DAC with a half-written triple,
latches, DISPI, VRAM and how it is laid out, the virtual beam, the retrace that is watched for, and
the frame number that blinking follows; next to them what a machine-code guest adds, under names of
its own. Not saved: a Python workload (a generator has no form that could be), caches.

The file is a versioned .npz of plain arrays, VRAM and RAM without their pages of zeros. It is read
and checked whole before the first register is touched, so a file that is refused leaves the device
as it was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np

from vgaemu import snapshot
from vgaemu.errors import StateError, file_error
from vgaemu.outputs import NewFile
from vgaemu.snapshot import MAX_BYTES, MAX_COUNT, Array
from vgaemu.vga.beam import BEGAN_NS
from vgaemu.vga.dac import STATE_READ
from vgaemu.vga.device import Vga
from vgaemu.vga.layout import Layout
from vgaemu.vga.legacy_window import shows_plain_text
from vgaemu.vga.npz import Archive, folded, write
from vgaemu.vga.registers import SEQUENCER_PLACES
from vgaemu.vga.vram import MAX_VRAM_MIB

FORMAT = "vgaemu state"
#: Goes up when what is saved changes its meaning; older versions are then converted or refused.
#: Version 1 had no guests; a reader of it would leave out one that is there. Up to version 2 the
#: DAC counted bytes read and bytes written apart, index registers had eight bits, and no retrace
#: was watched for; up to version 3 the DAC had an index for reads and one for writes, and nothing
#: was kept of what registers did in mid-picture; up to version 4 text was laid out as planes are,
#: and memories were whole arrays, which they may be in any.
VERSION = 5

#: What errors call a file that has no name.
OPEN_FILE = "the open file"
#: A file by its path, or one that is open for bytes.
StateFile: TypeAlias = str | os.PathLike[str] | BinaryIO


class State(NamedTuple):
    """What a file has, not checked yet."""

    device: dict[str, Array]
    #: What a machine-code guest added; empty if there was none.
    guest: dict[str, Array]
    #: Number of the frame that was saved with it.
    frame_number: int
    #: Names of arrays that were not read: they are larger than any that is known.
    unread: Sequence[str] = ()


#: Banks that say what text is laid out by.
TEXT_BANKS = ("graphics", "sequencer", "misc")
#: Arrays that say what a file is.
HEAD = ("format", "version", "frame")


def check_device(vga: Vga, arrays: Mapping[str, Array], source: object) -> None:
    """Find out whether `restore_device` may be called.

    Args:
        vga: The device they are for.
        arrays: All of `Vga.parts`; VRAM may be missing, and then stays as it is.
        source: The file or peer that they came from, for errors.

    Raises:
        StateError: Types, shapes or values that no device has, or not this one.
    """
    vram = arrays.get("vram")
    if vram is not None and vram.shape != vga.slot.array.shape:
        raise StateError(
            f"{source}: saved with {vram.nbytes >> 20} MiB of VRAM, this machine has "
            f"{vga.slot.nbytes >> 20}; make one with as much (vram_mib)"
        )
    parts = _parts_in(vga, arrays)
    wrong = snapshot.misfit(parts, arrays)
    if wrong is None and not _layout_fits(vga, arrays):
        wrong = "layout"
    if wrong is not None:
        raise StateError(f"{source}: {wrong} has values that no VGA has; save the state again")


def _parts_in(vga: Vga, arrays: Mapping[str, Array]) -> dict[str, snapshot.Part]:
    parts = vga.parts()
    if "vram" not in arrays:
        del parts["vram"]
    return parts


def _layout_fits(vga: Vga, arrays: Mapping[str, Array]) -> bool:
    """Whether VRAM is laid out as registers want it; linear DISPI modes leave chain-4 as it was."""
    dispi, layout = vga.dispi.with_values(arrays["dispi"]), Layout(int(arrays["layout"]))
    graphics, sequencer, misc = (arrays[bank].tobytes() for bank in TEXT_BANKS)
    if layout is Layout.ODD_EVEN:
        return not dispi.enabled and shows_plain_text(graphics, sequencer, misc)
    chain4 = SEQUENCER_PLACES["chain4"].read(sequencer) and not dispi.enabled
    return dispi.linear or (layout is Layout.CHAIN4) == bool(chain4)


def restore_device(vga: Vga, arrays: Mapping[str, Array]) -> None:
    """Bring a device to a state that `check_device` has passed."""
    snapshot.restore(_parts_in(vga, arrays), arrays)
    vga.restored()


def save_state(
    vga: Vga, file: StateFile, *, frame_number: int = 0, guest: Mapping[str, Array] | None = None
) -> None:
    """Save a device; its guest must not run meanwhile.

    Args:
        vga: The device.
        file: A path, by custom ending in ``.npz``; one that exists is replaced, and where it is a
            link, what that leads to. Or an open file, which gets all of it in one write.
        frame_number: Number of the frame, which blinking follows.
        guest: Arrays of a machine-code guest; no name is one of `Vga.parts`.

    Raises:
        StateError: The file cannot be written; one that existed is untouched.
    """
    arrays = _file_arrays(snapshot.take(vga.parts()) | dict(guest or {}), frame_number)
    source = source_of(file)
    try:
        if not isinstance(file, str | os.PathLike):
            _write_open(file, arrays)
            return
        path = Path(file)
        place = os.path.realpath(path)
        if os.path.lexists(place) and not os.path.isfile(place):
            what = "a directory" if path.is_dir() else "no regular file"
            raise StateError(f"{path}: {what}; name a file that can be written")
        with NewFile(path) as new:
            write(new, arrays)
    except OSError as error:
        raise StateError(file_error(source, error, "name a file that can be written")) from None


def _write_open(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    whole = BytesIO()
    write(whole, arrays)
    try:
        file.write(whole.getbuffer())
    except (TypeError, ValueError) as error:  # closed, or open for text or for reading
        raise StateError(f"{OPEN_FILE}: {error}; open it with 'wb'") from None


def source_of(file: StateFile) -> str:
    """What errors call a file."""
    return str(file) if isinstance(file, str | os.PathLike) else OPEN_FILE


def state_bytes(state: State) -> bytes:
    """What a file of it has."""
    file = BytesIO()
    write(file, _file_arrays(state.device | state.guest, state.frame_number))
    return file.getvalue()


def _file_arrays(arrays: Mapping[str, Array], frame_number: int) -> dict[str, Array]:
    return {
        "format": np.asarray(FORMAT),
        **folded(arrays),
        "frame": np.asarray(frame_number, "u8"),
        "version": np.asarray(VERSION, "u4"),
    }


def load_state(vga: Vga, file: StateFile) -> int:
    """Bring a device into a saved state, without its guest; all its pages are dirty then.

    The guest must not run meanwhile.

    Args:
        vga: A device with as much VRAM as the saved one.
        file: What `save_state` wrote: a path, or an open file, which can be sought in.

    Returns:
        Number of the frame that was saved with it.

    Raises:
        StateError: The file cannot be read, is damaged or no state, comes from a newer version, or
            has another size of VRAM. The device is then as it was.
    """
    state = read_state(file, vga)
    check_device(vga, state.device, source_of(file))
    restore_device(vga, state.device)
    return state.frame_number


def read_state(file: StateFile, vga: Vga, guest: dict[str, snapshot.Part] | None = None) -> State:
    """Read a file whole.

    Args:
        file: What `save_state` wrote.
        vga: Whose `Vga.parts` are to be in it; all else is a guest's.
        guest: A guest's parts, if one may be in it: what is larger than they are is not read.

    Raises:
        StateError: It cannot be read, is damaged or no state, or comes from a newer version.
    """
    source, device = source_of(file), vga.parts()
    room = {name: max(part.room, MAX_BYTES) for name, part in (device | (guest or {})).items()}
    room["vram"] = MAX_VRAM_MIB << 20  # another size is told as such
    _refuse_unreadable(file)
    try:
        with _open(file) as raw:
            archive = Archive(raw)
            if str(archive.small("format")) != FORMAT:
                raise ValueError
            version = int(archive.small("version"))
            if version <= VERSION:
                return _state_in(archive.arrays(room), device, is_old=version < VERSION)
    except OSError as error:
        if error.strerror is not None:
            raise StateError(file_error(source, error, "name a saved state")) from None
        raise StateError(_refused(source)) from None
    except Exception:
        # A file of something else can fail anywhere in zipfile, zlib or numpy.
        raise StateError(_refused(source)) from None
    raise StateError(
        f"{source}: saved by a newer vgaemu (state version {version}, this one reads up to "
        f"{VERSION}); update vgaemu"
    )


def _refuse_unreadable(file: StateFile) -> None:
    if isinstance(file, str | os.PathLike):
        return
    if isinstance(file, TextIOBase) or file.closed or not (file.readable() and file.seekable()):
        raise StateError(
            f"{OPEN_FILE}: not one of bytes that can be read at any place; open it with 'rb', or "
            "load io.BytesIO(data)"
        )


def _open(file: StateFile) -> AbstractContextManager[BinaryIO]:
    return Path(file).open("rb") if isinstance(file, str | os.PathLike) else nullcontext(file)


def _state_in(
    members: Mapping[str, Array | None], device: snapshot.Parts, *, is_old: bool
) -> State:
    """The state in a file's arrays; what is wrong with them may raise anything."""
    arrays = {name: array for name, array in members.items() if array is not None}
    for only_there, from_older in OLDER.items():
        if only_there in arrays:
            from_older(arrays)
    _, _, frame = (arrays.pop(name) for name in HEAD)
    if not 0 <= int(frame) <= MAX_COUNT:
        raise ValueError
    later = [name for name, part in device.items() if is_old and part.absent is not None]
    parts = {name: arrays.pop(name) for name in device if name in arrays or name not in later}
    return State(parts, arrays, int(frame), [name for name in members if members[name] is None])


def _from_version_2(arrays: dict[str, Array]) -> None:
    """Version 1 or 2 as version 3 would have it."""
    partial, read_step = arrays.pop("dac_partial"), arrays.pop("dac_read_step")
    count, *written = partial.tolist()
    step = int(read_step) if int(arrays["dac_state"]) == STATE_READ else count
    arrays |= {
        "sequencer_index": np.asarray(int(arrays["sequencer_index"]) & 0x07, "u4"),
        "graphics_index": np.asarray(int(arrays["graphics_index"]) & 0x0F, "u4"),
        "dac_step": np.asarray(step, "u4"),
        "dac_cache": np.asarray([*written, 0], "u1"),
        "watched_ns": np.asarray(BEGAN_NS, "i8"),
    }


def _from_version_3(arrays: dict[str, Array]) -> None:
    """The DAC's index for reads was that of the entry being read, which is now fetched."""
    read, written = (int(arrays.pop(f"dac_{way}_index")) for way in ("read", "write"))
    triple = arrays.pop("dac_cache")
    if int(arrays["dac_state"]) == STATE_READ:
        written, triple = (read + 1) & 0xFF, arrays["dac_entries"][3 * read : 3 * read + 3]
    arrays |= {"dac_index": np.asarray(written, "u4"), "dac_triple": triple}


def _from_version_4(arrays: dict[str, Array]) -> None:
    """VRAM was laid out for chain-4, or planar; these have the same numbers."""
    arrays["layout"] = arrays.pop("chain4_layout")


#: What an older version is told by, and what makes the next one of it.
OLDER = {
    "dac_partial": _from_version_2,
    "dac_read_index": _from_version_3,
    "chain4_layout": _from_version_4,
}


def _refused(source: object) -> str:
    return f"{source}: damaged, or no saved state; save it again"
