; 320x200x256: no waits for lines: the timer interrupts 14 times a field, and each time the
; background has another colour.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
        xor ax, ax
        mov es, ax
        mov word [es:8 * 4], tick
        mov [es:8 * 4 + 2], cs
        mov al, 34h
        out 43h, al
        mov al, 1217 & 0FFh     ; 1.02 ms
        out 40h, al
        mov al, 1217 >> 8
        out 40h, al
        sti
.wait:  hlt
        jmp .wait
tick:   push ax
        push dx
        mov dx, DAC
        mov al, 20h
        out dx, al
        inc dx
        mov al, [cs:colour]
        out dx, al
        rol al, 2
        out dx, al
        rol al, 2
        out dx, al
        add byte [cs:colour], 7
        mov al, 20h
        out 20h, al
        pop dx
        pop ax
        iret
colour: db 0
