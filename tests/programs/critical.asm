; A drive that goes away: INT 24h of the program's own, or DOS's if there are arguments. Then sectors
; by INT 25h and 26h, and what IOCTL says of the disk.
%include "dos.inc"
main:   cmp byte [0x80], 0
        jne .open
        mov dx, handler
        mov ax, 0x2524
        int 0x21
.open:  call try                        ; until the drive is gone
        jnc .open
        outcome
        mov bx, 0
        mov ah, 0x59
        int 0x21
        number ax
        number bx
        mov al, ch
        mov ah, 0
        number ax
        line
        cmp byte [0x80], 0
        jne .back
        mov dx, returns
        mov ax, 0x2524
        int 0x21
        mov bx, 0x1234
        call try                        ; the handler goes back here itself
        number bx
        number [count]
        mov dx, quiet
        mov ax, 0x2524
        int 0x21
.back:  call try                        ; until it is there again
        jc .back
        say 'back'
        line
        ; The drive's first sector, by INT 25h; flags are left on the stack.
        mov [kept_sp], sp
        mov al, 2
        mov cx, 1
        mov dx, 0
        mov bx, buffer
        int 0x25
        pop dx
        outcome
        cmp sp, [kept_sp]
        call equal
        number [buffer + 510]
        mov ax, [buffer + 11]
        number ax
        mov al, 2
        mov cx, -1
        mov bx, packet
        int 0x26
        popf
        outcome
        mov al, 25
        mov cx, 1
        mov bx, buffer
        int 0x25
        popf
        outcome
        mov bl, 0
        mov ax, 0x6900
        mov dx, buffer + 512
        int 0x21
        outcome
        mov ax, [buffer + 512 + 2]
        cmp ax, [buffer + 39]
        call equal
        mov bl, 3
        mov cx, 0x0860
        mov ax, 0x440D
        mov dx, parameters
        int 0x21
        outcome
        mov si, parameters + 7
        mov di, buffer + 11
        mov cx, 25
        cld
        repe cmpsb
        call equal
        line
        jmp finish

try:    mov dx, name
        mov ax, 0x3D00
        int 0x21
        jc .done
        push bx
        mov bx, ax
        mov ah, 0x3E
        int 0x21
        pop bx
        clc
.done:  ret

equal:  mov ax, 0
        jne .no
        inc ax
.no:    number ax
        ret

; What INT 24h finds; again twice, then the call fails.
handler:
        number ax
        number di
        push bp
        mov bp, sp
        number [bp + 8]                 ; AX of the call
        number [bp + 14]                ; and its DX: where the name is
        pop bp
        inc word [cs:count]
        mov al, 1
        cmp word [cs:count], 3
        jb .done
        mov al, 3
        line
.done:  iret
returns:
        add sp, 6                       ; its own frame, then the call's registers
        pop ax
        pop bx
        pop cx
        pop dx
        pop si
        pop di
        pop bp
        pop ds
        pop es
        iret
quiet:  mov al, 3
        iret
name:   db 'A.TXT', 0
count:  dw 0
kept_sp: dw 0
packet: dd 0
        dw 1, buffer, 0
parameters: db 0
        times 40 db 0xEE
buffer: times 512 + 32 db 0xEE
