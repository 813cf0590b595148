; A self-test: each line says what was asked of the machine; PASS if all of it was right.
; Boots: nasm -f bin selftest.asm -o selftest.img; two sectors, the second is read by INT 13h.
MARK    equ 0F4h

bits 16
org 7C00h
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7C00h
        cld
        mov ax, 3
        int 10h
        mov ax, 0201h           ; the second sector, behind this one
        mov bx, second
        mov cx, 0002h
        xor dh, dh
        int 13h
        jc bad_disk
        jmp second
bad_disk:
        mov si, no_disk
        call print
        jmp $

print:  lodsb
        test al, al
        jz .end
        mov ah, 0Eh
        mov bx, 7
        int 10h
        jmp print
.end:   ret

; si: name, zf: right or not
result: pushf
        call print
        popf
        mov si, ok
        je .print
        inc byte [failures]
        mov si, wrong
.print: jmp print

no_disk: db "disk: read failed", 13, 10, 0
ok:     db ": ok", 13, 10, 0
wrong:  db ": WRONG", 13, 10, 0
failures: db 0
        times 510 - ($ - $$) db 0
        dw 0AA55h

second: mov si, t_mode
        mov ah, 0Fh
        int 10h
        cmp ax, 5003h
        call result

        mov si, t_cursor        ; three lines below: where the cursor says it is
        mov ah, 3
        mov bh, 0
        int 10h
        cmp dx, 0100h
        call result

        mov si, t_memory        ; text memory: character and attribute
        push 0B800h
        pop es
        cmp word [es:0], 0700h | 'm'
        push ds
        pop es
        call result

        mov si, t_size
        int 12h
        cmp ax, 512
        mov al, 0
        adc al, 0               ; al = 0 if at least 512 KiB
        test al, al
        call result

        mov si, t_keyboard      ; a key put into the buffer comes out
        mov ax, 0500h
        mov cx, 1E61h
        int 16h
        mov ah, 0
        int 16h
        cmp ax, 1E61h
        call result

        mov si, t_divide        ; exceptions go through the table
        push word [0]
        push word [2]
        mov word [0], divided
        mov [2], cs
        xor dx, dx
        xor cx, cx
        mov bp, 1
        div cx
after:  pop word [2]
        pop word [0]
        cmp bp, 0
        call result

        mov si, t_timer         ; the clock ticks, by interrupt
        mov ax, [46Ch]
.wait:  sti
        hlt
        cmp ax, [46Ch]
        je .wait
        cmp ax, ax
        call result

        mov si, t_dac           ; what goes into the DAC comes out
        mov dx, 3C8h
        mov al, 77
        out dx, al
        inc dx
        mov al, 21
        out dx, al
        out dx, al
        out dx, al
        mov dx, 3C7h
        mov al, 77
        out dx, al
        mov dx, 3C9h
        in al, dx
        in al, dx
        cmp al, 21
        call result

        mov si, passed
        cmp byte [failures], 0
        je .say
        mov si, failed
.say:   call print
        out MARK, al
.stop:  hlt
        jmp .stop

divided:
        push bp
        mov bp, sp
        mov word [bp + 2], after
        pop bp
        mov bp, 0
        iret

t_mode: db "mode", 0
t_cursor: db "cursor", 0
t_memory: db "text memory", 0
t_size: db "memory size", 0
t_keyboard: db "keyboard buffer", 0
t_divide: db "division by zero", 0
t_timer: db "timer", 0
t_dac:  db "DAC", 0
passed: db 13, 10, "PASS", 13, 10, 0
failed: db 13, 10, "FAIL", 13, 10, 0
        times 1024 - ($ - $$) db 0
