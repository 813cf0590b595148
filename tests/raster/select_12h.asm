; 640x480x16, P54S on: 16 palettes of 16, another one by colour select every 30 lines.
%include "raster.inc"
start:  mode 12h
        call fill_planes
        mov dx, STATUS
        in al, dx
        mov dx, ATTRIBUTE
        mov al, 30h
        out dx, al
        mov al, 81h
        out dx, al
        mov dx, DAC             ; all 256 differ
        xor al, al
        out dx, al
        inc dx
        xor cx, cx
.dac:   mov al, cl
        out dx, al
        rol al, 3
        out dx, al
        rol al, 3
        out dx, al
        inc cl
        jnz .dac
frame:  call vretrace
        xor bl, bl
.band:  mov dx, STATUS
        in al, dx
        mov dx, ATTRIBUTE
        mov al, 34h
        out dx, al
        mov al, bl
        out dx, al
        inc bl
        cmp bl, 16
        je frame
        mov cx, 30
        call lines
        jmp .band
