"""A PC put together: bus, clock, chips and CPU, a BIOS or a firmware, and the image that it starts.

Each part gets the parts below it and no more; what has to be given back at the end is kept in the
order of its making.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from vgaemu.errors import CpuError, ImageError
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Keys
from vgaemu.memslot.slot import Memslot
from vgaemu.pc.bios.bios import BOOT_AT, Bios
from vgaemu.pc.bios.vgarom import find_vga_rom, install_vga_rom
from vgaemu.pc.board import Board
from vgaemu.pc.bus import DEFAULT_RAM_BYTES, RAM_MIB, Bus, TappedBus
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.chips.debugexit import DebugExit
from vgaemu.pc.chips.debugports import DebugFile, DebugPorts
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.chips.pci import PciBus
from vgaemu.pc.chips.pic import Pic, RaiseIrq
from vgaemu.pc.chips.pit import Pit
from vgaemu.pc.chips.poweroff import PowerOff
from vgaemu.pc.chips.printer import Printer
from vgaemu.pc.chips.retrace import RetraceLine
from vgaemu.pc.chips.serial import Serial
from vgaemu.pc.clock import INSTRUCTION_NS, Clock, StepClock
from vgaemu.pc.cpu.cpu import INTERRUPT, Cpu
from vgaemu.pc.debug import PortTail, PortTrace, PortWatch, place_of
from vgaemu.pc.disks import Said, all_disks, read_said
from vgaemu.pc.formats import load_image, who_takes, wrong_options
from vgaemu.pc.guest_beam import GuestBeam
from vgaemu.pc.images import DiskImage, DosProgram, Image, LinuxKernel, MultibootKernel
from vgaemu.pc.pace import PacedClock, WallClock
from vgaemu.pc.pc import Pc
from vgaemu.pc.reset import begin_anew, goes_on
from vgaemu.pc.symbols import load_symbols
from vgaemu.vga.device import Vga

if TYPE_CHECKING:
    from vgaemu.pc.bios.seabios import SeaBios  # brings KVM
    from vgaemu.pc.chips.ata import AtaChannel, Drive
    from vgaemu.pc.dos.dos import Dos

CPUS = ("unicorn", "kvm")
#: Bytes of VRAM that a port write clears or moves, as DISPI and chain-4 let it, in a nanosecond of
#: the guest's time: as fast as a video card fills its own memory.
MOVED_BYTES_A_NS = 1
#: An interrupt that a port access lets through comes so much later: most do that at the end of a
#: handler, OUT 20h, AL; POP AX; IRET.
TO_IRET_NS = 2 * INSTRUCTION_NS
#: Virtual time of one that goes away, unheard, as a looked at key does: a slice has ended for it.
UNHEARD_NS = 5_000
#: Options that a machine has which is made for what it is at power on: none of these.
_OUTPUTS: tuple[
    Literal["trace_ports", "debugcon", "serial", "printer", "exit_port", "trace_code"], ...
] = (
    "trace_ports", "debugcon", "serial", "printer", "exit_port", "trace_code",
)  # fmt: skip


class PcOptions(TypedDict, total=False):
    """What `Machine` takes for machine code, and `vgaemu run` has options for."""

    #: Who executes: ``"unicorn"`` or ``"kvm"``.
    cpu: str
    #: MiB of RAM, 2 to 1024.
    memory: int
    #: ``"builtin"``, ``"auto"`` (a ROM of the system's, if there is one) or a ROM's path.
    vga_bios: str
    #: ``"seabios"``: boot through a whole firmware; KVM only.
    firmware: str | None
    #: The folder that a .COM program's files are in; None: it has none.
    dos_root: str | Path | None
    #: What DOS says that it is, as ``"3.30"``; programs of some DOS refuse others. None: 5.0.
    dos_version: str | None
    #: DOS has a DPMI host: protected mode for programs that bring no host of their own.
    dpmi: bool
    #: Let the guest write to the image file; else it writes to a copy.
    writable: bool
    #: Boot a disk without the boot signature.
    force: bool
    #: A kernel's command line; files that are handed to it, separated by commas, each with its
    #: words behind a space.
    append: str | None
    initrd: str | Path | None
    #: What sort of disk an image is, if it does not say: ``"fd"``, ``"hd"`` or ``"cd"``; one of
    #: them with a file behind it, ``"fd=b.img"``, is a further disk. A list says several.
    drive: Said
    #: A file that gets a line for every port access, or what keeps the last of them.
    trace_ports: str | Path | PortTail | None
    #: A file that gets what is printed to port E9h, as it comes; ``"-"`` is standard output.
    debugcon: str | Path | None
    #: A file that gets what is sent to the serial port at 3F8h, as it comes; ``"-"`` as there.
    serial: str | Path | None
    #: End the run with code 0 where the guest pulls the CPU's reset line; else it begins anew.
    no_reboot: bool
    #: A file that gets what is printed at the port 378h, as it comes; ``"-"`` as there.
    printer: str | Path | None
    #: A port whose writes end the guest with a code: see `vgaemu.pc.chips.debugexit`.
    exit_port: int | None
    #: Remember what was executed last, for the report of a fault; Unicorn only, several times
    #: slower.
    trace_code: bool
    #: An ELF file whose symbols faults and traces name; a kernel that is one needs none.
    symbols: str | Path | None
    #: Connect the VGA's interrupt line, of vertical retraces, to IRQ 9.
    retrace_irq: bool
    #: Guest seconds a second, on a thread of its own.
    guest_speed: float


def sets_mode_3(options: PcOptions) -> bool:
    """Whether the VGA is in mode 3 once a PC is built, whatever its registers were."""
    return options.get("firmware") is None and options.get("vga_bios", "builtin") == "builtin"


def open_pc(
    name: str,
    args: list[str],
    vga: Vga,
    keys: Keys,
    mouse: Mouse | None = None,
    *,
    free: bool = False,
    options: PcOptions | None = None,
) -> Pc:
    """Load a file and make a PC around it.

    Raises:
        WorkloadError: The file, ROM or folder cannot be used, or there is no such CPU here.
    """
    chosen = options or {}
    wanted, symbols = read_said(chosen.get("drive")), chosen.get("symbols")
    known = None if symbols is None else load_symbols(Path(symbols))
    image = load_image(
        name, args, force=chosen.get("force", False), writable=chosen.get("writable", False),
        drive=wanted.kind, append=chosen.get("append"), initrd=chosen.get("initrd"),
    )  # fmt: skip
    given = [option for option, value in chosen.items() if value is not None and value is not False]
    for option in wrong_options(name, given, disks_beside=bool(wanted.more)):
        raise ImageError(f"{option}: only for {who_takes(option)}; leave it out")
    try:
        pc = build_pc(vga, keys, image, mouse, free=free, **chosen)
        pc.symbols = known
        return pc
    except CpuError as error:
        raise ImageError(f"--cpu: {error}") from None


def build_pc(
    vga: Vga,
    keys: Keys,
    image: Image,
    mouse: Mouse | None = None,
    *,
    free: bool = False,
    begin_ns: int = 0,
    disks: tuple[DiskImage, ...] | None = None,
    **options: Unpack[PcOptions],
) -> Pc:
    """Power on, up to the first instruction of the image; the beam of `vga` becomes the guest's.

    It lives in virtual time, which waits for wall time if it is `free`; under KVM in wall time,
    without its idle part unless it is `free`. Its clock begins at `begin_ns`. The `image` has its
    options (`writable`, `force` and the like) already.

    Raises:
        CpuError: There is no such CPU here.
        ImageError: A ROM, folder or log of ports cannot be used.
    """
    disks = _disks(image, options) if disks is None else disks
    firmware = options.get("firmware")
    rom = _find_rom(vga, options.get("vga_bios", "builtin"), firmware)
    clock = _clock(free, options, begin_ns)
    bios, dos, seabios = None, None, None
    with ExitStack() as undo:
        bus, trace = _bus(vga, options, undo)
        undo.callback(vga.slot.harvest_through, None)
        undo.callback(bus.slot.harvest_through, None)
        cpu = _cpu(bus, clock, free, options)
        undo.callback(cpu.close)
        pic = _pic(bus, clock)
        raise_irq = cpu.raise_irq if cpu.has_own_timer else pic.raise_irq
        pit, keyboard = Pit(bus, raise_irq, clock), I8042(bus, raise_irq, clock, keys, mouse)
        board = _board(bus, cpu, clock, raise_irq, keyboard, disks, has_pci=firmware is None)
        channels = _channels(bus, raise_irq, clock, disks)
        debug, serial, printer = _printing(bus, raise_irq, clock, options, undo)
        _let_fall(cpu, pic, keyboard, board.cmos, serial, *channels)
        _add_ends(board, options.get("exit_port"))
        if trace is not None:
            trace.follow(cpu, clock)
        beam = _give_beam(vga, clock, cpu)
        retrace = RetraceLine(vga, raise_irq, clock) if options.get("retrace_irq") else None
        undo.callback(_charge_moves(vga, clock))
        _harvest(bus, cpu)
        if firmware is not None:
            seabios = _firmware(firmware, board, image)
        else:
            bios, dos = _boot(board, image, disks, rom, options)
            if dos is not None:
                undo.callback(dos.close)
        pc = Pc(
            board, keys, pic, pit, debug, serial, printer, image, disks,
            free=free, bios=bios, dos=dos, firmware=seabios, beam=beam,
            retrace=retrace, channels=channels, resources=undo.pop_all(),
        )  # fmt: skip
        pc.on_reset = partial(_reset, pc, options)
        _name_places(trace, pc)
        return pc


def _reset(pc: Pc, options: PcOptions) -> bool:
    """The guest pulls the CPU's reset line; False: there is nothing that could begin anew."""
    alone = goes_on(pc.board.cmos)
    if options.get("no_reboot") and not alone:
        pc.run.end()
        return True
    if pc.firmware is not None or (isinstance(pc.image, DosProgram) and not alone):
        return False
    vga, quiet = Vga(Memslot(pc.vga.slot.npages, pc.vga.slot.base_gfn)), options.copy()
    for name in _OUTPUTS:
        quiet.pop(name, None)
    vga.rom_font = pc.vga.rom_font
    now, disks = pc.clock.now_ns(), pc.disks
    begin_anew(pc, build_pc(vga, Keys(), pc.image, begin_ns=now, disks=disks, **quiet))
    return True


