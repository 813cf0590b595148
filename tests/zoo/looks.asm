; What a system looks for, and finds or does not: a PC with its disk alone has one serial port, clocks and
; interrupt controllers, a keyboard and a mouse, colours and no monochrome card beside them; no hard disk
; on the ATA channels, no second serial port, sound, joystick, network card, 8514/A. Each look is one
; that drivers and installers have. nasm -f bin -o looks.img looks.asm
%include "zoo.inc"
%macro LOOK 2                           ; a name, and who sets CF if it is not there
        db %1, 0
        dw %2
%endmacro
        BEGIN
        LOAD_REST 3
        VIDEO 3
        cli
        mov si, looks
.next:  lodsb
        or al, al
        jz .ask
        call put
        jmp .next
.ask:   lodsw
        push si
        call ax
        pop si
        jc .none
        SAY " yes", 10
        jmp .more
.none:  SAY " no", 10
.more:  cmp si, looks_end
        jb .next
        sti
        THE_END
        SECTOR_ENDS
; A register of port DX that keeps what is written to it; CF if it does not.
keeps:  mov al, 55h
        call .once
        jne .not
        mov al, 0AAh
        call .once
        jne .not
        clc
        ret
.not:   stc
        ret
.once:  mov ah, al
        out dx, al
        in al, 80h
        in al, dx
        cmp al, ah
        ret
serial1: mov dx, 3F8h + 7
        jmp keeps
serial2: mov dx, 2F8h + 7
        jmp keeps
; A 16550A says so once its FIFOs are on.
fifo:   mov dx, 3F8h + 2
        mov al, 1
        out dx, al
        in al, dx
        push ax
        mov al, 0
        out dx, al
        pop ax
        and al, 0C0h
        cmp al, 0C0h
        jne keeps.not
        ret
masks:  in al, 21h
        mov bl, al
        mov dx, 21h
        call keeps
        mov al, bl
        out 21h, al
        ret
slave:  in al, 0A1h
        mov bl, al
        mov dx, 0A1h
        call keeps
        mov al, bl
        out 0A1h, al
        ret
; As systems look for a drive: select it, see whether the registers keep, and whether it is ever ready.
ata1:   mov dx, 1F2h
        jmp ata
ata2:   mov dx, 172h
ata:    add dx, 4
        mov al, 0A0h
        out dx, al
        sub dx, 4
        call keeps
        jc .no
        add dx, 5
        mov cx, 1000
.wait:  in al, dx
        and al, 0C0h
        cmp al, 40h
        je .yes
        loop .wait
.no:    stc
        ret
.yes:   clc
        ret
; FM music: its first timer runs out.
adlib:  mov dx, 388h
        mov ax, 6004h
        call .set
        mov ax, 8004h
        call .set
        in al, dx
        mov bl, al
        mov ax, 0FF02h
        call .set
        mov ax, 2104h
        call .set
        mov cx, 100
.wait:  in al, dx
        loop .wait
        xor bl, al
        and bl, 0E0h
        cmp bl, 0C0h
        jne keeps.not
        ret
.set:   out dx, al
        in al, dx
        inc dx
        xchg al, ah
        out dx, al
        dec dx
        in al, dx
        ret
; A Sound Blaster's DSP answers AAh to a reset.
blaster: mov dx, 226h
        mov al, 1
        out dx, al
        mov cx, 10
.wait:  in al, dx
        loop .wait
        mov al, 0
        out dx, al
        mov dx, 22Eh
        mov cx, 1000
.ready: in al, dx
        test al, 80h
        jz .again
        mov dx, 22Ah
        in al, dx
        cmp al, 0AAh
        je .yes
        mov dx, 22Eh
.again: loop .ready
        stc
        ret
.yes:   clc
        ret
; An MPU-401 is ready to be reset, and acknowledges that.
midi:   mov dx, 331h
        mov cx, 100
.wait:  in al, dx
        test al, 40h
        jz .reset
        loop .wait
        stc
        ret
.reset: mov al, 0FFh
        out dx, al
        mov cx, 100
.answer: in al, dx
        test al, 80h
        jz .yes
        loop .answer
        stc
        ret
