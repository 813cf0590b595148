; Cases of faults, one after another, each in a world of 64 KiB that it may spoil; what they leave goes
; to port E9h. See tests/faults.py, which lays them out in memory behind 1 MiB.
; nasm -f bin -o faults.bin faults.asm
        org 20000h
        bits 32
world           equ 10000h
header          equ world               ; registers that a case begins with, by the names below
cases           equ 100000h
state           equ 2F000h              ; which case, whether it has begun, behind the last one, options
number          equ state
begun           equ state + 4
count           equ state + 8
whole           equ state + 12          ; write the world, too
saved           equ state + 100h
stack_top       equ 2E000h

h_general       equ header              ; EAX ECX EDX EBX ESP EBP ESI EDI
h_flags         equ header + 20h
h_eip           equ header + 24h
h_cs            equ header + 28h
h_ss            equ header + 2Ch
h_ds            equ header + 30h
h_es            equ header + 34h
h_fs            equ header + 38h
h_gs            equ header + 3Ch
h_cr0           equ header + 40h
h_cr3           equ header + 44h
h_cr4           equ header + 48h
h_task          equ header + 4Ch
h_ldt           equ header + 50h
h_gdtr          equ header + 54h
h_idtr          equ header + 5Ch
h_inner         equ header + 64h        ; it begins in ring 0: SS:ESP, CS:EIP are not of IRET

start:  cli
        mov al, 0FFh                    ; no interrupts of devices
        out 21h, al
        out 0A1h, al
        mov esp, stack_top
        call home
        xor edi, edi                    ; who gets lost there comes to INT3
        mov ecx, world / 4
        mov eax, 0CCCCCCCCh
        cld
        rep stosd
        cmp dword [begun], 1
        jne next
        mov al, 'T'                     ; the last case was a triple fault
        out 0E9h, al
        mov eax, [number]
        call out_dword
        inc dword [number]
next:   mov dword [begun], 0
        mov eax, [number]
        cmp eax, [count]
        jb case
        mov al, 'E'
        out 0E9h, al
        cli
        hlt
        jmp $

home:   lgdt [own_gdtr]
        jmp 8:.far
.far:   mov eax, 10h
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        lidt [own_idtr]
        ret

case:   mov dword [begun], 1
        mov esp, stack_top
        shl eax, 16
        lea esi, [eax + cases]
        mov edi, world
        mov ecx, 4000h
        cld
        rep movsd
        xor eax, eax
        mov cr2, eax
        mov dr7, eax
        lgdt [h_gdtr]
        lidt [h_idtr]
        mov eax, [h_task]
        ltr ax
        mov eax, [h_ldt]
        lldt ax
        mov eax, [h_cr3]
        mov cr3, eax
        mov eax, [h_cr4]
        mov cr4, eax
        mov eax, [h_cr0]
        mov cr0, eax
        test dword [h_flags], 20000h
        jnz .outer                      ; of virtual 8086 mode: IRET loads them
        mov gs, [h_gs]
        mov fs, [h_fs]
        mov es, [h_es]
        cmp dword [h_inner], 0
        je .outer
        push dword [h_flags]
        popfd
        mov ds, [h_ds]
        mov eax, [cs:h_general]
        mov ecx, [cs:h_general + 4]
        mov edx, [cs:h_general + 8]
        mov ebx, [cs:h_general + 12]
        mov ebp, [cs:h_general + 20]
        mov esi, [cs:h_general + 24]
        mov edi, [cs:h_general + 28]
        mov ss, [cs:h_ss]
        mov esp, [cs:h_general + 16]
        jmp far [cs:h_eip]
.outer: push dword [h_gs]
        push dword [h_fs]
        push dword [h_ds]
        push dword [h_es]
        push dword [h_ss]
        push dword [h_general + 16]
        push dword [h_flags]
        push dword [h_cs]
        push dword [h_eip]
        test dword [h_flags], 20000h
        jnz .virtual
        mov ds, [h_ds]
.virtual:
        mov eax, [cs:h_general]
        mov ecx, [cs:h_general + 4]
        mov edx, [cs:h_general + 8]
        mov ebx, [cs:h_general + 12]
        mov ebp, [cs:h_general + 20]
        mov esi, [cs:h_general + 24]
        mov edi, [cs:h_general + 28]
        iretd

        align 16
own_gdt:        dq 0, 0CF9B000000FFFFh, 0CF93000000FFFFh
own_gdtr:       dw $ - own_gdt - 1
                dd own_gdt
own_idtr:       dw 0
                dd 0

; Handlers, 16 bytes each: no stack is sure, so that registers go to debug registers first.
        times 400h - ($ - $$) db 0
handlers:
%assign vector 0
%rep 40h
        mov dr0, eax
        mov eax, vector
        jmp handled
        times 400h + 16 * (vector + 1) - ($ - $$) db 90h
%assign vector vector + 1
%endrep
handled:
        mov dr1, eax
        mov eax, ds
        mov dr2, eax
        mov eax, 10h
        mov ds, eax
        mov [saved + 8], ecx
        mov [saved + 12], edx
        mov [saved + 16], ebx
        mov [saved + 20], esp
        mov [saved + 24], ebp
        mov [saved + 28], esi
        mov [saved + 32], edi
        mov eax, ss
        mov [saved + 44], eax
        mov ss, [own_data]
        mov esp, stack_top
        pushfd
        pop dword [saved + 36]
        mov eax, dr1
        mov [saved], eax
        mov eax, dr0
        mov [saved + 4], eax
        mov eax, cs
        mov [saved + 40], eax
        mov eax, dr2
        mov [saved + 48], eax
        mov eax, es
        mov [saved + 52], eax
        mov eax, fs
        mov [saved + 56], eax
        mov eax, gs
        mov [saved + 60], eax
        mov eax, cr0
        mov [saved + 64], eax
        mov eax, cr2
        mov [saved + 68], eax
        mov eax, cr3
        mov [saved + 72], eax
        str eax
        mov [saved + 76], eax
        sldt eax
        mov [saved + 80], eax
        jmp 8:.far
.far:   push dword 2
        popfd
        mov eax, 11h
        mov cr0, eax
        xor eax, eax
        mov cr4, eax
        lldt ax
        call home
        ; A word for each page of the world: a sum that is turned.
        mov esi, world
        mov edi, saved + 84
        mov edx, 16
.page:  mov ecx, 400h
        xor ebx, ebx
.word:  lodsd
        rol ebx, 5
        add ebx, eax
        loop .word
        mov [edi], ebx
        add edi, 4
        dec edx
        jnz .page
        mov al, 'R'
        out 0E9h, al
        mov eax, [number]
        call out_dword
        mov esi, saved
        mov ecx, 84 + 64
        call out_bytes
        cmp dword [whole], 0
        je .done
        mov esi, world
        mov ecx, 10000h
        call out_bytes
.done:  inc dword [number]
        jmp next
own_data:       dd 10h

out_bytes:
        lodsb
        out 0E9h, al
        loop out_bytes
        ret
out_dword:
        mov ecx, 4
.next:  out 0E9h, al
        shr eax, 8
        loop .next
        ret
