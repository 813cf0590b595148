; How fast the time stamp counter is, as kernels find out: while channel 2 of the timer counts down once,
; which port 61h tells; while the high byte of that count falls; for ticks of IRQ 0; for periods of the
; battery-backed clock, polled for. Each is tried until three results in a row are within a 64th of each
; other, at most 12 times, and the last one is told in MHz. Then 20 waits of 10 ms by channel 2 are measured by the counter.
; QEMU counts in a guest's own nanoseconds, as vgaemu does, with -icount.
; nasm -f bin -o calibrate.img calibrate.asm
%include "zoo.inc"
IDT     equ 0A000h
HZ      equ 1193182
COUNT   equ HZ / 20                     ; 50 ms
BYTES   equ 200                         ; how far the high byte is to fall
TICK    equ HZ / 100                    ; a count of channel 0
TICKS   equ 5
PERIODS equ 64                          ; of the clock's 1024 a second
; Counts of the timer in microseconds.
%define US(counts) ((counts) * 1000000 + HZ / 2) / HZ
        BEGIN
        LOAD_REST 3
        VIDEO 3
        cli
        FLAT gdtr
        jmp main
        SECTOR_ENDS
main:   mov esp, 70000h
        mov dx, 3D4h                    ; no cursor
        mov ax, 200Ah
        out dx, ax
        xor eax, eax
        mov edi, IDT
        mov ecx, 33 * 2
        rep stosd
        GATE 32, on_timer
        lidt [idtr]
        TIMER_ALONE
        mov al, 0FFh
        out 0A1h, al
        mov eax, 1
        cpuid
        test dl, 10h
        jz .none
        mov esi, ways
.way:   lodsd
        mov [way], eax
        lodsd
        mov [unit], eax
        call agree
        mov [rate], eax
        call say_at
        SAY ": "
        call decimal
        SAY " MHz", 10
        cmp esi, ways_end
        jb .way
        call waits
.none:  THE_END

; The text at ESI, up to its end.
say_at: push eax
.next:  lodsb
        or al, al
        jz .out
        call put
        jmp .next
.out:   pop eax
        ret

; EAX: what the way takes, in MHz.
agree:  push esi
        mov byte [tries], 12
        xor ebp, ebp                    ; how many agree
        xor esi, esi
.try:   call [way]
        mov ecx, [unit]
        shr ecx, 1
        add eax, ecx
        adc edx, 0
        div dword [unit]
        mov ecx, eax
        sub ecx, esi
        jns .more
        neg ecx
.more:  mov edx, eax
        shr edx, 6
        mov esi, eax
        inc ebp
        cmp ecx, edx
        jbe .alike
        mov ebp, 1
.alike: dec byte [tries]
        jz .last
        cmp ebp, 3
        jb .try
.last:  pop esi
        ret

; EDX:EAX: how far the counter has come since `mark`.
mark:   rdtsc
        mov [since], eax
        mov [since + 4], edx
        ret
passed: rdtsc
        sub eax, [since]
        sbb edx, [since + 4]
        ret

; Channel 2 counts EAX down once, its speaker silent; mode 0.
once:   push eax
        in al, 61h
        and al, 0FDh
        or al, 1
        out 61h, al
        mov al, 0B0h
        out 43h, al
        pop eax
        out 42h, al
        mov al, ah
        out 42h, al
        ret
by_its_end:
        mov eax, COUNT
        call once
        call mark
.wait:  in al, 61h
        test al, 20h
        jz .wait
        jmp passed

by_its_count:
        mov eax, 0FFFFh
        call once
        call mark_at
        mov bl, 0FEh - BYTES
        call high_byte
        jmp passed
mark_at:
        mov bl, 0FEh
        call high_byte
        jmp mark
; Until the count's high byte is BL, or less.
high_byte:
        in al, 42h
        in al, 42h
        cmp al, bl
        ja high_byte
        ret

by_ticks:
        TIMER TICK
        sti
        call .tick
        call .tick
        call mark
        mov ecx, TICKS
.next:  call .tick
        loop .next
        call passed
        cli
        ret
.tick:  mov eax, [ticks]
.same:  cmp eax, [ticks]
        je .same
        ret

by_clock:
        mov ax, 260Ah                   ; 1024 periods a second, and flags for an interrupt that is masked
        call to_clock
        mov ax, 420Bh
        call to_clock
        mov al, 0Ch
        out 70h, al
        in al, 71h
        call .period
        call mark
        mov ecx, PERIODS
.next:  call .period
        loop .next
        jmp passed
.period: in al, 71h
        test al, 40h
        jz .period
        ret
to_clock:
        out 70h, al
        mov al, ah
        out 71h, al
        ret

waits:  mov ecx, 20
        call mark
.next:  mov eax, HZ / 100
        call once
.wait:  in al, 61h
        test al, 20h
        jz .wait
        loop .next
        call passed
        imul ecx, [rate], 1000
        mov ebx, ecx
        shr ebx, 1
        add eax, ebx
        adc edx, 0
        div ecx
        SAY "20 times 10 ms: "
        call decimal
        SAY " ms", 10
        ret

on_timer:
        push eax
        inc dword [ticks]
        mov al, 20h
        out 20h, al
        pop eax
        iretd
        ROUTINES
        SHOW_BY_STORES
        align 4, db 0
ways:   dd by_its_end, US(COUNT)
        db "the end of a count", 0
        dd by_its_count, US(BYTES * 256)
        db "the high byte of a count", 0
        dd by_ticks, US(TICK * TICKS)
        db "ticks", 0
        dd by_clock, PERIODS * 1000000 / 1024
        db "periods of the clock", 0
ways_end:
way:    dd 0
unit:   dd 0
rate:   dd 0
since:  dd 0, 0
ticks:  dd 0
tries:  db 0
        GDTR 3
        IDTR 33
        FLAT_TABLE
        IMAGE_ENDS 4
