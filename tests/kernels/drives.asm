; A hard disk whose boot sector reads the rest by ATA, and then tells the serial port of its chips:
; ATA by interrupts, PCI, the clock's interrupts, what comes on the line. It switches itself off.
; nasm -f bin -o drives.img drives.asm
%include "../zoo/boot.inc"
        SECTOR_BEGINS
disk    equ 1F0h
base    equ 3F8h
buffer  equ 9000h
begin:  cli
        SEGMENTS
        cld
        mov dx, 3F6h                    ; no interrupts, of which none are to be left for later
        mov al, 2
        out dx, al
        mov dx, disk + 2                ; three sectors from the second on
        mov al, 3
        out dx, al
        inc dx
        mov al, 1
        out dx, al
        inc dx
        xor al, al
        out dx, al
        inc dx
        out dx, al
        inc dx
        mov al, 0E0h
        out dx, al
        inc dx
        mov al, 20h
        out dx, al
        mov di, 7E00h
        mov bx, 3
sector: mov dx, disk + 7
wait_for_data:
        in al, dx
        and al, 88h
        cmp al, 8
        jne wait_for_data
        mov dx, disk
        mov cx, 256
        rep insw
        dec bx
        jnz sector
        jmp main
        SECTOR_ENDS

main:   mov word [4 * 76h], on_disk
        mov [4 * 76h + 2], ds
        mov word [4 * 70h], on_clock
        mov [4 * 70h + 2], ds
        mov word [4 * 0Ch], on_serial
        mov [4 * 0Ch + 2], ds
        mov al, 0EBh                    ; IRQ 2 and 4
        out 21h, al
        mov al, 0BEh                    ; IRQ 8 and 14
        out 0A1h, al
        mov dx, base + 4
        mov al, 0Bh
        out dx, al
        mov dx, 3F6h
        mov al, 0
        out dx, al
        sti

        mov si, identity
        call say
        mov cl, 0ECh
        call command
        mov di, buffer
        call block
        mov ax, [buffer + 2 * 60]       ; sectors
        call hex
        mov ax, [buffer]
        call hex

        mov si, reading
        call say
        mov byte [lba], 9
        mov cl, 20h
        call command
        call block_sum
        mov cl, 00h
        call command
        mov dx, disk + 1
        in al, dx
        mov ah, [status]
        and ah, ~10h                    ; a seek may be complete, or not
        call hex

        mov si, writing
        call say
        mov byte [lba], 11
        mov cl, 30h
        call command_only
        mov dx, disk + 7
wait_to_write:
        in al, dx
        and al, 88h
        cmp al, 8
        jne wait_to_write
        mov si, buffer + 2              ; what was read, moved by a word
        mov dx, disk
        mov cx, 256
        rep outsw
        call wait_for_it
        mov cl, 20h
        call command
        call block_sum
        mov cl, 0E7h
        call command
        mov ah, [status]
        mov al, 0
        call hex

        mov si, bus
        call say
        mov eax, 80001000h
        call config
        mov eax, 80001008h
        call config
        mov eax, 80000000h
        call config

        mov si, clock
        call say
        mov al, 0Ah                     ; an interrupt a second, and 16
        out 70h, al
        mov al, 2Ch
        out 71h, al
        mov al, 0Bh
        out 70h, al
        in al, 71h
        or al, 50h
        mov bl, al
        mov al, 0Bh
        out 70h, al
        mov al, bl
        out 71h, al
        mov al, 0Ch
        out 70h, al
        in al, 71h
ticking:
        hlt
        cmp byte [seconds], 2
        jb ticking
        mov al, 0Bh
        out 70h, al
        mov al, bl
        and al, 0Fh
        out 71h, al
        mov ax, [ticks]                 ; in a second: 12 to 19 are 16 here
        add ax, 4
        shr ax, 3
        call hex

        mov dx, base + 2
        mov al, 1
        out dx, al
        dec dx
        out dx, al
        mov si, line
        call say
listening:
        hlt
        cmp byte [heard], '.'
        jne listening
        mov dx, 604h
        mov ax, 2000h
        out dx, ax
stop:   jmp stop

; The command in CL for one sector at LBA; then its end.
command:
        call command_only
wait_for_it:
        cmp byte [done], 0
        jne is_done
        hlt
        jmp wait_for_it
is_done:
        mov byte [done], 0
        ret

command_only:
        mov byte [done], 0
        mov dx, disk + 2
        mov al, 1
        out dx, al
        inc dx
        mov al, [lba]
        out dx, al
        inc dx
        xor al, al
        out dx, al
        inc dx
        out dx, al
        inc dx
        mov al, 0E0h
        out dx, al
        inc dx
        mov al, cl
        out dx, al
        ret

block:  mov dx, disk
        mov cx, 256
        rep insw
        ret

block_sum:
        mov di, buffer
        call block
        mov si, buffer
        mov cx, 256
        xor bx, bx
add_up: lodsw
        rol bx, 1
        add bx, ax
        loop add_up
        mov ax, bx
        call hex
        mov ah, [status]
        mov al, 0
        jmp hex

config: mov dx, 0CF8h
        out dx, eax
        mov dx, 0CFCh
        in eax, dx
        push ax
        shr eax, 16
        call hex
        pop ax
        jmp hex

on_disk:
        push ax
        push dx
        mov dx, disk + 7
        in al, dx
        mov [status], al
        mov byte [done], 1
        jmp ended

on_clock:
        push ax
        push dx
        mov al, 0Ch
        out 70h, al
        in al, 71h
        test al, 10h
        jz no_second
        inc byte [seconds]
no_second:
        test al, 40h
        jz ended
        cmp byte [seconds], 1           ; those of a whole second
        jne ended
        inc word [ticks]
ended:  mov al, 20h
        out 0A0h, al
        out 20h, al
        pop dx
        pop ax
        iret

on_serial:
        push ax
        push dx
hear:   mov dx, base + 5                ; all that is there: the line falls no sooner
        in al, dx
        test al, 1
        jz heard_all
        mov dx, base
        in al, dx
        mov [heard], al
        and al, ~20h
        cmp byte [heard], '.'
        jne answer
        mov al, 10
answer: out dx, al
        jmp hear
heard_all:
        mov al, 20h
        out 20h, al
        pop dx
        pop ax
        iret

say:    lodsb
        test al, al
        jz said
        call print
        jmp say
said:   ret

hex:    mov cx, 4
digit:  rol ax, 4
        push ax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe decimal
        add al, 7
decimal:
        call print
        pop ax
        loop digit
        mov al, ' '
print:  push dx
        push ax
        mov dx, base + 5
sending:
        in al, dx
        test al, 20h
        jz sending
        pop ax
        mov dx, base
        out dx, al
        pop dx
        ret

identity db "ata ", 0
reading db 10, "read ", 0
writing db 10, "write ", 0
bus     db 10, "pci ", 0
clock   db 10, "clock ", 0
line    db 10, "line ", 0
done    db 0
status  db 0
lba     db 1
seconds db 0
heard   db 0
ticks   dw 0
        times 512 * 4 - ($ - $$) db 0
