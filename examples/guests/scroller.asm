; Mode X: a landscape twice as wide as the screen scrolls above a part that stands still.
; 320x200 with four planes; by start address and pixel panning, and the split screen.
; Boots: nasm -f bin scroller.asm -o scroller.img
MARK    equ 0F4h
PITCH   equ 160                 ; bytes a line: 640 pixels
SPLIT   equ 160                 ; line where the lower part begins
LOWER   equ 40                  ; its height; it lies at address 0

bits 16
org 7C00h
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 7C00h
        mov ax, 13h
        int 10h
        cld
        mov dx, 3C4h
        mov ax, 0604h           ; chain-4 off
        out dx, ax
        mov dx, 3D4h
        mov ax, 0014h           ; byte addressing
        out dx, ax
        mov ax, 0E317h
        out dx, ax
        mov ax, (PITCH / 2) << 8 | 13h
        out dx, ax
        mov ax, (SPLIT * 2 - 1 & 0FFh) << 8 | 18h   ; line compare counts scan lines
        out dx, ax
        mov al, 7
        out dx, al
        inc dx
        in al, dx
        or al, 10h              ; bit 8
        out dx, al
        dec dx
        mov al, 9
        out dx, al
        inc dx
        in al, dx
        and al, 0BFh            ; bit 9
        out dx, al

        push 0A000h
        pop es
; Lower part: a frame with a colour ramp, the same in all planes.
        mov dx, 3C4h
        mov ax, 0F02h
        out dx, ax
        xor di, di
        xor bx, bx
.low:   mov al, 1Fh
        cmp bl, 1
        jb .put
        cmp bl, LOWER - 1
        jnb .put
        mov al, bl
        add al, 32
.put:   mov cx, PITCH
        rep stosb
        inc bx
        cmp bl, LOWER
        jb .low

; Upper part: hills, a plane at a time.
        mov cl, 0               ; plane
.plane: mov ax, 0102h
        shl ah, cl
        out dx, ax
        mov di, LOWER * PITCH
        xor bx, bx              ; line
.line:  xor si, si              ; byte in the line
.byte:  mov ax, si
        shl ax, 2
        or al, cl               ; x
        mov bp, ax
        and ax, 127             ; a hill every 128 pixels: a parabola
        push dx
        mov dx, 128
        sub dx, ax
        mul dx
        shr ax, 6               ; 0..64
        pop dx
        add ax, bx
        cmp ax, 130
        mov al, 2
        jb .sky
        lea ax, [ebp + ebx]     ; grass, in stripes
        shr al, 2
        and al, 3
        add al, 76h
        jmp .store
.sky:   mov al, bl              ; from blue to the evening's red
        shr al, 4
        add al, 20h
.store: stosb
        inc si
        cmp si, PITCH
        jb .byte
        inc bx
        cmp bl, SPLIT
        jb .line
        inc cl
        cmp cl, 4
        jb .plane

        xor bp, bp              ; bp: x of the left edge
frame:  mov bx, bp
        shr bx, 2
        add bx, LOWER * PITCH
        mov dx, 3D4h
        mov al, 0Ch
        mov ah, bh
        out dx, ax
        mov al, 0Dh
        mov ah, bl
        out dx, ax
        mov dx, 3DAh
.shown: in al, dx
        test al, 8
        jnz .shown
.wait:  in al, dx
        test al, 8
        jz .wait
        mov dx, 3C0h            ; panning: two dots a pixel; the lower part does not pan
        mov al, 33h
        out dx, al
        mov ax, bp
        and al, 3
        add al, al
        out dx, al
        mov al, 30h
        out dx, al
        mov al, 61h
        out dx, al
        out MARK, al
        inc bp
        cmp bp, 320
        jb frame
        xor bp, bp
        jmp frame

        times 510 - ($ - $$) db 0
        dw 0AA55h
