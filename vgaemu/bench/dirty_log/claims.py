"""What the readings say: tables, where schemes cross, and a verdict on each claim of the patch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from vgaemu.bench.dirty_log.readings import COUNTERS, PATTERNS
from vgaemu.bench.measure import Row, table
from vgaemu.memslot import KEEPERS, why_unavailable

#: The patch's figures: dirty pages up to which it is ahead, and the latency under VGA.
CLAIM_PAGES = 8192
CLAIM_NS = (50_000, 300_000)


def report(rows: Sequence[Row]) -> str:
    """Tables a slot, where schemes cross, the stores, and the patch's claims."""
    readings = [row for row in rows if "median_ns" in row]
    reasons = [why_unavailable(name) for name in KEEPERS]
    parts = ["\n".join(f"left out: {reason}" for reason in reasons if reason is not None)]
    for slot in dict.fromkeys(row["slot"] for row in readings):
        mine = [row for row in readings if row["slot"] == slot]
        parts.append(f"{slot}, us a reading: median (p99)\n{table(_pivot(mine))}")
    lines = list(_crossings(readings))
    if lines:
        parts.append("Where schemes cross\n" + "\n".join(lines))
    parts.append(_why(readings))
    parts.append(
        "The store that gets logged, ns a page\n" + table([r for r in rows if "stores_by" in r])
    )
    parts.append("The patch's claims, here\n" + "\n".join(claims(readings)))
    return "\n\n".join(part for part in parts if part)


def _pivot(rows: Sequence[Row]) -> list[Row]:
    """A line for each (dirty pages, pattern), a column for each scheme."""
    lines: dict[tuple[int, str], Row] = {}
    for row in rows:
        key = row["dirty_pages"], row["lie"]
        line = lines.setdefault(key, {"dirty": key[0], "lie": key[1]})
        line[row["scheme"]] = f"{_us(row['median_ns'])} ({_us(row['p99_ns'])})"
    return list(lines.values())


def _us(ns: float) -> str:
    us = ns / 1000
    return f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def _medians(rows: Sequence[Row]) -> dict[tuple[str, str, int], dict[str, float]]:
    """(slot, pattern, dirty pages) -> scheme -> median."""
    found: dict[tuple[str, str, int], dict[str, float]] = {}
    for row in rows:
        key = row["slot"], row["lie"], row["dirty_pages"]
        found.setdefault(key, {})[row["scheme"]] = row["median_ns"]
    return found


#: Pairs of schemes whose crossing is of interest.
PAIRS = (
    ("words", "srcu-no-wait"),
    ("words", "pages"),
    ("flags", "kvm"),
    ("mmu", "kvm"),
)


def _crossings(rows: Sequence[Row]) -> Iterable[str]:
    medians = _medians(rows)
    for a, b in PAIRS:
        told = []
        for slot in dict.fromkeys(key[0] for key in medians):
            for pattern in PATTERNS:
                points = [
                    (count, by[a] / by[b])
                    for (s, p, count), by in medians.items()
                    if (s, p) == (slot, pattern) and a in by and b in by and count
                ]
                if points:
                    told.append(f"    {slot} {pattern}: {_ranges(points)}")
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


def _why(rows: Sequence[Row]) -> str:
    """Protect calls and protected pages at one telling point."""
    at = [
        {
            "dirty": row["dirty_pages"],
            "lie": row["lie"],
            "scheme": row["scheme"],
            **{name: round(row[name], 1) for name in COUNTERS},
        }
        for row in rows
        if row["slot"] == "8 MiB"
        and row["dirty_pages"] in (64, 512)
        and row["scheme"] in ("flags", "words", "pages", "srcu")
    ]
    return f"Why: counted per reading, 8 MiB\n{table(at)}" if at else ""


def _speed(rows: Sequence[Row], pattern: str, *, below: bool) -> str | None:
    """How long the predecessor takes, as times of `words`, up to `CLAIM_PAGES` or above."""
    ratios = sorted(
        (by["srcu-no-wait"] / by["words"], by["srcu"] / by["words"], f"{count} pages of {slot}")
        for (slot, lie, count), by in _medians(rows).items()
        if lie == pattern and "words" in by and count and (count <= CLAIM_PAGES) is below
    )
    if not ratios:
        return None
    least, most = ratios[0][0], ratios[-1][0]
    waited = [ratio for _, ratio, _ in ratios]
    if least > 1:
        verdict = "holds" if below else "does not hold, it stays faster"
    elif below or most >= 1:
        verdict = f"not at {ratios[0 if below else -1][2]}"
    else:
        verdict = "holds"
    return (
        f"{verdict}. The predecessor takes {least:.2f} to {most:.2f} times as long without its"
        f" wait ({min(waited):.2f} to {max(waited):.2f} with it)."
    )


def _latency(rows: Sequence[Row], scheme: str) -> str | None:
    small = [row for row in rows if row["slot"] == "256 KiB" and row["scheme"] == scheme]
    if not small:
        return None
    low, high = CLAIM_NS
    median, p99 = (max(row[key] for row in small) for key in ("median_ns", "p99_ns"))
    side = "below" if p99 < low else "within" if p99 <= high else "above"
    return (
        f"a 256 KiB slot takes at most {_us(median)} us median, {_us(p99)} us p99: {side} that"
        " (other hardware; the read alone, nothing else running)."
    )


def _none_lost(rows: Sequence[Row], _: str) -> str:
    readings = sum(row["readings"] for row in rows if row["scheme"] != "srcu-no-wait")
    return f"{readings:,} readings, each with exactly the pages written; under threads: the tests."


class Claim(NamedTuple):
    """What the patch says, of which patterns or schemes, and who judges it."""

    text: str
    of: tuple[str, ...]
    #: (readings, one of `of`) -> verdict, or None without such readings.
    judge: Callable[[Sequence[Row], str], str | None]


CLAIMS = (
    Claim("some times faster up to 8192 dirty pages", PATTERNS, partial(_speed, below=True)),
    Claim("a bit slower above", PATTERNS, partial(_speed, below=False)),
    Claim("VGA latency of 50 to 300 us", ("words", "kvm", "kvm-emulated"), _latency),
    Claim("no update lost", ("",), _none_lost),
)


def claims(rows: Sequence[Row]) -> list[str]:
    """The patch's claims, one verdict a line."""
    verdicts = [
        (claim.text, what, claim.judge(rows, what)) for claim in CLAIMS for what in claim.of
    ]
    return [
        f"  '{text}'{', ' if what else ''}{what}: {verdict}"
        for text, what, verdict in verdicts
        if verdict is not None
    ]
