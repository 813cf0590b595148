"""The BIOS: services behind the real-mode vectors, in Python, shared by every CPU.

Emulated: INT 08h/1Ch tick, 09h/16h keyboard with its buffer and shift states (print screen and
break call INT 05h and 1Bh), 10h (`video`), 11h, 12h, 13h disk (`disk`), 14h/17h (no ports there),
15h (wait, memory sizes, block move, no APM), 18h, 19h boot, 1Ah clock and date; the BIOS data area
as programs read it. Not emulated: what print screen prints, pause, characters typed as numbers with
alt, cassette, hardware configuration tables beyond INT 15h/C0h, protected-mode services.

Source: IBM AT BIOS reference; R. Brown's interrupt list.
"""

from __future__ import annotations

from typing import ClassVar

from vgaemu.errors import GuestFault
from vgaemu.keys import scancodes
from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.bios.disk import DiskBios
from vgaemu.pc.bios.rom import (
    CONFIG_TABLE,
    DISKETTE_TABLE,
    FONT_8_UPPER,
    FONTS,
    ROM_SEGMENT,
    stub_offset,
)
from vgaemu.pc.bios.video.area import GLYPHS, UPPER_GLYPHS
from vgaemu.pc.bios.video.video import VideoBios
from vgaemu.pc.board import Board
from vgaemu.pc.chips.chips import NEVER_NS, Saved, bcd, of_bcd
from vgaemu.pc.cpu.cpu import ZERO
from vgaemu.pc.images import DiskImage
from vgaemu.vga.device import LFB_GPA

#: Exceptions that nobody has hooked end the run.
FAULTS = {0x00: "division by zero or overflow", 0x06: "unknown opcode", 0x0D: "general protection"}

# BIOS data area.
EQUIPMENT, MEMORY_KIB = 0x410, 0x413
SHIFT_FLAGS, SHIFT_FLAGS_2 = 0x417, 0x418
KEY_HEAD, KEY_TAIL, KEY_BUFFER, KEY_BUFFER_END = 0x41A, 0x41C, 0x41E, 0x43E
TICKS, MIDNIGHT, BREAK = 0x46C, 0x470, 0x471
KEY_BUFFER_START_PTR, KEY_BUFFER_END_PTR = 0x480, 0x482
KEY_FLAGS_3, LAMPS = 0x496, 0x497

TICKS_A_DAY = 0x1800B0
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
#: Of KEY_FLAGS_3: 101 keys; the last byte was a prefix.
KEYS_101, AFTER_E0, AFTER_E1 = 0x10, 0x02, 0x01
#: Keys that are noted while they are held: scancode, after E0h? -> where, which bit.
HELD_BITS = {
    (scancodes.CTRL, False): (SHIFT_FLAGS_2, 0x01), (scancodes.CTRL, True): (KEY_FLAGS_3, 0x04),
    (scancodes.ALT, False): (SHIFT_FLAGS_2, 0x02), (scancodes.ALT, True): (KEY_FLAGS_3, 0x08),
    (scancodes.SCROLL_LOCK, False): (SHIFT_FLAGS_2, 0x10),
    (scancodes.NUM_LOCK, False): (SHIFT_FLAGS_2, 0x20),
    (scancodes.CAPS_LOCK, False): (SHIFT_FLAGS_2, 0x40),
    (scancodes.INSERT, False): (SHIFT_FLAGS_2, 0x80),
    (scancodes.INSERT, True): (SHIFT_FLAGS_2, 0x80),
}  # fmt: skip
#: What INT 16h/09h says: 0Ah, 10h to 12h, and of 03h: 00h, 05h and 06h.
KEYBOARD_CALLS = 0x3D
KEYBOARD_ID = 0x41AB
#: Enter and slash of the keypad, by character, as the calls for 84 keys return them.
OLD_KEYPAD_KEYS = {0x0D: 0x1C0D, 0x0A: 0x1C0A, 0x2F: 0x352F}


