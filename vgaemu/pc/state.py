"""Saved states of a PC: everything but its VGA, as plain arrays, and back.

Saved: the CPU (`CPU_ARRAYS`, and what KVM adds), RAM with what lies in ROM, interrupt controllers,
timer, keyboard controller with the keys that wait, CMOS, the guest's clock and what it waits for,
BIOS and DOS (memory blocks; open files by name below `--dos-root`, with their positions), sectors
that the guest wrote to its copy of the disk, and which file it runs. Not saved: the file itself,
contents of a program's own files, what was printed on debug ports.

A state is of one file, by its SHA-256, and of the builtin BIOS or of a firmware. Between CPUs it
can be carried as far as both know what is in it: see `unicorn_state` and `kvm_state`. Wall time
and virtual time are one time line, so a state also goes from a window to a headless run.

Nothing is touched before all of a state has been looked at; the arrays may come from anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vgaemu.errors import StateError
from vgaemu.keys.key import Key
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bios.calls import CALL_REGISTERS, MAX_UNFINISHED
from vgaemu.pc.bios.rom import ROM_BASE, STUBS
from vgaemu.pc.bios.video.vbe_modes import VBE_MODES
from vgaemu.pc.clock import NEVER_NS
from vgaemu.pc.cpu.cpu import CPU_ARRAYS, Array
from vgaemu.pc.dos.caller import DosError
from vgaemu.pc.dos.files import MAX_WRITTEN, OpenFile
from vgaemu.pc.dos.handles import CONSOLE_HANDLES, MAX_HANDLES
from vgaemu.pc.dos.search import MAX_FOLDERS
from vgaemu.pc.images import SECTOR, DiskImage

if TYPE_CHECKING:
    from vgaemu.pc.pc import Pc

#: Bytes of texts and queues: more is no state of ours.
MAX_BYTES = 1 << 16
#: What can be typed into the longest line that a program asks for.
MAX_LINE = 254
#: Which file, under which firmware.
IDENTITY = ("pc.name", "pc.sha256", "pc.firmware")
#: Parts that are large, or take long, and outlive the CPU and a program's files.
BULK = ("pc.sha256", "ram", "disk.sectors", "disk.data")
ACCESSES = 3  # O_RDONLY, O_WRONLY, O_RDWR


class _Part(NamedTuple):
    """One array."""

    dtype: str
    get: Callable[[Pc], object]
    put: Callable[[Pc, Array], None]
    #: Whether an array of the right type and shape can be put into this PC.
    fits: Callable[[Pc, Array], bool] = lambda pc, array: True
    #: The first axis may have any length.
    any_length: bool = False


def _fields(*owners: Callable[[Pc], Any]) -> _Part:
    """The attributes that objects' `SAVED` name."""

    def saved(pc: Pc) -> list[tuple[Any, str, tuple[int, int]]]:
        parts = [owner(pc) for owner in owners]
        return [(part, name, limits) for part in parts for name, limits in part.SAVED.items()]

    def get(pc: Pc) -> list[int]:
        values = [getattr(part, name) for part, name, _ in saved(pc)]
        return [-1 if value is None else int(value) for value in values]

    def put(pc: Pc, array: Array) -> None:
        for (part, name, (least, _)), value in zip(saved(pc), array.tolist(), strict=True):
            kind = bool if isinstance(getattr(part, name), bool) else int
            setattr(part, name, None if least < 0 and value < 0 else kind(value))

    def fits(pc: Pc, array: Array) -> bool:
        ranges = zip(saved(pc), array.tolist(), strict=True)
        return all(least <= value <= most for (_, _, (least, most)), value in ranges)

    return _Part("i8", get, put, fits)


def _number(get: Callable[[Pc], int], put: Callable[[Pc, int], None], most: int) -> _Part:
    return _Part(
        "i8", get, lambda pc, array: put(pc, int(array)), lambda pc, array: 0 <= int(array) <= most
    )


