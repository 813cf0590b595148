"""DOS for .COM programs. Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list."""
