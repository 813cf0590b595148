; What is on the PCI bus, as small systems list it: each function of bus 0 by configuration ports, of which
; are told the classes that a PC of 440FX has, and the VGA whole: its BIOS's mode 13h aside it is found by
; its class, its frame buffer by BAR 0, which is measured, and written to. nasm -f bin -o pci.img pci.asm
%include "zoo.inc"
        BEGIN
        LOAD_REST 2
        VIDEO 3
        xor ebx, ebx            ; device << 3 | function
.next:  mov al, 0
        call read
        cmp ax, 0FFFFh
        je .none
        mov ecx, eax
        mov al, 8
        call read
        shr eax, 16
        mov si, known
.known: cmp ax, [si]
        je .tell
        add si, 2
        cmp si, known_end
        jb .known
        jmp .none
.tell:  call hex4
        cmp ax, 300h
        jne .line
        mov [vga], bx
        SAY " "
        mov eax, ecx
        call hex8
.line:  SAY 10
.none:  inc bx
        cmp bx, 256
        jb .next
        SECTOR_ENDS
        jmp the_vga
; EAX: register AL of function BX.
read:   push dx
        call select
        in eax, dx
        pop dx
        ret
write:  push dx                 ; ECX to it
        call select
        mov eax, ecx
        out dx, eax
        pop dx
        ret
select: movzx edx, bx
        shl edx, 8
        mov dl, al
        or edx, 80000000h
        mov eax, edx
        mov dx, 0CF8h
        out dx, eax
        mov dx, 0CFCh
        ret
the_vga:
        mov bx, [vga]
        mov al, 10h
        call read
        mov ebp, eax
        and al, 0Fh             ; memory, prefetchable
        call hex2
        mov al, 10h
        mov ecx, 0FFFFFFFFh
        call write
        mov al, 10h
        call read
        mov edi, eax
        mov al, 10h
        mov ecx, ebp
        call write
        and edi, 0FFFFFFF0h
        mov eax, edi            ; a power of two is its size
        neg eax
        and eax, edi
        cmp eax, edi
        je .power
        neg edi
.power: lea eax, [edi - 1]
        test eax, edi
        jnz .odd
        SAY " a power of two"
.odd:   SAY 10, "command "
        mov al, 4
        call read
        and al, 3               ; ports and memory
        call hex2
        SAY 10, "nobody "
        mov bx, 31 << 3
        mov al, 0
        call read
        call hex8
        SAY 10
        and ebp, 0FFFFFFF0h
        cli
        push ds                 ; a store by the frame buffer is seen at A0000h, once mode 13h is set
        VIDEO 13h
        FLAT gdtr
        mov dword [ebp + 320 * 5], 0A0B0C0Dh
        mov eax, [0A0000h + 320 * 5]
        mov [seen], eax
        jmp 18h:back
        bits 16
back:   REAL 20h
.real:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        pop ds
        sti
        VIDEO 3
        SAY "by BAR 0 "
        mov eax, [seen]
        call hex8
        SAY 10
        THE_END
        ROUTINES
        SHOW_BY_BIOS
known:  dw 600h, 601h, 101h, 300h
known_end:
vga:    dw 0
seen:   dd 0
        GDTR 5
        FLAT_TABLE
        dw 0FFFFh, 0, 9A00h, 0  ; 18h code of 16 bits
        dw 0FFFFh, 0, 9200h, 0  ; 20h data
        IMAGE_ENDS 3
