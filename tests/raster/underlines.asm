; Text: another underline every 40 lines (CR14), below underlined attributes alone.
%include "raster.inc"
start:  mode 3
        mov ax, 0B800h
        mov es, ax
        xor di, di
        mov ax, 0141h
.cell:  stosw
        inc al
        xor ah, 88h
        cmp di, 4000
        jb .cell
frame:  call vretrace
        mov bl, 0
        mov bp, 10
.band:  mov dx, CRTC
        mov al, 14h
        mov ah, bl
        out dx, ax
        add bl, 3
        and bl, 0Fh
        mov cx, 40
        call lines
        dec bp
        jnz .band
        jmp frame
