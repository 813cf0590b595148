"""The VGA's interrupt line as an option: IRQ 9 at each vertical retrace that a guest asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from x86_helpers import disk, make_pc, needs_kvm, run_until_halted

from vgaemu import Machine
from vgaemu.cli.main import main
from vgaemu.pc.pc import Pc

pytest.importorskip("unicorn")

#: Hooks INT 0Ah, lets IRQ 2 and 9 through, and halts until five interrupts came. Each stores input
#: status 1 and 0 from 600h on, sets CR11 bits 4 and 5 to 0 and bit 4 to 1 again, and ends IRQ 2.
GUEST = bytes.fromhex(
    "fa31c08ed8c70628002a7ca32a00e42124fbe621e4a124fde6a1e82600bf0006fbf481ff0a0672f9faf4"
    "5052bac203ec88c4b2daec89054747e80700b020e6205a58cf"  # the handler
    "bad403b011ee42ec24cfee0c10eec3"  # CR11
)
HANDLERS_CALL, SETS_BIT_4 = GUEST.rindex(bytes.fromhex("e80700")), GUEST.rindex(b"\x0c\x10")


def with_bytes(at: int, code: bytes) -> bytes:
    return GUEST[:at] + code + GUEST[at + len(code) :]


def seen(pc: Pc) -> list[int]:
    """Input status 0 << 8 | 1 of each interrupt."""
    return [word for word in (pc.bus.read16(0x600 + 2 * n) for n in range(8)) if word]


def run(pc: Pc, frames: int) -> None:
    turns = pc.slices()
    for _ in range(frames):
        next(turns)


def test_each_retrace_interrupts(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, GUEST), retrace_irq=True) as pc:
        run_until_halted(pc)
        words = seen(pc)
        assert len(words) == 5
        for word in words:
            assert word & 0x8000, "pending"
            assert word & 0x09 == 0x09, "the retrace has just begun"
        timing, now = pc.vga.timing, pc.clock.now_ns()
        fifth_ns = timing.retrace_start_line * timing.line_ns + 4 * timing.frame_ns
        assert 0 < now - fifth_ns < 100_000


@needs_kvm
def test_each_retrace_interrupts_under_kvm(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, GUEST), retrace_irq=True, cpu="kvm") as pc:
        run_until_halted(pc)
        assert len(seen(pc)) == 5


@pytest.mark.parametrize(
    ("code", "options", "count"),
    [
        (GUEST, {}, 0),
        (with_bytes(SETS_BIT_4, b"\x0c\x30"), {"retrace_irq": True}, 0),  # bit 5 lets none through
        (with_bytes(HANDLERS_CALL, b"\x90" * 3), {"retrace_irq": True}, 1),  # not cleared
    ],
    ids=["no line", "bit 5", "once"],
)
def test_none_comes(code: bytes, options: dict[str, bool], count: int, tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, code), **options) as pc:
        run(pc, 12)
        assert len(seen(pc)) == count


def test_a_state_goes_on_with_the_interrupt_told(tmp_path: Path) -> None:
    once = disk(tmp_path, with_bytes(HANDLERS_CALL, b"\x90" * 3))
    with Machine(once, vram_mib=1, retrace_irq=True) as machine:
        machine.tick(6)
        machine.save_state(tmp_path / "state.npz")
        assert machine.pc is not None
        assert len(seen(machine.pc)) == 1
    with Machine(once, vram_mib=1, retrace_irq=True) as machine:
        machine.load_state(tmp_path / "state.npz")
        machine.tick(6)
        assert machine.pc is not None
        assert len(seen(machine.pc)) == 1


def test_a_state_of_a_machine_without_the_line_goes_on(tmp_path: Path) -> None:
    guest, state = disk(tmp_path, GUEST), tmp_path / "state.npz"
    with Machine(guest, vram_mib=1) as machine:
        machine.tick(3)
        machine.save_state(state)
    with Machine(guest, vram_mib=1, retrace_irq=True) as machine:
        machine.load_state(state)
        machine.tick(9)
        assert machine.pc is not None
        assert len(seen(machine.pc)) == 5


def test_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guest, text = disk(tmp_path, GUEST), "typing"
    assert main(["run", str(guest), "--headless", "--frames", "8", "--retrace-irq"]) == 0
    assert main(["run", text, "--headless", "--frames", "1", "--retrace-irq"]) == 2
    assert "--retrace-irq: only for machine code" in capsys.readouterr().err
