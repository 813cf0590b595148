; The first process of a Linux that is tested: it says that it runs, and waits for ever.
; nasm -f bin -o init init.asm
        bits 32
        org 8048000h
file:   db 7Fh, 'ELF', 1, 1, 1
        times 9 db 0
        dw 2, 3
        dd 1, start, 52, 0, 0
        dw 52, 32, 1, 0, 0, 0
        dd 1, 0, 8048000h, 8048000h, end - file, end - file, 5, 1000h
start:  mov eax, 4                      ; write
        mov ebx, 1
        mov ecx, text
        mov edx, end - text
        int 80h
wait_for_ever:
        mov eax, 29                     ; pause
        int 80h
        jmp wait_for_ever
text:   db 'init runs', 10
end:
