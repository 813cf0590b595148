"""Our own guests: the bytes match their sources, and every CPU shows the same at the same OUT."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from x86_helpers import CPUS, GUESTS, needs_kvm

from vgaemu.display.screen import full_redraw
from vgaemu.machine import Machine

pytest.importorskip("unicorn")

#: The OUT that says "the picture is complete".
MARK = 0xF4
NAMES = ["colours", "plasma", "modes12", "scroller", "vbe", "snake", "selftest"]


@pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not here")
@pytest.mark.parametrize("source", sorted(GUESTS.glob("*.asm")), ids=lambda path: path.stem)
def test_bytes_are_built_from_the_source(source: Path, tmp_path: Path) -> None:
    built = tmp_path / "built"
    subprocess.run(["nasm", "-f", "bin", str(source), "-o", str(built)], check=True)
    committed = next(
        source.with_suffix(s) for s in (".img", ".com") if source.with_suffix(s).exists()
    )
    assert built.read_bytes() == committed.read_bytes()


def at_mark(name: str, cpu: str, **options: Any) -> tuple[np.ndarray, list[int], list[str]]:
    """Picture, dirty pages and text when the guest says that it is complete."""
    seen: list[tuple[np.ndarray, list[int], list[str]]] = []
    with Machine(str(GUESTS / f"{name}.img"), cpu=cpu, **options) as machine:  # type: ignore[arg-type]
        view = machine.vram.subscribe()
        machine.vram.get_dirty_log()
        view.get_dirty_log()

        def mark(value: int) -> None:
            if not seen:
                screen = machine.screen
                machine.vga.timeline.forget()  # KVM has no exact beam: as registers are now
                picture = full_redraw(machine.vga, 0)  # under KVM, when it comes is chance
                text = screen.text() if picture.shape == (400, 720) else []
                seen.append((picture, view.get_dirty_log().pages().tolist(), text))

        assert machine.pc is not None
        machine.pc.bus.byte_out[MARK] = mark
        # KVM lives in wall time, and some hosts emulate every instruction.
        for _ in range(3000):
            machine.tick()
            if seen:
                return seen[0]
    raise AssertionError(f"{name} never came to its mark")


@pytest.fixture(scope="module")
def on_unicorn() -> dict[str, tuple[np.ndarray, list[int], list[str]]]:
    return {name: at_mark(name, "unicorn") for name in NAMES}


@needs_kvm
@pytest.mark.turns(3)
@pytest.mark.parametrize("name", NAMES)
def test_kvm_shows_and_dirties_the_same(name: str, on_unicorn: Any) -> None:
    picture, pages, text = at_mark(name, "kvm")
    expected_picture, expected_pages, expected_text = on_unicorn[name]
    np.testing.assert_array_equal(picture, expected_picture)
    assert text == expected_text
    assert pages == expected_pages


@pytest.mark.parametrize("cpu", CPUS)
def test_selftest_passes(cpu: str) -> None:
    _, _, text = at_mark("selftest", cpu)
    rows = [row.rstrip() for row in text]
    assert "PASS" in rows, rows
    assert not any("WRONG" in row for row in rows)


def test_pictures_are_what_the_guests_draw(on_unicorn: Any) -> None:
    colours = on_unicorn["colours"][2]
    assert "256 attributes" in colours[1]
    assert "1E" in colours[5]
    plasma = on_unicorn["plasma"][0]
    assert plasma.shape == (200, 320)
    assert len(np.unique(plasma)) > 100
    modes12 = on_unicorn["modes12"][0]
    assert modes12.shape == (480, 640)
    # Write mode 1 copied the left panel to the right, to the pixel.
    np.testing.assert_array_equal(modes12[20:116, 32:272], modes12[20:116, 368:608])
    vbe = on_unicorn["vbe"][0]
    assert vbe.shape == (480, 640)
    assert vbe[240, 320] == 240 * 255 >> 9 << 16 | 320 >> 2
    assert on_unicorn["vbe"][1] == list(range(300))


def test_a_run_in_step_is_repeated_to_the_bit() -> None:
    def run() -> tuple[bytes, list[int], list[list[int]]]:
        with Machine(str(GUESTS / "plasma.img")) as machine:
            dirty = []
            for _ in range(12):
                report = machine.run_frame()
                dirty.append(list(report.dirty_pages))
            assert machine.pc is not None
            registers = list(machine.pc.cpu.registers().values())
            return machine.vram.array.tobytes(), registers, dirty

    assert run() == run()


def test_the_game_is_played_with_keys() -> None:
    with Machine(str(GUESTS / "snake.img")) as machine:
        machine.tick(30)
        before = machine.screen.text()
        machine.keys.press("down")
        machine.tick(30)
        after = machine.screen.text()
        snake = "\u263b"

        def rows_with(text: list[str]) -> set[int]:
            return {i for i, row in enumerate(text) if snake in row}

        assert rows_with(before) == {12}
        assert max(rows_with(after)) > 13
        # Upwards and to the right until the wall.
        machine.keys.press("right")
        assert machine.wait_for_text("Game over", 600)
        machine.keys.press("space")
        machine.tick(10)
        assert not any("Game over" in row for row in machine.screen.text())


def test_a_window_at_half_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Machine(str(GUESTS / "snake.img"), display="window", guest_speed=0.5) as machine:
        machine.run_frame()
        begin = time.perf_counter()
        assert machine.pc is not None
        before = machine.pc.clock.now_ns()
        machine.run(20, speed=0.5)
        guest_s = (machine.pc.clock.now_ns() - before) / 1e9
        seconds = time.perf_counter() - begin
        assert seconds > 0.6  # 19 frames at 30 a second
        assert 0.35 * seconds < guest_s < 0.55 * seconds
        assert len(np.unique(machine.screen.frame)) > 2


def test_every_frame_of_a_guest_is_a_full_redraw() -> None:
    for name in ("scroller", "snake", "modes12"):
        with Machine(str(GUESTS / f"{name}.img")) as machine:
            for _ in range(25):
                machine.run_frame()
                np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())


def test_type_prints_a_file(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_bytes(b"Roses are red\r\n\tand so on\r\n")
    with Machine(
        str(GUESTS / "type.com"), ["POEM.TXT", "missing.txt"], dos_root=tmp_path
    ) as machine:
        machine.tick(60)
        text = [row.rstrip() for row in machine.screen.text()]
        assert text[:3] == ["Roses are red", "        and so on", "cannot open missing.txt"]
        assert machine.ended
        assert machine.pc is not None
        assert machine.pc.exit_code == 1


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", ["colours", "modes12", "vbe"])
def test_a_tape_of_machine_code_plays_back(name: str, cpu: str, tmp_path: Path) -> None:
    if (name, cpu) == ("vbe", "kvm"):
        pytest.skip("300 000 exits")
    from vgaemu.cli.playback import replay

    tape, shot = tmp_path / "guest.tape", tmp_path / "shot.png"
    with Machine(str(GUESTS / f"{name}.img"), cpu=cpu, record_tape=tape) as machine:
        machine.tick(3 if name == "vbe" else 40)
        recorded = machine.screen.full_redraw()
    assert recorded.any()
    replay(tape, screenshot=shot)
    rgb = np.asarray(Image.open(shot).convert("RGB")).astype(np.uint32)
    np.testing.assert_array_equal(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], recorded)
