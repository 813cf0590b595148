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

    picture: Picture

    @classmethod
    def of(cls, picture: Picture) -> Shown:
        """The picture's."""
        shown = cls(picture)
        shown.picture = picture
        return shown


class ScreenExtension(SingleFileSnapshotExtension):
    """Screens as a PNG and a .txt; serialized data are `Shown`."""

    file_extension = "png"

    def serialize(self, data: object, **_: object) -> Shown:
        """What is shown now."""
        return Shown.of(picture_of(data))

    def matches(self, *, serialized_data: Shown, snapshot_data: Shown) -> bool:
        """Whether every pixel is equal, and the text."""
        return same(snapshot_data.picture, serialized_data.picture)

    def diff_lines(self, serialized_data: object, snapshot_data: object) -> Iterator[str]:
        """What pytest prints under the assertion."""
        yield from difference_of(snapshot_data, serialized_data).lines

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
            if any(isinstance(data, Shown) and data.picture.text is not None for data in shown):
                text = str(text_beside(result.snapshot_location))
                found[-1 - number] = replace(result, snapshot_location=text)
        return found

    def told(self) -> list[str]:
        """What the last comparison found, for pytest to print."""
        result = super().executions[self.num_executions - 1]
        first, *more = (
            [str(result.exception)]
            if result.exception is not None
            else difference_of(result.recalled_data, result.asserted_data).lines
        ) or ["is what is shown"]
        return [f"{Path(result.snapshot_location).name}: {first}", *more]


def difference_of(expected: object, actual: object) -> Difference:
    """What differs between two of syrupy's data."""
    if not isinstance(actual, Shown):
        return Difference([])
    if not isinstance(expected, Shown):
        return Difference([f"is not there: {HOW_TO_WRITE}"])
    found = difference(expected.picture, actual.picture)
    return Difference([*found.lines, HOW_TO_WRITE]) if expected.picture.broken else found
