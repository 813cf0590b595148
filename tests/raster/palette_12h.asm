; 640x480x16: two registers of the attribute palette in each line. While they are written the
; picture is off: in the blanking, where nobody sees it.
%include "raster.inc"
start:  mode 12h
        call fill_planes
frame:  call vretrace
        mov cx, 479
        xor bl, bl
        call shown
.line:  call blanked
        mov dx, ATTRIBUTE
        mov al, 3
        out dx, al
        mov al, bl
        and al, 3Fh
        out dx, al
        mov al, 20h
        out dx, al
        inc bl
        call shown
        loop .line
        jmp frame
