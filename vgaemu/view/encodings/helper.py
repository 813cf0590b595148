"""The helper: a thread that makes bytes beside the one that sends them.

zlib lets go of the interpreter while it deflates, so that two threads do it on two processors, and
the viewer gets what is made already.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from vgaemu.view.encodings.base import Body


class Helper:
    """Does things in turn; there is a thread from the first one on."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "vgaemu viewer")

    def start(self, make: Body) -> Body | None:
        """Let it be made. Gives who waits for it; None: there is no thread, and will be none."""
        if self._thread is None:
            return None
        try:
            return self._thread.submit(make).result
        except RuntimeError:  # too many threads, or the interpreter ends
            self.close()
            return None

    def close(self) -> None:
        """No more; what was begun is ended. Twice is fine."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
