"""The patch's claims in its own words, each with a command, a verdict and its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from textwrap import fill
from typing import NamedTuple

from vgaemu.bench.dirty_log import exchange, processing
from vgaemu.bench.dirty_log.readings import PATTERNS
from vgaemu.bench.dirty_log.tables import Points, points, tables, us
from vgaemu.bench.measure import Row

#: Dirty pages up to which the patch says that it is ahead, and its latency under VGA.
CLAIM_PAGES = 8192
CLAIM_NS = (50_000, 300_000)
COMMAND = "vgaemu bench dirty-log"
#: What is still a bit, in times.
A_BIT = 1.5
TIMED = "The predecessor's CPU time, as times of the patch"


def report(rows: Sequence[Row]) -> str:
    """Tables, and the patch's claims."""
    told = ["\n".join(map(_wrapped, text.splitlines())) for text in claims(rows)]
    parts = [*tables(rows), "The patch's claims, here", *told]
    return "\n\n".join(part for part in parts if part)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return fill(line, 100, initial_indent="", subsequent_indent=indent + "  ")


class Claim(NamedTuple):
    """What the patch says, and how it is looked at here."""

    text: str
    command: str
    #: Rows -> verdicts, a line each; none without such rows.
    judge: Callable[[Sequence[Row]], Iterable[str]]
    limits: str


def claims(rows: Sequence[Row]) -> list[str]:
    """The patch's claims, a paragraph each."""
    judged = [(claim, list(claim.judge(rows))) for claim in CLAIMS]
    return [
        "\n".join(
            (
                f"  '{claim.text}'",
                f"    command: {claim.command}",
                *(f"    verdict: {verdict}" for verdict in verdicts),
                f"    limits: {claim.limits}",
            )
        )
        for claim, verdicts in judged
        if verdicts
    ]


class Ratio(NamedTuple):
    """What one scheme has as times of another, and where."""

    times: float
    where: str


def _ratios(
    rows: Sequence[Row], what: str, of: str, to: str, *, lie: str, below: bool | None = None
) -> list[Ratio]:
    """Ascending; `below` (or above) `CLAIM_PAGES`, or both."""
    return sorted(
        Ratio(by[of][what] / by[to][what], f"{count} pages of {slot}")
        for (slot, pattern, count), by in points(rows).items()
        if pattern == lie and {of, to} <= by.keys() and count
        if below in (None, count <= CLAIM_PAGES)
    )


def _spread(ratios: Sequence[Ratio]) -> str:
    """From the least to the most, and the middle."""
    least, most = ratios[0], ratios[-1]
    return (
        f"{least.times:.2f} ({least.where}) to {most.times:.2f} ({most.where}),"
        f" {median(ratio.times for ratio in ratios):.2f} in the middle"
    )


def _faster_below(rows: Sequence[Row]) -> Iterable[str]:
    for lie in PATTERNS:
        counted = _ratios(rows, "entries_looked_at", "srcu", "words", lie=lie, below=True)
        if not counted:
            continue
        yield (
            f"counted, {lie}: {_verdict(counted)}. Page table entries that the predecessor looks"
            f" at, as times of the patch: {_spread(counted)}."
        )
        timed = _ratios(rows, "cpu_ns", "srcu", "words", lie=lie, below=True)
        yield f"timed, {lie}: {_verdict(timed)}. {TIMED}: {_spread(timed)}."


def _slower_above(rows: Sequence[Row]) -> Iterable[str]:
    for lie in PATTERNS:
        counted = _ratios(rows, "entries_looked_at", "srcu", "words", lie=lie, below=False)
        if not counted:
            continue
        most = counted[-1].times
        verdict = "holds" if most < A_BIT else "does not hold, the patch looks at fewer entries"
        yield (
            f"counted, {lie}: {verdict}. Entries that the predecessor looks at in one walk, as"
            f" times of the patch, which exchanges a word and calls for each 64 pages:"
            f" {_spread(counted)}."
        )
        timed = _ratios(rows, "cpu_ns", "srcu", "words", lie=lie, below=False)
        least, most = timed[0].times, timed[-1].times
        verdict = (
            "not everywhere" if most > 1 else "holds" if least > 1 / A_BIT else "by more than a bit"
        )
        yield f"timed, {lie}: {verdict}. {TIMED}: {_spread(timed)}."


def _verdict(ratios: Sequence[Ratio]) -> str:
    """Whether the patch is ahead, and nowhere behind."""
    ahead = sum(ratio.times > 1 for ratio in ratios)
    behind = sum(ratio.times < 1 for ratio in ratios)
    if behind:
        return f"ahead at {ahead} of {len(ratios)}"
    if ahead == len(ratios):
        return "holds"
    return f"holds at {ahead} of {len(ratios)}, level at the others" if ahead else "level"


def _processing(rows: Sequence[Row]) -> Iterable[str]:
    mine = [row for row in rows if "processed_by" in row and row["scheme"] == "words"]
    by_point = points(rows)
    for what in dict.fromkeys(row["processed_by"] for row in mine):
        for scheme in ("words", "kvm"):
            shares = [
                (100 * ns / row["processing_ns"], f"{row['dirty_pages']} {row['lie']}")
                for row in mine
                if row["processed_by"] == what
                for ns in _harvests_ns(row, scheme, by_point)
            ]
            if shares:
                (least, at_least), (most, at_most) = min(shares), max(shares)
                verdict = "holds" if most < 100 else "not everywhere"
                yield (
                    f"{what}, beside a harvest by {scheme}: {verdict}. That takes {_rounded(least)}"
                    f" ({at_least}) to {_rounded(most)} ({at_most}) per cent of it."
                )


