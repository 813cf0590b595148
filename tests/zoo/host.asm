; What DOS is to a program of one segment, on a disk of its own: a prefix, the registers that it begins
; with, INT 20h and of INT 21h vectors (25h, 35h), ends (4Ch, 31h), and EXEC (4Bh), which starts the same
; program again; memory is whoever wants it. When it has ended this tells whether all is as it was:
; vectors, masks of the interrupt controllers, the timer's rate, the screen.
; nasm -f bin -dPROGRAM="'cycle.com'" -o cycle.img host.asm
%include "zoo.inc"
PREFIX  equ 1000h
CHILD   equ 2000h
KEPT    equ 9000h                       ; all vectors as they were
        BEGIN
        LOAD_REST 5
        VIDEO 3
        mov si, 20h * 4
        mov word [si], ends
        mov word [si + 2], 0
        mov word [si + 4], service
        mov word [si + 6], 0
        mov word [2Fh * 4], service.nobody
        mov word [2Fh * 4 + 2], 0
        xor si, si
        mov di, KEPT
        mov cx, 256 * 2
        rep movsw
        in al, 21h
        mov [masks], al
        in al, 0A1h
        mov [masks + 1], al
        push PREFIX
        pop es
        mov word [es:80h], 0D00h
; The program begins in segment ES, where its command line is.
begins: xor ax, ax
        mov ds, ax
        xor di, di
        mov ax, 20CDh
        stosw
        mov ax, 0A000h
        stosw
        mov di, 100h
        mov si, program
        mov cx, program_ends - program
        rep movsb
        mov ax, es
        mov ds, ax
        cli
        mov ss, ax
        mov sp, 0FFFEh
        sti
        push 0
        mov bx, 0
        mov cx, 0FFh
        mov dx, ax
        mov si, 100h
        mov di, 0FFFEh
        mov bp, 91Ch
        push ax
        push si
        xor ax, ax
        retf
service:
        cmp ah, 25h
        je .put
        cmp ah, 35h
        je .get
        cmp ah, 4Bh
        je .run
        cmp ah, 4Ch
        je ends
        cmp ah, 31h
        je ends
.nobody: iret
.put:   push bx
        push es
        call .at
        mov [es:bx], dx
        mov [es:bx + 2], ds
        pop es
        pop bx
        iret
.get:   call .at
        les bx, [es:bx]
        iret
.at:    push 0
        pop es
        movzx bx, al
        shl bx, 2
        ret
.run:   pusha
        push ds
        push es
        mov [cs:parent], sp
        mov [cs:parent + 2], ss
        lds si, [es:bx + 2]
        push CHILD
        pop es
        mov di, 80h
        mov cx, 128
        rep movsb
        jmp begins
        SECTOR_ENDS
ends:   cli
        SEGMENTS
        cmp word [parent + 2], 0
        je .left
        lss sp, [parent]                ; it was a child
        mov dword [parent], 0
        pop es
        pop ds
        popa
        push bp
        mov bp, sp
        and byte [bp + 6], 0FEh         ; CF
        pop bp
        iret
.left:  sti
        cld
        SAY "left", 10
        mov si, KEPT
        xor di, di
        mov cx, 256 * 2
        repe cmpsw
        jne .masks
        SAY "vectors", 10
.masks: in al, 0A1h
        mov ah, al
        in al, 21h
        cmp ax, [masks]
        jne .rate
        SAY "masks", 10
.rate:  mov bx, [46Ch]                  ; the highest count of channel 0 within two ticks
        add bx, 3
        xor cx, cx
.count: mov al, 0
        out 43h, al
        in al, 40h
        mov ah, al
        in al, 40h
        xchg al, ah
        cmp ax, cx
        jb .lower
        mov cx, ax
.lower: cmp [46Ch], bx
        jne .count
        cmp cx, 0C000h
        jb .mode
        SAY "rate", 10
.mode:  mov ah, 0Fh
        int 10h
        call hex4
        SAY " "
        mov dx, 3C7h                    ; a sum of the colours of text
        mov al, 0
        out dx, al
        mov dl, 0C9h
        mov cx, 64 * 3
        xor bx, bx
        mov ah, 0
.sum:   in al, dx
        rol bx, 1
        add bx, ax
        loop .sum
        mov ax, bx
        call hex4
        SAY 10
        mov ah, 1
        int 16h
        jnz .end
        SAY "no key", 10
.end:   THE_END
        ROUTINES
        SHOW_BY_BIOS
masks:  dw 0
parent: dd 0
program: incbin PROGRAM
program_ends:
        IMAGE_ENDS 6
