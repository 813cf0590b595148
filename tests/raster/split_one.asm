; 640x480x16: a panel below line 400, and a picture above it that scrolls by start and pan.
%include "raster.inc"
start:  mode 12h
        call fill_planes
        set CRTC, 18h, 8Fh      ; 399
        set CRTC, 9, 00h
        set CRTC, 7, 3Eh        ; bit 4: LC bit 8 is 1, protected or not
        xor bx, bx
frame:  inc bx
        mov dx, CRTC            ; while dots are displayed: it counts from the retrace on
        mov al, 0Dh
        mov ah, bl
        out dx, ax
        mov ax, 0C0Ch
        mov ah, bh
        out dx, ax
        call vretrace
        mov dx, ATTRIBUTE
        mov al, 33h
        out dx, al
        mov al, bl
        and al, 7
        out dx, al
        mov cx, 200
        call shown
        call lines
        jmp frame
