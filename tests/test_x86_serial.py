"""The serial port and the exit port, register by register, and as a guest on each CPU has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from x86_helpers import CPUS, disk

from vgaemu import snapshot
from vgaemu.cli import typed
from vgaemu.cli.main import main
from vgaemu.errors import WorkloadError
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.serial import Serial
from vgaemu.pc.clock import NEVER_NS, StepClock
from vgaemu.vga.device import Vga

if sys.platform != "win32":
    import termios

pytest.importorskip("unicorn")
GUEST = Path(__file__).parent / "kernels" / "serial.img"
SAID = "loopback L, modem A, by interrupts\r\n"
QEMU = "qemu-system-i386"


class Port:
    """A port on a bus of its own."""

    def __init__(self) -> None:
        self.bus, self.clock = Bus(Vga(Memslot(64)), 2 << 20), StepClock()
        self.interrupts: list[int] = []
        self.chip = Serial(self.bus, self.interrupts.append, self.clock)

    def __getitem__(self, at: int) -> int:
        return self.bus.port_in(0x3F8 + at, 1)

    def __setitem__(self, at: int, value: int) -> None:
        self.bus.port_out(0x3F8 + at, 1, value)


@pytest.fixture
def port() -> Port:
    return Port()


def test_registers_keep_what_they_have(port: Port) -> None:
    port[3] = 0x83
    port[0], port[1] = 0x34, 0x12
    assert (port[0], port[1], port.chip.divisor) == (0x34, 0x12, 0x1234)
    port[3] = 0x1B
    port[1], port[4], port[7] = 0xFF, 0xFF, 0x5A
    assert [port[at] for at in (1, 3, 4, 7)] == [0x0F, 0x1B, 0x1F, 0x5A]
    assert port[5] == 0x60
    assert port.chip.text == b""


def test_fifos_are_told_of(port: Port) -> None:
    assert port[2] == 0x01
    port[2] = 0x01
    assert port[2] == 0xC1
    port[2] = 0
    assert port[2] == 0x01


def test_loopback(port: Port) -> None:
    port[2], port[4] = 1, 0x10
    for value in b"abc":
        port[0] = value
    assert port.chip.text == b""
    assert port[5] == 0x61
    assert bytes(port[0] for _ in range(3)) == b"abc"
    assert port[5] == 0x60
    modem = []
    for lines in (0x10, 0x11, 0x12, 0x14, 0x18):
        port[4] = lines
        modem.append(port[6])
    assert modem == [0x00, 0x20, 0x10, 0x40, 0x80]
    port[4] = 0x0F
    assert port[6] == 0xB0


def test_what_there_is_no_room_for_is_lost(port: Port) -> None:
    port[4] = 0x10
    port[0], port[0] = 1, 2
    assert (port[5], port[5], port[0]) == (0x63, 0x61, 2)
    port[2] = 1
    for value in range(17):
        port[0] = value
    assert port[5] & 2
    assert [port[0] for _ in range(17)] == [*range(16), 0]


def test_interrupts_by_priority(port: Port) -> None:
    port[1] = 7
    assert port.interrupts == []  # OUT2 is off
    port[4] = 0x08
    assert port.interrupts == [4]
    assert port[2] == 0x02  # the transmitter is empty; read, it is told
    assert port[2] == 0x01
    port[0] = ord("x")
    assert port.interrupts == [4, 4]
    port.chip.receive(1)
    port.chip.receive(2)
    assert port[2] == 0x06
    assert port[5] & 2
    assert port[2] == 0x04
    assert port[0] == 2
    assert (port[2], port[2]) == (0x02, 0x01)


def passes(port: Port, ns: int) -> None:
    """Time, as a PC lets it pass."""
    end = port.clock.ns + ns
    while (due := port.chip.due_ns) <= end:
        port.clock.ns = max(due, port.clock.ns)
        port.chip.advance(port.clock.ns)
    port.clock.ns = end


#: Of 8N1 at 9600 baud.
CHARACTER_NS = 10 * 12 * 10**9 // 115_200


def test_what_comes_from_outside_takes_its_time(port: Port) -> None:
    assert port.chip.write(b"abc") == 3
    passes(port, 0)
    assert (port[5], port[0], port[5]) == (0x61, ord("a"), 0x60)
    passes(port, CHARACTER_NS - 1)
    assert port[5] == 0x60
    passes(port, 1)
    assert port[0] == ord("b")
    port[3] = 0x83
    port[0] = 1  # 115200 baud from the character after the next on
    port[3] = 0x03
    passes(port, CHARACTER_NS)
    assert port[0] == ord("c")
    assert port.chip.due_ns == NEVER_NS


def test_none_from_outside_is_lost(port: Port) -> None:
    text = bytes(range(64))
    port.chip.write(text)
    passes(port, 5 * CHARACTER_NS)
    read = bytearray((port[0],))  # a buffer of one held it
    port[2] = 0x01  # which empties it, and is soon enough
    for _ in range(100):
        passes(port, 30 * CHARACTER_NS)
        while (status := port[5]) & 1:
            read.append(port[0])
        assert status == 0x60
    assert read == text
    assert port.chip.write(bytes(70_000)) == 1 << 16


def test_fifos_interrupt_at_their_level_and_after_a_while(port: Port) -> None:
    port[2], port[4], port[1] = 0x81, 0x08, 0x01  # 8 characters
    port.chip.write(b"0123456")
    passes(port, 7 * CHARACTER_NS)
    assert (port.interrupts, port[2]) == ([], 0xC1)
    port.chip.write(b"7")
    passes(port, CHARACTER_NS)
    assert (port.interrupts, port[2]) == ([4], 0xC4)
    assert port[0] == ord("0")
    assert port[2] == 0xC1
    passes(port, 4 * CHARACTER_NS - 1)
    assert port[2] == 0xC1
    passes(port, 1)
    assert (port.interrupts, port[2]) == ([4, 4], 0xCC)
    assert bytes(port[0] for _ in range(7)) == b"1234567"
    assert port[2] == 0xC1
    passes(port, 100 * CHARACTER_NS)
    assert port.interrupts == [4, 4]


def test_fifos_are_emptied_as_they_are_switched(port: Port) -> None:
    for mode in (1, 0):
        port.chip.write(b"ab")
        passes(port, CHARACTER_NS)
        port[2] = mode
        assert port[5] == 0x60
        passes(port, 10 * CHARACTER_NS)
        while port[5] & 1:
            assert port[0] == ord("b")


def test_loopback_keeps_the_outside_out(port: Port) -> None:
    port[4] = 0x10
    port.chip.write(b"x")
    passes(port, 10 * CHARACTER_NS)
    assert port[5] == 0x60
    port[4] = 0
    passes(port, 0)
    assert port[0] == ord("x")


def test_a_state_has_what_is_on_its_way(port: Port) -> None:
    port[2] = 0xC1
    port.chip.write(b"abc")
    passes(port, CHARACTER_NS)
    other = Port()
    other.clock.ns = port.clock.ns
    snapshot.restore(other.chip.parts(), snapshot.take(port.chip.parts()))
    for one in (port, other):
        passes(one, 10 * CHARACTER_NS)
        assert bytes(one[0] for _ in range(3)) == b"abc"
        assert one.chip.receiver.trigger == 14
    old = snapshot.take(port.chip.parts())
    old = {name: old[name] for name in ("chips.serial", "chips.serial_received")}
    other.chip.write(b"d")
    snapshot.restore(other.chip.parts(), old)
    assert (other.chip.due_ns, other.chip.receiver.trigger) == (NEVER_NS, 1)


def test_a_state_has_it_all(port: Port) -> None:
    port[2], port[4], port[7], port[1] = 1, 0x10, 9, 3
    port[0] = 0x41
    other = Port()
    snapshot.restore(other.chip.parts(), snapshot.take(port.chip.parts()))
    assert (other[5], other[7], other[0], other[2]) == (0x61, 9, 0x41, 0xC2)
    snapshot.restore(other.chip.parts(), {})  # of before there was a port
    assert [other[at] for at in range(1, 8)] == [0, 1, 3, 0, 0x60, 0xB0, 0]


@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_sends_by_interrupts_and_exits(cpu: str) -> None:
    with Machine(GUEST, cpu=cpu, exit_port=0xF4) as machine:
        assert machine.exit_code is None
        for _ in range(500):
            if not machine.tick():
                break
        assert machine.serial == SAID  # and no "!" behind it
        assert machine.exit_code == 7
        assert machine.ended


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_qemu_has_the_same(tmp_path: Path) -> None:
    said = tmp_path / "said"
    done = subprocess.run(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-serial", f"file:{said}",
         "-device", "isa-debug-exit,iobase=0xf4", "-drive", f"format=raw,file={GUEST},snapshot=on"],
        timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 7
    assert said.read_bytes().decode() == SAID


def test_the_command_ends_with_the_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    arguments = ["run", str(GUEST), "--headless", "--frames", "60", "--exit-port", "0xf4"]
    assert main([*arguments, "--serial", str(log)]) == 7
    assert log.read_bytes().decode() == SAID
    assert main([*arguments, "--serial", "-"]) == 7
    assert SAID in capfd.readouterr().out
    endless = str(disk(tmp_path, b"\xeb\xfe"))
    assert main(["run", str(GUEST), "--headless", "--exit-port", "0xf4"]) == 7
    assert main(["run", endless, "--headless"]) == 2
    assert "needs --frames N with it, or the --exit-port that ends it" in capfd.readouterr().err
    assert main(["run", endless, "--headless", "--frames", "2", "--exit-port", "244"]) == 124


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")
def test_standard_input_comes_to_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    monkeypatch.setattr(typed, "STANDARD_INPUT", slave)
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp())
    before, came = termios.tcgetattr(slave), bytearray()

    def write(data: bytes) -> int:
        came.extend(data[:3])  # there is no room for more
        return 3

    line = typed.StandardInput(write)
    try:
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(slave)[3] & termios.ISIG
        os.write(master, b"ls -l\r\x04")
        end = time.monotonic() + 10
        while len(came) < 7 and time.monotonic() < end:
            time.sleep(0.01)
        assert came == b"ls -l\r\x04"
    finally:
        line.close()
        line.close()
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_pipe_and_a_file_come_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, came = tmp_path / "keys", bytearray()
    path.write_bytes(b"x" * 3000)
    with path.open("rb") as file:
        monkeypatch.setattr(typed, "STANDARD_INPUT", file.fileno())
        line = typed.StandardInput(lambda data: came.extend(data) or len(data))
        line._thread.join(10)
        line.close()
    assert came == b"x" * 3000


def test_the_command_hands_on_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # in al, dx; or al, al; jz; out E9h: what comes is printed, "." ends.
    code = "BA FD 03 EC A8 01 74 F8 BA F8 03 EC EE 3C 2E 75 EF B0 00 E6 F4 EB FE"
    keys = tmp_path / "keys"
    keys.write_bytes(b"abc.")
    with keys.open("rb") as file:
        monkeypatch.setattr(typed, "STANDARD_INPUT", file.fileno())
        arguments = ["run", str(disk(tmp_path, bytes.fromhex(code))), "--headless"]
        arguments += ["--frames", "20000", "--exit-port", "0xf4", "--serial", "-"]
        assert main(arguments) == 1
    assert "abc." in capfd.readouterr().out


def test_what_is_written_to_a_machine(tmp_path: Path) -> None:
    code = "BA FD 03 EC A8 01 74 F8 BA F8 03 EC EE EB F1"
    with Machine(disk(tmp_path, bytes.fromhex(code))) as machine:
        assert machine.serial == ""
        assert machine.serial.write("é") == 2
        assert machine.serial.write(b"!") == 1
        machine.tick(3)
        assert machine.serial == "é!"
        assert machine.serial.write(bytes(70_000)) == 1 << 16
    with Machine() as machine, pytest.raises(WorkloadError, match="serial"):
        machine.serial.write("x")


def test_what_the_options_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("f4", "65536", "-1"):
        with pytest.raises(SystemExit) as ended:
            main(["run", str(GUEST), "--headless", f"--exit-port={wrong}"])
        assert ended.value.code == 2
        assert f"{wrong!r} is no port" in capsys.readouterr().err
    nowhere = str(tmp_path / "none" / "log")
    assert main(["run", str(GUEST), "--headless", "--frames", "1", "--serial", nowhere]) == 2
    assert nowhere in capsys.readouterr().err