class Bios:
    """Stubs in ROM, and what happens behind them."""

    SAVED: ClassVar[Saved] = {
        "wait_until_ns": (-1, NEVER_NS), "event_ns": (-1, NEVER_NS), "event_at": (0, 0x10FFEF),
    }  # fmt: skip

    def __init__(self, board: Board, image: DiskImage | None) -> None:
        """Write ROM, vectors and data area; take the trap ports.

        Args:
            board: What the services work on.
            image: The disk, if there is one.
        """
        self._bus, self._cpu, self._clock = board.bus, board.cpu, board.clock
        self._keyboard_chip, self._cmos = board.keyboard, board.cmos
        self.calls: Calls = Calls(board)
        calls = self.calls
        self.worked, self.go_on_from, self.flag = calls.spend, calls.suspend, calls.flag
        self.carry, self.set_vector = calls.carry, calls.set_vector
        self.return_to, self.interrupt_next = calls.return_to, calls.interrupt_next
        self.video: VideoBios = VideoBios(board, calls)
        self.disk: DiskBios = DiskBios(board, calls, image)
        self.wait_until_ns: int | None = None
        #: When INT 15h/83h sets a flag, and where.
        self.event_ns: int | None = None
        self.event_at = 0
        self.services = calls.services
        self.services |= {
            0x08: self._tick,
            0x09: self._keyboard_interrupt,
            0x10: self.video.service,
            0x11: self._equipment,
            0x12: self._memory_size,
            0x13: self.disk.service,
            0x14: self._no_serial_port,
            0x15: self._system,
            0x16: self._keyboard,
            0x17: self._no_printer,
            0x18: self._no_rom_basic,
            0x19: self._bootstrap,
            0x1A: self._time,
            0x20: self._program_outside_dos,
            0x21: self._program_outside_dos,
        } | {vector: self._fault_service(vector) for vector in FAULTS}
        self._keyboard_calls: dict[int, Service] = {
            0x00: self._read_key, 0x10: self._read_key,
            0x01: self._peek_key, 0x11: self._peek_key,
            0x02: self._shift_flags, 0x12: self._shift_flags_both,
            0x03: self._typematic,
            0x05: self._push_key,
            0x09: self._keyboard_abilities,
            0x0A: self._keyboard_id,
        }  # fmt: skip
        self._clock_calls: dict[int, Service] = {
            0x00: self._read_ticks, 0x01: self._set_ticks,
            0x02: self._read_time, 0x03: self._set_time,
            0x04: self._read_date, 0x05: self._set_date,
        }  # fmt: skip
        self._system_calls: dict[int, Service] = {
            0x24: self._a20,
            0x4F: lambda: self.calls.carry(True),
            0x83: self._event,
            0x86: self._wait,
            0x87: self._block_move,
            0x88: self._extended_memory,
            # A device is busy, or has finished: a system that does something else hooks them.
            0x90: self._nothing_to_do,
            0x91: self._nothing_to_do,
            0xC0: self._configuration,
            0xE8: self._memory_map,
        }
        for vector, offset in ((0x1E, DISKETTE_TABLE), (UPPER_GLYPHS, FONT_8_UPPER)):
            calls.set_vector(vector, offset)
        calls.set_vector(GLYPHS, FONTS[16])
        self._write_data_area()

    def _write_data_area(self) -> None:
        bus, disk = self._bus, self.disk
        # One floppy drive if there is one, coprocessor, 80x25 colour, PS/2 mouse not there.
        bus.write16(EQUIPMENT, 0x0022 | (1 if disk.has_floppy else 0))
        bus.write16(MEMORY_KIB, 640)
        bus.write16(KEY_HEAD, KEY_BUFFER & 0xFF)
        bus.write16(KEY_TAIL, KEY_BUFFER & 0xFF)
        bus.write16(KEY_BUFFER_START_PTR, KEY_BUFFER & 0xFF)
        bus.write16(KEY_BUFFER_END_PTR, KEY_BUFFER_END & 0xFF)
        bus.write8(KEY_FLAGS_3, KEYS_101)
        bus.write8(0x475, 0 if disk.has_floppy else disk.present)
        now = self._cmos.now()
        seconds = (now.tm_hour * 60 + now.tm_min) * 60 + now.tm_sec
        bus.write32(TICKS, seconds * TICKS_A_DAY // 86_400)

    def new_slice(self) -> None:
        """A slice of instructions begins."""
        self.calls.new_slice()
        if self.event_ns is not None and self._clock.now_ns() >= self.event_ns:
            self.event_ns = None
            self._bus.write8(self.event_at, self._bus.read8(self.event_at) | 0x80)

    @property
    def used_up(self) -> bool:
        """`Calls.exhausted`."""
        return self.calls.exhausted

    @property
    def done(self) -> int:
        """`Calls.progress`."""
        return self.calls.progress

    @staticmethod
    def stub_offset(vector: int) -> int:
        """`rom.stub_offset`."""
        return stub_offset(vector)

    # --- faults -----------------------------------------------------------------------------------

    def _fault_service(self, vector: int) -> Service:
        def fault() -> None:
            cpu = self._cpu
            offset, segment, flags = self.calls.frame()
            error = GuestFault(f"{FAULTS[vector]} at {segment:04X}:{offset:04X}, and no handler")
            # As they were where it happened, before the stack and the stub.
            error.registers = cpu.registers() | {
                "cs": segment, "eip": offset, "eflags": flags, "esp": cpu.sp + 6,
            }  # fmt: skip
            raise error

        return fault

    # --- timer and clock: INT 08h, 1Ah, 15h/86h ---------------------------------------------------

    def _tick(self) -> None:
        bus = self._bus
        ticks = bus.read32(TICKS) + 1
        if ticks >= TICKS_A_DAY:
            ticks = 0
            bus.write8(MIDNIGHT, 1)
        bus.write32(TICKS, ticks)

    def _time(self) -> bool | None:
        return self._call(self._clock_calls, self._cpu.ah)

    def _call(self, table: dict[int, Service], number: int) -> bool | None:
        return table.get(number, self._unsupported)()

    def _read_ticks(self) -> None:
        cpu, bus = self._cpu, self._bus
        self._clock.polled()
        ticks = bus.read32(TICKS)
        cpu.dx, cpu.cx = ticks & 0xFFFF, ticks >> 16
        cpu.al = bus.read8(MIDNIGHT)
        bus.write8(MIDNIGHT, 0)

    def _set_ticks(self) -> None:
        cpu = self._cpu
        self._bus.write32(TICKS, cpu.cx << 16 | cpu.dx)
        self._bus.write8(MIDNIGHT, 0)

    def _read_time(self) -> None:
        cpu, now = self._cpu, self._cmos.now()
        cpu.ch, cpu.cl, cpu.dh = bcd(now.tm_hour), bcd(now.tm_min), bcd(now.tm_sec)
        cpu.dl = 0
        self.calls.carry(False)

    def _set_time(self) -> None:
        cpu, cmos = self._cpu, self._cmos
        time = (of_bcd(digits) for digits in (cpu.ch, cpu.cl, cpu.dh))
        self.calls.carry(not cmos.set(*cmos.now()[:3], *time))

    def _set_date(self) -> None:
        cpu, cmos = self._cpu, self._cmos
        year = 100 * of_bcd(cpu.ch) + of_bcd(cpu.cl)
        self.calls.carry(not cmos.set(year, of_bcd(cpu.dh), of_bcd(cpu.dl), *cmos.now()[3:6]))

    def _read_date(self) -> None:
        cpu, now = self._cpu, self._cmos.now()
        cpu.ch, cpu.cl = bcd(now.tm_year // 100), bcd(now.tm_year % 100)
        cpu.dh, cpu.dl = bcd(now.tm_mon), bcd(now.tm_mday)
        self.calls.carry(False)

    def _event(self) -> None:
        """INT 15h/83h: set a flag after a time, to the slice; or no longer."""
        cpu = self._cpu
        if cpu.al == 0x01:
            self.event_ns = None
            self.calls.carry(False)
        elif cpu.al or self.event_ns is not None:
            self.calls.carry(True)
        else:
            self.event_at = (cpu.es << 4) + cpu.bx
            self.event_ns = self._clock.now_ns() + (cpu.cx << 16 | cpu.dx) * 1000
            self.calls.carry(False)

    def _wait(self) -> bool | None:
        cpu, now = self._cpu, self._clock.now_ns()
        if self.wait_until_ns is None:
            self.wait_until_ns = now + (cpu.cx << 16 | cpu.dx) * 1000
            self.calls.wake_at(self.wait_until_ns)
        if now < self.wait_until_ns:
            return WAIT
        self.wait_until_ns = None
        self.calls.carry(False)
        return None

    # --- small ones: INT 11h, 12h, 14h, 17h, 15h --------------------------------------------------

    def _equipment(self) -> None:
        self._cpu.ax = self._bus.read16(EQUIPMENT)

    def _memory_size(self) -> None:
        self._cpu.ax = self._bus.read16(MEMORY_KIB)

    def _no_serial_port(self) -> None:
        self._cpu.ah = 0x80  # timed out

    def _no_printer(self) -> None:
        self._cpu.ah = 0x01  # timed out

    def _system(self) -> bool | None:
        return self._call(self._system_calls, self._cpu.ah)

    def _nothing_to_do(self) -> None:
        self._cpu.ah = 0
        self.calls.carry(False)

    def _unsupported(self) -> None:
        self._cpu.ah = 0x86
        self.calls.carry(True)

    def _a20(self) -> None:
        cpu = self._cpu
        if cpu.al == 2:
            cpu.al = 1  # always on
        elif cpu.al == 3:
            cpu.bx = 3
        cpu.ah = 0
        self.calls.carry(False)

    def _extended_memory(self) -> None:
        self._cpu.ax = min((self._bus.ram_bytes >> 10) - 1024, 0xFFFF)
        self.calls.carry(False)

    def _block_move(self) -> None:
        cpu, bus = self._cpu, self._bus
        table = (cpu.es << 4) + cpu.si
        source, target = (
            bus.read16(table + at + 2)
            | bus.read8(table + at + 4) << 16
            | bus.read8(table + at + 7) << 24
            for at in (0x10, 0x18)
        )
        count = 2 * min(cpu.cx, 0x8000)
        if not (self._has_memory(source, count) and self._has_memory(target, count)):
            cpu.ah = 2
            self.calls.carry(True)
            return
        bus.write(target, bus.read(source, count))
        cpu.ah = 0
        self.calls.carry(False)

    def _has_memory(self, gpa: int, count: int) -> bool:
        """Whether there is something below the end of RAM, or in the linear frame buffer."""
        end = gpa + count
        vram = self._bus.vga.slot.nbytes
        return end <= self._bus.ram_bytes or (gpa >= LFB_GPA and end <= LFB_GPA + vram)

    def _configuration(self) -> None:
        cpu = self._cpu
        cpu.set("es", ROM_SEGMENT)
        cpu.bx = CONFIG_TABLE
        cpu.ah = 0
        self.calls.carry(False)

    def _memory_map(self) -> None:
        cpu, bus = self._cpu, self._bus
        above_1m = bus.ram_bytes - (1 << 20)
        if cpu.al == 0x01:
            low = min(above_1m, 15 << 20) >> 10
            high = max(above_1m - (15 << 20), 0) >> 16
            cpu.ax = cpu.cx = low
            cpu.bx = cpu.dx = high
            self.calls.carry(False)
            return
        ranges = (
            (0, 0x9FC00, 1),
            (0x9FC00, 0x400, 2),
            (0xF0000, 0x10000, 2),
            (1 << 20, above_1m, 1),
        )
        index = cpu.get("ebx")
        if cpu.al != 0x20 or cpu.get("edx") != 0x534D4150 or index >= len(ranges):  # "SMAP"
            self._unsupported()
            return
        start, length, kind = ranges[index]
        entry = (
            start.to_bytes(8, "little") + length.to_bytes(8, "little") + kind.to_bytes(4, "little")
        )
        bus.write((cpu.es << 4) + cpu.di, entry)
        cpu.set("eax", 0x534D4150)
        cpu.set("ecx", 20)
        cpu.set("ebx", (index + 1) % len(ranges))
        self.calls.carry(False)

    def _no_rom_basic(self) -> None:
        raise GuestFault("no system to boot (INT 18h)")

    def _bootstrap(self) -> None:
        """INT 19h: load the boot sector again; IRET is made to go there."""
        cpu, bus = self._cpu, self._bus
        sector = self.disk.boot_sector()
        if sector is None:
            raise GuestFault("no system to boot (INT 19h), and no disk")
        bus.write(0x7C00, sector)
        self.calls.set_frame(0x7C00, 0x0000, 0x0202)
        cpu.dl = self.disk.boot_drive

    def _program_outside_dos(self) -> None:
        vector = f"INT {self.calls.vector:02X}h"
        raise GuestFault(f"{vector}: a boot sector has no DOS; run programs as .COM files")

    # --- keyboard: INT 09h, 16h -------------------------------------------------------------------

    def _keyboard_interrupt(self) -> None:
        """IRQ 1: a scancode becomes a shift state or a key in the buffer."""
        bus = self._bus
        code = bus.port_in(0x60, 1)
        bus.port_out(0x20, 1, 0x20)
        flags = bus.read8(KEY_FLAGS_3)
        before, flags = flags & (AFTER_E0 | AFTER_E1), flags & ~(AFTER_E0 | AFTER_E1)
        if code in (0xE0, 0xE1):
            bus.write8(KEY_FLAGS_3, flags | (AFTER_E0 if code == 0xE0 else AFTER_E1))
        elif before == AFTER_E1:
            # Pause: E1 1D 45 E1 9D C5.
            bus.write8(KEY_FLAGS_3, flags | (before if code & 0x7F == scancodes.CTRL else 0))
        else:
            bus.write8(KEY_FLAGS_3, flags)
            self._key(code & 0x7F, pressed=code < 0x80, extended=before == AFTER_E0)

    def _key(self, code: int, *, pressed: bool, extended: bool) -> None:
        if extended and code in (scancodes.LEFT_SHIFT, scancodes.RIGHT_SHIFT):
            return  # fake shifts around grey keys
        bus = self._bus
        repeats = self._note_held(code, pressed, extended)
        flags = bus.read8(SHIFT_FLAGS)
        modifier, lock = MODIFIER_BITS.get(code), LOCK_BITS.get(code)
        if modifier is not None:
            on = pressed or self._is_held(code)
            bus.write8(SHIFT_FLAGS, flags | modifier if on else flags & ~modifier)
        elif not pressed:
            return
        elif extended and code == scancodes.BREAK:
            if flags & CTRL_BIT:
                self._break()
        elif lock is not None:
            if not repeats:
                bus.write8(SHIFT_FLAGS, flags ^ lock)
                lamps = (flags ^ lock) >> 4 & 7
                bus.write8(LAMPS, bus.read8(LAMPS) & ~7 | lamps)
        elif extended and code == scancodes.PRINT and not flags & (CTRL_BIT | ALT_BIT):
            self.calls.interrupt_next(0x05)
        else:
            word = _key_word(code, flags, extended)
            if code == scancodes.INSERT and word in (0x5200, 0x52E0) and not repeats:
                bus.write8(SHIFT_FLAGS, flags ^ INSERT_ON)
            if word:
                self.put_key(word)

    def _note_held(self, code: int, pressed: bool, extended: bool) -> bool:
        """Whether a key was held already."""
        at, bit = HELD_BITS.get((code, extended), (SHIFT_FLAGS_2, 0))
        flags = self._bus.read8(at)
        if bit:
            self._bus.write8(at, flags | bit if pressed else flags & ~bit)
        return bool(flags & bit)

    def _is_held(self, code: int) -> bool:
        """Whether the left or the right one of a key is held."""
        places = (HELD_BITS.get((code, extended)) for extended in (False, True))
        return any(place is not None and self._bus.read8(place[0]) & place[1] for place in places)

    def _break(self) -> None:
        """Ctrl and break: the buffer has a key that is none, and INT 1Bh hears of it."""
        bus = self._bus
        bus.write8(BREAK, 0x80)
        start = bus.read16(KEY_BUFFER_START_PTR)
        bus.write16(KEY_HEAD, start)
        bus.write16(KEY_TAIL, start)
        self.put_key(0)
        self.calls.interrupt_next(0x1B)

    def put_key(self, word: int) -> bool:
        """A key into the buffer; False if it is full."""
        bus = self._bus
        tail = bus.read16(KEY_TAIL)
        after = tail + 2
        if after >= bus.read16(KEY_BUFFER_END_PTR):
            after = bus.read16(KEY_BUFFER_START_PTR)
        if after == bus.read16(KEY_HEAD):
            return False
        bus.write16(0x400 + tail, word)
        bus.write16(KEY_TAIL, after)
        return True

    def peek_key(self) -> int | None:
        """The next key's word, without taking it."""
        head = self._bus.read16(KEY_HEAD)
        return None if head == self._bus.read16(KEY_TAIL) else self._bus.read16(0x400 + head)

    def take_key(self) -> int | None:
        """Take the next key."""
        word = self.peek_key()
        if word is not None:
            head = self._bus.read16(KEY_HEAD) + 2
            if head >= self._bus.read16(KEY_BUFFER_END_PTR):
                head = self._bus.read16(KEY_BUFFER_START_PTR)
            self._bus.write16(KEY_HEAD, head)
        return word

    def _keyboard(self) -> bool | None:
        service = self._keyboard_calls.get(self._cpu.ah)
        return None if service is None else service()

    def _old_key(self, word: int) -> int:
        """What the calls for 84 keys return: grey keys look like those of the keypad."""
        if self._cpu.ah >= 0x10:
            return word
        if word >> 8 == 0xE0:
            return OLD_KEYPAD_KEYS.get(word & 0xFF, word)
        return word & 0xFF00 if word & 0xFF == 0xE0 else word

    def _read_key(self) -> bool | None:
        word = self.take_key()
        if word is None:
            return WAIT
        self._cpu.ax = self._old_key(word)
        return None

    def _peek_key(self) -> None:
        self._clock.polled()
        word = self.peek_key()
        self.calls.flag(ZERO, word is None)
        if word is not None:
            self._cpu.ax = self._old_key(word)

    def _shift_flags(self) -> None:
        self._cpu.al = self._bus.read8(SHIFT_FLAGS)

    def _shift_flags_both(self) -> None:
        """AH: sysreq, the locks while they are held, right and left alt and ctrl."""
        bus, held = self._bus, self._bus.read8(SHIFT_FLAGS_2)
        right = bus.read8(KEY_FLAGS_3) & 0x0C
        self._cpu.ax = (held & 0x73 | right | (held & 4) << 5) << 8 | bus.read8(SHIFT_FLAGS)

    def _typematic(self) -> None:
        cpu, keyboard = self._cpu, self._keyboard_chip
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

    def _push_key(self) -> None:
        self._cpu.al = 0 if self.put_key(self._cpu.cx) else 1


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
