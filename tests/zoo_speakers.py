"""What guests of `tests/zoo` say on COM1, and show.

| guest | stands for |
|---|---|
| arcade | games of one sector: mode 13h, colours, ticks by INT 1Ah, retraces, a beep, keys polled |
| typed | interpreters at a prompt, with services of their own at INT 21h and 22h |
| hdd | hard disks: a master boot record, a partition, the drive's shape, sectors by CHS and LBA |
| ata | systems that drive their disk by ports, with and without IRQ 14 |
| tasks | task-state segments that a timer switches; VBE 105h |
| desktop | graphical systems: VBE 143h by a page table, a PS/2 mouse by IRQ 12 |
| pci | systems that look for their devices |
| scheduler | systems of real mode with their own IRQ 0 and IRQ 1 |
| upper | loaders: A20, copies above 1 MiB, segments of 4 GiB in real mode, the memory map |
| gate | memory managers, old unpackers: an A20 gate that is closed |
| calibrate | kernels that find out how fast the time stamp counter is |
| memory | tests of memory |
| writes | systems that keep what is typed on their floppy |
| apm | systems that switch the machine off |
| looks | systems and installers that look for what is not there |
| registers | kernels that set the VGA's modes by its registers, and poll for keys |
| cycle | intros of DOS: a palette that goes round, a fade; .COM, and with its DOS on a disk |
| level | programs of DOS that ask which processor there is |
| resident | programs that stay: a clock, a key's interrupt, INT 2Fh |
| traces | debuggers of DOS: the trap flag, INT 3 |
| ticks | the same with a timer eight times as fast, and INT 08h and 1Ch hooked |
"""

from __future__ import annotations

from typing import NamedTuple


class Type(NamedTuple):
    text: str


class Move(NamedTuple):
    right: int
    down: int


class Button(NamedTuple):
    number: int
    down: bool


class Speaker(NamedTuple):
    """A guest that tells on COM1 what it found."""

    #: What it says before "end".
    says: str
    #: The picture's sum if it draws one; else its rows of text, if they are not what it says.
    shows: int | list[str] | None = None
    #: What somebody does once it is "ready".
    done: tuple[Type | Move | Button, ...] = ()
    drive: str | None = None
    mib: int = 16
    #: It has switched the machine off.
    is_off: bool = False
    #: What PVM's KVM, which emulates the guest's kernel, does not have of it.
    no_pvm: str = ""
    #: The sums of pictures that stand when it is "ready", each until the next of `done`.
    stands: tuple[int, ...] = ()
    #: It measures: under KVM the host, and QEMU counts in the guest's own nanoseconds.
    measures: bool = False


