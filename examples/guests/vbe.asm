; VBE 640x480x32 through the linear frame buffer, drawn in 32-bit protected mode.
; Boots: nasm -f bin vbe.asm -o vbe.img
MARK    equ 0F4h
MODE    equ 142h                ; 640x480x32 in the Bochs family of BIOSes
WIDTH   equ 640
HEIGHT  equ 480
INFO    equ 8000h

bits 16
org 7C00h
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7C00h
        mov ax, 4F01h
        mov cx, MODE
        mov di, INFO
        int 10h
        cmp ax, 004Fh
        jne none
        mov ax, 4F02h
        mov bx, 4000h | MODE
        int 10h
        cmp ax, 004Fh
        jne none
        mov edi, [INFO + 28h]   ; where the frame buffer is
        movzx ebp, word [INFO + 10h]
        cli
        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:flat
none:   mov si, sorry
.char:  lodsb
        test al, al
        jz stop
        mov ah, 0Eh
        mov bx, 7
        int 10h
        jmp .char
stop:   hlt
        jmp stop

bits 32
flat:   mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        cld
        xor ebx, ebx            ; y
.line:  push edi
        push ebp
        mov ebp, ebx            ; red grows downwards
        imul ebp, 255
        shr ebp, 9
        shl ebp, 16
        mov esi, ebx            ; the rings' part of this line
        sub esi, HEIGHT / 2
        imul esi, esi
        xor ecx, ecx            ; x
.pixel: lea edx, [ecx - WIDTH / 2]
        imul edx, edx
        add edx, esi
        add edx, edx            ; green: rings around the middle
        and edx, 0FF00h
        mov eax, ecx            ; blue grows to the right
        shr eax, 2
        or eax, edx
        or eax, ebp
        stosd
        inc ecx
        cmp ecx, WIDTH
        jb .pixel
        pop ebp
        pop edi
        add edi, ebp
        inc ebx
        cmp ebx, HEIGHT
        jb .line
        out MARK, al
.stop:  hlt
        jmp .stop

align 8
gdt:    dq 0
        dq 00CF9A000000FFFFh    ; code: base 0, 4 GiB
        dq 00CF92000000FFFFh    ; data
gdtr:   dw 23
        dd gdt
sorry:  db "This BIOS has no mode 142h", 0
        times 510 - ($ - $$) db 0
        dw 0AA55h
