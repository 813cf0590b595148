; Calls the services that its table names, and prints to port E9h what each returns.
;
; The table is behind the code: for each call its vector, AX BX CX DX SI DI ES, then where (segment 0)
; and how many bytes are printed after it. Vector FFFFh ends it.
        org 7C00h
        bits 16
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7C00h
        mov [drive], dl
        cmp dl, 0E0h            ; a CD's entry was loaded whole
        jae .loaded
        mov ax, 0207h           ; behind the boot sector
        mov bx, 7E00h
        mov cx, 2
        mov dh, 0
        int 13h
.loaded:
        mov si, table
next:
        lodsw
        cmp ax, -1
        je done
        mov [vector], al
        lodsw
        push ax
        call word_out
        mov ax, [si+4]
        call word_out           ; DX
        mov al, '>'
        out 0E9h, al
        pop ax
        mov bx, [si]
        mov cx, [si+2]
        mov dx, [si+4]
        mov di, [si+8]
        mov es, [si+10]
        push si
        mov si, [si+6]
        db 0CDh                 ; INT
vector: db 13h
        cld
        push 0
        pop ds
        pop si
        pushf
        call word_out           ; AX BX CX DX ES DI, CF
        mov ax, bx
        call word_out
        mov ax, cx
        call word_out
        mov ax, dx
        call word_out
        mov ax, es
        call word_out
        mov ax, di
        call word_out
        pop ax
        and al, 1
        add al, '0'
        out 0E9h, al
        mov al, [441h]
        call byte_out
        mov al, [474h]
        call byte_out
        mov cx, [si+14]
        push si
        mov si, [si+12]
        jcxz .none
        mov al, ':'
        out 0E9h, al
.dump:
        lodsb
        call byte_out
        loop .dump
.none:
        pop si
        add si, 16
        mov al, 10
        out 0E9h, al
        jmp next
done:
        mov al, '.'
        out 0E9h, al
        mov al, 0
        out 0F4h, al            ; QEMU's isa-debug-exit
        cli
        hlt
        jmp done

word_out:
        xchg al, ah
        call byte_out
        mov al, ah
        call byte_out
        mov al, ' '
        out 0E9h, al
        ret
byte_out:
        push ax
        shr al, 4
        call .digit
        pop ax
        push ax
        call .digit
        pop ax
        ret
.digit: and al, 0Fh
        add al, '0'
        cmp al, '9'
        jbe .out
        add al, 7
.out:   out 0E9h, al
        ret
drive:  db 0
        times 510 - ($ - $$) db 0
        db 55h, 0AAh
table:
