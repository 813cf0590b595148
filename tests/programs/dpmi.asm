; A client of a DPMI host, in 32 bits: descriptors, memory, vectors, exceptions, calls of real mode.
; What it finds is written to OUT.TXT at its end. It ends with code 7.
%include "dos.inc"
%macro  found 1                         ; a word or register, into the report
        push eax
        mov ax, %1
        call put
        pop eax
%endmacro
%macro  carry 0                         ; whether the carry flag is set
        setc [truth]
        found [truth]
%endmacro
%macro  next 0
        mov byte [edi], 13
        mov byte [edi + 1], 10
        add edi, 2
%endmacro
main:   enter_dpmi 1
        ; Protected mode. The report grows at DS:EDI.
        mov edi, report
        cld
        found [is_32]
        mov ax, es                      ; the prefix
        lsl eax, eax
        found ax
        mov bx, es
        dpmi 6
        shl ecx, 16
        mov cx, dx
        shr ecx, 4
        sub cx, [real_ds]
        found cx
        push ds
        pop es
        dpmi 0x400
        and bx, 1
        found bx
        dpmi 3
        found ax
        next
        ; A flat segment of 2 MiB that were 1, moved perhaps.
        mov bx, 0x10
        xor cx, cx
        dpmi 0x501
        call keep
        carry
        mov cx, 1
        dpmi 0
        carry
        mov [flat], ax
        call aim
        mov cx, 0x0F
        mov dx, 0xFFFF
        mov bx, [flat]
        dpmi 8
        carry
        mov gs, [flat]
        mov dword [gs:dword 0xFFFFC], 0x12345678
        mov dword [gs:0], 0x0BADCAFE
        mov bx, 0x20
        xor cx, cx
        mov si, [handle + 2]
        push edi
        mov di, [handle]
        dpmi 0x503
        mov dx, di
        pop edi
        carry
        mov [handle], dx
        mov [handle + 2], si
        mov [memory], cx
        mov [memory + 2], bx
        call aim
        mov cx, 0x1F
        mov dx, 0xFFFF
        mov bx, [flat]
        dpmi 8
        mov gs, [flat]
        found [gs:dword 0xFFFFE]
        found [gs:dword 0xFFFFC]
        found [gs:2]
        mov ax, [flat]
        lsl eax, eax
        shr eax, 8
        found ax
        next
        ; Code of 32 bits, by an alias of this segment.
        mov bx, cs
        dpmi 0x0A
        carry
        mov [code], ax
        mov bx, ax
        lar ecx, eax
        shr ecx, 8
        mov cl, 0x9A
        mov bx, cs
        lar eax, ebx
        and ah, 0x60                    ; of the ring that this one is of
        or cl, ah
        mov ch, 0x40
        mov bx, [code]
        dpmi 9
        carry
        mov [from], cs
        push dword [code]
        push dword in_32
        o32 retf
back_in_16:
        found ax
        ; Its interrupt, and one that nobody has taken: DOS's version.
        mov bl, 0x60
        mov cx, cs
        mov edx, mine
        dpmi 0x205
        carry
        mov bl, 0x60
        dpmi 0x204
        mov ax, cs
        sub cx, ax
        found cx
        xor ax, ax
        int 0x60
        found ax
        mov ah, 0x30
        xor bx, bx
        int 0x21
        cmp al, 2
        setae [truth]
        found [truth]
        mov ah, 0x0F
        int 0x10
        found ax
        next
        ; Real mode: a file is made, a routine called in both ways.
        mov dword [call_of + real.eax], 0x3C00
        mov dword [call_of + real.ecx], 0
        mov dword [call_of + real.edx], name_a
        call of_dos
        mov ax, [call_of + real.eax]
        mov [file], ax
        mov dword [call_of + real.eax], 0x4000
        mov [call_of + real.ebx], ax
        mov dword [call_of + real.ecx], 10
        mov dword [call_of + real.edx], digits
        call of_dos
        found [call_of + real.eax]
        mov dword [call_of + real.eax], 0x3E00
        call of_dos
        mov dword [call_of + real.eax], 0x3D00
        mov dword [call_of + real.edx], none
        call of_dos
        mov al, [call_of + real.flags]
        and ax, 1
        found ax
        found [call_of + real.eax]
        mov word [call_of + real.ip], routine
        mov ax, [real_ds]
        mov [call_of + real.cs], ax
        push word 0x1111
        push word 0x3333
        mov cx, 2
        mov edi, call_of
        mov bh, 0
        dpmi 0x301
        mov edi, [where]
        lea esp, [esp + 4]
        carry
        found [call_of + real.ebx]
        mov word [call_of + real.ip], by_iret
        mov cx, 0
        push edi
        mov edi, call_of
        mov bh, 0
        dpmi 0x302
        pop edi
        carry
        found [call_of + real.ebx]
        mov bl, 0x61
        mov cx, 0x1234
        mov dx, 0x5678
        dpmi 0x201
        xor cx, cx
        dpmi 0x200
        found cx
        found dx
        next
        ; Memory below, and what is no descriptor.
        mov bx, 0x20
        dpmi 0x100
        carry
        mov fs, dx
        mov word [fs:0x1FE], 0xBEEF
        mov bx, dx
        push dx
        push ax
        dpmi 6
        pop ax
        shl ecx, 16
        mov cx, dx
        shr ecx, 4
        sub cx, ax
        found cx
        pop dx
        xor ax, ax
        mov fs, ax
        dpmi 0x101
        carry
        mov bx, 0x7FF4
        dpmi 6
        carry
        ; An exception that goes on behind its instruction.
        mov bl, 0x0D
        mov cx, cs
        mov edx, handler
        dpmi 0x203
        carry
        xor eax, eax
        mov ax, cs
        lsl eax, eax
        mov si, 0
        mov ax, 0x7FF4                  ; no descriptor
        mov fs, ax
