"""The core check of the project: a display that copies only the rectangles it is told of."""

import numpy as np

from vgaemu.display.loop import DisplayLoop


class ShadowDisplay:
    """Keeps a picture of its own, made of what `update` said had changed."""

    def __init__(self):
        self.frame = np.zeros((0, 0), np.uint32)
        self.rects = []
        self.reports = []
        self.resized = []
        self.closed = 0

    def resize(self, screen):
        self.resized.append(screen)
        # Nothing that was shown before may shine through.
        self.frame = np.full((screen.height, screen.width), 0xDEADBEEF, np.uint32)

    def update(self, frame, rects, report):
        for rect in rects:
            rows, columns = slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)
            self.frame[rows, columns] = frame[rows, columns]
        self.rects = list(rects)
        self.reports.append(report)

    def close(self):
        self.closed += 1


class Watched:
    """A display loop with a shadow; `frame` draws one and compares."""

    def __init__(self, vga, **options):
        self.vga = vga
        self.display = ShadowDisplay()
        self.loop = DisplayLoop(vga, self.display, **options)

    def frame(self):
        report = self.loop.draw_frame()
        self.check()
        return report

    def check(self):
        expected = self.loop.screen.full_redraw()
        assert np.array_equal(self.display.frame, expected), self.difference(expected)

    def difference(self, expected):
        if expected.shape != self.display.frame.shape:
            return f"shape {self.display.frame.shape}, full redraw has {expected.shape}"
        y, x = np.argwhere(expected != self.display.frame)[0]
        count = int((expected != self.display.frame).sum())
        return f"{count} pixels differ, the first at x={x} y={y}; drawn: {self.display.rects}"
