; What PARENT.EXE runs: it prints its command line, leaves memory and a file behind, and returns 7.
        bits 16
        org 100h
        mov cl, [80h]
        xor ch, ch
        mov si, 81h
next:   lodsb
        mov dl, al
        mov ah, 2
        int 21h
        loop next
        mov dx, newline
        mov ah, 9
        int 21h
        mov bx, 100h                    ; all but 4 KiB back
        mov ah, 4Ah
        int 21h
        jc failed
        mov bx, 10h
        mov ah, 48h
        int 21h
        jc failed
        mov ax, 3D00h
        mov dx, name
        int 21h
        jc failed
        cmp byte [5Dh], 'A'             ; the FCB that it was given
        jne failed
        mov ax, 4C07h
        int 21h
failed: mov ax, 4C01h
        int 21h
newline db 13, 10, '$'
name    db 'child.com', 0
