"""Guest memory and its dirty log. Imports nothing else of vgaemu."""

from vgaemu.errors import KeeperUnavailable, MemslotError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.memslot.keeper import Counters
from vgaemu.memslot.keepers import KEEPERS
from vgaemu.memslot.kvm.ioctl import KVM_MEM_LOG_DIRTY_PAGES
from vgaemu.memslot.log import DirtyLog
from vgaemu.memslot.slot import Memslot, Subscription, why_unavailable
from vgaemu.memslot.vm import Vm

__all__ = [
    "KEEPERS",
    "KVM_MEM_LOG_DIRTY_PAGES",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "Counters",
    "DirtyLog",
    "KeeperUnavailable",
    "Memslot",
    "MemslotError",
    "Subscription",
    "Vm",
    "why_unavailable",
]
