; A system that is switched off by power management, as many are: it asks INT 15h/53h whether that is
; there, connects, tells its version, is idle for three ticks, asks for the power and for what there is
; not, and goes off. nasm -f bin -o apm.img apm.asm
%include "zoo.inc"
; A function, BX and CX; CF.
%macro APM 3
        mov ax, 5300h | %1
        mov bx, %2
        mov cx, %3
        int 15h
%endmacro
        BEGIN
        LOAD_REST 2
        VIDEO 3
        APM 0, 0, 0
        jc .none
        call hex4
        SAY " "
        mov al, bh
        call put
        mov al, bl
        call put
        SAY 10
        APM 4, 0, 0                     ; whoever is connected
        APM 1, 0, 0
        jc .none
        APM 0Eh, 0, 102h
        jc .none
        SAY "version "
        call hex4
        SAY 10
        APM 8, 1, 1
        jc .none
        APM 0Ah, 1, 0
        jc .none
        mov al, bh
        call hex2
        SAY " "
        mov al, ch
        call hex2
        SAY " of its power", 10
        mov bp, [46Ch]                  ; idle is until the next interrupt
        mov si, 0
.idle:  APM 5, 0, 0
        jc .none
        inc si
        mov ax, [46Ch]
        sub ax, bp
        cmp ax, 3
        jb .idle
        cmp si, 100
        ja .none
        SAY "idle", 10
        jmp rest
.none:  SAY "no", 10
        THE_END
        SECTOR_ENDS
rest:   APM 30h, 0, 0
        jnc .off
        SAY "no function 30h", 10
.off:   SAY "end", 10
        APM 7, 1, 3
        SAY "still there", 10
.stop:  hlt
        jmp .stop
        ROUTINES
        SHOW_BY_BIOS
        IMAGE_ENDS 3
