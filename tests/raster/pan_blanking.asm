; 320x200x16, smooth: start and pan in the blanking before the retrace, which is found by counting
; looks that say: not displaying, and no retrace.
%include "raster.inc"
start:  mode 0Dh
        call fill_planes
        xor bx, bx
frame:  add bx, 5
        mov di, bx
        shr di, 3
        mov dx, STATUS
.again: mov cx, 12
.look:  in al, dx
        test al, 8
        jnz .again
        test al, 1
        jz .again
        loop .look
        mov cx, di
        mov dx, CRTC
        mov al, 0Ch
        mov ah, ch
        out dx, ax
        mov al, 0Dh
        mov ah, cl
        out dx, ax
        mov dx, ATTRIBUTE
        mov al, 33h
        out dx, al
        mov al, bl
        and al, 7
        out dx, al
        call vretrace
        call shown
        jmp frame
