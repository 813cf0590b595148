; A floppy that is written, as systems do that keep programs and files on theirs: sectors by INT 13h/03h,
; alone, several to the end of a track and a whole one, read back after a reset and verified; and what
; there is not: sectors, cylinders, drives. Which status BIOSes give for these differs, and is not told.
; nasm -f bin -o writes.img writes.asm
%include "zoo.inc"
OUT_    equ 1000h                       ; segments: what is written, and read
IN_     equ 2000h
        BEGIN
        LOAD_REST 3
        VIDEO 3
        push OUT_                       ; a track of words, each another
        pop es
        xor di, di
        mov ax, 1234h
        mov cx, 36 * 256
.word:  stosw
        add ax, 4321h
        rol ax, 1
        loop .word
        mov si, turns
turn:   lodsb                           ; its name
        or al, al
        jz named
        call put
        jmp turn
named:  lodsw                          ; AX, CX, DX as the BIOS takes them
        mov bp, ax
        lodsw
        mov cx, ax
        lodsw
        mov dx, ax
        lodsw                           ; where the buffer is
        mov bx, ax
        push OUT_
        pop es
        cmp bp, 300h                    ; what reads does so elsewhere
        jae call_it
        push IN_
        pop es
call_it: push si
        mov ax, bp
        stc
        int 13h
        sti
        cld
        jmp told
        SECTOR_ENDS
told:   jc .failed
        SAY ": done"
        mov ax, bp
        cmp ah, 2
        jne .line
        push IN_                        ; what was read is what was written
        pop es
        push ds
        mov ch, al                      ; 256 words a sector
        mov cl, 0
        push OUT_
        pop ds
        xor si, si
        xor di, di
        repe cmpsw
        pop ds
        je .line
        SAY ", other"
        jmp .line
.failed: SAY ": no"
.line:  SAY 10
        pop si
        cmp si, turns_end
        jb turn
        THE_END
        ROUTINES
        SHOW_BY_BIOS
; A name; function and count, cylinder and sector, head and drive, where the buffer is.
%macro TURN 5
        db %1, 0
        dw %2, %3, %4, %5
%endmacro
%define CHS(c, s) (c) << 8 | (s)
turns:  TURN "write one", 301h, CHS(5, 3), 100h, 0
        TURN "reset", 0, 0, 0, 0
        TURN "read one", 201h, CHS(5, 3), 100h, 0
        TURN "verify one", 401h, CHS(5, 3), 100h, 0
        TURN "write to the end of a track", 304h, CHS(7, 15), 0, 0
        TURN "read it", 204h, CHS(7, 15), 0, 0
        TURN "write a track", 312h, CHS(79, 1), 100h, 0
        TURN "read it", 212h, CHS(79, 1), 100h, 0
        TURN "read its middle", 202h, CHS(79, 9), 100h, 0
        TURN "write sector 19", 301h, CHS(5, 19), 100h, 0
        TURN "read sector 0", 201h, CHS(5, 0), 100h, 0
        TURN "read none", 200h, CHS(5, 1), 100h, 0
        TURN "read cylinder 90", 201h, CHS(90, 1), 0, 0
        TURN "write before 64 KiB", 301h, CHS(5, 1), 0, 0FE00h
        TURN "write drive 1", 301h, CHS(5, 1), 1, 0
        TURN "write a hard disk", 301h, CHS(5, 1), 80h, 0
        TURN "function 7Fh", 7F01h, CHS(5, 1), 0, 0
        TURN "read one again", 201h, CHS(5, 3), 100h, 0
turns_end:
        IMAGE_ENDS 4
