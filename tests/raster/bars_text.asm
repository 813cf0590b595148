; Text: the background's colour in each line, written as the line before it ends.
%include "raster.inc"
start:  mode 3
        call fill_text
frame:  call vretrace
        call black
        xor bl, bl
        mov cx, 399
        call shown
.line:  call blanked
        mov dx, DAC
        xor al, al
        out dx, al
        inc dx
        mov al, bl
        out dx, al
        shr al, 1
        out dx, al
        xor al, 3Fh
        out dx, al
        inc bl
        call shown
        loop .line
        jmp frame
