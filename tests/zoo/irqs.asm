; What a small system does: protected mode with its own tables, the interrupt controllers moved to 20h,
; the timer at 100 Hz, ticks counted by IRQ 0 until there are 30, the keyboard masked. Then it goes back
; to real mode and says so by INT 10h. nasm -f bin -o irqs.img irqs.asm
%include "boot.inc"
        SECTOR_BEGINS
        cli
        SEGMENTS
        VIDEO 3
        xor ax, ax
        mov di, idt             ; 33 gates, of which the last is IRQ 0's
        mov cx, 33 * 4
        rep stosw
        mov word [idt + 32 * 8], tick
        mov word [idt + 32 * 8 + 2], 08h
        mov word [idt + 32 * 8 + 4], 8E00h
        mov bx, 2028h
        call controllers
        TIMER 11932
        lgdt [gdtr]
        lidt [idtr]
        mov eax, cr0
        inc ax
        mov cr0, eax
        jmp 08h:protected
        bits 32
protected:
        SELECTORS 10h
        mov esp, 7000h
        mov edi, 0B8000h
        mov eax, 1F201F20h
        mov ecx, 80 * 12
        rep stosd
        sti
wait_ticks:
        hlt
        cmp byte [ticks], 30
        jb wait_ticks
        cli
        mov esi, words
        mov edi, 0B8000h + 160 * 5 + 20
next:   lodsb
        or al, al
        jz back
        mov [edi], al
        add edi, 2
        jmp next
tick:   push eax
        inc byte [ticks]
        mov al, 20h
        out 20h, al
        pop eax
        iretd
back:   jmp 18h:narrow
        bits 16
narrow: REAL 20h
        SEGMENTS
        lidt [real_idtr]
        mov bx, 0870h
        call controllers
        sti
        mov si, again_words
say:    lodsb
        or al, al
        jz done
        mov ah, 0Eh
        mov bx, 7
        int 10h
        jmp say
done:   hlt
        jmp done
; BH and BL: where the controllers' interrupts begin; all but IRQ 0 are masked.
controllers:
        mov al, 11h
        out 20h, al
        out 0A0h, al
        mov al, bh
        out 21h, al
        mov al, bl
        out 0A1h, al
        mov al, 4
        out 21h, al
        mov al, 2
        out 0A1h, al
        mov al, 1
        out 21h, al
        out 0A1h, al
        mov al, 0FEh
        out 21h, al
        mov al, 0FFh
        out 0A1h, al
        ret
words:  db "30 ticks in protected mode", 0
again_words:
        db "and back", 0
ticks:  db 0
gdt:    dq 0
        dw 0FFFFh, 0, 9A00h, 00CFh
        dw 0FFFFh, 0, 9200h, 00CFh
        dw 0FFFFh, 0, 9A00h, 0000h
        dw 0FFFFh, 0, 9200h, 0000h
gdtr:   dw gdtr - gdt - 1
        dd gdt
idtr:   dw 33 * 8 - 1
        dd idt
real_idtr:
        dw 3FFh
        dd 0
idt     equ 8000h
        SECTOR_ENDS
