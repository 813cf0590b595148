; Plasma in mode 13h: a palette of our own, three waves, one frame a vertical retrace.
; Boots: nasm -f bin plasma.asm -o plasma.img
MARK    equ 0F4h

bits 16
org 7C00h
WAVE    equ 8000h               ; 256 bytes: one period
COLUMN  equ 8200h               ; 320 bytes: what depends on x alone

        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7C00h
        mov ax, 13h
        int 10h
        cld

; Palette: red, green and blue are triangles of different phase.
        mov dx, 3C8h
        xor al, al
        out dx, al
        inc dx
        xor cx, cx
.dac:   mov al, cl
        call triangle
        out dx, al
        mov al, cl
        add al, 85
        call triangle
        shr al, 1
        out dx, al
        mov al, cl
        add al, 128
        call triangle
        out dx, al
        inc cl
        jnz .dac

; A wave from two parabolas: x * (128 - x) / 64, up and down.
        mov di, WAVE
.wave:  mov al, cl
        and al, 7Fh
        mov bl, 128
        sub bl, al
        mul bl
        shr ax, 6
        test cl, 80h
        jz .up
        neg al
.up:    add al, 64
        stosb
        inc cl
        jnz .wave

        push 0A000h
        pop es
        xor bp, bp              ; bp: time
frame:  mov si, COLUMN
        xor cx, cx
.col:   mov bx, cx
        add bx, bp
        call wave
        mov ah, al
        lea bx, [ecx + ecx * 2]
        shr bx, 1
        sub bx, bp
        call wave
        add al, ah
        mov [si], al
        inc si
        inc cx
        cmp cx, 320
        jb .col

        mov dx, 3DAh            ; wait for the next vertical retrace
.shown: in al, dx
        test al, 8
        jnz .shown
.wait:  in al, dx
        test al, 8
        jz .wait

        xor di, di
        xor cx, cx              ; cx: line
.line:  mov bx, cx
        add bx, bx
        add bx, bp
        call wave
        mov ah, al
        mov bx, bp
        add bx, bp
        sub bx, cx
        call wave
        add ah, al
        push cx
        mov si, COLUMN
        mov cx, 320
.pixel: lodsb
        add al, ah
        stosb
        loop .pixel
        pop cx
        inc cx
        cmp cl, 200
        jb .line
        out MARK, al
        inc bp
        mov ah, 1               ; until a key
        int 16h
        jz frame
        mov ax, 3
        int 10h
        cli
        hlt

wave:   xor bh, bh              ; bx -> al
        mov al, [WAVE + bx]
        ret

; al -> 0..63
triangle:
        test al, 80h
        jz .rise
        not al
.rise:  shr al, 1
        ret

        times 510 - ($ - $$) db 0
        dw 0AA55h
