"""INT 14h on the serial port, INT 1Ah's alarm, and INT 15h and 16h beside SeaBIOS."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import CPUS, boot_sector, call, disk, make_pc

from vgaemu import Machine
from vgaemu.pc.pc import Pc

QEMU = "qemu-system-i386"
CARRY = 1


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    pytest.importorskip("unicorn")
    with make_pc(disk(tmp_path, b"\xf4"), vram_pages=64) as pc:
        yield pc


def test_int_14h_on_the_port(pc: Pc) -> None:
    call(pc, 0x14, ax=0x00E3, dx=0)  # 9600, 8 bits
    assert (pc.cpu.ax, pc.serial.divisor, pc.serial.line) == (0x60B0, 12, 0x03)
    call(pc, 0x14, ax=0x001B, dx=0)
    assert (pc.serial.divisor, pc.serial.line) == (1047, 0x1B)
    for letter in b"Hi":
        call(pc, 0x14, ah=1, al=letter, dx=0)
        assert pc.cpu.ax == 0x6000 | letter
    assert pc.serial.text == b"Hi"
    pc.serial.receive(ord("x"))
    call(pc, 0x14, ax=0x0300, dx=0)
    assert pc.cpu.ah == 0x61
    call(pc, 0x14, ax=0x0200, dx=0)
    assert pc.cpu.ax == 0x0000 | ord("x")
    for dx in (1, 3, 4, 0xFFFF):  # no such port: nothing happens
        call(pc, 0x14, ax=0x0141, dx=dx)
        assert pc.cpu.ax == 0x0141
    assert pc.bus.read(0x400, 8) == b"\xf8\x03" + bytes(6)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_read_has_a_seconds_patience(tmp_path: Path, cpu: str) -> None:
    # sti; mov ax, 0200h; xor dx, dx; int 14h; mov al, ah; out E9h, al; out F4h, al; hlt
    path = disk(tmp_path, bytes.fromhex("FB B8 00 02 31 D2 CD 14 88 E0 E6 E9 E6 F4 F4"))
    with Machine(path, cpu=cpu, vram_mib=1, exit_port=0xF4) as machine:
        machine.tick(30)
        assert cpu == "kvm" or not machine.ended
        machine.tick(40 if cpu == "unicorn" else 900)
        assert machine.ended
        assert machine.debugcon == r"\xe0"  # timed out, and could send


#: xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 7C00h; mov word [4Ah*4], 7C40h; mov [4Ah*4+2], ax
#: mov ah, 2; int 1Ah; mov al, dh; add al, 2; daa; mov dh, al; mov ah, 6; int 1Ah; again: hlt
#: jmp again
#: 7C40h: mov al, 'A'; out E9h, al; mov ah, 7; int 1Ah; iret
ALARM = bytes.fromhex(
    "31C08ED88ED0BC007CC7062801407CA32A01B402CD1A88F00402278 8C6B406CD1AF4EBFD".replace(" ", "")
).ljust(0x40, b"\x90") + bytes.fromhex("B041E6E9B407CD1ACF")


def test_an_alarm_calls_int_4ah(tmp_path: Path) -> None:
    """Not on KVM, which lacks DAA where the host emulates real mode."""
    pytest.importorskip("unicorn")
    path = tmp_path / "alarm.img"
    path.write_bytes(boot_sector(ALARM))
    with Machine(path, vram_mib=1) as machine:
        machine.tick(50)
        assert machine.debugcon == ""
        machine.tick(80)
        assert machine.debugcon == "A"
        assert machine.pc is not None
        assert not call(machine.pc, 0x1A, ah=6, cx=0x1200, dx=0) & CARRY  # 07h has cleared it
        assert call(machine.pc, 0x1A, ah=6, cx=0x1200, dx=0) & CARRY
        assert not call(machine.pc, 0x1A, ah=7) & CARRY


def record(vector: int, ax: int, **words: int) -> bytes:
    """A call of `calls.asm`'s table."""
    names = {"bx": 0, "cx": 0, "dx": 0, "si": 0, "di": 0, "es": 0, "at": 0, "count": 0}
    return struct.pack("<10H", vector, ax, *(names | words).values())


def sames() -> list[bytes]:
    """Calls that SeaBIOS answers as we do; some look at what others have done."""
    calls = [record(0x14, ax) for ax in (0x0300, 0x0141, 0x0300)]
    calls += [record(0x15, ah << 8) for ah in (0x00, 0x40, 0x41, 0x84, 0xC3, 0xD8, 0xE8)]
    calls += [record(0x15, ax) for ax in (0x2400, 0x2401, 0x2402, 0x2403, 0x2404, 0x4F1E, 0xC000)]
    pointing = ((1, 0), (0, 1), (7, 0), (0, 1), (2, 3), (3, 1), (6, 1), (6, 0), (4, 0), (0, 0),
                (8, 0), (2, 9), (3, 9))  # fmt: skip
    calls += [record(0x15, 0xC200 | al, bx=bh << 8, es=0x700) for al, bh in pointing]
    calls += [record(0x16, ax) for ax in (0x0100, 0x0200, 0x0305, 0x0400, 0x0A00, 0x1200, 0xA200)]
    for cx in (0x1E61, 0xE00D):
        calls += [record(0x16, 0x0500, cx=cx), record(0x16, 0x1100), record(0x16, 0x0100)]
        calls += [record(0x16, 0x0000)]
    return calls


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_as_seabios_answers(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    program = (Path(__file__).parent / "programs" / "calls.bin").read_bytes()
    path, log = tmp_path / "calls.img", tmp_path / "log"
    path.write_bytes((program + b"".join(sames()) + b"\xff\xff").ljust(1474560, b"\0"))
    command = [QEMU, "-display", "none", "-debugcon", f"file:{log}", "-boot", "a",
               "-device", "isa-debug-exit,iobase=0xf4",
               "-drive", f"if=floppy,format=raw,snapshot=on,file={path}"]  # fmt: skip
    subprocess.run(command, timeout=60, check=False)
    with Machine(path, vram_mib=1, exit_port=0xF4) as machine:
        machine.tick(60)
        ours = machine.debugcon
    # Where the caller's carry stays, INT 14h's is another there: it has gone through other code.
    theirs = log.read_text()
    assert [line[:39] for line in ours.split("\n")] == [line[:39] for line in theirs.split("\n")]
