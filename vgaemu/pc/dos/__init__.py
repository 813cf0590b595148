"""DOS, as far as its programs (.COM and .EXE) need it.

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""