def _bus(vga: Vga, options: PcOptions, undo: ExitStack) -> tuple[Bus, PortWatch | None]:
    """Memory and ports, and who is told of accesses to these."""
    trace, ram_bytes = _port_watch(options.get("trace_ports")), _ram_bytes(options.get("memory"))
    if trace is None:
        return Bus(vga, ram_bytes), None
    undo.callback(trace.close)
    return TappedBus(vga, trace.note, ram_bytes), trace


def _name_places(trace: PortWatch | None, pc: Pc) -> None:
    if isinstance(trace, PortTrace):
        trace.name = lambda: place_of(pc.cpu, pc.bus, pc.known_symbols)


def _board(
    bus: Bus, cpu: Cpu, clock: Clock, raise_irq: RaiseIrq, keyboard: I8042,
    disks: Sequence[DiskImage], *, has_pci: bool,
) -> Board:  # fmt: skip
    """What the BIOS may touch; SeaBIOS, which would move what is on a PCI bus, has none."""
    cmos = Cmos(bus, clock, bus.ram_bytes, raise_irq)
    cmos.note_drives(disks)
    pci = PciBus(bus) if has_pci else None
    return Board(bus.vga, bus, cpu, clock, keyboard, cmos, pci=pci)


def _disks(image: Image, options: PcOptions) -> tuple[DiskImage, ...]:
    """The disk that is run, and those that are there besides."""
    wanted = read_said(options.get("drive"))
    if wanted.more and options.get("firmware") is not None:
        raise ImageError("--drive: SeaBIOS has the one floppy that it boots; leave out --firmware")
    return all_disks(image, wanted, writable=options.get("writable", False))


