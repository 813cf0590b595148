"""What the readings say, as tables: times, where schemes cross, counts, stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vgaemu.bench.counts import OF_A_HARVEST
from vgaemu.bench.dirty_log.formula import FORMULAS
from vgaemu.bench.dirty_log.readings import PATTERNS
from vgaemu.bench.measure import Row, table
from vgaemu.memslot import KEEPERS, why_unavailable

#: What is modelled, for whoever reads the counts.
MODELLED = """\
Counted: one reading of each scheme, equal to its formula (vgaemu/bench/dirty_log/formula.py).
Modelled are the calls that write-protect, the page table entries they look at and change, the words
of the bitmap, the flush and the grace period; not the interrupts of a flush and of a grace period,
nor what a cache miss in a real page table costs."""

#: Where the counts are shown: of these slots, so many dirty pages.
COUNTED = {"8 MiB": (0, 64, 512), "1 GiB": (0, 64, 8192, 1 << 18)}

#: Pairs of schemes whose crossing is of interest.
PAIRS = (
    ("words", "srcu-no-wait"),
    ("words", "pages"),
    ("flags", "kvm"),
    ("mmu", "kvm"),
)

#: (slot, pattern, dirty pages) -> scheme -> its row.
Points = dict[tuple[str, str, int], dict[str, Row]]


def points(rows: Sequence[Row]) -> Points:
    """The readings by what was dirty."""
    found: Points = {}
    for row in rows:
        if "median_ns" in row:
            key = row["slot"], row["lie"], row["dirty_pages"]
            found.setdefault(key, {})[row["scheme"]] = row
    return found


def tables(rows: Sequence[Row]) -> list[str]:
    """Times of each slot, where schemes cross, the counts, the stores, the processing."""
    by_point = points(rows)
    reasons = [why_unavailable(name) for name in KEEPERS]
    parts = ["\n".join(f"left out: {reason}" for reason in reasons if reason is not None)]
    for slot in dict.fromkeys(slot for slot, _, _ in by_point):
        parts.append(f"{slot}, us a reading: median (p99)\n{table(_times(slot, by_point))}")
    lines = list(_crossings(by_point))
    if lines:
        parts.append("Where schemes cross\n" + "\n".join(lines))
    parts.append(_counts(by_point))
    for head, key in (
        ("The store that gets logged, ns of CPU time a page", "stores_by"),
        ("A harvest, and what userspace does with the same pages", "processed_by"),
        ("Taking one word of the bitmap, ns", "taken_by"),
    ):
        mine = [row for row in rows if key in row]
        if mine:
            parts.append(f"{head}\n{table(mine)}")
    return parts


def us(ns: float) -> str:
    """Microseconds, with as many digits as say something."""
    return f"{ns / 1000:.1f}" if ns < 100_000 else f"{ns / 1000:,.0f}"


def _times(slot: str, by_point: Points) -> list[Row]:
    """A line for each (dirty pages, pattern), a column for each scheme."""
    return [
        {"dirty": count, "lie": lie}
        | {
            scheme: f"{us(row['median_ns'])} ({us(row['p99_ns'])})"
            for scheme, row in by_scheme.items()
        }
        for (its_slot, lie, count), by_scheme in by_point.items()
        if its_slot == slot
    ]


def _crossings(by_point: Points) -> Iterable[str]:
    for a, b in PAIRS:
        told = []
        for slot in dict.fromkeys(key[0] for key in by_point):
            for pattern in PATTERNS:
                ratios = [
                    (count, by[a]["median_ns"] / by[b]["median_ns"])
                    for (s, p, count), by in by_point.items()
                    if (s, p) == (slot, pattern) and a in by and b in by and count
                ]
                if ratios:
                    told.append(f"    {slot} {pattern}: {_ranges(ratios)}")
        if told:
            yield f"  {a} takes less than {b}:"
            yield from told


def _ranges(points: Sequence[tuple[int, float]]) -> str:
    """Which N the ratio is below 1 at, and its extremes."""
    ahead = [count for count, ratio in points if ratio < 1]
    ratios = [ratio for _, ratio in points]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} of its time"
    if len(ahead) == len(points):
        return f"always ({spread})"
    if not ahead:
        return f"never ({spread})"
    return f"at N = {', '.join(map(str, ahead))} of {points[0][0]} to {points[-1][0]} ({spread})"


def _counts(by_point: Points) -> str:
    """What each scheme did at some telling points."""
    at = [
        {"slot": slot, "dirty": count, "lie": lie, "scheme": scheme, "us": us(row["median_ns"])}
        | {name: round(row[name]) for name in OF_A_HARVEST}
        for (slot, lie, count), by_scheme in by_point.items()
        if count in COUNTED.get(slot, ()) and lie != "clustered"
        for scheme, row in by_scheme.items()
        if scheme in FORMULAS
    ]
    return f"{MODELLED}\n{table(at)}" if at else ""
