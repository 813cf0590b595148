; 640x480x16: a panned picture over two panels that are not, as AR10 bit 5 says.
%include "raster.inc"
start:  mode 12h
        call fill_planes
        set CRTC, 9, 00h
        set CRTC, 7, 2Eh        ; LC below 256
        mov dx, STATUS
        in al, dx
        mov dx, ATTRIBUTE
        mov al, 30h
        out dx, al
        mov al, 21h
        out dx, al
        mov al, 33h
        out dx, al
        mov al, 5
        out dx, al
frame:  call vretrace
        set CRTC, 18h, 99
        call shown
        mov cx, 120
        call lines
        set CRTC, 18h, 199
        jmp frame
