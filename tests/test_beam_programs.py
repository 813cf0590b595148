"""Raster programs in machine code: each writes registers while the picture is drawn."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RASTER = Path(__file__).parent / "raster"
PROGRAMS = sorted(path.stem for path in RASTER.glob("*.asm"))


@pytest.mark.turns(6)
@pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not here")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_their_sources(name: str, tmp_path: Path) -> None:
    built = tmp_path / "built.com"
    subprocess.run(
        ["nasm", "-f", "bin", f"{name}.asm", "-o", built], check=True, timeout=60, cwd=RASTER
    )
    assert built.read_bytes() == (RASTER / f"{name}.com").read_bytes()