after:  found si
        found [error_code]
        next
        ; The clock's ticks come, and go on to real mode.
        mov bl, 8
        dpmi 0x204
        mov [old], edx
        mov [old + 4], cx
        mov bl, 8
        mov cx, cs
        mov edx, tick
        dpmi 0x205
        mov [tick_ds], ds
        dpmi 0x901
.wait:  cmp word [ticks], 3
        jb .wait
        mov cx, [old + 4]
        mov edx, [old]
        mov bl, 8
        dpmi 0x205
        dpmi 0x900
        mov ah, 0
        found ax
        dpmi 0x902
        mov ah, 0
        found ax
        dpmi 0x901
        mov ah, 0
        found ax
        mov bx, [flat]
        xor ax, ax
        mov gs, ax
        dpmi 1
        carry
        mov si, [handle + 2]
        push edi
        mov di, [handle]
        dpmi 0x502
        pop edi
        carry
        mov ax, 0xFF00
        int 0x31
        carry
        next
        ; The report.
        sub edi, report
        mov dword [call_of + real.eax], 0x4000
        mov dword [call_of + real.ebx], 1
        mov [call_of + real.ecx], edi
        mov dword [call_of + real.edx], report
        call of_dos
        mov ax, 0x4C07
        int 0x21

keep:   mov [memory], cx
        mov [memory + 2], bx
        mov [handle], di
        mov [handle + 2], si
        mov edi, [where]
        ret

aim:    mov bx, [flat]                  ; the flat segment is where the memory is
        mov cx, [memory + 2]
        mov dx, [memory]
        dpmi 7
        ret

of_dos: push es
        push edi
        push ds
        pop es
        mov ax, [real_ds]
        mov [call_of + real.ds], ax
        mov dword [call_of + real.sp], 0 ; a stack of the host's
        mov edi, call_of
        mov bx, 0x21
        mov cx, 0
        dpmi 0x300
        pop edi
        pop es
        ret

put:    push ebx
        push ecx
        mov bx, ax
        mov ecx, 4
.digit: rol bx, 4
        mov al, bl
        and al, 15
        cmp al, 10
        jb .figure
        add al, 7
.figure:
        add al, '0'
        mov [edi], al
        inc edi
        loop .digit
        mov byte [edi], ' '
        inc edi
        mov [where], edi
        pop ecx
        pop ebx
        ret

mine:   mov ax, 0x6060
        iretd

handler:                                ; in front: IP, CS; code; IP, CS, flags, SP, SS
        push ebp
        mov ebp, esp
        mov si, 0x0D0D
        mov ax, [ebp + 12]
        mov [error_code], ax
        mov dword [ebp + 16], after
        pop ebp
        o32 retf

tick:   push ds
        mov ds, [cs:tick_ds]
        inc word [ticks]
        pop ds
        jmp far dword [cs:old]

        bits 32
in_32:  mov eax, 0x32323232
        shr eax, 4
        push dword [from]
        push dword back_in_16
        retf
        bits 16

routine:                                ; real mode: two words are on the stack, above the way back
        push bp
        mov bp, sp
        mov bx, [bp + 6]
        sub bx, [bp + 8]
        pop bp
        retf
by_iret:
        mov bx, 0x4321
        iret

name_a: db 'A.DAT', 0
none:   db 'NONE.DAT', 0
digits: db '0123456789'
        align 4
truth:  dw 0
flat:   dw 0
code:   dd 0
from:   dd 0
memory: dd 0
handle: dd 0
where:  dd report
file:   dw 0
error_code: dw 0
old:    dd 0
        dw 0
tick_ds: dw 0
ticks:  dw 0
call_of: times real_size db 0
report:
