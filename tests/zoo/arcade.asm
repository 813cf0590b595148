; A game of one sector: mode 13h, colours by the DAC's ports, a ball that bounces once a tick, which it
; waits for by INT 1Ah and draws in the vertical retrace, a beep as it bounces, a poll for a key. It
; bounces five times; then it tells where the ball is and what was drawn.
; nasm -f bin -o arcade.img arcade.asm
%include "zoo.inc"
%define QUIET
        BEGIN
        LOAD_REST 1
        VIDEO 13h
        push 0A000h
        pop es
        mov dx, 3C8h            ; shades of green and blue from 16 on
        mov al, 16
        out dx, al
        inc dx
        xor cx, cx
.colour:
        mov al, 0
        out dx, al
        mov al, cl
        out dx, al
        xor al, 3Fh
        out dx, al
        inc cx
        cmp cl, 64
        jb .colour
        xor di, di              ; a floor and a ceiling
        mov al, 15
        mov cx, 320
        rep stosb
        mov di, 199 * 320
        mov cx, 320
        rep stosb
game:   call tick
        call retrace
        call ball
        mov ah, 1               ; nobody presses a key
        int 16h
        jnz .key
        cmp byte [bounces], 5
        jb game
        SAY "ball "
        mov ax, [x]
        call hex4
        SAY " "
        mov ax, [y]
        call hex4
        SAY " keys none", 10
        call sum
        SAY "drawn "
        call hex8
        SAY 10
        in al, 61h
        and al, 3
        call hex2
        SAY 10
        THE_END
.key:   SAY "a key", 10
        THE_END
        SECTOR_ENDS
; Until the count of ticks is another one.
tick:   xor ax, ax
        int 1Ah
        cmp dx, [last]
        je tick
        mov [last], dx
        ret
        RETRACE
; Draws it, 8x8 of a shade, and moves it on.
ball:   mov ax, [y]
        mov bx, 320
        mul bx
        add ax, [x]
        mov di, ax
        mov al, [shade]
        mov bl, 8
.row:   mov cx, 8
        rep stosb
        add di, 320 - 8
        dec bl
        jnz .row
        inc byte [shade]
        and byte [shade], 63
        add byte [shade], 16
        mov ax, [dx_]
        add [x], ax
        mov ax, [dy_]
        add [y], ax
        in al, 61h              ; silence
        and al, 0FCh
        out 61h, al
        cmp word [x], 270
        jae .side
        cmp word [x], 42
        jb .side
.height:
        cmp word [y], 160
        jae .floor
        cmp word [y], 35
        jae .out
.floor: neg word [dy_]
        jmp beep
.side:  neg word [dx_]
        call beep
        jmp .height
.out:   ret
beep:   inc byte [bounces]
        mov al, 0B6h
        out 43h, al
        mov al, 0
        out 42h, al
        mov al, 10
        out 42h, al
        in al, 61h
        or al, 3
        out 61h, al
        ret
; EAX: a sum of the screen.
sum:    push ds
        push es
        pop ds
        xor eax, eax
        xor si, si
        mov cx, 16000
.next:  rol eax, 1
        add eax, [si]
        add si, 4
        loop .next
        pop ds
        ret
        ROUTINES
x:      dw 150
y:      dw 90
dx_:    dw 39
dy_:    dw 31
last:   dw 0
shade:  db 16
bounces: db 0
        IMAGE_ENDS 3
