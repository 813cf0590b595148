; A loader and what it loads: 20 sectors across tracks and heads by INT 13h/02h in pieces, from the drive
; that it was started from; a sum of them is shown in hexadecimal, with the drive's shape.
; nasm -f bin -o stages.img stages.asm
%include "boot.inc"
        SECTOR_BEGINS
        SEGMENTS
        mov [drive], dl
        VIDEO 3
        mov bx, 8000h           ; sector by sector, as a FAT loader reads
        mov si, 1
load:   mov ax, si
        xor dx, dx
        div word [sectors]      ; DX: sector - 1
        mov cl, dl
        inc cl
        xor dx, dx
        div word [heads]
        mov ch, al
        mov dh, dl
        mov dl, [drive]
        mov ax, 0201h
        int 13h
        jc failed
        add bx, 512
        inc si
        cmp si, 41
        jne load
        mov si, 8000h
        mov cx, 40 * 256
        xor dx, dx
sum:    lodsw
        add dx, ax
        rol dx, 1
        loop sum
        mov ax, dx
        call hex
        mov ah, 08h
        mov dl, [drive]
        xor di, di
        mov es, di
        int 13h
        mov ax, cx
        call hex
        mov al, dh
        mov ah, 0
        call hex
        jmp done
failed: mov ax, 0E21h
        mov bx, 7
        int 10h
done:   hlt
        jmp done
hex:    pusha
        mov cx, 4
.next:  rol ax, 4
        push ax
        and al, 0Fh
        add al, '0'
        cmp al, '9'
        jbe .out
        add al, 7
.out:   mov ah, 0Eh
        mov bx, 7
        int 10h
        pop ax
        loop .next
        mov ax, 0E20h
        int 10h
        popa
        ret
drive:  db 0
sectors:
        dw 18
heads:  dw 2
        SECTOR_ENDS
%assign n 1
%rep 40
        times 128 dd n * 01234567h + 89ABCDEFh
%assign n n + 1
%endrep
