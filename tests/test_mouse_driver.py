"""The mouse as programs know it: INT 33h, INT 15h/C2h, and scripts that use it by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from x86_helpers import CPUS, boot_sector, call, make_pc

from vgaemu import Machine
from vgaemu.errors import KeysError
from vgaemu.keys.actions import parse_action, steps_of
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import parse_keys
from vgaemu.pc.bios.mouse.settings import ARROW, PACKED_BYTES
from vgaemu.pc.pc import Pc

pytestmark = pytest.mark.turns(3)

PROGRAM = Path(__file__).parent / "programs" / "mouse.com"
CARRY = 1
#: The BIOS's modes: width and height of the virtual screen, steps of positions, the picture.
MODES = {
    0x01: (640, 200, 16, 8, 360, 400), 0x03: (640, 200, 8, 8, 720, 400),
    0x04: (640, 200, 2, 1, 320, 200), 0x06: (640, 200, 1, 1, 640, 200),
    0x07: (640, 200, 8, 8, 720, 400), 0x0D: (640, 200, 2, 1, 320, 200),
    0x0E: (640, 200, 1, 1, 640, 200), 0x10: (640, 350, 1, 1, 640, 350),
    0x12: (640, 480, 1, 1, 640, 480), 0x13: (640, 200, 2, 1, 320, 200),
}  # fmt: skip


@pytest.fixture
def pc() -> Iterator[Pc]:
    """One with DOS, and a mouse that has been reset."""
    pytest.importorskip("unicorn")
    with make_pc(PROGRAM, vram_pages=64) as pc:
        call(pc, 0x33, ax=0)
        assert (pc.cpu.ax, pc.cpu.bx) == (0xFFFF, 3)
        yield pc


def act(pc: Pc) -> None:
    """Let the mouse's packets reach the BIOS, and what it calls be ignored."""
    now = pc.clock.now_ns()
    for at in range(now, now + 60_000_000, 1_000_000):
        pc.clock.set_ns(at)
        pc.board.keyboard.advance(at)
        if pc.pic.has_interrupt():
            assert pc.pic.acknowledge() == 0x74
            pc.bios.calls.new_slice()
            call(pc, 0x74)
            pc.bus.port_out(0xA0, 1, 0x20)
            pc.bus.port_out(0x20, 1, 0x20)


def asked(pc: Pc, function: int, **registers: int) -> tuple[int, int, int, int]:
    call(pc, 0x33, ax=function, **registers)
    return pc.cpu.ax, pc.cpu.bx, pc.cpu.cx, pc.cpu.dx


def host(pc: Pc) -> Mouse:
    return pc.board.keyboard.mouse.host


