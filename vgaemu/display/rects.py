"""Rectangles of the picture: joined where they stand on each other, and never too many."""

from __future__ import annotations

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
