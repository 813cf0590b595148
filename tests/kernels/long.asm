; A multiboot kernel of 64 bits: long mode by way of 32 bits, its own page faults, interrupts, ring 3
; by SYSCALL. It tells what it finds on the screen, and on port E9h and the serial port.
; A command line that ends in "-" leaves out what KVM's own emulator of instructions does not have:
; INT by the kernel, SSE, and what hosts without help of the hardware do not have: ring 3.
; nasm -f bin -o long.elf long.asm
;
; Linear addresses: 0 to 2 MiB as it is, for the way there; the kernel in the upper half, from
; UPPER on, of the first GiB by one entry of 1 GiB or by 2 MiB pages; DEMAND: pages that come when
; they are touched; USER: the program's code, read-only, its stack, its data, not executable.
        bits 32
        sectalign off
        org 100000h - 84                ; the headers of ELF
file:   db 7Fh, 'ELF', 1, 1, 1
        times 9 db 0
        dw 2, 3
        dd 1, start, programs - file, 0, 0
        dw programs - file, 32, 1, 0, 0, 0
programs:
        dd 1, begin - file, begin, begin, end - begin, end - begin + zeros, 7, 1000h
UPPER   equ 0FFFF_8000_0000_0000h
DEMAND  equ 0000_7000_0000_0000h
USER    equ 0000_0040_0000_0000h
STACK   equ USER + 1000h
DATA    equ USER + 2000h
CODE64_ equ 8
DATA_   equ 10h
USER32_ equ 1Bh
UDATA_  equ 23h
UCODE_  equ 2Bh
TASK_   equ 30h
begin:
        dd 1BADB002h, 0, -1BADB002h

start:  cli
        lea esp, [stack_end]
        mov esi, [ebx + 16]
.to_end:
        lodsb
        test al, al
        jnz .to_end
        cmp byte [esi - 2], '-'
        sete [plain]
        mov eax, 80000001h
        cpuid
        bt edx, 29
        jc has_long_mode
        mov dword [0B8000h], 074F074Eh          ; NO
        hlt
has_long_mode:
        ; Tables, which are zero: PML4 entries 0, 1/4 (USER and DEMAND) and 256.
        lea eax, [low_pointers + 7]
        mov [pml4], eax
        lea eax, [high_pointers + 3]
        mov [pml4 + 256 * 8], eax
        lea eax, [low_directory + 3]
        mov [low_pointers], eax
        mov dword [low_directory], 83h          ; 2 MiB as they are
        lea eax, [high_directory + 3]
        mov [high_pointers], eax                ; UPPER: 512 pages of 2 MiB
        xor ecx, ecx
        mov eax, 83h
next_large:
        mov [high_directory + 8 * ecx], eax
        add eax, 200000h
        inc ecx
        cmp ecx, 512
        jb next_large
        mov dword [high_pointers + 8], 83h      ; UPPER + 1 GiB: the same GiB in one, if it can be
        bt edx, 26
        jc has_large
        mov dword [high_pointers + 8], high_directory + 3
has_large:
        ; USER: PML4 0, pointer 256, directory 0, table: code, stack, data.
        lea eax, [user_directory + 7]
        mov [low_pointers + 256 * 8], eax
        lea eax, [user_table + 7]
        mov [user_directory], eax
        mov dword [user_table], program + 5
        lea eax, [user_stack + 7]
        mov [user_table + 8], eax
        mov dword [user_table + 12], 80000000h  ; not executable
        lea eax, [user_data + 7]
        mov [user_table + 16], eax
        mov dword [user_table + 20], 80000000h
        mov eax, cr4
        or eax, 2A0h                            ; PAE, PGE, OSFXSR
        mov cr4, eax
        lea eax, [pml4]
        mov cr3, eax
        mov ecx, 0C0000080h
        rdmsr
        or eax, 901h                            ; LME, NXE, SCE
        wrmsr
        mov eax, cr0
        and eax, ~4
        or eax, 80010002h                       ; PG, WP, MP
        mov cr0, eax
        rdmsr
        mov [efer], eax
        lgdt [gdt_pointer]
        jmp CODE64_:in_long_mode

        bits 64
