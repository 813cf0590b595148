"""Console font files: PSF1, PSF2, raw; plain and gzipped; and what a machine does with them."""

import contextlib
import gzip
import struct

import numpy as np
import pytest
from vram_planes import planes_of

import vgaemu
from vgaemu.cli.main import main
from vgaemu.errors import FontError
from vgaemu.vga.codepage import CHARACTERS
from vgaemu.vga.font import bundled_font, load_font_file, plane_2_bytes

RANDOM = np.random.default_rng(7)


def glyphs(count=256, height=16):
    return RANDOM.integers(0, 256, (count, height), np.uint8)


def psf1(font, table=None):
    mode = (1 if len(font) == 512 else 0) | (2 if table else 0)
    words = "".join("".join(entry) + "\uffff" for entry in table or ())
    return bytes([0x36, 0x04, mode, font.shape[1]]) + font.tobytes() + words.encode("utf-16-le")


def psf2(font, table=None, *, width=8, header=32, version=0, **wrong):
    count, height = font.shape
    sizes = {"count": count, "nbytes": height, "height": height} | wrong
    head = struct.pack(
        "<4s7I", b"\x72\xb5\x4a\x86", version, header, 1 if table else 0,
        sizes["count"], sizes["nbytes"], sizes["height"], width,
    )  # fmt: skip
    entries = b""
    for entry in table or ():
        single, *sequences = entry
        entries += single.encode() + b"".join(b"\xfe" + s.encode() for s in sequences) + b"\xff"
    return head.ljust(header, b"\0") + font.tobytes() + entries


