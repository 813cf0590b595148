; An intro of DOS: rings in mode 13h whose colours go round, 768 bytes to the DAC in each vertical
; retrace. Once they have gone round and a quarter further they stand until a key is pressed; then all
; fade to black, by what the DAC says that they are, and DOS has its screen again.
; nasm -f bin -o cycle.com cycle.asm
%include "zoo.inc"
%define QUIET
        bits 16
        org 100h
        VIDEO 13h
        push 0A000h
        pop es
        xor di, di
        mov bx, -100                    ; a ring's number: the distance's square, in 64 steps
.row:   mov cx, -160
.dot:   mov ax, cx
        imul cx
        xchg ax, si
        mov ax, bx
        imul bx
        add ax, si
        shr ax, 6
        and al, 63
        add al, 32
        stosb
        inc cx
        cmp cx, 160
        jl .dot
        inc bx
        cmp bx, 100
        jl .row
.turn:  call retrace
        mov dx, 3C8h
        mov al, 32
        out dx, al
        inc dx
        mov cx, 64
        mov bl, [phase]
.colour:
        mov al, bl                      ; red up and down, green half of it later, blue what is left
        call wave
        out dx, al
        lea ax, [bx + 21]
        call wave
        shr al, 1
        out dx, al
        mov al, bl
        call wave
        xor al, 3Fh
        out dx, al
        inc bx
        loop .colour
        add byte [phase], 2
        cmp byte [phase], 64 + 16
        jbe .turn
        SAY "ready", 10
.wait:  call retrace
        mov ah, 1
        int 16h
        jz .wait
        mov ah, 0
        int 16h
        mov cx, 32
.fade:  push cx
        call retrace
        mov dx, 3C7h
        mov al, 0
        out dx, al
        mov dl, 0C9h
        mov di, colours
        push ds
        pop es
        mov cx, 768
        rep insb
        mov dl, 0C8h
        mov al, 0
        out dx, al
        inc dx
        mov si, colours
        mov cx, 768
.darker:
        lodsb
        sub al, 2
        jnc .left
        mov al, 0
.left:  out dx, al
        loop .darker
        pop cx
        loop .fade
        mov cx, 768                     ; nothing is left
        mov di, colours
        mov dl, 0C7h
        mov al, 0
        out dx, al
        mov dl, 0C9h
        rep insb
        mov di, colours
        mov cx, 768
        repe scasb
        jne .light
        SAY "dark", 10
.light: VIDEO 3
        ret                             ; to INT 20h
; AL: up to 62 and down again, as bits 0 to 5 go round.
wave:   and al, 63
        cmp al, 32
        jb .up
        xor al, 63
.up:    add al, al
        ret
        RETRACE
        ROUTINES
phase:  db 0
colours:
