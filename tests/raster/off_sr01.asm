; 320x200x256: the picture off in some lines, by SR01; and in the middle of others.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
frame:  call vretrace
        call shown
        mov cx, 50
        call lines
        set SEQUENCER, 1, 21h
        mov cx, 20
        call lines
        set SEQUENCER, 1, 01h
        mov bp, 100
.line:  mov cx, 1
        call lines
        call shown
        mov dx, SEQUENCER
        mov ax, 2101h
        out dx, ax
        mov ah, 01h
        out dx, ax
        dec bp
        jnz .line
        jmp frame
