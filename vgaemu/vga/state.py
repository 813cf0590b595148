"""Saved states: the whole device in one file, and back.

Saved: every register with its index, the attribute flip-flop, the DAC with a half-written triple,
latches, DISPI, VRAM and how it is laid out, the virtual beam, the retrace that is watched for, and
the frame number that blinking follows; next to them what a machine-code guest adds, under names of
its own. Not saved: a Python workload (a generator has no form that could be), caches.

The file is a versioned .npz of plain arrays, VRAM deflated. It is written beside its place and
renamed, so a state is there whole or not at all; and it is read and checked whole before the first
register is touched, so a file that is refused leaves the device as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import StateError
from vgaemu.vga import dispi as dispi_regs
from vgaemu.vga.beam import BEGAN_NS, VirtualBeam
from vgaemu.vga.dac import STATE_READ, STATE_WRITE
from vgaemu.vga.device import Vga
from vgaemu.vga.dispi import Dispi
from vgaemu.vga.registers import RegisterBank

FORMAT = "vgaemu state"
#: Goes up when what is saved changes its meaning; older versions are then converted or refused.
#: Version 1 had no guests; a reader of it would leave out one that is there. Up to version 2 the
#: DAC counted bytes read and bytes written apart, index registers had eight bits, and no retrace
#: was watched for.
VERSION = 3

#: Frames and times up to here leave room to count on.
MOST = 1 << 62

Array: TypeAlias = NDArray[Any]


class State(NamedTuple):
    """What a file has, not checked yet."""

    device: dict[str, Array]
    #: What a machine-code guest added; empty if there was none.
    guest: dict[str, Array]
    #: Number of the frame that was saved with it.
    frame: int


class _Part(NamedTuple):
    """One array of the file."""

    dtype: str
    get: Callable[[Vga], object]
    put: Callable[[Vga, Array], None]
    #: Whether a loaded array, of the right type and shape, can be put into this device.
    fits: Callable[[Vga, Array], bool] = lambda vga, array: True


def _bank(name: str) -> _Part:
    def bank(vga: Vga) -> RegisterBank:
        found: RegisterBank = getattr(vga, name)
        return found

    def put(vga: Vga, array: Array) -> None:
        bank(vga).values[:] = array.tobytes()

    return _Part(
        "u1",
        lambda vga: list(bank(vga).values),
        put,
        lambda vga, array: not (array & ~np.frombuffer(bank(vga).masks, np.uint8)).any(),
    )


def _number(name: str, limit: int, kind: type = int, owner: str = "") -> _Part:
    """An attribute of the device, or of one of its parts, from 0 to `limit`."""

    def where(vga: Vga) -> object:
        return getattr(vga, owner) if owner else vga

    return _Part(
        "u4",
        lambda vga: int(getattr(where(vga), name)),
        lambda vga, array: setattr(where(vga), name, kind(array)),
        lambda vga, array: int(array) <= limit,
    )


def _put_dac_entries(vga: Vga, array: Array) -> None:
    vga.dac.entries[:] = array.tobytes()


def _put_dac_cache(vga: Vga, array: Array) -> None:
    vga.dac.cache[:] = array.tobytes()


def _put_dac_state(vga: Vga, array: Array) -> None:
    vga.dac.state = int(array)


def _put_dispi(vga: Vga, array: Array) -> None:
    vga.dispi.values[:] = array.tolist()


def _dispi_of(vga: Vga, array: Array) -> Dispi:
    dispi = Dispi(vga.slot.nbytes)
    dispi.values[:] = array.tolist()
    return dispi


def _dispi_fits(vga: Vga, array: Array) -> bool:
    """Whether the picture and the bank that the registers ask for lie inside VRAM."""
    dispi = _dispi_of(vga, array)
    values = dispi.values
    width, height, bpp = values[dispi_regs.XRES : dispi_regs.ENABLE]
    if (
        not dispi_regs.ID_OLDEST <= values[dispi_regs.ID] <= dispi_regs.ID_NEWEST
        or values[dispi_regs.MEMORY_64K] != vga.dispi.values[dispi_regs.MEMORY_64K]
        or bpp not in (4, *dispi_regs.BYTES_PER_PIXEL)
        or dispi.bank_bytes >= vga.slot.nbytes
    ):
        return False
    narrowest = 8 if bpp == 4 else 2
    return not dispi.enabled or (
        narrowest <= width <= min(dispi_regs.MAX_XRES, values[dispi_regs.VIRT_WIDTH])
        and 2 <= height <= min(dispi_regs.MAX_YRES, dispi.virtual_height)
    )


def _put_vram(vga: Vga, array: Array) -> None:
    vga.slot.array[:] = array
    vga.slot.mark_dirty(0, vga.slot.nbytes)


def _beam_ns(vga: Vga) -> int:
    return vga.beam.at_ns if isinstance(vga.beam, VirtualBeam) else 0


def _put_beam_ns(vga: Vga, array: Array) -> None:
    if isinstance(vga.beam, VirtualBeam):
        vga.beam.at_ns = int(array)


def _put_watched_ns(vga: Vga, array: Array) -> None:
    vga.beam.watched_ns = int(array)


#: Arrays that say what a file is.
HEAD = ("format", "version", "frame")
#: Array of the file -> how it is taken from a device and put back.
PARTS: dict[str, _Part] = {
    "misc": _bank("misc"),
    "sequencer": _bank("sequencer"),
    "crtc": _bank("crtc"),
    "graphics": _bank("graphics"),
    "attribute": _bank("attribute"),
    "sequencer_index": _number("index", 0x07, owner="sequencer"),
    "crtc_index": _number("index", 0xFF, owner="crtc"),
    "graphics_index": _number("index", 0x0F, owner="graphics"),
    "attribute_address": _number("attribute_address", 0x3F),
    "attribute_takes_data": _number("attribute_takes_data", 1, bool),
    "latch": _number("latch", 0xFFFFFFFF),
    "dac_entries": _Part("u1", lambda vga: list(vga.dac.entries), _put_dac_entries),
    "dac_cache": _Part("u1", lambda vga: list(vga.dac.cache), _put_dac_cache),
    "dac_step": _number("step", 2, owner="dac"),
    "dac_mask": _number("mask", 0xFF, owner="dac"),
    "dac_eight_bit": _number("eight_bit", 1, bool, owner="dac"),
    "dac_write_index": _number("write_index", 0xFF, owner="dac"),
    "dac_read_index": _number("read_index", 0xFF, owner="dac"),
    "dac_state": _Part(
        "u4",
        lambda vga: vga.dac.state,
        _put_dac_state,
        lambda vga, array: int(array) in (STATE_READ, STATE_WRITE),
    ),
    "dispi": _Part("u2", lambda vga: vga.dispi.values, _put_dispi, _dispi_fits),
    "dispi_index": _number("index", 0xFFFF, owner="dispi"),
    "chain4_layout": _number("chain4_layout", 1, bool),
    "beam_ns": _Part("u8", _beam_ns, _put_beam_ns, lambda vga, array: int(array) <= MOST),
    "watched_ns": _Part(
        "i8",
        # Where the clock is another machine's, a retrace has begun.
        lambda vga: int(vga.beam.watched_ns),
        _put_watched_ns,
        lambda vga, array: BEGAN_NS <= int(array) <= MOST,
    ),
    "vram": _Part("u1", lambda vga: vga.slot.array, _put_vram),
}


def arrays_of(vga: Vga, *, without: Collection[str] = ()) -> dict[str, Array]:
    """What of `PARTS` a device holds now, as a state keeps it; its guest must not run meanwhile.

    Args:
        vga: The device.
        without: Names of parts to leave out.
    """
    return {
        name: np.asarray(part.get(vga), part.dtype)
        for name, part in PARTS.items()
        if name not in without
    }


def check_arrays(vga: Vga, arrays: Mapping[str, Array], source: object) -> None:
    """Find out whether `put_arrays` may be called.

    Args:
        vga: The device they are for.
        arrays: Some of `PARTS`.
        source: What an error names: the file or peer that they came from.

    Raises:
        StateError: Types, shapes or values that no device has, or not this one.
    """
    vram = arrays.get("vram")
    if vram is not None and vram.shape != vga.slot.array.shape:
        raise StateError(
            f"{source}: saved with {vram.nbytes >> 20} MiB of VRAM, this machine has "
            f"{vga.slot.nbytes >> 20}; make one with as much (vram_mib)"
        )
    for name, array in arrays.items():
        part = PARTS[name]
        shape = np.asarray(part.get(vga)).shape
        if array.dtype != np.dtype(part.dtype) or array.shape != shape or not part.fits(vga, array):
            raise StateError(_impossible(source, name))
    if arrays.keys() >= {"chain4_layout", "sequencer", "dispi"} and not _layout_fits(vga, arrays):
        raise StateError(_impossible(source, "chain4_layout"))


def _layout_fits(vga: Vga, arrays: Mapping[str, Array]) -> bool:
    """Whether VRAM is stored as SR04 wants it; linear DISPI modes leave it as it was."""
    dispi = _dispi_of(vga, arrays["dispi"])
    chain4 = bool(arrays["sequencer"][4] & 0x08) and not dispi.enabled
    return dispi.linear or chain4 == bool(arrays["chain4_layout"])


def _impossible(source: object, name: str) -> str:
    return f"{source}: {name} has values that no VGA has; save the state again"


def put_arrays(vga: Vga, arrays: Mapping[str, Array]) -> None:
    """Bring a device to a state that `check_arrays` has passed."""
    for name, array in arrays.items():
        PARTS[name].put(vga, array)
    vga.registers_replaced()


def save_state(
    vga: Vga, path: str | Path, *, frame: int = 0, guest: Mapping[str, Array] | None = None
) -> None:
    """Save a device; its guest must not run meanwhile.

    Args:
        vga: The device.
        path: The file, by custom ending in ``.npz``; one that exists is replaced, and where it is
            a link, what that leads to.
        frame: Number of the frame, which blinking follows.
        guest: Arrays of a machine-code guest; no name is one of `PARTS`.

    Raises:
        StateError: The file cannot be written; one that existed is untouched.
    """
    path = Path(path)
    arrays: dict[str, Any] = arrays_of(vga) | dict(guest or {})
    arrays |= {"frame": np.asarray(frame, "u8"), "version": np.asarray(VERSION, "u4")}
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if os.path.lexists(place) and not place.is_file():
            what = "a directory" if place.is_dir() else "no regular file"
            raise StateError(f"{path}: {what}; name a file that can be written")
        try:
            with beside.open("wb") as file:
                np.savez_compressed(file, format=np.asarray(FORMAT), **arrays)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(
            f"{path}: {error.strerror or error}; name a file that can be written"
        ) from None


def load_state(vga: Vga, path: str | Path) -> int:
    """Bring a device into a saved state, without its guest; all its pages are dirty then.

    The guest must not run meanwhile.

    Args:
        vga: A device with as much VRAM as the saved one.
        path: What `save_state` wrote.

    Returns:
        Number of the frame that was saved with it.

    Raises:
        StateError: The file cannot be read, is damaged or no state, comes from a newer version, or
            has another size of VRAM. The device is then as it was.
    """
    state = read_state(path)
    check_arrays(vga, state.device, path)
    put_arrays(vga, state.device)
    return state.frame


def read_state(path: str | Path) -> State:
    """Read a file whole.

    Raises:
        StateError: It cannot be read, is damaged or no state, or comes from a newer version.
    """
    path = Path(path)
    guest = {}
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["format"]) != FORMAT:
                raise ValueError
            version = int(file["version"])
            if version <= VERSION:
                converted = _convert(file) if OLD_PARTS[0] in file else {}
                arrays = {name: file[name] for name in PARTS if name not in converted} | converted
                known = {*PARTS, *HEAD, *OLD_PARTS}
                guest = {name: file[name] for name in file.files if name not in known}
                # What does not begin as an array does comes as bytes.
                if not all(isinstance(array, np.ndarray) for array in (arrays | guest).values()):
                    raise ValueError
                frame = int(file["frame"])
                if not 0 <= frame <= MOST:
                    raise ValueError
    except OSError as error:
        if error.strerror is not None:
            raise StateError(f"{path}: {error.strerror}; name a saved state") from None
        raise StateError(_refused(path)) from None
    except Exception:
        # A file of something else can fail anywhere in zipfile, zlib or numpy.
        raise StateError(_refused(path)) from None
    if version > VERSION:
        raise StateError(
            f"{path}: saved by a newer vgaemu (state version {version}, this one reads up to "
            f"{VERSION}); update vgaemu"
        )
    if any(arrays[name].dtype != np.dtype(part.dtype) for name, part in PARTS.items()):
        raise StateError(_refused(path))
    return State(arrays, guest, frame)


#: Arrays of versions 1 and 2 that `PARTS` has no more.
OLD_PARTS = ("dac_partial", "dac_read_step")


def _convert(file: Mapping[str, Array]) -> dict[str, Array]:
    """What became of `OLD_PARTS`, and what else had another meaning, in version 1 or 2."""
    count, *written = file["dac_partial"].tolist()
    step = int(file["dac_read_step"]) if int(file["dac_state"]) == STATE_READ else count
    return {
        "sequencer_index": np.asarray(int(file["sequencer_index"]) & 0x07, "u4"),
        "graphics_index": np.asarray(int(file["graphics_index"]) & 0x0F, "u4"),
        "dac_step": np.asarray(step, "u4"),
        "dac_cache": np.asarray([*written, 0], "u1"),
        "watched_ns": np.asarray(BEGAN_NS, "i8"),
    }


def _refused(path: Path) -> str:
    return f"{path}: damaged, or no saved state; save it again"
