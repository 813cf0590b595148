"""INT 13h: what each kind of drive answers, on both CPUs and beside SeaBIOS under QEMU."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import CPUS, boot_sector, call, make_pc

from vgaemu import Machine
from vgaemu.pc.eltorito import Entry
from vgaemu.pc.pc import Pc

pytestmark = pytest.mark.turns(2)

QEMU = "qemu-system-i386"
CARRY = 1
#: A floppy's BIOS parameter block: 512 bytes a sector, 1 a cluster, 1 reserved, 2 FATs.
FILE_SYSTEM = bytes.fromhex("EB3C90") + b"OEM-NAME" + bytes.fromhex("0002 01 0100 02")
FLOPPY, HARD_DISK, CD = 0x00, 0x80, 0xE0
#: Cylinders of the hard disk.
CYLINDERS = 20


def image_of(kind: int, start: bytes) -> bytes:
    size = 2880 if kind == FLOPPY else CYLINDERS * 16 * 63
    disk = bytearray(start.ljust(size * 512, b"\0"))
    for sector in range(8, size):
        disk[sector * 512 : sector * 512 + 4] = sector.to_bytes(4, "little")
    return bytes(disk)


def make_iso(path: Path, boot: bytes) -> None:
    """An ISO image with a boot entry, and nothing else."""
    sectors = [bytes(2048)] * 22
    sectors[16] = (b"\1CD001\1").ljust(2048, b"\0")
    sectors[17] = (b"\0CD001\1EL TORITO SPECIFICATION".ljust(71, b"\0") + b"\x13").ljust(
        2048, b"\0"
    )
    sectors[18] = (b"\xffCD001\1").ljust(2048, b"\0")
    check = bytearray(b"\1".ljust(30, b"\0") + b"\x55\xaa")
    check[28:30] = (-sum(struct.unpack("<16H", check)) & 0xFFFF).to_bytes(2, "little")
    entry = struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 8, 20)
    sectors[19] = (bytes(check) + entry).ljust(2048, b"\0")
    path.write_bytes(b"".join(sectors[:20]) + boot.ljust(2048 * 200, b"\0"))


@pytest.fixture(params=[FLOPPY, HARD_DISK, CD], ids=["floppy", "hard disk", "CD"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Pc, int]]:
    pytest.importorskip("unicorn")
    kind, path = request.param, tmp_path / "disk.img"
    if kind == CD:
        path = tmp_path / "disk.iso"
        make_iso(path, bytes(4096))
    else:
        path.write_bytes(image_of(kind, boot_sector(FILE_SYSTEM if kind == FLOPPY else b"\xf4")))
    with make_pc(path, vram_pages=64) as pc:
        yield pc, kind


#: AH -> what floppy, hard disk and CD answer to it: AH, and carry if it is not 0.
ANSWERS = {
    0x00: (0, 0, 0), 0x01: (0, 0, 0), 0x02: (0, 0, 1), 0x03: (0, 0, 1), 0x04: (0, 0, 1),
    0x06: (1, 1, 1), 0x07: (1, 1, 1), 0x08: (0, 0, 1), 0x09: (1, 0, 0), 0x0A: (1, 1, 1),
    0x0B: (1, 1, 1), 0x0C: (1, 0, 0), 0x0D: (1, 0, 0), 0x0E: (1, 1, 1), 0x10: (1, 0, 0),
    0x11: (1, 0, 0), 0x12: (1, 1, 1), 0x13: (1, 1, 1), 0x14: (1, 0, 0), 0x16: (6, 1, 1),
    0x17: (0, 1, 1), 0x18: (0x0C, 1, 1), 0x19: (1, 1, 1), 0x41: (1, 0x30, 0x30), 0x42: (1, 0, 0),
    0x43: (1, 0, 3), 0x44: (1, 0, 0), 0x45: (1, 0, 0), 0x46: (1, 0xB2, 0xB1), 0x47: (1, 0, 0),
    0x48: (1, 0, 0), 0x49: (1, 0, 0), 0x4A: (1, 1, 1), 0x4B: (1, 1, 0), 0x4C: (1, 1, 1),
    0x4D: (1, 1, 1), 0x4E: (1, 0, 0), 0x50: (1, 1, 1),
}  # fmt: skip


def test_each_call_of_each_kind(disk: tuple[Pc, int]) -> None:
    pc, kind = disk
    column = (FLOPPY, HARD_DISK, CD).index(kind)
    pc.bus.write(0x8000, struct.pack("<BBHHHQ", 16, 0, 1, 0, 0x900, 1))
    pc.bus.write(0x8100, struct.pack("<H", 26))
    for ah, statuses in ANSWERS.items():
        at = 0x810 if ah == 0x48 else 0x800
        pc.bus.write8(0x9000, 1)
        flags = call(pc, 0x13, ah=ah, al=0 if ah == 0x45 else 1, bx=0x55AA, cx=1, dx=kind,
                     es=0x900, ds=at, si=0)  # fmt: skip
        status = statuses[column]
        failed = (status != 0 and ah != 0x41) or status == 1
        assert (f"{ah:02X}", pc.cpu.ah, flags & CARRY) == (f"{ah:02X}", status, failed)
        kept = 0x474 if kind else 0x441
        assert pc.bus.read8(kept) == (status if failed else 0)


def packet(pc: Pc, drive: int, ah: int, *fields: int, flat: int | None = None) -> tuple[int, ...]:
    """A call with a packet of size, sectors, offset, segment, sector: status, and sectors done."""
    size, count, offset, segment, first = fields
    tail = b"" if flat is None else struct.pack("<Q", flat)
    pc.bus.write(0x8000, struct.pack("<BBHHHQ", size, 0, count, offset, segment, first) + tail)
    call(pc, 0x13, ah=ah, al=0, dx=drive, ds=0x800, si=0)
    return pc.cpu.ah, pc.bus.read16(0x8002)


def test_packets(disk: tuple[Pc, int]) -> None:
    pc, kind = disk
    if kind == FLOPPY:
        return
    total = pc.image.total * 512 // (512 if kind == HARD_DISK else 2048)  # type: ignore[union-attr]
    assert packet(pc, kind, 0x42, 16, 2, 0, 0x1000, 9) == (0, 2)
    assert packet(pc, kind, 0x42, 15, 2, 0, 0x1000, 9) == (1, 2)
    assert packet(pc, kind, 0x42, 16, 0, 0, 0x1000, 9) == (0, 0)
    assert packet(pc, kind, 0x42, 16, 4, 0, 0x1000, total - 3) == (4, 3)
    for first in (total, 1 << 63, (1 << 64) - 1):
        assert packet(pc, kind, 0x42, 16, 4, 0, 0x1000, first) == (4, 0)
        assert packet(pc, kind, 0x47, 16, 1, 0, 0x1000, first) == (4, 0)
    assert packet(pc, kind, 0x42, 24, 1, 0xFFFF, 0xFFFF, 9, flat=0x20_0000) == (0, 1)
    assert packet(pc, kind, 0x42, 24, 1, 0xFFFF, 0xFFFF, 9, flat=1 << 60) == (0, 1)
    if kind == HARD_DISK:
        assert pc.bus.read32(0x20_0000) == 9
        pc.bus.write(0x9000, b"new")
        assert packet(pc, kind, 0x43, 16, 1, 0, 0x900, 9) == (0, 1)
        assert pc.image.read(9, 1)[:3] == b"new"  # type: ignore[union-attr]
    else:
        assert packet(pc, kind, 0x43, 16, 1, 0, 0x900, 9) == (3, 0)


def test_shapes_and_tables(disk: tuple[Pc, int]) -> None:
    pc, kind = disk
    call(pc, 0x13, ah=0x08, dx=kind, bx=0xFFFF, es=0x1234, di=0x5678)
    shape = pc.cpu.cx, pc.cpu.dx, pc.cpu.bx, pc.cpu.es, pc.cpu.di
    at = pc.bus.read16(4 * 0x41 + 2) << 4 | pc.bus.read16(4 * 0x41)
    if kind == FLOPPY:
        assert shape == (0x4F12, 0x0101, 4, 0xF000, 0xEFC7)
    elif kind == HARD_DISK:
        assert shape == (0x133F, 0x0F01, 0xFFFF, 0x1234, 0x5678)
        assert struct.unpack("<HB5xB5xB", pc.bus.read(at, 15)) == (CYLINDERS, 16, 8, 63)
    pc.bus.write(0x8000, struct.pack("<H", 30))
    call(pc, 0x13, ah=0x48, dx=kind, ds=0x800, si=0)
    told = struct.unpack("<HHIIIQHI", pc.bus.read(0x8000, 30))
    if kind == HARD_DISK:
        assert told == (30, 2, CYLINDERS, 16, 63, CYLINDERS * 16 * 63, 512, 0xFFFFFFFF)
    elif kind == CD:
        unknown = 0xFFFFFFFF
        assert told == (30, 0x74, unknown, unknown, unknown, 220, 2048, unknown)
    assert pc.bus.read8(0x475) == (kind == HARD_DISK)
    for other in (0x00, 0x01, 0x7F, 0x80, 0x81, 0xE0, 0xFF):
        if other != kind:
            assert call(pc, 0x13, ah=0x02, al=1, cx=1, dx=other) & CARRY
            assert pc.cpu.ah == (1 if other > 1 else 0x80)
            is_none = other == 0x7F  # of floppies there are two at most
            assert call(pc, 0x13, ah=0x15, dx=other) & CARRY == is_none
            assert pc.cpu.ah == is_none


def test_transfers_by_dma(disk: tuple[Pc, int]) -> None:
    """A floppy's stay within 64 KiB; all go on across tracks."""
    pc, kind = disk
    if kind == CD:
        return
    crosses = call(pc, 0x13, ax=0x0202, cx=1, dx=kind, es=0x1FF0, bx=0) & CARRY
    assert (pc.cpu.ax, crosses) == ((0x0900, 1) if kind == FLOPPY else (0x0002, 0))
    assert not call(pc, 0x13, ax=0x0202, cx=1, dx=kind, es=0x1FC0, bx=0) & CARRY
    for ax in (0x0200, 0x0281, 0x0300, 0x04FF):
        assert call(pc, 0x13, ax=ax, cx=1, dx=kind, es=0x2000, bx=0) & CARRY
        assert pc.cpu.ah == 1
    assert not call(pc, 0x13, ax=0x0280, cx=1, dx=kind, es=0x2000, bx=0) & CARRY
    assert [pc.bus.read32(0x20000 + 512 * at) for at in (18, 36, 127)] == [18, 36, 127]
    for cx, dh in ((0x0000, 0), (0x0040, 0), (0x0001, 16), (0xFFC1, 0)):
        assert call(pc, 0x13, ax=0x0201, cx=cx, dh=dh, dl=kind, es=0x2000, bx=0) & CARRY
        assert pc.cpu.ax == 0x0400


