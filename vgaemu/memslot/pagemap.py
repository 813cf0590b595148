"""`mmu`: the log kept by the host's own MMU. Linux 6.7 and later, no KVM and no privileges needed.

The slot's memory is registered with userfaultfd for asynchronous write protection (WP_ASYNC): the
first store to a protected page, however it is made, traps into the kernel, which lifts the
protection and lets the store go on; nobody in this process is asked. The ioctl PAGEMAP_SCAN then
finds the pages that are not protected any more and protects them again, in one step. So guests
write a plain numpy view, and the order of store and mark is the processor's business.

Not seen: stores to the same memory through another mapping of it. `Memslot.mark_dirty` reports
those, and is obeyed without a look at the MMU. Counted as faults are the pages found.

Sources: Documentation/admin-guide/mm/userfaultfd.rst and pagemap.rst, <linux/userfaultfd.h>,
<linux/fs.h>.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import mmap
import os
import platform
import struct
import sys
import weakref
from array import array

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import KeeperUnavailable
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.memslot.flags import flags_keeper
from vgaemu.memslot.keeper import Keeper
from vgaemu.memslot.log import DirtyLog, FlagsLog, RunLog

#: The number of the system call by `platform.machine()`.
SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282, "riscv64": 282}
UFFD_USER_MODE_ONLY = 1
UFFD_API = 0xAA
UFFD_FEATURE_WP_UNPOPULATED = 1 << 13
UFFD_FEATURE_WP_ASYNC = 1 << 15
UFFDIO_API = 0xC018AA3F  # u64 api, features, ioctls
UFFDIO_REGISTER = 0xC020AA00  # u64 start, length, mode, ioctls
UFFDIO_REGISTER_MODE_WP = 2
UFFDIO_UNREGISTER = 0x8010AA01  # u64 start, length
UFFDIO_WRITEPROTECT = 0xC018AA06  # u64 start, length, mode
UFFDIO_WRITEPROTECT_MODE_WP = 1

PAGEMAP_SCAN = 0xC0606610
PM_SCAN_WP_MATCHING = 1
PM_SCAN_CHECK_WPASYNC = 2
PAGE_IS_WRITTEN = 2
#: struct pm_scan_arg: u64 size, flags, start, end, walk_end, vec, vec_len, max_pages, and the masks
#: category_inverted, category_mask, category_anyof_mask, return_mask.
SCAN_BYTES, SCAN_FLAGS, SCAN_START, SCAN_WALK_END = 96, 1, 2, 4
#: struct page_region: u64 start, end, categories.
REGION = struct.Struct("<3Q")
#: Regions of one scan; a harvest goes on where the table was full.
REGIONS = 1 << 15

#: Below 34 pages the kernel flushes the TLB page by page: a scan of 33 pages with one dirty costs
#: seven times that of 34 (4.7 us and 0.65 us). So smaller slots are given memory they do not use.
MIN_PAGES = 34
#: Write protection of pages never touched takes page-table entries, 8 bytes a page: 32 MiB of them.
MAX_PAGES = 1 << 22
#: Up to so many runs of dirty pages are put into the map one by one. Beyond them numpy does it in
#: a few calls, but numpy lets go of the GIL, and busy guest threads then make the harvest wait.
MAX_SET_SINGLY = 64


class MmuKeeper(Keeper):
    """Write protection in the page tables of this process."""

    name = "mmu"
    sees_all_stores = True
    #: In a forked child: the log is its parent's.
    is_parents = False

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        """Register the memory, page-aligned and private or shared, and write-protect it."""
        super().__init__(npages, memory)
        if npages > MAX_PAGES:
            raise KeeperUnavailable(f"mmu: a slot may have {MAX_PAGES} pages, not {npages}")
        # The store path never has to fault: the processor does.
        self.writable[:] = b"\1" * len(self.writable)
        #: What `mark_dirty` was told.
        self._marks = flags_keeper(npages, memory)
        self._retired = False
        libc, self._uffd, self._pagemap = self._open_files()
        self._libc_ioctl = libc.ioctl
        _KEEPERS.add(self)
        self._memory = memory  # stays mapped as long as it is registered
        self._start, self._nbytes = memory.ctypes.data, memory.nbytes
        self._regions = bytearray(REGION.size * min(REGIONS, npages // 2 + 1))
        address, count = np.frombuffer(self._regions, np.uint8).ctypes.data, len(self._regions)
        flags, end = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC, self._start + self._nbytes
        head = [SCAN_BYTES, flags, self._start, end, 0, address, count // REGION.size, 0]
        self._scan_fields = array("Q", [*head, 0, PAGE_IS_WRITTEN, 0, PAGE_IS_WRITTEN])
        self._scan_arguments = (
            ctypes.c_int(self._pagemap),
            ctypes.c_ulong(PAGEMAP_SCAN),
            ctypes.c_void_p(self._scan_fields.buffer_info()[0]),
        )
        self._begin()

    def _open_files(self) -> tuple[ctypes.PyDLL, int, int]:
        """The C library, a userfaultfd with write protection, and the page map."""
        number = SYS_USERFAULTFD.get(platform.machine())
        if sys.platform != "linux" or number is None:
            raise KeeperUnavailable(
                f"mmu: {sys.platform} on {platform.machine()} has no userfaultfd"
            )
        # PyDLL keeps the GIL: these calls take microseconds, and getting it back beside busy
        # threads takes milliseconds.
        libc = ctypes.PyDLL(None, use_errno=True)
        fd = libc.syscall(ctypes.c_long(number), os.O_CLOEXEC | UFFD_USER_MODE_ONLY)
        if fd < 0:
            why = os.strerror(ctypes.get_errno())
            raise KeeperUnavailable(f"mmu: the system gives no userfaultfd: {why}")
        self.close_with(os.close, fd)
        try:
            pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise KeeperUnavailable(f"mmu: /proc/self/pagemap: {error.strerror}") from None
        self.close_with(os.close, pagemap)
        return libc, fd, pagemap

    def _begin(self) -> None:
        features = UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC
        try:
            self._ioctl(UFFDIO_API, struct.pack("<3Q", UFFD_API, features, 0))
        except OSError:
            raise KeeperUnavailable(
                "mmu: asynchronous write protection needs Linux 6.7 or later"
            ) from None
        if self._start % PAGE_SIZE or mmap.PAGESIZE != PAGE_SIZE:
            raise KeeperUnavailable(
                f"mmu: memory at {self._start:#x} is not aligned to 4 KiB pages"
            )
        try:
            self._register()
        except OSError as error:
            raise KeeperUnavailable(f"mmu: this memory cannot be registered: {error}") from None
        try:
            self._protect_all()
            self._scan()
        except OSError as error:
            raise KeeperUnavailable(f"mmu: PAGEMAP_SCAN: {error.strerror}") from None

    def _ioctl(self, request: int, argument: bytes) -> None:
        buffer = ctypes.create_string_buffer(argument, len(argument))
        if self._libc_ioctl(self._uffd, ctypes.c_ulong(request), buffer) < 0:
            raise self._failed("userfaultfd")

    def _failed(self, call: str) -> OSError:
        """Why a system call has.

        Raises:
            KeeperUnavailable: This is a child of the process that made the log.
        """
        code = ctypes.get_errno()
        if self.is_parents:
            raise KeeperUnavailable(
                "mmu: a log works in the process that made it, and this is a fork of that; "
                "make another slot here"
            )
        return OSError(code, f"{call}: {os.strerror(code)}")

    def _register(self) -> None:
        registration = struct.pack("<4Q", self._start, self._nbytes, UFFDIO_REGISTER_MODE_WP, 0)
        try:
            self._ioctl(UFFDIO_REGISTER, registration)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            # By another slot; one that nobody holds any more is gone once its cycle is collected.
            gc.collect()
            self._ioctl(UFFDIO_REGISTER, registration)

    def _protect_all(self) -> None:
        everything = struct.pack("<3Q", self._start, self._nbytes, UFFDIO_WRITEPROTECT_MODE_WP)
        self._ioctl(UFFDIO_WRITEPROTECT, everything)

    def fault(self, page: int) -> None:
        # In this order: who finds the page writable has landed before this mark is harvested.
        self._marks.fault(page)
        self.writable[page] = 1

    def fault_range(self, start: int, end: int) -> None:
        self._marks.fault_range(start, end)
        self.writable[start:end] = b"\1" * (end - start)

    def harvest(self) -> DirtyLog:
        """Find and protect in one ioctl, which flushes before it returns."""
        runs = self._scan()
        marks = self._marks.harvest()
        if not runs:
            return marks or self.nothing_dirty
        counters = self._counters
        counters.protect_calls += 1
        counters.flushes += 1
        if len(runs) == 1:
            start, end = runs[0]
            log: DirtyLog = RunLog(self.npages, start, end)
            found = end - start
        else:
            flags = self._flags_of(runs)
            log = FlagsLog(self.npages, flags)
            found = flags.count(1)
        counters.faults += found
        counters.protected_pages += found
        return log | marks

    def has_marks(self) -> bool:
        return self._marks.has_marks()

    def harvest_marks(self) -> DirtyLog:
        return self._marks.harvest() or self.nothing_dirty

    def take_over(self) -> None:
        """Stores that landed before the MMU looked are caught in software, once a page."""
        self.writable[:] = bytes(len(self.writable))
        if self._retired:
            try:
                self._register()
                self._protect_all()
            except OSError as error:
                raise KeeperUnavailable(f"mmu: this memory cannot be registered: {error}") from None
            self._retired = False

    def retire(self) -> None:
        """From now on a plain store traps into the kernel no more, and nobody sees it."""
        self._retired = True
        try:
            for start, end in self._scan():
                self._marks.fault_range(start, end)
            self._ioctl(UFFDIO_UNREGISTER, struct.pack("<2Q", self._start, self._nbytes))
        except (OSError, KeeperUnavailable):  # a fork, for instance, is told nothing
            self._marks.fault_range(0, self.npages)

    def written(self) -> list[tuple[int, int]]:
        """What the next harvest would find, as half-open runs of pages; nothing is changed."""
        self._scan_fields[SCAN_FLAGS] = PM_SCAN_CHECK_WPASYNC
        try:
            return self._scan()
        finally:
            self._scan_fields[SCAN_FLAGS] |= PM_SCAN_WP_MATCHING

    def _scan(self) -> list[tuple[int, int]]:
        """Written pages as half-open runs, ascending; they are protected again."""
        fields = self._scan_fields
        base, end = self._start, self._start + self._nbytes
        runs: list[tuple[int, int]] = []
        fields[SCAN_START] = base
        while True:
            count = self._libc_ioctl(*self._scan_arguments)
            if count < 0:
                if ctypes.get_errno() == errno.EINTR:
                    continue
                raise self._failed("PAGEMAP_SCAN")
            if count:
                table = memoryview(self._regions)[: count * REGION.size]
                runs += [
                    (first - base >> PAGE_SHIFT, last - base >> PAGE_SHIFT)
                    for first, last, _ in REGION.iter_unpack(table)
                ]
            walked = fields[SCAN_WALK_END]
            if walked >= end:
                return runs
            fields[SCAN_START] = walked

    def _flags_of(self, runs: list[tuple[int, int]]) -> bytes:
        """One 0/1 byte a page."""
        if len(runs) <= MAX_SET_SINGLY:
            flags = bytearray(len(self.writable))
            for start, end in runs:
                flags[start:end] = b"\1" * (end - start)
            return bytes(flags)
        edges = np.array(runs)
        steps = np.zeros(len(self.writable) + 1, np.int8)
        # Where a scan goes on after a full table, a page may be named twice.
        np.add.at(steps, edges[:, 0], 1)
        np.add.at(steps, edges[:, 1], -1)
        return (np.cumsum(steps[:-1], dtype=np.int8) > 0).tobytes()

    def start(self) -> None:
        """Protect everything and drop all marks; what is stored in between is marked by the MMU."""
        self._marks.start()
        self._protect_all()

    def stop(self) -> None:
        """Nothing to do: stores go on to be seen, and nobody asks."""

    def close(self) -> None:
        _KEEPERS.discard(self)  # its files' numbers are others' soon
        super().close()


_KEEPERS: weakref.WeakSet[MmuKeeper] = weakref.WeakSet()


def _close_in_child() -> None:
    """A forked child has its parent's files, and a scan there would clear the parent's log.

    From now on it fails in words, as KVM's log does in a child. The numbers stay taken: they are
    closed with the keeper.
    """
    keepers = list(_KEEPERS)
    if keepers:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for keeper in keepers:
            keeper.is_parents = True
            os.dup2(null, keeper._uffd, inheritable=False)
            os.dup2(null, keeper._pagemap, inheritable=False)
        os.close(null)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
