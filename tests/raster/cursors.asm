; Text: the cursor's shape by line: two strokes of one cursor.
%include "raster.inc"
start:  mode 3
        call fill_text
        set CRTC, 0Eh, 03h
        set CRTC, 0Fh, 20h      ; row 10: lines 160 to 175
frame:  call vretrace
        set CRTC, 0Ah, 02h
        set CRTC, 0Bh, 04h
        call shown
        mov cx, 167
        call lines
        set CRTC, 0Ah, 0Ah
        set CRTC, 0Bh, 0Dh
        mov cx, 100
        call lines
        jmp frame
