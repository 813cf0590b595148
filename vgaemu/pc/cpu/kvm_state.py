"""A vCPU's state by ioctl: to and from `CPU_ARRAYS`, and what else KVM needs to go on.

Carried over: all registers, FPU, SSE and what else XSAVE stores, pending events, the MSRs of
`msrs.SAVED`; of a VM whose interrupt controllers are the kernel's also those, the timer and the
local APIC; debug registers. Not carried over: other MSRs.

Source: Documentation/virt/kvm/api.rst of Linux; structures of <asm/kvm.h> packed by hand.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from contextlib import suppress
from mmap import mmap
from typing import NamedTuple

import numpy as np

from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.pc.cpu.cpu import (
    CPU_ARRAYS,
    EFER,
    INTERRUPT,
    LONG_MODE,
    RFLAGS,
    SHADOWED,
    STOPPED,
    Array,
)
from vgaemu.pc.cpu.debug_registers import AFTER_RESET, DEBUG, are_debug, debug_of
from vgaemu.pc.cpu.mmu import UNUSABLE
from vgaemu.pc.cpu.msrs import MSRS, OLD_MSRS, SAVED, are_msrs, msrs_of

#: struct kvm_sregs: eight segments; GDT and IDT as base, limit, padding; CR0 to APIC base; then a
#: bitmap of the vector that is pending.
_TABLE = struct.Struct("<QH6x")
_TABLES_AT, _CONTROL_AT, _PENDING_AT = 192, 224, 280
#: struct kvm_xsave: as XSAVE stores it. FCW, FSW, FTW first; MXCSR; ST(0..7); XMM0-15; after 512
#: bytes which components are not as after a reset: bit 0 x87, bit 1 SSE.
_MXCSR, _ST, _XMM, _COMPONENTS, _XSAVE_BYTES = 24, 32, 160, 512, 4096

_MSR_ENTRY = struct.Struct("<II Q")

#: struct kvm_vcpu_events: an interrupt's injected, nr, soft, shadow.
_INTERRUPT_AT, _EVENT_FLAGS_AT = 8, 20
SHADOW_STI, VALID_SHADOW = 2, 4

KVM_GET_XSAVE, KVM_SET_XSAVE = 0x9000AEA4, 0x5000AEA5
#: struct kvm_debugregs: DR0 to DR3, DR6, DR7, flags.
KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, _DEBUGREGS_BYTES = 0x8080AEA1, 0x4080AEA2, 128
KVM_GET_MSRS, KVM_SET_MSRS = 0xC008AE88, 0x4008AE89
KVM_GET_IRQCHIP, KVM_SET_IRQCHIP = 0xC208AE62, 0x8208AE63
#: u32 which, padding, state. 0 and 1 are the 8259A, 2 is the I/O APIC.
_IRQCHIPS, _IRQCHIP_BYTES = 3, 520


class _Blob(NamedTuple):
    """A structure that goes into a state as the kernel has it."""

    get: int
    put: int
    size: int
    #: Of the VM, not of the vCPU.
    of_vm: bool = False
    #: Only with the kernel's interrupt controllers.
    with_chips: bool = False


#: In the order in which they are put. Events come last: they name what is to be injected.
BLOBS = {
    "kvm.xcrs": _Blob(0x8188AEA6, 0x4188AEA7, 392),
    "kvm.pit": _Blob(0x8070AE9F, 0x4070AEA0, 112, of_vm=True, with_chips=True),
    "kvm.lapic": _Blob(0x8400AE8E, 0x4400AE8F, 1024, with_chips=True),
    "kvm.run_state": _Blob(0x8004AE98, 0x4004AE99, 4, with_chips=True),
    "kvm.events": _Blob(0x8040AE9F, 0x4040AEA0, 64),
}


class VcpuState:
    """Reads and sets one vCPU that is not running."""

    def __init__(self, vm: kvm.KvmVm, vcpu: int, run: mmap, *, with_chips: bool) -> None:
        self._vm, self._vcpu, self._run, self._with_chips = vm, vcpu, run, with_chips

    def fill_run(self) -> None:
        """Registers into struct kvm_run, where otherwise an exit puts them."""
        at = kvm.RUN_SYNC_REGS
        registers = self._get(kvm.KVM_GET_REGS, kvm.REGS_BYTES)
        registers += self._get(kvm.KVM_GET_SREGS, kvm.SREGS_BYTES)
        self._run[at : at + len(registers)] = registers

    def arrays(self) -> dict[str, Array]:
        """`CPU_ARRAYS`, but for whether a HLT stopped it, and the kernel's own structures."""
        run, at = self._run, kvm.RUN_SYNC_REGS
        arrays = {name: np.zeros(shape, kind) for name, (kind, shape) in CPU_ARRAYS.items()}
        arrays["cpu.general"][:] = np.frombuffer(run[at : at + kvm.REGS_BYTES], "<u8")
        at += kvm.REGS_BYTES
        take_sregs(run[at : at + kvm.SREGS_BYTES], arrays)
        xsave = self._get(KVM_GET_XSAVE, _XSAVE_BYTES)
        arrays["cpu.fpu"][:] = np.frombuffer(xsave, "u1", 128, _ST).reshape(8, 16)
        (mxcsr,) = struct.unpack_from("<I", xsave, _MXCSR)
        arrays["cpu.fpu_control"][:] = *struct.unpack_from("<HHB", xsave), mxcsr
        arrays["cpu.xmm"][:] = np.frombuffer(xsave, "u1", 256, _XMM).reshape(16, 16)
        arrays["kvm.xsave"] = np.frombuffer(xsave, "u1")
        for name, blob in self._blobs().items():
            arrays[name] = np.frombuffer(self._get(blob.get, blob.size, of_vm=blob.of_vm), "u1")
        # Of an interrupt the shared page may tell what has been taken since: the events do not.
        events = arrays["kvm.events"][_INTERRUPT_AT : _INTERRUPT_AT + 4].tolist()
        injected, vector, soft, shadow = events
        arrays["cpu.pending"][...] = vector if injected and not soft else -1
        arrays["cpu.halted"][...] = SHADOWED if shadow else 0
        arrays[MSRS] = self._msrs()
        debug = np.frombuffer(self._get(KVM_GET_DEBUGREGS, _DEBUGREGS_BYTES), "<u8")
        arrays[DEBUG] = debug[: len(AFTER_RESET)].astype("u8")
        if self._with_chips:
            arrays["kvm.chips"] = np.stack([
                np.frombuffer(self._get(KVM_GET_IRQCHIP, _IRQCHIP_BYTES, which=i, of_vm=True), "u1")
                for i in range(_IRQCHIPS)
            ])  # fmt: skip
        return arrays

    def refusal(self, arrays: Mapping[str, Array]) -> str | None:
        """Why the kernel would not go on from a state, or None; nothing has changed then."""
        return self._misfit(arrays) or self._trial(arrays)

    def _misfit(self, arrays: Mapping[str, Array]) -> str | None:
        """What of the kernel's own structures is of another shape, or missing."""
        shapes: dict[str, tuple[int, ...]] = {
            "kvm.xsave": (_XSAVE_BYTES,), "kvm.chips": (_IRQCHIPS, _IRQCHIP_BYTES),
            **{name: (blob.size,) for name, blob in self._blobs().items()},
        }  # fmt: skip
        for name, given in arrays.items():
            if name in shapes:
                fits = given.dtype == np.uint8 and given.shape == shapes[name]
            else:
                looks = {MSRS: are_msrs, OLD_MSRS: are_msrs, DEBUG: are_debug}.get(name)
                fits = looks is None or looks(given)
            if not fits:
                return f"{name} is not what KVM saves; save the state again"
        long_mode = int(arrays["cpu.control"][EFER]) & LONG_MODE
        if not long_mode and int(arrays["cpu.tables"].max()) >> 32:
            return "damaged; save the state again"
        needed = [name for name, blob in BLOBS.items() if blob.with_chips] + ["kvm.chips"]
        if self._with_chips and any(name not in arrays for name in needed):
            return "saved without the kernel's interrupt controllers, which a firmware has"
        return None

    def _trial(self, arrays: Mapping[str, Array]) -> str | None:
        """Whether the kernel takes the registers: set them, and set back what there was."""
        now = self._get(kvm.KVM_GET_SREGS, kvm.SREGS_BYTES)
        xsave = self._get(KVM_GET_XSAVE, _XSAVE_BYTES)
        try:
            self._set(KVM_SET_XSAVE, _xsave_of(arrays))
            # Without a pending interrupt: that would stay.
            self._set(kvm.KVM_SET_SREGS, sregs_of(arrays)[:_PENDING_AT] + bytes(32))
        except OSError:
            return "the kernel does not take its registers; --cpu unicorn may"
        finally:
            # Registers that no program sets, of a guest gone astray, the kernel gives but does not
            # take; the vCPU has them still, then, as it took no others.
            with suppress(OSError):
                self._set(kvm.KVM_SET_SREGS, now)
            self._set(KVM_SET_XSAVE, xsave)
        return None

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Set everything.

        Raises:
            OSError: The kernel refuses what `refusal` passed.
        """
        run, at = self._run, kvm.RUN_SYNC_REGS
        registers, sregs = arrays["cpu.general"].astype("<u8").tobytes(), sregs_of(arrays)
        self._set(kvm.KVM_SET_SREGS, sregs)
        run[at : at + kvm.REGS_BYTES] = registers
        at += kvm.REGS_BYTES
        run[at : at + kvm.SREGS_BYTES] = sregs
        run[kvm.RUN_DIRTY_REGS] = kvm.SYNC_REGS | kvm.SYNC_SREGS
        self._set(KVM_SET_XSAVE, _xsave_of(arrays))
        self._set_msrs(msrs_of(arrays))
        debug = np.array(debug_of(arrays), "<u8").tobytes()
        self._set(KVM_SET_DEBUGREGS, debug.ljust(_DEBUGREGS_BYTES, b"\0"))
        if self._with_chips:
            for chip in arrays["kvm.chips"]:
                self._set(KVM_SET_IRQCHIP, chip.tobytes(), of_vm=True)
        for name, blob in self._blobs().items():
            if name in arrays:
                self._set(blob.put, arrays[name].tobytes(), of_vm=blob.of_vm)
            elif name == "kvm.events":
                self._set(blob.put, _events_of(arrays))
        # What the last exit said of interrupts is of another time. A halted CPU takes one at once.
        enabled = bool(int(arrays["cpu.general"][RFLAGS]) & INTERRUPT)
        run[kvm.RUN_IF_FLAG] = enabled
        run[kvm.RUN_READY_FOR_INTERRUPT] = enabled and bool(arrays["cpu.halted"] & STOPPED)
        run[kvm.RUN_REQUEST_INTERRUPT_WINDOW] = run[kvm.RUN_IMMEDIATE_EXIT] = 0

    def _msrs(self) -> Array:
        data = bytearray(struct.pack("<II", len(SAVED), 0))
        data += b"".join(_MSR_ENTRY.pack(index, 0, 0) for index in SAVED)
        buffer = ctypes.create_string_buffer(bytes(data), len(data))
        # The answer is how many the kernel knows: it stops at the first that it does not.
        count = kvm.libc_ioctl(self._vcpu, KVM_GET_MSRS, buffer)
        entries = [_MSR_ENTRY.unpack_from(buffer.raw, 8 + 16 * i) for i in range(count)]
        return np.array([(index, value) for index, _, value in entries], "u8").reshape(-1, 2)

    def _set_msrs(self, msrs: Mapping[int, int]) -> None:
        data = struct.pack("<II", len(msrs), 0)
        data += b"".join(_MSR_ENTRY.pack(index, 0, value) for index, value in msrs.items())
        self._set(KVM_SET_MSRS, data)

    def _blobs(self) -> dict[str, _Blob]:
        return {
            name: blob for name, blob in BLOBS.items() if self._with_chips or not blob.with_chips
        }

    def _get(self, request: int, size: int, *, which: int = 0, of_vm: bool = False) -> bytes:
        data = ctypes.create_string_buffer(struct.pack("<I", which).ljust(size, b"\0"), size)
        kvm.libc_ioctl(self._vm.fd if of_vm else self._vcpu, request, data)
        return data.raw

    def _set(self, request: int, data: bytes, *, of_vm: bool = False) -> None:
        buffer = ctypes.create_string_buffer(data, len(data))
        kvm.libc_ioctl(self._vm.fd if of_vm else self._vcpu, request, buffer)


def _events_of(arrays: Mapping[str, Array]) -> bytes:
    """Of a CPU without KVM: the one that the registers name, and whether it is held off."""
    events = bytearray(BLOBS["kvm.events"].size)
    if arrays["cpu.halted"] & SHADOWED:
        events[_INTERRUPT_AT + 3], events[_EVENT_FLAGS_AT] = SHADOW_STI, VALID_SHADOW
    return bytes(events)


def take_sregs(sregs: bytes, arrays: Mapping[str, Array]) -> None:
    """Fill segments, tables and control registers from struct kvm_sregs."""
    for i in range(8):
        fields = kvm.SEGMENT.unpack_from(sregs, kvm.SEGMENT.size * i)
        base, limit, selector, kind, present, dpl, db, s, long, g, avl, unusable, _ = fields
        attributes = kind | s << 4 | dpl << 5 | present << 7
        attributes |= avl << 12 | long << 13 | db << 14 | g << 15 | (UNUSABLE if unusable else 0)
        arrays["cpu.segments"][i] = selector, base, limit, attributes
    for i in range(2):
        arrays["cpu.tables"][i] = _TABLE.unpack_from(sregs, _TABLES_AT + 16 * i)
    arrays["cpu.control"][:] = np.frombuffer(sregs, "<u8", 7, _CONTROL_AT)


def _xsave_of(arrays: Mapping[str, Array]) -> bytes:
    fcw, fsw, ftw, mxcsr = arrays["cpu.fpu_control"].tolist()
    given = arrays.get("kvm.xsave")
    xsave = bytearray(_XSAVE_BYTES if given is None else given.tobytes())
    struct.pack_into("<HHB", xsave, 0, fcw & 0xFFFF, fsw & 0xFFFF, ftw & 0xFF)
    struct.pack_into("<I", xsave, _MXCSR, mxcsr & 0xFFFF)
    xsave[_ST : _ST + 128] = arrays["cpu.fpu"].tobytes()
    xsave[_XMM : _XMM + 256] = arrays["cpu.xmm"].tobytes()
    xsave[_COMPONENTS] |= 3
    return bytes(xsave)


def sregs_of(arrays: Mapping[str, Array]) -> bytes:
    """The other way round."""
    sregs = bytearray(kvm.SREGS_BYTES)
    for i, (selector, base, limit, a) in enumerate(arrays["cpu.segments"].tolist()):
        kvm.SEGMENT.pack_into(
            sregs, kvm.SEGMENT.size * i, base, limit & 0xFFFFFFFF, selector & 0xFFFF,
            a & 15, a >> 7 & 1, a >> 5 & 3, a >> 14 & 1, a >> 4 & 1, a >> 13 & 1, a >> 15 & 1,
            a >> 12 & 1, bool(a & UNUSABLE), 0,
        )  # fmt: skip
    for i, (base, limit) in enumerate(arrays["cpu.tables"].tolist()):
        _TABLE.pack_into(sregs, _TABLES_AT + 16 * i, base, limit & 0xFFFF)
    sregs[_CONTROL_AT:_PENDING_AT] = arrays["cpu.control"].astype("<u8").tobytes()
    pending = int(arrays["cpu.pending"])
    if pending >= 0:
        sregs[_PENDING_AT + pending // 8] = 1 << pending % 8
    return bytes(sregs)