in_long_mode:
        mov rax, UPPER + upper
        jmp rax
upper:  default rel
        mov ax, DATA_
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov fs, eax
        mov gs, eax
        mov rsp, UPPER + stack_end
        lgdt [gdt_upper]
        mov rdi, UPPER + 0B8000h
        mov rax, 0720072007200720h
        mov ecx, 500
        rep stosq
        mov rdi, UPPER + 0B8000h
        ; Gates: each vector of 48 to its stub of 16 bytes.
        lea rbx, [idt]
        lea rdx, [stubs]
        xor ecx, ecx
next_gate:
        mov rax, rdx
        mov [rbx], ax
        mov word [rbx + 2], CODE64_
        mov word [rbx + 4], 8E00h
        shr rax, 16
        mov [rbx + 6], ax
        shr rax, 16
        mov [rbx + 8], eax
        mov dword [rbx + 12], 0
        add rbx, 16
        add rdx, 16
        inc ecx
        cmp ecx, 48
        jb next_gate
        mov byte [idt + 3 * 16 + 5], 0EFh       ; INT3: a trap, for ring 3, too
        mov byte [idt + 3 * 16 + 4], 1          ; on a stack of its own
        mov byte [idt + 8 * 16 + 4], 2          ; the double fault, too
        lidt [idt_pointer]
        lea rax, [task]
        lea rbx, [gdt + TASK_]
        mov [rbx + 2], ax
        shr rax, 16
        mov [rbx + 4], al
        mov [rbx + 7], ah
        shr rax, 16
        mov [rbx + 8], eax
        mov ax, TASK_
        ltr ax

        lea rsi, [s_mode]
        call print
        mov eax, [efer]
        call hex32
        mov rax, cr4
        call hex32
        lea rax, [upper]
        call hex64
        ; The GiB in one piece.
        lea rsi, [s_large]
        call print
        mov rax, UPPER + 40000000h + magic
        mov rax, [rax]
        call hex64

        ; Pages on demand: 64 in steps of 1 GiB and a bit, each written to and read back.
        lea rsi, [s_demand]
        call print
        mov rbx, DEMAND
        mov ecx, 64
        xor ebp, ebp
next_demand:
        mov [rbx], rbx
        add rbp, [rbx]
        mov rax, 4000_3008h
        add rbx, rax
        loop next_demand
        mov rax, DEMAND + 0FFCh                 ; eight bytes across two pages
        mov qword [rax], 1
        lock inc qword [rax]
        add rbp, [rax]
        mov rax, rbp
        call hex64
        mov eax, [faults]
        call hex32
        ; Strings across pages that are not there yet.
        cld
        push rdi
        mov rdi, DEMAND + 8000_0000_00h
        mov ecx, 2048
        mov rax, 1122334455667788h
        rep stosq
        mov rsi, DEMAND + 8000_0000_00h
        mov ecx, 2048
        xor ebx, ebx
next_sum:
        lodsq
        add rbx, rax
        loop next_sum
        pop rdi
        mov rax, rbx
        call hex64
        mov eax, [faults]
        call hex32

        ; Faults of the kernel's own, which the handler tells and steps over.
        lea rsi, [s_faults]
        call print
        mov rbx, UPPER + 80000000h              ; no page
        mov rcx, [rbx]
        nop
        mov rbx, USER                           ; read-only, and CR0.WP
        mov byte [rbx], 1
        mov rbx, DATA                           ; not executable
        call rbx
        mov rbx, 8000_0000_0000h                ; not canonical
        mov rcx, [rbx]
        ud2
        mov ax, 48h                             ; behind the GDT
        mov es, eax
        xor ecx, ecx
        div ecx
        cmp byte [plain], 0
        jne timers
        int 30h                                 ; behind the IDT
        int3
        mov rax, [rsp_at_int3]                  ; the handler's stack is the first of the table
        lea rbx, [stack_1_end]
        sub rbx, rax
        mov rax, rbx
        call hex32

        ; SSE, and registers that only this mode has.
        lea rsi, [s_sse]
        call print
        mov rax, 0123456789ABCDEFh
        movq xmm9, rax
        paddq xmm9, xmm9
        movq rax, xmm9
        call hex64

        ; The timer and the keyboard.
