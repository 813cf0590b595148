; Which processor is it? As programs of DOS ask: bits of FLAGS that stay, PUSH SP, counts of shifts, UD2
; and what was unknown before, the coprocessor by what it leaves and by its infinities, CPUID and what it
; names, some of which is executed. nasm -f bin -o level.com level.asm
%include "zoo.inc"
%macro HAS 2                            ; a bit of EDX of leaf 1, and its name
        bt dword [features], %1
        jnc %%none
        SAY " ", %2
%%none:
%endmacro
        bits 16
        org 100h
        push sp                         ; of an 8086 it is the new one
        pop ax
        cmp ax, sp
        jne .end
        mov cl, 33                      ; of an 8086 nothing is left
        mov ax, 1
        shl ax, cl
        cmp ax, 2
        jne .end
        SAY "186 "
        pushf                           ; bits 12 to 15: set in an 8086, clear in a 286 in real mode
        pop ax
        mov bx, ax
        and ah, 0Fh
        push ax
        popf
        pushf
        pop ax
        and ah, 0F0h
        cmp ah, 0F0h
        je .end
        SAY "286 "
        or bh, 70h
        push bx
        popf
        pushf
        pop ax
        and bh, 0Fh
        push bx
        popf
        and ah, 70h
        cmp ah, 70h
        jne .end
        SAY "386 "
        mov ecx, 1 << 18                ; alignment check
        call flips
        jz .end
        SAY "486 "
        mov ecx, 1 << 21                ; CPUID
        call flips
        jz .end
        SAY "CPUID", 10
        xor eax, eax
        cpuid
        or eax, eax
        jz .end
        mov eax, 1
        cpuid
        mov [features], edx
        SAY "it names"
        HAS 0, "FPU"
        HAS 4, "TSC"
        HAS 5, "MSR"
        HAS 8, "CX8"
        HAS 15, "CMOV"
        HAS 23, "MMX"
        HAS 24, "FXSR"
        HAS 25, "SSE"
        SAY 10
.end:   mov word [status], 5A5Ah
        fninit
        fnstsw [status]
        cmp byte [status], 0
        jne .none
        fnstcw [status]
        mov ax, [status]
        and ax, 103Fh
        cmp ax, 3Fh
        jne .none
        SAY "coprocessor "
        fld1                            ; of an 8087 and 287 both infinities are one
        fldz
        fdivp st1, st0
        fld st0
        fchs
        fcompp
        fnstsw [status]
        mov ah, [status + 1]
        sahf
        je .none
        SAY "387"
.none:  SAY 10
        mov ax, 3506h                   ; what is unknown, and how long the handler finds it
        int 21h
        mov [old6], bx
        mov [old6 + 2], es
        mov dx, on_unknown
        mov ax, 2506h
        int 21h
        SAY "unknown"
        ud2
        db 0Fh, 0FFh
        nop
        db 0F0h                         ; LOCK where it may not be
        inc ax
        nop
        str ax                          ; not in real mode
        nop
        arpl ax, ax
        nop
        lldt ax
        SAY 10
        lds dx, [old6]
        mov ax, 2506h
        int 21h
        push cs
        pop ds
        mov al, 55h                     ; SALC: nobody tells of it, and all have it
        stc
        db 0D6h
        call hex2
        mov ax, 47h                     ; AAM and AAD by another base
        db 0D4h, 16
        call hex4
        db 0D5h, 16
        call hex4
        mov eax, 12345678h
        bswap eax
        call hex8
        mov bx, 5
        mov ax, 3
        xadd bx, ax
        call hex4
        SAY 10
        bt dword [features], 8
        jnc .ends
        mov eax, 1
        mov edx, 2
        mov ebx, 33h
        mov ecx, 44h
        mov [eight], eax
        mov [eight + 4], edx
        cmpxchg8b [eight]
        mov eax, [eight]
        call hex2
        mov eax, [eight + 4]
        call hex2
        bt dword [features], 15
        jnc .ends
        xor eax, eax
        mov ebx, 99h
        cmovz eax, ebx
        call hex2
        cmovnz eax, [eight]
        call hex2
        bt dword [features], 23
        jnc .ends
        mov eax, 01020304h
        movd mm0, eax
        paddb mm0, mm0
        movd eax, mm0
        emms
        call hex8
.ends:  SAY 10
        mov ax, 4C00h
        int 21h

; Zero: the flag ECX does not change.
flips:  pushfd
        pop eax
        mov ebx, eax
        xor eax, ecx
        push eax
        popfd
        pushfd
        pop eax
        push ebx
        popfd
        xor eax, ebx
        test eax, ecx
        ret
; On behind it: those of 0Fh, 0 have three bytes, the others two.
on_unknown:
        push bp
        mov bp, sp
        push ax
        push si
        mov si, [bp + 2]
        mov al, [cs:si]
        SAY " "
        call hex2
        cmp byte [cs:si + 1], 1
        adc word [bp + 2], 2
        pop si
        pop ax
        pop bp
        iret
        ROUTINES
        SHOW_BY_BIOS
features: dd 0
old6:   dd 0
status: dw 0
eight:  dd 0, 0