def _bytes(
    get: Callable[[Pc], bytes | bytearray | list[int]],
    put: Callable[[Pc, bytes], None],
    most: int = MAX_BYTES,
) -> _Part:
    return _Part(
        "u1",
        lambda pc: list(get(pc)),
        lambda pc, array: put(pc, array.tobytes()),
        lambda pc, array: array.size <= most,
        any_length=True,
    )


def _text(
    get: Callable[[Pc], Any], put: Callable[[Pc, Any], None], check: Callable[[Any], bool]
) -> _Part:
    """What has names in it, as JSON; `check` may raise what wrong types raise."""

    def fits(pc: Pc, array: Array) -> bool:
        try:
            return array.size <= MAX_BYTES and check(_parsed(array))
        except (TypeError, ValueError, AttributeError, RecursionError):
            return False

    return _Part(
        "u1",
        lambda pc: list(json.dumps(get(pc)).encode("ascii")),
        lambda pc, array: put(pc, _parsed(array)),
        fits,
        any_length=True,
    )


def _parsed(array: Array) -> Any:
    return json.loads(array.tobytes())


# --- the machine around the CPU -------------------------------------------------------------------


def _put_ram(pc: Pc, array: Array) -> None:
    # Most pages are zeros here and there. To write those takes 14 ms, all of them to be allocated.
    old, new = (memory.reshape(-1, PAGE_SIZE) for memory in (pc.bus.array, array))
    differs = (old.view(np.uint64) != new.view(np.uint64)).any(axis=1)
    old[differs] = new[differs]


def _firmware(pc: Pc) -> Any:
    return pc.firmware


def _firmware_name(pc: Pc) -> str:
    return "" if pc.firmware is None else pc.firmware.name


def _put_firmware_memory(pc: Pc, array: Array) -> None:
    _firmware(pc).memory[:] = array


def _same_rom(pc: Pc, array: Array) -> bool:
    """Stubs and the ports behind them belong together; fonts and option ROMs may differ."""
    stubs = slice(ROM_BASE + STUBS, ROM_BASE + 0x10000)
    return pc.firmware is not None or bool((array[stubs] == pc.bus.array[stubs]).all())


def _put_flags(pc: Pc, array: Array) -> None:
    pc.run.ended, pc.bus.rom_writable = (bool(value) for value in array)


def _keys(pc: Pc) -> list[list[object]]:
    """Keys that the guest has not taken: taken, and put back."""
    keys = []
    while (key := pc.keys.get()) is not None:
        keys.append(key)
    for key in keys:
        pc.keys.put(key)
    return [[key.name, key.pressed, key.text] for key in keys]


def _put_keys(pc: Pc, keys: list[tuple[str, bool, str]]) -> None:
    while pc.keys.get() is not None:
        pass
    for name, pressed, text in keys:
        pc.keys.put(Key(name, pressed, text))


def _are_keys(keys: Any) -> bool:
    return isinstance(keys, list) and all(
        isinstance(name, str) and isinstance(pressed, bool) and isinstance(text, str)
        for name, pressed, text in keys
    )


def _held(pc: Pc) -> list[str] | None:
    held = pc.board.keyboard.held
    return None if held is None else [held[0], held[1].hex()]


def _put_held(pc: Pc, held: list[str] | None) -> None:
    pc.board.keyboard.held = None if held is None else (held[0], bytes.fromhex(held[1]))


def _is_held(held: Any) -> bool:
    if held is None:
        return True
    name, codes = held
    return isinstance(name, str) and 0 < len(bytes.fromhex(codes)) <= 8


def _put_buffer(pc: Pc, data: bytes) -> None:
    pc.board.keyboard.buffer.clear()
    pc.board.keyboard.buffer.extend(data)


def _put_expect(number: int) -> Callable[[Pc, bytes], None]:
    def put(pc: Pc, data: bytes) -> None:
        pc.pic.chips[number].expect[:] = data

    return put


