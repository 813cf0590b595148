"""`vgaemu bench NAME`: measure, print the rows, write and draw them."""

from __future__ import annotations

from argparse import Namespace, RawDescriptionHelpFormatter
from textwrap import fill, indent

from vgaemu.bench import BENCHMARKS
from vgaemu.cli.options import Commands, file_path, positive
from vgaemu.cli.say import OutputError, say


def add_parser(commands: Commands) -> None:
    """Say what it takes."""
    names = (
        fill(f"{n:11}{what}", 78, subsequent_indent=" " * 11) for n, what in BENCHMARKS.items()
    )
    bench = commands.add_parser(
        "bench",
        help="measure: both sides in one run, medians, ratios",
        formatter_class=RawDescriptionHelpFormatter,
        epilog="\n".join(["names:", *(indent(name, "  ") for name in names)]),
    )
    bench.set_defaults(command=run)
    add = bench.add_argument
    add("name", choices=list(BENCHMARKS), metavar="NAME", help="one of those below")
    add("--runs", type=positive, default=5, metavar="N", help="repetitions (5)")
    add(
        "--only",
        action="append",
        default=[],
        metavar="PART",
        help="guest: fills, stores, ports, calls, harvests, boot, boots alone (or several: each)",
    )
    add("--json", type=file_path, metavar="F.json", help="write the rows too")
    add("--plot", type=file_path, metavar="F.png|svg", help="dirty-log, vga: draw the times, too")
    add("--heatmap", type=file_path, metavar="F.png|svg",
        help="dirty-log: draw which pages a run dirties in which frame")  # fmt: skip


def run(options: Namespace) -> int:
    """Measure; returns the exit status."""
    from vgaemu.bench.suite import run as measure
    from vgaemu.cli.files import check_files

    check_files([
        ("--json", options.json), ("--plot", options.plot), ("--heatmap", options.heatmap)
    ])  # fmt: skip
    unheard: list[OutputError] = []

    def hear(text: str) -> None:
        """What took minutes is printed before a file fails, and written though nobody reads."""
        try:
            say(text)
        except OutputError as error:
            unheard.append(error)

    measure(
        options.name, say=hear, runs=options.runs, json_file=options.json, plot=options.plot,
        heatmap=options.heatmap, parts=options.only,
    )  # fmt: skip
    if unheard:
        raise unheard[0]
    return 0
