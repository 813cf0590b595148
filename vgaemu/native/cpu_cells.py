"""What native code of the CPU and Python both read and write: an array of int64, laid out so.

Source: `vgaemu.pc.cpu.unicorn_context` has the engine's registers; their places here are its.
"""

from __future__ import annotations

#: Addresses: the engine's registers (`Env`) and `Raised`; the guest's memory; a byte a page of it,
#: 1 if it holds translated code (`Pages.code`), and the same of `Bus.stored`; the clock's cells.
ENV, RAISED, RAM, CODE, STORED, CLOCK = range(6)
#: Bytes of memory; where the linear frame buffer begins and ends.
RAM_BYTES, LFB, LFB_END = 6, 7, 8
#: What the engine did for the slice in hand beside instructions, in nanoseconds.
OVERHEAD = 9
#: ROM is RAM for now; CR0 when a page was asked for last.
ROM_WRITABLE, CR0 = 10, 11
#: Addresses of functions: Python's hook of interrupts, the engine's `uc_reg_read` and `uc_ctl`; and
#: of a word for the first of these.
DELIVER, READ_REGISTER, CONTROL, WORD = 12, 13, 14, 15
#: Far pointers of the BIOS's stubs whose polls are answered at once, 0 for none; whether any is in
#: this slice.
CURSOR_STUB, KEY_STUB, TICKS_STUB, MAY_ANSWER = 16, 17, 18, 19
#: Addresses of the engine's TLB, of `native.cells` of the planes.
TLB, PLANES = 21, 22
#: The VGA's memory. Whether what follows is right now: Python looks after each flush of the TLB.
VGA_KNOWN = 23
#: Address of what each page from A0000h on is, int64: where it lies in VRAM, or one of these two.
#: Whether VRAM is plain memory at the linear frame buffer.
VGA_PAGES, VGA_LINEAR = 24, 25
THROUGH_PLANES, ASK = -1, -2
#: Addresses of a byte a page of VRAM: 1 if it is open (`TlbHarvest`), 1 if it holds code; and of
#: the cells of marks, or 0: only Python may open a page.
VGA_OPEN, VGA_CODE, VGA_MARKS = 26, 27, 28
#: Of MSRs of system calls (`SystemCalls`); of Python's hook of SYSCALL.
CALLS, SYSTEM_CALL = 29, 30
#: `vgaemu.pc.bus.Bus.a20`: mask of physical addresses.
A20 = 31
#: Of counting by blocks (`native.progress`): instructions begun and how many there are to be, as
#: `Progress`. Addresses: the record of the block in hand, 0 if it is left; of the next one that
#: is translated, and of the word by which the engine tells a block of it.
BEGUN, MOST, BLOCK, NEXT, NEXT_AT = 32, 33, 34, 35, 49
#: How many instructions the next block was asked to have, 0: as many as it likes. Whether the end
#: has been asked for.
ASKED, ENDED = 36, 37
#: Addresses of the engine: how many instructions the next block may have; where it is told to come
#: out of blocks; the host's return address of the last access to a device; its CPU, and that one's
#: cache of blocks by address.
MOST_AT, COME_OUT_AT, SITE_AT, CPU, BLOCKS_AT = 38, 39, 40, 41, 42
#: Functions: `uc_emu_stop`, one that leaves a block for good, Python's hook of translations.
STOP, LEAVE, TRANSLATED = 43, 44, 45
#: Address of blocks that were translated before native code came (`native.again`).
AGAIN = 46
#: Which instruction it was that accessed a device last: the count then, and how many followed it.
ACCESS_COUNT, ACCESS_REST = 47, 48
#: Address of native code for blocks that are special, or longer than what is left.
ENTER = 50
#: Of the block in hand, its ports that have not been accessed (`native.progress.PORTS`).
PORTS_LEFT = 51
CELLS = 52
#: A record of a translated block, two lines of the host's cache; its first word is the address of
#: these cells.
RECORD_BYTES = 128

#: What it costs the host (measured), where the guest's clock sees little of it: a fill of the TLB,
#: to deliver an interrupt or exception; to translate a block, and each of its instructions. A slice
#: with so much ends.
FILL_NS, DELIVERY_NS, LONG_OVERHEAD_NS = 6_000, 50_000, 20_000_000
BLOCK_NS, TRANSLATION_NS = 20_000, 5_000
#: `INTERRUPT_NS` and `PLANES_NS` of `vgaemu.pc.clock`.
INTERRUPT_NS, PLANES_NS = 10_000, 500
#: What such a call takes beside the interrupt and a poll: a port, a service, the stub's four
#: instructions.
POLL_NS, ANSWER_NS = 4_000, 1_000 + 20_000 + 4 * 33
#: Where the engine finds physical addresses: it forgets code by linear ones, and there may be
#: several, or none. No guest has linear ones there: they are not canonical. To forget it, the
#: engine's TLB gets an entry there, which must not be where that of the page's own address is: an
#: entry that was driven out counts as gone twice, and by an account below 0 a flush doubles the
#: TLB, up to 320 MB.
PHYSICAL = (1 << 56) + (0x5A5A5 << 12)
#: Where in the engine's own physical space the planes lie that native code answers for.
NATIVE_PLANES_AT, PLANES_BYTES = 0xF002_0000, 0x2_0000
#: Where in it ROM that is written to lies, and what is nowhere.
ROM_AT, OPEN_AT = 0xF010_0000, 0xF020_0000
