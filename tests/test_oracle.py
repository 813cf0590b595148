"""79 tapes against what QEMU 7.2 draws and reads, and what hardware does where QEMU is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from goldens import differences, goldens, play_file, tape_files, tape_name


@pytest.mark.parametrize("path", tape_files(), ids=tape_name)
def test_tape(path: Path, record_property: Callable[[str, object], None]) -> None:
    header, got = play_file(path)
    accepted, is_hardware = goldens(tape_name(path))
    found = min((differences(header, got, want) for want in accepted), key=len)
    if not is_hardware:
        # Without a hardware golden, what QEMU is known to get wrong is noted and not judged.
        for quirk in header.get("quirks", []):
            noted = found.pop(quirk.split(":")[0], None)
            if noted is not None:
                record_property(f"noted {quirk}", f"{header['hw']}: {noted}")
    assert not found, "; ".join(found.values())


def test_all_tapes_are_there() -> None:
    assert len(tape_files()) == 79
