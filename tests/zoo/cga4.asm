; A turtle in a CGA's mode: pixels by INT 10h/0Ch with and without exclusive or, read back by 0Dh, the
; other palette by 0Bh, a word by 0Eh. nasm -f bin -o cga4.img cga4.asm
%include "boot.inc"
        SECTOR_BEGINS
        SEGMENTS_BUT_ES
        VIDEO 4
        mov ah, 0Bh
        mov bx, 0001h           ; a blue background
        int 10h
        mov ah, 0Bh
        mov bx, 0100h           ; green, red, yellow
        int 10h
        mov di, 60              ; squares one in another
square: mov cx, 160
        sub cx, di
        mov dx, 100
        sub dx, di
        mov bp, di
        shl bp, 1
        mov si, 1
side:   mov bx, bp
step:   mov ax, di
        shr ax, 2
        and al, 3
        mov ah, 0Ch
        push bx
        mov bh, 0
        int 10h
        pop bx
        cmp si, 1
        jne .not1
        inc cx
.not1:  cmp si, 2
        jne .not2
        inc dx
.not2:  cmp si, 3
        jne .not3
        dec cx
.not3:  cmp si, 4
        jne .not4
        dec dx
.not4:  dec bx
        jnz step
        inc si
        cmp si, 5
        jne side
        sub di, 5
        jnz square
        mov dx, 90              ; a bar that changes what is there
bar:    mov cx, 80
across: mov ax, 0C83h
        mov bh, 0
        int 10h
        inc cx
        cmp cx, 240
        jne across
        inc dx
        cmp dx, 110
        jne bar
        mov cx, 100             ; a row is moved by reading it
copy:   mov dx, 100
        mov ah, 0Dh
        mov bh, 0
        int 10h
        mov ah, 0Ch
        mov dx, 190
        int 10h
        inc cx
        cmp cx, 220
        jne copy
        mov si, words
again:  lodsb
        or al, al
        jz done
        mov ah, 0Eh
        mov bx, 0002h
        int 10h
        jmp again
done:   hlt
        jmp done
words:  db "320x200, 4 colours", 0
        SECTOR_ENDS
