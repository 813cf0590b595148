"""attach: a VGA for one's own Unicorn script.

    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)
    ...                                   # map memory, load code, as ever
    with vgaemu.attach(uc) as card:
        card.set_mode(0x13)
        uc.emu_start(begin, until, count=1_000_000)
        card.draw_frame()
        card.screen.save("shot.png")

`card.record` and `card.serve` are a machine's; what viewers type waits in the server's `poll`.

Hooked up: the VGA's ports, its windows at A0000h-BFFFFh, the linear frame buffer at E0000000h and
VRAM's dirty log. All else of the engine stays as it is, with three limits. Addresses are translated
by the VGA's hook, one to one, so the guest cannot use paging. The script's own `mem_read` and
`mem_write` see what it mapped below the windows, and its memory hooks find VRAM where it lies in
the engine, from E0000000h, F0000000h or, where native code answers, F0020000h on; `card.vga` loads
and stores at guest addresses. And `draw_frame`, `get_dirty_log` and what writes to the VGA's ports
are called by the thread that runs the engine, after `emu_start` or in a hook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Unpack

from vgaemu.display.loop import DEFAULT_SPAN_PAGES, DisplayLoop, check_span_pages
from vgaemu.display.named import make_display
from vgaemu.display.report import Display, FrameReport
from vgaemu.display.screen import Screen
from vgaemu.display.stats import Stats
from vgaemu.errors import SnapshotError
from vgaemu.memslot.bitmap import SpanPages
from vgaemu.memslot.log import DirtyLog
from vgaemu.memslot.slot import Memslot
from vgaemu.recordings import Recording, Recordings
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_dispi_mode, set_mode
from vgaemu.vga.ports import DECODED_PORTS
from vgaemu.vga.vram import DEFAULT_VRAM_MIB, make_vram

if TYPE_CHECKING:
    from unicorn import Uc

    from vgaemu.view.server import Server, ViewOptions

PortIn = Callable[[int, int], int]
PortOut = Callable[[int, int, int], None]


class VgaCard:
    """A VGA in an engine, with its picture; `attach` makes it. A context manager that closes it."""

    #: VRAM, a `Memslot` with its dirty log.
    vram: Memslot
    #: The device: ports, registers, and memory at guest addresses.
    vga: Vga

    def __init__(
        self,
        uc: Uc,
        vga: Vga,
        display: Display,
        *,
        span_pages: SpanPages,
        port_in: PortIn | None,
        port_out: PortOut | None,
    ) -> None:
        """Hook a device into an engine; see `attach`."""
        # Unicorn is an extra.
        from vgaemu.pc.cpu.unicorn_card import CardPages
        from vgaemu.pc.cpu.unicorn_ports import PortHooks

        self.vram, self.vga = vga.slot, vga
        self._pages = CardPages(uc, vga)
        self._ports = PortHooks(uc, self._on_in, self._on_out)
        self._port_in = port_in or (lambda port, size: (1 << 8 * size) - 1)
        self._port_out = port_out or (lambda port, size, value: None)
        self._closed = False
        # Whoever moves windows is the engine's thread, too, perhaps before the first harvest.
        self.vga.on_map_changed.append(self._pages.tlb.enter)
        self.vram.harvest_through(self._harvest)
        self._loop = DisplayLoop(vga, display, span_pages=span_pages)
        self._between_frames: list[Callable[[], None]] = []
        self._recordings = Recordings(self._loop, self._tell, self._between_frames)

    def __repr__(self) -> str:
        what = self.screen.info.mode_name if not self._closed else "closed"
        return f"<VgaCard {what}, {self._loop.frames} frames, {self.vram!r}>"

    @property
    def screen(self) -> Screen:
        """The picture: `frame`, `rgb()`, `text()`, `save()`, `full_redraw()`."""
        return self._loop.screen

    @property
    def stats(self) -> Stats:
        """What the frames cost."""
        return self._loop.stats

    def set_mode(self, number: int) -> None:
        """Set a BIOS mode, for scripts that emulate no BIOS.

        Raises:
            ModeError: There is no such mode.
        """
        set_mode(self.vga, number)

    def set_dispi_mode(self, width: int, height: int, bits: int) -> None:
        """Set a mode of the DISPI (Bochs VBE) registers, such as 640x480 in 32 bits.

        Raises:
            ModeError: DISPI has no such mode, or VRAM is too small for it.
        """
        set_dispi_mode(self.vga, width, height, bits)

    def snapshot(self) -> NoReturn:
        """There is none of a card: the engine and what it runs are the script's own.

        Raises:
            SnapshotError: Always, with what to do instead.
        """
        raise SnapshotError(
            "a card in a script's engine has no snapshots, that is the script's own to keep: "
            "uc.context_save() and its memory; vgaemu.Machine has them"
        )

    def draw_frame(self) -> FrameReport:
        """Harvest, draw what changed, show it.

        Raises:
            RuntimeError: The VGA was taken out.
        """
        if self._closed:
            raise RuntimeError("the VGA is closed")
        report = self._loop.draw_frame()
        self.vga.note_frame()
        for companion in tuple(self._between_frames):
            companion()
        return report

    def record(self, path: str | Path, *, outlines: bool = False) -> Recording:
        """Record the picture, 60 frames a second: see `vgaemu.Machine.record`."""
        return self._recordings.start(path, outlines=outlines)

    def serve(
        self, port: int = 5900, host: str = "127.0.0.1", **options: Unpack[ViewOptions]
    ) -> Server:
        """Let VNC viewers and browsers look: see `vgaemu.Machine.serve`.

        There is no keyboard: the server's `poll` gives what the first viewer has done.
        """
        from vgaemu.view.server import Server

        self._loop.refuse_if_closed()
        server = Server(self.screen, host, port, is_drawn=self._loop.frames > 0, **options)
        self._loop.add_display(server)
        return server

    def _tell(self, text: str) -> None:
        self._loop.display.notice(text)

    def _harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Whoever asks is the engine's thread, between two instructions: flush the TLB here."""
        self._pages.tlb.enter()
        return self._pages.tlb.harvest(keeper_harvest)

    def __enter__(self) -> VgaCard:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take hooks and VRAM out; the engine goes on without a VGA. Closing twice is fine.

        Raises:
            RecordError: Not all of a recording that nobody closed could be written.
        """
        if self._closed:
            return
        self._closed = True
        self.vram.harvest_through(None)
        self.vga.on_map_changed.remove(self._pages.tlb.enter)
        self._ports.close()
        self._pages.close()
        try:
            self._recordings.close()
        finally:
            self._loop.close()

    def _on_in(self, uc: Uc, port: int, size: int, data: object) -> int:
        if port not in DECODED_PORTS:
            return self._port_in(port, size)
        if size <= 2:
            return self.vga.inb(port) if size == 1 else self.vga.inw(port)
        return sum(self._on_in(uc, port + i, 1, data) << 8 * i for i in range(size))

    def _on_out(self, uc: Uc, port: int, size: int, value: int, data: object) -> None:
        if port not in DECODED_PORTS:
            self._port_out(port, size, value)
        elif size == 1:
            self.vga.outb(port, value)
        elif size == 2:
            self.vga.outw(port, value)
        else:
            self._on_out(uc, port, 2, value & 0xFFFF, data)
            self._on_out(uc, port + 2, 2, value >> 16, data)


def attach(
    uc: Uc,
    *,
    mode: int = 3,
    vram_mib: int = DEFAULT_VRAM_MIB,
    dirty_log: str = "flags",
    span_pages: SpanPages = DEFAULT_SPAN_PAGES,
    display: str | Display | Sequence[str | Display] = "null",
    port_in: PortIn | None = None,
    port_out: PortOut | None = None,
) -> VgaCard:
    """Give a Unicorn engine a VGA card.

    Args:
        uc: An x86 engine, not running. E0000000h, F0000000h and 2_00000000h are not mapped yet.
        mode: BIOS mode to start in.
        vram_mib: Size of VRAM in MiB, 1 to 256.
        dirty_log: Who keeps VRAM's dirty log: see `vgaemu.memslot.KEEPERS`.
        span_pages: Word width of the ffs..fls spans: 64, 32, 16 or 8 pages.
        display: ``"null"``, ``"window"``, or an object with `resize`, `update` and `close`; or a
            list of them.
        port_in: Answers the ports that are not the VGA's: ``port_in(port, size)``.
        port_out: Takes what goes to them: ``port_out(port, size, value)``.

    Raises:
        AttachError: No x86 engine, or one that has something else mapped there.
        MemslotError: No such dirty log, number of span pages, or size of VRAM.
        ModeError: No such BIOS mode.
        DisplayError: No such display, or the window cannot be opened.
    """
    from vgaemu.pc.cpu.unicorn_vga import check_engine

    check_span_pages(span_pages)
    vga = Vga(make_vram(vram_mib, dirty_log=dirty_log))
    set_mode(vga, mode)
    check_engine(uc, vga)
    display = make_display(display)
    return VgaCard(uc, vga, display, span_pages=span_pages, port_in=port_in, port_out=port_out)
