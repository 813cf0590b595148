"""Random tapes against a live QEMU, where it and the oracle's replayer for it are at hand.

The replayer lies beside the checkout, in ``../shared/oracle``, and is not part of the project.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from goldens import Outcome, differences, play

from vgaemu.tape import check_op, expand

ORACLE = Path(__file__).parents[2] / "shared" / "oracle"
MISSING = [
    *(name for name in ("qemu-system-x86_64", "nasm") if shutil.which(name) is None),
    *(["../shared/oracle"] if not (ORACLE / "qemu.py").is_file() else []),
]
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}"),
]

FIRST_SEED, TAPES = 77_000, 40


def loaded(name: str) -> ModuleType:
    """A module of the oracle's, by its file: `fuzz` is also a package of these tests."""
    spec = spec_from_file_location(f"oracle_{name}", ORACLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def oracle() -> Iterator[dict[str, ModuleType]]:
    sys.path.insert(0, str(ORACLE))  # for what they import
    try:
        yield {name: loaded(name) for name in ("qemu", "fuzz")}
    finally:
        sys.path.remove(str(ORACLE))


@pytest.fixture(scope="module")
def qemu(oracle: dict[str, ModuleType]) -> Iterator[Any]:
    with oracle["qemu"].Qemu() as started:
        yield started


@pytest.mark.turns(5)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + TAPES))
def test_random_tapes(oracle: dict[str, ModuleType], qemu: Any, seed: int) -> None:
    tape = oracle["fuzz"].make(seed)
    for op in tape["ops"]:
        check_op(op)
    rgb, readbacks = qemu.run(tape)
    got = play(chain.from_iterable(map(expand, tape["ops"])))
    found = differences(tape, got, Outcome(np.asarray(rgb), readbacks))
    assert not found, f"{tape['desc']}: {'; '.join(found.values())}"
