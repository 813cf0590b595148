"""The mouse: what the host does with it, the PS/2 mouse's commands and packets, and guests."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_x86_qemu import QEMU, Monitor
from x86_helpers import boot_sector, has_kvm

from vgaemu import Machine, snapshot
from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Event, MouseButton, MouseMoved, MousePlaced
from vgaemu.errors import KeysError
from vgaemu.keys.mouse import MOST, Mouse, Movement
from vgaemu.keys.queue import Keys
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.clock import StepClock
from vgaemu.vga.device import Vga

#: Enables the mouse and prints each byte that comes from it in hex.
#:         cli; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 7C00h
#:         mov word [74h*4], handler; mov word [74h*4+2], ax; mov ax, B800h; mov es, ax; xor di, di
#:         mov al, A8h; call command; mov al, 60h; call command; mov al, 47h; call data
#:         in al, A1h; and al, EFh; out A1h, al; in al, 21h; and al, FBh; out 21h, al
#:         mov si, setup
#: next:   lodsb; or al, al; jz ready; push ax; mov al, D4h; call command; pop ax; call data
#:         sti; mov cx, 3
#: a_while: hlt; loop a_while; cli; jmp next
#: ready:  sti; hlt; jmp ready
#: command: call room; out 64h, al; ret
#: data:   call room; out 60h, al; ret
#: room:   push ax
#: again:  in al, 64h; test al, 2; jnz again; pop ax; ret
#: handler: push ax; push bx; in al, 60h; mov bl, al; shr al, 4; call digit; mov al, bl; and al, 15
#:         call digit; mov al, 20h; out A0h, al; out 20h, al; pop bx; pop ax; iret
#: digit:  add al, '0'; cmp al, '9'; jbe store; add al, 7
#: store:  mov ah, 7; stosw; ret
#: setup:  db FFh, F3h, 200, F3h, 100, F3h, 80, F2h, F4h, 0
PRINTER = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007cc706d0016c7ca3d201b800b88ec031ffb0a8e83600b060e83100b047e83200e4a1"
    "24efe6a1e42124fbe621be947cac08c0741450b0d4e8120058e81400fbb90300f4e2fdfaebe7fbf4ebfce80900"
    "e664c3e80300e660c350e464a80275fa58c35053e46088c3c0e804e8100088d8240fe80900b020e6a0e6205b58"
    "cf04303c3976020407b407abc3fff3c8f364f350f2f400"
)
#: What the commands of its setup are answered.
SETUP = "FAAA00" + "FA" * 7 + "03FA"
CPUS = ["unicorn", pytest.param("kvm", marks=pytest.mark.skipif(not has_kvm(), reason="no KVM"))]


class Board:
    """A controller with a mouse, and a guest that reads all that comes."""

    def __init__(self) -> None:
        self.bus, self.clock, self.mouse = Bus(Vga(Memslot(64)), 2 << 20), StepClock(), Mouse()
        self.irqs: list[int] = []
        self.chip = I8042(self.bus, self.irqs.append, self.clock, Keys(), self.mouse)
        self.bus.port_out(0x64, 1, 0x60)
        self.bus.port_out(0x60, 1, 0x47)

    def tell(self, *values: int) -> str:
        """Bytes for the mouse, each answered before the next; what it answers."""
        got = ""
        for value in values:
            self.bus.port_out(0x64, 1, 0xD4)
            self.bus.port_out(0x60, 1, value)
            got += " " + self.read(8_000_000)
        return " ".join(got.split())

    def read(self, ns: int = 100_000_000) -> str:
        """What comes within a time; all of it is the auxiliary device's."""
        got = []
        for _ in range(ns // 500_000):
            self.clock.ns += 500_000
            self.chip.advance(self.clock.ns)
            if self.bus.port_in(0x64, 1) & 1:
                assert self.bus.port_in(0x64, 1) & 0x20
                got.append(f"{self.bus.port_in(0x60, 1):02X}")
        return " ".join(got)


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        # Identity, reset, defaults, off and on, resolution, rate.
        ("F2", "FA 00"), ("FF", "FA AA 00"), ("F6", "FA"), ("F5", "FA"), ("F4", "FA"),
        ("E8 03 E9", "FA FA FA 00 03 64"), ("F3 0A E9", "FA FA FA 00 02 0A"),
        # Status: remote, reporting, 2:1; 1:1 and stream again; all gone after defaults.
        ("F0 E9", "FA FA 40 02 64"), ("F4 E7 E9", "FA FA FA 30 02 64"),
        ("F0 EA E7 E6 E9", "FA FA FA FA FA 00 02 64"),
        ("F4 E7 F0 F6 E9", "FA FA FA FA FA 00 02 64"),
        # Wrap mode: all comes back but its end, and reset.
        ("EE F2 00 EA EC F2", "FA F2 00 EA FA FA 00"), ("EE FF F2", "FA FA AA 00 FA 00"),
        # A packet that is asked for, the last byte again.
        ("EB", "FA 08 00 00"), ("F2 FE", "FA 00 00"),
        # The knock of a wheel's driver, and such that are none; a reset forgets it.
        ("F3 C8 F3 64 F3 50 F2", "FA FA FA FA FA FA FA 03"),
        ("F3 C8 F3 64 F3 50 EB", "FA FA FA FA FA FA FA 08 00 00 00"),
        ("F3 C8 F3 64 F3 50 FF F2", "FA FA FA FA FA FA FA AA 00 FA 00"),
        ("F3 64 F3 C8 F3 50 F2", "FA FA FA FA FA FA FA 00"),
        ("F3 C8 F3 C8 F3 64 F3 50 F2", "FA FA FA FA FA FA FA FA FA 03"),
        # What it does not know, once and again; a wrong argument, once and again.
        ("00 01 F2 E4", "FE FC FA 00 FE"), ("E8 04 02 E9", "FA FE FA FA 00 02 64"),
        ("F3 0B 0C 0A", "FA FE FC FE"), ("E8 F2 E9", "FA FA 00 FA 00 02 64"),
    ],
)  # fmt: skip
def test_each_command(told: str, answer: str) -> None:
    assert Board().tell(*bytes.fromhex(told)) == answer


