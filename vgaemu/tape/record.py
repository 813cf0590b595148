"""Recording tapes: every operation on a `TappedVga`, from power on."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

from vgaemu.errors import TapeError, file_error
from vgaemu.outputs import NewFile, not_begun
from vgaemu.tape.ops import DISPI_PORTS, LEGACY_END, LEGACY_START, OPERATIONS
from vgaemu.vga.ports import ADAPTER_PORTS
from vgaemu.vga.tap import TappedVga
from vgaemu.vga.vram import DEFAULT_VRAM_MIB, LFB_GPA

#: Input status 1 in mono and colour modes: what a read gives depends on the time.
STATUS_PORTS = (0x3BA, 0x3DA)
#: Stores of one value at least this long become a "fill".
FILL_BYTES = 4
#: Longer stores become several operations, so that no line is long.
PIECE_BYTES = 1 << 16


class _Memory(NamedTuple):
    """A range of addresses and the operations that reach it."""

    start: int
    end: int
    #: What operations count their addresses from.
    base: int
    store: str
    fill: str
    load: str


LEGACY = _Memory(LEGACY_START, LEGACY_END, 0, "copy-in", "fill", "rn")


class TapeRecorder:
    """A tap that writes every port and memory operation to a tape.

    Bytes put straight into the `Memslot` are not on the tape.
    """

    def __init__(self, vga: TappedVga, path: str | Path) -> None:
        """Start recording.

        Args:
            vga: Just made: nothing was written to it yet.
            path: The tape; gzipped if it ends in ``.gz``.

        Raises:
            TapeError: The device was used before, or the file cannot be written.
        """
        self.path = Path(path)
        written = any(vga.graphics.values) or any(vga.sequencer.values)
        if written or vga.generation or vga.dac.generation or vga.slot.array.any():
            raise TapeError(
                f"{self.path}: a recording starts at power on; this VGA was used before"
            )
        self._vga = vga
        self._memories = (
            LEGACY,
            _Memory(LFB_GPA, LFB_GPA + vga.slot.nbytes, LFB_GPA, "lfb", "lfbfill", "lfbread"),
        )
        #: Where the tape says that the beam stands; None: what is written counts at once.
        self._beam_ns: int | None = None
        self._has_beam = False
        self._error: OSError | None = None
        self._closed = False
        try:
            self._new = NewFile(self.path, stream=True)
        except OSError as error:
            raise TapeError(not_begun(self.path, error)) from None
        packed = None
        if self.path.suffix == ".gz":
            # No time stamp, no name: two recordings of one run are the same bytes.
            packed = gzip.GzipFile("", "wb", fileobj=self._new.file, compresslevel=6, mtime=0)
        self._file = packed or self._new.file
        # Of a machine that nobody closes, too.
        self._finish = finalize(self, _finish, packed, self._new, os.getpid())
        name = self.path.name.removesuffix(".gz").removesuffix(".tape")
        header: dict[str, object] = {"name": name, "group": "recorded"}
        if vga.slot.nbytes != DEFAULT_VRAM_MIB << 20:
            header["vram_mib"] = vga.slot.nbytes >> 20
        self._write_line(header)
        self._write("out", 0x3C2, vga.misc.values[0])  # a tape starts at 63h
        vga.attach(self)

    def close(self, *, hidden_in: int | None = None) -> None:
        """Stop recording; twice is fine. `hidden_in` is the last frame, if it hid what blinks.

        Raises:
            TapeError: Something could not be written; what could lies beside.
        """
        if self._closed:
            return
        self._closed = True
        self._vga.attach(None)
        if self._has_beam:
            self._write_beam(self._vga.beam.at_ns())  # which says what field is to be seen
        if hidden_in is not None:
            self._write("frame", hidden_in)
        try:
            self._finish()
        except OSError as error:
            self._error = self._error or error
        if self._error is not None:
            left = self._new.left
            advice = "" if left is None else f"what was recorded until then is in {left}"
            raise TapeError(file_error(self.path, self._error, advice))

    def __enter__(self) -> TapeRecorder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, name: str, *arguments: Any) -> None:
        self._write_line((name, *OPERATIONS[name].note(*arguments)))

    def _write_line(self, line: object) -> None:
        if self._error is None:
            try:
                self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            except OSError as error:  # the guest goes on; `close` tells
                self._error = error
                self._finish.detach()
                with suppress(OSError):
                    self._file.close()
                self._new.drop()

    def _write_beam(self, ns: int | None) -> None:
        if ns != self._beam_ns:
            self._beam_ns, self._has_beam = ns, True
            self._write("beam", *([] if ns is None else [ns]))

    def _follow_beam(self) -> None:
        beam = self._vga.beam
        self._write_beam(beam.at_ns() if beam.is_exact else None)

    def outb(self, port: int, value: int) -> None:
        if port in ADAPTER_PORTS:
            self._follow_beam()
            self._write("out", port, value)

    def outw(self, port: int, value: int) -> None:
        if port in ADAPTER_PORTS or port in DISPI_PORTS:
            self._follow_beam()
            self._write("outw", port, value)

    def inb(self, port: int) -> None:
        if port in ADAPTER_PORTS:
            self._write("inx" if port in STATUS_PORTS else "in", port)

    def inw(self, port: int) -> None:
        if port in DISPI_PORTS or (
            port in ADAPTER_PORTS and not {port, port + 1} & {*STATUS_PORTS}
        ):
            self._write("inw", port)
        else:
            self.inb(port)
            self.inb(port + 1)

    def store(self, gpa: int, data: Any) -> None:
        data = bytes(data)
        for memory, start, end in self._reached(gpa, len(data)):
            for at in range(start, end, PIECE_BYTES):
                piece = data[at - gpa : min(at + PIECE_BYTES, end) - gpa]
                if len(piece) >= FILL_BYTES and piece.count(piece[0]) == len(piece):
                    self._write(memory.fill, at - memory.base, len(piece), piece[0])
                else:
                    self._write(memory.store, at - memory.base, piece)

    def load(self, gpa: int, count: int) -> None:
        for memory, start, end in self._reached(gpa, count):
            self._write(memory.load, start - memory.base, end - start)

    def _reached(self, gpa: int, count: int) -> Iterator[tuple[_Memory, int, int]]:
        """The parts of a range that operations can reach: (memory, start, end)."""
        for memory in self._memories:
            start, end = max(gpa, memory.start), min(gpa + count, memory.end)
            if start < end:
                yield memory, start, end

    def copy(self, src: int, dst: int, count: int) -> bool:
        inside = all(at >= LEGACY_START and at + count <= LEGACY_END for at in (src, dst))
        if inside and count:
            self._write("copy", src, dst, count)
        # What has no operation is written down as the loads and stores it is made of.
        return inside


def _finish(packed: gzip.GzipFile | None, new: NewFile, process: int) -> None:
    """Let the tape take its place; not in a child of the process that records."""
    if os.getpid() != process:
        return
    try:
        if packed is not None:
            packed.close()
    except OSError:
        new.drop()
        raise
    new.put()
