; What Linux's loaders load of old protocols: it begins with its setup code, in real mode. That prints
; what it is told, asks the BIOS how much memory there is, prints the first bytes of a RAM disk behind
; 1 MiB, copied by INT 15h/87h, and the first of its own code; then it stops.
; nasm -f bin -o setup setup.asm
        bits 16
        org 0
        times 1F1h db 0
        db 2                            ; setup sectors
        times 1FEh - ($ - $$) db 0
        dw 0AA55h
        jmp short start
        db 'HdrS'
        dw 207h                         ; protocol 2.07
        dd 0
        dw 0, 0
        db 0, 1                         ; loaded high
        dw 0
        dd 0                            ; no entry of 32 bits
ramdisk: dd 0, 0
        dd 0
heap_end: dw 0
        db 0, 0
line_at: dd 0, 37FFFFFFh
        dd 0
        db 0, 0
        dw 0
        dd 255
        times 264h - ($ - $$) db 0
start:  mov ax, cs
        call hex
        mov ax, ds
        call hex
        mov ax, ss
        call hex
        mov ax, [heap_end]
        or ax, ax
        setnz al
        call hex_byte
        mov al, [211h]
        call hex_byte                   ; loaded high, with a heap
        pushf
        pop ax
        and ax, 200h
        call hex
        mov al, 10
        out 0E9h, al
        mov eax, [line_at]
        shr eax, 4
        mov es, ax
        mov si, [line_at]
        and si, 15
.line:  mov al, [es:si]
        inc si
        or al, al
        jz .disk
        out 0E9h, al
        jmp .line
.disk:  mov al, 10
        out 0E9h, al
        mov eax, [ramdisk]
        mov cx, [ramdisk + 4]
        call fetch
        mov al, 10
        out 0E9h, al
        mov eax, 100000h
        mov cx, 5
        call fetch
        mov ah, 88h
        int 15h
        cmp ax, 14 * 1024
        mov al, '!'
        ja .enough
        mov al, '?'
.enough: out 0E9h, al
        mov al, 10
        out 0E9h, al
stop:   hlt
        jmp stop
; CX bytes, at most 32, from EAX on, are printed.
fetch:  pusha
        push ds
        pop es
        mov [from], ax
        shr eax, 16
        mov [from + 2], al
        mov [from + 5], ah
        mov si, table
        mov cx, 16
        mov ah, 87h
        int 15h
        popa
        mov si, buffer
.next:  lodsb
        out 0E9h, al
        loop .next
        ret
hex:    xchg al, ah
        call hex_byte
        xchg al, ah
hex_byte:
        push ax
        shr al, 4
        call .digit
        pop ax
        push ax
        and al, 15
        call .digit
        pop ax
        ret
.digit: cmp al, 10
        sbb al, 69h
        das
        out 0E9h, al
        ret
        align 4, db 0
table:  times 16 db 0
        dw 0FFFFh
from:   db 0, 0, 0, 93h, 0, 0
        dw 0FFFFh
        dw buffer
        db 1, 93h, 0, 0                 ; behind 10000h, where it is loaded
        times 16 db 0
buffer  equ 500h
        times 600h - ($ - $$) db 0
        db "code"
        db 10
        times 27 db 0
