"""INT 33h: the mouse as DOS programs know it.

Emulated: functions 00h-10h, 13h-17h, 1Ah-24h, 26h, 27h, 2Ah and CuteMouse's wheel (11h); the
virtual screen of each mode of the BIOS with its steps; cursors (`cursor`); a program's handler
(0Ch), called with interrupts on; a pointer that is put somewhere by a script or a viewer, which
goes exactly there. Not emulated: alternate handlers (18h, 19h say so), light pens (0Dh, 0Eh), twice
the speed beyond a threshold, sensitivities (both are kept and told), rates, pages of graphics.

Source: Microsoft Mouse Programmer's Reference; CuteMouse's documentation of its wheel API.
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.mouse.cursor import PointerCursor, as_before
from vgaemu.pc.bios.mouse.settings import BUTTONS, HARDWARE, MASK_BYTES, PACKED_BYTES, Settings
from vgaemu.pc.bios.pointing import RESET, SET_RATE, Packet, PointingBios
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.board import Board
from vgaemu.snapshot import Part

#: What function 24h says: version 8.05, a PS/2 mouse, which has no line of its own to tell.
VERSION, PS2, NO_IRQ = 0x0805, 4, 0
INSTALLED = 0xFFFF
#: CuteMouse's answer to 11h, "WM", and that there is a wheel.
WHEEL_API, HAS_WHEEL = 0x574D, 1
#: The knock of a wheel's driver: sample rates.
WHEEL_KNOCK = (SET_RATE, 200, SET_RATE, 100, SET_RATE, 80)
#: Events of a handler's mask.
MOVED, TURNED = 0x01, 0x80
#: Button's bit -> events of its press and its release.
PRESSED, RELEASED = (0x02, 0x08, 0x20), (0x04, 0x10, 0x40)


def signed(word: int) -> int:
    """A word as a number with a sign.

    >>> signed(0xFFFF)
    -1
    """
    return (word & 0xFFFF ^ 0x8000) - 0x8000


class MouseDriver:
    """INT 33h."""

    def __init__(self, board: Board, calls: Calls, area: VideoArea, pointing: PointingBios) -> None:
        self._bus, self._cpu, self._calls, self._area = board.bus, board.cpu, calls, area
        self._vga = board.vga
        self._mouse, self._pointing = board.keyboard.mouse.host, pointing
        self.settings = Settings()
        self.cursor = PointerCursor(board, area, self.settings)
        pointing.listener = self._packet
        cpu = self._cpu
        self._services: dict[int, Callable[[], None]] = {
            0x00: self._reset, 0x01: self._show, 0x02: self._hide, 0x03: self._position,
            0x04: self._move_to, 0x05: lambda: self._count(self.settings.presses),
            0x06: lambda: self._count(self.settings.releases),
            0x07: lambda: self._range("left", "right"), 0x08: lambda: self._range("top", "bottom"),
            0x09: self._graphics_cursor, 0x0A: self._text_cursor, 0x0B: self._motion,
            0x0C: self._set_handler, 0x0F: self._ratios, 0x10: self._exclude, 0x11: self._wheel_api,
            0x13: lambda: self._set("threshold", cpu.dx or 64), 0x14: self._exchange_handlers,
            0x15: self._state_size, 0x16: self._save_state, 0x17: self._load_state,
            0x18: self._no_alternate, 0x19: self._no_alternate,
            0x1A: self._set_sensitivity, 0x1B: self._get_sensitivity,
            0x1C: lambda: self._set("rate", cpu.bl), 0x1D: lambda: self._set("page", cpu.bl),
            0x1E: self._page, 0x1F: self._disable, 0x20: self._enable, 0x21: self._reset_software,
            0x22: lambda: self._set("language", 0), 0x23: self._language, 0x24: self._version,
            0x26: self._virtual_size, 0x27: self._masks, 0x2A: self._hot_spot,
        }  # fmt: skip

    def service(self) -> None:
        """INT 33h; functions that there are not leave all as it is."""
        call = self._services.get(self._cpu.ax)
        if call is not None:
            self._follow_mode()
            call()

    # The virtual screen.

    def _size(self) -> tuple[int, int]:
        """Width and height of the virtual screen of the mode that is set."""
        area = self._area
        if area.is_text:
            return 640, 8 * area.rows
        return 640, area.facts.lines

    def _steps(self) -> tuple[int, int]:
        """Virtual pixels of a cell, or of a pixel: positions are told in whole ones."""
        facts = self._area.facts
        across = max(1, 640 // (8 * facts.columns))
        return (8 * across, 8) if self._area.is_text else (across, 1)

    def _follow_mode(self) -> None:
        """Another mode was set: its screen, and no cursor in it yet."""
        mode, rows = self._area.mode, self._area.rows
        settings = self.settings
        if (mode, rows) == (settings.mode, settings.rows):
            return
        if mode != settings.mode:
            self.cursor.forget()
            settings.shown = -1
        settings.mode, settings.rows = mode, rows
        width, height = self._size()
        settings.for_mode(width - 1, height - 1)

    def mode_was_set(self) -> None:
        """INT 10h has set a mode, perhaps the same one again."""
        self.cursor.forget()
        self.settings.shown = -1
        self.settings.mode = 0xFF

    @property
    def _at(self) -> tuple[int, int]:
        """The position as programs see it."""
        settings = self.settings
        across, down = self._steps()
        return settings.x >> 16 & -across, settings.y >> 16 & -down

    def _go(self, x: int, y: int) -> None:
        """To a position, in 65536ths; within the range."""
        settings = self.settings
        settings.x = max(settings.left << 16, min(x, (settings.right << 16) + 0xFFFF))
        settings.y = max(settings.top << 16, min(y, (settings.bottom << 16) + 0xFFFF))

    def _put(self, x: int, y: int) -> None:
        """To a pixel of the picture."""
        area, (width, height) = self._area, self._size()
        across, down = 8 * area.facts.columns, area.facts.lines
        if area.is_text:
            # Cells are nine dots wide but in modes of old, and the picture is of whole ones.
            with as_before(self._vga):
                dots = 8 if area.ports["dots_8"] else 9
            across, down = area.columns * dots, area.rows * area.height
        # The middle of that pixel, in virtual ones.
        self._go((2 * x + 1) * (width << 15) // across, (2 * y + 1) * (height << 15) // down)

    # What the mouse does.

    def _packet(self, packet: Packet) -> None:
        settings = self.settings
        if not settings.is_on:
            return
        self._follow_mode()
        before = self._at
        settings.mickeys_x = signed(settings.mickeys_x + packet.dx)
        settings.mickeys_y = signed(settings.mickeys_y - packet.dy)
        settings.wheel = signed(settings.wheel + packet.wheel)
        aim = self._mouse.take_aim()
        if aim is not None:
            self._put(*aim)
        else:
            self._go(
                settings.x + (packet.dx << 19) // settings.ratio_x,
                settings.y - (packet.dy << 19) // settings.ratio_y,
            )
        x, y = self._at
        events = MOVED if (x, y) != before else 0
        events |= TURNED if packet.wheel else 0
        events |= self._note_buttons(packet.status & 7, x, y)
        if (x, y) != before:
            self.cursor.draw(x, y)
        if events & settings.events and settings.handler:
            self._call_handler(events & settings.events, x, y)

    def _note_buttons(self, buttons: int, x: int, y: int) -> int:
        """Count presses and releases; the events that they are."""
        settings, events = self.settings, 0
        changed = buttons ^ settings.buttons
        settings.buttons = buttons
        for button in range(BUTTONS):
            if changed >> button & 1:
                is_press = buttons >> button & 1
                counts = settings.presses if is_press else settings.releases
                counts[button] = (signed(counts[button][0] + 1), x, y)
                events |= PRESSED[button] if is_press else RELEASED[button]
        return events

    def _call_handler(self, events: int, x: int, y: int) -> None:
        cpu, settings = self._cpu, self.settings
        cpu.ax, cpu.bx, cpu.cx, cpu.dx = events, self._buttons_and_wheel(), x, y
        cpu.si, cpu.di = settings.mickeys_x & 0xFFFF, settings.mickeys_y & 0xFFFF
        cpu.set("ds", ROM_SEGMENT)
        self._pointing.call(settings.handler)

    def _buttons_and_wheel(self) -> int:
        wheel, self.settings.wheel = self.settings.wheel, 0
        return (wheel & 0xFF) << 8 | self.settings.buttons

    # The calls.

    def _set(self, name: str, value: int) -> None:
        setattr(self.settings, name, value)

    def _start(self) -> None:
        """Let the mouse be heard."""
        self.settings.is_on = True
        self._pointing.tell(RESET, *WHEEL_KNOCK)
        self._pointing.start()
        self._mouse.follows = True

    def _reset(self) -> None:
        self._start()
        self._reset_software()

    def _reset_software(self) -> None:
        self.cursor.hide()
        width, height = self._size()
        self.settings.reset(width - 1, height - 1)
        self._cpu.ax, self._cpu.bx = INSTALLED, BUTTONS

    def _show(self) -> None:
        self.settings.include_all()
        self.settings.shown = min(self.settings.shown + 1, 0)
        self.cursor.draw(*self._at)

    def _hide(self) -> None:
        self.settings.shown = max(self.settings.shown - 1, -0x8000)
        self.cursor.hide()

    def _position(self) -> None:
        self._cpu.bx = self._buttons_and_wheel()
        self._tell_position()

    def _tell_position(self) -> None:
        x, y = self._at
        self._cpu.cx, self._cpu.dx = x & 0xFFFF, y & 0xFFFF

    def _move_to(self) -> None:
        cpu = self._cpu
        self._go(signed(cpu.cx) << 16, signed(cpu.dx) << 16)
        self.cursor.draw(*self._at)

    def _count(self, counts: list[tuple[int, int, int]]) -> None:
        """05h and 06h: what a button did since it was asked last."""
        cpu = self._cpu
        button = min(cpu.bx, BUTTONS - 1)
        times, x, y = counts[button]
        counts[button] = (0, x, y)
        cpu.ax, cpu.bx, cpu.cx, cpu.dx = (
            self.settings.buttons, times & 0xFFFF, x & 0xFFFF, y & 0xFFFF
        )  # fmt: skip

    def _range(self, low: str, high: str) -> None:
        """07h and 08h: CX to DX, in any order."""
        cpu, settings = self._cpu, self.settings
        least, most = sorted((signed(cpu.cx), signed(cpu.dx)))
        setattr(settings, low, least)
        setattr(settings, high, most)
        self._go(settings.x, settings.y)
        self.cursor.draw(*self._at)

    def _graphics_cursor(self) -> None:
        cpu, settings = self._cpu, self.settings
        settings.hot_x, settings.hot_y = signed(cpu.bx), signed(cpu.cx)
        settings.masks = self._bus.read(cpu.linear("es", "dx"), MASK_BYTES)
        self.cursor.draw(*self._at)

    def _text_cursor(self) -> None:
        cpu, settings = self._cpu, self.settings
        if cpu.bx > HARDWARE:
            return
        settings.kind = cpu.bx
        if cpu.bx == HARDWARE:
            self.cursor.hide()
            self._area.set_cursor_shape(cpu.cx & 0x1F, cpu.dx & 0x1F)
        else:
            settings.screen_mask, settings.cursor_mask = cpu.cx, cpu.dx
        self.cursor.draw(*self._at)

    def _motion(self) -> None:
        cpu, settings = self._cpu, self.settings
        cpu.cx, cpu.dx = settings.mickeys_x & 0xFFFF, settings.mickeys_y & 0xFFFF
        settings.mickeys_x = settings.mickeys_y = 0

    def _set_handler(self) -> None:
        cpu, settings = self._cpu, self.settings
        settings.events, settings.handler = cpu.cx, cpu.es << 16 | cpu.dx

    def _exchange_handlers(self) -> None:
        cpu, settings = self._cpu, self.settings
        events, handler = settings.events, settings.handler
        self._set_handler()
        cpu.cx, cpu.dx = events, handler & 0xFFFF
        cpu.set("es", handler >> 16)

    def _ratios(self) -> None:
        """0Fh: mickeys for eight virtual pixels."""
        cpu, settings = self._cpu, self.settings
        if 0 < cpu.cx < 0x8000 and 0 < cpu.dx < 0x8000:
            settings.ratio_x, settings.ratio_y = cpu.cx, cpu.dx

    def _exclude(self) -> None:
        cpu, settings = self._cpu, self.settings
        settings.exclude_left, settings.exclude_top = signed(cpu.cx), signed(cpu.dx)
        settings.exclude_right, settings.exclude_bottom = signed(cpu.si), signed(cpu.di)
        self.cursor.draw(*self._at)

    def _wheel_api(self) -> None:
        self._cpu.ax, self._cpu.cx = WHEEL_API, HAS_WHEEL

    def _state_size(self) -> None:
        self._cpu.bx = PACKED_BYTES

    def _save_state(self) -> None:
        self._bus.write(self._cpu.linear("es", "dx"), self.settings.packed())

    def _load_state(self) -> None:
        self.cursor.hide()
        self.settings.unpack(self._bus.read(self._cpu.linear("es", "dx"), PACKED_BYTES))
        self.cursor.draw(*self._at)

    def _no_alternate(self) -> None:
        self._cpu.ax = INSTALLED  # which is how they fail

    def _set_sensitivity(self) -> None:
        cpu, settings = self._cpu, self.settings
        settings.sensitivity_x, settings.sensitivity_y = cpu.bx, cpu.cx
        settings.sensitivity_2 = cpu.dx

    def _get_sensitivity(self) -> None:
        cpu, settings = self._cpu, self.settings
        cpu.bx, cpu.cx = settings.sensitivity_x, settings.sensitivity_y
        cpu.dx = settings.sensitivity_2

    def _page(self) -> None:
        self._cpu.bx = self.settings.page

    def _disable(self) -> None:
        """1Fh: no more of the mouse; the vector that was there before is IRET's."""
        self.cursor.hide()
        self._pointing.tell(RESET)
        self.settings.is_on = False
        self._cpu.set("es", ROM_SEGMENT)
        self._cpu.bx = stub_offset(0x01)

    def _enable(self) -> None:
        self._start()

    def _language(self) -> None:
        self._cpu.bx = 0

    def _version(self) -> None:
        cpu = self._cpu
        cpu.bx, cpu.cx = VERSION, PS2 << 8 | NO_IRQ

    def _virtual_size(self) -> None:
        """26h: BX whether it is off, and the largest position."""
        cpu, (width, height) = self._cpu, self._size()
        cpu.bx = int(not self.settings.is_on)
        cpu.cx, cpu.dx = width - 1, height - 1

    def _masks(self) -> None:
        """27h: a text cursor's masks, and the steps since they were asked last."""
        self._motion()
        self._cpu.ax, self._cpu.bx = self.settings.screen_mask, self.settings.cursor_mask

    def _hot_spot(self) -> None:
        """2Ah: how often it is hidden, where a cursor points, and the kind of mouse."""
        cpu, settings = self._cpu, self.settings
        cpu.ax = settings.shown & 0xFFFF
        cpu.bx, cpu.cx = settings.hot_x & 0xFFFF, settings.hot_y & 0xFFFF
        cpu.dx = PS2

    def parts(self) -> dict[str, Part]:
        return {**self.settings.parts(), "bios.mouse_under": self.cursor.part()}
