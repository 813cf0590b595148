; What games of one sector do: 40 columns, the cursor off, cells written to memory and by INT 10h, a
; glyph of their own, and waits of INT 15h/86h. nasm -f bin -o text40.img text40.asm
%include "boot.inc"
        SECTOR_BEGINS
        SEGMENTS_BUT_ES
        VIDEO 1
        mov ah, 01h
        mov cx, 2607h
        int 10h
        push ds
        pop es
        mov ax, 1100h           ; one glyph, number 1
        mov bx, 1000h
        mov cx, 1
        mov dx, 1
        mov bp, brick
        int 10h
        mov ax, 0B800h
        mov es, ax
        cld
        xor di, di
        mov dx, 25
row:    mov cx, 40
        mov al, 1
        mov ah, dl
        and ah, 0Fh
        rep stosw
        xor cx, cx
        push dx
        mov dx, 2000
        mov ah, 86h
        int 15h
        pop dx
        dec dx
        jnz row
        mov ah, 02h
        mov bh, 0
        mov dx, 0C0Eh
        int 10h
        mov si, words
        mov bl, 4Eh
again:  lodsb
        or al, al
        jz done
        mov ah, 09h             ; with a colour, then on by 02h
        mov cx, 1
        int 10h
        inc dx
        mov ah, 02h
        int 10h
        jmp again
done:   hlt
        jmp done
words:  db " 40 COLUMNS ", 0
brick:  db 0FFh, 81h, 81h, 81h, 81h, 81h, 81h, 0FFh, 0FFh, 18h, 18h, 18h, 18h, 18h, 18h, 0FFh
        SECTOR_ENDS
