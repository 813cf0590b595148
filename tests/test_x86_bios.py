"""The builtin BIOS: services by vector, and the data area that programs read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vram_planes import planes_of
from x86_helpers import CPUS, GUESTS, call, disk, make_pc

from vgaemu.cli.main import main
from vgaemu.display.screen import Screen
from vgaemu.errors import GuestFault, ImageError, WorkloadError
from vgaemu.keys import scancodes
from vgaemu.keys.queue import Key, Keys
from vgaemu.keys.table import BY_NAME, KEYS, TableKey
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.pc.bios.video.modes import VBE_MODES
from vgaemu.pc.build import build_pc
from vgaemu.pc.chips.cmos import to_bcd
from vgaemu.pc.formats import load_image
from vgaemu.pc.pc import Pc
from vgaemu.vga.device import Vga
from vgaemu.vga.font import FONT_ADDRESS, bundled_font
from vgaemu.vga.modes import MODES
from vgaemu.vga.vram import LFB_GPA

pytest.importorskip("unicorn")
CARRY, ZERO = 1, 0x40


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    with make_pc(disk(tmp_path, b"\xf4"), vram_pages=4096) as made:
        yield made


def text(pc: Pc) -> list[str]:
    screen = Screen(pc.vga)
    return [row.rstrip() for row in screen.text()]


def test_what_a_guest_prints_on_port_e9_is_kept(tmp_path: Path) -> None:
    code = bytes.fromhex("E4 E9 E6 E9 B0 21 E6 E9 FA F4")  # in al, E9h; out E9h, al; '!' likewise
    with make_pc(disk(tmp_path, code)) as pc:
        pc.run_frame()
        assert bytes(pc.debug.text) == b"\xe9!"


#: Prints "hi", a byte that is no text and a line's end to port E9h, and "no" to SeaBIOS's.
PRINTS = bytes.fromhex("B068E6E9 B069E6E9 B0FFE6E9 B00AE6E9 BA0204 B06EEE B06FEE FAF4")


@pytest.mark.parametrize("to", ["file", "-"])
def test_what_a_guest_prints_goes_to_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], to: str
) -> None:
    image, file = disk(tmp_path, PRINTS), tmp_path / "printed.txt"
    with Machine(str(image), debugcon=to if to == "-" else file) as machine:
        assert machine.debugcon == ""
        machine.tick()
        assert machine.debugcon == "hi\\xff\n"
        if to == "-":
            assert capfd.readouterr().out.endswith("hi\ufffd\n")
        else:
            assert file.read_bytes() == b"hi\xff\n"


def test_a_guest_that_cannot_print_to_the_console() -> None:
    with Machine(None) as machine, pytest.raises(WorkloadError, match="only machine code"):
        assert machine.debugcon


def test_a_console_on_a_full_disk(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    machine = Machine(str(disk(tmp_path, PRINTS)), debugcon="/dev/full")
    machine.tick()
    assert machine.debugcon == "hi\\xff\n"
    with pytest.raises(ImageError, match=r"--debugcon /dev/full: No space left.*cut off"):
        machine.close()


@pytest.mark.parametrize("number", sorted(MODES))
def test_modes_and_the_data_area(pc: Pc, number: int) -> None:
    call(pc, 0x10, ax=number)
    call(pc, 0x10, ah=0x0F, bh=9)
    mode = MODES[number]
    assert (pc.cpu.al, pc.cpu.bh) == (number, 0)
    assert pc.cpu.ah == {0: 40, 1: 40, 4: 40, 5: 40, 0xD: 40, 0x13: 40}.get(number, 80)
    assert bytes(pc.vga.crtc.values[:25]) == mode.crtc
    assert pc.bus.read8(0x449) == number
    assert pc.bus.read16(0x463) == (0x3D4 if mode.misc & 1 else 0x3B4)
    assert pc.bus.read16(0x485) == {0xF: 14, 0x10: 14}.get(
        number, 8 if number in (4, 5, 6, 0xD, 0xE, 0x13) else 16
    )
    # A character in every mode, and what the BIOS reads back.
    call(pc, 0x10, ah=2, bh=0, dx=0x0203)
    call(pc, 0x10, ah=9, al=ord("R"), bx=0x000F, cx=2)
    call(pc, 0x10, ah=8, bh=0)
    assert pc.cpu.al == ord("R")
    call(pc, 0x10, ah=2, bh=0, dx=0x0204)
    call(pc, 0x10, ah=8, bh=0)
    assert pc.cpu.al == ord("R")


@pytest.mark.parametrize("number", [4, 6, 0x0D, 0x10, 0x12, 0x13])
def test_pixels(pc: Pc, number: int) -> None:
    call(pc, 0x10, ax=number)
    colours = {4: 3, 6: 1}.get(number, 13)
    for x, y in ((0, 0), (7, 1), (8, 1), (101, 77)):
        call(pc, 0x10, ah=0x0C, al=colours, bh=0, cx=x, dx=y)
        call(pc, 0x10, ah=0x0D, bh=0, cx=x, dx=y)
        assert pc.cpu.al == colours, (x, y)
        call(pc, 0x10, ah=0x0D, bh=0, cx=x + 1, dx=y)
        assert pc.cpu.al == 0
    if number != 0x13:
        call(pc, 0x10, ah=0x0C, al=0x80 | colours, bh=0, cx=101, dx=77)
        call(pc, 0x10, ah=0x0D, bh=0, cx=101, dx=77)
        assert pc.cpu.al == 0


def test_teletype_wraps_and_scrolls(pc: Pc) -> None:
    for character in b"ab\bc\r\n" + b"x" * 81:
        call(pc, 0x10, ah=0x0E, al=character, bx=7)
    assert text(pc)[:3] == ["ac", "x" * 80, "x"]
    for row in range(25):
        for character in b"\r\n%d" % row:
            call(pc, 0x10, ah=0x0E, al=character, bx=7)
    assert text(pc)[0] == "0"
    assert text(pc)[24] == "24"
    call(pc, 0x10, ah=3, bh=0)
    assert pc.cpu.dx == 24 << 8 | 2
    assert pc.vga.crtc.values[0x0E] << 8 | pc.vga.crtc.values[0x0F] == 24 * 80 + 2


def test_scroll_windows(pc: Pc) -> None:
    for row in range(25):
        pc.vga.store(0xB8000 + row * 160, bytes((0x41 + row, 7)) * 80)
    call(pc, 0x10, ax=0x0602, bh=0x1E, cx=0x0505, dx=0x0A0A)
    rows = text(pc)
    assert rows[5][4:12] == "FHHHHHHF"
    assert rows[9][4:12] == "J      J"
    assert pc.vga.load(0xB8000 + 9 * 160 + 11, 1) == b"\x1e"
    call(pc, 0x10, ax=0x0701, bh=7, cx=0x0000, dx=0x184F)
    assert text(pc)[0] == ""
    assert text(pc)[1] == "A" * 80
    call(pc, 0x10, ax=0x0600, bh=7, cx=0x0000, dx=0x184F)
    assert not any(text(pc))


def test_strings_and_pages(pc: Pc) -> None:
    pc.bus.write(0x9000, b"H\x1ei\x2e")
    call(pc, 0x10, ax=0x1303, bx=0, cx=2, dx=0x0A10, es=0x900, bp=0)
    assert pc.vga.load(0xB8000 + 10 * 160 + 32, 4) == b"H\x1ei\x2e"
    call(pc, 0x10, ah=3, bh=0)
    assert pc.cpu.dx == 0x0A12
    call(pc, 0x10, ax=0x0501)
    call(pc, 0x10, ah=0x0E, al=ord("p"), bx=7)
    assert pc.vga.load(0xB9000, 1) == b"p"
    assert pc.bus.read16(0x44E) == 0x1000
    assert pc.vga.crtc.values[0x0C] == 0x08


def test_palettes(pc: Pc) -> None:
    call(pc, 0x10, ax=0x1010, bx=200, cx=0x1522, dx=0x3300)
    call(pc, 0x10, ax=0x1015, bx=200)
    assert (pc.cpu.dh, pc.cpu.cx) == (0x33, 0x1522)
    call(pc, 0x10, ax=0x1000, bx=0x2A05)
    call(pc, 0x10, ax=0x1007, bx=0x0005)
    assert pc.cpu.bh == 0x2A
    pc.bus.write(0x9000, bytes(range(17)))
    call(pc, 0x10, ax=0x1002, es=0x900, dx=0)
    call(pc, 0x10, ax=0x1009, es=0x910, dx=0)
    assert pc.bus.read(0x9100, 17) == bytes(range(17))
    call(pc, 0x10, ax=0x1003, bx=0)
    assert not pc.vga.attribute.values[0x10] & 8
    assert pc.vga.attribute_address & 0x20


def test_fonts_change_the_rows(pc: Pc) -> None:
    call(pc, 0x10, ax=0x1112, bx=0)
    assert (pc.bus.read8(0x484), pc.bus.read16(0x485)) == (49, 8)
    assert len(text(pc)) == 50
    call(pc, 0x10, ax=0x1130, bh=3)
    assert (pc.cpu.cx, pc.cpu.dl) == (8, 49)
    glyph_a = pc.bus.read((pc.cpu.es << 4) + pc.cpu.bp + 8 * 0x41, 8)
    assert any(glyph_a)


def test_vbe(pc: Pc) -> None:
    pc.bus.write(0x9000, b"VBE2")
    call(pc, 0x10, ax=0x4F00, es=0x900, di=0)
    assert pc.cpu.ax == 0x004F
    assert pc.bus.read(0x9000, 6) == b"VESA\x00\x02"
    at = (pc.bus.read16(0x9010) << 4) + pc.bus.read16(0x900E)
    listed = []
    while (number := pc.bus.read16(at + 2 * len(listed))) != 0xFFFF:
        listed.append(number)
    assert listed == sorted(VBE_MODES)
    for number in listed:
        mode = VBE_MODES[number]
        call(pc, 0x10, ax=0x4F01, cx=number, es=0x900, di=0)
        assert pc.cpu.ax == 0x004F
        assert pc.bus.read16(0x9012) == mode.width
        assert pc.bus.read32(0x9028) == 0xE0000000
        call(pc, 0x10, ax=0x4F02, bx=0x4000 | number)
        assert pc.cpu.ax == 0x004F
        picture = Screen(pc.vga).full_redraw()
        assert picture.shape == (mode.height, mode.width)
        call(pc, 0x10, ax=0x4F03)
        assert pc.cpu.bx == 0x4000 | number
    call(pc, 0x10, ax=0x4F02, bx=0x101)
    call(pc, 0x10, ax=0x4F05, bx=0, dx=2)
    assert pc.vga.window(0xA0000) == 0x20000
    call(pc, 0x10, ax=0x4F07, bx=0, cx=0, dx=10)
    call(pc, 0x10, ax=0x4F07, bx=1)
    assert pc.cpu.dx == 10
    call(pc, 0x10, ax=0x4F02, bx=0x1FF)
    assert pc.cpu.ax == 0x014F


def test_keys_come_with_scancodes(tmp_path: Path) -> None:
    # mov ah, 0; int 16h; stosw; loop
    program = bytes.fromhex("31 C0 8E C0 BF 00 90 B4 00 CD 16 AB EB F9")
    with Machine(str(disk(tmp_path, program))) as machine:
        assert machine.pc is not None
        for name in ("a", "A", "enter", "left", "f1", "!", "esc", "space"):
            machine.keys.press(name)
            machine.tick(6)
        words = [machine.pc.bus.read16(0x9000 + 2 * i) for i in range(9)]
        assert words == [
            0x1E61, 0x1E41, 0x1C0D, 0x4B00, 0x3B00, 0x0221, 0x011B, 0x3920, 0,
        ]  # fmt: skip
        assert machine.pc.bus.read8(0x417) == 0


def scan(pc: Pc, codes: str, key_call: int = 0x10) -> list[int]:
    """Bytes from the keyboard; the keys that INT 16h then returns."""
    for code in bytes.fromhex(codes):
        pc.bus.port_out(0x64, 1, 0xD2)
        pc.bus.port_out(0x60, 1, code)
        call(pc, 0x09)
    words = []
    while pc.bios.keyboard.buffer.peek() is not None:
        call(pc, 0x16, ah=key_call)
        words.append(pc.cpu.ax)
    return words


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_of_the_table_types_in_the_bios(pc: Pc, key: TableKey) -> None:
    for name, text in ((key.name, key.text), (key.shifted, key.shifted)):
        if not text or (name == text and name not in BY_NAME):
            continue
        down, up = (scancodes.of_key(Key(name, pressed), shift=False) for pressed in (True, False))
        typed = {"\n": "\r"}.get(text, text)
        assert scan(pc, (down + up).hex()) == [key.scancode << 8 | ord(typed)]


def test_a_menu_key_types_nothing_in_the_bios(pc: Pc) -> None:
    assert scan(pc, "E0 5D E0 DD") == []


@pytest.mark.parametrize(
    ("held", "words"),
    [
        # Home, up, page up, left, right, end, down, page down, insert, delete, slash, enter.
        ("", "47E0 48E0 49E0 4BE0 4DE0 4FE0 50E0 51E0 52E0 53E0 E02F E00D"),
        ("2A", "47E0 48E0 49E0 4BE0 4DE0 4FE0 50E0 51E0 52E0 53E0 E02F E00D"),
        ("1D", "77E0 8DE0 84E0 73E0 74E0 75E0 91E0 76E0 92E0 93E0 9500 E00A"),
        ("E0 1D", "77E0 8DE0 84E0 73E0 74E0 75E0 91E0 76E0 92E0 93E0 9500 E00A"),
        ("38", "9700 9800 9900 9B00 9D00 9F00 A000 A100 A200 A300 A400 A600"),
    ],
)  # fmt: skip
def test_grey_keys(pc: Pc, held: str, words: str) -> None:
    scan(pc, held)
    keys = ["47", "48", "49", "4B", "4D", "4F", "50", "51", "52", "53", "35", "1C"]
    expected = [int(word, 16) for word in words.split()]
    assert [scan(pc, f"E0 {key} E0 {int(key, 16) | 0x80:02X}") for key in keys] == [
        [word] for word in expected
    ]


def test_the_calls_for_84_keys(pc: Pc) -> None:
    assert scan(pc, "E0 48 E0 52 E0 35 E0 1C 1D E0 1C E0 4D", key_call=0) == [
        0x4800, 0x5200, 0x352F, 0x1C0D, 0x1C0A, 0x7400,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ("48 4C 4A 4E", [0x4800, 0x4C00, 0x4A2D, 0x4E2B]),
        ("45 C5 48 4C 4A", [0x4838, 0x4C35, 0x4A2D]),
        ("2A 48", [0x4838]), ("45 C5 2A 48", [0x4800]),
        ("1D 48 4C 4A 4E 50 52 53", [0x8D00, 0x8F00, 0x8E00, 0x9000, 0x9100, 0x9200, 0x9300]),
        ("38 4A 4E 48", [0x4A00, 0x4E00]), ("37", [0x372A]), ("1D E0 37", [0x7200]),
    ],
)  # fmt: skip
def test_the_keypad(pc: Pc, codes: str, words: list[int]) -> None:
    assert scan(pc, codes) == words


def test_caps_lock_turns_letters_only(pc: Pc) -> None:
    assert scan(pc, "3A BA 1E 02 2A 1E 02 AA 1E 1D 1E 9D 38 1E B8") == [
        0x1E41, 0x0231, 0x1E61, 0x0221, 0x1E41, 0x1E01, 0x1E00,
    ]  # fmt: skip
    assert (pc.bus.read8(0x417), pc.bus.read8(0x497) & 7) == (0x40, 4)
    assert scan(pc, "3A 3A BA 1E") == [0x1E61]  # held, it repeats
    assert (pc.bus.read8(0x417), pc.bus.read8(0x497) & 7) == (0, 0)


@pytest.mark.parametrize(
    ("names", "word"),
    [
        ("capslock a", 0x1E41), ("capslock A", 0x1E41), ("capslock !", 0x0221),
        ("capslock shift+a", 0x1E61), ("capslock shift+A", 0x1E61), ("shift+a", 0x1E41),
        ("capslock capslock A", 0x1E41), ("a", 0x1E61),
    ],
)  # fmt: skip
def test_caps_lock_and_keys_of_the_host(tmp_path: Path, names: str, word: int) -> None:
    program = bytes.fromhex("31 C0 8E C0 BF 00 90 B4 00 CD 16 AB EB F9")
    with Machine(str(disk(tmp_path, program))) as machine:
        assert machine.pc is not None
        for name in names.split():
            modifier, _, key = name.rpartition("+")
            if modifier:
                machine.keys.put(Key(modifier, True))
            machine.keys.press(key)
            if modifier:
                machine.tick(3)
                machine.keys.put(Key(modifier, False))
            machine.tick(6)
        assert machine.pc.bus.read16(0x9000) == word


def test_pause_is_no_num_lock(pc: Pc) -> None:
    assert scan(pc, "E1 1D 45 E1 9D C5 1E") == [0x1E61]
    assert pc.bus.read16(0x417) == 0
    assert pc.bus.read8(0x496) == 0x10


@pytest.mark.parametrize("extended", ["", "E0 "])
def test_insert_is_a_state(pc: Pc, extended: str) -> None:
    scan(pc, f"{extended}52 {extended}52")
    assert (pc.bus.read8(0x417), pc.bus.read8(0x418)) == (0x80, 0x80)
    scan(pc, f"{extended}D2 1D {extended}52 {extended}D2 9D")
    assert (pc.bus.read8(0x417), pc.bus.read8(0x418)) == (0x80, 0)
    scan(pc, f"{extended}52 {extended}D2")
    assert (pc.bus.read8(0x417), pc.bus.read8(0x418)) == (0, 0)


@pytest.mark.parametrize(
    ("codes", "flags", "both"),
    [
        ("1D", (0x04, 0x01, 0x10), 0x0104), ("E0 1D", (0x04, 0x00, 0x14), 0x0404),
        ("38", (0x08, 0x02, 0x10), 0x0208), ("E0 38", (0x08, 0x00, 0x18), 0x0808),
        ("1D E0 1D 9D", (0x04, 0x00, 0x14), 0x0404), ("1D E0 1D E0 9D 9D", (0, 0, 0x10), 0),
        ("3A", (0x40, 0x40, 0x10), 0x4040), ("45 C5", (0x20, 0x00, 0x10), 0x0020),
        ("46", (0x10, 0x10, 0x10), 0x1010), ("E0 2A", (0, 0, 0x10), 0), ("36", (1, 0, 0x10), 1),
    ],
)  # fmt: skip
def test_shift_states(pc: Pc, codes: str, flags: tuple[int, ...], both: int) -> None:
    assert scan(pc, codes) == []
    assert tuple(pc.bus.read8(at) for at in (0x417, 0x418, 0x496)) == flags
    call(pc, 0x16, ah=0x12)
    assert pc.cpu.ax == both


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(("names", "vector"), [(["print"], 0x05), (["ctrl", "pause"], 0x1B)])
def test_keys_that_interrupt(tmp_path: Path, cpu: str, names: list[str], vector: int) -> None:
    # ds = 0; IVT[vector] = 0:7C80h; sti; again: hlt; inc word [9002h]; jmp again
    # 7C80h: inc word [9000h]; iret
    code = "31 C0 8E D8 8E D0 BC 00 7C C7 06 {:02X} {:02X} 80 7C C7 06 {:02X} {:02X} 00 00 FB F4"
    where = (4 * vector, 0, 4 * vector + 2, 0)
    program = bytes.fromhex(code.format(*where) + "FF 06 02 90 EB F9").ljust(0x80, b"\0")
    with Machine(
        str(disk(tmp_path, program + bytes.fromhex("FF 06 00 90 CF"))), cpu=cpu
    ) as machine:
        pc = machine.pc
        assert pc is not None
        machine.tick(3)
        for name in names:
            machine.keys.put(Key(name, True))
            machine.tick(6)
        for name in names:
            machine.keys.put(Key(name, False))
        machine.tick(6)
        assert pc.bus.read16(0x9000) == 1
        assert pc.bus.read16(0x9002) > 2
        is_break = vector == 0x1B
        assert pc.bios.keyboard.buffer.peek() == (0 if is_break else None)
        assert pc.bus.read8(0x471) == (0x80 if is_break else 0)
        assert pc.cpu.sp == 0x7C00


def test_the_repeat_rate_is_the_guests(pc: Pc) -> None:
    def repeats() -> int:
        keyboard = pc.board.keyboard
        pc.keys.put(Key("x", True, "x"))
        count, now = 0, pc.clock.now_ns()
        for at in range(now, now + 1_000_000_000, 1_000_000):
            pc.clock.set_ns(at)
            keyboard.advance(at)
            if keyboard.full:
                count += keyboard.read_data() == 0x2D
        pc.keys.put(Key("x", False))
        keyboard.advance(at)
        keyboard.buffer.clear()
        return count

    assert repeats() == 7  # at once, after 0.5 s, 10.9 a second
    call(pc, 0x16, ax=0x0305, bx=0x0000)
    assert repeats() == 24  # after 0.25 s, 30 a second
    call(pc, 0x16, ax=0x0306)
    assert pc.cpu.bx == 0
    for byte in (0xF3, 0x7F):
        pc.bus.port_out(0x60, 1, byte)
    pc.board.keyboard.buffer.clear()
    assert repeats() == 1  # after 1 s, 2 a second
    pc.bus.port_out(0x60, 1, 0xFF)
    pc.board.keyboard.buffer.clear()
    assert repeats() == 7
    call(pc, 0x16, ax=0x0305, bx=0x031F)
    call(pc, 0x16, ax=0x0300)
    assert repeats() == 7


def test_what_the_keyboard_can_do(pc: Pc) -> None:
    call(pc, 0x16, ah=0x09)
    assert pc.cpu.al == 0x3D
    call(pc, 0x16, ah=0x0A)
    assert pc.cpu.bx == 0x41AB


def test_a_held_key_repeats(tmp_path: Path) -> None:
    program = bytes.fromhex("31 C0 8E C0 BF 00 90 B4 00 CD 16 AB EB F9")
    with Machine(str(disk(tmp_path, program))) as machine:
        assert machine.pc is not None
        machine.keys.put(Key("x", True, "x"))
        machine.tick(60)  # 1 s: once, then after 0.5 s 10.9 times a second
        machine.keys.put(Key("x", False))
        machine.tick(60)
        assert 6 <= (machine.pc.cpu.di - 0x9000) // 2 <= 7


def test_the_clock_ticks_18_times_a_second(tmp_path: Path) -> None:
    with Machine(str(disk(tmp_path, b"\xf4\xeb\xfd"))) as machine:
        assert machine.pc is not None
        before = machine.pc.bus.read32(0x46C)
        machine.tick(600)
        assert machine.pc.bus.read32(0x46C) - before == 182
        call(machine.pc, 0x1A, ah=2)
        assert machine.pc.cpu.cx == to_bcd(10) << 8 | to_bcd(20)
        assert machine.pc.cpu.dh == to_bcd(40)


def test_a_random_generator_can_be_seeded_at_power_on(pc: Pc) -> None:
    call(pc, 0x1A, ah=0)
    assert pc.cpu.dl
    assert pc.cpu.dh
    call(pc, 0x1A, ah=2)
    assert all((pc.cpu.ch, pc.cpu.cl, pc.cpu.dh))
    call(pc, 0x1A, ah=4)
    assert all((pc.cpu.ch, pc.cpu.cl, pc.cpu.dh, pc.cpu.dl))
    for index in (0, 2, 4, 6, 7, 8, 9):
        pc.bus.port_out(0x70, 1, index)
        assert pc.bus.port_in(0x71, 1)


def test_time_and_date_are_set(pc: Pc) -> None:
    assert not call(pc, 0x1A, ah=3, cx=0x2359, dx=0x5800) & CARRY
    assert not call(pc, 0x1A, ah=5, cx=0x2024, dx=0x0229) & CARRY
    call(pc, 0x1A, ah=2)
    assert (pc.cpu.cx, pc.cpu.dh) == (0x2359, 0x58)
    call(pc, 0x1A, ah=4)
    assert (pc.cpu.cx, pc.cpu.dx) == (0x2024, 0x0229)
    assert call(pc, 0x1A, ah=5, cx=0x2023, dx=0x0229) & CARRY
    arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
    call(pc, 0x1A, ah=5, cx=0x2030, dx=0x0101)
    pc.restore_state(arrays)
    call(pc, 0x1A, ah=4)
    assert (pc.cpu.cx, pc.cpu.dx) == (0x2024, 0x0229)


def test_an_event_sets_its_flag(tmp_path: Path) -> None:
    # xor ax, ax; mov es, ax; mov bx, 9000h; mov ax, 8300h; mov cx, 1; mov dx, 86A0h; int 15h
    # again: test byte [9000h], 80h; jz again; cli; hlt
    program = bytes.fromhex(
        "31 C0 8E C0 8E D8 BB 00 90 B8 00 83 B9 01 00 BA A0 86 CD 15 F6 06 00 90 80 74 F9 FA F4"
    )
    with Machine(str(disk(tmp_path, program))) as machine:
        assert not machine.tick(60)
        assert 6 <= machine.frames <= 9  # 100 ms
        pc = machine.pc
        assert pc is not None
        assert pc.bus.read8(0x9000) == 0x80


def test_one_event_at_a_time(pc: Pc) -> None:
    event = {"cx": 0, "dx": 1000, "es": 0x900, "bx": 0}
    assert not call(pc, 0x15, ax=0x8300, **event) & CARRY
    assert call(pc, 0x15, ax=0x8300, **event) & CARRY
    assert not call(pc, 0x15, ax=0x8301) & CARRY
    pc.clock.set_ns(10**9)
    pc.bios.new_slice()
    assert pc.bus.read8(0x9000) == 0
    for number in (0x90, 0x91):
        assert not call(pc, 0x15, ah=number, al=0) & CARRY
        assert pc.cpu.ah == 0


def test_the_equipment(pc: Pc) -> None:
    call(pc, 0x11)
    assert pc.cpu.ax == 0x4227  # a drive, coprocessor, mouse, 80x25 colour, serial port, printer


def test_wait_takes_its_time(tmp_path: Path) -> None:
    # int 15h/86h: 100 ms; then cli; hlt
    program = bytes.fromhex("B4 86 B9 01 00 BA A0 86 CD 15 FA F4")
    with Machine(str(disk(tmp_path, program))) as machine:
        assert not machine.tick(60)
        assert 6 <= machine.frames <= 8  # 65536 + 34464 us


def test_disk_reads_writes_and_its_copy(tmp_path: Path) -> None:
    path = disk(tmp_path, b"\xf4")
    path.write_bytes(path.read_bytes() + b"two".ljust(512, b"\0"))
    original = path.read_bytes()
    with make_pc(path) as pc:
        assert not call(pc, 0x13, ax=0x0201, cx=2, dx=0, es=0x900, bx=0) & CARRY
        assert pc.bus.read(0x9000, 3) == b"two"
        pc.bus.write(0x9000, b"new")
        assert not call(pc, 0x13, ax=0x0301, cx=2, dx=0, es=0x900, bx=0) & CARRY
        call(pc, 0x13, ax=0x0201, cx=2, dx=0, es=0x910, bx=0)
        assert pc.bus.read(0x9100, 3) == b"new"
        assert call(pc, 0x13, ax=0x0201, cx=0x0040, dx=0, es=0x900, bx=0) & CARRY  # sector 0
        assert call(pc, 0x13, ax=0x0201, cx=1, dx=0x81, es=0x900, bx=0) & CARRY
        call(pc, 0x13, ah=8, dx=0)
        assert (pc.cpu.ch, pc.cpu.cl, pc.cpu.dh, pc.cpu.bl) == (79, 18, 1, 4)
    assert path.read_bytes() == original
    with make_pc(path, writable=True) as pc:
        pc.bus.write(0x9000, b"new")
        call(pc, 0x13, ax=0x0301, cx=2, dx=0, es=0x900, bx=0)
    assert path.read_bytes()[512:515] == b"new"


def test_transfers_past_the_disks_end_are_told(pc: Pc) -> None:
    pc.bus.write(0x9000, b"end")
    last = {"ch": 79, "cl": 18, "dh": 1, "dl": 0, "es": 0x900, "bx": 0}
    for number in (3, 2, 4):  # write, read, verify
        assert call(pc, 0x13, ah=number, al=10, **last) & CARRY
        assert pc.cpu.ax == 0x0401
        assert not call(pc, 0x13, ah=number, al=1, **last) & CARRY
        assert pc.cpu.ax == 0x0001
        assert call(pc, 0x13, ah=number, al=0, **last) & CARRY


@pytest.mark.parametrize("name", ["gone", "full"])
def test_an_image_that_cannot_be_written_to_is_a_write_fault(tmp_path: Path, name: str) -> None:
    def full(at: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # A hard disk of 4 MiB with one partition.
    path = disk(tmp_path, b"\xf4")
    table = bytes.fromhex("80 00 01 00 06 00 00 00 01 00 00 00 00 1F 00 00")
    path.write_bytes(b"\xf4".ljust(446, b"\0") + table.ljust(64, b"\0") + b"\x55\xaa")
    with path.open("r+b") as file:
        file.truncate(4 << 20)
    with make_pc(path, writable=True) as pc:
        if name == "gone":
            path.unlink()
        else:
            pc.image._write_file = full  # type: ignore[method-assign, union-attr]
        before = pc.image.digest()
        pc.bus.write(0x9000, b"new")
        assert call(pc, 0x13, ax=0x0301, cx=2, dx=0x80, es=0x900, bx=0) & CARRY
        assert (pc.cpu.ax, pc.bus.read8(0x474)) == (0xCC00, 0xCC)
        pc.bus.write(0x8000, bytes.fromhex("10 00 01 00 00 00 00 09 01 00 00 00 00 00 00 00"))
        assert call(pc, 0x13, ah=0x43, dx=0x80, ds=0x800, si=0) & CARRY
        assert pc.cpu.ah == 0xCC
        assert pc.image.digest() == before
        assert not call(pc, 0x13, ax=0x0201, cx=2, dx=0x80, es=0x900, bx=0) & CARRY
        assert pc.bus.read(0x9000, 3) == bytes(3)


def test_the_medium_in_the_drive(pc: Pc) -> None:
    assert not call(pc, 0x13, ah=0x18, ch=79, cl=18, dl=0) & CARRY
    assert (pc.cpu.es, pc.cpu.di) == (0xF000, 0xEFC7)
    assert call(pc, 0x13, ah=0x18, ch=39, cl=9, dl=0) & CARRY
    assert pc.cpu.ah == 0x0C


@pytest.mark.parametrize(("code", "name"), [("B4 09 CD 20", "INT 20h"), ("30 E4 CD 21", "INT 21h")])
def test_a_boot_sector_that_calls_dos_is_told_so(tmp_path: Path, code: str, name: str) -> None:
    with (
        Machine(str(disk(tmp_path, bytes.fromhex(code)))) as machine,
        pytest.raises(GuestFault, match=f"^{name}: a boot sector has no DOS"),
    ):
        machine.tick(5)


@pytest.mark.parametrize(("target", "status"), [(0, 0), (4096 * 4096 - 4, 0), (4096 * 4096, 2)])
def test_blocks_move_to_the_frame_buffer_and_back(pc: Pc, target: int, status: int) -> None:
    call(pc, 0x10, ax=0x4F02, bx=0x4101)
    pc.bus.write(0x9000, b"pixl")
    for source, to in ((0x9000, LFB_GPA + target), (LFB_GPA + target, 0x100000)):
        table = bytearray(48)
        for at, address in ((0x10, source), (0x18, to)):
            low, high = (address & 0xFFFFFF).to_bytes(3, "little"), address >> 24
            table[at : at + 8] = b"\xff\xff" + low + bytes((0x93, 0, high))
        pc.bus.write(0x8000, bytes(table))
        flags = call(pc, 0x15, ah=0x87, es=0x800, si=0, cx=2)
        assert (pc.cpu.ah, flags & 1) == (status, int(status > 0))
    assert (pc.bus.read(0x100000, 4) == b"pixl") == (status == 0)


def test_memory_sizes(pc: Pc) -> None:
    call(pc, 0x12)
    assert pc.cpu.ax == 640
    assert not call(pc, 0x15, ah=0x88) & CARRY
    assert pc.cpu.ax == 15 * 1024
    pc.cpu.set("edx", 0x534D4150)
    pc.cpu.set("ebx", 0)
    assert not call(pc, 0x15, ax=0xE820, es=0x900, di=0) & CARRY
    assert pc.bus.read32(0x9008) == 640 << 10  # as INT 12h has it: nothing of it is the BIOS's
    assert pc.bus.read16(0x40E) == 0  # no extended data area
    assert call(pc, 0x15, ah=0xC1) & CARRY
    assert call(pc, 0x15, ah=0x53) & CARRY


@pytest.mark.parametrize(
    "choice", ["/usr/share/seabios/vgabios-isavga.bin", "/usr/share/vgabios/vgabios.bin"]
)
@pytest.mark.parametrize("name", ["colours", "modes12"])
def test_a_real_vga_bios_shows_the_same(choice: str, name: str) -> None:
    if not Path(choice).is_file():
        pytest.skip(f"{choice} is not here")
    shown = []
    for bios in ("builtin", choice):
        with Machine(str(GUESTS / f"{name}.img"), vga_bios=bios) as machine:
            machine.tick(60)
            picture = machine.screen.full_redraw()
            # The fonts differ: text is compared as text, graphics below the title's row.
            shown.append(machine.screen.text() if machine.screen.is_text else picture[16:].tolist())
    assert shown[0] == shown[1]


# --- the user's font ----------------------------------------------------------------------------


def user_font(height: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (256, height), np.uint8)


def plane_2(pc: Pc, height: int, block: int = 0) -> np.ndarray:
    """Glyphs as they lie in a block of plane 2."""
    plane = planes_of(pc.vga)[:, 2]
    start = FONT_ADDRESS[block]
    return plane[start : start + 8192].reshape(256, 32)[:, :height]


@contextmanager
def pc_with_font(tmp_path: Path, height: int, **options: str) -> Iterator[Pc]:
    vga = Vga(Memslot(1024, LFB_GPA >> 12))
    vga.rom_font = user_font(height)
    pc = build_pc(vga, Keys(), load_image(str(disk(tmp_path, b"\xf4")), []), **options)  # type: ignore[arg-type]
    try:
        yield pc
    finally:
        pc.close()


@pytest.mark.parametrize(("height", "rows"), [(8, 50), (14, 28), (16, 25), (19, 21)])
def test_text_modes_start_with_the_users_font(tmp_path: Path, height: int, rows: int) -> None:
    with pc_with_font(tmp_path, height) as pc:
        for _ in range(2):
            np.testing.assert_array_equal(plane_2(pc, height), user_font(height))
            assert (pc.bus.read8(0x484) + 1, pc.bus.read16(0x485)) == (rows, height)
            assert Screen(pc.vga).text()[rows - 1 :] == [" " * 80]
            call(pc, 0x10, ax=0x0013)
            call(pc, 0x10, ax=0x0003)
        # The last row is one that characters reach and that scrolls.
        call(pc, 0x10, ah=2, bh=0, dh=rows - 1, dl=0)
        for code in b"x\r\ny":
            call(pc, 0x10, ah=0x0E, al=code, bh=0)
        assert [row[:1] for row in Screen(pc.vga).text()[-2:]] == ["x", "y"]


@pytest.mark.parametrize("height", [8, 14, 16])
def test_font_calls_load_the_users_font_of_its_height(tmp_path: Path, height: int) -> None:
    calls = {14: 0x01, 8: 0x02, 16: 0x04}
    with pc_with_font(tmp_path, height) as pc:
        for other, number in calls.items():
            call(pc, 0x10, ah=0x11, al=number, bl=1)
            expected = user_font(other) if other == height else bundled_font(other)
            np.testing.assert_array_equal(plane_2(pc, other, 1), expected)
        call(pc, 0x10, ah=0x11, al=calls[height] | 0x10, bl=0)
        assert pc.bus.read16(0x485) == height
        np.testing.assert_array_equal(plane_2(pc, height), user_font(height))
        # Graphics draw with ROM's copy of it.
        call(pc, 0x10, ah=0x11, al=0x30, bh={8: 3, 14: 2, 16: 6}[height])
        at = (pc.cpu.es << 4) + pc.cpu.bp
        assert pc.bus.read(at, 256 * height) == user_font(height).tobytes()


def test_a_font_and_a_rom_that_brings_its_own(tmp_path: Path) -> None:
    with pc_with_font(tmp_path, 16, vga_bios="auto") as pc:
        np.testing.assert_array_equal(plane_2(pc, 16), user_font(16))
    for options in ({"vga_bios": "rom.bin"}, {"firmware": "seabios", "cpu": "kvm"}):
        with (
            pytest.raises(ImageError, match=r"--font: a VGA BIOS ROM brings its own"),
            pc_with_font(tmp_path, 16, **options),
        ):
            pass


def test_the_font_option_reaches_a_boot_sector(tmp_path: Path) -> None:
    font, shot = tmp_path / "f.fnt", tmp_path / "shot.png"
    font.write_bytes(bytes(b"\xaa\x55" * 8) * 256)
    # mov ah, 0Eh; mov al, 'A'; int 10h
    code = disk(tmp_path, bytes.fromhex("B4 0E B0 41 CD 10 FA F4"))
    arguments = ["run", str(code), "--headless", "--frames", "3", "--font", str(font)]
    assert main([*arguments, "--screenshot", str(shot)]) == 0
    with Image.open(shot) as picture:
        light = np.asarray(picture.convert("L"))[:16, :8] > 0
    np.testing.assert_array_equal(light, np.indices((16, 8)).sum(axis=0) % 2 == 0)
