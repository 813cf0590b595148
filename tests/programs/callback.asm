; A client of a DPMI host that real mode calls: interrupts that come there, and a callback.
%include "dos.inc"
%macro  found 1                         ; a word, into the report
        push eax
        mov ax, %1
        mov esi, [where]
        mov [esi], ax
        add dword [where], 2
        pop eax
%endmacro
main:   enter_dpmi 1
        push ds
        pop es
        ; Ticks of the clock that come while real mode waits for them.
        mov bl, 8
        dpmi 0x200
        mov [before], dx
        mov [before + 2], cx
        mov bl, 8
        dpmi 0x204
        mov [old], edx
        mov [old + 4], cx
        mov [my_ds], ds
        mov bl, 8
        mov cx, cs
        mov edx, tick
        dpmi 0x205
        dpmi 0x901
        mov word [call_of + real.ip], waits
        call of_real
        cmp word [ticks], 3
        setae [truth]
        found [truth]
        mov bl, 8
        mov cx, [old + 4]
        mov edx, [old]
        dpmi 0x205
        mov bl, 8
        dpmi 0x200
        sub dx, [before]
        sub cx, [before + 2]
        found dx
        found cx
        ; A callback, that asks DOS and adds to what it is told.
        mov esi, proc
        mov edi, registers
        push ds
        push cs
        pop ds
        dpmi 0x303
        pop ds
        setc [truth]
        found [truth]
        mov [callback], dx
        mov [callback + 2], cx
        mov dword [call_of + real.eax], 0x1234
        mov dword [call_of + real.edx], 0x55AA55AA
        mov word [call_of + real.ip], calls
        call of_real
        found [call_of + real.eax]
        found [call_of + real.edx]
        found [call_of + real.ebx]
        cmp byte [version], 2
        setae [truth]
        found [truth]
        mov cx, [callback + 2]
        mov dx, [callback]
        dpmi 0x304
        setc [truth]
        found [truth]
        mov cx, [callback + 2]
        mov dx, [callback]
        dpmi 0x304
        setc [truth]
        found [truth]
        mov dword [call_of + real.eax], 0x4000
        mov dword [call_of + real.ebx], 1
        mov ecx, [where]
        sub ecx, report
        mov [call_of + real.ecx], ecx
        mov dword [call_of + real.edx], report
        mov edi, call_of
        call of_dos
        mov ax, 0x4C00
        int 0x21

of_real:
        mov ax, [real_ds]
        mov [call_of + real.cs], ax
        mov [call_of + real.ds], ax
        mov dword [call_of + real.sp], 0
        mov edi, call_of
        mov bx, 0
        mov cx, 0
        dpmi 0x301
        ret

of_dos: mov ax, [real_ds]               ; registers are at EDI
        mov [edi + real.ds], ax
        mov dword [edi + real.sp], 0
        mov bx, 0x21
        mov cx, 0
        dpmi 0x300
        ret

tick:   push ds
        mov ds, [cs:my_ds]
        inc word [ticks]
        pop ds
        jmp far dword [cs:old]

proc:   ; DS:ESI is the stack of real mode, ES:EDI its registers
        push ds
        push es
        pop ds
        pushad
        mov edi, other                  ; another call from within
        mov dword [edi + real.eax], 0x3000
        call of_dos
        mov al, [other + real.eax]
        mov [version], al
        popad
        pop ds
        mov ax, [esi]                   ; back as by RETF
        mov [es:edi + real.ip], ax
        mov ax, [esi + 2]
        mov [es:edi + real.cs], ax
        add word [es:edi + real.sp], 4
        add word [es:edi + real.eax], 0x1111
        iretd

waits:  sti                             ; real mode: until there were four ticks
        push es
        push 0x40
        pop es
        mov bx, [es:0x6C]
        add bx, 4
.more:  hlt
        cmp [es:0x6C], bx
        js .more
        pop es
        retf

calls:  mov bx, sp
        call far [callback]
        sub bx, sp
        retf

        align 4
my_ds:  dw 0
truth:  dw 0
before: dd 0
old:    dd 0
        dw 0
ticks:  dw 0
version: dw 0
callback: dd 0
where:  dd report
call_of: times real_size db 0
other:  times real_size db 0
registers: times real_size db 0
report:
