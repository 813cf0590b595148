; A program that stays: started by itself with an argument, it hooks INT 1Ch, at which it shows in a corner
; how many ticks there were, to nine, INT 09h, of which it counts how often it came, and INT 2Fh, by which
; the one that started it asks for that, and has it give back its vectors, its memory and the corner.
; nasm -f bin -o resident.com resident.asm
%include "zoo.inc"
ID      equ 0C9h                        ; of INT 2Fh; AL: 0 is it there, 1 go, 2 how often
CORNER  equ 79 * 2
%macro TAKE 3
        mov ax, 3500h | %1
        int 21h
        mov [%3], bx
        mov [%3 + 2], es
        mov dx, %2
        mov ax, 2500h | %1
        int 21h
%endmacro
%macro GIVE_BACK 2
        lds dx, [cs:%2]
        mov ax, 2500h | %1
        int 21h
%endmacro
        bits 16
        org 100h
        cmp byte [80h], 0
        jne stay
        mov bx, 1000h
        mov ah, 4Ah
        int 21h
        call ask
        mov [block + 4], ds
        mov dx, name
        mov bx, block
        push ds
        pop es
        mov ax, 4B00h
        int 21h
        jnc .there
        SAY "not started", 10
        jmp .end
.there: call ask
        push 0B800h
        pop es
.nine:  cmp byte [es:CORNER], '9'
        jne .nine
        SAY "nine ticks", 10, "ready", 10
        mov ah, 0
        int 16h
        call put
.let_go:
        mov ax, ID << 8 | 2             ; pressed, and let go
        int 2Fh
        cmp bx, 2
        jb .let_go
        SAY " by 2 interrupts", 10
        mov ax, ID << 8 | 1
        int 2Fh
        call ask
.end:   mov ax, 4C00h
        int 21h
ask:    mov ax, ID << 8
        int 2Fh
        cmp al, 0FFh
        je .yes
        SAY "nobody", 10
        ret
.yes:   SAY "it is there", 10
        ret
        ROUTINES
        SHOW_BY_BIOS
name:   db "RESIDENT.COM", 0
block:  dw 0, tail, 0, 5Ch, 0, 6Ch, 0
tail:   db 2, " r", 13

; From here on what it is to do when it stays; what is before it goes with it.
on_tick:
        push ax
        push es
        push 0B800h
        pop es
        mov al, [cs:ticks]
        cmp al, '9'
        je .show
        inc ax
        mov [cs:ticks], al
.show:  mov ah, 70h
        mov [es:CORNER], ax
        pop es
        pop ax
        jmp far [cs:old1c]
on_key: inc word [cs:keys]
        jmp far [cs:old09]
on_asked:
        cmp ah, ID
        je .here
        jmp far [cs:old2f]
.here:  cmp al, 1
        jb .is_there
        je .go
        mov bx, [cs:keys]
        iret
.is_there:
        mov al, 0FFh
        iret
.go:    push ds
        push es
        push dx
        GIVE_BACK 9, old09
        GIVE_BACK 1Ch, old1c
        GIVE_BACK 2Fh, old2f
        push 0B800h
        pop es
        mov word [es:CORNER], 0720h
        push cs
        pop es
        mov es, [es:2Ch]                ; its environment, and itself
        mov ah, 49h
        int 21h
        push cs
        pop es
        mov ah, 49h
        int 21h
        pop dx
        pop es
        pop ds
        iret
old09:  dd 0
old1c:  dd 0
old2f:  dd 0
keys:   dw 0
ticks:  db '0'
stays:
stay:   TAKE 9, on_key, old09
        TAKE 1Ch, on_tick, old1c
        TAKE 2Fh, on_asked, old2f
        mov dx, (stays - $$ + 100h + 15) / 16
        mov ax, 3100h
        int 21h
