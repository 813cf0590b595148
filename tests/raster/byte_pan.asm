; 320x240x256, unchained: byte panning and half pixels, another page each frame.
%include "raster.inc"
start:  call mode_x
        call fill_planes
        xor bx, bx
frame:  inc bx
        mov dx, CRTC
        mov al, 8
        mov ah, bl
        shl ah, 3
        and ah, 60h
        out dx, ax
        mov al, 0Ch
        mov ah, bl
        and ah, 1
        ror ah, 3
        out dx, ax
        call vretrace
        mov dx, ATTRIBUTE
        mov al, 33h
        out dx, al
        mov al, bl
        shl al, 1
        and al, 7
        out dx, al
        call shown
        jmp frame