#: Of `gate`: a store, code, a byte, the stack, a frame on it, text, ROM.
OPEN, CLOSED = "123402h0000002000", "567801wABCD014101"
#: Of intros: what they leave as it was. And what `ticks` counts: its own, of INT 1Ch, the BIOS's.
LEFT = "left\nvectors\nmasks\nrate\n5003 4B33\nno key\n"
TICKS = "fast 00A0 slow 0014 of the BIOS 0014\n"
SPEAKERS: dict[str, Speaker] = {
    "arcade": Speaker("ball 006F 00B7 keys none\ndrawn AED84E7F\n03\n", 0x19EBE5F2),
    "typed": Speaker(
        "ready\n> 12 31\b \b0 + 7 *\n= 294\n> 1 +\nwhat?\n> \n",
        ["ready", "> 12 30 + 7 *", "= 294", "> 1 +", "what?", ">", "end"],
        (Type("12 31\b0 + 7 *\n1 +\n\n"),),
    ),
    "hdd": Speaker("808000000003\nAA5501\n01\n00460046\nx\n", drive="hd"),
    "ata": Speaker(
        "disk 00 lba 01\nthe sixtieth sector\nwritten and read\n01\ninterrupts 3\n", drive="hd"
    ),
    "tasks": Speaker("both are done\n", 0x9536BAC1, no_pvm="task switches"),
    "desktop": Speaker(
        "ready\n330 280 clicks 1\n", 0xADF7AD1D,
        (
            Move(50, -40), Button(1, True), Button(1, False), Move(-120, 20),
            Button(3, True),
        ),
        no_pvm="32-bit paging",
    ),
    "pci": Speaker(
        "0600\n0601\n0101\n0300 11111234\n08 a power of two\ncommand 03\nnobody FFFFFFFF\n"
        "by BAR 0 0A0B0C0D\n",
        ["by BAR 0 0A0B0C0D", "end"],
    ),
    "scheduler": Speaker(
        "ready\n18 98 25 A5 01 81\n", ["ready", "18 98 25 A5 01 81", "end", "00C8", "012C"],
        (Type("ok\33"),),
    ),
    "upper": Speaker(
        "moved\n1234 5678\n7478697389ABCDEF\n88h\nE801h\n00000000 0000\n00100000 0010\n"
        "asked wrongly\n"
    ),
    # Each closed and opened again, which port 92h, D0h and INT 15h/2402h tell.
    "gate": Speaker(
        f"{OPEN}\n" + f"00 {CLOSED}\n02 {OPEN}\n" * 3 + f"00 {CLOSED}\n01 {OPEN}\n"
    ),
    "calibrate": Speaker(
        "the end of a count: 1000 MHz\nthe high byte of a count: 1000 MHz\nticks: 1000 MHz\n"
        "periods of the clock: 1000 MHz\n20 times 10 ms: 200 ms\n",
        measures=True,
    ),
    "cycle": Speaker(
        f"ready\ndark\n{LEFT}", [*LEFT.splitlines(), "end"], (Type(" "),), stands=(0x7DAB35D1,)
    ),
    "ticks": Speaker(
        f"{TICKS}ready\n{LEFT}", [*LEFT.splitlines(), "end"], (Type(" "),), stands=(0xFE44939D,)
    ),
    "traces": Speaker(
        "straight 00 01 04 07 08\nstrings 00 03 03 03 05 08 0B 0B 0D\ncalls 00 0B 03 07 0A\n"
        "stacks 00 02 06 07 09\nflags 00 01 02 05 06 07 08 0B 0C 0D\nbreaks 04 04 04\n" + LEFT,
        no_pvm="stops of a debugger in each turn of REP",
    ),
    "level": Speaker(
        "186 286 386 486 CPUID\nit names FPU TSC MSR CX8 CMOV MMX FXSR SSE\ncoprocessor 387\n"
        "unknown 0F 0F F0 0F 63 0F\nFF04070047785634120005\n3344993302040608\n" + LEFT,
        no_pvm="coprocessor",
    ),
    "looks": Speaker(
        "serial port 1 yes\nits FIFOs yes\nserial port 2 no\nfirst controller's mask yes\n"
        "second controller's mask yes\ndrive of ATA 1 no\ndrive of ATA 2 no\n"
        "keyboard controller yes\nkeyboard yes\nmouse yes\nclock yes\nrefresh yes\ncolour yes\n"
        "monochrome no\n8514/A no\nFM music no\nSound Blaster no\nMPU-401 no\njoystick no\n"
        "NE2000 no\nequipment yes\n"
    ),
    "resident": Speaker(
        "nobody\nit is there\nnine ticks\nready\nk by 2 interrupts\nnobody\n" + LEFT,
        done=(Type("k"),),
    ),
    "writes": Speaker(
        "write one: done\nreset: done\nread one: done\nverify one: done\n"
        "write to the end of a track: done\nread it: done\nwrite a track: done\nread it: done\n"
        "read its middle: done, other\nwrite sector 19: no\nread sector 0: no\nread none: no\n"
        "read cylinder 90: no\nwrite before 64 KiB: done\nwrite drive 1: no\n"
        "write a hard disk: no\nfunction 7Fh: no\nread one again: done\n"
    ),
    "apm": Speaker(
        "0102 PM\nversion 0102\n01 80 of its power\nidle\nno function 30h\n", is_off=True
    ),
    "memory": Speaker(
        "64 MiB\naddresses: right\ninversions: right\nlines: right\nacross pages: right\n"
        "below 640 KiB: right\nROM: right\n", mib=64,
    ),
    "registers": Speaker(
        "640x480\nready\n320x200\nready\n320x240\nready\ntext again, by its font\n",
        ["text again, by its font", "end"], (Type(" "),) * 3,
        stands=(0xBBB7636B, 0x2E3125DA, 0x2599CA9F),
    ),
}  # fmt: skip
