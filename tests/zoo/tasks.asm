; Tasks as the processor switches them: VBE mode 105h (1024x768, 256 colours) by its linear frame buffer,
; two tasks with state segments of their own, and a timer whose interrupt jumps to the other one. Each
; fills a half of the screen, line by line; when both are done, the first one says so.
; nasm -f bin -o tasks.img tasks.asm
%define QUIET
%include "zoo.inc"
MODE    equ 105h
INFO    equ 9000h
IDT     equ 0A000h
WIDTH   equ 1024
HEIGHT  equ 768
        BEGIN
        LOAD_REST 3
        VBE MODE, INFO
        cli
        mov dx, 3C8h            ; shades from 64 on
        mov al, 64
        out dx, al
        inc dx
        xor cx, cx
.colour:
        mov al, cl
        out dx, al
        shr al, 1
        out dx, al
        mov al, 3Fh
        sub al, cl
        out dx, al
        inc cx
        cmp cl, 64
        jb .colour
        FLAT gdtr
        mov edi, IDT
        mov ecx, 33 * 2
        xor eax, eax
        rep stosd
        GATE 32, on_timer
        lidt [idtr]
        TIMER_ALONE
        TIMER 5966              ; 200 times a second
        mov ax, 18h             ; this is task 0 from now on
        ltr ax
        jmp left
        SECTOR_ENDS
on_timer:
        push eax
        mov al, 20h
        out 20h, al
        inc dword [ticks]
        xor byte [now], 1
        jz .first
        jmp 20h:0
        pop eax
        iretd
.first: jmp 18h:0
        pop eax
        iretd
left:   mov esp, 70000h
        sti
        xor ebp, ebp
.line:  mov eax, ebp
        call spot
        mov ecx, WIDTH / 2
.dot:   mov eax, ecx
        xor eax, ebp
        shr eax, 3
        and al, 63
        add al, 64
        stosb
        loop .dot
        call wait_a_little
        inc ebp
        cmp ebp, HEIGHT
        jb .line
.other: cmp byte [over], 1
        jne .other
        cli
        cmp dword [ticks], 4
        jb .few
        SAY "both are done", 10
.few:   THE_END
right:  mov ebp, HEIGHT - 1
.line:  mov eax, ebp
        call spot
        add edi, WIDTH / 2
        mov ecx, WIDTH / 2
.dot:   lea eax, [ecx + ebp]
        shr eax, 2
        and al, 63
        add al, 64
        stosb
        loop .dot
        call wait_a_little
        dec ebp
        jns .line
        mov byte [over], 1
.stop:  hlt
        jmp .stop
; EDI: where line EAX begins.
spot:   movzx edi, word [INFO + 10h]
        imul edi, eax
        add edi, [INFO + 28h]
        ret
; So that it takes some ticks on any machine.
wait_a_little:
        test ebp, 127
        jnz .out
        mov eax, [ticks]
.same:  hlt
        cmp eax, [ticks]
        je .same
.out:   ret
        ROUTINES
        align 4, db 0
ticks:  dd 0
now:    db 0
over:   db 0
        GDTR 5
        IDTR 33
        FLAT_TABLE
        dw 103, state0, 8900h, 0
        dw 103, state1, 8900h, 0
        align 4, db 0
state0: times 26 dd 0
state1: times 8 dd 0
        dd right, 202h, 0, 0, 0, 0, 68000h, 0, 0, 0
        dd 10h, 8, 10h, 10h, 10h, 10h, 0, 680000h
        IMAGE_ENDS 4
