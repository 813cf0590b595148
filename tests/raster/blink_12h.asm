; 640x480x16: every other 24 lines blink, by one bit of AR10.
%include "raster.inc"
start:  mode 12h
        call fill_planes
frame:  call vretrace
        mov bl, 01h
        call shown
        mov bp, 20
.band:  mov dx, STATUS
        in al, dx
        mov dx, ATTRIBUTE
        mov al, 30h
        out dx, al
        mov al, bl
        out dx, al
        xor bl, 08h
        mov cx, 24
        call lines
        dec bp
        jnz .band
        jmp frame
