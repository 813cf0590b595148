"""INT 31h: the services of a DPMI host.

Emulated: descriptors (00h), DOS's memory (01h), vectors and handlers (02h), calls of real mode
(0300h to 0302h) and from there (0303h, 0304h), version (0400h), memory (05h, out of XMS's), locks
and pages, which need nothing (06h, 07h), physical memory (0800h), the interrupt flag (09h). Others
are not there (8001h).

Source: DPMI Specification 0.9, with the error codes of 1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import INTERRUPT
from vgaemu.pc.dos.dpmi_tables import (
    BAD_CALLBACK,
    BAD_HANDLE,
    BAD_SELECTOR,
    BAD_VALUE,
    CALLBACK_STUBS,
    CODE,
    CPU_386,
    DATA_ACCESS,
    EXCEPTIONS,
    FIRST_INTERRUPT,
    INTERRUPTS,
    NO_CALLBACK,
    NO_MEMORY,
    STUB_BYTES,
    UNSUPPORTED,
    VERSION,
    Area,
    Descriptor,
    unpacked,
)
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.memory import Memory
from vgaemu.pc.dos.xms import Xms, XmsError

#: A call of real mode: INT, RETF or IRET (0 to 2), the vector, where its structure is, words of the
#: stack.
RealCall: TypeAlias = tuple[int, int, int, int]
#: 0003h: what is from one selector of a row to the next.
INCREMENT = 8
#: 0400h, besides: 32 bits, no virtual memory; where interrupts come.
FEATURES, CONTROLLERS = 0x0001, 0x0870
#: KiB of a page; what of the information of 0500h is not known.
PAGE_KIB, UNKNOWN = PAGE_SIZE >> 10, 0xFFFFFFFF
#: Words of a stack that a call of real mode may take along.
MAX_WORDS = 0x400


class Frame:
    """What an interrupt has pushed: IP, CS and flags, each of 16 or 32 bits."""

    def __init__(self, bus: Bus, at: int, *, wide: bool) -> None:
        self._bus, self.at, self._wide = bus, at, wide
        self.size = 4 if wide else 2

    @property
    def end(self) -> int:
        """Where the stack of the caller begins."""
        return self.at + 3 * self.size

    def word(self, nth: int) -> int:
        """One of its words, or of those above."""
        at = self.at + nth * self.size
        return self._bus.read32(at) if self._wide else self._bus.read16(at)

    def write(self, words: tuple[int, ...]) -> None:
        """Put words there."""
        mask, form = (0xFFFFFFFF, "I") if self._wide else (0xFFFF, "H")
        data = struct.pack(f"<{len(words)}{form}", *(word & mask for word in words))
        self._bus.write(self.at, data)

    def above(self, words: int) -> Frame:
        """What begins so many words above."""
        return Frame(self._bus, self.at + words * self.size, wide=self._wide)

    @property
    def flags(self) -> int:
        """The caller's."""
        return self.word(2)

    @flags.setter
    def flags(self, value: int) -> None:
        self.above(2).write((value,))