def _put_cmos(pc: Pc, data: bytes) -> None:
    pc.board.cmos.ram[:] = data


def _put_wake(pc: Pc, ns: int) -> None:
    pc.run.wake_ns = ns


def _put_next_frame(pc: Pc, ns: int) -> None:
    # Between two frames it has passed already; else the next frame would not end.
    pc.next_frame_ns = min(ns, pc.clock.now_ns())


def _put_exit_code(pc: Pc, code: int) -> None:
    pc.run.exit_code = code


def _put_vbe_mode(pc: Pc, array: Array) -> None:
    pc.bios.video.area.vbe_mode = VBE_MODES.get(int(array))


def _vbe_mode_fits(pc: Pc, array: Array) -> bool:
    mode = VBE_MODES.get(int(array))
    return int(array) == -1 or (mode is not None and pc.bios.video.vbe.fits(mode))


def _vbe_mode(pc: Pc) -> int:
    mode = pc.bios.video.area.vbe_mode
    return -1 if mode is None else mode.number


# --- the disk -------------------------------------------------------------------------------------


def _disk(pc: Pc) -> DiskImage:
    assert isinstance(pc.image, DiskImage)
    return pc.image


def _written_sectors(pc: Pc) -> list[int]:
    return sorted(_disk(pc).originals)


def _written_data(pc: Pc) -> Array:
    disk = _disk(pc)
    data = b"".join(disk.read(sector, 1) for sector in sorted(disk.originals))
    return np.frombuffer(data, np.uint8).reshape(-1, SECTOR)


def _restore_disk(pc: Pc, arrays: Mapping[str, Array]) -> None:
    disk = _disk(pc)
    disk.undo_writes()
    for sector, data in zip(arrays["disk.sectors"].tolist(), arrays["disk.data"], strict=True):
        disk.write(sector, data.tobytes())


# --- DOS ------------------------------------------------------------------------------------------


def _dos(pc: Pc) -> Any:
    return pc.dos


def _files(pc: Pc) -> list[list[object]]:
    assert pc.dos is not None
    return [
        [handle, file.name, file.access, pc.dos.files.seek(file.fd, 0, 1)]
        for handle, file in sorted(pc.dos.handles.opened.items())
    ]


def _are_files(files: Any) -> bool:
    handles = [handle for handle, _, _, _ in files]
    return len(set(handles)) == len(handles) and all(
        all(isinstance(number, int) for number in (handle, access, place))
        and CONSOLE_HANDLES <= handle < MAX_HANDLES
        and isinstance(name, str)
        and access in range(ACCESSES)
        for handle, name, access, place in files
    )


def _put_folders(pc: Pc, folders: list[list[Any]]) -> None:
    assert pc.dos is not None
    pc.dos.search.folders = {int(number): str(folder) for number, folder in folders}


def _are_folders(folders: Any) -> bool:
    return len(folders) <= MAX_FOLDERS and all(
        isinstance(number, int)
        and 0 <= number <= MAX_FOLDERS
        and isinstance(folder, str)
        and "\0" not in folder
        for number, folder in folders
    )


def _put_unfinished(pc: Pc, calls: list[list[Any]]) -> None:
    pc.bios.calls.unfinished = {tuple(call): done for call, done in calls}


def _are_unfinished(calls: Any) -> bool:
    return len(calls) <= MAX_UNFINISHED and all(
        len(call) == 1 + len(CALL_REGISTERS)
        and all(isinstance(number, int) and 0 <= number < 1 << 32 for number in (*call, done))
        for call, done in calls
    )


def _put_blocks(pc: Pc, array: Array) -> None:
    assert pc.dos is not None
    pc.dos.memory.blocks = dict(array.tolist())


def _put_line(pc: Pc, data: bytes) -> None:
    assert pc.dos is not None
    pc.dos.console.line = bytearray(data)


def _put_entered(pc: Pc, data: bytes) -> None:
    assert pc.dos is not None
    pc.dos.console.entered = data