def _channels(
    bus: Bus, raise_irq: RaiseIrq, clock: Clock, disks: Sequence[DiskImage]
) -> list[AtaChannel]:
    """The cables that there is something on: hard disks on the first, a CD on the second."""
    hard_disks = [disk for disk in disks if disk.is_hard_disk]
    if not hard_disks and not any(disk.is_cd for disk in disks):
        return []
    # Rooms that floppies need not wait for.
    from vgaemu.pc.chips.ata import PRIMARY, SECONDARY, AtaChannel
    from vgaemu.pc.chips.ata_disk import AtaDisk
    from vgaemu.pc.chips.atapi import CdDrive

    cables: tuple[tuple[Sequence[Drive], tuple[int, int, int]], ...] = (
        ([AtaDisk(disk, number) for number, disk in enumerate(hard_disks)], PRIMARY),
        ([CdDrive(disk) for disk in disks if disk.is_cd], SECONDARY),
    )
    return [AtaChannel(bus, raise_irq, clock, drives, at) for drives, at in cables if drives]


def _pic(bus: Bus, clock: Clock) -> Pic:
    """The interrupt controllers, which end slices."""
    return Pic(
        bus,
        lambda: clock.due(clock.now_ns() + TO_IRET_NS),
        lambda: clock.cost(UNHEARD_NS),
    )


