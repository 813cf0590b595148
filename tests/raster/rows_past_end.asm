; Text: a maximum scan line below the one that is displayed: rows count on to 31.
%include "raster.inc"
start:  mode 3
        call fill_text
frame:  call vretrace
        set CRTC, 9, 4Fh
        call shown
        mov cx, 90              ; line 10 of a row
        call lines
        set CRTC, 9, 45h
        mov cx, 150
        call lines
        set CRTC, 9, 4Ch
        jmp frame