def _put_written(pc: Pc, count: int) -> None:
    assert pc.dos is not None
    pc.dos.files.written = count


def _nothing(pc: Pc, array: Any) -> None:
    """Put by `put_state` itself, or only compared."""


#: What every PC has.
PARTS: dict[str, _Part] = {
    # Which file, and under which firmware; "" is the builtin BIOS.
    "pc.name": _bytes(lambda pc: os.fsencode(pc.image.path.name), _nothing),
    "pc.sha256": _Part("u1", lambda pc: list(pc.image.digest()), _nothing),
    "pc.firmware": _bytes(lambda pc: _firmware_name(pc).encode(), _nothing),
    # Whether the guest has ended; whether option ROMs may be written.
    "pc.flags": _Part(
        "u1",
        lambda pc: [pc.ended, pc.bus.rom_writable],
        _put_flags,
        lambda pc, array: int(array.max()) <= 1,
    ),
    "pc.exit_code": _number(lambda pc: pc.exit_code, _put_exit_code, 0xFF),
    "pc.clock_ns": _number(
        lambda pc: pc.clock.now_ns(), lambda pc, ns: pc.clock.set_ns(ns), NEVER_NS
    ),
    "pc.wake_ns": _number(lambda pc: pc.run.wake_ns, _put_wake, NEVER_NS),
    "pc.next_frame_ns": _number(
        lambda pc: pc.clock.now_ns() if pc.free else pc.next_frame_ns, _put_next_frame, NEVER_NS
    ),
    "ram": _Part("u1", lambda pc: pc.bus.array, _put_ram, _same_rom),
    "chips.pic0": _fields(lambda pc: pc.pic.chips[0]),
    "chips.pic1": _fields(lambda pc: pc.pic.chips[1]),
    # Initialisation words that are still to come.
    "chips.pic0_expects": _bytes(lambda pc: pc.pic.chips[0].expect, _put_expect(0), 3),
    "chips.pic1_expects": _bytes(lambda pc: pc.pic.chips[1].expect, _put_expect(1), 3),
    "chips.pit": _fields(lambda pc: pc.pit),
    "chips.pit0": _fields(lambda pc: pc.pit.channels[0]),
    "chips.pit1": _fields(lambda pc: pc.pit.channels[1]),
    "chips.pit2": _fields(lambda pc: pc.pit.channels[2]),
    "chips.keyboard": _fields(lambda pc: pc.board.keyboard),
    # Bytes on their way, the key that repeats, and keys that the keyboard has not seen yet.
    "chips.keyboard_buffer": _bytes(lambda pc: list(pc.board.keyboard.buffer), _put_buffer),
    "chips.keyboard_held": _text(_held, _put_held, _is_held),
    "chips.keys": _text(_keys, _put_keys, _are_keys),
    "chips.cmos": _fields(lambda pc: pc.board.cmos),
    "chips.cmos_ram": _Part(
        "u1", lambda pc: list(pc.board.cmos.ram), lambda pc, array: _put_cmos(pc, array.tobytes())
    ),
}  # fmt: skip

BIOS_PARTS: dict[str, _Part] = {
    "bios.system": _fields(lambda pc: pc.bios.clock),
    "bios.video": _fields(lambda pc: pc.bios.video),
    "bios.vbe": _fields(lambda pc: pc.bios.video.area),
    "bios.vbe_mode": _Part("i4", _vbe_mode, _put_vbe_mode, _vbe_mode_fits),
    "bios.disk": _fields(lambda pc: pc.bios.disk),
    # Long calls that are not done: which, and how far.
    "bios.unfinished": _text(
        lambda pc: [[list(call), done] for call, done in pc.bios.calls.unfinished.items()],
        _put_unfinished,
        _are_unfinished,
    ),
}

FIRMWARE_PARTS: dict[str, _Part] = {
    "firmware.config": _fields(lambda pc: _firmware(pc).config),
    # What lies above RAM, where the processor begins after a reset.
    "firmware.memory": _Part("u1", lambda pc: _firmware(pc).memory, _put_firmware_memory),
}

DISK_PARTS: dict[str, _Part] = {
    "disk.sectors": _Part(
        "u4",
        _written_sectors,
        _nothing,
        lambda pc, array: array.size == np.unique(array[array < _disk(pc).total]).size,
        any_length=True,
    ),
    "disk.data": _Part("u1", _written_data, _nothing, any_length=True),
}

DOS_PARTS: dict[str, _Part] = {
    "dos.program": _fields(lambda pc: _dos(pc).search, lambda pc: _dos(pc).console),
    # Handle, name below the folder, access, position.
    "dos.files": _text(_files, _nothing, _are_files),
    # Number and name of the folders that were searched.
    "dos.found": _text(
        lambda pc: [[number, folder] for number, folder in _dos(pc).search.folders.items()],
        _put_folders,
        _are_folders,
    ),
    # First paragraph, paragraphs.
    "dos.blocks": _Part(
        "u2",
        lambda pc: np.array(sorted(_dos(pc).memory.blocks.items()), "u2").reshape(-1, 2),
        _put_blocks,
        any_length=True,
    ),
    "dos.line": _bytes(lambda pc: _dos(pc).console.line, _put_line, MAX_LINE),
    "dos.entered": _bytes(lambda pc: _dos(pc).console.entered, _put_entered, MAX_LINE),
    "dos.written": _number(lambda pc: _dos(pc).files.written, _put_written, MAX_WRITTEN),
}


def _parts(pc: Pc) -> dict[str, _Part]:
    parts = PARTS | (BIOS_PARTS if pc.firmware is None else FIRMWARE_PARTS)
    if isinstance(pc.image, DiskImage):
        return parts | DISK_PARTS
    return parts | DOS_PARTS


def bulk_arrays(pc: Pc) -> dict[str, Array]:
    """`BULK`."""
    parts = _parts(pc)
    return {
        name: np.asarray(parts[name].get(pc), parts[name].dtype) for name in BULK if name in parts
    }


def small_arrays(pc: Pc) -> dict[str, Array]:
    """Everything else, between two slices."""
    arrays = {
        name: np.asarray(part.get(pc), part.dtype)
        for name, part in _parts(pc).items()
        if name not in BULK
    }
    return arrays | pc.cpu.arrays()


def identity_arrays(pc: Pc) -> dict[str, Array]:
    """`IDENTITY`; the guest must not write to its disk meanwhile."""
    return {name: np.asarray(PARTS[name].get(pc), PARTS[name].dtype) for name in IDENTITY}


def identity_name(arrays: Mapping[str, Array]) -> str:
    """The name of the file that a state is of, as its `IDENTITY` has it."""
    return _text_of(arrays, "pc.name")


def _text_of(arrays: Mapping[str, Array], name: str) -> str:
    text = arrays.get(name, np.zeros(0)).tobytes()[:MAX_BYTES].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def check_state(pc: Pc, arrays: Mapping[str, Array], source: object) -> None:
    """Find out whether `put_state` may be called; nothing has changed then.

    Raises:
        StateError: It is the state of something else, or none.
    """
    if "pc.sha256" not in arrays:
        raise StateError(
            f"{source}: saved without a machine-code guest, {pc.image.path.name} is one; "
            "load it with the workload it was saved with"
        )
    check_identity(pc, arrays, source)
    parts = _parts(pc)
    for name, part in parts.items():
        array = arrays.get(name)
        if array is None or not _is_like(array, part.dtype, np.asarray(part.get(pc)).shape, part):
            raise StateError(_refused(source, name))
        if name == "ram" and not part.fits(pc, array):
            raise StateError(f"{source}: saved with another version's BIOS; start the guest anew")
        if not part.fits(pc, array):
            raise StateError(_refused(source, name))
    for name, (dtype, shape) in CPU_ARRAYS.items():
        array = arrays.get(name)
        if array is None or array.dtype != np.dtype(dtype) or array.shape != shape:
            raise StateError(_refused(source, name))
    if not -1 <= int(arrays["cpu.pending"]) <= 0xFF:
        raise StateError(_refused(source, "cpu.pending"))
    if "disk.data" in parts:
        if len(arrays["disk.data"]) != len(arrays["disk.sectors"]):
            raise StateError(_refused(source, "disk.data"))
        if len(arrays["disk.data"]) and _disk(pc).writable:
            raise StateError(
                f"{source}: the guest had written to a copy of {pc.image.path.name}; "
                "load it without --writable"
            )
    why = pc.cpu.refusal(arrays)
    if why is not None:
        raise StateError(f"{source}: {why}")


