; Text: the border's colour in each line.
%include "raster.inc"
start:  mode 3
        call fill_text
frame:  call vretrace
        mov cx, 399
        xor bl, bl
        call shown
.line:  call blanked
        mov dx, ATTRIBUTE
        mov al, 31h
        out dx, al
        mov al, bl
        out dx, al
        inc bl
        and bl, 3Fh
        call shown
        loop .line
        jmp frame
