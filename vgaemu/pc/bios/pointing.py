"""The pointing device: INT 74h, and INT 15h/C2h, between the PS/2 mouse and whoever listens.

Emulated: packets of the mouse as its interrupt brings them, byte by byte; the calls C200h to
C207h, with a handler of the program's that gets status, X and Y; a listener of the BIOS's own house
(the driver of INT 33h) as long as there is no such handler. Handlers run with interrupts on, and no
other packet comes until they are done. Not emulated: packages of other sizes than three bytes
(C205h takes 1 to 8), an extended BIOS data area.

Source: IBM PS/2 and PC BIOS Interface Technical Reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.rom import MOUSE_HANDLER_DONE, PS2_HANDLER_DONE, ROM_SEGMENT
from vgaemu.pc.board import Board
from vgaemu.pc.chips.i8042 import AUXILIARY_IRQ, NO_AUXILIARY
from vgaemu.snapshot import Part, Saved, fields, octets_held

#: Statuses of C2h, in AH.
BAD_FUNCTION, BAD_INPUT, NO_HANDLER = 0x01, 0x02, 0x05
#: C202h's sample rates; what resolutions there are.
RATES, RESOLUTIONS = (10, 20, 40, 60, 80, 100, 200), range(4)
#: The mouse's commands.
RESET, ENABLE, DISABLE, SET_RATE, SET_RESOLUTION = 0xFF, 0xF4, 0xF5, 0xF3, 0xE8
SCALE_1, SCALE_2, ASK_STATUS, IDENTITY = 0xE6, 0xE7, 0xE9, 0xF2
#: Of the equipment word: there is a pointing device.
EQUIPPED = 0x04
PACKET_BYTES = 3
#: Lines of the two interrupt controllers that lead here: IRQ 12, and the second one's.
MASKS = ((0xA1, 0x10), (0x21, 0x04))


class Packet(NamedTuple):
    """What the mouse says: its first byte, steps right and up, and of its wheel."""

    status: int
    dx: int
    dy: int
    wheel: int


class PointingBios:
    """INT 74h and 15h/C2h."""

    SAVED: ClassVar[Saved] = {"handler": (0, 0xFFFFFFFF), "is_on": (0, 1)}

    def __init__(self, board: Board, calls: Calls, data: bda.DataArea) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        self._keyboard = board.keyboard
        data[bda.EQUIPMENT] |= EQUIPPED
        #: The program's handler, a far pointer; 0: none.
        self.handler = 0
        #: Whether C200h has it on.
        self.is_on = False
        #: Bytes of a packet that is not whole.
        self.packet = bytearray()
        #: Who is told while there is no handler.
        self.listener: Callable[[Packet], object] | None = None
        self._services: dict[int, Callable[[], int]] = {
            0x00: self._enable, 0x01: self._reset, 0x02: self._set_rate, 0x03: self._set_resolution,
            0x04: self._type, 0x05: self._initialise, 0x06: self._status, 0x07: self._set_handler,
        }  # fmt: skip
        calls.services[0x74] = self.interrupt

    def service(self) -> None:
        """INT 15h/C2h."""
        call: Callable[[], int] | None = self._services.get(self._cpu.al)
        status = BAD_FUNCTION if call is None else call()
        self._cpu.ah = status
        self._calls.carry(status != 0)

    def tell(self, *values: int) -> bytes:
        """Commands for the mouse; what it answers, without acknowledgements."""
        mouse = self._keyboard.mouse
        answers = bytearray()
        for value in values:
            mouse.write(value)
            answers += bytes(mouse.buffer)[1:]
            mouse.buffer.clear()
        return bytes(answers)

    def start(self) -> None:
        """Let packets come: the controller's port and both interrupt lines are opened."""
        keyboard, bus = self._keyboard, self._bus
        keyboard.config = keyboard.config & ~NO_AUXILIARY | AUXILIARY_IRQ
        for port, mask in MASKS:
            bus.port_out(port, 1, bus.port_in(port, 1) & ~mask)
        self.packet.clear()
        self.tell(ENABLE)

    def interrupt(self) -> None:
        """INT 74h: a byte of the mouse's."""
        self.packet.append(self._bus.port_in(0x60, 1))
        if not self.packet[0] & 0x08:
            self.packet.clear()  # no packet begins so
        if len(self.packet) < PACKET_BYTES + bool(self._keyboard.mouse.kind):
            return
        status, dx, dy, *wheel = self.packet
        self.packet.clear()
        if self.handler:
            self._call_handler(status, dx, dy)
        elif self.listener is not None:
            dx, dy = dx - ((status & 0x10) << 4), dy - ((status & 0x20) << 3)
            self.listener(Packet(status, dx, dy, (sum(wheel) ^ 0x80) - 0x80))

    def call(self, pointer: int) -> None:
        """Have a handler called before INT 74h goes on, with the registers as they are now."""
        self._push_handler(pointer, MOUSE_HANDLER_DONE)

    def _call_handler(self, status: int, dx: int, dy: int) -> None:
        for word in (status, dx, dy, 0):
            self._cpu.push(word)
        self._push_handler(self.handler, PS2_HANDLER_DONE)

    def _push_handler(self, pointer: int, back: int) -> None:
        """The stub's IRET goes to a handler, interrupts on; its RETF goes to a place in ROM."""
        cpu = self._cpu
        for word in (ROM_SEGMENT, back, 0x0202, pointer >> 16, pointer & 0xFFFF):
            cpu.push(word)

    def _enable(self) -> int:
        if self._cpu.bh > 1:
            return BAD_INPUT
        if self._cpu.bh == 1 and not self.handler:
            return NO_HANDLER
        self.is_on = bool(self._cpu.bh)
        if self.is_on:
            self.start()
        else:
            self.tell(DISABLE)
        return 0

    def _reset(self) -> int:
        self.is_on = False
        self._cpu.bl, self._cpu.bh = self.tell(RESET)
        return 0

    def _set_rate(self) -> int:
        if self._cpu.bh >= len(RATES):
            return BAD_INPUT
        self.tell(SET_RATE, RATES[self._cpu.bh])
        return 0

    def _set_resolution(self) -> int:
        if self._cpu.bh not in RESOLUTIONS:
            return BAD_INPUT
        self.tell(SET_RESOLUTION, self._cpu.bh)
        return 0

    def _type(self) -> int:
        (self._cpu.bh,) = self.tell(IDENTITY)
        return 0

    def _initialise(self) -> int:
        if not 1 <= self._cpu.bh <= 8:
            return BAD_INPUT
        self.is_on = False
        self.tell(RESET)
        return 0

    def _status(self) -> int:
        cpu = self._cpu
        if cpu.bh > 2:
            return BAD_INPUT
        if cpu.bh == 0:
            cpu.bl, cpu.cl, cpu.dl = self.tell(ASK_STATUS)
        else:
            self.tell(SCALE_1 if cpu.bh == 1 else SCALE_2)
        return 0

    def _set_handler(self) -> int:
        self.handler = self._cpu.es << 16 | self._cpu.bx
        return 0

    def forget(self) -> None:
        """Nobody listens, as after power on."""
        self.handler, self.is_on = 0, False
        self.packet.clear()

    def parts(self) -> dict[str, Part]:
        return {
            "bios.pointing": fields(self).or_else(self.forget),
            "bios.pointing_packet": octets_held(self.packet, PACKET_BYTES + 1).or_else(
                self.packet.clear
            ),
        }
