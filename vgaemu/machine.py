"""Machine: one VGA, one guest, its displays, and the clock that moves them.

A frame runs the guest (`runner`: in step with it, or on a thread of its own), then harvests the
dirty log, draws and presents. What else goes along with a machine hooks itself into
`Machine.between_frames`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from vgaemu.desk import Desk, refuse_file, save_screenshot
from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import (
    FileDropped,
    NextDirtyLog,
    RecordingToggled,
    Rewinding,
    Screenshot,
)
from vgaemu.display.find import Sought, finder
from vgaemu.display.loop import DEFAULT_SPAN_PAGES, DisplayLoop, check_span_pages
from vgaemu.display.named import has_people, make_display
from vgaemu.display.report import Display, FrameReport
from vgaemu.display.screen import Screen, blink_shown
from vgaemu.display.stats import Stats
from vgaemu.guest.workload import AnySlices, Guest, Workload
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Keys
from vgaemu.keys.schedule import KeySchedule
from vgaemu.memslot.bitmap import SpanPages
from vgaemu.memslot.slot import Memslot
from vgaemu.memslot.steps import keep_with_next
from vgaemu.moments import Moments, Works
from vgaemu.program import SerialText, check_options, load_program, paper_of, printed_by, sent_by
from vgaemu.recordings import Recording, Recordings
from vgaemu.rewind import Rewind
from vgaemu.runner import InStep, OnThread, Runner
from vgaemu.saving import Saving
from vgaemu.signals import stops_taken
from vgaemu.slots import name_for
from vgaemu.states import States
from vgaemu.user import User
from vgaemu.vga.beam import VirtualBeam, WallBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.font import font_of
from vgaemu.vga.vram import DEFAULT_VRAM_MIB, make_vram

if TYPE_CHECKING:
    from vgaemu.pc.build import PcOptions
    from vgaemu.pc.pc import Pc
    from vgaemu.pc.ram import Ram
    from vgaemu.tape import TapeRecorder
    from vgaemu.view.server import Server, ViewOptions

#: Frames a second at speed 1.
FRAME_HZ = 60
#: Guests are waited for at most this long when a machine closes (seconds). A slice of machine code
#: takes far less, and must not outlive the memory that it runs in.
WORKLOAD_STOPS_S, MACHINE_CODE_STOPS_S = 0.5, 10.0


class Machine(States):
    """A small machine you can look into. Use it as a context manager, or call `close`.

    It powers on in a text mode with the guest about to start.

    Args:
        workload: A bundled name, a path of a Python file, a disk image or a .com program, a
            generator function, or None: then whoever holds the machine is the guest.
        args: The workload's arguments.
        display: ``"null"``, ``"window"``, ``"terminal"``, or an object with `resize`, `update` and
            `close`; or a list of them: see `vgaemu.display.displays`.
        dirty_log: Who keeps VRAM's dirty log: see `vgaemu.memslot.KEEPERS`; ``"srcu+words"`` lets
            two harvest the same frames.
        span_pages: Word width of the ffs..fls spans: 64, 32, 16 or 8 pages.
        vram_mib: Size of VRAM in MiB, 1 to 256.
        mode: Mode to start in: a BIOS number, or a name in 'vgaemu modes'.
        free: Run the guest on a thread of its own; by default only with a window or terminal.
        border: Show the border around the picture, too, as large as the registers make it.
        font: What text modes load instead of the bundled font: a PSF or raw 8xN file, or
            (256, height) uint8. The rows follow its height: 8 lines give 80x50.
        record_tape: Write every port and memory operation to this tape, from power on.
        **pc_options: For machine code: see `vgaemu.pc.build.PcOptions`.

    Raises:
        WorkloadError: The workload cannot be found or started.
        MemslotError: No such dirty log, number of span pages, or size of VRAM.
        ModeError: No such mode.
        FontError: The font is none.
        TypeError: No such keyword.
        DisplayError: No such display, or the window cannot be opened.
        TapeError: The tape cannot be written.
    """

    #: VRAM, a `Memslot` with its dirty log; `vram.subscribe()` watches what is written.
    vram: Memslot
    #: The device: ports, memory windows, registers.
    vga: Vga
    #: The guest's keyboard; the window types here too.
    keys: Keys
    mouse: Mouse  #: The guest's; what it does while nobody listens (`listening`) is forgotten.
    #: What a workload in Python sees; whoever holds a machine without one may use it.
    guest: Guest
    #: The PC around a machine-code guest, or None.
    pc: Pc | None
    runner: Runner
    #: Whether the guest says of itself that it never ends.
    endless: bool
    #: Called with the machine when the user asks for a screenshot.
    on_screenshot: Callable[[Machine], None]
    #: Called with a file that the user wants to have run instead.
    on_file: Callable[[str], None]
    #: Called after each frame, and while the user has the machine paused, by whoever runs frames.
    between_frames: list[Callable[[], None]]
    #: Called when the machine closes, before its guest is stopped.
    before_close: list[Callable[[], None]]
    #: Who sits at the displays, and what each thing that they do there does.
    user: User

    def __init__(
        self,
        workload: str | PathLike[str] | Workload | None = None,
        args: Sequence[str] = (),
        *,
        display: str | Display | Sequence[str | Display] = "null",
        dirty_log: str = "flags",
        span_pages: SpanPages = DEFAULT_SPAN_PAGES,
        vram_mib: int = DEFAULT_VRAM_MIB,
        mode: int | str = 3,
        free: bool | None = None,
        border: bool = False,
        font: str | Path | NDArray[np.uint8] | None = None,
        record_tape: str | Path | None = None,
        **pc_options: Unpack[PcOptions],
    ) -> None:
        """Power on: see `Machine`."""
        if pc_options:
            check_options(pc_options, Machine)
        check_span_pages(span_pages)
        self.vram = make_vram(vram_mib, dirty_log=dirty_log)
        rom_font = font_of(font)
        free = has_people(display) if free is None else free
        self._recorder: TapeRecorder | None = None
        with ExitStack() as undo:
            if record_tape is None:
                self.vga = Vga(self.vram)
            else:
                from vgaemu.tape import TapeRecorder
                from vgaemu.vga.tap import TappedVga

                self.vga = tapped = TappedVga(self.vram)
                self._recorder = TapeRecorder(tapped, record_tape)
                undo.callback(self._recorder.close)
            self.vga.rom_font = rom_font
            self.keys = Keys()
            self.guest = Guest(self.vga, self.keys)
            self.mouse = self.guest.mouse
            program = load_program(
                workload, args, self.vga, self.guest, mode=mode, free=free, options=pc_options
            )
            self.pc, self.endless = program.pc, program.endless
            if self.pc is not None:
                undo.callback(self.pc.close)
            shown = make_display(display)
            undo.pop_all()
        if self.pc is None:
            self.vga.beam = WallBeam() if free else VirtualBeam()
        self.runner = self._runner_of(program.slices, free)
        self._loop = DisplayLoop(self.vga, shown, span_pages=span_pages, border=border)
        self._key_schedule = KeySchedule(self.keys, self.mouse)
        self._saving = Saving(self.vga, self.pc, self.runner, self._loop)
        self._saving.recorded = self._recorder is not None
        self.user = User(self.keys, self.mouse, self.runner, self._loop)
        self.on_screenshot = lambda machine: save_screenshot(machine.screen, machine.tell_user)
        self.on_file = lambda path: refuse_file(path, self.tell_user)
        self.between_frames = []
        self.before_close = []
        self._recordings = Recordings(self._loop, self.tell_user, self.between_frames)
        self._answer_the_user(name_for(workload))

    def _answer_the_user(self, name: str) -> None:
        desk = Desk(
            name, self.keys, self.mouse, self.pc, self.runner, self._loop, self._saving,
            self.between_frames,
        )  # fmt: skip
        self.user.answers |= desk.answers | {
            Screenshot: lambda event: self.on_screenshot(self),
            NextDirtyLog: lambda event: self.tell_user(keep_with_next(self.vram)),
            FileDropped: lambda event: self.on_file(event.path),
            RecordingToggled: lambda event: self.toggle_recording(),
            Rewinding: lambda event: self.rewind.hold(event.on),
        }
        works = Works(
            self.vga, self.pc, self.runner, self._loop, self._saving, self.keys, self.mouse,
            self._key_schedule, desk.typist, self.between_frames,
        )  # fmt: skip
        self._moments = Moments(works)
        self.rewind = Rewind(self._moments, works)

    def _runner_of(self, slices: AnySlices | None, free: bool) -> Runner:
        if self.pc is None:
            kind, section = OnThread if free else InStep, self.vram.exit_section
            return kind(slices, section, device=self.vga)
        # A CPU's slices are shorter: it has its own sections.
        return OnThread(slices, on_park=self.pc.pause) if free else InStep(slices)

    def __repr__(self) -> str:
        shown = self.screen.info.mode_name
        return f"<vgaemu.Machine {shown}, {self.runner.state}, {self.frames} frames>"

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it: its screen."""
        return self.screen._repr_png_()

    @property
    def screen(self) -> Screen:
        """The picture: `frame`, `rgb()`, `text()`, `save()`, `full_redraw()`."""
        return self._loop.screen

    @property
    def display(self) -> BaseDisplay:
        """Who looks; several as one."""
        return self._loop.display

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
        return self.runner.ended

    @property
    def guest_error(self) -> BaseException | None:
        """What the guest raised, if it did: in a frame, which raises it too, or in `close`."""
        return self.runner.error

    @property
    def debugcon(self) -> str:
        """What machine code has printed to port E9h; `WorkloadError` if the guest is another."""
        return printed_by(self.pc)

    @property
    def ram(self) -> Ram:
        """The RAM of machine code, to peek and poke; `RamError` if the guest is another."""
        return self._saving.ram

    @property
    def serial(self) -> SerialText:
        """What machine code has sent to the serial port; `write` sends something to the guest."""
        return sent_by(self.pc)

    @property
    def printer(self) -> str:
        """What machine code has printed at the port 378h; `WorkloadError` as there."""
        return paper_of(self.pc)

    @property
    def exit_code(self) -> int | None:
        """What the guest has returned, 0 to 255; None if it has not ended."""
        return self.runner.exit_code

    def tick(self, count: int = 1) -> bool:
        """Run some frames, without waiting for a clock; while the user has it paused, wait.

        Returns:
            False when the guest has ended, or the user closed the display.

        Raises:
            Exception: Whatever the guest raised, once its last frame is drawn.
        """
        self.run(self.frames + count, speed=0, stay=False)
        return not (self.ended or self.user.wants_to_close)

    def run_frame(self) -> FrameReport:
        """Run one frame: keys, the guest up to its next ``yield``, harvest, draw, present.

        Raises:
            RuntimeError: The machine is closed.
            Exception: Whatever the guest raised, once its last frame is drawn.
        """
        if self._saving.closed:
            raise RuntimeError("the machine is closed")
        self._key_schedule.strike(self._loop.frames)
        self.runner.run_frame()
        report = self._loop.draw_frame()
        if self.runner.error is not None:
            raise self.runner.error
        self._tell_companions()
        return report

    def _tell_companions(self) -> None:
        for companion in tuple(self.between_frames):  # one that is done takes itself out
            companion()

    @stops_taken()
    def run(self, frames: int | None = None, *, speed: float = 1.0, stay: bool = True) -> None:
        """Run until the user closes the display, or the guest ends.

        Args:
            frames: Until so many have been drawn since power on; None for no limit.
            speed: 1 is 60 frames a second; 0 is as fast as possible. Headless runs use 0.
            stay: With a display that can be closed, keep showing it after the guest has ended.

        Raises:
            Exception: Whatever the guest raised.
        """
        stay = stay and self._loop.display.can_be_closed
        period_ns = int(1e9 / (FRAME_HZ * speed)) if speed else 0
        due = time.perf_counter_ns()
        while frames is None or self.frames < frames:
            if self.closed_by_user():
                return
            ran = self.take_turn()
            if self.runner.left or (ran and self.ended and not stay):
                return
            if not ran:
                time.sleep(1 / FRAME_HZ)
                due = time.perf_counter_ns()
            elif period_ns:
                self._wait_until(due := max(due + period_ns, time.perf_counter_ns() - period_ns))

    def take_turn(self) -> bool:
        """Run a frame, go one back, or stand, as the user wants; whether it did not stand."""
        if self.rewind.is_held:
            self.rewind.turn()
            return True
        if self.user.paused and not self.user.wants_a_step:
            self._tell_companions()
            return False
        self.user.wants_a_step = False
        self.run_frame()
        return True

    def _wait_until(self, due_ns: int) -> None:
        """Wait for the next frame; at slow speeds go on taking what the user does."""
        while (left := (due_ns - time.perf_counter_ns()) / 1e9) > 0:
            time.sleep(min(left, 1 / FRAME_HZ))
            if left > 1 / FRAME_HZ and self.closed_by_user():
                return

    def draw_frame(self) -> FrameReport:
        """Harvest, draw and present a frame; the guest stays where it is."""
        return self._loop.draw_frame()

    def add_display(self, display: Display) -> None:
        """Let another one look, from the next frame on; it gets the whole picture first.

        Unless it says `in_step`, it gets a thread of its own, and nobody waits for it: see
        `vgaemu.display.displays`.

        Raises:
            DisplayError: It is none, or is there already; or the machine is closed.
        """
        self._loop.add_display(display)
        if self.user.paused:
            self._loop.display.pauses(True)

    def remove_display(self, display: Display, *, close: bool = True) -> None:
        """Close a display, or only let it go for another machine's; the others go on.

        Raises:
            DisplayError: It is no display of this machine, or not any more.
        """
        self._loop.remove_display(display, close=close)

    def serve(
        self, port: int = 5900, host: str = "127.0.0.1", **options: Unpack[ViewOptions]
    ) -> Server:
        """Let VNC viewers and browsers look, and the first of them type.

        `port` 0 is one that is free; for the rest see `vgaemu.view.server.Server`, which is given:
        its `port`, its `page` for browsers, its `close`.

        Raises:
            ViewError: One cannot listen there, or not without a password.
            DisplayError: The machine is closed.
        """
        from vgaemu.view.server import Server

        self._loop.refuse_if_closed()
        lamps = None if self.pc is None else self.pc.keyboard_lamps
        server = Server(self.screen, host, port, lamps=lamps, is_drawn=self.frames > 0, **options)
        self.add_display(server)
        return server

    def settle(self, seconds: float = 1.0) -> bool:
        """Wait until each display shows the last frame, at most so long; whether they do."""
        return self._loop.settle(seconds)

    def record(self, path: str | Path, *, outlines: bool = False) -> Recording:
        """Record the picture into a .png, .gif, .webp, .mp4 or .mkv, from the next frame.

        It ends when the recording or the machine is closed. `outlines` show what was redrawn.

        Raises:
            RecordError, DisplayError: No such format, no file to write, or the machine is closed.
        """
        return self._recordings.start(path, outlines=outlines)

    def toggle_recording(self) -> None:
        """Record as ``vgaemu-001.png``, or what is free, or end that; tell the user."""
        self._recordings.toggle()

    def tell_user(self, text: str) -> None:
        """Let the display say something, if it is one that can."""
        self._loop.display.notice(text)

    def closed_by_user(self) -> bool:
        """Take what the user did at the displays, and say whether that was to close it."""
        display, user = self._loop.display, self.user
        user.do(display.poll())
        if display.can_be_closed and (why := user.standstill) != user.stands:
            user.stands = why
            display.stands_still(why)
        return user.wants_to_close

    def schedule_keys(self, keys: str | Iterable[tuple[int, str]]) -> None:
        """Strike keys at given frames, and move and click: ``"30:a"`` as ``--keys``, or as pairs.

        Raises:
            KeysError: There is no key of a name; none of them is struck then.
        """
        self._key_schedule.add(keys)

    def wait_for_text(self, pattern: Sought, frames: int = 600) -> bool:
        """Run until a row of a text screen has a text, or matches it as a regular expression.

        Returns:
            Whether it was seen; after so many frames, or when the guest has ended, it was not.
        """
        find = finder(pattern)
        for _ in range(frames):
            alive = self.tick()
            if self.screen.is_text and any(find(row, 0) >= 0 for row in self.screen.text()):
                return True
            if not alive:
                break
        return False

    def close(self) -> None:
        """Stop the guest and close the display; twice is fine.

        Raises:
            TapeError, RecordError: Not all of a recording could be written.
        """
        if self._saving.closed:
            return
        for companion in tuple(self.before_close):
            companion()
        self._saving.closed = True
        self.guest.stop()
        if self.pc is not None:
            self.pc.stop()
        with ExitStack() as last_first:
            last_first.callback(self._close_vram)
            last_first.callback(self._recordings.close)
            last_first.callback(self._stop_tape)
            last_first.callback(self._close_pc)
            last_first.callback(self._stop_guest)
            self._loop.close()  # a window is gone at once, whatever its guest does

    def _stop_guest(self) -> None:
        ours = self.pc is not None
        self.runner.close(MACHINE_CODE_STOPS_S if ours else WORKLOAD_STOPS_S, is_ours=ours)

    def _close_pc(self) -> None:
        if self.pc is not None and self.runner.is_over:
            self.pc.close()

    def _close_vram(self) -> None:
        if self.runner.is_over:
            self.vram.close()

    def _stop_tape(self) -> None:
        if self._recorder is not None:
            frame = self.screen.frame_number
            self._recorder.close(hidden_in=None if blink_shown(frame) else frame)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
