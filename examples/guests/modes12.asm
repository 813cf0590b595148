; Mode 12h: one panel for each write mode of the graphics controller.
; Boots: nasm -f bin modes12.asm -o modes12.img
MARK    equ 0F4h

bits 16
org 7C00h
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 7C00h
        mov ax, 12h
        int 10h
        push 0A000h
        pop es
        cld
        mov dx, 3CEh

; Write mode 0 with set/reset: sixteen bars, 16 bytes wide.
        mov ax, 0F01h           ; enable set/reset on all planes
        out dx, ax
        mov di, 20 * 80 + 4
        xor cx, cx
.bar:   mov ah, cl
        mov al, 0
        out dx, ax              ; set/reset = colour
        mov bx, 6               ; lines
.line0: push cx
        mov cx, 30
        rep stosb
        pop cx
        add di, 80 - 30
        dec bx
        jnz .line0
        inc cx
        cmp cl, 16
        jb .bar

; Write mode 1: copy that panel to the right, four planes a byte.
        mov ax, 0105h
        out dx, ax
        push es
        pop ds
        mov si, 20 * 80 + 4
        mov di, 20 * 80 + 46
        mov bx, 96
.line1: mov cx, 30
        rep movsb
        add si, 80 - 30
        add di, 80 - 30
        dec bx
        jnz .line1

; Write mode 2: a chequered panel, the colour is the data.
        mov ax, 0001h
        out dx, ax              ; set/reset off
        mov ax, 0205h
        out dx, ax
        mov di, 150 * 80 + 4
        mov bx, 128
.line2: mov cx, 30
.cell2: mov ax, bx
        shr ax, 4
        add ax, cx
        stosb
        loop .cell2
        add di, 80 - 30
        dec bx
        jnz .line2

; Write mode 3: a glyph's bits choose where, set/reset which colour; stripes of one hue.
        mov ax, 0305h
        out dx, ax
        mov di, 150 * 80 + 46
        mov bx, 128
.line3: mov ah, bl
        shr ah, 3
        mov al, 0
        out dx, ax
        mov cx, 30
.cell3: mov al, bl
        and al, 7
        push cx
        mov cl, al
        mov al, 0E1h
        rol al, cl
        pop cx
        mov ah, [es:di]         ; load the latches
        stosb
        loop .cell3
        add di, 80 - 30
        dec bx
        jnz .line3

; The lower part: XOR through the logic unit, two overlapping boxes.
        mov ax, 0005h
        out dx, ax
        mov ax, 1803h           ; function XOR
        out dx, ax
        mov ax, 0F01h
        out dx, ax
        mov ax, 0C00h           ; colour 12
        mov di, 310 * 80 + 10
        call box
        mov ax, 0A00h           ; colour 10
        mov di, 340 * 80 + 26
        call box
        mov ax, 0003h
        out dx, ax
        mov ax, 0001h
        out dx, ax

        xor ax, ax
        mov ds, ax
        mov ah, 2               ; text by the BIOS, over all
        mov bh, 0
        mov dx, 0 * 256 + 20
        int 10h
        mov si, title
.char:  lodsb
        test al, al
        jz .done
        mov ah, 0Eh
        mov bx, 000Fh
        int 10h
        jmp .char
.done:  out MARK, al
.stop:  hlt
        jmp .stop

box:    out dx, ax
        mov bx, 110
.line:  mov cx, 44
.byte:  mov al, [es:di]         ; the latches are XORed
        stosb
        loop .byte
        add di, 80 - 44
        dec bx
        jnz .line
        ret

title:  db "Mode 12h: write modes 0 1 / 2 3 / XOR", 0
        times 510 - ($ - $$) db 0
        dw 0AA55h
