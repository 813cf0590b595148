; Boot sectors, a program each, with ports in the middle of blocks: ports that native code answers, those
; that it asks Python for, now and then or always, and what else looks at the time or ends a block. The
; last one goes to long mode, and has five sectors. See tests/test_native_blocks_ports.py.
; nasm -f bin -o ports.img ports.asm
        bits 16
TURNS           equ 40
index_ports     equ 3CEh
found           equ 600h                ; what programs leave, and divisors and bounds, which are 0

%assign number 0
%macro begins 1                         ; ax = bx = ds = ss = 0
        section %1_sector start=512*number vstart=7C00h
%assign number number+1
%1:     xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 7000h
        cld
%endmacro
%macro screen 1                         ; a mode; es = A000h, bx = 0
        mov     ax, %1
        int     10h
        push    word 0A000h
        pop     es
        xor     bx, bx
%endmacro
%macro ends 0
        cmp     bx, TURNS
        jb      .turn
        cli
        hlt
        times   510 - ($ - $$) db 0
        dw      0AA55h
%endmacro

; Arithmetic flags that were set before a port, and are wanted behind it.
        begins  flags
        screen  12h
.turn:  inc     bx
        mov     al, bl
        mov     dx, 3C8h
        add     al, 0F0h
        out     dx, al
        adc     bp, bx
        inc     dx
        cmp     al, 77h
        out     dx, al
        pushf
        pop     cx
        add     bp, cx
        sub     al, ch
        out     dx, al
        lahf
        sbb     bp, ax
        out     dx, al
        setc    cl
        mov     dx, index_ports
        mov     ax, 0F08h
        test    bl, 4
        out     dx, ax
        jz      .even
        xor     bp, 1
.even:  rol     bp, 1
        mov     dx, 3C4h
        out     80h, al
        rcl     bp, 1
        in      al, dx
        rcr     bp, 1
        neg     bp
        mov     dx, 3DAh
        in      al, dx
        adc     bp, ax
        shl     bp, 3
        in      al, 40h
        adc     bp, bx
        xor     [found], bp
        mov     [es:bx], bp
        ends

; INS and OUTS with and without a prefix, of memory and of planes; time stamps.
        begins  strings
        screen  12h
.turn:  inc     bx
        mov     si, 7C00h
        mov     di, bx
        mov     dx, 3C8h
        mov     al, bl
        out     dx, al
        inc     dx
        outsb
        mov     [es:di], al
        outsb
        out     dx, al
        outsb
        in      al, dx
        mov     cx, 3
        rep outsb
        dec     dx
        insb
        insb
        mov     dx, index_ports
        in      al, dx
        out     dx, al
        rdtsc
        xor     bp, ax
        mov     dx, 3C9h
        out     dx, al
        mov     cx, 7
        rep insb
        out     dx, al
        mov     dx, 3C4h
        insw
        outsw
        mov     di, found
        push    es
        push    ds
        pop     es
        mov     dx, 3C9h
        insb
        outsb
        insd
        outsd
        in      ax, dx
        mov     cx, 3
        rep outsw
        pop     es
        xor     [found + 2], eax
        ends

; Bytes, words, dwords; prefixes; more ports in a block than its record has room for.
        begins  widths
        xor     bx, bx
.turn:  inc     bx
        mov     dx, index_ports
        mov     ax, bx
        and     ax, 0F03h
        out     dx, ax
        o32 out dx, al
        out     dx, eax
        repne out dx, al
        rep out dx, al
        db      2Eh
        out     dx, al
        a32 in  al, dx
        db      3Eh, 66h
        in      al, dx
        in      ax, dx
        in      eax, dx
        xor     [found], eax
        mov     dx, 3C4h
        mov     ax, 0F02h
        xor     ah, bl
        out     dx, ax
        inc     dx
        in      al, dx
        dec     dx
        in      ax, dx
        mov     dx, 3D4h
        mov     ax, 0E0Eh
        out     dx, ax
        mov     ah, bl
        out     dx, ax
        in      ax, dx
        mov     dx, 1CEh
        mov     ax, 0
        out     dx, ax
        inc     dx
        in      ax, dx
        add     [found + 4], ax
        mov     dx, 3C7h
        out     dx, ax
        mov     dx, 3C9h
        in      ax, dx
        in      al, dx
        in      eax, dx
        out     dx, eax
        out     dx, ax
        xor     [found + 8], eax
        mov     dx, 3BFh
        out     dx, ax
        mov     dx, 3E0h
        in      al, dx
        out     dx, al
        ends

