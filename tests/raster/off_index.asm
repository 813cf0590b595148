; Text: the picture off in every fourth line, by bit 5 of the attribute index.
%include "raster.inc"
start:  mode 3
        call fill_text
frame:  call vretrace
        mov bp, 99
        call shown
.line:  mov cx, 3
        call lines
        mov dx, ATTRIBUTE
        xor al, al
        out dx, al
        mov cx, 1
        call lines
        mov dx, ATTRIBUTE
        mov al, 20h
        out dx, al
        dec bp
        jnz .line
        jmp frame