timers: lea rsi, [s_timer]
        call print
        mov al, 11h
        out 20h, al
        out 0A0h, al
        mov al, 20h
        out 21h, al
        mov al, 28h
        out 0A1h, al
        mov al, 4
        out 21h, al
        mov al, 2
        out 0A1h, al
        mov al, 1
        out 21h, al
        out 0A1h, al
        mov al, 0FCh
        out 21h, al
        mov al, 0FFh
        out 0A1h, al
        mov al, 34h
        out 43h, al
        mov ax, 11932
        out 40h, al
        mov al, ah
        out 40h, al
        sti
wait_ticks:
        hlt
        cmp dword [ticks], 5
        jb wait_ticks
        ; Ticks come to a loop, too, which has all registers still.
        mov r8, 8
        mov r15, 15
        mov ecx, [ticks]
        add ecx, 2
.loop:  cmp [ticks], ecx
        jb .loop
        lea rax, [r8 + r15 * 2]
        call hex32

        ; Ring 3.
        mov [screen], rdi
        cmp byte [plain], 0
        jne back
        lea rsi, [s_user]
        call print
        lea rax, [locals]
        mov rdx, rax
        shr rdx, 32
        mov ecx, 0C0000102h                     ; KERNEL_GS_BASE
        wrmsr
        mov ecx, 0C0000081h                     ; STAR
        xor eax, eax
        mov edx, USER32_ << 16 | CODE64_
        wrmsr
        mov ecx, 0C0000082h                     ; LSTAR
        lea rax, [system_call]
        mov rdx, rax
        shr rdx, 32
        wrmsr
        mov ecx, 0C0000084h                     ; FMASK
        mov eax, 600h
        xor edx, edx
        wrmsr
        mov ecx, 0C0000100h                     ; FS_BASE
        mov rax, DATA
        mov rdx, rax
        shr rdx, 32
        wrmsr
        mov ecx, 0C0000101h                     ; GS_BASE
        mov eax, 5678h
        xor edx, edx
        wrmsr
        mov [locals + 8], rsp
        mov [screen], rdi
        mov rcx, USER
        mov r11d, 202h
        mov rsp, STACK + 1000h
        o64 sysret
back:   mov rdi, [screen]
        cli
        lea rsi, [s_key]
        call print
        sti
wait_key:
        hlt
        movzx eax, byte [key]
        test eax, eax
        jz wait_key
        cli
        call hex32
        lea rsi, [s_end]
        call print
        hlt
        jmp $

; The program: a page of its own, linked at USER, run in ring 3.
        times -($ - begin) & 4095 db 0CCh
program:
        mov r9, 9
        mov r10, 0FEDC_BA98_7654_3210h
        mov eax, [fs:0]                         ; its data
        mov dword [fs:4], 77h
        xor edi, edi
        syscall                                 ; RAX + R9 + R10: what it had
        mov edi, 1                              ; what came back in RCX and R11
        mov rax, rcx
        syscall
        mov edi, 1
        mov rax, r11
        syscall
        mov rbx, UPPER + magic                  ; the kernel's
        mov rax, [rbx]
        nop
        hlt                                     ; not for it
        int3
        int 21h                                 ; nor this
        mov edi, 2
        syscall                                 ; wait for a tick here
.wait:  mov ecx, 5000
        loop $
        mov edi, 3
        syscall
        test eax, eax
        jz .wait
        mov rbx, DEMAND + 5000h                 ; the kernel's pages are not the program's
        mov rax, [rbx]
        nop
        mov edi, 4
        syscall
        ud2

        times -($ - begin) & 4095 db 0CCh
system_call:
        swapgs
        mov [gs:0], rsp
        mov rsp, [gs:8]
        swapgs
        push rcx
        push r11
        cmp edi, 1
        jb .first
        je .print
        cmp edi, 3
        jb .tick
        je .ticked
        add rsp, 16
        jmp back
.first: add rax, r9
        add rax, r10
.print: mov rdi, [screen]
        call hex64
        mov [screen], rdi
        jmp .out
