"""The builtin BIOS, the disk's and the firmwares that stand in for it.

Source, beside those that a file names: IBM AT BIOS reference; IBM PS/2 and PC BIOS Interface
Technical Reference; R. Brown's interrupt list and list of memory.
"""
