; A client of a DPMI host in 16 bits: frames of words, vectors of words, an exception without a
; handler at its end, if it has an argument.
%include "dos.inc"
main:   enter_dpmi 0
        mov si, es
        mov ax, ds
        mov es, ax
        ; A vector, a structure at ES:DI.
        mov bl, 0x60
        mov cx, cs
        mov dx, mine
        dpmi 0x205
        xor bx, bx
        int 0x60
        mov [result], bx
        mov bl, 0x60
        dpmi 0x204
        sub dx, mine
        mov [result + 2], dx
        mov ah, 0x30                    ; DOS answers, the flags are the call's
        int 0x21
        mov [result + 4], al
        mov bx, 0x7FF4
        dpmi 6
        sbb ax, ax
        mov [result + 6], ax
        mov cx, 2
        dpmi 0
        mov bx, ax
        dpmi 1
        sbb ax, ax
        mov [result + 8], ax
        dpmi 1                          ; once
        sbb ax, ax
        mov [result + 10], ax
        mov ax, [real_ds]
        mov [call_of + real.ds], ax
        mov word [call_of + real.ebx], 1
        mov word [call_of + real.edx], result
        mov word [call_of + real.ecx], 12
        mov word [call_of + real.eax], 0x4000
        mov bx, 0x21
        mov cx, 0
        mov di, call_of
        dpmi 0x300
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

result: times 6 dw 0
call_of: times real_size db 0
