; The two guests of guest.py. Build: nasm -f bin guests.asm
;
; Every instruction here has the same bytes and the same meaning in 32-bit and in 64-bit mode (no
; stack, no short inc and dec, no absolute addresses), so one set of bytes serves both kinds of vCPU.
; Both end by a store where there is no memory: an exit that is allowed at any privilege level.

        bits 32

; Add 1 to a byte in each page of a list.
; esi = list of u32 addresses, ecx = how many, ebp = where there is no memory
write_pages:
        jecxz   .done
.next:  lodsd
        inc     byte [eax]
        loop    .next
.done:  mov     [ebp+0], al
        jmp     .done

        align   16, db 0

; Draw 8x8 glyphs into 320x200 bytes of mode 13h, white on black.
; esi = list of u32 pairs: address of the upper left pixel, address of the glyph's 8 bytes
; ecx = how many, ebp = where there is no memory
draw_glyphs:
        jecxz   .done
.glyph: lodsd
        mov     edi, eax
        lodsd
        mov     ebx, eax
        mov     dl, 8
.row:   mov     ah, [ebx]
        mov     dh, 8
.pixel: add     ah, ah          ; carry: the leftmost pixel
        sbb     al, al
        and     al, 15
        stosb
        dec     dh
        jnz     .pixel
        lea     edi, [edi + 320 - 8]
        lea     ebx, [ebx + 1]
        dec     dl
        jnz     .row
        loop    .glyph
.done:  mov     [ebp+0], al
        jmp     .done
