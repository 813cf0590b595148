"""Protected-mode guests as bootable floppies: a sector that loads 40 KiB of tables and code.

The sector reads them to 8000h, loads GDTR and IDTR, enters protected mode, loads TR, LDTR, CR3, CR4
and CR0, and goes on at `CODE`. Each exception's handler writes its vector, the two topmost values
of its stack and CR2 to port E9h (`reports`), and halts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SECTORS = 80
FLOPPY_BYTES = 1440 << 10
#: Where things are, a page each but for handlers, which come after the IDT's page.
GDT, IDT, TASK, HANDLERS, CODE, PROGRAM = range(0x8000, 0xE000, 0x1000)
#: Of the program in ring 3, of the kernel (its page and its end), the tables of pages.
USER_STACK, STACK, DIRECTORY, TABLE = 0xE000, 0xF000, 0x1_0000, 0x1_1000
STACK_TOP = STACK + 0x1000
LDT_AT, INNER_STACK_TOP = GDT + 0x800, STACK + 0x800
#: Selectors: kernel's code and data, the same for handlers, not yet accessed; the program's; LDT.
KERNEL_CODE, KERNEL_DATA, HANDLER_CODE, HANDLER_STACK, USER_CODE, USER_DATA = (
    0x08, 0x10, 0x18, 0x20, 0x2B, 0x33,
)  # fmt: skip
TASK_SELECTOR, LDT_SELECTOR = 0x38, 0x40
PG, WP, PE = 1 << 31, 1 << 16, 1
PRESENT, WRITABLE, USER = 1, 2, 4


def descriptor(base: int, limit: int, access: int, flags: int = 0xC) -> bytes:
    """Of a segment: a limit in pages, of 32 bits, unless `flags` say otherwise."""
    return (
        limit & 0xFFFF | (base & 0xFFFFFF) << 16 | access << 40 | (limit >> 16 & 0xF) << 48
        | flags << 52 | (base >> 24) << 56
    ).to_bytes(8, "little")  # fmt: skip


def gate(offset: int, selector: int = HANDLER_CODE, access: int = 0x8E) -> bytes:
    """Of an interrupt or a trap."""
    word = offset & 0xFFFF | selector << 16 | access << 40 | (offset >> 16) << 48
    return word.to_bytes(8, "little")


def dword(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def handler(vector: int) -> bytes:
    """push vector; four times: pop eax, or mov eax, cr2; its bytes to port E9h; cli; hlt."""
    out = bytes.fromhex("B9 04 00 00 00 E6 E9 C1 E8 08 E2 F9")
    pops = b"".join(bytes.fromhex(code) + out for code in ("58", "58", "58", "0F 20 D0"))
    return bytes((0x6A, vector)) + pops + b"\xfa\xf4"


@dataclass
class Protected:
    """One guest; `image` makes the floppy."""

    #: In ring 0, and in ring 3 for who goes there: `to_ring_3`.
    code: bytes = b"\xfa\xf4"
    program: bytes = b"\xeb\xfe"
    cr0: int = PG | WP | PE | 0x10
    cr4: int = 0
    #: Bases and limits as the sector loads them.
    gdtr: tuple[int, int] = (GDT, 0x47)
    idtr: tuple[int, int] = (IDT, 0x7FF)
    #: All of 8000h to 11FFFh: its tables and code, to be changed.
    memory: bytearray = field(default_factory=lambda: bytearray(SECTORS * 512))

    def __post_init__(self) -> None:
        """Fill in tables that are right."""
        flat = 0xFFFFF
        self.put(GDT, b"".join((
            bytes(8),
            descriptor(0, flat, 0x9B), descriptor(0, flat, 0x93),
            descriptor(0, flat, 0x9A), descriptor(0, flat, 0x92),
            descriptor(0, flat, 0xFB), descriptor(0, flat, 0xF3),
            descriptor(TASK, 0x67, 0x89, 0), descriptor(LDT_AT, 0x0F, 0x82, 0),
        )))  # fmt: skip
        self.put(LDT_AT, descriptor(0, flat, 0x9A) + descriptor(0, flat, 0x92))
        for vector in range(256):
            self.put(IDT + 8 * vector, gate(HANDLERS + 64 * min(vector, 32)))
            self.put(HANDLERS + 64 * min(vector, 32), handler(min(vector, 32)))
        self.put(TASK + 4, dword(INNER_STACK_TOP) + dword(HANDLER_STACK))
        self.put(DIRECTORY, dword(TABLE | PRESENT | WRITABLE | USER))
        for page in range(1024):
            self.put(TABLE + 4 * page, dword(page << 12 | PRESENT | WRITABLE | USER))

    def put(self, at: int, data: bytes) -> None:
        """Into memory, at its physical address."""
        self.memory[at - GDT : at - GDT + len(data)] = data

    def map(self, linear: int, physical: int, rights: int = PRESENT | WRITABLE) -> None:
        """A page below 4 MiB."""
        self.put(TABLE + 4 * (linear >> 12), dword(physical & -4096 | rights))

    def image(self) -> bytes:
        """As a floppy."""
        self.put(CODE, self.code)
        self.put(PROGRAM, self.program)
        # mov si, sectors; es = 800h; the second sector of all
        loader = bytes.fromhex("FA FC 31 C0 8E D8 8E D0 BC 00 7C BE 50 00 B8 00 08 8E C0 31 DB")
        # one by one: int 13h/02h; es += 20h; next sector, head, cylinder; dec si; jnz
        loader += bytes.fromhex(
            "B9 02 00 30 F6 B8 01 02 CD 13 8C C0 83 C0 20 8E C0 FE C1 80 F9 13"
            "72 09 B1 01 80 F6 01 75 02 FE C5 4E 75 E1"
        )
        # cli, which the BIOS may have undone; lgdt, lidt; CR0.PE; far jump
        tables = bytes.fromhex("FA 0F 01 16 E0 7D 0F 01 1E E8 7D 0F 20 C0 0C 01 0F 22 C0")
        wide = 0x7C00 + len(loader) + len(tables) + 5
        jump = b"\xea" + wide.to_bytes(2, "little") + bytes((KERNEL_CODE, 0))
        code = b"\xb8" + dword(KERNEL_DATA) + bytes.fromhex("8E D8 8E C0 8E D0 8E E0 8E E8")
        code += b"\xbc" + dword(STACK_TOP)  # mov esp
        code += b"\xb8" + dword(TASK_SELECTOR) + b"\x0f\x00\xd8"  # ltr ax
        code += b"\xb8" + dword(LDT_SELECTOR) + b"\x0f\x00\xd0"  # lldt ax
        for register, value in ((3, DIRECTORY), (4, self.cr4), (0, self.cr0)):
            code += b"\xb8" + dword(value) + bytes((0x0F, 0x22, 0xC0 | register << 3))
        code += b"\xb8" + dword(CODE) + b"\xff\xe0"  # jmp eax
        sector = (loader + tables + jump + code).ljust(0x1E0, b"\0")
        for base, limit in (self.gdtr, self.idtr):
            sector += limit.to_bytes(2, "little") + dword(base) + bytes(2)
        sector = sector.ljust(510, b"\0") + b"\x55\xaa"
        return (sector + self.memory).ljust(FLOPPY_BYTES, b"\0")


def to_ring_3() -> bytes:
    """push ss, esp, eflags, cs, eip; iretd: on at `PROGRAM`."""
    values = (USER_DATA, USER_STACK + 0x1000, 2, USER_CODE, PROGRAM)
    return b"".join(b"\x68" + dword(value) for value in values) + b"\xcf"


def with_read_only_descriptors() -> Protected:
    """It takes back the accessed bit of the code that it runs, and protects the page of the GDT."""
    # and byte [8000h + 8 + 5], FEh; and dword [table + 4 * 8], ~2; mov cr3, eax; jmp $
    code = b"\x80\x25" + dword(GDT + KERNEL_CODE + 5) + b"\xfe"
    code += b"\x81\x25" + dword(TABLE + 4 * (GDT >> 12)) + dword(~WRITABLE)
    return Protected(code + bytes.fromhex("0F 20 D8 0F 22 D8 EB FE"))


def reports(text: str) -> list[tuple[int, ...]]:
    """What handlers told: vector, the two topmost values, CR2."""
    data = text.encode("latin-1")
    return [
        tuple(int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "little") for i in range(4))
        for at in range(0, len(data) - 15, 16)
    ]
