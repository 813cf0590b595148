; 320x200x256: two splits a frame: the line compare is moved on once the first has been passed.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
        set CRTC, 0Ch, 20h
        set CRTC, 9, 01h        ; LC bit 9 is 0
        set CRTC, 7, 0Fh        ; and bit 8
frame:  call vretrace
        set CRTC, 18h, 100
        call shown
        mov cx, 150
        call lines
        set CRTC, 18h, 200
        jmp frame
