; Memory of DOS: blocks, and their chain as programs walk it.
%include "dos.inc"
%macro  allocate 1                      ; a block of so many paragraphs, told from where the first lies
        mov bx, %1
        mov ah, 0x48
        int 0x21
        call tell
%endmacro
%macro  fit 1
        mov bx, %1
        mov ax, 0x5801
        int 0x21
%endmacro
main:   mov ah, 0x48                    ; the program has all that there is
        mov bx, 1
        int 0x21
        outcome
        mov bx, 0x200
        mov ah, 0x4A
        int 0x21
        mov ax, 0
        outcome
        allocate 0x40
        mov [first], ax
        allocate 1
        allocate 0x20
        mov [third], ax
        allocate 1
        allocate 0x30
        mov [fifth], ax
        allocate 1
        line
        mov es, [first]
        call free
        mov es, [third]
        call free
        mov es, [fifth]
        call free
        fit 1                           ; the smallest that is large enough
        allocate 0x18
        mov es, ax
        call free
        fit 2                           ; the last
        mov bx, 0x28
        mov ah, 0x48
        int 0x21
        mov es, ax
        mov ah, 0
        rcl ah, 1
        mov al, 0
        number ax
        call free
        fit 0
        allocate 0x28
        mov es, ax
        mov bx, 0x41                    ; more than there is before the next
        mov ah, 0x4A
        int 0x21
        outcome
        number bx
        mov bx, 0x10
        mov ah, 0x4A
        int 0x21
        mov ax, 0
        outcome
        mov ax, 0x5800
        int 0x21
        outcome
        mov es, [first]                 ; no control block
        mov word [es:0], 0
        mov ax, es
        inc ax
        mov es, ax
        mov ah, 0x49
        int 0x21
        outcome
        line
        ; The chain from the environment on: what is whose.
        mov ah, 0x52
        int 0x21
        mov ax, [es:bx - 2]
        mov dx, cs
        dec dx
.walk:  mov es, ax
        cmp ax, dx
        jb .next
        push ax
        mov al, [es:0]
        mov [mark], al
        mov ax, [es:1]
        or ax, ax
        jz .free
        mov cx, cs
        cmp ax, cx
        mov ax, 0xEEEE                  ; another's
        jne .free
        mov ax, 1
.free:  number ax
        cmp byte [mark], 'Z'
        je .last
        mov ax, [es:3]                  ; the last block's size says how much memory there is
        number ax
.last:  push dx
        mov dx, mark
        call put_text
        pop dx
        say ' '
        pop ax
.next:  cmp byte [es:0], 'Z'
        je .end
        add ax, [es:3]
        inc ax
        jmp .walk
.end:   line
        jmp finish
free:   mov ah, 0x49
        int 0x21
        mov ax, 0
        outcome
        ret
tell:   jc .failed
        push ax
        mov dx, cs
        sub ax, dx
        number ax
        pop ax
        ret
.failed:
        outcome
        ret
mark:   db 'M$'
        section .bss
first:  resw 1
third:  resw 1
fifth:  resw 1