def test_formatting_fills_the_sectors_that_are_named(disk: tuple[Pc, int]) -> None:
    pc, kind = disk
    if kind != FLOPPY:
        return
    pc.bus.write(0x9000, bytes((5, 1, 1, 2, 5, 1, 18, 2)))
    where = {"cx": 0x0500, "dx": 0x0100, "es": 0x900, "bx": 0}
    assert not call(pc, 0x13, ax=0x0502, **where) & CARRY
    first = (5 * 2 + 1) * 18
    read = [pc.image.read(first + at, 1) for at in (0, 1, 17)]  # type: ignore[union-attr]
    assert [sector[:2].hex() for sector in read] == ["f6f6", "c700", "f6f6"]
    for table in ((5, 1, 0, 2), (5, 1, 19, 2), (5, 1, 1, 3)):
        pc.bus.write(0x9000, bytes(table))
        assert call(pc, 0x13, ax=0x0501, **where) & CARRY
        assert pc.cpu.ah == 4


def test_locks_are_counted_and_saved(disk: tuple[Pc, int]) -> None:
    pc, kind = disk
    if kind != CD:
        return

    def lock(al: int) -> tuple[int, int]:
        call(pc, 0x13, ah=0x45, al=al, dx=CD)
        return pc.cpu.ah, pc.cpu.al

    assert [lock(al) for al in (2, 0, 0, 1, 2)] == [(0, 0), (0, 1), (0, 1), (0, 1), (0, 1)]
    saved = {name: array.copy() for name, array in pc.state_arrays().items()}
    assert [lock(al) for al in (1, 1, 3)] == [(0, 0), (0xB0, 1), (1, 3)]
    call(pc, 0x13, ah=0x46, dx=CD)
    assert pc.cpu.ah == 0xB5
    pc.restore_state(saved)
    assert [lock(al) for al in (2, 1, 2)] == [(0, 1), (0, 0), (0, 0)]
    pc.restore_state({name: array for name, array in saved.items() if name != "bios.disk_locks"})
    assert lock(2) == (0, 0)  # of a version that had none
    assert isinstance(pc.image.cd_boot, Entry)  # type: ignore[union-attr]


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("start", [b"", FILE_SYSTEM], ids=["bare", "with a file system"])
def test_a_bare_disk_is_also_drive_80h(tmp_path: Path, cpu: str, start: bytes) -> None:
    """`disk_80.asm` reads its second sector from 80h, and tells by E9h whether that went well."""
    if cpu == "unicorn":
        pytest.importorskip("unicorn")
    # jmp 40h ... xor ax, ax; mov ds, ax; mov es, ax; mov ax, 0201h; mov bx, 9000h; mov cx, 0103h
    # mov dx, 0180h; int 13h; jc failed; mov al, [9000h]; failed: out E9h, al; out F4h, al; hlt
    code = start.ljust(64, b"\x90") + bytes.fromhex(
        "31C08ED88EC0B80102BB0090B90301BA8001CD137203A00090E6E9E6F4F4"
    )
    path = tmp_path / "bare.img"
    bare = bytearray(boot_sector(code).ljust(1474560, b"\0"))
    bare[((1 * 16 + 1) * 63 + 2) * 512 :] = b""
    path.write_bytes(bare + b"yes")
    with Machine(str(path), cpu=cpu, vram_mib=1, exit_port=0xF4, drive="fd") as machine:
        machine.tick(600 if cpu == "kvm" else 10)
        assert machine.debugcon == ("y" if not start else "\x01")


def record(ax: int, drive: int, **words: int) -> bytes:
    """A call of `calls.asm`'s table."""
    names = {"bx": 0, "cx": 1, "dx": drive, "si": 0, "di": 0, "es": 0x2000, "at": 0, "count": 0}
    return struct.pack("<10H", 0x13, ax, *(names | words).values())


def calls_of(kind: int) -> list[tuple[bytes, bool]]:
    """Calls for a drive, and whether SeaBIOS answers as we do; `disk.py` and `lba.py` say why."""
    same = [record(ah << 8 | 1, kind, cx=9) for ah in (
        0x00, 0x01, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x10, 0x11, 0x12, 0x14, 0x16, 0x19,
        0x4A, 0x4C, 0x4D, 0x4E, 0x50,
    )]  # fmt: skip
    others = []
    if kind != CD:
        last = CYLINDERS - 2 << 8 | 63 if kind else 0x4F12
        same += [record(0x0201, kind, cx=cx) for cx in (1, 9, last)]
        same += [record(0x0280, kind), record(0x0480, kind), record(0x0301, kind, cx=9)]
        others += [record(ax, kind) for ax in (0x02C0, 0x0800)]
        others += [record(0x0201, kind, cx=cx) for cx in (0, 0x40)]
    same.append(record(0x0901, kind))
    if kind == FLOPPY:
        same += [record(0x1500, kind)]
        others += [record(0x0202, kind, es=0x1FF0)]  # this one has no file system
        same += [record(ah << 8, kind, bx=0x55AA) for ah in range(0x41, 0x4A)]
        others += [record(0x1704, kind), record(0x1800, kind, cx=0x4F12)]
    else:
        same += [record(0x4100, kind, bx=0x55AA), record(0x4700, kind, si=0x8400)]
        same += [record(ah << 8, kind, si=0x8400, at=0x8400, count=16) for ah in (0x42, 0x44)]
        same += [record(0x4200, kind, si=0x8420, at=0x8420, count=24)]
        others += [record(0x1500, kind)]
    if kind == HARD_DISK:
        same += [record(0x4800, kind, si=0x8440, at=0x8440, count=26), record(0x4600, kind)]
        same += [record(ax, kind) for ax in (0x4500, 0x4501, 0x4502)]
    return [(one, True) for one in same] + [(one, False) for one in others]


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
@pytest.mark.parametrize("kind", [FLOPPY, HARD_DISK, CD], ids=["floppy", "hard disk", "CD"])
def test_as_seabios_answers(tmp_path: Path, kind: int) -> None:
    pytest.importorskip("unicorn")
    calls = calls_of(kind)
    program = bytearray((Path(__file__).parent / "programs" / "calls.bin").read_bytes())
    program = bytearray((bytes(program) + b"".join(one for one, _ in calls) + b"\xff\xff")
                        .ljust(0x800, b"\0"))  # fmt: skip
    packets = struct.pack("<BBHHHQ16x", 16, 0, 1, 0, 0x3000, 9)
    packets += struct.pack("<BBHIQQ8x", 24, 0, 1, 0xFFFFFFFF, 9, 0x30000) + struct.pack("<H", 26)
    program += packets.ljust(0x800, b"\0")
    path = tmp_path / ("disk.iso" if kind == CD else "disk.img")
    if kind == CD:
        make_iso(path, bytes(program))
    else:
        path.write_bytes(image_of(kind, bytes(program)))
    log = tmp_path / "log"
    place = {
        FLOPPY: ["-drive", f"if=floppy,format=raw,snapshot=on,file={path}", "-boot", "a"],
        HARD_DISK: ["-drive", f"format=raw,snapshot=on,file={path}"],
        CD: ["-cdrom", str(path)],
    }
    command = [QEMU, "-display", "none", "-debugcon", f"file:{log}",
               "-device", "isa-debug-exit,iobase=0xf4", *place[kind]]  # fmt: skip
    subprocess.run(command, timeout=60, check=False)
    theirs = log.read_text().splitlines()
    drive = {FLOPPY: "fd", HARD_DISK: "hd", CD: "cd"}[kind]
    with Machine(str(path), drive=drive, vram_mib=1, exit_port=0xF4) as machine:
        machine.tick(60)
        ours = machine.debugcon.splitlines()
    assert len(ours) == len(theirs) == len(calls) + 1
    for (_, same), mine, seabios in zip(calls, ours, theirs, strict=False):
        # A CD's call leaves its own status in the floppies' byte there.
        mine, seabios = (line[:41] + line[43:] for line in (mine, seabios))
        assert (mine == seabios) == same, (mine, seabios)