def _let_fall(cpu: Cpu, pic: Pic, *chips: I8042 | Cmos | Serial | AtaChannel) -> None:
    """Requests go away with what they were for; the kernel's own controller keeps them."""
    for chip in () if cpu.has_own_timer else chips:
        chip.lower_irq = pic.lower_irq


def _harvest(bus: Bus, cpu: Cpu) -> None:
    bus.vga.slot.harvest_through(cpu.harvest)
    bus.slot.harvest_through(cpu.harvest_ram)


def _printing(
    bus: Bus, raise_irq: RaiseIrq, clock: Clock, options: PcOptions, undo: ExitStack
) -> tuple[DebugPorts, Serial, Printer]:
    """The ports that text goes to, and the files that get it."""
    debug, serial = DebugPorts(bus), Serial(bus, raise_irq, clock)
    printer = Printer(bus, raise_irq, clock)
    outputs: tuple[
        tuple[DebugPorts | Serial | Printer, Literal["debugcon", "serial", "printer"]], ...
    ] = ((debug, "debugcon"), (serial, "serial"), (printer, "printer"))
    for port, option in outputs:
        path = options.get(option)
        if path is not None:
            port.file = file = DebugFile(path, f"--{option}")
            undo.callback(file.close)
    return debug, serial, printer


def _add_ends(board: Board, port: int | None) -> None:
    """Ports that end the run: those that switch off, and one that says with which code."""

    def end(code: int = 0) -> None:
        board.run.end(code)
        board.clock.due(board.clock.now_ns())  # nothing is executed behind it
        board.cpu.stop()

    PowerOff(board.bus, end)
    if port is None:
        return
    if port not in range(0x10000):
        said = f"{port:#x}" if isinstance(port, int) else repr(port)
        raise ImageError(f"--exit-port {said}: ports are numbers, 0 to 0xffff")
    DebugExit(board.bus, port, end)


def _give_beam(vga: Vga, clock: Clock, cpu: Cpu) -> GuestBeam:
    def stays() -> frozenset[int]:
        # The feature control bit changes what is answered.
        return frozenset() if vga.feature_control else cpu.stays()

    vga.beam = beam = GuestBeam(clock, stays)
    return beam


