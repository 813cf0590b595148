; Another drive than C:, whose letter is the program's argument: folders, files of all kinds of
; calls, the disk below. Its report is on the drive that it was started from.
%include "dos.inc"
%macro  done 0                          ; an error, or 0
        call put_done
%endmacro
main:   mov al, [0x82]
        and al, 0xDF
        mov si, letters                 ; the names below are of that drive
.name:  mov bx, [si]
        mov [bx], al
        add si, 2
        cmp si, letters_end
        jb .name
        sub al, 'A'
        mov [drive], al
        ; It can be selected, and has so much room.
        mov ah, 0x19
        int 0x21
        mov [before], al
        call free
        mov [room], bx
        number ax
        number cx
        mov dl, [drive]
        mov ah, 0x0E
        int 0x21
        mov ah, 0x19
        int 0x21
        sub al, [drive]
        mov ah, 0
        number ax
        ; A folder that becomes its current one.
        mov dx, sub_
        mov ah, 0x39
        int 0x21
        done
        mov dx, sub_
        mov ah, 0x39
        int 0x21
        done
        mov dx, sub_
        mov ah, 0x3B
        int 0x21
        done
        mov dl, 0
        mov si, buffer
        mov ah, 0x47
        int 0x21
        call show
        mov si, file
        mov di, buffer
        push ds
        pop es
        mov ah, 0x60
        int 0x21
        mov si, buffer + 1
        call show_at
        line
        ; A hidden file of more than a cluster, written in two parts.
        mov dx, file
        mov cx, 2
        mov ah, 0x3C
        int 0x21
        jc failed
        mov [handle], ax
        mov bx, ax
        mov cx, 3000
        mov dx, 0x100
        mov ah, 0x40
        int 0x21
        outcome
        mov ah, 0x3E
        int 0x21
        done
        mov dx, file
        mov ax, 0x4300
        int 0x21
        number cx
        mov dx, full
        mov ax, 0x3D02
        int 0x21
        jc failed
        mov bx, ax
        mov [handle], ax
        mov ax, 0x4200
        mov cx, 0
        mov dx, 2990
        int 0x21
        mov cx, 20
        mov dx, digits
        mov ah, 0x40
        int 0x21
        outcome
        call size
        number ax
        mov ax, 0x4200
        mov cx, 0
        mov dx, 2000
        int 0x21
        mov cx, 2000
        mov dx, buffer
        mov ah, 0x3F
        int 0x21
        outcome
        number [buffer + 988]
        number [buffer + 990]
        mov cx, 1
        mov dx, buffer
        mov ah, 0x3F
        int 0x21
        outcome
        mov ax, 0x4200
        mov cx, 0
        mov dx, 1000
        int 0x21
        mov cx, 0
        mov ah, 0x40
        int 0x21
        call size
        number ax
        mov cx, 0x6000                  ; 57h: noon
        mov dx, 0x2121
        mov ax, 0x5701
        int 0x21
        mov ax, 0x5700
        int 0x21
        number cx
        number dx
        mov ah, 0x3E
        int 0x21
        line
        ; What a search finds of it.
        mov dx, transfer
        mov ah, 0x1A
        int 0x21
        mov dx, all
        mov cx, 0
        mov ah, 0x4E
        int 0x21
        outcome
        mov dx, all
        mov cx, 2
        mov ah, 0x4E
        int 0x21
        outcome
        number [transfer + 26]
        mov al, [transfer + 21]
        mov ah, 0
        number ax
        mov si, transfer + 30
        call show_at
        mov ah, 0x4F
        int 0x21
        outcome
        mov dx, all
        mov cx, 0x10
        mov ah, 0x4E
        int 0x21
        mov si, transfer + 30
        call show_at
        ; Other places and names.
        mov dx, full
        mov di, moved
        push ds
        pop es
        mov ah, 0x56
        int 0x21
        done
        mov dx, full
        mov ah, 0x41
        int 0x21
        done
        mov dx, moved
        mov di, elsewhere
        mov ah, 0x56
        int 0x21
        done
        mov dx, sub_
        mov ah, 0x3A
        int 0x21
        done
        mov dx, above
        mov ah, 0x3B
        int 0x21
        done
        mov dx, sub_
        mov ah, 0x3A
        int 0x21
        done
        mov dx, moved
        mov cx, 1
        mov ax, 0x4301
        int 0x21
        done
        mov dx, moved
        mov ah, 0x41
        int 0x21
        done
        mov dx, moved
        mov cx, 0
        mov ax, 0x4301
        int 0x21
        mov dx, moved
        mov ah, 0x41
        int 0x21
        done
        call free
        sub bx, [room]
        number bx
        line
        ; By FCB.
        mov al, [drive]
        inc al
        mov [fcb], al
        mov dx, fcb
        mov ah, 0x16
        int 0x21
        mov ah, 0
        number ax
        mov ah, 0x15
        mov dx, fcb
        int 0x21
        mov ah, 0
        number ax
        mov ah, 0x10
        mov dx, fcb
        int 0x21
        mov ah, 0
        number ax
        mov byte [fcb + 12], 0
        mov ah, 0x11
        mov dx, fcb
        int 0x21
        mov ah, 0
        number ax
        number [transfer + 30]
        mov al, [transfer]
        sub al, [drive]
        mov ah, 0
        number ax
        mov ah, 0x13
        mov dx, fcb
        int 0x21
        mov ah, 0
        number ax
        ; The disk: its first sector, parameter block, current folder; whether it can be taken out.
        mov al, [drive]
        mov cx, 1
        mov dx, 0
        mov bx, buffer
        push ds
        int 0x25
        pop cx
        pop ds
        sbb ax, ax
        number ax
        number [buffer + 510]
        number [buffer + 11]
        mov dl, [drive]
        inc dl
        push ds
        mov ah, 0x32
        int 0x21
        push ds
        pop es
        pop ds
        mov al, [es:bx]
        sub al, [drive]
        mov ah, 0
        number ax
        number [es:bx + 2]
        mov ah, 0x52
        int 0x21
        mov al, [drive]
        mov ah, 0x58
        mul ah
        les bx, [es:bx + 0x16]
        add bx, ax
        mov al, [es:bx]
        sub al, [drive]
        mov ah, [es:bx + 2]
        number ax
        mov ax, [es:bx + 0x43]
        and ax, 0xC000
        number ax
        mov bl, [drive]
        inc bl
        mov ax, 0x4409
        int 0x21
        and dx, 0x1000
        number dx
        mov dl, [before]
        mov ah, 0x0E
        int 0x21
        line
        jmp finish

put_done:
        jc .failed
        mov ax, 0
.failed:
        outcome
        ret

free:   mov dl, [drive]
        inc dl
        mov ah, 0x36
        int 0x21
        ret

size:   mov bx, [handle]
        mov ax, 0x4202
        mov cx, 0
        mov dx, 0
        int 0x21
        ret

show:   mov si, buffer
show_at:
        push si
.next:  lodsb
        cmp al, 0
        je .end
        mov dl, al
        mov ah, 2
        int 0x21
        jmp .next
.end:   mov dl, ' '
        mov ah, 2
        int 0x21
        pop si
        ret

letters: dw sub_, full, all, moved, above
letters_end:
sub_:   db 'X:\SUB', 0
full:   db 'X:\SUB\NEW.DAT', 0
all:    db 'X:*.*', 0
moved:  db 'X:\MOVED.DAT', 0
above:  db 'X:..', 0
file:   db 'new.dat', 0
elsewhere: db 'Z:\THERE.DAT', 0
digits: db '0123456789ABCDEFGHIJ'
fcb:    db 0, 'RECORD  DAT'
        times 25 db 0
drive:  db 0
before: db 0
room:   dw 0
handle: dw 0
transfer: times 128 db 0
buffer: times 2048 db 0
