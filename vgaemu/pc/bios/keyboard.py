"""The keyboard of the BIOS: INT 09h, INT 16h and the key buffer between them.

Emulated: shift states and locks, the buffer of 15 keys as programs find it, both sets of calls (for
84 and for 101 keys), typematic rate, print screen (INT 05h), break (INT 1Bh) and system request
(INT 15h/85h). Where somebody has hooked INT 15h, it is told of each scancode (4Fh), of a wait for a
key and of its end (90h, 91h). Not emulated: pause, characters typed as numbers with alt.
"""

from __future__ import annotations

from vgaemu.keys import scancodes
from vgaemu.native.polls import old_key
from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios import rom
from vgaemu.pc.bios.calls import WAIT, Calls, Service, serve
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import ZERO

RIGHT_SHIFT_BIT, LEFT_SHIFT_BIT, CTRL_BIT, ALT_BIT = 1, 2, 4, 8
MODIFIER_BITS = {
    scancodes.RIGHT_SHIFT: RIGHT_SHIFT_BIT,
    scancodes.LEFT_SHIFT: LEFT_SHIFT_BIT,
    scancodes.CTRL: CTRL_BIT,
    scancodes.ALT: ALT_BIT,
}
SCROLL_ON, NUM_ON, CAPS_ON, INSERT_ON = 0x10, 0x20, 0x40, 0x80
LOCK_BITS = {
    scancodes.SCROLL_LOCK: SCROLL_ON, scancodes.NUM_LOCK: NUM_ON, scancodes.CAPS_LOCK: CAPS_ON
}  # fmt: skip
#: Of `KEY_FLAGS_3`: the last byte was a prefix.
AFTER_E0, AFTER_E1 = 0x02, 0x01
#: Keys that are noted while they are held: scancode, after E0h? -> where, which bit.
HELD_BITS: dict[tuple[int, bool], tuple[bda.Field, int]] = {
    (scancodes.CTRL, False): (bda.SHIFT_FLAGS_2, 0x01),
    (scancodes.CTRL, True): (bda.KEY_FLAGS_3, 0x04),
    (scancodes.ALT, False): (bda.SHIFT_FLAGS_2, 0x02),
    (scancodes.ALT, True): (bda.KEY_FLAGS_3, 0x08),
    (scancodes.SYSTEM_REQUEST, False): (bda.SHIFT_FLAGS_2, 0x04),
    (scancodes.SCROLL_LOCK, False): (bda.SHIFT_FLAGS_2, 0x10),
    (scancodes.NUM_LOCK, False): (bda.SHIFT_FLAGS_2, 0x20),
    (scancodes.CAPS_LOCK, False): (bda.SHIFT_FLAGS_2, 0x40),
    (scancodes.INSERT, False): (bda.SHIFT_FLAGS_2, 0x80),
    (scancodes.INSERT, True): (bda.SHIFT_FLAGS_2, 0x80),
}
#: What INT 16h/09h says: 0Ah, 10h to 12h, and of 03h: 00h, 05h and 06h.
KEYBOARD_CALLS = 0x3D
KEYBOARD_ID = 0x41AB


class KeyBuffer:
    """Words of scancode and character, in a ring that programs may move."""

    def __init__(self, data: bda.DataArea) -> None:
        self._data = data

    def _after(self, place: int) -> int:
        data, after = self._data, place + 2
        return data[bda.KEY_BUFFER_START] if after >= data[bda.KEY_BUFFER_END] else after

    def put(self, word: int) -> bool:
        """False if there is no room."""
        data, tail = self._data, self._data[bda.KEY_TAIL]
        after = self._after(tail)
        if after == data[bda.KEY_HEAD]:
            return False
        data.bus.write16(bda.SEGMENT_BASE + tail, word)
        data[bda.KEY_TAIL] = after
        return True

    def peek(self) -> int | None:
        """The next key's word, without taking it."""
        data, head = self._data, self._data[bda.KEY_HEAD]
        return None if head == data[bda.KEY_TAIL] else data.bus.read16(bda.SEGMENT_BASE + head)

    def take(self) -> int | None:
        word = self.peek()
        if word is not None:
            self._data[bda.KEY_HEAD] = self._after(self._data[bda.KEY_HEAD])
        return word

    def clear(self) -> None:
        self._data[bda.KEY_HEAD] = self._data[bda.KEY_TAIL] = self._data[bda.KEY_BUFFER_START]


