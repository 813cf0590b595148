"""The ioctls of /dev/kvm: one VM, its memory slots, its vCPU, and the errors it may be missing for.

Wrapped: what an x86 guest with user-space devices needs, in structures of <linux/kvm.h> packed by
hand. Not wrapped: in-kernel local APIC state, MSRs, nested state, the dirty ring.

Every ioctl goes through ctypes: it releases the GIL and takes addresses above 2 GiB. One that a
signal interrupts is begun again once its handler has run, but for KVM_RUN, which the handler may
mean. Only those of the dirty log keep the GIL: they take microseconds, and getting it back beside
busy threads takes milliseconds. A VM works in the process that made it alone; in a child of that
its ioctls say so.

Source: Documentation/virt/kvm/api.rst of Linux.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import KvmError
from vgaemu.memslot.bitmap import word_count

# fmt: off
KVM_CREATE_VM                = 0xAE01
KVM_CHECK_EXTENSION          = 0xAE03
KVM_GET_VCPU_MMAP_SIZE       = 0xAE04
KVM_GET_SUPPORTED_CPUID      = 0xC008AE05
KVM_CREATE_VCPU              = 0xAE41
KVM_GET_DIRTY_LOG            = 0x4010AE42  # u32 slot, padding; u64 pointer
KVM_SET_USER_MEMORY_REGION   = 0x4020AE46  # u32 slot, flags; u64 gpa, size, hva
KVM_SET_TSS_ADDR             = 0xAE47
KVM_SET_IDENTITY_MAP_ADDR    = 0x4008AE48
KVM_CREATE_IRQCHIP           = 0xAE60
KVM_IRQ_LINE                 = 0x4008AE61  # u32 irq, level
KVM_REGISTER_COALESCED_MMIO  = 0x4010AE67  # u64 address; u32 size, pio
KVM_CREATE_PIT2              = 0x4040AE77
KVM_PIT_SPEAKER_DUMMY        = 1
KVM_RUN                      = 0xAE80
KVM_GET_REGS                 = 0x8090AE81
KVM_SET_REGS                 = 0x4090AE82
KVM_GET_SREGS                = 0x8138AE83
KVM_SET_SREGS                = 0x4138AE84
KVM_INTERRUPT                = 0x4004AE86  # u32 vector
KVM_SET_CPUID2               = 0x4008AE90
KVM_ENABLE_CAP               = 0x4068AEA3  # u32 cap, flags; u64 args[4]; 64 bytes
KVM_CLEAR_DIRTY_LOG          = 0xC018AEC0  # u32 slot, num_pages; u64 first_page, pointer

KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY = 1, 2
KVM_CAP_COALESCED_MMIO = 15
KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE = 168, 1

KVM_EXIT_IO, KVM_EXIT_HLT, KVM_EXIT_MMIO, KVM_EXIT_IRQ_WINDOW_OPEN = 2, 5, 6, 7
KVM_EXIT_SHUTDOWN, KVM_EXIT_INTR, KVM_EXIT_INTERNAL_ERROR = 8, 10, 17

# struct kvm_run: offsets.
RUN_REQUEST_INTERRUPT_WINDOW, RUN_IMMEDIATE_EXIT = 0, 1
RUN_EXIT_REASON, RUN_READY_FOR_INTERRUPT, RUN_IF_FLAG = 8, 12, 13
RUN_UNION, RUN_VALID_REGS, RUN_DIRTY_REGS, RUN_SYNC_REGS = 32, 288, 296, 304
SYNC_REGS, SYNC_SREGS = 1, 2
REGS_BYTES, SREGS_BYTES = 144, 312
# fmt: on

#: struct kvm_segment: u64 base, u32 limit, u16 selector, u8 type, present, dpl, db, s, l, g, avl,
#: unusable, padding.
SEGMENT = struct.Struct("<QIH10B")

#: Three pages and one more that Intel hosts need; far above every slot.
TSS_GPA, IDENTITY_MAP_GPA = 0xFFFBD000, 0xFFFBC000
CPUID_ENTRIES = 256

#: Why /dev/kvm cannot be opened -> what to do.
OPEN_ERRORS = {
    errno.ENOENT: "there is no /dev/kvm: load the kvm module, or enable virtualization",
    errno.ENXIO: "the host does not virtualize: enable it in the firmware or the outer VM",
    errno.EACCES: "no rights on /dev/kvm: join its group, usually 'kvm'",
    errno.EPERM: "no rights on /dev/kvm: join its group, usually 'kvm'",
    errno.EBUSY: "/dev/kvm is taken by another virtualizer",
}


def libc_ioctl(fd: int, request: int, argument: object = 0) -> int:
    """ioctl(2); an OSError if it fails."""
    while True:
        try:
            return interruptible_ioctl(fd, request, argument)
        except InterruptedError:
            continue


def interruptible_ioctl(fd: int, request: int, argument: object = 0) -> int:
    """ioctl(2); an OSError if it fails, or a signal comes.

    Raises:
        KvmError: It fails in a fork.
    """
    if isinstance(argument, int):
        argument = ctypes.c_ulong(argument)
    result = _ioctl(ctypes.c_int(fd), ctypes.c_ulong(request), argument)
    if result < 0:
        raise _failed(fd)
    return int(result)


def _failed(fd: int, call: str = "") -> OSError:
    code = ctypes.get_errno()
    if fd in _parents:
        raise KvmError(
            "a VM works in the process that made it, and this is a fork of that; make another here"
        )
    return OSError(code, f"{call}: {os.strerror(code)}" if call else os.strerror(code))


_ioctl: Any = ctypes.CDLL(None, use_errno=True).ioctl if sys.platform == "linux" else None
_quick_ioctl: Any = ctypes.PyDLL(None, use_errno=True).ioctl if sys.platform == "linux" else None

#: Descriptors of the VMs here, and in a forked child those of its parent.
_ours: set[int] = set()
_parents: set[int] = set()


def _leave_to_parent() -> None:
    _parents.update(_ours)


if sys.platform == "linux":
    os.register_at_fork(after_in_child=_leave_to_parent)


class KvmVm:
    """One VM: memory slots and their dirty logs. Use it as a context manager, or call `close`."""

    def __init__(self, *, irqchip: bool = False) -> None:
        """Create it, without memory; with `irqchip` the kernel has interrupt controllers and timer.

        Raises:
            KvmError: There is no KVM here.
        """
        if sys.platform != "linux":
            raise KvmError("only Linux has KVM")
        self._fds: list[int] = []
        try:
            self.kvm = self._keep(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            code = error.errno or 0
            raise KvmError(OPEN_ERRORS.get(code, f"/dev/kvm: {error.strerror}")) from None
        try:
            self.fd = self._keep(libc_ioctl(self.kvm, KVM_CREATE_VM))
            libc_ioctl(self.fd, KVM_SET_TSS_ADDR, TSS_GPA)
            identity = ctypes.c_uint64(IDENTITY_MAP_GPA)
            libc_ioctl(self.fd, KVM_SET_IDENTITY_MAP_ADDR, ctypes.byref(identity))
            if irqchip:
                libc_ioctl(self.fd, KVM_CREATE_IRQCHIP)
                # With port 61h, through which channel 2 is heard of.
                config = struct.pack("<I", KVM_PIT_SPEAKER_DUMMY).ljust(64, b"\0")
                libc_ioctl(self.fd, KVM_CREATE_PIT2, ctypes.create_string_buffer(config, 64))
        except OSError as error:
            self.close()
            raise KvmError(f"/dev/kvm: {error.strerror}") from None

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        _ours.add(fd)
        _parents.discard(fd)
        return fd

    def extension(self, capability: int) -> int:
        """KVM_CHECK_EXTENSION."""
        return libc_ioctl(self.kvm, KVM_CHECK_EXTENSION, capability)

    def set_region(
        self, slot: int, gpa: int, memory: NDArray[np.uint8] | None, flags: int = 0
    ) -> None:
        """Create a slot over page-aligned memory, which must outlive it; None deletes it.

        Raises:
            OSError: The kernel refuses.
        """
        size, hva = (0, 0) if memory is None else (memory.nbytes, memory.ctypes.data)
        region = struct.pack("<IIQQQ", slot, flags, gpa, size, hva)
        libc_ioctl(self.fd, KVM_SET_USER_MEMORY_REGION, ctypes.create_string_buffer(region))

    def enable(self, capability: int, argument: int) -> None:
        """KVM_ENABLE_CAP.

        Raises:
            OSError: The kernel does not have it.
        """
        cap = struct.pack("<IIQ88x", capability, 0, argument)
        libc_ioctl(self.fd, KVM_ENABLE_CAP, ctypes.create_string_buffer(cap, len(cap)))

    def irq_line(self, irq: int, level: int) -> None:
        """Set a line of the in-kernel interrupt controllers."""
        data = ctypes.create_string_buffer(struct.pack("<II", irq, level))
        libc_ioctl(self.fd, KVM_IRQ_LINE, data)

    def coalesce_mmio(self, gpa: int, size: int) -> None:
        """Let the kernel collect stores to a range, up to the next exit."""
        zone = ctypes.create_string_buffer(struct.pack("<QII", gpa, size, 0))
        libc_ioctl(self.fd, KVM_REGISTER_COALESCED_MMIO, zone)

    def create_vcpu(self) -> tuple[int, mmap.mmap]:
        """A vCPU with what the host supports, and its shared struct kvm_run."""
        vcpu = self._keep(libc_ioctl(self.fd, KVM_CREATE_VCPU))
        size = libc_ioctl(self.kvm, KVM_GET_VCPU_MMAP_SIZE)
        run = mmap.mmap(vcpu, size)
        cpuid = ctypes.create_string_buffer(8 + 40 * CPUID_ENTRIES)
        struct.pack_into("<I", cpuid, 0, CPUID_ENTRIES)
        libc_ioctl(self.kvm, KVM_GET_SUPPORTED_CPUID, cpuid)
        libc_ioctl(vcpu, KVM_SET_CPUID2, cpuid)
        return vcpu, run

    def close(self) -> None:
        """Destroy the VM. Closing twice is fine."""
        while self._fds:
            fd = self._fds.pop()
            _ours.discard(fd)
            _parents.discard(fd)
            os.close(fd)

    def __enter__(self) -> KvmVm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DirtyLogReader:
    """Reads one slot's log into a buffer of its own, with nothing prepared anew at each call."""

    def __init__(self, vm: KvmVm, slot: int, npages: int) -> None:
        #: What `read` found, as KVM lays it out; the next read overwrites it.
        self.bitmap = bytearray(8 * word_count(npages))
        #: The same with no page dirty.
        self.clean = bytes(self.bitmap)
        #: `bitmap` as (ceil(npages / 64),) uint64.
        self.words: NDArray[np.uint64] = np.frombuffer(self.bitmap, np.uint64)
        self._fd = vm.fd
        address = self.words.ctypes.data
        self._get = _prepared(vm, KVM_GET_DIRTY_LOG, struct.pack("<IIQ", slot, 0, address))
        clear = struct.pack("<IIQQ", slot, npages, 0, address)
        self._clear = _prepared(vm, KVM_CLEAR_DIRTY_LOG, clear)

    def read(self) -> NDArray[np.uint64]:
        """KVM_GET_DIRTY_LOG: read, and clear unless the VM has manual protect; or OSError.

        Raises:
            KvmError: This is a fork of the process that made the VM.
        """
        if self._get():
            raise _failed(self._fd, "KVM_GET_DIRTY_LOG")
        return self.words

    def clear(self) -> None:
        """KVM_CLEAR_DIRTY_LOG: clear and protect what `read` found; or OSError."""
        if self._clear():
            raise _failed(self._fd, "KVM_CLEAR_DIRTY_LOG")


def _prepared(vm: KvmVm, request: int, argument: bytes) -> Callable[[], int]:
    """An ioctl of a VM with all its arguments, which keeps the GIL."""
    return partial(
        _quick_ioctl,
        ctypes.c_int(vm.fd),
        ctypes.c_ulong(request),
        ctypes.create_string_buffer(argument, len(argument)),
    )
