; Adds the numbers that it is given: ADDER 19 23 prints 42 and ends with code 0; without any, 1.
; A DOS .EXE with two segments: nasm -f bin adder.asm -o adder.exe

bits 16

header: db "MZ"
        dw (end - header) % 512, (end - header + 511) / 512
        dw 1, (code - header) / 16      ; one relocation, paragraphs of header
        dw 16, 0FFFFh                   ; paragraphs of memory behind it: the stack
        dw (stack - code) / 16, 256     ; SS:SP
        dw 0, 0, 0                      ; checksum, IP, CS
        dw relocs - header, 0
relocs: dw data_at - code, 0            ; where a segment's number is, to be added to
        align 16, db 0

code:   db 0B8h                         ; MOV AX, the data's segment
data_at:
        dw (data - code) / 16
        mov es, ax                      ; DS is the PSP, with the command line
        mov si, 81h
        xor bx, bx                      ; the sum
        xor cx, cx                      ; how many
.next:  lodsb
        cmp al, ' '
        je .next
        cmp al, 13
        je .done
        xor di, di
.digit: sub al, '0'
        cmp al, 9
        ja .wrong
        mov ah, 0
        xchg ax, di
        mov dx, 10
        mul dx
        add di, ax
        lodsb
        cmp al, ' '
        je .add
        cmp al, 13
        jne .digit
.add:   add bx, di
        inc cx
        dec si
        jmp .next

.wrong: xor cx, cx
.done:  push es
        pop ds
        jcxz .usage
        mov di, digits_end - data
        mov ax, bx
        mov cx, 10
.print: xor dx, dx
        div cx
        add dl, '0'
        dec di
        mov [di], dl
        test ax, ax
        jnz .print
        mov dx, di
        mov ah, 9
        int 21h
        mov ax, 4C00h
        int 21h

.usage: mov dx, usage - data
        mov ah, 9
        int 21h
        mov ax, 4C01h
        int 21h
        align 16, db 0

data:
digits: times 5 db 0
digits_end:
        db 13, 10, "$"
usage:  db "ADDER NUMBER ...", 13, 10, "$"
        align 16, db 0
stack:
end:
