; What PARENT.EXE lays over its memory and calls: an .EXE with a relocation.
        bits 16
        org 0
header: db 'MZ'
        dw (end - header) % 512, 1, 1, (code - header) / 16, 0, 0FFFFh
        dw 0, 0, 0, 0, 0, relocation - header, 0
relocation:
        dw first - code + 1, 0
        align 16, db 0
code:   push ds
first:  mov ax, 0                       ; relocated: this segment
        mov ds, ax
        mov dx, text - code
        mov ah, 9
        int 21h
        pop ds
        retf
text:   db 'overlay', 13, 10, '$'
end:
