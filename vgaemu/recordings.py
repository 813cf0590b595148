"""Recordings: what a machine records of its picture, and the user's one that a key begins and ends.

How it is recorded is `vgaemu.record`, which is imported when the first one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vgaemu.display.loop import DisplayLoop
from vgaemu.errors import DisplayError, RecordError
from vgaemu.outputs import next_free_name

if TYPE_CHECKING:
    from vgaemu.record.recorder import Recorder

#: Of what a key begins.
SUFFIX = ".png"


class Recording:
    """One that goes on until it is closed: a context manager."""

    def __init__(self, recorder: Recorder, loop: DisplayLoop) -> None:
        self._recorder, self._loop = recorder, loop
        #: Whether it has not been closed.
        self.goes_on = True

    def __repr__(self) -> str:
        return f"<vgaemu.Recording {self.path}, {self.pictures} pictures>"

    @property
    def path(self) -> Path:
        """The first file."""
        return self._recorder.path

    @property
    def paths(self) -> Sequence[Path]:
        """All files so far: where one cannot take the picture's shape, ``F-2.png`` goes on."""
        return self._recorder.paths

    @property
    def pictures(self) -> int:
        """Pictures written so far; a picture is written when the next one comes."""
        return self._recorder.pictures

    @property
    def joined(self) -> int:
        """Frames that are not there alone, since encoding was slower and nobody waited for it."""
        return self._recorder.joined

    @property
    def problem(self) -> str:
        """Why it is not whole, in a line; an empty string: it is, so far."""
        return self._recorder.problem

    def close(self) -> None:
        """Write what is still to be written, and end the files; twice is fine.

        Raises:
            RecordError: Not all of it could be written; what could be plays.
        """
        if not self.goes_on:
            return
        self.goes_on = False
        with suppress(DisplayError):  # the machine has closed, or left it out
            self._loop.remove_display(self._recorder)
        self._recorder.close()
        if self.problem:
            raise RecordError(self.problem)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Recordings:
    """All of a machine.

    Args:
        loop: What is recorded.
        tell: Says something to the user.
        between_frames: Called there; while something is recorded, it is looked after.
    """

    def __init__(
        self,
        loop: DisplayLoop,
        tell: Callable[[str], None],
        between_frames: list[Callable[[], None]],
    ) -> None:
        self._loop, self._tell, self._between_frames = loop, tell, between_frames
        self._all: list[Recording] = []
        self._users: Recording | None = None

    def start(self, path: str | Path, *, outlines: bool = False) -> Recording:
        """See `vgaemu.machine.Machine.record`."""
        from vgaemu.record.recorder import Recorder

        self._loop.refuse_if_closed()
        waits = not self._loop.display.can_be_closed
        recorder = Recorder(path, outlines=outlines, waits=waits)
        self._loop.add_display(recorder)
        recording = Recording(recorder, self._loop)
        self._all = [*(other for other in self._all if other.goes_on), recording]

        def look_after() -> None:
            if recording.goes_on and recording.problem:
                self._tell(recording.problem)
            if recording.problem or not recording.goes_on:
                self._between_frames.remove(look_after)

        self._between_frames.append(look_after)
        return recording

    def toggle(self) -> None:
        """See `vgaemu.machine.Machine.toggle_recording`."""
        recording, self._users = self._users, None
        try:
            if recording is None:
                self._users = recording = self.start(next_free_name(SUFFIX))
                self._tell(f"recording {recording.path}")
            else:
                recording.close()
                self._tell(f"recorded {', '.join(map(str, recording.paths))}")
        except RecordError as error:
            self._tell(str(error))

    def close(self) -> None:
        """End all of them.

        Raises:
            RecordError: Not all of one that nobody closed could be written.
        """
        recordings, self._all = self._all, []
        problems = []
        for recording in recordings:
            try:
                recording.close()
            except RecordError as error:
                problems.append(error)
        if problems:
            raise problems[0]
