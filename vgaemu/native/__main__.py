"""``python -m vgaemu.native``: compile into the cache folder, for the processes that come after."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from vgaemu import native
from vgaemu.native import kept


def main() -> int:
    """Compile; 1, and why on stderr, if that cannot be."""
    if sys.platform != "win32":
        os.nice(10)
    folder, why = native.cache_folder(), native.why_not()
    if why is None:
        native.compile_all()
        why = native.why_not()
    if folder is None:
        why = why or native.told()
    elif why is None:
        (folder / kept.READY).touch()
    if folder is not None:
        with suppress(OSError):
            (folder / kept.LOCK).unlink(missing_ok=True)
    if why is not None:
        print(f"vgaemu.native: {why}", file=sys.stderr)
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main())