.yes:   clc
        ret
; Of a joystick's axes some come down again.
stick:  mov dx, 201h
        out dx, al
        mov cx, 1000
.wait:  in al, dx
        and al, 3
        cmp al, 3
        jne .yes
        loop .wait
        stc
        ret
.yes:   clc
        ret
; An NE2000 is reset by a read, and tells.
network: mov dx, 31Fh
        in al, dx
        out dx, al
        mov cx, 1000
        mov dx, 307h
.wait:  in al, dx
        cmp al, 0FFh
        je .no
        test al, 80h
        jnz .yes
.no:    loop .wait
        stc
        ret
.yes:   clc
        ret
; The cursor's place of a CRT controller keeps.
mono:   mov dx, 3B4h
        jmp crtc
colour: mov dx, 3D4h
crtc:   mov al, 0Fh
        out dx, al
        inc dx
        in al, dx
        mov bl, al
        call keeps
        mov al, bl
        out dx, al
        ret
card8514: mov dx, 92E8h                 ; its error term keeps
        mov ax, 5555h
        out dx, ax
        in ax, dx
        cmp ax, 5555h
        jne keeps.not
        ret
; The controller's test, and the keyboard's echo.
controller:
        mov al, 0AAh
        call command
        call answer
        jc .out
        cmp al, 55h
        jne keeps.not
.out:   ret
keyboard:
        call empty
        call room
        mov al, 0EEh
        out 60h, al
        call answer
        jc .out
        cmp al, 0EEh
        jne keeps.not
.out:   ret
mouse:  mov al, 0A8h
        call command
        mov al, 0D4h
        call command
        call room
        mov al, 0F2h                    ; which device it is
        out 60h, al
        call answer
        jc .out
        cmp al, 0FAh
        jne keeps.not
        call answer
        jc .out
        cmp al, 0
        jne keeps.not
.out:   ret
command: push ax
        call empty
        call room
        pop ax
        out 64h, al
        ret
room:   in al, 64h
        test al, 2
        jnz room
        ret
empty:  in al, 64h
        test al, 1
        jz .out
        in al, 60h
        jmp empty
.out:   ret
; AL, or CF if none comes in a while.
answer: xor cx, cx
.wait:  in al, 64h
        test al, 1
        jnz .came
        loop .wait
        stc
        ret
.came:  in al, 60h
        clc
        ret
; The clock's battery is good. The sum of its bytes is left out, which QEMU does not make.
clock:  mov al, 0Dh
        out 70h, al
        in al, 71h
        test al, 80h
        jz keeps.not
        ret
; Memory refreshes show in port 61h.
refresh: in al, 61h
        mov ah, al
        mov cx, 1000
.wait:  in al, 61h
        xor al, ah
        test al, 10h
        jnz .yes
        loop .wait
        stc
        ret
.yes:   clc
        ret
; What the BIOS found: a serial port at 3F8h, none behind it; one floppy drive.
bios:   cmp word [400h], 3F8h
        jne keeps.not
        cmp word [402h], 0
        jne keeps.not
        int 11h
        and ax, 0E31h                   ; 80x25 in colours, how many serial ports, a floppy drive
        cmp ax, 0221h
        jne keeps.not
        ret
        ROUTINES
        SHOW_BY_BIOS
looks:  LOOK "serial port 1", serial1
        LOOK "its FIFOs", fifo
        LOOK "serial port 2", serial2
        LOOK "first controller's mask", masks
        LOOK "second controller's mask", slave
        LOOK "drive of ATA 1", ata1
        LOOK "drive of ATA 2", ata2
        LOOK "keyboard controller", controller
        LOOK "keyboard", keyboard
        LOOK "mouse", mouse
        LOOK "clock", clock
        LOOK "refresh", refresh
        LOOK "colour", colour
        LOOK "monochrome", mono
        LOOK "8514/A", card8514
        LOOK "FM music", adlib
        LOOK "Sound Blaster", blaster
        LOOK "MPU-401", midi
        LOOK "joystick", stick
        LOOK "NE2000", network
        LOOK "equipment", bios
looks_end:
        IMAGE_ENDS 4
