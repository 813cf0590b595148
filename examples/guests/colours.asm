; Text colours: every attribute of mode 3, written straight into B8000h.
; Boots: nasm -f bin colours.asm -o colours.img
MARK    equ 0F4h                ; OUT here: the picture is complete

bits 16
org 7C00h
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 7C00h
        mov ax, 3
        int 10h
        mov ah, 1               ; no cursor
        mov cx, 2000h
        int 10h
        mov ax, 1003h           ; bit 7 of an attribute is intensity, not blinking
        xor bx, bx
        int 10h
        mov ax, 1301h           ; the title, at row 1
        mov bx, 001Fh
        mov cx, title_end - title
        mov dx, 0100h + (80 - (title_end - title)) / 2
        push ds
        pop es
        mov bp, title
        int 10h
        mov ax, 0B800h
        mov es, ax
        cld
        xor dl, dl              ; dl: attribute
.row:   movzx ax, dl
        shr al, 4
        add al, 4
        imul di, ax, 160
        add di, 16
.cell:  mov ah, dl
        mov al, dl
        shr al, 4
        call digit
        mov al, dl
        call digit
        mov al, 0FEh            ; a square
        stosw
        mov al, ' '
        stosw
        inc dl
        test dl, 0Fh
        jnz .cell
        test dl, dl
        jnz .row
        out MARK, al
.stop:  hlt
        jmp .stop

digit:  and al, 0Fh
        cmp al, 10
        sbb al, 69h
        db 2Fh                  ; das: the classic nibble to hex digit
        stosw
        ret

title:  db " 256 attributes: background, foreground "
title_end:
        times 510 - ($ - $$) db 0
        dw 0AA55h