def left(mouse: Mouse) -> None:
    mouse.button(1, True)


@pytest.mark.parametrize(
    ("setup", "act", "packets"),
    [
        ("F4", lambda mouse: mouse.move(5, -3), "08 05 03"),
        ("F4", lambda mouse: mouse.move(-100, 50), "38 9C CE"),
        ("F4", left, "09 00 00"),
        ("F4", lambda mouse: (mouse.button(3, True), mouse.button(2, True)), "0E 00 00"),
        # Down and up between two packets: both are told, where they happened.
        ("F4", lambda mouse: (left(mouse), mouse.button(1, False)), "09 00 00 08 00 00"),
        (
            "F4",
            lambda mouse: (
                mouse.move(1, 0),
                left(mouse),
                mouse.move(2, 0),
                mouse.button(1, False),
                mouse.move(4, 0),
            ),
            "09 01 00 08 02 00 08 04 00",
        ),
        # What does not fit into a packet comes in the next.
        ("F4", lambda mouse: mouse.move(300, -600), "08 FF FF 08 2D FF 08 00 5A"),
        ("F4", lambda mouse: mouse.move(-300, 0), "18 01 00 18 D3 00"),
        # 2:1, which is for streams alone.
        ("E7 F4", lambda mouse: mouse.move(3, -5), "08 03 09"),
        ("E7 F4", lambda mouse: mouse.move(-1, 100), "38 FF 38"),
        # The wheel: towards the user is positive; without one it is not there.
        ("F3 C8 F3 64 F3 50 F4", lambda mouse: mouse.move(0, 0, 1), "08 00 00 01"),
        ("F3 C8 F3 64 F3 50 F4", lambda mouse: mouse.move(1, 0, -9), "08 01 00 F9 08 00 00 FE"),
        # Off, asked for only, wrapped: nothing comes by itself.
        ("F5", lambda mouse: mouse.move(5, 5), ""),
        ("F4 F0", lambda mouse: mouse.move(5, 5), ""),
        ("F4 EE", lambda mouse: mouse.move(5, 5), ""),
    ],
)
def test_packets(setup: str, act: Callable[[Mouse], Any], packets: str) -> None:
    board = Board()
    board.tell(*bytes.fromhex(setup))
    board.irqs.clear()
    act(board.mouse)
    assert board.read() == packets
    assert board.irqs == [12] * len(packets.split())


def test_a_packet_that_is_asked_for_has_all_since_the_last() -> None:
    board = Board()
    assert board.tell(0xF0, 0xF4) == "FA FA"
    board.mouse.move(4, 0)
    board.mouse.move(4, 1)
    assert board.tell(0xEB) == "FA 28 08 FF"
    assert board.tell(0xEB) == "FA 08 00 00"


