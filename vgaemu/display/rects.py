"""Rectangles of the picture: joined where they stand on each other, and never too many; cut."""

from __future__ import annotations

from collections.abc import Iterable

from vgaemu.display.report import Rect

#: More rectangles than this are worth less than the one around them (measured: dozens of tiny
#: presents cost more than a large one).
MAX_RECTS = 32


def merge_rects(rects: list[Rect]) -> list[Rect]:
    """Join rectangles that stand on each other, and give up details beyond `MAX_RECTS`.

    >>> merge_rects([Rect(0, 0, 720, 16), Rect(0, 16, 720, 16), Rect(9, 64, 9, 16)])
    [Rect(x=0, y=0, width=720, height=32), Rect(x=9, y=64, width=9, height=16)]
    """
    if len(rects) < 2:
        return rects
    merged: list[Rect] = []
    for rect in sorted(rects, key=lambda r: (r.x, r.width, r.y)):
        if merged:
            last = merged[-1]
            same_columns = (last.x, last.width) == (rect.x, rect.width)
            if same_columns and rect.y <= last.y + last.height:
                bottom = max(last.y + last.height, rect.y + rect.height)
                merged[-1] = Rect(last.x, last.y, last.width, bottom - last.y)
                continue
        merged.append(rect)
    return merged if len(merged) <= MAX_RECTS else _bands(merged)


def around(one: Rect | None, other: Rect | None) -> Rect | None:
    """The smallest rectangle around both.

    >>> around(Rect(0, 0, 9, 16), Rect(18, 16, 9, 16))
    Rect(x=0, y=0, width=27, height=32)
    """
    if one is None or other is None:
        return one or other
    left, top = min(one.x, other.x), min(one.y, other.y)
    right = max(one.x + one.width, other.x + other.width)
    bottom = max(one.y + one.height, other.y + other.height)
    return Rect(left, top, right - left, bottom - top)


def intersection(one: Rect, other: Rect) -> Rect | None:
    """What two rectangles share.

    >>> intersection(Rect(0, 0, 9, 9), Rect(6, 8, 9, 9))
    Rect(x=6, y=8, width=3, height=1)
    """
    x, y = max(one.x, other.x), max(one.y, other.y)
    right = min(one.x + one.width, other.x + other.width)
    bottom = min(one.y + one.height, other.y + other.height)
    return Rect(x, y, right - x, bottom - y) if x < right and y < bottom else None


def without(rect: Rect, hole: Rect) -> list[Rect]:
    """What is left of a rectangle: above a part of it, below, and at its sides.

    >>> without(Rect(0, 0, 9, 9), Rect(0, 2, 8, 7))
    [Rect(x=0, y=0, width=9, height=2), Rect(x=8, y=2, width=1, height=7)]
    """
    right, bottom = hole.x + hole.width, hole.y + hole.height
    parts = (
        Rect(rect.x, rect.y, rect.width, hole.y - rect.y),
        Rect(rect.x, bottom, rect.width, rect.y + rect.height - bottom),
        Rect(rect.x, hole.y, hole.x - rect.x, hole.height),
        Rect(right, hole.y, rect.x + rect.width - right, hole.height),
    )
    return [part for part in parts if part.width and part.height]


def without_parts(rects: Iterable[Rect], holes: Iterable[Rect]) -> list[Rect]:
    """What is left of rectangles beside others, which may overlap each other.

    >>> without_parts([Rect(0, 0, 9, 9)], [Rect(0, 0, 9, 2), Rect(0, 0, 4, 9)])
    [Rect(x=4, y=2, width=5, height=7)]
    """
    left = list(rects)
    for hole in holes:
        cut = [(rect, intersection(rect, hole)) for rect in left]
        left = [part for rect, shared in cut for part in _parts(rect, shared)]
    return left


def _parts(rect: Rect, hole: Rect | None) -> list[Rect]:
    return [rect] if hole is None else without(rect, hole)


def _bands(rects: list[Rect]) -> list[Rect]:
    """At most `MAX_RECTS` rectangles that cover `rects`: one around those of each height band.

    >>> _bands([Rect(0, 0, 9, 16), Rect(90, 4, 9, 16), Rect(0, 300, 9, 16)])
    [Rect(x=0, y=0, width=99, height=20), Rect(x=0, y=300, width=9, height=16)]
    """
    top, bottom = min(r.y for r in rects), max(r.y + r.height for r in rects)
    height = -(-(bottom - top) // MAX_RECTS)
    groups: dict[int, list[Rect]] = {}
    for rect in rects:
        groups.setdefault((rect.y - top) // height, []).append(rect)
    bands = []
    for group in groups.values():
        left, first = min(r.x for r in group), min(r.y for r in group)
        right = max(r.x + r.width for r in group)
        last = max(r.y + r.height for r in group)
        bands.append(Rect(left, first, right - left, last - first))
    return sorted(bands, key=lambda r: r.y)
