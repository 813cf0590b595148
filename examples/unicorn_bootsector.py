"""A screen for one's own Unicorn script
=====================================

A boot sector on a bare Unicorn engine, with vgaemu as its screen::

    pip install unicorn
    python examples/unicorn_bootsector.py [SHOT.png]

The script is the whole machine: memory, registers, and a BIOS of one call (print a character).
"""

import sys

import unicorn
from unicorn import x86_const as x86

import vgaemu

# mov si, text; next: lodsb; test al, al; jz done; mov ah, 0Eh; int 10h; jmp next; done: hlt
CODE = bytes.fromhex("BE 0F 7C AC 84 C0 74 06 B4 0E CD 10 EB F5 F4") + b"Hello from Unicorn\0"

uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)
uc.mem_map(0, 1 << 20)
uc.mem_write(0x7C00, CODE)
uc.reg_write(x86.UC_X86_REG_SP, 0x7C00)

card = vgaemu.attach(uc)
card.draw_frame()
cells = 0


def on_interrupt(uc, vector, _):
    """INT 10h/0Eh: a character and its colour into text memory."""
    global cells
    if vector == 0x10:
        character = uc.reg_read(x86.UC_X86_REG_AL)
        card.vga.store(0xB8000 + 2 * cells, bytes((character, 0x1E)))
        cells += 1


uc.hook_add(unicorn.UC_HOOK_INTR, on_interrupt)
uc.emu_start(0x7C00, 0xFFFF, count=10_000)
report = card.draw_frame()
print(card.screen.text()[0].rstrip())
print(f"dirty pages: {report.dirty_pages.tolist()}, harvested in {report.harvest_ns / 1000:.0f} us")
if len(sys.argv) > 1:
    card.screen.save(sys.argv[1])
