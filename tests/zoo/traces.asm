; A debugger of DOS: INT 1 and INT 3 hooked, a routine traced step by step, run up to a breakpoint that
; is stepped over and set again. Of each stop it tells the offset within the routine.
; nasm -f bin -o traces.com traces.asm
%include "zoo.inc"
%macro HOOK 3
        mov ax, 3500h | %1
        int 21h
        mov [%3], bx
        mov [%3 + 2], es
        mov dx, %2
        mov ax, 2500h | %1
        int 21h
%endmacro
%macro UNHOOK 2
        lds dx, [%2]
        mov ax, 2500h | %1
        int 21h
        push cs
        pop ds
%endmacro
; What is run with the trap flag set before its first instruction.
%macro TRACE 1
        mov word [origin], %1
        %defstr %%name %1
        SAY %%name
        call trace
%endmacro
        bits 16
        org 100h
        HOOK 1, on_step, old1
        HOOK 3, on_break, old3
        HOOK 60h, served, old60
        push ds
        pop es
        TRACE straight
        TRACE strings
        TRACE calls
        TRACE stacks
        TRACE flags
        SAY "breaks"
        mov word [origin], broken
        mov byte [broken.point], 0CCh
        call broken
        SAY 10
        UNHOOK 1, old1
        UNHOOK 3, old3
        UNHOOK 60h, old60
        mov ax, 4C00h
        int 21h

trace:  mov di, room
        mov ax, .back
        push ax
        pushf
        pop ax
        or ah, 1
        push cs
        push word [origin]
        push ax
        popf                            ; the step after POPF is the jump's
        retf
.back:  pushf
        pop ax
        and ah, 0FEh
        push ax
        popf
        SAY 10
        ret

straight:
        nop
        mov ax, 1
        jmp short .on
        hlt
.on:    inc ax
        ret
strings:
        mov cx, 3
        rep stosb
        mov cx, 2
        mov si, room
        rep lodsb
        ret
calls:  call .one
        int 60h
        mov al, 1
        loop .out
        nop
.out:   ret
.one:   ret
stacks: mov ax, ss
        mov ss, ax
        mov bx, sp
        push ss
        pop ss
        nop
        ret
flags:  pushf
        pop ax
        and ax, 100h                    ; it is set in what is pushed
        nop
        pushf
        pop ax
        and ah, 0FEh
        push ax
        popf                            ; no stop after the next one
        nop
        nop
        ret
; Three turns, of which each comes to the breakpoint.
broken: mov cx, 3
.turn:  inc bx
.point: inc dx
        loop .turn
        ret

; One step: where the next instruction is.
on_step:
        push bp
        mov bp, sp
        pusha
        push ds
        push cs
        pop ds
        cmp byte [over], 1
        je .again
        mov ax, [bp + 2]
        sub ax, [origin]
        cmp ax, 100h                    ; it is left
        jae .out
        SAY " "
        call hex2
        jmp .out
.again: mov byte [over], 0
        mov byte [broken.point], 0CCh
        and byte [bp + 7], 0FEh
.out:   pop ds
        popa
        pop bp
        iret
on_break:
        push bp
        mov bp, sp
        pusha
        push ds
        push cs
        pop ds
        dec word [bp + 2]
        mov ax, [bp + 2]
        sub ax, [origin]
        SAY " "
        call hex2
        mov byte [broken.point], 42h           ; inc dx
        mov byte [over], 1
        or byte [bp + 7], 1
        pop ds
        popa
        pop bp
        iret
served: iret
        ROUTINES
        SHOW_BY_BIOS
old1:   dd 0
old3:   dd 0
old60:  dd 0
origin: dw 0
over:   db 0
room:   times 8 db 0
