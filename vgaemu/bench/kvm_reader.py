"""KvmReader: the real KVM_GET_DIRTY_LOG, to measure the emulated one against. Linux with /dev/kvm.

A minimal KVM reader lives in bench/ for now: one VM, one logged memslot, one vCPU that stores a
byte to each page it is told. Real mode reaches 1 MiB only, so the vCPU starts in 32-bit protected
mode with flat segments and no paging: any slot below 4 GiB is then a plain address away.

What it cannot tell: some hosts run such a guest in KVM's instruction emulator (shadow paging, as in
most nested set-ups). Its stores then dirty the bitmap with no page table entry behind them, and the
log read costs the bitmap alone: cheaper than under a guest that runs natively.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
from collections.abc import Sequence
from types import TracebackType

import numpy as np

from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, Words, word_count

# ioctl numbers and struct layouts of <linux/kvm.h>, x86.
KVM_CREATE_VM = 0xAE01
KVM_GET_VCPU_MMAP_SIZE = 0xAE04
KVM_CREATE_VCPU = 0xAE41
KVM_SET_TSS_ADDR = 0xAE47
KVM_RUN = 0xAE80
KVM_SET_USER_MEMORY_REGION = 0x4020AE46  # u32 slot, flags; u64 gpa, size, hva
KVM_GET_DIRTY_LOG = 0x4010AE42  # u32 slot, padding; u64 pointer
KVM_SET_REGS = 0x4090AE82  # 16 u64 registers, rip, rflags
KVM_GET_SREGS = 0x8138AE83
KVM_SET_SREGS = 0x4138AE84

KVM_MEM_LOG_DIRTY_PAGES = 1
KVM_EXIT_HLT = 5
#: Offset of u32 exit_reason in struct kvm_run.
EXIT_REASON = 8

# struct kvm_sregs: eight struct kvm_segment (cs ds es fs gs ss tr ldt), two descriptor tables, cr0.
SREGS_SIZE = 0x138
SEGMENT_SIZE = 24
SEGMENTS = 6
CR0 = 224
CR0_PE = 1
#: struct kvm_segment: u64 base, u32 limit, u16 selector, u8 type, present, dpl, db, s, l, g, avl.
SEGMENT = struct.Struct("<QIH8B")
FLAT_CODE = SEGMENT.pack(0, 0xFFFF_FFFF, 0x08, 0xB, 1, 0, 1, 1, 0, 1, 0)
FLAT_DATA = SEGMENT.pack(0, 0xFFFF_FFFF, 0x10, 0x3, 1, 0, 1, 1, 0, 1, 0)

#: One store to each page. esi = list of u32 addresses, ecx = how many.
GUEST_CODE = bytes(
    [
        0xE3, 0x05,  # next: jecxz done
        0xAD,        #       lodsd  eax, [esi]
        0xFE, 0x00,  #       inc    byte [eax]
        0xE2, 0xFB,  #       loop   next + 2
        0xF4,        # done: hlt
    ]
)  # fmt: skip

CODE_GPA = 0x1000
LIST_GPA = 0x2000
#: Where the logged slot begins; the list of addresses ends below.
SLOT_GPA = 0x1000_0000
#: Where the guest's 4 GiB end.
MAX_PAGES = (1 << 32) - SLOT_GPA >> PAGE_SHIFT
#: Three pages that Intel hosts without unrestricted guest mode need; in no slot.
TSS_GPA = SLOT_GPA - (1 << 20)
SLOT_ID = 1


class KvmReader:
    """A VM with one logged slot. Use it as a context manager, or call `close`."""

    def __init__(self, npages: int) -> None:
        """Create the VM; its slot is clean.

        Args:
            npages: Pages in the slot, 1 to `MAX_PAGES`.

        Raises:
            OSError: There is no /dev/kvm, or it may not be opened.
            ValueError: The slot does not fit below 4 GiB.
        """
        if not 1 <= npages <= MAX_PAGES:
            raise ValueError(f"the slot has 1 to {MAX_PAGES} pages, not {npages}")
        self.npages = npages
        #: What `get_dirty_log` read last: (ceil(npages / 64),) uint64; overwritten by the next.
        self.words: Words = np.zeros(word_count(npages), np.uint64)
        self._fds: list[int] = []
        self._memory = mmap.mmap(-1, npages * PAGE_SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._low = mmap.mmap(-1, LIST_GPA + 4 * npages + PAGE_SIZE & -PAGE_SIZE)
        self._low[CODE_GPA : CODE_GPA + len(GUEST_CODE)] = GUEST_CODE
        try:
            self._create()
        except BaseException:
            self.close()
            raise
        # ctypes calls ioctl(2) with less ado than fcntl.ioctl, which would copy the struct.
        self._request = ctypes.create_string_buffer(
            struct.pack("<IIQ", SLOT_ID, 0, self.words.ctypes.data)  # struct kvm_dirty_log
        )
        self._ioctl = ctypes.CDLL(None, use_errno=True).ioctl
        self._get_dirty_log = (
            ctypes.c_int(self._vm),
            ctypes.c_ulong(KVM_GET_DIRTY_LOG),
            ctypes.c_void_p(ctypes.addressof(self._request)),
        )

    def _create(self) -> None:
        kvm = self._keep(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        self._vm = self._keep(fcntl.ioctl(kvm, KVM_CREATE_VM, 0))
        fcntl.ioctl(self._vm, KVM_SET_TSS_ADDR, TSS_GPA)
        self._set_region(0, 0, 0, self._low)
        self._set_region(SLOT_ID, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, self._memory)
        self._vcpu = self._keep(fcntl.ioctl(self._vm, KVM_CREATE_VCPU, 0))
        run_size = fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)
        self._run = mmap.mmap(self._vcpu, run_size)
        sregs = bytearray(SREGS_SIZE)
        fcntl.ioctl(self._vcpu, KVM_GET_SREGS, sregs)
        for i in range(SEGMENTS):
            segment = FLAT_DATA if i else FLAT_CODE
            sregs[i * SEGMENT_SIZE : i * SEGMENT_SIZE + SEGMENT.size] = segment
        sregs[CR0] |= CR0_PE
        fcntl.ioctl(self._vcpu, KVM_SET_SREGS, sregs)

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _set_region(self, slot: int, flags: int, gpa: int, memory: mmap.mmap) -> None:
        hva = np.frombuffer(memory, np.uint8).ctypes.data
        region = struct.pack("<IIQQQ", slot, flags, gpa, len(memory), hva)
        fcntl.ioctl(self._vm, KVM_SET_USER_MEMORY_REGION, region)

    def touch(self, pages: Sequence[int]) -> None:
        """Let the guest store one byte to each of `pages`, in order; at most `npages` of them.

        Raises:
            RuntimeError: The vCPU stopped elsewhere than at its hlt.
        """
        if len(pages) > self.npages:
            raise ValueError(f"at most {self.npages} pages at once, not {len(pages)}")
        addresses = (np.asarray(pages, np.uint32) << PAGE_SHIFT) + np.uint32(SLOT_GPA)
        self._low[LIST_GPA : LIST_GPA + addresses.nbytes] = addresses.astype("<u4").tobytes()
        # struct kvm_regs: rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip rflags (bit 1 is always 1).
        regs = [0] * 18
        regs[2], regs[4], regs[16], regs[17] = len(addresses), LIST_GPA, CODE_GPA, 2
        fcntl.ioctl(self._vcpu, KVM_SET_REGS, struct.pack("<18Q", *regs))
        fcntl.ioctl(self._vcpu, KVM_RUN, 0)
        reason = int.from_bytes(self._run[EXIT_REASON : EXIT_REASON + 4], "little")
        if reason != KVM_EXIT_HLT:
            raise RuntimeError(f"the vCPU left with exit reason {reason}, not {KVM_EXIT_HLT} (hlt)")

    def get_dirty_log(self) -> Words:
        """Read and clear the log into `words`: one ioctl, nothing else.

        Raises:
            OSError: The ioctl failed.
        """
        if self._ioctl(*self._get_dirty_log):
            code = ctypes.get_errno()
            raise OSError(code, f"KVM_GET_DIRTY_LOG: {os.strerror(code)}")
        return self.words

    def close(self) -> None:
        """Destroy the VM. Closing twice is fine."""
        if hasattr(self, "_run"):
            self._run.close()
        while self._fds:
            os.close(self._fds.pop())

    def __enter__(self) -> KvmReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
