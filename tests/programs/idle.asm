; DOS that waits: INT 28h, InDOS and the swappable data area, as programs use them that stay.
%include "dos.inc"
main:   mov ah, 0x34
        int 0x21
        mov [in_dos], bx
        mov [in_dos + 2], es
        ; The area begins a byte before InDOS; of it a part is to be swapped always.
        push ds
        mov ax, 0x5D06
        int 0x21
        push ds
        pop es
        pop ds
        mov [area], si
        mov [area + 2], es
        mov [always], dx
        mov [busy], cx
        mov ax, si
        sub ax, [in_dos]
        number ax
        mov ax, es
        sub ax, [in_dos + 2]
        number ax
        mov ax, dx
        number ax
        cmp cx, dx
        sbb ax, ax
        number ax                       ; not less while DOS is busy
        ; The prefix, the transfer area, the current drive.
        mov bx, es
        mov ah, 0x62
        push bx
        int 0x21
        mov ax, bx
        pop es
        sub ax, [es:si + 0x10]
        number ax
        mov dx, transfer
        mov ah, 0x1A
        int 0x21
        mov ax, [es:si + 0x0C]
        sub ax, transfer
        number ax
        mov ah, 0x19
        int 0x21
        sub al, [es:si + 0x16]
        mov ah, 0
        number ax
        les bx, [in_dos]
        mov al, [es:bx]
        mov ah, 0
        number ax
        line
        ; A handler that opens a file, with the area put aside; meanwhile a key is waited for.
        mov ax, 0x3528
        int 0x21
        mov [old], bx
        mov [old + 2], es
        mov dx, idle
        mov ax, 0x2528
        int 0x21
        mov dx, none                    ; an error, for 59h
        mov ax, 0x3D00
        int 0x21
        mov byte [says], 1
        mov ah, 8
        int 0x21
        mov ah, 0
        number ax
        cmp word [count], 2
        cmc
        sbb ax, ax
        number ax                       ; called more than once
        number [found_in_dos]
        number [opened]
        number [failed_by]
        les bx, [in_dos]
        mov al, [es:bx]
        mov ah, 0
        number ax
        ; What the handler did is nowhere to be seen.
        mov ah, 0x62
        int 0x21
        mov ax, cs
        sub ax, bx
        number ax
        mov ah, 0x2F
        int 0x21
        mov ax, es
        mov dx, cs
        sub ax, dx
        number ax
        sub bx, transfer
        number bx
        mov ah, 0x59
        mov bx, 0
        push ds
        int 0x21
        pop ds
        number ax
        line
        ; A line, and what is read by handle.
        mov word [count], 0
        mov dx, buffer
        mov ah, 0x0A
        int 0x21
        call counted
        mov word [count], 0
        mov bx, 0
        mov cx, 10
        mov dx, transfer
        mov ah, 0x3F
        int 0x21
        number ax
        call counted
        ; Calls that only ask: they are idle, too.
        mov word [count], 0
        mov ah, 0x0B
        int 0x21
        call counted
        mov word [count], 0
        mov dl, 0xFF
        mov ah, 6
        int 0x21
        call counted
        les bx, [in_dos]
        mov al, [es:bx]
        mov ah, 0
        number ax
        line
        lds dx, [old]
        mov ax, 0x2528
        int 0x21
        push cs
        pop ds
        jmp finish

counted:                                ; 0001: INT 28h was called
        mov ax, 0
        cmp [count], ax
        je .none
        inc ax
.none:  number ax
        ret

idle:   pusha
        push ds
        push es
        push cs
        pop ds
        inc word [count]
        cmp word [count], 2
        jne .done
        cmp byte [says], 1
        jne .done
        inc byte [says]
        les bx, [in_dos]
        mov al, [es:bx]
        mov ah, 0
        mov [found_in_dos], ax
        ; Put the area aside.
        mov di, kept
        push ds
        pop es
        mov cx, [busy]
        push ds
        lds si, [area]
        cld
        rep movsb
        pop ds
        mov bx, 0x1234                  ; another program's prefix, which opens no file
        mov ah, 0x50
        int 0x21
        push cs
        pop ax
        mov bx, ax
        mov ah, 0x50
        int 0x21
        mov dx, other
        mov ah, 0x1A
        int 0x21
        mov dx, out_name
        mov ax, 0x3D00
        int 0x21
        jc .none
        mov bx, ax
        mov ah, 0x3E
        int 0x21
        mov word [opened], 1
.none:  mov dx, nowhere
        mov ax, 0x3D00
        int 0x21
        mov ah, 0x59
        mov bx, 0
        push ds
        int 0x21
        pop ds
        mov [failed_by], ax
        ; And back.
        mov si, kept
        les di, [area]
        mov cx, [busy]
        rep movsb
.done:  pop es
        pop ds
        popa
        iret

none:   db 'NONE.TXT', 0
nowhere: db 'NOWHERE\NONE.TXT', 0
says:   db 0
in_dos: dd 0
area:   dd 0
old:    dd 0
always: dw 0
busy:   dw 0
count:  dw 0
found_in_dos: dw 0
opened: dw 0
failed_by: dw 0
buffer: db 10, 0
        times 12 db 0
transfer: times 128 db 0
other:  times 128 db 0
kept:
