"""A PS/2 mouse: three buttons, and a wheel for drivers that ask for one.

Emulated: all commands; packets of three bytes, or four after the knock of a wheel's driver (sample
rates of 200, 100, 80); stream mode at the sample rate, remote and wrap mode, 2:1 scaling. Steps
beyond a packet go into the next, so none overflows. Not emulated: the resolution (it is taken; a
step of the host's is one of the guest's), five buttons (rates of 200, 200, 80).

Source: IBM PS/2 Hardware Interface Technical Reference, Keyboard/Auxiliary Device Controller; the
knock is Microsoft's, of the IntelliMouse.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from vgaemu.keys.mouse import Mouse, Movement
from vgaemu.pc.clock import NEVER_NS
from vgaemu.snapshot import Part, Saved, fields, octets_held

ACKNOWLEDGE, RESEND, ERROR = 0xFA, 0xFE, 0xFC
#: Of steps, in a packet's nine bits; of the wheel's, in four.
MOST_STEPS, MOST_WHEEL = 255, 7
#: Steps in stream mode with 2:1 scaling; from 6 on, twice as many.
SCALED = (0, 1, 1, 3, 6, 9)
#: The sample rates that ask for a wheel, and what such a mouse calls itself.
KNOCK, WHEEL_MOUSE = (200, 100, 80), 3
#: Commands with an argument, and the arguments that there are.
ARGUMENTS = {0xE8: range(4), 0xF3: (10, 20, 40, 60, 80, 100, 200)}


class Ps2Mouse:
    """What stands behind the auxiliary port."""

    #: Bytes that wait to be sent; a real one keeps a packet.
    BUFFER_BYTES = 64
    SAVED: ClassVar[Saved] = {
        "expects": (0, 0xFF), "rate": (10, 200), "resolution": (0, 3), "double": (0, 1),
        "reporting": (0, 1), "remote": (0, 1), "wrap": (0, 1), "kind": (0, WHEEL_MOUSE),
        "knocked": (0, 2), "refused": (0, 1), "last": (0, 0xFF), "next_packet_ns": (0, NEVER_NS),
    }  # fmt: skip

    def __init__(self, mouse: Mouse) -> None:
        #: What the host's does.
        self.host: Mouse = mouse
        self.buffer: deque[int] = deque()
        #: The command whose argument comes next; 0: none.
        self.expects = 0
        #: 0, or `WHEEL_MOUSE`; how far the knock has come.
        self.kind = self.knocked = 0
        #: Whether the last byte was none that it knows; and what was sent last.
        self.refused, self.last = False, 0
        #: When the next packet may come.
        self.next_packet_ns = 0
        self.wrap = False
        self._set_defaults()
        self._commands: dict[int, Callable[[], bytes]] = {
            0xE6: lambda: self._set("double", False),
            0xE7: lambda: self._set("double", True),
            0xE8: lambda: self._set("expects", 0xE8),
            0xE9: lambda: bytes((ACKNOWLEDGE, self._status(), self.resolution, self.rate)),
            0xEA: lambda: self._set("remote", False),
            0xEB: lambda: bytes((ACKNOWLEDGE,)) + self._packet(scaled=False),
            0xEC: lambda: self._set("wrap", False),
            0xEE: lambda: self._set("wrap", True),
            0xF0: lambda: self._set("remote", True),
            0xF2: lambda: bytes((ACKNOWLEDGE, self.kind)),
            0xF3: lambda: self._set("expects", 0xF3),
            0xF4: lambda: self._report(True),
            0xF5: lambda: self._report(False),
            0xF6: self._set_defaults,
            0xFE: lambda: bytes((self.last,)),
            0xFF: self._reset,
        }

    def _set_defaults(self) -> bytes:
        self.rate, self.resolution, self.double, self.remote = 100, 2, False, False
        return self._report(False)

    def _reset(self) -> bytes:
        self.kind = self.knocked = 0
        self.wrap = False
        return self._set_defaults() + b"\xaa\x00"  # its test passes; a mouse

    def _report(self, on: bool) -> bytes:
        self.buffer.clear()
        self.reporting = on
        if on:
            self.host.listening = True
        else:
            self.host.ignore()
        return bytes((ACKNOWLEDGE,))

    def _set(self, name: str, value: int) -> bytes:
        setattr(self, name, value)
        return bytes((ACKNOWLEDGE,))

    def write(self, value: int) -> None:
        """A byte from the controller."""
        expects, self.expects = self.expects, 0
        if self.wrap and value not in (0xEC, 0xFF):
            self._send(bytes((value,)))
        elif expects and value in ARGUMENTS[expects]:
            self._send(self._take_argument(expects, value))
        elif value in self._commands:
            self.buffer.clear()  # a command ends what it was about to say
            self._send(self._commands[value]())
            self.refused = False
        else:
            self._send(bytes((ERROR if self.refused else RESEND,)))
            self.refused, self.expects = not self.refused, 0 if self.refused else expects

    def _take_argument(self, command: int, value: int) -> bytes:
        if command == 0xE8:
            return self._set("resolution", value)
        self.knocked = self.knocked + 1 if value == KNOCK[self.knocked] else int(value == KNOCK[0])
        if self.knocked == len(KNOCK):
            self.kind, self.knocked = WHEEL_MOUSE, 0
        return self._set("rate", value)

    def _send(self, data: bytes) -> None:
        if len(self.buffer) + len(data) <= self.BUFFER_BYTES:
            self.buffer.extend(data)

    def next_byte(self) -> int:
        """What it sends next; there is something in `buffer`."""
        self.last = self.buffer.popleft()
        return self.last

    @property
    def _streams(self) -> bool:
        return self.reporting and not self.remote and not self.wrap

    def advance(self, now_ns: int) -> None:
        """Say what the host's mouse did, if the guest wants to know."""
        if (
            self._streams
            and not self.buffer
            and now_ns >= self.next_packet_ns
            and self.host.has_news()
        ):
            self.next_packet_ns = now_ns + 1_000_000_000 // self.rate
            self._send(self._packet(scaled=self.double))

    def due_ns(self, now_ns: int) -> int:
        """When it has something to send, if nobody moves it."""
        if self.buffer:
            return now_ns
        has_news = self._streams and self.host.has_news()
        return max(self.next_packet_ns, now_ns) if has_news else NEVER_NS

    def _packet(self, *, scaled: bool) -> bytes:
        moved = self.host.take(MOST_STEPS // 2 if scaled else MOST_STEPS, MOST_WHEEL)
        dx, dy, wheel, buttons = moved or Movement(0, 0, 0, self.host.buttons)
        dy = -dy  # up is positive
        if scaled:
            dx, dy = _doubled(dx), _doubled(dy)
        signs = (dx < 0) << 4 | (dy < 0) << 5
        packet = bytes((0x08 | signs | buttons, dx & 0xFF, dy & 0xFF))
        return packet + bytes((wheel & 0xFF,)) if self.kind == WHEEL_MOUSE else packet

    def _status(self) -> int:
        left, right, middle = (self.host.buttons >> bit & 1 for bit in range(3))
        modes = self.remote << 6 | self.reporting << 5 | self.double << 4
        return modes | left << 2 | middle << 1 | right

    def parts(self) -> dict[str, Part]:
        """What of it is saved. States from before there was one have it as after a reset."""
        return {
            "chips.mouse": fields(self).or_else(self._reset),
            "chips.mouse_buffer": octets_held(self.buffer).or_else(self.buffer.clear),
            **self.host.parts(),
        }


def _doubled(steps: int) -> int:
    far = abs(steps)
    scaled = SCALED[far] if far < len(SCALED) else 2 * far
    return scaled if steps >= 0 else -scaled