class DpmiCalls:
    """The services."""

    def __init__(self, board: Board, calls: Calls, area: Area, memory: Memory, xms: Xms) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        self._area, self._memory, self._xms = area, memory, xms
        cpu = self._cpu
        self._services: dict[int, Callable[[], None]] = {
            0x0000: self._allocate, 0x0001: self._free, 0x0002: self._of_segment,
            0x0003: lambda: cpu.set("eax", INCREMENT), 0x0006: self._get_base,
            0x0007: self._set_base, 0x0008: self._set_limit, 0x0009: self._set_access,
            0x000A: self._alias, 0x000B: self._get, 0x000C: self._set, 0x000D: self._allocate_this,
            0x0100: self._allocate_dos, 0x0101: self._free_dos, 0x0102: self._resize_dos,
            0x0200: self._get_real_vector, 0x0201: self._set_real_vector,
            0x0202: self._get_handler, 0x0203: self._set_handler,
            0x0204: self._get_vector, 0x0205: self._set_vector,
            0x0303: self._allocate_callback, 0x0304: self._free_callback,
            0x0400: self._version, 0x0500: self._information,
            0x0501: self._allocate_memory, 0x0502: self._free_memory, 0x0503: self._resize_memory,
            0x0604: lambda: self._pair("ebx", "ecx", PAGE_SIZE), 0x0800: self._physical,
            **dict.fromkeys((*range(0x0600, 0x0604), 0x0702, 0x0703, 0x0801), lambda: None),
        }  # fmt: skip

    def serve(self, frame: Frame) -> RealCall | None:
        """One call; what it wants of real mode.

        Raises:
            DosError: It fails.
        """
        cpu = self._cpu
        if cpu.ax in (0x0300, 0x0301, 0x0302):
            if cpu.cx > MAX_WORDS:
                raise DosError(BAD_VALUE)
            return cpu.al, cpu.bl, self._far("es", "edi"), cpu.cx
        if cpu.ax in (0x0900, 0x0901, 0x0902):
            was = bool(frame.flags & INTERRUPT)
            if cpu.al < 2:
                frame.flags = frame.flags & ~INTERRUPT | INTERRUPT * cpu.al
            cpu.al = was
            return None
        service = self._services.get(cpu.ax)
        if service is None:
            raise DosError(UNSUPPORTED)
        service()
        return None

    def _offset(self, register: str) -> int:
        value: int = self._cpu.get(register)
        return value if self._area.is_wide else value & 0xFFFF

    def _far(self, segment: str, register: str) -> int:
        return self._area.linear(self._cpu.get(segment), self._offset(register))

    def _said(self, high: str, low: str) -> int:
        """A value in the lower halves of two registers."""
        return int(self._cpu.get(high) & 0xFFFF) << 16 | int(self._cpu.get(low) & 0xFFFF)

    def _pair(self, high: str, low: str, value: int) -> None:
        for register, half in ((high, value >> 16), (low, value & 0xFFFF)):
            self._cpu.set(register, self._cpu.get(register) & ~0xFFFF | half)

    # --- descriptors ---

    def _allocate(self) -> None:
        count = self._cpu.cx
        if not count:
            raise DosError(BAD_VALUE)
        self._cpu.ax = self._area.allocate(Descriptor(0, 0, DATA_ACCESS), count)

    def _free(self) -> None:
        selector = self._cpu.bx
        self._area.free(selector)
        for register in ("ds", "es", "fs", "gs"):
            if self._cpu.get(register) == selector:
                self._cpu.set(register, 0)

    def _of_segment(self) -> None:
        self._cpu.ax = self._area.of_segment(self._cpu.bx)

    def _get_base(self) -> None:
        self._pair("ecx", "edx", self._area.descriptor(self._cpu.bx).base)

    def _change(self, **values: int) -> None:
        selector = self._cpu.bx
        self._area.set_descriptor(selector, self._area.descriptor(selector)._replace(**values))

    def _set_base(self) -> None:
        self._change(base=self._said("ecx", "edx"))

    def _set_limit(self) -> None:
        limit = self._said("ecx", "edx")
        if limit >= 1 << 20 and limit & 0xFFF != 0xFFF:
            raise DosError(BAD_VALUE)
        flags = self._area.descriptor(self._cpu.bx).flags & ~0x80
        self._change(limit=limit, flags=flags)

    def _set_access(self) -> None:
        """CL as the CPU has it; CH what is beside the limit."""
        if not self._cpu.cl & 0x10:
            raise DosError(BAD_VALUE)
        before = self._area.descriptor(self._cpu.bx)
        limit = before.limit if before.flags & 0x80 == self._cpu.ch & 0x80 else (
            before.limit << 12 | 0xFFF if self._cpu.ch & 0x80 else before.limit >> 12
        )  # fmt: skip
        self._change(access=self._cpu.cl, flags=self._cpu.ch & 0xF0, limit=limit)

    def _alias(self) -> None:
        """000Ah: data where there is code, or data."""
        code = self._area.descriptor(self._cpu.bx)
        self._cpu.ax = self._area.allocate(code._replace(access=DATA_ACCESS))

    def _get(self) -> None:
        data = self._area.descriptor(self._cpu.bx).packed()
        self._bus.write(self._far("es", "edi"), data)

    def _set(self) -> None:
        raw = self._bus.read(self._far("es", "edi"), 8)
        self._area.set_descriptor(self._cpu.bx, unpacked(raw))

    def _allocate_this(self) -> None:
        """000Dh: one of the first sixteen."""
        index = self._cpu.bx >> 3
        if not 0 < index < 16:
            raise DosError(BAD_SELECTOR)
        if self._area.allocate(Descriptor(0, 0, DATA_ACCESS), first=index) >> 3 != index:
            self._area.free(index << 3 | 4)
            raise DosError(BAD_SELECTOR)

    # --- DOS's memory ---

    def _allocate_dos(self) -> None:
        cpu, memory = self._cpu, self._memory
        paragraphs = cpu.bx
        try:
            segment = memory.take(paragraphs, memory.current)
        except DosError:
            cpu.bx = memory.largest()
            raise
        block = Descriptor(segment << 4, max((paragraphs << 4) - 1, 0), DATA_ACCESS)
        cpu.dx = self._area.allocate(block)
        cpu.ax = segment

    def _free_dos(self) -> None:
        selector = self._cpu.dx
        segment = self._area.descriptor(selector).base >> 4
        self._memory.free_block(segment)
        self._area.free(selector)

    def _resize_dos(self) -> None:
        selector, paragraphs = self._cpu.dx, self._cpu.bx
        before = self._area.descriptor(selector)
        self._memory.resize_block(before.base >> 4, paragraphs)
        changed = before._replace(limit=max((paragraphs << 4) - 1, 0))
        self._area.set_descriptor(selector, changed)

    # --- vectors ---

    def _get_real_vector(self) -> None:
        self._cpu.cx, self._cpu.dx = self._calls.get_vector(self._cpu.bl)

    def _set_real_vector(self) -> None:
        self._calls.set_vector(self._cpu.bl, self._cpu.dx, self._cpu.cx)

    def _answer_vector(self, vector: tuple[int, int]) -> None:
        self._cpu.cx = vector[0]
        if self._area.is_wide:
            self._cpu.set("edx", vector[1])
        else:
            self._cpu.dx = vector[1] & 0xFFFF

    def _get_vector(self) -> None:
        self._answer_vector(self._area.vector(self._cpu.bl))

    def _set_vector(self) -> None:
        vector, selector = self._cpu.bl, self._cpu.cx
        self._area.set_vector(vector, selector, self._offset("edx"))
        if vector in INTERRUPTS:
            self._take_real_vector(vector, is_taken=selector & ~3 != CODE)

    def _take_real_vector(self, vector: int, *, is_taken: bool) -> None:
        """An interrupt in real mode goes to the client, too, as long as it has the vector."""
        area, index = self._area, FIRST_INTERRUPT + INTERRUPTS.index(vector)
        was_taken, _, before, _ = area.callback(index)
        if is_taken and not was_taken:
            segment, offset = self._calls.get_vector(vector)
            area.set_callback(index, 1, 0, segment << 16 | offset, 0)
            self._calls.set_vector(vector, CALLBACK_STUBS + STUB_BYTES * index, area.segment)
        elif was_taken and not is_taken:
            area.set_callback(index, 0, 0, 0, 0)
            self._calls.set_vector(vector, before & 0xFFFF, before >> 16)

    def give_back_vectors(self) -> None:
        """The client is no more, or another one is there."""
        for vector in INTERRUPTS:
            self._take_real_vector(vector, is_taken=False)

    def take_vectors(self) -> None:
        """The client is the last again."""
        for vector in INTERRUPTS:
            self._take_real_vector(vector, is_taken=self._area.vector(vector)[0] & ~3 != CODE)

    def real_vector(self, vector: int) -> tuple[int, int]:
        """Segment and offset of an interrupt in real mode, before a client took it."""
        if vector in INTERRUPTS:
            was_taken, _, before, _ = self._area.callback(
                FIRST_INTERRUPT + INTERRUPTS.index(vector)
            )
            if was_taken:
                return before >> 16, before & 0xFFFF
        return self._calls.get_vector(vector)

    def _allocate_callback(self) -> None:
        """0303h: code of real mode that leads to DS:(E)SI, with a structure at ES:(E)DI."""
        cpu, area = self._cpu, self._area
        free = [index for index in range(FIRST_INTERRUPT) if not area.callback(index)[0]]
        if not free:
            raise DosError(NO_CALLBACK)
        values = cpu.ds, cpu.es, self._offset("esi"), self._offset("edi")
        area.set_callback(free[0], *values)
        cpu.cx, cpu.dx = area.segment, CALLBACK_STUBS + STUB_BYTES * free[0]

    def _free_callback(self) -> None:
        """0304h."""
        cpu, area = self._cpu, self._area
        index, rest = divmod(cpu.dx - CALLBACK_STUBS, STUB_BYTES)
        known = cpu.cx == area.segment and not rest and 0 <= index < FIRST_INTERRUPT
        if not known or not area.callback(index)[0]:
            raise DosError(BAD_CALLBACK)
        area.set_callback(index, 0, 0, 0, 0)

    def _exception(self) -> int:
        if self._cpu.bl >= EXCEPTIONS:
            raise DosError(BAD_VALUE)
        return int(self._cpu.bl)

    def _get_handler(self) -> None:
        exception = self._exception()
        selector, offset = self._area.handler(exception)
        self._answer_vector((selector, offset) if selector else self._area.vector(exception))

    def _set_handler(self) -> None:
        exception = self._exception()
        selector, offset = self._cpu.cx, self._offset("edx")
        is_ours = (selector, offset) == self._area.vector(exception)
        self._area.set_handler(exception, 0 if is_ours else selector, offset)

    # --- what the host is ---

    def _version(self) -> None:
        cpu = self._cpu
        cpu.ax, cpu.bx, cpu.cl, cpu.dx = VERSION, FEATURES, CPU_386, CONTROLLERS

    # --- memory ---

    def _information(self) -> None:
        """0500h: the largest block in bytes and in pages, pages in all and free ones."""
        largest, free = self._xms.room(self._xms.ram_kib)
        pages = self._xms.ram_kib // PAGE_KIB
        words = [largest << 10, *[largest // PAGE_KIB] * 3, pages, free // PAGE_KIB, pages]
        words += [UNKNOWN] * 5
        self._bus.write(self._far("es", "edi"), struct.pack("<12I", *words))

    def _kib(self) -> int:
        nbytes = self._said("ebx", "ecx")
        if not nbytes:
            raise DosError(BAD_VALUE)
        return -(-nbytes // PAGE_SIZE) * PAGE_KIB

    def _tell(self, handle: int) -> None:
        self._pair("ebx", "ecx", self._xms.blocks[handle].start_kib << 10)
        self._pair("esi", "edi", handle)

    def _allocate_memory(self) -> None:
        try:
            self._tell(self._xms.take_extra(self._kib()))
        except XmsError:
            raise DosError(NO_MEMORY) from None

    def _handle(self) -> int:
        handle = self._said("esi", "edi")
        if not self._xms.is_extra(handle):
            raise DosError(BAD_HANDLE)
        return handle

    def _free_memory(self) -> None:
        del self._xms.blocks[self._handle()]

    def _resize_memory(self) -> None:
        handle = self._handle()
        try:
            self._xms.resize(handle, self._kib())
        except XmsError:
            raise DosError(NO_MEMORY) from None
        self._tell(handle)

    def _physical(self) -> None:
        """0800h: linear addresses are physical ones."""
        address = self._said("ebx", "ecx")
        if address < 1 << 20:
            raise DosError(BAD_VALUE)
