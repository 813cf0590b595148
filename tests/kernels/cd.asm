; What an ISO image boots without emulation: it reads another sector of its CD, and tells of it.
; nasm -f bin -o cd.bin cd.asm
%include "../zoo/boot.inc"
        SECTOR_BEGINS
        cli
        SEGMENTS
        mov al, dl                      ; E0h
        call hex
        mov ah, 41h
        mov bx, 55AAh
        int 13h
        jc bad
        mov si, parameters
        mov ah, 48h
        mov dl, 0E0h
        int 13h
        jc bad
        mov al, [parameters + 25]       ; of 2048: 8
        call hex
        mov si, packet
        mov ah, 42h
        mov dl, 0E0h
        int 13h
        jc bad
        mov si, 8000h
        call print
        mov si, specification
        mov ax, 4B01h
        mov dl, 0E0h
        int 13h
        jc bad
        mov al, [specification + 2]
        call hex
        mov al, [specification + 4]     ; the first sector
        call hex
        mov si, packet
        mov word [packet + 8], 0FFFFh   ; behind the end
        mov ah, 42h
        mov dl, 0E0h
        int 13h
        mov al, 'c'
        jc ended
bad:    mov al, '!'
ended:  call character
        mov al, 10
        out 0E9h, al
stop:   cli
        hlt
        jmp stop

print:  lodsb
        test al, al
        jz done
        call character
        jmp print
hex:    push ax
        shr al, 4
        call digit
        pop ax
        and al, 15
        call digit
        mov al, ' '
        jmp character
digit:  add al, '0'
        cmp al, '9'
        jbe character
        add al, 7
character:
        out 0E9h, al
        mov ah, 0Eh
        mov bx, 7
        int 10h
done:   ret

packet: db 16, 0
        dw 1, 8000h, 0
        dq 24
parameters:
        dw 26
        times 24 db 0
specification:
        db 13h
        times 18 db 0
        times 2048 - ($ - $$) db 0
