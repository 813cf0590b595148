; 640x480x16: the background's colour in each line, from a table of 480.
%include "raster.inc"
start:  mode 12h
        call fill_planes
frame:  call vretrace
        call black
        mov si, colours
        mov bp, 479
        call shown
.line:  call blanked
        mov dx, DAC
        xor al, al
        out dx, al
        inc dx
        mov cx, 3
        rep outsb
        call shown
        dec bp
        jnz .line
        jmp frame
colours:
%assign n 0
%rep 479
        db n & 3Fh, (n >> 2) & 3Fh, (n * 5) & 3Fh
%assign n n + 1
%endrep
