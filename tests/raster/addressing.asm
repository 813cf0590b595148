; 640x480x16: byte, word and doubleword addresses by line, and row scan bits in them.
%include "raster.inc"
start:  mode 12h
        call fill_planes
        set CRTC, 9, 43h
frame:  call vretrace
        set CRTC, 17h, 0E3h
        set CRTC, 14h, 00h
        call shown
        mov cx, 100
        call lines
        set CRTC, 17h, 0A3h     ; words
        mov cx, 100
        call lines
        set CRTC, 14h, 40h      ; doublewords
        mov cx, 100
        call lines
        set CRTC, 17h, 0C0h     ; bytes, row scan to address bits 13 and 14
        set CRTC, 14h, 00h
        mov cx, 100
        call lines
        jmp frame
