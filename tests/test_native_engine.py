"""Native fills of the TLB and interrupts, beside Python's: what they leave is the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("unicorn")

import twin_guests
from protected import HANDLERS, IDT, PG, STACK, Protected, gate
from test_native import needs_native
from test_x86_long import KERNEL
from test_x86_paging import LEVELS_AS_CPUID_SAYS
from x86_fuzz import KINDS
from x86_helpers import disk, make_pc

from vgaemu import native
from vgaemu.native import cpu_cells
from vgaemu.pc import clock
from vgaemu.pc.cpu import unicorn_context as context
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_blocks import BlockCount
from vgaemu.pc.cpu.unicorn_engine import unicorn

pytestmark = needs_native

#: INT 40h a few times, with a word that counts them below the stack, and a store over the handler.
INTS = bytes.fromhex("B9 20 00 00 00 CD 40 E2 FC") + b"\xcd\x03\xfa\xf4"
COUNTING = bytes.fromhex("FF 05") + (STACK - 64).to_bytes(4, "little") + b"\xcf"


def protected(**options: int) -> bytes:
    guest = Protected(code=INTS, **options)
    guest.put(IDT + 8 * 0x40, gate(HANDLERS + 0x800))
    guest.put(HANDLERS + 0x800, COUNTING)
    return guest.image()


#: Boot sectors and floppies.
GUESTS = {
    "vectors of real mode": (
        # INT 40h counts at 500h, carries after it at 504h, a division by zero at 502h: on a stack
        # beside the code, over code that has run and runs again, where it is NOP; JL; ADD; NOP;
        # RET, and with SP = 4, which wraps.
        "31 C0 8E D8 8E D0 BC 00 7E C7 06 00 01 33 7C A3 02 01 C7 06 00 00 38 7C A3 02 00 B9 "
        "40 00 CD 40 83 16 04 05 00 E2 F7 31 DB F7 F3 E8 13 00 BC 47 7C EB 5B FF 06 00 05 CF "
        "FF 06 02 05 58 40 40 50 CF 90 90 90 90 90 90 90 C3 90 90 90 90 90 90 90 90 90 90 90 "
        "90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 "
        "90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 "
        "90 90 CD 40 BC 00 7E E8 AB FF BC 04 00 CD 40 FA F4"
    ),
    "gates": protected(),
    "gates and pages": protected(cr0=PG | 0x11),
}


@pytest.mark.parametrize("name", GUESTS)
def test_what_is_left_is_what_python_leaves(tmp_path: Path, name: str) -> None:
    assert native.load(wait=True)
    guest = GUESTS[name]
    path = disk(tmp_path, b"")
    path.write_bytes(guest if isinstance(guest, bytes) else disk_of(guest))
    assert twin_guests.differences(path) == []


def test_it_counts_blocks_where_slices_went_before(tmp_path: Path) -> None:
    """As in every run but a test's: of a guest that has run in Python's hands already."""
    assert native.load(wait=True)
    # l: inc ax; push ax; add [600h], ax; pop dx; test al, 3Fh; jnz l; int 40h, which is IRET; jmp l
    code = "31C0 8ED8 C70600010006 A30201 C6060006CF 40 50 01060206 5A A83F 75F6 CD40 EBF2"
    found = []
    for is_native in (False, True):
        with make_pc(disk(tmp_path, bytes.fromhex(code))) as pc:
            cpu = pc.cpu
            assert isinstance(cpu, UnicornCpu)
            cpu._slices_in_python = -1
            turns = pc.slices()
            next(turns)
            if is_native:
                cpu._slices_in_python = 0
            next(turns)
            next(turns)
            assert isinstance(cpu._count, BlockCount) == is_native
            found.append(twin_guests.left(pc))
    assert found[0] == found[1]


@pytest.mark.parametrize("taken", [b"\x73", b"\xeb"], ids=["four levels", "three levels"])
def test_tables_of_entries_of_64_bits(tmp_path: Path, taken: bytes) -> None:
    assert native.load(wait=True)
    code = LEVELS_AS_CPUID_SAYS.replace(b"\x73\x18", taken + b"\x18")
    assert twin_guests.differences(disk(tmp_path, code)) == []


def test_a_kernel_of_64_bits() -> None:
    assert native.load(wait=True)
    assert twin_guests.differences(KERNEL, 7) == []


@pytest.mark.turns(4)
@pytest.mark.parametrize("seed", range(8))
def test_kernels_of_64_bits_that_are_damaged(tmp_path: Path, seed: int) -> None:
    assert native.load(wait=True)
    rng, damaged = random.Random(seed), bytearray(KERNEL.read_bytes())
    for _ in range(3):
        at = rng.randrange(96, len(damaged))
        damaged[at] = rng.choice((rng.randrange(256), damaged[at] ^ 1 << rng.randrange(8)))
    path = tmp_path / "damaged.elf"
    path.write_bytes(damaged)
    assert twin_guests.differences(path, 6) == []


def disk_of(code: str) -> bytes:
    return bytes.fromhex(code).ljust(510, b"\0") + b"\x55\xaa"


@pytest.mark.parametrize("kind", ["sector", "protected"])
def test_random_guests_are_left_equal(tmp_path: Path, kind: str) -> None:
    """``python tests/twin_guests.py FIRST COUNT KIND`` runs any number of them."""
    assert native.load(wait=True)
    path = tmp_path / "twin.img"
    for seed in range(4):
        path.write_bytes(KINDS[kind](seed))
        assert (seed, twin_guests.differences(path)) == (seed, [])


@pytest.mark.parametrize("mode", [0x13, 0x12, 0x03])
def test_python_opens_one_page_of_the_vga_after_a_flush(tmp_path: Path, mode: int) -> None:
    # mov ax, mode; int 10h; mov ax, segment; mov es, ax; l: xor di, di; mov cx, pages;
    # m: stosb; add di, FFFh; loop m; inc byte [es:0]; jmp l
    pages, segment = (8, 0xB800) if mode == 0x03 else (16, 0xA000)
    code = bytes((0xB8, mode, 0, 0xCD, 0x10, 0xB8)) + segment.to_bytes(2, "little")
    code += bytes.fromhex("8EC0 31FF B9") + bytes((pages, 0))
    code += bytes.fromhex("AA 81C7FF0F E2F9 26FE060000 EBED")
    assert native.load(wait=True)
    asked: list[int] = []
    with make_pc(disk(tmp_path, code)) as pc:
        cpu = pc.cpu
        assert isinstance(cpu, UnicornCpu)
        cpu._slices_in_python, opened = 0, cpu._vram.translate
        cpu._pages.window = lambda page, access: asked.append(page) or opened(page, access)
        turns = pc.slices()
        next(turns)
        first = pc.vga.slot.get_dirty_log()
        for _ in range(3):
            asked.clear()
            pc.vga.slot.get_dirty_log()
            cpu.tlb.map_changed()
            next(turns)
            assert len(asked) == 1
            assert set(pc.vga.slot.get_dirty_log()) <= set(first)


def test_numbers_that_it_cannot_import_are_those_of_the_floors_above() -> None:
    assert native.load(wait=True)
    from vgaemu.native import engine, env, flags, long

    assert cpu_cells.INTERRUPT_NS == clock.INTERRUPT_NS
    here = env.ESP_AT, env.EIP_AT, env.EFLAGS_AT, env.CC_SOURCE_AT, env.CC_OP_AT
    assert here == (
        context.ESP_AT, context.EIP_AT, context.EFLAGS_AT, context.CC_AT + 2, context.CC_OP_AT,
    )  # fmt: skip
    assert (env.DF_AT, env.HFLAGS_AT) == (context.DF_AT, context.HFLAGS_AT)
    assert [env.SEGMENTS_AT + 6 * i for i in range(6)] == list(context.SELECTOR_AT)
    tables = (
        context.Env.ldt, context.Env.gdt, context.Env.idt, context.Raised.old_exception,
        context.Env.tr, context.Env.efer, context.Raised.dr,
    )  # fmt: skip
    offsets = [int(getattr(field, "offset")) // 4 for field in tables]  # noqa: B009
    assert offsets == [
        env.LDT_AT, env.GDT_AT, env.IDT_AT, env.OLD_EXCEPTION, env.TASK_AT, env.EFER_AT,
        env.DR7_AT - 14,
    ]  # fmt: skip
    calls = (context.SystemCalls.star, context.SystemCalls.lstar, context.SystemCalls.fmask)
    words = [int(getattr(field, "offset")) // 8 for field in calls]  # noqa: B009
    assert words == [long.STAR, long.LSTAR, long.FMASK]
    control = [context.CR_AT + 2 * number for number in (0, 3, 4)]
    assert control == [env.CR0_AT, env.CR3_AT, env.CR4_AT]
    assert (env.BASE, env.LIMIT, env.FLAGS) == (
        context.BASE, context.LIMIT, context.FLAGS,
    )  # fmt: skip
    assert flags.EFLAGS == unicorn.x86_const.UC_X86_REG_EFLAGS
    assert (engine.STORE, engine.FETCH) == (unicorn.UC_MEM_WRITE, unicorn.UC_MEM_FETCH)
