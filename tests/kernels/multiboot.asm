; A multiboot kernel: it prints what its loader tells it, on the screen and to port E9h, and stops.
; nasm -f bin -o multiboot.elf multiboot.asm
; nasm -f bin -dAOUT -o multiboot.bin multiboot.asm            addresses in the header, no ELF
; nasm -f bin -dGRAPHICS -o graphics.elf multiboot.asm         it asks for 320x200, 32 bits a pixel
        bits 32
%ifdef AOUT
        org 100000h
file:
%else
        org 100000h - 84                ; the headers of ELF
file:   db 7Fh, 'ELF', 1, 1, 1
        times 9 db 0
        dw 2, 3
        dd 1, virtual + start - begin, programs - file, 0, 0
        dw programs - file, 32, 1, 0, 0, 0
programs:       ; its virtual address is another
        dd 1, begin - file, virtual, begin, end - begin, end - begin + zeros, 7, 1000h
%endif
begin:
%ifdef AOUT
flags   equ 10003h
%elifdef GRAPHICS
flags   equ 7
%else
flags   equ 3
%endif
header: dd 1BADB002h, flags, -(1BADB002h + flags)
%ifdef AOUT
        dd header, file, end, end + zeros, start
%else
        dd 0, 0, 0, 0, 0
%endif
        dd 0, 320, 200, 32

start:  mov esp, end + zeros
        mov ebp, ebx
        mov edi, 0B8000h
        mov esi, magic_is
        call print
        call print_hex
        ; What lies behind the file is zero.
        mov eax, [end]
        or eax, [end + zeros - 256]
        mov esi, zeros_are
        call print
        call print_hex
        mov esi, line_is
        call print
        mov esi, [ebp + 16]
        call print
        mov esi, upper_is
        call print
        mov eax, [ebp + 8]
        call print_hex
        ; The end of the last usable memory below 4 GiB.
        mov esi, [ebp + 48]
        mov ecx, [ebp + 44]
        add ecx, esi
        xor edx, edx
next_range:
        cmp dword [esi + 20], 1
        jne not_usable
        cmp dword [esi + 8], 0
        jne not_usable
        mov eax, [esi + 4]
        add eax, [esi + 12]
        mov edx, eax
not_usable:
        add esi, [esi]
        add esi, 4
        cmp esi, ecx
        jb next_range
        mov esi, end_is
        call print
        mov eax, edx
        call print_hex
        ; Modules: words, and what is in them.
        mov ecx, [ebp + 20]
        mov ebx, [ebp + 24]
next_module:
        jecxz no_more
        mov esi, module_is
        call print
        mov esi, [ebx + 8]
        call print
        mov esi, holds
        call print
        mov esi, [ebx]
        mov edx, [ebx + 4]
        test esi, 0FFFh
        jnz no_more
next_byte:
        cmp esi, edx
        jae next_is
        lodsb
        call print_character
        jmp next_byte
next_is:
        add ebx, 16
        dec ecx
        jmp next_module
no_more:
%ifdef GRAPHICS
        cmp byte [ebp + 109], 1
        jne stop
        mov edi, [ebp + 88]
        mov edx, [ebp + 104]
next_row:
        mov ecx, [ebp + 100]
        mov eax, edx
        shl eax, 8
next_pixel:
        mov [edi + ecx * 4 - 4], eax
        add eax, 10000h
        and eax, 0FFFF00h
        loop next_pixel
        add edi, [ebp + 96]
        dec edx
        jnz next_row
%endif
stop:   mov al, 10
        out 0E9h, al
        cli
        hlt
        jmp stop

%include "print.inc"

magic_is:       db 'magic ', 0
zeros_are:      db 10, 'zeros ', 0
line_is:        db 10, 'line ', 0
upper_is:       db 10, 'upper ', 0
end_is:         db 10, 'end ', 0
module_is:      db 10, 'module ', 0
holds:          db ': ', 0
end:
zeros           equ 8192
virtual         equ 0C0100000h
