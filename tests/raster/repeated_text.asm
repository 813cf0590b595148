; Text: each row starts again at address 0: the line compare follows the beam.
%include "raster.inc"
start:  mode 3
        call fill_text
        set CRTC, 9, 0Fh
        set CRTC, 7, 0Fh
frame:  call vretrace
        mov bl, 9
        mov bp, 24
        call shown
.split: mov dx, CRTC
        mov al, 18h
        mov ah, bl
        out dx, ax
        mov cx, 10
        call lines
        call shown              ; the line is compared as it ends
        add bl, 10
        dec bp
        jnz .split
        jmp frame
