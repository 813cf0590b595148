"""Instructions counted by blocks: the same time, registers and memory as each counted alone."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
import twin_guests
from x86_helpers import disk, make_pc, run_until_halted

from vgaemu import native
from vgaemu.native import again
from vgaemu.pc.cpu import unicorn_blocks, unicorn_native
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_blocks import BlockCount, places

pytest.importorskip("numba")
HALT = "FA F4"
#: mov ax, mode; int 10h; ds = es = segment; di = 0.
SCREEN = "B8 {:02X} 00 CD 10 B8 00 {:02X} 8E C0 8E D8 31 FF "
#: Boot sectors, each with what is to be looked at in the middle of a block, a few hundred times.
GUESTS = {
    # l: inc ax; stosb; mov [di], ax; inc dx; add [di+1], dl; cmp ax, 2000; jb l
    "planes": SCREEN.format(0x12, 0xA0) + "31 C0 40 AA 89 05 42 00 55 01 3D D0 07 72 F3" + HALT,
    # The same in text, where a store to an odd address is two.
    "text": SCREEN.format(0x03, 0xB8) + "31 C0 40 AA 89 05 42 00 55 01 3D D0 07 72 F3" + HALT,
    # ds = F000h, ROM: l: inc ax; add [0], al; mov bx, [1]; add dx, bx; cmp ax, 900; jb l
    "ROM": "B8 00 F0 8E D8 31 C0 40 00 06 00 00 8B 1E 01 00 01 DA 3D 84 03 72 F0" + HALT,
    # dx = 3DAh: l: inc bx; in al, dx; add cl, al; in al, 40h; add ch, al; cmp bx, 300; jb l
    "ports": "BA DA 03 31 DB 43 EC 00 C1 E4 40 00 C5 81 FB 2C 01 72 F2" + HALT,
    # es = A000h: l: inc bx; dx = 3C8h; mov al, bl; out dx, al; inc dx; a colour of it, two times:
    # three times out dx, al; inc al; dx = 3C8h; in al, dx; add ch, al; ax = 108h; add ah, bl;
    # dx = 3CEh; out dx, ax; stosb; inc cx; cmp bx, 300; jb l
    "colours": (
        SCREEN.format(0x12, 0xA0) + "31 DB 43 BA C8 03 88 D8 EE 42 "
        "EE FE C0 EE FE C0 EE FE C0 EE FE C0 EE FE C0 EE FE C0 BA C8 03 EC 00 C5 "
        "B8 08 01 00 DC BA CE 03 EF AA 41 81 FB 2C 01 72 CF" + HALT
    ),
    # l: inc bx; ax = 6; dx = 3CEh; in al, dx; out dx, al; mov al, bl; out 80h, al; out dx, al;
    # in al, dx; add cl, al; cmp bx, 300; jb l
    "its own ports and others": (
        "31 DB 43 B8 06 00 BA CE 03 EC EE 88 D8 E6 80 EE EC 00 C1 81 FB 2C 01 72 E9" + HALT
    ),
    # ds = ss = 0; vector 1: 7C60h; DR0: 7C2Dh; single steps; l: inc bx; 7C2Dh: nop; cmp bx, 40;
    # jb l. At 7C60h: inc si; past the NOP each second time at it, the first is the step before
    "stops": (
        "31 C0 8E D8 8E D0 BC 00 70 C7 06 04 00 60 7C A3 06 00 66 B8 2D 7C 00 00 0F 23 C0 "
        "66 B8 03 00 00 00 0F 23 F8 31 DB 31 FF 68 00 01 9D 43 90 83 FB 28 72 F9" + HALT
    ),
    # ds = es = ss = 0; vector 1: 7C60h; DR0 at the REP; single steps; l: inc bx; cx = 5; di = 600h;
    # rep stosb; cmp bx, 20; jb l. At 7C60h: inc si; iretd with the resume flag
    "stops in a REP": (
        "31 C0 8E D8 8E C0 8E D0 BC 00 70 C7 06 04 00 60 7C A3 06 00 66 B8 35 7C 00 00 0F 23 "
        "C0 66 B8 03 00 00 00 0F 23 F8 31 DB 31 F6 68 00 01 9D 43 B9 05 00 BF 00 06 F3 AA 83 "
        "FB 14 72 F2" + HALT
    ),
    # Vectors 0 and 4 at 7C60h: l: inc bx; mov al, 7Fh; add al, bl; into; inc cx; div byte [600h],
    # which is 0; cmp bx, 300; jb l. At 7C60h: inc dx; add word [bp+2] of the frame, past DIV if it
    # was that: push bp; mov bp, sp; push bx; mov bx, [bp+2]; cmp byte [bx], F6h; jne +4;
    # add word [bp+2], 4; pop bx; pop bp; iret
    "faults": (
        "31 C0 8E D8 C7 06 00 00 60 7C A3 02 00 C7 06 10 00 60 7C A3 12 00 31 DB 43 B0 7F 00 D8 CE "
        "41 F6 36 00 06 81 FB 2C 01 72 EF" + HALT
    ),
    # l: inc ax; mov [m+1], al; inc dx; m: mov bl, 0; add cl, bl; cmp ax, 300; jb l
    "own code": "31 C0 8E D8 40 A2 0A 7C 42 B3 00 00 D9 3D 2C 01 72 F2" + HALT,
    # ss = ds, sp = 7000h; l: inc cx; add bl, 7Fh; mov [m+1], cl; adc dx, 0; pushf; pop ax;
    # add di, ax; m: mov bl, 0; add bl, 80h; add [m+1], bl; sbb si, 0; cmp cx, 60; jb l
    "own code, flags": (
        "31 C0 8E D8 8E D0 BC 00 70 31 C9 41 80 C3 7F 88 0E 1B 7C 83 D2 00 9C 58 01 C7 B3 00 "
        "80 C3 80 00 1E 1B 7C 83 DE 00 81 F9 3C 00 72 DF" + HALT
    ),
    # ax = 0; l: inc bx; mov [n+1], bl; rdtsc; n: mov cl, 0; out 80h, al; mov [n+1], cl; stc;
    # add cx, ax; cmp bx, 60; jb l
    "own code, cut": (
        "31 C0 8E D8 31 DB 43 88 1E 0E 7C 0F 31 B1 00 E6 80 88 0E 0E 7C F9 01 C1 81 FB 3C 00 "
        "72 E8" + HALT
    ),
    # l: inc bx; rdtsc; add [600h], eax; cpuid leaves 0; cmp bx, 200; jb l
    "time stamps": "31 DB 8E DB 43 0F 31 66 01 06 00 06 81 FB C8 00 72 F2" + HALT,
}
HANDLER_AT = 0x60
HANDLERS = {
    "faults": bytes.fromhex("42 55 89 E5 53 8B 5E 02 80 3F F6 75 04 83 46 02 04 5B 5D CF"),
    "stops": bytes.fromhex("55 89 E5 46 81 7E 02 2D 7C 75 0A 47 F7 C7 01 00 75 03 FF 46 02 5D CF"),
    "stops in a REP": bytes.fromhex(
        "58 5A 5D 66 0F B7 ED 66 81 CD 00 00 01 00 66 55 66 0F B7 D2 "
        "66 52 66 0F B7 C0 66 50 46 66 CF"
    ),
}


def image(tmp_path: Path, name: str) -> Path:
    guest = bytearray(bytes.fromhex(GUESTS[name]).ljust(510, b"\0"))
    if name in HANDLERS:
        guest[HANDLER_AT : HANDLER_AT + len(HANDLERS[name])] = HANDLERS[name]
    return disk(tmp_path, bytes(guest))


def of(cpu: object) -> UnicornCpu:
    """A CPU that uses native code from the first slice on."""
    assert isinstance(cpu, UnicornCpu)
    assert native.load(wait=True), native.why_not()
    cpu._slices_in_python = 0
    return cpu


CASES = [(name, size) for name in GUESTS for size in (3, 100, 50_000)]


def ends_of_slices(path: Path, size: int, *, is_native: bool) -> list[tuple[int, ...]]:
    """Time and registers where each slice ends, up to a HLT."""
    found = []
    # Who stores to code has as much translated as blocks are long, which is not the same.
    with patch("vgaemu.pc.clock.FREE_OVERHEAD_NS", 1 << 60), make_pc(path) as pc:
        cpu = of(pc.cpu)
        cpu._slice = size
        if not is_native:
            cpu._slices_in_python = -1
        run = cpu.run

        def runs(limit_ns: int) -> None:
            run(limit_ns)
            registers = (cpu.get(name) for name in ("eip", "eax", "ebx", "ecx", "edx", "eflags"))
            found.append((pc.clock.now_ns(), pc.clock.events, *registers))

        with patch.object(cpu, "run", runs):
            run_until_halted(pc)
    return found


@pytest.mark.parametrize(("name", "size"), CASES)
def test_slices_end_where_they_do_with_each_instruction_counted(
    tmp_path: Path, name: str, size: int
) -> None:
    path = image(tmp_path, name)
    counted = ends_of_slices(path, size, is_native=False)
    assert ends_of_slices(path, size, is_native=True) == counted
    assert twin_guests.differences(path) == []


@pytest.mark.parametrize("is_native", [True, False])
def test_flags_outlive_loops_that_end(tmp_path: Path, is_native: bool) -> None:
    # bx = dx = si = di = bp = 0; l: inc bx; cx = 1; sub al, bl; loope +0; adc dx, 0; cx = 2;
    # add ah, 37h; loopne +0; adc si, 0; cx = 1; add ax, 4567h; inc di; loopne +0; adc bp, 0;
    # cmp bx, 300; jb l
    code = "31 C0 31 DB 31 D2 31 F6 31 FF 31 ED 43 B9 01 00 28 D8 E1 00 83 D2 00 B9 02 00 80 C4 37 "
    code += "E0 00 83 D6 00 B9 01 00 05 67 45 47 E0 00 83 D5 00 81 FB 2C 01 72 D8" + HALT
    with make_pc(disk(tmp_path, bytes.fromhex(code))) as pc:
        of(pc.cpu)._slices_in_python = 0 if is_native else -1
        run_until_halted(pc)
        left = {name: pc.cpu.get(name) for name in ("eax", "ecx", "edx", "esi", "ebp", "edi")}
    # By KVM.
    assert left == {"eax": 0xCD56, "ecx": 0, "edx": 136, "esi": 68, "ebp": 77, "edi": 300}


def test_an_engine_s_words_are_found(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, bytes.fromhex(HALT))) as pc:
        cpu = of(pc.cpu)
        run_until_halted(pc)
        assert places() is not None
        assert isinstance(cpu._count, BlockCount)


def test_where_they_are_not_each_instruction_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unicorn_native, "places", lambda: None)
    assert native.load(wait=True), native.why_not()
    assert twin_guests.differences(image(tmp_path, "planes")) == []


def test_records_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All code is forgotten then, and translated anew."""
    rewound = []
    rewind = BlockCount._rewind

    def counted(count: BlockCount) -> None:
        rewound.append(count)
        rewind(count)

    monkeypatch.setattr(BlockCount, "_rewind", counted)
    monkeypatch.setattr(unicorn_blocks, "ENOUGH", unicorn_blocks.RECORDS)
    with make_pc(image(tmp_path, "own code")) as pc:
        of(pc.cpu)._slice = 100
        run_until_halted(pc)
        assert (pc.cpu.get("eax"), pc.cpu.get("edx")) == (300, 300)
    assert len(rewound) > 2


def test_blocks_that_were_paid_for_are_found_again() -> None:
    blocks = [(at * 0x111, size) for at in range(100) for size in (1, 2, 300)]
    table = again.table_of(blocks)
    mask = table[0]
    for address, size in blocks:
        key = again.key_of(address, size)
        place = again.first_place(key, mask)
        while table[1 + place] != key:
            assert table[1 + place] != again.FREE
            place = place + 1 & mask
    assert sum(key != again.FREE for key in table[1:]) == len(blocks)
