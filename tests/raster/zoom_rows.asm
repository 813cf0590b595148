; 320x200x256: rows of 1 to 9 lines, by CR09.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
frame:  call vretrace
        set CRTC, 9, 40h
        mov bl, 40h
        call shown
        mov bp, 40
.band:  mov cx, 9
        call lines
        mov dx, CRTC
        mov al, 9
        mov ah, bl
        out dx, ax
        inc bl
        cmp bl, 49h
        jne .next
        mov bl, 40h
.next:  dec bp
        jnz .band
        jmp frame
