"""The keepers by their names, as `dirty_log=` and `--dirty-log` have them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MemslotError
from vgaemu.memslot.bitmap import LARGE_PAGES
from vgaemu.memslot.compare import AND, CompareKeeper
from vgaemu.memslot.flags import flags_keeper
from vgaemu.memslot.keeper import Keeper
from vgaemu.memslot.kvm.keeper import KvmKeeper, KvmManualKeeper
from vgaemu.memslot.pagemap import MmuKeeper
from vgaemu.memslot.sparse import SparseKeeper
from vgaemu.memslot.srcu import SrcuKeeper
from vgaemu.memslot.words import PagesKeeper, WordsKeeper


def _flags_keeper(npages: int, memory: NDArray[np.uint8]) -> Keeper:
    """`flags` in the form that suits the slot."""
    return (SparseKeeper if npages > LARGE_PAGES else flags_keeper)(npages, memory)


#: What `dirty_log=` and `--dirty-log` accept; two with a + between are compared (`compare`).
KEEPERS: dict[str, Callable[[int, NDArray[np.uint8]], Keeper]] = {
    "flags": _flags_keeper,
    "sparse": SparseKeeper,
    "words": WordsKeeper,
    "pages": PagesKeeper,
    "srcu": SrcuKeeper,
    "mmu": MmuKeeper,
    "kvm": KvmKeeper,
    "kvm-manual": KvmManualKeeper,
}


def make_keeper(name: str, npages: int, memory: NDArray[np.uint8]) -> Keeper:
    """One of `KEEPERS`, or two of them, which are compared.

    Raises:
        MemslotError: There is no such keeper, or it cannot work here (`KeeperUnavailable`).
    """
    names = str(name).split(AND)
    if not set(names) <= KEEPERS.keys():
        raise MemslotError(f"no dirty log named {name!r}; there are: {', '.join(KEEPERS)}")
    makers = [KEEPERS[each] for each in names]
    if not len(set(names)) == len(names) <= 2:
        raise MemslotError(f"{name}: two different dirty logs are compared, as srcu{AND}words")
    try:
        if len(makers) == 2:
            return CompareKeeper(npages, memory, makers)
        return makers[0](npages, memory)
    except (MemoryError, OverflowError):
        raise MemslotError(f"a log of {npages} pages does not fit into memory") from None
