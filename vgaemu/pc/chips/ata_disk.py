"""A hard disk on an ATA channel: the image, by sectors.

Emulated: IDENTIFY, reads and writes by LBA28 and by CHS (in any translation), a sector or several a
block, verify, seek, flush, power states, the features of a drive without DMA. Writes go where INT
13h's go. Not emulated: DMA, LBA48, security, SMART, the host protected area, sleep.

Source: ATA/ATAPI-4 (NCITS 317-1998), clause 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from vgaemu.pc.chips.ata import (
    ALWAYS,
    BLOCK_NS,
    BY_LBA,
    DEVICE_FAULT,
    NOT_FOUND,
    PASSED,
    READY,
    SEEK_COMPLETE,
    Step,
    TaskFile,
    failed,
)
from vgaemu.pc.formats import HEADS, SECTORS
from vgaemu.pc.images import SECTOR, DiskImage
from vgaemu.snapshot import Part, Saved, fields

MOST_CYLINDERS = 16383
#: Most sectors a block of READ and WRITE MULTIPLE.
MOST_MULTIPLE = 16
MODEL, REVISION = "vgaemu disk", "1.0"
#: SET FEATURES: write cache on and off, look-ahead on and off, power-on defaults kept or not.
FEATURES = frozenset((0x02, 0x82, 0xAA, 0x55, 0x66, 0xCC))
SET_MODE = 0x03
#: Its modes: PIO, as is; without IORDY; 0 to 4.
PIO_MODES = frozenset((0x00, 0x01, *range(0x08, 0x0D)))
#: CHECK POWER MODE: active.
ACTIVE = 0xFF
#: IDENTIFY: LBA and IORDY; which words are valid; standards 1 to 4; command sets: write cache and
#: look-ahead, FLUSH CACHE, with the bits that say that the words are meant.
CAPABILITIES, VALID_WORDS, STANDARDS = 0x0A00, 0x0003, 0x001E
COMMAND_SETS = (0x0060, 0x5000, 0x4000)

Command: TypeAlias = Callable[[TaskFile], Step]


class AtaDisk:
    """The drive."""

    idle = READY | SEEK_COMPLETE
    SAVED: ClassVar[Saved] = {
        "heads": (1, 16), "sectors": (1, 255), "multiple": (0, MOST_MULTIPLE),
        "next_lba": (0, 1 << 28), "left": (0, 256), "a_block": (1, 256),
    }  # fmt: skip

    def __init__(self, image: DiskImage, number: int = 0) -> None:
        """`number` is 1 of the second on its cable."""
        self._image, self._number = image, number
        #: Sectors that LBA28 reaches: those of the file; of its shape there may be some more.
        self.total = min(-(-len(image.data) // SECTOR), (1 << 28) - 1)
        #: The translation of CHS.
        self.heads, self.sectors = HEADS, SECTORS
        #: Sectors a block of READ and WRITE MULTIPLE; 0: these are not to be had.
        self.multiple = MOST_MULTIPLE
        #: Of the command in hand: the next sector, how many, how many a block.
        self.next_lba, self.left, self.a_block = 0, 0, 1
        done: Command = lambda task: Step()  # noqa: E731
        read, write = self._read, self._write
        self._commands: dict[int, Command] = {
            **dict.fromkeys(range(0x10, 0x20), done),  # RECALIBRATE
            0x20: read, 0x21: read, 0x30: write, 0x31: write, 0x3C: write,
            0x40: self._verify, 0x41: self._verify,
            **dict.fromkeys(range(0x70, 0x80), self._seek),
            0x90: self._diagnose, 0x91: self._translate,
            0xC4: self._read_multiple, 0xC5: self._write_multiple, 0xC6: self._set_multiple,
            # Power: standby and idle, now or after a time, and how it is; 94h to 98h are ATA-1's.
            **dict.fromkeys((0xE0, 0xE1, 0xE2, 0xE3, 0x94, 0x95, 0x96, 0x97), done),
            0xE5: self._power, 0x98: self._power,
            0xE7: done,  # FLUSH CACHE
            0xEC: self._identify, 0xEF: self._set_features,
        }  # fmt: skip

    def reset(self, task: TaskFile) -> None:
        """The signature of a disk; the translation stays, as SET FEATURES 66h has it."""
        self.left = 0
        task.count = task.low = 1
        task.cylinder, task.device = 0, ALWAYS

    def begin(self, command: int, task: TaskFile) -> Step:
        self.left = 0
        call = self._commands.get(command)
        return failed() if call is None else call(task)

    def go_on(self, task: TaskFile, data: bytes) -> Step:
        if not data:
            return self._next_read(task) if self.left else Step(after_ns=0, tells=False)
        return self._store(task, data)

    # --- addresses ---

    def _address(self, task: TaskFile) -> int | None:
        """The sector that a command is about; None: there is none."""
        if task.device & BY_LBA:
            lba = task.lba
        else:
            head, sector = task.device & 0x0F, task.low
            if head >= self.heads or not 1 <= sector <= self.sectors:
                return None
            lba = (task.cylinder * self.heads + head) * self.sectors + sector - 1
        return lba if lba < self.total else None

    def _tell_address(self, task: TaskFile, lba: int) -> None:
        if task.device & BY_LBA:
            task.low, task.mid, task.high = (lba >> shift & 0xFF for shift in (0, 8, 16))
            head = lba >> 24
        else:
            track, sector = divmod(lba, self.sectors)
            task.cylinder, head = divmod(track, self.heads)
            task.low = sector + 1
        task.device = task.device & 0xF0 | head

    # --- transfers ---

    def _start(self, task: TaskFile, a_block: int) -> bool:
        lba = self._address(task)
        if lba is None:
            return False
        self.next_lba, self.left, self.a_block = lba, task.count or 256, a_block
        return True

    def _next_block(self, task: TaskFile) -> int:
        """How many sectors there are of the next block; the registers say which was the last."""
        count = min(self.left, self.a_block, self.total - self.next_lba)
        self._tell_address(task, self.next_lba + max(count - 1, 0))
        return count

    def _read(self, task: TaskFile, a_block: int = 1) -> Step:
        if not self._start(task, a_block):
            return failed(NOT_FOUND)
        return self._next_read(task)._replace(after_ns=Step().after_ns)

    def _next_read(self, task: TaskFile) -> Step:
        count = self._next_block(task)
        if not count:
            return failed(NOT_FOUND, BLOCK_NS)
        data = self._image.read(self.next_lba, count)
        self._passed(task, count)
        return Step(data, after_ns=BLOCK_NS)

    def _passed(self, task: TaskFile, count: int) -> None:
        self.next_lba += count
        self.left -= count
        task.count = self.left & 0xFF

    def _write(self, task: TaskFile, a_block: int = 1) -> Step:
        if not self._start(task, a_block):
            return failed(NOT_FOUND)
        # The first block is asked for at once, and without an interrupt.
        return Step(wanted=self._next_block(task) * SECTOR, after_ns=0, tells=False)

    def _store(self, task: TaskFile, data: bytes) -> Step:
        try:
            self._image.write(self.next_lba, data)
        except OSError:
            return failed(status=DEVICE_FAULT)
        self._passed(task, len(data) // SECTOR)
        if not self.left:
            return Step(after_ns=BLOCK_NS)
        count = self._next_block(task)
        if not count:
            return failed(NOT_FOUND, BLOCK_NS)
        return Step(wanted=count * SECTOR, after_ns=BLOCK_NS)

    def _read_multiple(self, task: TaskFile) -> Step:
        return self._read(task, self.multiple) if self.multiple else failed()

    def _write_multiple(self, task: TaskFile) -> Step:
        return self._write(task, self.multiple) if self.multiple else failed()

    def _set_multiple(self, task: TaskFile) -> Step:
        if task.count & task.count - 1 or task.count > MOST_MULTIPLE:
            return failed()
        self.multiple = task.count
        return Step()

    def _verify(self, task: TaskFile) -> Step:
        lba = self._address(task)
        if lba is None:
            return failed(NOT_FOUND)
        count = min(task.count or 256, self.total - lba)
        is_whole = count == (task.count or 256)
        task.count = (task.count or 256) - count & 0xFF
        self._tell_address(task, lba + count - 1 if is_whole else self.total)  # or the bad one
        return Step() if is_whole else failed(NOT_FOUND)

    def _seek(self, task: TaskFile) -> Step:
        return failed(NOT_FOUND) if self._address(task) is None else Step()

    # --- the rest ---

    def _diagnose(self, task: TaskFile) -> Step:
        self.reset(task)
        # The code of a test that has passed is in the error register, and no error.
        return Step(error=PASSED)

    def _translate(self, task: TaskFile) -> Step:
        """INITIALIZE DEVICE PARAMETERS."""
        if not task.count:
            return failed()
        self.heads, self.sectors = (task.device & 0x0F) + 1, task.count
        return Step()

    def _power(self, task: TaskFile) -> Step:
        task.count = ACTIVE
        return Step()

    def _set_features(self, task: TaskFile) -> Step:
        known = task.features in FEATURES
        if task.features == SET_MODE:
            known = task.count in PIO_MODES
        return Step() if known else failed()

    def _identify(self, task: TaskFile) -> Step:
        total = self.total
        cylinders = min(max(total // (HEADS * SECTORS), 1), MOST_CYLINDERS)
        track = self.heads * self.sectors
        now = min(max(total // track, 1), 0xFFFF)
        words = {
            0: 0x0040, 1: cylinders, 3: HEADS, 6: SECTORS,
            47: 0x8000 | MOST_MULTIPLE, 48: 1, 49: CAPABILITIES, 51: 0x0200, 53: VALID_WORDS,
            54: now, 55: self.heads, 56: self.sectors, **_double(57, now * track),
            59: 0x100 | self.multiple if self.multiple else 0, **_double(60, total),
            64: 3, 67: 120, 68: 120, 80: STANDARDS,
            **dict(enumerate(COMMAND_SETS * 2, 82)),
        }  # fmt: skip
        return Step(identity(words, str(1 + self._number), REVISION, MODEL))

    def parts(self) -> dict[str, Part]:
        name = "chips.ata_disk_second" if self._number else "chips.ata_disk"
        return {name: fields(self).or_else(self._forget)}

    def _forget(self) -> None:
        self.heads, self.sectors, self.multiple, self.left = HEADS, SECTORS, MOST_MULTIPLE, 0


def _double(at: int, value: int) -> dict[int, int]:
    return {at: value & 0xFFFF, at + 1: value >> 16}


def identity(words: dict[int, int], serial: str, revision: str, model: str) -> bytes:
    """The 256 words that say what a drive is; letters stand in pairs, the first one high."""
    data = bytearray(512)
    for at, value in words.items():
        data[2 * at : 2 * at + 2] = value.to_bytes(2, "little")
    for at, length, text in ((10, 20, serial), (23, 8, revision), (27, 40, model)):
        letters = text.ljust(length).encode("ascii")
        data[2 * at : 2 * at + length : 2] = letters[1::2]
        data[2 * at + 1 : 2 * at + length : 2] = letters[0::2]
    return bytes(data)
