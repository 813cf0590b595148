"""The page of failed tests' screens: expected, actual, what differs; ``--vga-results DIR``.

One static file beside its pictures, without scripts: a CI job keeps the folder, a browser opens it
from there. Under pytest-xdist each worker writes its pictures, and the failures come with the
reports to whoever started the workers and writes the page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import numpy as np
import pytest
from numpy.typing import NDArray

from vgaemu.errors import file_error
from vgaemu.outputs import NewFile
from vgaemu.testing.pictures import rectangle_of

#: Pixels that differ, and the frame around all of them; the rest is this dark.
DIFFERS, FRAME, DARKER = (255, 0, 200), (255, 210, 0), 4
#: Pixels between the frame and what it is around.
FRAME_GAP = 4
#: Pictures up to this width are shown larger, pixel by pixel.
SMALL_WIDTH = 400
MADE_BY = '<meta name="generator" content="vgaemu">'
KINDS = ("expected", "actual", "difference")


class Shot(TypedDict):
    """Pictures of one comparison, or of a machine's last screen."""

    name: str
    #: What differs.
    lines: list[str]
    #: Path by kind, of `KINDS`, in their order; the width of the widest, in pixels.
    files: dict[str, str]
    width: int


class Failure(TypedDict):
    """A failed test. Strings and lists alone: it crosses from process to process."""

    test: str
    said: str
    #: Title and text.
    sections: list[tuple[str, str]]
    shots: list[Shot]


class Results:
    """The folder of a run's results, as a pytest plugin."""

    def __init__(self, folder: Path, *, writes_page: bool) -> None:
        """Take a folder, which is made if it is not there; pictures of earlier runs go.

        Raises:
            pytest.UsageError: It cannot be written, or has a page that is not ours.
        """
        self.folder, self._writes_page = folder, writes_page
        self._failures: list[Failure] = []
        self._told = f"screens of failed tests: {self.page}"
        try:
            if self.page.is_file() and MADE_BY not in self.page.read_text("utf-8", "replace"):
                raise pytest.UsageError(
                    f"--vga-results {folder}: has an index.html of somebody else; name another "
                    "folder"
                )
            self.pictures()
            if writes_page:
                self._write_page()
                for path in self.pictures().glob("*.png"):
                    if path.stem.rpartition("-")[2] in KINDS:
                        path.unlink()
        except OSError as error:
            told = file_error(f"--vga-results {folder}", error, "name a folder to write to")
            raise pytest.UsageError(told) from None

    def pictures(self) -> Path:
        """Where pictures go."""
        pictures = self.folder / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        return pictures

    @property
    def page(self) -> Path:
        """What a browser opens."""
        return self.folder / "index.html"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a failed test's report has."""
        failure = vars(report).get("vga_failure")
        if report.failed and failure is not None:  # not one that is run again
            self._failures.append(failure)

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        if self._writes_page:
            try:
                self._write_page()
            except OSError as error:  # the tests' own outcome is told all the same
                self._told = file_error(
                    f"--vga-results {self.folder}", error, "no page was written"
                )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where it is."""
        if self._writes_page and self._failures:
            terminalreporter.write_line(self._told)

    def _write_page(self) -> None:
        with NewFile(self.page) as file:
            file.write(page_of(self._failures, self.folder).encode())


def difference_picture(actual: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What was shown, dark and grey; what differs, bright, in a frame: (height, width, 3) uint8."""
    height, width = mask.shape
    shown = np.zeros((height, width, 3), np.uint8)
    grey = actual.mean(axis=2) / DARKER
    shown[: actual.shape[0], : actual.shape[1]] = grey[:, :, None].astype(np.uint8)
    if (around := rectangle_of(mask)) is not None:
        left, top = (max(0, low - FRAME_GAP) for low in around[:2])
        right, bottom = (
            min(around[2] + FRAME_GAP, width - 1),
            min(around[3] + FRAME_GAP, height - 1),
        )
        shown[[top, bottom], left : right + 1] = FRAME
        shown[top : bottom + 1, [left, right]] = FRAME
    shown[mask] = DIFFERS
    return shown


STYLE = """
:root { color-scheme: light dark; --line: #8885; --bad: #c22; --good: #27803c; }
@media (prefers-color-scheme: dark) { :root { --bad: #f77; --good: #6c8; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 110rem;
  padding: 0 1.5rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
section { border-top: 1px solid var(--line); padding: 1.25rem 0; }
pre { font: 13px/1.3 ui-monospace, "DejaVu Sans Mono", monospace; margin: .25rem 0 .75rem;
  overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { flex: 1 1 22rem; margin: 0; max-width: 45rem; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
img { border: 1px solid var(--line); display: block; max-width: 100%; }
img.small { image-rendering: pixelated; width: 100%; }
.was { color: var(--bad); } .now { color: var(--good); }
summary { cursor: pointer; }
"""


def page_of(failures: list[Failure], folder: Path) -> str:
    """The page, HTML; pictures are named from `folder`."""
    count = len(failures)
    title = f"{count} test{'s' * (count != 1)} failed" if count else "No test with a screen failed"
    body = "\n".join(
        line
        for failure in sorted(failures, key=lambda failure: failure["test"])
        for line in _failure(failure, folder)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"{MADE_BY}\n<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
    )


def _failure(failure: Failure, folder: Path) -> Iterator[str]:
    yield f"<section><h2>{escape(failure['test'])}</h2>"
    if not any(shot["lines"] for shot in failure["shots"]):
        yield f"<pre>{escape(failure['said'])}</pre>"
    for shot in failure["shots"]:
        yield f"<h3>{escape(shot['name'])}</h3>"
        if shot["lines"]:
            yield "<pre>" + "\n".join(map(_told, shot["lines"])) + "</pre>"
        yield '<div class="row">'
        for kind, path in shot["files"].items():
            link = quote(os.path.relpath(path, folder).replace(os.sep, "/"))
            small = ' class="small"' if shot["width"] <= SMALL_WIDTH else ""
            image = f'<img{small} loading="lazy" src="{link}" alt="{kind}">'
            yield f"<figure><figcaption>{kind}</figcaption>"
            yield f'<a href="{link}">{image}</a></figure>'
        yield "</div>"
    for title, text in failure["sections"]:
        yield f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
    yield "</section>"


def _told(line: str) -> str:
    kind = {"- ": "was", "+ ": "now"}.get(line[:2])
    return f'<span class="{kind}">{escape(line)}</span>' if kind else escape(line)
