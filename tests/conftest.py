"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import date

import pytest

from vgaemu.cli.config import users_file


def pytest_configure(config: pytest.Config) -> None:
    """Fuzzing has another seed each day, and nobody's own options; xdist's workers inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Of a job in the background: what tests start would ignore it, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if users_file() is not None:
        os.environ["XDG_CONFIG_HOME"] = os.devnull
    os.environ.setdefault("VGAEMU_FUZZ_SEED", str(date.today().toordinal()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs only when its mark is asked for, and what has its days then, too."""
    if "long" not in config.option.markexpr:
        day = int(os.environ["VGAEMU_FUZZ_SEED"])
        left_out = {
            item
            for number, item in enumerate(items)
            if item.get_closest_marker("long")
            or ((turns := item.get_closest_marker("turns")) and (number + day) % turns.args[0])
        }
        config.hook.pytest_deselected(items=[*left_out])
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.line(f"fuzzing ran with VGAEMU_FUZZ_SEED={os.environ['VGAEMU_FUZZ_SEED']}")


@pytest.fixture(scope="session")
def dummy_driver() -> Iterator[None]:
    """Windows that nobody sees: SDL's dummy driver."""
    saved = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    yield
    if saved is None:
        del os.environ["SDL_VIDEODRIVER"]
    else:
        os.environ["SDL_VIDEODRIVER"] = saved
