; 640x480x16, smooth: the start while dots are displayed, a wait for the retrace, then the pan.
%include "raster.inc"
start:  mode 12h
        call fill_planes
        set CRTC, 13h, 40
        xor bx, bx
frame:  add bx, 3
        mov cx, bx
        shr cx, 3
        mov dx, CRTC
        mov al, 0Ch
        mov ah, ch
        out dx, ax
        mov al, 0Dh
        mov ah, cl
        out dx, ax
        call vretrace
        mov dx, ATTRIBUTE
        mov al, 33h
        out dx, al
        mov al, bl
        and al, 7
        out dx, al
        call shown              ; well into the picture
        mov cx, 100
        call lines
        jmp frame
