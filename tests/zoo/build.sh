#!/bin/sh
# Assembles what is here; the bytes are committed, so that no test needs an assembler.
set -e
cd "$(dirname "$0")"
for source in *.asm; do
    name="${source%.asm}"
    case "$name" in
    host) ;;
    cycle | level | resident | ticks | traces) # programs of DOS, by themselves and on a disk
        nasm -f bin -o "$name.com" "$source"
        nasm -f bin -dPROGRAM="'$name.com'" -o "$name.img" host.asm
        ;;
    *) nasm -f bin -o "$name.img" "$source" ;;
    esac
done
