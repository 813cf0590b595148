; 320x200x16: each line twice, once, twice, by the doubling bit of CR09, changed at odd lines.
%include "raster.inc"
start:  mode 0Dh
        call fill_planes
frame:  call vretrace
        set CRTC, 9, 0C0h
        call shown
        mov bp, 16
        mov bl, 40h
.band:  mov cx, 23
        call lines
        mov dx, CRTC
        mov al, 9
        mov ah, bl
        out dx, ax
        xor bl, 80h
        dec bp
        jnz .band
        jmp frame
