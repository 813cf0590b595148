; Text: bright backgrounds above, blinking characters below, by one bit of AR10.
%include "raster.inc"
start:  mode 3
        call fill_text
        mov di, 1
.cell:  xor byte [es:di], 80h   ; every third character
        add di, 6
        cmp di, 4000
        jb .cell
frame:  call vretrace
        mov bl, 04h
        call attribute
        call shown
        mov cx, 200
        call lines
        mov bl, 0Ch
        call attribute
        jmp frame

attribute:
        mov dx, STATUS
        in al, dx
        mov dx, ATTRIBUTE
        mov al, 30h
        out dx, al
        mov al, bl
        out dx, al
        ret
