; Text, smooth in both directions, with a colour every 16 lines: preset row, start and pan are
; written in the order start, wait for the end of the retrace, pan, preset row.
%include "raster.inc"
start:  mode 3
        call fill_text
        xor bx, bx
frame:  inc bx
        mov ax, bx
        shr ax, 4
        mov cl, 80
        mul cl
        mov cx, ax
        mov dx, CRTC
        mov al, 0Ch
        mov ah, ch
        out dx, ax
        mov al, 0Dh
        mov ah, cl
        out dx, ax
        call vretrace
        mov dx, ATTRIBUTE
        mov al, 33h
        out dx, al
        mov al, bl
        and al, 7
        out dx, al
        call vretrace_end
        mov dx, CRTC
        mov al, 8
        mov ah, bl
        and ah, 0Fh
        out dx, ax
        call black
        mov bp, 24
        call shown
.bar:   mov cx, 16
        call lines
        mov dx, DAC
        xor al, al
        out dx, al
        inc dx
        mov ax, bp
        out dx, al
        shl al, 1
        out dx, al
        out dx, al
        dec bp
        jnz .bar
        cmp bx, 400
        jb frame
        xor bx, bx
        jmp frame
