; A kernel that sets the VGA's modes by its registers, from tables as kernels have them: 640x480 in 16
; colours, 320x200 in 256, 320x240 in four planes, and back to the text that it began with, whose font it
; has kept from plane 2 and whose colours from the DAC. Interrupts are off for ever: each picture stands
; until a key has been pressed and let go, which it looks for at ports 64h and 60h.
; nasm -f bin -o registers.img registers.asm
%include "zoo.inc"
GRAPHICS equ 0A0000h
FONT    equ 20000h                      ; what is kept of plane 2, and of the DAC
FONT_BYTES equ 8192
COLOURS equ 30000h
SEQ     equ 3C4h
GC      equ 3CEh
CRTC    equ 3D4h
        BEGIN
        LOAD_REST 5
        VIDEO 3
        cli
        FLAT gdtr
        jmp main
        SECTOR_ENDS
; A register: port, index, value.
%macro SET 3
        mov dx, %1
        mov ax, (%3) << 8 | (%2)
        out dx, ax
%endmacro
main:   mov esp, 70000h
        call open_font
        mov esi, GRAPHICS
        mov edi, FONT
        mov ecx, FONT_BYTES / 4
        rep movsd
        mov dx, 3C7h
        mov al, 0
        out dx, al
        mov dl, 0C9h
        mov edi, COLOURS
        mov ecx, 768
        rep insb

        mov esi, mode12
        call set_mode
        call sixteen_colours
        SAY "640x480", 10
        call key
        mov esi, mode13
        call set_mode
        call colours
        mov edi, GRAPHICS               ; x exclusive or y
        xor ebx, ebx
.line:  xor ecx, ecx
.dot:   mov al, cl
        xor al, bl
        stosb
        inc ecx
        cmp ecx, 320
        jb .dot
        inc ebx
        cmp ebx, 200
        jb .line
        SAY "320x200", 10
        call key
        mov esi, mode_x
        call set_mode
        mov ebp, 1                      ; the plane's bit; x + y, and each plane brighter
        xor bh, bh
.plane: mov dx, SEQ
        mov eax, ebp
        mov ah, al
        mov al, 2
        out dx, ax
        mov edi, GRAPHICS
        xor bl, bl
.row:   mov al, bl
        add al, bh
        mov ecx, 80
.four:  stosb
        inc al
        loop .four
        inc bl
        cmp bl, 240
        jb .row
        add bh, 48
        add ebp, ebp
        cmp ebp, 16
        jb .plane
        SAY "320x240", 10
        call key

        mov esi, text
        call set_mode
        call open_font
        mov esi, FONT
        mov edi, GRAPHICS
        mov ecx, FONT_BYTES / 4
        rep movsd
        mov esi, FONT
        mov edi, GRAPHICS
        mov ecx, FONT_BYTES / 4
        repe cmpsd
        sete [same]
        mov esi, text
        call set_mode
        mov dx, 3C8h
        mov al, 0
        out dx, al
        inc dx
        mov esi, COLOURS
        mov ecx, 768
        rep outsb
        mov edi, 0B8000h
        mov [cell], edi
        mov eax, 07200720h
        mov ecx, 80 * 25 / 2
        rep stosd
        cmp byte [same], 1
        jne .other
        SAY "text again, by its font", 10
.other: THE_END

; Plane 2 at A0000h, byte by byte.
open_font:
        SET SEQ, 2, 4
        SET SEQ, 4, 7
        SET GC, 4, 2
        SET GC, 5, 0
        SET GC, 6, 4
        ret

; By the table at ESI.
set_mode:
        mov dx, 3C2h
        lodsb
        out dx, al
        mov dx, SEQ
        mov ecx, 5
        call row
        SET CRTC, 11h, 0                ; the first eight can be written
        mov ecx, 25
        call row
        mov dx, GC
        mov ecx, 9
        call row
        mov dx, 3DAh
        in al, dx
        mov dx, 3C0h
        mov ecx, 21
        xor ah, ah
.next:  mov al, ah
        out dx, al
        lodsb
        out dx, al
        inc ah
        loop .next
        mov al, 20h                     ; the screen is on
        out dx, al
        ret
; ECX registers of an index and a data port.
row:    xor ah, ah
.next:  mov al, ah
        out dx, al
        inc dx
        lodsb
        out dx, al
        dec dx
        inc ah
        loop .next
        ret

