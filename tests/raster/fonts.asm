; Text: three fonts in one frame; the second and third are made of the first, upside down and
; inverse.
%include "raster.inc"
start:  mode 3
        call fill_text
        push ds
        set SEQUENCER, 2, 04h
        set SEQUENCER, 4, 07h
        set GRAPHICS, 4, 02h
        set GRAPHICS, 5, 00h
        set GRAPHICS, 6, 04h
        mov ax, 0A000h
        mov ds, ax
        mov es, ax
        xor bx, bx
.glyph: mov cx, 16
        mov si, bx
.line:  lodsb
        mov di, bx
        add di, cx
        mov [di + 3FFFh], al
        not al
        mov [si + 7FFFh], al
        loop .line
        add bx, 32
        cmp bx, 2000h
        jb .glyph
        pop ds
        set SEQUENCER, 2, 03h
        set SEQUENCER, 4, 02h
        set GRAPHICS, 4, 00h
        set GRAPHICS, 5, 10h
        set GRAPHICS, 6, 0Eh
frame:  call vretrace
        set SEQUENCER, 3, 00h
        call shown
        mov cx, 120
        call lines
        set SEQUENCER, 3, 05h
        mov cx, 120
        call lines
        set SEQUENCER, 3, 0Ah
        jmp frame
