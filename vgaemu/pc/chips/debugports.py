"""Ports that print: E9h (Bochs), 402h (SeaBIOS), 500h and 501h (the LGPL VGA BIOS).

Emulated: what is written is kept as text, that of port E9h for itself too; 402h and E9h read as
E9h, by which software finds them. A file may get what port E9h prints, byte by byte as it comes:
QEMU calls that a debug console.

Source: Bochs user manual (port E9h); debug output of SeaBIOS and of the LGPL VGA BIOS.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from vgaemu.errors import ImageError, file_error
from vgaemu.outputs import not_begun, open_now
from vgaemu.pc.bus import Bus

#: What a file's name says of standard output, and its descriptor.
STANDARD_OUTPUT, STANDARD_OUTPUT_DESCRIPTOR = "-", 1


class DebugPorts:
    """The last text that a guest printed."""

    #: The port that guests print to, and those that firmware does.
    CONSOLE, FIRMWARE = 0xE9, (0x402, 0x500, 0x501)
    #: Bytes kept; a guest may write on.
    KEEP = 1 << 20

    def __init__(self, bus: Bus) -> None:
        #: The last bytes that were printed, to any of the ports; and those to port E9h.
        self.text, self.console = bytearray(), bytearray()
        #: What also gets those.
        self.file: DebugFile | None = None
        bus.byte_out[self.CONSOLE] = self._print
        for port in self.FIRMWARE:
            bus.byte_out[port] = self._note
        bus.byte_in[0x402] = bus.byte_in[self.CONSOLE] = lambda: 0xE9

    def moment(self) -> tuple[bytes, bytes]:
        """What has been printed, for `go_back`."""
        return bytes(self.text), bytes(self.console)

    def go_back(self, moment: tuple[bytes, bytes]) -> None:
        """Have printed what was printed then; a file keeps what it has."""
        self.text[:], self.console[:] = moment

    def _note(self, value: int) -> None:
        keep_last(self.text, value, self.KEEP)

    def _print(self, value: int) -> None:
        for text in (self.text, self.console):
            keep_last(text, value, self.KEEP)
        if self.file is not None:
            self.file.write(value)


def keep_last(text: bytearray, value: int, count: int) -> None:
    """Add a byte; the last `count` are kept, and as many before them at most."""
    text.append(value)
    if len(text) > 2 * count:
        del text[:-count]


class DebugFile:
    """A file, or standard output, that gets each byte at once."""

    def __init__(self, path: str | Path, option: str = "--debugcon") -> None:
        """Begin it anew; ``-`` is standard output; `option` is what an error names.

        Raises:
            ImageError: It cannot be written.
        """
        self._name = f"{option} {path}"
        self._error: OSError | None = None
        standard = str(path) == STANDARD_OUTPUT
        try:
            self._file = (
                FileIO(STANDARD_OUTPUT_DESCRIPTOR, "w", closefd=False)
                if standard
                else open_now(path)
            )
        except OSError as error:
            raise ImageError(not_begun(self._name, error)) from None

    def write(self, value: int) -> None:
        """A byte; `close` tells if it could not be written. A reader who has gone is no error."""
        if self._file.closed:
            return
        try:
            self._file.write(bytes((value,)))
        except OSError as error:  # the guest goes on
            self._file.close()
            self._error = None if isinstance(error, BrokenPipeError) else error

    def close(self) -> None:
        """No more comes.

        Raises:
            ImageError: Something could not be written: the text ends there.
        """
        self._file.close()
        if self._error is not None:
            why = file_error(self._name, self._error, "the text is cut off")
            raise ImageError(why)
