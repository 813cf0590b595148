; An interpreter at a prompt: reads lines by INT 16h with a way back, calls services of its own at INT
; 20h and up, and evaluates them: numbers are pushed, + - * take two, a line prints what is left on top.
; An empty line ends it. nasm -f bin -o typed.img typed.asm
%include "zoo.inc"
READ    equ 21h
EVALUATE equ 22h
LINE    equ 9000h
        BEGIN
        LOAD_REST 1
        VIDEO 3
        push es
        xor ax, ax
        mov es, ax
        mov di, READ * 4
        mov ax, read
        stosw
        xor ax, ax
        stosw
        mov ax, evaluate
        stosw
        xor ax, ax
        stosw
        pop es
        SAY "ready", 10
prompt: SAY "> "
        int READ
        jz over
        int EVALUATE
        jc wrong
        SAY "= "
        call decimal
        SAY 10
        jmp prompt
wrong:  SAY "what?", 10
        jmp prompt
over:   THE_END
        SECTOR_ENDS
; A line to LINE, ended by 0; ZF if there is nothing in it.
read:   sti
        mov di, LINE
.key:   mov ah, 0
        int 16h
        cmp al, 13
        je .done
        cmp al, 8
        je .back
        cmp al, ' '
        jb .key
        stosb
        call put
        jmp .key
.back:  cmp di, LINE
        je .key
        dec di
        call put
        mov al, ' '
        call put
        mov al, 8
        call put
        jmp .key
.done:  mov al, 10
        call put
        mov byte [di], 0
        cmp di, LINE
        sti
        retf 2
; EAX: what LINE comes to; CF if it comes to nothing.
evaluate:
        sti
        mov si, LINE
        mov bp, sp
.next:  lodsb
        cmp al, ' '
        je .next
        or al, al
        jz .end
        cmp al, '0'
        jb .act
        cmp al, '9'
        ja .bad
        xor ecx, ecx
.digit: sub al, '0'
        movzx eax, al
        imul ecx, 10
        add ecx, eax
        lodsb
        cmp al, '0'
        jb .push
        cmp al, '9'
        jbe .digit
.push:  dec si
        push ecx
        jmp .next
.act:   lea cx, [bp - 8]
        cmp sp, cx
        ja .bad
        pop ecx
        pop ebx
        cmp al, '+'
        je .add
        cmp al, '-'
        je .sub
        cmp al, '*'
        jne .bad
        imul ebx, ecx
        jmp .put
.add:   add ebx, ecx
        jmp .put
.sub:   sub ebx, ecx
.put:   push ebx
        jmp .next
.end:   lea cx, [bp - 4]
        cmp sp, cx
        jne .bad
        pop eax
        clc
        retf 2
.bad:   mov sp, bp
        stc
        retf 2
        ROUTINES
        SHOW_BY_BIOS
        IMAGE_ENDS 2
