; A system of real mode that takes turns: its own IRQ 0 saves a task's registers and goes on with the next
; one's, each task with a stack; its own IRQ 1 reads scan codes at port 60h. Two tasks count on the screen
; while a third one shows what is typed, until Esc. nasm -f bin -o scheduler.img scheduler.asm
%include "zoo.inc"
TASKS   equ 3
STACKS  equ 9000h                       ; 512 bytes each
        BEGIN
        LOAD_REST 2
        VIDEO 3
        cli
        mov di, 8 * 4
        mov ax, on_timer
        stosw
        xor ax, ax
        stosw
        mov ax, on_key
        stosw
        xor ax, ax
        stosw
        TIMER 11932             ; 100 times a second
        mov si, entries         ; each task as an interrupt would have left it
        mov di, STACKS + 512 - 6 - 16 - 4
        mov cx, TASKS
        mov bx, saved
.task:  mov [bx], di
        mov byte [di + 20 + 5], 2       ; IF
        lodsw
        mov [di + 20], ax
        mov word [di + 22], 0
        mov word [di], 0                ; ES, DS
        mov word [di + 2], 0
        add di, 512
        inc bx
        inc bx
        loop .task
        mov sp, [saved]
        jmp resume
        SECTOR_ENDS
on_timer:
        pusha
        push ds
        push es
        xor ax, ax
        mov ds, ax
        inc word [ticks]
        mov al, 20h
        out 20h, al
        mov bx, [now]
        mov [saved + bx], sp
        inc bx
        inc bx
        cmp bx, TASKS * 2
        jb .next
        xor bx, bx
.next:  mov [now], bx
        mov sp, [saved + bx]
resume: pop es
        pop ds
        popa
        iret
on_key: push ax
        push bx
        push ds
        xor ax, ax
        mov ds, ax
        in al, 60h
        mov bx, [head]
        mov [codes + bx], al
        inc bx
        and bx, 15
        mov [head], bx
        mov al, 20h
        out 20h, al
        pop ds
        pop bx
        pop ax
        iret
entries: dw listener, counter_a, counter_b
listener:
        SAY "ready", 10
.wait:  mov bx, [tail]
        cmp bx, [head]
        je .wait
        mov al, [codes + bx]
        inc bx
        and bx, 15
        mov [tail], bx
        call hex2
        cmp al, 81h             ; Esc is let go
        je .over
        SAY " "
        jmp .wait
.over:  SAY 10
.full:  cmp word [a], 200       ; both have come to their ends
        jb .full
        cmp word [b], 300
        jb .full
        cmp word [ticks], 10
        jb .full
        THE_END
counter_a:
        mov di, 160 * 20
        mov si, a
        mov bp, 200
        jmp count
counter_b:
        mov di, 160 * 22
        mov si, b
        mov bp, 300
count:  push 0B800h
        pop es
.next:  inc word [si]
        mov ax, [si]
        push di
        mov cx, 4
.digit: rol ax, 4
        push ax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .store
        add al, 7
.store: mov ah, 2Fh
        stosw
        pop ax
        loop .digit
        pop di
        cmp [si], bp
        jb .next
.stop:  jmp .stop
        ROUTINES
; AL by stores, for a BIOS's call in three tasks at once is none.
show:   push es
        push 0B800h
        pop es
        mov di, [place]
        cmp al, 13
        je .out
        cmp al, 10
        je .down
        mov ah, 7
        stosw
        jmp .out
.down:  mov ax, di
        mov bl, 160
        div bl
        inc al
        mul bl
        mov di, ax
.out:   mov [place], di
        pop es
        ret
place:  dw 0
now:    dw 0
saved:  times TASKS dw 0
ticks:  dw 0
a:      dw 0
b:      dw 0
head:   dw 0
tail:   dw 0
codes:  times 16 db 0
        IMAGE_ENDS 3
