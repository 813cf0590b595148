"""Pc: a CPU, a bus, small chips, a BIOS and one image or program; what `vgaemu run game.img` runs.

Emulated: a one-processor AT with 16 MiB. Not emulated: see `chips`, `bios`, `dos`, `bus`.

The guest's time runs in slices of instructions. Between two slices, and only there, the chips look
at the clock, interrupts are taken and the dirty log of pages that the CPU has open is harvested.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import CpuError, GuestFault, ImageError
from vgaemu.guest.workload import Guest
from vgaemu.keys.queue import Keys
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.vgarom import find_vga_rom, install_vga_rom
from vgaemu.pc.board import Board, RunState
from vgaemu.pc.bus import Bus, TappedBus
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.chips.debugports import DebugPorts
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.chips.pic import Pic
from vgaemu.pc.chips.pit import Pit
from vgaemu.pc.clock import NEVER_NS, Clock, GuestBeam, StepClock, WallClock
from vgaemu.pc.cpu.cpu import INTERRUPT, Array, Cpu
from vgaemu.pc.debug import PortTrace, fault_report
from vgaemu.pc.images import SECTOR, ComProgram, DiskImage, load_image
from vgaemu.signals import ctrl_c_waits
from vgaemu.vga.device import Vga

if TYPE_CHECKING:
    from vgaemu.pc.bios.seabios import FwCfg
    from vgaemu.pc.dos.dos import Dos

FRAME_NS = 1_000_000_000 // 60
#: Free-running slices are handed to KVM for at most this long.
KVM_SLICE_NS = 10_000_000
CPUS = ("unicorn", "kvm")


class PcOptions(TypedDict, total=False):
    """What `Machine` takes for machine code, and `vgaemu run` has options for."""

    #: Who executes: ``"unicorn"`` or ``"kvm"``.
    cpu: str
    #: ``"builtin"``, ``"auto"`` (a ROM of the system's, if there is one) or a ROM's path.
    vga_bios: str
    #: ``"seabios"``: boot through a whole firmware; KVM only.
    firmware: str | None
    #: The folder that a .COM program's files are in; None: it has none.
    dos_root: str | Path | None
    #: Let the guest write to the image file; else it writes to a copy.
    writable: bool
    #: Boot a disk without the boot signature.
    force: bool
    #: A file that gets a line for every port access.
    trace_ports: str | Path | None
    #: Remember what was executed last, for the report of a fault; Unicorn only, several times
    #: slower.
    trace_code: bool
    #: Guest seconds a second, on a thread of its own.
    guest_speed: float


class Pc:
    """One PC. `slices` is what a `Machine` runs."""

    def __init__(
        self,
        vga: Vga,
        keys: Keys,
        image: DiskImage | ComProgram,
        *,
        free: bool = False,
        cpu: str = "unicorn",
        vga_bios: str = "builtin",
        firmware: str | None = None,
        dos_root: str | Path | None = None,
        trace_ports: str | Path | None = None,
        trace_code: bool = False,
        guest_speed: float = 1.0,
    ) -> None:
        """Power on, up to the first instruction of the image.

        Args:
            vga: The device; its beam becomes the guest's.
            keys: The keyboard.
            image: What to run.
            free: Live in wall time; else in virtual time (KVM: in wall time without its idle part).
            cpu: See `PcOptions`, as for the rest.
            vga_bios: A ROM, or the builtin BIOS.
            firmware: A whole firmware.
            dos_root: Files of a program.
            trace_ports: Log of port accesses.
            trace_code: What was executed last, in the report of a fault.
            guest_speed: Guest seconds a second.

        Raises:
            CpuError: There is no such CPU here.
            ImageError: A ROM or folder cannot be used.
        """
        self.vga, self.keys = vga, keys
        self.image: DiskImage | ComProgram = image
        self.free: bool = free
        #: A program ends; what boots from a disk seldom does.
        self.endless = isinstance(image, DiskImage)
        self.run: RunState = RunState()
        self._single = False
        #: What is left of a closed PC for a saved state: all but RAM and disk.
        self._last: dict[str, Array] | None = None
        self._dos_root = None if dos_root is None else Path(dos_root)
        if self._dos_root is not None and not self._dos_root.is_dir():
            raise ImageError(f"--dos-root {dos_root}: not a folder; name one")
        rom = self._find_rom(vga_bios, firmware)
        self.trace = None if trace_ports is None else PortTrace(trace_ports)
        self.bus: Bus = Bus(vga) if self.trace is None else TappedBus(vga, self.trace.note)
        self.clock: Clock = self._make_clock(cpu, free, guest_speed)
        #: What a firmware needs above RAM; the CPU's memory slots point to it.
        self.firmware_memory: NDArray[np.uint8] | None = None
        self.firmware: str | None = firmware
        self.fw_cfg: FwCfg | None = None
        self.cpu = self._make_cpu(cpu, firmware, trace_code)
        if self.trace is not None:
            self.trace.follow(self.cpu, self.clock)
        self.pic: Pic = Pic(self.bus)
        raise_irq = self.cpu.raise_irq if self.cpu.has_own_timer else self.pic.raise_irq
        self.pit: Pit = Pit(self.bus, raise_irq, self.clock)
        self.keyboard: I8042 = I8042(self.bus, raise_irq, self.clock, keys)
        self.cmos: Cmos = Cmos(self.bus, self.clock, self.bus.ram_bytes)
        self.debug = DebugPorts(self.bus)
        #: When the next frame ends.
        self.next_frame_ns: int = 0
        self.board = Board(vga, self.bus, self.cpu, self.clock, self.keyboard, self.cmos, self.run)
        vga.beam = GuestBeam(self.clock)
        vga.slot.harvest_through(self.cpu.harvest)
        self._bios: Bios | None = None
        self.dos: Dos | None = None
        try:
            if firmware is not None:
                self._start_firmware(firmware, cpu)
            else:
                self._bios = Bios(self.board, image if isinstance(image, DiskImage) else None)
                if rom is not None:
                    install_vga_rom(self, rom)
                else:
                    self.bios.video.modes.set_mode(3)
                self._start_image()
        except BaseException:
            self._last = {}
            self.close()
            raise

    def _find_rom(self, choice: str, firmware: str | None) -> bytes | None:
        """The VGA BIOS ROM to use, or None for the builtin one."""
        if self.vga.rom_font is None:
            return find_vga_rom(choice)
        if firmware is not None or choice not in ("auto", "builtin"):
            raise ImageError(
                "--font: a VGA BIOS ROM brings its own; use --vga-bios builtin and no --firmware"
            )
        return None

    @staticmethod
    def _make_clock(cpu: str, free: bool, speed: float) -> Clock:
        if free:
            return WallClock(speed)
        return WallClock(skip=True) if cpu == "kvm" else StepClock()

    def _make_cpu(self, name: str, firmware: str | None, trace_code: bool) -> Cpu:
        if name == "unicorn":
            from vgaemu.pc.cpu.unicorn import UnicornCpu

            return UnicornCpu(self.bus, self.clock, free=self.free, trace_code=trace_code)
        if trace_code:
            raise ImageError("--trace-code needs --cpu unicorn")
        if name == "kvm":
            from vgaemu.pc.cpu.kvm import KvmCpu

            return KvmCpu(self.bus, self.clock, irqchip=bool(firmware))
        raise CpuError(f"no CPU named {name!r}; there are {' and '.join(CPUS)}")

    def _start_firmware(self, firmware: str, cpu: str) -> None:
        if firmware != "seabios":
            raise ImageError(f"--firmware {firmware}: not known; there is seabios")
        if cpu != "kvm":
            raise ImageError("--firmware seabios needs --cpu kvm")
        from vgaemu.pc.bios.seabios import start_seabios

        start_seabios(self)

    def _start_image(self) -> None:
        """IVT, data area and video are ready: load the image, registers as the BIOS leaves them."""
        cpu, bus = self.cpu, self.bus
        for name in ("ds", "es", "ss", "fs", "gs", "cs"):
            cpu.set(name, 0)
        cpu.set("eflags", INTERRUPT | 2)
        cpu.set("esp", 0x7C00)
        if isinstance(self.image, ComProgram):
            from vgaemu.pc.dos.dos import Dos

            self.dos = Dos(self.board, self.bios, self.image, self._dos_root)
            return
        sector = self.image.read(0, 1)
        bus.write(0x7C00, sector)
        cpu.set("edx", self.bios.disk.boot_drive)
        cpu.set("eax", 0xAA55)
        cpu.set("eip", 0x7C00)

    @property
    def bios(self) -> Bios:
        """The builtin BIOS; a whole firmware has none."""
        if self._bios is None:
            raise RuntimeError("this PC runs a firmware of its own")
        return self._bios

    # --- running --------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the guest is done."""
        return self.run.ended

    @property
    def exit_code(self) -> int:
        """What the guest returned, for programs that do."""
        return self.run.exit_code

    def slices(self) -> Generator[Any, None, None]:
        """The guest, for a `Machine`: a frame a turn in step, a slice a turn on its own thread.

        Raises:
            GuestFault: What ended the run.
        """
        try:
            while not (self.run.ended or self.run.stopped):
                self.clock.start()
                try:
                    if self.free and not self._single:
                        self.step(self.clock.now_ns() + KVM_SLICE_NS)
                    else:
                        self._single = False
                        self.next_frame_ns = (
                            self.clock.now_ns() if self.free else self.next_frame_ns
                        )
                        self.frame()
                finally:
                    if not self.free:
                        self.clock.stop()
                if self.run.ended or self.run.stopped:
                    break
                yield Guest.NOW if self.free else None
        except GuestFault as fault:
            fault.report = fault_report(self.cpu, self.bus, fault.registers, repeats=not self.free)
            raise

    def stop(self) -> None:
        """End the run soon; any thread may ask."""
        self.run.stopped = True
        self.clock.wake.set()
        self.cpu.stop()

    def pause(self) -> None:
        """Stand still: the machine is paused. The next turn of `slices` is a whole frame."""
        self.clock.stop()
        self._single = True

    def frame(self) -> None:
        """Run for a 60th of a second of the guest's time."""
        self.next_frame_ns += FRAME_NS
        clock = self.clock
        while clock.now_ns() < self.next_frame_ns and not (self.run.ended or self.run.stopped):
            self.step(self.next_frame_ns)

    def step(self, limit_ns: int) -> None:
        """Chips, an interrupt if one is due, one slice of instructions or of sleep."""
        with ctrl_c_waits():
            self._step(limit_ns)

    def _step(self, limit_ns: int) -> None:
        cpu, clock = self.cpu, self.clock
        now = clock.now_ns()
        self.keyboard.advance(now)
        if not self.cpu.has_own_timer:
            self.pit.advance(now)
        if now >= self.run.wake_ns:
            self.run.wake_ns = NEVER_NS
            cpu.halted = False
        if not cpu.has_own_timer and self.pic.has_interrupt() and cpu.can_interrupt():
            cpu.halted = False
            cpu.interrupt(self.pic.acknowledge())
        if not cpu.halted:
            if self._bios is not None:
                self._bios.new_slice()
            cpu.run(limit_ns)
        elif not cpu.get("eflags") & INTERRUPT and self.run.wake_ns == NEVER_NS:
            self.run.end()  # halted with interrupts off: nothing can happen any more
        else:
            due = min(limit_ns, self.pit.next_irq_ns, self.run.wake_ns, self.keyboard.due_ns(now))
            clock.idle(max(due, now + 1))

    def close(self) -> None:
        """Stop and give everything back. Closing twice is fine."""
        self.run.stopped = True
        self.clock.wake.set()
        self.clock.stop()
        try:
            if self._last is None:
                from vgaemu.pc.state import small_arrays

                self._last = small_arrays(self)
        finally:
            self._close_parts()

    def _close_parts(self) -> None:
        self.cpu.close()
        self.vga.slot.harvest_through(None)
        if self.dos is not None:
            self.dos.close()
        if self.trace is not None:
            self.trace.close()

    # --- states ---------------------------------------------------------------------------------

    def state_arrays(self) -> dict[str, Array]:
        """All that a saved state needs but the VGA; between slices, or after `close`."""
        from vgaemu.pc.state import bulk_arrays, small_arrays

        return (small_arrays(self) if self._last is None else self._last) | bulk_arrays(self)

    def identity(self) -> dict[str, Array]:
        """Of `state_arrays` those that say which file is run; between slices, or after `close`."""
        from vgaemu.pc.state import identity_arrays

        return identity_arrays(self)

    @property
    def disk_state_bytes(self) -> int:
        """What the guest has written to its copy of the disk, which a state carries."""
        return SECTOR * len(self.image.originals) if isinstance(self.image, DiskImage) else 0

    def check_state(self, arrays: Mapping[str, Array], source: object) -> None:
        """Find out whether `put_state` may be called.

        Raises:
            StateError: It is of something else, or no state.
        """
        from vgaemu.pc.state import check_state

        check_state(self, arrays, source)

    def put_state(self, arrays: Mapping[str, Array], source: object = "state") -> None:
        """Bring the PC to a state that `check_state` has passed; `slices` then begins anew.

        Raises:
            StateError: A file that the program had open is gone; nothing has changed then.
        """
        from vgaemu.pc.state import put_state

        put_state(self, arrays, source)


def open_pc(
    name: str,
    args: list[str],
    vga: Vga,
    keys: Keys,
    *,
    free: bool = False,
    options: PcOptions | None = None,
) -> Pc:
    """Load a file and make a PC around it.

    Raises:
        WorkloadError: The file, ROM or folder cannot be used, or there is no such CPU here.
    """
    chosen: dict[str, Any] = dict(options or {})
    image = load_image(
        name, args, force=chosen.pop("force", False), writable=chosen.pop("writable", False)
    )
    try:
        return Pc(vga, keys, image, free=free, **chosen)
    except CpuError as error:
        raise ImageError(f"--cpu: {error}") from None
