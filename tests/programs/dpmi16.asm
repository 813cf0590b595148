; A client of a DPMI host in 16 bits: frames of words, vectors of words, an exception without a
; handler at its end, if it has an argument.
; nasm -f bin -o dpmi16.com dpmi16.asm
%include "dos.inc"
main:   mov bx, 0x1000
        mov ah, 0x4A
        int 0x21
        mov ax, 0x1687
        int 0x2F
        or ax, ax
        jnz failed
        mov [entry], di
        mov [entry + 2], es
        mov bx, si
        mov ah, 0x48
        int 0x21
        jc failed
        mov es, ax
        mov [real_ds], ds
        mov ax, 0
        call far [entry]
        jc failed
        mov si, es
        mov ax, ds
        mov es, ax
        ; A vector, a structure at ES:DI.
        mov bl, 0x60
        mov cx, cs
        mov dx, mine
        mov ax, 0x205
        int 0x31
        xor bx, bx
        int 0x60
        mov [result], bx
        mov bl, 0x60
        mov ax, 0x204
        int 0x31
        sub dx, mine
        mov [result + 2], dx
        mov ah, 0x30                    ; DOS answers, the flags are the call's
        int 0x21
        mov [result + 4], al
        mov bx, 0x7FF4
        mov ax, 6
        int 0x31
        sbb ax, ax
        mov [result + 6], ax
        mov cx, 2
        mov ax, 0
        int 0x31
        mov bx, ax
        mov ax, 1
        int 0x31
        sbb ax, ax
        mov [result + 8], ax
        mov ax, 1                       ; once
        int 0x31
        sbb ax, ax
        mov [result + 10], ax
        mov ax, [real_ds]
        mov [call_of + 0x24], ax
        mov word [call_of + 0x10], 1
        mov word [call_of + 0x14], result
        mov word [call_of + 0x18], 12
        mov word [call_of + 0x1C], 0x4000
        mov bx, 0x21
        mov cx, 0
        mov di, call_of
        mov ax, 0x300
        int 0x31
        jc .end
        push ds
        mov ds, si
        cmp byte [0x80], 0
        pop ds
        je .end
        mov ax, 0x7FF4
        mov fs, ax
.end:   mov ax, 0x4C00
        int 0x21

mine:   mov bx, 0x1616
        iret

entry:  dd 0
real_ds: dw 0
result: times 6 dw 0
call_of: times 0x32 db 0