@pytest.fixture
def write(tmp_path):
    def write(data, name="x.psf"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("height", [1, 8, 14, 16, 19, 32])
@pytest.mark.parametrize(
    "make", [psf1, psf2, lambda font: font.tobytes()], ids=["psf1", "psf2", "raw"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_formats_and_heights(height, make, pack, write):
    font = glyphs(height=height)
    assert np.array_equal(load_font_file(write(pack(make(font)))), font)


def test_header_of_a_later_psf2_may_be_longer(write):
    font = glyphs()
    assert np.array_equal(load_font_file(write(psf2(font, header=48))), font)


@pytest.mark.parametrize("make", [psf1, psf2])
def test_first_half_of_512_glyphs_without_a_table(make, write):
    font = glyphs(512)
    assert np.array_equal(load_font_file(write(make(font))), font[:256])


@pytest.mark.parametrize("make", [psf1, psf2])
@pytest.mark.parametrize("count", [256, 512])
def test_table_brings_glyphs_into_the_order_of_code_page_437(make, count, write):
    font = glyphs(count)
    order = RANDOM.permutation(count)[:256]  # code -> glyph
    table = [[""] for _ in range(count)]
    for code, glyph in enumerate(order):
        table[glyph] = [CHARACTERS[code]]
    loaded = load_font_file(write(make(font, table)))
    blanks = [0x00, 0x20]  # the same character twice: both get its first glyph
    rest = np.setdiff1d(np.arange(256), blanks)
    assert np.array_equal(loaded[rest], font[order][rest])
    assert np.array_equal(loaded[0x00], loaded[0x20])


def test_sequences_are_no_characters_of_their_own(write):
    font = glyphs()
    table = [["x" if i == 5 else "A" if i == 9 else "", "AB"] for i in range(256)]
    loaded = load_font_file(write(psf2(font, table)))
    assert np.array_equal(loaded[ord("A")], font[9])
    assert np.array_equal(loaded[ord("x")], font[5])


def test_stand_ins_and_the_bundled_font_fill_gaps(write):
    font = glyphs()
    table = [[{3: "▶", 4: "A"}.get(i, "")] for i in range(256)]
    loaded = load_font_file(write(psf2(font, table)))
    assert np.array_equal(loaded[0x10], font[3])  # for the pointer that code page 437 has
    assert np.array_equal(loaded[ord("B")], bundled_font(16)[ord("B")])
    odd = glyphs(height=15)
    loaded = load_font_file(write(psf2(odd, table)))
    assert np.array_equal(loaded[ord("A")], odd[4])
    assert not loaded[ord("B")].any()


def test_few_glyphs_with_a_table(write):
    font = glyphs(96)
    table = [[chr(0x20 + i)] for i in range(96)]
    assert np.array_equal(load_font_file(write(psf2(font, table)))[0x20:0x7F], font[:0x5F])


WRONG = {
    "empty": (b"", "the file is empty"),
    "text": (b"this is no font\n" * 9, "not a font: neither PSF nor 256 raw glyphs of"),
    "raw 33 lines": (bytes(256 * 33), "not a font"),
    "magic alone": (b"\x36\x04", "truncated: a PSF1 header has 4 bytes"),
    "psf2 magic alone": (b"\x72\xb5\x4a\x86\0\0", "truncated: a PSF2 header has 32 bytes"),
    "psf1 cut": (psf1(glyphs())[:-1], "truncated: 256 glyphs of 16 bytes need 4100 bytes"),
    "psf2 cut": (psf2(glyphs())[:-1], "truncated: 256 glyphs of 16 bytes need 4128 bytes"),
    "psf1 no height": (b"\x36\x04\0\0" + bytes(99), "glyphs are 0 lines high"),
    "psf1 too high": (b"\x36\x04\0\x21" + bytes(99 * 256), "glyphs are 33 lines high"),
    "width": (psf2(glyphs(), width=12), "glyphs are 12 dots wide; a VGA font has 8"),
    "version": (psf2(glyphs(), version=1), "PSF2 version 1"),
    "sizes": (psf2(glyphs(), nbytes=32), "contradict"),
    "header": (psf2(glyphs(), header=32)[:8] + bytes(4) + psf2(glyphs())[12:], "contradict"),
    "count": (psf2(glyphs(), count=0xFFFFFFFF), "truncated"),
    "no glyphs": (psf2(glyphs(), count=0), "truncated"),
    "few": (psf2(glyphs(96)), "96 glyphs and no Unicode table"),
    "gzip": (gzip.compress(psf2(glyphs()))[:500], "a damaged gzip file"),
    "gzip head": (b"\x1f\x8b\x08", "a damaged gzip file"),
    "gzip of text": (gzip.compress(b"no font"), "not a font"),
    "bomb": (gzip.compress(bytes(5 << 20)), "larger than 4 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_one_line(name, write, capsys):
    data, says = WRONG[name]
    path = write(data)
    with pytest.raises(FontError) as caught:
        load_font_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert main(["run", "typing", "--headless", "--frames", "1", "--font", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"vgaemu: --font {path}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["missing.psf", "."])
def test_unreadable_is_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FontError, match=r"; name a font file$"):
        load_font_file(name)


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_a_font_or_a_font_error(seed, write):
    random = np.random.default_rng(seed)
    data = bytearray((psf1, psf2)[seed & 1](glyphs(512 if seed & 2 else 256), [["A"]] * 300))
    for at in random.integers(0, 40, 4):
        data[at] = random.integers(0, 256)
    path = write(bytes(data[: random.integers(20, len(data))]))
    with contextlib.suppress(FontError):
        font = load_font_file(path)
        assert font.shape[0] == 256
        assert 1 <= font.shape[1] <= 32


# --- on a machine -----------------------------------------------------------------------------


def plane_2(machine):
    return planes_of(machine.vga)[: 256 * 32, 2].tobytes()


@pytest.mark.parametrize(("height", "rows"), [(8, 50), (14, 28), (16, 25), (19, 21), (32, 12)])
def test_text_modes_load_it_and_have_as_many_rows_as_fit(height, rows, write):
    font = glyphs(height=height)
    with vgaemu.Machine(font=write(psf2(font))) as machine:
        for mode in (3, 1, 7, 3):
            machine.guest.set_mode(0x13)
            machine.guest.set_mode(mode)
            machine.tick()
            assert plane_2(machine) == plane_2_bytes(font)
            assert machine.screen.text() == [" " * (40 if mode == 1 else 80)] * rows
            assert machine.screen.frame.shape[0] == rows * height
            assert machine.guest.text.rows == rows


def test_what_is_shown_is_the_font():
    font = glyphs(height=14)
    with vgaemu.Machine(font=font) as machine:
        machine.vga.outw(0x3C4, 0x0101)  # cells of eight dots
        machine.guest.text.cursor(False)
        machine.vga.store(0xB8000, bytes(c for code in range(80) for c in (code, 0x0F)))
        machine.tick()
        dots = np.unpackbits(font[:80], axis=1).reshape(80, 14, 8).transpose(1, 0, 2)
        assert np.array_equal(machine.screen.frame[:14] == 0xFFFFFF, dots.reshape(14, 640) == 1)


@pytest.mark.parametrize(
    ("font", "why"),
    [
        (np.zeros((128, 16), np.uint8), r"not uint8 \(128, 16\)"),
        (np.zeros((256, 16)), "not float64"),
        (np.zeros(4096, np.uint8), r"not uint8 \(4096,\)"),
        (np.zeros((256, 33), np.uint8), "33 lines high"),
        (np.zeros((256, 0), np.uint8), "0 lines high"),
    ],
)
def test_an_array_that_is_no_font(font, why):
    with pytest.raises(FontError, match=why):
        vgaemu.Machine(font=font)


def test_cells_of_a_named_mode_stay_as_named():
    """80x50 needs eight lines: another font does not take their place, one of eight does."""
    for height, expected in ((16, bundled_font(8)), (8, None)):
        font = glyphs(height=height)
        with vgaemu.Machine(font=font) as machine:
            machine.guest.set_mode("80x50 text")
            machine.tick()
            assert len(machine.screen.text()) == 50
            assert plane_2(machine) == plane_2_bytes(font if expected is None else expected)


def test_command_line(write, tmp_path):
    path = write(gzip.compress(psf1(glyphs(height=8))), "small.psf.gz")
    out = tmp_path / "t.txt"
    arguments = ["run", "typing", "--headless", "--frames", "3", "--dump-text", str(out)]
    assert main([*arguments, "--font", str(path)]) == 0
    assert len(out.read_text().splitlines()) == 50
