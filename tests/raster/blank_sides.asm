; 320x200x256: blanking inside the picture: four characters at each side, by CR02, CR03 and CR05.
%include "raster.inc"
start:  mode 13h
        call fill_bytes
        set CRTC, 11h, 0Eh      ; not protected
        set CRTC, 2, 75
        set CRTC, 3, 83h        ; to character 3 of the next line
        set CRTC, 5, 00h
frame:  call vretrace
        call shown
        jmp frame
