"""The parallel port, INT 17h and INT 05h, and what of INT 15h systems hook."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from chip_ports import Chips
from x86_helpers import CPUS, call, disk, make_pc

from vgaemu import Machine, snapshot
from vgaemu.cli.main import main
from vgaemu.pc.chips.printer import BYTE_NS, Printer
from vgaemu.pc.clock import StepClock
from vgaemu.pc.pc import Pc

QEMU = "qemu-system-i386"
CARRY = 1
CALLS = (Path(__file__).parent / "programs" / "calls.bin").read_bytes()


@pytest.fixture
def chips() -> Chips:
    return Chips()


def strobe(chips: Chips, value: int, control: int = 0x0C) -> None:
    chips.bus.port_out(0x378, 1, value)
    for word in (control | 1, control):
        chips.bus.port_out(0x37A, 1, word)


def test_a_byte_by_strobe_and_acknowledgement(
    chips: Chips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepClock, "polled", lambda clock: None)
    printer, bus, clock = chips.printer, chips.bus, chips.clock
    assert [bus.port_in(at, 1) for at in (0x378, 0x379, 0x37A)] == [0, 0xDF, 0xCC]
    strobe(chips, 0x41)
    assert (bus.port_in(0x378, 1), bytes(printer.text)) == (0x41, b"A")
    assert bus.port_in(0x379, 1) & 0xC0 == 0x40  # busy
    strobe(chips, 0x42)  # it does not look
    clock.ns = printer.due_ns - 1000
    assert bus.port_in(0x379, 1) & 0xC0 == 0x00  # acknowledged
    clock.ns = printer.due_ns
    assert bus.port_in(0x379, 1) == 0xDF
    assert bytes(printer.text) == b"A"
    assert not chips.pic.has_interrupt()
    strobe(chips, 0x43, 0x1C)
    clock.ns = printer.due_ns
    printer.advance(clock.ns)
    assert chips.pic.has_interrupt()
    assert (chips.pic.acknowledge(), bytes(printer.text)) == (0x0F, b"AC")
    bus.port_out(0x37A, 1, 0x0C)
    bus.port_out(0x37A, 1, 0x0D)
    bus.port_out(0x37A, 1, 0x0D)  # no edge
    assert bytes(printer.text) == b"ACC"
    bus.port_out(0x37A, 1, 0x08)  # initialised, it is not busy
    assert bus.port_in(0x379, 1) & 0x80


def test_a_state_in_the_middle_of_a_byte(chips: Chips) -> None:
    strobe(chips, 0x41, 0x1C)
    again = Chips()
    again.clock.ns = chips.clock.ns
    snapshot.restore(again.printer.parts(), snapshot.take(chips.printer.parts()))
    assert again.bus.port_in(0x379, 1) & 0x80 == 0
    again.clock.ns += BYTE_NS
    again.printer.advance(again.clock.ns)
    assert again.pic.has_interrupt()
    snapshot.restore(again.printer.parts(), {})  # of before there was one
    assert again.bus.port_in(0x37A, 1) == 0xCC


def test_only_the_last_of_much_is_kept(chips: Chips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Printer, "KEEP", 4)
    for value in range(9):
        strobe(chips, value)
        chips.clock.ns += BYTE_NS
        chips.printer.advance(chips.clock.ns)
    assert bytes(chips.printer.text) == bytes(range(5, 9))


@pytest.fixture
def pc(tmp_path: Path) -> object:
    with make_pc(disk(tmp_path, b"\xfa\xf4")) as pc:
        yield pc


def test_int_17h(pc: Pc) -> None:
    assert pc.bus.read16(0x408) == 0x378
    call(pc, 0x11)
    assert pc.cpu.ax >> 14 == 1
    for ah, al in ((0, 0x58), (1, 0), (2, 0), (0, 0x59)):
        call(pc, 0x17, ax=ah << 8 | al, dx=0)
        assert pc.cpu.ax == 0x9000 | al
    assert bytes(pc.printer.text) == b"XY"
    call(pc, 0x17, ax=0x0041, dx=1)  # there is none
    call(pc, 0x17, ax=0x0341, dx=0)
    assert (pc.cpu.ax, bytes(pc.printer.text)) == (0x0341, b"XY")


def until_printed(pc: Pc) -> str:
    """Ask as its stub does."""
    call(pc, 0x05)
    for _ in range(100):
        if pc.bus.read8(0x500) != 1:
            return bytes(pc.printer.text).decode("cp437")
        pc.bios.calls.new_slice()
        pc.bios.calls.call(0x05)
    raise AssertionError("it prints on and on")


def test_a_screen_is_printed(pc: Pc) -> None:
    pc.vga.store(0xB8000, b"H\7\xe1\7\0\7x\7")
    pc.vga.store(0xB8000 + 2 * 80 * 24, b"e\7n\7d\7")
    rows = until_printed(pc).split("\r\n")
    assert (rows[0], rows[-1]) == ("", "")
    assert [row.rstrip() for row in rows[1:-1]] == ["Hß x", *[""] * 23, "end"]
    assert {len(row) for row in rows[1:-1]} == {80}
    assert pc.bus.read8(0x500) == 0


def test_graphics_are_printed_as_far_as_they_are_letters(pc: Pc) -> None:
    call(pc, 0x10, ax=0x0013)
    for letter in b"Hi":
        call(pc, 0x10, ax=0x0E00 | letter, bx=0x0F)
    assert until_printed(pc).split("\r\n")[1].rstrip() == "Hi"


def test_a_screen_that_cannot_be_printed(pc: Pc) -> None:
    pc.bus.write16(0x408, 0)  # no printer
    call(pc, 0x05)
    assert pc.bus.read8(0x500) == 0xFF
    pc.bus.write8(0x500, 1)  # one is being printed
    call(pc, 0x05)
    assert (pc.bus.read8(0x500), bytes(pc.printer.text)) == (1, b"")


#: mov ax, 0B800h; mov es, ax; mov word [es:0], 076Fh; mov word [es:2], 076Bh; sti
#: again: hlt; jmp again
IDLE = bytes.fromhex("B800B88EC026C70600006F0726C70602006B07FBF4EBFD")


@pytest.mark.parametrize("cpu", CPUS)
def test_the_print_key_prints_into_a_file(tmp_path: Path, cpu: str) -> None:
    if cpu == "unicorn":
        pytest.importorskip("unicorn")
    paper = tmp_path / "paper.txt"
    with Machine(disk(tmp_path, IDLE), cpu=cpu, vram_mib=1, printer=paper) as machine:
        machine.tick(2 if cpu == "unicorn" else 30)
        machine.keys.press("print")
        for _ in range(200 if cpu == "unicorn" else 2000):
            machine.tick()
            if machine.printer.count("\n") == 26:
                break
        assert machine.printer.split("\r\n")[1].rstrip() == "ok"
        said = machine.printer
    assert paper.read_bytes() == said.encode("cp437")


def test_the_option(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # mov ax, 0041h; xor dx, dx; int 17h; cli; hlt
    path = str(disk(tmp_path, bytes.fromhex("B8410031D2CD17FAF4")))
    assert main(["run", path, "--headless", "--frames", "3", "--printer", "-"]) == 0
    assert capfd.readouterr().out.startswith("A")
    assert main(["run", path, "--headless", "--frames", "3", "--printer", str(tmp_path)]) == 2
    assert f"{tmp_path}: Is a directory; name a file" in capfd.readouterr().err


def test_a_dos_program_prints(tmp_path: Path) -> None:
    """mov ah, 5; mov dl, 'a'; int 21h; mov ah, 40h; mov bx, 4; mov cx, 2; mov dx, 116h; int 21h."""
    path = tmp_path / "prog.com"
    path.write_bytes(bytes.fromhex("B405B261CD21B440BB0400B90200BA1601CD21CD20") + b".bc")
    with Machine(path, vram_mib=1) as machine:
        machine.tick(5)
        assert machine.ended
        assert machine.printer == "abc"


# --- INT 15h ---

#: xor ax, ax; mov ds, ax; mov word [54h], 7C40h; mov [56h], ax; sti
#: again: xor ax, ax; int 16h; xchg al, ah; mov al, ah; out E9h, al; jmp again
#: 7C40h: cmp ah, 4Fh; jne other; cmp al, 1Eh (A); jne no_a; mov al, 30h (B); no_a: cmp al, 2Eh (C)
#: jne keep; clc; retf 2; keep: iret; other: xchg al, ah; or al, 20h... prints AH as it is
HOOK = bytes.fromhex("31C08ED8C7065400407CA35600FB31C0CD1686C488E0E6E9EBF4").ljust(
    0x40, b"\x90"
) + bytes.fromhex("80FC4F75143C1E7502B0303C2E7504F8CA0200CF90909090905088E0E6E958F8CA0200")


@pytest.mark.parametrize("cpu", CPUS)
def test_a_hook_hears_of_scancodes_and_of_waits(tmp_path: Path, cpu: str) -> None:
    """A becomes B, C is kept from the program; 90h and 91h print themselves."""
    if cpu == "unicorn":
        pytest.importorskip("unicorn")
    with Machine(disk(tmp_path, HOOK), cpu=cpu, vram_mib=1) as machine:
        machine.tick(5 if cpu == "unicorn" else 20)
        raw = machine.pc.debug.console  # type: ignore[union-attr]
        assert bytes(raw) == b"\x90"  # once, however long it waits
        for key in "ac":
            machine.keys.press(key)
            machine.tick(20 if cpu == "unicorn" else 100)
        assert bytes(raw) == b"\x90\x91b\x90"


#: cli; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 7C00h; mov si, 7C80h
#: mov bx, 2028h; mov ah, 89h; int 15h; jc failed; mov al, 'P'; out E9h, al; smsw ax; and al, 1
#: add al, '0'; out E9h, al; mov al, [100000h's alias by ES]...; in al, 21h; out E9h, al; hlt
PROTECT = bytes.fromhex(
    "FA31C08ED88EC08ED0BC007CBE807CBB2820B489CD157213"
    "B050E6E9" "0F01E024010430E6E9" "E421E6E9" "F4F4" "B046E6E9F4"
).ljust(0x80, b"\x90") + b"".join(
    struct.pack("<HHBBH", limit, base & 0xFFFF, base >> 16, access, 0)
    for limit, base, access in (
        (0, 0, 0), (63, 0x7C80, 0x93), (0xFF, 0x7D00, 0x93), (0xFFFF, 0, 0x93), (0xFFFF, 0, 0x93),
        (0xFFFF, 0, 0x93), (0xFFFF, 0, 0x9B), (0, 0, 0),
    )
)  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
def test_the_switch_to_protected_mode(tmp_path: Path, cpu: str) -> None:
    if cpu == "unicorn":
        pytest.importorskip("unicorn")
    with Machine(disk(tmp_path, PROTECT), cpu=cpu, vram_mib=1) as machine:
        machine.tick(5 if cpu == "unicorn" else 60)
        pc = machine.pc
        assert pc is not None
        assert bytes(pc.debug.console) == b"P1\xff"
        assert [chip.base for chip in pc.pic.chips] == [0x20, 0x28]
        assert pc.cpu.get("cs") == 0x30


def test_devices_that_nobody_has_hooked(pc: Pc) -> None:
    for ah in (0x80, 0x81, 0x82, 0x85, 0x90, 0x91):
        assert not call(pc, 0x15, ax=ah << 8) & CARRY
        assert pc.cpu.ah == 0
    call(pc, 0x15, ax=0xC000)
    table = pc.bus.read((pc.cpu.get("es") << 4) + pc.cpu.bx, 10)
    assert table == bytes.fromhex("0800FC01007040000000")


def record(vector: int, ax: int, **words: int) -> bytes:
    """A call of `calls.asm`'s table."""
    names = {"bx": 0, "cx": 0, "dx": 0, "si": 0, "di": 0, "es": 0, "at": 0, "count": 0}
    return struct.pack("<10H", vector, ax, *(names | words).values())


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_as_seabios_answers(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    calls = [record(0x11, 0), record(0x17, 0x0200), record(0x17, 0x0058), record(0x17, 0x0100)]
    calls += [record(0x17, ax, dx=dx) for ax in (0x0059, 0x0300, 0x0200) for dx in (0, 1, 2, 9)]
    calls += [record(0x17, 0x0200, at=0x408, count=6)]
    path = tmp_path / "calls.img"
    path.write_bytes((CALLS + b"".join(calls) + b"\xff\xff").ljust(1474560, b"\0"))
    log, paper = tmp_path / "log", tmp_path / "paper"
    command = [QEMU, "-display", "none", "-debugcon", f"file:{log}", "-boot", "a",
               "-device", "isa-debug-exit,iobase=0xf4", "-parallel", f"file:{paper}",
               "-drive", f"if=floppy,format=raw,snapshot=on,file={path}"]  # fmt: skip
    subprocess.run(command, timeout=60, check=False)
    with Machine(path, vram_mib=1, exit_port=0xF4) as machine:
        machine.tick(60)
        assert machine.printer == "XY"
        ours = machine.debugcon.splitlines()
    theirs = log.read_text().splitlines()
    assert len(ours) == len(theirs)
    for mine, seabios in zip(ours[:-1], theirs[:-1], strict=True):
        # It clears the carry flag, which IBM's leaves alone, and tells bits that are not used.
        # Behind a character it tells of the acknowledgement, which takes a look more there.
        mask = 0x38FF if mine.startswith("00") else 0xF8FF
        assert int(mine[11:15], 16) & mask == int(seabios[11:15], 16) & mask
        assert mine[15:41] == seabios[15:41]
        assert mine.partition(":")[2] == seabios.partition(":")[2]
    assert paper.read_bytes() == b"XY"
