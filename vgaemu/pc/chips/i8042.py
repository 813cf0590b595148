"""An Intel 8042 keyboard controller, the keyboard behind it, a mouse: ports 60h, 64h, 92h.

Emulated: the controller's commands, its configuration in the command byte, its status with the bits
that say where a byte is from, the A20 gate; the keyboard's commands; scancodes of set 1 with
typematic repeat, one byte at a time with its interrupt. The mouse at the auxiliary port is
`ps2_mouse`'s. Not emulated: scancode sets 2 and 3 (they are taken, and codes stay those of set 1),
the interrupt for what the controller itself answers, its RAM but for the command byte, lamps. What
comes of a pull at the CPU's reset line is told by `reset`.

The output port and port 92h move the same gate, as QEMU has it: the last of them counts, and both
tell where it is. A PS/2 has a line each, and one that is high opens it.

Source: Intel 8042 data sheet; IBM AT and PS/2 Hardware Interface Technical References.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NoReturn

from vgaemu.errors import ResetFault
from vgaemu.keys import scancodes
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Key, Keys
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.pic import RaiseIrq, unheard
from vgaemu.pc.chips.ps2_mouse import Ps2Mouse
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields, octets_held, text

#: Room that a key's scancodes may need.
MAX_KEY_BYTES = 16
#: Bits of the status: a byte is there, it is the auxiliary device's.
OUTPUT_FULL, AUXILIARY = 0x01, 0x20
#: The last write was a command, and nobody has locked the keyboard.
STATUS = 0x18
#: Bits of the command byte: interrupts of both devices, the status's system flag, the clock lines
#: of both held low.
KEYBOARD_IRQ, AUXILIARY_IRQ, SYSTEM_FLAG, NO_KEYBOARD, NO_AUXILIARY = 0x01, 0x02, 0x04, 0x10, 0x20
#: Of the output port: reset is high, as are lines that nobody uses.
OUTPUT_PORT = 0xCD
#: The gate's bit in the output port and at port 92h; the commands that close and open it.
A20, CLOSE_A20, OPEN_A20 = 0x02, 0xDD, 0xDF
#: What a device says to what it does not know.
RESEND = 0xFE


def pull_reset_line(port: int) -> NoReturn:
    """A port pulls the CPU's reset line; what comes of that is told by `reset`.

    Raises:
        ResetFault: Always.
    """
    raise ResetFault(f"the guest pulled the CPU's reset line (port {port:X}h)")


class I8042:
    """The controller's registers, the keyboard's buffer, and the key that is held."""

    #: Repeat after half a second, 10.9 times a second: see `_delay_ns` and `_period_ns`.
    TYPEMATIC = 0x2B
    #: Of `typematic`: the keyboard does not scan its keys.
    SILENT = 0x80
    #: The keyboard forgets what comes while its buffer is full; 16 bytes in the real one.
    BUFFER_BYTES = 256
    #: What the controller answers to a command: its test passes, the lines of both ports are fine,
    #: no password is there, nothing is on the input port but an unlocked keyboard, both test inputs
    #: are high.
    ANSWERS: ClassVar[dict[int, int]] = {
        0xAA: 0x55, 0xAB: 0x00, 0xA9: 0x00, 0xA4: 0xF1, 0xC0: 0x80, 0xE0: 0x03,
    }  # fmt: skip
    #: Commands that set and clear a bit of the command byte.
    SWITCHES: ClassVar[dict[int, tuple[int, int]]] = {
        0xAD: (NO_KEYBOARD, 0), 0xAE: (0, NO_KEYBOARD),
        0xA7: (NO_AUXILIARY, 0), 0xA8: (0, NO_AUXILIARY),
    }  # fmt: skip
    #: Commands with an argument: RAM, and those of `_arguments`.
    WITH_ARGUMENT = frozenset((*range(0x60, 0x80), 0xA5, 0xD1, 0xD2, 0xD3, 0xD4))
    #: What the keyboard answers but for FAh: echo, identity, reset with a test that passes.
    KEYBOARD_ANSWERS: ClassVar[dict[int, bytes]] = {
        0xEE: b"\xee", 0xF2: b"\xfa\xab\x41", 0xFF: b"\xfa\xaa", 0xEF: b"\xfe", 0xF1: b"\xfe",
    }  # fmt: skip
    #: The keyboard's commands with an argument: lamps, scancode set, rate; and the arguments.
    KEYBOARD_ARGUMENTS: ClassVar[dict[int, range]] = {
        0xED: range(0x80), 0xF0: range(4), 0xF3: range(0x80),
    }  # fmt: skip
    SAVED: ClassVar[Saved] = {
        "output": (0, 0xFF), "full": (0, 0x61),
        "command": (0, 0xFF), "config": (0, 0xFF),
        "enabled": (0, 1), "expect_keyboard": (0, 0xFF), "repeat_ns": (0, NEVER_NS),
        "next_byte_ns": (0, NEVER_NS), "typematic": (0, 0xFF), "caps": (0, 1),
    }  # fmt: skip

    def __init__(
        self, bus: Bus, raise_irq: RaiseIrq, clock: Clock, keys: Keys, mouse: Mouse | None = None
    ) -> None:
        self._bus, self._raise_irq, self._clock, self._keys = bus, raise_irq, clock, keys
        keys.are_scancodes = True
        self.lower_irq: RaiseIrq = unheard
        self.mouse = Ps2Mouse(mouse or Mouse())
        self.buffer: deque[int] = deque()
        self.output = 0
        #: Bits of the status that belong to `output`.
        self.full = 0
        self.command = 0
        #: The command byte; translation to set 1 is on, and the auxiliary port off.
        self.config = 0x40 | KEYBOARD_IRQ | SYSTEM_FLAG | NO_AUXILIARY
        self.expect_keyboard = 0
        self.held: tuple[str, bytes] | None = None
        self.repeat_ns = NEVER_NS
        self.next_byte_ns = 0
        #: Delay in bits 5 and 6, rate below, as F3h takes them; `SILENT`.
        self.typematic = self.TYPEMATIC
        #: Caps lock is on, as far as the keyboard can tell.
        self.caps = False
        #: What becomes of a command's argument: command byte, password, output port, both output
        #: buffers, the mouse.
        self._arguments: dict[int, Callable[[int], None]] = {
            0x60: partial(setattr, self, "config"),
            0xA5: self._write_password,
            0xD1: self._write_output_port,
            0xD2: self._deliver,
            0xD3: lambda value: self._deliver(value, AUXILIARY),
            0xD4: self.mouse.write,
        }
        bus.byte_in[0x60] = self.read_data
        bus.byte_out[0x60] = partial(self._write, self._write_data)
        bus.byte_in[0x64] = self._read_status
        bus.byte_out[0x64] = partial(self._write, self._write_command)
        bus.byte_in[0x92] = lambda: A20 * bus.a20_is_open
        bus.byte_out[0x92] = self._write_port_92

    @property
    def enabled(self) -> bool:
        """The keyboard's clock line is free."""
        return not self.config & NO_KEYBOARD

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self.config = self.config & ~NO_KEYBOARD | (0 if enabled else NO_KEYBOARD)

    def advance(self, now_ns: int) -> None:
        """Take keys from the host, repeat a held one, hand the next byte to the CPU."""
        while len(self.buffer) < self.BUFFER_BYTES - MAX_KEY_BYTES:
            key = self._keys.get()
            if key is None:
                break
            self._take(key, now_ns)
        if self.held is not None and now_ns >= self.repeat_ns:
            self.repeat_ns = now_ns + self._period_ns
            if not self.buffer:
                self.buffer.extend(self.held[1])
        mouse, reads_mouse = self.mouse, not self.config & NO_AUXILIARY
        if reads_mouse:
            mouse.advance(now_ns)
        if self.full or now_ns < self.next_byte_ns:
            return
        if self.buffer and self.enabled:
            self._deliver(self.buffer.popleft())
        elif mouse.buffer and reads_mouse:
            self._deliver(mouse.next_byte(), AUXILIARY)

    def _take(self, key: Key, now_ns: int) -> None:
        shift, ctrl, alt = map(self._keys.is_down, ("shift", "ctrl", "alt"))
        codes = scancodes.of_key(key, shift=shift, ctrl=ctrl, alt=alt, caps=self.caps)
        self.caps ^= key.pressed and key.name == "capslock"
        if self.typematic & self.SILENT:
            return
        self.buffer.extend(codes)
        if key.pressed and codes:
            self.held = (key.name, codes)
            self.repeat_ns = now_ns + self._delay_ns
        elif self.held is not None and self.held[0] == key.name:
            self.held = None

    @property
    def _delay_ns(self) -> int:
        return (1 + (self.typematic >> 5 & 3)) * 250_000_000

    @property
    def _period_ns(self) -> int:
        rate = self.typematic & 0x1F
        return (8 + (rate & 7) << (rate >> 3)) * 4_170_000

    def due_ns(self, now_ns: int) -> int:
        """When `advance` has something to do next, if no key comes."""
        repeat_ns = self.repeat_ns if self.held is not None else NEVER_NS
        if self.full:
            return repeat_ns
        if self.buffer and self.enabled:
            return max(self.next_byte_ns, now_ns)
        if self.config & NO_AUXILIARY:
            return repeat_ns
        return min(repeat_ns, max(self.next_byte_ns, self.mouse.due_ns(now_ns)))

    def _deliver(self, byte: int, origin: int = 0) -> None:
        """A byte of a device's for the CPU, with the bits of the status that say so."""
        self.output, self.full = byte, OUTPUT_FULL | origin
        if self.config & (AUXILIARY_IRQ if origin else KEYBOARD_IRQ):
            self._raise_irq(12 if origin else 1)

    def _answer(self, byte: int) -> None:
        """A byte of the controller's own."""
        self.output, self.full = byte, OUTPUT_FULL

    def read_data(self) -> int:
        """Port 60h."""
        if self.full:
            self.lower_irq(12 if self.full & AUXILIARY else 1)
        self.full = 0
        # Bytes come over a serial line, about 1 ms each: a handler sees one at a time.
        self.next_byte_ns = self._clock.now_ns() + 1_000_000
        self._tell_due()
        return self.output

    def _tell_due(self) -> None:
        """An access may have changed when there is something to do next."""
        self._clock.due(self.due_ns(self._clock.now_ns()))

    def _write(self, write: Callable[[int], None], value: int) -> None:
        write(value)
        self._tell_due()

    def _read_status(self) -> int:
        self._clock.polled()
        return STATUS | self.config & SYSTEM_FLAG | self.full

    def _write_command(self, value: int) -> None:
        self.command = 0
        if value in self.WITH_ARGUMENT:
            self.command = value
        elif value in range(0x20, 0x40):
            self._answer(self.config if value == 0x20 else 0)
        elif value in self.ANSWERS:
            self._answer(self.ANSWERS[value])
        elif value in self.SWITCHES:
            on, off = self.SWITCHES[value]
            self.config = (self.config | on) & ~off
        elif value == 0xD0:
            lines = (self.full & OUTPUT_FULL) << 4 | self.full & AUXILIARY
            self._answer(OUTPUT_PORT | lines | A20 * self._bus.a20_is_open)
        elif value in (CLOSE_A20, OPEN_A20):
            self._bus.a20_is_open = value == OPEN_A20
        elif value >= 0xF0 and not value & 1:  # lines of the output port go low for 6 us
            pull_reset_line(0x64)

    def _write_data(self, value: int) -> None:
        command, self.command = self.command, 0
        if not command:
            self.enabled = True  # to send, the controller frees the clock line
            self._write_keyboard(value)
        elif command in self._arguments:
            self._arguments[command](value)

    def _write_password(self, value: int) -> None:
        """A byte of a password, which nobody asks for: it ends with a zero."""
        self.command = 0xA5 if value else 0

    def _write_output_port(self, value: int) -> None:
        if not value & 1:
            pull_reset_line(0x64)
        self._bus.a20_is_open = value & A20 != 0

    def _write_keyboard(self, value: int) -> None:
        command, self.expect_keyboard = self.expect_keyboard, 0
        if value in self.KEYBOARD_ARGUMENTS.get(command, ()):
            if command == 0xF3:
                self.typematic = self.typematic & self.SILENT | value
            # Set 2 is in force, and its number is translated as its codes are.
            self._send(b"\xfa\x41" if command == 0xF0 and value == 0 else b"\xfa")
            return
        if value in self.KEYBOARD_ARGUMENTS:
            self.expect_keyboard = value
        if value in (0xF4, 0xF5, 0xF6, 0xFF):
            self.buffer.clear()
            self.held = None
            if value != 0xF4:
                self.typematic = self.TYPEMATIC
            self.typematic = self.typematic & ~self.SILENT | (self.SILENT if value == 0xF5 else 0)
        if value == RESEND:
            self._send(bytes((self.output,)))
        elif value < 0xED:
            self._send(bytes((RESEND,)))
        else:
            self._send(self.KEYBOARD_ANSWERS.get(value, b"\xfa"))

    def _send(self, data: bytes) -> None:
        if len(self.buffer) + len(data) <= self.BUFFER_BYTES:
            self.buffer.extend(data)

    def _write_port_92(self, value: int) -> None:
        if value & 1:
            pull_reset_line(0x92)
        self._bus.a20_is_open = value & A20 != 0

    def parts(self) -> dict[str, Part]:
        """What of it is saved: bytes on their way, the key that repeats, and keys not seen yet."""
        return {
            "chips.keyboard": fields(self),
            "chips.keyboard_buffer": octets_held(self.buffer),
            "chips.keyboard_held": text(self._saved_held, self._restore_held, _is_held),
            "chips.keys": self._keys.part(),
            **self.mouse.parts(),
        }

    def _saved_held(self) -> list[str] | None:
        return None if self.held is None else [self.held[0], self.held[1].hex()]

    def _restore_held(self, held: list[str] | None) -> None:
        self.held = None if held is None else (held[0], bytes.fromhex(held[1]))


def _is_held(held: Any) -> bool:
    if held is None:
        return True
    name, codes = held
    return isinstance(name, str) and 0 < len(bytes.fromhex(codes)) <= 8
