; 320x200x256: another PEL mask in each line.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
frame:  call vretrace
        mov dx, MASK
        mov al, 0FFh
        out dx, al
        mov cx, 399
        xor bl, bl
        call shown
.line:  call blanked
        mov dx, MASK
        mov al, bl
        not al
        out dx, al
        inc bl
        call shown
        loop .line
        jmp frame
