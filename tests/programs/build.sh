#!/bin/sh
# Assembles what is here; the bytes are committed, so that no test needs an assembler.
set -e
cd "$(dirname "$0")"
for source in *.asm; do
    name="${source%.asm}"
    case "$name" in
    calls | overlay) kind=bin ;; # a boot sector, and what no program begins
    parent) kind=exe ;;
    *) kind=com ;;
    esac
    nasm -f bin -o "$name.$kind" "$source"
done
