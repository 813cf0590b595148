; Resets the mouse, in the mode whose number plus 30h is the first letter after its name, if there is
; one; then prints to port E9h what its handler is told, and at the end what the buttons did.
        org 100h
        bits 16
        mov al, [82h]
        cmp al, 13
        je reset
        sub al, '0'
        mov ah, 0
        int 10h
reset:  mov ax, 0
        int 33h
        call word_out
        mov ax, bx
        call word_out
        mov ax, 24h
        int 33h
        mov ax, bx
        call word_out
        mov ax, 3
        int 33h
        call print
        mov ax, 0Ch
        mov cx, 7Fh
        mov dx, handler
        int 33h
        mov ax, 1
        int 33h
wait_key:
        mov ah, 1
        int 16h
        jz wait_key
        mov ax, 2
        int 33h
        mov ax, 5
        mov bx, 0
        int 33h
        call print
        mov ax, 6
        mov bx, 0
        int 33h
        call print
        mov ax, 0Bh
        int 33h
        call print
        mov ax, 21h
        int 33h
        mov ax, 4C00h
        int 21h
; AX BX CX DX
print:  call word_out
        mov ax, bx
        call word_out
        mov ax, cx
        call word_out
        mov ax, dx
        call word_out
        mov al, 10
        out 0E9h, al
        ret
handler:
        call print
        mov al, '!'
        out 0E9h, al
        retf
word_out:
        push cx
        mov cx, 4
.next:  rol ax, 4
        push ax
        and al, 0Fh
        add al, '0'
        cmp al, '9'
        jbe .out
        add al, 7
.out:   out 0E9h, al
        pop ax
        loop .next
        mov al, ' '
        out 0E9h, al
        pop cx
        ret
