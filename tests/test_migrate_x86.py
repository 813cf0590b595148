"""Live migration of machine-code guests: they go on elsewhere as if nothing had been."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from protected import GDT, KERNEL_CODE, with_read_only_descriptors
from test_migrate import assert_equal_machines, outcome, receiving
from test_migrate_cli import ended, pixels, vgaemu
from test_x86_state import READER, forever, image, seen, text, writer
from x86_helpers import CPUS, GUESTS, disk, has_kvm, needs_kvm

from vgaemu.machine import Machine
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.migrate import Limits, MigrateError, Report, live, send_machine, sender
from vgaemu.migrate.arrival import Arrival
from vgaemu.migrate.live import device_state
from vgaemu.migrate.memory import COMPARED_PAGES, Comparison
from vgaemu.migrate.stream import Channel

pytest.importorskip("unicorn")

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

GUEST_FILES = ["plasma.img", "snake.img", "selftest.img", "modes12.img", "type.com"]
#: es = B800h; then, over and over, 64 KiB at 20000h are filled with a number that goes up, which is
#: shown, too.
RESTLESS = bytes.fromhex(
    "68 00 B8 0F A1"  # fs = B800h
    "68 00 20 07 31 C0 31 FF FC"  # es = 2000h
    "40 B9 00 80 F3 AB 64 A3 00 00 EB F4"
)


def migrate(source: Machine, target: Machine, limits: Limits | None = None) -> Report:
    with receiving(target) as (address, received):
        report = send_machine(source, address, limits)
        outcome(received)
    assert report.digests_equal
    return report


def refused(source: Machine, target: Machine) -> str:
    """What both sides say; the source runs on."""
    with receiving(target) as (address, received):
        with pytest.raises(MigrateError) as caught:
            send_machine(source, address)
        error = outcome(received)
    assert isinstance(error, MigrateError)
    told = str(error).partition(": ")[2]
    assert str(caught.value) == f"{address}: refuses: {told}"
    assert told.isprintable()
    assert source.tick(3)
    assert not source.runner.left
    return told


def numbers(machine: Machine) -> tuple[Any, ...]:
    assert machine.pc is not None
    arrays = machine.pc.state_arrays()
    return {name: array.tolist() for name, array in arrays.items() if name != "ram"}, arrays["ram"]


# --- the guest goes on ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", GUEST_FILES)
def test_a_run_in_step_goes_on_to_the_bit(name: str) -> None:
    path, after = str(GUESTS / name), 24
    key = "down" if name == "snake.img" else "shift"  # any other ends some of them
    with Machine(path) as source, Machine(path) as target:
        source.tick(30)
        source.keys.press(key)
        migrate(source, target)
        frames = source.frames
        assert seen(target) == seen(source)
        assert_equal_machines(source, target)
        assert not source.tick(3)
        shown = []
        for _ in range(after):
            target.run_frame()
            shown.append(seen(target))
        state, ram = numbers(target)
    with Machine(path) as unmoved:
        unmoved.tick(30)
        unmoved.keys.press(key)
        while unmoved.frames < frames:  # also of one that has ended
            unmoved.run_frame()
        for frame in shown:
            unmoved.run_frame()
            assert seen(unmoved) == frame
        expected, expected_ram = numbers(unmoved)
        if unmoved.ended:  # in the middle of a frame, whose end nobody waits for
            del state["pc.next_frame_ns"], expected["pc.next_frame_ns"]
    assert state == expected
    np.testing.assert_array_equal(ram, expected_ram)


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
@pytest.mark.parametrize(("first", "second"), [
    ("unicorn", "unicorn"),
    pytest.param("unicorn", "kvm", marks=needs_kvm),
    pytest.param("kvm", "kvm", marks=needs_kvm),
    pytest.param("kvm", "unicorn", marks=needs_kvm),
])  # fmt: skip
def test_a_game_goes_on_under_another_cpu(first: str, second: str, free: bool) -> None:
    path = image("snake")
    with Machine(path, cpu=first, free=free) as source, Machine(path, cpu=second) as target:
        source.tick(30)
        source.keys.press("down")
        source.tick(10)
        migrate(source, target)
        # A free guest may have drawn between its last frame and its stop.
        assert seen(target) == seen(source)
        source_pc, pc = source.pc, target.pc
        assert source_pc is not None
        assert pc is not None
        if int(source_pc.cpu.arrays()["cpu.pending"]) < 0:  # else Unicorn takes it at once
            assert pc.cpu.registers() == source_pc.cpu.registers()
        target.keys.press("right")
        assert target.wait_for_text("Game over", 900)
        target.keys.press("space")
        for _ in range(300):
            target.tick()
            if not any("Game over" in row for row in target.screen.text()):
                break
        else:
            raise AssertionError("it takes no key")


@pytest.mark.parametrize("cpu", CPUS)
def test_from_one_window_into_another(cpu: str) -> None:
    path = image("plasma")
    with Machine(path, cpu=cpu, free=True) as source, Machine(path, cpu=cpu, free=True) as target:
        source.tick(3)
        migrate(source, target)
        shown = seen(target)
        assert shown == seen(source)
        assert target.tick(3)
        begin, changed = threading.Event(), False
        for _ in range(200):  # on a thread of its own: until it has drawn
            target.run_frame()
            begin.wait(0.02)
            changed = seen(target) != shown
            if changed:
                break
        assert changed
        assert seen(source) == shown


def test_the_guest_ends_at_the_source() -> None:
    others = threading.enumerate()
    with Machine(image("plasma"), free=True) as source, Machine(image("plasma")) as target:
        source.tick(3)
        migrate(source, target)
        assert source.ended
        assert source.pc is not None
        before = source.pc.cpu.registers(), source.pc.clock.now_ns()
        assert not source.tick(5)
        assert (source.pc.cpu.registers(), source.pc.clock.now_ns()) == before
        names = {thread.name for thread in threading.enumerate()}
        assert "vgaemu migration" not in names
    mine = [thread.name for thread in threading.enumerate() if thread not in others]
    assert "vgaemu guest" not in mine


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_that_fills_ram_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str, free: bool
) -> None:
    path = str(disk(tmp_path, RESTLESS))
    harvest = sender.PreCopy.harvest

    def patient_harvest(migration: Any) -> Any:
        """Not before the guest has written again; it may not have had a turn."""
        assert source.pc is not None
        part = source.pc.bus.array[0x2FFF0:0x30000]
        before, stopped = part.tobytes(), migration.source._stop_wanted
        for _ in range(2000):
            if stopped.is_set() or part.tobytes() != before:
                break
            time.sleep(0.002)
        return harvest(migration)

    monkeypatch.setattr(sender.PreCopy, "harvest", patient_harvest)
    with Machine(path, cpu=cpu, free=free) as source, Machine(path, cpu=cpu) as target:
        source.tick(5)
        report = migrate(source, target, Limits(downtime_ms=0.001, max_rounds=6))
        assert len(report.rounds) == 7
        assert "does not converge" in report.stuck
        assert source.pc is not None
        assert target.pc is not None
        np.testing.assert_array_equal(target.pc.bus.array, source.pc.bus.array)
        assert (target.pc.bus.array[0x20000:0x30000] != 0).any()
        shown = target.vga.load(0xB8000, 2)
        target.tick(5)
        assert target.vga.load(0xB8000, 2) != shown


def test_the_disk_goes_along(tmp_path: Path) -> None:
    path = str(writer(tmp_path))
    with Machine(path) as source, Machine(path) as target:
        source.tick(5)
        migrate(source, target)
        target.keys.press("a")
        target.tick(10)
        assert target.vga.load(0xB8000, 2) == b"\xb8\x00"
    with Machine(path) as source, Machine(path, writable=True) as target:
        source.tick(5)
        assert "load it without --writable" in refused(source, target)


def test_open_files_go_on_where_they_were(tmp_path: Path) -> None:
    program, root = str(tmp_path / "reader.com"), tmp_path / "root"
    Path(program).write_bytes(READER)
    root.mkdir()
    (root / "data.txt").write_text("goodmorning")
    with Machine(program, dos_root=root) as source, Machine(program) as target:
        source.tick(5)
        assert "'data.txt' open, which cannot be opened now; name its folder with --dos-root" in (
            refused(source, target)
        )
        with Machine(program, dos_root=root) as second:
            migrate(source, second)
            second.keys.press("a")
            second.tick(5)
            assert second.screen.text()[0].startswith("goodmorn")


@pytest.mark.skipif(not has_kvm(), reason="/dev/kvm cannot be opened")
def test_a_firmware_goes_along() -> None:
    from vgaemu.pc.bios.seabios import FIRMWARES

    if not Path(FIRMWARES[0]).is_file():
        pytest.skip(f"{FIRMWARES[0]} is not here")
    path, options = image("selftest"), {"cpu": "kvm", "firmware": "seabios"}
    with Machine(path, **options) as source, Machine(path, **options) as target:  # type: ignore[arg-type]
        source.tick(10)
        assert source.pc is not None
        assert target.pc is not None
        assert source.pc.firmware is not None
        assert target.pc.firmware is not None
        source.pc.firmware.memory[100] ^= 0xFF
        with Machine(path, cpu="kvm") as other:
            assert "sent under --firmware seabios; run it so" in refused(source, other)
        migrate(source, target)
        np.testing.assert_array_equal(target.pc.firmware.memory, source.pc.firmware.memory)
        assert target.wait_for_text("^SeaBIOS", 6000)


# --- refusals -------------------------------------------------------------------------------------


def test_another_guest_at_the_other_end(tmp_path: Path) -> None:
    changed = tmp_path / "snake.img"
    changed.write_bytes((GUESTS / "snake.img").read_bytes() + b"more")
    with Machine(image("snake")) as source:
        source.tick(3)
        for workload, says in (
            (
                image("plasma"),
                "sent with 'snake.img', not with this plasma.img; receive it with th",
            ),
            (str(changed), "sent with another content of it, not with this snake.img; receive"),
            (None, "sends machine code, 'snake.img'; receive it with that file"),
            (forever, "sends machine code, 'snake.img'; receive it with that file"),
        ):
            with Machine(workload) as target:
                before = target.vram.array.copy()
                assert says in refused(source, target)
                np.testing.assert_array_equal(target.vram.array, before)
    with Machine(forever) as source, Machine(image("snake")) as target:
        assert "no machine code, and snake.img is; receive it without" in refused(source, target)


@needs_kvm
def test_a_base_that_no_descriptor_tells_goes_along(tmp_path: Path) -> None:
    # lgdt; CR0.PE; DS is loaded, and its descriptor gets another base
    code = bytes.fromhex(
        "FA 31 C0 8E D8 0F 01 16 40 7C 0F 20 C0 0C 01 0F 22 C0 EA 17 7C 08 00"
        "66 B8 10 00 8E D8 8E C0 8E D0 C6 05 58 7C 00 00 01 EB FE"
    ).ljust(0x40, b"\x90") + bytes.fromhex(
        "17 00 46 7C 00 00 00 00 00 00 00 00 00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00"
    )
    path = str(disk(tmp_path, code))
    with Machine(path, cpu="kvm") as source, Machine(path) as target:
        source.tick(3)
        with receiving(target) as (address, received):
            send_machine(source, address)
            assert outcome(received).rounds
        assert target.pc is not None
        target.tick(3)
        selector, base, limit, _ = target.pc.cpu.arrays()["cpu.segments"][1].tolist()
        assert (selector, base, limit) == (0x10, 0, 0xFFFF_FFFF)
        assert target.pc.bus.read8(0x7C58) == 1  # the descriptor says otherwise


def test_descriptors_in_a_read_only_page_go_along(tmp_path: Path) -> None:
    """Where loading the segment registers would mark them, a receiver has come to its end."""
    path = tmp_path / "guest.img"
    path.write_bytes(with_read_only_descriptors().image())
    with Machine(str(path)) as source, Machine(str(path)) as target:
        source.tick(10)
        migrate(source, target)
        assert target.tick(3)
        assert target.pc is not None
        assert target.pc.bus.read8(GDT + KERNEL_CODE + 5) == 0x9A


def test_what_a_cpu_does_not_take_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with Machine(image("snake")) as source, Machine(image("snake")) as target:
        assert target.pc is not None
        monkeypatch.setattr(target.pc.cpu, "refusal", lambda arrays: "saved in long mode")
        assert "saved in long mode" in refused(source, target)


def test_a_disk_with_too_much_written_is_refused_before_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(writer(tmp_path))
    monkeypatch.setattr(live, "MAX_DISK_BYTES", 511)
    with Machine(path) as source, Machine(path) as target:
        source.tick(5)
        held = []
        monkeypatch.setattr(
            source.runner,
            "hold",
            lambda seconds: held.append(seconds) or True,  # type: ignore[func-returns-value]
        )
        with receiving(target) as (address, received):
            with pytest.raises(MigrateError, match=r"copy of the disk, .* save a state instead"):
                send_machine(source, address)
            assert "save a state instead" in str(outcome(received))
        assert len(held) == 1  # for its name, not for its state
        assert source.tick(3)


def test_a_guest_that_cannot_be_held_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with Machine(image("plasma")) as source, Machine(image("plasma")) as target:
        monkeypatch.setattr(source.runner, "hold", lambda seconds: False)
        with receiving(target) as (address, received):
            with pytest.raises(MigrateError, match="came to no 'yield' within"):
                send_machine(source, address)
            with Machine(image("plasma")) as other:
                send_machine(other, address)
            assert outcome(received).rounds
        assert source.tick(3)


def ear() -> Channel:
    """A channel, as far as a target needs one."""
    channel = Channel.__new__(Channel)
    channel.peer = "peer"
    return channel


DAMAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "another type": lambda a: a.astype("i8" if a.dtype != np.int64 else "u1"),
    "more dimensions": lambda a: a[None],
    "no dimension": lambda a: np.asarray(0, a.dtype) if a.ndim else a[None, None],
    "another length": lambda a: np.zeros((a.shape[0] + 1 if a.ndim else 3, 7), a.dtype),
    "all bits": lambda a: np.frombuffer(b"\xff" * a.nbytes, a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("name", ["snake.img", "type.com"])
def test_damaged_arrays_change_nothing(name: str) -> None:
    path = str(GUESTS / name)
    with Machine(path, vram_mib=1) as source, Machine(path, vram_mib=1) as target:
        source.tick(5)
        assert source.pc is not None
        good = device_state(source) | source.pc.state_arrays()
        ram = good.pop("ram")
        arrival, channel = Arrival(target), ear()
        arrival.regions[1].slot.array[:] = ram
        target.vram.array[:] = source.vram.array
        state, target_ram = numbers(target)
        comparison, taken = Comparison(target_ram), []
        comparison.get_dirty_log()
        for array in good:
            for damage, change in DAMAGES.items():
                wrong = good | {array: change(good[array])}
                error = None
                try:
                    arrival.restore(wrong, channel)
                except MigrateError as caught:
                    error = str(caught)
                if error is not None:
                    assert re.fullmatch(r"peer: [ -~]+", error), (array, damage)
                    assert numbers(target)[0] == state, (array, damage)
                    assert not comparison.get_dirty_log(), (array, damage)
                else:
                    taken.append((array, damage))
                    state = numbers(target)[0]
                    comparison.get_dirty_log()
        assert {damage for _, damage in taken} <= {"all bits"}
        for missing in good:
            wrong = {name: value for name, value in good.items() if name != missing}
            with pytest.raises(MigrateError, match=f"needs {missing}"):
                arrival.restore(wrong, channel)
        with pytest.raises(MigrateError, match=r"does not know cpu\.wings"):
            arrival.restore(good | {"cpu.wings": np.zeros(2, "u1")}, channel)
        arrival.restore(good, channel)
        assert seen(target) == seen(source)


def test_names_of_a_peer_are_not_trusted() -> None:
    with Machine(image("snake"), vram_mib=1) as target, Machine(vram_mib=1) as none:
        for arrays in (
            {"pc.name": text("\x1b[2J\n")}, {"pc.name": np.asarray(5)}, {"cpu.pending": text("a")},
            {"pc.sha256": np.asarray(3, "u1")}, {"pc.name": np.full(9, 0xFF, "u1")},
        ):  # fmt: skip
            for machine in (target, none):
                with pytest.raises(MigrateError) as caught:
                    Arrival(machine).check_guest(arrays, ear())
                assert str(caught.value).isprintable()
        assert target.pc is not None
        firmware = target.pc.identity() | {"pc.firmware": np.frombuffer(b"sea\nbios", "u1")}
        with pytest.raises(MigrateError, match=r"sent under --firmware sea\?bios; run it so"):
            Arrival(target).check_guest(firmware, ear())


# --- RAM, which has no log ------------------------------------------------------------------------


@pytest.mark.parametrize("npages", [1, 64, 65, COMPARED_PAGES, COMPARED_PAGES + 1, 700])
def test_a_comparison_names_what_was_written(npages: int) -> None:
    memory = np.zeros(npages * PAGE_SIZE, np.uint8)
    comparison = Comparison(memory)
    assert not comparison.get_dirty_log()
    rng = np.random.default_rng(npages)
    for _ in range(5):
        pages = np.unique(rng.integers(0, npages, 1 + npages // 9))
        memory[pages * PAGE_SIZE + rng.integers(0, PAGE_SIZE, len(pages))] ^= 1
        log = comparison.get_dirty_log()
        assert log.npages == npages
        assert log.pages().tolist() == pages.tolist()
        np.testing.assert_array_equal(comparison.array, memory)
        assert not comparison.get_dirty_log()
    memory[-1] ^= 0x80
    assert comparison.get_dirty_log().pages().tolist() == [npages - 1]


def test_what_is_sent_is_what_was_compared() -> None:
    """Written after the comparison: not in what is sent, and named by the next one."""
    memory = np.zeros(4 * PAGE_SIZE, np.uint8)
    comparison = Comparison(memory)
    memory[PAGE_SIZE] = 1
    assert comparison.get_dirty_log().pages().tolist() == [1]
    memory[PAGE_SIZE] = 2
    memory[3 * PAGE_SIZE] = 3
    assert comparison.array[PAGE_SIZE] == 1
    assert not comparison.array[3 * PAGE_SIZE]
    assert comparison.get_dirty_log().pages().tolist() == [1, 3]
    assert comparison.array[PAGE_SIZE] == 2


# --- the commands ---------------------------------------------------------------------------------


def start_receiver(cwd: Path, *arguments: object) -> tuple[Any, str]:
    process = vgaemu(cwd, "receive", *arguments, "--listen", ":0", "--wait", 30)
    assert process.stdout is not None
    return process, process.stdout.readline().removeprefix("listening on ").strip()


@pytest.mark.parametrize("cpu", CPUS)
def test_the_commands(tmp_path: Path, cpu: str) -> None:
    plasma, there = image("plasma"), tmp_path / "there.png"
    process, address = start_receiver(
        tmp_path, plasma, "--cpu", cpu, "--headless", "--frames", 12, "--screenshot", there
    )
    source = vgaemu(
        tmp_path, "run", plasma, "--cpu", cpu, "--headless", "--frames", 10**6,
        "--migrate-to", address, "--migrate-at", 20, "--save-state", "there.npz",
    )  # fmt: skip
    status, out, err = ended(source)
    assert (status, err) == (0, "")
    assert f"migrated to {address}: " in out
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert out.startswith("received from ")
    if cpu == "unicorn":
        with Machine(plasma) as machine:
            machine.load_state(tmp_path / "there.npz")
            machine.tick(12)
            np.testing.assert_array_equal(pixels(there), machine.screen.rgb())


@pytest.mark.parametrize("cpu", CPUS)
def test_windows(tmp_path: Path, cpu: str) -> None:
    snake = image("snake")
    process, address = start_receiver(tmp_path, snake, "--cpu", cpu, "--frames", 20)
    source = vgaemu(tmp_path, "run", snake, "--migrate-to", address, "--migrate-at", 20)
    status, out, err = ended(source)
    assert (status, err) == (0, "")
    assert "migrated to " in out
    assert ended(process)[0::2] == (0, "")


def test_a_refusal_is_one_line_on_both_sides(tmp_path: Path) -> None:
    process, address = start_receiver(tmp_path, image("plasma"), "--headless", "--frames", 5)
    source = vgaemu(
        tmp_path, "run", image("snake"), "--headless", "--frames", 200, "--migrate-to", address
    )
    status, out, err = ended(source)
    assert status == 1
    assert "200 frames" in out
    why = "sent with 'snake.img', not with this plasma.img; receive it with that file"
    assert err == f"vgaemu: --migrate-to {address}: refuses: {why}; the guest runs on here\n"
    status, _, err = ended(process)
    assert status == 1
    assert re.fullmatch(rf"vgaemu: receive: 127\.0\.0\.1:\d+: {re.escape(why)}\n", err)
