"""An Intel 8042 keyboard controller and the keyboard behind it: ports 60h, 64h, 92h.

Emulated: scancodes of set 1 with typematic repeat, one byte at a time with its interrupt; the
controller's commands for its configuration, tests and output port; the keyboard's for typematic
rate, identity and reset. Not emulated: a mouse, scancode sets 2 and 3, lamps, passwords, A20 off
(port 92h reads as open), the CPU's reset line: a guest that pulls it ends the run.

Source: Intel 8042 data sheet; IBM AT Technical Reference.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from vgaemu.errors import GuestFault
from vgaemu.keys import scancodes
from vgaemu.keys.queue import Key, Keys
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.pic import RaiseIrq
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields, octets, text

#: Room that a key's scancodes may need.
MAX_KEY_BYTES = 16


class I8042:
    """The controller's registers, the keyboard's buffer, and the key that is held."""

    #: Repeat after half a second, 10.9 times a second: see `_delay_ns` and `_period_ns`.
    TYPEMATIC = 0x2B
    #: The keyboard forgets what comes while its buffer is full; 16 bytes in the real one.
    BUFFER_BYTES = 256
    #: Of the configuration: the auxiliary port is off. As there is none, no guest can turn it on.
    NO_AUXILIARY = 0x20
    #: What the controller answers to a command: its test passes, the keyboard's lines are fine, the
    #: auxiliary port's clock line is low for ever, A20 is open.
    ANSWERS: ClassVar[dict[int, int]] = {0xAA: 0x55, 0xAB: 0x00, 0xA9: 0x01, 0xD0: 0x03}
    #: What the keyboard answers but for FAh: echo, identity, reset with a test that passes.
    KEYBOARD_ANSWERS: ClassVar[dict[int, bytes]] = {
        0xEE: b"\xee", 0xF2: b"\xfa\xab\x41", 0xFF: b"\xfa\xaa",
    }  # fmt: skip
    SAVED: ClassVar[Saved] = {
        "output": (0, 0xFF), "full": (0, 1), "command": (0, 0xFF), "config": (0, 0xFF),
        "enabled": (0, 1), "expect_keyboard": (0, 0xFF), "repeat_ns": (0, NEVER_NS),
        "next_byte_ns": (0, NEVER_NS), "typematic": (0, 0x7F), "caps": (0, 1),
    }  # fmt: skip

    def __init__(self, bus: Bus, raise_irq: RaiseIrq, clock: Clock, keys: Keys) -> None:
        self._raise_irq, self._clock, self._keys = raise_irq, clock, keys
        self.buffer: deque[int] = deque()
        self.output = 0
        self.full = False
        self.command = 0
        self.config = 0x45 | self.NO_AUXILIARY  # IRQ 1, system flag, translation to set 1
        self.enabled = True
        self.expect_keyboard = 0
        self.held: tuple[str, bytes] | None = None
        self.repeat_ns = NEVER_NS
        self.next_byte_ns = 0
        #: Delay in bits 5 and 6, rate below, as F3h takes them.
        self.typematic = self.TYPEMATIC
        #: Caps lock is on, as far as the keyboard can tell.
        self.caps = False
        bus.byte_in[0x60] = self.read_data
        bus.byte_out[0x60] = self._write_data
        bus.byte_in[0x64] = self._read_status
        bus.byte_out[0x64] = self._write_command
        bus.byte_in[0x92] = lambda: 2  # A20 is open
        bus.byte_out[0x92] = self._write_port_92

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
        if self.buffer and not self.full and self.enabled and now_ns >= self.next_byte_ns:
            self._deliver(self.buffer.popleft())

    def _take(self, key: Key, now_ns: int) -> None:
        shift, ctrl = self._keys.is_down("shift"), self._keys.is_down("ctrl")
        codes = scancodes.of_key(key, shift=shift, ctrl=ctrl, caps=self.caps)
        self.caps ^= key.pressed and key.name == "capslock"
        self.buffer.extend(codes)
        if key.pressed and codes:
            self.held = (key.name, codes)
            self.repeat_ns = now_ns + self._delay_ns
        elif self.held is not None and self.held[0] == key.name:
            self.held = None

    @property
    def _delay_ns(self) -> int:
        return (1 + (self.typematic >> 5)) * 250_000_000

    @property
    def _period_ns(self) -> int:
        rate = self.typematic & 0x1F
        return (8 + (rate & 7) << (rate >> 3)) * 4_170_000

    def due_ns(self, now_ns: int) -> int:
        """When `advance` has something to do next, if no key comes."""
        if self.buffer and not self.full and self.enabled:
            return max(self.next_byte_ns, now_ns)
        return self.repeat_ns if self.held is not None else NEVER_NS

    def _deliver(self, byte: int) -> None:
        self.output = byte
        self.full = True
        if self.config & 1:
            self._raise_irq(1)

    def read_data(self) -> int:
        """Port 60h."""
        self.full = False
        # Bytes come over a serial line, about 1 ms each: a handler sees one at a time.
        self.next_byte_ns = self._clock.now_ns() + 1_000_000
        return self.output

    def _read_status(self) -> int:
        self._clock.polled()
        return 0x1C | self.full

    def _write_command(self, value: int) -> None:
        self.command = 0
        if value == 0x20:
            self.output, self.full = self.config, True
        elif value in self.ANSWERS:
            self.output, self.full = self.ANSWERS[value], True
        elif value in (0xAD, 0xAE):
            self.enabled = value == 0xAE
        elif value in (0x60, 0xD1, 0xD2, 0xD4):
            self.command = value
        elif value == 0xFE:
            raise GuestFault("the guest pulled the CPU's reset line (port 64h)")

    def _write_data(self, value: int) -> None:
        command, self.command = self.command, 0
        if command == 0x60:
            self.config = value | self.NO_AUXILIARY
        elif command == 0xD4:
            pass  # for a mouse
        elif command == 0xD2:
            self._deliver(value)
        elif command == 0xD1:
            if not value & 1:
                raise GuestFault("the guest pulled the CPU's reset line (port 64h)")
        elif self.expect_keyboard:  # the argument of EDh (lamps), F0h (set), F3h (rate)
            if self.expect_keyboard == 0xF3:
                self.typematic = value & 0x7F
            self.expect_keyboard = 0
            self.buffer.append(0xFA)
        else:
            self._keyboard_command(value)

    def _keyboard_command(self, value: int) -> None:
        if value in (0xED, 0xF0, 0xF3):
            self.expect_keyboard = value
        elif value in (0xF6, 0xFF):
            self.typematic = self.TYPEMATIC
        if len(self.buffer) < self.BUFFER_BYTES:
            self.buffer.extend(self.KEYBOARD_ANSWERS.get(value, b"\xfa"))

    def _write_port_92(self, value: int) -> None:
        if value & 1:
            raise GuestFault("the guest pulled the CPU's reset line (port 92h)")

    def parts(self) -> dict[str, Part]:
        """What of it is saved: bytes on their way, the key that repeats, and keys not seen yet."""
        return {
            "chips.keyboard": fields(self),
            "chips.keyboard_buffer": octets(lambda: list(self.buffer), self._restore_buffer),
            "chips.keyboard_held": text(self._saved_held, self._restore_held, _is_held),
            "chips.keys": self._keys.part(),
        }

    def _restore_buffer(self, data: bytes) -> None:
        self.buffer.clear()
        self.buffer.extend(data)

    def _saved_held(self) -> list[str] | None:
        return None if self.held is None else [self.held[0], self.held[1].hex()]

    def _restore_held(self, held: list[str] | None) -> None:
        self.held = None if held is None else (held[0], bytes.fromhex(held[1]))


def _is_held(held: Any) -> bool:
    if held is None:
        return True
    name, codes = held
    return isinstance(name, str) and 0 < len(bytes.fromhex(codes)) <= 8
