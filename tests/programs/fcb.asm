; Files by FCB, as programs of DOS 1 have them.
%include "dos.inc"
%macro  fcb 1                           ; a call, and what AL says
        mov ah, %1
        int 0x21
        mov ah, 0
        number ax
%endmacro
main:   mov dx, transfer
        mov ah, 0x1A
        int 0x21
        mov si, text                    ; a name into an FCB
        mov di, file
        mov ax, 0x2901
        int 0x21
        mov ah, 0
        number ax
        sub si, text
        number si
        mov dx, file
        fcb 0x16
        mov word [file + 0x0E], 16
        mov cx, 3                       ; three records
        mov al, 'a'
.fill:  push cx
        push ax
        mov di, transfer
        mov cx, 16
        rep stosb
        mov dx, file
        fcb 0x15
        pop ax
        inc ax
        pop cx
        loop .fill
        number [file + 0x20]
        number [file + 0x10]
        fcb 0x10
        line
        mov word [file + 0x0C], 0
        fcb 0x0F
        number [file + 0x0E]
        number [file + 0x10]
        mov word [file + 0x0E], 16
        mov byte [file + 0x20], 1
        fcb 0x14
        call show
        fcb 0x14
        fcb 0x14                        ; there are no more
        mov word [file + 0x21], 0
        mov word [file + 0x23], 0
        fcb 0x21
        call show
        mov byte [file + 0x20], 2
        fcb 0x24
        number [file + 0x21]
        mov word [file + 0x0E], 20
        mov word [file + 0x21], 1
        mov cx, 5
        mov ah, 0x27
        int 0x21
        mov ah, 0
        number ax
        number cx
        call show
        number [file + 0x21]
        fcb 0x23
        number [file + 0x21]
        mov word [file + 0x0E], 16
        mov word [file + 0x21], 2
        mov cx, 0
        mov ah, 0x28                    ; the file ends there
        int 0x21
        mov ah, 0
        number ax
        number [file + 0x10]
        fcb 0x10
        line
        mov dx, renamed
        fcb 0x17
        mov dx, pattern
        fcb 0x11
        mov byte [transfer + 12], '$'
        mov dx, transfer + 1
        call put_text
        number [transfer + 29]
        mov dx, pattern
        fcb 0x12
        mov dx, extended
        fcb 0x11
        mov al, [transfer]
        mov ah, [transfer + 7]
        cmp al, 0xFF
        mov ax, 0
        jne .plain
        inc ax
.plain: number ax
        mov dx, pattern
        fcb 0x13
        fcb 0x13
        fcb 0x0F
        line
        jmp finish
show:   mov al, [transfer]
        mov ah, [transfer + 15]
        number ax
        ret
text:   db ' rec.dat next'
pattern: db 0, 'R?C     DOT', 0
        times 32 db 0
extended: db 0xFF, 0, 0, 0, 0, 0, 0, 0, 'R?C     DOT'
        times 32 db 0
renamed: db 0, 'R?C     DAT', 0, 0, 0, 0, 0, '????????DOT'
        times 16 db 0
file:   times 37 db 0
        section .bss
transfer: resb 128
