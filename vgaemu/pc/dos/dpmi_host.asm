; What of the DPMI host is code: both modes, and the ways between them. `dpmi.py` puts it into the
; memory that its client gives to it, fills in the tables, and answers at the two trap ports.
; nasm -f bin -o dpmi_host dpmi_host.asm
        bits 16
        org 0
SERVED  equ 0xE8                        ; an interrupt of protected mode; a call of real mode is done
DONE    equ 0xE7
CODE    equ 8                           ; selectors of this segment, and of the client's table
DATA    equ 16
TABLE   equ 32
gdtr    equ 0x00
idtr    equ 0x08
real_idtr equ 0x10
stack   equ 0x18                        ; the client's, while it is in real mode
client  equ 0x20                        ; selectors: CS, DS, SS, ES
real_at equ 0x2A                        ; far pointer to `real`
to_es   equ 0xB0                        ; ES:EDI and DS:ESI of a callback
to_ds   equ 0xB8
regs    equ 0x30                        ; registers of real mode, as INT 31h/0300h has them
        times 0x100 db 0

start:  pushf                           ; real mode; the client's far call is on the stack
        cli
        push eax
        o32 lgdt [cs:gdtr]
        o32 lidt [cs:idtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE:.protected
.protected:
        mov ax, TABLE
        lldt ax
        mov ax, [cs:client + 4]
        mov ss, ax
        movzx esp, sp
        mov ax, [cs:client + 2]
        mov ds, ax
        mov ax, [cs:client + 6]
        mov es, ax
        xor ax, ax
        mov fs, ax
        mov gs, ax
        pop eax
        popf
        clc
        retf

        times 0x160 - ($ - $$) db 0
served: out SERVED, al                  ; each vector's stub calls this
        jc go_real
        jz reload
        times 0x170 - ($ - $$) db 0x90
leave_: db 0x66                         ; NOP if the client is one of 16 bits
        iret

go_real:
        jz resume
        pushad
        push ds
        push es
        push fs
        push gs
        mov ax, DATA
        mov ds, ax
        mov [stack], esp
        mov [stack + 4], ss
.rest:  mov ss, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        o32 lidt [real_idtr]
        mov eax, cr0
        and al, 0xFE
        mov cr0, eax
        jmp far [real_at]
        times 0x1B0 - ($ - $$) db 0x90
real:   mov ax, cs
        mov ds, ax
        lss sp, [regs + 0x2E]
        mov es, [regs + 0x22]
        mov fs, [regs + 0x26]
        mov gs, [regs + 0x28]
        mov edi, [regs]
        mov esi, [regs + 4]
        mov ebp, [regs + 8]
        mov ebx, [regs + 0x10]
        mov edx, [regs + 0x14]
        mov ecx, [regs + 0x18]
        mov eax, [regs + 0x1C]
        mov ds, [regs + 0x24]
        iret                            ; to what is on that stack

        times 0x200 - ($ - $$) db 0
come_back:                              ; real mode: where what was called goes back to
        mov [cs:regs + 0x24], ds
        push cs
        pop ds
        pushf
        pop word [regs + 0x20]
        cli
        cld
        mov [regs], edi
        mov [regs + 4], esi
        mov [regs + 8], ebp
        mov [regs + 0x10], ebx
        mov [regs + 0x14], edx
        mov [regs + 0x18], ecx
        mov [regs + 0x1C], eax
        mov [regs + 0x22], es
        mov [regs + 0x26], fs
        mov [regs + 0x28], gs
        o32 lidt [idtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE:.protected
.protected:
        mov ax, DATA
        mov ds, ax
        o32 lss esp, [stack]
        pop gs
        pop fs
        pop es
        pop ds
        popad
        out DONE, al
        jmp leave_

        times 0x280 - ($ - $$) db 0
reload: push ds                         ; a descriptor is another: so are its registers
        pop ds
        push es
        pop es
        push fs
        pop fs
        push gs
        pop gs
        jmp leave_

resume: mov ax, DATA                    ; what real mode has called is done
        mov ds, ax
        jmp go_real.rest

        times 0x2B0 - ($ - $$) db 0
called: out DONE, al                    ; real mode: the stubs of callbacks call this
        cli
        o32 lidt [cs:idtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE:.protected
.protected:
        mov ax, DATA
        mov ds, ax
        o32 lss esp, [stack]
        xor ax, ax
        mov fs, ax
        mov gs, ax
        o32 les edi, [to_es]
        o32 lds esi, [to_ds]
        jmp leave_

        times 0x340 - ($ - $$) db 0
callbacks:
%rep 32
        call called
%endrep

        times 0x400 - ($ - $$) db 0
stubs:                                  ; of each vector; what comes back from handlers of
%rep 258                                ; exceptions, and of callbacks
        call served
%endrep
