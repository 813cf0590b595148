"""A CD-ROM drive on an ATA channel: an ISO image, by packets.

Emulated: IDENTIFY PACKET DEVICE, PACKET without DMA, DEVICE RESET; of the packets' commands those
that systems read a data disc by: TEST UNIT READY, REQUEST SENSE, INQUIRY, READ CAPACITY, READ(10)
and (12), READ TOC, MODE SENSE(10), GET CONFIGURATION, GET EVENT STATUS NOTIFICATION, READ DISC
INFORMATION, and what only succeeds. One disc of one data track, which stays in. Not emulated: DMA,
audio, raw sectors, other discs.

Source: ATA/ATAPI-4 (NCITS 317-1998), clauses 8.15 and 9.8; INF-8020i; MMC-3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from vgaemu.pc.chips.ata import (
    ABORTED,
    ALWAYS,
    BLOCK_NS,
    PASSED,
    Step,
    TaskFile,
    failed,
)
from vgaemu.pc.chips.ata_disk import identity
from vgaemu.pc.eltorito import SECTOR as CD_SECTOR
from vgaemu.pc.images import SECTOR, DiskImage
from vgaemu.snapshot import Part, Saved, fields, octets

PACKET_BYTES = 12
#: Interrupt reason: a packet is wanted, data come, the command is done.
WANTS_PACKET, COMES, DONE = 1, 2, 3
#: Bytes of a block at most, for byte counts that are 0 or odd.
MOST_BYTES = 0xFFFE
#: Sense keys, and additional sense codes.
NO_SENSE, ILLEGAL_REQUEST = 0, 5
NO_CODE, INVALID_COMMAND, OUT_OF_RANGE, INVALID_FIELD = 0, 0x20, 0x21, 0x24
#: INQUIRY: a CD-ROM drive with removable discs.
KIND, REMOVABLE = 5, 0x80
VENDOR, PRODUCT, REVISION, SERIAL = "vgaemu", "CD-ROM", "1.0", "1"
#: IDENTIFY PACKET DEVICE: a CD-ROM drive, removable, which is ready for a packet in 50 us.
GENERAL = 0x85C0
#: Of a table of contents: a data track that may be copied; the lead-out's number.
DATA_TRACK, LEAD_OUT = 0x14, 0xAA
#: Frames before the first sector, where a position is said as minutes, seconds and frames.
PREGAP = 150
#: The profile of a CD-ROM.
CD_ROM = 0x0008
#: Pages of MODE SENSE: error recovery; capabilities: data in any form, it ejects, 8 x 176 KiB/s.
MODE_PAGES = {
    0x01: bytes.fromhex("01 06 00 05 00 00 00 00"),
    0x2A: bytes.fromhex("2A 12 00 00 01 00 29 00 05 80 00 00 00 00 05 80 00 00 00 00"),
}
ALL_PAGES = 0x3F

Packet: TypeAlias = Callable[[bytes], bytes | None]


class SenseError(Exception):
    """A packet's command fails."""

    def __init__(self, key: int, code: int) -> None:
        super().__init__(key, code)
        self.key, self.code = key, code


