"""Golden screens as a syrupy extension: where they lie, who reads, writes and removes them.

syrupy keeps one file a golden. Here the .txt of a text mode goes along with its PNG: it is written
and removed with it, and counts as used where the screen is text. Left behind, each is unused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from syrupy.assertion import AssertionResult, SnapshotAssertion
from syrupy.data import SnapshotCollection
from syrupy.extensions.single_file import SingleFileSnapshotExtension
from syrupy.location import PyTestLocation

from vgaemu.testing.pictures import (
    Difference,
    Picture,
    difference,
    picture_of,
    read_picture,
    same,
    text_beside,
    write_picture,
)

HOW_TO_WRITE = "run pytest with --snapshot-update, look at what it wrote, and commit that"


class Shown(str):
    """A picture as syrupy hands data around: a string, which says what it is of."""

    #: None: the test is over. syrupy keeps its data to the end of the run, and pictures are large.
    picture: Picture | None
    is_text: bool

    @classmethod
    def of(cls, picture: Picture) -> Shown:
        """The picture's."""
        shown = cls(picture)
        shown.picture, shown.is_text = picture, picture.text is not None
        return shown


class ScreenExtension(SingleFileSnapshotExtension):
    """Screens as a PNG and a .txt; serialized data are `Shown`."""

    file_extension = "png"

    def serialize(self, data: object, **_: object) -> Shown:
        """What is shown now."""
        return Shown.of(picture_of(data))

    def matches(self, *, serialized_data: Shown, snapshot_data: Shown) -> bool:
        """Whether every pixel is equal, and the text."""
        expected, actual = snapshot_data.picture, serialized_data.picture
        return expected is not None and actual is not None and same(expected, actual)

    def diff_lines(self, serialized_data: object, snapshot_data: object) -> Iterator[str]:
        """What pytest prints under the assertion."""
        yield from difference_of(picture_in(snapshot_data), picture_in(serialized_data)).lines

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> Shown | None:
        """A golden, or None."""
        picture = read_picture(Path(snapshot_location))
        return None if picture is None else Shown.of(picture)

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: dict[str, int] | None = None
    ) -> None:
        """Write a golden: a collection of one."""
        (snapshot,) = snapshot_collection
        assert isinstance(snapshot.data, Shown)
        assert snapshot.data.picture is not None
        write_picture(Path(snapshot_collection.location), snapshot.data.picture)

    @classmethod
    def matches_test_location(
        cls, *, test_location: PyTestLocation, snapshot_location: str
    ) -> bool:
        """Whether a file may be a test's; slashes of its parameters are in no name of a file."""
        path, name = Path(snapshot_location), cls.get_snapshot_name(test_location=test_location)
        mine = path.stem == name or path.stem.startswith((f"{name}.", f"{name}["))
        return super().matches_test_location(
            test_location=test_location, snapshot_location=snapshot_location
        ) or (mine and test_location.matches_snapshot_site(snapshot_location))

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Remove a file that no test uses."""
        Path(snapshot_location).unlink(missing_ok=True)

    def is_snapshot_location(self, *, location: str) -> bool:
        """Whether a file may be one of a golden."""
        return location.endswith((".png", ".txt"))


class ScreenAssertion(SnapshotAssertion):
    """What the fixture `screen` is: equal to whatever shows what its golden does."""

    #: numpy is to leave ``pixels == screen`` to us, and not compare every pixel with it.
    __array_ufunc__ = None

    @classmethod
    def of(cls, snapshot: SnapshotAssertion) -> ScreenAssertion:
        """For the same test as syrupy's own fixture."""
        return cls(
            session=snapshot.session,
            extension_class=ScreenExtension,
            test_location=snapshot.test_location,
            update_snapshots=snapshot.update_snapshots,
            update_new_snapshots_only=snapshot.update_new_snapshots_only,
        )

    @property
    def comparisons(self) -> Iterable[AssertionResult]:
        """What was compared with goldens so far."""
        return super().executions.values()

    @property
    def executions(self) -> dict[int, AssertionResult]:
        """Comparisons by number, for syrupy to know which files are used: of a text mode, both."""
        found = dict(super().executions)
        for number, result in super().executions.items():
            shown = (result.asserted_data, result.recalled_data)
            if any(isinstance(data, Shown) and data.is_text for data in shown):
                text = str(text_beside(result.snapshot_location))
                found[-1 - number] = replace(result, snapshot_location=text)
        return found

    def mismatches(self) -> Iterator[tuple[str, Picture | None, Picture]]:
        """Names of goldens, what they expect, and what was shown that they are not equal to."""
        for result in self.comparisons:
            actual = picture_in(result.asserted_data)
            if actual is not None and not result.success:
                name = Path(result.snapshot_location).name
                yield name, picture_in(result.recalled_data), actual

    def forget(self) -> None:
        """The test is over: let the pictures go."""
        for result in self.comparisons:
            for data in (result.asserted_data, result.recalled_data):
                if isinstance(data, Shown):
                    data.picture = None

    def told(self) -> list[str]:
        """What the last comparison found, for pytest to print."""
        result = super().executions[self.num_executions - 1]
        if result.success:
            lines = ["is what is shown"]  # and was not to be
        elif result.exception is not None:
            lines = [str(result.exception) or type(result.exception).__name__]
        else:
            expected, actual = picture_in(result.recalled_data), picture_in(result.asserted_data)
            lines = difference_of(expected, actual).lines
        return [f"{Path(result.snapshot_location).name}: {lines[0]}", *lines[1:]]


def picture_in(data: object) -> Picture | None:
    """The picture of what syrupy hands around, if there is one."""
    return data.picture if isinstance(data, Shown) else None


def difference_of(expected: Picture | None, actual: Picture | None) -> Difference:
    """What differs."""
    if actual is None:
        return Difference(["nothing was shown"])
    if expected is None:
        return Difference([f"is not there: {HOW_TO_WRITE}"])
    found = difference(expected, actual)
    return Difference([*found.lines, HOW_TO_WRITE]) if expected.broken else found