class KeyboardBios:
    """INT 09h and 16h."""

    def __init__(self, board: Board, calls: Calls, data: bda.DataArea) -> None:
        self._bus, self._cpu, self._clock = board.bus, board.cpu, board.clock
        self._keyboard, self._calls, self._data = board.keyboard, calls, data
        #: The keys that programs have not read yet.
        self.buffer: KeyBuffer = KeyBuffer(data)
        board.bus.byte_out[rom.HOOKED_PORT] = self._scancode
        self._services: dict[int, Service] = {
            0x00: self._read_key, 0x10: self._read_key,
            0x01: self._peek_key, 0x11: self._peek_key,
            0x02: self._shift_flags, 0x12: self._shift_flags_both,
            0x03: self._typematic,
            0x05: self._push_key,
            0x09: self._keyboard_abilities,
            0x0A: self._keyboard_id,
            0x92: self._keyboard_calls,
        }  # fmt: skip

    def interrupt(self) -> None:
        """INT 09h: a scancode becomes a shift state, or a key in the buffer."""
        bus = self._bus
        code = bus.port_in(0x60, 1)
        bus.port_out(0x20, 1, 0x20)
        if self._calls.is_hooked(0x15):
            self._cpu.ax = 0x4F00 | code
            self._calls.return_to(rom.KEY_HOOK, rom.ROM_SEGMENT)
        else:
            self._scancode(code)

    def _scancode(self, code: int) -> None:
        data = self._data
        flags = data[bda.KEY_FLAGS_3]
        before, flags = flags & (AFTER_E0 | AFTER_E1), flags & ~(AFTER_E0 | AFTER_E1)
        if code in (0xE0, 0xE1):
            data[bda.KEY_FLAGS_3] = flags | (AFTER_E0 if code == 0xE0 else AFTER_E1)
        elif before == AFTER_E1:
            # Pause: E1 1D 45 E1 9D C5.
            data[bda.KEY_FLAGS_3] = flags | (before if code & 0x7F == scancodes.CTRL else 0)
        else:
            data[bda.KEY_FLAGS_3] = flags
            self._key(code & 0x7F, pressed=code < 0x80, extended=before == AFTER_E0)

    def _key(self, code: int, *, pressed: bool, extended: bool) -> None:
        if extended and code in (scancodes.LEFT_SHIFT, scancodes.RIGHT_SHIFT):
            return  # fake shifts around grey keys
        repeats = self._note_held(code, pressed, extended)
        modifier = MODIFIER_BITS.get(code)
        if modifier is not None:
            on, flags = pressed or self._is_held(code), self._data[bda.SHIFT_FLAGS]
            self._data[bda.SHIFT_FLAGS] = flags | modifier if on else flags & ~modifier
        elif code == scancodes.SYSTEM_REQUEST:
            if not repeats or not pressed:
                self._cpu.ax = 0x8500 if pressed else 0x8501
                self._calls.interrupt_next(0x15)
        elif pressed:
            self._pressed(code, extended, repeats)

    def _pressed(self, code: int, extended: bool, repeats: bool) -> None:
        flags, lock = self._data[bda.SHIFT_FLAGS], LOCK_BITS.get(code)
        if extended and code == scancodes.BREAK:
            if flags & CTRL_BIT:
                self._break()
        elif lock is not None:
            if not repeats:
                self._lock(lock)
        elif extended and code == scancodes.PRINT and not flags & (CTRL_BIT | ALT_BIT):
            self._calls.interrupt_next(0x05)
        else:
            word = _key_word(code, flags, extended)
            if code == scancodes.INSERT and word in (0x5200, 0x52E0) and not repeats:
                self._data[bda.SHIFT_FLAGS] = flags ^ INSERT_ON
            if word and self.buffer.put(word) and self._calls.is_hooked(0x15):
                self._cpu.ax = 0x9102
                self._calls.interrupt_next(0x15)

    def _lock(self, bit: int) -> None:
        flags = self._data[bda.SHIFT_FLAGS] ^ bit
        self._data[bda.SHIFT_FLAGS] = flags
        self._data[bda.LAMPS] = self._data[bda.LAMPS] & ~7 | flags >> 4 & 7

    def _note_held(self, code: int, pressed: bool, extended: bool) -> bool:
        """Whether a key was held already."""
        field, bit = HELD_BITS.get((code, extended), (bda.SHIFT_FLAGS_2, 0))
        flags = self._data[field]
        if bit:
            self._data[field] = flags | bit if pressed else flags & ~bit
        return bool(flags & bit)

    def _is_held(self, code: int) -> bool:
        """Whether the left or the right one of a key is held."""
        places = (HELD_BITS.get((code, extended)) for extended in (False, True))
        return any(place is not None and self._data[place[0]] & place[1] for place in places)

    def _break(self) -> None:
        """Ctrl and break: the buffer has a key that is none, and INT 1Bh hears of it."""
        self._data[bda.BREAK] = 0x80
        self.buffer.clear()
        self.buffer.put(0)
        self._calls.interrupt_next(0x1B)

    def service(self) -> bool | None:
        return serve(self._services, self._cpu.ah)

    def _old_key(self, word: int) -> int:
        """What the calls for 84 keys return: grey keys look like those of the keypad."""
        return word if self._cpu.ah >= 0x10 else old_key(word)

    def _read_key(self) -> bool | None:
        word, calls = self.buffer.take(), self._calls
        if word is None:
            if not calls.is_hooked(0x15):
                return WAIT
            has_told = calls.progress
            calls.remember(1)
            if has_told:
                return WAIT
            calls.return_to(rom.KEY_WAIT, rom.ROM_SEGMENT)
            return None
        self._cpu.ax = self._old_key(word)
        return None

    def _peek_key(self) -> None:
        self._clock.polled()
        word = self.buffer.peek()
        self._calls.flag(ZERO, word is None)
        if word is not None:
            self._cpu.ax = self._old_key(word)

    def _shift_flags(self) -> None:
        self._cpu.al = self._data[bda.SHIFT_FLAGS]

    def _shift_flags_both(self) -> None:
        """AH: sysreq, the locks while they are held, right and left alt and ctrl."""
        data = self._data
        held, right = data[bda.SHIFT_FLAGS_2], data[bda.KEY_FLAGS_3] & 0x0C
        self._cpu.ax = (held & 0x73 | right | (held & 4) << 5) << 8 | data[bda.SHIFT_FLAGS]

    def _typematic(self) -> None:
        cpu, keyboard = self._cpu, self._keyboard
        if cpu.al == 0x00:
            keyboard.typematic = keyboard.TYPEMATIC
        elif cpu.al == 0x05:
            keyboard.typematic = (cpu.bh & 3) << 5 | cpu.bl & 0x1F
        elif cpu.al == 0x06:
            cpu.bh, cpu.bl = keyboard.typematic >> 5, keyboard.typematic & 0x1F

    def _keyboard_abilities(self) -> None:
        self._cpu.al = KEYBOARD_CALLS

    def _keyboard_id(self) -> None:
        self._cpu.bx = KEYBOARD_ID

    def _keyboard_calls(self) -> None:
        """92h: whether there are 10h to 12h, and no more."""
        self._cpu.ah = 0x80

    def _push_key(self) -> None:
        self._cpu.al = 0 if self.buffer.put(self._cpu.cx) else 1


def _key_word(code: int, flags: int, extended: bool) -> int:
    """What a key types under shift states; 0 is nothing."""
    key = (scancodes.EXTENDED_KEYS if extended else scancodes.BIOS_KEYS).get(code)
    if key is None:
        return 0
    if flags & ALT_BIT:
        return key.alt
    if flags & CTRL_BIT:
        return key.ctrl
    shift = bool(flags & (LEFT_SHIFT_BIT | RIGHT_SHIFT_BIT))
    if code in scancodes.LETTERS and flags & CAPS_ON:
        shift = not shift
    if code in scancodes.KEYPAD and flags & NUM_ON:
        shift = not shift
    return key.shift if shift else key.plain
