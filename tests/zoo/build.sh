#!/bin/sh
# Assembles what is here; the bytes are committed, so that no test needs an assembler.
set -e
cd "$(dirname "$0")"
for source in *.asm; do
    nasm -f bin -o "${source%.asm}.img" "$source"
done
