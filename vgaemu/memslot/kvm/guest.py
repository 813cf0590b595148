"""A vCPU that fills a slot whose log the kernel keeps: it writes given pages, or draws text.

Emulated by the host: the processor. Not here: devices, interrupts, BIOS; the machine-code guests of
`vgaemu run` have them.

There are two kinds of vCPU and one set of bytes for both (guests.asm). The native one runs in
64-bit mode at privilege level 3 behind page tables. The other one runs in flat 32-bit mode without
paging; where KVM has only shadow page tables (most nested set-ups), its instruction emulator runs
that, and such stores dirty the bitmap with no page-table entry behind them: reading their log is
cheaper than it is under guests that run natively.

Sources: Documentation/virt/kvm/api.rst, <linux/kvm.h>; Intel SDM volume 3, chapters 3 and 4.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

import numpy as np

from vgaemu.errors import MemslotError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.memslot.keeper import Keeper, anonymous_memory
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.memslot.kvm.keeper import SLOT_GPA, KvmKeeper

#: guests.asm: write_pages at 0, draw_glyphs at 16.
CODE = bytes.fromhex(
    "e305adfe00e2fb884500ebfb00000000"
    "e326ad89c7ad89c3b2088a23b60800e418c0240faafece75f58dbf38010000"
    "8d5b01feca75e4e2da884500ebfb"
)
WRITE_PAGES, DRAW_GLYPHS = 0, 16

#: The guest's own memory lies below the slot.
LOW_ID = 0
CODE_GPA = 0x1000
#: PML4, PDPT, then the page directories of four GiB.
TABLES_GPA = 0x2000
DATA_GPA = 0x8000
#: In no slot: a store there ends the guest's run.
EXIT_GPA = 0xD000_0000

PRESENT, WRITABLE, USER, LARGE = 1, 2, 4, 0x80
CR0_PE, CR0_PG, CR4_PAE = 1, 1 << 31, 1 << 5
EFER_SCE, EFER_LME, EFER_LMA = 1, 1 << 8, 1 << 10
# struct kvm_sregs: cs ds es fs gs ss tr ldt, two descriptor tables, cr0 cr2 cr3 cr4 cr8 efer.
SEGMENTS = 6
CR0, CR3, CR4, EFER = 224, 240, 248, 264
CODE_TYPE, DATA_TYPE = 0xB, 0x3

#: Mode 13h.
SCREEN_WIDTH, SCREEN_COLUMNS, SCREEN_CELLS = 320, 40, 40 * 25
GLYPH_BYTES = 8


class KvmGuest:
    """A vCPU in the VM of a slot whose log `kvm` keeps; a VM has one."""

    def __init__(self, keeper: Keeper, *, native: bool) -> None:
        """Give the VM of a slot's keeper its vCPU, of the native kind or the other.

        Raises:
            MemslotError: It is no `KvmKeeper`.
        """
        if not isinstance(keeper, KvmKeeper):
            raise MemslotError(f"a KVM guest needs dirty_log='kvm', not {keeper.name!r}")
        self._keeper = keeper  # with it, the VM stays
        self.npages = keeper.npages
        nbytes = DATA_GPA + max(4 * keeper.npages, 8 * SCREEN_CELLS + 256 * GLYPH_BYTES)
        self._low = np.frombuffer(anonymous_memory(nbytes + PAGE_SIZE & -PAGE_SIZE), np.uint8)
        self._store(CODE_GPA, CODE)
        keeper.vm.set_region(LOW_ID, 0, self._low)
        self._vcpu, self._run = keeper.vm.create_vcpu()
        sregs = bytearray(kvm.SREGS_BYTES)
        self._exchange(kvm.KVM_GET_SREGS, sregs)
        for i in range(SEGMENTS):
            kind = DATA_TYPE if i else CODE_TYPE
            selector = 0x2B if i else 0x33
            long = native and not i
            kvm.SEGMENT.pack_into(
                sregs, i * kvm.SEGMENT.size,
                0, 0xFFFF_FFFF, selector,
                kind, 1, 3 if native else 0, not long, 1, long, 1, 0, 0, 0,
            )  # fmt: skip
        (cr0,) = struct.unpack_from("<Q", sregs, CR0)
        cr0 |= CR0_PE
        if native:
            self._make_page_tables()
            cr0 |= CR0_PG
            struct.pack_into("<QQ", sregs, CR3, TABLES_GPA, CR4_PAE)
            struct.pack_into("<Q", sregs, EFER, EFER_SCE | EFER_LME | EFER_LMA)
        struct.pack_into("<Q", sregs, CR0, cr0)
        self._exchange(kvm.KVM_SET_SREGS, sregs)

    def _store(self, gpa: int, data: bytes) -> None:
        self._low[gpa : gpa + len(data)] = np.frombuffer(data, np.uint8)

    def _exchange(self, request: int, data: bytearray) -> None:
        buffer = ctypes.create_string_buffer(bytes(data), len(data))
        kvm.libc_ioctl(self._vcpu, request, buffer)
        data[:] = buffer.raw

    def _make_page_tables(self) -> None:
        """Address = physical address, in pages of 2 MiB, for 4 GiB and anybody."""
        bits = PRESENT | WRITABLE | USER
        pdpt = TABLES_GPA + PAGE_SIZE
        self._store(TABLES_GPA, struct.pack("<Q", pdpt | bits))
        directories = [pdpt + (i + 1) * PAGE_SIZE for i in range(4)]
        self._store(pdpt, struct.pack("<4Q", *(gpa | bits for gpa in directories)))
        entries = (np.arange(4 * 512, dtype="<u8") << np.uint64(21)) | np.uint64(bits | LARGE)
        self._store(directories[0], entries.tobytes())

    def write_pages(self, pages: Sequence[int]) -> None:
        """Add 1 to the first byte of each of `pages`, in order; at most `npages` of them.

        Raises:
            MemslotError: Too many pages, or one outside the slot.
        """
        addresses = (np.asarray(pages, np.uint64) << np.uint64(PAGE_SHIFT)) + np.uint64(SLOT_GPA)
        if len(pages) > self.npages or (len(pages) and max(pages) >= self.npages):
            raise MemslotError(f"a list of {self.npages} pages at most, below {self.npages}")
        self._store(DATA_GPA, addresses.astype("<u4").tobytes())
        self._execute(WRITE_PAGES, len(pages))

    def draw_text(self, text: bytes, font: bytes, cell: int = 0) -> None:
        """Draw into the slot as into mode 13h: 320x200 pixels, a byte each, 40x25 cells.

        `text` is a glyph number a byte, `font` 256 glyphs of 8 bytes, the highest bit leftmost;
        cells are numbered by rows.

        Raises:
            MemslotError: It does not fit on the screen, or the screen not in the slot.
        """
        if cell < 0 or cell + len(text) > SCREEN_CELLS or self.npages * PAGE_SIZE < 64000:
            raise MemslotError(f"text has {SCREEN_CELLS} cells in a slot of 16 pages or more")
        if len(font) != 256 * GLYPH_BYTES:
            raise MemslotError(f"a font has {256 * GLYPH_BYTES} bytes, not {len(font)}")
        row, column = np.divmod(np.arange(cell, cell + len(text)), SCREEN_COLUMNS)
        pairs = np.empty((len(text), 2), "<u4")
        pairs[:, 0] = SLOT_GPA + row * SCREEN_WIDTH * GLYPH_BYTES + column * 8
        pairs[:, 1] = DATA_GPA + GLYPH_BYTES * np.frombuffer(text, np.uint8).astype(np.uint32)
        self._store(DATA_GPA, font)
        self._store(DATA_GPA + len(font), pairs.tobytes())
        self._execute(DRAW_GLYPHS, len(text), DATA_GPA + len(font))

    def _execute(self, entry: int, count: int, data: int = DATA_GPA) -> None:
        """Run from `entry` until the store to `EXIT_GPA`."""
        # struct kvm_regs: rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip rflags (bit 1 is always 1).
        regs = [0] * 18
        regs[2], regs[4], regs[7], regs[16], regs[17] = count, data, EXIT_GPA, CODE_GPA + entry, 2
        self._exchange(kvm.KVM_SET_REGS, bytearray(struct.pack("<18Q", *regs)))
        kvm.libc_ioctl(self._vcpu, kvm.KVM_RUN)
        (reason,) = struct.unpack_from("<I", self._run, kvm.RUN_EXIT_REASON)
        (gpa,) = struct.unpack_from("<Q", self._run, kvm.RUN_UNION)
        if reason != kvm.KVM_EXIT_MMIO or gpa != EXIT_GPA:
            raise RuntimeError(f"the vCPU left with exit reason {reason}, not with its last store")
        # The store is finished at the next entry, which immediate_exit cuts short.
        self._run[kvm.RUN_IMMEDIATE_EXIT] = 1
        try:
            kvm.interruptible_ioctl(self._vcpu, kvm.KVM_RUN)
        except InterruptedError:
            pass
        finally:
            self._run[kvm.RUN_IMMEDIATE_EXIT] = 0
