; Extended memory by the XMS driver.
%include "dos.inc"
%macro  xms 1                           ; a call: AX, and BL if it fails
        mov ah, %1
        call far [entry]
        call tell
%endmacro
main:   mov ax, 0x4300
        int 0x2F
        mov ah, 0
        number ax
        cmp al, 0x80
        jne .none
        mov ax, 0x4310
        int 0x2F
        mov [entry], bx
        mov [entry + 2], es
        xms 7                           ; A20
        mov dx, 64
        xms 9
        mov [block], dx
        mov ah, 0x88                    ; the BIOS has none any more
        int 0x15
        number ax
        mov dx, 16
        xms 9
        mov [other], dx
        mov dx, 0xFFFE
        xms 9
        mov si, move                    ; a text there, on to the other block, and back
        mov word [move + 6], text
        mov [move + 8], cs
        mov ax, [block]
        mov [move + 10], ax
        mov word [move + 12], 0x1000
        xms 0x0B
        mov ax, [block]
        mov [move + 4], ax
        mov word [move + 6], 0x1000
        mov word [move + 8], 0
        mov ax, [other]
        mov [move + 10], ax
        mov word [move + 12], 2
        xms 0x0B
        mov ax, [other]
        mov [move + 4], ax
        mov word [move + 6], 2
        mov word [move + 10], 0
        mov word [move + 12], buffer
        mov [move + 14], cs
        xms 0x0B
        mov dx, buffer
        call put_text
        line
        mov word [move + 6], 0x3FFE     ; beyond the block
        xms 0x0B
        mov word [move + 4], 0x7777
        xms 0x0B
        mov word [move], 3
        xms 0x0B
        mov dx, [block]
        xms 0x0C
        mov dx, [block]
        xms 0x0A                        ; it is locked
        mov dx, [block]
        mov bx, 128
        xms 0x0F
        mov dx, [block]
        mov ah, 0x0E
        call far [entry]
        mov bl, 0
        number bx
        number dx
        mov dx, [block]
        xms 0x0D
        mov dx, [block]
        xms 0x0D
        mov dx, [other]
        mov bx, 128
        xms 0x0F
        mov dx, [other]
        mov ah, 0x0E
        call far [entry]
        number dx
        mov dx, [block]
        xms 0x0A
        mov dx, [block]
        xms 0x0A
        mov dx, [other]
        xms 0x0A
        mov ah, 0x77
        call far [entry]
        call tell
        line
.none:  jmp finish
tell:   or ax, ax
        jnz .works
        mov bh, 0
        mov ax, bx
        stc
        outcome
        ret
.works: number ax
        ret
text:   db 'in extended memory$ '
length  equ $ - text
move:   dd length
        dw 0, 0, 0, 0, 0, 0
        section .bss
entry:  resw 2
block:  resw 1
other:  resw 1
buffer: resb 32
