"""Machine: one VGA, one guest, one display, and the clock that moves them.

Two schedules. *In step* (headless, scripts, tests): each frame runs the guest up to its next
``yield`` and then draws, all on one thread, so that two runs with the same arguments are equal.
*Free* (the window): the guest has a thread of its own and the frames come at the display's pace.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.loop import DEFAULT_SPAN_PAGES, DisplayLoop, check_span_pages
from vgaemu.display.named import make_display
from vgaemu.display.report import (
    Close,
    Display,
    Event,
    FrameReport,
    PauseToggled,
    Screenshot,
    SingleStep,
)
from vgaemu.display.screen import Screen, blink_shown
from vgaemu.display.stats import Stats
from vgaemu.errors import GuestStopped, StateError, WorkloadError
from vgaemu.guest.workload import Guest, Slices, Workload, find_workload, start
from vgaemu.keys.key import Key
from vgaemu.keys.queue import Keys
from vgaemu.memslot.bitmap import SpanPages
from vgaemu.pc.images import is_image
from vgaemu.tape.tape import TapeRecorder
from vgaemu.vga.beam import VirtualBeam, WallBeam
from vgaemu.vga.device import DEFAULT_VRAM_MIB, Vga, make_vram
from vgaemu.vga.font import checked_font, load_font_file
from vgaemu.vga.modes import set_mode
from vgaemu.vga.state import Array, arrays_of, check_arrays, put_arrays, read_state, save_state

if TYPE_CHECKING:
    from vgaemu.migrate import Limits, Migration, Report
    from vgaemu.pc.pc import Pc, PcOptions

log = logging.getLogger(__name__)

#: Frames a second at speed 1.
FRAME_HZ = 60
#: Slices that a guest in step may end with `Guest.NOW` before a frame is drawn.
NOW_SLICES_A_FRAME = 16
#: A busy guest thread hands the interpreter to the display after this long (seconds). Measured: at
#: the default of 5 ms the display wakes 5.2 ms late, at 0.5 ms 0.66 ms late.
SWITCH_INTERVAL = 0.0005
#: Machine code is waited for at most this long: far longer than a slice takes.
MACHINE_CODE_STOPS_S = 10.0


class Machine:
    """A small machine you can look into. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        workload: str | PathLike[str] | Workload | None = None,
        args: Sequence[str] = (),
        *,
        display: str | Display = "null",
        dirty_log: str = "flags",
        span_pages: SpanPages = DEFAULT_SPAN_PAGES,
        vram_mib: int = DEFAULT_VRAM_MIB,
        mode: int = 3,
        free: bool | None = None,
        font: str | Path | NDArray[np.uint8] | None = None,
        record_tape: str | Path | None = None,
        **pc_options: Unpack[PcOptions],
    ) -> None:
        """Power on in a text mode with the guest about to start.

        Args:
            workload: A bundled name, a path of a Python file, a disk image or a .com program, a
                generator function, or None: then whoever holds the machine is the guest.
            args: The workload's arguments.
            display: ``"null"``, ``"window"``, or an object with `resize`, `update` and `close`.
            dirty_log: Who keeps VRAM's dirty log: see `vgaemu.memslot.KEEPERS`.
            span_pages: Word width of the ffs..fls spans: 64, 32, 16 or 8 pages.
            vram_mib: Size of VRAM in MiB, 1 to 256.
            mode: BIOS mode to start in.
            free: Run the guest on a thread of its own; by default only with a window.
            font: What text modes load instead of the bundled font: a PSF or raw 8xN file, or
                (256, height) uint8. The rows follow its height: 8 lines give 80x50.
            record_tape: Write every port and memory operation to this tape, from power on.
            **pc_options: For machine code: see `vgaemu.pc.pc.PcOptions`.

        Raises:
            WorkloadError: The workload cannot be found or started.
            MemslotError: No such dirty log, number of span pages, or size of VRAM.
            ModeError: No such BIOS mode.
            FontError: The font is none.
            ValueError: No display of that name, or an object that is none.
            DisplayError: The window cannot be opened.
            TapeError: The tape cannot be written.
        """
        check_span_pages(span_pages)
        #: VRAM, a `Memslot`; `vram.subscribe()` watches what is written.
        self.vram = make_vram(vram_mib, dirty_log=dirty_log)
        self.vga = Vga(self.vram)
        if font is not None:
            self.vga.rom_font = (
                checked_font(font) if isinstance(font, np.ndarray) else load_font_file(font)
            )
        self._recorder = None if record_tape is None else TapeRecorder(self.vga, record_tape)
        #: The guest's keyboard; the window types here too.
        self.keys = Keys()
        self._guest = Guest(self.vga, self.keys)
        #: Whether the workload says of itself that it never ends.
        self.endless = False
        self._slices: Slices | None = None
        #: The PC around a machine-code guest.
        self.pc: Pc | None = None
        try:
            set_mode(self.vga, mode)
            self._free = display == "window" if free is None else free
            if isinstance(args, str):
                raise WorkloadError(f"args is a list of arguments, not the string {args!r}")
            if is_image(workload):
                from vgaemu.pc.pc import open_pc

                self.pc = open_pc(
                    str(workload),
                    list(args),
                    self.vga,
                    self.keys,
                    free=self._free,
                    options=pc_options,
                )
                self._slices = self.pc.slices()
                self.endless = self.pc.endless
            elif pc_options:
                raise WorkloadError(
                    f"{', '.join(pc_options)}: only for machine code, a file that ends in .img or "
                    f".com; this is {'no guest' if workload is None else 'a workload in Python'}"
                )
            elif workload is not None:
                function = find_workload(workload)
                self.endless = getattr(function, "endless", False)
                self._slices = start(function, self._guest, list(args))
                self.endless = self.endless or self._guest.endless
            self._display = make_display(display)
        except BaseException:
            if self.pc is not None:
                self.pc.close()
            self._stop_recording()
            raise
        self._loop = DisplayLoop(self.vga, self._display, span_pages=span_pages)
        if self.pc is None:
            self.vga.beam = WallBeam() if self._free else VirtualBeam()
        self._key_schedule: list[tuple[int, str]] = []
        self._guest_error: BaseException | None = None
        self._closed = False
        self._close_requested = False
        self._paused = False
        self._step_once = False
        self._frame_passed = threading.Condition()
        #: Frames that a free guest was let run into, counted under the condition.
        self._released = 0
        self._thread: threading.Thread | None = None
        #: A free guest is to stay at its next ``yield``, and whether it is at one; both under the
        #: condition.
        self._held = self._parked = False
        #: What `_released` was when the slice in hand began.
        self._seen = 0
        self._migration: Migration | None = None
        #: Called with the machine when the user asks for a screenshot.
        self.on_screenshot: Callable[[Machine], None] = save_screenshot

    # --- what can be seen -----------------------------------------------------------------------

    @property
    def screen(self) -> Screen:
        """The picture: `frame`, `rgb()`, `text()`, `save()`, `full_redraw()`."""
        return self._loop.screen

    @property
    def stats(self) -> Stats:
        """What the display loop measured."""
        return self._loop.stats

    @property
    def frames(self) -> int:
        """Frames drawn so far."""
        return self._loop.frames

    @property
    def ended(self) -> bool:
        """Whether the guest has ended. A machine without a workload has no guest to end."""
        if self._guest_error is not None or self.migrated:
            return True
        return self._slices is not None and self._done

    _done = False

    @property
    def guest_error(self) -> BaseException | None:
        """What the guest raised, if it did; `frame` raises it, too, unless it came of `close`."""
        return self._guest_error

    @property
    def migrated(self) -> bool:
        """Whether a receiver has taken over; the guest has ended here then."""
        return self._migration is not None and self._migration.succeeded

    # --- time -----------------------------------------------------------------------------------

    def tick(self, count: int = 1) -> bool:
        """Run some frames, without waiting for a clock; while the user has it paused, wait.

        Returns:
            False when the guest has ended, or the user closed the display.

        Raises:
            Exception: Whatever the guest raised, once its last frame is drawn.
        """
        for _ in range(count):
            self._poll()
            while self._paused and not self._step_once and not self._close_requested:
                time.sleep(1 / FRAME_HZ)
                self._poll()
            if self._close_requested:
                break
            self._step_once = False
            self.frame()
            if self.ended:
                break
        return not (self.ended or self._close_requested)

    def frame(self) -> FrameReport:
        """Run one frame: keys, the guest up to its next ``yield``, harvest, draw, present.

        Raises:
            RuntimeError: The machine is closed.
            Exception: Whatever the guest raised, once its last frame is drawn.
        """
        if self._closed:
            raise RuntimeError("the machine is closed")
        now = self._loop.frames
        while self._key_schedule and self._key_schedule[0][0] <= now:
            self.keys.press(self._key_schedule.pop(0)[1])
        if not self._free:
            self._run_slice()
        elif self._thread is None:
            self._start_thread()
        else:
            self._release_thread()
        report = self._loop.frame()
        self._raise_guest_error()
        self._between_frames()
        return report

    def run(
        self,
        frames: int | None = None,
        *,
        speed: float = 1.0,
        stay: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run until the user closes the display, or the guest ends.

        Args:
            frames: At most this many; None for no limit.
            speed: 1 is 60 frames a second; 0 is as fast as possible. Headless runs use 0.
            stay: With a display that can be closed, keep showing it after the guest has ended.
            progress: Called with the number of frames so far.

        Raises:
            Exception: Whatever the guest raised.
        """
        can_be_closed = self._display.can_be_closed
        period_ns = int(1e9 / (FRAME_HZ * speed)) if speed else 0
        due = time.perf_counter_ns()
        while frames is None or self.frames < frames:
            self._poll()
            if self._close_requested:
                return
            if self._paused and not self._step_once:
                self._between_frames()
                if self.migrated:
                    return
                time.sleep(1 / FRAME_HZ)
                due = time.perf_counter_ns()
                continue
            self._step_once = False
            self.frame()
            if progress is not None:
                progress(self.frames)
            if self.migrated or (self.ended and not (can_be_closed and stay)):
                return
            if period_ns:
                due = max(due + period_ns, time.perf_counter_ns() - period_ns)
                self._wait_until(due)

    def _wait_until(self, due_ns: int) -> None:
        """Wait for the next frame; at slow speeds go on taking what the user does."""
        while (left := (due_ns - time.perf_counter_ns()) / 1e9) > 0:
            if left <= 1 / FRAME_HZ:
                time.sleep(left)
                return
            time.sleep(1 / FRAME_HZ)
            self._poll()
            if self._close_requested:
                return

    def keep_showing(self, note: str, frames: int | None = None) -> None:
        """Go on showing a guest that has failed, until the user closes the display.

        A display that cannot be closed is not kept.

        Args:
            note: What the display says meanwhile.
            frames: Until so many have been shown since the machine was made; None for no limit.
        """
        if not self._display.can_be_closed:
            return
        shown = 0
        while not self.closed_by_user() and (frames is None or self.frames < frames):
            if shown % FRAME_HZ == 0:
                self.tell_user(note)  # displays say it for a while
            self.show()
            shown += 1
            time.sleep(1 / FRAME_HZ)

    def schedule_keys(self, keys: Iterable[tuple[int, str]]) -> None:
        """Strike keys at given frames: see `vgaemu.keys.queue.parse_keys`."""
        schedule = [*self._key_schedule, *keys]
        self._key_schedule = sorted(schedule, key=lambda entry: entry[0])

    def wait_for_text(self, pattern: str, frames: int = 600) -> bool:
        """Run until a row of a text screen matches a regular expression.

        Args:
            pattern: Searched in each row.
            frames: Give up after this many.

        Returns:
            Whether it was seen.
        """
        expression = re.compile(pattern)
        for _ in range(frames):
            alive = self.tick()
            if self.screen.is_text and any(expression.search(row) for row in self.screen.text()):
                return True
            if not alive:
                break
        return False

    # --- states ---------------------------------------------------------------------------------

    def save_state(self, path: str | Path) -> None:
        """Save the device and a machine-code guest; of a workload in Python only the device.

        A guest on its own thread must not run then; after `close` it does not.

        Raises:
            StateError: The file cannot be written.
        """
        self._refuse_running_guest(path)
        guest = None if self.pc is None else self.pc.state_arrays()
        frame = self._loop.frames + self._loop.frame_offset
        save_state(self.vga, path, frame=frame, guest=guest)

    def load_state(self, path: str | Path) -> None:
        """Bring the device to a saved state, and a machine-code guest with it.

        A workload in Python goes on with its program. A guest on its own thread must not run then.

        Raises:
            StateError: The file is refused; nothing has changed then.
        """
        state = read_state(path)
        self._put_state(state.device, state.guest, path)
        self._loop.frame_offset = state.frame - self._loop.frames

    def _put_state(
        self, device: Mapping[str, Array], guest: Mapping[str, Array], source: object
    ) -> None:
        """Look at all of a state, then put all of it."""
        if self._recorder is not None:
            raise StateError(f"{source}: a tape starts at power on, and one is being recorded")
        check_arrays(self.vga, device, source)
        if self.pc is not None:
            self._refuse_running_guest(source)
            self.pc.check_state(guest, source)
            self.pc.put_state(guest, source)
            if self.ended and self._thread is not None:
                self._thread.join()
                self._thread = None  # the next frame starts another
            self._slices, self._done, self._guest_error = self.pc.slices(), False, None
        elif guest:
            from vgaemu.pc.state import identity_name

            name = identity_name(guest)
            raise StateError(f"{source}: saved with machine code, {name!r}; load it with that file")
        put_arrays(self.vga, device)

    def _refuse_running_guest(self, source: object) -> None:
        """Registers of a CPU are nobody else's while it executes."""
        thread = self._thread
        if self.pc is None or thread is None or not thread.is_alive():
            return
        if not (self._parked and self._stays):  # one that was released may yet have to wake
            raise StateError(f"{source}: the guest runs on its own thread; close the machine first")

    def device_state(self) -> dict[str, Array]:
        """What of the device is not in VRAM, and the number of the next frame, by name.

        A guest on its own thread must not run meanwhile.
        """
        arrays = arrays_of(self.vga, without=("vram",))
        arrays["frame"] = np.asarray(self._loop.frames + self._loop.frame_offset, "u8")
        return arrays

    def put_device_state(
        self,
        arrays: Mapping[str, Array],
        source: object,
        guest: Mapping[str, Array] | None = None,
    ) -> None:
        """Bring the device to a state whose VRAM is there, and show the frame before its next one.

        Args:
            arrays: All of `device_state`.
            source: What an error names: the peer that they came from.
            guest: Of a machine-code guest all of `Pc.state_arrays`; it goes on from there.

        Raises:
            StateError: A device or PC has no such state; nothing has changed then, but see
                `Pc.put_state`.
        """
        device = dict(arrays)
        frame = device.pop("frame")
        if frame.shape or frame.dtype != np.uint64 or int(frame) >> 63:
            raise StateError(f"{source}: frame is no number; save the state again")
        self._put_state(device, guest or {}, source)
        self._loop.frame_offset = max(int(frame) - 1, 0) - self._loop.frames
        self.show()

    def show(self) -> None:
        """Draw and present a frame; the guest stays where it is."""
        self._loop.frame()

    def tell_user(self, text: str) -> None:
        """Let the display say something, if it is one that can."""
        self._display.notice(text)

    def closed_by_user(self) -> bool:
        """Take what the user did at the display, and say whether that was to close it."""
        self._poll()
        return self._close_requested

    # --- live migration -------------------------------------------------------------------------

    def migrate_to(self, address: str, limits: Limits | None = None) -> Report:
        """Send all to a receiver, running frames meanwhile; then the guest ends here.

        A machine-code guest goes on there; of a workload in Python, VRAM and device are sent.

        Args:
            address: HOST:PORT of a `vgaemu receive` or `vgaemu.migrate.Receiver`.
            limits: How long the guest may be stopped, and what to do if it writes too fast.

        Raises:
            MigrateError: The receiver has not taken over; the guest goes on here.
            Exception: Whatever the guest raised.
        """
        migration = self.start_migration(address, limits)
        try:
            while not migration.done:
                self._poll()
                self.frame()
                if self._free:
                    time.sleep(1 / FRAME_HZ)
        finally:
            migration.cancel()
        return migration.result()

    def start_migration(
        self,
        address: str,
        limits: Limits | None = None,
        *,
        at_frame: int = 0,
        say: Callable[[str], None] | None = None,
    ) -> Migration:
        """Let the next frames be accompanied by a migration; `migrated` says when it is over.

        Args:
            address: See `migrate_to`.
            limits: See `migrate_to`.
            at_frame: Run so many frames before.
            say: Called with a line when the guest does not converge, and when the receiver has
                not taken over; not on the caller's thread.

        Raises:
            MigrateError: The address is none, or one is on its way already.
        """
        from vgaemu.errors import MigrateError
        from vgaemu.migrate import Limits, Migration

        if self.migrated or (self._migration is not None and not self._migration.done):
            raise MigrateError(f"{address}: the machine is on its way to another receiver")
        self._migration = Migration(self, address, limits or Limits(), at_frame=at_frame, say=say)
        return self._migration

    def _between_frames(self) -> None:
        if self._migration is not None:
            self._migration.between_frames()

    def hold_guest(self, seconds: float) -> bool:
        """Let a guest on its own thread stop at its next ``yield``, and wait until it has.

        Args:
            seconds: How long to wait; it stops later then, unless released.

        Returns:
            Whether it has. One in step stands still between two frames anyway.
        """
        with self._frame_passed:
            self._held = True
            if self._thread is None:
                return True
            return self._frame_passed.wait_for(lambda: self._parked, seconds)

    def release_guest(self) -> None:
        """Let a guest go on that `hold_guest` has stopped."""
        with self._frame_passed:
            self._held = False
            self._frame_passed.notify_all()

    # --- the guest ------------------------------------------------------------------------------

    def _run_slice(self) -> None:
        if isinstance(self.vga.beam, VirtualBeam):
            self.vga.beam.start_frame()
        if self._slices is None or self.ended:
            return
        try:
            for _ in range(NOW_SLICES_A_FRAME):
                if next(self._slices) is not Guest.NOW:
                    break
        except StopIteration:
            self._done = True
        except (Exception, SystemExit) as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The guest raised; a SystemExit of 0 is only its end."""
        if isinstance(error, SystemExit) and not error.code:
            self._done = True
        else:
            self._guest_error = error

    def _start_thread(self) -> None:
        if self._slices is None or self._held:
            return
        _switch_quickly(self)
        self._thread = threading.Thread(target=self._run_free, name="vgaemu guest", daemon=True)
        self._thread.start()

    def _run_free(self) -> None:
        assert self._slices is not None
        try:
            while not self._closed:
                self._seen = self._released
                if next(self._slices) is not Guest.NOW or self._paused or self._held:
                    if self.pc is not None:
                        self.pc.pause()
                    with self._frame_passed:
                        self._parked = True
                        self._frame_passed.notify_all()
                        while self._stays and not self._closed:
                            self._frame_passed.wait()
                        self._parked = False
        except (StopIteration, GuestStopped):
            self._done = True
        except BaseException as error:
            self._fail(error)
        finally:
            with self._frame_passed:
                self._parked = True
                self._frame_passed.notify_all()
            if self._closed:
                self._end_workload()

    @property
    def _stays(self) -> bool:
        """Whether a guest at a ``yield`` is to stay there."""
        return self._held or self._released == self._seen

    def _end_workload(self) -> None:
        """Run what a workload has in its ``finally``; its calls into the machine are refused."""
        assert self._slices is not None
        try:
            self._slices.close()
        except GuestStopped:
            pass
        except BaseException as error:
            self._guest_error = self._guest_error or error

    def _release_thread(self) -> None:
        with self._frame_passed:
            self._released += 1
            self._frame_passed.notify_all()

    def _raise_guest_error(self) -> None:
        if self._guest_error is not None:
            raise self._guest_error

    def _poll(self) -> None:
        """Take what the user did, from displays that can tell."""
        for event in self._display.poll():
            self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Key):
            self.keys.put(event)
        elif isinstance(event, Close):
            self._close_requested = True
        elif isinstance(event, PauseToggled):
            self._paused = not self._paused
        elif isinstance(event, SingleStep):
            self._step_once = self._paused
        elif isinstance(event, Screenshot):
            self.on_screenshot(self)

    # --- the end --------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the guest and close the display; twice is fine.

        Raises:
            TapeError: Not all of a recording could be written.
        """
        if self._closed:
            return
        if self._migration is not None:
            self._migration.cancel()
        self._closed = True
        self._guest.stop()
        if self.pc is not None:
            self.pc.stop()
        self._release_thread()
        with ExitStack() as last_first:
            last_first.callback(self._stop_recording)
            last_first.callback(self._loop.close)
            last_first.callback(self._close_pc)
            _switch_as_before(self)
            thread = self._thread
            if thread is None and self.pc is None and self._slices is not None:
                thread = threading.Thread(target=self._end_workload, daemon=True)
                thread.start()
            if thread is not None:
                # A workload that never yields, or lets nothing pass, cannot be stopped: it dies
                # with us. Machine code stops after its slice, and may not outlive its memory.
                thread.join(timeout=0.5 if self.pc is None else MACHINE_CODE_STOPS_S)

    def _close_pc(self) -> None:
        if self.pc is not None and (self._thread is None or not self._thread.is_alive()):
            self.pc.close()

    def _stop_recording(self) -> None:
        if self._recorder is not None:
            frame = self._loop.screen.frame_number if hasattr(self, "_loop") else 0
            self._recorder.close(hidden_in=None if blink_shown(frame) else frame)

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


#: Machines whose guests have threads, and the interpreter's interval from before the first.
_quick: set[Machine] = set()
_interval_before = 0.0


def _switch_quickly(machine: Machine) -> None:
    """Let threads take turns as a free machine needs it, until the last one is closed."""
    global _interval_before
    if not _quick:
        _interval_before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
    _quick.add(machine)


def _switch_as_before(machine: Machine) -> None:
    """Undo `_switch_quickly`, in whatever order machines are closed."""
    if machine in _quick:
        _quick.remove(machine)
        if not _quick:
            sys.setswitchinterval(_interval_before)


def save_screenshot(machine: Machine) -> None:
    """Save the picture under the next free name ``vgaemu-001.png`` ... in the current folder."""
    path = next(path for n in count(1) if not (path := Path(f"vgaemu-{n:03}.png")).exists())
    try:
        machine.screen.save(path)
    except OSError as error:
        said = f"{path}: {error.strerror or error}; no screenshot was saved"
        log.error(said)
    else:
        said = f"saved {path}"
        log.info(said)
    machine.tell_user(said)
