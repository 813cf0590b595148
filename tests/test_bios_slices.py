"""What the end of a slice may cut: nothing, wherever it falls in a BIOS or DOS service.

An injector ends the first slice after every single instruction of a call, from the caller's INT to
its next instruction, raises an interrupt or none there, and lets the call go on; what it leaves has
to be what a call leaves that nothing came between. Unicorn counts instructions; KVM's vCPU is
stepped by its debug registers.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
from x86_helpers import CPUS, disk, make_pc, needs_kvm

from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.pc.bios.calls import WORK_A_SLICE
from vgaemu.pc.bios.rom import SERVICES, TRAP_PORTS
from vgaemu.pc.clock import NEVER_NS
from vgaemu.pc.cpu.cpu import GENERAL, INTERRUPT, SEGMENTS
from vgaemu.pc.cpu.kvm import KvmCpu
from vgaemu.pc.cpu.unicorn import SLICE, UnicornCpu
from vgaemu.pc.dos.area import WAITER_AT
from vgaemu.pc.pc import Pc

KVM_SET_GUEST_DEBUG, KVM_EXIT_DEBUG = 0x4048AE9B, 4
STACK, CODE, DATA = 0x7000, 0x7C00, 0x8000
TICKS = 0x46C
HLT = 0xF4
#: Services that change the picture.
TYPES = (0x10, 0x21, 0x29)
#: Slices after which a call has not come back.
TOO_MANY = 120


class Call(NamedTuple):
    """A service, and what it is called with."""

    vector: int
    registers: dict[str, int]
    #: It waits for a key: the letter a comes, at any moment.
    key: bool = False
    memory: bytes = b"vgaemu$" + bytes(57)

    @property
    def waits(self) -> bool:
        return self.key or (self.vector, self.registers["eax"] & 0xFF00) == (0x15, 0x8600)

    @property
    def flushes(self) -> bool:
        """Keys that came before are thrown away."""
        return self.vector == 0x21 and self.registers["eax"] & 0xFF00 == 0x0C00

    def __str__(self) -> str:
        return f"{self.vector:02X}h-" + "-".join(f"{value:X}" for value in self.registers.values())


def _call(vector: int, ax: int = 0, key: bool = False, **registers: int) -> Call:
    return Call(vector, {"eax": 0x5A5A0000 | ax, **registers}, key)


BIOS_CALLS = [
    _call(0x10, 0x0300), _call(0x10, 0x0E41, ebx=7), _call(0x10, 0x0F00),
    _call(0x10, 0x1300, ebx=7, ecx=40, edx=0x0105, ebp=DATA), _call(0x10, 0x0941, ebx=7, ecx=40),
    _call(0x11), _call(0x12),
    _call(0x13, 0x0000), _call(0x13, 0x0201, ebx=0x9000, ecx=1), _call(0x13, 0x0800),
    _call(0x13, 0x0001), _call(0x13, 0x0280, ebx=0x9000, ecx=1),
    _call(0x14), _call(0x17),
    _call(0x15, 0x4F1E), _call(0x15, 0x8600, edx=2000), _call(0x15, 0x8800),
    _call(0x15, 0xC000), _call(0x15, 0xE820, edx=0x534D4150, ecx=20, edi=DATA), _call(0x15, 0x1234),
    _call(0x16, 0x0000, key=True), _call(0x16, 0x1000, key=True), _call(0x16, 0x0100),
    _call(0x16, 0x0200), _call(0x16, 0x0500, ecx=0x1E61), _call(0x16, 0x1200),
    _call(0x1A, 0x0200), _call(0x1A, 0x0400), _call(0x1A, 0xB101),
]  # fmt: skip
DOS_CALLS = [
    _call(0x21, 0x0100, key=True), _call(0x21, 0x0700, key=True), _call(0x21, 0x0800, key=True),
    _call(0x21, 0x0C01, key=True), _call(0x21, 0x0900, edx=DATA), _call(0x21, 0x0241, edx=0x41),
    _call(0x21, 0x0B00), _call(0x21, 0x3000), _call(0x21, 0x2A00), _call(0x21, 0x6200),
    _call(0x29, 0x0041), _call(0x33, 0x0000),
]  # fmt: skip


#: Registers, memory, picture.
Result: TypeAlias = tuple[dict[str, int], bytes, bytes]


class Callers(NamedTuple):
    """How a service is called; its result is on the stack before the HLT."""

    code: Callable[[int], bytes]
    flags: int


#: INT n; pushf; cli; hlt. And as a hook that went on with STI calls the vector it has replaced.
CALLERS = {
    "interrupts-off": Callers(lambda vector: bytes((0xCD, vector, 0x9C, 0xFA, 0xF4)), 0),
    "interrupts-on": Callers(lambda vector: bytes((0xCD, vector, 0x9C, 0xFA, 0xF4)), INTERRUPT),
    "hooked": Callers(
        # pushf; call far [4 * n]; pushf; cli; hlt
        lambda vector: b"\x9c\x2e\xff\x1e" + struct.pack("<H", 4 * vector) + b"\x9c\xfa\xf4",
        INTERRUPT,
    ),
}


class Bench:
    """One PC on which calls are played, each from the same beginning."""

    def __init__(self, pc: Pc) -> None:
        self.pc, self.cpu = pc, pc.cpu
        pc.bus.port_out(0x43, 1, 0x30)  # the timer waits for a count: no tick but ours
        self.clean = bytes(pc.bus.memory[:0xA000])
        self.asked = 0
        for vector, port in zip(SERVICES, TRAP_PORTS, strict=False):
            if vector not in (0x08, 0x09):
                pc.bus.byte_out[port] = self._counted(pc.bus.byte_out[port])
        self.end = self.steps = self.at = 0
        pc.clock.start()

    def _counted(self, trap: Callable[[int], None]) -> Callable[[int], None]:
        def out(value: int) -> None:
            self.asked += 1
            trap(value)

        return out

    def begin(self, call: Call, caller: Callers) -> None:
        """All as before the first instruction."""
        pc, cpu = self.pc, self.cpu
        pc.bus.write(0, self.clean)
        if call.vector in TYPES:
            pc.vga.store(0xB8000, b" \x07" * 2000)
        code = caller.code(call.vector)
        pc.bus.write(CODE, code)
        pc.bus.write(DATA, call.memory)
        self.end = CODE + len(code)
        cpu.halted, pc.run.wake_ns, self.asked = False, NEVER_NS, 0
        cpu.set_registers(
            **dict.fromkeys(GENERAL, 0x12340000) | {"ebx": 0xABCD0000, "edx": 0x77770000},
            **dict.fromkeys(SEGMENTS, 0), eflags=caller.flags | 0xC02,
        )  # fmt: skip
        cpu.set_registers(**call.registers, esp=STACK, eip=CODE, eflags=caller.flags | 0xC02)

    def slice(self, count: int | None) -> None:
        """Chips, an interrupt that is due, and so many instructions; None: as many as usual."""
        if isinstance(self.cpu, UnicornCpu):
            # Its slices are of so much time, which other things take, too.
            self.cpu._slice = 1 if count else SLICE
            for _ in range(count or 1):
                self.pc.step(self.pc.clock.now_ns() + 10_000_000_000)
                if self.cpu.halted:
                    break
            return
        self.steps, self.at = count or SLICE, (self.cpu.cs << 4) + self.cpu.ip
        self.pc.step(self.pc.clock.now_ns() + 10_000_000_000)

    def step_kvm(self, cpu: KvmCpu) -> None:
        """Let a vCPU leave the guest after each instruction; a HLT is one as well."""
        # Enable, single step.
        kvm.libc_ioctl(cpu._vcpu, KVM_SET_GUEST_DEBUG, struct.pack("<II64x", 3, 0))
        served = cpu._exit

        def stepped() -> bool:
            reason = struct.unpack_from("<I", cpu._run, kvm.RUN_EXIT_REASON)[0]
            before, self.at = self.at, (cpu.cs << 4) + cpu.ip
            if reason != KVM_EXIT_DEBUG:
                return served()
            if self.at == before:
                return False  # a HLT that has left the guest already
            self.steps -= 1
            cpu.halted = before == self.at - 1 and cpu.bus.read8(before) == HLT
            return cpu.halted or self.steps <= 0

        cpu._exit = stepped

    @property
    def over(self) -> bool:
        return self.cpu.halted and self.cpu.get("eip") == self.end

    @property
    def was_answered(self) -> bool:
        """Whether the call was done at its INT, without a service that is asked."""
        return not self.asked and self.cpu.cs == 0 and self.cpu.ip in range(CODE + 2, self.end)

    def finish(self, count: int | None = None) -> None:
        for _ in range(TOO_MANY if count is None else TOO_MANY * 20):
            if self.over:
                return
            assert not self.pc.run.over, "the run has ended by itself"
            self.slice(count)
        raise AssertionError("the call does not come back")

    def result(self) -> Result:
        """Registers; memory without what lies below the stack, ticks and what is typed.

        Nor is there which call of DOS waited last.
        """
        cpu, memory = self.cpu, bytearray(self.pc.bus.memory[:0xA000])
        memory[STACK - 0x400 : STACK - 2] = bytes(0x3FE)
        memory[TICKS : TICKS + 4] = memory[WAITER_AT : WAITER_AT + 4] = bytes(4)
        return cpu.registers(), bytes(memory), self.pc.vga.load(0xB8000, 4000)

    def tick(self) -> None:
        self.pc.pic.raise_irq(0)

    def key(self) -> None:
        """The 8042 has the letter a."""
        self.pc.bus.port_out(0x64, 1, 0xD2)
        self.pc.bus.port_out(0x60, 1, 0x1E)

    @property
    def ticks(self) -> int:
        return self.pc.bus.read32(TICKS)


@contextmanager
def bench(tmp_path: Path, cpu: str, com: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    path = disk(tmp_path, b"")
    if com:
        path = tmp_path / "test.com"
        path.write_bytes(b"\x90" * 16)
    with make_pc(path, cpu=cpu) as pc:
        now = pc.clock.time_of_day()
        monkeypatch.setattr(pc.clock, "time_of_day", lambda: now)
        on = Bench(pc)
        if isinstance(pc.cpu, KvmCpu):
            on.step_kvm(pc.cpu)
        yield on


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("caller", "budget"), [*((name, WORK_A_SLICE) for name in CALLERS), ("interrupts-off", 2)]
)
@pytest.mark.parametrize("program", ["disk", "com"])
@pytest.mark.parametrize("cpu", CPUS)
def test_no_slice_cuts_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str, program: str, caller: str,
    budget: int,
) -> None:  # fmt: skip
    with bench(tmp_path, cpu, program == "com", monkeypatch) as on:
        calls = on.pc.bios.calls
        new_slice = calls.new_slice
        monkeypatch.setattr(calls, "new_slice", lambda: new_slice(budget))
        for call in DOS_CALLS if program == "com" else BIOS_CALLS:
            played = [*play(on, call, CALLERS[caller])]
            assert len(played) > 5
            for what, result in played:
                for got, wanted in zip(result, played[0][1], strict=True):
                    assert got == wanted, f"{call}: {what}"


def play(on: Bench, call: Call, caller: Callers) -> Iterator[tuple[str, object]]:
    """A call that nothing comes between, then with a slice that ends after each instruction."""
    on.begin(call, caller)
    if call.key:
        on.slice(None)
        on.key()
    on.finish()
    yield "uninterrupted", on.result()
    if not call.key:
        on.begin(call, caller)
        on.finish(1)
        yield "one at a time", on.result()
    for inject in (on.key,) if call.key else (None, on.tick):
        for count in range(1, 100):
            on.begin(call, caller)
            on.slice(count)
            if on.over:
                break
            asked, ticks = on.asked or on.was_answered, on.ticks
            if call.flushes and not asked:
                continue
            if inject is not None:
                inject()
            on.finish()
            where = f"slice of {count}, then {getattr(inject, '__name__', 'nothing')}"
            if inject == on.tick:
                waits = on.pc.pic.has_interrupt()
                assert on.ticks - ticks + waits == 1, f"{call}: {where}"
                assert asked or not waits, f"{call}: {where}: it was not let in"
                on.pc.pic.chips[0].requested = 0
            yield where, on.result()


@needs_kvm
def test_an_interrupt_that_has_been_taken_is_not_taken_again(
    tmp_path: Path,
) -> None:
    with make_pc(disk(tmp_path, b""), cpu="kvm") as pc:
        on, cpu = Bench(pc), pc.cpu
        assert isinstance(cpu, KvmCpu)
        on.begin(_call(0x15, 0xC000), CALLERS["interrupts-on"])  # a service that loads ES
        before = on.ticks
        on.tick()
        cpu.interrupt(pc.pic.acknowledge())
        # A vCPU that is called back before it gets into the guest leaves word that one waits.
        cpu._run[kvm.RUN_IMMEDIATE_EXIT] = 1
        on.slice(None)
        on.finish()
        assert (cpu.get("es"), on.ticks) == (0xF000, before + 1)
        on.begin(_call(0x11), CALLERS["interrupts-on"])  # loads segments, and sets the ticks back
        on.finish()
        assert on.ticks == before


@pytest.mark.parametrize("program", ["disk", "com"])
@pytest.mark.parametrize("cpu", CPUS)
def test_services_survive_slices_and_interrupts_of_any_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str, program: str
) -> None:
    choose = random.Random(13)
    with bench(tmp_path, cpu, program == "com", monkeypatch) as on:
        calls = on.pc.bios.calls
        new_slice = calls.new_slice
        for call in DOS_CALLS if program == "com" else BIOS_CALLS:
            wanted: dict[int, Result] = {}
            for turn in range(0 if call.flushes else 12):
                caller = CALLERS["interrupts-on" if turn % 2 else "interrupts-off"]
                on.begin(call, caller)
                ticks, raised, key = on.ticks, 0, False
                for _ in range(TOO_MANY * 20):
                    if on.over:
                        break
                    if turn > 1:
                        units = choose.choice((2, 3, WORK_A_SLICE))
                        monkeypatch.setattr(calls, "new_slice", partial(new_slice, units))
                        if on.pc.pic.chips[0].requested & 1 == 0 and choose.random() < 0.2:
                            raised += 1
                            on.tick()
                    if call.key and not key and on.asked and choose.random() < 0.3:
                        key = True
                        on.key()
                    on.slice(choose.randrange(1, 9) if turn > 1 else None)
                assert on.over, call
                waits = on.pc.pic.has_interrupt()
                assert on.ticks - ticks + waits == raised, call
                on.pc.pic.chips[0].requested = 0
                result = on.result()
                assert result == wanted.setdefault(turn % 2, result), call


@pytest.mark.parametrize("call", [BIOS_CALLS[4], *(c for c in BIOS_CALLS if c.waits)], ids=str)
@pytest.mark.parametrize("cpu", CPUS)
def test_a_state_saved_anywhere_in_a_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str, call: Call
) -> None:
    with bench(tmp_path, cpu, False, monkeypatch) as on:
        calls = on.pc.bios.calls
        monkeypatch.setattr(calls, "new_slice", partial(calls.new_slice, 10))
        played = []
        for count in (None, *range(1, 9)):
            on.begin(call, CALLERS["interrupts-off"])
            on.slice(count)
            if count is not None:
                saved = {name: array.copy() for name, array in on.pc.state_arrays().items()}
                on.begin(_call(0x12), CALLERS["interrupts-on"])
                on.finish()
                on.pc.restore_state(saved)
                on.end = CODE + 5
            if call.key:
                on.key()
            on.finish()
            played.append(on.result())
        assert all(result == played[0] for result in played)


#: SS = 2000h, SP = 800h; nop; cli; hlt.
STACK_SWITCHES = {
    "mov": "B8 00 20 8E D0 BC 00 08 90 FA F4",
    "mov from memory": "C7 06 00 80 00 20 8E 16 00 80 BC 00 08 90 FA F4",
    "mov by a base": "C7 06 00 80 00 20 BB 00 80 8E 17 BC 00 08 90 FA F4",
    "pop": "68 00 20 17 BC 00 08 90 FA F4",
}


@pytest.mark.parametrize("name", STACK_SWITCHES)
@pytest.mark.parametrize("cpu", CPUS)
def test_no_slice_comes_between_a_stacks_segment_and_its_pointer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str, name: str
) -> None:
    code = bytes.fromhex(STACK_SWITCHES[name])
    with bench(tmp_path, cpu, False, monkeypatch) as on:
        for count in range(1, 7):
            on.begin(_call(0x11), Callers(lambda _: code, INTERRUPT))
            on.pc.bus.write(0x26000, bytes(0x1100))
            on.slice(count)
            if on.over:
                break
            ticks = on.ticks
            on.tick()
            on.finish()
            assert on.pc.bus.read(0x26000, 0x1100) == bytes(0x1100), count
            assert on.ticks - ticks + on.pc.pic.has_interrupt() == 1
            on.pc.pic.chips[0].requested = 0
        assert count > 3


def test_a_jump_to_itself_behind_sti_is_interrupted(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, b"\xfb\xeb\xfe")) as pc:
        before = pc.bus.read32(TICKS)
        pc.clock.start()
        for _ in range(60):
            pc.run_frame()
        assert pc.bus.read32(TICKS) - before == 18
