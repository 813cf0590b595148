"""A VGA in somebody's own Unicorn script."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from films import decoded
from rfb_client import RAW, Client
from shadow import ShadowDisplay
from vram_planes import planes_of
from x86_helpers import CPUS, disk

import vgaemu
from vgaemu import native
from vgaemu.attached import VgaCard
from vgaemu.errors import DisplayError
from vgaemu.keys.queue import Key
from vgaemu.machine import Machine

unicorn = pytest.importorskip("unicorn")
from unicorn import x86_const as x86  # noqa: E402

#: inc byte [0]; jmp back, with DS = A000h or B800h
COUNT = bytes.fromhex("FE 06 00 00 EB FA")


def engine(segment: int = 0xB800) -> Any:
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)
    uc.mem_map(0, 0x10000)
    uc.mem_write(0x1000, COUNT)
    uc.reg_write(x86.UC_X86_REG_DS, segment)
    return uc


def run(uc: Any) -> None:
    uc.emu_start(0x1000, 0xFFFF, count=10)


def test_the_frames_of_a_script() -> None:
    uc = engine()
    with vgaemu.attach(uc, dirty_log="words", span_pages=64) as card:
        card.draw_frame()
        run(uc)
        assert card.draw_frame().dirty_pages.tolist() == [0]
        run(uc)
        assert card.draw_frame().dirty_pages.tolist() == [0]
        assert card.vram.dirty_log == "words"
        assert card.draw_frame().dirty_pages.tolist() == []


def test_another_keeper_takes_over_between_slices_and_in_a_hook() -> None:
    names = cycle(["words", "srcu", "flags", "sparse"])
    uc = engine(0xA000)
    uc.mem_write(0x1000, bytes.fromhex("FE 06 00 00 E6 80 EB F8"))  # out 80h, al before the jump

    def port_out(port: int, size: int, value: int) -> None:
        card.vram.keep_with(next(names))

    with vgaemu.attach(uc, mode=0x13, port_out=port_out) as card:
        card.draw_frame()
        for _ in range(8):
            run(uc)
            card.vram.keep_with(next(names))
            assert card.draw_frame().dirty_pages.tolist() == [0]
            assert card.screen.frame.tolist() == card.screen.full_redraw().tolist()
            assert card.draw_frame().dirty_pages.tolist() == []


def test_logging_off_and_on_again_misses_no_store() -> None:
    uc = engine(0xA000)
    with vgaemu.attach(uc, mode=0x13) as card:
        card.vram.get_dirty_log()
        run(uc)
        assert card.vram.get_dirty_log().pages().tolist() == [0]
        run(uc)
        card.vram.logging = False
        run(uc)
        card.vram.logging = True
        assert not card.vram.get_dirty_log()
        run(uc)  # the page was open in the engine's TLB
        assert card.vram.get_dirty_log().pages().tolist() == [0]


@pytest.mark.parametrize("cpu", CPUS)
def test_logging_off_and_on_beside_a_running_cpu(tmp_path: Path, cpu: str) -> None:
    # mov ax, 13h; int 10h; mov ax, A000h; mov ds, ax; inc byte [0]; jmp back
    code = bytes.fromhex("B8 13 00 CD 10 B8 00 A0 8E D8") + COUNT
    with Machine(str(disk(tmp_path, code)), cpu=cpu, free=True) as machine:  # type: ignore[arg-type]
        slot, counted = machine.vram, -1
        for _ in range(2000):
            machine.run_frame()
            if slot.array[0] > 3:
                break
        view = slot.subscribe()
        for _ in range(20):
            slot.logging = False
            slot.logging = True
            counted = int(slot.array[0])
            deadline = threading.Event()
            while int(slot.array[0]) == counted:
                deadline.wait(0.001)
            deadline.wait(0.01)
            assert 0 in view.get_dirty_log().pages()


@pytest.mark.parametrize("dirty_log", ["flags", "sparse", "words", "srcu"])
@pytest.mark.parametrize("cpu", CPUS)
def test_logging_off_and_on_whoever_keeps_the_log(tmp_path: Path, cpu: str, dirty_log: str) -> None:
    guest = str(disk(tmp_path, b"\xf4"))  # hlt
    with Machine(guest, cpu=cpu, dirty_log=dirty_log) as machine:  # type: ignore[arg-type]
        machine.tick(2)
        machine.vram.get_dirty_log()
        machine.vram.logging = False
        machine.vram.logging = True
        machine.vram.write(100 * 4096, b"x")
        assert machine.vram.get_dirty_log().pages().tolist() == [100]


#: With DS = A000h: store a byte; chain-4 off, only plane 1 is written; store another.
UNCHAIN = bytes.fromhex("C6 06 00 00 11 BA C4 03 B8 04 06 EF B8 02 02 EF C6 06 04 00 22")


@pytest.mark.parametrize("framed", [False, True], ids=["no frame before", "frame before"])
@pytest.mark.parametrize("moved", [False, True], ids=["one thread", "another thread"])
def test_windows_move_whoever_harvested_last(framed: bool, moved: bool) -> None:
    uc = engine(0xA000)
    uc.mem_write(0x2000, UNCHAIN)
    with vgaemu.attach(uc, mode=0x13) as card:
        if framed:
            card.draw_frame()

        def work() -> None:
            uc.emu_start(0x2000, 0x2000 + len(UNCHAIN))

        thread = threading.Thread(target=work, daemon=True)
        if moved:
            thread.start()
            thread.join(10)
        else:
            work()
        assert [planes_of(card.vga)[0, 0], planes_of(card.vga)[4, 1]] == [0x11, 0x22]


def test_a_mode_that_the_script_sets_moves_windows() -> None:
    uc = engine(0xA000)
    with vgaemu.attach(uc, mode=0x13) as card:
        run(uc)
        assert card.vram.array[0]
        card.set_mode(0x12)
        card.vram.array[:] = 0
        card.vga.outw(0x3C4, 0x0202)  # plane 1
        run(uc)
        assert not card.vram.array[0]
        assert card.vram.array[1]


def test_all_on_a_thread_of_its_own() -> None:
    ended: list[list[int]] = []
    uc = engine()
    card = vgaemu.attach(uc)
    card.draw_frame()

    def work() -> None:
        run(uc)
        ended.append(card.draw_frame().dirty_pages.tolist())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert ended == [[0]]
    card.close()


def test_after_close_the_engine_is_as_it_was() -> None:
    uc = engine()
    before = list(uc.mem_regions())
    card = vgaemu.attach(uc)
    assert isinstance(card, VgaCard)
    run(uc)
    card.close()
    card.close()
    assert list(uc.mem_regions()) == before
    with pytest.raises(unicorn.UcError):
        run(uc)
    with vgaemu.attach(uc) as again:
        run(uc)
        assert again.draw_frame().dirty_pages.tolist()


@pytest.mark.parametrize("at", [0xDFFFF000, 0xE0FFF000, 0xF001F000, 0x2_0000_0000])
def test_what_lies_where_the_vga_would_be_is_named(at: int) -> None:
    uc = engine()
    uc.mem_map(at, 0x2000)
    before = list(uc.mem_regions())
    with pytest.raises(vgaemu.AttachError, match=f"where {at:X}h-{at + 0x1FFF:X}h is mapped"):
        vgaemu.attach(uc)
    assert list(uc.mem_regions()) == before


def test_only_x86_engines_are_taken() -> None:
    arm = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
    with pytest.raises(vgaemu.AttachError, match="UC_ARCH_X86"):
        vgaemu.attach(arm)
    wrong: Any = bytearray(9)
    with pytest.raises(vgaemu.AttachError, match=r"a unicorn\.Uc, not to a bytearray"):
        vgaemu.attach(wrong)


def test_sizes_are_checked_before_the_engine_is_touched() -> None:
    uc = engine()
    before = list(uc.mem_regions())
    with pytest.raises(vgaemu.MemslotError, match="vram_mib is 1 to 256, not 512"):
        vgaemu.attach(uc, vram_mib=512)
    with pytest.raises(vgaemu.MemslotError, match="span_pages is 64, 32, 16 or 8, not '8'"):
        vgaemu.attach(uc, span_pages="8")  # type: ignore[arg-type]
    assert list(uc.mem_regions()) == before


def test_displays_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(vgaemu.DisplayError, match="there are null, window and terminal"):
        vgaemu.attach(engine(), display="nowhere")
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with vgaemu.attach(engine(), display="window") as card:
        card.draw_frame()


def test_32_bit_port_accesses_reach_the_vga_as_on_the_bus() -> None:
    uc = engine()
    # edx = 3C4h; eax = FF000502h; out dx, eax; edx = 1CEh; eax = 02340001h; out dx, eax
    # edx = 3C4h; in eax, dx
    code = "66 BA C4 03 00 00 66 B8 02 05 00 FF 66 EF 66 BA CE 01 00 00 66 B8 01 00 34 02 66 EF"
    code += "66 BA C4 03 00 00 66 ED"
    uc.mem_write(0x1000, bytes.fromhex(code))
    with vgaemu.attach(uc) as card:
        uc.emu_start(0x1000, 0xFFFF, count=8)
        assert card.vga.sequencer["map_mask"] == 5
        assert (card.vga.dac.mask, card.vga.dac.index) == (0x00, 0x00)  # 3C7h = FFh: one more
        assert (card.vga.dispi.index, card.vga.dispi.values[1]) == (1, 0x234)
        assert uc.reg_read(x86.UC_X86_REG_EAX) == 0x03000502


def test_a_scripts_hook_for_unmapped_memory_is_called() -> None:
    uc = engine(0x9000)
    asked = []

    def map_it(uc: Any, access: int, address: int, *_: Any) -> bool:
        asked.append(address)
        uc.mem_map(address & ~0xFFF, 0x1000)
        return True

    with vgaemu.attach(uc):
        uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, map_it)
        run(uc)
    assert asked == [0x90000]
    assert uc.mem_read(0x90000, 1) == b"\5"


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda uc: None, "UC_ERR_READ_UNMAPPED"),
        (lambda uc: uc.mem_map(0x90000, 0x1000, 1), "UC_ERR_WRITE_PROT"),
    ],
)
def test_errors_of_memory_are_the_engines(prepare: Callable[[Any], None], error: str) -> None:
    uc = engine(0x9000)
    prepare(uc)
    with vgaemu.attach(uc), pytest.raises(unicorn.UcError) as raised:
        run(uc)
    assert raised.value.errno == getattr(unicorn, error)


def test_code_that_is_not_there_is_the_engines_error() -> None:
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    with vgaemu.attach(uc), pytest.raises(unicorn.UcError) as raised:
        uc.emu_start(0x200000, 0, count=1)
    assert raised.value.errno == unicorn.UC_ERR_FETCH_UNMAPPED


def test_a_closed_vga_shows_no_frames() -> None:
    uc = engine()
    with vgaemu.attach(uc) as card:
        with pytest.raises(vgaemu.AttachError, match="mapped already"):
            vgaemu.attach(uc)
        card.draw_frame()
    with pytest.raises(RuntimeError, match="closed"):
        card.draw_frame()
    vgaemu.attach(uc).close()


def test_a_dispi_mode_shows_what_the_script_stores_into_the_frame_buffer() -> None:
    # mov byte [E0000005h], 7Fh, in 32-bit code
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    uc.mem_map(0, 0x10000)
    uc.mem_write(0x1000, bytes.fromhex("C6 05 05 00 00 E0 7F"))
    with vgaemu.attach(uc) as card:
        card.set_dispi_mode(640, 480, 32)
        card.draw_frame()
        uc.emu_start(0x1000, 0x1007)
        assert card.draw_frame().dirty_pages.tolist() == [0]
        assert card.screen.frame.shape == (480, 640)
        assert card.screen.frame[0, 1] == 0x007F00
        with pytest.raises(vgaemu.ModeError):
            card.set_dispi_mode(64, 48, 7)


def test_a_card_says_what_it_is() -> None:
    card = vgaemu.attach(engine(), mode=0x13)
    assert "VgaCard 320x200" in repr(card)
    with pytest.raises(vgaemu.SnapshotError, match="the script's own to keep"):
        card.snapshot()
    card.close()
    assert "closed" in repr(card)


def test_a_card_is_recorded_and_looked_at(tmp_path: Path) -> None:
    uc, path = engine(0xA000), tmp_path / "card.png"
    with vgaemu.attach(uc, mode=0x13) as card:
        server = card.serve(port=0)
        recording = card.record(path)
        with Client(server.port, (RAW,)) as client:
            for _ in range(3):
                run(uc)
                card.draw_frame()
            client.see(card.screen.frame)
            client.type("a")
            until = monotonic() + 10
            typed: list[object] = []
            while len(typed) < 2 and monotonic() < until:
                typed += server.poll()
        assert [event.pressed for event in typed if isinstance(event, Key)] == [True, False]
        last = card.screen.rgb()
    assert (recording.pictures, recording.goes_on) == (3, False)
    np.testing.assert_array_equal(decoded(path)[-1].rgb, last)
    threads = threading.active_count()
    with pytest.raises(DisplayError):
        card.serve(port=0)
    assert threading.active_count() == threads  # nobody listens
    with pytest.raises(DisplayError):
        card.record(path)


def test_a_cards_display_is_told_what_is_wrong_with_a_recording(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(ShadowDisplay):
        def notice(self, text: str) -> None:
            told.append(text)

    with vgaemu.attach(engine(0xA000), mode=0x13, display=Told()) as card:
        recording = card.record(tmp_path / "card.png")
        card.draw_frame()
        recording._recorder.problem = "card.png: there is no room"
        card.draw_frame()
        card.draw_frame()
        recording._recorder.problem = ""
    assert told == ["card.png: there is no room"]


def planar_program(rng: random.Random) -> bytes:
    """32-bit code: stores and loads of all sizes through the planes, and registers between them."""
    code = bytearray()

    def put(text: str, number: int | None = None) -> None:
        code.extend(bytes.fromhex(text))
        if number is not None:
            code.extend(number.to_bytes(4, "little"))

    put("BE", 0xA0123)
    put("AC")  # something is in the latches,
    put("BA", 0x3CE)
    put("B8", 8 | rng.getrandbits(8) << 8)
    put("66 EF")  # and they matter
    put("BF", 0xA0200)
    put("B9", 90)
    put("F3 AA")
    for _ in range(60):
        put("BF", rng.randrange(0x9FFF0, 0xC0008))  # mov edi
        put("BE", rng.randrange(0xA0000, 0xBFF00))  # mov esi
        put("B8", rng.getrandbits(32))  # mov eax
        put("B9", rng.randrange(1, 90))  # mov ecx
        what = rng.choice((
            "AA", "66 AB", "AB", "F3 AA", "F3 66 AB", "F3 AB", "F3 A4", "F3 66 A5", "F3 A5", "AC",
            "AD", "00 07", "66 01 07", "31 07", "87 07", "86 27",
        ))  # fmt: skip
        put(what)
        put("66 31 05", 0x8000 + 4 * rng.randrange(64))  # xor [RAM], ax
        if rng.random() < 0.5:
            port, index = rng.choice(((0x3CE, rng.randrange(9)), (0x3C4, 2)))
            put("BA", port)
            put("B8", index | rng.getrandbits(8) << 8)
            put("66 EF")  # out dx, ax
    return bytes(code)


@pytest.mark.parametrize("seed", range(6))
def test_native_code_takes_over_in_mid_program(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """VRAM, latches, RAM, registers and the log are Python's, wherever in a REP it is."""
    if not native.load(wait=True):
        pytest.skip(f"no native code: {native.why_not()}")
    rng = random.Random(f"{os.environ['VGAEMU_FUZZ_SEED']} {seed}")
    code, mode, done = planar_program(rng), rng.choice((0x0D, 0x12)), []
    picture = rng.randbytes(1 << 12)
    for before in (rng.randrange(1, 900 if seed % 2 else 80), 1 << 40):
        monkeypatch.setattr("vgaemu.pc.cpu.unicorn_card.BEFORE_NATIVE", before)
        uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
        uc.mem_map(0, 0xA0000)
        uc.mem_map(0xC0000, 0x1000)
        uc.mem_write(0x1000, code)
        with vgaemu.attach(uc, mode=mode) as card:
            card.vga.store(0xA0000, picture)
            card.draw_frame()
            uc.emu_start(0x1000, 0x1000 + len(code))
            log = card.vram.get_dirty_log().pages().tolist()
            assert card._pages.has_native == (before < 900)
            card.draw_frame()
            card.vga.load(0xA0000, 1)  # what a further store finds in the latches
            registers = [uc.reg_read(number) for number in (x86.UC_X86_REG_EDI, x86.UC_X86_REG_EAX)]
            memory = bytes(uc.mem_read(0, 0xA0000)), bytes(uc.mem_read(0xC0000, 0x1000))
            done.append((log, card.vram.array.tobytes(), card.screen.frame.tobytes(), registers))
            done[-1] += memory
    assert done[0] == done[1]