.tick:  mov eax, [ticks]
        mov [tick_then], eax
        jmp .out
.ticked:
        mov eax, [ticks]
        sub eax, [tick_then]
        cmp eax, 2
        setae al
        movzx eax, al
.out:   pop r11
        pop rcx
        swapgs
        mov rsp, [gs:0]
        swapgs
        o64 sysret

; RSI: a string, EAX or RAX: digits after a space; on the screen at RDI, and to both ports.
print:  push rax
.next:  lodsb
        test al, al
        jz .done
        call character
        jmp .next
.done:  pop rax
        ret
hex32:  shl rax, 32
        push rcx
        mov ecx, 8
        jmp hex
hex64:  push rcx
        mov ecx, 16
hex:    push rdx
        mov rdx, rax
        mov al, ' '
        call character
.digit: rol rdx, 4
        mov eax, edx
        and eax, 15
        push rsi
        lea rsi, [digits]
        mov al, [rsi + rax]
        pop rsi
        call character
        loop .digit
        pop rdx
        pop rcx
        ret
character:
        push rdx
        push rcx
        push rax
        out 0E9h, al
        mov dx, 3F8h
        out dx, al
        cmp al, 10
        je .line
        mov ah, 7
        stosw
        jmp .out
.line:  mov rax, rdi
        mov rcx, UPPER + 0B8000h
        sub rax, rcx
        xor edx, edx
        mov ecx, 160
        div ecx
        inc eax
        mul ecx
        mov rdi, UPPER + 0B8000h
        add rdi, rax
.out:   pop rax
        pop rcx
        pop rdx
        ret

; Stubs: those of exceptions without an error code push 0.
        align 16
stubs:
%assign i 0
%rep 48
        align 16, db 90h
%if !(i == 8 || (i >= 10 && i <= 14) || i == 17)
        push 0
%endif
        push i
%if i == 32
        jmp near timer
%elif i == 33
        jmp near keyboard
%elif i == 14
        jmp near page_fault
%else
        jmp near exception
%endif
%assign i i + 1
%endrep
        align 16, db 90h

timer:  push rax
        inc dword [ticks]
        mov al, 20h
        out 20h, al
        pop rax
        add rsp, 16
        iretq
keyboard:
        push rax
        in al, 60h
        test al, 80h
        jnz .released
        mov [key], al
.released:
        mov al, 20h
        out 20h, al
        pop rax
        add rsp, 16
        iretq

; A page of DEMAND, touched by the kernel: it is made. All else is an exception.
page_fault:
        test byte [rsp + 8], 5
        jnz exception
        push rax
        push rbx
        push rcx
        push rdx
        push rdi
        mov rdx, cr2
        mov rax, rdx
        shr rax, 40
        cmp eax, DEMAND >> 40
        jne .not
        inc dword [faults]
        lea rbx, [pml4]
        mov ecx, 39
.level: mov rax, rdx
        shr rax, cl
        and eax, 511
        lea rbx, [rbx + 8 * rax]
        cmp ecx, 12
        je .page
        mov rax, [rbx]
        test al, 1
        jnz .down
        call new_page
        or al, 3
        mov [rbx], rax
.down:  and rax, ~0FFFh
        mov rbx, UPPER
        add rbx, rax
        sub ecx, 9
        jmp .level
.page:  call new_page
        or al, 3
        mov [rbx], rax
        pop rdi
        pop rdx
        pop rcx
        pop rbx
        pop rax
        add rsp, 16
        iretq
.not:   pop rdi
        pop rdx
        pop rcx
        pop rbx
        pop rax
        jmp exception
; RAX: the physical address of another page, full of zeros.
new_page:
        push rcx
        push rdi
        mov rax, [next_page]
        add qword [next_page], 1000h
        mov rdi, UPPER
        add rdi, rax
        push rax
        xor eax, eax
        mov ecx, 512
        rep stosq
        pop rax
        pop rdi
        pop rcx
        ret

; Tell of it: vector, error code, CS, how far the stack is aligned; CR2 of a page fault; and go on
; behind the instruction, or where a call came from.
exception:
        push rax
        push rbx
        push rcx
        push rsi
        push rdi
        test byte [rsp + 64], 3
        jz .kernel
        mov rdi, [screen]
