; A test of memory, all that INT 15h/E801h says that there is: each page's first and last words hold their
; own addresses, and these inverted; inversions move up and down through some of it; each address line by
; itself; words across pages; the first MiB by code that has moved out of it; and ROM, which keeps.
; nasm -f bin -o memory.img memory.asm
%include "zoo.inc"
MIB     equ 100000h
MOVED   equ 3 * MIB                     ; where code goes that tests low memory
ONE     equ 4 * MIB
SOME    equ MIB / 4
LOW     equ 10000h                      ; what of it is tested
LOW_END equ 9F000h
        BEGIN
        LOAD_REST 3
        VIDEO 3
        mov ax, 0E801h
        xor bx, bx
        int 15h
        movzx eax, ax                   ; KiB behind the first MiB, 64 KiB behind 16 MiB
        movzx ebx, bx
        shl eax, 10
        add eax, MIB
        or ebx, ebx
        jz .small
        mov eax, ebx
        shl eax, 16
        add eax, 16 * MIB
.small: mov [top], eax
        OPEN_A20
        cli
        FLAT gdtr
        mov esp, 7000h
        jmp tests
        SECTOR_ENDS
; A test's name, and who finds out: ZF if all is well.
%macro CHECK 2
        call %2
        mov esi, %%name
        call tell
        jmp %%past
%%name: db %1, 0
%%past:
%endmacro
tests:  mov dx, 3D4h                    ; no cursor
        mov ax, 200Ah
        out dx, ax
        mov eax, [top]
        add eax, 3FFFFh                 ; a firmware's tables are at its end
        shr eax, 20
        call decimal
        SAY " MiB", 10
        CHECK "addresses", addresses
        CHECK "inversions", inversions
        CHECK "lines", lines
        CHECK "across pages", across
        CHECK "below 640 KiB", low_memory
        CHECK "ROM", rom
        THE_END
tell:   pushfd
.next:  lodsb
        or al, al
        jz .how
        call put
        jmp .next
.how:   popfd
        jne .wrong
        SAY ": right", 10
        ret
.wrong: SAY ": wrong", 10
        ret

addresses:
        mov esi, MIB
        mov edi, [top]
; Each page from ESI up to EDI.
own_addresses:
        xor ebp, ebp                    ; as they are, and then inverted
.again: mov ebx, esi
.fill:  mov eax, ebx
        xor eax, ebp
        mov [ebx], eax
        mov [ebx + 4092], eax
        add ebx, 4096
        cmp ebx, edi
        jb .fill
.look:  sub ebx, 4096                   ; downwards
        mov eax, ebx
        xor eax, ebp
        cmp [ebx], eax
        jne .out
        cmp [ebx + 4092], eax
        jne .out
        cmp ebx, esi
        ja .look
        not ebp
        or ebp, ebp
        jnz .again
.out:   ret
own_addresses_end:

inversions:
        mov edi, ONE
        mov ecx, SOME / 4
        mov eax, 55555555h
        rep stosd
        mov ebx, ONE
        mov edx, 0AAAAAAAAh
.up:    cmp [ebx], eax
        jne .out
        mov [ebx], edx
        add ebx, 4
        cmp ebx, ONE + SOME
        jb .up
.down:  sub ebx, 4
        cmp [ebx], edx
        jne .out
        mov [ebx], eax
        cmp ebx, ONE
        ja .down
        mov edi, ONE
        mov ecx, SOME / 4
        repe scasd
.out:   ret

; Each power of two behind a place: who is written to is nobody else.
lines:  mov ebx, 4
        mov dword [ONE], 12345678h
.line:  lea eax, [ONE + ebx]
        cmp eax, [top]
        jae .look
        mov [eax], ebx
        add ebx, ebx
        jmp .line
.look:  shr ebx, 1
        cmp [ONE + ebx], ebx
        jne .out
        cmp ebx, 4
        ja .look
        cmp dword [ONE], 12345678h
.out:   ret

across: mov ebx, ONE + 4093
.word:  mov dword [ebx], 89ABCDEFh
        mov eax, [ebx]
        cmp eax, 89ABCDEFh
        jne .out
        mov ax, [ebx + 2]
        cmp ax, 89ABh
        jne .out
        inc ebx
        cmp ebx, ONE + 4097
        jb .word
        cmp al, al
.out:   ret

low_memory:
        mov esi, own_addresses
        mov edi, MOVED
        mov ecx, own_addresses_end - own_addresses
        rep movsb
        mov esi, LOW
        mov edi, LOW_END
        mov eax, MOVED
        jmp eax

rom:    mov ebx, 0C0000h
        call .keeps
        jne .out
        mov ebx, 0FFFF0h
.keeps: mov eax, [ebx]
        mov ecx, eax
        not ecx
        mov [ebx], ecx
        cmp [ebx], eax
.out:   ret
        ROUTINES
        SHOW_BY_STORES
        align 4, db 0
top:    dd 0
        GDTR 3
        FLAT_TABLE
        IMAGE_ENDS 4