def check_identity(
    pc: Pc, arrays: Mapping[str, Array], source: object, what: str = "saved", do: str = "run"
) -> None:
    """Find out whether a state is of this file and firmware.

    Args:
        pc: Where it would go.
        arrays: `IDENTITY` at least.
        source: What an error names.
        what: What was done with the state.
        do: What is to be done with the right file.

    Raises:
        StateError: It is of another one.
    """
    saved_name, saved_firmware = identity_name(arrays), _text_of(arrays, "pc.firmware")
    if arrays.get("pc.sha256", np.zeros(0)).tobytes() != pc.image.digest():
        name = pc.image.path.name
        other = "another content of it" if saved_name == name else repr(saved_name)
        raise StateError(f"{source}: {what} with {other}, not with this {name}; {do} that file")
    if saved_firmware != _firmware_name(pc):
        said = f"--firmware {saved_firmware}" if saved_firmware else "the builtin BIOS"
        raise StateError(f"{source}: {what} under {said}; run it so")


def _is_like(array: Array, dtype: str, shape: tuple[int, ...], part: _Part) -> bool:
    if array.dtype != np.dtype(dtype):
        return False
    if part.any_length:
        return array.ndim == len(shape) and array.shape[1:] == shape[1:]
    return array.shape == shape


def _refused(source: object, name: str) -> str:
    return f"{source}: {name} is not what a PC has; save the state again"


@contextmanager
def _reopened(pc: Pc, arrays: Mapping[str, Array], source: object) -> Iterator[dict[int, OpenFile]]:
    """Open the files that a saved program had open."""
    handles: dict[int, OpenFile] = {}
    try:
        for handle, name, access, place in _parsed(arrays["dos.files"]) if pc.dos else ():
            assert pc.dos is not None
            try:
                # As a path of its folder: a name with a colon is no drive.
                handles[handle] = file = pc.dos.files.open(f"C:{name}", access)
                pc.dos.files.seek(file.fd, place, 0)
            except (DosError, OSError):
                raise StateError(
                    f"{source}: saved with {name!r} open, which cannot be opened now; "
                    "name its folder with --dos-root"
                ) from None
        yield handles
    except BaseException:
        for file in handles.values():
            os.close(file.fd)
        raise


def put_state(pc: Pc, arrays: Mapping[str, Array], source: object = "state") -> None:
    """Bring a PC to a state that `check_state` has passed.

    Raises:
        StateError: A file that a program had open cannot be opened; nothing has changed then. Or
            the kernel refuses what `check_state` could not try; the PC is not to be run on then.
    """
    with _reopened(pc, arrays, source) as handles:
        parts = _parts(pc)
        for name, part in parts.items():
            part.put(pc, arrays[name])
        if isinstance(pc.image, DiskImage):
            _restore_disk(pc, arrays)
        if pc.dos is not None:
            pc.dos.close()
            pc.dos.handles.opened = handles
        try:
            pc.cpu.restore(arrays)
        except OSError as error:
            raise StateError(f"{source}: KVM does not take it: {error.strerror}") from None
