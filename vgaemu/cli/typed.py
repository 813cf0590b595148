"""Standard input as what comes to a guest's serial port: ``--serial -``.

A terminal hands over each key as it is, Enter as a carriage return, without an echo; Ctrl-C and
Ctrl-Z stay signals. It has its own modes back when this is closed, or the process ends. A process
in the background leaves a terminal alone.

Source: termios(3).
"""

from __future__ import annotations

import atexit
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

if sys.platform != "win32":
    import termios

STANDARD_INPUT = 0
#: Bytes that are read at a time; seconds after which a thread sees that it is closed, and after
#: which a guest that is behind is asked again.
READ_BYTES, LOOK_S = 1024, 0.05


class StandardInput:
    """Hands on what comes on standard input, on a thread of its own, until it is closed."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        """`write` takes bytes, and says how many it had room for."""
        self._write, self._closed = write, False
        self._modes: list[Any] | None = None
        self._take_terminal()
        self._thread = threading.Thread(target=self._read, name="standard input", daemon=True)
        self._thread.start()

    def _take_terminal(self) -> None:
        if sys.platform == "win32":
            return
        try:
            if os.tcgetpgrp(STANDARD_INPUT) != os.getpgrp():
                return
            self._modes = termios.tcgetattr(STANDARD_INPUT)
        except (OSError, termios.error):  # no terminal
            return
        modes = [*self._modes]
        modes[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP)
        modes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        modes[6] = [*modes[6]]
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        atexit.register(self._give_back)
        termios.tcsetattr(STANDARD_INPUT, termios.TCSANOW, modes)

    def _give_back(self) -> None:
        if sys.platform != "win32" and self._modes is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(STANDARD_INPUT, termios.TCSANOW, self._modes)
            self._modes = None
            atexit.unregister(self._give_back)

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # it is closed, or cannot be read
            while not self._closed:
                if not self._has_some():
                    continue
                data = os.read(STANDARD_INPUT, READ_BYTES)
                if not data:
                    return
                while data and not self._closed:
                    data = data[self._write(data) :]
                    if data:
                        time.sleep(LOOK_S)

    def _has_some(self) -> bool:
        if sys.platform == "win32":  # where only sockets can be waited for
            return True
        return bool(select.select([STANDARD_INPUT], [], [], LOOK_S)[0])

    def close(self) -> None:
        """No more is read, and the terminal is as it was. Closing twice is fine."""
        self._closed = True
        self._give_back()
        if sys.platform != "win32":
            self._thread.join()
