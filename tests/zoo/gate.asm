; An A20 gate closed and opened in each of its ways: by port 92h, by the keyboard controller's output
; port and its commands, by INT 15h/24h; and what is seen each time: a store that wraps, code, bytes
; copied from behind the first MiB as unpackers of programs do, a stack there, an interrupt's frame on it,
; VGA text and ROM at 1 MiB more. While the gate is closed nothing else of the BIOS is called.
; nasm -f bin -o gate.img gate.asm
%include "zoo.inc"
CODE    equ 9100h
STACK   equ 9300h
FROM    equ 9400h
PUT     equ 9500h
MIB      equ 100000h
        BEGIN
        LOAD_REST 3
        VIDEO 3
        jmp rest
        SECTOR_ENDS
rest:   cli
        cld
        mov word [4 * 60h], served
        mov word [4 * 60h + 2], 0
        call probe
        call tell
        mov bp, ways
.way:   call [bp]               ; close
        call probe
        call [bp + 4]           ; what is said of it
        mov [state], al
        call [bp + 2]           ; open
        mov al, [state]
        call hex2
        SAY " "
        call tell
        call probe
        call [bp + 4]
        call hex2
        SAY " "
        call tell
        add bp, 6
        cmp bp, ways_end
        jb .way
        sti
        THE_END

; What is seen, into `seen`; FS is a segment of 4 GiB, which stays in real mode.
probe:  BIG_FS gdtr
.real:  mov eax, [dword fs:MIB - 16]
        cmp eax, [dword fs:MIB + MIB - 16]
        sete [seen.rom]
        mov dword [dword fs:MIB + CODE], 0CB02B3h      ; mov bl, 2; retf
        mov dword [dword fs:MIB + FROM], "high"
        mov dword [dword fs:MIB + STACK - 4], 0
        mov word [dword fs:0B809Eh], 0720h
        mov dword [CODE], 0CB01B3h
        mov dword [FROM], "wrap"
        mov dword [STACK - 4], 0
        mov dword [STACK - 8], 0
        push 0FFFFh
        pop es
        mov word [500h], 1234h
        mov word [es:510h], 5678h
        mov ax, [500h]
        mov [seen.store], ax
        call 0FFFFh:CODE + 10h
        mov [seen.code], bl
        push ds
        pop es
        push ds
        push 0FFFFh
        pop ds
        mov si, FROM + 10h
        mov di, PUT
        mov cx, 4
        rep movsb
        pop ds
        mov al, [PUT]
        mov [seen.copy], al
        mov [kept], sp
        mov ax, 0FFFFh
        mov ss, ax
        mov sp, STACK + 10h
        push word 0ABCDh
        pop ax
        mov ax, [STACK - 2]
        mov [seen.stack], ax
        int 60h
.back:  xor ax, ax
        mov ss, ax
        mov sp, [kept]
        cmp word [STACK - 6], .back
        sete [seen.frame]
        mov word [dword fs:MIB + 0B809Eh], 0741h
        mov al, [dword fs:0B809Eh]
        mov [seen.text], al
        mov word [dword fs:0B809Eh], 0720h
        ret
served: iret

tell:   mov ax, [seen.store]
        call hex4
        mov al, [seen.code]
        call hex2
        mov al, [seen.copy]
        call put
        mov ax, [seen.stack]
        call hex4
        mov al, [seen.frame]
        call hex2
        mov al, [seen.text]
        call hex2
        mov al, [seen.rom]
        call hex2
        SAY 10
        ret

close92: in al, 92h
        and al, 0FCh
        out 92h, al
        ret
open92: OPEN_A20
        ret
state92: in al, 92h
        and al, 2
        ret
ready:  in al, 64h
        test al, 2
        jnz ready
        ret
closed1: mov ah, 0DDh
        jmp output
opend1: mov ah, 0DFh
output: call ready
        mov al, 0D1h
        out 64h, al
        call ready
        mov al, ah
        out 60h, al
        jmp ready
stated0: call ready
        mov al, 0D0h
        out 64h, al
.wait:  in al, 64h
        test al, 1
        jz .wait
        in al, 60h
        and al, 2
        ret
closedd: call ready
        mov al, 0DDh
        out 64h, al
        jmp ready
opendf: call ready
        mov al, 0DFh
        out 64h, al
        jmp ready
close15: mov ax, 2400h
        int 15h
        ret
open15: mov ax, 2401h
        int 15h
        ret
state15: mov ax, 2402h
        int 15h
        ret
        ROUTINES
        SHOW_BY_BIOS
ways:   dw close92, open92, state92
        dw closed1, opend1, stated0
        dw closedd, opendf, stated0
        dw close15, open15, state15
ways_end:
kept:   dw 0
state:  db 0
seen:
.store: dw 0
.stack: dw 0
.code:  db 0
.copy:  db 0
.frame: db 0
.text:  db 0
.rom:   db 0
        GDTR 3
        FLAT_TABLE
        IMAGE_ENDS 4
