; 640x480x16: four colours in the middle of each line, as fast as OUT can: they stand as stripes.
%include "raster.inc"
start:  mode 12h
        set GRAPHICS, 8, 0F0h
        call fill_planes
frame:  call vretrace
        mov cx, 470
        call shown
.line:  call blanked
        call shown
        mov dx, DAC
%assign n 0
%rep 6
        xor al, al
        out dx, al
        inc dx
        mov al, n * 11
        out dx, al
        mov al, 3Fh - n * 9
        out dx, al
        mov al, n * 5
        out dx, al
        dec dx
%assign n n + 1
%endrep
        loop .line
        jmp frame
