; What Linux's loaders load, with nothing of Linux in it: it prints what it is told, and stops.
; nasm -f bin -o bzimage bzimage.asm
        bits 32
        org 100000h - 1024
file:   times 1F1h db 0
        db 1                            ; setup sectors
        times 1FEh - ($ - file) db 0
        dw 0AA55h
        db 0EBh, header_end - header    ; where the header ends
header: db 'HdrS'
        dw 20Ch                         ; protocol 2.12
        dd 0
        dw 0, 0
        db 0, 1                         ; loaded high
        dw 0
        dd 100000h, 0, 0, 0
        dw 0
        db 0, 0
        dd 0, 0BFFFFFh                  ; the last byte of a RAM disk
        dd 1000000h
        db 1, 0
        dw 0
        dd 40                           ; bytes of a command line
        dd 0, 0, 0, 0, 0, 0, 0
        dq 100000h
        dd 80000h
        dd 0
header_end:
        times 1024 - ($ - file) db 0

start:  mov ebp, esi
        mov edi, 0B8000h
        mov esi, cs_is
        call print
        mov eax, cs
        shl eax, 16
        mov ax, ds
        call print_hex
        mov esi, flags_are
        call print
        pushfd
        pop eax
        and eax, 200h                   ; interrupts are off
        or eax, ebx                     ; and these are 0
        call print_hex
        mov esi, loader_is
        call print
        movzx eax, byte [ebp + 210h]
        call print_hex
        mov esi, screen_is
        call print
        mov eax, [ebp + 6]
        mov ah, [ebp + 0Eh]
        call print_hex
        mov esi, line_is
        call print
        mov esi, [ebp + 228h]
        call print
        mov esi, map_is
        call print
        movzx ecx, byte [ebp + 1E8h]
        imul ecx, 20
        mov eax, [ebp + 2D0h + ecx - 20]
        add eax, [ebp + 2D0h + ecx - 12]
        call print_hex
        mov esi, disk_is
        call print
        mov eax, [ebp + 218h]
        call print_hex
        mov al, ' '
        call print_character
        mov ecx, [ebp + 21Ch]
        mov esi, [ebp + 218h]
        jecxz stop
next:   lodsb
        call print_character
        loop next
stop:   mov al, 10
        out 0E9h, al
        cli
        hlt
        jmp stop

%include "print.inc"

cs_is:          db 'cs ds ', 0
flags_are:      db 10, 'flags ', 0
loader_is:      db 10, 'loader ', 0
screen_is:      db 10, 'screen ', 0
line_is:        db 10, 'line ', 0
map_is:         db 10, 'end ', 0
disk_is:        db 10, 'disk ', 0
