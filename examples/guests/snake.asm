; A game: steer the snake with the arrow keys, eat the diamonds, do not hit anything. Esc ends.
; Boots: nasm -f bin snake.asm -o snake.img
MARK    equ 0F4h
BODY    equ 8000h               ; a ring of 512 screen offsets
START   equ 12 * 160 + 40 * 2

bits 16
org 7C00h
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 7C00h
restart:
        mov ax, 3
        int 10h
        mov ah, 1
        mov cx, 2000h
        int 10h
        push 0B800h
        pop es
        cld
        mov ax, 19B1h           ; the wall
        xor di, di
        mov cx, 80
        rep stosw
        mov cl, 23
.sides: stosw
        add di, 156
        stosw
        loop .sides
        mov cl, 80
        rep stosw
        mov word [head], 0
        mov word [tail], 0
        mov word [score], 0
        mov word [step], 2
        mov word [grow], 6
        mov word [place], START
        mov word [seed], 1234
        call food
        out MARK, al

turn:   mov ah, 0               ; two ticks of the clock
        int 1Ah
        mov bx, dx
.tick:  hlt
        mov ah, 0
        int 1Ah
        mov ax, dx
        sub ax, bx
        cmp ax, 2
        jb .tick

        mov ah, 1
        int 16h
        jz .go
        mov ah, 0
        int 16h
        cmp ah, 1               ; Esc
        je over
        mov si, keys
        mov cx, 4
.key:   mov dx, [si + 1]
        cmp ah, [si]
        je .steer
        add si, 3
        loop .key
        jmp .go
.steer: mov ax, dx              ; not straight back
        add ax, [step]
        jz .go
        mov [step], dx

.go:    mov di, [place]
        add di, [step]
        mov [place], di
        mov al, [es:di]
        cmp al, 4               ; a diamond
        je .eat
        cmp al, ' '
        jne over
        jmp .move
.eat:   inc word [score]
        add word [grow], 4
        push di
        call food
        pop di
.move:  mov ax, 0A02h
        mov [es:di], ax
        mov bx, [head]
        mov [BODY + bx], di
        add bx, 2
        and bx, 3FFh
        mov [head], bx
        cmp word [grow], 0
        je .pull
        dec word [grow]
        jmp turn
.pull:  mov bx, [tail]
        mov di, [BODY + bx]
        mov word [es:di], 0720h
        add bx, 2
        and bx, 3FFh
        mov [tail], bx
        jmp turn

food:   mov ax, [seed]          ; a linear congruence
        imul ax, ax, 25173
        add ax, 13849
        mov [seed], ax
        xor dx, dx
        mov cx, 80 * 25
        div cx
        mov di, dx
        add di, di
        cmp word [es:di], 0720h
        jne food
        mov word [es:di], 0E04h
        mov ax, [score]         ; in the wall above
        mov cl, 10
        div cl
        add ax, 3030h
        mov [es:2 * 38], al
        mov [es:2 * 39], ah
        ret

over:   mov ax, 1301h
        mov bx, 004Fh
        mov cx, over_end - over_text
        mov dx, 0C20h
        push es
        push ds
        pop es
        mov bp, over_text
        int 10h
        pop es
        mov ah, 0
        int 16h
        jmp restart

over_text: db " Game over: a key "
over_end:
keys:   db 48h                  ; scancode, step
        dw -160
        db 50h
        dw 160
        db 4Bh
        dw -2
        db 4Dh
        dw 2
head:   equ 7E00h
tail:   equ 7E02h
score:  equ 7E04h
step:   equ 7E06h
grow:   equ 7E08h
place:  equ 7E0Ah
seed:   equ 7E0Ch
        times 510 - ($ - $$) db 0
        dw 0AA55h