def storing_engine(monkeypatch: pytest.MonkeyPatch, before_native: int) -> unicorn.Uc:
    """One that stores a byte after the other at A0000h, from 1000h on."""
    if not native.load(wait=True):
        pytest.skip(f"no native code: {native.why_not()}")
    monkeypatch.setattr("vgaemu.pc.cpu.unicorn_card.BEFORE_NATIVE", before_native)
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)
    uc.mem_map(0, 0x10000)
    uc.mem_write(0x1000, bytes.fromhex("AA EB FD"))  # stosb; jmp back
    uc.reg_write(x86.UC_X86_REG_ES, 0xA000)
    return uc


def test_who_keeps_the_log_otherwise_or_hears_of_stores_has_pythons_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uc = storing_engine(monkeypatch, 1)
    with vgaemu.attach(uc, mode=0x12) as card:
        for keeper, count in (("words", 5), ("flags", 0), ("sparse", 5), ("flags", 0)):
            card.vram.keep_with(keeper)
            left = card._pages._left
            uc.emu_start(0x1000, 0xFFFF, count=10)
            assert left - card._pages._left == count, keeper
            assert card.vram.get_dirty_log()


def test_memory_that_a_script_maps_there_later_leaves_it_to_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uc = storing_engine(monkeypatch, 3)
    uc.reg_write(x86.UC_X86_REG_EAX, 0xFF)
    with vgaemu.attach(uc, mode=0x12) as card:
        uc.mem_map(native_at := 0xF002_0000, 0x1000)
        uc.emu_start(0x1000, 0xFFFF, count=40)
        assert not card._pages.has_native
        assert int(card.vram.array.sum()) == 20 * 4 * 0xFF
    assert uc.mem_read(native_at, 4) == bytes(4)
