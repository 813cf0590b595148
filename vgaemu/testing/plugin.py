"""The plugin that pytest loads (entry point ``pytest11``): fixtures `vga` and `screen`, one option.

It is loaded in every test run of an environment that has vgaemu, so it costs those nothing: what
imports numpy or syrupy waits for a fixture, or for ``--vga-results``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

# Type checkers know the names; at run time they would be what this module is to spare others.
if TYPE_CHECKING:
    from vgaemu.testing.evidence import Evidence, MachineFactory
    from vgaemu.testing.results import Results
    from vgaemu.testing.screens import ScreenAssertion

NEEDS_SYRUPY = "the fixture 'screen' needs syrupy: pip install 'vgaemu[pytest]'"
NEEDS_PLUGIN = "the fixture 'screen' needs syrupy's plugin: drop -p no:syrupy"

EVIDENCE: pytest.StashKey[Evidence] = pytest.StashKey()
RESULTS: pytest.StashKey[Results] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option."""
    parser.getgroup("vgaemu").addoption(
        "--vga-results", metavar="DIR", default=None,
        help="write a page of the screens of failed tests to DIR/index.html: expected, actual and "
        "what differs",
    )  # fmt: skip


class PlainImports:
    """Lets Python import vgaemu itself.

    pytest would compile all modules of a plugin's distribution anew for the sake of its assertions:
    seconds in the first run, and a slower start in each.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module of vgaemu; of others nothing is known here."""
        return PathFinder.find_spec(name, path, target) if name.startswith("vgaemu.") else None


def pytest_configure(config: pytest.Config) -> None:
    """Prepare imports, and the folder of results, if there is to be one."""
    sys.meta_path.insert(0, finder := PlainImports())
    config.add_cleanup(lambda: sys.meta_path.remove(finder))
    if (folder := config.getoption("vga_results")) is not None:
        from vgaemu.testing.results import Results

        # Workers of pytest-xdist write pictures, too; the page is whoever's who started them.
        is_worker = "PYTEST_XDIST_WORKER" in os.environ
        results = Results(config.invocation_params.dir / folder, writes_page=not is_worker)
        config.stash[RESULTS] = results
        config.pluginmanager.register(results, "vga-results")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failed test tell what its machines were doing; they are still there."""
    if EVIDENCE in item.stash and call.excinfo and not item.config.getoption("fulltrace", False):
        from vgaemu.testing.evidence import without_our_frames

        without_our_frames(call.excinfo.value)
    report = yield
    if report.failed and report.when != "teardown" and EVIDENCE in item.stash:
        item.stash[EVIDENCE].tell(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_assertrepr_compare(
    left: object, right: object
) -> Generator[None, list[list[str] | None], list[list[str] | None]]:
    """Say what differs in the line that pytest's summary has, too."""
    said = yield
    if "vgaemu.testing.screens" in sys.modules:
        from vgaemu.testing.screens import ScreenAssertion

        for side in (left, right):
            if isinstance(side, ScreenAssertion):
                return [side.told()]
    return said


@pytest.fixture
def _vga_evidence(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evidence]:
    """What a test had of vgaemu, for the report if it fails."""
    from vgaemu.collector import count_as_old, uncollected

    is_first = "vgaemu.testing.evidence" not in sys.modules
    with uncollected():  # an import leaves no garbage, but allocates a lot
        from vgaemu.testing.evidence import Evidence
    if is_first:
        count_as_old()

    results = request.config.stash.get(RESULTS, None)
    evidence = Evidence(
        request.node.nodeid,
        results.pictures if results else lambda: tmp_path_factory.mktemp("vga"),
        attach=request.config.getoption("htmlpath", None) is not None,
    )
    request.node.stash[EVIDENCE] = evidence
    yield evidence
    del request.node.stash[EVIDENCE]  # pytest keeps its tests to the end, and machines are large


@pytest.fixture
def vga(request: pytest.FixtureRequest, _vga_evidence: Evidence) -> Iterator[MachineFactory]:
    """Machines: ``vga("kernel.img", cpu="kvm")`` is a `vgaemu.Machine`, closed after the test.

    It takes what Machine takes. A relative path of a guest is looked for beside the test, then in
    pytest's root folder, then in the current one. If the test fails, its report has the screen, the
    registers, the last port accesses and what the guest printed for debugging.
    """
    from vgaemu.testing.evidence import MachineFactory

    with MachineFactory(_vga_evidence, (request.path.parent, request.config.rootpath)) as factory:
        yield factory


@pytest.fixture
def screen(request: pytest.FixtureRequest, _vga_evidence: Evidence) -> Iterator[ScreenAssertion]:
    """What is to be shown, as ``assert machine == screen``; of several, ``screen(name="menu")``.

    Compared are pixels, exactly, and the text of text modes. ``pytest --snapshot-update`` writes
    what there is not, or what is to be otherwise, to __snapshots__: a PNG, and for text a .txt.
    """
    missing = ""
    try:
        from vgaemu.testing.screens import ScreenAssertion
    except ImportError:
        missing = NEEDS_SYRUPY
    else:
        if not request.config.pluginmanager.hasplugin("syrupy"):
            missing = NEEDS_PLUGIN
    if missing:
        pytest.fail(missing, pytrace=False)
    assertion = ScreenAssertion.of(request.getfixturevalue("snapshot"))
    _vga_evidence.screens.append(assertion)
    yield assertion
    assertion.forget()
