; Text: colours written after the line has begun leave a stub of the old one at its left.
%include "raster.inc"
start:  mode 3
        call fill_text
frame:  call vretrace
        call black
        mov cx, 398
        mov bl, 10h
        call shown
.line:  call blanked
        call shown
        mov dx, DAC
        xor al, al
        out dx, al
        inc dx
        mov al, bl
        out dx, al
        out dx, al
        shr al, 2
        out dx, al
        add bl, 3
        loop .line
        jmp frame
