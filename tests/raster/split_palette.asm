; 640x480x16: 16 colours above line 320, 16 others below, loaded while that part begins: a few
; lines show some of both.
%include "raster.inc"
start:  mode 12h
        call fill_planes
frame:  call vretrace
        mov si, above
        call load
        call shown
        mov cx, 320
        call lines
        mov si, below
        call load
        jmp frame

load:   mov di, palette
.entry: mov dx, DAC
        mov al, [di]
        out dx, al
        inc dx
        mov cx, 3
        rep outsb
        inc di
        cmp di, palette + 16
        jb .entry
        ret

palette: db 0, 1, 2, 3, 4, 5, 14h, 7, 38h, 39h, 3Ah, 3Bh, 3Ch, 3Dh, 3Eh, 3Fh
above:
%assign n 0
%rep 16
        db n * 4, n * 2, 10h
%assign n n + 1
%endrep
below:
%assign n 0
%rep 16
        db 10h, n * 4, 3Fh - n * 3
%assign n n + 1
%endrep
