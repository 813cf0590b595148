; Pebble, a kernel as a student writes it in the first weeks: a console of its own that scrolls, a
; menu in colours, a picture in mode 13h. test_kernel.py tests what it shows.
; Boots: nasm -f bin kernel.asm -o kernel.img; the first sector reads the others by INT 13h.

SECTORS   equ 4
TEXT      equ 0B800h
COLUMNS   equ 80
ROWS      equ 25
DEBUG     equ 0E9h                      ; what is written here, an emulator keeps

PLAIN     equ 07h                       ; attributes: background << 4 | foreground
TITLE     equ 1Fh
ENTRY     equ 70h
CHOSEN    equ 2Fh

KEY_UP    equ 48h                       ; scancodes
KEY_DOWN  equ 50h
KEY_ENTER equ 1Ch

bits 16
org 7C00h

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7C00h
        sti
        mov ax, 0200h + SECTORS - 1     ; the other sectors
        mov bx, 7E00h
        mov cx, 2
        xor dh, dh
        int 13h
        jc $
        jmp main

        times 510 - ($ - $$) db 0
        dw 0AA55h

main:   call text_mode
        mov si, hello
        call print
        mov cx, 1                       ; tasks: more of them than the screen has rows
.task:  mov si, task
        call print
        mov ax, cx
        call print_number
        mov si, ok
        call print
        inc cx
        cmp cx, 25
        jbe .task
        mov si, any_key
        call print
        call read_key
menu:   call text_mode
        call draw_menu
        call read_key
        mov bl, [chosen]
        cmp ah, KEY_UP
        je .up
        cmp ah, KEY_DOWN
        je .down
        cmp ah, KEY_ENTER
        jne menu
        xor bh, bh
        shl bx, 1
        call [actions + bx]
        jmp menu
.up:    dec bl
        jns .move
        mov bl, ENTRIES - 1
        jmp .move
.down:  inc bl
        cmp bl, ENTRIES
        jb .move
        xor bl, bl
.move:  mov [chosen], bl
        jmp menu

; --- what can be chosen -------------------------------------------------------------------------

about:  call text_mode
        mov si, about_text
        call print
        jmp read_key

; Rings around the middle in colours of our own: the square of the distance, in 64ths.
draw:   mov ax, 13h
        int 10h
        mov dx, 3C8h                    ; DAC: from colour 0 on
        xor al, al
        out dx, al
        inc dx
        xor cx, cx
.entry: mov al, cl                      ; from blue to yellow
        shr al, 2
        out dx, al
        out dx, al
        xor al, 3Fh
        out dx, al
        inc cl
        jnz .entry
        mov ax, 0A000h
        mov es, ax
        xor di, di
        mov bp, -100                    ; y
.row:   mov si, -160                    ; x
.pixel: mov ax, si
        imul ax
        mov bx, ax
        mov ax, bp
        imul ax
        add ax, bx
        shr ax, 6
        stosb
        inc si
        cmp si, 160
        jl .pixel
        inc bp
        cmp bp, 100
        jl .row
        jmp read_key

halt:   call text_mode
        mov si, off
        call print
        cli
        hlt

; --- the menu -----------------------------------------------------------------------------------

draw_menu:
        mov ax, TEXT
        mov es, ax
        mov di, 2 * (8 * COLUMNS + 28)
        mov si, title
        mov ah, TITLE
        call put
        xor bx, bx
.entry: mov di, [places + bx]
        mov si, [names + bx]
        mov ah, ENTRY
        mov al, [chosen]
        shl al, 1
        cmp al, bl
        jne .draw
        mov ah, CHOSEN
.draw:  call put
        add bx, 2
        cmp bx, 2 * ENTRIES
        jb .entry
        ret

; SI: text up to a 0, to ES:DI in the colour AH.
put:    lodsb
        test al, al
        jz .end
        stosw
        jmp put
.end:   ret

; --- the console --------------------------------------------------------------------------------

text_mode:
        mov ax, 3
        int 10h
        mov ah, 1                       ; no cursor
        mov cx, 2000h
        int 10h
        mov word [row], 0
        mov word [column], 0
        ret

; SI: text up to a 0, to the console and to the debug port; 10 begins a line.
print:  lodsb
        test al, al
        jz .end
        out DEBUG, al
        call print_character
        jmp print
.end:   ret

print_character:
        pusha
        push es
        cmp al, 10
        je .line
        mov bl, al
        mov ax, TEXT
        mov es, ax
        mov ax, COLUMNS
        mul word [row]
        add ax, [column]
        shl ax, 1
        mov di, ax
        mov al, bl
        mov ah, PLAIN
        stosw
        inc word [column]
        cmp word [column], COLUMNS
        jb .done
.line:  mov word [column], 0
        inc word [row]
        cmp word [row], ROWS
        jb .done
        dec word [row]
        call scroll
.done:  pop es
        popa
        ret

scroll: push ds
        mov ax, TEXT
        mov ds, ax
        mov es, ax
        mov si, 2 * COLUMNS
        xor di, di
        mov cx, COLUMNS * (ROWS - 1)
        cld
        rep movsw
        mov ax, PLAIN << 8 | ' '
        mov cx, COLUMNS
        rep stosw
        pop ds
        ret

; AX, below 100, in two digits.
print_number:
        mov bl, 10
        div bl
        add ax, '00'
        push ax
        out DEBUG, al
        call print_character
        pop ax
        mov al, ah
        out DEBUG, al
        jmp print_character

; AH: scancode of the next key.
read_key:
        xor ah, ah
        int 16h
        ret

hello:      db 'Pebble 0.1', 10, 0
task:       db 'task ', 0
ok:         db ' ... ok', 10, 0
any_key:    db 'Press a key', 0
off:        db 'You may turn it off now.', 0
about_text: db 'Pebble is a kernel of four sectors.', 10
            db 'It was written to be tested.', 10, 0

title:      db '  Pebble              ', 0
name_1:     db '  About               ', 0
name_2:     db '  Draw a picture      ', 0
name_3:     db '  Turn off            ', 0

ENTRIES     equ 3
names:      dw name_1, name_2, name_3
actions:    dw about, draw, halt
places:     dw 2 * (9 * COLUMNS + 28), 2 * (10 * COLUMNS + 28), 2 * (11 * COLUMNS + 28)
chosen:     db 0
row:        dw 0
column:     dw 0

        times SECTORS * 512 - ($ - $$) db 0
