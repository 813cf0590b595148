"""A grader: each test is run for each submission, and what it is worth is summed up.

    pytest -n auto --submissions FOLDER --grades grades.csv

A submission is an .exe; FOLDER has one of each student. ``make_submissions.py FOLDER`` makes 200.
"""

import csv
from collections import defaultdict
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--submissions", metavar="FOLDER", type=Path, help="what is graded: *.exe")
    parser.addoption("--grades", metavar="F.csv", type=Path, help="write a line a submission")


def pytest_configure(config):
    config.addinivalue_line("markers", "points(n): what a test is worth")


def pytest_generate_tests(metafunc):
    if "submission" in metafunc.fixturenames:
        folder = metafunc.config.getoption("submissions")
        files = sorted(folder.glob("*.exe")) if folder else []
        metafunc.parametrize("submission", files, ids=[file.stem for file in files])


@pytest.fixture(autouse=True)
def _told(request, submission, record_property):
    """What the report of each test says for the grades; it crosses from xdist's workers."""
    record_property("submission", submission.stem)
    record_property("points", request.node.get_closest_marker("points").args[0])


def pytest_terminal_summary(terminalreporter, config):
    """A table of points, and the first reason why some are missing."""
    points, most, why = defaultdict(int), defaultdict(int), {}
    for report in (
        report
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, [])
        if report.when == "call"
    ):
        told = dict(report.user_properties)
        name = told["submission"]
        most[name] += told["points"]
        points[name] += told["points"] * report.passed
        if report.failed:
            why.setdefault(name, report.longrepr.reprcrash.message.splitlines()[0])
    rows = [(name, points[name], most[name], why.get(name, "")) for name in sorted(most)]
    if (path := config.getoption("grades")) is not None:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("submission", "points", "of", "why"), *rows])
    terminalreporter.section("grades")
    by_points = defaultdict(list)
    for name, got, of, _ in rows:
        by_points[got, of].append(name)
    for (got, of), names in sorted(by_points.items(), reverse=True):
        terminalreporter.write_line(f"{got} of {of}: {len(names)} submissions")
