; Code of DOS's own, at its places in segment 60h: `area.py` puts each piece there. Between the pieces
; lie data, which are none of this file's.
; nasm -f bin -o area_code area_code.asm
        bits 16
        org 0
AREA    equ 0x60                        ; this segment
INT_21  equ 0xF110                      ; its stub, in segment BIOS
BIOS    equ 0xF000
DOS     equ 0xEA                        ; a port that is answered by the vector in AL
XMS     equ 0xEF                        ; and the XMS driver's
DISK    equ 0x528                       ; the disk's driver
; Data.
stack   equ 0x02                        ; SP while INT 23h runs
ending  equ 0x0A                        ; how the program ends
flag    equ 0x0F                        ; of critical errors
in_dos  equ 0x10
about   equ 0x28                        ; AX and DI of INT 24h
error   equ 0x2A
answer  equ 0x30                        ; one more than AL of INT 24h
kept    equ 0x32                        ; a word of who calls CALL 5
%macro  PLACE 1
        times %1 - ($ - $$) db 0
%endmacro

PLACE 0x218
nothing:                                ; routines of devices
        retf

; Ctrl-C: INT 23h may go back by IRET: the call begins anew, and so it does by RETF with the carry
; flag clear; with it set, the program ends.
PLACE 0x220
break:  mov [cs:stack], sp
        sti
        clc
        int 0x23
        jc .ends
.again: mov sp, [cs:stack]
        jmp BIOS:INT_21
.ends:  cmp sp, [cs:stack]
        je .again
        mov sp, [cs:stack]
        mov byte [cs:ending], 1
        mov ax, 0x4C00
        int 0x21

; INT 24h lay here, and vectors of older states lead here.
PLACE 0x260
critical:
        jmp near ask

; What older states have for INT 25h and 26h: there is no such drive.
PLACE 0x268
no_drive:
        mov ax, 0x201
        stc
        retf

; The XMS driver; others hook it by its first five bytes.
PLACE 0x270
xms:    jmp short .entry
        nop
        nop
        nop
.entry: out XMS, al
        retf

; INT 28h, then the call again.
PLACE 0x280
wait_:  sti
        int 0x28
        jmp BIOS:INT_21

; INT 28h as from within a call.
PLACE 0x290
poll:   mov byte [cs:in_dos], 1
        sti
        int 0x28
        mov byte [cs:in_dos], 0
        iret

; Where INT 2Fh/1687h leads to: with carry if there is no memory for it, on into the host's else.
PLACE 0x2B8
dpmi:   push ax
        mov al, 0x31
        out DOS, al
        pop ax
        jc .fails
        push es
        push 0x100
        retf
.fails: retf

; CALL 5 of CP/M: CL is the call's number, up to 24h; its caller's IP lies above what the prefix
; pushed.
PLACE 0x540
call_5: pop ax
        pop ax
        pop word [cs:kept]
        pushf
        cli
        push ax
        push word [cs:kept]
        cmp cl, 0x24
        ja .none
        db 0x8A, 0xE1                   ; mov ah, cl, as it is in states
        jmp BIOS:INT_21
.none:  mov al, 0
        iret

; A critical error: the caller's registers on its stack, as handlers find them, then INT 24h; its
; answer is there when the call is made anew.
PLACE 0x570
critical_call:
        push es
        push ds
        push bp
        push di
        push si
        push dx
        push cx
        push bx
        push ax
        mov ax, [cs:about]
        mov di, [cs:error]
        mov bp, AREA
        mov si, DISK
        mov byte [cs:flag], 1
        int 0x24
        mov byte [cs:flag], 0
        inc al
        mov [cs:answer], al
        pop ax
        pop bx
        pop cx
        pop dx
        pop si
        pop di
        pop bp
        pop ds
        pop es
        jmp BIOS:INT_21

; INT 24h: asks the person, and waits for a key.
PLACE 0x5C0
ask:    push ax
        mov al, 0x24
        out DOS, al
        pop ax
        jc .wait
        iret
.wait:  sti
        hlt
        jmp ask

; INT 25h and 26h: flags stay on the stack.
%macro  absolute_disk 1
        push ax
        mov al, %1
        out DOS, al
        pop ax
        sti
        retf
%endmacro
PLACE 0x5D8
read:   absolute_disk 0x25
PLACE 0x5E0
write:  absolute_disk 0x26

; Where the first program goes back to.
PLACE 0x5E8
end:    mov al, 0x22
        out DOS, al
.halt:  hlt
        jmp .halt
