; A boot sector that uses the serial port, and ends by QEMU's exit port with the code 7.
; nasm -f bin -o serial.img serial.asm
%include "../zoo/boot.inc"
        SECTOR_BEGINS
base    equ 3F8h
        cli
        SEGMENTS_BUT_ES
        mov word [4 * 0Ch], interrupt
        mov [4 * 0Ch + 2], ax
        in al, 21h
        and al, ~10h
        out 21h, al
        mov si, setup
next:   lodsb
        mov dl, al
        lodsb
        mov dh, base >> 8
        out dx, al
        cmp si, setup_end
        jb next
        ; Loopback: what is sent comes back, and nobody else has it.
        mov dx, base
        mov al, 'L'
        out dx, al
        mov dl, (base + 5) & 0FFh
        mov cx, 1000
wait_for_it:
        in al, dx
        test al, 1
        loopz wait_for_it
        mov dl, base & 0FFh
        in al, dx
        mov [loopback], al
        mov dl, (base + 6) & 0FFh       ; RTS and DTR are CTS and DSR, OUT2 is the carrier
        in al, dx
        and al, 0F0h
        add al, 'A' - 0B0h
        mov [modem], al
        ; By interrupts, a character each.
        mov si, text
        mov dl, (base + 4) & 0FFh
        mov al, 0Bh
        out dx, al
        mov dl, (base + 1) & 0FFh
        mov al, 2
        out dx, al
        sti
again:  hlt
        cmp si, text_end + 1
        jb again
        mov al, 3
        out 0F4h, al
        mov dx, base                    ; never
        mov al, '!'
        out dx, al
stop:   jmp stop

interrupt:
        push ax
        push dx
        mov dx, base + 2
        in al, dx
        cmp al, 0C2h                    ; the transmitter is empty, FIFOs are on
        jne done
        cmp si, text_end
        jae over
        lodsb
        mov dl, base & 0FFh
        out dx, al
        jmp done
over:   inc si
        mov dl, (base + 1) & 0FFh
        xor al, al
        out dx, al
done:   mov al, 20h
        out 20h, al
        pop dx
        pop ax
        iret

setup:  db (base + 1) & 0FFh, 0, (base + 3) & 0FFh, 80h, base & 0FFh, 1, (base + 1) & 0FFh, 0
        db (base + 3) & 0FFh, 3, (base + 2) & 0FFh, 7, (base + 4) & 0FFh, 1Bh
setup_end:
text:   db 'loopback '
loopback: db '?'
        db ', modem '
modem:  db '?'
        db ', by interrupts', 13, 10
text_end:
        SECTOR_ENDS
