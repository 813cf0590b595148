; An .EXE of two segments: it runs CHILD.COM, lays OVERLAY.BIN over its own memory, and exits.
        bits 16
        org 0
header: db 'MZ'
        dw (end - header) % 512, (end - header + 511) / 512
        dw 2                            ; relocations
        dw (code - header) / 16
        dw (16 * 16 + stack_size) / 16  ; least: room for the overlay, and the stack
        dw (16 * 16 + stack_size) / 16  ; most: no more
        dw (end - code + 15) / 16 + 16, stack_size      ; SS, SP
        dw 0, start - code, 0           ; checksum, IP, CS
        dw relocations - header, 0
relocations:
        dw first - code + 1, 0
        dw data_segment - data, (data - code) / 16
        align 16, db 0
code:
start:  mov bx, es                      ; the prefix
        mov dx, ds
        cmp bx, dx
        jne failed
first:  mov ax, (data - code) / 16      ; relocated
        mov ds, ax
        cmp ax, [data_segment - data]
        jne failed
        mov [prefix - data], es
        mov ah, 9
        mov dx, greeting - data
        int 21h
        ; A child.
        mov ax, ds
        mov [tail_at - data + 2], ax
        mov [first_at - data + 2], ax
        mov [second_at - data + 2], ax
        mov es, ax
        mov ax, 4B00h
        mov dx, child_name - data
        mov bx, block - data
        mov cx, 1234h
        mov si, 5678h
        int 21h
        jc failed
        cmp cx, 1234h                   ; what waits keeps its registers
        jne failed
        cmp si, 5678h
        jne failed
        mov ah, 4Dh
        int 21h
        mov [code_of_child - data], ax
        add al, '0'
        mov [digit - data], al
        mov ah, 9
        mov dx, returned - data
        int 21h
        ; An overlay, into the memory behind the image.
        mov ax, cs
        add ax, (end - code + 15) / 16
        mov [overlay_at - data], ax
        mov [overlay_at - data + 2], ax
        mov [far_call - data + 2], ax
        mov ax, 4B03h
        mov dx, overlay_name - data
        mov bx, overlay_at - data
        int 21h
        jc failed
        call far [far_call - data]
        ; Files that are not there.
        mov ax, 4B00h
        mov dx, greeting - data
        mov bx, block - data
        int 21h
        jnc failed
        mov al, [code_of_child - data]
        mov ah, 4Ch
        int 21h
failed: mov ax, 4CFFh
        int 21h
        align 16, db 0
data:
data_segment:   dw (data - code) / 16   ; relocated
prefix:         dw 0
code_of_child:  dw 0
block:          dw 0                    ; the same environment
tail_at:        dw tail - data, 0
first_at:       dw fcb - data, 0
second_at:      dw fcb - data, 0
overlay_at:     dw 0, 0
far_call:       dw 0, 0
fcb:            db 3, 'A       TXT', 0, 0, 0, 0
tail:           db 6, ' hello', 13
child_name:     db 'child.com', 0
overlay_name:   db 'overlay.bin', 0
greeting:       db 'parent', 13, 10, '$'
returned:       db 'child returned '
digit:          db '0', 13, 10, '$'
end:
stack_size      equ 512
