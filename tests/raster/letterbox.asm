; 320x200x256: blanking inside the picture: 67 lines above and 30 below, by CR15 and CR16, and a
; colour every eighth line.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
        set CRTC, 11h, 0Eh
        set CRTC, 15h, 71h      ; 369, with CR07 bit 3
        set CRTC, 16h, 42h      ; to line 66: the only one that has these seven bits from there on
frame:  call vretrace
        xor bl, bl
        mov bp, 49
        call shown
.bar:   mov cx, 8
        call lines
        mov dx, DAC
        mov al, 20h
        out dx, al
        inc dx
        mov al, bl
        out dx, al
        out dx, al
        out dx, al
        inc bl
        dec bp
        jnz .bar
        jmp frame
