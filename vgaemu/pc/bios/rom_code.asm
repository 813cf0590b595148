; Code of the builtin BIOS: what of its ROM lies from F000:E120 on and is no table. `rom.py` has the
; places by these names, and puts tables and fonts between them.
; nasm -f bin -o rom_code rom_code.asm
        bits 16
BEGIN   equ 0xE120
        org BEGIN
%macro  PLACE 1
        times %1 - BEGIN - ($ - $$) db 0xFF
%endmacro
%macro  save 0
        pushad
        push ds
        push es
        push fs
        push gs
%endmacro
%macro  restore 0
        pop gs
        pop fs
        pop es
        pop ds
        popad
        iret
%endmacro

PLACE 0xE120
window_function:                        ; VBE's, which a program calls
        mov ax, 0x4F05
        int 0x10
        retf

; IRQ 9, which is IRQ 2 of the bus: the second controller has an end, the rest is INT 0Ah's.
PLACE 0xE140
irq_9:  push ax
        mov al, 0x20
        out 0xA0, al
        pop ax
        int 0x0A
        iret

; A service: its trap port brings Python in, which sets the carry flag if it has to wait. Interrupts
; come in at the HLT, none before it: after CLI (see `Calls.call`), STI holds them off for an
; instruction more. One that came earlier might be what is waited for.
%macro  service 1
%%begin:
        clc
        out %1, al
        jc %%wait
        iret
        nop
%%again:
        jmp short %%begin
%%wait: sti
        hlt
        jmp short %%again
        times 16 - ($ - %%begin) db 0xFF
%endmacro
PLACE 0xF000
        service 0xB0                    ; INT 00h
        service 0xB1                    ; INT 06h
        service 0xB2                    ; INT 0Dh
; INT 08h: in the middle stand guests of states that were saved before all registers were.
PLACE 0xF030
int_08: jmp short .leave
        int 0x1C
        push ax
        mov al, 0x20
        out 0x20, al
        pop ax
        iret
.leave: jmp near timer_routine
; INT 09h, likewise.
PLACE 0xF040
int_09: nop
        jmp short .leave
        clc
        clc
        iret
.leave: jmp near keyboard_routine
PLACE 0xF050
        service 0xB5                    ; INT 10h
        service 0xB6                    ; INT 11h
        service 0xB7                    ; INT 12h
        service 0xB8                    ; INT 13h
        service 0xB9                    ; INT 14h
        service 0xBA                    ; INT 15h
int_16: service 0xBB                    ; INT 16h
        service 0xBC                    ; INT 17h
        service 0xBD                    ; INT 18h
        service 0xBE                    ; INT 19h
        service 0xBF                    ; INT 1Ah
        service 0xE0                    ; INT 20h
        service 0xE1                    ; INT 21h
        service 0xE2                    ; INT 27h
        service 0xE3                    ; INT 29h
        service 0xE4                    ; INT 2Fh
        service 0xE5                    ; INT 33h

; Interrupts that are only ended: of the first controller, and of the second.
PLACE 0xF160
        push ax
        mov al, 0x20
        out 0x20, al
        pop ax
        iret
PLACE 0xF170
        push ax
        mov al, 0x20
        out 0xA0, al
        out 0x20, al
        pop ax
        iret

PLACE 0xF200
        service 0xEC                    ; INT 05h

; A scancode that a hook may take or change.
PLACE 0xF220
key_hook:
        stc
        int 0x15
        jc .taken
        iret
.taken: out 0xEB, al
        iret

; A wait for a key.
PLACE 0xF230
key_wait:
        push ax
        mov ax, 0x9002
        int 0x15
        pop ax
        jmp near int_16

; INT 15h/89h: the tables at ES:SI, PE, the segments that they have, and back to the caller.
PLACE 0xF240
protect:
        lgdt [es:si + 8]
        lidt [es:si + 0x10]
        smsw ax
        or al, 1
        lmsw ax
        jmp 0x38:.next
.next:  mov ax, 0x18
        mov ds, ax
        mov al, 0x20
        mov es, ax
        mov al, 0x28
        mov ss, ax
        pop bp
        add sp, 4
        push 0x30
        push bp
        mov al, 0
        clc
        retf

; Waits for a drive that are over at once: INT 15h/90h and 91h.
%macro  drive_wait 1
        push ax
        mov ax, 0x9000 + %1
        int 0x15
        mov ax, 0x9100 + %1
        int 0x15
        pop ax
        iret
%endmacro
PLACE 0xF270
floppy_wait:
        drive_wait 1
PLACE 0xF280
disk_wait:
        drive_wait 0

; What INT 08h goes on to.
PLACE 0xFD00
timer_routine:
        save
        out 0xB3, al
        int 0x1C
        mov al, 0x20
        out 0x20, al
        restore

; What INT 09h does.
PLACE 0xFD40
keyboard_routine:
        save
        pushf
        push cs
        call .serve
        restore
.serve: out 0xB4, al
        iret

; Those of the second controller: a handler runs within the IRET of `serve`; another such interrupt
; waits for its end.
%macro  second_routine 1
        save
        pushf
        push cs
        call %%serve
        cli
        mov al, 0x20
        out 0xA0, al
        out 0x20, al
        restore
%%serve:
        out %1, al
        iret
%endmacro
PLACE 0xFD80
mouse_routine:
        second_routine 0xEE             ; INT 74h
; Where a mouse's handler comes back to: from INT 33h's driver, and from the BIOS, which had given
; four words to it.
PLACE 0xFDB0
mouse_handler_done:
        iret
PLACE 0xFDB8
ps2_handler_done:
        add sp, 8
        iret
PLACE 0xFDC0
clock_routine:
        second_routine 0xED             ; INT 70h

PLACE 0xFE00
iret_stub:
        iret

; After a reset: boot, as INT 19h. Then the date of the BIOS, and what model it is: an AT.
PLACE 0xFFF0
        int 0x19
.stop:  hlt
        jmp .stop
        db '01/01/26'
PLACE 0xFFFE
        db 0xFC, 0xFF
