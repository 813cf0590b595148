"""Guests that make the host work: a frame in step is a bounded count of it, whatever they do.

Each is a loop of what is dearest to the host next to what the guest's clock is told. Work is
counted, not timed: calls of what serves the guest, each with about what it costs the host.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from vram_planes import planes_of
from x86_helpers import disk, make_pc

from vgaemu.machine import Machine
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import INSTRUCTION_NS
from vgaemu.pc.cpu.unicorn import SLICE_IN_STEP, UnicornCpu
from vgaemu.pc.cpu.unicorn_blocks import Translations
from vgaemu.pc.cpu.unicorn_interrupts import Interrupts
from vgaemu.pc.cpu.unicorn_pages import Pages
from vgaemu.pc.cpu.unicorn_ports import BusPorts
from vgaemu.pc.pc import Pc
from vgaemu.vga.device import Vga

pytestmark = pytest.mark.turns(2)

pytest.importorskip("unicorn")

#: Microseconds of the host for a frame, by the prices below; and frames of each guest.
MOST_US, FRAMES = 150_000, 3

#: ax = ds = es = ss = 0; sp = 7000h.
REAL = "31 C0 8E D8 8E C0 8E D0 BC 00 70"
#: cli; ds = 0; lgdt, lidt; CR0.PE; jmp 8:; ds = es = ss = 16; esp = 7000h.
PROTECTED = (
    "FA 31 C0 8E D8 0F 01 16 B0 7D 0F 01 1E B6 7D 0F 20 C0 0C 01 0F 22 C0 EA 1C 7C 08 00 66 B8 10"
    "00 8E D8 8E C0 8E D0 BC 00 70 00 00"
)
#: At 100000h a directory of pages of 4 MiB, one to one; ebx = cr3 = 100000h; CR4.PSE; CR0.PG.
PAGING = (
    "BF 00 00 10 00 B8 87 00 00 00 AB 05 00 00 40 00 81 FF 00 10 10 00 72 F2 BB 00 00 10 00 0F 22"
    "DB 0F 20 E0 0C 10 0F 22 E0 0F 20 C0 0D 00 00 00 80 0F 22 C0"
)
#: At 7D00h an IDT of 15 gates to 7D80h, the handler; a GDT of flat code and data; pointers to both.
TABLES = (
    "80 7D 08 00 00 8E 00 00" * 15 + "00" * 8 + "{handler}"
    + "00" * 8 + "FF FF 00 00 00 9B CF 00 FF FF 00 00 00 93 CF 00" + "00" * 8
    + "17 00 90 7D 00 00 77 00 00 7D 00 00"
)  # fmt: skip


class Hostile(NamedTuple):
    """A loop, as bytes; it runs in real mode, in protected mode or with paging."""

    code: str
    handler: str = ""
    #: What the handler is hooked to in real mode.
    vector: int | None = None
    protected: bool = False
    paging: bool = False

    def sector(self) -> bytes:
        code = PROTECTED if self.protected or self.paging else REAL
        if self.vector is not None:
            at = 4 * self.vector
            code += f"C7 06 {at & 0xFF:02X} {at >> 8:02X} 80 7D"
            code += f"C7 06 {at + 2 & 0xFF:02X} {at >> 8:02X} 00 00"
        code += (PAGING if self.paging else "") + self.code
        handler = bytes.fromhex(self.handler).ljust(16, b"\0").hex()
        return bytes.fromhex(code).ljust(0x100, b"\0") + bytes.fromhex(
            TABLES.format(handler=handler)
        )


HOSTILE = {
    # xor cx,cx; again: div cx; jmp again
    "division by zero": Hostile("31 C9 F7 F1 EB FC", "CF", 0),
    # ud2
    "unknown opcode": Hostile("0F 0B", "CF", 6),
    # ud2 | ud2
    "unknown opcode in its handler": Hostile("0F 0B", "0F 0B", 6),
    # bound ax,[7c00h]
    "bound": Hostile("62 06 00 7C", "CF", 5),
    # mov eax,cr0; or al,4; mov cr0,eax; fld1
    "no coprocessor": Hostile("0F 20 C0 0C 04 0F 22 C0 D9 E8", "CF", 7),
    # again: mov al,7fh; add al,1; into; jmp again
    "overflow": Hostile("B0 7F 04 01 CE EB F9", "CF", 4),
    # again: int3; jmp again
    "breakpoint": Hostile("CC EB FD", "CF", 3),
    # pushf; pop ax; or ah,1; push ax; popf; again: inc bx; jmp again
    "single steps": Hostile("9C 58 80 CC 01 50 9D 43 EB FD", "CF", 1),
    # again: int 40h; jmp again
    "INT 40h": Hostile("CD 40 EB FC", "CF", 0x40),
    # again: mov ah,0; int 1ah; jmp again
    "INT 1Ah": Hostile("B4 00 CD 1A EB FA"),
    # again: mov eax,1; cpuid; jmp again
    "CPUID": Hostile("66 B8 01 00 00 00 0F A2 EB F6"),
    # again: mov eax,cr0; xor al,1; mov cr0,eax; jmp again
    "CR0.PE": Hostile("0F 20 C0 34 01 0F 22 C0 EB F6"),
    # again: inc byte [next+1]; next: mov al,0; jmp again
    "stores into the next instruction": Hostile("FE 06 10 7C B0 00 EB F8"),
    # one: inc byte [two+1]; jmp two; nop; two: mov al,0; inc byte [one+3]; dec byte [one+3]; jmp
    # one
    "blocks that change each other": Hostile(
        "FE 06 13 7C EB 01 90 B0 00 FE 06 0E 7C FE 0E 0E 7C EB ED"
    ),
    # xor bx,bx; mov si,3800h; jmp 0:3000h
    "astray in zeroed memory": Hostile("31 DB BE 00 38 EA 00 30 00 00"),
    # mov bl,40h; again: mov al,bl; mov di,8000h; mov cx,100; rep stosb; mov byte [di],0c3h;
    # call 8000h; xor bl,8; jmp again
    "code written and run": Hostile(
        "B3 40 88 D8 BF 00 80 B9 64 00 F3 AA C6 05 C3 E8 E3 03 80 F3 08 EB EB"
    ),
    # mov sp,7c80h; again: push ax; pop ax; pusha; popa; jmp again
    "a stack in the code": Hostile("BC 80 7C 50 58 60 61 EB FA"),
    # mov dx,3c9h; again: out dx,al; jmp again
    "OUT": Hostile("BA C9 03 EE EB FD"),
    # mov dx,3dah; again: in al,dx; jmp again
    "IN": Hostile("BA DA 03 EC EB FD"),
    # mov dx,5678h; again: out dx,eax; jmp again
    "OUT of 32 bits to no device": Hostile("BA 78 56 66 EF EB FC"),
    # mov dx,3c9h; again: mov cx,0ffffh; rep outsb; jmp again
    "REP OUTSB": Hostile("BA C9 03 B9 FF FF F3 6E EB F9"),
    # mov dx,3cch; again: mov cx,0fffh; mov di,8000h; rep insb; jmp again
    "REP INSB": Hostile("BA CC 03 B9 FF 0F BF 00 80 F3 6C EB F6"),
    # mov ax,12h; int 10h; push 0a000h; pop es; again: mov cx,0ffffh; rep stosb; jmp again
    "REP STOSB through planes": Hostile("B8 12 00 CD 10 68 00 A0 07 B9 FF FF F3 AA EB F9"),
    # mov ax,12h; int 10h; push 0a000h; pop es; push es; pop ds; again: mov cx,7fffh; rep movsb;
    # jmp again
    "REP MOVSB through planes": Hostile("B8 12 00 CD 10 68 00 A0 07 06 1F B9 FF 7F F3 A4 EB F9"),
    # mov ax,12h; int 10h; push 0a000h; pop es; mov eax,cr4; or ah,2; mov cr4,eax; again: fxsave
    # [es:0]; jmp again
    "FXSAVE through planes": Hostile(
        "B8 12 00 CD 10 68 00 A0 07 0F 20 E0 80 CC 02 0F 22 E0 26 0F AE 06 00 00 EB F8"
    ),
    # push 0f000h; pop es; again: inc byte [es:di]; jmp again
    "stores into ROM": Hostile("68 00 F0 07 26 FE 05 EB FB"),
    # mov al,14h; out 43h,al; mov al,2; out 40h,al; sti; again: hlt; jmp again | push ax; mov
    # al,20h; out 20h,al; pop ax; iret
    "the fastest timer": Hostile("B0 14 E6 43 B0 02 E6 40 FB F4 EB FD", "50 B0 20 E6 20 58 CF", 8),
    # again: mov al,0d2h; out 64h,al; mov al,1eh; out 60h,al; in al,60h; jmp again
    "the keyboard controller": Hostile("B0 D2 E6 64 B0 1E E6 60 E4 60 EB F4"),
    # again: int 3; jmp again
    "INT to a gate": Hostile("CD 03 EB FC", "CF", protected=True),
    # mov ax,0ffffh; mov ds,ax | add esp,4; iret
    "general protection": Hostile("66 B8 FF FF 8E D8", "83 C4 04 CF", protected=True),
    # ud2
    "unknown opcode to a gate": Hostile("0F 0B", "CF", protected=True),
    # again: lgdt [gdtr]; mov ds,cx; mov cx,16; mov ds,cx; mov ss,cx; jmp again
    "segments": Hostile(
        "0F 01 15 B0 7D 00 00 8E D9 66 B9 10 00 8E D9 8E D1 EB ED", "CF", protected=True
    ),
    # again: int 3; jmp again
    "INT to a gate with paging": Hostile("CD 03 EB FC", "CF", paging=True),
    # mov dword [100ffch],0; mov cr3,ebx; mov eax,[0ffffff00h] | add esp,4; iret
    "page faults": Hostile(
        "C7 05 FC 0F 10 00 00 00 00 00 0F 22 DB A1 00 FF FF FF", "83 C4 04 CF", paging=True
    ),
    # mov dword [100ffch],0; mov cr3,ebx; mov eax,0ffffff00h; jmp eax | add esp,4; iret
    "page faults of a fetch": Hostile(
        "C7 05 FC 0F 10 00 00 00 00 00 0F 22 DB B8 00 FF FF FF FF E0", "83 C4 04 CF", paging=True
    ),
    # again: mov cr3,ebx; mov eax,[200000h]; jmp again
    "CR3": Hostile("0F 22 DB A1 00 00 20 00 EB F6", "CF", paging=True),
    # again: mov eax,cr4; xor al,80h; mov cr4,eax; mov eax,[200000h]; jmp again
    "CR4": Hostile("0F 20 E0 34 80 0F 22 E0 A1 00 00 20 00 EB F1", "CF", paging=True),
    # again: mov eax,cr0; xor eax,80000000h; mov cr0,eax; mov ecx,[200000h]; jmp again
    "CR0.PG": Hostile(
        "0F 20 C0 35 00 00 00 80 0F 22 C0 8B 0D 00 00 20 00 EB ED", "CF", paging=True
    ),
    # again: invlpg [200000h]; mov eax,[200000h]; jmp again
    "INVLPG": Hostile("0F 01 3D 00 00 20 00 A1 00 00 20 00 EB F2", "CF", paging=True),
    # again: xor dword [100008h],400000h; invlpg [800000h]; mov eax,[800000h]; jmp again
    "page tables": Hostile(
        "81 35 08 00 10 00 00 00 40 00 0F 01 3D 00 00 80 00 A1 00 00 80 00 EB E8", "CF", paging=True
    ),
    # again: mov eax,[edx]; add edx,1000h; jmp again
    "every page": Hostile("8B 02 81 C2 00 10 00 00 EB F6", "CF", paging=True),
    # again: movsd; add esi,0ffch; add edi,2ffch; mov cr3,ebx; jmp again
    "every page, copied": Hostile(
        "A5 81 C6 FC 0F 00 00 81 C7 FC 2F 00 00 0F 22 DB EB EE", "CF", paging=True
    ),
    # mov edi,200000h; mov ecx,40000h; mov eax,0c3c3c3c3h; rep stosd; again: mov edx,200000h;
    # next: call edx; add edx,1000h; cmp edx,300000h; jb next; mov cr3,ebx; jmp again
    "code in every page": Hostile(
        "BF 00 00 20 00 B9 00 00 04 00 B8 C3 C3 C3 C3 F3 AB BA 00 00 20 00 FF D2 81 C2"
        "00 10 00 00 81 FA 00 00 30 00 72 F0 0F 22 DB EB E6",
        "CF",
        paging=True,
    ),
}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Microseconds of work in the frame in hand, by what was called; too much of it raises."""
    spent: dict[str, float] = {}
    monkeypatch.setenv("VGAEMU_NATIVE", "0")  # whose work is less, and is not told

    def price(owner: type, name: str, us: Callable[..., float]) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            spent[name] = spent.get(name, 0) + us(*args)
            assert sum(spent.values()) < MOST_US, spent
            return real(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    price(Pc, "_step", lambda *_: 15)
    price(Interrupts, "deliver", lambda *_: 40)
    price(UnicornCpu, "_execute", lambda *_: 25)
    price(Pages, "fill", lambda *_: 8)
    price(Translations, "_on_translation", lambda own, uc, block, *_: 20 + 5 * block.icount)
    for name in ("on_in", "on_out"):
        price(BusPorts, name, lambda *_: 2)
    for name in ("load", "store"):
        price(Vga, name, lambda *_: 3)
    return spent


@pytest.mark.parametrize("name", HOSTILE)
def test_a_frame_is_a_bounded_count_of_work(
    tmp_path: Path, work: dict[str, float], name: str
) -> None:
    with Machine(str(disk(tmp_path, HOSTILE[name].sector()))) as machine:
        for _ in range(FRAMES):
            work.clear()
            machine.run_frame()
            assert not machine.ended


def test_a_frame_ends_by_its_thread_s_time_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # jmp $, on a host where each look at the thread's time is 60 ms later
    times = iter(range(0, 10**12, 60_000_000))
    monkeypatch.setattr("vgaemu.pc.pc.thread_time_ns", times.__next__)
    monkeypatch.setattr("vgaemu.pc.pc.perf_counter_ns", count(step=10**9).__next__)
    monkeypatch.setattr("vgaemu.pc.pc.most_host_ns", lambda: 200_000_000)
    with make_pc(disk(tmp_path, b"\xeb\xfe")) as pc:
        pc.run_frame()
        first = pc.clock.now_ns()
        assert pc.next_frame_ns == first < 5 * SLICE_IN_STEP * INSTRUCTION_NS  # four slices
        # What was not done is not made up for.
        monkeypatch.setattr("vgaemu.pc.pc.thread_time_ns", lambda: 0)
        pc.run_frame()
        assert 16_000_000 < pc.clock.now_ns() - first < 18_000_000


def test_a_frame_of_a_slow_host_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same looks at the thread's time, but what is tried takes a hundred times as long, too."""
    times = iter(range(0, 10**12, 60_000_000))
    monkeypatch.setattr("vgaemu.pc.pc.thread_time_ns", times.__next__)
    monkeypatch.setattr("vgaemu.pc.pc.perf_counter_ns", count(step=10**9).__next__)
    monkeypatch.setattr("vgaemu.pc.pc.most_host_ns", lambda: 20_000_000_000)
    with make_pc(disk(tmp_path, b"\xeb\xfe")) as pc:
        pc.run_frame()
        assert 16_000_000 < pc.next_frame_ns <= pc.clock.now_ns() < 18_000_000


# ds = ss = 0; sp = 7000h; INT 40h counts at 600h; mode 12h; es = A000h. Ports and planes by single
# and repeated instructions: out 80h, al; in al, 77h; cx = 9 each: rep outsb, rep insb (to 9000h),
# rep stosb, rep movsb (both to es); inc byte [es:0]; xchg [es:2], ax; or [es:6], eax; CR4.OSFXSR;
# fxsave [es:100h]; with the stack there: pusha, popa, push [0], pop [es:10h]; then new pages: add
# [8000h], al, [0A00h], [2B00h]; int 40h, twice; cli; hlt.
EVERYTHING = bytes.fromhex(
    "31 C0 8E D8 8E D0 BC 00 70 C7 06 00 01 C0 7C 8C 1E 02 01 B8 12 00 CD 10 68 00 A0 07 B0 03 E6"
    "80 E4 77 BA 80 00 31 F6 31 FF B9 09 00 F3 6E 06 1E 07 BA 77 00 BF 00 90 B9 09 00 F3 6C 07 31"
    "FF B9 09 00 F3 AA B9 09 00 F3 A4 26 FE 06 00 00 26 87 06 02 00 26 66 09 06 06 00 0F 20 E2 80"
    "CE 02 0F 22 E2 26 0F AE 06 00 01 8C C2 8E D2 BC 00 08 60 61 FF 36 00 00 26 8F 06 10 00 31 C9"
    "8E D1 BC 00 70 00 06 00 80 00 06 00 0A 00 06 00 2B CD 40 CD 40 FA F4"
).ljust(0xC0, b"\x90") + bytes.fromhex("FE 06 00 06 CF")


def test_a_slice_that_ends_early_is_cut_between_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is charged ends a slice here, and changes neither what is done nor when."""

    def run(limit_ns: int) -> tuple[object, ...]:
        log: list[tuple[object, ...]] = []

        def told(owner: type, name: str) -> None:
            real = getattr(owner, name)

            def noted(self: object, *args: Any) -> Any:
                log.append((name, *(bytes(a) if isinstance(a, memoryview) else a for a in args)))
                return real(self, *args)

            patch.setattr(owner, name, noted)

        with make_pc(disk(tmp_path, EVERYTHING)) as pc, monkeypatch.context() as patch:
            for name in ("port_in", "port_out"):
                told(Bus, name)
            for name in ("load", "store"):
                told(Vga, name)
            pc.bus.byte_in[0x77] = iter(range(256)).__next__
            slices = 0
            while not pc.cpu.halted or pc.cpu.get("eflags") & 0x200:
                slices += 1
                pc.cpu.halted = False
                pc.cpu.run(pc.clock.now_ns() + limit_ns)
                pc.bios.new_slice()
                assert slices < 2000
            ram, planes = pc.bus.read(0x500, 0x9FB00), planes_of(pc.vga)[:0x1000].tobytes()
            return log, ram, planes, pc.cpu.registers(), pc.clock.now_ns(), slices

    whole, cut = run(1 << 40), run(1)
    assert whole[-1] < 5 < 40 < cut[-1]
    assert whole[0] == cut[0]
    assert whole[1:-1] == cut[1:-1]
