; A curve by the coprocessor, in mode 13h with a palette of its own: a point for each of 720 angles.
; nasm -f bin -o fpu.img fpu.asm
%include "boot.inc"
        SECTOR_BEGINS
        SEGMENTS_BUT_ES
        VIDEO 13h
        mov dx, 3C8h            ; 64 reds from 16 on
        mov al, 16
        out dx, al
        inc dx
        xor cx, cx
red:    mov al, cl
        out dx, al
        xor al, al
        out dx, al
        mov al, 32
        out dx, al
        inc cx
        cmp cx, 64
        jne red
        mov ax, 0A000h
        mov es, ax
        fninit
        mov word [angle], 0
point:  fild word [angle]       ; t = angle * pi / 360
        fldpi
        fmulp st1, st0
        fidiv word [half]
        fld st0                 ; x = 160 + 90 sin 3t
        fimul word [three]
        fsin
        fimul word [width]
        fistp word [x]
        fld st0                 ; y = 100 + 70 cos 2t, a little smaller with sqrt(1 + t)
        fadd st0, st0
        fcos
        fimul word [height]
        fxch st1
        fld1
        faddp st1, st0
        fsqrt
        fdivp st1, st0
        fistp word [y]
        mov ax, [y]
        add ax, 100
        imul di, ax, 320
        add di, [x]
        add di, 160
        mov ax, [angle]
        and al, 63
        add al, 16
        mov [es:di], al
        mov [es:di+1], al
        mov [es:di+320], al
        inc word [angle]
        cmp word [angle], 720
        jne point
done:   hlt
        jmp done
half:   dw 360
three:  dw 3
width:  dw 90
height: dw 90
angle:  dw 0
x:      dw 0
y:      dw 0
        SECTOR_ENDS