class CdDrive:
    """The drive, with its disc."""

    #: A packet device is not ready for commands of disks.
    idle = 0
    SAVED: ClassVar[Saved] = {
        "key": (0, 15), "code": (0, 0xFF), "most": (2, MOST_BYTES), "at": (0, 1 << 42),
        "left": (0, 1 << 42), "takes_packet": (0, 1), "is_reading": (0, 1),
    }  # fmt: skip

    def __init__(self, image: DiskImage) -> None:
        self._image = image
        self._forget()
        self._commands: dict[int, Callable[[TaskFile], Step]] = {
            0x08: self._reset_device, 0x90: self._diagnose, 0xA0: self._packet,
            0xA1: self._identify, 0xEF: lambda task: Step(),
            **dict.fromkeys((0xE0, 0xE1, 0xE2, 0xE3), lambda task: Step()),
        }  # fmt: skip
        nothing: Packet = lambda packet: b""  # noqa: E731
        #: What a packet's first byte asks for: data, or None if sectors are to follow.
        self._packets: dict[int, Packet] = {
            0x00: nothing, 0x03: self._request_sense, 0x12: self._inquiry, 0x1B: nothing,
            0x1E: nothing, 0x25: self._capacity, 0x28: self._read_10, 0x2B: nothing,
            0x43: self._contents, 0x46: self._configuration, 0x4A: self._events,
            0x51: self._disc_information, 0x5A: self._mode_sense, 0xA8: self._read_12,
        }  # fmt: skip

    def _forget(self) -> None:
        #: What REQUEST SENSE tells.
        self.key, self.code = NO_SENSE, NO_CODE
        #: Bytes of a block at most; of what is read: where it goes on, how much is left.
        self.most, self.at, self.left = MOST_BYTES, 0, 0
        self.takes_packet = self.is_reading = False
        #: What is read if that is not the disc.
        self.answer = b""

    @property
    def total(self) -> int:
        """Sectors of the disc."""
        return self._image.total * SECTOR // CD_SECTOR

    def reset(self, task: TaskFile) -> None:
        """The signature of a packet device."""
        self.left, self.takes_packet = 0, False
        task.count = task.low = 1
        task.cylinder, task.device = 0xEB14, ALWAYS

    def begin(self, command: int, task: TaskFile) -> Step:
        self.left, self.takes_packet = 0, False
        call = self._commands.get(command)
        if call is not None:
            return call(task)
        if command == 0xEC:  # IDENTIFY DEVICE: no disk, and what it is stands in the registers
            self.reset(task)
        return failed()

    def go_on(self, task: TaskFile, data: bytes) -> Step:
        if self.takes_packet:
            self.takes_packet = False
            return self._execute(task, data)
        return self._next_block(task, BLOCK_NS)

    # --- commands ---

    def _reset_device(self, task: TaskFile) -> Step:
        self.reset(task)
        return Step(error=PASSED, tells=False)

    def _diagnose(self, task: TaskFile) -> Step:
        self.reset(task)
        return Step(error=PASSED)

    def _identify(self, task: TaskFile) -> Step:
        words = {0: GENERAL, 49: 0x0A00, 51: 0x0200, 53: 0x0002, 64: 3, 67: 120, 68: 120, 80: 0x1E,
                 82: 0x0210, 83: 0x4000, 84: 0x4000, 85: 0x0210}  # fmt: skip
        data = identity(words, SERIAL, REVISION, f"{VENDOR} {PRODUCT}")
        self.answer, self.at, self.left = b"", 0, 0
        return Step(data)

    def _packet(self, task: TaskFile) -> Step:
        if task.features & 1:  # by DMA
            return failed()
        self.most = min(task.cylinder & ~1 or MOST_BYTES, MOST_BYTES)
        self.takes_packet = True
        task.count = WANTS_PACKET
        return Step(wanted=PACKET_BYTES, after_ns=0, tells=False)

    # --- packets ---

    def _execute(self, task: TaskFile, packet: bytes) -> Step:
        call = self._packets.get(packet[0])
        try:
            if call is None:
                raise SenseError(ILLEGAL_REQUEST, INVALID_COMMAND)
            answer = call(packet)
        except SenseError as error:
            self.key, self.code = error.key, error.code
            task.count = DONE
            return failed(error.key << 4 | ABORTED)
        if packet[0] != 0x03:
            self.key, self.code = NO_SENSE, NO_CODE
        self.is_reading = answer is None
        if answer is not None:
            self.answer, self.at, self.left = answer, 0, len(answer)
        return self._next_block(task, Step().after_ns)

    def _next_block(self, task: TaskFile, after_ns: int) -> Step:
        if not self.left:
            task.count = DONE
            return Step(after_ns=after_ns)
        count = min(self.left, self.most)
        data = self._sectors(count) if self.is_reading else self.answer[self.at : self.at + count]
        self.at += count
        self.left -= count
        task.count, task.cylinder = COMES, count
        return Step(data, after_ns=after_ns)

    def _sectors(self, count: int) -> bytes:
        """Bytes of the disc, from anywhere."""
        first, within = divmod(self.at, SECTOR)
        data = self._image.read(first, -(-(within + count) // SECTOR))
        return data[within : within + count]

    def _read_10(self, packet: bytes) -> bytes | None:
        lba, count = struct.unpack(">2xIxH3x", packet)
        return self._read(lba, count)

    def _read_12(self, packet: bytes) -> bytes | None:
        lba, count = struct.unpack(">2xII2x", packet)
        return self._read(lba, count)

    def _read(self, lba: int, count: int) -> bytes | None:
        if lba + count > self.total:
            raise SenseError(ILLEGAL_REQUEST, OUT_OF_RANGE)
        self.at, self.left = lba * CD_SECTOR, count * CD_SECTOR
        return None if count else b""

    def _request_sense(self, packet: bytes) -> bytes:
        sense = struct.pack(">BBBIBIBBI", 0xF0, 0, self.key, 0, 10, 0, self.code, 0, 0)
        self.key, self.code = NO_SENSE, NO_CODE
        return sense[: packet[4]]

    def _inquiry(self, packet: bytes) -> bytes:
        names = VENDOR.ljust(8) + PRODUCT.ljust(16) + REVISION.ljust(4)
        return (bytes((KIND, REMOVABLE, 0, 0x21, 31, 0, 0, 0)) + names.encode())[: packet[4]]

    def _capacity(self, packet: bytes) -> bytes:
        return struct.pack(">II", self.total - 1, CD_SECTOR)

    def _position(self, lba: int, in_minutes: bool) -> bytes:
        if not in_minutes:
            return lba.to_bytes(4, "big")
        seconds, frames = divmod(lba + PREGAP, 75)
        return bytes((0, *divmod(seconds, 60), frames))

    def _contents(self, packet: bytes) -> bytes:
        """READ TOC: the tracks, or the sessions."""
        in_minutes, kind = bool(packet[1] & 2), packet[2] & 0x0F or packet[9] >> 6
        first = bytes((0, DATA_TRACK, 1, 0)) + self._position(0, in_minutes)
        last = bytes((0, DATA_TRACK, LEAD_OUT, 0)) + self._position(self.total, in_minutes)
        if kind == 0 and (packet[6] <= 1 or packet[6] == LEAD_OUT):
            tracks = (first if packet[6] <= 1 else b"") + last
        elif kind == 1:
            tracks = first
        else:
            raise SenseError(ILLEGAL_REQUEST, INVALID_FIELD)
        return self._cut((len(tracks) + 2).to_bytes(2, "big") + b"\1\1" + tracks, packet)

    def _configuration(self, packet: bytes) -> bytes:
        """GET CONFIGURATION: profiles, and the core of ATAPI."""
        features = struct.pack(">HBBHBB", 0, 3, 4, CD_ROM, 1, 0) + struct.pack(">HBBI", 1, 3, 4, 2)
        return self._cut(struct.pack(">IHH", len(features) + 4, 0, CD_ROM) + features, packet)

    def _events(self, packet: bytes) -> bytes:
        """GET EVENT STATUS NOTIFICATION: nothing new of the medium, which is there."""
        if not packet[1] & 1:  # only polled
            raise SenseError(ILLEGAL_REQUEST, INVALID_FIELD)
        asked = packet[4] & 0x10
        return self._cut(bytes.fromhex("0006041000020000" if asked else "00028010"), packet)

    def _disc_information(self, packet: bytes) -> bytes:
        # A whole disc, one session of track 1.
        return self._cut(bytes.fromhex("00200E0101010120").ljust(34, b"\0"), packet)

    def _mode_sense(self, packet: bytes) -> bytes:
        wanted = packet[2] & 0x3F
        pages = b"".join(
            page for number, page in MODE_PAGES.items() if wanted in (number, ALL_PAGES)
        )
        if not pages or packet[2] >> 6 == 3:  # saved values
            raise SenseError(ILLEGAL_REQUEST, INVALID_FIELD)
        return self._cut((len(pages) + 6).to_bytes(2, "big") + b"\1" + bytes(5) + pages, packet)

    def _cut(self, answer: bytes, packet: bytes) -> bytes:
        """No more than a packet of ten bytes allows."""
        return answer[: packet[7] << 8 | packet[8]]

    def parts(self) -> dict[str, Part]:
        return {
            "chips.atapi": fields(self).or_else(self._forget),
            "chips.atapi_answer": octets(
                lambda: self.answer, self._restore_answer, MOST_BYTES
            ).or_else(lambda: None),
        }  # fmt: skip

    def _restore_answer(self, data: bytes) -> None:
        self.answer = data
