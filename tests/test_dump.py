"""Dumps for people: registers by name, the palette as a picture. Looking changes nothing."""

import re

import numpy as np
import pytest
from PIL import Image

import vgaemu
from vgaemu.cli.main import main
from vgaemu.vga import dispi
from vgaemu.vga.dump import GAP, HEAD, MARGIN, SWATCH, dump_registers, palette_picture
from vgaemu.vga.modes import set_dispi_mode


@pytest.fixture
def machine():
    with vgaemu.Machine(mode=0x13) as machine:
        yield machine


def section(dump, name):
    parts = dump.split("\n\n")
    return next(part for part in parts if part.split("\n")[0].split("  ")[0] == name)


def test_every_row_and_field_is_there_with_its_value(machine):
    dump = dump_registers(machine.vga)
    vga = machine.vga
    for bank in (vga.misc, vga.sequencer, vga.crtc, vga.graphics, vga.attribute):
        text = section(dump, bank.name)
        for row in bank.rows:
            line = rf"^{row.index:02X}h  {row.name} +{bank.values[row.index]:02X}( |$)"
            assert re.search(line, text, re.M), row.name
            for field in row.fields:
                assert re.search(rf"\b{field.name} {bank[field.name]}\b", text), field.name
    assert max(map(len, dump.splitlines())) <= 110


def test_values_stand_in_one_column(machine):
    vga = machine.vga
    dump = dump_registers(vga)
    for bank in (vga.misc, vga.sequencer, vga.crtc, vga.graphics, vga.attribute):
        lines = re.findall(r"^[0-9A-F]{2}h  \w+ +(?=[0-9A-F]{2}\b)", section(dump, bank.name), re.M)
        assert len(lines) == len(bank.rows)
        assert len({len(line) for line in lines}) == 1, bank.name


def test_what_several_registers_say_together(machine):
    for value in (0x120C, 0x340D, 0x0318, 0x0A07):  # start 1234h; line compare 3 and higher bits
        machine.vga.outw(0x3D4, value)
    text = section(dump_registers(machine.vga), "picture")
    assert "start address              1234h" in text
    assert "line compare               515" in text
    assert "70.09 Hz, 31.47 kHz" in text


def test_a_start_address_that_byte_panning_carries_past_the_last_one(machine):
    for value in (0xFF0C, 0xFE0D, 0x6008):  # FFFEh and three bytes
        machine.vga.outw(0x3D4, value)
    text = section(dump_registers(machine.vga), "picture")
    assert re.search(r"^ *start address +0001h$", text, re.M)


def test_dac_latches_and_flip_flop(machine):
    vga = machine.vga
    vga.outb(0x3C8, 0x20)
    for value in (1, 2, 3):
        vga.outb(0x3C9, value)
    vga.outb(0x3C7, 0x40)
    vga.outb(0x3C9, 0x3F)
    vga.inb(0x3C9)
    vga.outw(0x3C4, 0x0604)
    vga.outw(0x3C4, 0x0F02)
    vga.store(0xA0000, b"\x5a")
    vga.load(0xA0000, 1)
    vga.inb(0x3DA)
    dump = dump_registers(vga)
    dac = section(dump, "dac")
    assert "20h  010203 " in dac
    green, blue = vga.dac.entries[3 * 0x40 + 1 : 3 * 0x40 + 3]  # fetched before red was written
    assert re.search(rf"triple +3F {green:02X} {blue:02X}$", dac, re.M)
    assert re.search(r"index +41h$", dac, re.M)
    assert re.search(r"next byte of a triple +3 of 3$", dac, re.M)
    assert "reading" in dac
    assert "5A 5A 5A 5A" in section(dump, "latches")
    assert "the next write is an index" in section(dump, "attribute")


def test_dispi(machine):
    set_dispi_mode(machine.vga, 800, 600, 16)
    text = section(dump_registers(machine.vga), "dispi")
    for name, value in (("xres", "0320 800"), ("bpp", "0010 16"), ("id", "B0C5")):
        assert re.search(rf"{name} +{value}", text)
    flags = (
        "enabled 1",
        "getcaps 0",
        "bank_32k 0",
        "eight_bit_dac 0",
        "lfb_enabled 1",
        "no_clear 0",
    )
    assert ", ".join(flags) in re.sub(r"\s+", " ", text)
    rows = len(machine.vga.dispi.values)
    assert len(re.findall(r"^\w\wh  ", text, re.M)) == rows
    assert f"{dispi.MEMORY_64K:02X}h  memory_64k" in text
    assert "800x600x16bpp" in dump_registers(machine.vga)


@pytest.mark.parametrize("mode", [3, 7, 0x12, 0x13])
def test_looking_changes_nothing(mode):
    with vgaemu.Machine(mode=mode) as machine:
        vga = machine.vga
        vga.outb(0x3C0 if mode == 3 else 0x3C4, 5)
        state = lambda: (  # noqa: E731
            vga.generation, vga.latch, vga.attribute_takes_data, vga.dac.index,
            vga.dac.step, vga.dac.state, vga.crtc.index, vga.dispi.index,
        )  # fmt: skip
        before = state()
        dump_registers(vga)
        palette_picture(vga)
        assert state() == before


def test_palette_shows_each_colour_in_its_place(machine):
    pixels = np.asarray(palette_picture(machine.vga))
    rgb = machine.vga.dac.rgb()
    for index in range(256):
        x = MARGIN + HEAD + index % 16 * (SWATCH[0] + GAP)
        y = MARGIN + 2 * HEAD + index // 16 * (SWATCH[1] + GAP)
        swatch = pixels[y : y + SWATCH[1], x : x + SWATCH[0]].reshape(-1, 3)
        same = (swatch == rgb[index]).all(axis=1)
        assert same[0]
        assert same.mean() > 0.6
        # The number is there, and can be read.
        others = swatch[~same].astype(int)
        assert len(others) > 60
        assert np.abs(others - rgb[index]).sum(axis=1).min() > 60


def test_command_line(tmp_path, capsys):
    registers, palette = tmp_path / "r.txt", tmp_path / "p.png"
    arguments = ["run", "plasma", "--headless", "--frames", "2"]
    assert (
        main([*arguments, "--dump-registers", str(registers), "--dump-palette", str(palette)]) == 0
    )
    assert "320x200x256" in registers.read_text()
    with Image.open(palette) as picture:
        assert picture.width > picture.height
    assert "picture\n" not in capsys.readouterr().out
    assert main([*arguments, "--dump-registers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("picture\n")
    assert "harvest" in out


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        ("--dump-palette", "p.xyz", "no picture format"),
        ("--dump-palette", "no/p.png", "p.png"),
        ("--dump-registers", "no/r.txt", "r.txt"),
    ],
)
def test_wrong_names_are_one_line_before_anything_runs(option, name, says, capsys, tmp_path):
    arguments = ["run", "plasma", "--headless", "--frames", "2", option, str(tmp_path / name)]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
