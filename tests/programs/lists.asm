; What DOS shows behind INT 21h/52h: its table of files, the drive's block, the devices; CALL 5.
%include "dos.inc"
main:   mov bx, 0x400
        mov ah, 0x4A
        int 0x21
        mov cx, 0
        mov dx, name_a
        mov ah, 0x3C
        int 0x21
        mov [handle], ax
        mov bx, ax
        mov cx, 10
        mov dx, digits
        mov ah, 0x40
        int 0x21
        ; The file's entry: uses, access, size, position, name, whether it is ours.
        call show_file
        mov ax, 0x4200
        mov cx, 0
        mov dx, 2
        mov bx, [handle]
        int 0x21
        mov cx, 3
        mov dx, buffer
        mov ah, 0x3F
        int 0x21
        mov ah, 0x45
        int 0x21
        mov [second], ax
        call show_file
        mov bx, [second]
        mov ah, 0x3E
        int 0x21
        call show_file
        mov bx, [handle]
        call entry
        mov ah, 0x3E
        int 0x21
        number [es:di]
        line
        ; The console's.
        mov bx, 1
        push word [0x19]                ; this report is standard output
        mov al, [0x1A]
        mov [0x19], al
        call entry
        pop word [0x19]
        mov ax, [es:di + 5]
        and ax, 0x8093
        number ax
        call show_name
        les di, [es:di + 7]             ; its driver
        mov ax, [es:di + 4]
        and ax, 0x8003
        number ax
        line
        ; The drive's parameter block by 1Fh and 32h, and what 36h and 1Ch say.
        push ds
        mov ah, 0x1F
        int 0x21
        mov [cs:block], bx
        mov [cs:block + 2], ds
        pop ds
        mov ah, 0
        number ax
        mov ah, 0x19
        int 0x21
        les di, [block]
        cmp al, [es:di]
        call equal
        mov ah, 0x36
        mov dl, 0
        int 0x21
        dec ax
        cmp al, [es:di + 4]
        call equal
        cmp cx, [es:di + 2]
        call equal
        inc dx
        cmp dx, [es:di + 0x0D]
        call equal
        push ds
        mov dl, 0
        mov ah, 0x1C
        int 0x21
        cmp dx, -1
        mov al, [bx]
        pop ds
        cmp al, [es:di + 0x17]
        call equal
        mov dl, 26
        mov ah, 0x32
        int 0x21
        mov ah, 0
        number ax
        mov bx, 0
        mov ah, 0x59
        int 0x21
        number ax
        number bx
        mov al, ch
        mov ah, 0
        number ax
        mov dl, 26
        mov ah, 0x36
        int 0x21
        number ax
        ; The current folder's path, and where its root is.
        mov ah, 0x52
        int 0x21
        les di, [es:bx + 0x16]
        mov ah, 0x19
        int 0x21
        mov cl, 0x58
        mul cl
        add di, ax
        mov al, [es:di + 1]
        mov ah, [es:di + 2]
        number ax
        number [es:di + 0x43]
        number [es:di + 0x4F]
        line
        ; CALL 5: a character by 02h; a number that is none, which leaves 0 in AL.
        mov cl, 2
        mov dl, '!'
        call 5
        mov cl, 0x19
        call 5
        mov bl, al
        mov ah, 0x19
        int 0x21
        cmp al, bl
        call equal
        mov cl, 0x30
        call 5
        mov ah, 0
        number ax
        line
        jmp finish

equal:  mov ax, 0
        jne .no
        inc ax
.no:    number ax
        ret

; ES:DI: the entry in DOS's table of what handle BX stands for.
entry:  push ax
        push bx
        push cx
        mov cl, [0x18 + bx]
        mov ch, 0
        mov ah, 0x52
        int 0x21
        les di, [es:bx + 4]
.part:  cmp cx, [es:di + 4]
        jb .here
        sub cx, [es:di + 4]
        les di, [es:di]
        jmp .part
.here:  mov al, 0x3B
        mul cl
        add di, ax
        add di, 6
        pop cx
        pop bx
        pop ax
        ret

show_file:
        mov bx, [handle]
        call entry
        number [es:di]
        number [es:di + 2]
        number [es:di + 0x11]
        number [es:di + 0x15]
        mov ax, [es:di + 0x31]
        mov bx, cs
        cmp ax, bx
        call equal
        call show_name
        line
        ret

show_name:
        mov cx, 11
        mov bx, 0x20
.next:  mov dl, [es:di + bx]
        mov ah, 2
        int 0x21
        inc bx
        loop .next
        ret

name_a: db 'A.DAT', 0
digits: db '0123456789'
handle: dw 0
second: dw 0
block:  dd 0
buffer: times 16 db 0