; Registers that Python is asked for in some values alone, with stores through the planes between.
        begins  registers
        screen  12h
.turn:  inc     bx
        mov     dx, index_ports
        mov     al, 5
        out     dx, al
        inc     dx
        mov     al, bl
        and     al, 3
        test    bl, 1Fh
        jnz     .same
        or      al, 20h
.same:  out     dx, al
        mov     [es:bx], bl
        dec     dx
        mov     ax, 0506h
        test    bl, 0Fh
        jnz     .there
        xor     ah, 4
.there: out     dx, ax
        mov     ax, 0008h
        mov     ah, bl
        out     dx, ax
        xor     [es:bx + 5], bl
        mov     dx, 3C4h
        mov     ax, 0F02h
        xor     ah, bl
        out     dx, ax
        mov     [es:bx + 300h], bx
        mov     ah, 0Fh
        out     dx, ax
        mov     dx, 3DAh
        test    bl, 7
        jnz     .odd
        in      al, dx
.odd:   mov     dx, 3C0h
        mov     al, bl
        and     al, 3Fh
        out     dx, al
        mov     al, bh
        out     dx, al
        mov     al, 20h
        out     dx, al
        out     dx, al
        mov     dx, 3C6h
        mov     al, 0FFh
        xor     al, bl
        out     dx, al
        mov     dx, 3C8h
        mov     al, bl
        out     dx, al
        inc     dx
        times 3 out dx, al
        mov     dx, 3D4h
        mov     ax, 0C0Dh
        out     dx, ax
        mov     ah, bl
        out     dx, ax
        mov     al, 9
        out     dx, al
        inc     dx
        in      al, dx
        out     dx, al
        ends

; Faults, an interrupt's shadow, a timer; handlers with ports of their own.
        begins  faults
        mov     word [0], .divide
        mov     word [4*4], .overflow
        mov     word [5*4], .bound
        mov     word [6*4], .unknown
        mov     word [1Ch*4], .tick
        mov     [2], ax
        mov     [4*4 + 2], ax
        mov     [5*4 + 2], ax
        mov     [6*4 + 2], ax
        mov     [1Ch*4 + 2], ax
        mov     al, 36h                 ; some 2,300 Hz
        out     43h, al
        mov     al, 0
        out     40h, al
        mov     al, 2
        out     40h, al
        screen  13h
        sti
.turn:  inc     bx
        mov     dx, 3C8h
        mov     al, bl
        out     dx, al
        inc     dx
        out     dx, al
        mov     al, 7Fh
        add     al, bl
        into
        out     dx, al
        out     dx, al
        aam     0
        in      al, dx
        xor     bp, ax
        mov     dx, index_ports
        in      al, dx
        ud2
        out     dx, al
        mov     ss, [found]
        out     dx, al
        in      al, dx
        div     byte [found]
        cli
        out     dx, al
        sti
        out     dx, al
        out     dx, al
        bound   ax, [found]
        mov     dx, 3C7h
        out     dx, al
        mov     dx, 3C9h
        in      al, dx
        stosb
        idiv    byte [found]
        in      al, dx
        out     dx, al
        mov     [es:bx], al
        hlt
        in      al, dx
        out     dx, al
        cmp     bx, TURNS
        jb      .turn
        cli
        hlt
.divide:                                ; past AAM, 2 bytes, or a division, 4
        push    bp
        mov     bp, sp
        push    bx
        mov     bx, [bp + 2]
        cmp     byte [bx], 0D4h
        je      .aam
        add     word [bp + 2], 2
.aam:   add     word [bp + 2], 2
        pop     bx
        pop     bp
        push    dx
        mov     dx, index_ports
        out     dx, al
        in      al, dx
        pop     dx
        iret
.bound: push    bp
        mov     bp, sp
        add     word [bp + 2], 4
        pop     bp
        iret
.unknown:
        push    bp
        mov     bp, sp
        add     word [bp + 2], 2
        pop     bp
        iret
.overflow:
        push    ax
        push    dx
        rdtsc
        xor     [found + 10h], eax
        pop     dx
        pop     ax
        iret
.tick:  pusha
        mov     dx, 3C4h
        in      al, dx
        out     dx, al
        in      al, 40h
        add     [found + 14h], al
        rdtsc
        xor     [found + 18h], ax
        popa
        iret
        times   510 - ($ - $$) db 0
        dw      0AA55h

; REX and other prefixes in 64-bit code; faults through gates of long mode.
pages           equ 1_0000h
gates           equ 2_0000h
zero            equ 9_E000h
        begins  long_mode
        screen  12h
        mov     es, bx
        mov     ax, 0204h               ; the sectors behind this one
        mov     cx, 2
        mov     dx, 0
        mov     bx, 7E00h
        int     13h
        jmp     .go
.table: dq      0, 0x00209B0000000000, 0x0000930000000000
.gdtr:  dw      23
        dd      .table
.idtr:  dw      0FFFh
        dq      gates
        times   510 - ($ - $$) db 0
        dw      0AA55h
.go:    cli
        push    word pages >> 4         ; 4 MiB, in pages of 2
        pop     es
        xor     di, di
        xor     eax, eax
        mov     cx, 3000h / 4
        rep stosd
        mov     dword [es:0], pages + 1000h | 7
        mov     dword [es:1000h], pages + 2000h | 7
        mov     dword [es:2000h], 87h
        mov     dword [es:2008h], 20_0087h
        push    word gates >> 4
        pop     es
        xor     di, di
        mov     cx, 256
.gate:  mov     ax, .handler
        stosw
        mov     ax, 8
        stosw
        mov     ax, 8E00h
        stosw
        xor     eax, eax
        stosw
        stosd
        stosd
        loop    .gate
        mov     eax, 6A0h               ; PAE, PGE, SSE
        mov     cr4, eax
        mov     eax, pages
        mov     cr3, eax
        mov     ecx, 0C000_0080h        ; EFER.LME
        xor     edx, edx
        mov     eax, 100h
        wrmsr
        lgdt    [.gdtr]
        lidt    [.idtr]
        mov     eax, 8000_0011h
        mov     cr0, eax
        jmp     8:.wide
        bits    64
.wide:  mov     ax, 10h
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     rsp, 9_F000h
        mov     rbp, 0A_0000h
        xor     rbx, rbx
        xor     r8, r8
.turn:  inc     rbx
        mov     edx, 3C8h
        mov     al, bl
        sub     cl, al
        out     dx, al
        sbb     r8, rbx
        inc     rdx
        db      48h
        out     dx, al
        adc     r8, rbx
        in      al, 61h
        db      4Fh
        out     dx, al
        adc     r8, r8
        out     80h, al
        db      66h, 41h
        out     dx, al
        adc     r8, rax
        db      48h
        in      al, dx
        adc     r8, rax
        mov     [rbp + rbx], r8b
        div     byte [zero]             ; of 7 bytes
        in      al, dx
        ud2
        out     dx, al
        rdtsc
        adc     r8, rax
        mov     rdi, zero + 800h
        db      48h
        insb
        out     dx, al
        db      0F3h, 48h
        in      al, dx
        db      48h, 66h
        out     dx, ax
        out     dx, eax
        rcl     r8, 1
        push    r8
        pop     rsi
        mov     edx, index_ports
        mov     eax, ebx
        and     eax, 0FF07h
        out     dx, ax
        mov     r9, rax
        db      48h
        out     dx, eax
        out     dx, al
        xor     [found], r8
        int     40h
        cmp     ebx, TURNS
        jb      .turn
        cli
        hlt
.handler:                               ; past a division, past UD2, or back from INT
        push    rax
        push    rdx
        mov     rax, [rsp + 16]
        cmp     byte [rax], 0F6h
        jne     .other
        add     qword [rsp + 16], 7
.other: cmp     byte [rax], 0Fh
        jne     .back
        add     qword [rsp + 16], 2
.back:  mov     edx, index_ports
        in      al, dx
        out     dx, al
        rdtsc
        add     [found + 8], rax
        pop     rdx
        pop     rax
        iretq
        times   512*5 - ($ - $$) db 0
