; 320x240x256, unchained: one entry of the DAC in every second line.
%include "raster.inc"
start:  call mode_x
        call fill_planes
frame:  call vretrace
        mov bp, 239
        xor bl, bl
        call shown
.line:  mov cx, 2
        call lines
        mov dx, DAC
        mov al, 7
        out dx, al
        inc dx
        mov al, bl
        out dx, al
        not al
        out dx, al
        shl al, 2
        out dx, al
        inc bl
        dec bp
        jnz .line
        jmp frame