; 16 bars by the map mask, and a line across them by write mode 2.
sixteen_colours:
        xor ebx, ebx
        mov edi, GRAPHICS
.bar:   SET SEQ, 2, 0Fh
        push edi
        xor al, al
        mov ecx, 80 * 30
        rep stosb
        pop edi
        mov ah, bl
        mov al, 2
        mov dx, SEQ
        out dx, ax
        mov al, 0FFh
        mov ecx, 80 * 30
        rep stosb
        inc ebx
        cmp ebx, 16
        jb .bar
        SET SEQ, 2, 0Fh
        SET GC, 5, 2
        xor ebx, ebx
.dot:   mov ecx, ebx                    ; at x = y + 80, in colours that change
        add ecx, 80
        mov ah, 80h
        push ecx
        and cl, 7
        shr ah, cl
        pop ecx
        mov al, 8
        mov dx, GC
        out dx, ax
        shr ecx, 3
        imul edi, ebx, 80
        mov al, [GRAPHICS + edi + ecx]
        mov eax, ebx
        shr eax, 4
        xor al, 0Fh
        mov [GRAPHICS + edi + ecx], al
        inc ebx
        cmp ebx, 480
        jb .dot
        SET GC, 8, 0FFh
        SET GC, 5, 0
        ret

colours:
        mov dx, 3C8h
        mov al, 0
        out dx, al
        inc dx
        xor ecx, ecx
.next:  mov al, cl
        shr al, 2
        out dx, al
        xor al, 3Fh
        out dx, al
        mov al, cl
        and al, 15
        shl al, 2
        out dx, al
        inc cl
        jnz .next
        ret

; A key is pressed, and let go.
key:    SAY "ready", 10
.wait:  in al, 64h
        test al, 1
        jz .wait
        in al, 60h
        test al, 80h
        jz .wait
        ret
        ROUTINES
        SHOW_BY_STORES
same:   db 0
; Of each: miscellaneous output; sequencer; CRT controller; graphics and attribute controller.
text:   db 67h
        db 3, 0, 3, 0, 2
        db 5Fh, 4Fh, 50h, 82h, 55h, 81h, 0BFh, 1Fh, 0, 4Fh, 2Dh, 0Eh, 0, 0, 0, 0
        db 9Ch, 8Eh, 8Fh, 28h, 1Fh, 96h, 0B9h, 0A3h, 0FFh
        db 0, 0, 0, 0, 0, 10h, 0Eh, 0, 0FFh
        db 0, 1, 2, 3, 4, 5, 14h, 7, 38h, 39h, 3Ah, 3Bh, 3Ch, 3Dh, 3Eh, 3Fh, 0Ch, 0, 0Fh, 8, 0
mode12: db 0E3h
        db 3, 1, 0Fh, 0, 6
        db 5Fh, 4Fh, 50h, 82h, 54h, 80h, 0Bh, 3Eh, 0, 40h, 0, 0, 0, 0, 0, 0
        db 0EAh, 8Ch, 0DFh, 28h, 0, 0E7h, 4, 0E3h, 0FFh
        db 0, 0, 0, 0, 0, 0, 5, 0Fh, 0FFh
        db 0, 1, 2, 3, 4, 5, 14h, 7, 38h, 39h, 3Ah, 3Bh, 3Ch, 3Dh, 3Eh, 3Fh, 1, 0, 0Fh, 0, 0
mode13: db 63h
        db 3, 1, 0Fh, 0, 0Eh
        db 5Fh, 4Fh, 50h, 82h, 54h, 80h, 0BFh, 1Fh, 0, 41h, 0, 0, 0, 0, 0, 0
        db 9Ch, 8Eh, 8Fh, 28h, 40h, 96h, 0B9h, 0A3h, 0FFh
        db 0, 0, 0, 0, 0, 40h, 5, 0Fh, 0FFh
        db 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 41h, 0, 0Fh, 0, 0
mode_x: db 0E3h
        db 3, 1, 0Fh, 0, 6
        db 5Fh, 4Fh, 50h, 82h, 54h, 80h, 0Dh, 3Eh, 0, 41h, 0, 0, 0, 0, 0, 0
        db 0EAh, 8Ch, 0DFh, 28h, 0, 0E7h, 6, 0E3h, 0FFh
        db 0, 0, 0, 0, 0, 40h, 5, 0Fh, 0FFh
        db 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 41h, 0, 0Fh, 0, 0
        GDTR 3
        FLAT_TABLE
        IMAGE_ENDS 6
