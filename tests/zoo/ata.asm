; A system that drives its disk itself: the boot sector goes to protected mode, asks the drive at 1F0h who
; it is, reads its own rest by ports (LBA28, several sectors a command), writes a sector and reads it
; back under IRQ 14, and asks for one behind the end. nasm -f bin -o ata.img ata.asm
%include "zoo.inc"
BASE    equ 1F0h
CONTROL equ 3F6h
SECTORS equ 64
BUFFER  equ 20000h
IDT     equ 10000h
        BEGIN
        VIDEO 3
        cli
        mov dx, CONTROL         ; no interrupts of the drive
        mov al, 2
        out dx, al
        FLAT gdtr
        mov esi, 1              ; what is behind this sector to where it was assembled for
        mov ecx, 5
        mov edi, 7E00h
        mov al, 20h
        call command
        mov ebp, 5
.more:  call ready
        call words_in
        dec ebp
        jnz .more
        jmp rest
; ECX sectors from ESI on, and the command AL.
command:
        push eax
        mov dx, BASE + 7
.busy:  in al, dx
        test al, 80h
        jnz .busy
        mov dl, (BASE + 2) & 0FFh
        mov al, cl
        out dx, al
        mov eax, esi
        inc dx
        out dx, al
        shr eax, 8
        inc dx
        out dx, al
        shr eax, 8
        inc dx
        out dx, al
        shr eax, 8
        or al, 0E0h
        inc dx
        out dx, al
        pop eax
        inc dx
        out dx, al
        ret
; Until it has a sector to give or to take; CF: an error.
ready:  mov edx, CONTROL
        mov ecx, 5
.wait:  in al, dx
        loop .wait
        mov dx, BASE + 7
.busy:  in al, dx
        test al, 80h
        jnz .busy
        test al, 21h
        stc
        jnz .out
        test al, 8
        jz .busy
        clc
.out:   ret
words_in:
        mov edx, BASE
        mov ecx, 256
        rep insw
        ret
        align 2, db 0
        GDTR 3
        FLAT_TABLE
        SECTOR_ENDS
rest:   mov edi, 0B8000h
        mov ecx, 2000
        mov ax, 0720h
        rep stosw
        mov al, 0ECh            ; who it is: a disk, with LBA
        xor esi, esi
        xor ecx, ecx
        call command
        call ready
        mov edi, BUFFER
        call words_in
        SAY "disk "
        mov al, [BUFFER + 1]
        shr al, 7
        call hex2
        SAY " lba "
        mov al, [BUFFER + 99]
        shr al, 1
        and al, 1
        call hex2
        SAY 10
        mov esi, 60             ; a sector that is there
        mov ecx, 1
        mov al, 20h
        call command
        call ready
        mov edi, BUFFER
        call words_in
        mov esi, BUFFER
.read:  lodsb
        call put
        cmp al, 10
        jne .read
        call interrupts
        mov edx, CONTROL
        mov al, 0
        out dx, al
        mov esi, 61             ; one that is written
        mov ecx, 1
        mov al, 30h
        call command
        call ready
        mov esi, written
        mov edx, BASE
        mov ecx, 256
        rep outsw
        call interrupt          ; once it lies there
        mov esi, 61
        mov ecx, 1
        mov al, 20h
        call command
        call interrupt          ; once it can be had
        mov edi, BUFFER
        call words_in
        mov esi, BUFFER
        mov edi, written
        mov ecx, 128
        repe cmpsd
        jne .other
        SAY "written and read", 10
.other: mov esi, 0FFFFFF0h       ; far behind the end
        mov ecx, 1
        mov al, 20h
        call command
        call interrupt
        mov edx, BASE + 7
        in al, dx
        and al, 0A9h            ; an error, and nothing to come
        call hex2
        SAY 10, "interrupts "
        mov eax, [count]
        call decimal
        SAY 10
        THE_END
; IRQ 14 alone, at 2Eh.
interrupts:
        mov edi, IDT
        mov ecx, 48 * 2
        xor eax, eax
        rep stosd
        GATE 2Eh, on_disk
        lidt [idtr]
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
        mov al, 0FBh
        out 21h, al
        mov al, 0BFh
        out 0A1h, al
        ret
interrupt:
        cli
        mov eax, [count]
        cmp eax, [seen]
        jne .came
        sti
        hlt
        jmp interrupt
.came:  inc dword [seen]
        sti
        ret
on_disk:
        push eax
        push edx
        mov edx, BASE + 7       ; it takes its line back
        in al, dx
        inc dword [count]
        mov al, 20h
        out 0A0h, al
        out 20h, al
        pop edx
        pop eax
        iretd
; AL to the screen.
show:   mov edi, [place]
        cmp al, 13
        je .first
        cmp al, 10
        je .down
        mov ah, 7
        stosw
        jmp .out
.first: lea eax, [edi - 0B8000h]
        xor edx, edx
        mov ecx, 160
        div ecx
        sub edi, edx
        jmp .out
.down:  add edi, 160
.out:   mov [place], edi
        ret
        ROUTINES
        align 4, db 0
place:  dd 0B8000h
count:  dd 0
seen:   dd 0
        IDTR 48
        align 4, db 0
written: times 128 dd 0C0FFEE00h + ($ - $$)
        times 60 * 512 - ($ - $$) db 0
        db "the sixtieth sector", 10
        IMAGE_ENDS SECTORS
