#!/bin/sh
# Assembles what is here; the bytes are committed, so that no test needs an assembler.
set -e
cd "$(dirname "$0")"
nasm -f bin -o multiboot.elf multiboot.asm
nasm -f bin -dAOUT -o multiboot.bin multiboot.asm
nasm -f bin -dGRAPHICS -o graphics.elf multiboot.asm
nasm -f bin -o serial.img serial.asm
nasm -f bin -o bzimage bzimage.asm
nasm -f bin -o setup setup.asm
nasm -f bin -o init init.asm
nasm -f bin -o cd.bin cd.asm
nasm -f bin -o drives.img drives.asm
nasm -f bin -o long.elf long.asm
nasm -f bin -o faults.bin faults.asm
nasm -f bin -o ports.img ports.asm
