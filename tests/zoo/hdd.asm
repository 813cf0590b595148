; A hard disk: a master boot record that moves out of the way and starts what its table calls active, by
; LBA; that asks for the drive's shape, reads by CHS and by LBA, from where a table says, and compares.
; nasm -f bin -o hdd.img hdd.asm
%include "zoo.inc"
PART    equ 3                           ; the partition's first sector
DATA    equ 70                          ; a sector whose every word is its number
        SECTOR_BEGINS
        SEGMENTS
        sti
        cld
        mov si, 7C00h
        mov di, 600h
        mov cx, 256
        rep movsw
        jmp 0:600h + moved - $$
moved:  mov si, 600h + 446
.row:   test byte [si], 80h
        jnz .active
        add si, 16
        jmp .row
.active:
        mov eax, [si + 8]
        mov [600h + packet - $$ + 8], eax
        push si
        mov si, 600h + packet - $$
        mov ah, 42h
        int 13h
        pop si
        jmp 0:7C00h
        align 4, db 0
packet: db 16, 0
        dw 4, 7C00h, 0                  ; four sectors to 0:7C00h
        dq 0
        times 446 - ($ - $$) db 0
        times 16 db 0                   ; the first is free, the second active
        db 80h, 1, 1, 0, 83h, 1, 1, 0
        dd PART, 77
        times 32 db 0
        db 55h, 0AAh
%assign n 1
%rep PART - 1
        times 256 dw n
%assign n n + 1
%endrep
; The partition. It was assembled for what follows the first sector; its own addresses are as if it
; began there, so code is moved to where it says: sectors of it at 7C00h are copied.
second:
        bits 16
        jmp 0:begin - second + 7C00h
begin:
        mov [7C00h + drive - second], dl
        mov [7C00h + row - second], si
        jmp 0:7C00h + here - second
here:
%define AT(label) (7C00h + label - second)
        VIDEO 3
        mov al, [AT(drive)]
        call hex2
        mov si, [AT(row)]
        mov al, [si]                    ; the row of the table, as a boot record gets it
        call hex2
        mov eax, [si + 8]
        call hex8
        call newline
        mov ah, 41h                     ; extensions?
        mov bx, 55AAh
        mov dl, [AT(drive)]
        int 13h
        mov ax, bx
        call hex4
        mov ax, cx
        and ax, 1
        call hex2
        call newline
        mov ah, 8                       ; the shape
        mov dl, [AT(drive)]
        xor di, di
        mov es, di
        int 13h
        and cl, 3Fh
        mov [AT(sectors)], cl
        mov al, dh
        inc al
        mov [AT(heads)], al
        mov al, dl                      ; drives
        call hex2
        call newline
        mov si, AT(packet2)             ; one sector by LBA
        mov ah, 42h
        mov dl, [AT(drive)]
        int 13h
        jc failed
        mov ax, DATA                    ; and by CHS
        xor dx, dx
        movzx cx, [AT(sectors)]
        div cx
        inc dl
        mov cl, dl
        xor dx, dx
        movzx bx, [AT(heads)]
        div bx
        mov ch, al
        mov dh, dl
        mov dl, [AT(drive)]
        mov bx, 0A000h
        mov ax, 0201h
        int 13h
        jc failed
        mov si, 9000h
        mov di, 0A000h
        mov cx, 256
        repe cmpsw
        jne failed
        mov ax, [9000h]
        call hex4
        mov ax, [91FEh]
        call hex4
        call newline
        mov word [AT(packet2) + 10], 1000h     ; sector 10000000h is behind the end
        mov si, AT(packet2)
        mov ah, 42h
        mov dl, [AT(drive)]
        int 13h
        jnc failed
        mov al, 'x'
        call put
        call newline
        jmp over
failed: mov al, '!'
        call put
over:   THE_END
newline:
        mov al, 10
        jmp put
        ROUTINES
        SHOW_BY_BIOS
        align 4, db 0
packet2: db 16, 0
        dw 1, 9000h, 0
        dq DATA
drive:  db 0
sectors: db 0
heads:  db 0
row:    dw 0
        times (PART + 4) * 512 - ($ - $$) db 0
%assign n PART + 4
%rep 80 - (PART + 4)
        times 256 dw n
%assign n n + 1
%endrep
        times 80 * 512 - ($ - $$) db 0
