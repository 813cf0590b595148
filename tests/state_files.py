"""What is in the file of a state, read by numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]


def arrays_of(file: Path | BinaryIO) -> Arrays:
    """All arrays, memories whole: as a file of up to version 4 had them."""
    with np.load(file, allow_pickle=False) as state:
        return with_whole_memories(dict(state))


def with_whole_memories(found: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """Arrays of a file, those of which each is a memory's used pages made one."""
    arrays = dict(found)
    for used in [name for name in arrays if name.endswith(".used")]:
        name = used.removesuffix(".used")
        memory = np.zeros((len(arrays[used]), 4096), np.uint8)
        memory[arrays.pop(used)] = arrays.pop(f"{name}.pages")
        arrays[name] = memory.reshape(-1)
    return arrays