def _rounded(share: float) -> str:
    """To two digits, and never as a power of ten.

    >>> _rounded(4.54), _rounded(391.2)
    ('4.5', '390')
    """
    return f"{float(f'{share:.2g}'):g}"


def _harvests_ns(row: Row, scheme: str, by_point: Points) -> list[float]:
    """What a harvest of the same pages takes, if it was measured."""
    if scheme == row["scheme"]:
        return [row["harvest_ns"]]
    at = by_point.get((processing.COPIED_SLOT, row["lie"], row["dirty_pages"]), {})
    return [at[scheme]["cpu_ns"]] if row["processed_by"] == "copy" and scheme in at else []


def _latency(rows: Sequence[Row]) -> Iterable[str]:
    small = [
        row
        for row in rows
        if row.get("slot") == "256 KiB" and row.get("scheme") in ("words", "kvm")
    ]
    for scheme in dict.fromkeys(row["scheme"] for row in small):
        mine = [row for row in small if row["scheme"] == scheme]
        middle = max(row["median_ns"] for row in mine)
        p99 = median(row["p99_ns"] for row in mine)
        side = "below" if p99 < CLAIM_NS[0] else "within" if p99 <= CLAIM_NS[1] else "above"
        yield (
            f"{scheme}, nobody beside it: at most {us(middle)} us in the median, p99 {us(p99)} us"
            f" in the middle: {side} that."
        )


def _exchange(rows: Sequence[Row]) -> Iterable[str]:
    mine = [row for row in rows if "taken_by" in row]
    for beside in dict.fromkeys(row["beside"] for row in mine):
        took = {row["taken_by"]: row["ns_a_word"] for row in mine if row["beside"] == beside}
        others = ", ".join(
            f"a {how} {ns:,.0f}" for how, ns in took.items() if how != exchange.EXCHANGE
        )
        yield f"{beside}: an exchange takes {took[exchange.EXCHANGE]:,.0f} ns a word, {others}."


def _span(rows: Sequence[Row]) -> Iterable[str]:
    for lie in PATTERNS:
        calls = _ratios(rows, "protect_calls", "pages", "words", lie=lie)
        if not calls:
            continue
        entries = _ratios(rows, "entries_looked_at", "words", "pages", lie=lie)
        yield (
            f"counted, {lie}: calls for set bits, as times of calls for spans: {_spread(calls)};"
            f" entries that spans look at, as times of set bits: {_spread(entries)}."
        )
        timed = _ratios(rows, "cpu_ns", "pages", "words", lie=lie)
        yield f"timed, {lie}: {_verdict(timed)}. Set bits as times of spans: {_spread(timed)}."


def _none_lost(rows: Sequence[Row]) -> Iterable[str]:
    readings = sum(
        row["readings"] for row in rows if "readings" in row and row["scheme"] != "srcu-no-wait"
    )
    yield f"holds: {readings:,} readings, 0 wrong readings, each with exactly the pages written."


CLAIMS = (
    Claim(
        "nice improvement, some times faster than before, when the number of dirty pages was below"
        " 8K",
        COMMAND,
        _faster_below,
        "the counts are the kernel's, the times Python's, which takes as long for one word as to"
        " look at thousands of entries in a row. They are CPU time, since other work on the machine"
        " prolongs long readings more than short ones. Nobody holds a read-side section here, so"
        " nobody waits; the kernel sent interrupts to every CPU even then.",
    ),
    Claim(
        "For other cases we saw a bit of regression",
        COMMAND,
        _slower_above,
        "as above; only slots of 1 GiB have so many pages. dirty-log-perf, of which the patch"
        " speaks, scatters them.",
    ),
    Claim(
        "but still enough fast compared to the processing of these dirty pages in the userspace",
        COMMAND,
        _processing,
        "a redraw of 2560x1600x32 without presenting it; a copy to memory, with no link behind it;"
        " words takes a step of Python for each word, the kernel (kvm, the merged patch) does not.",
    ),
    Claim(
        "both VGA and live migration [...]: when the guest was reading a file, we originally saw a"
        " few ms of latency, but with the new method the latency was 50us to 300us",
        "vgaemu bench vga; vgaemu bench migrate",
        _latency,
        "the read alone; beside a guest that reads a file: those commands.",
    ),
    Claim(
        "what we need to care about is the pure xchg() overheads",
        COMMAND,
        _exchange,
        "a call from Python costs more than what it calls; the difference of the first two is the"
        " processor's.",
    ),
    Claim(
        "Even though the passed range may include clean pages, it is much faster than repeatedly"
        " call find_next_bit() due to the locality of dirty pages",
        COMMAND,
        _span,
        "`pages`, the merged form, calls for each set bit; both look at the same words. Its calls"
        " for pages in a row are carried out at once, so what a call costs is in no time here.",
    ),
    Claim(
        "to avoid losing data, we keep the following order for each bit",
        f"{COMMAND}; pytest tests/test_memslot_gaps.py",
        _none_lost,
        "one thread; stores in every gap of a harvest: the test.",
    ),
)
