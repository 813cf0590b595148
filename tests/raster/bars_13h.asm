; 320x200x256: one entry of the DAC in each line, so that bars lie behind the picture.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
frame:  call vretrace
        mov bp, 399
        xor bl, bl
        call shown
.line:  call blanked
        mov dx, DAC
        mov al, 20h
        out dx, al
        inc dx
        mov al, bl
        out dx, al
        out dx, al
        xor al, al
        out dx, al
        inc bl
        call shown
        dec bp
        jnz .line
        jmp frame
