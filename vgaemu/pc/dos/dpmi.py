"""A DPMI host: protected mode for programs of DOS; INT 2Fh/1687h and what it leads to.

Emulated: clients of 16 and 32 bits, all at ring 0 and without paging, so linear addresses are
physical; interrupts that they do not take go to real mode, where DOS and the BIOS are, and those of
chips that they take come to them from there, too; calls of real mode, and callbacks from it;
handlers of exceptions. A client ends as any program, by INT 21h/4Ch. Not emulated: raw switches of
mode, virtual memory, critical errors and Ctrl-C that go to protected mode. `dpmi_calls` has INT
31h, `dpmi_tables` the memory.

Source: DPMI Specification 0.9.
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.pc.clock import SERVICE_NS
from vgaemu.pc.cpu.cpu import CARRY, INTERRUPT, TRAP, ZERO
from vgaemu.pc.dos.area import DPMI_DONE_PORT, DPMI_OFFSET, DPMI_PORT, SEGMENT
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.dpmi_calls import DpmiCalls, Frame
from vgaemu.pc.dos.dpmi_tables import (
    CALLBACK_STUBS,
    CLIENT_AT,
    CODE,
    CODE_ACCESS,
    COME_BACK,
    CPU_386,
    DATA_ACCESS,
    DEPTH_AT,
    DOING_AT,
    EXCEPTIONS,
    FIRST_INTERRUPT,
    FOR_AT,
    INTERRUPTS,
    MOST_RECORDS,
    OWNER_AT,
    PARAGRAPHS,
    RECORD_BYTES,
    RECORDS,
    REGISTERS_AT,
    STACK_A_RECORD,
    STACK_TOP,
    STUB_BYTES,
    STUBS,
    TO_DS_AT,
    TO_ES_AT,
    VERSION,
    WAITING_STACK_AT,
    Area,
    Descriptor,
)
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.memory import Memory
from vgaemu.pc.dos.programs import ENVIRONMENT_AT, PREFIX_BYTES
from vgaemu.pc.dos.xms import Xms

#: 1687h, besides version and CPU: 32 bits are there.
HAS_32 = 1
#: What a call of real mode is for: the client's structure; an interrupt that it did not take.
FOR_STRUCTURE, FOR_INTERRUPT = 1, 2
#: Registers as 0300h has them.
STRUCTURE = struct.Struct("<8I9H")
GENERAL = ("edi", "esi", "ebp", "", "ebx", "edx", "ecx", "eax")
FLAGS, IP, CS, SP, SS = 8, 13, 14, 15, 16
#: So much of them is answered: not CS:IP, nor SS:SP.
ANSWERED = 0x2A
#: Flags that a call answers by.
STATUS = 0x08D5
#: Exceptions that end a client which has no handler: those that would be made again; those that
#: may be an interrupt of the first controller; those with an error code.
FATAL, OF_CONTROLLER, WITH_CODE = (0, 6, 8, *range(10, 15)), range(8, 16), (8, *range(10, 15))
#: Asks the first controller what is in service.
CONTROLLER, IN_SERVICE = 0x20, 0x0B
DPMI_CALL, MULTIPLEX, GET_MODE, GET_HOST, DOS_CALL = 0x31, 0x2F, 0x1686, 0x1687, 0x21
ENDED_BY_EXCEPTION = 0x4CFF
#: The stub that handlers of exceptions come back to.
FROM_HANDLER, FROM_CALLBACK = 256, 257
CALLBACK_COUNT = FIRST_INTERRUPT + len(INTERRUPTS)


class Dpmi:
    """The host."""

    def __init__(
        self, board: Board, calls: Calls, console: Console, memory: Memory, xms: Xms
    ) -> None:
        self._board, self._bus, self._cpu, self._calls = board, board.bus, board.cpu, calls
        self._console, self._memory, self._xms = console, memory, xms
        self.area = Area(board.bus)
        self._services = DpmiCalls(board, calls, self.area, memory, xms)
        #: Whether the stub of the interrupt in hand goes on in real mode, and forgets the client's.
        self._resumes = False
        board.bus.byte_out[DPMI_PORT] = self._served
        board.bus.byte_out[DPMI_DONE_PORT] = self._done

    def tell(self) -> None:
        """INT 2Fh/1687h: who the host is, and how to enter."""
        cpu = self._cpu
        cpu.ax, cpu.bx, cpu.cl, cpu.dx, cpu.si = 0, HAS_32, CPU_386, VERSION, PARAGRAPHS
        cpu.set("es", SEGMENT)
        cpu.di = DPMI_OFFSET

    # --- in and out ---

    def enter(self) -> bool:
        """The entry's OUT: AX was pushed onto the far call's frame, ES is for the host's area.

        Returns:
            Whether it fails.
        """
        cpu, area, prefix = self._cpu, self.area, self._memory.current
        wide, stack = bool(cpu.stack_word(0) & 1), cpu.get("ss")
        if area.segment:
            self._services.give_back_vectors()
        area.make(cpu.get("es"), prefix, wide=wide)
        code = area.allocate(Descriptor(cpu.stack_word(4) << 4, 0xFFFF, CODE_ACCESS))
        data = area.of_segment(cpu.get("ds"))
        own = area.allocate(Descriptor(prefix << 4, PREFIX_BYTES - 1, DATA_ACCESS))
        selectors = (code, data, area.of_segment(stack), own)
        for nth, selector in enumerate(selectors):
            area.write16(CLIENT_AT + 2 * nth, selector)
        at = (prefix << 4) + ENVIRONMENT_AT
        if self._bus.read16(at):
            self._bus.write16(at, area.of_segment(self._bus.read16(at)))
        cpu.set_stack_word(4, code)
        return False

    def ended(self, prefix: int) -> None:
        """A program is no more, nor what it had of the host."""
        while self.area.segment and self.area.read16(OWNER_AT) == prefix:
            self._services.give_back_vectors()
            self.area.forget()
            if self.area.segment:
                self._services.take_vectors()
        if not self.area.segment:
            self._xms.forget_extra()

    # --- interrupts ---

    @property
    def _is_busy(self) -> bool:
        """Whether a client is in protected mode; else somebody else has written to the port."""
        return bool(self.area.segment and self._cpu.get("cr0") & 1)

    def _served(self, _: int) -> None:
        """A stub's OUT: an interrupt in protected mode."""
        if not self._is_busy:
            return
        self._resumes = False
        self._board.clock.cost(SERVICE_NS)
        self._calls.new_slice()
        try:
            vector, frame = self._caller()
            real = self._is_for_real_mode(vector, frame)
        except DosError:  # a stack that is none
            vector, real = 0, False
        self._answer(real=real, reload=vector == DPMI_CALL)

    def _caller(self) -> tuple[int, Frame]:
        """The vector, and what the interrupt has pushed; the stub's own word is taken off."""
        cpu, area = self._cpu, self.area
        stack = area.descriptor(cpu.get("ss"))
        top = cpu.get("esp") if stack.is_big else cpu.sp
        back = self._bus.read16(stack.base + top & 0xFFFFFFFF)
        cpu.set("esp", cpu.get("esp") + 2 & 0xFFFFFFFF)
        vector = (back - STUB_BYTES - STUBS & 0xFFFF) // STUB_BYTES
        frame = Frame(self._bus, stack.base + top + 2 & 0xFFFFFFFF, wide=area.is_wide)
        return min(vector, FROM_CALLBACK), frame

    def _answer(self, *, real: bool, reload: bool) -> None:
        """How the stub goes on: to real mode, or back with registers loaded anew."""
        flags = self._cpu.get("eflags") & ~(CARRY | ZERO | INTERRUPT)
        self._cpu.set(
            "eflags",
            flags
            | (CARRY if real else 0)
            | (ZERO if self._resumes or (reload and not real) else 0),
        )

    def _is_for_real_mode(self, vector: int, frame: Frame) -> bool:
        if vector == DPMI_CALL:
            return self._call(frame)
        if vector == FROM_HANDLER:
            self._come_from_handler(frame)
            return False
        if vector == FROM_CALLBACK:
            self._come_from_callback()
            return self._resumes
        if vector < EXCEPTIONS and self._is_exception(vector, frame):
            return self._exception(vector, frame)
        if vector == MULTIPLEX and self._cpu.ax == GET_MODE:
            self._cpu.ax = 0
            return False
        self._reflect(vector, frame)
        return True

    def _call(self, frame: Frame) -> bool:
        """INT 31h; whether it calls real mode."""
        try:
            wanted = self._services.serve(frame)
        except DosError as error:
            self._cpu.ax = error.code
            frame.flags |= CARRY
            return False
        frame.flags &= ~CARRY
        if wanted is None:
            return False
        kind, vector, at, words = wanted
        self._call_real_mode(kind, vector, at, words, frame)
        return True

    def _call_real_mode(self, kind: int, vector: int, at: int, words: int, frame: Frame) -> None:
        """0300h to 0302h: an interrupt, or code that goes back by RETF or by IRET."""
        values = list(STRUCTURE.unpack(self._bus.read(at, STRUCTURE.size)))
        parameters = self._bus.read(frame.end, 2 * words)
        target = values[IP], values[CS]
        if kind == 0:
            segment, offset = self._calls.get_vector(vector)
            target = offset, segment
        self._prepare(FOR_STRUCTURE, at, values, target, parameters, by_iret=kind != 1)

    def _reflect(self, vector: int, frame: Frame) -> None:
        """An interrupt that the client has not taken goes to real mode."""
        values = [self._cpu.get(name) if name else 0 for name in GENERAL]
        values += [frame.flags & 0xFFFF, *[0] * 8]
        segment, offset = self._services.real_vector(vector)
        self._prepare(FOR_INTERRUPT, frame.at, values, (offset, segment), b"", by_iret=True)

    def _prepare(
        self, doing: int, at: int, values: list[int], target: tuple[int, int], parameters: bytes,
        *, by_iret: bool,
    ) -> None:  # fmt: skip
        """Registers and stack of real mode, for `go_real` of the host's code."""
        area, bus = self.area, self._bus
        if not (values[SS] or values[SP]):
            below = STACK_A_RECORD * area.read16(DEPTH_AT)
            values[SS], values[SP] = area.segment, STACK_TOP - below
        flags = values[FLAGS] & ~TRAP
        back = struct.pack("<HH", COME_BACK, area.segment)
        if by_iret:
            back += struct.pack("<H", flags)
            flags &= ~INTERRUPT
        stack = struct.pack("<HHH", *target, flags | 2) + back + parameters
        values[SP] = values[SP] - len(stack) & 0xFFFF
        bus.write((values[SS] << 4) + values[SP], stack)
        bus.write(area.base + REGISTERS_AT, STRUCTURE.pack(*values))
        area.write16(DOING_AT, doing)
        bus.write32(area.base + FOR_AT, at)

    def _done(self, _: int) -> None:
        """Real mode has done what it was asked for."""
        area, bus, cpu = self.area, self._bus, self._cpu
        if not self._is_busy:
            self._call_back()
            return
        raw = bus.read(area.base + REGISTERS_AT, STRUCTURE.size)
        at = bus.read32(area.base + FOR_AT)
        values = STRUCTURE.unpack(raw)
        if area.read16(DOING_AT) == FOR_STRUCTURE:
            bus.write(at, raw[:ANSWERED])
            return
        for name, value in zip(GENERAL, values, strict=False):
            if name:
                cpu.set(name, value)
        frame = Frame(bus, at, wide=area.is_wide)
        frame.flags = frame.flags & ~STATUS | values[FLAGS] & STATUS

    # --- real mode calls ---

    def _call_back(self) -> None:
        """A callback's OUT in real mode: who called finds its registers again once that is done."""
        area, bus, cpu = self.area, self._bus, self._cpu
        if not area.segment:
            return
        index = (cpu.stack_word(0) - STUB_BYTES - CALLBACK_STUBS & 0xFFFF) // STUB_BYTES
        depth = area.read16(DEPTH_AT)
        if index >= CALLBACK_COUNT or depth >= MOST_RECORDS:
            self._calls.end(ENDED_BY_EXCEPTION & 0xFF)
            return
        cpu.sp = cpu.sp + 2
        values = [cpu.get(name) if name else 0 for name in GENERAL]
        values += [
            cpu.get("eflags") & 0xFFFF,
            *(cpu.get(name) for name in ("es", "ds", "fs", "gs")),
        ]
        values += [0, 0, cpu.sp, cpu.get("ss")]
        record = bus.read(area.base + WAITING_STACK_AT, 6) + bus.read(area.base + DOING_AT, 8)
        record += index.to_bytes(2, "little") + STRUCTURE.pack(*values)
        bus.write(area.base + RECORDS + RECORD_BYTES * depth, record)
        area.write16(DEPTH_AT, depth + 1)
        try:
            self._to_callback(index, values)
        except DosError:  # a structure or a stack that is none
            self._calls.end(ENDED_BY_EXCEPTION & 0xFF)

    def _to_callback(self, index: int, values: list[int]) -> None:
        """What the code finds: the client's stack with the frames of two IRETs, ES:EDI, DS:ESI."""
        area, bus = self.area, self._bus
        if index < FIRST_INTERRUPT:
            selector, structure, offset, at = area.callback(index)
            bus.write(area.linear(structure, at), STRUCTURE.pack(*values))
            bus.write(area.base + TO_ES_AT, struct.pack("<IH", at, structure))
            data = area.of_segment(values[SS])
            bus.write(area.base + TO_DS_AT, struct.pack("<IH", values[SP], data))
        else:
            selector, offset = area.vector(INTERRUPTS[index - FIRST_INTERRUPT])
            bus.write(area.base + TO_ES_AT, bytes(16))
        at = area.base + WAITING_STACK_AT
        top, stack = bus.read32(at), area.descriptor(bus.read16(at + 4))
        frame = Frame(bus, stack.base + top, wide=area.is_wide).above(-6)
        back = STUBS + STUB_BYTES * FROM_CALLBACK
        frame.write((offset, selector, 2, back, CODE, 2))
        bus.write32(at, top - 6 * frame.size)

    def _come_from_callback(self) -> None:
        """Its IRET: real mode goes on, by the structure or as it was interrupted."""
        area, bus, cpu = self.area, self._bus, self._cpu
        depth = area.read16(DEPTH_AT) - 1
        if depth < 0:
            return
        area.write16(DEPTH_AT, depth)
        record = bus.read(area.base + RECORDS + RECORD_BYTES * depth, RECORD_BYTES)
        raw = record[16 : 16 + STRUCTURE.size]
        if record[14] < FIRST_INTERRUPT:
            offset = cpu.get("edi") if area.is_wide else cpu.di
            raw = bus.read(area.linear(cpu.get("es"), offset), STRUCTURE.size)
        values = list(STRUCTURE.unpack(raw))
        if record[14] < FIRST_INTERRUPT:
            back = struct.pack("<HHH", values[IP], values[CS], values[FLAGS] & ~TRAP | 2)
            values[SP] = values[SP] - len(back) & 0xFFFF
            bus.write((values[SS] << 4) + values[SP], back)
        bus.write(area.base + REGISTERS_AT, STRUCTURE.pack(*values))
        bus.write(area.base + WAITING_STACK_AT, record[:6])
        bus.write(area.base + DOING_AT, record[6:14])
        self._resumes = True

    # --- exceptions ---

    def _is_exception(self, vector: int, frame: Frame) -> bool:
        if vector in OF_CONTROLLER:
            self._bus.port_out(CONTROLLER, 1, IN_SERVICE)
            if self._bus.port_in(CONTROLLER, 1) & 1 << vector - OF_CONTROLLER.start:
                return False
        selector, _ = self.area.handler(vector)
        return vector in FATAL or bool(selector)

    def _exception(self, vector: int, frame: Frame) -> bool:
        """It goes to the client's handler, or ends the client."""
        area, cpu, code = self.area, self._cpu, 0
        if vector in WITH_CODE:
            code = frame.word(0)
            frame = frame.above(1)
            cpu.set("esp", cpu.get("esp") + frame.size & 0xFFFFFFFF)
        selector, offset = area.handler(vector)
        if selector:
            self._enter_handler(frame, code, selector, offset)
            return False
        where = f"{frame.word(1):04X}:{frame.word(0):08X}"
        self._console.type_all(
            f"\r\nException {vector:02X} at {where}, error code {code:04X}\r\n".encode("ascii")
        )
        values = [*[0] * 7, ENDED_BY_EXCEPTION, 0x202, *[0] * 8]
        segment, at = self._calls.get_vector(DOS_CALL)
        self._prepare(FOR_INTERRUPT, frame.at, values, (at, segment), b"", by_iret=True)
        return True

    def _enter_handler(self, frame: Frame, code: int, selector: int, offset: int) -> None:
        """Have the stub's IRET go to the handler.

        Its frame lies below what was interrupted: where it goes back to, the error code, IP, CS,
        flags, SP and SS.
        """
        cpu = self._cpu
        ip, cs, flags = (frame.word(nth) for nth in range(3))
        stack = cpu.get("esp") + 3 * frame.size & 0xFFFFFFFF
        words = (
            offset, selector, flags & ~(INTERRUPT | TRAP), STUBS + STUB_BYTES * FROM_HANDLER, CODE,
            code, ip, cs, flags, stack, cpu.get("ss"),
        )  # fmt: skip
        down = (len(words) - 3) * frame.size
        frame.above(3 - len(words)).write(words)
        cpu.set("esp", cpu.get("esp") - down & 0xFFFFFFFF)

    def _come_from_handler(self, frame: Frame) -> None:
        """Behind its RETF: the error code, IP, CS, flags, SP and SS, as it has changed them."""
        cpu, area = self._cpu, self.area
        _, ip, cs, flags, stack, selector = (frame.word(nth) for nth in range(6))
        at = stack - 3 * frame.size
        base = area.descriptor(selector).base
        Frame(self._bus, base + at, wide=area.is_wide).write((ip, cs, flags))
        cpu.set("esp", at & 0xFFFFFFFF)
