; Handles, names and folders of DOS.
%include "dos.inc"
%macro  dos 1                           ; a call, and what it answers
        mov ax, %1
        int 0x21
        outcome
%endmacro
%macro  done 1                          ; a call that answers by the carry flag, and in AX if it fails
        mov ax, %1
        int 0x21
        jc %%failed
        mov ax, 0
%%failed:
        outcome
%endmacro
main:   mov bx, 0x400                   ; the rest of memory is for others
        done 0x4A00
        ; A file by two handles has one position.
        mov cx, 0
        mov dx, name_a
        dos 0x3C00
        mov [handle], ax
        mov bx, ax
        mov cx, 10
        mov dx, digits
        dos 0x4000
        dos 0x4500
        mov [second], ax
        mov cx, 0
        mov dx, 2
        dos 0x4200
        mov bx, [second]
        mov cx, 3
        mov dx, buffer
        dos 0x3F00
        mov byte [buffer + 3], '$'
        mov dx, buffer
        call put_text
        mov bx, [handle]
        mov cx, 0
        mov dx, 0
        dos 0x4201
        done 0x3E00
        done 0x3E00                      ; it is closed already
        mov bx, [second]
        done 0x4400
        and dx, 0x80                    ; a file is no device
        number dx
        mov cx, 0x6B21                  ; a time that the file is to have, and a date
        mov dx, 0x2345
        mov ax, 0x5701
        int 0x21
        mov cx, 0
        mov dx, 0
        mov ax, 0x5700
        int 0x21
        number cx
        number dx
        mov cx, 0
        mov dx, 4
        dos 0x4200
        mov cx, 0
        dos 0x4000                      ; what is behind is cut off
        mov cx, 0
        mov dx, 0
        dos 0x4202
        done 0x3E00
        line
        ; What handle 1 is, the table in the prefix says.
        mov al, [0x19]                  ; of handle 1
        cmp al, [0x18]                  ; it is no longer what handle 0 is
        mov ax, 0
        je .same
        inc ax
.same:  number ax
        number [0x32]                   ; so many handles
        mov bx, 40
        done 0x6700
        number [0x32]
        mov cx, 12
.open:  push cx
        mov dx, name_a
        mov ax, 0x3D00
        int 0x21
        pop cx
        jc .full
        loop .open
.full:
        mov bx, 40
        done 0x3E00
        mov bx, 99
        dos 0x3F00
        line
        mov cx, 35
        mov bx, 39
.close: mov ah, 0x3E
        int 0x21
        dec bx
        loop .close
        ; Names.
        mov dx, name_a
        mov di, name_b
        done 0x5600
        mov di, name_b
        done 0x5600                      ; it is there no more
        mov dx, name_b
        mov cx, 0
        dos 0x5B00                      ; that one is there
        mov dx, name_b
        mov cx, 0x21
        done 0x4301
        done 0x4300
        number cx
        dos 0x3D02                      ; it is read-only
        mov cx, 0x20
        done 0x4301
        mov dx, folder
        done 0x3900
        done 0x3900
        done 0x3B00
        mov si, path
        mov dl, 0
        done 0x4700
        mov bx, path
        call put_path
        mov si, up
        mov di, path
        done 0x6000
        mov bx, path
        call put_path
        mov dx, up
        dos 0x3D00
        mov bx, ax
        done 0x3E00
        mov dx, root
        done 0x3B00
        mov dx, folder
        done 0x3A00
        done 0x3B00
        line
        mov dx, name_b
        mov cx, 0
        done 0x4E00
        mov bx, 0x9E
        call put_path
        number [0x9A]
        done 0x4F00
        mov ah, 0x59
        xor bx, bx
        int 0x21
        number ax
        mov dx, name_b
        done 0x4100
        done 0x4100
        mov dx, nothing
        dos 0x3D00
        mov dx, nul
        dos 0x3D02
        mov bx, ax
        done 0x4400
        and dx, 0x84
        number dx
        mov cx, 5
        dos 0x4000
        done 0x3E00
        line
        jmp finish
put_path:                               ; the text at BX, up to its zero
        push bx
.next:  cmp byte [bx], 0
        je .end
        inc bx
        jmp .next
.end:   mov byte [bx], '$'
        pop dx
        push bx
        call put_text
        pop bx
        mov byte [bx], 0
        say ' '
        ret
name_a: db 'A.DAT', 0
name_b: db 'B.DAT', 0
folder: db 'FOLDER', 0
root:   db '\', 0
up:     db '..\B.DAT', 0
nothing: db 'NOTHING\X', 0
nul:    db 'NUL', 0
digits: db '0123456789'
        section .bss
handle: resw 1
second: resw 1
buffer: resb 16
path:   resb 130