def test_packets_come_at_the_sample_rate() -> None:
    board, times = Board(), []
    board.tell(0xF3, 10, 0xF4)
    for _ in range(600):
        board.mouse.move(1, 0)
        if board.read(1_000_000):
            times.append(board.clock.ns // 1_000_000)
    gaps = np.diff(times)
    assert (gaps > 90).sum() == 6, gaps  # ten a second, of three bytes each


def test_a_port_that_is_off_keeps_its_bytes() -> None:
    board = Board()
    board.tell(0xF4)
    board.bus.port_out(0x64, 1, 0xA7)
    board.mouse.move(1, 1)
    assert board.read() == ""
    board.bus.port_out(0x64, 1, 0xA8)
    assert board.read() == "28 01 FF"


def test_what_nobody_listens_to_is_forgotten() -> None:
    mouse = Mouse()
    mouse.move(5, 5)
    assert mouse.take() is None
    mouse.move(5, 5)
    mouse.move(10 * MOST, -10 * MOST, 3)
    assert mouse.take() == Movement(MOST, -MOST, 3, 0)
    mouse.move(1, 1)
    mouse.ignore()
    assert not mouse.has_news()


def test_a_pointer_that_is_put_somewhere() -> None:
    mouse = Mouse()
    assert mouse.take() is None
    mouse.place(100, 50)
    assert mouse.take() is None
    mouse.place(103, 48)
    assert mouse.take() == Movement(3, -2, 0, 0)


def test_no_such_button() -> None:
    with pytest.raises(KeysError, match="buttons 1, 2 and 3, not 4"):
        Mouse().button(4, True)


def test_a_workload_takes_it_from_the_displays_user() -> None:
    seen: list[Movement | None] = []

    def workload(guest: Any) -> Any:
        for _ in range(4):
            seen.append(guest.mouse.take())
            yield

    class Moved(BaseDisplay):
        def poll(self) -> list[Event]:
            return [MouseMoved(2, 1, -1), MousePlaced(7, 7), MouseButton(3, True)]

    with Machine(workload, display=Moved()) as machine:
        machine.tick(3)
    assert seen == [Movement(0, 0, 0, 2), *[Movement(2, 1, -1, 2)] * 2]


@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_is_told_and_a_state_goes_on(cpu: str, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    image = tmp_path / "mouse.img"
    image.write_bytes(boot_sector(PRINTER))
    with Machine(str(image), cpu=cpu, vram_mib=1) as machine:
        assert machine.wait_for_text(SETUP)
        assert machine.mouse.listening
        machine.mouse.move(300, 0)
        machine.mouse.button(1, True)
        machine.save_state(tmp_path / "mouse.npz")
        machine.mouse.button(1, False)
        assert machine.wait_for_text(SETUP + "09FF0000" + "082D0000", 20) is False
    with Machine(str(image), cpu=cpu, vram_mib=1) as machine:
        machine.load_state(tmp_path / "mouse.npz")
        assert machine.mouse.listening
        assert machine.wait_for_text(SETUP + "08FF0000" + "082D0000", 20)


def test_what_is_saved_of_it_is_checked() -> None:
    board = Board()
    parts = board.chip.parts()
    saved = snapshot.take(parts)
    for name in ("chips.mouse", "chips.mouse_moved"):
        for wrong in (np.full_like(saved[name], 1 << 40), saved[name][:-1]):
            assert snapshot.misfit(parts, saved | {name: wrong}) == name
    board.tell(0xF4)
    without = {name: array for name, array in saved.items() if "mouse" not in name}
    assert snapshot.misfit(parts, without) is None
    snapshot.restore(parts, without)  # of a version that had none
    assert not board.chip.mouse.reporting
    assert not board.mouse.listening


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_the_same_bytes_as_on_qemu(tmp_path: Path) -> None:
    """QEMU's packets have at most 127 steps."""
    pytest.importorskip("unicorn")
    image = tmp_path / "mouse.img"
    image.write_bytes(boot_sector(PRINTER).ljust(1_474_560, b"\0"))
    ours = theirs = ""
    with Machine(str(image), vram_mib=1) as machine:
        assert machine.wait_for_text(SETUP)
        for act in (
            lambda mouse: mouse.move(5, -3), left, lambda mouse: mouse.move(-100, 50),
            lambda mouse: mouse.button(3, True), lambda mouse: mouse.move(0, 0, 1),
        ):  # fmt: skip
            act(machine.mouse)
            machine.tick(6)
        ours = "".join(machine.screen.text()).split()[0]
    command = [QEMU, "-display", "none", "-boot", "a",
               "-drive", f"if=floppy,format=raw,file={image}",
               "-qmp", f"unix:{tmp_path / 'qmp'},server=on,wait=off"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            monitor = Monitor(tmp_path / "qmp")

            def shown() -> str:
                file = tmp_path / "text"
                monitor.command("pmemsave", val=0xB8000, size=320, filename=str(file))
                return file.read_bytes()[::2].decode("cp437")

            def comes(text: str) -> bool:
                for _ in range(200):
                    if text in shown():
                        return True
                    time.sleep(0.05)
                return False

            assert comes(SETUP), shown()
            said, length = SETUP, [8, 8, 8, 8, 8]
            for events, more in zip(
                ([_rel("x", 5), _rel("y", -3)], [_button("left")], [_rel("x", -100), _rel("y", 50)],
                 [_button("right")], [_button("wheel-down")]), length, strict=True,
            ):  # fmt: skip
                monitor.command("input-send-event", events=events)
                said = ours[: len(said) + more]
                assert comes(said), (shown(), ours)
            theirs = shown()[: len(ours)]
            monitor.close()
        finally:
            process.kill()
    assert theirs == ours


def _rel(axis: str, value: int) -> dict[str, Any]:
    return {"type": "rel", "data": {"axis": axis, "value": value}}


def _button(name: str) -> dict[str, Any]:
    return {"type": "btn", "data": {"button": name, "down": True}}