.kernel:
        lea rsi, [s_exception]
        call print
        movzx eax, byte [rsp + 40]
        call hex32
        mov eax, [rsp + 48]
        call hex32
        mov eax, [rsp + 64]
        call hex32
        mov eax, [rsp + 88]                     ; SS
        call hex32
        cmp byte [rsp + 40], 14
        jne .no_address
        mov rax, cr2
        call hex64
.no_address:
        test byte [rsp + 64], 3
        jz .of_kernel
        mov [screen], rdi
        jmp .skip
.of_kernel:
        mov [rsp], rdi
.skip:  cmp byte [rsp + 40], 3                  ; a trap is behind it already
        jne .fault
        test byte [rsp + 64], 3
        jnz .out
        mov [rsp_at_int3], rsp
        jmp .out
.fault: mov rax, [rsp + 56]                     ; RIP
        test byte [rsp + 48], 16                ; a fetch: back to who called
        jz .not_fetch
        cmp byte [rsp + 40], 14
        jne .not_fetch
        mov rbx, [rsp + 80]
        mov rax, [rbx]
        add qword [rsp + 80], 8
        jmp .set
.not_fetch:
        cmp byte [rax], 0F4h                    ; HLT
        je .one
        cmp byte [rax], 48h                     ; REX: mov reg, [rbx]
        je .three
        cmp byte [rax], 0C6h                    ; mov byte [rbx], 1
        je .three
        inc rax
.one:   inc rax
        jmp .set
.three: add rax, 3
.set:   mov [rsp + 56], rax
.out:   pop rdi
        pop rsi
        pop rcx
        pop rbx
        pop rax
        add rsp, 16
        iretq

digits:         db '0123456789ABCDEF'
s_mode:         db 'EFER, CR4, RIP', 0
s_large:        db 10, '1 GiB', 0
s_demand:       db 10, 'on demand', 0
s_faults:       db 10, 'faults: vector, error code, CS, SS, CR2', 0
s_exception:    db 10, '  ', 0
s_sse:          db 10, 'XMM9', 0
s_timer:        db 10, 'timer', 0
s_user:         db 10, 'ring 3', 0
s_key:          db 10, 'a key', 0
s_end:          db 10, 'PASS', 10, 0
                align 8
magic:          dq 0FACE_B00C_0BAD_CAFEh
next_page:      dq 400000h
gdt:            dq 0
                dq 00AF9B000000FFFFh            ; kernel's code and data
                dq 00CF93000000FFFFh
                dq 00CFFB000000FFFFh            ; the program's: of 32 bits, data, code
                dq 00CFF3000000FFFFh
                dq 00AFFB000000FFFFh
                dq 0000890000000067h, 0         ; the task
gdt_end:
gdt_pointer:    dw gdt_end - gdt - 1
                dd gdt
gdt_upper:      dw gdt_end - gdt - 1
                dq UPPER + gdt
idt_pointer:    dw 48 * 16 - 1
                dq UPPER + idt
                align 8
                dd 0
task:           dd 0
                dq UPPER + stack_0_end, 0, 0, 0
                dq UPPER + stack_1_end, UPPER + stack_2_end, 0, 0, 0, 0, 0, 0
                dw 0, 68h
end:
        absolute end
                resb 4096 - ((end - begin) & 4095)
pml4:           resb 4096
low_pointers:   resb 4096
high_pointers:  resb 4096
low_directory:  resb 4096
high_directory: resb 4096
user_directory: resb 4096
user_table:     resb 4096
user_stack:     resb 4096
user_data:      resb 4096
idt:            resb 48 * 16
                resb 4096
stack_end:      resb 4096
stack_0_end:    resb 4096
stack_1_end:    resb 4096
stack_2_end:
plain:          resd 1
efer:           resd 1
faults:         resd 1
ticks:          resd 1
tick_then:      resd 1
key:            resd 1
rsp_at_int3:    resq 1
screen:         resq 1
locals:         resq 2
last:
zeros           equ last - end
