; A DOS program that prints files: TYPE FILE...
; vgaemu run type.com readme.txt --dos-root .
; nasm -f bin type.asm -o type.com
bits 16
org 100h
        mov si, 81h
        cld
.next:  lodsb                   ; the next word of the command line
        cmp al, ' '
        je .next
        cmp al, 9
        je .next
        cmp al, 13
        je .end
        lea dx, [si - 1]
.word:  lodsb
        cmp al, 13
        je .last
        cmp al, ' '
        jne .word
        mov byte [si - 1], 0
        call print
        jmp .next
.last:  mov byte [si - 1], 0
        call print
.end:   cmp byte [found], 0
        jne .exit
        mov dx, usage
        mov ah, 9
        int 21h
.exit:  mov ah, 4Ch
        mov al, [failed]
        int 21h

print:  mov byte [found], 1
        mov [name], dx
        mov ax, 3D00h
        int 21h
        jc .error
        mov bx, ax
.block: mov ah, 3Fh
        mov cx, 4096
        mov dx, buffer
        int 21h
        jc .error
        test ax, ax
        jz .close
        mov cx, ax
        mov bp, bx
        mov bx, 1
        mov ah, 40h
        int 21h
        mov bx, bp
        jmp .block
.close: mov ah, 3Eh
        int 21h
        ret
.error: mov byte [failed], 1
        mov dx, cannot
        mov ah, 9
        int 21h
        push si
        mov si, [name]
.char:  lodsb
        test al, al
        jz .line
        mov dl, al
        mov ah, 2
        int 21h
        jmp .char
.line:  pop si
        mov dx, newline
        mov ah, 9
        int 21h
        ret

usage:  db "type FILE...: prints files", 13, 10, "$"
cannot: db "cannot open $"
newline: db 13, 10, "$"
found:  db 0
failed: db 0
name:   dw 0
buffer:
