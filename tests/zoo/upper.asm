; Memory above 1 MiB as loaders of large systems use it: the A20 gate by port 92h, INT 15h/87h to copy
; there and back, FFFF:0010h, a far store by a segment of 4 GiB in real mode, and how much there is by
; INT 15h/88h, E801h and E820h. nasm -f bin -o upper.img upper.asm
%include "zoo.inc"
PLACE   equ 300000h
        BEGIN
        LOAD_REST 2
        VIDEO 3
        OPEN_A20
        mov si, first           ; there and back
        call copy
        jc .wrong
        mov si, second
        call copy
        jc .wrong
        mov si, original
        mov di, 9000h
        mov cx, 16
        repe cmpsb
        jne .wrong
        SAY "moved", 10
.wrong: mov word [500h], 1234h  ; the same place, if A20 were shut
        push 0FFFFh
        pop es
        mov word [es:510h], 5678h
        mov ax, [500h]
        call hex4
        SAY " "
        mov ax, [es:510h]
        call hex4
        SAY 10
        jmp rest
        SECTOR_ENDS
rest:   cli                     ; a segment of 4 GiB that stays in real mode
        push ds
        BIG_FS gdtr
        pop ds
        sti
        mov esi, PLACE
        mov eax, [fs:esi]       ; what was moved there
        call hex8
        mov dword [fs:esi + 12345h], 89ABCDEFh
        mov eax, [fs:esi + 12345h]
        call hex8
        SAY 10
        mov ah, 88h             ; in KiB, at least what is left of 16 MiB for tables of the firmware's
        int 15h
        cmp ax, 15 * 1024 - 256
        jb .less
        SAY "88h", 10
.less:  mov ax, 0E801h
        int 15h
        jc .e820
        cmp ax, 15 * 1024 - 256
        jb .e820
        SAY "E801h", 10
.e820:  xor ebx, ebx            ; each piece that is free, from where and to where in MiB
.piece: mov eax, 0E820h
        mov edx, 534D4150h
        mov ecx, 20
        mov di, 9000h
        push ds
        pop es
        int 15h
        jc .over
        cmp eax, 534D4150h
        jne .over
        cmp dword [9010h], 1
        jne .next
        mov eax, [9000h]
        call hex8
        SAY " "
        mov eax, [9000h]
        add eax, [9008h]
        add eax, 40000h         ; so much of it that firmwares agree
        shr eax, 20
        call hex4
        SAY 10
.next:  or ebx, ebx
        jnz .piece
.over:  mov ax, 0E820h          ; without its signature it is not asked
        xor edx, edx
        int 15h
        jnc .end
        SAY "asked wrongly", 10
.end:   THE_END
; By the descriptors at SI.
copy:   push ds
        pop es
        mov ah, 87h
        mov cx, 8
        int 15h
        ret
        ROUTINES
        SHOW_BY_BIOS
original: db "sixteen letters!"
first:  dw 0, 0, 0, 0, 0, 0, 0, 0
        dw 0FFFFh, original, 9300h, 0
        dw 0FFFFh, PLACE & 0FFFFh, 9300h | (PLACE >> 16), 0
        times 16 db 0
second: dw 0, 0, 0, 0, 0, 0, 0, 0
        dw 0FFFFh, PLACE & 0FFFFh, 9300h | (PLACE >> 16), 0
        dw 0FFFFh, 9000h, 9300h, 0
        times 16 db 0
        GDTR 3
        FLAT_TABLE
        IMAGE_ENDS 3
