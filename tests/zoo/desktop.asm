; A desktop: VBE mode 143h (800x600, 32 bits, as Bochs numbers it), paging with the frame buffer mapped
; high, a window drawn, and a pointer that follows a PS/2 mouse by IRQ 12. It is over when the right button
; is pressed. nasm -f bin -o desktop.img desktop.asm
%define QUIET
%include "zoo.inc"
MODE    equ 143h
INFO    equ 9000h
IDT     equ 0A000h
PAGES   equ 10000h                      ; the directory, the table of low memory, that of the buffer
FRAME   equ 0E0000000h
        BEGIN
        LOAD_REST 4
        VBE MODE, INFO
        cli
        FLAT gdtr
        mov edi, PAGES
        mov ecx, 3 * 1024
        xor eax, eax
        rep stosd
        mov dword [PAGES], PAGES + 1003h
        mov dword [PAGES + (FRAME >> 22) * 4], PAGES + 2003h
        mov edi, PAGES + 1000h
        mov eax, 3
        mov ecx, 1024
        call map
        mov eax, [INFO + 28h]
        or eax, 3
        mov ecx, 800 * 600 * 4 / 4096 + 1
        mov edi, PAGES + 2000h
        call map
        mov eax, PAGES
        mov cr3, eax
        mov eax, cr0
        or eax, 80000000h
        mov cr0, eax
        jmp 8:paged
map:    stosd
        add eax, 1000h
        loop map
        ret
paged:  jmp desktop
        SECTOR_ENDS
desktop:
        mov edi, IDT
        mov ecx, 48 * 2
        xor eax, eax
        rep stosd
        GATE 2Ch, on_mouse
        lidt [idtr]
        mov esi, controllers
.next:  lodsw
        or al, al
        jz .over
        movzx edx, al
        mov al, ah
        out dx, al
        jmp .next
.over:  mov eax, 204060h
        xor ebx, ebx
        xor ecx, ecx
        mov edx, 800
        mov ebp, 600
        call box
        mov eax, 0C0C0C0h
        mov ebx, 150
        mov ecx, 100
        mov edx, 500
        mov ebp, 380
        call box
        mov eax, 000080h
        add ebx, 4
        add ecx, 4
        mov edx, 492
        mov ebp, 24
        call box
        mov al, 0A8h            ; the mouse: on, its interrupt, its settings, its reports
        call to_controller
        mov al, 60h
        call to_controller
        mov al, 47h
        call to_data
        mov al, 0F6h
        call to_mouse
        mov al, 0F4h
        call to_mouse
        call pointer
        sti
        SAY "ready", 10
.wait:  hlt
        test byte [buttons], 2
        jz .wait
        cli
        mov eax, [x]
        call decimal
        SAY " "
        mov eax, [y]
        call decimal
        SAY " clicks "
        mov eax, [clicks]
        call decimal
        SAY 10
        THE_END
on_mouse:
        pushad
        in al, 64h              ; what its answers asked for is gone
        test al, 1
        jz .none
        in al, 60h
        movzx ecx, byte [got]
        mov [packet + ecx], al
        inc ecx
        cmp cl, 3
        jne .part
        call pointer            ; away, and there again
        movsx eax, byte [packet + 1]
        add [x], eax
        movsx eax, byte [packet + 2]
        sub [y], eax
        call pointer
        mov al, [packet]
        mov ah, [buttons]
        mov [buttons], al
        not ah
        and al, ah
        and eax, 1
        add [clicks], eax
        xor ecx, ecx
.part:  mov [got], cl
.none:  mov al, 20h
        out 0A0h, al
        out 20h, al
        popad
        iretd
; The pointer, exclusive or: 16 lines of a triangle.
pointer:
        mov ebx, [y]
        mov ecx, 16
        mov edx, 1
.line:  mov eax, [x]
        call spot
        push ecx
        mov ecx, edx
.dot:   xor dword [edi], 0FFFFFFh
        add edi, 4
        loop .dot
        pop ecx
        inc ebx
        inc edx
        loop .line
        ret
; EDI: the dot at EAX, EBX.
spot:   push edx
        movzx edx, word [INFO + 10h]
        imul edx, ebx
        lea edi, [FRAME + edx + eax * 4]
        pop edx
        ret
; A box at EBX, ECX, EDX wide and EBP high, of colour EAX.
box:    pushad
        xchg ebx, ecx
.line:  push eax
        push ecx
        mov eax, ecx
        call spot
        pop ecx
        pop eax
        push ecx
        mov ecx, edx
        rep stosd
        pop ecx
        inc ebx
        dec ebp
        jnz .line
        popad
        ret
room:   push eax
.wait:  in al, 64h
        test al, 2
        jnz .wait
        pop eax
        ret
to_controller:
        call room
        out 64h, al
        ret
to_data:
        call room
        out 60h, al
        ret
; A command to the mouse, and its answer.
to_mouse:
        push eax
        mov al, 0D4h
        call to_controller
        pop eax
        call to_data
.wait:  in al, 64h
        test al, 1
        jz .wait
        in al, 60h
        ret
        ROUTINES
controllers:
        db 20h, 11h, 0A0h, 11h, 21h, 20h, 0A1h, 28h, 21h, 4, 0A1h, 2, 21h, 1, 0A1h, 1
        db 21h, 0FBh, 0A1h, 0EFh, 0, 0
packet: db 0, 0, 0
got:    db 0
buttons: db 0
        align 4, db 0
x:      dd 400
y:      dd 300
clicks: dd 0
        GDTR 3
        IDTR 48
        FLAT_TABLE
        IMAGE_ENDS 5