@pytest.mark.parametrize("mode", MODES)
def test_positions_in_each_mode(pc: Pc, mode: int) -> None:
    width, height, across, down, columns, lines = MODES[mode]
    call(pc, 0x10, ax=mode)
    call(pc, 0x33, ax=0)
    assert asked(pc, 0x26) == (0x26, 0, width - 1, height - 1)
    assert asked(pc, 3)[2:] == (width // 2 // across * across, height // 2 // down * down)
    for x, y in ((0, 0), (columns - 1, lines - 1), (columns // 3, lines // 5)):
        host(pc).place(x, y)
        act(pc)
        assert asked(pc, 3)[2:] == (
            x * width // columns // across * across, y * height // lines // down * down
        )  # fmt: skip
    host(pc).move(-3000, -3000)
    act(pc)
    assert asked(pc, 3)[2:] == (0, 0)


def test_ratios_ranges_and_motion(pc: Pc) -> None:
    call(pc, 0x10, ax=6)
    call(pc, 0x33, ax=0)
    asked(pc, 4, cx=100, dx=50)
    host(pc).move(10, 10)
    act(pc)
    assert asked(pc, 3)[2:] == (110, 55)
    assert asked(pc, 0x0B)[2:] == (10, 10)
    assert asked(pc, 0x0B)[2:] == (0, 0)
    asked(pc, 0x0F, cx=16, dx=4)
    host(pc).move(-10, -10)
    act(pc)
    assert asked(pc, 3)[2:] == (105, 35)
    assert asked(pc, 0x27)[2:] == (0xFFF6, 0xFFF6)
    asked(pc, 7, cx=300, dx=200)  # in any order
    assert asked(pc, 3)[2:] == (200, 35)
    asked(pc, 8, cx=60, dx=70)
    assert asked(pc, 3)[2:] == (200, 60)
    asked(pc, 4, cx=0xFFFF, dx=1000)
    assert asked(pc, 3)[2:] == (200, 70)
    asked(pc, 0x0F, cx=0, dx=0x8000)  # are none
    host(pc).move(16, 4)
    act(pc)
    assert asked(pc, 3)[2] == 208


def test_buttons_are_counted_where_they_were(pc: Pc) -> None:
    mouse = host(pc)
    mouse.place(80, 40)
    mouse.button(1, True)
    mouse.place(160, 80)
    mouse.button(1, False)
    mouse.button(3, True)
    act(pc)
    assert asked(pc, 3)[1] == 2
    assert asked(pc, 5, bx=0) == (2, 1, 64, 16)
    assert asked(pc, 5, bx=0) == (2, 0, 64, 16)
    assert asked(pc, 6, bx=0) == (2, 1, 136, 40)
    assert asked(pc, 5, bx=1) == (2, 1, 136, 40)
    assert asked(pc, 5, bx=2)[1] == 0
    mouse.move(0, 0, -2)
    act(pc)
    assert asked(pc, 3)[1] == 0xFE02
    assert asked(pc, 3)[1] == 0x0002  # the wheel is told once


def test_what_programs_set_is_told_and_kept(pc: Pc) -> None:
    assert asked(pc, 0x24)[1:3] == (0x0805, 0x0400)
    assert asked(pc, 0x11)[::2] == (0x574D, 1)
    asked(pc, 0x1A, bx=1, cx=2, dx=3)
    assert asked(pc, 0x1B)[1:] == (1, 2, 3)
    call(pc, 0x33, ax=0x0C, cx=0x7F, dx=0x123, es=0x456)
    call(pc, 0x33, ax=0x14, cx=0x01, dx=0x789, es=0xABC)
    assert (pc.cpu.cx, pc.cpu.es, pc.cpu.dx) == (0x7F, 0x456, 0x123)
    assert asked(pc, 0x15)[1] == PACKED_BYTES
    asked(pc, 4, cx=8, dx=16)
    call(pc, 0x33, ax=0x16, es=0x3000, dx=0)
    asked(pc, 4, cx=80, dx=80)
    call(pc, 0x33, ax=0)
    call(pc, 0x33, ax=0x17, es=0x3000, dx=0)
    assert asked(pc, 3)[2:] == (8, 16)
    call(pc, 0x33, ax=0x14, cx=0, dx=0, es=0)
    assert (pc.cpu.cx, pc.cpu.es, pc.cpu.dx) == (0x01, 0xABC, 0x789)
    pc.bus.write(0x30000, b"\xff" * PACKED_BYTES)  # no state of ours: nothing of it is taken
    call(pc, 0x33, ax=0x17, es=0x3000, dx=0)
    assert asked(pc, 3)[2:] == (8, 16)
    assert asked(pc, 0x18)[0] == asked(pc, 0x19)[0] == 0xFFFF
    asked(pc, 0x1F)
    assert asked(pc, 0x26)[1] == 1
    assert not host(pc).listening
    asked(pc, 0x20)
    assert host(pc).listening
    for function in (0x0D, 0x12, 0x28, 0x99, 0x1234):
        assert asked(pc, function, bx=1, cx=2, dx=3) == (function, 1, 2, 3)


@pytest.mark.parametrize("mode", MODES)
def test_a_cursor_leaves_what_was_there_and_all_registers(pc: Pc, mode: int) -> None:
    columns, lines = MODES[mode][4:]
    call(pc, 0x10, ax=mode)
    call(pc, 0x33, ax=0)
    noise = np.random.default_rng(mode).integers(0, 256, 64 << 10, np.uint8)
    pc.vga.store(0xB0000 if mode in (1, 3, 4, 6, 7) else 0xA0000, noise[: 64 << 10].tobytes())
    for port, value in ((0x3CE, 0x0208), (0x3CE, 0x0F01), (0x3C4, 0x0302)):
        if mode in (0x0D, 0x0E, 0x10, 0x12):
            pc.vga.outw(port, value)
    pc.vga.outb(0x3D4, 0x0A)
    pc.vga.load(0xA0005, 1)
    before = {name: part.array().copy() for name, part in pc.vga.parts().items()}
    asked(pc, 1)
    for x, y in ((0, 0), (columns - 1, lines - 1), (columns // 2, 3), (13, lines // 2)):
        host(pc).place(x, y)
        act(pc)
        now = {name: part.array().copy() for name, part in pc.vga.parts().items()}
        other = [name for name in before if not np.array_equal(before[name], now[name])]
        assert {*other} <= {"vram"}, (x, y)
    assert other == ["vram"]
    asked(pc, 2)
    after = {name: part.array().copy() for name, part in pc.vga.parts().items()}
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], name)


def test_the_arrow_in_the_picture() -> None:
    pytest.importorskip("unicorn")
    with Machine(PROGRAM, ["C"], vram_mib=1) as machine:  # mode 13h
        machine.tick(6)
        machine.vga.store(0xA0000, b"\x21" * 64000)
        machine.schedule_keys([(7, "move@50,20"), (20, "q")])
        machine.tick(8)
        shown = machine.screen.full_redraw()[20:36, 50:66]
        masks = np.unpackbits(np.frombuffer(ARROW, "<u2").astype(">u2").view(np.uint8))
        keep, change = masks.reshape(2, 16, 16).astype(bool)
        palette = machine.screen.full_redraw()[100, 100]
        assert (shown[keep & ~change] == palette).all()
        assert len(np.unique(shown[~keep & ~change])) == len(np.unique(shown[change])) == 1
        machine.tick(10)
        assert machine.ended
        assert (machine.screen.full_redraw()[16:40, 40:70] == palette).all()


def test_cursors_of_text(pc: Pc) -> None:
    call(pc, 0x10, ax=3)
    call(pc, 0x33, ax=0)
    cell = 0xB8000 + 2 * (5 * 80 + 10)
    pc.vga.store(cell, b"A\x1e")
    asked(pc, 0x0A, bx=0, cx=0xFF00, dx=0x0058)
    asked(pc, 4, cx=80, dx=40)
    asked(pc, 1)
    assert pc.vga.load(cell, 2) == b"X\x1e"
    asked(pc, 1)  # shown is shown
    asked(pc, 2)
    assert pc.vga.load(cell, 2) == b"A\x1e"
    asked(pc, 2)
    asked(pc, 1)
    assert pc.vga.load(cell, 2) == b"A\x1e"  # hidden twice
    asked(pc, 1)
    assert pc.vga.load(cell, 2) == b"X\x1e"
    asked(pc, 0x10, cx=76, dx=36, si=90, di=50)
    assert pc.vga.load(cell, 2) == b"A\x1e"
    asked(pc, 1)
    assert pc.vga.load(cell, 2) == b"X\x1e"
    asked(pc, 0x0A, bx=1, cx=2, dx=9)
    assert pc.vga.load(cell, 2) == b"A\x1e"
    pc.vga.outb(0x3D4, 0x0F)
    assert pc.vga.inb(0x3D5) == 5 * 80 + 10 & 0xFF
    call(pc, 0x10, ax=3)  # a mode set takes the cursor along
    asked(pc, 4, cx=0, dx=0)
    assert pc.vga.load(0xB8000, 2) == b" \x07"


@pytest.mark.parametrize("cpu", CPUS)
def test_a_programs_handler_hears_it_all(cpu: str, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    with Machine(PROGRAM, ["3"], cpu=cpu, vram_mib=1) as machine:
        machine.tick(10)
        for action in ("move@100,50", "press@200,100", "release", "right-press@2,3"):
            machine.schedule_keys([(machine.frames, action)])
            lines = machine.debugcon.count("!")
            for _ in range(600):
                machine.tick()
                if machine.debugcon.count("!") > lines:
                    break
        machine.save_state(tmp_path / "mouse.npz")
        machine.schedule_keys([(machine.frames, "q")])
        machine.tick(600 if cpu == "kvm" else 10)
        assert machine.ended
        log = machine.debugcon
    assert log == (
        "FFFF 0003 0805 0003 0000 0140 0060 \n"
        "0001 0000 0058 0018 \n!0003 0001 00B0 0030 \n!0004 0000 00B0 0030 \n"
        "!0009 0002 0000 0000 \n!0002 0001 00B0 0030 \n0002 0001 00B0 0030 \n000B 0001 FF9E FFD1 \n"
    )
    with Machine(PROGRAM, ["3"], cpu=cpu, vram_mib=1) as machine:
        machine.load_state(tmp_path / "mouse.npz")
        machine.schedule_keys([(machine.frames, "move@360,200")])
        machine.tick(60 if cpu == "kvm" else 3)
        # A button that was down when it was saved is not: it comes up first.
        assert machine.debugcon == "0010 0000 0000 0000 \n!0001 0000 0140 0060 \n!"


#: xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 7C00h; mov ax, C205h; mov bh, 3; int 15h
#: mov ax, C207h; mov bx, handler; int 15h; mov ax, C200h; mov bh, 1; int 15h; again: hlt; jmp again
#: handler: push bp; mov bp, sp; mov al, [bp+12]; out E9h, al; mov al, [bp+10]; out E9h, al
#: mov al, [bp+8]; out E9h, al; mov al, [bp+6]; out E9h, al; pop bp; retf
PS2 = bytes.fromhex(
    "31C08ED88EC08ED0BC007CB805C2B703CD15B807C2BB2B7CCD15B800C2B701CD15F4EBFD90"
).ljust(0x2B, b"\x90") + bytes.fromhex("5589E58A460CE6E98A460AE6E98A4608E6E98A4606E6E95DCB")


@pytest.mark.parametrize("cpu", CPUS)
def test_int_15h_c2h_calls_a_handler(cpu: str, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    path = tmp_path / "ps2.img"
    path.write_bytes(boot_sector(PS2))
    with Machine(path, cpu=cpu, vram_mib=1) as machine:
        for _ in range(600):
            machine.tick()
            if machine.mouse.listening:
                break
        machine.mouse.move(3, -2)
        for _ in range(600):
            machine.tick()
            if len(machine.debugcon) >= 4:
                break
        assert machine.debugcon.encode("latin1") == bytes((0x08, 3, 2, 0))
        machine.mouse.button(3, True)
        for _ in range(600):
            machine.tick()
            if len(machine.debugcon) >= 8:
                break
        assert machine.debugcon.encode("latin1")[4:] == bytes((0x0A, 0, 0, 0))


def test_each_call_of_the_pointing_device(pc: Pc) -> None:
    def told(al: int, **registers: int) -> tuple[int, int]:
        flags = call(pc, 0x15, ax=0xC200 | al, **registers)
        assert bool(flags & CARRY) == (pc.cpu.ah != 0)
        return pc.cpu.ah, pc.cpu.bx

    assert pc.bus.read16(0x410) & 4
    assert told(1) == (0, 0x00AA)
    assert told(0, bx=0x0100) == (5, 0x0100)  # no handler yet
    assert told(0, bx=0x0200)[0] == 2
    assert told(5, bx=0x0300)[0] == 0
    assert told(5, bx=0)[0] == told(5, bx=0x0900)[0] == 2
    assert told(7, bx=0x1234, es=0x5678)[0] == 0
    assert told(0, bx=0x0100)[0] == 0
    assert host(pc).listening
    assert told(2, bx=0x0300)[0] == told(3, bx=0x0100)[0] == told(6, bx=0x0200)[0] == 0
    assert told(2, bx=0x0700)[0] == told(3, bx=0x0400)[0] == told(6, bx=0x0300)[0] == 2
    told(6, bx=0)
    assert (pc.cpu.bl, pc.cpu.cl, pc.cpu.dl) == (0x30, 1, 60)
    assert told(4)[1] >> 8 == 0
    assert told(8)[0] == 1
    assert told(0, bx=0)[0] == 0
    assert not host(pc).listening


def test_actions_by_name() -> None:
    assert parse_keys("30:click@1,2,31:a,40:drag@1,2,3,4") == [
        (30, "click@1,2"), (31, "a"), (40, "drag@1,2,3,4"),
    ]  # fmt: skip
    assert [*steps_of(9, "right-doubleclick@7,8")] == [
        (9, "right-press@7,8"), (15, "right-release@7,8"),
        (21, "right-press@7,8"), (27, "right-release@7,8"),
    ]  # fmt: skip
    dragged = [*steps_of(5, "drag@0,0,24,12")]
    assert dragged[0] == (5, "press@0,0")
    assert dragged[6] == (11, "move@12,6")
    assert dragged[-2:] == [(17, "move@24,12"), (17, "release@24,12")]
    assert [*steps_of(5, "x")] == [(5, "x")]
    for key in ("c", "@", "m", "left", "move-x"):
        assert parse_action(key) is None
    for wrong in ("click@1", "click@1,2,3", "move", "drag@1,2", "wheel", "right-move@1,2",
                  "click@-1,2", "click@a,b", "move@99999,1", "click@"):  # fmt: skip
        told = "^'.*': .*@STEPS$" if wrong == "wheel" else "pixels of the picture$"
        with pytest.raises(KeysError, match=told):
            parse_action(wrong)
    for wrong in ("clik@1,2", "left-click@1,2", "ctrl-click@1,2"):
        with pytest.raises(KeysError, match=f"'{wrong}': .*: move, click, .* before it$"):
            parse_action(wrong)
    assert parse_action("wheel@-3") == ("wheel", 1, (-3,))
