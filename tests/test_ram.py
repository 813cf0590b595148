"""`machine.ram`: a guest's memory, peeked and poked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vgaemu import Machine, RamError

pytest.importorskip("unicorn")
from x86_helpers import CPUS, disk

#: Counts in AL, stores it in 0500h and in the screen's first cell, and waits for the timer.
COUNTS = bytes.fromhex("B8 00 B8 8E C0 31 C0 FE C0 A2 00 05 26 A2 00 00 F4 EB F4")
#: The same, as fast as it can, without waiting.
RACES = bytes.fromhex("31 C0 40 A3 00 05 EB FA")


def test_a_name_is_no_address(machine: Machine) -> None:
    for where in ("a", slice("a", None), 1.5):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            machine.ram[where]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(disk(tmp_path_factory.mktemp("ram"), COUNTS)) as machine:
        machine.tick(3)
        yield machine


def test_bytes_and_slices_are_read(machine: Machine) -> None:
    ram = machine.ram
    assert len(ram) == 16 << 20
    assert ram[0x7C00:0x7C05] == bytes.fromhex("B8 00 B8 8E C0")
    assert ram[0x500] == machine.pc.bus.memory[0x500] > 0
    assert ram[np.uint16(0x500)] == ram[0x500]
    assert ram[:0x400] == ram[0:0x400]  # the vectors
    assert ram[0x200000:] == bytes(14 << 20)
    assert ram[0xFFFF0] == machine.pc.bus.memory[0xFFFF0] != 0  # ROM
    assert ram[0x500:0x500] == ram[0xB8000:0xB8000] == b""
    assert repr(ram) == "<vgaemu.Ram, 16 MiB>"


def test_bytes_and_slices_are_written(machine: Machine) -> None:
    ram = machine.ram
    ram[0x500] = 0x42
    machine.tick(3)
    assert ram[0x500] != 0x42  # the guest goes on storing
    for value in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), [97, 98, 99, 100],
                  np.frombuffer(b"abcd", "u1"), np.frombuffer(b"abcd", "<u2")):  # fmt: skip
        ram[0x100000:0x100004] = b"\0\0\0\0"
        ram[0x100000:0x100004] = value
        assert ram[0xFFFFE:0x100006][2:6] == b"abcd"
    ram[len(ram) - 1] = np.uint8(7)
    assert ram[-1 + len(ram) :] == b"\x07"


def test_the_array_is_the_memory(machine: Machine) -> None:
    array = machine.ram.array
    assert (array.shape, array.dtype, array.flags.writeable) == ((16 << 20,), np.uint8, False)
    machine.ram[0x8000:0x8003] = b"\1\2\3"
    assert array[0x8000:0x8003].tolist() == [1, 2, 3]
    assert np.flatnonzero(array == 0xB8)[0] < 0x8000
    machine.pc.bus.array[0x8000] = 9  # the memory's owner still writes
    assert array[0x8000] == 9


@pytest.mark.parametrize("cpu", CPUS)
def test_code_that_is_overwritten_is_executed_as_it_then_is(tmp_path: Path, cpu: str) -> None:
    with Machine(disk(tmp_path, COUNTS), cpu=cpu) as machine:
        machine.tick(9)
        at = machine.ram[0x7C00:0x7E00].index(bytes.fromhex("FE C0")) + 0x7C00
        machine.ram[at : at + 2] = bytes.fromhex("B0 41")  # INC AL: MOV AL, 'A'
        machine.tick(9)
        assert machine.screen.text()[0][0] == "A"


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        (-1, 0, r"ram\[-0x1\]: addresses are 0 to 0xffffff, in ascending order"),
        (1 << 24, 0, r"ram\[0x1000000\]: addresses are"),
        (slice(0xFFFFF0, 0x1000001), b"", r"ram\[0xfffff0:0x1000001\]: addresses are"),
        (slice(-4, None), b"", r"ram\[-0x4:0x1000000\]: addresses are"),
        (slice(8, 4), b"", r"ram\[0x8:0x4\]: addresses are"),
        (slice(0, 8, 2), b"", r"ram\[0x0:0x8:2\]: slices have no steps; ram\.array has"),
        (0xB8000, 0, r"ram\[0xb8000\]: A0000h to BFFFFh is the VGA's window; vga\.load and"),
        (slice(0x9FFFF, 0xA0001), b"", r"ram\[0x9ffff:0xa0001\]: A0000h to BFFFFh"),
        (slice(0xBFFFF, 0xC0001), b"", r"ram\[0xbffff:0xc0001\]: A0000h to BFFFFh"),
    ],
)  # fmt: skip
def test_addresses_without_ram(machine: Machine, where: Any, value: Any, why: str) -> None:
    with pytest.raises(RamError, match=f"^{why}"):
        machine.ram[where]
    with pytest.raises(RamError, match=f"^{why}"):
        machine.ram[where] = value


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        (0x500, 256, r"ram\[0x500\]: a byte is 0 to 255"),
        (0x500, -1, r"ram\[0x500\]: a byte is 0 to 255"),
        (0x500, b"a", r"ram\[0x500\]: a byte is 0 to 255"),
        (0x500, None, r"ram\[0x500\]: a byte is 0 to 255"),
        (slice(0, 4), b"abc", r"ram\[0x0:0x4\] = 3 bytes: it takes 4"),
        (slice(0, 4), b"abcde", r"ram\[0x0:0x4\] = 5 bytes"),
        (slice(0, 4), 4, r"ram\[0x0:0x4\] = 4: a slice takes bytes"),
        (slice(0, 4), "abcd", r"ram\[0x0:0x4\]: string argument without an encoding"),
        (slice(0, 4), [1, 2, 3, 300], r"ram\[0x0:0x4\]: bytes must be in range"),
        (0xC0000, 1, r"ram\[0xc0000\]: C0000h to FFFFFh is ROM; write to RAM"),
        (slice(0xFFFFF, 0x100001), b"ab", r"ram\[0xfffff:0x100001\]: C0000h to FFFFFh is ROM"),
    ],
)  # fmt: skip
def test_values_that_are_not_written(machine: Machine, where: Any, value: Any, why: str) -> None:
    before = machine.ram.array.copy()
    with pytest.raises(RamError, match=f"^{why}"):
        machine.ram[where] = value
    np.testing.assert_array_equal(machine.ram.array, before)


def test_what_is_read_up_to_the_borders(machine: Machine) -> None:
    ram = machine.ram
    assert len(ram[:0xA0000]) == 0xA0000
    assert len(ram[0xC0000:]) == (16 << 20) - 0xC0000
    ram[0x9FFFE:0xA0000] = b"\x11\x22"
    ram[0x100000] = 0x33
    assert (ram[0x9FFFF], ram[0x100000]) == (0x22, 0x33)


def test_a_workload_in_python_has_none() -> None:
    with (
        Machine("typing") as machine,
        pytest.raises(RamError, match=r"^ram: only machine code has RAM; this"),
    ):
        machine.ram  # noqa: B018


def test_a_guest_on_its_own_thread_is_held_while_it_is_written_to(tmp_path: Path) -> None:
    with Machine(disk(tmp_path, RACES), free=True) as machine:
        runs = []
        machine.pc.bus.on_memory_written.append(lambda *_: runs.append(machine.runner.is_running))
        for number in range(20):
            machine.ram[0x7C02] = 0x40 if number & 1 else 0x90  # INC AX, or NOP
            machine.tick()
        assert runs == [False] * 20
        assert not machine.ended
