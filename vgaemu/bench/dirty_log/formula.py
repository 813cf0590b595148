"""What each scheme must have counted at a reading: worked out from which pages are dirty, no more.

In the patch's own units (Linux 3.3, arch/x86/kvm): calls that write-protect, page table entries
those looked at and changed, words of the bitmap looked at and exchanged, flushes, grace periods.
The slot was written all over once, so each table of 512 entries that it can have is there.

- `words`: every word is looked at; one that is not 0 is exchanged, and costs one call for the
  pages from its first set bit to its last.
- `pages`: the same with a call for each set bit.
- `srcu`: nothing if nothing is dirty. Else a grace period, and then, with fewer dirty pages than
  tables, a call for each dirty page found in the bitmap; with as many or more, one walk over every
  entry of every table.
- `flags`: a byte a page that is its own entry; 64 of them count as a word. One call clears all from
  the first dirty page to the last; `sparse` makes one in each part of 4096 pages that has dirt, for
  whole words.
"""

from __future__ import annotations

from collections.abc import Sequence

from vgaemu.memslot.bitmap import PART_PAGES, WORD_PAGES, Span, word_count

#: Entries of a page table, and so guest pages under one shadow page.
TABLE_ENTRIES = 512

#: Name in `Counters` -> how many.
Counts = dict[str, int]


def first_to_last(runs: Sequence[Span], pages: int) -> list[Span]:
    """For each group of so many pages that has dirt, from its first dirty page to its last."""
    found: dict[int, Span] = {}
    for start, end in runs:
        for group in range(start // pages, (end - 1) // pages + 1):
            first, last = max(start, group * pages), min(end, (group + 1) * pages)
            found[group] = (found[group][0] if group in found else first), last
    return list(found.values())


def expected(scheme: str, runs: Sequence[Span], npages: int) -> Counts:
    """What a reading adds to the counters; empty for a scheme whose counts are its own affair."""
    return FORMULAS[scheme](runs, npages) if scheme in FORMULAS else {}


def _words(runs: Sequence[Span], npages: int) -> Counts:
    spans = first_to_last(runs, WORD_PAGES)
    return _counts(
        runs,
        words_looked_at=word_count(npages),
        exchanges=len(spans),
        protect_calls=len(spans),
        protected_pages=sum(end - start for start, end in spans),
    )


def _pages(runs: Sequence[Span], npages: int) -> Counts:
    dirty = _dirty(runs)
    return _words(runs, npages) | {
        "protect_calls": dirty, "protected_pages": dirty, "clean_pages": 0,
        "entries_looked_at": dirty,
    }  # fmt: skip


def _srcu(runs: Sequence[Span], npages: int) -> Counts:
    dirty, tables = _dirty(runs), -(-npages // TABLE_ENTRIES)
    if not dirty:
        return _counts(runs)
    if dirty < tables:
        return _counts(
            runs,
            words_looked_at=word_count(npages),
            protect_calls=dirty,
            protected_pages=dirty,
            grace_periods=1,
        )
    walk = _counts(runs, protect_calls=1, protected_pages=npages, grace_periods=1)
    return walk | {"entries_looked_at": TABLE_ENTRIES * tables}


def _flags(runs: Sequence[Span], npages: int) -> Counts:
    if not runs:
        return _counts(runs)
    return _counts(
        runs,
        words_looked_at=word_count(npages),
        protect_calls=1,
        protected_pages=runs[-1][1] - runs[0][0],
    )


def _sparse(runs: Sequence[Span], npages: int) -> Counts:
    parts = first_to_last(runs, PART_PAGES)
    whole_words = [(word_count(end) - start // WORD_PAGES) * WORD_PAGES for start, end in parts]
    return _counts(
        runs,
        words_looked_at=PART_PAGES // WORD_PAGES * len(parts),
        protect_calls=len(parts),
        protected_pages=sum(whole_words),
    )


FORMULAS = {"words": _words, "pages": _pages, "srcu": _srcu, "flags": _flags, "sparse": _sparse}


def _dirty(runs: Sequence[Span]) -> int:
    return sum(end - start for start, end in runs)


def _counts(
    runs: Sequence[Span],
    *,
    words_looked_at: int = 0,
    exchanges: int = 0,
    protect_calls: int = 0,
    protected_pages: int = 0,
    grace_periods: int = 0,
) -> Counts:
    """The rest follows: each page covered is an entry looked at, each dirty one is changed."""
    dirty = _dirty(runs)
    return {
        "words_looked_at": words_looked_at,
        "exchanges": exchanges,
        "protect_calls": protect_calls,
        "protected_pages": protected_pages,
        "clean_pages": protected_pages - dirty,
        "entries_looked_at": protected_pages,
        "entries_changed": dirty,
        "flushes": int(dirty > 0),
        "grace_periods": grace_periods,
    }
