; Text: other planes enabled (AR12) in each line, so that foreground and background change.
%include "raster.inc"
start:  mode 3
        call fill_text
frame:  call vretrace
        mov cx, 399
        xor bl, bl
        call shown
.line:  call blanked
        mov dx, ATTRIBUTE
        mov al, 32h
        out dx, al
        mov al, bl
        out dx, al
        inc bl
        and bl, 0Fh
        call shown
        loop .line
        jmp frame
