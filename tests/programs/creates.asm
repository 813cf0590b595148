; Attributes of new files: INT 21h/3Ch, 5Ah, 5Bh, 6Ch; what a read-only file may be used for.
%include "dos.inc"
main:   mov dx, name_a                  ; read-only, and open to be written all the same
        mov cx, 1
        mov ah, 0x3C
        int 0x21
        jc failed
        mov bx, ax
        mov dx, name_a
        mov cx, 3
        mov ah, 0x40
        int 0x21
        outcome
        mov ah, 0x3E
        int 0x21
        mov dx, name_a
        call kind
        mov dx, name_a                  ; but not again
        mov ax, 0x3D02
        int 0x21
        outcome
        mov dx, name_a
        mov cx, 0
        mov ah, 0x3C
        int 0x21
        outcome
        mov dx, name_a
        mov ah, 0x41
        int 0x21
        outcome
        mov dx, name_a
        mov ax, 0x3D00
        int 0x21
        jc failed
        mov bx, ax
        mov ax, 0x4202
        mov cx, 0
        mov dx, 0
        int 0x21
        outcome
        mov ah, 0x3E
        int 0x21
        mov dx, name_a
        mov ax, 0x4301
        mov cx, 0x20
        int 0x21
        jc failed
        mov dx, name_a                  ; what is there is cut off, and is what is said
        mov cx, 1
        mov ah, 0x3C
        int 0x21
        jc failed
        mov bx, ax
        mov ah, 0x3E
        int 0x21
        mov dx, name_a
        call kind
        line
        mov dx, name_b
        mov cx, 1
        mov ah, 0x5B
        int 0x21
        jc failed
        mov bx, ax
        mov ah, 0x3E
        int 0x21
        mov dx, name_b
        call kind
        mov si, name_c
        mov bx, 2
        mov cx, 1
        mov dx, 0x12
        mov ax, 0x6C00
        int 0x21
        jc failed
        mov bx, ax
        mov ah, 0x3E
        int 0x21
        mov dx, name_c
        call kind
        mov dx, name_d
        mov cx, 1
        mov ah, 0x5A
        int 0x21
        jc failed
        mov bx, ax
        mov ah, 0x3E
        int 0x21
        mov dx, name_d
        call kind
        mov dx, name_a                  ; folders and labels are made otherwise
        mov cx, 0x10
        mov ah, 0x5B
        int 0x21
        outcome
        line
        jmp finish

kind:   mov ax, 0x4300
        int 0x21
        jc .none
        mov ax, cx
.none:  outcome
        ret

name_a: db 'A.DAT', 0
name_b: db 'B.DAT', 0
name_c: db 'C.DAT', 0
name_d: db '\', 0
        times 14 db 0
