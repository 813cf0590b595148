; 320x200x256: rows are repeated or left out by the offset, which is added as a row ends.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
        mov dx, CRTC            ; a row a line
        mov ax, 4009h
        out dx, ax
frame:  call vretrace
        mov cx, 399
        mov si, offsets
        xor bx, bx
        call shown
.line:  call blanked
        mov dx, CRTC
        mov al, 13h
        mov ah, [si + bx]
        out dx, ax
        inc bx
        and bx, 0Fh
        call shown
        loop .line
        jmp frame
offsets: db 28h, 0, 0, 28h, 0, 28h, 0, 0, 0, 28h, 50h, 0, 28h, 29h, 27h, 0
