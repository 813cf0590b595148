"""An engine's registers as words of 32 bits, and what was raised: `unicorn_context` finds them out.

Source: target/i386/cpu.h of QEMU 5.0, as Unicorn 2.1 has it.
"""

from __future__ import annotations

#: Words of its registers.
EAX_AT, ECX_AT, EDX_AT, EBX_AT = 0, 2, 4, 6
ESP_AT, ESI_AT, EDI_AT = 8, 12, 14
EIP_AT, EFLAGS_AT, CC_SOURCE_AT, CC_OP_AT, DF_AT, HFLAGS_AT = 32, 34, 38, 42, 43, 44
SEGMENTS_AT, LDT_AT, GDT_AT, IDT_AT, CR0_AT, CR3_AT, CR4_AT = 46, 82, 94, 100, 106, 112, 114
R11_AT, TASK_AT, EFER_AT = 22, 88, 148
#: Of a segment register: its words, and which are base, limit and flags; its number.
SEGMENT, BASE, LIMIT, FLAGS = 6, 2, 4, 5
ES, CS, SS, DS, FS, GS = range(6)
CS_AT, SS_AT = SEGMENTS_AT + CS * SEGMENT, SEGMENTS_AT + SS * SEGMENT
#: Words of what was raised.
ERROR_CODE, IS_INT, DR_AT, DR7_AT, OLD_EXCEPTION = 0, 1, 4, 18, 28
#: In `CC_OP_AT`: the arithmetic flags are in `CC_SOURCE_AT`. Which those are, and DF.
IN_CC, ARITHMETIC, DIRECTION = 1, 0x8D5, 1 << 10
#: The engine has three TLBs, for three kinds of accesses, each a mask and the address of entries:
#: these are the user's and the supervisor's, the latter without and with SMAP.
USER, SUPERVISOR, SUPERVISOR_SMAP = 1, 2, 0
#: Words of 64 bits of an entry: an address to load from, to store to, to fetch from, each with
#: flags; the physical page; what a linear address lacks to be one of the host.
ENTRY_SHIFT, LOADED, STORED, FETCHED, PAGE, ADDEND = 6, 0, 1, 2, 3, 4
#: The flag of an address that it is a device's.
DEVICE = 1 << 9
