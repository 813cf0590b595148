"""`vgaemu bench dirty-log`: kvm-unit-tests' dirty-log-perf grown up: every scheme side by side.

As there: a slot of S pages, N of them dirty, and one read is timed. Beyond it: N = 0; dirty pages
that are contiguous, in clusters of 8, and scattered evenly; every keeper present, taking turns;
many readings, so that there is a median and a p99; each reading checked by its population count and
by what it must have counted (`formula`); the cost of the store that gets logged beside the cost of
the read, for either alone misleads; what userspace does with the same pages (`processing`); and
what an exchange costs (`exchange`). `claims` judges by all that what the patch says.

`srcu` is shown with and without its grace-period wait. `kvm` is the bare ioctl KVM_GET_DIRTY_LOG
called from Python, behind a guest that runs natively, and behind one that KVM emulates where it has
only shadow page tables (see `vgaemu.memslot.kvm.guest`); `kvm-manual` is the same read followed by
KVM_CLEAR_DIRTY_LOG.
"""

from vgaemu.bench.dirty_log import exchange, processing, readings
from vgaemu.bench.dirty_log.claims import report
from vgaemu.bench.dirty_log.pictures import heatmap, plot
from vgaemu.bench.measure import RUNS, Row

__all__ = ["heatmap", "measure", "plot", "report"]


def measure(runs: int = RUNS) -> list[Row]:
    """All rows; `runs` multiplies the readings."""
    return [*readings.measure(runs), *processing.measure(runs), *exchange.measure(runs)]
