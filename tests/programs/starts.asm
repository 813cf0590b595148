; A program that starts others: it runs itself with a word, whose output goes to a file; one stays.
%define STARTS_OTHERS
%include "dos.inc"
main:   mov al, [0x80]                  ; the command line
        cmp byte [0x82], 'w'
        je writer
        cmp byte [0x82], 'r'
        je reader
        cmp byte [0x82], 's'
        je stays
        cmp byte [0x82], 'b'
        je breaks
        call begin
        mov sp, stack
        mov bx, (end - $$ + 0x100 + 15) / 16
        mov ah, 0x4A
        int 0x21
        mov [block + 4], cs
        mov [block + 8], cs
        mov [block + 12], cs
        ; Standard output to a file: kept, changed, and brought back.
        mov bx, 1
        mov ah, 0x45
        int 0x21
        mov [kept], ax
        mov dx, file
        xor cx, cx
        mov ah, 0x3C
        int 0x21
        mov bx, ax
        mov cx, 1
        mov ah, 0x46
        int 0x21
        mov ah, 0x3E
        int 0x21
        mov al, 'w'
        call run
        mov bx, [kept]
        mov cx, 1
        mov ah, 0x46
        int 0x21
        mov ah, 0x3E
        int 0x21
        call ended
        ; Standard input from that file.
        mov bx, 0
        mov ah, 0x45
        int 0x21
        mov [kept], ax
        mov dx, file
        mov ax, 0x3D00
        int 0x21
        mov bx, ax
        mov cx, 0
        mov ah, 0x46
        int 0x21
        mov ah, 0x3E
        int 0x21
        mov al, 'r'
        call run
        call ended
        mov bx, [kept]
        mov cx, 0
        mov ah, 0x46
        int 0x21
        mov ah, 0x3E
        int 0x21
        line
        ; One that stays, behind INT 60h.
        mov al, 's'
        call run
        call ended
        mov ax, 1
        int 0x60
        number ax
        mov dx, nothing
        mov bx, block
        mov ax, 0x4B00
        int 0x21
        outcome
        ; One that Ctrl-C ends.
        mov al, 'b'
        call run
        call ended
        line
        jmp finish

run:    mov [tail + 2], al
        mov dx, own
        mov bx, block
        mov ax, 0x4B00
        int 0x21
        jnc .done
        outcome
.done:  ret
ended:  mov ah, 0x4D
        int 0x21
        number ax
        ret

writer: mov ah, 0x30                    ; DOS is there for it, too
        int 0x21
        say {'written by a child', 13, 10, 'in two lines', 13, 10}
        mov si, [0x2C]                  ; its name, behind the environment
        mov es, si
        xor di, di
        mov al, 0
        mov cx, 0xFFFF
.past:  repne scasb
        cmp byte [es:di], 0
        jne .past
        number [es:di + 1]
        mov ax, 0x4C07
        int 0x21
reader: mov ah, 0x0A
        mov dx, typed
        int 0x21
        mov ah, 1
        int 0x21
        mov [typed + 60], al
        mov bx, 0
        mov cx, 18
        mov dx, typed + 80
        mov ah, 0x3F
        int 0x21
        number ax
        mov byte [typed + 80 + 10], '$'
        mov dx, typed + 80
        call put_text
        mov al, [typed + 1]
        mov ah, [typed + 2]
        number ax
        mov ax, 0x4C08
        int 0x21
stays:  push cs
        pop ds
        mov dx, service
        mov ax, 0x2560
        int 0x21
        mov dx, (end - $$ + 0x100 + 15) / 16
        mov ax, 0x3109
        int 0x21
service: add ax, 0x1233
        iret
breaks: mov dx, handler                 ; the first Ctrl-C begins the call anew, the second ends it
        mov ax, 0x2523
        int 0x21
        mov cx, 0x2E03
        mov ah, 5
        int 0x16
        mov cx, 0x2E03
        mov ah, 5
        int 0x16
        mov ah, 8
        int 0x21
        say 'no Ctrl-C'
        jmp finish
handler: inc byte [cs:count]
        cmp byte [cs:count], 2
        je .ends
        iret
.ends:  stc
        retf
count:  db 0
own:    db 'STARTS.COM', 0
nothing: db 'NONE.COM', 0
file:   db 'FILE.TXT', 0
tail:   db 2, ' x', 13
block:  dw 0, tail, 0, 0x5C, 0, 0x6C, 0
typed:  db 40, 0
        times 100 db 0
kept:   dw 0
        align 16, db 0
        times 256 db 0
stack:
end:
