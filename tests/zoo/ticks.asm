; An intro of DOS with a clock of its own: the timer eight times as fast, INT 08h hooked, of whose ticks
; each eighth goes on to the one before, and INT 1Ch, which that calls. Bars of mode 13h grow by a tick
; each; after 160 of them it tells how many there were of which kind, and when a key comes it puts back
; the timer's rate, vectors and screen. nasm -f bin -o ticks.com ticks.asm
%include "zoo.inc"
%define QUIET
FASTER  equ 8
BARS    equ 160
BIOS_S  equ 46Ch
        bits 16
        org 100h
        VIDEO 13h
        mov ax, 3508h
        int 21h
        mov [old08], bx
        mov [old08 + 2], es
        mov ax, 351Ch
        int 21h
        mov [old1c], bx
        mov [old1c + 2], es
        xor ax, ax
        mov es, ax
        mov dx, on_tick
        mov ax, 251Ch
        int 21h
        cli
        mov dx, on_timer
        mov ax, 2508h
        int 21h
        mov ax, [es:BIOS_S]
        mov [began], ax
        mov bx, 10000h / FASTER
        call rate
        sti
        push 0A000h
        pop es
        xor cx, cx
.bar:   cmp cx, [fast]
        je .bar
        mov di, cx                      ; two dots wide, 50 to 113 high, a colour each
        shl di, 1
        add di, 150 * 320
        mov ax, cx
        and al, 63
        add al, 50
        xchg ax, si
        mov al, cl
        and al, 127
        add al, 32
        mov ah, al
.line:  stosw
        sub di, 322
        dec si
        jnz .line
        inc cx
        cmp cx, BARS
        jb .bar
.full:  cmp word [fast], BARS
        jb .full
        xor ax, ax
        mov es, ax
        mov ax, [es:BIOS_S]
        sub ax, [began]
        push ax
        SAY "fast "
        mov ax, [fast]
        call hex4
        SAY " slow "
        mov ax, [slow]
        call hex4
        SAY " of the BIOS "
        pop ax
        call hex4
        SAY 10, "ready", 10
        mov ah, 0
        int 16h
        cli
        xor bx, bx
        call rate
        push ds
        lds dx, [old08]
        mov ax, 2508h
        int 21h
        pop ds
        push ds
        lds dx, [old1c]
        mov ax, 251Ch
        int 21h
        pop ds
        sti
        VIDEO 3
        mov ax, 4C00h
        int 21h
; The timer's count is BX, mode 3.
rate:   mov al, 36h
        out 43h, al
        mov al, bl
        out 40h, al
        mov al, bh
        out 40h, al
        ret
on_timer:
        push ax
        cmp word [cs:fast], BARS
        je .enough
        inc word [cs:fast]
.enough:
        dec byte [cs:left]
        jz .over
        mov al, 20h
        out 20h, al
        pop ax
        iret
.over:  mov byte [cs:left], FASTER
        pop ax
        jmp far [cs:old08]
on_tick:
        inc word [cs:slow]
        jmp far [cs:old1c]
        ROUTINES
old08:  dd 0
old1c:  dd 0
began:  dw 0
fast:   dw 0
slow:   dw 0
left:   db FASTER
