; Text: a split that moves by a line each frame, over half characters.
%include "raster.inc"
start:  mode 3
        call fill_text
        set CRTC, 0Dh, 0A0h
        set CRTC, 9, 0Fh
        set CRTC, 7, 0Fh
frame:  call vretrace
        mov dx, CRTC
        mov al, 18h
        mov ah, [line]
        out dx, ax
        inc byte [line]
        call shown
        jmp frame
line:   db 20