def _charge_moves(vga: Vga, clock: Clock) -> Callable[[], None]:
    """Let memory that the card itself moves take its time; what ends that."""

    def moved(nbytes: int) -> None:
        clock.cost(nbytes // MOVED_BYTES_A_NS)

    vga.on_moved.append(moved)
    return lambda: vga.on_moved.remove(moved)


def _port_watch(trace_ports: str | Path | PortTail | None) -> PortWatch | None:
    if trace_ports is None or isinstance(trace_ports, PortTail):
        return trace_ports
    return PortTrace(trace_ports)


def _ram_bytes(mib: int | None) -> int:
    if mib is None:
        return DEFAULT_RAM_BYTES
    if mib not in RAM_MIB:
        raise ImageError(f"--memory {mib}: {RAM_MIB[0]} to {RAM_MIB[-1]} MiB are possible")
    return mib << 20


def _folder(dos_root: str | Path | None) -> Path | None:
    if dos_root is not None and not Path(dos_root).is_dir():
        raise ImageError(f"--dos-root {dos_root}: not a folder; name one")
    return None if dos_root is None else Path(dos_root)


def _find_rom(vga: Vga, choice: str, firmware: str | None) -> bytes | None:
    """The VGA BIOS ROM to use, or None for the builtin one."""
    if vga.rom_font is None:
        return find_vga_rom(choice)
    if firmware is not None or choice not in ("auto", "builtin"):
        raise ImageError(
            "--font: a VGA BIOS ROM brings its own; use --vga-bios builtin and no --firmware"
        )
    return None


def _clock(free: bool, options: PcOptions, begin_ns: int) -> Clock:
    speed, kvm = options.get("guest_speed", 1.0), options.get("cpu") == "kvm"
    clock: Clock = StepClock()
    if free:
        clock = WallClock(speed) if kvm else PacedClock(speed)
    elif kvm:
        clock = WallClock(skip=True)
    clock.set_ns(begin_ns)
    return clock


def _cpu(bus: Bus, clock: Clock, free: bool, options: PcOptions) -> Cpu:
    name, trace_code = options.get("cpu", "unicorn"), options.get("trace_code", False)
    # Each brings what the other does not need: an engine, a kernel's ABI.
    if name == "unicorn":
        _check_unicorn()
        from vgaemu.pc.cpu.unicorn import UnicornCpu

        assert isinstance(clock, StepClock)  # see `_clock`
        return UnicornCpu(bus, clock, free=free, trace_code=trace_code)
    if trace_code:
        raise ImageError("--trace-code needs --cpu unicorn")
    if name == "kvm":
        from vgaemu.pc.cpu.kvm import KvmCpu

        return KvmCpu(bus, clock, irqchip=options.get("firmware") is not None)
    raise CpuError(f"no CPU named {name!r}; there are {' and '.join(CPUS)}")


def _check_unicorn() -> None:
    """Say how one comes to a CPU, where there is no Unicorn; what imports it says less."""
    if find_spec("unicorn") is None:
        other = ", or take --cpu kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else ""
        raise CpuError(f"the CPU 'unicorn' is not installed; pip install 'vgaemu[unicorn]'{other}")


def _firmware(name: str, board: Board, image: Image) -> SeaBios:
    from vgaemu.pc.bios.seabios import SeaBios

    if name != SeaBios.name:
        raise ImageError(f"--firmware {name}: not known; there is {SeaBios.name}")
    return SeaBios(board, image)


def _boot(
    board: Board,
    image: Image,
    disks: Sequence[DiskImage],
    rom: bytes | None,
    options: PcOptions,
) -> tuple[Bios, Dos | None]:
    """The builtin BIOS, or with it DOS; the image is loaded, registers are as they leave them."""
    cpu, bios = board.cpu, Bios(board, image if isinstance(image, DiskImage) else None, disks)
    if rom is not None:
        install_vga_rom(board, bios.calls, rom)
    else:
        bios.video.modes.set_mode(3)
    cpu.set_registers(ds=0, es=0, ss=0, fs=0, gs=0, cs=0, eflags=INTERRUPT | 2, esp=BOOT_AT)
    if isinstance(image, DosProgram):
        from vgaemu.pc.dos.dos import Dos  # a room that other guests need not wait for
        from vgaemu.pc.dos.system import version_of

        root, version = _folder(options.get("dos_root")), version_of(options.get("dos_version"))
        return bios, Dos(board, bios, image, root, version, disks, dpmi=options.get("dpmi", False))
    if isinstance(image, MultibootKernel):
        from vgaemu.pc.boot.multiboot import boot_multiboot

        boot_multiboot(board, image)
        return bios, None
    if isinstance(image, LinuxKernel):
        from vgaemu.pc.boot.linux import boot_linux

        boot_linux(board, image)
        return bios, None
    at, code = image.boot_code()
    board.bus.write(at, code)
    cpu.set_registers(edx=image.number, eax=0xAA55, cs=(at & 0xF0000) >> 4, eip=at & 0xFFFF)
    return bios, None
